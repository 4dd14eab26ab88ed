// Recorded auth scenarios: the admin RPCs, and what each right allows.
import { replayArea } from './areas.ts';

for (const area of ['auth-admin', 'auth-permissions']) replayArea(area, { waits: false });

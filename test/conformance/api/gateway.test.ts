// Recorded JSON gateway scenarios.
import { replayArea } from './areas.ts';

replayArea('gateway', { waits: true });

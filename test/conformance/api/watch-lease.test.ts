// Recorded watch and lease scenarios, and the services that stand on them.
import { replayArea } from './areas.ts';

for (const area of ['watch', 'lease', 'lock', 'election']) replayArea(area, { waits: true });

// Recorded maintenance, cluster and transport scenarios, and long random mixes.
import { replayArea } from './areas.ts';

for (const area of ['maintenance', 'cluster', 'grpc']) replayArea(area, { waits: true });
replayArea('random', { waits: false });

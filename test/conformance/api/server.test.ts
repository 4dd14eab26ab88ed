// Recorded maintenance, cluster and transport scenarios, and long random mixes.
import { replayArea } from './areas.ts';

for (const area of ['maintenance', 'cluster', 'grpc', 'random']) replayArea(area);

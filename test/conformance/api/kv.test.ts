// Recorded KV scenarios.
import { replayArea } from './areas.ts';

for (const area of ['kv-put', 'kv-range', 'kv-range-generated', 'kv-rangestream', 'kv-delete', 'kv-txn', 'kv-compact'])
  replayArea(area, { waits: false });

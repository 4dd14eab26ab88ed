// npx vitest bench test/unit/raft --run: the path of one entry through a single member, propose → ready → appendDone → ready → applied.
import { bench } from 'vitest';
import { RawNode } from '../../../src/raft/raw-node.ts';
import { raftConfig, voters } from './support.ts';

/** As the server keeps it: dropped entries do not count into the measurement's memory. */
const keptEntries = 5000;

for (const batch of [1, 16, 256]) {
  const node = new RawNode(raftConfig(1, voters(1)));
  node.campaign();
  const data = Array.from({ length: batch }, () => new Uint8Array(256));
  const drain = (): void => {
    while (node.hasReady()) {
      const ready = node.ready();
      node.appendDone(ready.token);
      const last = ready.committedEntries[ready.committedEntries.length - 1];
      if (last === undefined) continue;
      node.applied(last.Index);
      if (last.Index - node.firstIndex > 2 * keptEntries) node.compactLog(last.Index - keptEntries);
    }
  };
  drain();
  bench(`${batch} entries in one batch`, () => {
    node.proposeBatch(data);
    drain();
  });
}

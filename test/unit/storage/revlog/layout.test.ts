// An index whose pages another version wrote is not read: its checksums fit, its meaning does not.
import { expect, it } from 'vitest';
import { MemoryDisk } from '../../../../src/base/memory-disk.ts';
import { loadCheckpoint } from '../../../../src/server/storage/revlog/checkpoint.ts';
import { ManualClock, kvBytes, open, settle } from './harness.ts';

const dir = '/data/snap/db';

it('an index of another layout is built again from the log', async () => {
  const clock = new ManualClock();
  const disk = new MemoryDisk(clock);
  disk.mkdir('/data/snap', 0o700);
  const backend = open(disk, clock);
  const key = Buffer.from('a');
  backend.append({ main: 2, sub: 0, tombstone: false, key, kv: kvBytes(key, 2, Buffer.from('v'), 0n), lease: 0n });
  backend.setConsistentIndex(1, 1);
  await settle(clock, backend.close());
  expect(loadCheckpoint(disk, dir).loaded).toBeDefined();

  const file = disk.open(`${dir}/index.ckpt`, { write: true });
  file.write(Buffer.from('1'), 7);
  file.close();
  expect(loadCheckpoint(disk, dir)).toEqual({ loaded: undefined, why: 'the index checkpoint is of another layout' });
  const again = open(disk, clock);
  expect(again.latest(key)).toMatchObject({ main: 2, sub: 0 });
  expect(again.consistentIndex).toBe(1);
  again.abandon();
});

// What was handed to the disk is read from memory until it is there: a slow disk must not look like a damaged one.
import { expect, it } from 'vitest';
import type { DiskThread } from '../../../../src/base/disk.ts';
import { MemoryDisk } from '../../../../src/base/memory-disk.ts';
import { ManualClock, kvBytes, open, settle, turns } from './harness.ts';

/** Its threads run a job only when they are let. */
class SlowDisk extends MemoryDisk {
  held: (() => void)[] | undefined;

  override thread(): DiskThread {
    const thread = super.thread();
    return {
      submit: (ops, done) => {
        if (this.held === undefined) thread.submit(ops, done);
        else this.held.push(() => thread.submit(ops, done));
      },
      get pending() {
        return thread.pending;
      },
      close: () => thread.close(),
    };
  }

  /** Runs the oldest job. */
  letOne(): void {
    this.held?.shift()?.();
  }
}

it('rows on their way to the disk are read, however many came behind them', async () => {
  const clock = new ManualClock();
  const disk = new SlowDisk(clock);
  disk.mkdir('/data/snap', 0o700);
  // An eighth of the cache is what stays in memory of rows that were written.
  const backend = open(disk, clock, { segmentBytes: 1 << 28, cacheBytes: 8 << 20, checkpointBytes: 1 << 28 });
  await settle(clock, new Promise<void>((resolve) => backend.commit(resolve)));
  const key = Buffer.from('a');
  const kv = (main: number): Uint8Array => kvBytes(key, main, Buffer.alloc(300_000, main), 0n);
  const append = (from: number, to: number): void => {
    for (let main = from; main < to; main++) {
      backend.append({ main, sub: 0, tombstone: false, key, kv: kv(main), lease: 0n });
      backend.setConsistentIndex(main, 1);
    }
  };
  disk.held = [];
  append(2, 4);
  let committed = false;
  backend.commit(() => (committed = true));
  await turns(clock, 3);
  expect(disk.held.length).toBe(1);
  append(4, 20);
  expect(disk.held.length, 'some went ahead of their commit').toBeGreaterThan(1);
  disk.letOne();
  for (let i = 0; i < 100 && !committed; i++) await turns(clock, 1);
  expect(committed).toBe(true);
  const read = (): void => {
    for (let main = 2; main < 20; main++) {
      const version = backend.visible(key, main);
      expect(version?.main).toBe(main);
      expect(Buffer.compare(backend.read(version as NonNullable<typeof version>), kv(main))).toBe(0);
    }
  };
  read();
  while (disk.held.length > 0) {
    disk.letOne();
    await turns(clock, 5);
    read();
  }
  disk.held = undefined;
  append(20, 22);
  await settle(clock, new Promise<void>((resolve) => backend.commit(resolve)));
  read();
  await settle(clock, backend.close());
});

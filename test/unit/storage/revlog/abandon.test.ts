// A store that is given up removes nothing: by the time the disk gets to it, its directory may be another store's. Nobody waits for it for ever.
import { afterEach, expect, it } from 'vitest';
import type { DiskOp, DiskThread } from '../../../../src/base/disk.ts';
import { setFailpoints } from '../../../../src/base/failpoint.ts';
import { MemoryDisk } from '../../../../src/base/memory-disk.ts';
import { ManualClock, kvBytes, open, settle, turns } from './harness.ts';

const dir = '/data/snap/db';

afterEach(() => setFailpoints(undefined));

/** Counts what threads are told to remove. */
class WatchedDisk extends MemoryDisk {
  readonly removed: string[] = [];

  override thread(): DiskThread {
    const thread = super.thread();
    return {
      submit: (ops, done) => {
        for (const op of ops as readonly DiskOp[]) if (op.kind === 'unlink') this.removed.push(op.path);
        thread.submit(ops, done);
      },
      get pending() {
        return thread.pending;
      },
      close: () => thread.close(),
    };
  }
}

it('segments that a reader held are left alone when the store is abandoned', async () => {
  const clock = new ManualClock();
  const disk = new WatchedDisk(clock);
  disk.mkdir('/data/snap', 0o700);
  const backend = open(disk, clock, { segmentBytes: 4096 });
  const key = Buffer.from('a');
  for (let main = 2; main < 200; main++) {
    backend.append({ main, sub: 0, tombstone: false, key, kv: kvBytes(key, main, Buffer.alloc(100), 0n), lease: 0n });
    backend.setConsistentIndex(main, 1);
    if (main > 2) backend.kill(key, { main: main - 1, sub: 0 });
  }
  await settle(clock, new Promise<void>((resolve) => backend.commit(resolve)));
  const view = backend.view();
  await settle(clock, backend.defragment());
  const before = disk.removed.length;
  expect(backend.stats.heldBytes, 'the view holds what the rewrite has replaced').toBeGreaterThan(0);

  const files = disk.list(dir);
  backend.abandon();
  await turns(clock, 50);
  expect(disk.removed.length).toBe(before);
  expect(disk.list(dir)).toEqual(files);
  view.release();
  await turns(clock, 50);
  expect(disk.removed.length).toBe(before);
});

it.each(['defragBeforeCopy', 'defragBeforeRename'])(
  'a defragmentation that is held at %s holds nothing else, and ends with its store',
  async (point) => {
    let release: (() => void) | undefined;
    setFailpoints({
      hit: () => undefined,
      pass: (name, next) => {
        if (name === point) release = () => next(undefined);
        else next(undefined);
      },
    });
    const clock = new ManualClock();
    const disk = new MemoryDisk(clock);
    disk.mkdir('/data/snap', 0o700);
    const backend = open(disk, clock, { segmentBytes: 4096 });
    let over = false;
    const defrag = backend.defragment().then(() => (over = true));
    for (let i = 0; i < 100 && release === undefined; i++) await turns(clock, 1);
    await settle(clock, new Promise<void>((resolve) => backend.commit(resolve)));
    expect({ held: release !== undefined, over }).toEqual({ held: true, over: false });
    backend.abandon();
    await defrag;
    const files = disk.list(dir);
    release?.();
    await turns(clock, 50);
    expect(disk.list(dir)).toEqual(files);
  },
);

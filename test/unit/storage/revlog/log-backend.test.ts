// Behaviour of the backend that random scripts do not show: entry boundaries, errors of the disk, builds, sizes, readers that stay.
import { describe, expect, it, vi } from 'vitest';
import { RangeResponse } from '../../../../src/api/gen/etcdserverpb.ts';
import { DiskError } from '../../../../src/base/disk.ts';
import { MemoryDisk } from '../../../../src/base/memory-disk.ts';
import { SeededRandom } from '../../../../src/base/random.ts';
import type { ConfState, MemberId } from '../../../../src/raft/types.ts';
import type { Row } from '../../../../src/server/storage/backend.ts';
import { CorruptError } from '../../../../src/server/storage/backend.ts';
import { buildBackend } from '../../../../src/server/storage/revlog/build-backend.ts';
import { SnapshotExpiredError } from '../../../../src/server/storage/revlog/log-scan.ts';
import { BackendFormatError } from '../../../../src/server/storage/revlog/log-backend.ts';
import type { LogBackend } from '../../../../src/server/storage/revlog/log-backend.ts';
import { SimDisk } from '../../../simulation/sim-disk.ts';
import {
  gatherAll,
  ManualClock,
  Model,
  compare,
  drawOp,
  drive,
  kvBytes,
  open,
  settle,
  smallOptions,
  tombstoneBytes,
  turns,
} from './harness.ts';

function start(options?: Parameters<typeof open>[2]): { clock: ManualClock; disk: MemoryDisk; backend: LogBackend } {
  const clock = new ManualClock();
  const disk = new MemoryDisk(clock);
  disk.mkdir('/data/snap', 0o700);
  return { clock, disk, backend: open(disk, clock, options) };
}
const key = (s: string): Buffer => Buffer.from(s);
function put(backend: LogBackend, name: string, main: number, value = 'v', lease = 0n, sub = 0): void {
  backend.append({ main, sub, tombstone: false, key: key(name), kv: kvBytes(key(name), main, key(value), lease), lease });
}
const conf = (...ids: bigint[]): ConfState => ({
  voters: ids as MemberId[],
  learners: [],
  votersOutgoing: [],
  learnersNext: [],
  autoLeave: false,
});

describe('small buckets', () => {
  it('larger than many segments are written to the log once and come back from it', async () => {
    const { clock, disk, backend } = start({ segmentBytes: 4096 });
    const entry = (i: number): [Buffer, Buffer] => [key(`lease ${String(i).padStart(4, '0')}`), Buffer.alloc(900, i)];
    const entries = Array.from({ length: 250 }, (_, i) => entry(i));
    for (const [i, [k, v]] of entries.entries()) {
      backend.put('lease', k, v);
      backend.setConsistentIndex(i + 1, 1);
      if (i % 10 === 9) await settle(clock, new Promise<void>((resolve) => backend.commit(resolve)));
    }
    const segments = (): string[] => disk.list('/data/snap/db').filter((n) => n.endsWith('.seg'));
    let steps = 0;
    while (clock.turn()) {
      for (let k = 0; k < 8; k++) await Promise.resolve();
      // It comes to an end.
      expect(++steps).toBeLessThan(2_000);
    }
    const written = segments().reduce((n, name) => n + (disk.stat(`/data/snap/db/${name}`)?.bytes ?? 0), 0);
    expect(written).toBeLessThan(8 * 250 * 900);
    backend.abandon();
    // All from the log.
    for (const name of disk.list('/data/snap/db')) if (!name.endsWith('.seg')) disk.unlink(`/data/snap/db/${name}`);
    const again = open(disk, clock, { segmentBytes: 4096 });
    expect(again.consistentIndex).toBe(250);
    expect(again.entries('lease').map(([k, v]) => [Buffer.from(k).toString(), v[0], v.length])).toEqual(
      entries.map(([k, v]) => [k.toString(), v[0], 900]),
    );
    again.abandon();
  });
});

describe('commits', () => {
  it('keep to entry boundaries: a commit asked for in the middle of an entry has all of it', async () => {
    const { clock, disk, backend } = start();
    put(backend, 'a', 2);
    backend.setConsistentIndex(1, 1);
    put(backend, 'b', 3);
    let done = false;
    backend.commit(() => (done = true));
    put(backend, 'b', 3, 'w', 0n, 1);
    backend.setConsistentIndex(2, 1);
    await turns(clock, 20);
    expect(done).toBe(true);
    backend.abandon();
    const again = open(disk, clock);
    expect(again.consistentIndex).toBe(2);
    expect(again.latest(key('b'))).toMatchObject({ main: 3, sub: 1 });
    again.abandon();
  });

  it('come after the interval, or after enough changes, and say how far they reach', async () => {
    const { clock, backend } = start();
    put(backend, 'a', 2);
    backend.setConsistentIndex(7, 3);
    expect(backend.durableIndex).toBe(0);
    while (clock.turn(50));
    expect(backend.durableIndex).toBe(0);
    while (clock.turn(100));
    expect(backend.durableIndex).toBe(7);
    for (let i = 0; i < smallOptions.batchOps; i++) {
      put(backend, 'a', 3 + i);
      backend.setConsistentIndex(8 + i, 3);
    }
    const before = clock.now;
    while (clock.turn(0));
    expect(clock.now).toBe(before);
    expect(backend.durableIndex).toBe(57);
    await settle(clock, backend.close());
  });

  it('answer at once when nothing changed', async () => {
    const { clock, backend } = start();
    await settle(clock, new Promise<void>((r) => backend.commit(r)));
    let done = false;
    backend.commit(() => (done = true));
    while (clock.turn(0));
    expect(done).toBe(true);
    await settle(clock, backend.close());
  });

  it('carry raft position and configuration, also through meta keys', async () => {
    const { clock, disk, backend } = start();
    backend.setConfState(conf(0xfedcba9876543210n, 5n));
    backend.setConsistentIndex(9, 4);
    backend.put('meta', key('scheduledCompactRev'), key('x'));
    await settle(clock, backend.close());
    const again = open(disk, clock);
    expect(again.confState).toEqual(conf(0xfedcba9876543210n, 5n));
    expect([again.consistentIndex, again.consistentTerm, again.durableIndex]).toEqual([9, 4, 9]);
    const meta = again.entries('meta').map(([k, v]) => [Buffer.from(k).toString(), Buffer.from(v)] as const);
    expect(meta.map(([k]) => k)).toEqual(['confState', 'consistent_index', 'scheduledCompactRev', 'term']);
    expect(meta[0]?.[1].toString()).toBe('{"voters":[18364758544493064720,5],"auto_leave":false}');
    expect(again.get('meta', key('term'))).toEqual(Buffer.from([0, 0, 0, 0, 0, 0, 0, 4]));
    again.put('meta', key('consistent_index'), Buffer.from([0, 0, 0, 0, 0, 0, 1, 0]));
    expect(again.consistentIndex).toBe(256);
    await settle(clock, again.close());
  });
});

describe('errors', () => {
  it('a failed sync stops the backend and is told once', async () => {
    const clock = new ManualClock();
    const disk = new SimDisk({ clock, random: new SeededRandom(1) });
    disk.mkdir('/data/snap', 0o700);
    const errors: DiskError[] = [];
    const backend = open(disk, clock, { onError: (e) => errors.push(e) });
    put(backend, 'a', 2);
    backend.setConsistentIndex(1, 1);
    await turns(clock, 30);
    expect(backend.durableIndex).toBe(1);
    disk.faults.syncError = 1;
    put(backend, 'b', 3);
    backend.setConsistentIndex(2, 1);
    let done = false;
    backend.commit(() => (done = true));
    await turns(clock, 100);
    expect(errors).toHaveLength(1);
    expect(errors[0]).toBeInstanceOf(DiskError);
    expect(errors[0]?.code).toBe('EIO');
    expect(done).toBe(false);
    expect(backend.durableIndex).toBe(1);
    disk.faults.syncError = 0;
    await settle(clock, backend.close());
    expect(backend.durableIndex).toBe(1);
  });

  it.each([
    ['without WebAssembly', undefined],
    [
      'without memory for it',
      {
        Module: Object,
        Instance: class {
          constructor() {
            throw new RangeError('could not allocate memory');
          }
        },
      },
    ],
  ])('ranges are gathered %s', async (_, assembly) => {
    vi.stubGlobal('WebAssembly', assembly);
    try {
      const clock = new ManualClock();
      const disk = new SimDisk({ clock, random: new SeededRandom(1) });
      disk.mkdir('/data/snap', 0o700);
      disk.settle();
      let backend = open(disk, clock);
      for (let i = 0; i < 300; i++) put(backend, `k${String(1000 + i)}`, 2 + i, 'v'.repeat(i));
      backend.setConsistentIndex(1, 1);
      await settle(clock, backend.close());
      backend = open(disk, clock);
      const { bytes, measured } = gatherAll(backend, Infinity, 100);
      expect(bytes.length).toBe(measured);
      const { kvs } = RangeResponse.decode(bytes);
      expect(kvs.map((kv) => kv.value.length)).toEqual(Array.from({ length: 300 }, (__, i) => i));
      await settle(clock, backend.close());
    } finally {
      vi.unstubAllGlobals();
    }
  });

  it('a row that was damaged on disk is never returned', async () => {
    const clock = new ManualClock();
    const disk = new SimDisk({ clock, random: new SeededRandom(1) });
    disk.mkdir('/data/snap', 0o700);
    disk.settle();
    let backend = open(disk, clock);
    put(backend, '0', 2, 'the row before');
    put(backend, 'a', 3, 'some value');
    backend.setConsistentIndex(1, 1);
    await settle(clock, backend.close());
    const name = disk.list('/data/snap/db').find((n) => n.endsWith('.seg')) as string;
    const at = Buffer.from(disk.durableBytes(`/data/snap/db/${name}`) as Uint8Array).indexOf('some value');
    disk.flipBit(`/data/snap/db/${name}`, at, 3);
    backend = open(disk, clock, { verify: false });
    const v = backend.latest(key('a'));
    expect(v).toBeDefined();
    expect(() => backend.read(v as NonNullable<typeof v>)).toThrow(CorruptError);
    expect(() => gatherAll(backend, Infinity, 10)).toThrow(CorruptError);
    const scan = backend.scan(0, Infinity);
    expect(() => [scan.next(), scan.next()]).toThrow(CorruptError);
    backend.abandon();
  });

  it('something else at the path is refused', () => {
    const clock = new ManualClock();
    const disk = new MemoryDisk(clock);
    disk.mkdir('/data/snap', 0o700);
    disk.open('/data/snap/db', { write: true, create: true }).write(Buffer.from('bbolt'), 0);
    expect(() => open(disk, clock)).toThrow(BackendFormatError);
  });
});

describe('readers', () => {
  it('rows read from memory, from the file and from a rewritten file are the same', async () => {
    const { clock, backend } = start({ segmentBytes: 4096 });
    const random = new SeededRandom(3);
    const values = new Map<number, Uint8Array>();
    for (let i = 2; i < 400; i++) {
      const name = key(`k${random.u32() % 50}`);
      const old = backend.latest(name);
      const kv = kvBytes(name, i, Buffer.alloc(random.u32() % 300, i), 0n);
      values.set(i, kv);
      backend.append({ main: i, sub: 0, tombstone: false, key: name, kv, lease: 0n });
      if (old !== undefined && i % 2 === 0) backend.kill(name, old);
      backend.setConsistentIndex(i, 1);
      if (i % 20 === 0) await turns(clock, 10);
    }
    const check = (): void => {
      const cursor = backend.cursor({ key: Buffer.alloc(0), end: Buffer.alloc(0) }, Infinity);
      let n = 0;
      while (cursor.next()) {
        n++;
        expect(Buffer.compare(backend.read(cursor.version), values.get(cursor.version.main) as Uint8Array)).toBe(0);
      }
      expect(n).toBe(50);
    };
    check();
    const before = backend.diskBytes;
    await settle(clock, backend.defragment());
    check();
    await turns(clock, 20);
    expect(backend.diskBytes).toBeLessThan(before);
    expect(backend.stats.deadBytes).toBe(0);
    await settle(clock, backend.close());
  });

  it('background rewrites give space back without being asked', async () => {
    const { clock, backend } = start({ segmentBytes: 8192 });
    for (let i = 2; i < 2000; i++) {
      const old = backend.latest(key('hot'));
      put(backend, 'hot', i, 'x'.repeat(100));
      if (old !== undefined) backend.kill(key('hot'), old);
      backend.setConsistentIndex(i, 1);
      if (i % 10 === 0) await turns(clock, 6);
    }
    await turns(clock, 2000);
    expect(backend.stats.segments).toBeLessThan(12);
    expect(backend.rowCount).toBe(1);
    await settle(clock, backend.close());
  });

  it('a reader holds what it reads, for a bounded time', async () => {
    const { clock, backend } = start({ segmentBytes: 4096 });
    for (let i = 2; i < 200; i++) {
      put(backend, `k${i % 10}`, i, 'x'.repeat(100));
      backend.setConsistentIndex(i, 1);
      if (i % 20 === 0) await turns(clock, 10);
    }
    const view = backend.view();
    const scan = view.rows();
    expect(scan.next()?.main).toBe(2);
    for (let i = 2; i < 180; i++) backend.kill(key(`k${i % 10}`), { main: i, sub: 0 });
    await settle(clock, backend.defragment());
    expect(backend.stats.heldBytes).toBeGreaterThan(0);
    let rows = 1;
    while (scan.next() !== undefined) rows++;
    expect(rows).toBe(198);
    scan.close();
    const forgotten = view.rows();
    clock.now += 2 * 60 * 60 * 1000;
    put(backend, 'k', 200);
    backend.setConsistentIndex(200, 1);
    await turns(clock, 100);
    expect(backend.stats.heldBytes).toBe(0);
    expect(() => forgotten.next()).toThrow(SnapshotExpiredError);
    forgotten.close();
    view.release();
    await settle(clock, backend.close());
  });

  it('a bad index page met while serving is rebuilt, and said so', async () => {
    const clock = new ManualClock();
    const disk = new SimDisk({ clock, random: new SeededRandom(1) });
    disk.mkdir('/data/snap', 0o700);
    const random = new SeededRandom(9);
    const model = new Model();
    let backend = open(disk, clock);
    for (let i = 0; i < 300; i++) {
      const op = drawOp(random, model, { keys: 2000, valueBytes: 30 });
      model.apply(op);
      drive(backend, op, model.index);
      if (i % 10 === 0) await turns(clock, 8);
    }
    await settle(clock, backend.close());
    const pages = disk.list('/data/snap/db').find((n) => n.endsWith('.pages')) as string;
    const size = disk.stat(`/data/snap/db/${pages}`)?.bytes ?? 0;
    for (let at = 50; at < size; at += 4096) disk.flipBit(`/data/snap/db/${pages}`, at, 1);
    const warnings: string[] = [];
    const log = {
      debug() {},
      info() {},
      warn: (m: string) => void warnings.push(m),
      error() {},
      fatal() {},
      named: () => log,
      debugEnabled: false,
    };
    backend = open(disk, clock, { verify: false, log });
    // Changes that are not committed yet are in the rebuilt index as well.
    const view = backend.view();
    for (let i = 0; i < 20; i++) {
      const op = drawOp(random, model, { keys: 2000, valueBytes: 30 });
      model.apply(op);
      drive(backend, op, model.index);
    }
    expect(warnings.filter((w) => w.includes('rebuilding the index'))).toHaveLength(1);
    compare(backend, model, random);
    view.release();
    await settle(clock, backend.close());
    backend = open(disk, clock);
    compare(backend, model, random);
    await settle(clock, backend.close());
  });
});

describe('sizes', () => {
  it('are those of an empty etcd at first, grow, and come down with a defrag', async () => {
    const { clock, backend } = start();
    await settle(clock, new Promise<void>((r) => backend.commit(r)));
    expect(backend.sizeBytes).toBe(24576);
    for (let i = 2; i < 102; i++) {
      const old = backend.latest(key('k'));
      put(backend, 'k', i, 'x'.repeat(4096));
      if (old !== undefined) backend.kill(key('k'), old);
      backend.setConsistentIndex(i, 1);
    }
    const inUse = backend.sizeInUseBytes;
    expect(inUse).toBeLessThan(40_000);
    await settle(clock, backend.defragment());
    expect(backend.sizeBytes).toBeLessThan(13 * 4096);
    await settle(clock, backend.close());
  });
});

describe('a build', () => {
  it('makes the same store from rows and entries', async () => {
    const { clock, disk, backend } = start();
    const random = new SeededRandom(21);
    const model = new Model();
    for (let i = 0; i < 400; i++) {
      const op = drawOp(random, model, { keys: 80, valueBytes: 120 });
      model.apply(op);
      drive(backend, op, model.index);
    }
    const view = backend.view();
    const builder = buildBackend({
      disk,
      dir: '/data/snap/other',
      clock,
      log: { debug() {}, info() {}, warn() {}, error() {}, fatal() {}, named: (): never => undefined as never, debugEnabled: false },
      verify: true,
      ...smallOptions,
    });
    const scan = view.rows();
    for (let row: Row | undefined = scan.next(); row !== undefined; row = scan.next()) builder.addRow(row);
    scan.close();
    for (const bucket of ['auth', 'lease', 'members', 'meta'] as const)
      for (const [k, v] of view.entries(bucket)) builder.addEntry(bucket, k, v);
    view.release();
    await builder.finish();
    const built = open(disk, clock, { dir: '/data/snap/other' });
    compare(built, model, random);
    put(built, 'more', model.main + 1);
    built.setConsistentIndex(model.index + 1, 1);
    await settle(clock, built.close());
    const again = open(disk, clock, { dir: '/data/snap/other' });
    expect(again.latest(key('more'))?.main).toBe(model.main + 1);
    again.abandon();
    await settle(clock, backend.close());
  });
});

describe('kills', () => {
  it('are idempotent and take a tombstone with what it hides', async () => {
    const { clock, disk, backend } = start();
    put(backend, 'a', 2);
    put(backend, 'a', 3);
    backend.append({ main: 4, sub: 0, tombstone: true, key: key('a'), kv: tombstoneBytes(key('a')), lease: 0n });
    put(backend, 'b', 5);
    backend.setConsistentIndex(1, 1);
    expect(() => backend.kill(key('b'), { main: 5, sub: 0 })).toThrow(/stays/);
    for (let i = 0; i < 2; i++) {
      backend.kill(key('a'), { main: 2, sub: 0 });
      backend.kill(key('a'), { main: 4, sub: 0 });
      backend.kill(key('a'), { main: 3, sub: 0 });
      backend.kill(key('none'), { main: 3, sub: 0 });
    }
    expect(backend.latest(key('a'))).toBeUndefined();
    expect(backend.rowCount).toBe(1);
    await turns(clock, 30);
    backend.abandon();
    const again = open(disk, clock);
    expect(again.rowCount).toBe(1);
    expect(again.scan(0, Infinity).next()?.main).toBe(5);
    again.abandon();
  });
});

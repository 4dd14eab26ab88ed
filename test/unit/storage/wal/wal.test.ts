import { describe, expect, test } from 'vitest';
import { DiskError } from '../../../../src/base/disk.ts';
import { setFailpoints } from '../../../../src/base/failpoint.ts';
import { crc32c } from '../../../../src/base/crc32c.ts';
import { EntryCodec, HardStateCodec } from '../../../../src/api/gen/raftpb.ts';
import { Record as RecordCodec } from '../../../../src/api/gen/walpb.ts';
import { SeededRandom } from '../../../../src/base/random.ts';
import { RecordType } from '../../../../src/server/storage/wal/format.ts';
import { RecordWriter } from '../../../../src/server/storage/wal/record-writer.ts';
import { readWal, validSnapshots } from '../../../../src/server/storage/wal/replay.ts';
import { WAL } from '../../../../src/server/storage/wal/wal.ts';
import { WalError } from '../../../../src/server/storage/wal/errors.ts';
import { closed, confState, contentOf, dir, entries, entry, machine, metadata, noSnapshot, saved, state, usedBytes } from './harness.ts';

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof WalError) return error.code;
    throw error;
  }
  return 'no error';
}

describe('record writer', () => {
  test('the header of a fresh log is etcd’s, byte for byte', () => {
    const m = machine();
    WAL.create(m.options, Buffer.from('08c0c0caafc1ba96892e1087d5edba8fd59dc104', 'hex'));
    // Recorded from etcd 3.7.1.
    expect(Buffer.from(usedBytes(m, `${dir}/0000000000000000-0000000000000000.wal`)).toString('hex')).toBe(
      '04000000000000840804100000000000' +
        '1d000000000000830801108d9cf9161a1408c0c0caafc1ba96892e1087d5edba8fd59dc104000000' +
        '0e00000000000082080510878cc58d0d1a04080010'.padEnd(42, '0'),
    );
  });

  test('equals the generated codecs on random records', () => {
    const random = new SeededRandom(3);
    const writer = new RecordWriter(64);
    let crc = 0;
    let want = Buffer.alloc(0);
    const frame = (type: number, data: Uint8Array): void => {
      crc = crc32c(crc, data);
      const body = RecordCodec.encode({ type, crc, data });
      const padding = -body.length & 7;
      const head = Buffer.alloc(8);
      head.writeUInt32LE(body.length);
      if (padding !== 0) head[7] = 0x80 + padding;
      want = Buffer.concat([want, head, body, Buffer.alloc(padding)]);
    };
    for (let i = 0; i < 500; i++) {
      if (random.u32() % 4 === 0) {
        const hs = { term: random.u32() * (random.u32() % 1000), vote: random.u64() >> BigInt(random.u32() % 64), commit: random.u32() };
        writer.state(hs);
        frame(RecordType.state, HardStateCodec.encode(hs));
      } else {
        const e = {
          Type: random.u32() % 3,
          Term: random.u32() % 500,
          Index: random.u32() * (random.u32() % 2000),
          Data: random.bytes(random.u32() % (random.u32() % 10 === 0 ? 70_000 : 200)),
        };
        writer.entry(e);
        frame(RecordType.entry, EntryCodec.encode(e));
      }
    }
    expect(writer.crc).toBe(crc);
    expect(Buffer.from(writer.bytes.subarray(0, writer.length)).equals(want)).toBe(true);
  });

  test('S-088: a reused buffer leaves no old bytes in padding', () => {
    const writer = new RecordWriter(4096);
    writer.record(RecordType.metadata, Buffer.alloc(3000, 0xff));
    writer.reset();
    writer.crc = 0;
    writer.entry({ Type: 0, Term: 1, Index: 1, Data: Buffer.from('x') });
    const clean = new RecordWriter(4096);
    clean.entry({ Type: 0, Term: 1, Index: 1, Data: Buffer.from('x') });
    expect(writer.bytes.subarray(0, writer.length)).toEqual(clean.bytes.subarray(0, clean.length));
  });
});

describe('saving and opening', () => {
  test('what was saved is there again', async () => {
    const m = machine();
    const wal = WAL.create(m.options, metadata);
    await saved(m, wal, entries(1, 5), state(1, 3));
    await saved(m, wal, [{ Type: 1, Term: 2, Index: 6, Data: Buffer.from('change') }, entry(7, 2, new Uint8Array(0))], state(2, 5));
    await closed(m, wal);
    const opened = WAL.open(m.options, noSnapshot);
    expect(contentOf(opened)).toEqual({
      metadata: metadata.toString('hex'),
      hardState: { term: 2, vote: 7n, commit: 5 },
      entries: ['1/1/0 entry 1', '2/1/0 entry 2', '3/1/0 entry 3', '4/1/0 entry 4', '5/1/0 entry 5', '6/2/1 change', '7/2/0 '],
      snapshots: ['0/0 '],
      lastIndex: 7,
    });
    expect(opened.repair).toBeUndefined();
    await saved(m, opened.wal, entries(8, 9, 2), state(2, 9));
    await closed(m, opened.wal);
    expect(readWal(m.disk, dir, noSnapshot).entries.map((e) => e.Index)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  test('an overlap replaces the tail', async () => {
    const m = machine();
    const wal = WAL.create(m.options, metadata);
    await saved(m, wal, entries(1, 6, 1), state(1, 2));
    await saved(m, wal, entries(4, 5, 2), state(2, 2));
    expect(wal.lastIndex).toBe(5);
    await closed(m, wal);
    expect(readWal(m.disk, dir, noSnapshot).entries.map((e) => `${e.Index}/${e.Term}`)).toEqual(['1/1', '2/1', '3/1', '4/2', '5/2']);
  });

  test('large numbers: terms, indexes and votes beyond 32 bits', async () => {
    const m = machine();
    const wal = WAL.create(m.options, metadata);
    const big = 2 ** 40;
    let done = false;
    wal.saveSnapshot({ index: big, term: 3, confState }, () => (done = true));
    await m.clock.run(() => done);
    await saved(m, wal, [entry(big + 1, 2 ** 33)], { term: 2 ** 33, vote: 2n ** 64n - 1n, commit: big + 1 });
    await closed(m, wal);
    const { entries: got, hardState } = readWal(m.disk, dir, { index: big, term: 3 });
    expect(got.map((e) => [e.Index, e.Term])).toEqual([[big + 1, 2 ** 33]]);
    expect(hardState).toEqual({ term: 2 ** 33, vote: 2n ** 64n - 1n, commit: big + 1 });
  });

  test('entries at and below the start snapshot are left out', async () => {
    const m = machine();
    const wal = WAL.create(m.options, metadata);
    await saved(m, wal, entries(1, 5), state(1, 5));
    wal.saveSnapshot({ index: 4, term: 1, confState }, () => {});
    await saved(m, wal, entries(6, 7), state(1, 6));
    await closed(m, wal);
    const opened = WAL.open(m.options, { index: 4, term: 1 });
    expect(opened.entries.map((e) => e.Index)).toEqual([5, 6, 7]);
    expect(validSnapshots(m.disk, dir).map((s) => [s.index, s.term, s.confState?.voters])).toEqual([
      [0, 0, undefined],
      [4, 1, [7n]],
    ]);
    await closed(m, opened.wal);
    expect(codeOf(() => WAL.open(m.options, { index: 5, term: 1 }))).toBe('snapshot-not-found');
    expect(codeOf(() => WAL.open(m.options, { index: 4, term: 2 }))).toBe('snapshot-mismatch');
  });

  test('entries of another history behind a received snapshot do not come back', async () => {
    // Received: what the log holds at its index is of another term, or nothing.
    for (const last of [6, 10]) {
      const m = machine();
      const wal = WAL.create(m.options, metadata);
      await saved(m, wal, entries(1, last, 1), state(1, 3));
      const snapshot = { index: 7, term: 2, confState };
      wal.saveSnapshot(snapshot, () => undefined);
      await saved(m, wal, [], state(2, 7));
      await closed(m, wal);
      expect(readWal(m.disk, dir, snapshot)).toMatchObject({ entries: [], lastIndex: 7 });
      const longer = readWal(m.disk, dir, noSnapshot);
      expect(longer.lastIndex).toBe(Math.min(last, 7));
      const again = WAL.open(m.options, snapshot);
      await saved(m, again.wal, entries(8, 9, 2), state(2, 9));
      await closed(m, again.wal);
      expect(readWal(m.disk, dir, snapshot).entries.map((e) => [e.Index, e.Term])).toEqual([
        [8, 2],
        [9, 2],
      ]);
    }
    // An own one: what lies behind it stays.
    const m = machine();
    const wal = WAL.create(m.options, metadata);
    await saved(m, wal, entries(1, 10, 1), state(1, 8));
    wal.saveSnapshot({ index: 7, term: 1, confState }, () => undefined);
    await closed(m, wal);
    expect(readWal(m.disk, dir, { index: 7, term: 1 }).lastIndex).toBe(10);
    expect(readWal(m.disk, dir, noSnapshot).lastIndex).toBe(10);
  });

  test('a snapshot above the commit index does not count', async () => {
    const m = machine();
    const wal = WAL.create(m.options, metadata);
    await saved(m, wal, entries(1, 3), state(1, 3));
    wal.saveSnapshot({ index: 9, term: 1, confState }, () => {});
    await closed(m, wal);
    expect(codeOf(() => WAL.open(m.options, { index: 9, term: 1 }))).toBe('snapshot-not-found');
    expect(validSnapshots(m.disk, dir).map((s) => s.index)).toEqual([0]);
    // The failed open gave its locks back.
    expect(WAL.open(m.options, noSnapshot).lastIndex).toBe(3);
  });

  test('create refuses an existing log, and does over a half-made one', async () => {
    const m = machine();
    m.disk.mkdir(`${dir}.tmp/rubbish`, 0o700);
    const wal = WAL.create(m.options, metadata);
    expect(m.disk.list('/data/member')).toEqual(['snap', 'wal']);
    expect(WAL.exists(m.disk, dir)).toBe(true);
    expect(codeOf(() => WAL.create(m.options, metadata))).toBe('exists');
    await closed(m, wal);
  });

  test('create takes an empty folder, and no other', () => {
    const m = machine();
    m.disk.mkdir(dir, 0o700);
    WAL.create(m.options, metadata);
    const other = { ...m.options, dir: '/data/wals' };
    m.disk.mkdir('/data/wals/precious', 0o700);
    expect(() => WAL.create(other, metadata)).toThrow('ENOTEMPTY');
    expect(m.disk.list('/data/wals')).toEqual(['precious']);
  });

  test('a failed creation is set aside', () => {
    const m = machine();
    let syncs = 0;
    m.disk.syncDir = () => {
      if (++syncs === 2) throw new DiskError({ code: 'EIO', op: 'syncDir', path: '/data/member' });
    };
    expect(() => WAL.create(m.options, metadata)).toThrow('EIO');
    expect(m.disk.list('/data/member')).toEqual(['snap', 'wal.broken.20231114.221320.000000']);
  });

  test('a second opener is refused while the first holds the segments', async () => {
    const m = machine();
    const wal = WAL.create(m.options, metadata);
    expect(codeOf(() => WAL.open(m.options, noSnapshot))).toBe('locked');
    await closed(m, wal);
    expect(codeOf(() => WAL.open(m.options, noSnapshot))).toBe('no error');
  });
});

describe('order and group commit', () => {
  test('what arrives during a sync is one next batch; callbacks come in order', async () => {
    const m = machine({ faults: { latencyMinMs: 5 } });
    const batches: number[] = [];
    const wal = WAL.create({ ...m.options, observer: { synced: () => batches.push(order.length), wrote: () => {} } }, metadata);
    const order: number[] = [];
    for (let i = 1; i <= 10; i++) wal.save([entry(i)], state(1, i - 1), true, () => order.push(i));
    expect(order).toEqual([]);
    await m.clock.run(() => order.length === 10);
    expect(order).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    // The first alone, the other nine together.
    expect(batches).toEqual([0, 1]);
    expect(m.clock.mono()).toBe(10);
  });

  test('a commit index alone is done at once when nothing is under way, and waits its turn otherwise', async () => {
    const m = machine({ faults: { latencyMinMs: 5 } });
    const wal = WAL.create(m.options, metadata);
    const order: string[] = [];
    wal.save([entry(1)], state(1, 0), true, () => order.push('a'));
    wal.save([], state(1, 1), false, () => order.push('b'));
    wal.save([entry(2)], undefined, true, () => order.push('c'));
    wal.save([], state(1, 2), false, () => order.push('d'));
    await m.clock.run(() => order.includes('a'));
    expect(order).toEqual(['a', 'b']);
    expect(m.clock.mono()).toBe(5);
    await m.clock.run(() => order.length === 4);
    expect(order).toEqual(['a', 'b', 'c', 'd']);
    expect(m.clock.mono()).toBe(10);
    const before = m.disk.operations;
    wal.save([], state(1, 2), false, () => order.push('e'));
    expect(order).toHaveLength(4);
    await m.clock.run();
    expect(order[4]).toBe('e');
    expect(m.disk.operations).toBe(before);
    await closed(m, wal);
    expect(readWal(m.disk, dir, noSnapshot).hardState.commit).toBe(2);
  });

  test('a new term or vote is synced even when the caller does not ask for it', async () => {
    const m = machine({ faults: { crashKeeps: 'nothing' } });
    const wal = WAL.create(m.options, metadata);
    let done = false;
    wal.save([], { term: 5, vote: 9n, commit: 0 }, false, () => (done = true));
    await m.clock.run(() => done);
    m.disk.crash();
    expect(WAL.open(m.options, noSnapshot).hardState).toEqual({ term: 5, vote: 9n, commit: 0 });
  });

  test('kept-back hard states are bounded', async () => {
    const m = machine();
    const wal = WAL.create(m.options, metadata);
    await saved(m, wal, [entry(1)], state(1, 0));
    const before = m.disk.operations;
    for (let i = 0; i < 3000; i++) wal.save([], state(1, 1), false, () => {});
    await m.clock.run();
    expect(m.disk.operations).toBeGreaterThan(before);
    await closed(m, wal);
  });

  test('slow syncs are warned of', async () => {
    const m = machine({ faults: { latencyMinMs: 1500 } });
    const synced: number[] = [];
    const wal = WAL.create({ ...m.options, observer: { synced: (ms) => synced.push(ms), wrote: () => {} } }, metadata);
    await saved(m, wal, [entry(1)], state(1, 0));
    expect(m.warnings).toEqual(['slow fdatasync']);
    expect(synced).toEqual([1500]);
  });

  test('failpoints stand around the sync', async () => {
    const m = machine();
    const wal = WAL.create(m.options, metadata);
    const held: { name: string; next: () => void }[] = [];
    setFailpoints({ hit: () => undefined, pass: (name, next) => void held.push({ name, next: () => next(undefined) }) });
    try {
      let done = false;
      wal.save([entry(1)], undefined, true, () => (done = true));
      expect(held.map((h) => h.name)).toEqual(['walBeforeSync']);
      const operations = m.disk.operations;
      await m.clock.run();
      expect(m.disk.operations).toBe(operations);
      held[0]?.next();
      await m.clock.run();
      expect(held.map((h) => h.name)).toEqual(['walBeforeSync', 'walAfterSync']);
      expect(done).toBe(false);
      held[1]?.next();
      expect(done).toBe(true);
    } finally {
      setFailpoints(undefined);
    }
  });

  test('close waits for what is under way', async () => {
    const m = machine({ faults: { latencyMinMs: 5 } });
    const wal = WAL.create(m.options, metadata);
    const order: string[] = [];
    wal.save([entry(1)], state(1, 0), true, () => order.push('saved'));
    void wal.close().then(() => order.push('closed'));
    await m.clock.run(() => order.length === 2);
    expect(order).toEqual(['saved', 'closed']);
    wal.save([entry(2)], undefined, true, () => order.push('never'));
    await m.clock.run();
    expect(order).toEqual(['saved', 'closed']);
  });
});

describe('segments', () => {
  test('a batch that reaches the limit closes its segment', async () => {
    const m = machine({ segmentBytes: 4096 });
    const wal = WAL.create(m.options, metadata);
    for (let i = 1; i <= 60; i++) await saved(m, wal, [entry(i, 1, Buffer.alloc(200, i))], state(1, i - 1));
    const names = wal.segmentNames;
    expect(names.length).toBe(4);
    expect(names[0]).toBe('0000000000000000-0000000000000000.wal');
    for (const [i, name] of names.entries()) {
      expect(name.startsWith(i.toString(16).padStart(16, '0'))).toBe(true);
      const size = m.disk.stat(`${dir}/${name}`)?.bytes as number;
      // A closed segment has its used length; it was allowed to run over by its last batch.
      if (i < names.length - 1)
        expect(size).toBe(usedBytes(m, `${dir}/${name}`).length + ((8 - (usedBytes(m, `${dir}/${name}`).length % 8)) % 8));
      else expect(size).toBe(4096);
    }
    await closed(m, wal);
    const opened = WAL.open(m.options, noSnapshot);
    expect(opened.entries.map((e) => e.Index)).toEqual(entries(1, 60).map((e) => e.Index));
    expect(opened.hardState.commit).toBe(59);
    await closed(m, opened.wal);
    expect(m.disk.list(dir)).toEqual(names);
  });

  test('the name of a segment is its sequence and the next index', async () => {
    const m = machine({ segmentBytes: 2048 });
    const wal = WAL.create(m.options, metadata);
    await saved(m, wal, entries(1, 17, 1, 200), state(1, 0));
    await saved(m, wal, entries(18, 18), state(1, 0));
    expect(wal.segmentNames[1]).toBe('0000000000000001-0000000000000012.wal');
    await closed(m, wal);
  });

  test('a spare grows with the log and is used by the cut', async () => {
    const m = machine({ segmentBytes: 8192 });
    const wal = WAL.create(m.options, metadata);
    await saved(m, wal, entries(1, 10, 1, 200), state(1, 0));
    expect(m.disk.list(dir)).toHaveLength(1);
    await saved(m, wal, entries(11, 22, 1, 200), state(1, 0));
    await m.clock.run();
    expect(m.disk.list(dir)).toEqual(['0.tmp', '0000000000000000-0000000000000000.wal']);
    expect(m.disk.stat(`${dir}/0.tmp`)?.bytes).toBe(8192);
    await saved(m, wal, entries(23, 45, 1, 200), state(1, 0));
    await m.clock.run();
    expect(m.disk.list(dir).filter((n) => n.endsWith('.wal'))).toHaveLength(2);
    await closed(m, wal);
    expect(m.disk.list(dir).filter((n) => n.endsWith('.tmp'))).toHaveLength(0);
  });

  test('no space for a spare is not fatal', async () => {
    const m = machine({ segmentBytes: 1 << 20 });
    const wal = WAL.create(m.options, metadata);
    m.disk.faults.freeBytes = 700_000;
    await saved(m, wal, entries(1, 3000, 1, 200), state(1, 0));
    await m.clock.run();
    expect(m.warnings).toEqual(['failed to preallocate space when creating a new WAL']);
    expect(m.fatal).toEqual([]);
    expect(m.disk.list(dir)).toHaveLength(1);
    await closed(m, wal);
  });

  test('releaseTo keeps the last segment that begins at or below the index; purge removes released ones beyond the limit', async () => {
    const m = machine({ segmentBytes: 2048 });
    const wal = WAL.create(m.options, metadata);
    for (let i = 1; i <= 60; i++) await saved(m, wal, [entry(i, 1, Buffer.alloc(200, i))], state(1, i - 1));
    const names = wal.segmentNames;
    const indexOf = (name: string): number => Number.parseInt(name.slice(17, 33), 16);
    expect(names.length).toBeGreaterThan(5);
    expect(wal.purge(2)).toEqual([]);
    const third = indexOf(names[3] as string);
    wal.releaseTo(third - 1);
    expect(wal.segmentNames[0]).toBe(names[2]);
    wal.releaseTo(third);
    expect(wal.segmentNames[0]).toBe(names[3]);
    expect(wal.purge(0)).toEqual([]);
    // Held by another program.
    const other = m.disk.open(`${dir}/${names[1]}`, { write: true });
    expect(other.lock()).toBe(true);
    expect(wal.purge(2)).toEqual([names[0]]);
    other.close();
    await m.clock.run();
    expect(wal.purge(2)).toEqual([names[1], names[2]]);
    await m.clock.run();
    expect(m.disk.list(dir).filter((n) => n.endsWith('.wal'))).toEqual(names.slice(3));
    wal.releaseTo(1_000_000);
    expect(wal.segmentNames).toHaveLength(1);
    await closed(m, wal);
    expect(codeOf(() => WAL.open(m.options, noSnapshot))).toBe('segment-not-found');
  });

  test('a missing segment in the middle is a gap', async () => {
    const m = machine({ segmentBytes: 2048 });
    const wal = WAL.create(m.options, metadata);
    for (let i = 1; i <= 40; i++) await saved(m, wal, [entry(i, 1, Buffer.alloc(200, i))], state(1, i - 1));
    const names = wal.segmentNames;
    await closed(m, wal);
    m.disk.unlink(`${dir}/${names[1]}`);
    expect(codeOf(() => WAL.open(m.options, noSnapshot))).toBe('gap');
  });

  test('a missing last segment is an early end', async () => {
    const m = machine({ segmentBytes: 2048 });
    const wal = WAL.create(m.options, metadata);
    for (let i = 1; i <= 40; i++) await saved(m, wal, [entry(i, 1, Buffer.alloc(200, i))], state(1, i));
    const names = wal.segmentNames;
    await closed(m, wal);
    m.disk.unlink(`${dir}/${names[names.length - 1]}`);
    // The last hard state of the segment before may fit, as its content is whole; the commit index was not above it.
    const code = codeOf(() => WAL.open(m.options, noSnapshot));
    expect(['ends-early', 'no error']).toContain(code);
  });
});

describe('a failing disk', () => {
  test('an error of a sync stops everything, at once and for good', async () => {
    const m = machine();
    const wal = WAL.create(m.options, metadata);
    await saved(m, wal, [entry(1)], state(1, 0));
    m.disk.faults.syncError = 1;
    const done: number[] = [];
    wal.save([entry(2)], undefined, true, () => done.push(2));
    wal.save([entry(3)], undefined, true, () => done.push(3));
    await m.clock.run();
    m.disk.faults.syncError = 0;
    wal.save([entry(4)], undefined, true, () => done.push(4));
    wal.saveSnapshot({ index: 2, term: 1, confState }, () => done.push(5));
    await m.clock.run();
    expect(done).toEqual([]);
    expect(m.fatal.map((e) => [e.code, e.op, e.path])).toEqual([['EIO', 'sync', `${dir}/0000000000000000-0000000000000000.wal`]]);
    await closed(m, wal);
    // Entry 1 was acknowledged. The kernel dropped the pages of entry 2.
    m.disk.crash();
    expect(WAL.open(m.options, noSnapshot).lastIndex).toBe(1);
  });

  test('ENOSPC in a write is fatal, and a restart works once there is space', async () => {
    const m = machine();
    const wal = WAL.create(m.options, metadata);
    let acked = 0;
    m.disk.faults.freeBytes = 30_000;
    for (let i = 1; i <= 1000 && m.fatal.length === 0; i++) {
      wal.save([entry(i, 1, Buffer.alloc(200, i))], state(1, i - 1), true, () => (acked = i));
      await m.clock.run();
    }
    expect(m.fatal.map((e) => e.code)).toEqual(['ENOSPC']);
    expect(acked).toBeGreaterThan(50);
    await closed(m, wal);
    m.disk.faults.freeBytes = 1 << 30;
    m.disk.crash();
    const opened = WAL.open(m.options, noSnapshot);
    expect(opened.lastIndex).toBe(acked);
    await saved(m, opened.wal, [entry(acked + 1)], state(1, acked));
    await closed(m, opened.wal);
  });

  test('a file that cannot be made for the next segment is fatal', async () => {
    const m = machine({ segmentBytes: 2048 });
    const wal = WAL.create(m.options, metadata);
    m.disk.open = () => {
      throw Object.assign(new Error('EMFILE'));
    };
    expect(() => wal.save(entries(1, 20, 1, 200), undefined, true, () => {})).toThrow('EMFILE');
  });
});

describe('S-016: content that cannot stand where it stands', () => {
  /** A log made of these records, the crc chain in order. */
  function logOf(build: (w: RecordWriter) => void): ReturnType<typeof machine> {
    const m = machine();
    m.disk.mkdir(dir, 0o700);
    const w = new RecordWriter(4096);
    w.crcRecord();
    w.record(RecordType.metadata, metadata);
    w.record(RecordType.snapshot, Buffer.from('08001000', 'hex'));
    build(w);
    const file = m.disk.open(`${dir}/0000000000000000-0000000000000000.wal`, { write: true, create: true });
    file.write(w.bytes.subarray(0, w.length), 0);
    file.truncate(65_536);
    return m;
  }
  const openCode = (build: (w: RecordWriter) => void): string => {
    const m = logOf(build);
    return codeOf(() => WAL.open(m.options, noSnapshot));
  };

  test.each<[string, string, (w: RecordWriter) => void]>([
    ['a jump in the index', 'gap', (w) => [entry(1), entry(3)].forEach((e) => w.entry(e))],
    ['index zero', 'corrupt', (w) => w.entry(entry(0))],
    ['term zero', 'corrupt', (w) => w.entry(entry(1, 0))],
    ['a term that falls', 'corrupt', (w) => [entry(1, 2), entry(2, 1)].forEach((e) => w.entry(e))],
    ['an unknown entry type', 'corrupt', (w) => w.entry({ ...entry(1), Type: 3 })],
    ['an empty configuration change', 'corrupt', (w) => w.entry({ ...entry(1), Type: 1, Data: new Uint8Array(0) })],
    [
      'a committed entry replaced',
      'corrupt',
      (w) => {
        w.entry(entry(1, 1));
        w.state(state(1, 1));
        w.entry(entry(1, 2));
      },
    ],
    [
      'a hard state behind the term of its entries',
      'corrupt',
      (w) => {
        w.entry(entry(1, 5));
        w.state(state(4, 0));
      },
    ],
    ['a commit index beyond the log', 'ends-early', (w) => w.state(state(1, 1))],
    ['a hard state without a field', 'corrupt', (w) => w.record(RecordType.state, Buffer.from('08011801', 'hex'))],
    ['a hard state as an entry', 'corrupt', (w) => w.record(RecordType.entry, Buffer.from('080110071801', 'hex'))],
    ['an entry as a hard state', 'corrupt', (w) => w.record(RecordType.state, Buffer.from('10011801', 'hex'))],
    ['other metadata', 'metadata-conflict', (w) => w.record(RecordType.metadata, Buffer.from('0801', 'hex'))],
    ['a snapshot without its configuration', 'corrupt', (w) => w.record(RecordType.snapshot, Buffer.from('08051001', 'hex'))],
    ['a crc record that differs', 'corrupt', (w) => ((w.crc ^= 1), w.crcRecord())],
    ['nothing wrong', 'no error', (w) => (w.entry(entry(1)), w.state(state(1, 1)))],
  ])('%s: %s', (_name, code, build) => {
    expect(openCode(build)).toBe(code);
  });

  test('the error names file, offset, record and what to do', () => {
    const m = logOf((w) => [entry(1), entry(3)].forEach((e) => w.entry(e)));
    expect(() => WAL.open(m.options, noSnapshot)).toThrow(
      /entry 3 follows entry 1 \(.*0000000000000000-0000000000000000\.wal, offset \d+, record 4\); remove this member from the cluster and add it again/,
    );
  });
});

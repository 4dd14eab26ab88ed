import { describe, expect, test } from 'vitest';
import type { Snapshot } from '../../../../src/raft/types.ts';
import { openRecovered } from '../../../../src/server/storage/snap/recover.ts';
import { encodeSnapshotFile, decodeSnapshotFile, Snapshotter, SnapshotError } from '../../../../src/server/storage/snap/snapshotter.ts';
import { WalError } from '../../../../src/server/storage/wal/errors.ts';
import { WAL } from '../../../../src/server/storage/wal/wal.ts';
import { SimCrash } from '../../../simulation/sim-disk.ts';
import { closed, confState, entries, machine, metadata, putFile, readFile, saved, state, type Machine } from '../wal/harness.ts';

const snapDir = '/data/member/snap';

function snapshot(index: number, term = 1, data = 'membership'): Snapshot {
  return { data: Buffer.from(data), metadata: { index, term, confState } };
}

function snapshotterOf(m: Machine): Snapshotter {
  return new Snapshotter({ disk: m.disk, dir: snapDir, log: m.options.log });
}

/** Saves entries up to `last`, then at each of `at` a snapshot file and its record. */
async function history(m: Machine, wal: WAL, at: readonly number[], last: number): Promise<Snapshotter> {
  const snapshotter = snapshotterOf(m);
  for (let i = 1; i <= last; i++) {
    await saved(m, wal, entries(i, i), state(1, i));
    if (!at.includes(i)) continue;
    snapshotter.saveSync(snapshot(i));
    let done = false;
    wal.saveSnapshot({ index: i, term: 1, confState }, () => (done = true));
    await m.clock.run(() => done);
  }
  return snapshotter;
}

describe('snapshot files', () => {
  test('round trip, with the name of term and index', async () => {
    const m = machine();
    const s = snapshotterOf(m);
    let failure: unknown = 'not done';
    s.save(snapshot(0x12ab, 3, 'x'.repeat(5000)), (error) => (failure = error));
    expect(failure).toBe('not done');
    await m.clock.run();
    expect(failure).toBeUndefined();
    expect(m.disk.list(snapDir)).toEqual(['0000000000000003-00000000000012ab.snap']);
    expect(s.loadNewest()?.metadata).toEqual({ index: 0x12ab, term: 3, confState });
    expect(Buffer.from(s.loadNewest()?.data ?? []).toString()).toBe('x'.repeat(5000));
    m.disk.faults.crashKeeps = 'nothing';
    m.disk.crash();
    expect(snapshotterOf(m).loadNewest()?.metadata?.index).toBe(0x12ab);
  });

  test('an empty snapshot is not written', async () => {
    const m = machine();
    const s = snapshotterOf(m);
    let done = false;
    s.save({ data: new Uint8Array(0), metadata: undefined }, () => (done = true));
    s.saveSync({ data: new Uint8Array(0), metadata: { index: 0, term: 0, confState: undefined } });
    await m.clock.run();
    expect(done).toBe(true);
    expect(m.disk.list(snapDir)).toEqual([]);
  });

  test('an error is handed to the caller', async () => {
    const m = machine();
    m.disk.faults.syncError = 1;
    let code: string | undefined;
    snapshotterOf(m).save(snapshot(5), (error) => (code = error?.code));
    await m.clock.run();
    expect(code).toBe('EIO');
    expect(snapshotterOf(m).names()).toEqual([]);
  });

  test('a bad file is renamed, and the next older one serves', () => {
    const m = machine();
    const s = snapshotterOf(m);
    for (const i of [3, 5, 9, 12]) s.saveSync(snapshot(i));
    putFile(m, `${snapDir}/0000000000000001-000000000000000c.snap`, new Uint8Array(0));
    m.disk.flipBit(`${snapDir}/0000000000000001-0000000000000009.snap`, 20, 3);
    expect(s.loadNewest()?.metadata?.index).toBe(5);
    expect(m.disk.list(snapDir)).toEqual([
      '0000000000000001-0000000000000003.snap',
      '0000000000000001-0000000000000005.snap',
      '0000000000000001-0000000000000009.snap.broken',
      '0000000000000001-000000000000000c.snap.broken',
    ]);
    expect(s.loadNewest((n) => n.index < 5)?.metadata?.index).toBe(3);
  });

  test('every flipped bit is noticed', () => {
    const bytes = encodeSnapshotFile(snapshot(77, 2));
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const bad = bytes.slice();
      bad[bit >> 3] = (bad[bit >> 3] as number) ^ (1 << (bit & 7));
      expect(() => decodeSnapshotFile(bad, 'x')).toThrow(SnapshotError);
    }
    for (let n = 0; n < bytes.length; n++) expect(() => decodeSnapshotFile(bytes.slice(0, n), 'x')).toThrow(SnapshotError);
  });

  test('a file under the name of another snapshot is not used', () => {
    const m = machine();
    const s = snapshotterOf(m);
    s.saveSync(snapshot(3));
    m.disk.rename(`${snapDir}/0000000000000001-0000000000000003.snap`, `${snapDir}/0000000000000001-0000000000000004.snap`);
    expect(s.loadNewest()).toBeUndefined();
  });

  test('purge keeps the newest of each kind; orphans go', async () => {
    const m = machine();
    const s = snapshotterOf(m);
    for (const i of [1, 2, 3, 4]) s.saveSync(snapshot(i));
    for (const i of [7, 8, 9]) putFile(m, s.databasePath(i), Buffer.from('db'));
    for (const name of ['tmp123', 'tmp-0000000000000001-0000000000000009.snap', 'db.tmp.1', 'db'])
      putFile(m, `${snapDir}/${name}`, Buffer.from('x'));
    expect(s.removeOrphans().sort()).toEqual(['db.tmp.1', 'tmp-0000000000000001-0000000000000009.snap', 'tmp123']);
    expect(s.purge(0)).toEqual([]);
    expect(s.purge(2)).toEqual([
      '0000000000000001-0000000000000001.snap',
      '0000000000000001-0000000000000002.snap',
      '0000000000000007.snap.db',
    ]);
    expect(s.releaseDatabases(9)).toEqual(['0000000000000007.snap.db', '0000000000000008.snap.db']);
    await m.clock.run();
    expect(m.disk.list(snapDir)).toEqual([
      '0000000000000001-0000000000000003.snap',
      '0000000000000001-0000000000000004.snap',
      '0000000000000009.snap.db',
      'db',
    ]);
    expect(m.warnings).toEqual([]);
    s.close();
  });
});

describe('recovery', () => {
  test('from the newest snapshot that is sound and known', async () => {
    const m = machine();
    const wal = WAL.create(m.options, metadata);
    const s = await history(m, wal, [4, 8], 10);
    // Written, but the crash came before its record.
    s.saveSync(snapshot(10));
    await closed(m, wal);
    const r = openRecovered(m.options, s);
    expect(r.snapshot?.metadata?.index).toBe(8);
    expect(r.entries.map((e) => e.Index)).toEqual([9, 10]);
    await closed(m, r.wal);
    m.disk.flipBit(`${snapDir}/0000000000000001-0000000000000008.snap`, 9, 1);
    const older = openRecovered(m.options, s);
    expect(older.snapshot?.metadata?.index).toBe(4);
    expect(older.entries.map((e) => e.Index)).toEqual([5, 6, 7, 8, 9, 10]);
    await closed(m, older.wal);
    for (const name of s.names()) m.disk.unlink(`${snapDir}/${name.name}`);
    const none = openRecovered(m.options, s);
    expect(none.snapshot).toBeUndefined();
    expect(none.entries).toHaveLength(10);
  });

  test('a snapshot whose record came, but not the commit index, does not count yet (rule D-8)', async () => {
    const m = machine();
    const wal = WAL.create(m.options, metadata);
    const s = await history(m, wal, [4], 6);
    s.saveSync(snapshot(20, 2));
    let done = false;
    wal.saveSnapshot({ index: 20, term: 2, confState }, () => (done = true));
    await m.clock.run(() => done);
    m.disk.crash();
    const r = openRecovered(m.options, s);
    expect(r.snapshot?.metadata?.index).toBe(4);
    expect(r.lastIndex).toBe(6);
    // The leader sends it again; this time the commit index follows.
    r.wal.saveSnapshot({ index: 20, term: 2, confState }, () => {});
    await saved(m, r.wal, [], state(2, 20));
    await saved(m, r.wal, entries(21, 22, 2), state(2, 21));
    await closed(m, r.wal);
    const after = openRecovered(m.options, s);
    expect(after.snapshot?.metadata).toMatchObject({ index: 20, term: 2 });
    expect(after.entries.map((e) => e.Index)).toEqual([21, 22]);
  });

  test('without a usable snapshot and with the log’s beginning gone: refused (rule F-7)', async () => {
    const m = machine({ segmentBytes: 1024 });
    const wal = WAL.create(m.options, metadata);
    const s = await history(m, wal, [30], 40);
    wal.releaseTo(30);
    wal.purge(1);
    await m.clock.run();
    await closed(m, wal);
    const fine = openRecovered(m.options, s);
    expect(fine.entries[0]?.Index).toBe(31);
    await closed(m, fine.wal);
    m.disk.flipBit(`${snapDir}/0000000000000001-000000000000001e.snap`, 9, 1);
    expect(() => openRecovered(m.options, s)).toThrow(WalError);
    expect(m.disk.list(snapDir)).toEqual(['0000000000000001-000000000000001e.snap.broken']);
  });

  test('a crash anywhere between snapshot file, record and release leaves a way to start', async () => {
    for (let seed = 1; seed <= 6; seed++) {
      for (let k = 1; ; k++) {
        const m = machine({ seed: seed * 1000 + k, segmentBytes: 1024 });
        const wal = WAL.create(m.options, metadata);
        await saved(m, wal, entries(1, 12, 1, 100), state(1, 12));
        m.disk.settle();
        const s = snapshotterOf(m);
        const epoch = m.disk.epoch;
        m.disk.crashAt = m.disk.operations + k;
        try {
          // The order of rule D-7, on the threads as in production.
          s.save(snapshot(12), () => {
            wal.saveSnapshot({ index: 12, term: 1, confState }, () => {
              wal.save(entries(13, 24, 1, 100), state(1, 20), true, () => {
                wal.releaseTo(12);
                wal.purge(1);
              });
            });
          });
          await m.clock.run();
        } catch (error) {
          if (!(error instanceof SimCrash)) throw error;
        }
        const crashed = m.disk.epoch !== epoch;
        if (!crashed) m.disk.crash();
        const r = openRecovered(m.options, snapshotterOf(m));
        expect(r.lastIndex).toBeGreaterThanOrEqual(12);
        expect(r.hardState.commit).toBeGreaterThanOrEqual(12);
        expect(readFile(m, `/data/member/wal/${r.wal.segmentNames[0]}`).length).toBeGreaterThan(0);
        if (!crashed) break;
      }
    }
  });
});

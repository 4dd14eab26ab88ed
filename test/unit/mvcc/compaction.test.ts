import { afterEach, describe, expect, test } from 'vitest';
import { setFailpoints } from '../../../src/base/failpoint.ts';
import { SeededRandom } from '../../../src/base/random.ts';
import { utf8 } from '../../../src/base/bytes.ts';
import { encodeRevisionKey, rowKeyText } from '../../../src/server/mvcc/key-value.ts';
import type { HashResult } from '../../../src/server/mvcc/types.ts';
import { bytes, everything, Harness, keyRange, rangeText } from './harness.ts';

const points = [
  'compactBeforeCommitScheduledCompact',
  'compactAfterCommitScheduledCompact',
  'compactAfterAcquiredBatchTxLock',
  'compactBeforeCommitBatch',
  'compactAfterCommitBatch',
  'compactBeforeSetFinishedCompact',
  'compactAfterSetFinishedCompact',
];

afterEach(() => {
  setFailpoints(undefined);
});

class Crash extends Error {}

/** Ends the member when the named point is passed for the n-th time. */
function crashAt(name: string, nth: number): () => boolean {
  let left = nth;
  let hit = false;
  const pass = (at: string): void => {
    if (at !== name || --left > 0) return;
    hit = true;
    throw new Crash(name);
  };
  setFailpoints({
    hit: (at) => {
      pass(at);
      return undefined;
    },
    pass: (at, next) => {
      pass(at);
      next(undefined);
    },
  });
  return () => hit;
}

/** 400 rows on 40 keys, tombstones among them. */
function filled(seed: number, options: { sleepMs?: number } = {}): Harness {
  const h = new Harness({ journal: true, compactionBatchRows: 30, compactionSleepMs: options.sleepMs ?? 10 });
  const random = new SeededRandom(seed);
  for (let i = 0; i < 400; i++) {
    const key = `k${String(random.u32() % 40)}`;
    if (random.u32() % 4 === 0) h.delete(key);
    else h.put(key, `v${String(i)}`);
  }
  return h;
}

/** The state at every revision from `from`. */
function states(h: Harness, from: number): string[][] {
  const all: string[][] = [];
  for (let rev = from; rev <= h.store.currentRev; rev++) all.push(rangeText(h.range(everything, { rev })));
  return all;
}

function hashKV(h: Harness, rev: number): HashResult {
  let out: HashResult | undefined;
  h.store.hashByRev(rev, (_, result) => (out = result));
  h.clock.settle(() => out !== undefined);
  if (out === undefined) throw new Error('no hash');
  return out;
}

describe('what stays and what goes', () => {
  test('the newest version of each key, and a tombstone exactly at the revision', () => {
    const h = new Harness();
    h.put('a', '1'); // 2
    h.put('a', '2'); // 3
    h.put('b', '1'); // 4
    h.delete('b'); // 5
    h.put('c', '1'); // 6
    h.delete('c'); // 7
    h.put('a', '3'); // 8
    h.compact(7);
    expect(rowsOf(h)).toEqual(['3 a', '7t c', '8 a']);
    expect(h.backend.get('meta', utf8('scheduledCompactRev'))).toEqual(encodeRevisionKey(7, 0));
    expect(h.backend.get('meta', utf8('finishedCompactRev'))).toEqual(encodeRevisionKey(7, 0));
    h.compact(8);
    expect(rowsOf(h)).toEqual(['8 a']);
  });

  test('a key deleted and put in one txn stays when that txn is compacted (etcd loses it)', () => {
    const h = new Harness();
    h.put('c', '1');
    h.txn((t) => {
      t.deleteRange({ key: bytes('b'), end: new Uint8Array(0) });
      t.put(bytes('c'), bytes('2'), 0n);
    });
    h.compact(3);
    expect(rangeText(h.range(keyRange('c')))).toEqual(['c=2 3/3/1']);
    h.put('d', '1');
    h.compact(4);
    expect(rangeText(h.range(keyRange('c')))).toEqual(['c=2 3/3/1']);
  });

  test('compactions run one after the other, in the order asked for', () => {
    const h = filled(1);
    const order: number[] = [];
    const hashes: (HashResult | undefined)[] = [];
    for (const rev of [50, 100, 150]) {
      h.store.compact(rev, (hash) => {
        order.push(rev);
        hashes.push(hash);
      });
    }
    expect(h.store.compactRev).toBe(150);
    h.clock.settle();
    expect(order).toEqual([50, 100, 150]);
    // The later two found the one before unfinished: no hash is kept, as etcd does.
    expect(hashes[0]).toMatchObject({ hashRevision: 50, compactRevision: -1 });
    expect(hashes.slice(1)).toEqual([undefined, undefined]);
    expect(h.store.compactionHashes().map((x) => x.hashRevision)).toEqual([50]);
  });

  test('rows go in batches, with a commit and a rest after each', () => {
    const h = filled(2);
    const commits = h.backend.commits;
    const before = h.clock.mono();
    h.compact(300);
    expect(h.backend.commits - commits).toBeGreaterThan(5);
    expect(h.clock.mono() - before).toBeGreaterThan(50);
    expect(h.store.stats.compactedRows).toBe(400 - h.backend.rowCount - missedDeletes(h));
  });

  test('close stops it; the next start goes on', () => {
    const h = filled(3);
    let done = 0;
    h.store.compact(200, () => done++);
    h.clock.turn();
    h.clock.fire();
    h.clock.fire();
    h.store.close();
    h.clock.settle();
    expect(done).toBe(0);
    const expected = filled(3);
    expected.compact(200);
    h.store = h.open();
    expect(h.store.compactRev).toBe(200);
    h.clock.settle();
    expect(rowsOf(h)).toEqual(rowsOf(expected));
  });
});

describe('crash', () => {
  test.each(points)('at %s', (point) => {
    for (let nth = 1; nth <= 4; nth++) {
      const h = filled(nth);
      h.backend.commit(() => undefined);
      h.clock.settle();
      const expected = filled(nth);
      expected.compact(250);
      const stateBefore = states(h, 250);
      const hit = crashAt(point, nth);
      let done = 0;
      try {
        h.store.compact(250, () => done++);
        h.backend.setConsistentIndex(h.backend.consistentIndex + 1, 1);
        h.clock.settle();
      } catch (error) {
        expect(error).toBeInstanceOf(Crash);
      }
      setFailpoints(undefined);
      if (!hit()) {
        // Some points are passed only once.
        expect(nth).toBeGreaterThan(1);
        continue;
      }
      expect(done).toBe(0);
      const replay = h.backend.consistentIndex;
      h.crash();
      expect(h.store.currentRev).toBe(expected.store.currentRev);
      if (h.backend.consistentIndex < replay) {
        // The mark was not durable yet: nothing may be gone, and the log brings the compaction again.
        expect(h.store.compactRev).toBe(-1);
        expect(h.backend.rowCount).toBe(filled(nth).backend.rowCount);
        h.compact(250);
      }
      expect(h.store.compactRev).toBe(250);
      expect(states(h, 250)).toEqual(stateBefore);
      h.clock.settle();
      expect(states(h, 250)).toEqual(stateBefore);
      expect(rowsOf(h)).toEqual(rowsOf(expected));
      expect(h.backend.get('meta', utf8('finishedCompactRev'))).toEqual(encodeRevisionKey(250, 0));
      expect(hashKV(h, 300)).toEqual(hashKV(expected, 300));
    }
  });

  test('the revision does not go back when the newest rows are compacted away', () => {
    const h = new Harness({ journal: true });
    h.put('a', '1');
    h.delete('a');
    h.compact(3);
    h.put('b', '1');
    h.delete('b');
    h.compact(5);
    h.crash();
    expect(h.store.currentRev).toBe(5);
    expect(h.store.compactRev).toBe(5);
  });

  test('a scheduled mark without rows behind it, as a restore with a bumped revision leaves it', () => {
    const h = new Harness({ journal: true });
    h.put('a', '1');
    h.backend.put('meta', utf8('scheduledCompactRev'), encodeRevisionKey(1_000_000, 0));
    h.store.close();
    h.store = h.open();
    expect(h.store.currentRev).toBe(1_000_000);
    expect(h.store.compactRev).toBe(1_000_000);
    h.clock.settle();
    expect(rangeText(h.range(everything))).toEqual(['a=1 2/2/1']);
    expect(h.put('b', '1')).toBe(1_000_001);
  });
});

test('a hash in slices is not disturbed by writes and a compaction behind it', () => {
  const h = filled(5);
  const expected = hashKV(filled(5), 300);
  h.clock.lookMs = 1;
  let result: HashResult | undefined;
  h.store.hashByRev(300, (_, r) => (result = r));
  expect(result).toBeUndefined();
  h.put('k1', 'later');
  h.store.compact(h.store.currentRev, () => undefined);
  h.clock.settle();
  expect(result).toEqual(expected);
  expect(h.backend.openScans).toBe(0);
});

test('HashKV does not tell how far a compaction has come, also when nothing is left', () => {
  const build = (): Harness => {
    const h = new Harness({ compactionBatchRows: 10 });
    for (let i = 0; i < 50; i++) h.put(`k${String(i)}`, 'v');
    h.delete('k', 'l');
    h.put('x', '1');
    h.delete('x');
    return h;
  };
  const after = build();
  const last = after.store.currentRev;
  after.compact(last - 1);
  const expected = hashKV(after, last);
  const h = build();
  h.store.compact(last - 1, () => undefined);
  for (let steps = 0; steps < 20; steps++) {
    let hash: HashResult | undefined;
    h.store.hashByRev(last, (_, result) => (hash = result));
    expect(hash).toEqual(expected);
    if (!h.clock.turn()) h.clock.fire();
  }
  expect(h.backend.rowCount).toBe(after.backend.rowCount);
});

test('a read beside an open txn does not see its counts', () => {
  const h = new Harness();
  h.put('a', '1');
  h.txn((t) => {
    t.put(bytes('b'), bytes('1'), 0n);
    expect(h.range(everything, { countOnly: true })).toEqual({ kvs: [], count: 1, rev: 2 });
    expect(h.range(everything, { limit: 1 })).toMatchObject({ count: 1, rev: 2 });
    expect(t.range({ ...everything, rev: 0, limit: 1, countOnly: false })).toMatchObject({ count: 2, rev: 3 });
  });
});

function rowsOf(h: Harness): string[] {
  const scan = h.backend.scan(0, Infinity);
  const rows: string[] = [];
  for (let row = scan.next(); row !== undefined; row = scan.next()) {
    rows.push(`${String(row.main)}${row.tombstone ? 't' : ''} ${rowKeyText(row.value)}`);
  }
  scan.close();
  return rows;
}

/** Of the 400 operations of `filled`, those that deleted a missing key. */
function missedDeletes(h: Harness): number {
  return 400 - (h.store.currentRev - 1);
}

import { expect, test } from 'vitest';
import { SeededRandom } from '../../../src/base/random.ts';
import { RaftLog } from '../../../src/raft/log.ts';
import type { Entry, Snapshot } from '../../../src/raft/types.ts';
import { entries, entry, voters } from './support.ts';

function logOf(
  first: number,
  terms: readonly number[],
  over: { committed?: number; applied?: number; snapshotTerm?: number } = {},
): RaftLog {
  return new RaftLog({
    entries: entries(first, ...terms),
    snapshotIndex: first - 1,
    snapshotTerm: over.snapshotTerm ?? 0,
    committed: over.committed ?? first - 1,
    applied: over.applied ?? first - 1,
    maxCommittedBytes: 1 << 20,
  });
}

const indexes = (list: readonly Entry[]): number[] => list.map((e) => e.Index);

test('knows terms of what it holds and of the snapshot before it', () => {
  const log = logOf(5, [2, 2, 3], { snapshotTerm: 1 });
  expect([3, 4, 5, 6, 7, 8].map((i) => log.termAt(i))).toEqual([undefined, 1, 2, 2, 3, undefined]);
  expect([log.firstIndex, log.lastIndex, log.lastTerm]).toEqual([5, 7, 3]);
});

test('judges whether another log is up to date', () => {
  const log = logOf(1, [1, 2, 2]);
  expect(log.isUpToDate(2, 3)).toBe(true);
  expect(log.isUpToDate(2, 2)).toBe(false);
  expect(log.isUpToDate(3, 1)).toBe(true);
  expect(log.isUpToDate(1, 99)).toBe(false);
});

test('slices by bytes, always at least one entry', () => {
  const log = new RaftLog({
    entries: [1, 2, 3, 4].map((i) => entry(i, 1, new Uint8Array(84))),
    snapshotIndex: 0,
    snapshotTerm: 0,
    committed: 0,
    applied: 0,
    maxCommittedBytes: 1,
  });
  expect(indexes(log.slice(1, 5, 200))).toEqual([1, 2]);
  expect(indexes(log.slice(2, 5, 0))).toEqual([2]);
  expect(indexes(log.slice(0, 99, Infinity))).toEqual([1, 2, 3, 4]);
  expect(log.slice(5, 9, 100)).toEqual([]);
  expect(log.slice(3, 3, 100)).toEqual([]);
});

test('merges: keeps what agrees, replaces what conflicts, goes on behind the end', () => {
  const log = logOf(1, [1, 1, 2, 2]);
  log.merge(entries(2, 1, 2));
  expect(log.lastIndex).toBe(4);
  log.merge(entries(3, 2, 3, 3));
  expect([3, 4, 5].map((i) => log.termAt(i))).toEqual([2, 3, 3]);
  log.merge(entries(6, 3));
  expect(log.lastIndex).toBe(6);
  expect(() => log.merge(entries(9, 3))).toThrow('without a gap');
});

test('a committed entry is never replaced', () => {
  const log = logOf(1, [1, 1, 1], { committed: 2 });
  expect(() => log.merge(entries(2, 5))).toThrow('never replaced');
  expect(() => log.commitTo(4)).toThrow('only what is in the log');
});

test.each([
  // index, term → last place at or below index with at most that term
  [9, 3, 6, 2],
  [5, 1, 3, 1],
  [7, 9, 7, 5],
  [2, 0, 0, 0],
  [0, 1, 0, 0],
])('searches (%i, %i)', (index, term, at, atTerm) => {
  expect(logOf(1, [1, 1, 1, 2, 2, 2, 5]).lastWithTermUpTo(index, term)).toEqual({ index: at, term: atTerm });
});

test('the search ends where the log begins', () => {
  expect(logOf(5, [4, 4], { snapshotTerm: 4 }).lastWithTermUpTo(6, 2)).toEqual({ index: 3, term: 0 });
});

test('hands out to apply what is committed and durable, once, and counts bytes until applied', () => {
  const log = logOf(1, [1]);
  log.push(0, 1, new Uint8Array(0));
  log.commitTo(2);
  expect(indexes(log.takeCommitted(99))).toEqual([1]);
  expect(log.hasCommitted(99)).toBe(false);
  expect(indexes(log.unwritten())).toEqual([2]);
  log.beginWrite(1);
  expect(log.unwritten()).toEqual([]);
  log.endWrite(1);
  expect(log.hasCommitted(1)).toBe(false);
  expect(indexes(log.takeCommitted(99))).toEqual([2]);
  expect(() => log.appliedTo(3)).toThrow('handed out');
  log.appliedTo(2);
  log.appliedTo(1);
  expect(log.applied).toBe(2);
});

test('compacts up to what is applied', () => {
  const log = logOf(1, [1, 1, 2, 2], { committed: 3, applied: 3 });
  expect(() => log.compactTo(4)).toThrow('only what is applied');
  log.compactTo(3);
  log.compactTo(2);
  expect([log.firstIndex, log.termAt(3), log.termAt(2), log.lastIndex]).toEqual([4, 2, undefined, 4]);
});

test('a snapshot replaces the log; entries behind it wait for it', () => {
  const log = logOf(1, [1, 1, 1], { committed: 1, applied: 1 });
  const snapshot: Snapshot = { data: new Uint8Array(0), metadata: { index: 10, term: 3, confState: voters(1) } };
  log.push(0, 1, new Uint8Array(0));
  log.beginWrite(1);
  log.restore(snapshot, 10, 3);
  expect([log.firstIndex, log.lastIndex, log.committed, log.stable]).toEqual([11, 10, 10, 1]);
  log.merge(entries(11, 3));
  log.commitTo(11);
  log.beginWrite(2);
  expect(log.hasUnwritten).toBe(false);
  log.endWrite(1);
  expect([log.stable, log.hasCommitted(99)]).toEqual([1, false]);
  log.endWrite(2);
  expect([log.stable, log.pendingSnapshot]).toEqual([11, undefined]);
  expect(indexes(log.takeCommitted(99))).toEqual([11]);
});

test('the durable border equals a model of the disk over any schedule of writes and conflicts', () => {
  const random = new SeededRandom(21);
  for (let round = 0; round < 300; round++) {
    const log = logOf(1, []);
    let disk: Entry[] = [];
    const writes: { token: number; entries: Entry[] }[] = [];
    let token = 0;
    let term = 1;
    for (let step = 0; step < 80; step++) {
      const dice = random.u32() % 10;
      if (dice < 4) {
        if (random.u32() % 3 === 0) term++;
        const first = log.committed + 1 + (random.u32() % (log.lastIndex - log.committed + 1));
        // Now and then an entry of an old term comes back: the ABA case.
        const past = Math.max(log.termAt(first - 1) ?? 0, term - (random.u32() % 3));
        log.merge(entries(first, ...Array.from({ length: 1 + (random.u32() % 3) }, () => past)));
      } else if (dice < 7) {
        writes.push({ token: ++token, entries: log.unwritten() });
        log.beginWrite(token);
      } else {
        const write = writes.shift();
        if (write === undefined) continue;
        const first = write.entries[0];
        if (first !== undefined) disk = [...disk.slice(0, first.Index - 1), ...write.entries];
        log.endWrite(write.token);
      }
      // Everything up to `stable` is on disk as it is in memory, and it is no lower than what the finished writes allow.
      for (let i = 1; i <= log.stable; i++) if (disk[i - 1]?.Term !== log.termAt(i)) expect.fail(`${i} is not durable in round ${round}`);
      const pending = writes.reduce((least, w) => Math.min(least, w.entries[0]?.Index ?? Infinity), log.lastIndex + 1);
      const unwritten = log.unwritten()[0]?.Index ?? Infinity;
      const allowed = Math.min(pending - 1, unwritten - 1, log.lastIndex);
      if (log.stable !== allowed) expect.fail(`durable up to ${log.stable} instead of ${allowed} in round ${round}`);
      if (random.u32() % 8 === 0) log.commitTo(Math.min(log.stable, log.lastIndex));
    }
  }
});

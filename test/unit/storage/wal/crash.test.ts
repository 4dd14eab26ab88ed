// The machine goes down at every disk operation of a script, with unsynced changes kept, lost, torn or reordered, and comes up again.
import { describe, expect, test } from 'vitest';
import type { Entry, HardState } from '../../../../src/raft/types.ts';
import { SeededRandom } from '../../../../src/base/random.ts';
import { WAL } from '../../../../src/server/storage/wal/wal.ts';
import { WalError } from '../../../../src/server/storage/wal/errors.ts';
import { SimCrash } from '../../../simulation/sim-disk.ts';
import { confState, dir, entry, machine, metadata, noSnapshot, state, type Machine } from './harness.ts';

/** What a member was promised, and what it has asked for. */
interface Ledger {
  created: boolean;
  /** As of the newest `done` that was synced. */
  ackedEntries: Map<number, Entry>;
  ackedState: HardState;
  ackedLast: number;
  ackedSnapshots: number[];
  /** Every entry ever handed to `save`, by index and term. */
  asked: Set<string>;
  lastAsked: number;
  commitAsked: number;
  termAsked: number;
}

const segmentBytes = 2048;

function newLedger(): Ledger {
  return {
    created: false,
    ackedEntries: new Map(),
    ackedState: state(0, 0, 0n),
    ackedLast: 0,
    ackedSnapshots: [],
    asked: new Set(),
    lastAsked: 0,
    commitAsked: 0,
    termAsked: 0,
  };
}

function open(m: Machine, ledger: Ledger): WAL {
  if (!WAL.exists(m.disk, dir)) {
    const wal = WAL.create(m.options, metadata);
    ledger.created = true;
    return wal;
  }
  const opened = WAL.open(m.options, noSnapshot);
  check(
    opened.entries,
    opened.hardState,
    opened.lastIndex,
    opened.snapshots.map((s) => s.index),
    ledger,
  );
  ledger.created = true;
  // What was found is what counts from now on: it was read, and is acted upon.
  ledger.lastAsked = ledger.ackedLast = opened.lastIndex;
  ledger.ackedEntries = new Map(opened.entries.map((e) => [e.Index, e]));
  ledger.ackedState = opened.hardState;
  return opened.wal;
}

function check(entries: readonly Entry[], hardState: HardState, lastIndex: number, snapshots: readonly number[], ledger: Ledger): void {
  // Nothing acknowledged is missing.
  expect(lastIndex).toBeGreaterThanOrEqual(ledger.ackedLast);
  for (const e of entries) {
    const acked = ledger.ackedEntries.get(e.Index);
    if (acked === undefined || e.Index > ledger.ackedLast) continue;
    // An acknowledged entry is as it was, or a later term was asked to replace it.
    if (acked.Term === e.Term) expect(Buffer.from(e.Data).equals(Buffer.from(acked.Data))).toBe(true);
    else expect(e.Term).toBeGreaterThan(acked.Term);
  }
  expect(hardState.term).toBeGreaterThanOrEqual(ledger.ackedState.term);
  if (hardState.term === ledger.ackedState.term) expect(hardState.vote).toBe(ledger.ackedState.vote);
  for (const s of ledger.ackedSnapshots) expect(snapshots).toContain(s);
  // Nothing is there that was never asked for.
  for (const e of entries) expect(ledger.asked.has(`${e.Index}/${e.Term}/${Buffer.from(e.Data).toString('base64')}`)).toBe(true);
  expect(hardState.commit).toBeLessThanOrEqual(ledger.commitAsked);
}

/** One life of the member: opens, then saves a few batches, some while others are under way. Ends when done or when the machine goes down. */
function live(m: Machine, ledger: Ledger, random: SeededRandom, steps: number): void {
  const wal = open(m, ledger);
  let term = ++ledger.termAsked;
  const promises: { last: number }[] = [];
  for (let i = 0; i < steps; i++) {
    const kind = random.u32() % 10;
    if (kind === 0 && ledger.commitAsked > 0) {
      const index = 1 + (random.u32() % ledger.commitAsked);
      // A snapshot of what is in this log has its entry's term.
      const snapshot = { index, term: ledger.ackedEntries.get(index)?.Term ?? 0, confState };
      wal.saveSnapshot(snapshot, () => ledger.ackedSnapshots.push(index));
    } else if (kind === 1) {
      ledger.commitAsked = Math.max(ledger.commitAsked, Math.min(ledger.ackedLast, ledger.commitAsked + 1 + (random.u32() % 5)));
      wal.save([], state(term, ledger.commitAsked, BigInt(term)), false, () => {});
    } else {
      if (kind === 2) term = ++ledger.termAsked;
      // Now and then a new leader replaces what was not committed.
      const from = kind === 2 ? Math.max(ledger.commitAsked + 1, ledger.lastAsked - 1) : ledger.lastAsked + 1;
      const list: Entry[] = [];
      for (let n = 0; n < 1 + (random.u32() % 4); n++) list.push(entry(from + n, term, random.bytes(random.u32() % 700)));
      for (const e of list) ledger.asked.add(`${e.Index}/${e.Term}/${Buffer.from(e.Data).toString('base64')}`);
      ledger.lastAsked = from + list.length - 1;
      // A replacement that is under way takes the promise back from what it replaces, acknowledged or about to be.
      for (const p of promises) p.last = Math.min(p.last, from - 1);
      const promise = { last: ledger.lastAsked };
      promises.push(promise);
      const hardState = state(term, ledger.commitAsked, BigInt(term));
      // From here on the entries it replaces are no longer promised.
      for (const index of [...ledger.ackedEntries.keys()]) if (index >= from) ledger.ackedEntries.delete(index);
      ledger.ackedLast = Math.min(ledger.ackedLast, from - 1);
      wal.save(list, hardState, true, () => {
        for (const e of list) if (e.Index <= promise.last) ledger.ackedEntries.set(e.Index, e);
        ledger.ackedLast = Math.max(ledger.ackedLast, promise.last);
        ledger.ackedState = hardState;
      });
    }
    if (random.u32() % 3 !== 0) m.clock.drain();
    if (m.disk.epoch !== epochOf.get(m)) return;
  }
  m.clock.drain();
}

const epochOf = new WeakMap<Machine, number>();

/** Runs a life with a crash at operation `k`. True when the crash came. */
function crashAt(m: Machine, ledger: Ledger, random: SeededRandom, k: number, steps: number): boolean {
  epochOf.set(m, m.disk.epoch);
  m.disk.crashAt = m.disk.operations + k;
  try {
    live(m, ledger, random, steps);
  } catch (error) {
    if (!(error instanceof SimCrash)) throw error;
  }
  const crashed = m.disk.epoch !== epochOf.get(m);
  if (!crashed) m.disk.crash();
  return crashed;
}

describe('a crash at every disk operation', () => {
  test.each(['nothing', 'all', 'random'] as const)('keeping %s of what was not synced', (crashKeeps) => {
    const seeds = crashKeeps === 'random' ? 6 : 2;
    let crashes = 0;
    for (let seed = 1; seed <= seeds; seed++) {
      for (let k = 1; ; k++) {
        const m = machine({ seed: seed * 1000 + k, segmentBytes, faults: { crashKeeps } });
        const ledger = newLedger();
        try {
          const more = crashAt(m, ledger, new SeededRandom(seed), k, 24);
          // A second life, of other content, with a crash of its own, then a last look.
          crashAt(m, ledger, new SeededRandom(seed + 77), 1 + ((k * 7) % 40), 8);
          epochOf.set(m, m.disk.epoch);
          open(m, ledger);
          expect(m.fatal).toEqual([]);
          if (!more) break;
          crashes++;
        } catch (error) {
          throw new Error(`seed ${seed}, operation ${k}: ${error instanceof WalError ? error.message : String(error)}`, { cause: error });
        }
      }
    }
    expect(crashes).toBeGreaterThan(seeds * 50);
  });

  test('many lives in a row on one disk', () => {
    for (let seed = 1; seed <= 40; seed++) {
      const m = machine({ seed, segmentBytes });
      const ledger = newLedger();
      const random = new SeededRandom(seed);
      try {
        for (let life = 0; life < 12; life++) crashAt(m, ledger, random, 1 + (random.u32() % 60), 20);
      } catch (error) {
        throw new Error(`seed ${seed}: ${String(error)}`, { cause: error });
      }
    }
  });

  test('the checker notices a disk that lies about syncs', () => {
    let noticed = 0;
    for (let seed = 1; seed <= 20; seed++) {
      const m = machine({ seed, segmentBytes, faults: { crashKeeps: 'nothing' } });
      const ledger = newLedger();
      try {
        crashAt(m, ledger, new SeededRandom(seed), 10_000, 10);
        m.disk.faults.lyingSync = true;
        crashAt(m, ledger, new SeededRandom(seed + 1), 10_000, 10);
        m.disk.faults.lyingSync = false;
        open(m, ledger);
      } catch {
        noticed++;
      }
    }
    expect(noticed).toBe(20);
  });
});

describe('errors of the disk', () => {
  test.each(['writeError', 'syncError'] as const)('%s at any operation: the log stops, and nothing acknowledged is lost', (fault) => {
    let failed = 0;
    for (let seed = 1; seed <= 120; seed++) {
      const m = machine({ seed, segmentBytes });
      const ledger = newLedger();
      epochOf.set(m, m.disk.epoch);
      open(m, ledger);
      m.disk.settle();
      m.disk.crash();
      epochOf.set(m, m.disk.epoch);
      m.disk.faults[fault] = 0.05;
      try {
        live(m, ledger, new SeededRandom(seed), 24);
      } catch (error) {
        // Opening is synchronous and throws.
        expect((error as { code: string }).code).toBe('EIO');
      }
      m.disk.faults[fault] = 0;
      failed += m.fatal.length;
      expect(m.fatal.length).toBeLessThanOrEqual(1);
      m.disk.crash();
      epochOf.set(m, m.disk.epoch);
      open(m, ledger);
    }
    expect(failed).toBeGreaterThan(40);
  });
});

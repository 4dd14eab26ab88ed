/**
 * The MVCC store: revisions on top of the revision log.
 *
 * It holds no content of its own. What it adds to the backend is which revision is current, which is compacted, what a write turns into, and
 * who is told. Long reads run in slices at a fixed revision while writes go on behind it; a compaction waits with its deletions for them.
 */
import { equalBytes } from '../../base/bytes.ts';
import type { Clock } from '../../base/clock.ts';
import { invariant } from '../../base/invariant.ts';
import { exponentialBuckets, Histogram } from '../../base/metrics.ts';
import type { Log } from '../../base/log.ts';
import type { Backend, KeyRange } from '../storage/backend.ts';
import { Compaction, finishedCompactKey, scheduledCompactKey } from './compaction.ts';
import { CountCache } from './count-cache.ts';
import { BackendHash, CompactionHashes, RevisionHash } from './hash.ts';
import { encodeRevisionKey, revisionKeyMain } from './key-value.ts';
import { isEmptyRange, RangeScan } from './range-scan.ts';
import { RangeRest } from './range-rest.ts';
import { ReaderPins, type Pin } from './reader-pins.ts';
import { runSliced, SliceBudget, type Sliced } from './slices.ts';
import {
  CompactedError,
  FutureRevisionError,
  type HashResult,
  type MvccStats,
  type MvccStore,
  type RangeQuery,
  type RangeResult,
  type WatchHub,
  type WriteTxn,
} from './types.ts';
import { Hub } from './watch-hub.ts';
import { Txn, type Change, type TxnOwner } from './write-txn.ts';

/** Rows between two commits of a compaction; etcd's --compaction-batch-limit. */
export const compactionBatchRowsDefault = 1000;
/** Rest between two batches; etcd's --compaction-sleep-interval. */
export const compactionSleepMsDefault = 10;
/** Bytes of refused events kept for one stream; beyond it history is read again when the receiver has room. */
export const watchBufferBytesDefault = 8 << 20;

/** Bytes of rows of one range that are gathered before the answer begins; what lies behind them is read while it is sent. */
const gatherBytesMax = 1024 * 1024;

export interface StoreOptions {
  readonly backend: Backend;
  readonly clock: Clock;
  readonly log: Log;
  readonly compactionBatchRows?: number;
  readonly compactionSleepMs?: number;
  readonly watchBufferBytes?: number;
}

type ReadError = CompactedError | FutureRevisionError;
type RangeDone = (error: ReadError | undefined, result: RangeResult | undefined) => void;

export class Store implements MvccStore, TxnOwner {
  readonly stats: MvccStats = { puts: 0, deletes: 0, ranges: 0, txns: 0, putBytes: 0, events: 0, compactedRows: 0 };
  /** How long slices of compactions held everything else up, ms. Rows and index go in one pass, so that both are the same times. */
  readonly compactionPauses = { rows: new Histogram(exponentialBuckets(1, 2, 13)), index: new Histogram(exponentialBuckets(0.5, 2, 14)) };
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #hub: Hub;
  readonly #counts = new CountCache();
  readonly #hashes = new CompactionHashes();
  readonly #pins = new ReaderPins();
  readonly #batchRows: number;
  readonly #sleepMs: number;
  #backend: Backend;
  #rev = 1;
  #compactRev = -1;
  #txn: Txn | undefined;
  /** In order; the first is running. */
  #compactions: { readonly job: Compaction; readonly done: (hash: HashResult | undefined) => void }[] = [];
  /** Goes up when the content is replaced: work begun before starts again. */
  #epoch = 0;

  /** Takes the revisions from the backend and resumes a compaction that was cut off. */
  constructor(options: StoreOptions) {
    this.#backend = options.backend;
    this.#clock = options.clock;
    this.#log = options.log;
    this.#batchRows = options.compactionBatchRows ?? compactionBatchRowsDefault;
    this.#sleepMs = options.compactionSleepMs ?? compactionSleepMsDefault;
    this.#hub = new Hub({
      clock: options.clock,
      store: this,
      stats: this.stats,
      bufferBytes: options.watchBufferBytes ?? watchBufferBytesDefault,
    });
    this.#load();
  }

  get backend(): Backend {
    return this.#backend;
  }

  get currentRev(): number {
    return this.#rev;
  }

  get compactRev(): number {
    return this.#compactRev;
  }

  get watchers(): WatchHub {
    return this.#hub;
  }

  range(query: RangeQuery): RangeResult {
    return this.rangeAt(query, this.#rev, true);
  }

  /** For `Txn`. */
  rangeAt(query: RangeQuery, current: number, final: boolean): RangeResult {
    const rev = this.#checkedRev(query.rev, current);
    if (rev instanceof Error) throw rev;
    this.stats.ranges++;
    const quick = this.#quickRange(query, rev, current);
    if (quick !== undefined) return quick;
    const scan = this.#rangeScan(query, rev, current, final);
    scan.advance(undefined);
    return rangeResult(scan, current);
  }

  rangeSliced(query: RangeQuery, signal: { readonly cancelled: boolean }, done: RangeDone): void {
    const current = this.#rev;
    const rev = this.#checkedRev(query.rev, current);
    if (rev instanceof Error) {
      done(rev, undefined);
      return;
    }
    this.stats.ranges++;
    const quick = this.#quickRange(query, rev, current);
    if (quick !== undefined) {
      done(undefined, quick);
      return;
    }
    const scan = this.#rangeScan(query, rev, current, true);
    const reader = new SlicedRange(
      this.#clock,
      signal,
      scan,
      () => {
        done(undefined, signal.cancelled ? undefined : { ...rangeResult(scan, current), ...this.#rest(scan, query, rev) });
      },
      () => {
        this.rangeSliced(query, signal, done);
      },
    );
    this.#runPinned(rev, reader);
  }

  write(): WriteTxn {
    invariant(this.#txn === undefined, 'one write txn at a time', { rev: this.#rev });
    this.stats.txns++;
    const txn = new Txn(this, this.#rev, this.#hub.hasSynced);
    this.#txn = txn;
    return txn;
  }

  /** For `Txn`. */
  txnEnded(rev: number, changes: readonly Change[] | undefined): void {
    this.#txn = undefined;
    if (rev === this.#rev) return;
    this.#rev = rev;
    if (changes !== undefined) this.#hub.notify(changes, rev);
  }

  compact(rev: number, done: (hash: HashResult | undefined) => void): void {
    if (rev <= this.#compactRev) throw new CompactedError();
    if (rev > this.#rev) throw new FutureRevisionError();
    this.#schedule(rev, done);
  }

  hashByRev(rev: number, done: (error: ReadError | undefined, result: HashResult | undefined) => void): void {
    const known = this.#hashes.find(rev);
    if (known !== undefined) {
      done(undefined, known);
      return;
    }
    const at = rev === 0 ? this.#rev : rev;
    // A negative revision is never compacted, it hashes nothing: so etcd.
    if (at > 0 && at < this.#compactRev) {
      done(new CompactedError(), undefined);
      return;
    }
    if (at > this.#rev) {
      done(new FutureRevisionError(), undefined);
      return;
    }
    const hash = new RevisionHash({
      backend: this.#backend,
      clock: this.#clock,
      rev: at,
      compactRev: this.#compactRev,
      done: (result) => {
        done(undefined, result);
      },
    });
    this.#runPinned(at < 0 ? undefined : Math.min(at, this.#compactRev), {
      slice: (until) => hash.slice(until),
      abandon: () => {
        hash.abandon();
      },
      restart: () => {
        this.hashByRev(rev, done);
      },
    });
  }

  compactionHashes(): readonly HashResult[] {
    return this.#hashes.all;
  }

  hash(done: (hash: number) => void): void {
    const hash = new BackendHash({ backend: this.#backend, clock: this.#clock, done });
    this.#runPinned(undefined, {
      slice: (until) => hash.slice(until),
      abandon: () => {
        hash.abandon();
      },
      restart: () => {
        this.hash(done);
      },
    });
  }

  restore(backend?: Backend): void {
    invariant(this.#txn === undefined, 'no write txn is open while the content is replaced', { rev: this.#rev });
    const cutOff = this.#compactions;
    this.#compactions = [];
    for (const c of cutOff) c.job.stop();
    if (backend !== undefined) this.#backend = backend;
    const rev = this.#rev;
    this.#epoch++;
    this.#pins.clear();
    this.#counts.clear();
    this.#load();
    this.#hub.restore(rev);
    // The content that replaced ours was made after these compactions were applied.
    for (const c of cutOff) c.done(undefined);
  }

  /** Stops what runs in slices; a compaction goes on at the next start. */
  close(): void {
    this.#epoch = Infinity;
    for (const c of this.#compactions) c.job.stop();
    this.#compactions = [];
    this.#hub.close();
  }

  #load(): void {
    const finished = this.#readMark(finishedCompactKey) ?? -1;
    const scheduled = this.#readMark(scheduledCompactKey) ?? -1;
    this.#compactRev = finished;
    // The newest rows may all be gone by compaction; the revision never goes back.
    this.#rev = Math.max(this.#backend.lastMain, 1, finished, scheduled);
    if (finished >= 0)
      this.#log.info('restored last compact revision', {
        'meta-bucket-name-key': 'finishedCompactRev',
        'restored-compact-revision': finished,
      });
    if (scheduled > finished) {
      this.#log.info('resume scheduled compaction', { 'scheduled-compact-revision': scheduled });
      this.#schedule(scheduled, () => undefined);
    }
  }

  #readMark(key: Uint8Array): number | undefined {
    const value = this.#backend.get('meta', key);
    return value === undefined ? undefined : revisionKeyMain(value);
  }

  #schedule(rev: number, done: (hash: HashResult | undefined) => void): void {
    const prevRev = this.#compactRev;
    // Rows of an interrupted compaction may be gone unhashed; etcd keeps no hash then.
    const complete = this.#marksAgree();
    this.#compactRev = rev;
    this.#counts.compact(rev);
    this.#backend.put('meta', scheduledCompactKey, encodeRevisionKey(rev, 0));
    let stored: HashResult | undefined;
    const job = new Compaction({
      backend: this.#backend,
      clock: this.#clock,
      log: this.#log,
      pins: this.#pins,
      rev,
      prevRev,
      batchRows: this.#batchRows,
      sleepMs: this.#sleepMs,
      paused: (ms) => {
        this.compactionPauses.rows.observe(ms);
        this.compactionPauses.index.observe(ms);
      },
      killed: (rows) => {
        this.stats.compactedRows += rows;
      },
      finished: (hash) => {
        if (!complete) {
          this.#log.warn('previous compaction was interrupted, skip storing compaction hash value');
          return;
        }
        this.#hashes.store(hash);
        this.#log.info('storing new hash', { hash: hash.hash, revision: hash.hashRevision, 'compact-revision': hash.compactRevision });
        stored = hash;
      },
      durable: () => {
        this.#compactions.shift();
        this.#compactions[0]?.job.start();
        done(stored);
      },
    });
    this.#compactions.push({ job, done });
    if (this.#compactions.length === 1) job.start();
  }

  #marksAgree(): boolean {
    const scheduled = this.#backend.get('meta', scheduledCompactKey);
    const finished = this.#backend.get('meta', finishedCompactKey);
    if (scheduled === undefined || finished === undefined) return scheduled === finished;
    return equalBytes(scheduled, finished);
  }

  #checkedRev(wanted: number, current: number): number | ReadError {
    if (wanted > current) return new FutureRevisionError();
    const rev = wanted <= 0 ? current : wanted;
    return rev < this.#compactRev ? new CompactedError() : rev;
  }

  /** Answers that take no walk: one key, no key, a count that the index has. */
  #quickRange(query: RangeQuery, rev: number, current: number): RangeResult | undefined {
    const { key, end, countOnly } = query;
    const backend = this.#backend;
    if (end === undefined) {
      const version = backend.visible(key, rev);
      if (version === undefined) return { kvs: [], count: 0, rev: current };
      return { kvs: countOnly ? [] : [backend.read(version)], count: 1, rev: current };
    }
    if (isEmptyRange(query)) return { kvs: [], count: 0, rev: current };
    if (countOnly && this.#isNewest(rev, current)) return { kvs: [], count: backend.countLatest({ key, end }), rev: current };
    return undefined;
  }

  #rangeScan(query: RangeQuery & KeyRange, rev: number, current: number, final: boolean): RangeScan {
    const { key, limit, countOnly } = query;
    const end = query.end ?? key;
    const backend = this.#backend;
    return new RangeScan({
      backend,
      counts: final || rev < current ? this.#counts : undefined,
      key,
      end,
      rev,
      limit: Math.max(limit, 0),
      countOnly,
      gather: query.gather === true,
      gatherBytesMax: query.inParts === true ? gatherBytesMax : Infinity,
      total: limit > 0 && this.#isNewest(rev, current) ? backend.countLatest({ key, end }) : undefined,
    });
  }

  /** What the scan measured and did not read. */
  #rest(scan: RangeScan, query: RangeQuery, rev: number): Pick<RangeResult, 'rest'> {
    if (scan.rest === undefined || scan.rest.measured.rows === 0) return {};
    const epoch = this.#epoch;
    const rest = new RangeRest({
      backend: this.#backend,
      clock: this.#clock,
      pins: this.#pins,
      key: scan.rest.from,
      end: query.end ?? query.key,
      rev,
      measured: scan.rest.measured,
      isReplaced: () => this.#epoch !== epoch,
    });
    return { rest };
  }

  /** Whether the index's own counts are those of `rev`: not for one who reads past the txn that is being written. */
  #isNewest(rev: number, current: number): boolean {
    return rev === current && (current > this.#rev || this.#txn?.changed !== true);
  }

  /** Runs a reader in slices; while it runs, no compaction deletes what is visible at `rev`. */
  #runPinned(rev: number | undefined, reader: Restartable): void {
    const epoch = this.#epoch;
    let pin: Pin | undefined;
    runSliced(this.#clock, {
      slice: (until) => {
        if (this.#epoch !== epoch) {
          reader.abandon();
          if (this.#epoch !== Infinity) reader.restart();
          return true;
        }
        const finished = reader.slice(until);
        if (finished) {
          if (pin !== undefined) this.#pins.release(pin);
        } else if (pin === undefined && rev !== undefined) pin = this.#pins.pin(rev);
        return finished;
      },
    });
  }
}

/** A reader that begins anew when the content is replaced under it. */
interface Restartable extends Sliced {
  /** Gives back what it holds of the old content. */
  abandon(): void;
  restart(): void;
}

class SlicedRange implements Restartable {
  readonly #clock: Clock;
  readonly #signal: { readonly cancelled: boolean };
  readonly #scan: RangeScan;
  readonly #done: () => void;
  readonly restart: () => void;

  constructor(clock: Clock, signal: { readonly cancelled: boolean }, scan: RangeScan, done: () => void, restart: () => void) {
    this.#clock = clock;
    this.#signal = signal;
    this.#scan = scan;
    this.#done = done;
    this.restart = restart;
  }

  abandon(): void {
    // A cursor holds nothing.
  }

  slice(until: number): boolean {
    if (!this.#signal.cancelled && !this.#scan.advance(new SliceBudget(this.#clock, until))) return false;
    this.#done();
    return true;
  }
}

function rangeResult(scan: RangeScan, rev: number): RangeResult {
  const { kvs, count, gathered } = scan;
  return gathered === undefined ? { kvs, count, rev } : { kvs, gathered, count, rev };
}

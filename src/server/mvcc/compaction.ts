/**
 * One compaction's physical work.
 *
 *     scheduled mark ─commit─▶ wait for readers below ─▶ batch ─commit─▶ sleep ─▶ … ─▶ batch ─▶ finished mark ─commit─▶ done
 *
 * The scheduled mark is durable before the first row goes, the finished mark is set after the last (rule G-KV-13): a restart in between sees
 * that they differ and runs the whole of it again, which finds what is left. Each row at or below the compacted revision is looked at once, in
 * revision order: hashed, and killed unless it is
 * - what a reader at the compacted revision sees of its key, or
 * - a tombstone exactly at that revision, since a watch may still start there.
 * Older versions of a key come before its tombstone, so what is visible at the revision does not change while rows go.
 */
import { utf8 } from '../../base/bytes.ts';
import type { Clock, Timer } from '../../base/clock.ts';
import { formatDuration } from '../../base/duration.ts';
import { failpointThen } from '../../base/failpoint.ts';
import type { Log } from '../../base/log.ts';
import type { Backend, RowScan } from '../storage/backend.ts';
import { databaseSize } from '../storage/logged-defragment.ts';
import { isVisibleRow, KvHasher } from './hash.ts';
import { encodeRevisionKey, rowKey } from './key-value.ts';
import type { ReaderPins } from './reader-pins.ts';
import { runSliced, SliceBudget, type Sliced } from './slices.ts';
import type { HashResult } from './types.ts';

/** Meta keys, etcd's spelling. */
export const scheduledCompactKey = utf8('scheduledCompactRev');
export const finishedCompactKey = utf8('finishedCompactRev');

export interface CompactionOptions {
  readonly backend: Backend;
  readonly clock: Clock;
  readonly log: Log;
  readonly pins: ReaderPins;
  readonly rev: number;
  /** The compacted revision before this one; part of the hash. */
  readonly prevRev: number;
  /** Rows looked at between two commits. */
  readonly batchRows: number;
  readonly sleepMs: number;
  /** Told how long each slice of work held everything else up, in ms. */
  readonly paused: (ms: number) => void;
  /** Told how many rows each batch killed. */
  readonly killed: (rows: number) => void;
  /** The finished mark is set: what was hashed is complete. */
  readonly finished: (hash: HashResult) => void;
  /** The finished mark is durable. */
  readonly durable: () => void;
}

export class Compaction implements Sliced {
  readonly rev: number;
  readonly #o: CompactionOptions;
  readonly #hasher: KvHasher;
  #scan: RowScan | undefined;
  #timer: Timer | undefined;
  #stopped = false;
  #rows = 0;
  #kills = 0;
  #killsInBatch = 0;
  #startedMs = 0;

  constructor(options: CompactionOptions) {
    this.rev = options.rev;
    this.#o = options;
    this.#hasher = new KvHasher({ rev: options.rev, compactRev: options.prevRev });
  }

  /** The scheduled mark is set; the turn that set it has to end first, so that the commit takes whole entries. */
  start(): void {
    const { backend, clock, pins } = this.#o;
    this.#startedMs = clock.mono();
    clock.defer(
      this.#step(() => {
        failpointThen(
          'compactBeforeCommitScheduledCompact',
          this.#step(() => {
            backend.commit(
              this.#step(() => {
                failpointThen(
                  'compactAfterCommitScheduledCompact',
                  this.#step(() => {
                    pins.whenNoneBelow(this.rev, this.#step(this.#open));
                  }),
                );
              }),
            );
          }),
        );
      }),
    );
  }

  /** Leaves the rest to the next start: the marks differ. */
  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#scan?.close();
    this.#scan = undefined;
  }

  /** One step of the chain, unless the chain was stopped meanwhile. */
  #step(next: () => void): () => void {
    return () => {
      if (!this.#stopped) next();
    };
  }

  readonly #open = (): void => {
    this.#scan = this.#o.backend.scan(0, this.rev + 1);
    this.#batch();
  };

  readonly #batch = (): void => {
    this.#rows = 0;
    this.#killsInBatch = 0;
    failpointThen(
      'compactAfterAcquiredBatchTxLock',
      this.#step(() => {
        runSliced(this.#o.clock, this);
      }),
    );
  };

  slice(until: number): boolean {
    const start = this.#o.clock.mono();
    const over = this.#work(until);
    this.#o.paused(this.#o.clock.mono() - start);
    return over;
  }

  #work(until: number): boolean {
    const scan = this.#scan;
    if (scan === undefined) return true;
    const { backend, clock, batchRows } = this.#o;
    const budget = new SliceBudget(clock, until);
    while (this.#rows < batchRows) {
      const row = scan.next();
      if (row === undefined) {
        this.#endBatch();
        this.#finish();
        return true;
      }
      const kept = row.tombstone ? row.main === this.rev : isVisibleRow(backend, row, this.rev);
      this.#hasher.add(row, kept);
      if (!kept) {
        backend.kill(rowKey(row.value), row);
        this.#killsInBatch++;
      }
      this.#rows++;
      if (budget.spend(row.value.length)) return false;
    }
    this.#endBatch();
    this.#commitBatch();
    return true;
  }

  #endBatch(): void {
    this.#kills += this.#killsInBatch;
    this.#o.killed(this.#killsInBatch);
  }

  #commitBatch(): void {
    const { backend, clock, sleepMs } = this.#o;
    const pause = this.#step(() => {
      this.#timer = clock.after(sleepMs, this.#step(this.#batch));
    });
    // Nothing changed: nothing to make durable.
    if (this.#killsInBatch === 0) {
      pause();
      return;
    }
    failpointThen(
      'compactBeforeCommitBatch',
      this.#step(() => {
        backend.commit(
          this.#step(() => {
            failpointThen('compactAfterCommitBatch', pause);
          }),
        );
      }),
    );
  }

  #finish(): void {
    const { backend, clock, log, finished, durable } = this.#o;
    this.#scan?.close();
    this.#scan = undefined;
    failpointThen(
      'compactBeforeSetFinishedCompact',
      this.#step(() => {
        backend.put('meta', finishedCompactKey, encodeRevisionKey(this.rev, 0));
        failpointThen(
          'compactAfterSetFinishedCompact',
          this.#step(() => {
            const hash = this.#hasher.result();
            log.info('finished scheduled compaction', {
              'compact-revision': this.rev,
              took: formatDuration(clock.mono() - this.#startedMs),
              'number-of-keys-compacted': this.#kills,
              hash: hash.hash,
              ...databaseSize(backend),
            });
            finished(hash);
            backend.commit(this.#step(durable));
          }),
        );
      }),
    );
  }
}

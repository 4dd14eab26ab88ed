/**
 * Hashes over the history, equal to etcd's byte for byte: members of a mixed cluster compare them and raise CORRUPT when they differ.
 *
 * HashKV(rev) is CRC-32C over `key` and then, for each row of the `key` bucket in revision order, revision key and value, where
 * - rows above `rev` are left out;
 * - rows at or below the compacted revision are left out unless they are in the keep set: what remains of each key at `rev`;
 * - an empty keep set leaves nothing out;
 * - a tombstone exactly at the compacted revision is left out (older members delete it, newer ones keep it).
 *
 * Whether the keep set is empty is known only once a row in it is met. Until then two values run side by side, one for each case.
 *
 * A compaction hashes what it looks at in the same way, with its own keep set: tombstones exactly at the revision belong to it. So where all keys
 * are deleted, and the last of them at `rev` itself, a member that has compacted there tells another hash, of the same compacted revision, than one
 * that has not yet:
 *
 *     put a (2) · compact 2 · delete a (3)      HashKV(3), compacted to 2: "key" + row 2 + tombstone 3     (keep set empty: row 2 counts)
 *     … compact 3                               HashKV(3), compacted to 2: "key" + tombstone 3             (tombstone kept: row 2 is left out)
 *
 * etcd's two hashes are the same two (asked of 3.7.1), and clients get them. Members must not compare them: `peerHashOf`.
 */
import { utf8 } from '../../base/bytes.ts';
import { crc32c } from '../../base/crc32c.ts';
import type { Backend, BackendView, Row, RowScan } from '../storage/backend.ts';
import { bucketNames } from '../storage/backend.ts';
import type { Clock } from '../../base/clock.ts';
import { revisionKeyBytes, rowKey, writeRevisionKey } from './key-value.ts';
import { SliceBudget, type Sliced } from './slices.ts';
import type { HashResult } from './types.ts';

/** Hashes of compactions kept for peers' checks, as etcd keeps. */
export const compactionHashesMax = 10;

const scratchKey = Buffer.alloc(revisionKeyBytes + 1, 0x74);

function hashRow(crc: number, row: Row): number {
  writeRevisionKey(scratchKey, row.main, row.sub);
  return crc32c(crc32c(crc, scratchKey, 0, row.tombstone ? revisionKeyBytes + 1 : revisionKeyBytes), row.value);
}

export class KvHasher {
  readonly #rev: number;
  readonly #compactRev: number;
  /** With rows outside the keep set left out. */
  #strict: number;
  /** With none left out: the result when the keep set turns out empty. */
  #lax: number;
  #keepSeen = false;
  #bare = true;

  constructor(options: { rev: number; compactRev: number }) {
    this.#rev = options.rev;
    this.#compactRev = options.compactRev;
    this.#strict = this.#lax = crc32c(0, utf8('key'));
  }

  /** Whether `add` must be told if a row of this revision is in the keep set. */
  needsKeep(main: number): boolean {
    return !this.#keepSeen || main <= this.#compactRev;
  }

  /** No row of the keep set was met yet: rows outside it count. */
  get lax(): boolean {
    return !this.#keepSeen;
  }

  /** Rows in revision order. `kept`: in the keep set; not looked at when `needsKeep` says so. */
  add(row: Row, kept: boolean): void {
    if (row.main > this.#rev) return;
    const droppable = row.main <= this.#compactRev;
    const out = row.tombstone && row.main === this.#compactRev;
    if (!this.#keepSeen) {
      if (!out) this.#lax = hashRow(this.#lax, row);
      this.#keepSeen = kept;
    }
    if (kept && !row.tombstone) this.#bare = false;
    if (!out && (!droppable || kept)) this.#strict = hashRow(this.#strict, row);
  }

  result(): HashResult {
    return {
      hash: this.#keepSeen ? this.#strict : this.#lax,
      hashRevision: this.#rev,
      compactRevision: this.#compactRev,
      bare: this.#bare,
    };
  }
}

/** Whether a row is what a reader at `rev` sees of its key. */
export function isVisibleRow(backend: Backend, row: Row, rev: number): boolean {
  if (row.tombstone) return false;
  const version = backend.visible(rowKey(row.value), rev);
  return version !== undefined && version.main === row.main && version.sub === row.sub;
}

/** HashKV at a revision, in slices. */
export class RevisionHash implements Sliced {
  readonly #backend: Backend;
  readonly #clock: Clock;
  readonly #rev: number;
  readonly #compactRev: number;
  readonly #hasher: KvHasher;
  readonly #done: (hash: HashResult) => void;
  readonly #scan: RowScan;

  constructor(options: { backend: Backend; clock: Clock; rev: number; compactRev: number; done: (hash: HashResult) => void }) {
    this.#backend = options.backend;
    this.#clock = options.clock;
    this.#rev = options.rev;
    this.#compactRev = options.compactRev;
    this.#hasher = new KvHasher(options);
    this.#done = options.done;
    this.#scan = this.#backend.scan(0, Math.max(options.rev + 1, 0));
  }

  slice(until: number): boolean {
    const budget = new SliceBudget(this.#clock, until);
    for (let row = this.#scan.next(); row !== undefined; row = this.#scan.next()) {
      this.#add(row);
      if (budget.spend(row.value.length)) return false;
    }
    this.#scan.close();
    this.#done(this.#hasher.result());
    return true;
  }

  #add(row: Row): void {
    const hasher = this.#hasher;
    const kept = hasher.needsKeep(row.main) && isVisibleRow(this.#backend, row, this.#rev);
    // A row that the compaction is about to remove counts as gone, or the hash would tell how far that has come.
    if (!kept && hasher.lax && row.main <= this.#compactRev && !isVisibleRow(this.#backend, row, this.#compactRev)) return;
    hasher.add(row, kept);
  }

  /** Gives the scan back without a result. */
  abandon(): void {
    this.#scan.close();
  }
}

/** Meta keys that differ between members with equal content. */
const memberKeys = new Set(['consistent_index', 'term', 'storageVersion']);

/** Maintenance Hash: every bucket in name order, its name and then each key and value in order. */
export class BackendHash implements Sliced {
  readonly #clock: Clock;
  readonly #view: BackendView;
  readonly #done: (hash: number) => void;
  readonly #buckets: ((typeof bucketNames)[number] | 'key')[] = [...bucketNames, 'key' as const].sort();
  #crc = 0;
  #rows: RowScan | undefined;

  constructor(options: { backend: Backend; clock: Clock; done: (hash: number) => void }) {
    this.#clock = options.clock;
    this.#done = options.done;
    this.#view = options.backend.view();
  }

  slice(until: number): boolean {
    for (;;) {
      if (this.#rows !== undefined && !this.#hashRows(this.#rows, until)) return false;
      const bucket = this.#buckets.shift();
      if (bucket === undefined) break;
      this.#crc = crc32c(this.#crc, utf8(bucket));
      if (bucket === 'key') this.#rows = this.#view.rows();
      else {
        for (const [key, value] of this.#view.entries(bucket)) {
          if (bucket === 'meta' && memberKeys.has(Buffer.from(key).toString('latin1'))) continue;
          this.#crc = crc32c(crc32c(this.#crc, key), value);
        }
        if (this.#clock.mono() >= until) return false;
      }
    }
    this.#view.release();
    this.#done(this.#crc);
    return true;
  }

  #hashRows(rows: RowScan, until: number): boolean {
    const budget = new SliceBudget(this.#clock, until);
    for (let row = rows.next(); row !== undefined; row = rows.next()) {
      this.#crc = hashRow(this.#crc, row);
      if (budget.spend(row.value.length)) return false;
    }
    rows.close();
    this.#rows = undefined;
    return true;
  }

  /** Gives the view back without a result. */
  abandon(): void {
    this.#rows?.close();
    this.#view.release();
  }
}

/** The newest hashes made by compactions, oldest first. */
export class CompactionHashes {
  #hashes: HashResult[] = [];

  get all(): readonly HashResult[] {
    return this.#hashes;
  }

  store(hash: HashResult): void {
    this.#hashes = [...this.#hashes, hash].sort((a, b) => a.hashRevision - b.hashRevision).slice(-compactionHashesMax);
  }

  find(rev: number): HashResult | undefined {
    return this.#hashes.find((h) => h.hashRevision === rev);
  }
}

/** The face of the MVCC store towards apply, services and maintenance. */
import type { Histogram } from '../../base/metrics.ts';
import type { RowGather } from '../storage/row-gather.ts';
import type { RangeRest } from './range-rest.ts';
import type { Backend, KeyRange } from '../storage/backend.ts';

export class CompactedError extends Error {
  readonly code = 'compacted';
}
export class FutureRevisionError extends Error {
  readonly code = 'future-revision';
}

export interface RangeQuery extends KeyRange {
  /** ≤ 0 = the current revision. */
  readonly rev: number;
  /** 0 = no limit. */
  readonly limit: number;
  readonly countOnly: boolean;
  /** Rows may come in `gathered`, ready to be sent, instead of in `kvs`: for answers that need neither sorting nor filtering. */
  readonly gather?: boolean;
  /** With `gather`: of a long answer most rows may come in `rest`. `rangeSliced` only. */
  readonly inParts?: boolean;
}

export interface RangeResult {
  /** `mvccpb.KeyValue` bytes in key order, not to be changed. */
  readonly kvs: Uint8Array[];
  /** Set when the query asked for it and the store read more than a row: `kvs` is empty then. */
  readonly gathered?: RowGather;
  /** The rows behind those gathered, still to be read. The caller closes it. */
  readonly rest?: RangeRest;
  /** All keys in the range at that revision, limit left out. */
  readonly count: number;
  /** The store's revision when the range ran (not the one asked for). */
  readonly rev: number;
}

/** Writes of one raft entry, or reads inside one. Synchronous; `end` must be called in the same turn. */
export interface WriteTxn {
  /** Main revision at the start; writes get `startRev + 1`. */
  readonly startRev: number;
  /** True once something was written. */
  readonly changed: boolean;
  /** Sees the writes of this txn. @throws CompactedError, FutureRevisionError */
  range(query: RangeQuery): RangeResult;
  /** Returns the revision the key got. */
  put(key: Uint8Array, value: Uint8Array, lease: bigint): number;
  /** Returns how many keys were deleted and the revision after. */
  deleteRange(range: KeyRange): { deleted: number; rev: number };
  /** Publishes: revision goes up by one when something changed, watchers are told. */
  end(): void;
}

export interface HashResult {
  readonly hash: number;
  readonly hashRevision: number;
  readonly compactRevision: number;
  /** No key is visible at `hashRevision`. The hash depends then on what is compacted beyond `compactRevision` too: see `hash.ts`. */
  readonly bare: boolean;
}

export interface MvccStore {
  readonly currentRev: number;
  /** −1 before any compaction. */
  readonly compactRev: number;
  /** In one turn; for apply and for small reads. @throws CompactedError, FutureRevisionError */
  range(query: RangeQuery): RangeResult;
  /**
   * Cut into slices of ~2 ms: for reads of services. `done` runs in this turn when the range is small. `signal.cancelled` stops it: then
   * there is no result.
   * The revision is fixed at the start; a compaction past it in between does not disturb the rows already pinned by the job.
   */
  rangeSliced(
    query: RangeQuery,
    signal: { readonly cancelled: boolean },
    done: (error: CompactedError | FutureRevisionError | undefined, result: RangeResult | undefined) => void,
  ): void;
  write(): WriteTxn;
  /**
   * Moves the compacted revision at once and starts the physical work in slices; `done` runs when the last row is gone and the finished mark
   * is committed. @throws CompactedError when rev ≤ compacted, FutureRevisionError when rev > current.
   */
  compact(rev: number, done: (hash: HashResult | undefined) => void): void;
  /** HashKV; rev 0 = current. Sliced. */
  hashByRev(rev: number, done: (error: CompactedError | FutureRevisionError | undefined, result: HashResult | undefined) => void): void;
  /** Newest hashes made by compactions, for peers' checks; at most 10. */
  compactionHashes(): readonly HashResult[];
  /** Maintenance Hash: the whole backend. Sliced. */
  hash(done: (hash: number) => void): void;
  readonly watchers: WatchHub;
  readonly compactionPauses: { readonly rows: Histogram; readonly index: Histogram };
  readonly stats: Readonly<MvccStats>;
  /** After the backend below was replaced by a received snapshot: watchers become unsynced with their own revisions. `backend`: the new one, when it is another object. */
  restore(backend?: Backend): void;
  close(): void;
}

export interface WatchOptions extends KeyRange {
  /** First revision wanted; 0 = from now on. */
  readonly startRev: number;
  readonly filterPut: boolean;
  readonly filterDelete: boolean;
  readonly prevKv: boolean;
}

/** What a watcher is told. Either events of whole revisions, a progress mark, or its end by compaction. */
export interface WatchDelivery {
  readonly watcher: Watcher;
  readonly events: readonly WatchEvent[];
  /** The store's revision as of which this holds: header.revision. */
  readonly rev: number;
  /** ≠ 0: cancelled, the wanted revision is compacted. */
  readonly compactRev: number;
}

/** One event; both rows as stored bytes so that a response is put together without decoding. */
export interface WatchEvent {
  readonly type: 'put' | 'delete';
  /** `mvccpb.KeyValue` bytes; for a delete key and mod_revision. */
  readonly kv: Uint8Array;
  readonly modRev: number;
  /** Present when asked for and not compacted. */
  readonly prevKv: Uint8Array | undefined;
}

export interface Watcher {
  readonly id: number;
  readonly stream: WatchStream;
  /** No event below this has still to be sent. */
  readonly minRev: number;
  readonly synced: boolean;
}

/** All watchers of one client stream. */
export interface WatchStream {
  /**
   * Adds a watcher. `id` 0 picks a free id (from 0 up). @returns undefined when the id is in use.
   * Creation at a compacted revision succeeds; the first delivery then carries `compactRev`.
   */
  watch(options: WatchOptions, id: number): Watcher | undefined;
  /** False when there is no such id. One that a compaction ended is there until then. */
  cancel(id: number): boolean;
  readonly size: number;
  /**
   * True when the stream has watchers and each is synced and waits for no future revision: a progress answer may be given for revision
   * `hub.rev`.
   */
  readonly allSynced: boolean;
  /**
   * Progress for one watcher, delivered through `deliver` with no events, when that watcher is synced. Returns whether it was.
   */
  requestProgress(id: number): boolean;
  /** The receiver has room again: what it refused is tried at once. */
  resume(): void;
  close(): void;
}

export interface WatchHub {
  /**
   * Opens a stream. `deliver` returns false when the receiver is full: the delivery is kept ("victim") and tried again after `stream.resume`
   * or 10 ms; memory held per stream is bounded, the hub then re-reads history from the store.
   */
  open(deliver: (d: WatchDelivery) => boolean): WatchStream;
  /** The store's revision. */
  readonly rev: number;
  readonly streamCount: number;
  readonly watcherCount: number;
  /** Watchers that are not synced. */
  readonly slowWatcherCount: number;
  /** Events that receivers refused and that are kept for them. */
  readonly pendingEvents: number;
}

/** Counters for metrics, since the start of the process. */
export interface MvccStats {
  puts: number;
  deletes: number;
  ranges: number;
  txns: number;
  /** Bytes of keys and values put. */
  putBytes: number;
  /** Events handed to watchers. */
  events: number;
  /** Rows that compactions removed. */
  compactedRows: number;
}

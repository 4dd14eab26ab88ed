/**
 * The face of the revision log and its index: what mvcc and the other replicated rooms see of the disk.
 *
 * One event loop writes: all changes of one raft entry happen in one turn, followed by `setConsistentIndex`. A commit (every 100 ms or 10k
 * rows, off the loop) makes everything up to an entry boundary durable in one record (rule D-4). Reads see uncommitted changes of the own
 * process at once.
 */
import type { RowGather } from './row-gather.ts';
import type { VersionList } from './version-list.ts';
import type { ConfState } from '../../raft/types.ts';

/** etcd's buckets besides `key`, in etcd's spelling. */
export type BucketName = 'alarm' | 'auth' | 'authRoles' | 'authUsers' | 'cluster' | 'lease' | 'members' | 'members_removed' | 'meta';
export const bucketNames: readonly BucketName[] = [
  'alarm',
  'auth',
  'authRoles',
  'authUsers',
  'cluster',
  'lease',
  'members',
  'members_removed',
  'meta',
];

/** A place in the store's history. `sub` counts the writes of one transaction from 0. */
export interface Revision {
  readonly main: number;
  readonly sub: number;
}

/** One stored version of a key. */
export interface Version extends Revision {
  readonly tombstone: boolean;
  /** Opaque; where the row lies. Valid in the turn in which it was looked up, and for as long as no compaction may remove the row. */
  readonly position: number;
}

/** Keys in `[key, end)`; `end` undefined = the one key; `end` of length 0 = no upper bound. (Callers turn etcd's `\0` into that.) */
export interface KeyRange {
  readonly key: Uint8Array;
  readonly end: Uint8Array | undefined;
}

/** Walks versions visible at one revision in key order. Stays correct when the store is written to between calls: it seeks anew. */
export interface VersionCursor {
  /** False at the end. */
  next(): boolean;
  /** A view valid until the next call. */
  readonly key: Uint8Array;
  readonly version: Version;
  /**
   * Empties the list and enters the next versions, as many as it takes and `max` at most; fewer only at the end. `key` is that of the last one then,
   * except at the end; `version` is not set.
   */
  fill(list: VersionList, max: number): void;
}

/** A row as the `key` bucket of etcd has it. */
export interface Row extends Revision {
  readonly tombstone: boolean;
  /** `mvccpb.KeyValue` bytes, for a tombstone with the key alone. Never changed; valid for as long as it is referenced. */
  readonly value: Uint8Array;
}

/** What a row takes. */
export interface RowSize {
  tombstone: boolean;
  /** Of the value. */
  bytes: number;
}

/** Walks rows in revision order, in slices that the caller paces. Segments in use are kept until `close`. */
export interface RowScan {
  /** The next row, or undefined at the end. Reads ahead in blocks; a corrupt row throws `CorruptError`. */
  next(): Row | undefined;
  /** Steps over the next row and tells what it takes; false at the end. Its checksum is not looked at: who measures reads the rows later. */
  measure?(into: RowSize): boolean;
  close(): void;
}

/** Takes the value in `bytes[from, to)`, which is lent until it returns. */
export type ShowValue = (bytes: Uint8Array, from: number, to: number) => void;

export interface Backend {
  /** Raft position that the content reflects. */
  readonly consistentIndex: number;
  readonly consistentTerm: number;
  readonly confState: ConfState | undefined;
  /** Main revision of the newest row; 1 on an empty store. */
  readonly lastMain: number;
  /** Raft index up to which the content is durable. */
  readonly durableIndex: number;

  // Keys.
  /** The newest version of a key, tombstones included. */
  latest(key: Uint8Array): Version | undefined;
  /** The newest version with `main` ≤ `rev`, undefined when there is none or it is a tombstone. */
  visible(key: Uint8Array, rev: number): Version | undefined;
  cursor(range: KeyRange, rev: number): VersionCursor;
  /** How many keys are visible at the newest revision. O(log n). */
  countLatest(range: KeyRange): number;
  /** The row of a version: `mvccpb.KeyValue` bytes, not to be changed. @throws CorruptError when its checksum is wrong (rule F-8). */
  read(version: Version): Uint8Array;
  /**
   * As `read`, of the list's versions from the one numbered `from` on, copied into an answer that is gathered; ends when `bytesMax` are exceeded.
   * @returns the number of the first version left
   */
  gather(list: VersionList, from: number, into: RowGather, bytesMax: number): number;
  /** Bytes that the rows of the list take in an answer, without reading them; of the last one alone with `from` = `count - 1`. */
  measure(list: VersionList, from: number): number;
  /**
   * Appends a row; revisions must go up. `kv` is kept, not copied. `lease` (0n = none) is the lease the new version is attached to: the
   * index moves the key from its former lease to this one.
   */
  append(row: {
    readonly main: number;
    readonly sub: number;
    readonly tombstone: boolean;
    readonly key: Uint8Array;
    readonly kv: Uint8Array;
    readonly lease: bigint;
  }): void;
  /** Keys whose newest version is attached to the lease, sorted. */
  leaseKeys(lease: bigint): Uint8Array[];
  leaseOf(key: Uint8Array): bigint;

  // Rows in revision order, dead ones left out.
  /** Rows with `from` ≤ main < `to`, as of now: later kills do not change what this scan yields. */
  scan(from: number, to: number): RowScan;
  /** Forgets a superseded version: the row becomes dead space, the index entry goes. Not allowed for a key's newest version unless it is a tombstone. */
  kill(key: Uint8Array, revision: Revision): void;

  // Small buckets.
  get(bucket: BucketName, key: Uint8Array): Uint8Array | undefined;
  put(bucket: BucketName, key: Uint8Array, value: Uint8Array): void;
  delete(bucket: BucketName, key: Uint8Array): void;
  /** Shows every value of a bucket, in the order of keys; it may start over from the first. */
  eachValue(bucket: Exclude<BucketName, 'meta'>, start: () => void, show: ShowValue): void;
  entries(bucket: BucketName): [Uint8Array, Uint8Array][];

  // Durability.
  /** Called once at the end of each applied entry. The meta keys consistent_index, term and confState are answered from here. */
  setConsistentIndex(index: number, term: number): void;
  setConfState(confState: ConfState): void;
  /** Commits what there is now; `done` runs when it is durable. */
  commit(done: () => void): void;

  /** A consistent view of everything as of now, for snapshots and whole-store hashes. Release it, or it holds segments. */
  view(): BackendView;
  /** Rewrites every segment that has dead bytes, in slices, while serving; resolves when the freed space is given back. */
  defragment(): Promise<void>;
  /** As etcd's Status reports them: ten buckets in bbolt pages, high-water mark since the last defrag. */
  readonly sizeBytes: number;
  /** Scans and views that are open. */
  readonly openReads: number;
  readonly sizeInUseBytes: number;
  /** What the files really take. */
  readonly diskBytes: number;

  /** Commits, writes an index checkpoint, closes. */
  close(): Promise<void>;
}

export interface BackendView {
  readonly consistentIndex: number;
  readonly consistentTerm: number;
  readonly confState: ConfState | undefined;
  /** Rows as of the view. With `lent`, a row's value is valid until the next call only, so that a walk over many leaves nothing behind. */
  rows(options?: { readonly lent?: boolean }): RowScan;
  readonly rowCount: number;
  /** Including the meta keys consistent_index, term and confState in etcd's encoding. Sorted by key. */
  entries(bucket: BucketName): [Uint8Array, Uint8Array][];
  /**
   * The same in slices, for buckets that may be large: entries from the key `from` on, until their bytes reach `bytesMax`. `next` is where to go
   * on, undefined at the end. A slice may be empty before the end.
   */
  entriesFrom?(
    bucket: BucketName,
    from: Uint8Array,
    bytesMax: number,
  ): { readonly entries: [Uint8Array, Uint8Array][]; readonly next: Uint8Array | undefined };
  release(): void;
}

/** Builds a backend directory from rows and bucket entries: restore, migration, a received snapshot. */
export interface BackendBuilder {
  /** In revision order. */
  addRow(row: Row): void;
  addEntry(bucket: BucketName, key: Uint8Array, value: Uint8Array): void;
  /** Makes all durable (index included). */
  finish(): Promise<void>;
}

/** Stored bytes do not match their checksum. The member refuses to start, or stops. */
export class CorruptError extends Error {
  readonly code = 'corrupt';
  readonly path: string;
  readonly offset: number;

  constructor(options: { path: string; offset: number; what: string }) {
    super(`${options.path}: offset ${options.offset}: ${options.what}`);
    this.path = options.path;
    this.offset = options.offset;
  }
}

export interface BackendOptions {
  /** Time after which changes are committed; etcd's --backend-batch-interval. */
  readonly batchIntervalMs: number;
  /** Changes after which a commit starts at once; etcd's --backend-batch-limit. */
  readonly batchOps: number;
  /** Size at which a log segment is closed. */
  readonly segmentBytes: number;
  /** Memory for index pages and recent rows. */
  readonly cacheBytes: number;
  /** Log bytes after which the index is checkpointed, so that a restart reads little. */
  readonly checkpointBytes: number;
}

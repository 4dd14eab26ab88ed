/**
 * The backend: revision log and index as one store.
 *
 * Writes go to the log's chunks in memory and to the index at once; a commit (a timer, a number of rows, or on request) ends what there is
 * with a commit record and has it written and synced by a disk thread. One commit is under way at a time. Everything else happens
 * behind the commits: checkpoints of the index, images of the small buckets, rewrites of segments.
 */
import { copyBytes, emptyBytes } from '../../../base/bytes.ts';
import type { Clock, Timer } from '../../../base/clock.ts';
import type { Disk, DiskOp, DiskThread } from '../../../base/disk.ts';
import { DiskError } from '../../../base/disk.ts';
import { failpoint, failpointPassed, failpointThen } from '../../../base/failpoint.ts';
import { invariant } from '../../../base/invariant.ts';
import type { Log } from '../../../base/log.ts';
import type { ConfState } from '../../../raft/types.ts';
import type {
  Backend,
  BackendOptions,
  BackendView,
  BucketName,
  KeyRange,
  Revision,
  RowScan,
  ShowValue,
  Version,
  VersionCursor,
} from '../backend.ts';
import { bucketNames, CorruptError } from '../backend.ts';
import { framedBytes, type RowGather } from '../row-gather.ts';
import type { VersionList } from '../version-list.ts';
import type { IndexVersion } from '../index/key-index.ts';
import { bucketNumber, KeyIndex, positionShift } from '../index/key-index.ts';
import { IndexPageError } from '../index/page-format.ts';
import { PageStore } from '../index/page-store.ts';
import { BoltSize } from './bolt-size.ts';
import { confStateJson, decodeMetaIndex, encodeMetaIndex, parseConfState } from './meta.ts';
import type { CheckpointState } from './checkpoint.ts';
import { checkpointName, CheckpointWriter, loadCheckpoint, submitJob } from './checkpoint.ts';
import type { CommitState, LogPosition } from './format.ts';
import {
  comparePositions,
  decodeChange,
  decodeCommit,
  decodeImage,
  eachKill,
  encodeChange,
  encodeCommit,
  encodeHeader,
  encodeImage,
  encodeKills,
  encodeRow,
  headerRecordBytes,
  isRow,
  keyAndLease,
  killBytes,
  recordHeader,
  recordType,
  revisionKeyBytes,
  rowMain,
  rowMin,
  rowRecordBytes,
  rowSub,
  rowValue,
  writeKill,
} from './format.ts';
import { LogFile, logStart, RowDirectory, walkRecords } from './log-file.ts';
import { LogScan, SnapshotExpiredError } from './log-scan.ts';
import type { LogSnapshot } from './log-scan.ts';
import { IndexLoad } from './index-load.ts';
import { type Chunk, LogStore } from './log-store.ts';
import { createLog, findTail, openLogFiles, readCommit } from './recovery.ts';
import { rewrite } from './rewrite.ts';

export interface LogBackendOptions extends BackendOptions {
  readonly disk: Disk;
  /** `member/snap/db`; made when it is missing. */
  readonly dir: string;
  readonly clock: Clock;
  readonly log: Log;
  /** Costly checks: whole-tree walks at open, checkpoint and close. */
  readonly verify?: boolean;
  /** The disk failed (rule F-1): nothing is durable any more and the member must stop. Logged before it is called. */
  readonly onError?: (error: DiskError) => void;
}

/** etcd's batch; 64 MiB segments; a checkpoint's worth of log is replayed in ~0.5 s on the reference machine. */
export const defaultBackendOptions: BackendOptions = {
  batchIntervalMs: 100,
  batchOps: 10_000,
  segmentBytes: 64 * 1024 * 1024,
  cacheBytes: 96 * 1024 * 1024,
  checkpointBytes: 24 * 1024 * 1024,
};

/** A commit starts at once when so much waits for it: bounds what a crash makes the WAL replay and what is held in memory. */
const batchBytesMax = 4 * 1024 * 1024;
/** Records go to the disk thread in such portions, ahead of their commit record: handing over costs a copy, which must not take long. */
const earlyWriteBytes = 1024 * 1024;
/** Jobs of the disk thread beyond which nothing is written early: it is behind, and what waits there is held twice. */
const earlyJobsMax = 4;
/** Records kept in memory after they were written, so that new rows are read without the disk; never more than an eighth of the cache. */
const recentBytesMax = 8 * 1024 * 1024;
/** Kills gathered in one record. */
const killsBytesMax = 4000 * killBytes;
/** Small-bucket entries written with one commit while an image is being made: about 1 ms. */
const imageSliceBytes = 48 * 1024;
/** Share of dead bytes from which a segment is rewritten in the background. */
const rewriteDeadShare = 0.5;
/** Below this many dead bytes a segment is left alone (a share of the segment size). */
const rewriteMinShare = 1 / 64;
/** Space of replaced segments held by readers; beyond it no further segment is replaced until they are done. */
const heldBytesMax = 1024 * 1024 * 1024;
/** A scan or view held longer is given up: a reader that lost interest must not hold space for ever. */
const heldMsMax = 60 * 60 * 1000;

/** Opens, or creates, the store in a directory. @throws CorruptError, DiskError, BackendFormatError */
export function openBackend(options: LogBackendOptions): LogBackend {
  return new LogBackend(options, false);
}

/** The path holds something else than this store, such as etcd's bbolt file. */
export class BackendFormatError extends Error {
  readonly code = 'backend-format';
  readonly path: string;

  constructor(path: string, what: string) {
    super(`${path}: ${what}`);
    this.path = path;
  }
}

export class LogBackend implements Backend {
  readonly #o: LogBackendOptions;
  readonly #disk: Disk;
  readonly #dir: string;
  readonly #thread: DiskThread;
  #bulk: DiskThread | undefined;
  #pages: PageStore;
  #pagesName: string;
  #index: KeyIndex;
  readonly #log: LogStore;
  #size: BoltSize;

  #consistentIndex = 0;
  #consistentTerm = 0;
  #confState: ConfState | undefined;
  #lastMain = 1;
  #lastSub = 0;
  #liveRows = 0;

  /** Numbers of the last commit made up and the last one durable. */
  #commitNumber = 0;
  #commitEnd: LogPosition = logStart;
  #durableCommit = 0;
  #durableIndex = 0;
  #commitInFlight = false;
  #ops = 0;
  #changed = false;
  /** Data changed since the last `setConsistentIndex`. */
  #wrote = false;
  #bytesSinceCommit = 0;
  #bytesUnsubmitted = 0;
  #timer: Timer | undefined;
  #waiting: (() => void)[] = [];
  #commitDeferred = false;
  /** Of a segment that was just left: to be done before the next commit's writes. */
  #preOps: DiskOp[] = [];
  #sealing: LogFile | undefined;
  #syncDir = false;
  #rollWanted = false;
  /** The last segment's first commit is not durable yet: at most one such segment, so that a crash leaves no gap. */
  #tailFresh = false;

  readonly #kills = Buffer.allocUnsafeSlow(killsBytesMax);
  #killsUsed = 0;

  /** Where the image of the small buckets goes on; undefined = none is being made. */
  #imageFrom: Uint8Array | undefined;
  #imageFirst = false;
  /** Segment where the image in the making began, and where the last whole one did. */
  #imageStart = 0;
  #imageSegment = 0;
  #imageDurable = 0;

  #checkpoint: CheckpointWriter | undefined;
  #checkpointWanted: {
    snapshot: boolean;
    done: (s: { snapshot: LogSnapshot | undefined; end: LogPosition }) => void;
    failed: (e: unknown) => void;
  }[] = [];
  #bytesSinceCheckpoint = 0;
  #finalizing = false;
  #rewriting: Promise<void> | undefined;
  #defrag: Promise<void> | undefined;
  /** Ends the defragmentation for those who wait for it. */
  #defragOver: () => void = () => undefined;
  readonly #views = new Set<LogView>();

  #failed: DiskError | undefined;
  #closed = false;
  /** Everything is written by the calling thread, and nothing is read before the end: builder. */
  readonly #direct: boolean;
  /** A builder that enters rows into the index many at a time. */
  readonly #gathers: boolean;
  #loading: IndexLoad | undefined;

  constructor(options: LogBackendOptions, direct: boolean, gathers = false) {
    this.#o = options;
    this.#direct = direct;
    this.#gathers = gathers;
    const { disk, dir, log } = options;
    this.#disk = disk;
    this.#dir = dir;
    const stat = disk.stat(dir);
    if (stat !== undefined && !stat.isDirectory) throw new BackendFormatError(dir, 'not a revision log directory');
    if (stat === undefined) {
      disk.mkdir(dir, 0o700);
      const parent = dir.slice(0, Math.max(1, dir.lastIndexOf('/')));
      disk.syncDir(parent);
    }
    const opened = openLogFiles(disk, dir, log);
    const files = opened.fresh ? [createLog(disk, dir)] : opened.files;
    const { loaded, why } = loadCheckpoint(disk, dir);
    if (opened.fresh && disk.stat(`${dir}/${checkpointName}`) !== undefined)
      throw new CorruptError({ path: dir, offset: 0, what: 'there is an index, but no revision log' });
    const known = loaded !== undefined;
    this.#pagesName = known ? loaded.state.pagesName : this.#freshPagesName();
    if (!known && disk.stat(`${dir}/${checkpointName}`) !== undefined) {
      disk.unlink(`${dir}/${checkpointName}`);
      disk.syncDir(dir);
    }
    let pages: PageStore | undefined;
    let lost = why;
    if (known) {
      try {
        pages = PageStore.open({ disk, path: `${dir}/${this.#pagesName}`, cacheBytes: options.cacheBytes, table: loaded.table });
      } catch (error) {
        lost = `the index file cannot be opened (${error instanceof Error ? error.message : String(error)})`;
      }
    }
    const fromCheckpoint = pages !== undefined;
    pages ??= PageStore.create({ disk, path: `${dir}/${this.#pagesName}`, cacheBytes: options.cacheBytes });
    this.#pages = pages;
    this.#log = new LogStore(pages, (file) => this.#removeFile(file));
    this.#log.setFiles(files);
    this.#size = new BoltSize(0, [], 0);
    this.#thread = disk.thread('revlog');
    try {
      if (fromCheckpoint && loaded !== undefined) {
        this.#index = new KeyIndex(pages, loaded.state.roots);
        try {
          this.#openFromCheckpoint(loaded.state, loaded.directory);
        } catch (error) {
          if (!(error instanceof IndexPageError)) throw error;
          this.#rebuild(error.message, true);
        }
      } else {
        this.#index = new KeyIndex(pages, { keys: 0, leases: 0, buckets: 0 });
        if (opened.fresh) this.#startLog(files[0] as LogFile);
        else {
          log.warn('rebuilding the index from the revision log', { path: dir, reason: lost });
          this.#replayAll(true);
        }
      }
    } catch (error) {
      this.#thread.close();
      for (const f of files) f.file.close();
      pages.close();
      throw error;
    }
    this.#removeStalePages();
    this.#serving = true;
    if (options.verify === true) this.#verifyOrRepair();
  }

  // Raft position.

  get consistentIndex(): number {
    return this.#consistentIndex;
  }
  get consistentTerm(): number {
    return this.#consistentTerm;
  }
  get confState(): ConfState | undefined {
    return this.#confState;
  }
  get lastMain(): number {
    return this.#lastMain;
  }
  get durableIndex(): number {
    return this.#durableIndex;
  }

  setConsistentIndex(index: number, term: number): void {
    this.#consistentIndex = index;
    this.#consistentTerm = term;
    // As in etcd, an entry that changed no data has nothing to write back.
    const wrote = this.#wrote;
    if (wrote) failpoint('beforeWritebackBuf');
    this.#touch();
    this.#wrote = false;
    if (wrote) failpoint('afterWritebackBuf');
    if (this.#ops >= this.#o.batchOps || this.#bytesSinceCommit >= batchBytesMax) this.#startCommit();
    if (this.#bytesUnsubmitted >= earlyWriteBytes) this.#writeEarly();
  }

  setConfState(confState: ConfState): void {
    this.#confState = confState;
    this.#touch();
  }

  // Keys.

  latest(key: Uint8Array): Version | undefined {
    try {
      return this.#index.latest(key);
    } catch (error) {
      this.#repair(error);
      return this.#index.latest(key);
    }
  }

  visible(key: Uint8Array, rev: number): Version | undefined {
    try {
      return this.#index.visible(key, rev);
    } catch (error) {
      this.#repair(error);
      return this.#index.visible(key, rev);
    }
  }

  cursor(range: KeyRange, rev: number): VersionCursor {
    return new RepairingCursor(this.#index.cursor(range, rev), (error) => this.#repair(error));
  }

  countLatest(range: KeyRange): number {
    try {
      return this.#index.countLatest(range);
    } catch (error) {
      this.#repair(error);
      return this.#index.countLatest(range);
    }
  }

  read(version: Version): Uint8Array {
    return this.#log.readRow(version.position, (version as IndexVersion).size, version.main, version.sub);
  }

  gather(list: VersionList, from: number, into: RowGather, bytesMax: number): number {
    return this.#log.gatherRows(list, from, into, bytesMax);
  }

  measure(list: VersionList, from: number): number {
    let sum = 0;
    for (let i = from; i < list.count; i++) {
      const size = list.size[i] as number;
      // The shortest record may be filled up.
      const bytes =
        size > rowMin
          ? size - recordHeader - revisionKeyBytes
          : this.#log.readRow(list.position[i] as number, size, list.main[i] as number, list.sub[i] as number).length;
      sum += framedBytes(bytes);
    }
    return sum;
  }

  append(row: {
    readonly main: number;
    readonly sub: number;
    readonly tombstone: boolean;
    readonly key: Uint8Array;
    readonly kv: Uint8Array;
    readonly lease: bigint;
  }): void {
    const { main, sub, tombstone, key, kv } = row;
    invariant(main > this.#lastMain || (main === this.#lastMain && sub > this.#lastSub), 'revisions go up', { main, sub });
    const size = rowRecordBytes(tombstone, kv.length);
    const log = this.#log;
    const tail = log.tail;
    const offset = tail.end;
    const at = log.reserve(size);
    const chunk = log.chunk;
    invariant(chunk !== undefined, 'a reserved record has a chunk');
    encodeRow(chunk.bytes, at, size, main, sub, tombstone, kv);
    tail.noteRow(main, sub, offset, size);
    this.#lastMain = main;
    this.#lastSub = sub;
    this.#liveRows++;
    this.#size.addRow(elementBytes(size));
    this.#ops++;
    this.#bytesSinceCommit += size;
    this.#bytesUnsubmitted += size;
    this.#touch();
    try {
      if (this.#gathers) this.#load.add(key, main, sub, tombstone, tail.first, offset, size, row.lease);
      else this.#index.append(key, main, sub, tombstone, tail.first, offset, size, row.lease);
    } catch (error) {
      // The rebuilt index has the row, and those that were gathered: they are in the log.
      this.#repair(error);
      this.#loading = undefined;
    }
    if (this.#direct && this.#bytesSinceCommit >= batchBytesMax) this.#flushDirect();
  }

  leaseKeys(lease: bigint): Uint8Array[] {
    try {
      return this.#index.leaseKeys(lease);
    } catch (error) {
      this.#repair(error);
      return this.#index.leaseKeys(lease);
    }
  }

  leaseOf(key: Uint8Array): bigint {
    try {
      return this.#index.leaseOf(key);
    } catch (error) {
      this.#repair(error);
      return this.#index.leaseOf(key);
    }
  }

  // Rows.

  scan(from: number, to: number): RowScan {
    return new LogScan(this.#log, this.#snapshot(), from, to, (error) => this.#repair(error));
  }

  kill(key: Uint8Array, revision: Revision): void {
    try {
      this.#killNow(key, revision);
    } catch (error) {
      this.#repair(error);
      this.#killNow(key, revision);
    }
  }

  // Small buckets.

  get(bucket: BucketName, key: Uint8Array): Uint8Array | undefined {
    if (bucket === 'meta') {
      const own = this.#metaEntry(Buffer.from(key).latin1Slice());
      if (own !== false) return own;
    }
    try {
      return this.#index.get(bucket, key);
    } catch (error) {
      this.#repair(error);
      return this.#index.get(bucket, key);
    }
  }

  put(bucket: BucketName, key: Uint8Array, value: Uint8Array): void {
    if (bucket === 'meta' && this.#setMeta(Buffer.from(key).latin1Slice(), value)) return;
    this.#change(bucketNumber(bucket), copyBytes(key), copyBytes(value));
  }

  delete(bucket: BucketName, key: Uint8Array): void {
    this.#change(bucketNumber(bucket), copyBytes(key), undefined);
  }

  eachValue(bucket: Exclude<BucketName, 'meta'>, start: () => void, show: ShowValue): void {
    start();
    try {
      this.#index.eachValue(bucket, show);
    } catch (error) {
      this.#repair(error);
      start();
      this.#index.eachValue(bucket, show);
    }
  }

  entries(bucket: BucketName): [Uint8Array, Uint8Array][] {
    let list: [Uint8Array, Uint8Array][];
    try {
      list = this.#index.entries(bucket);
    } catch (error) {
      this.#repair(error);
      list = this.#index.entries(bucket);
    }
    return bucket === 'meta' ? withMeta(list, this) : list;
  }

  /** Entries of a bucket other than meta from a key on, about `bytesMax` of them. `next`: where to go on, undefined at the end. */
  entriesFrom(
    bucket: BucketName,
    from: Uint8Array,
    bytesMax: number,
  ): { entries: [Uint8Array, Uint8Array][]; next: Uint8Array | undefined } {
    try {
      return this.#index.entriesFrom(bucket, from, bytesMax);
    } catch (error) {
      this.#repair(error);
      return this.#index.entriesFrom(bucket, from, bytesMax);
    }
  }

  // Durability.

  commit(done: () => void): void {
    this.#waiting.push(done);
    this.#deferCommit();
  }

  view(): BackendView {
    const snapshot = this.#snapshot();
    const v = new LogView(
      this,
      (lent) => new LogScan(this.#log, snapshot.share(), 0, Infinity, (error) => this.#repair(error), lent),
      snapshot,
      this.#liveRows,
      () => this.#views.delete(v),
    );
    this.#views.add(v);
    return v;
  }

  defragment(): Promise<void> {
    this.#defrag ??= new Promise<void>((resolve, reject) => {
      this.#defragOver = resolve;
      this.#defragment().then(resolve, reject);
    }).finally(() => {
      this.#defrag = undefined;
    });
    return this.#defrag;
  }

  get openReads(): number {
    return this.#log.snapshots.size;
  }
  get sizeBytes(): number {
    return this.#size.sizeBytes;
  }
  get sizeInUseBytes(): number {
    return this.#size.inUseBytes;
  }
  get diskBytes(): number {
    let sum = this.#pages.fileBytes + this.#log.retiredBytes;
    for (const f of this.#log.files) sum += f.end;
    return sum;
  }
  /** Memory held beyond its limits because the disk is behind: apply should pause when it grows (a limit of 64 MiB is reasonable). */
  get unwrittenBytes(): number {
    let sum = this.#pages.excessBytes;
    for (const c of this.#log.chunks) sum += c.used - c.submitted;
    return sum;
  }
  /** Rows that are not dead. */
  get rowCount(): number {
    return this.#liveRows;
  }
  /** For metrics and tests. */
  get stats(): {
    segments: number;
    indexPages: number;
    indexFrames: number;
    deadBytes: number;
    heldBytes: number;
    checkpointing: boolean;
    rewriting: boolean;
    /** Files that are being removed, or are written to, in the background. */
    bulkJobs: number;
  } {
    let deadBytes = 0;
    for (const f of this.#log.files) deadBytes += f.deadBytes;
    return {
      segments: this.#log.files.length,
      indexPages: this.#pages.livePages,
      indexFrames: this.#pages.frames,
      deadBytes,
      heldBytes: this.#log.retiredBytes,
      checkpointing: this.#checkpoint !== undefined,
      rewriting: this.#rewriting !== undefined,
      bulkJobs: this.#bulk?.pending ?? 0,
    };
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    await this.#defrag?.catch(() => undefined);
    await this.#rewriting?.catch(() => undefined);
    this.#closed = true;
    if (this.#failed === undefined) {
      this.#closing = true;
      await this.#committed().catch(() => undefined);
      await this.#checkpointed(false).catch(() => undefined);
    }
    this.#closing = false;
    this.#dispose();
  }
  #closing = false;

  /** Lets go of files and threads without another write, as a crash would; for a backend that is replaced. */
  abandon(): void {
    this.#closed = true;
    this.#dispose();
    // The store that takes its place was written without gaps.
    this.#defragOver();
  }

  #dispose(): void {
    this.#timer?.cancel();
    this.#checkpoint?.cancel();
    for (const s of [...this.#log.snapshots]) s.expire();
    this.#thread.close();
    this.#bulk?.close();
    for (const f of this.#log.files) f.file.close();
    for (const f of this.#log.retiredFiles) f.file.close();
    this.#pages.close();
  }

  // Opening.

  #startLog(file: LogFile): void {
    this.#imageSegment = 1;
    this.#imageDurable = 1;
    this.#log.appendRecord(encodeHeader(file.header));
    this.#syncDir = true;
    // Its name is no more durable than its first commit.
    this.#tailFresh = true;
  }

  #openFromCheckpoint(state: CheckpointState, directory: RowDirectory): void {
    const log = this.#log;
    const { end } = state;
    const shown = log.fileOf(end.segment);
    const commit = shown !== undefined && shown.original ? readCommit(shown, state.at) : undefined;
    if (shown === undefined || commit === undefined || commit.number !== state.commit) {
      const path = shown?.path ?? this.#dir;
      throw new CorruptError({
        path,
        offset: state.at.offset,
        what: `the log does not have commit ${state.commit}, which the index shows`,
      });
    }
    // The pages of files that were replaced since.
    for (const f of state.files) {
      const file = log.fileOf(f.first);
      if (file !== undefined && file.first === f.first && file.last === f.last && file.header.generation === f.generation) {
        file.bitmaps = [...f.bitmaps];
        file.deadBytes = f.deadBytes;
      } else for (const page of f.bitmaps) if (page !== 0) this.#pages.free(page);
    }
    for (const file of log.files) {
      if (
        file.original ||
        state.files.some((f) => f.first === file.first && f.last === file.last && f.generation === file.header.generation)
      )
        continue;
      this.#markFooterDead(file);
    }
    if (!shown.sealed || shown === log.tail) {
      Object.assign(shown, state.tail);
      shown.setDirectory(directory);
    }
    this.#takeCommit(commit, state.end);
    this.#replayFrom(end);
  }

  /** Applies the log behind a position, and cuts its tail. */
  #replayFrom(start: LogPosition): void {
    const log = this.#log;
    const tail = log.tail;
    for (const file of log.files) {
      if (file === tail || file.last < start.segment) continue;
      const from = file.first === start.segment ? start.offset : headerRecordBytes;
      this.#replay(file, from, file.end, false, true);
    }
    const from = tail.first === start.segment ? start.offset : headerRecordBytes;
    this.#replayTail(tail, from);
  }

  #replayTail(tail: LogFile, from: number): void {
    const found = findTail(tail, from);
    tail.sealed = false;
    tail.end = found.end;
    if (from === headerRecordBytes) resetRows(tail);
    this.#replay(tail, from, found.end, true, false);
    if (tail.file.size() > found.end) {
      tail.file.truncate(found.end);
      this.#o.log.info('cut the revision log after its last whole commit', { path: tail.path, offset: found.end, bytes: found.cutBytes });
    }
    // What was read may be in the system's memory alone, left there by a process that was killed before its sync; so may the name of a new segment.
    // From here on it counts as durable.
    tail.file.sync();
    this.#disk.syncDir(this.#dir);
    if (found.commit === undefined && found.end === headerRecordBytes && tail.first === 1) {
      // The very first commit never became durable.
      this.#imageSegment = this.#imageDurable = 1;
    }
    if (this.#commitNumber < tail.header.commitsBefore)
      throw new CorruptError({ path: tail.path, offset: 0, what: `commits before number ${tail.header.commitsBefore} are missing` });
    this.#commitEnd = found.commit === undefined && tail.first > 1 ? tail.header.before : { segment: tail.last, offset: found.end };
    this.#durableCommit = this.#commitNumber;
    this.#durableIndex = this.#consistentIndex;
    this.#imageDurable = this.#imageSegment;
    this.#bytesSinceCheckpoint = found.end - from;
    if (this.#imageSegment < tail.last) this.#beginImage();
  }

  /** Makes a new index from the whole log. */
  #rebuild(reason: string, opening: boolean): void {
    this.#o.log.warn('rebuilding the index from the revision log', { path: this.#dir, reason });
    this.#checkpoint?.cancel();
    this.#checkpoint = undefined;
    // Readers go on with the dead rows of their moment, unless just those are what was lost.
    for (const s of [...this.#log.snapshots]) {
      try {
        s.keepAllBits();
      } catch (error) {
        if (!(error instanceof IndexPageError)) throw error;
        s.expire();
      }
    }
    const disk = this.#disk;
    if (disk.stat(`${this.#dir}/${checkpointName}`) !== undefined) {
      disk.unlink(`${this.#dir}/${checkpointName}`);
      disk.syncDir(this.#dir);
    }
    const old = this.#pages;
    this.#pagesName = this.#freshPagesName();
    this.#pages = PageStore.create({ disk, path: `${this.#dir}/${this.#pagesName}`, cacheBytes: this.#o.cacheBytes });
    old.close();
    disk.unlink(old.file.path);
    this.#index.reset(this.#pages);
    this.#log.setPages(this.#pages);
    this.#replayAll(opening);
    for (const w of this.#checkpointWanted.splice(0))
      w.failed(new IndexPageError({ path: old.file.path, offset: 0, what: 'the index was rebuilt' }));
    this.#o.log.info('rebuilt the index', { path: this.#dir, rows: this.#liveRows });
  }

  #replayAll(opening: boolean): void {
    const log = this.#log;
    for (const file of log.files) {
      file.bitmaps = [];
      file.deadBytes = 0;
    }
    const tail = log.tail;
    for (const file of log.files) {
      if (file === tail) continue;
      if (file.sealed) this.#replay(file, headerRecordBytes, file.end, false, true);
      else this.#replayLive(file);
      if (!file.original) this.#markFooterDead(file);
    }
    if (opening) {
      resetRows(tail);
      this.#replayTail(tail, headerRecordBytes);
      this.#bytesSinceCheckpoint = this.#o.checkpointBytes;
      return;
    }
    // In the middle of service there are kills that are not in the log yet.
    this.#replayLive(tail);
    for (let o = 0; o < this.#killsUsed; o += killBytes)
      this.#replayKill(this.#kills.readUInt16LE(o + 4) * 4294967296 + this.#kills.readUInt32LE(o), this.#kills.readUInt32LE(o + 6));
    this.#bytesSinceCheckpoint = this.#o.checkpointBytes;
  }

  /** `note` = the file's row statistics are made anew; `check` = its checksums were not checked just now. */
  #replay(file: LogFile, from: number, to: number, note: boolean, check: boolean): void {
    walkRecords(file, from, to, check, (b, at, offset) => this.#applyRecord(file, b, at, offset, note));
  }

  /** Replays a segment that is partly in memory. */
  #replayLive(file: LogFile): void {
    const b = this.#log.readStretch(file, headerRecordBytes, file.end);
    for (let at = 0; at < b.length; at += b.readUInt32LE(at + 4)) this.#applyRecord(file, b, at, headerRecordBytes + at, false);
  }

  #applyRecord(file: LogFile, b: Buffer, at: number, offset: number, note: boolean): void {
    const type = b[at + 8] as number;
    if (isRow(type)) {
      const main = rowMain(b, at);
      const sub = rowSub(b, at);
      const size = b.readUInt32LE(at + 4);
      const { key, lease } = keyAndLease(rowValue(b, at));
      if (note) file.noteRow(main, sub, offset, size);
      this.#index.append(key, main, sub, type === recordType.tombstone, file.first, file.original ? offset : 0, size, lease);
    } else if (type === recordType.kills) eachKill(b, at, (main, sub) => this.#replayKill(main, sub));
    else if (type === recordType.change) {
      const { bucket, key, value } = decodeChange(b, at);
      this.#index.set(bucket, key, value);
    } else if (type === recordType.image) {
      const image = decodeImage(b, at);
      this.#index.replaceBuckets(image.from, image.to, image.entries);
    } else if (type === recordType.commit && file.original) {
      const c = decodeCommit(b, at);
      if (c === undefined) throw new CorruptError({ path: file.path, offset, what: 'commit record with a wrong body' });
      if (this.#serving) return;
      const end = { segment: file.last, offset: offset + b.readUInt32LE(at + 4) };
      this.#takeCommit(c, end);
      // A long replay must not fill the memory with changed pages.
      if (this.#pages.dirtyPages > this.#pages.dirtyPagesMax) this.#checkpointNow(c, end);
    }
  }
  /** False while the constructor replays. */
  #serving = false;

  #replayKill(main: number, sub: number): void {
    const found = this.#log.findRevision(main, sub);
    if (found === undefined) return;
    const { key } = keyAndLease(rowValue(found.row.bytes, found.row.at));
    for (const v of this.#index.kill(copyBytes(key), { main, sub })) this.#markDead(v);
    this.#log.markDead(found.file, found.row.offset, found.row.size);
  }

  #markFooterDead(file: LogFile): void {
    const offsets = file.footerDead();
    if (offsets === undefined) throw new CorruptError({ path: file.path, offset: file.end, what: 'footer with a wrong checksum' });
    const b = Buffer.alloc(recordHeader);
    for (const offset of offsets) {
      file.file.read(b, offset);
      this.#log.markDead(file, offset, b.readUInt32LE(4));
    }
  }

  #takeCommit(c: CommitState, end: LogPosition): void {
    invariant(comparePositions(c.at, end) < 0, 'a commit ends behind its start');
    this.#commitNumber = c.number;
    this.#consistentIndex = c.consistentIndex;
    this.#consistentTerm = c.consistentTerm;
    this.#confState = c.confState;
    this.#lastMain = c.lastMain;
    this.#liveRows = c.liveRows;
    this.#size = new BoltSize(c.rowCost, c.bucketBytes, c.highWaterPages);
    this.#imageSegment = c.imageSegment;
    this.#lastSub = subAny;
  }

  // Changes.

  #touch(): void {
    this.#changed = true;
    this.#wrote = true;
    if (this.#timer === undefined && !this.#commitInFlight && !this.#closed && !this.#direct) this.#armTimer();
  }

  #armTimer(): void {
    this.#timer = this.#o.clock.after(this.#o.batchIntervalMs, () => {
      this.#timer = undefined;
      this.#startCommit();
    });
  }

  #killNow(key: Uint8Array, revision: Revision): void {
    for (const v of this.#index.kill(key, revision)) {
      if (this.#killsUsed === killsBytesMax) this.#flushKills();
      writeKill(this.#kills, this.#killsUsed, v.main, v.sub);
      this.#killsUsed += killBytes;
      this.#liveRows--;
      this.#size.removeRow(elementBytes(v.size));
      this.#ops++;
      this.#touch();
      this.#markDead(v);
    }
  }

  #markDead(v: IndexVersion): void {
    const file = this.#log.fileOf(Math.floor(v.position / positionShift));
    invariant(file !== undefined, 'the segment of a row is there', { position: v.position });
    if (file.original) {
      this.#log.markDead(file, v.position % positionShift, v.size);
    } else {
      const row = this.#log.findIn(file, v.main, v.sub);
      if (row !== undefined) this.#log.markDead(file, row.offset, row.size);
    }
    this.#log.killsSince?.push(v.main, v.sub);
  }

  #flushKills(): void {
    if (this.#killsUsed === 0) return;
    const record = encodeKills(this.#kills, this.#killsUsed);
    this.#log.appendRecord(record);
    this.#bytesSinceCommit += record.length;
    this.#killsUsed = 0;
  }

  #change(bucket: number, key: Uint8Array, value: Uint8Array | undefined): void {
    let former: Uint8Array | undefined;
    try {
      former = this.#index.get(bucketNames[bucket] as BucketName, key);
    } catch (error) {
      this.#repair(error);
      former = this.#index.get(bucketNames[bucket] as BucketName, key);
    }
    if (former === undefined && value === undefined) return;
    const record = encodeChange(bucket, key, value);
    this.#log.appendRecord(record);
    this.#bytesSinceCommit += record.length;
    this.#ops++;
    this.#touch();
    try {
      this.#index.set(bucket, key, value);
    } catch (error) {
      // The rebuilt index has the change: it is in the log.
      this.#repair(error);
    }
    for (const v of this.#views) v.keepEntry(bucket, key, former);
    const cost = (x: Uint8Array | undefined): number => (x === undefined ? 0 : 16 + key.length + x.length);
    this.#size.changeEntry(bucket, cost(value) - cost(former));
  }

  #metaEntry(key: string): Uint8Array | undefined | false {
    if (key === 'consistent_index') return this.#consistentIndex > 0 ? encodeMetaIndex(this.#consistentIndex) : undefined;
    if (key === 'term') return this.#consistentTerm > 0 ? encodeMetaIndex(this.#consistentTerm) : undefined;
    if (key === 'confState') return this.#confState === undefined ? undefined : confStateJson(this.#confState);
    return false;
  }

  #setMeta(key: string, value: Uint8Array): boolean {
    if (key === 'consistent_index') this.#consistentIndex = decodeMetaIndex(value);
    else if (key === 'term') this.#consistentTerm = decodeMetaIndex(value);
    else if (key === 'confState') this.#confState = parseConfState(value);
    else return false;
    this.#touch();
    return true;
  }

  // Commits.

  #deferCommit(): void {
    if (this.#commitDeferred) return;
    this.#commitDeferred = true;
    // At the end of the turn the entry that is being applied, if any, is whole (rule D-4).
    this.#o.clock.defer(() => {
      this.#commitDeferred = false;
      this.#startCommit();
    });
  }

  #startCommit(): void {
    if (this.#failed !== undefined || this.#commitInFlight) return;
    if (!this.#changed && !this.#rollWanted && this.#imageFrom === undefined && !this.#checkpointDue) {
      for (const done of this.#waiting.splice(0)) done();
      return;
    }
    this.#timer?.cancel();
    this.#timer = undefined;
    failpoint('commitBeforePreCommitHook');
    const commit = this.#encodeCommit();
    failpoint('commitAfterPreCommitHook');
    const ops = this.#preOps;
    this.#preOps = [];
    const sealing = this.#sealing;
    this.#sealing = undefined;
    const tail = this.#log.tail;
    const chunks = this.#takeWrites(ops);
    ops.push({ kind: 'sync', file: tail.file });
    if (this.#syncDir) ops.push({ kind: 'syncDir', path: this.#dir });
    const settles = this.#syncDir;
    this.#syncDir = false;
    const waiting = this.#waiting.splice(0);
    const image = this.#imageSegment;
    this.#commitInFlight = true;
    const durable = (): void => {
      if (sealing !== undefined) sealing.sealed = true;
      if (settles) this.#tailFresh = false;
      this.#commitInFlight = false;
      this.#durableCommit = commit.number;
      this.#durableIndex = commit.consistentIndex;
      this.#imageDurable = image;
      failpoint('beforeStartDBTxn');
      failpoint('afterStartDBTxn');
      for (const done of waiting) done();
      if (this.#disposed()) return;
      this.#log.pruneChunks(Math.min(recentBytesMax, this.#o.cacheBytes / 8));
      this.#checkpoint?.resume();
      this.#afterCommit();
    };
    failpointThen('beforeCommit', () => {
      if (this.#disposed()) return;
      submitJob(this.#thread, ops, (error) => {
        for (const c of chunks) c.underWay--;
        if (error !== undefined) this.#fail(error);
        else failpointThen('afterCommit', durable);
      });
    });
    try {
      this.#maybeCheckpoint(commit);
      if ((this.#rollWanted || tail.end >= this.#o.segmentBytes) && !this.#tailFresh) this.#roll();
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
      this.#fail(error);
    }
  }

  #disposed(): boolean {
    return this.#closed && !this.#closing;
  }

  #afterCommit(): void {
    if (this.#waiting.length > 0 || this.#ops >= this.#o.batchOps || this.#bytesSinceCommit >= batchBytesMax) this.#deferCommit();
    else if (this.#changed || this.#imageFrom !== undefined || this.#rollWanted || this.#checkpointDue) {
      if (this.#timer === undefined) this.#armTimer();
    }
    this.#maybeRewrite();
  }

  /** Ends what was appended with a commit record. */
  #encodeCommit(): CommitState {
    const log = this.#log;
    this.#flushKills();
    this.#appendImage();
    this.#size.commit();
    const commit: CommitState = {
      number: this.#commitNumber + 1,
      at: log.end,
      before: this.#commitEnd,
      consistentIndex: this.#consistentIndex,
      consistentTerm: this.#consistentTerm,
      confState: this.#confState,
      lastMain: this.#lastMain,
      liveRows: this.#liveRows,
      rowCost: this.#size.rows,
      highWaterPages: this.#size.highWater,
      bucketBytes: this.#size.buckets,
      imageSegment: this.#imageSegment,
    };
    const record = encodeCommit(commit);
    log.appendRecord(record);
    this.#bytesSinceCheckpoint += this.#bytesSinceCommit + record.length;
    this.#commitNumber = commit.number;
    this.#commitEnd = log.end;
    this.#ops = 0;
    this.#bytesSinceCommit = 0;
    this.#changed = false;
    return commit;
  }

  /** Writes records ahead of their commit record; without that they do not count. */
  #writeEarly(): void {
    if (this.#direct || this.#failed !== undefined || this.#thread.pending >= earlyJobsMax) return;
    const ops: DiskOp[] = [];
    const chunks = this.#takeWrites(ops);
    submitJob(this.#thread, ops, (error) => {
      for (const c of chunks) c.underWay--;
      if (error !== undefined) this.#fail(error);
    });
  }

  /** @returns what is on its way with `ops`, and to be told when it is there */
  #takeWrites(ops: DiskOp[]): Chunk[] {
    this.#bytesUnsubmitted = 0;
    const chunks: Chunk[] = [];
    for (const c of this.#log.chunks) {
      if (c.submitted === c.used) continue;
      ops.push({ kind: 'write', file: c.file.file, bytes: c.bytes.subarray(c.submitted, c.used), position: c.base + c.submitted });
      c.submitted = c.used;
      c.underWay++;
      chunks.push(c);
    }
    return chunks;
  }

  /** Leaves the last segment and begins the next, at a commit's end. */
  #roll(): void {
    this.#rollWanted = false;
    this.#tailFresh = true;
    const old = this.#log.tail;
    const footer = old.finish([]);
    this.#preOps.push({ kind: 'write', file: old.file, bytes: footer, position: old.end }, { kind: 'sync', file: old.file });
    this.#sealing = old;
    const next = old.last + 1;
    const header = {
      first: next,
      last: next,
      generation: 0,
      before: this.#commitEnd,
      commitsBefore: this.#commitNumber,
      deadAsOf: logStart,
    };
    this.#log.addTail(LogFile.create(this.#disk, this.#dir, header));
    this.#log.appendRecord(encodeHeader(header));
    this.#syncDir = true;
    // One that is larger than a segment goes on in the next one: begun anew with each segment it would never be whole.
    if (this.#imageFrom === undefined) this.#beginImage();
  }

  #beginImage(): void {
    this.#imageFrom = emptyBytes;
    this.#imageFirst = true;
    this.#imageStart = this.#log.tail.last;
    if (this.#timer === undefined && !this.#closed && !this.#direct) this.#armTimer();
  }

  #appendImage(): void {
    const from = this.#imageFrom;
    if (from === undefined) return;
    let slice: { entries: [Uint8Array, Uint8Array][]; next: Uint8Array | undefined };
    try {
      slice = this.#index.bucketSlice(from, imageSliceBytes);
    } catch (error) {
      this.#repair(error);
      slice = this.#index.bucketSlice(from, imageSliceBytes);
    }
    const record = encodeImage({ first: this.#imageFirst, last: slice.next === undefined, from, to: slice.next, entries: slice.entries });
    this.#log.appendRecord(record);
    this.#bytesSinceCommit += record.length;
    this.#imageFirst = false;
    this.#imageFrom = slice.next;
    if (slice.next === undefined) this.#imageSegment = this.#imageStart;
  }

  #committed(): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#failed !== undefined) reject(this.#failed);
      this.#failures.push(reject);
      this.commit(() => {
        this.#failures.splice(this.#failures.indexOf(reject), 1);
        resolve();
      });
    });
  }
  #failures: ((error: unknown) => void)[] = [];

  #fail(error: DiskError): void {
    if (this.#failed !== undefined) return;
    this.#failed = error;
    this.#o.log.error('the backend cannot be written', { path: error.path, op: error.op, code: error.code });
    for (const reject of this.#failures.splice(0)) reject(error);
    for (const w of this.#checkpointWanted.splice(0)) w.failed(error);
    this.#o.onError?.(error);
  }

  // Checkpoints.

  #maybeCheckpoint(commit: CommitState): void {
    if (this.#checkpoint !== undefined || this.#finalizing) return;
    const wanted =
      this.#checkpointWanted.length > 0 ||
      this.#bytesSinceCheckpoint >= this.#o.checkpointBytes ||
      this.#pages.dirtyPages > this.#pages.dirtyPagesMax;
    if (!wanted) return;
    if (this.#o.verify === true) this.#verifyOrRepair();
    const requests = this.#checkpointWanted.splice(0);
    const snapshot = requests.some((r) => r.snapshot) ? this.#log.snapshot(this.#o.clock.mono()) : undefined;
    if (snapshot !== undefined) this.#log.killsSince = [];
    this.#bytesSinceCheckpoint = 0;
    const end = this.#commitEnd;
    this.#bulk ??= this.#disk.thread('revlog-bulk');
    const run = new CheckpointWriter({
      disk: this.#disk,
      dir: this.#dir,
      clock: this.#o.clock,
      thread: this.#bulk,
      store: this.#pages,
      state: this.#checkpointState(commit, end),
      directory: this.#directoryBytes(),
      commitDurable: () => this.#durableCommit >= commit.number,
      done: (error) => {
        if (this.#checkpoint === run) this.#checkpoint = undefined;
        if (error !== undefined) {
          this.#fail(error);
          for (const r of requests) r.failed(error);
          return;
        }
        for (const r of requests) r.done({ snapshot: r.snapshot ? snapshot : undefined, end });
        if (this.#disposed()) return;
        if (this.#checkpointWanted.length > 0) this.#deferCommit();
        this.#maybeRewrite();
      },
    });
    this.#checkpoint = run;
  }

  /** Someone waits for a checkpoint that can begin. */
  get #checkpointDue(): boolean {
    return this.#checkpointWanted.length > 0 && this.#checkpoint === undefined && !this.#finalizing;
  }

  /** Writes a checkpoint on the calling thread: a build's last step, and in the middle of a long replay. */
  #checkpointNow(commit: CommitState, end: LogPosition): void {
    new CheckpointWriter({
      disk: this.#disk,
      dir: this.#dir,
      clock: this.#o.clock,
      thread: this.#thread,
      store: this.#pages,
      state: this.#checkpointState(commit, end),
      directory: this.#directoryBytes(),
      commitDurable: () => true,
      done: () => undefined,
    }).runNow();
  }

  #directoryBytes(): Buffer {
    const d = this.#log.tail.directory();
    return d.encode(d.count);
  }

  #checkpointState(commit: CommitState, end: LogPosition): Omit<CheckpointState, 'slotCount'> {
    const tail = this.#log.tail;
    return {
      commit: commit.number,
      at: commit.at,
      end,
      pagesName: this.#pagesName,
      roots: this.#index.roots,
      files: this.#log.files.map((f) => ({
        first: f.first,
        last: f.last,
        generation: f.header.generation,
        deadBytes: f.deadBytes,
        bitmaps: [...f.bitmaps],
      })),
      tail: {
        rows: tail.rows,
        rowBytes: tail.rowBytes,
        firstMain: tail.firstMain,
        firstSub: tail.firstSub,
        lastMain: tail.lastMain,
        lastSub: tail.lastSub,
      },
    };
  }

  /** A checkpoint that begins after now, durable. With `snapshot`, what was dead when it began. */
  #checkpointed(snapshot: boolean): Promise<{ snapshot: LogSnapshot | undefined; end: LogPosition }> {
    return new Promise((done, failed) => {
      if (this.#failed !== undefined) failed(this.#failed);
      this.#checkpointWanted.push({ snapshot, done, failed });
      this.#deferCommit();
    });
  }

  // Rewrites.

  #maybeRewrite(): void {
    if (this.#rewriting !== undefined || this.#defrag !== undefined || this.#closed || this.#failed !== undefined) return;
    this.#expireSnapshots();
    if (this.#groups(rewriteDeadShare, Infinity, this.#imageDurable).length === 0) return;
    this.#rewriting = this.#rewriteSession(rewriteDeadShare)
      .catch((error: unknown) => this.#rewriteFailed(error))
      .finally(() => {
        this.#rewriting = undefined;
      });
  }

  #rewriteFailed(error: unknown): void {
    if (this.#disposed()) return;
    if (error instanceof DiskError) this.#fail(error);
    else if (error instanceof CorruptError) {
      this.#o.log.error('a log segment cannot be rewritten', { path: error.path, offset: error.offset, error: error.message });
      this.#corruptSegments.add(error.path);
    } else if (error instanceof IndexPageError || error instanceof SnapshotExpiredError) {
      this.#o.log.warn('a rewrite was given up', { path: this.#dir, error: error.message });
    } else
      this.#o.clock.defer(() => {
        throw error;
      });
  }
  /** Segments that a rewrite found damaged: left as they are, so that reads of sound rows go on. */
  readonly #corruptSegments = new Set<string>();

  /** Neighbours to be rewritten together, all before segment `before`. */
  #groups(share: number, before: number, image: number): LogFile[][] {
    const limit = Math.min(before, image);
    const minDead = share === 0 ? 1 : this.#o.segmentBytes * rewriteMinShare;
    const groups: LogFile[][] = [];
    let group: LogFile[] = [];
    let live = 0;
    let worth = false;
    const flush = (): void => {
      const small = group.length >= 8;
      if (worth || small) groups.push(group);
      group = [];
      live = 0;
      worth = false;
    };
    for (const f of this.#log.files) {
      if (f.last >= limit || !f.sealed || this.#corruptSegments.has(f.path)) {
        flush();
        continue;
      }
      const qualifies = f.deadBytes >= minDead && f.deadBytes >= share * f.end;
      const left = f.end - f.deadBytes;
      if (!qualifies && left > this.#o.segmentBytes / 8) {
        flush();
        continue;
      }
      if (group.length > 0 && live + left > this.#o.segmentBytes) flush();
      group.push(f);
      live += left;
      worth ||= qualifies;
    }
    flush();
    return groups;
  }

  async #rewriteSession(share: number): Promise<void> {
    if (this.#log.retiredBytes > heldBytesMax) return;
    const { snapshot, end } = await this.#checkpointed(true);
    invariant(snapshot !== undefined, 'the checkpoint took a snapshot');
    try {
      const done = new Set<LogFile>();
      for (;;) {
        if (this.#disposed() || this.#failed !== undefined || this.#log.retiredBytes > heldBytesMax) return;
        const group = this.#groups(share, end.segment, this.#imageDurable).find((g) => !g.some((f) => done.has(f)));
        if (group === undefined) return;
        this.#bulk ??= this.#disk.thread('revlog-bulk');
        const file = await rewrite({
          disk: this.#disk,
          dir: this.#dir,
          clock: this.#o.clock,
          thread: this.#bulk,
          log: this.#log,
          files: group,
          snapshot,
          deadAsOf: end,
          committed: () => this.#committed(),
          finalizing: (on) => {
            this.#finalizing = on;
            if (!on && this.#checkpointWanted.length > 0) this.#deferCommit();
          },
        });
        done.add(file);
      }
    } finally {
      snapshot.release();
      this.#log.killsSince = undefined;
    }
  }

  async #defragment(): Promise<void> {
    for (const point of ['defragOpenFileError', 'defragdbFail']) {
      const text = failpoint(point);
      if (text !== undefined) throw new Error(text);
    }
    await failpointPassed('defragBeforeCopy');
    if (this.#disposed()) return;
    await this.#rewriting?.catch(() => undefined);
    if (this.#log.tail.deadBytes > 0) {
      this.#rollWanted = true;
      await this.#committed();
    }
    // The image of the new segment must be whole before older ones lose theirs.
    while (this.#imageFrom !== undefined) await this.#committed();
    await this.#committed();
    if (this.#groups(0, Infinity, this.#imageDurable).length > 0) {
      try {
        await this.#rewriteSession(0);
      } catch (error) {
        this.#rewriteFailed(error);
        throw error;
      }
    }
    await failpointPassed('defragBeforeRename');
    if (this.#disposed()) return;
    this.#size.defragment();
    this.#changed = true;
    await this.#committed();
  }

  #removeFile(file: LogFile): void {
    // Let go of by a reader that `abandon` has sent away: its name may be another store's by the time the disk gets to it. What is left behind goes
    // with the directory, or at the next open.
    if (this.#disposed()) {
      file.file.close();
      return;
    }
    this.#bulk ??= this.#disk.thread('revlog-bulk');
    // Closed first: the last one to let go of a file frees its blocks, and that takes milliseconds.
    file.file.close();
    this.#bulk.submit(
      [
        { kind: 'unlink', path: file.path },
        { kind: 'syncDir', path: this.#dir },
      ],
      (error) => {
        if (error !== undefined) this.#fail(error);
      },
    );
  }

  // Helpers.

  #snapshot(): LogSnapshot {
    return this.#log.snapshot(this.#o.clock.mono());
  }

  #expireSnapshots(): void {
    if (this.#log.snapshots.size === 0) return;
    const now = this.#o.clock.mono();
    for (const s of [...this.#log.snapshots]) if (now - s.bornAt > heldMsMax) s.expire();
  }

  /** Makes a new index when an index page was bad; anything else goes on up. */
  #repair(error: unknown): void {
    if (!(error instanceof IndexPageError)) throw error;
    this.#rebuild(error.message, false);
  }

  #freshPagesName(): string {
    let n = 0;
    for (const name of this.#disk.list(this.#dir)) {
      const m = /^index-([0-9a-f]{8})\.pages$/.exec(name);
      if (m !== null) n = Math.max(n, parseInt(m[1] ?? '0', 16));
    }
    return `index-${(n + 1).toString(16).padStart(8, '0')}.pages`;
  }

  #removeStalePages(): void {
    for (const name of this.#disk.list(this.#dir))
      if (/^index-[0-9a-f]{8}\.pages$/.test(name) && name !== this.#pagesName) this.#disk.unlink(`${this.#dir}/${name}`);
  }

  // Building.

  get #load(): IndexLoad {
    return (this.#loading ??= new IndexLoad(this.#index));
  }

  /** Writes what there is on the calling thread; only in a build. */
  #flushDirect(): void {
    if (this.#log.tail.end >= this.#o.segmentBytes) {
      this.#encodeCommit();
      this.#roll();
      if (this.#sealing !== undefined) this.#sealing.sealed = true;
      this.#sealing = undefined;
    }
    this.#writeDirect();
  }

  #writeDirect(): void {
    const ops = this.#preOps.splice(0);
    const chunks = this.#takeWrites(ops);
    for (const op of ops) if (op.kind === 'write') op.file.write(op.bytes, op.position);
    for (const c of chunks) c.underWay--;
    this.#bytesSinceCommit = 0;
    this.#log.pruneChunks(0);
  }

  /** Ends a build: everything durable, index included, and closed. */
  finishDirect(): void {
    invariant(this.#direct, 'only a build ends so');
    try {
      this.#loading?.flush();
    } catch (error) {
      this.#repair(error);
    }
    this.#loading = undefined;
    this.#flushDirect();
    while (this.#imageFrom !== undefined) this.#appendImage();
    const commit = this.#encodeCommit();
    // Nothing may follow the commit that the checkpoint shows.
    this.#writeDirect();
    for (const f of this.#log.files) f.file.sync();
    this.#disk.syncDir(this.#dir);
    this.#durableCommit = commit.number;
    if (this.#o.verify === true) this.#verify();
    this.#checkpointNow(commit, this.#commitEnd);
    this.abandon();
  }

  #verifyOrRepair(): void {
    try {
      this.#verify();
    } catch (error) {
      this.#repair(error);
      this.#verify();
    }
  }

  /** Costly: the whole index, and that it shows exactly the rows of the log that are not dead. */
  #verify(): void {
    let versions = 0;
    this.#index.verify((_key, version) => {
      versions++;
      invariant(version.main <= this.#lastMain, 'no version is newer than the store', { main: version.main });
    });
    invariant(versions === this.#liveRows, 'live rows and versions are the same', { versions, liveRows: this.#liveRows });
    this.#pages.verify();
    let rows = 0;
    let dead = 0;
    for (const f of this.#log.files) {
      rows += f.rows;
      dead += f.deadBytes;
      invariant(f.deadBytes <= f.rowBytes, 'no more rows are dead than there are', { path: f.path, dead: f.deadBytes, bytes: f.rowBytes });
    }
    invariant(rows >= versions && (dead > 0 || rows === versions), 'rows that are not dead have versions', { rows, versions, dead });
  }
}

/** After an open the sub revision of the newest row is not known; the next write has a higher main revision. */
const subAny = 0xffffffff;

/** What bbolt takes for a row: element header, revision key and value. */
function elementBytes(recordBytes: number): number {
  return recordBytes - recordHeader + 16;
}

function resetRows(f: LogFile): void {
  f.rows = 0;
  f.rowBytes = 0;
  f.setDirectory(new RowDirectory());
}

/** Puts the meta keys that the commit record carries among the others. */
function withMeta(
  list: [Uint8Array, Uint8Array][],
  state: { readonly consistentIndex: number; readonly consistentTerm: number; readonly confState: ConfState | undefined },
): [Uint8Array, Uint8Array][] {
  const own: [Uint8Array, Uint8Array][] = [];
  if (state.confState !== undefined) own.push([Buffer.from('confState', 'latin1'), confStateJson(state.confState)]);
  if (state.consistentIndex > 0) own.push([Buffer.from('consistent_index', 'latin1'), encodeMetaIndex(state.consistentIndex)]);
  if (state.consistentTerm > 0) own.push([Buffer.from('term', 'latin1'), encodeMetaIndex(state.consistentTerm)]);
  return [...list, ...own].sort((a, b) => Buffer.compare(a[0], b[0]));
}

class RepairingCursor implements VersionCursor {
  readonly #inner: VersionCursor;
  readonly #repair: (error: unknown) => void;

  constructor(inner: VersionCursor, repair: (error: unknown) => void) {
    this.#inner = inner;
    this.#repair = repair;
  }

  next(): boolean {
    try {
      return this.#inner.next();
    } catch (error) {
      this.#repair(error);
      return this.#inner.next();
    }
  }
  fill(list: VersionList, max: number): void {
    try {
      this.#inner.fill(list, max);
    } catch (error) {
      this.#repair(error);
      this.#inner.fill(list, max);
    }
  }
  get key(): Uint8Array {
    return this.#inner.key;
  }
  get version(): Version {
    return this.#inner.version;
  }
}

class LogView implements BackendView {
  readonly #backend: LogBackend;
  readonly #scan: (lent: boolean) => LogScan;
  readonly #snapshot: LogSnapshot;
  readonly #onRelease: () => void;
  /** Entries as they were, of those that changed since. */
  readonly #former = new Map<number, Map<string, { key: Uint8Array; value: Uint8Array | undefined }>>();
  readonly consistentIndex: number;
  readonly consistentTerm: number;
  readonly confState: ConfState | undefined;
  readonly rowCount: number;
  #released = false;

  constructor(backend: LogBackend, scan: (lent: boolean) => LogScan, snapshot: LogSnapshot, rowCount: number, onRelease: () => void) {
    this.#backend = backend;
    this.#scan = scan;
    this.#snapshot = snapshot;
    this.#onRelease = onRelease;
    this.consistentIndex = backend.consistentIndex;
    this.consistentTerm = backend.consistentTerm;
    this.confState = backend.confState;
    this.rowCount = rowCount;
  }

  rows(options?: { readonly lent?: boolean }): RowScan {
    invariant(!this.#released, 'the view is held');
    return this.#scan(options?.lent === true);
  }

  entries(bucket: BucketName): [Uint8Array, Uint8Array][] {
    invariant(!this.#released, 'the view is held');
    let list = this.#backend.entries(bucket);
    const former = this.#former.get(bucketNames.indexOf(bucket));
    const own = new Set(bucket === 'meta' ? ['consistent_index', 'term', 'confState'] : []);
    if (own.size > 0) list = list.filter(([k]) => !own.has(Buffer.from(k).latin1Slice()));
    if (former !== undefined) {
      list = list.filter(([k]) => !former.has(Buffer.from(k).latin1Slice()));
      for (const { key, value } of former.values()) if (value !== undefined) list.push([key, value]);
      list.sort((a, b) => Buffer.compare(a[0], b[0]));
    }
    return own.size > 0 ? withMeta(list, this) : list;
  }

  entriesFrom(
    bucket: BucketName,
    from: Uint8Array,
    bytesMax: number,
  ): { entries: [Uint8Array, Uint8Array][]; next: Uint8Array | undefined } {
    invariant(!this.#released, 'the view is held');
    if (bucket === 'meta') return { entries: this.entries(bucket), next: undefined };
    const { entries, next } = this.#backend.entriesFrom(bucket, from, bytesMax);
    const former = this.#former.get(bucketNames.indexOf(bucket));
    if (former === undefined) return { entries, next };
    const list = entries.filter(([k]) => !former.has(Buffer.from(k).latin1Slice()));
    for (const { key, value } of former.values())
      if (value !== undefined && Buffer.compare(key, from) >= 0 && (next === undefined || Buffer.compare(key, next) < 0))
        list.push([key, value]);
    return { entries: list.sort((a, b) => Buffer.compare(a[0], b[0])), next };
  }

  /** Called before an entry changes for the first time. */
  keepEntry(bucket: number, key: Uint8Array, value: Uint8Array | undefined): void {
    let former = this.#former.get(bucket);
    if (former === undefined) this.#former.set(bucket, (former = new Map()));
    const name = Buffer.from(key).latin1Slice();
    if (!former.has(name)) former.set(name, { key, value });
  }

  release(): void {
    if (this.#released) return;
    this.#released = true;
    this.#onRelease();
    if (!this.#snapshot.expired) this.#snapshot.release();
  }
}

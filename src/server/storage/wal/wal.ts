/**
 * The write-ahead log: what a member promised to raft, durable.
 *
 * Saves are encoded at once and written in groups: one job is in flight (write and fdatasync on the log's own disk thread), and what arrives
 * meanwhile is the next. A segment that is full is closed and its successor opened within the job of the batch that filled it, so that no
 * record ever waits for a file to be made. A failed write or sync is the end: the owner is told to stop the member, and nothing more is
 * written or acknowledged (rules F-1, F-2).
 */
import type { Clock } from '../../../base/clock.ts';
import { DiskError, type Disk, type DiskFile, type DiskOp, type DiskThread } from '../../../base/disk.ts';
import { failpointThen } from '../../../base/failpoint.ts';
import { invariant } from '../../../base/invariant.ts';
import type { Log } from '../../../base/log.ts';
import type { Entry, HardState } from '../../../raft/types.ts';
import { WalError } from './errors.ts';
import { RecordType, segmentBytesDefault, segmentName } from './format.ts';
import { RecordWriter } from './record-writer.ts';
import { tearOff, writeLostLengths } from './repair.ts';
import {
  encodeSnapshotRecord,
  knowsSnapshot,
  listSegments,
  replay,
  segmentsFrom,
  type OpenedSegment,
  type Replay,
  type WalSnapshot,
} from './replay.ts';
import { SpareMaker } from './spare.ts';

/** First size of each of the two batch buffers: about 200 small entries; they grow with what comes. */
const batchBytesInitial = 1 << 16;
/** Unsynced hard states kept back before they are written anyway. */
const unsyncedBytesMax = 1 << 16;
/** Batches up to this are brief jobs of the disk thread: a few small entries. */
const briefBytesMax = 2048;
/** A sync that takes longer is warned of. */
const slowSyncMs = 1000;

export interface WalOptions {
  readonly disk: Disk;
  readonly clock: Clock;
  /** Folder of the segments. */
  readonly dir: string;
  readonly log: Log;
  /** A failed write or sync: the member must stop. Called once. No `done` of the failed or a later save is ever called. */
  readonly onFatal: (error: DiskError) => void;
  readonly observer?: WalObserver;
  /** Size at which a segment is closed; smaller only in tests and simulations. */
  readonly segmentBytes?: number;
}

/** Figures for metrics. */
export interface WalObserver {
  /** Duration of one batch's syncs. */
  synced(ms: number): void;
  /** One batch: its bytes, and the time from its hand-over to the disk until it was done, syncs left out. */
  wrote(bytes: number, ms: number): void;
}

/** A log opened for writing, and what was in it. */
export interface OpenedWal extends Replay {
  readonly wal: WAL;
  /** Set when a torn tail was cut off (rule F-4): to be counted. */
  readonly repair: { readonly path: string; readonly bytesRemoved: number } | undefined;
}

type Done = () => void;

/** Records encoded and not yet handed to the disk. */
interface Batch {
  readonly writer: RecordWriter;
  /** In order of the saves. The first `unsyncedFirst` of them wait for nothing but the batch in flight. */
  callbacks: Done[];
  unsyncedFirst: number;
  mustSync: boolean;
}

export class WAL {
  readonly #options: WalOptions;
  readonly #disk: Disk;
  readonly #dir: string;
  readonly #log: Log;
  readonly #segmentBytes: number;
  readonly #metadata: Uint8Array;
  readonly #thread: DiskThread;
  readonly #spares: SpareMaker;
  /** Oldest first; the last one is written to. Held open for their locks. */
  readonly #segments: OpenedSegment[];
  /** Where the next batch goes in the last segment. */
  #position: number;
  #filling: Batch = newBatch();
  #writing: Batch = newBatch();
  /** Callbacks of saves that waited for nothing: run in a turn of their own, and before those of later saves. */
  #deferred: Done[] = [];
  #inFlight = false;
  /** Of the last save. */
  #alone = false;
  #submittedAtMs = 0;
  #state: HardState;
  #lastIndex: number;
  #failed = false;
  #closed = false;
  #onIdle: (() => void) | undefined;

  /** Use `create` or `open`. */
  private constructor(
    options: WalOptions,
    from: {
      readonly metadata: Uint8Array;
      readonly segments: OpenedSegment[];
      readonly position: number;
      readonly crc: number;
      readonly state: HardState;
      readonly lastIndex: number;
    },
  ) {
    this.#options = options;
    this.#disk = options.disk;
    this.#dir = options.dir;
    this.#log = options.log;
    this.#segmentBytes = options.segmentBytes ?? segmentBytesDefault;
    this.#metadata = from.metadata;
    this.#segments = from.segments;
    this.#position = from.position;
    this.#state = from.state;
    this.#lastIndex = from.lastIndex;
    this.#filling.writer.crc = from.crc;
    this.#thread = options.disk.thread('wal');
    this.#spares = new SpareMaker({ disk: options.disk, dir: options.dir, log: options.log, segmentBytes: this.#segmentBytes });
  }

  /**
   * Makes a new log, durable when this returns (rule D-11): built in `DIR.tmp`, then renamed. Synchronous, for start-up.
   *
   * @param metadata  `etcdserverpb.Metadata`; the same in every segment.
   * @throws WalError `exists`; DiskError
   */
  static create(options: WalOptions, metadata: Uint8Array): WAL {
    const { disk, dir } = options;
    if (disk.stat(dir) !== undefined && listSegments(disk, dir).length !== 0)
      throw new WalError('exists', 'a log is there already', { path: dir });
    const building = `${dir}.tmp`;
    disk.removeTree(building);
    disk.mkdir(building, 0o700);
    const name = segmentName(0, 0);
    const file = disk.open(`${building}/${name}`, { write: true, create: true, exclusive: true, mode: 0o600 });
    try {
      if (!file.lock()) throw new WalError('locked', 'another process holds the segment', { path: file.path });
      const writer = new RecordWriter(4096);
      writer.crcRecord();
      writer.record(RecordType.metadata, metadata);
      writer.record(RecordType.snapshot, encodeSnapshotRecord({ index: 0, term: 0 }));
      // The first segment is a hole up to its full length: no start waits for 64 MB of zeros. Its successors are filled ahead.
      file.truncate(options.segmentBytes ?? segmentBytesDefault);
      file.write(writer.bytes.subarray(0, writer.length), 0);
      file.sync();
      disk.syncDir(building);
      // Over an empty folder, but never over somebody's files.
      disk.rename(building, dir);
      try {
        disk.syncDir(parentOf(dir));
      } catch (error) {
        if (error instanceof DiskError) setAside(options);
        throw error;
      }
      return new WAL(options, {
        metadata: metadata.slice(),
        segments: [{ name, sequence: 0, index: 0, path: `${dir}/${name}`, file }],
        position: writer.length,
        crc: writer.crc,
        state: { term: 0, vote: 0n, commit: 0 },
        lastIndex: 0,
      });
    } catch (error) {
      file.close();
      throw error;
    }
  }

  /** Whether `dir` holds a log. */
  static exists(disk: Disk, dir: string): boolean {
    return disk.stat(dir)?.isDirectory === true && listSegments(disk, dir).length !== 0;
  }

  /**
   * Opens a log for writing behind what is in it. Takes the locks of its segments, cuts off a torn tail (F-4), and refuses a log that is
   * corrupt (F-5), has gaps, or ends before its own commit index (F-6). Synchronous, for start-up.
   *
   * @param start  the snapshot that the state machine restarts from; index 0 for none.
   * @throws WalError, DiskError
   */
  static open(options: WalOptions, start: WalSnapshot): OpenedWal {
    const { disk, dir, log } = options;
    const segments: OpenedSegment[] = [];
    try {
      for (const name of segmentsFrom(disk, dir, start.index)) {
        const path = `${dir}/${name.name}`;
        const file = disk.open(path, { write: true });
        segments.push({ ...name, path, file });
        if (!file.lock()) throw new WalError('locked', 'another process holds the segment', { path });
      }
      const { result, tail } = replay(segments, start);
      const last = segments[segments.length - 1] as OpenedSegment;
      if (!knowsSnapshot(result, start))
        throw new WalError('snapshot-not-found', `no record of snapshot ${start.index} at term ${start.term}`, { path: dir });
      // Its record was written, but a crash came before the commit index that makes it count (rule D-8).
      if (result.hardState.commit < start.index)
        throw new WalError('snapshot-not-found', `snapshot ${start.index} is above the commit index ${result.hardState.commit}`, {
          path: dir,
        });
      if (result.hardState.commit > result.lastIndex)
        throw new WalError('ends-early', `the log ends at index ${result.lastIndex}, below its commit index ${result.hardState.commit}`, {
          path: last.path,
          offset: tail.offset,
          record: tail.count,
        });
      const segmentBytes = options.segmentBytes ?? segmentBytesDefault;
      writeLostLengths(last.file, tail.lostLengths, log);
      let repair: OpenedWal['repair'];
      if (result.torn !== undefined) {
        repair = { path: last.path, bytesRemoved: tearOff(disk, last, { offset: tail.offset, segmentBytes }) };
        log.warn('repaired WAL: cut off a torn tail', { path: last.path, offset: tail.offset, 'bytes-removed': repair.bytesRemoved });
      } else if (last.file.size() < segmentBytes) {
        // Cut short in an orderly way, by another program: the rest is a hole.
        last.file.truncate(segmentBytes);
      }
      for (const name of disk.list(dir)) if (/^\d+\.tmp$/.test(name)) disk.unlink(`${dir}/${name}`);
      // What was read may be in the system's memory alone: a process that was killed before its sync left it there, a new segment's name too.
      // From here on it counts as durable.
      last.file.sync();
      disk.syncDir(dir);
      disk.syncDir(parentOf(dir));
      const wal = new WAL(options, {
        metadata: result.metadata,
        segments,
        position: tail.offset,
        crc: tail.crc,
        state: result.hardState,
        lastIndex: result.lastIndex,
      });
      return { ...result, wal, repair };
    } catch (error) {
      for (const s of segments) s.file.close();
      throw error;
    }
  }

  /** Entries up to here were saved. */
  get lastIndex(): number {
    return this.#lastIndex;
  }

  /** Segments held, oldest first. */
  get segmentNames(): string[] {
    return this.#segments.map((s) => s.name);
  }

  /**
   * Appends entries, then the hard state, as one batch.
   *
   * @param entries   contiguous, the first at most last index + 1; an overlap replaces the tail. Their data must never change.
   * @param state     undefined or all zero when it did not change.
   * @param mustSync  whether `done` waits for the disk. Entries, a new term or a new vote are synced in any case; a commit index alone is
   *                  kept back and written with what comes next, as it may be lost.
   * @param done      called once, in the order of the saves, never before `save` returns. Not called when the disk failed or after `close`.
   * @param alone     nothing is done elsewhere while this is written: a member without others.
   * Order: nothing that acknowledges these entries may leave this member before `done` (rule D-1).
   */
  save(entries: readonly Entry[], state: HardState | undefined, mustSync: boolean, done: Done, alone = false): void {
    if (this.#failed || this.#closed) return;
    this.#alone = alone;
    const batch = this.#filling;
    let sync = mustSync;
    if (entries.length !== 0) {
      this.#encodeEntries(batch.writer, entries);
      sync = true;
    }
    if (state !== undefined && (state.term !== 0 || state.vote !== 0n || state.commit !== 0)) {
      if (state.term !== this.#state.term || state.vote !== this.#state.vote) sync = true;
      this.#state = { term: state.term, vote: state.vote, commit: state.commit };
      batch.writer.state(state);
    }
    this.#enqueue(sync, done);
  }

  /** Appends the record of a snapshot whose file is durable (rules D-7, D-8); always synced. `confState` is required but for index 0. */
  saveSnapshot(snapshot: WalSnapshot, done: Done): void {
    invariant(snapshot.index === 0 || snapshot.confState !== undefined, 'a snapshot record has a configuration', { index: snapshot.index });
    if (this.#failed || this.#closed) return;
    this.#filling.writer.record(RecordType.snapshot, encodeSnapshotRecord(snapshot));
    this.#lastIndex = Math.max(this.#lastIndex, snapshot.index);
    this.#enqueue(true, done);
  }

  /**
   * Lets go of the segments that no reader from `index` on needs: all older than the last one that begins at or below it. They stay on
   * disk until `purge`.
   */
  releaseTo(index: number): void {
    const segments = this.#segments;
    while (segments.length > 1 && (segments[1] as OpenedSegment).index <= index) {
      // A job in flight keeps its descriptor.
      (segments.shift() as OpenedSegment).file.close();
    }
  }

  /**
   * Removes the oldest segments that nobody holds until `keep` are left. Returns the names that are being removed.
   * @param keep  0 for no limit (`--max-wals`).
   */
  purge(keep: number): string[] {
    if (keep === 0 || this.#failed || this.#closed) return [];
    const all = listSegments(this.#disk, this.#dir);
    const held = (this.#segments[0] as OpenedSegment).sequence;
    const removed: string[] = [];
    for (const segment of all.slice(0, Math.max(0, all.length - keep))) {
      const path = `${this.#dir}/${segment.name}`;
      if (segment.sequence >= held || !isFree(this.#disk, path)) break;
      removed.push(segment.name);
      this.#spares.thread().submit([{ kind: 'unlink', path }], (error) => {
        if (error === undefined) this.#log.info('purged', { path });
        // Asked for twice before the first was done.
        else if (error.code !== 'ENOENT') this.#log.warn('failed to purge WAL file', { path, error: error.message });
      });
    }
    return removed;
  }

  /** Writes and syncs what is left, lets the callbacks run, gives the locks back. Resolves as well after a failure. */
  close(): Promise<void> {
    if (this.#closed) return Promise.resolve();
    return new Promise((resolve) => {
      const finish = (): void => {
        this.#runDeferred();
        this.#closed = true;
        this.#thread.close();
        for (const s of this.#segments) s.file.close();
        this.#spares.close(resolve);
      };
      if (this.#failed) {
        finish();
        return;
      }
      this.#onIdle = finish;
      // The last commit index may still be held back.
      if (this.#filling.writer.length !== 0) this.#filling.mustSync = true;
      this.#pump();
    });
  }

  #encodeEntries(writer: RecordWriter, entries: readonly Entry[]): void {
    let index = (entries[0] as Entry).Index;
    invariant(index >= 1 && index <= this.#lastIndex + 1, 'entries follow the log', { first: index, last: this.#lastIndex });
    for (const entry of entries) {
      invariant(entry.Index === index, 'entries are contiguous', { index: entry.Index, wanted: index });
      writer.entry(entry);
      index++;
    }
    this.#lastIndex = index - 1;
  }

  #enqueue(sync: boolean, done: Done): void {
    const batch = this.#filling;
    if (sync) batch.mustSync = true;
    else if (!this.#inFlight && !batch.mustSync) {
      // Nothing to wait for.
      this.#deferred.push(done);
      if (this.#deferred.length === 1) this.#options.clock.defer(this.#runDeferred);
      if (batch.writer.length >= unsyncedBytesMax) this.#submit();
      return;
    } else if (!batch.mustSync) batch.unsyncedFirst++;
    batch.callbacks.push(done);
    this.#pump();
  }

  #pump(): void {
    if (this.#inFlight || this.#failed || this.#closed) return;
    if (this.#filling.mustSync) this.#submit();
    else if (this.#onIdle !== undefined) {
      const idle = this.#onIdle;
      this.#onIdle = undefined;
      idle();
    }
  }

  /** Hands the filling batch to the disk. */
  #submit(): void {
    const batch = this.#filling;
    this.#filling = this.#writing;
    this.#writing = batch;
    this.#inFlight = true;
    const { writer, mustSync } = batch;
    const segment = this.#segments[this.#segments.length - 1] as OpenedSegment;
    const ops: DiskOp[] = [{ kind: 'write', file: segment.file, bytes: writer.bytes.subarray(0, writer.length), position: this.#position }];
    this.#position += writer.length;
    this.#filling.writer.crc = writer.crc;
    if (this.#position >= this.#segmentBytes) {
      if (!this.#addCut(ops, segment)) return;
    } else if (mustSync) ops.push({ kind: 'sync', file: segment.file });
    const brief = this.#alone && writer.length <= briefBytesMax && ops.length <= 2;
    const run = (): void => {
      this.#submittedAtMs = this.#options.clock.mono();
      this.#thread.submit(ops, this.#written, brief);
    };
    if (ops.length > 1) failpointThen('walBeforeSync', run);
    else run();
  }

  /**
   * Closes the full segment and opens the next one (rule D-10): old one cut to its length and synced; new one with its header synced under a
   * temporary name, then renamed, then the folder synced.
   */
  #addCut(ops: DiskOp[], full: OpenedSegment): boolean {
    const name = segmentName(full.sequence + 1, this.#lastIndex + 1);
    const path = `${this.#dir}/${name}`;
    let spare: { readonly path: string; readonly file: DiskFile };
    try {
      spare = this.#spares.take();
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
      this.#fail(error);
      return false;
    }
    const header = new RecordWriter(4096);
    header.crc = this.#filling.writer.crc;
    header.crcRecord();
    header.record(RecordType.metadata, this.#metadata);
    if (this.#state.term !== 0 || this.#state.vote !== 0n || this.#state.commit !== 0) header.state(this.#state);
    ops.push(
      { kind: 'truncate', file: full.file, bytes: this.#position },
      { kind: 'sync', file: full.file },
      { kind: 'truncate', file: spare.file, bytes: this.#segmentBytes },
      { kind: 'write', file: spare.file, bytes: header.bytes.subarray(0, header.length), position: 0 },
      { kind: 'sync', file: spare.file },
      { kind: 'rename', from: spare.path, to: path },
      { kind: 'syncDir', path: this.#dir },
    );
    this.#segments.push({ name, sequence: full.sequence + 1, index: this.#lastIndex + 1, path, file: spare.file });
    this.#position = header.length;
    this.#filling.writer.crc = header.crc;
    return true;
  }

  readonly #written = (error: DiskError | undefined, syncMs: number): void => {
    if (error !== undefined) {
      this.#fail(error);
      return;
    }
    const batch = this.#writing;
    const { observer } = this.#options;
    if (observer !== undefined) {
      observer.wrote(batch.writer.length, Math.max(0, this.#options.clock.mono() - this.#submittedAtMs - syncMs));
      if (batch.mustSync) observer.synced(syncMs);
    }
    if (syncMs > slowSyncMs) this.#log.warn('slow fdatasync', { took: `${syncMs / 1000}s`, 'expected-duration': `${slowSyncMs / 1000}s` });
    if (batch.mustSync) failpointThen('walAfterSync', () => this.#finish(batch));
    else this.#finish(batch);
  };

  readonly #runDeferred = (): void => {
    const deferred = this.#deferred;
    this.#deferred = [];
    if (!this.#failed && !this.#closed) for (const done of deferred) done();
  };

  #finish(batch: Batch): void {
    this.#runDeferred();
    const callbacks = batch.callbacks;
    batch.callbacks = [];
    batch.unsyncedFirst = 0;
    batch.mustSync = false;
    batch.writer.reset();
    this.#inFlight = false;
    // Saves that arrived meanwhile go to the disk before the callbacks, which take their time.
    const next = this.#filling;
    const ready = next.unsyncedFirst === 0 ? [] : next.callbacks.splice(0, next.unsyncedFirst);
    next.unsyncedFirst = 0;
    if (next.mustSync) this.#submit();
    for (const done of callbacks) done();
    for (const done of ready) done();
    this.#spares.advance(this.#position);
    this.#pump();
  }

  #fail(cause: DiskError): void {
    if (this.#failed) return;
    this.#failed = true;
    // A segment's open file still goes by the name it was made under.
    const segment = this.#segments.find((s) => s.file.path === cause.path);
    const error = segment === undefined ? cause : new DiskError({ code: cause.code, op: cause.op, path: segment.path, cause });
    this.#log.error('failed to write WAL', { error: error.message });
    this.#options.onFatal(error);
    const idle = this.#onIdle;
    this.#onIdle = undefined;
    idle?.();
  }
}

function newBatch(): Batch {
  return { writer: new RecordWriter(batchBytesInitial), callbacks: [], unsyncedFirst: 0, mustSync: false };
}

function parentOf(path: string): string {
  const at = path.lastIndexOf('/');
  return at < 0 ? '.' : at === 0 ? '/' : path.slice(0, at);
}

/** A log whose creation failed half-way is kept under another name. */
function setAside(options: WalOptions): void {
  const stamp = new Date(options.clock.wall()).toISOString();
  const [day, time] = [stamp.slice(0, 10).replaceAll('-', ''), stamp.slice(11, 19).replaceAll(':', '')];
  const broken = `${options.dir}.broken.${day}.${time}.${stamp.slice(20, 23)}000`;
  try {
    options.disk.rename(options.dir, broken);
  } catch (error) {
    // The error that led here is the one to report.
    options.log.error('failed to rename the broken WAL directory', { path: options.dir, error: String(error) });
  }
}

/** Whether no process holds the segment. */
function isFree(disk: Disk, path: string): boolean {
  const file = disk.open(path, { write: true });
  try {
    return file.lock();
  } finally {
    file.close();
  }
}

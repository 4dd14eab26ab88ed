/**
 * The checkpoint of the index: which page lies where, as of which commit of the log, in one small file.
 *
 * `index.ckpt`, replaced as a whole (temporary file, sync, rename, sync of the directory):
 *
 *   0  8 bytes "TSINDEX3": the last digit goes up with every change of the pages' layout, and the index is then built again from the log
 *   8 u32 CRC-32 (zlib's, native) of everything behind;  12 u32 bytes of the whole file
 *  16 u32 bytes of a JSON text, the text (`CheckpointState`)
 *     u32 page count, then u32 slot + 1 of each page number (0 = free number), then u32 CRC-32 of each page
 *     directory of the last segment as in a footer
 */
import { crc32 } from 'node:zlib';
import { failpoint } from '../../../base/failpoint.ts';
import type { Disk, DiskFile, DiskOp, DiskThread } from '../../../base/disk.ts';
import { DiskError } from '../../../base/disk.ts';
import type { Clock } from '../../../base/clock.ts';
import type { IndexRoots } from '../index/key-index.ts';
import type { PageStore, PageTable } from '../index/page-store.ts';
import type { LogPosition } from './format.ts';
import { RowDirectory } from './log-file.ts';

const magic = 'TSINDEX3';
export const checkpointName = 'index.ckpt';

/** A segment file as the checkpoint knew it. */
export interface CheckpointFile {
  readonly first: number;
  readonly last: number;
  readonly generation: number;
  readonly deadBytes: number;
  readonly bitmaps: readonly number[];
}

/** The row statistics of the last segment, which has no trailer yet. */
export interface TailState {
  readonly rows: number;
  readonly rowBytes: number;
  readonly firstMain: number;
  readonly firstSub: number;
  readonly lastMain: number;
  readonly lastSub: number;
}

export interface CheckpointState {
  /** The commit it shows: its number, where its record starts and where it ends. */
  readonly commit: number;
  readonly at: LogPosition;
  readonly end: LogPosition;
  readonly pagesName: string;
  readonly slotCount: number;
  readonly roots: IndexRoots;
  readonly files: readonly CheckpointFile[];
  readonly tail: TailState;
}

export interface LoadedCheckpoint {
  readonly state: CheckpointState;
  readonly table: PageTable;
  readonly directory: RowDirectory;
}

export function encodeCheckpoint(state: Omit<CheckpointState, 'slotCount'>, table: PageTable, directory: Buffer): Buffer {
  const text = Buffer.from(JSON.stringify({ ...state, slotCount: table.slotCount }), 'utf8');
  const n = table.pageCount;
  const b = Buffer.allocUnsafeSlow(16 + 4 + text.length + 4 + 8 * n + directory.length);
  b.latin1Write(magic, 0);
  b.writeUInt32LE(b.length, 12);
  let o = b.writeUInt32LE(text.length, 16);
  o += text.copy(b, o);
  o = b.writeUInt32LE(n, o);
  o += Buffer.from(table.slots.buffer, table.slots.byteOffset, 4 * n).copy(b, o);
  o += Buffer.from(table.crcs.buffer, table.crcs.byteOffset, 4 * n).copy(b, o);
  directory.copy(b, o);
  b.writeUInt32LE(crc32(b.subarray(12)), 8);
  return b;
}

/** Undefined when the file is missing, damaged or of another layout; `why` says so. */
export function loadCheckpoint(disk: Disk, dir: string): { loaded: LoadedCheckpoint | undefined; why: string } {
  const path = `${dir}/${checkpointName}`;
  const stat = disk.stat(path);
  if (stat === undefined) return { loaded: undefined, why: 'there is no index checkpoint' };
  const file = disk.open(path, { write: false });
  const b = Buffer.allocUnsafeSlow(stat.bytes);
  const read = file.read(b, 0);
  file.close();
  const damaged = { loaded: undefined, why: 'the index checkpoint is damaged' };
  if (read !== b.length || b.length < 24 || b.latin1Slice(0, 7) !== magic.slice(0, 7) || b.readUInt32LE(12) !== b.length) return damaged;
  // The checksum would vouch for pages that this program reads differently.
  if (b.latin1Slice(0, 8) !== magic) return { loaded: undefined, why: 'the index checkpoint is of another layout' };
  if (crc32(b.subarray(12)) !== b.readUInt32LE(8)) return damaged;
  const textBytes = b.readUInt32LE(16);
  const state = JSON.parse(b.utf8Slice(20, 20 + textBytes)) as CheckpointState;
  let o = 20 + textBytes;
  const pageCount = b.readUInt32LE(o);
  o += 4;
  const slots = new Uint32Array(pageCount);
  const crcs = new Uint32Array(pageCount);
  b.copy(Buffer.from(slots.buffer), 0, o, o + 4 * pageCount);
  b.copy(Buffer.from(crcs.buffer), 0, o + 4 * pageCount, o + 8 * pageCount);
  const directory = RowDirectory.decode(b, o + 8 * pageCount);
  return { loaded: { state, table: { pageCount, slots, crcs, slotCount: state.slotCount }, directory }, why: '' };
}

/** Pages copied in one slice: about 0.5 ms. */
const slicePages = 128;
/** Bytes of index pages on their way to the disk at a time: bounds the copies held in memory. */
const inFlightBytesMax = 4 * 1024 * 1024;

export interface CheckpointRun {
  readonly disk: Disk;
  readonly dir: string;
  readonly clock: Clock;
  readonly thread: DiskThread;
  readonly store: PageStore;
  readonly state: Omit<CheckpointState, 'slotCount'>;
  /** Of the last segment, with the entries it had then. */
  readonly directory: Buffer;
  /** Whether the commit that the checkpoint shows is durable by now; `resume` is called when it has become so. */
  readonly commitDurable: () => boolean;
  readonly done: (error: DiskError | undefined) => void;
}

/** One checkpoint on its way to the disk: pages in slices, then the descriptor. */
export class CheckpointWriter {
  readonly #run: CheckpointRun;
  #inFlight = 0;
  #stepping = true;
  #scheduled = false;
  #finishing = false;
  cancelled = false;

  constructor(run: CheckpointRun) {
    this.#run = run;
    run.store.beginCheckpoint();
    this.#schedule();
  }

  /** Looks again whether something can go on. */
  resume(): void {
    if (this.cancelled) return;
    if (this.#stepping) this.#schedule();
    else if (this.#inFlight === 0 && !this.#finishing && this.#run.commitDurable()) this.#finish();
  }

  /** Forgets the checkpoint; writes under way are harmless. */
  cancel(): void {
    this.cancelled = true;
  }

  /** Does the rest on the calling thread, for the end of a build. */
  runNow(): void {
    const { store } = this.#run;
    for (let more = true; more;) {
      more = store.stepCheckpoint(slicePages);
      const { ops, buffers } = store.takeCheckpointOps();
      for (const op of ops) if (op.kind === 'write') op.file.write(op.bytes, op.position);
      store.giveBack(buffers);
    }
    this.cancelled = true;
    store.file.sync();
    const path = `${this.#run.dir}/${checkpointName}`;
    const file = this.#run.disk.open(`${path}.tmp`, { write: true, create: true, truncate: true });
    file.write(encodeCheckpoint(this.#run.state, store.checkpointTable(), this.#run.directory), 0);
    file.sync();
    file.close();
    this.#run.disk.rename(`${path}.tmp`, path);
    this.#run.disk.syncDir(this.#run.dir);
    store.endCheckpoint();
  }

  #schedule(): void {
    if (this.#scheduled || this.#inFlight >= inFlightBytesMax) return;
    this.#scheduled = true;
    this.#run.clock.defer(() => {
      this.#scheduled = false;
      if (!this.cancelled) this.#slice();
    });
  }

  #slice(): void {
    const { store } = this.#run;
    this.#stepping = store.stepCheckpoint(slicePages);
    const { ops, bytes, buffers } = store.takeCheckpointOps();
    if (ops.length > 0) {
      failpoint('checkpointBeforePages');
      this.#inFlight += bytes;
      submitJob(this.#run.thread, ops, (error) => {
        this.#inFlight -= bytes;
        if (error === undefined) store.giveBack(buffers);
        this.#after(error);
      });
    }
    this.resume();
  }

  #after(error: DiskError | undefined): void {
    if (error !== undefined) {
      this.cancelled = true;
      this.#run.done(error);
    } else this.resume();
  }

  #finish(): void {
    this.#finishing = true;
    failpoint('checkpointBeforePublish');
    const { disk, dir, store, thread } = this.#run;
    const path = `${dir}/${checkpointName}`;
    const bytes = encodeCheckpoint(this.#run.state, store.checkpointTable(), this.#run.directory);
    let file: DiskFile;
    try {
      file = disk.open(`${path}.tmp`, { write: true, create: true, truncate: true });
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
      this.#run.done(error);
      return;
    }
    const ops: DiskOp[] = [
      { kind: 'sync', file: store.file },
      { kind: 'write', file, bytes, position: 0 },
      { kind: 'sync', file },
      { kind: 'rename', from: `${path}.tmp`, to: path },
      { kind: 'syncDir', path: dir },
    ];
    thread.submit(ops, (error) => {
      file.close();
      if (this.cancelled) return;
      failpoint('checkpointAfterPublish');
      if (error === undefined) store.endCheckpoint();
      this.#run.done(error);
    });
  }
}

/** Operations in one job of a disk thread: its ring is finite, and a job larger than the ring would wait for ever. */
const jobOpsMax = 64;

/** Submits as few jobs as the thread can take; `done` is called once, with the first error. */
export function submitJob(thread: DiskThread, ops: readonly DiskOp[], done: (error: DiskError | undefined) => void): void {
  let first: DiskError | undefined;
  for (let from = 0; ; from += jobOpsMax) {
    const last = from + jobOpsMax >= ops.length;
    thread.submit(last && from === 0 ? ops : ops.slice(from, from + jobOpsMax), (error) => {
      first ??= error;
      if (last) done(first);
    });
    if (last) return;
  }
}

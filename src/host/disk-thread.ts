/**
 * The event loop's side of a disk thread.
 *
 * A job costs the loop a few stores, one futex wake and, on the way back, one message for all jobs that finished meanwhile. Bytes in a
 * `SharedArrayBuffer` are written from where they are; others are copied once into shared memory (20 ns for 300 bytes when it is many). There is
 * only so much of that: a long job goes to the thread in parts.
 */
import { getSystemErrorName } from 'node:util';
import { Worker, SHARE_ENV } from 'node:worker_threads';
import { DiskError, type DiskFile, type DiskOp, type DiskThread } from '../base/disk.ts';
import { invariant } from '../base/invariant.ts';
import * as ring from './disk-ring.ts';
import { workerUrl } from './worker-url.ts';

/** Shared memory into which private bytes are copied, a piece: what a busy log writes at a time. */
const stagingBytes = 1 << 18;
/**
 * Pieces at most: 4 MiB a thread. They are made as they are needed and used again until the thread ends; what finds none free waits. Memory
 * that both sides let go of would come back only when the worker's collector runs, which for want of other garbage is after gigabytes.
 */
const stagingPiecesMax = 16;
/** Bytes of a job that the thread is given at a time: the first of a long one are written while the next are copied. */
const partBytesMax = 1 << 20;

/**
 * Brief jobs are run in place while a sync takes no longer than this on average, ms: a wake-up of the thread and one of the loop cost some 30 µs
 * each, on a quick device as much as the sync itself.
 */
export const quickSyncMsDefault = 0.5;
/** Jobs that the average looks back on, and that must have passed since a sync that would hold up the loop. */
const quickSyncsMin = 32;
const heldUpMsMin = 5;
/** Each sync in place that did hold it up makes them so many times as many. */
const quickSyncsGrowth = 8;

export type JobDone = (error: DiskError | undefined, syncMs: number) => void;

interface Staging {
  readonly bytes: Uint8Array;
  /** Parts in the ring with bytes in it. */
  parts: number;
}

interface Job {
  readonly ops: readonly DiskOp[];
  readonly done: JobDone;
  readonly owner: Handle;
  /** The first operation that is not in the ring, and how many of its bytes are. */
  next: number;
  written: number;
  error: DiskError | undefined;
  syncMs: number;
}

/** What of a job went into the ring at a time: all of it unless it is long. */
interface Part {
  readonly job: Job;
  readonly slots: number;
  /** Where its bytes were copied to. */
  readonly staged: readonly Staging[];
  readonly last: boolean;
}

/** What a thread needs to know of the files it is given. */
export interface ThreadFile extends DiskFile {
  readonly fd: number;
  /** The descriptor stays open until as many `releaseFd` calls came. */
  retainFd(): void;
  releaseFd(): void;
}

/** One worker, shared by all handles of one name. */
export class SharedDiskThread {
  readonly name: string;
  readonly #skipSyncs: boolean;
  readonly #quickSyncMs: number;
  readonly #heldUpMs: number;
  readonly #onEnd: () => void;
  readonly #worker: Worker;
  readonly #ring: ring.DiskRing;
  readonly #buffers: (SharedArrayBuffer | undefined)[] = [];
  readonly #generations: number[] = new Array<number>(ring.bufferSlots).fill(0);
  #nextBuffer = 0;
  /** The piece that is being filled. */
  #staging: Staging | undefined;
  #stagingUsed = 0;
  readonly #stagingFree: Staging[] = [];
  #stagingPieces = 0;
  /** In the ring. */
  #running: Part[] = [];
  #runningFrom = 0;
  /** What each slot of the ring was filled for. */
  readonly #slotOps: (DiskOp | undefined)[] = new Array<DiskOp | undefined>(ring.opSlots).fill(undefined);
  /** Not yet in the ring, or the first of them in part: no slot or no memory is free. */
  readonly #waiting: Job[] = [];
  /** Given to the thread and not yet done. */
  #jobs = 0;
  #submitted = 0;
  #completed = 0;
  #handles = 0;
  /** Average of what a job's syncs take, ms. */
  #syncMs = 0;
  /** Jobs with syncs since one that took longer than `#heldUpMs`. */
  #quickSyncs = 0;
  #quickSyncsWanted = quickSyncsMin;
  /** Jobs run in place whose `done` is yet to come. */
  #inPlace = 0;
  #broken: DiskError | undefined;

  constructor(options: { readonly name: string; readonly skipSyncs: boolean; readonly quickSyncMs: number; readonly onEnd: () => void }) {
    this.name = options.name;
    this.#skipSyncs = options.skipSyncs;
    this.#quickSyncMs = options.quickSyncMs;
    this.#heldUpMs = Math.max(heldUpMsMin, options.quickSyncMs);
    this.#onEnd = options.onEnd;
    const memory = new SharedArrayBuffer(ring.ringBytes);
    this.#ring = ring.ringOver(memory);
    const workerData: ring.DiskWorkerData = { memory };
    this.#worker = new Worker(workerUrl('disk'), {
      name: `disk:${options.name}`,
      workerData,
      env: SHARE_ENV,
      execArgv: [],
      trackUnmanagedFds: false,
      // It holds a few small objects; without a limit each thread's heap may grow to gigabytes before it is swept.
      resourceLimits: { maxYoungGenerationSizeMb: 2, maxOldGenerationSizeMb: 32 },
    });
    this.#worker.on('message', () => this.#drain());
    this.#worker.on('error', (error) => this.#break(error));
    this.#worker.on('exit', () => this.#break(undefined));
    this.#worker.unref();
  }

  handle(): DiskThread {
    this.#handles++;
    return new Handle(this);
  }

  submit(job: Job, brief: boolean): void {
    for (const op of job.ops) if ('file' in op) (op.file as ThreadFile).retainFd();
    if (brief && this.#isQuick && this.#pending === 0 && this.#broken === undefined) {
      this.#runInPlace(job);
      return;
    }
    // A process with work under way stays until it is done.
    if (this.#jobs === 0) this.#worker.ref();
    this.#jobs++;
    this.#waiting.push(job);
    this.#startWaiting();
    if (this.#broken !== undefined) setImmediate(() => this.#failAll());
  }

  get #isQuick(): boolean {
    return this.#quickSyncs >= this.#quickSyncsWanted && this.#syncMs <= this.#quickSyncMs;
  }

  #noteSync(ms: number): void {
    this.#syncMs += (ms - this.#syncMs) / quickSyncsMin;
    this.#quickSyncs = ms > this.#heldUpMs ? 0 : this.#quickSyncs + 1;
  }

  #runInPlace(job: Job): void {
    let error: DiskError | undefined;
    let syncMs = 0;
    for (const op of job.ops) {
      try {
        if (op.kind === 'write') op.file.write(op.bytes, op.position);
        else {
          invariant(op.kind === 'sync', 'a brief job writes and syncs', { op: op.kind });
          const start = performance.now();
          op.file.sync();
          syncMs += performance.now() - start;
        }
      } catch (cause) {
        if (!(cause instanceof DiskError)) throw cause;
        error = cause;
        break;
      }
    }
    if (syncMs > this.#heldUpMs) this.#quickSyncsWanted *= quickSyncsGrowth;
    this.#inPlace++;
    process.nextTick(() => {
      this.#inPlace--;
      this.#settle(job, error, syncMs);
    });
  }

  /** The last handle's end is the worker's. */
  release(): void {
    if (--this.#handles > 0) return;
    this.#onEnd();
    if (this.#pending === 0) this.#end();
  }

  get #pending(): number {
    return this.#jobs + this.#inPlace;
  }

  #end(): void {
    if (this.#broken !== undefined) return;
    this.#setOp(ring.opCode.exit, -1, undefined);
    this.#publish();
  }

  /** Moves what waits into the ring, in order, as far as there is room. */
  #startWaiting(): void {
    let started = false;
    for (let job = this.#waiting[0]; job !== undefined && this.#broken === undefined; job = this.#waiting[0]) {
      const last = this.#startPart(job);
      if (last === undefined) break;
      started = true;
      if (last) this.#waiting.shift();
    }
    if (started) this.#publish();
  }

  /** Whether it was the job's last part; undefined when there is no room for anything. */
  #startPart(job: Job): boolean | undefined {
    if (this.#running.length === this.#runningFrom) this.#stagingUsed = 0;
    // One slot is kept for the end of the thread.
    const free = ring.opSlots - 1 - ((this.#submitted - this.#completed) | 0);
    const staged: Staging[] = [];
    const first = this.#submitted;
    let bytes = 0;
    if (free > 0 && (job.ops.length === 0 || job.error !== undefined)) {
      // What is left of a failed job is not run; the thread learns where it ends.
      job.next = job.ops.length;
      this.#setOp(ring.opCode.nothing, -1, undefined);
    }
    while (job.next < job.ops.length && ((this.#submitted - first) | 0) < free && bytes < partBytesMax) {
      const op = job.ops[job.next] as DiskOp;
      if (op.kind === 'write') {
        const n = this.#encodeWrite(op, job.written, staged);
        if (n === undefined) break;
        bytes += n;
        job.written += n;
        if (job.written < op.bytes.length) continue;
        job.written = 0;
      } else this.#encode(op);
      job.next++;
    }
    const slots = (this.#submitted - first) | 0;
    if (slots === 0) return undefined;
    const last = job.next === job.ops.length;
    const at = ((this.#submitted - 1) & (ring.opSlots - 1)) * ring.opInts + ring.lastAt;
    this.#ring.ops[at] = last ? ring.last.ofJob : ring.last.ofPart;
    this.#running.push({ job, slots, staged, last });
    return last;
  }

  #publish(): void {
    const { control } = this.#ring;
    Atomics.store(control, ring.submittedAt, this.#submitted);
    Atomics.notify(control, ring.submittedAt, 1);
  }

  /** Takes the next slot; returns its number. */
  #setOp(code: number, fd: number, op: DiskOp | undefined): number {
    const slot = this.#submitted & (ring.opSlots - 1);
    this.#slotOps[slot] = op;
    const { ops, durations } = this.#ring;
    const at = slot * ring.opInts;
    ops[at + ring.codeAt] = code;
    ops[at + ring.fdAt] = fd;
    ops[at + ring.statusAt] = 0;
    ops[at + ring.lastAt] = ring.last.no;
    durations[slot] = 0;
    this.#submitted = (this.#submitted + 1) | 0;
    return slot;
  }

  #encode(op: Exclude<DiskOp, { kind: 'write' }>): void {
    const { positions } = this.#ring;
    switch (op.kind) {
      case 'sync':
        this.#setOp(this.#skipSyncs ? ring.opCode.nothing : ring.opCode.sync, (op.file as ThreadFile).fd, op);
        return;
      case 'truncate':
        positions[this.#setOp(ring.opCode.truncate, (op.file as ThreadFile).fd, op)] = op.bytes;
        return;
      case 'allocate':
        positions[this.#setOp(ring.opCode.allocate, (op.file as ThreadFile).fd, op)] = op.bytes;
        return;
      case 'rename':
        this.#setOp(ring.opCode.rename, -1, op);
        this.#tell({ paths: [op.from, op.to] });
        return;
      case 'unlink':
        this.#setOp(ring.opCode.unlink, -1, op);
        this.#tell({ paths: [op.path] });
        return;
      case 'syncDir':
        if (this.#skipSyncs) this.#setOp(ring.opCode.nothing, -1, op);
        else {
          this.#setOp(ring.opCode.syncDir, -1, op);
          this.#tell({ paths: [op.path] });
        }
        return;
    }
  }

  /** Encodes a write from byte `from` on, as many bytes as one piece takes. @returns how many; undefined when no memory is free */
  #encodeWrite(op: Extract<DiskOp, { kind: 'write' }>, from: number, staged: Staging[]): number | undefined {
    const bytes =
      op.bytes.length === 0 || op.bytes.buffer instanceof SharedArrayBuffer ? op.bytes : this.#stage(op.bytes.subarray(from), staged);
    if (bytes === undefined) return undefined;
    const slot = this.#setOp(bytes.length === 0 ? ring.opCode.nothing : ring.opCode.write, (op.file as ThreadFile).fd, op);
    if (bytes.length === 0) return 0;
    this.#ring.positions[slot] = op.position + from;
    const buffer = bytes.buffer as SharedArrayBuffer;
    let known = this.#buffers.indexOf(buffer);
    if (known === -1) {
      known = this.#nextBuffer;
      this.#nextBuffer = (known + 1) % ring.bufferSlots;
      this.#buffers[known] = buffer;
      const generation = ((this.#generations[known] as number) + 1) | 0;
      this.#generations[known] = generation;
      this.#tell({ buffer, slot: known, generation });
    }
    const { ops } = this.#ring;
    const at = slot * ring.opInts;
    ops[at + ring.bufferSlotAt] = known;
    ops[at + ring.bufferGenerationAt] = this.#generations[known] as number;
    ops[at + ring.offsetAt] = bytes.byteOffset;
    ops[at + ring.lengthAt] = bytes.length;
    return bytes.length;
  }

  /**
   * A copy in shared memory of what fits into one piece; undefined when none is free. Aligned: V8 copies to shared memory word by word, but byte
   * by byte when the two ends are not in step.
   */
  #stage(bytes: Uint8Array, staged: Staging[]): Uint8Array | undefined {
    let from = ((this.#stagingUsed + 7) & ~7) + (bytes.byteOffset & 7);
    let staging = this.#staging;
    if (staging === undefined || from + bytes.length > stagingBytes) {
      if (staging === undefined || staging.parts > 0) {
        // Writes under way keep the former one.
        staging = this.#takeStaging();
        if (staging === undefined) return undefined;
        this.#staging = staging;
      }
      from = bytes.byteOffset & 7;
    }
    if (!staged.includes(staging)) {
      staging.parts++;
      staged.push(staging);
    }
    const n = Math.min(bytes.length, stagingBytes - from);
    const view = staging.bytes.subarray(from, from + n);
    view.set(n === bytes.length ? bytes : bytes.subarray(0, n));
    this.#stagingUsed = from + n;
    return view;
  }

  #takeStaging(): Staging | undefined {
    const free = this.#stagingFree.pop();
    if (free !== undefined || this.#stagingPieces === stagingPiecesMax) return free;
    this.#stagingPieces++;
    return { bytes: new Uint8Array(new SharedArrayBuffer(stagingBytes)), parts: 0 };
  }

  #tell(message: ring.RingMessage): void {
    this.#worker.postMessage(message);
  }

  #drain(): void {
    // The flag goes down before the counter is read: a job that ends after this sends a message of its own.
    Atomics.store(this.#ring.control, ring.wokenAt, 0);
    const completed = Atomics.load(this.#ring.control, ring.completedAt);
    while (this.#completed !== completed) {
      const part = this.#running[this.#runningFrom] as Part;
      this.#runningFrom++;
      if (this.#runningFrom === this.#running.length || this.#runningFrom === ring.opSlots) {
        this.#running = this.#running.slice(this.#runningFrom);
        this.#runningFrom = 0;
      }
      this.#finish(part);
    }
    this.#startWaiting();
  }

  #finish(part: Part): void {
    const { job } = part;
    const { ops, durations } = this.#ring;
    for (let i = 0; i < part.slots; i++) {
      const slot = (this.#completed + i) & (ring.opSlots - 1);
      const status = ops[slot * ring.opInts + ring.statusAt] as number;
      job.syncMs += durations[slot] as number;
      if (status < 0) job.error = new DiskError({ code: errnoName(status), ...subject(this.#slotOps[slot] as DiskOp) });
      this.#slotOps[slot] = undefined;
    }
    this.#completed = (this.#completed + part.slots) | 0;
    for (const staging of part.staged) if (--staging.parts === 0 && staging !== this.#staging) this.#stagingFree.push(staging);
    if (!part.last) return;
    this.#jobs--;
    this.#settle(job, job.error, job.syncMs);
  }

  #settle(job: Job, error: DiskError | undefined, syncMs: number): void {
    if (syncMs > 0) this.#noteSync(syncMs);
    for (const op of job.ops) if ('file' in op) (op.file as ThreadFile).releaseFd();
    job.owner.pending--;
    if (this.#jobs === 0) this.#worker.unref();
    if (this.#pending === 0 && this.#handles === 0) this.#end();
    job.done(error, syncMs);
  }

  /** The worker is gone: after the end of its last handle that is in order, else every job fails. */
  #break(cause: unknown): void {
    if (this.#broken !== undefined) return;
    this.#drain();
    this.#broken = new DiskError({ code: 'EIO', op: 'thread', path: this.name, cause });
    this.#failAll();
  }

  #failAll(): void {
    // A long job is in several parts, and may be waiting with the rest of them.
    const jobs = new Set([...this.#running.slice(this.#runningFrom).map((part) => part.job), ...this.#waiting.splice(0)]);
    this.#running = [];
    this.#runningFrom = 0;
    for (const job of jobs) {
      this.#jobs--;
      this.#settle(job, this.#broken, 0);
    }
  }
}

class Handle implements DiskThread {
  readonly #thread: SharedDiskThread;
  #closed = false;
  pending = 0;

  constructor(thread: SharedDiskThread) {
    this.#thread = thread;
  }

  submit(ops: readonly DiskOp[], done: JobDone, brief = false): void {
    invariant(!this.#closed, 'a job goes to an open thread', { thread: this.#thread.name });
    this.pending++;
    this.#thread.submit({ ops, done, owner: this, next: 0, written: 0, error: undefined, syncMs: 0 }, brief);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#thread.release();
  }
}

function errnoName(errno: number): string {
  const name = getSystemErrorName(errno);
  return /^E[A-Z0-9]+$/.test(name) ? name : 'EIO';
}

function subject(op: DiskOp): { op: string; path: string } {
  if ('file' in op) return { op: op.kind, path: op.file.path };
  return { op: op.kind, path: op.kind === 'rename' ? op.from : op.path };
}

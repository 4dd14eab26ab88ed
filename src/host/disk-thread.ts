/**
 * The event loop's side of a disk thread.
 *
 * A job costs the loop a few stores, one futex wake and, on the way back, one message for all jobs that finished meanwhile. Bytes in a
 * `SharedArrayBuffer` are written from where they are; others are copied once into shared memory (20 ns for 300 bytes when it is many).
 */
import { getSystemErrorName } from 'node:util';
import { Worker, SHARE_ENV } from 'node:worker_threads';
import { DiskError, type DiskFile, type DiskOp, type DiskThread } from '../base/disk.ts';
import { invariant } from '../base/invariant.ts';
import * as ring from './disk-ring.ts';
import { workerUrl } from './worker-url.ts';

/** Shared memory into which private bytes are copied: what a busy log writes at a time. */
const stagingBytesMin = 1 << 18;
/** It grows up to this with what is written; a larger write gets memory of its own, given back after it. */
const stagingBytesMax = 1 << 22;
/**
 * Staging memory kept for the next burst. Without it each burst would take new memory, and what both sides have let go of is given back only
 * when the worker's collector runs, which for want of other garbage happens every hundred megabytes.
 */
const stagingFreeBytesMax = 1 << 22;

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
  /** Jobs in the ring with bytes in it. */
  jobs: number;
}

interface Job {
  readonly ops: readonly DiskOp[];
  readonly done: JobDone;
  readonly owner: Handle;
  /** Where its bytes were copied to. */
  staged: Staging[] | undefined;
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
  #staging: Staging | undefined;
  #stagingUsed = 0;
  /** Of the job being started. */
  #staged: Staging[] | undefined;
  readonly #stagingFree: Staging[] = [];
  #stagingFreeBytes = 0;
  /** In the ring. */
  #running: Job[] = [];
  #runningFrom = 0;
  /** Not yet in the ring, which is full. */
  #waiting: Job[] = [];
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
    if (this.#pending === 0) this.#worker.ref();
    if (this.#waiting.length !== 0 || this.#broken !== undefined || !this.#hasRoom(job)) this.#waiting.push(job);
    else this.#start(job);
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
    return this.#running.length - this.#runningFrom + this.#waiting.length + this.#inPlace;
  }

  #end(): void {
    if (this.#broken !== undefined) return;
    this.#setOp(ring.opCode.exit, -1);
    this.#publish();
  }

  #hasRoom(job: Job): boolean {
    // One slot is kept for the end of the thread.
    const free = ring.opSlots - 1 - ((this.#submitted - this.#completed) | 0);
    return Math.max(job.ops.length, 1) <= free;
  }

  #start(job: Job): void {
    const ops = job.ops;
    invariant(ops.length < ring.opSlots, 'a job fits into the ring', { ops: ops.length });
    if (this.#running.length === this.#runningFrom) this.#stagingUsed = 0;
    if (ops.length === 0) this.#setOp(ring.opCode.nothing, -1);
    for (const op of ops) this.#encode(op);
    job.staged = this.#staged;
    this.#staged = undefined;
    const last = (this.#submitted - 1) & (ring.opSlots - 1);
    this.#ring.ops[last * ring.opInts + ring.lastAt] = 1;
    this.#running.push(job);
    this.#publish();
  }

  #publish(): void {
    const { control } = this.#ring;
    Atomics.store(control, ring.submittedAt, this.#submitted);
    Atomics.notify(control, ring.submittedAt, 1);
  }

  /** Takes the next slot; returns its number. */
  #setOp(code: number, fd: number): number {
    const slot = this.#submitted & (ring.opSlots - 1);
    const { ops, durations } = this.#ring;
    const at = slot * ring.opInts;
    ops[at + ring.codeAt] = code;
    ops[at + ring.fdAt] = fd;
    ops[at + ring.statusAt] = 0;
    ops[at + ring.lastAt] = 0;
    durations[slot] = 0;
    this.#submitted = (this.#submitted + 1) | 0;
    return slot;
  }

  #encode(op: DiskOp): void {
    const { positions } = this.#ring;
    switch (op.kind) {
      case 'write': {
        const slot = this.#setOp(ring.opCode.write, (op.file as ThreadFile).fd);
        positions[slot] = op.position;
        this.#setBytes(slot, op.bytes);
        return;
      }
      case 'sync':
        this.#setOp(this.#skipSyncs ? ring.opCode.nothing : ring.opCode.sync, (op.file as ThreadFile).fd);
        return;
      case 'truncate':
        positions[this.#setOp(ring.opCode.truncate, (op.file as ThreadFile).fd)] = op.bytes;
        return;
      case 'allocate':
        positions[this.#setOp(ring.opCode.allocate, (op.file as ThreadFile).fd)] = op.bytes;
        return;
      case 'rename':
        this.#setOp(ring.opCode.rename, -1);
        this.#tell({ paths: [op.from, op.to] });
        return;
      case 'unlink':
        this.#setOp(ring.opCode.unlink, -1);
        this.#tell({ paths: [op.path] });
        return;
      case 'syncDir':
        if (this.#skipSyncs) this.#setOp(ring.opCode.nothing, -1);
        else {
          this.#setOp(ring.opCode.syncDir, -1);
          this.#tell({ paths: [op.path] });
        }
        return;
    }
  }

  #setBytes(slot: number, bytes: Uint8Array): void {
    const shared = bytes.buffer instanceof SharedArrayBuffer ? bytes : this.#stage(bytes);
    const buffer = shared.buffer as SharedArrayBuffer;
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
    ops[at + ring.offsetAt] = shared.byteOffset;
    ops[at + ring.lengthAt] = shared.length;
  }

  /** A copy in shared memory. Aligned: V8 copies to shared memory word by word, but byte by byte when the two ends are not in step. */
  #stage(bytes: Uint8Array): Uint8Array {
    if (bytes.length > stagingBytesMax) {
      const own = new Uint8Array(new SharedArrayBuffer(bytes.length));
      own.set(bytes);
      return own;
    }
    let from = ((this.#stagingUsed + 7) & ~7) + (bytes.byteOffset & 7);
    let staging = this.#staging;
    if (staging === undefined || from + bytes.length > staging.bytes.length) {
      from = bytes.byteOffset & 7;
      // Writes under way keep the former one.
      staging = this.#takeStaging(from + bytes.length);
      this.#staging = staging;
    }
    if (this.#staged?.includes(staging) !== true) {
      staging.jobs++;
      (this.#staged ??= []).push(staging);
    }
    const view = staging.bytes.subarray(from, from + bytes.length);
    view.set(bytes);
    this.#stagingUsed = from + bytes.length;
    return view;
  }

  #takeStaging(bytesMin: number): Staging {
    const former = this.#staging;
    if (former !== undefined && former.jobs === 0) this.#freeStaging(former);
    const at = this.#stagingFree.findIndex((s) => s.bytes.length >= bytesMin);
    const [free] = at < 0 ? [] : this.#stagingFree.splice(at, 1);
    if (free !== undefined) {
      this.#stagingFreeBytes -= free.bytes.length;
      return free;
    }
    let size = Math.max(stagingBytesMin, former?.bytes.length ?? 0);
    while (size < bytesMin) size *= 2;
    return { bytes: new Uint8Array(new SharedArrayBuffer(size)), jobs: 0 };
  }

  #freeStaging(staging: Staging): void {
    if (this.#stagingFreeBytes + staging.bytes.length > stagingFreeBytesMax) return;
    this.#stagingFree.push(staging);
    this.#stagingFreeBytes += staging.bytes.length;
  }

  #tell(message: ring.RingMessage): void {
    this.#worker.postMessage(message);
  }

  #drain(): void {
    // The flag goes down before the counter is read: a job that ends after this sends a message of its own.
    Atomics.store(this.#ring.control, ring.wokenAt, 0);
    const completed = Atomics.load(this.#ring.control, ring.completedAt);
    while (this.#completed !== completed) {
      const job = this.#running[this.#runningFrom] as Job;
      this.#runningFrom++;
      if (this.#runningFrom === this.#running.length || this.#runningFrom === ring.opSlots) {
        this.#running = this.#running.slice(this.#runningFrom);
        this.#runningFrom = 0;
      }
      this.#finish(job);
    }
    while (this.#waiting.length !== 0 && this.#hasRoom(this.#waiting[0] as Job)) this.#start(this.#waiting.shift() as Job);
  }

  #finish(job: Job): void {
    const { ops, durations } = this.#ring;
    let error: DiskError | undefined;
    let syncMs = 0;
    for (let i = 0; i < Math.max(job.ops.length, 1); i++) {
      const slot = (this.#completed + i) & (ring.opSlots - 1);
      const status = ops[slot * ring.opInts + ring.statusAt] as number;
      syncMs += durations[slot] as number;
      if (status < 0) error = new DiskError({ code: errnoName(status), ...subject(job.ops[i] as DiskOp) });
    }
    this.#completed = (this.#completed + Math.max(job.ops.length, 1)) | 0;
    this.#settle(job, error, syncMs);
  }

  #settle(job: Job, error: DiskError | undefined, syncMs: number): void {
    for (const staging of job.staged ?? []) if (--staging.jobs === 0 && staging !== this.#staging) this.#freeStaging(staging);
    job.staged = undefined;
    if (syncMs > 0) this.#noteSync(syncMs);
    for (const op of job.ops) if ('file' in op) (op.file as ThreadFile).releaseFd();
    job.owner.pending--;
    if (this.#pending === 0) {
      this.#worker.unref();
      if (this.#handles === 0) this.#end();
    }
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
    const jobs = [...this.#running.slice(this.#runningFrom), ...this.#waiting];
    this.#running = [];
    this.#runningFrom = 0;
    this.#waiting = [];
    for (const job of jobs) this.#settle(job, this.#broken, 0);
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
    this.#thread.submit({ ops, done, owner: this, staged: undefined }, brief);
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

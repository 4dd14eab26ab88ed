/**
 * The simulated disk: every file has a durable part and pending changes, every folder too. A sync makes a file's pending changes durable,
 * `syncDir` a folder's names. At a crash each pending change is kept, lost, or (a write) torn: any subset of its 512-byte sectors stays, so
 * that later writes may survive earlier ones; sectors that did not stay hold what was there before, or zeros.
 *
 * Faults come from one seeded stream, drawn in the order of operations. A crash at the k-th changing operation: `crashAt = k`.
 */
import { copyBytes } from '../../src/base/bytes.ts';
import type { Clock } from '../../src/base/clock.ts';
import {
  DiskError,
  type Disk,
  type DiskFile,
  type DiskLock,
  type DiskOp,
  type DiskStat,
  type DiskThread,
  type OpenOptions,
} from '../../src/base/disk.ts';
import { runDiskOp } from '../../src/base/memory-disk.ts';
import type { Random } from '../../src/base/random.ts';
import { SparseBytes } from '../../src/base/sparse-bytes.ts';

const sectorBytes = 512;
const blockBytes = 4096;

/** Knobs; probabilities are per operation. All off by default. */
export interface DiskFaults {
  /** Added to each sync of a thread: at least `latencyMinMs`, plus an exponential with mean `latencyMeanMs`. */
  latencyMinMs: number;
  latencyMeanMs: number;
  /** A sync of a thread that takes between `stallMinMs` and `stallMaxMs`. */
  stall: number;
  stallMinMs: number;
  stallMaxMs: number;
  /** EIO with no effect. */
  writeError: number;
  /** EIO, after which the pending pages count as clean: they are read back until the crash, and never become durable. */
  syncError: number;
  /** One flipped bit in what a read returns. */
  readFlip: number;
  /** A write that lands elsewhere in the same file, a multiple of 4096 bytes away. */
  misdirect: number;
  /** Syncs do nothing. Only for showing that the checker notices. */
  lyingSync: boolean;
  /** Bytes that may still be taken before ENOSPC. */
  freeBytes: number;
  /** What becomes of pending changes at a crash. */
  crashKeeps: 'random' | 'all' | 'nothing';
}

export const noFaults: Readonly<DiskFaults> = {
  latencyMinMs: 0,
  latencyMeanMs: 0,
  stall: 0,
  stallMinMs: 2_000,
  stallMaxMs: 10_000,
  writeError: 0,
  syncError: 0,
  readFlip: 0,
  misdirect: 0,
  lyingSync: false,
  freeBytes: 2 ** 40,
  crashKeeps: 'random',
};

/** Thrown by the operation at which the machine went down, and by every use of handles from before it. */
export class SimCrash extends Error {
  constructor() {
    super('simulated crash');
  }
}

type Pending =
  { readonly kind: 'write'; readonly position: number; readonly bytes: Uint8Array } | { readonly kind: 'size'; readonly bytes: number };

class SimInode {
  readonly mode: number;
  /** What programs see. */
  current = new SparseBytes();
  durable = new SparseBytes();
  pending: Pending[] = [];
  lockedBy: object | undefined;
  /** 4096-byte blocks that were paid for. */
  readonly blocks = new Set<number>();

  constructor(mode: number) {
    this.mode = mode;
  }
}

class SimDir {
  readonly mode: number;
  current = new Map<string, SimNode>();
  durable = new Map<string, SimNode>();

  constructor(mode: number) {
    this.mode = mode;
  }
}

type SimNode = SimInode | SimDir;

/** A change of names, atomic: durable as a whole once one of its folders is synced. */
interface NameChange {
  readonly removed: readonly { readonly dir: SimDir; readonly name: string }[];
  readonly added: readonly { readonly dir: SimDir; readonly name: string; readonly node: SimNode }[];
}

export interface SimDiskOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly faults?: Partial<DiskFaults>;
}

export class SimDisk implements Disk {
  readonly clock: Clock;
  readonly random: Random;
  readonly faults: DiskFaults;
  readonly #root = new SimDir(0o755);
  #changes: NameChange[] = [];
  /** Changing operations so far: creations, writes, truncations, syncs, renames, unlinks. */
  operations = 0;
  /** The operation with this number does not complete: the machine goes down in it. */
  crashAt: number | undefined;
  /** Called when an operation brings the machine down, before `SimCrash` is thrown: whoever catches that, the machine is off. */
  onCrash: (() => void) | undefined;
  /** Goes up with every crash; handles of an earlier one are dead. */
  epoch = 0;
  /** How often each fault struck. */
  readonly struck = { writeError: 0, syncError: 0, readFlip: 0, misdirect: 0, noSpace: 0, stall: 0, torn: 0, lost: 0, kept: 0 };

  constructor(options: SimDiskOptions) {
    this.clock = options.clock;
    this.random = options.random;
    this.faults = { ...noFaults, ...options.faults };
  }

  // Power.

  /** The machine goes down now: what is pending is kept, lost or torn, all handles die, all locks are free. The disk can be used at once. */
  crash(): void {
    this.epoch++;
    this.crashAt = undefined;
    for (const change of this.#changes) if (this.#keeps()) applyChange(change, 'durable');
    this.#changes = [];
    const settled = new Set<SimNode>();
    const settle = (dir: SimDir): void => {
      dir.current = new Map(dir.durable);
      for (const node of dir.durable.values()) {
        if (settled.has(node)) continue;
        settled.add(node);
        if (node instanceof SimDir) settle(node);
        else this.#settleFile(node);
      }
    };
    settle(this.#root);
  }

  /** The process is killed and the machine stays up: handles die and locks are free; what was written is still read, and still not durable. */
  kill(): void {
    this.epoch++;
    this.crashAt = undefined;
    const unlock = (dir: SimDir): void => {
      for (const node of dir.current.values()) {
        if (node instanceof SimDir) unlock(node);
        else node.lockedBy = undefined;
      }
    };
    unlock(this.#root);
  }

  /** Makes everything durable: the state before a test's scenario. */
  settle(): void {
    for (const change of this.#changes) applyChange(change, 'durable');
    this.#changes = [];
    const walk = (dir: SimDir): void => {
      for (const node of dir.current.values()) {
        if (node instanceof SimDir) walk(node);
        else {
          node.durable = node.current.clone();
          node.pending = [];
        }
      }
    };
    walk(this.#root);
  }

  /** Flips one bit of a file at rest. */
  flipBit(path: string, offset: number, bit: number): void {
    const node = this.#find(path);
    if (!(node instanceof SimInode)) throw new Error(`no file ${path}`);
    for (const content of [node.current, node.durable]) {
      const byte = new Uint8Array(1);
      if (content.read(byte, offset) === 0) continue;
      byte[0] = (byte[0] as number) ^ (1 << bit);
      content.write(byte, offset);
    }
  }

  /** What a crash that loses everything pending would leave of a file; undefined when its name is not durable. */
  durableBytes(path: string): Uint8Array | undefined {
    let node: SimNode | undefined = this.#root;
    for (const name of partsOf(path)) node = node instanceof SimDir ? node.durable.get(name) : undefined;
    if (!(node instanceof SimInode)) return undefined;
    const bytes = new Uint8Array(node.durable.length);
    node.durable.read(bytes, 0);
    return bytes;
  }

  // The seam.

  mkdir(path: string, mode: number): void {
    let dir = this.#root;
    for (const name of partsOf(path)) {
      let next = dir.current.get(name);
      if (next === undefined) {
        next = new SimDir(mode);
        this.#change({ removed: [], added: [{ dir, name, node: next }] });
      }
      if (!(next instanceof SimDir)) throw new DiskError({ code: 'ENOTDIR', op: 'mkdir', path });
      dir = next;
    }
  }

  open(path: string, options: OpenOptions): DiskFile {
    const { dir, name } = this.#parent(path, 'open');
    let node = dir.current.get(name);
    if (node instanceof SimDir) throw new DiskError({ code: 'EISDIR', op: 'open', path });
    if (node !== undefined && options.create === true && options.exclusive === true)
      throw new DiskError({ code: 'EEXIST', op: 'open', path });
    if (node === undefined) {
      if (options.create !== true) throw new DiskError({ code: 'ENOENT', op: 'open', path });
      node = new SimInode(options.mode ?? 0o600);
      this.#change({ removed: [], added: [{ dir, name, node }] });
    }
    const file = new SimFile(this, path, node, options.write);
    if (options.truncate === true && node.current.length !== 0) file.truncate(0);
    return file;
  }

  list(path: string): string[] {
    const node = this.#find(path);
    if (node === undefined) throw new DiskError({ code: 'ENOENT', op: 'list', path });
    if (!(node instanceof SimDir)) throw new DiskError({ code: 'ENOTDIR', op: 'list', path });
    return [...node.current.keys()].sort();
  }

  stat(path: string): DiskStat | undefined {
    const node = this.#find(path);
    if (node === undefined) return undefined;
    const isDirectory = node instanceof SimDir;
    return { bytes: isDirectory ? 0 : node.current.length, isDirectory, mode: node.mode };
  }

  rename(from: string, to: string): void {
    const source = this.#parent(from, 'rename');
    const node = source.dir.current.get(source.name);
    if (node === undefined) throw new DiskError({ code: 'ENOENT', op: 'rename', path: from });
    const target = this.#parent(to, 'rename');
    const there = target.dir.current.get(target.name);
    if (there instanceof SimDir && there.current.size !== 0) throw new DiskError({ code: 'ENOTEMPTY', op: 'rename', path: to });
    this.#change({ removed: [source], added: [{ ...target, node }] });
    if (there instanceof SimInode && there !== node) this.#giveBack(there);
  }

  unlink(path: string): void {
    const place = this.#parent(path, 'unlink');
    const node = place.dir.current.get(place.name);
    if (node === undefined) throw new DiskError({ code: 'ENOENT', op: 'unlink', path });
    if (node instanceof SimDir) throw new DiskError({ code: 'EISDIR', op: 'unlink', path });
    this.#change({ removed: [place], added: [] });
    this.#giveBack(node);
  }

  removeTree(path: string): void {
    const node = this.#find(path);
    if (node === undefined) return;
    // One change per name, as the system does it: a crash may leave some.
    if (node instanceof SimDir) for (const name of [...node.current.keys()]) this.removeTree(`${path}/${name}`);
    this.#change({ removed: [this.#parent(path, 'remove')], added: [] });
    if (node instanceof SimInode) this.#giveBack(node);
  }

  syncDir(path: string): void {
    const dir = this.#find(path);
    if (!(dir instanceof SimDir)) throw new DiskError({ code: 'ENOENT', op: 'syncDir', path });
    this.count();
    if (this.#strikes('syncError')) throw new DiskError({ code: 'EIO', op: 'syncDir', path });
    if (this.faults.lyingSync) return;
    const touches = (c: NameChange): boolean => c.removed.some((r) => r.dir === dir) || c.added.some((a) => a.dir === dir);
    for (const change of this.#changes) if (touches(change)) applyChange(change, 'durable');
    this.#changes = this.#changes.filter((c) => !touches(c));
  }

  lock(path: string): DiskLock | undefined {
    const file = this.open(path, { write: true, create: true });
    if (!file.lock()) return undefined;
    return { release: () => file.close() };
  }

  freeBytes(): number {
    return this.faults.freeBytes;
  }

  thread(name: string): DiskThread {
    return new SimThread(this, name);
  }

  // For files and threads.

  /** Counts a changing operation whose effect, if any, is pending by now. Throws when the machine goes down in it. */
  count(): void {
    this.operations++;
    if (this.operations !== this.crashAt) return;
    this.crash();
    this.onCrash?.();
    throw new SimCrash();
  }

  write(node: SimInode, path: string, bytes: Uint8Array, position: number): void {
    if (this.#strikes('writeError')) {
      this.count();
      throw new DiskError({ code: 'EIO', op: 'write', path });
    }
    let at = position;
    if (this.#strikes('misdirect'))
      at = Math.max(0, position + (this.random.u32() % 2 === 0 ? -1 : 1) * blockBytes * (1 + (this.random.u32() % 8)));
    this.pay(node, path, at, at + bytes.length);
    node.current.write(bytes, at);
    // A Buffer's own `slice` would share memory that the writer uses again.
    node.pending.push({ kind: 'write', position: at, bytes: copyBytes(bytes) });
    this.count();
  }

  resize(node: SimInode, bytes: number): void {
    node.current.truncate(bytes);
    node.pending.push({ kind: 'size', bytes });
    this.count();
  }

  sync(node: SimInode, path: string): void {
    this.count();
    if (this.#strikes('syncError')) {
      node.pending = [];
      throw new DiskError({ code: 'EIO', op: 'sync', path });
    }
    if (this.faults.lyingSync) return;
    for (const p of node.pending) applyPending(node.durable, p);
    node.pending = [];
  }

  read(node: SimInode, into: Uint8Array, position: number): number {
    const n = node.current.read(into, position);
    if (n !== 0 && this.#strikes('readFlip')) {
      const at = this.random.u32() % n;
      into[at] = (into[at] as number) ^ (1 << (this.random.u32() % 8));
    }
    return n;
  }

  /** Takes blocks for [from, to). */
  pay(node: SimInode, path: string, from: number, to: number): void {
    const fresh: number[] = [];
    for (let block = Math.floor(from / blockBytes); block * blockBytes < to; block++) if (!node.blocks.has(block)) fresh.push(block);
    if (fresh.length * blockBytes > this.faults.freeBytes) {
      this.struck.noSpace++;
      throw new DiskError({ code: 'ENOSPC', op: 'write', path });
    }
    for (const block of fresh) node.blocks.add(block);
    this.faults.freeBytes -= fresh.length * blockBytes;
  }

  /** How long the sync of a thread takes. */
  syncLatencyMs(): number {
    const f = this.faults;
    if (f.stall !== 0 && this.random.float() < f.stall) {
      this.struck.stall++;
      return f.stallMinMs + this.random.float() * (f.stallMaxMs - f.stallMinMs);
    }
    return f.latencyMinMs - (f.latencyMeanMs === 0 ? 0 : Math.log(1 - this.random.float()) * f.latencyMeanMs);
  }

  #strikes(fault: 'writeError' | 'syncError' | 'readFlip' | 'misdirect'): boolean {
    const p = this.faults[fault];
    if (p === 0 || this.random.float() >= p) return false;
    this.struck[fault]++;
    return true;
  }

  #change(change: NameChange): void {
    applyChange(change, 'current');
    this.#changes.push(change);
    this.count();
  }

  #giveBack(node: SimInode): void {
    this.faults.freeBytes += node.blocks.size * blockBytes;
    node.blocks.clear();
  }

  #keeps(): boolean {
    if (this.faults.crashKeeps === 'random') return this.random.u32() % 2 === 0;
    return this.faults.crashKeeps === 'all';
  }

  #settleFile(node: SimInode): void {
    node.lockedBy = undefined;
    // Whole files often fare alike; mixed fates are the harder case.
    const fate = this.faults.crashKeeps === 'random' ? this.random.u32() % 4 : this.faults.crashKeeps === 'all' ? 0 : 1;
    for (const p of node.pending) {
      const outcome = fate < 2 ? fate : this.random.u32() % 3;
      if (outcome === 0) {
        this.struck.kept++;
        applyPending(node.durable, p);
      } else if (outcome === 1 || p.kind === 'size') this.struck.lost++;
      else {
        this.struck.torn++;
        this.#tear(node.durable, p.bytes, p.position);
      }
    }
    node.pending = [];
    node.current = node.durable.clone();
  }

  #tear(into: SparseBytes, bytes: Uint8Array, position: number): void {
    for (let done = 0; done < bytes.length;) {
      const take = Math.min(sectorBytes - ((position + done) % sectorBytes), bytes.length - done);
      if (this.random.u32() % 2 === 0) into.write(bytes.subarray(done, done + take), position + done);
      done += take;
    }
  }

  #find(path: string): SimNode | undefined {
    let node: SimNode | undefined = this.#root;
    for (const name of partsOf(path)) node = node instanceof SimDir ? node.current.get(name) : undefined;
    return node;
  }

  #parent(path: string, op: string): { dir: SimDir; name: string } {
    const parts = partsOf(path);
    const name = parts.pop();
    const dir = this.#find(parts.join('/'));
    if (name === undefined || !(dir instanceof SimDir)) throw new DiskError({ code: 'ENOENT', op, path });
    return { dir, name };
  }
}

class SimFile implements DiskFile {
  readonly path: string;
  readonly #disk: SimDisk;
  readonly #node: SimInode;
  readonly #writable: boolean;
  readonly #epoch: number;

  constructor(disk: SimDisk, path: string, node: SimInode, writable: boolean) {
    this.path = path;
    this.#disk = disk;
    this.#node = node;
    this.#writable = writable;
    this.#epoch = disk.epoch;
  }

  size(): number {
    return this.#use().current.length;
  }

  read(into: Uint8Array, position: number): number {
    return this.#disk.read(this.#use(), into, position);
  }

  write(bytes: Uint8Array, position: number): void {
    this.#disk.write(this.#useForWrite(), this.path, bytes, position);
  }

  truncate(bytes: number): void {
    this.#disk.resize(this.#useForWrite(), bytes);
  }

  allocate(bytes: number): void {
    const node = this.#useForWrite();
    const length = node.current.length;
    if (bytes <= length) return;
    this.#disk.pay(node, this.path, length, bytes);
    this.#disk.resize(node, bytes);
  }

  sync(): void {
    this.#disk.sync(this.#use(), this.path);
  }

  lock(): boolean {
    const node = this.#use();
    if (node.lockedBy !== undefined && node.lockedBy !== this) return false;
    node.lockedBy = this;
    return true;
  }

  close(): void {
    if (this.#node.lockedBy === this && this.#epoch === this.#disk.epoch) this.#node.lockedBy = undefined;
  }

  #use(): SimInode {
    if (this.#epoch !== this.#disk.epoch) throw new SimCrash();
    // A thread may still write to a file that was closed meanwhile, as it holds the descriptor: closing ends only the lock.
    return this.#node;
  }

  #useForWrite(): SimInode {
    const node = this.#use();
    if (!this.#writable) throw new DiskError({ code: 'EBADF', op: 'write', path: this.path });
    return node;
  }
}

interface SimJob {
  readonly ops: readonly DiskOp[];
  readonly done: (error: DiskError | undefined, syncMs: number) => void;
}

class SimThread implements DiskThread {
  readonly name: string;
  readonly #disk: SimDisk;
  readonly #epoch: number;
  readonly #jobs: SimJob[] = [];

  constructor(disk: SimDisk, name: string) {
    this.#disk = disk;
    this.name = name;
    this.#epoch = disk.epoch;
  }

  get pending(): number {
    return this.#jobs.length;
  }

  submit(ops: readonly DiskOp[], done: SimJob['done']): void {
    if (this.#epoch !== this.#disk.epoch) throw new SimCrash();
    this.#jobs.push({ ops, done });
    if (this.#jobs.length === 1) this.#disk.clock.defer(() => this.#step(0, 0));
  }

  close(): void {}

  /** Runs the first job's operations from `at` on. */
  #step(at: number, syncMs: number): void {
    if (this.#epoch !== this.#disk.epoch) return;
    const job = this.#jobs[0] as SimJob;
    for (let i = at; i < job.ops.length; i++) {
      const op = job.ops[i] as DiskOp;
      const latency = op.kind === 'sync' || op.kind === 'syncDir' ? this.#disk.syncLatencyMs() : 0;
      if (latency > 0) {
        this.#disk.clock.after(latency, () => {
          if (this.#run(op)) this.#step(i + 1, syncMs + latency);
        });
        return;
      }
      if (!this.#run(op)) return;
    }
    this.#finish(undefined, syncMs);
  }

  /** False when the job ends here. */
  #run(op: DiskOp): boolean {
    if (this.#epoch !== this.#disk.epoch) return false;
    try {
      runDiskOp(this.#disk, op);
      return true;
    } catch (error) {
      if (error instanceof DiskError) this.#finish(error, 0);
      else if (!(error instanceof SimCrash)) throw error;
      return false;
    }
  }

  #finish(error: DiskError | undefined, syncMs: number): void {
    const job = this.#jobs.shift() as SimJob;
    if (this.#jobs.length !== 0) this.#disk.clock.defer(() => this.#step(0, 0));
    job.done(error, syncMs);
  }
}

function applyChange(change: NameChange, to: 'current' | 'durable'): void {
  for (const { dir, name } of change.removed) dir[to].delete(name);
  for (const { dir, name, node } of change.added) dir[to].set(name, node);
}

function applyPending(content: SparseBytes, p: Pending): void {
  if (p.kind === 'write') content.write(p.bytes, p.position);
  else content.truncate(p.bytes);
}

function partsOf(path: string): string[] {
  return path.split('/').filter((p) => p !== '' && p !== '.');
}

/**
 * A disk in memory: for a member that is embedded in a test and leaves nothing behind. Every operation succeeds at once and is as durable as
 * the process; jobs of a thread still finish in a later turn, as on a real disk.
 */
import type { Clock } from './clock.ts';
import {
  DiskError,
  type Disk,
  type DiskFile,
  type DiskLock,
  type DiskOp,
  type DiskStat,
  type DiskThread,
  type OpenOptions,
} from './disk.ts';
import { SparseBytes } from './sparse-bytes.ts';

/** What `freeBytes` answers: nobody runs short. */
const freeBytesAlways = 2 ** 40;

class FileNode {
  readonly content = new SparseBytes();
  readonly mode: number;
  /** Who holds the lock: an open file or a `DiskLock`. */
  lockedBy: object | undefined;

  constructor(mode: number) {
    this.mode = mode;
  }
}

class DirNode {
  readonly entries = new Map<string, FileNode | DirNode>();
  readonly mode: number;

  constructor(mode: number) {
    this.mode = mode;
  }
}

export class MemoryDisk implements Disk {
  readonly #clock: Pick<Clock, 'defer'>;
  readonly #root = new DirNode(0o755);

  constructor(clock: Pick<Clock, 'defer'>) {
    this.#clock = clock;
  }

  mkdir(path: string, mode: number): void {
    let dir = this.#root;
    for (const name of partsOf(path)) {
      let next = dir.entries.get(name);
      if (next === undefined) {
        next = new DirNode(mode);
        dir.entries.set(name, next);
      }
      if (!(next instanceof DirNode)) throw new DiskError({ code: 'ENOTDIR', op: 'mkdir', path });
      dir = next;
    }
  }

  open(path: string, options: OpenOptions): DiskFile {
    const { dir, name } = this.#parent(path, 'open');
    let node = dir.entries.get(name);
    if (node instanceof DirNode) throw new DiskError({ code: 'EISDIR', op: 'open', path });
    if (node !== undefined && options.create === true && options.exclusive === true)
      throw new DiskError({ code: 'EEXIST', op: 'open', path });
    if (node === undefined) {
      if (options.create !== true) throw new DiskError({ code: 'ENOENT', op: 'open', path });
      node = new FileNode(options.mode ?? 0o600);
      dir.entries.set(name, node);
    }
    if (options.truncate === true) node.content.truncate(0);
    return new MemoryFile(path, node, options.write);
  }

  list(path: string): string[] {
    const node = this.#find(path);
    if (node === undefined) throw new DiskError({ code: 'ENOENT', op: 'list', path });
    if (!(node instanceof DirNode)) throw new DiskError({ code: 'ENOTDIR', op: 'list', path });
    return [...node.entries.keys()].sort();
  }

  stat(path: string): DiskStat | undefined {
    const node = this.#find(path);
    if (node === undefined) return undefined;
    const isDirectory = node instanceof DirNode;
    return { bytes: isDirectory ? 0 : node.content.length, isDirectory, mode: node.mode };
  }

  rename(from: string, to: string): void {
    const source = this.#parent(from, 'rename');
    const node = source.dir.entries.get(source.name);
    if (node === undefined) throw new DiskError({ code: 'ENOENT', op: 'rename', path: from });
    const target = this.#parent(to, 'rename');
    const there = target.dir.entries.get(target.name);
    if (there === node) return;
    if (there instanceof DirNode && !(node instanceof DirNode)) throw new DiskError({ code: 'EISDIR', op: 'rename', path: to });
    if (there instanceof DirNode && there.entries.size !== 0) throw new DiskError({ code: 'ENOTEMPTY', op: 'rename', path: to });
    if (there instanceof FileNode && node instanceof DirNode) throw new DiskError({ code: 'ENOTDIR', op: 'rename', path: to });
    source.dir.entries.delete(source.name);
    target.dir.entries.set(target.name, node);
  }

  unlink(path: string): void {
    const { dir, name } = this.#parent(path, 'unlink');
    const node = dir.entries.get(name);
    if (node === undefined) throw new DiskError({ code: 'ENOENT', op: 'unlink', path });
    if (node instanceof DirNode) throw new DiskError({ code: 'EISDIR', op: 'unlink', path });
    dir.entries.delete(name);
  }

  removeTree(path: string): void {
    if (this.#find(path) === undefined) return;
    const { dir, name } = this.#parent(path, 'remove');
    dir.entries.delete(name);
  }

  syncDir(path: string): void {
    this.list(path);
  }

  lock(path: string): DiskLock | undefined {
    const file = this.open(path, { write: true, create: true });
    if (!file.lock()) return undefined;
    return { release: () => file.close() };
  }

  freeBytes(): number {
    return freeBytesAlways;
  }

  thread(): DiskThread {
    return new MemoryThread(this, this.#clock);
  }

  #find(path: string): FileNode | DirNode | undefined {
    let node: FileNode | DirNode | undefined = this.#root;
    for (const name of partsOf(path)) {
      if (!(node instanceof DirNode)) return undefined;
      node = node.entries.get(name);
    }
    return node;
  }

  #parent(path: string, op: string): { dir: DirNode; name: string } {
    const parts = partsOf(path);
    const name = parts.pop();
    const dir = this.#find(parts.join('/'));
    if (name === undefined || !(dir instanceof DirNode)) throw new DiskError({ code: 'ENOENT', op, path });
    return { dir, name };
  }
}

class MemoryFile implements DiskFile {
  readonly path: string;
  readonly #node: FileNode;
  readonly #writable: boolean;
  #closed = false;

  constructor(path: string, node: FileNode, writable: boolean) {
    this.path = path;
    this.#node = node;
    this.#writable = writable;
  }

  size(): number {
    return this.#use(false).length;
  }

  read(into: Uint8Array, position: number): number {
    return this.#use(false).read(into, position);
  }

  write(bytes: Uint8Array, position: number): void {
    this.#use(true).write(bytes, position);
  }

  truncate(bytes: number): void {
    this.#use(true).truncate(bytes);
  }

  allocate(bytes: number): void {
    const content = this.#use(true);
    if (bytes > content.length) content.truncate(bytes);
  }

  sync(): void {
    this.#use(false);
  }

  lock(): boolean {
    this.#use(false);
    if (this.#node.lockedBy !== undefined && this.#node.lockedBy !== this) return false;
    this.#node.lockedBy = this;
    return true;
  }

  close(): void {
    this.#closed = true;
    if (this.#node.lockedBy === this) this.#node.lockedBy = undefined;
  }

  #use(write: boolean): SparseBytes {
    if (this.#closed || (write && !this.#writable)) throw new DiskError({ code: 'EBADF', op: write ? 'write' : 'use', path: this.path });
    return this.#node.content;
  }
}

class MemoryThread implements DiskThread {
  readonly #disk: MemoryDisk;
  readonly #clock: Pick<Clock, 'defer'>;
  #results: { readonly error: DiskError | undefined; readonly done: (error: DiskError | undefined, syncMs: number) => void }[] = [];

  constructor(disk: MemoryDisk, clock: Pick<Clock, 'defer'>) {
    this.#disk = disk;
    this.#clock = clock;
  }

  get pending(): number {
    return this.#results.length;
  }

  submit(ops: readonly DiskOp[], done: (error: DiskError | undefined, syncMs: number) => void): void {
    let error: DiskError | undefined;
    try {
      for (const op of ops) runDiskOp(this.#disk, op);
    } catch (caught) {
      if (!(caught instanceof DiskError)) throw caught;
      error = caught;
    }
    this.#results.push({ error, done });
    if (this.#results.length === 1) this.#clock.defer(() => this.#report());
  }

  close(): void {}

  #report(): void {
    const results = this.#results;
    this.#results = [];
    for (const { error, done } of results) done(error, 0);
  }
}

/** One step of a job, with the synchronous calls of the same disk. */
export function runDiskOp(disk: Disk, op: DiskOp): void {
  switch (op.kind) {
    case 'write':
      op.file.write(op.bytes, op.position);
      return;
    case 'sync':
      op.file.sync();
      return;
    case 'truncate':
      op.file.truncate(op.bytes);
      return;
    case 'allocate':
      op.file.allocate(op.bytes);
      return;
    case 'rename':
      disk.rename(op.from, op.to);
      return;
    case 'unlink':
      disk.unlink(op.path);
      return;
    case 'syncDir':
      disk.syncDir(op.path);
      return;
  }
}

function partsOf(path: string): string[] {
  return path.split('/').filter((p) => p !== '' && p !== '.');
}

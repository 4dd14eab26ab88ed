/**
 * A disk whose writes stay in memory, over one that is only read: the store opens as it always does, recovery and all, and nothing on the real
 * disk changes. For tools that look at a data directory.
 */
import type { Clock } from '../../base/clock.ts';
import {
  DiskError,
  type Disk,
  type DiskFile,
  type DiskLock,
  type DiskOp,
  type DiskStat,
  type DiskThread,
  type OpenOptions,
} from '../../base/disk.ts';
import { runDiskOp } from '../../base/memory-disk.ts';
import { parentOf } from './new-data-dir.ts';

/** Written parts of a file are kept in blocks of this size. */
const blockBytes = 64 * 1024;

/** A file as it looks here: its blocks that were written, and for the rest the file below. */
class Layer {
  readonly base: DiskFile | undefined;
  readonly blocks = new Map<number, Buffer>();
  size: number;
  /** Bytes from here on are not those of the file below any more. */
  baseEnd: number;

  constructor(base: DiskFile | undefined) {
    this.base = base;
    this.size = this.baseEnd = base?.size() ?? 0;
  }

  read(into: Uint8Array, position: number): number {
    const bytes = Math.max(0, Math.min(into.length, this.size - position));
    for (let at = 0; at < bytes;) {
      const n = Math.floor((position + at) / blockBytes);
      const from = position + at - n * blockBytes;
      const part = into.subarray(at, Math.min(bytes, at + blockBytes - from));
      const block = this.blocks.get(n);
      if (block === undefined) this.#below(part, position + at);
      else part.set(block.subarray(from, from + part.length));
      at += part.length;
    }
    return bytes;
  }

  write(bytes: Uint8Array, position: number): void {
    for (let at = 0; at < bytes.length;) {
      const n = Math.floor((position + at) / blockBytes);
      const from = position + at - n * blockBytes;
      let block = this.blocks.get(n);
      if (block === undefined) {
        block = Buffer.alloc(blockBytes);
        this.#below(block, n * blockBytes);
        this.blocks.set(n, block);
      }
      const part = bytes.subarray(at, at + blockBytes - from);
      block.set(part, from);
      at += part.length;
    }
    this.size = Math.max(this.size, position + bytes.length);
  }

  truncate(bytes: number): void {
    if (bytes < this.size) {
      for (const [n, block] of this.blocks) {
        if (n * blockBytes >= bytes) this.blocks.delete(n);
        else if ((n + 1) * blockBytes > bytes) block.fill(0, bytes - n * blockBytes);
      }
      this.baseEnd = Math.min(this.baseEnd, bytes);
    }
    this.size = bytes;
  }

  #below(into: Uint8Array, position: number): void {
    const there = Math.max(0, Math.min(into.length, this.baseEnd - position));
    const n = there === 0 ? 0 : (this.base?.read(into.subarray(0, there), position) ?? 0);
    into.fill(0, n);
  }
}

export class OverlayDisk implements Disk {
  readonly #base: Disk;
  readonly #clock: Pick<Clock, 'defer'>;
  /** Null: removed here. */
  readonly #files = new Map<string, Layer | null>();
  readonly #dirs = new Set<string>();

  constructor(base: Disk, clock: Pick<Clock, 'defer'>) {
    this.#base = base;
    this.#clock = clock;
  }

  mkdir(path: string): void {
    this.#dirs.add(path);
  }

  open(path: string, options: OpenOptions): DiskFile {
    let layer = this.#layer(path);
    if (layer !== undefined && options.create === true && options.exclusive === true)
      throw new DiskError({ code: 'EEXIST', op: 'open', path });
    if (layer === undefined) {
      if (options.create !== true) throw new DiskError({ code: 'ENOENT', op: 'open', path });
      layer = new Layer(undefined);
      this.#files.set(path, layer);
    }
    if (options.truncate === true) layer.truncate(0);
    return new OverlayFile(path, layer);
  }

  list(path: string): string[] {
    const names = new Set(this.#base.stat(path) === undefined && this.#dirs.has(path) ? [] : this.#base.list(path));
    for (const [file, layer] of this.#files) {
      if (parentOf(file) !== path) continue;
      const name = file.slice(file.lastIndexOf('/') + 1);
      if (layer === null) names.delete(name);
      else names.add(name);
    }
    return [...names].sort();
  }

  stat(path: string): DiskStat | undefined {
    const layer = this.#files.get(path);
    if (layer === null) return undefined;
    const below = this.#base.stat(path);
    if (layer !== undefined) return { bytes: layer.size, isDirectory: false, mode: below?.mode ?? 0o600 };
    return below ?? (this.#dirs.has(path) ? { bytes: 0, isDirectory: true, mode: 0o700 } : undefined);
  }

  rename(from: string, to: string): void {
    const layer = this.#layer(from);
    if (layer === undefined) throw new DiskError({ code: 'ENOENT', op: 'rename', path: from });
    this.#files.set(to, layer);
    this.#files.set(from, null);
  }

  unlink(path: string): void {
    if (this.stat(path) === undefined) throw new DiskError({ code: 'ENOENT', op: 'unlink', path });
    this.#files.set(path, null);
  }

  removeTree(path: string): void {
    const stat = this.stat(path);
    if (stat === undefined) return;
    if (stat.isDirectory) for (const name of this.list(path)) this.removeTree(`${path}/${name}`);
    else this.#files.set(path, null);
    this.#dirs.delete(path);
  }

  syncDir(): void {}

  /** Nothing is written, so nobody is kept out. */
  lock(): DiskLock {
    return { release: () => undefined };
  }

  freeBytes(path: string): number {
    return this.#base.freeBytes(path);
  }

  thread(): DiskThread {
    return new OverlayThread(this, this.#clock);
  }

  /** Closes the files below. */
  close(): void {
    for (const layer of this.#files.values()) layer?.base?.close();
    this.#files.clear();
  }

  #layer(path: string): Layer | undefined {
    const known = this.#files.get(path);
    if (known !== undefined) return known ?? undefined;
    const stat = this.#base.stat(path);
    if (stat === undefined) return undefined;
    if (stat.isDirectory) throw new DiskError({ code: 'EISDIR', op: 'open', path });
    const layer = new Layer(this.#base.open(path, { write: false }));
    this.#files.set(path, layer);
    return layer;
  }
}

class OverlayFile implements DiskFile {
  readonly path: string;
  readonly #layer: Layer;

  constructor(path: string, layer: Layer) {
    this.path = path;
    this.#layer = layer;
  }

  size(): number {
    return this.#layer.size;
  }
  read(into: Uint8Array, position: number): number {
    return this.#layer.read(into, position);
  }
  write(bytes: Uint8Array, position: number): void {
    this.#layer.write(bytes, position);
  }
  truncate(bytes: number): void {
    this.#layer.truncate(bytes);
  }
  allocate(bytes: number): void {
    if (bytes > this.#layer.size) this.#layer.truncate(bytes);
  }
  sync(): void {}
  lock(): boolean {
    return true;
  }
  close(): void {}
}

class OverlayThread implements DiskThread {
  readonly #disk: Disk;
  readonly #clock: Pick<Clock, 'defer'>;
  pending = 0;

  constructor(disk: Disk, clock: Pick<Clock, 'defer'>) {
    this.#disk = disk;
    this.#clock = clock;
  }

  submit(ops: readonly DiskOp[], done: (error: DiskError | undefined, syncMs: number) => void): void {
    let error: DiskError | undefined;
    try {
      for (const op of ops) runDiskOp(this.#disk, op);
    } catch (caught) {
      if (!(caught instanceof DiskError)) throw caught;
      error = caught;
    }
    this.pending++;
    this.#clock.defer(() => {
      this.pending--;
      done(error, 0);
    });
  }

  close(): void {}
}

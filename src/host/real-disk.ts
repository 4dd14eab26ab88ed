/**
 * The file system.
 *
 * Locks are Linux's open-file-description locks (`fcntl(F_OFD_SETLK)`, whole file, exclusive), the kind etcd takes on WAL segments: they
 * belong to one `open` of the file, so that a second member is refused in another process and in this one alike, and the kernel drops them
 * when the process ends, however it ends.
 */
import * as fs from 'node:fs';
import { createRequire } from 'node:module';
import { DiskError, type Disk, type DiskFile, type DiskLock, type DiskStat, type DiskThread, type OpenOptions } from '../base/disk.ts';
import { quickSyncMsDefault, SharedDiskThread, type ThreadFile } from './disk-thread.ts';

/** Zeros written at a time when space is reserved. */
const allocateStepBytes = 1 << 20;

export interface RealDiskOptions {
  /** Leave all syncs out (`--unsafe-no-fsync`): a crash of the machine may lose or mix up anything. */
  readonly unsafeNoFsync?: boolean;
  /** Brief jobs are run in place while a sync takes at most so many ms on average; 0 for never. */
  readonly quickSyncMs?: number;
}

export class RealDisk implements Disk {
  readonly #skipSyncs: boolean;
  readonly #quickSyncMs: number;
  readonly #threads = new Map<string, SharedDiskThread>();

  constructor(options: RealDiskOptions = {}) {
    this.#skipSyncs = options.unsafeNoFsync === true;
    this.#quickSyncMs = options.quickSyncMs ?? quickSyncMsDefault;
  }

  mkdir(path: string, mode: number): void {
    attempt('mkdir', path, () => fs.mkdirSync(path, { recursive: true, mode }));
  }

  open(path: string, options: OpenOptions): DiskFile {
    let flags = options.write ? fs.constants.O_RDWR : fs.constants.O_RDONLY;
    if (options.create === true) flags |= fs.constants.O_CREAT;
    if (options.exclusive === true) flags |= fs.constants.O_EXCL;
    if (options.truncate === true) flags |= fs.constants.O_TRUNC;
    const fd = attempt('open', path, () => fs.openSync(path, flags, options.mode ?? 0o600));
    return new RealFile(path, fd, this.#skipSyncs);
  }

  list(path: string): string[] {
    return attempt('list', path, () => fs.readdirSync(path)).sort();
  }

  stat(path: string): DiskStat | undefined {
    const s = attempt('stat', path, () => fs.statSync(path, { throwIfNoEntry: false }));
    if (s === undefined) return undefined;
    return { bytes: s.size, isDirectory: s.isDirectory(), mode: s.mode & 0o7777 };
  }

  rename(from: string, to: string): void {
    attempt('rename', from, () => fs.renameSync(from, to));
  }

  unlink(path: string): void {
    attempt('unlink', path, () => fs.unlinkSync(path));
  }

  removeTree(path: string): void {
    attempt('remove', path, () => fs.rmSync(path, { recursive: true, force: true }));
  }

  syncDir(path: string): void {
    if (this.#skipSyncs) return;
    attempt('syncDir', path, () => {
      const fd = fs.openSync(path, 'r');
      try {
        fs.fsyncSync(fd);
      } finally {
        fs.closeSync(fd);
      }
    });
  }

  lock(path: string): DiskLock | undefined {
    const fd = attempt('lock', path, () => fs.openSync(path, fs.constants.O_RDWR | fs.constants.O_CREAT, 0o600));
    let held = false;
    try {
      held = tryLock(fd, path);
    } finally {
      if (!held) fs.closeSync(fd);
    }
    if (!held) return undefined;
    let released = false;
    return {
      release() {
        if (released) return;
        released = true;
        fs.closeSync(fd);
      },
    };
  }

  freeBytes(path: string): number {
    const s = attempt('statfs', path, () => fs.statfsSync(path));
    return s.bavail * s.bsize;
  }

  thread(name: string): DiskThread {
    let thread = this.#threads.get(name);
    if (thread === undefined) {
      const started = new SharedDiskThread({
        name,
        skipSyncs: this.#skipSyncs,
        quickSyncMs: this.#quickSyncMs,
        onEnd: () => {
          if (this.#threads.get(name) === started) this.#threads.delete(name);
        },
      });
      thread = started;
      this.#threads.set(name, thread);
    }
    return thread.handle();
  }
}

class RealFile implements ThreadFile {
  readonly path: string;
  readonly fd: number;
  readonly #skipSyncs: boolean;
  #users = 0;
  #closed = false;

  constructor(path: string, fd: number, skipSyncs: boolean) {
    this.path = path;
    this.fd = fd;
    this.#skipSyncs = skipSyncs;
  }

  size(): number {
    return attempt('stat', this.path, () => fs.fstatSync(this.#open())).size;
  }

  read(into: Uint8Array, position: number): number {
    const fd = this.#open();
    try {
      let done = fs.readSync(fd, into, 0, into.length, position);
      while (done < into.length) {
        const n = fs.readSync(fd, into, done, into.length - done, position + done);
        if (n === 0) break;
        done += n;
      }
      return done;
    } catch (error) {
      throw diskError('read', this.path, error);
    }
  }

  write(bytes: Uint8Array, position: number): void {
    const fd = this.#open();
    try {
      let done = 0;
      while (done < bytes.length) done += fs.writeSync(fd, bytes, done, bytes.length - done, position + done);
    } catch (error) {
      throw diskError('write', this.path, error);
    }
  }

  truncate(bytes: number): void {
    attempt('truncate', this.path, () => fs.ftruncateSync(this.#open(), bytes));
  }

  allocate(bytes: number): void {
    const zeros = new Uint8Array(allocateStepBytes);
    for (let at = this.size(); at < bytes; at += zeros.length) this.write(zeros.subarray(0, Math.min(zeros.length, bytes - at)), at);
  }

  sync(): void {
    if (this.#skipSyncs) return;
    attempt('sync', this.path, () => fs.fdatasyncSync(this.#open()));
  }

  lock(): boolean {
    return tryLock(this.#open(), this.path);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#users === 0) fs.closeSync(this.fd);
  }

  retainFd(): void {
    this.#open();
    this.#users++;
  }

  releaseFd(): void {
    this.#users--;
    // Closing at once would hand the number to another file while a thread still writes to it.
    if (this.#users === 0 && this.#closed) fs.closeSync(this.fd);
  }

  #open(): number {
    if (this.#closed) throw new DiskError({ code: 'EBADF', op: 'use', path: this.path });
    return this.fd;
  }
}

/** Locks a whole file for this process alone; false when another has it. */
type TryLock = (fd: number) => boolean;
/** Loaded on the first lock: the control tool never needs native code. */
let loadedLock: TryLock | undefined;

function tryLock(fd: number, path: string): boolean {
  return attempt('lock', path, () => {
    loadedLock ??= loadLock();
    return loadedLock(fd);
  });
}

/** fs-native-extensions looks for its binary in five modules and some forty places; where it usually is, that is spared: 12 ms of each start. */
function loadLock(): TryLock {
  const require = createRequire(import.meta.url);
  try {
    const file = `fs-native-extensions/prebuilds/${process.platform}-${process.arch}/fs-native-extensions.node`;
    const native = require(file) as { tryLock(fd: number, offset: number, length: number, exclusive: boolean): void };
    if (typeof native.tryLock === 'function') {
      return (fd) => {
        try {
          native.tryLock(fd, 0, 0, true);
          return true;
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return false;
          throw error;
        }
      };
    }
  } catch {
    // Not there, or not for this machine: the package knows more.
  }
  const extensions = require('fs-native-extensions') as { tryLock: TryLock };
  return (fd) => extensions.tryLock(fd);
}

function attempt<T>(op: string, path: string, run: () => T): T {
  try {
    return run();
  } catch (error) {
    throw diskError(op, path, error);
  }
}

function diskError(op: string, path: string, cause: unknown): DiskError {
  if (cause instanceof DiskError) return cause;
  const code = (cause as NodeJS.ErrnoException).code;
  return new DiskError({ code: code ?? 'EIO', op, path, cause });
}

/** A disk around another: what a known mistake changes of it is overridden. */
import type { Disk, DiskFile, DiskLock, DiskStat, DiskThread, OpenOptions } from '../../src/base/disk.ts';

export class DiskAround implements Disk {
  readonly inner: Disk;

  constructor(inner: Disk) {
    this.inner = inner;
  }
  mkdir(path: string, mode: number): void {
    this.inner.mkdir(path, mode);
  }
  open(path: string, options: OpenOptions): DiskFile {
    return this.inner.open(path, options);
  }
  list(path: string): string[] {
    return this.inner.list(path);
  }
  stat(path: string): DiskStat | undefined {
    return this.inner.stat(path);
  }
  rename(from: string, to: string): void {
    this.inner.rename(from, to);
  }
  unlink(path: string): void {
    this.inner.unlink(path);
  }
  removeTree(path: string): void {
    this.inner.removeTree(path);
  }
  syncDir(path: string): void {
    this.inner.syncDir(path);
  }
  lock(path: string): DiskLock | undefined {
    return this.inner.lock(path);
  }
  freeBytes(path: string): number {
    return this.inner.freeBytes(path);
  }
  thread(name: string): DiskThread {
    return this.inner.thread(name);
  }
}

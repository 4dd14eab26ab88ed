/** A disk that tells how long its threads' synced jobs took, from hand-over to the end. For the backend's commits, a few a second. */
import type { Clock } from '../base/clock.ts';
import type { Disk, DiskFile, DiskLock, DiskStat, DiskThread, OpenOptions } from '../base/disk.ts';

export class MeteredDisk implements Disk {
  readonly #disk: Disk;
  readonly #clock: Pick<Clock, 'mono'>;
  readonly #synced: (ms: number) => void;

  constructor(disk: Disk, clock: Pick<Clock, 'mono'>, synced: (ms: number) => void) {
    this.#disk = disk;
    this.#clock = clock;
    this.#synced = synced;
  }

  mkdir(path: string, mode: number): void {
    this.#disk.mkdir(path, mode);
  }
  open(path: string, options: OpenOptions): DiskFile {
    return this.#disk.open(path, options);
  }
  list(path: string): string[] {
    return this.#disk.list(path);
  }
  stat(path: string): DiskStat | undefined {
    return this.#disk.stat(path);
  }
  rename(from: string, to: string): void {
    this.#disk.rename(from, to);
  }
  unlink(path: string): void {
    this.#disk.unlink(path);
  }
  removeTree(path: string): void {
    this.#disk.removeTree(path);
  }
  syncDir(path: string): void {
    this.#disk.syncDir(path);
  }
  lock(path: string): DiskLock | undefined {
    return this.#disk.lock(path);
  }
  freeBytes(path: string): number {
    return this.#disk.freeBytes(path);
  }

  thread(name: string): DiskThread {
    const thread = this.#disk.thread(name);
    return {
      submit: (ops, done, brief) => {
        if (!ops.some((op) => op.kind === 'sync')) {
          thread.submit(ops, done, brief);
          return;
        }
        const start = this.#clock.mono();
        thread.submit(
          ops,
          (error, syncMs) => {
            this.#synced(this.#clock.mono() - start);
            done(error, syncMs);
          },
          brief,
        );
      },
      get pending() {
        return thread.pending;
      },
      close: () => thread.close(),
    };
  }
}

/**
 * The disk as a seam. Reads and plain writes are synchronous (a cached page costs a microsecond); whatever may wait for the device goes
 * through a `DiskThread`, so that the event loop never does; of a quick device, a brief job may be the exception (`submit`).
 *
 * Durability: bytes are durable after `sync` of the file; names (create, rename, unlink) after `syncDir` of their directory.
 * Errors: a real implementation throws `DiskError` with the errno; nobody retries a failed sync (rule F-1).
 */
export interface Disk {
  /** Creates missing parents as well, each with `mode`. */
  mkdir(path: string, mode: number): void;
  open(path: string, options: OpenOptions): DiskFile;
  /** Names in a directory, sorted; throws ENOENT. */
  list(path: string): string[];
  stat(path: string): DiskStat | undefined;
  rename(from: string, to: string): void;
  unlink(path: string): void;
  /** Removes a tree; a missing one is fine. */
  removeTree(path: string): void;
  syncDir(path: string): void;
  /** Takes the exclusive kernel lock of `path` (created when missing), held until `release` or the end of the process. Undefined when another holds it. */
  lock(path: string): DiskLock | undefined;
  /** Bytes free for this process on the file system of `path`. */
  freeBytes(path: string): number;
  /** A first-in-first-out thread for slow operations. `name` shows in diagnostics. Threads do not wait for one another. */
  thread(name: string): DiskThread;
}

export interface OpenOptions {
  readonly write: boolean;
  readonly create?: boolean;
  /** With `create`: fail with EEXIST when it is there. */
  readonly exclusive?: boolean;
  readonly truncate?: boolean;
  /** Rights of a new file; 0o600 when absent. */
  readonly mode?: number;
}

export interface DiskStat {
  readonly bytes: number;
  readonly isDirectory: boolean;
  readonly mode: number;
}

export interface DiskFile {
  readonly path: string;
  size(): number;
  /** Reads up to `into.length` bytes at `position`; returns how many (fewer only at the end of the file). */
  read(into: Uint8Array, position: number): number;
  /** Writes all of `bytes` at `position`. Not durable until a sync. */
  write(bytes: Uint8Array, position: number): void;
  truncate(bytes: number): void;
  /** Reserves zero-filled space up to `bytes`, growing the file. */
  allocate(bytes: number): void;
  /** fdatasync on the calling thread; for start-up, shutdown and brief jobs only. */
  sync(): void;
  /** Exclusive kernel lock on this open file (as etcd holds WAL segments); false when another process has it. */
  lock(): boolean;
  close(): void;
}

export interface DiskLock {
  release(): void;
}

/** One step of slow work. Buffers must not be changed until the job is done. */
export type DiskOp =
  | { readonly kind: 'write'; readonly file: DiskFile; readonly bytes: Uint8Array; readonly position: number }
  | { readonly kind: 'sync'; readonly file: DiskFile }
  | { readonly kind: 'truncate'; readonly file: DiskFile; readonly bytes: number }
  | { readonly kind: 'allocate'; readonly file: DiskFile; readonly bytes: number }
  | { readonly kind: 'rename'; readonly from: string; readonly to: string }
  | { readonly kind: 'unlink'; readonly path: string }
  | { readonly kind: 'syncDir'; readonly path: string };

export interface DiskThread {
  /**
   * Queues `ops`, run in order after all earlier jobs of this thread. `done` is called on the event loop, in order of submission, with the
   * first error (later ops of that job are not run) and the milliseconds each job's syncs took.
   *
   * @param brief  writes of a few kilobytes and syncs, with nothing else to be done meanwhile. While the thread has nothing under way and its
   *               device is quick, they may be run on the calling thread, which spares two wake-ups; `done` still comes after the caller returned.
   */
  submit(ops: readonly DiskOp[], done: (error: DiskError | undefined, syncMs: number) => void, brief?: boolean): void;
  /** Jobs submitted and not yet done. */
  readonly pending: number;
  /** Ends the thread after the queued jobs; `done` callbacks of those still come. */
  close(): void;
}

/** An operating-system error of the disk: file, operation and errno code such as ENOSPC. */
export class DiskError extends Error {
  readonly code: string;
  readonly path: string;
  readonly op: string;

  constructor(options: { code: string; path: string; op: string; cause?: unknown }) {
    super(`${options.op} ${options.path}: ${options.code}`, { cause: options.cause });
    this.code = options.code;
    this.path = options.path;
    this.op = options.op;
  }
}

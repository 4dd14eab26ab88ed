/** Opens a store of either kind for reading, and changes nothing: a bbolt file, or the revision log of a data directory. */
import type { DiskLock } from '../../base/disk.ts';
import { bucketNames, type BucketName, CorruptError, type RowScan } from '../storage/backend.ts';
import { BoltReader } from '../storage/bbolt/bolt-reader.ts';
import { BoltStore, type StoreContent } from '../storage/bbolt/bolt-store.ts';
import { defaultBackendOptions, openBackend } from '../storage/revlog/log-backend.ts';
import { parseSegmentName } from '../storage/revlog/format.ts';
import { OfflineError } from './errors.ts';
import { OverlayDisk } from './overlay-disk.ts';
import type { Tool } from './tool.ts';

export interface OpenStore extends StoreContent {
  readonly path: string;
  readonly kind: 'bbolt' | 'revision log';
  /** As etcd reports it: of a bbolt file with this content. */
  readonly sizeBytes: number;
  /** All buckets in byte order, also those that etcd's store does not have. */
  readonly buckets: readonly string[];
  /** Entries of a bucket other than `key`, by its name. */
  walkAny(bucket: string): Iterable<[Uint8Array, Uint8Array]>;
  close(): void;
}

/** Pause between two attempts to take a lock. */
const lockRetryMs = 50;

/**
 * @param path  a bbolt file, with or without the digest behind it; a revision log (`member/snap/db`); or a data directory of either kind.
 * @param options  `locked`: the caller holds the member's lock.
 * @throws OfflineError, BoltError, CorruptError, DiskError
 */
export async function openStore(tool: Tool, path: string, options: { readonly locked?: boolean } = {}): Promise<OpenStore> {
  const { disk } = tool;
  const stat = disk.stat(path);
  if (stat === undefined) throw new OfflineError(`stat ${path}: no such file or directory`);
  const clean = path.length > 1 ? path.replace(/\/+$/, '') : path;
  if (!stat.isDirectory) return openBolt(tool, path);
  const inside = disk.stat(`${clean}/member/snap/db`);
  if (inside !== undefined)
    return inside.isDirectory
      ? openRevisionLog(tool, `${clean}/member/snap/db`, options.locked === true)
      : openBolt(tool, `${clean}/member/snap/db`);
  return openRevisionLog(tool, clean, options.locked === true);
}

function openBolt(tool: Tool, path: string): OpenStore {
  const file = tool.disk.open(path, { write: false });
  try {
    const store = new BoltStore(new BoltReader(file));
    return {
      path,
      kind: 'bbolt',
      sizeBytes: store.reader.sizeBytes,
      buckets: store.reader.buckets,
      rows: () => store.rows(),
      entries: (bucket) => store.entries(bucket),
      walk: (bucket) => store.walk(bucket),
      walkAny: (bucket) => store.walk(bucket as BucketName),
      close: () => file.close(),
    };
  } catch (error) {
    file.close();
    throw error;
  }
}

async function openRevisionLog(tool: Tool, dir: string, locked: boolean): Promise<OpenStore> {
  const looksRight = tool.disk.list(dir).some((name) => parseSegmentName(name) !== undefined);
  if (!looksRight) throw new OfflineError('invalid database', { hint: `${dir} is not a data directory` });
  const lock = locked ? undefined : await lockMember(tool, dir);
  const overlay = new OverlayDisk(tool.disk, tool.clock);
  try {
    const backend = openBackend({ ...defaultBackendOptions, disk: overlay, clock: tool.clock, log: tool.storageLog, dir });
    const view = backend.view();
    return {
      path: dir,
      kind: 'revision log',
      sizeBytes: backend.sizeBytes,
      buckets: [...bucketNames, 'key'].sort(),
      rows: (): RowScan => view.rows(),
      entries: (bucket) => view.entries(bucket),
      walk: (bucket) => view.entries(bucket),
      walkAny: (bucket) => view.entries(bucket as BucketName),
      close() {
        view.release();
        backend.abandon();
        overlay.close();
        lock?.release();
      },
    };
  } catch (error) {
    overlay.close();
    lock?.release();
    if (error instanceof CorruptError) throw new OfflineError(`invalid database: ${error.message}`, { cause: error });
    throw error;
  }
}

/** The lock of the member whose store this is. Undefined when the directory is no member's. @throws OfflineError when it stays taken. */
async function lockMember(tool: Tool, dir: string): Promise<DiskLock | undefined> {
  const m = /^(.*)\/snap\/db$/.exec(dir);
  return m === null || tool.disk.stat(`${m[1] as string}/lock`) === undefined ? undefined : takeLock(tool, `${m[1] as string}/lock`, dir);
}

/** Waits for a lock as long as the tool may. @throws OfflineError */
export async function takeLock(tool: Tool, path: string, dir: string): Promise<DiskLock> {
  const { clock, disk, lockTimeoutMs } = tool;
  const start = clock.mono();
  for (;;) {
    const lock = disk.lock(path);
    if (lock !== undefined) return lock;
    if (lockTimeoutMs > 0 && clock.mono() - start >= lockTimeoutMs)
      throw new OfflineError(`failed to lock ${dir}: timeout`, { hint: 'another process uses this data directory: stop the member first' });
    await new Promise<void>((resolve) => clock.after(lockRetryMs, resolve));
  }
}

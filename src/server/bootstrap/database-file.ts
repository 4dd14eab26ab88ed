/**
 * etcd's file in a member's directory. A member that is stopped in order leaves `member/snap/db` as etcd would: a bbolt file, for etcd's tools and
 * for etcd itself to go on with. The store lies beside it, so that the next start of this program loses no time; what somebody else wrote into the
 * file meanwhile counts, and is taken over.
 *
 *   db            while the member runs, or after a crash: the store, a directory. After an orderly stop: the bbolt file
 *   db.store      after an orderly stop: the store
 *   db.exported   the first two pages of the file that this program wrote (bbolt changes one with every transaction)
 *   db.export     the file in the making; a start removes it
 *   db.adopted    somebody else's file, while the store made from it comes into its place
 *
 * Each step is one rename, durable before the next; a start after a crash between two of them finds exactly one truth.
 */
import type { Clock } from '../../base/clock.ts';
import type { Disk } from '../../base/disk.ts';
import { formatDuration } from '../../base/duration.ts';
import type { Log } from '../../base/log.ts';
import type { Backend } from '../storage/backend.ts';
import { BoltSnapshot } from '../storage/bbolt/bolt-snapshot.ts';

/** A larger store is not written at each stop: that many bytes take some 3 s, and init systems grant a stop 10 s and more. */
export const exportBytesMax = 256 * 1024 * 1024;
/** Both meta pages of a bbolt file. */
const headBytes = 8192;

/**
 * What lies in the store's place: the store; nothing; a bbolt file that this program left and somebody else has changed since; or one that it never
 * left, a directory of etcd's own.
 */
export type DatabaseKind = 'store' | 'none' | 'changed' | 'foreign';

/** Puts the store into its place, where it is known to be the newest. @throws DiskError */
export function settleDatabase(disk: Disk, snapDir: string): DatabaseKind {
  const { db, store, exported, export_, adopted } = namesIn(snapDir);
  disk.removeTree(export_);
  let stat = disk.stat(db);
  if (stat === undefined && disk.stat(adopted) !== undefined) {
    disk.rename(adopted, db);
    disk.syncDir(snapDir);
    stat = disk.stat(db);
  }
  if (stat?.isDirectory === true) return 'store';
  if (disk.stat(store) === undefined) {
    if (stat === undefined) return 'none';
    // The mark stays while somebody's changes are taken over, so that a crash in the middle is none of a stranger's file.
    return disk.stat(exported) === undefined ? 'foreign' : 'changed';
  }
  if (stat !== undefined) {
    if (!sameHead(disk, db, exported)) return 'changed';
    disk.unlink(db);
    disk.syncDir(snapDir);
  }
  disk.rename(store, db);
  disk.syncDir(snapDir);
  return 'store';
}

/** Puts a store that was made from the bbolt file into its place. @throws DiskError */
export function adoptStore(disk: Disk, snapDir: string, built: string): void {
  const { db, store, adopted } = namesIn(snapDir);
  disk.removeTree(store);
  disk.syncDir(snapDir);
  disk.rename(db, adopted);
  disk.syncDir(snapDir);
  disk.rename(built, db);
  disk.syncDir(snapDir);
  disk.removeTree(adopted);
}

/**
 * Writes the store, as it is when nothing changes it any more, as a bbolt file beside it. False when it is too large.
 * @throws DiskError, CorruptError
 */
export async function exportDatabase(options: {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly log: Log;
  readonly snapDir: string;
  readonly backend: Backend;
}): Promise<boolean> {
  const { disk, clock, log, snapDir, backend } = options;
  const { export_, exported } = namesIn(snapDir);
  if (backend.sizeInUseBytes > exportBytesMax) {
    log.info('the store is too large to be left as a bbolt file at each stop; tsetcd util migrate-to-etcd makes one', {
      'size-in-use-bytes': backend.sizeInUseBytes,
      'bytes-max': exportBytesMax,
    });
    return false;
  }
  const start = clock.mono();
  const snapshot = new BoltSnapshot({ view: backend.view(), clock, transaction: backend.consistentIndex });
  let head: Uint8Array | undefined;
  let at = 0;
  const file = disk.open(export_, { write: true, create: true, truncate: true, mode: 0o600 });
  try {
    for (let piece = await snapshot.next(); piece !== undefined; piece = await snapshot.next()) {
      head ??= piece.slice(0, headBytes);
      file.write(piece, at);
      at += piece.length;
    }
    file.sync();
  } catch (error) {
    disk.unlink(export_);
    throw error;
  } finally {
    snapshot.close();
    file.close();
  }
  const mark = disk.open(exported, { write: true, create: true, truncate: true, mode: 0o600 });
  try {
    mark.write(head ?? new Uint8Array(0), 0);
    mark.sync();
  } finally {
    mark.close();
  }
  log.info('wrote the store as a bbolt file', { bytes: at, took: formatDuration(clock.mono() - start) });
  return true;
}

/** After `exportDatabase`, and after the store was closed: the file takes its place. @throws DiskError */
export function leaveDatabaseFile(disk: Disk, snapDir: string): void {
  const { db, store, export_ } = namesIn(snapDir);
  disk.removeTree(store);
  disk.syncDir(snapDir);
  disk.rename(db, store);
  disk.syncDir(snapDir);
  disk.rename(export_, db);
  disk.syncDir(snapDir);
}

interface Names {
  readonly db: string;
  readonly store: string;
  readonly exported: string;
  readonly export_: string;
  readonly adopted: string;
}

function namesIn(snapDir: string): Names {
  const db = `${snapDir}/db`;
  return { db, store: `${db}.store`, exported: `${db}.exported`, export_: `${db}.export`, adopted: `${db}.adopted` };
}

function sameHead(disk: Disk, a: string, b: string): boolean {
  const left = headOf(disk, a);
  const right = headOf(disk, b);
  return left !== undefined && right !== undefined && left.equals(right);
}

function headOf(disk: Disk, path: string): Buffer | undefined {
  if (disk.stat(path) === undefined) return undefined;
  const file = disk.open(path, { write: false });
  try {
    const head = Buffer.alloc(headBytes);
    return file.read(head, 0) === headBytes ? head : undefined;
  } finally {
    file.close();
  }
}

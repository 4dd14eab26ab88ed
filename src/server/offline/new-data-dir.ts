/**
 * A data directory in the making. Until it is complete, a file `member/incomplete` says so and a server refuses it (rules D-11, F-12): a crash at
 * any point leaves either a directory that is refused, or a whole one.
 */
import type { Disk } from '../../base/disk.ts';
import { type DataPaths, dataPaths, incompleteMark } from '../bootstrap/data-dir.ts';
import { OfflineError } from './errors.ts';

const dirMode = 0o700;

/** @throws OfflineError in etcdutl's words when it is not empty. */
export function checkNewDataDir(disk: Disk, dataDir: string, walDir: string): void {
  const there = disk.stat(dataDir);
  if (there !== undefined && (!there.isDirectory || disk.list(dataDir).length > 0))
    throw new OfflineError(`data-dir ${JSON.stringify(dataDir)} not empty or could not be read`);
  if (walDir !== '' && disk.stat(walDir) !== undefined) throw new OfflineError(`wal-dir ${JSON.stringify(walDir)} exists`);
}

/** Makes the directory and its mark. Call `complete` when everything in it is durable. */
export function beginDataDir(disk: Disk, dataDir: string, walDir: string): { readonly paths: DataPaths; complete(): void } {
  const paths = dataPaths({ dataDir, walDir });
  const mark = `${paths.memberDir}/${incompleteMark}`;
  disk.mkdir(paths.snapDir, dirMode);
  disk.open(mark, { write: true, create: true }).close();
  disk.syncDir(paths.memberDir);
  disk.syncDir(dataDir);
  disk.syncDir(parentOf(dataDir));
  return {
    paths,
    complete() {
      disk.syncDir(paths.snapDir);
      disk.syncDir(paths.memberDir);
      disk.unlink(mark);
      disk.syncDir(paths.memberDir);
    },
  };
}

export function parentOf(path: string): string {
  const at = path.lastIndexOf('/');
  return at < 0 ? '.' : at === 0 ? '/' : path.slice(0, at);
}

/** Without slashes at the end. */
export function stripped(path: string): string {
  return path.length > 1 ? path.replace(/\/+$/, '') || '/' : path;
}

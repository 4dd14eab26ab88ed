/** The data directory: layout, rights, the lock that keeps a second process out, and what must not be there. */
import { DiskError, type Disk, type DiskLock } from '../../base/disk.ts';
import type { Log } from '../../base/log.ts';
import type { ServerConfig } from '../config/config.ts';

const dirMode = 0o700;
/** What etcd or we put directly into the data directory. */
const knownNames = new Set(['member', 'fixtures']);
/** A file in `member` while an offline tool still fills the directory. */
export const incompleteMark = 'incomplete';

export interface DataPaths {
  readonly dataDir: string;
  readonly memberDir: string;
  readonly snapDir: string;
  readonly backendDir: string;
  readonly walDir: string;
}

/**
 * Data that this program must not touch: damaged, of another member, of another kind, or of a newer version. Exit code 20.
 */
export class DataRefused extends Error {
  readonly code = 'data-refused';
}

/** Another process holds the directory. An ordinary start-up error: exit code 1. */
export class DataDirBusy extends Error {
  readonly code = 'data-dir-busy';
}

export function dataPaths(config: Pick<ServerConfig, 'dataDir' | 'walDir'>): DataPaths {
  const memberDir = `${config.dataDir}/member`;
  const snapDir = `${memberDir}/snap`;
  return {
    dataDir: config.dataDir,
    memberDir,
    snapDir,
    backendDir: `${snapDir}/db`,
    walDir: config.walDir === '' ? `${memberDir}/wal` : config.walDir,
  };
}

/**
 * Makes the directories and takes the lock (rule D-14): a kernel lock, so that after kill -9 nothing is in the way of a restart.
 * @throws DataDirBusy, DataRefused, DiskError
 */
export function openDataDir(disk: Disk, paths: DataPaths, log: Log): DiskLock {
  makeDir(disk, paths.dataDir, log);
  for (const name of disk.list(paths.dataDir)) {
    if (name === 'proxy') throw new DataRefused(`invalid datadir: ${paths.dataDir}/proxy is of a v2 proxy, which no longer exists`);
    if (!knownNames.has(name)) log.warn('found invalid file under data directory', { filename: name, 'data-dir': paths.dataDir });
  }
  makeDir(disk, paths.memberDir, log);
  const lock = disk.lock(`${paths.memberDir}/lock`);
  if (lock === undefined) throw new DataDirBusy(`the data directory ${paths.dataDir} is in use by another process`);
  try {
    if (disk.stat(`${paths.memberDir}/${incompleteMark}`) !== undefined) {
      throw new DataRefused(
        `${paths.dataDir} is incomplete: a restore or a conversion into it did not come to its end; remove the directory and do it again`,
      );
    }
    makeDir(disk, paths.snapDir, log);
  } catch (error) {
    lock.release();
    throw error;
  }
  return lock;
}

function makeDir(disk: Disk, path: string, log: Log): void {
  const stat = disk.stat(path);
  if (stat === undefined) {
    disk.mkdir(path, dirMode);
    const at = path.lastIndexOf('/');
    // The new name must outlive a crash like what is put below it.
    disk.syncDir(at < 0 ? '.' : at === 0 ? '/' : path.slice(0, at));
    return;
  }
  if (!stat.isDirectory) throw new DiskError({ code: 'ENOTDIR', path, op: 'mkdir' });
  if ((stat.mode & 0o777) !== dirMode) {
    log.warn('check file permission', {
      error: `directory ${JSON.stringify(path)} exist, but the permission is "${modeText(stat.mode)}". The recommended permission is "-rwx------" to prevent possible unprivileged access to the data`,
    });
  }
}

function modeText(mode: number): string {
  const bits = 'rwxrwxrwx';
  let out = 'd';
  for (let i = 0; i < 9; i++) out += (mode >> (8 - i)) & 1 ? bits[i] : '-';
  return out;
}

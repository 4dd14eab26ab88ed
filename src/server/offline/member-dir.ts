/** The data directory of a member that must not be running: finds its store and keeps others out while a tool works on it. */
import { dataPaths, type DataPaths, incompleteMark } from '../bootstrap/data-dir.ts';
import { listSegments } from '../storage/wal/replay.ts';
import { OfflineError } from './errors.ts';
import { stripped } from './new-data-dir.ts';
import { takeLock } from './store.ts';
import type { Tool } from './tool.ts';

export interface MemberDir {
  readonly paths: DataPaths;
  /** etcd's store is a bbolt file, ours a directory. */
  readonly kind: 'etcd' | 'tsetcd';
  release(): void;
}

/** Pause between two attempts to take etcd's lock. */
const lockRetryMs = 50;

/** @param walDir  empty: inside the data directory. @throws OfflineError, DiskError */
export async function openMemberDir(tool: Tool, dataDir: string, walDir: string): Promise<MemberDir> {
  const { disk } = tool;
  const paths = dataPaths({ dataDir: stripped(dataDir), walDir: walDir === '' ? '' : stripped(walDir) });
  const stat = disk.stat(paths.backendDir);
  if (stat === undefined) throw new OfflineError(`stat ${paths.backendDir}: no such file or directory`);
  if (disk.stat(`${paths.memberDir}/${incompleteMark}`) !== undefined)
    throw new OfflineError(`${paths.dataDir} is incomplete: a restore or a conversion into it did not come to its end`);
  if (stat.isDirectory) {
    const lock = await takeLock(tool, `${paths.memberDir}/lock`, paths.backendDir);
    return { paths, kind: 'tsetcd', release: () => lock.release() };
  }
  return { paths, kind: 'etcd', release: await lockWal(tool, paths) };
}

/** A running etcd holds the kernel's locks of its log segments. @throws OfflineError when it stays taken */
export async function lockWal(tool: Tool, paths: DataPaths): Promise<() => void> {
  const { clock, disk, lockTimeoutMs } = tool;
  const last = disk.stat(paths.walDir) === undefined ? undefined : listSegments(disk, paths.walDir).pop();
  if (last === undefined) return () => undefined;
  const file = disk.open(`${paths.walDir}/${last.name}`, { write: true });
  const start = clock.mono();
  while (!file.lock()) {
    if (lockTimeoutMs > 0 && clock.mono() - start >= lockTimeoutMs) {
      file.close();
      throw new OfflineError(`failed to lock ${paths.backendDir}: timeout`, { hint: 'an etcd uses this data directory: stop it first' });
    }
    await new Promise<void>((resolve) => clock.after(lockRetryMs, resolve));
  }
  return () => file.close();
}

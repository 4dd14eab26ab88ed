/**
 * A start on etcd's own database: an etcd, or one of its tools, wrote `member/snap/db`. A store is made from it in place, at its position in the raft
 * log; log and snapshot files have one format in both programs.
 */
import { DataDirBusy, type DataPaths, DataRefused } from '../bootstrap/data-dir.ts';
import { adoptStore } from '../bootstrap/database-file.ts';
import { BoltError } from '../storage/bbolt/bolt-reader.ts';
import { OfflineError } from './errors.ts';
import { lockWal } from './member-dir.ts';
import { buildFromEtcd, readRaftState } from './move.ts';
import type { Tool } from './tool.ts';

/** The caller holds the directory's lock. @throws DataDirBusy, DataRefused, DiskError */
export async function adoptDatabase(tool: Tool, paths: DataPaths): Promise<void> {
  let release: () => void;
  try {
    release = await lockWal(tool, paths);
  } catch (error) {
    if (error instanceof OfflineError) throw new DataDirBusy(`the data directory ${paths.dataDir} is in use by an etcd`, { cause: error });
    throw error;
  }
  try {
    await adopt(tool, paths);
  } finally {
    release();
  }
}

async function adopt(tool: Tool, paths: DataPaths): Promise<void> {
  const { disk } = tool;
  const built = `${paths.snapDir}/tmp-db-adopted`;
  disk.removeTree(built);
  try {
    const raft = readRaftState(tool, paths);
    await buildFromEtcd(tool, paths, raft, built);
  } catch (error) {
    if (error instanceof OfflineError || error instanceof BoltError)
      throw new DataRefused(`${paths.backendDir} is a bbolt file that cannot be taken over: ${error.message}`, { cause: error });
    throw error;
  }
  adoptStore(disk, paths.snapDir, built);
}

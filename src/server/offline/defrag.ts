/** Gives back the space of what was deleted, in the data directory of a member that does not run: `defrag`. */
import { DiskError } from '../../base/disk.ts';
import { formatDuration } from '../../base/duration.ts';
import { BoltReader } from '../storage/bbolt/bolt-reader.ts';
import { BoltStore } from '../storage/bbolt/bolt-store.ts';
import { defaultBackendOptions, openBackend } from '../storage/revlog/log-backend.ts';
import { asOffline, diskText, OfflineError } from './errors.ts';
import { openMemberDir } from './member-dir.ts';
import type { Tool } from './tool.ts';
import { writeBolt } from './write-bolt.ts';

export interface Defragmented {
  readonly bytesBefore: number;
  readonly bytesAfter: number;
}

/** @throws OfflineError */
export async function defragDataDir(tool: Tool, dataDir: string): Promise<Defragmented> {
  try {
    const dir = await openMemberDir(tool, dataDir, '');
    try {
      const path = dir.paths.backendDir;
      const start = tool.clock.mono();
      const done = dir.kind === 'tsetcd' ? await defragRevisionLog(tool, path) : await defragBolt(tool, path);
      tool.log.info('finished defragmenting directory', {
        path,
        'current-db-size-bytes-diff': done.bytesAfter - done.bytesBefore,
        'current-db-size-bytes': done.bytesAfter,
        took: formatDuration(tool.clock.mono() - start),
      });
      return done;
    } finally {
      dir.release();
    }
  } catch (error) {
    const why = asOffline(error);
    if (!(why instanceof OfflineError)) throw error;
    const text = error instanceof DiskError ? diskText(error) : why.message;
    throw new OfflineError(`Failed to defragment etcd data[${dataDir}] (${text})`, {
      cause: error,
      ...(why.hint === undefined ? {} : { hint: why.hint }),
    });
  }
}

async function defragRevisionLog(tool: Tool, dir: string): Promise<Defragmented> {
  const { disk, clock, storageLog: log } = tool;
  const backend = openBackend({ ...defaultBackendOptions, disk, clock, log, dir });
  const bytesBefore = backend.diskBytes;
  await backend.defragment();
  const bytesAfter = backend.diskBytes;
  await backend.close();
  return { bytesBefore, bytesAfter };
}

async function defragBolt(tool: Tool, path: string): Promise<Defragmented> {
  const file = tool.disk.open(path, { write: false });
  try {
    const store = new BoltStore(new BoltReader(file));
    const unknown = store.unknownBuckets;
    if (unknown.length > 0) throw new OfflineError(`buckets that no etcd has: ${unknown.join(', ')}`);
    return { bytesBefore: file.size(), bytesAfter: await writeBolt(tool, store, path) };
  } finally {
    file.close();
  }
}

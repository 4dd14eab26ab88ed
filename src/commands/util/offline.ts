/** The offline tools with what they stand on: loaded only when one of them runs. */
import { createLog, openSink } from '../../host/log.ts';
import { RealClock } from '../../host/real-clock.ts';
import { RealDisk } from '../../host/real-disk.ts';
import type { Progress, Tool } from '../../server/offline/tool.ts';

/** A tool on the real disk, logging to standard error as etcdutl does. */
export function realTool(lockTimeoutMs: number, progress?: (done: Progress) => void): Tool {
  const log = (level: 'info' | 'warn'): ReturnType<typeof createLog> =>
    createLog({ level, format: 'console', wholeSeconds: true, sinks: [openSink('stderr')] });
  return {
    disk: new RealDisk(),
    clock: new RealClock(),
    log: log('info'),
    // What the store itself says of its segments and checkpoints is nothing for a one-shot tool.
    storageLog: log('warn'),
    lockTimeoutMs,
    progress,
  };
}

export { defragDataDir } from '../../server/offline/defrag.ts';
export { OfflineError } from '../../server/offline/errors.ts';
export { hashKv } from '../../server/offline/hash-kv.ts';
export { migrateFromEtcd, migrateToEtcd } from '../../server/offline/move.ts';
export { restoreSnapshot } from '../../server/offline/restore.ts';
export { snapshotStatus } from '../../server/offline/snapshot-status.ts';
export { migrateStorage, parseTargetVersion } from '../../server/offline/storage-version.ts';

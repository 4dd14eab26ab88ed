/** Old WAL segments and raft snapshots go after a while: the newest few stay. */
import type { Clock } from '../../base/clock.ts';
import { formatDuration } from '../../base/duration.ts';
import type { Log } from '../../base/log.ts';
import type { ServerConfig } from '../config/config.ts';
import type { Snapshotter } from '../storage/snap/snapshotter.ts';
import type { WAL } from '../storage/wal/wal.ts';

const purgeIntervalMs = 30_000;

export interface PurgeOptions {
  readonly config: Pick<ServerConfig, 'maxWals' | 'maxSnapshots'>;
  readonly clock: Clock;
  readonly log: Log;
  readonly wal: WAL;
  readonly snapshotter: Snapshotter;
  readonly walDir: string;
  readonly snapDir: string;
}

export function startPurge(options: PurgeOptions): { stop(): void } {
  const { config, clock, log, wal, snapshotter } = options;
  const interval = formatDuration(purgeIntervalMs);
  if (config.maxSnapshots > 0) {
    log.info('started to purge file', { dir: options.snapDir, suffix: 'snap.db', max: config.maxSnapshots, interval });
    log.info('started to purge file', { dir: options.snapDir, suffix: 'snap', max: config.maxSnapshots, interval });
  }
  if (config.maxWals > 0) log.info('started to purge file', { dir: options.walDir, suffix: 'wal', max: config.maxWals, interval });
  const timer = clock.every(purgeIntervalMs, () => {
    snapshotter.purge(config.maxSnapshots);
    wal.purge(config.maxWals);
  });
  return { stop: () => timer.cancel() };
}

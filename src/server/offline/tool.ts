/** What every offline tool is handed. */
import type { Clock } from '../../base/clock.ts';
import type { Disk } from '../../base/disk.ts';
import type { Log } from '../../base/log.ts';

export interface Tool {
  readonly disk: Disk;
  readonly clock: Clock;
  /** What the user is told, in etcdutl's words. */
  readonly log: Log;
  /** What the store and the raft log say beside that. */
  readonly storageLog: Log;
  /** How long to wait for another process to let go of a data directory; 0 for ever. etcdutl's `--timeout`. */
  readonly lockTimeoutMs: number;
  /** Called now and then with what was done so far, for a progress display. */
  readonly progress?: ((done: Progress) => void) | undefined;
}

export interface Progress {
  readonly what: 'verify' | 'copy';
  readonly bytes: number;
  readonly totalBytes: number;
}

/** Lets others on this event loop have their turn. */
export function turn(tool: Tool): Promise<void> {
  return new Promise((resolve) => tool.clock.defer(resolve));
}

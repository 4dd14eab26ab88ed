/** What consensus asks of the disk: the raft log and raft's snapshot files. Bound by `server.ts`. */
import type { Entry, HardState, Snapshot } from '../../raft/types.ts';

export interface DurableLog {
  /**
   * Appends entries (contiguous; an overlap replaces the tail) and then the hard state, as one batch. `done` runs in order of calls, when the
   * batch is durable; with `sync` false when it is written. Batches that arrive during a sync share the next one. A failure never reaches
   * `done`: the member stops (F-1).
   */
  save(entries: readonly Entry[], hardState: HardState | undefined, sync: boolean, done: () => void): void;
  /** Records a snapshot's position, synced; to be called when its file is durable. */
  saveSnapshot(snapshot: Snapshot, done: () => void): void;
  /** Lets go of segments that only hold entries up to `index`. */
  release(index: number): void;
}

export interface SnapshotFiles {
  /** Writes the file of a raft snapshot: temporary name, sync, rename, sync of the directory; then `done`. */
  save(snapshot: Snapshot, done: () => void): void;
}

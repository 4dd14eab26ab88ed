/** Finds the snapshot to restart from, and the log behind it, in one reading of the log (rules F-6, F-7). */
import type { Snapshot } from '../../../raft/types.ts';
import { WalError } from '../wal/errors.ts';
import { WAL, type OpenedWal, type WalOptions } from '../wal/wal.ts';
import type { Snapshotter } from './snapshotter.ts';

export interface Recovered extends OpenedWal {
  /** Undefined when the log reaches down to its beginning and no snapshot was taken yet. */
  readonly snapshot: Snapshot | undefined;
}

/**
 * Opens the log behind the newest snapshot that is sound and that the log knows, else behind the next older one; without any, from the log's
 * beginning.
 * @throws WalError  also when no snapshot serves and the log's beginning is gone.
 */
export function openRecovered(options: WalOptions, snapshotter: Snapshotter): Recovered {
  for (const name of snapshotter.names()) {
    const snapshot = snapshotter.load(name);
    if (snapshot === undefined) continue;
    try {
      return { ...WAL.open(options, { index: name.index, term: name.term }), snapshot };
    } catch (error) {
      if (!(error instanceof WalError) || !isUnknown(error)) throw error;
      options.log.warn('skipped a snapshot that the WAL does not know', { name: name.name, error: error.message });
    }
  }
  return { ...WAL.open(options, { index: 0, term: 0 }), snapshot: undefined };
}

function isUnknown(error: WalError): boolean {
  return error.code === 'snapshot-not-found' || error.code === 'snapshot-mismatch' || error.code === 'segment-not-found';
}

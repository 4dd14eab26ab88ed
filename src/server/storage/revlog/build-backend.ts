/** Builds a backend directory from rows and entries: restore, migration, a received snapshot. */
import type { BackendBuilder, BucketName, Row } from '../backend.ts';
import { keyAndLease } from './format.ts';
import type { LogBackendOptions } from './log-backend.ts';
import { LogBackend } from './log-backend.ts';

/**
 * A builder over an empty (or missing) directory. It writes on the calling thread, so it belongs in a worker or an offline tool. With `inSlices` no call
 * takes long, for an event loop that has other work; without, index entries are gathered, sorted and entered together, which is cheaper.
 * A crash before `finish` leaves a directory that must be removed: the caller renames it into place afterwards.
 */
export function buildBackend(options: LogBackendOptions, how?: { readonly inSlices: boolean }): BackendBuilder {
  options.disk.removeTree(options.dir);
  const backend = new LogBackend(options, true, how?.inSlices !== true);
  return {
    addRow(row: Row): void {
      const { key, lease } = keyAndLease(row.value);
      backend.append({ main: row.main, sub: row.sub, tombstone: row.tombstone, key, kv: row.value, lease });
    },
    addEntry(bucket: BucketName, key: Uint8Array, value: Uint8Array): void {
      backend.put(bucket, key, value);
    },
    finish(): Promise<void> {
      backend.finishDirect();
      return Promise.resolve();
    },
  };
}

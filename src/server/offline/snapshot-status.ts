/** What a snapshot file holds, in numbers: `snapshot status`. */
import { utf8Text } from '../../base/bytes.ts';
import { crc32c } from '../../base/crc32c.ts';
import { revisionKeyBytes, tombstoneKeyBytes, writeRevisionKey } from '../storage/bbolt/revision-key.ts';
import { keyAndLease } from '../storage/revlog/format.ts';
import { offline } from './errors.ts';
import { KeyNumbers, KeyTable } from './key-table.ts';
import { openStore } from './store.ts';
import { turn, type Tool } from './tool.ts';

export interface SnapshotStatus {
  /** CRC-32C over bucket names, keys and values. */
  readonly hash: number;
  /** Of the newest row; 0 without any. */
  readonly revision: number;
  /** Keys that are there at that revision. */
  readonly totalKey: number;
  /** Bytes of pages in use. */
  readonly totalSize: number;
  /** Storage version, such as `3.7.0`; empty when the store does not say (etcd 3.5 and older). */
  readonly version: string;
}

/** Rows between two turns of the event loop. */
const rowsPerTurn = 10_000;

/** Reads a snapshot file, a database file or a data directory. @throws OfflineError */
export function snapshotStatus(tool: Tool, path: string): Promise<SnapshotStatus> {
  return offline(async () => {
    const store = await openStore(tool, path);
    try {
      const keys = new KeyTable();
      const live = new KeyNumbers();
      let totalKey = 0;
      let hash = 0;
      let revision = 0;
      const revisionKey = Buffer.alloc(tombstoneKeyBytes);
      for (const bucket of store.buckets) {
        hash = crc32c(hash, Buffer.from(bucket, 'latin1'));
        if (bucket !== 'key') {
          for (const [key, value] of store.walkAny(bucket)) hash = crc32c(crc32c(hash, key), value);
          continue;
        }
        const rows = store.rows();
        let count = 0;
        for (let row = rows.next(); row !== undefined; row = rows.next()) {
          writeRevisionKey(revisionKey, row.main, row.sub);
          hash = crc32c(crc32c(hash, revisionKey, 0, row.tombstone ? tombstoneKeyBytes : revisionKeyBytes), row.value);
          revision = row.main;
          const n = keys.add(keyAndLease(row.value).key);
          const now = row.tombstone ? 0 : 1;
          totalKey += now - live.get(n);
          live.set(n, now);
          if (++count % rowsPerTurn === 0) await turn(tool);
        }
        rows.close();
      }
      return { hash, revision, totalKey, totalSize: store.sizeBytes, version: storageVersion(store.entries('meta')) };
    } finally {
      store.close();
    }
  });
}

/** Empty when there is none. */
export function storageVersion(meta: readonly [Uint8Array, Uint8Array][]): string {
  const entry = meta.find(([key]) => utf8Text(key) === 'storageVersion');
  return entry === undefined ? '' : utf8Text(entry[1]);
}

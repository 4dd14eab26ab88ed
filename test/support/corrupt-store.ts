/**
 * Changes what a stopped member has stored, with everything around it in order: checksums, index, consistent index. What a disk, a bug or a hand
 * could do to one member, and only a comparison with the others can find.
 */
import { renameSync, rmSync } from 'node:fs';
import { silentLog } from '../../src/base/log.ts';
import { KeyValue } from '../../src/api/gen/mvccpb.ts';
import { RealClock } from '../../src/host/real-clock.ts';
import { RealDisk } from '../../src/host/real-disk.ts';
import { openStore } from '../../src/server/offline/store.ts';
import type { Tool } from '../../src/server/offline/tool.ts';
import { bucketNames } from '../../src/server/storage/backend.ts';
import { buildBackend } from '../../src/server/storage/revlog/build-backend.ts';
import { defaultBackendOptions } from '../../src/server/storage/revlog/log-backend.ts';

/** Sets each stored value of `key` to `value`; the same length hides best. Returns how many there were. */
export async function corruptStore(dataDir: string, key: string, value: string): Promise<number> {
  const [disk, clock] = [new RealDisk(), new RealClock()];
  const tool: Tool = { disk, clock, log: silentLog, storageLog: silentLog, lockTimeoutMs: 5000 };
  const dir = `${dataDir}/member/snap/db`;
  const built = `${dataDir}/member/snap/db-corrupt`;
  const store = await openStore(tool, dir);
  let changed = 0;
  try {
    const builder = buildBackend({ ...defaultBackendOptions, disk, clock, log: silentLog, dir: built });
    for (const bucket of bucketNames) for (const [k, v] of store.walk(bucket)) builder.addEntry(bucket, k, v);
    const rows = store.rows();
    for (let row = rows.next(); row !== undefined; row = rows.next()) {
      const kv = row.tombstone ? undefined : KeyValue.decode(row.value);
      if (kv === undefined || Buffer.from(kv.key).toString() !== key) builder.addRow(row);
      else {
        builder.addRow({ ...row, value: KeyValue.encode({ ...kv, value: Buffer.from(value) }) });
        changed++;
      }
    }
    rows.close();
    await builder.finish();
  } finally {
    store.close();
  }
  rmSync(dir, { recursive: true });
  renameSync(built, dir);
  return changed;
}

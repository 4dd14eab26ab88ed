/** HashKV of a store that no member runs on: the number that `endpoint hashkv` gives on a running one. */
import { utf8Text } from '../../base/bytes.ts';
import { isVisible, newestAt } from './newest.ts';
import { KvHasher } from '../mvcc/hash.ts';
import type { HashResult } from '../mvcc/types.ts';
import { parseRevisionKey } from '../storage/bbolt/revision-key.ts';
import { offline, OfflineError } from './errors.ts';
import { openStore, type OpenStore } from './store.ts';
import { turn, type Tool } from './tool.ts';

/** Rows between two turns of the event loop. */
const rowsPerTurn = 10_000;

/**
 * @param path  a snapshot file, a database file or a data directory; it is not changed.
 * @param rev   0: the newest one.
 * @throws OfflineError
 */
export function hashKv(tool: Tool, path: string, rev: number): Promise<HashResult> {
  return offline(async () => {
    const store = await openStore(tool, path);
    try {
      return await hashStore(tool, store, rev);
    } finally {
      store.close();
    }
  });
}

async function hashStore(tool: Tool, store: OpenStore, asked: number): Promise<HashResult> {
  const compactRev = compactedRevision(store);
  // What is visible at the compacted revision stays when a compaction that was cut off goes on.
  const first = await newestAt(tool, store, [asked === 0 ? Infinity : asked, compactRev]);
  const current = Math.max(1, first.lastMain);
  if (asked > current) throw new OfflineError('mvcc: required revision is a future revision');
  if (asked > 0 && asked < compactRev) throw new OfflineError('mvcc: required revision has been compacted');
  const rev = asked === 0 ? current : asked;
  const hasher = new KvHasher({ rev, compactRev });
  const rows = store.rows();
  let count = 0;
  for (let row = rows.next(); row !== undefined && row.main <= rev; row = rows.next()) {
    const kept = isVisible(first, 0, row);
    if (kept || !hasher.lax || row.main > compactRev || isVisible(first, 1, row)) hasher.add(row, kept);
    if (++count % rowsPerTurn === 0) await turn(tool);
  }
  rows.close();
  return hasher.result();
}

/** −1 before any compaction. A compaction that was begun counts: it is only a matter of time. */
export function compactedRevision(store: Pick<OpenStore, 'entries'>): number {
  let compacted = -1;
  for (const [key, value] of store.entries('meta')) {
    const name = utf8Text(key);
    if (name !== 'scheduledCompactRev' && name !== 'finishedCompactRev') continue;
    compacted = Math.max(compacted, parseRevisionKey(value)?.main ?? -1);
  }
  return compacted;
}

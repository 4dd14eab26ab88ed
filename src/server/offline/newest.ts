/** Which row of each key is the newest at given revisions, for stores without an index. */
import type { Row } from '../storage/backend.ts';
import type { StoreContent } from '../storage/bbolt/bolt-store.ts';
import { keyAndLease } from '../storage/revlog/format.ts';
import { KeyNumbers, KeyTable } from './key-table.ts';
import { turn, type Tool } from './tool.ts';

const rowsPerTurn = 10_000;

export interface Newest {
  /** Of the newest row; 0 without any. */
  readonly lastMain: number;
  readonly keys: KeyTable;
  /** For each revision asked for, by key: main revision and place in its transaction. */
  readonly at: readonly { readonly main: KeyNumbers; readonly sub: KeyNumbers }[];
}

export async function newestAt(tool: Tool, store: Pick<StoreContent, 'rows'>, revisions: readonly number[]): Promise<Newest> {
  const keys = new KeyTable();
  const at = revisions.map(() => ({ main: new KeyNumbers(), sub: new KeyNumbers() }));
  const rows = store.rows();
  let lastMain = 0;
  let count = 0;
  for (let row = rows.next(); row !== undefined; row = rows.next()) {
    lastMain = row.main;
    let n: number | undefined;
    for (const [i, rev] of revisions.entries()) {
      if (row.main > rev) continue;
      n ??= keys.add(keyAndLease(row.value).key);
      at[i]?.main.set(n, row.main);
      at[i]?.sub.set(n, row.sub);
    }
    if (++count % rowsPerTurn === 0) await turn(tool);
  }
  rows.close();
  return { lastMain, keys, at };
}

/** Whether a row is what a reader at the `i`-th of the revisions sees of its key. */
export function isVisible(newest: Newest, i: number, row: Row): boolean {
  if (row.tombstone) return false;
  const n = newest.keys.add(keyAndLease(row.value).key);
  return newest.at[i]?.main.get(n) === row.main && newest.at[i]?.sub.get(n) === row.sub;
}

/** The writes of one raft entry: rows appended at one main revision, told to the watchers when the txn ends. */
import { invariant } from '../../base/invariant.ts';
import type { Backend, KeyRange } from '../storage/backend.ts';
import { encodeKeyValue, encodeTombstone, readRowFields, RowFields, rowKey } from './key-value.ts';
import { isEmptyRange } from './range-scan.ts';
import type { MvccStats, RangeQuery, RangeResult, WriteTxn } from './types.ts';

/** One row of a txn, as the watchers need it. */
export interface Change {
  readonly tombstone: boolean;
  readonly key: Uint8Array;
  /** The stored row. */
  readonly kv: Uint8Array;
  readonly createRevision: number;
}

export interface TxnOwner {
  readonly backend: Backend;
  readonly stats: MvccStats;
  /** A range where `rev` is the newest revision; `final` when nothing more will be written at it. */
  rangeAt(query: RangeQuery, rev: number, final: boolean): RangeResult;
  /** `changes` is undefined when nobody asked for them. */
  txnEnded(rev: number, changes: readonly Change[] | undefined): void;
}

const fields = new RowFields();

export class Txn implements WriteTxn {
  readonly startRev: number;
  readonly #owner: TxnOwner;
  readonly #backend: Backend;
  readonly #changes: Change[] | undefined;
  #sub = 0;
  #ended = false;

  constructor(owner: TxnOwner, startRev: number, recordChanges: boolean) {
    this.startRev = startRev;
    this.#owner = owner;
    this.#backend = owner.backend;
    this.#changes = recordChanges ? [] : undefined;
  }

  get changed(): boolean {
    return this.#sub !== 0;
  }

  range(query: RangeQuery): RangeResult {
    const changed = this.#sub !== 0;
    return this.#owner.rangeAt(query, changed ? this.startRev + 1 : this.startRev, !changed);
  }

  put(key: Uint8Array, value: Uint8Array, lease: bigint): number {
    const backend = this.#backend;
    const main = this.startRev + 1;
    const sub = this.#sub++;
    let createRevision = main;
    let version = 1;
    const previous = backend.latest(key);
    if (previous !== undefined && !previous.tombstone) {
      readRowFields(backend.read(previous), fields);
      createRevision = fields.createRevision;
      version = fields.version + 1;
    }
    const kv = encodeKeyValue(key, createRevision, main, version, value, lease);
    backend.append({ main, sub, tombstone: false, key, kv, lease });
    const { stats } = this.#owner;
    stats.puts++;
    stats.putBytes += key.length + value.length;
    if (this.#changes !== undefined) this.#changes.push({ tombstone: false, key, kv, createRevision });
    return main;
  }

  deleteRange(range: KeyRange): { deleted: number; rev: number } {
    const deleted = range.end === undefined ? this.#deleteKey(range.key) : this.#deleteKeys(range);
    this.#owner.stats.deletes += deleted;
    return { deleted, rev: this.#sub !== 0 ? this.startRev + 1 : this.startRev };
  }

  #deleteKey(key: Uint8Array): number {
    const previous = this.#backend.latest(key);
    if (previous === undefined || previous.tombstone) return 0;
    this.#appendTombstone(encodeTombstone(key));
    return 1;
  }

  #deleteKeys(range: KeyRange): number {
    if (isEmptyRange(range)) return 0;
    const rows: Uint8Array[] = [];
    const cursor = this.#backend.cursor(range, this.startRev + 1);
    // The cursor's key is a view; the row made of it is the copy.
    while (cursor.next()) rows.push(encodeTombstone(cursor.key));
    for (const row of rows) this.#appendTombstone(row);
    return rows.length;
  }

  #appendTombstone(kv: Uint8Array): void {
    const key = rowKey(kv);
    this.#backend.append({ main: this.startRev + 1, sub: this.#sub++, tombstone: true, key, kv, lease: 0n });
    if (this.#changes !== undefined) this.#changes.push({ tombstone: true, key, kv, createRevision: 0 });
  }

  end(): void {
    invariant(!this.#ended, 'a txn ends once', { startRev: this.startRev });
    this.#ended = true;
    this.#owner.txnEnded(this.#sub !== 0 ? this.startRev + 1 : this.startRev, this.#changes);
  }
}

/** A store on the model backend with short forms of its calls. */
import { emptyBytes, latin1, prefixEnd, utf8 } from '../../../src/base/bytes.ts';
import { silentLog } from '../../../src/base/log.ts';
import { KeyValue } from '../../../src/api/gen/mvccpb.ts';
import type { KeyRange } from '../../../src/server/storage/backend.ts';
import { Store, type StoreOptions } from '../../../src/server/mvcc/store.ts';
import type { RangeQuery, RangeResult, WatchEvent, WatchOptions, WriteTxn } from '../../../src/server/mvcc/types.ts';
import { ModelBackend } from './model-backend.ts';
import { TestClock } from './test-clock.ts';

export interface Kv {
  readonly key: string;
  readonly createRevision: number;
  readonly modRevision: number;
  readonly version: number;
  readonly value: string;
  readonly lease: bigint;
}

export function decodeKv(bytes: Uint8Array): Kv {
  const kv = KeyValue.decode(bytes);
  return { ...kv, key: latin1(kv.key), value: latin1(kv.value) };
}

export const everything: KeyRange = { key: Buffer.of(0), end: emptyBytes };

export function bytes(text: string): Uint8Array {
  return Buffer.from(text, 'latin1');
}

export function keyRange(key: string, end?: string): KeyRange {
  return { key: bytes(key), end: end === undefined ? undefined : bytes(end) };
}

export function prefix(text: string): KeyRange {
  return { key: bytes(text), end: prefixEnd(bytes(text)) };
}

export function query(range: KeyRange, more: Partial<RangeQuery> = {}): RangeQuery {
  return { rev: 0, limit: 0, countOnly: false, ...range, ...more };
}

export function watchOptions(range: KeyRange, more: Partial<WatchOptions> = {}): WatchOptions {
  return { startRev: 0, filterPut: false, filterDelete: false, prevKv: false, ...range, ...more };
}

/** `key=value@mod` or `-key@mod`, with the former value in brackets when it came along. */
export function eventText(e: WatchEvent): string {
  const kv = decodeKv(e.kv);
  const previous = e.prevKv === undefined ? '' : `(${decodeKv(e.prevKv).value})`;
  return e.type === 'put'
    ? `${kv.key}=${kv.value}@${String(kv.modRevision)}${previous}`
    : `-${kv.key}@${String(kv.modRevision)}${previous}`;
}

export function rangeText(result: RangeResult): string[] {
  return result.kvs.map((b) => {
    const kv = decodeKv(b);
    return `${kv.key}=${kv.value} ${String(kv.createRevision)}/${String(kv.modRevision)}/${String(kv.version)}`;
  });
}

export class Harness {
  readonly clock: TestClock;
  backend: ModelBackend;
  store: Store;
  readonly #options: Partial<StoreOptions>;

  constructor(options: Partial<StoreOptions> & { journal?: boolean } = {}) {
    this.clock = new TestClock();
    this.#options = options;
    this.backend = new ModelBackend({ clock: this.clock, journal: options.journal ?? false });
    this.store = this.open();
  }

  open(): Store {
    return new Store({ log: silentLog, clock: this.clock, ...this.#options, backend: this.backend });
  }

  /** Power loss and restart. */
  crash(): void {
    this.store.close();
    this.backend = this.backend.crash();
    this.store = this.open();
  }

  txn<T>(fn: (txn: WriteTxn) => T): T {
    const txn = this.store.write();
    try {
      return fn(txn);
    } finally {
      txn.end();
      this.backend.setConsistentIndex(this.backend.consistentIndex + 1, 1);
    }
  }

  put(key: string, value: string, lease = 0n): number {
    return this.txn((t) => t.put(bytes(key), utf8(value), lease));
  }

  delete(key: string, end?: string): { deleted: number; rev: number } {
    return this.txn((t) => t.deleteRange(keyRange(key, end)));
  }

  range(range: KeyRange, more: Partial<RangeQuery> = {}): RangeResult {
    return this.store.range(query(range, more));
  }

  /** A whole compaction. */
  compact(rev: number): void {
    let done = false;
    this.store.compact(rev, () => (done = true));
    this.backend.setConsistentIndex(this.backend.consistentIndex + 1, 1);
    this.clock.settle(() => done);
  }
}

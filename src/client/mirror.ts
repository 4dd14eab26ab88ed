/**
 * Copies a prefix: first what is there, as of one revision, then every change after it. Nothing is missed in between and nothing comes twice.
 *
 *   const source = new Syncer(client, { prefix: 'app/' });
 *   for await (const page of source.base()) …
 *   for await (const batch of source.updates()) …
 */
import type { RangeResponse } from '../api/gen/etcdserverpb.ts';
import { KV } from '../api/gen/methods.ts';
import { prefixEnd, utf8 } from '../base/bytes.ts';
import type { Bytes, Client } from './client.ts';
import type { Watcher } from './watch.ts';

/** Pairs of one page, as etcd's client reads them. */
const pageLimit = 1000;

export interface SyncerOptions {
  /** Empty (default): every key. */
  readonly prefix?: Bytes | undefined;
  /** The base is read as of this revision; 0 (default): as of now. */
  readonly revision?: number | undefined;
}

export class Syncer {
  readonly #client: Client;
  readonly #key: Uint8Array;
  readonly #end: Uint8Array;
  #revision: number;

  constructor(client: Client, options: SyncerOptions = {}) {
    this.#client = client;
    const given = options.prefix ?? '';
    const prefix = typeof given === 'string' ? utf8(given) : given;
    this.#key = prefix.length === 0 ? new Uint8Array(1) : prefix;
    this.#end = prefix.length === 0 ? new Uint8Array(1) : prefixEnd(prefix);
    this.#revision = options.revision ?? 0;
  }

  /** The revision of the base; updates follow it. 0 until known. */
  get revision(): number {
    return this.#revision;
  }

  /** Pages of pairs in key order, all as of one revision. @throws EtcdError, `compacted` when the revision went away meanwhile */
  async *base(): AsyncGenerator<RangeResponse, void, void> {
    let key = this.#key;
    for (;;) {
      const page = await this.#client.call(KV.range, { key, rangeEnd: this.#end, revision: this.#revision, limit: pageLimit });
      if (this.#revision === 0) this.#revision = page.header?.revision ?? 0;
      yield page;
      const last = page.kvs.at(-1);
      if (!page.more || last === undefined) return;
      key = Buffer.concat([last.key, new Uint8Array(1)]);
    }
  }

  /** Every change behind the base. @throws TypeError before the revision of the base is known */
  updates(): Watcher {
    if (this.#revision === 0) throw new TypeError('updates follow a base: read it first, or name a revision');
    return this.#client.watchRange({ key: this.#key, rangeEnd: this.#end }, { startRevision: this.#revision + 1 });
  }
}

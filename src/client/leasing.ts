/**
 * Linearizable reads without a round trip: a client takes a lease on a key it reads, and answers further reads from its own memory as long
 * as it owns that lease. Whoever writes the key asks the owner to give it up first, so every writer must use the same leasing prefix.
 *
 * The key `PREFIX + key` is owned by the client whose session's lease it hangs on; a writer that finds it owned by another puts the value
 * `REVOKE` there and waits for its deletion. The layout is that of etcd's leasing package: both can share a prefix. Ranges, reads at a
 * revision, transactions and whatever else is not one plain key go to the members, under the same rule for what they write.
 */
import type {
  Compare,
  DeleteRangeRequest,
  PutRequest,
  RangeRequest,
  RangeResponse,
  RequestOp,
  ResponseHeader,
  TxnRequest,
  TxnResponse,
} from '../api/gen/etcdserverpb.ts';
import { Compare_CompareResult as CompareResult, Compare_CompareTarget as CompareTarget } from '../api/gen/etcdserverpb.ts';
import { KV, type MethodDef } from '../api/gen/methods.ts';
import type { KeyValue } from '../api/gen/mvccpb.ts';
import type { Init } from '../api/proto-io.ts';
import { copyBytes, emptyBytes, latin1, utf8, utf8Text } from '../base/bytes.ts';
import type { CallOptions } from '../wire/channel.ts';
import { Client, type Bytes } from './client.ts';
import { Session } from './concurrency.ts';
import { type CallLayer, PassLayer } from './layer.ts';
import type { Watcher } from './watch.ts';

/** Keys owned at a time: each costs a watch and a key at the members. */
const ownedMax = 4096;
/** A key that somebody wanted back is not taken again for this long, as etcd's client has it: it is being written. */
const restMs = 2000;
/** TTL of the session that owns the keys: as long may writers wait for an owner that is gone. */
const sessionTtlSeconds = 60;
const revokeMark = 'REVOKE';

interface Owned {
  /** Create revision of the leasing key. */
  readonly revision: number;
  readonly watcher: Watcher;
  /** Undefined: there is no such key. */
  kv: KeyValue | undefined;
  /** Of the answer that `kv` came with. */
  storeRevision: number;
  /** Writes of this client under way: what will be is not known. */
  changing: number;
  /** A write of this client left the content unknown: read it again. */
  stale: boolean;
}

export class LeasingLayer extends PassLayer {
  readonly #prefix: Uint8Array;
  readonly #client: Client;
  readonly #owned = new Map<string, Owned>();
  /** Keys being taken. A write of this client meanwhile spoils what the taking read. */
  readonly #taking = new Set<{ readonly id: string; spoiled: boolean }>();
  /** Key → end of its rest. */
  readonly #resting = new Map<string, number>();
  #session: Promise<Session> | undefined;
  #header: ResponseHeader | undefined;
  #released = false;

  constructor(below: CallLayer, prefix: Bytes) {
    super(below);
    this.#prefix = typeof prefix === 'string' ? utf8(prefix) : prefix;
    this.#client = new Client(below);
  }

  /** Keys whose reads are answered here. */
  get ownedKeys(): number {
    return this.#owned.size;
  }

  override async call<Req, Res>(method: MethodDef<Req, Res>, request: Init<Req>, options?: CallOptions): Promise<Res> {
    const answer = await this.#dispatch(method.path, request, options);
    if (answer === undefined) return this.below.call(method, request, options);
    return answer as Res;
  }

  /** Gives every key back. */
  async release(): Promise<void> {
    this.#released = true;
    this.#forgetAll();
    const session = await this.#session?.catch(() => undefined);
    await session?.close().catch(() => undefined);
  }

  async #dispatch(path: string, request: unknown, options: CallOptions | undefined): Promise<unknown> {
    switch (path) {
      case KV.range.path:
        return this.#range(request as Init<RangeRequest>, options);
      case KV.put.path: {
        const put = request as Init<PutRequest>;
        const txn = await this.#write({ success: [{ requestPut: put }] }, options, (header) => this.#afterPut(put, header));
        const answer = txn.responses[0]?.responsePut;
        return answer === undefined ? undefined : { ...answer, header: txn.header };
      }
      case KV.deleteRange.path: {
        const del = request as Init<DeleteRangeRequest>;
        const txn = await this.#write({ success: [{ requestDeleteRange: del }] }, options, (header) => this.#afterDelete(del, header));
        const answer = txn.responses[0]?.responseDeleteRange;
        return answer === undefined ? undefined : { ...answer, header: txn.header };
      }
      case KV.txn.path:
        return writes(request as Init<TxnRequest>).length === 0 ? undefined : this.#write(request as Init<TxnRequest>, options, undefined);
      default:
        return undefined;
    }
  }

  // ---- reading

  async #range(r: Init<RangeRequest>, options: CallOptions | undefined): Promise<RangeResponse | undefined> {
    const { key } = r;
    if (key === undefined || key.length === 0 || !isPlain(r)) return undefined;
    const id = latin1(key);
    const owned = this.#owned.get(id);
    if (owned !== undefined && owned.changing === 0 && !owned.stale) return this.#answer(owned, r);
    if (r.serializable === true || this.#released || owned?.changing) return undefined;
    if (owned === undefined && (this.#owned.size >= ownedMax || this.#rests(id))) return undefined;
    return this.#acquire(id, copyBytes(key), r, options);
  }

  #answer(owned: Owned, r: Init<RangeRequest>): RangeResponse {
    const { kv } = owned;
    const header = this.#header === undefined ? undefined : { ...this.#header };
    const count = kv === undefined ? 0 : 1;
    if (kv === undefined || r.countOnly === true) return { header, kvs: [], more: false, count };
    return { header, kvs: [{ ...kv, value: r.keysOnly === true ? emptyBytes : kv.value }], more: false, count };
  }

  #rests(id: string): boolean {
    const until = this.#resting.get(id);
    if (until === undefined) return false;
    if (performance.now() < until) return true;
    this.#resting.delete(id);
    return false;
  }

  async #acquire(id: string, key: Uint8Array, r: Init<RangeRequest>, options: CallOptions | undefined): Promise<RangeResponse | undefined> {
    const session = await this.#currentSession();
    const leasingKey = this.#leasingKey(key);
    const taking = { id, spoiled: false };
    this.#taking.add(taking);
    const txn = await this.below
      .call(
        KV.txn,
        {
          // A key with a lease of its own would go without anybody asking for it.
          compare: [
            { key: leasingKey, target: CompareTarget.CREATE, result: CompareResult.EQUAL, createRevision: 0 },
            { key, target: CompareTarget.LEASE, result: CompareResult.EQUAL, lease: 0n },
          ],
          success: [{ requestRange: { key } }, { requestPut: { key: leasingKey, lease: session.lease } }],
          failure: [{ requestRange: { key } }, { requestRange: { key: leasingKey } }],
        },
        options,
      )
      .finally(() => this.#taking.delete(taking));
    this.#saw(txn.header);
    const found = txn.responses[0]?.responseRange;
    if (found === undefined) return undefined;
    const revision = txn.header?.revision ?? 0;
    const holder = txn.responses[1]?.responseRange?.kvs[0];
    const mine = txn.succeeded || (holder !== undefined && holder.lease === session.lease && utf8Text(holder.value) !== revokeMark);
    const created = txn.succeeded ? revision : (holder?.createRevision ?? 0);
    const current = this.#owned.get(id);
    if (taking.spoiled) {
      if (txn.succeeded && current === undefined) this.#giveBack(key, revision + 1);
    } else if (mine && !session.lost.aborted && !this.#released && (found.kvs[0]?.lease ?? 0n) === 0n) {
      if (current === undefined) this.#own(id, key, created, revision, found.kvs[0]);
      else if (current.changing === 0 && current.storeRevision <= revision) {
        current.kv = found.kvs[0] === undefined ? undefined : owning(found.kvs[0]);
        current.storeRevision = revision;
        current.stale = false;
      }
    }
    const kvs = found.kvs.map((kv) => (r.keysOnly === true ? { ...kv, value: emptyBytes } : kv));
    return { ...found, header: txn.header, kvs: r.countOnly === true ? [] : kvs };
  }

  #own(id: string, key: Uint8Array, created: number, storeRevision: number, kv: KeyValue | undefined): void {
    const watcher = this.#client.watch(this.#leasingKey(key), { startRevision: created + 1 });
    const owned: Owned = {
      revision: created,
      watcher,
      kv: kv === undefined ? undefined : owning(kv),
      storeRevision,
      changing: 0,
      stale: false,
    };
    this.#owned.set(id, owned);
    watcher.onBatch = ({ events }) => {
      for (const e of events) {
        if (e.type === 1) this.#lose(id, owned);
        else if (e.kv !== undefined && utf8Text(e.kv.value) === revokeMark) {
          this.#lose(id, owned);
          this.#resting.set(id, performance.now() + restMs);
          this.#giveBack(key, e.kv.modRevision);
        }
      }
    };
    // A watch that ended says nothing any more: what it stood for is not to be trusted.
    watcher.onEnd = () => this.#lose(id, owned);
  }

  #giveBack(key: Uint8Array, revision: number): void {
    const leasingKey = this.#leasingKey(key);
    void this.below
      .call(KV.txn, {
        compare: [{ key: leasingKey, target: CompareTarget.CREATE, result: CompareResult.LESS, createRevision: revision }],
        success: [{ requestDeleteRange: { key: leasingKey } }],
      })
      .catch(() => {
        // A member that was away: the writer waits, and asks once more when it sees nothing happen.
        if (!this.#released && !this.below.closed) setTimeout(() => this.#giveBack(key, revision), 200).unref();
      });
  }

  #lose(id: string, owned: Owned): void {
    if (this.#owned.get(id) !== owned) return;
    this.#owned.delete(id);
    owned.watcher.onEnd = undefined;
    owned.watcher.cancel();
  }

  #forgetAll(): void {
    for (const [id, owned] of [...this.#owned]) this.#lose(id, owned);
  }

  // ---- writing

  /** The request as a txn under the condition that nobody else owns what it writes; owners are asked to let go until it holds. */
  async #write(
    request: Init<TxnRequest>,
    options: CallOptions | undefined,
    after: ((header: ResponseHeader | undefined) => void) | undefined,
  ): Promise<TxnResponse> {
    const spans = writes(request);
    for (;;) {
      const touched = this.#ownedIn(spans);
      for (const [, owned] of touched) owned.changing++;
      for (const t of this.#taking) if (spans.some((s) => within(t.id, s))) t.spoiled = true;
      let outcome: TxnResponse;
      let certain = false;
      try {
        outcome = await this.below.call(
          KV.txn,
          {
            compare: spans.map((s) => this.#unowned(s)),
            success: [{ requestTxn: request }],
            failure: spans.map((s) => ({ requestRange: this.#leasingSpan(s) })),
          },
          options,
        );
        certain = true;
      } finally {
        for (const [id, owned] of touched) {
          owned.changing--;
          owned.stale = true;
          // Whether it was written is not known: neither is what to answer.
          if (!certain) this.#lose(id, owned);
        }
      }
      this.#saw(outcome.header);
      const inner = outcome.responses[0]?.responseTxn;
      if (outcome.succeeded && inner !== undefined) {
        if (after !== undefined) after(outcome.header);
        else for (const [, owned] of touched) owned.storeRevision = Math.max(owned.storeRevision, outcome.header?.revision ?? 0);
        return { ...inner, header: outcome.header };
      }
      await this.#revoke(outcome, options);
    }
  }

  #unowned({ key, end }: Span): Init<Compare> {
    const span = this.#leasingSpan({ key, end });
    let owned = 0;
    for (const [, o] of this.#ownedIn([{ key, end }])) owned = Math.max(owned, o.revision);
    return { ...span, target: CompareTarget.CREATE, result: CompareResult.LESS, createRevision: owned + 1 };
  }

  #ownedIn(spans: readonly Span[]): [string, Owned][] {
    const out: [string, Owned][] = [];
    for (const { key, end } of spans) {
      if (end.length === 0) {
        const owned = this.#owned.get(latin1(key));
        if (owned !== undefined) out.push([latin1(key), owned]);
        continue;
      }
      for (const [id, owned] of this.#owned) if (within(id, { key, end })) out.push([id, owned]);
    }
    return out;
  }

  /** Asks whoever owns the leasing keys of a refused write to let go, and waits until they have. */
  async #revoke(refused: TxnResponse, options: CallOptions | undefined): Promise<void> {
    const session = await this.#session;
    const holders = refused.responses.flatMap((r) => r.responseRange?.kvs ?? []);
    for (const holder of holders) {
      const leasingKey = holder.key;
      if (holder.lease === session?.lease && this.#owned.has(latin1(leasingKey.subarray(this.#prefix.length)))) continue;
      const asked = await this.below.call(
        KV.txn,
        {
          compare: [{ key: leasingKey, target: CompareTarget.CREATE, result: CompareResult.EQUAL, createRevision: holder.createRevision }],
          success:
            holder.lease === session?.lease
              ? [{ requestDeleteRange: { key: leasingKey } }]
              : [{ requestPut: { key: leasingKey, value: utf8(revokeMark), ignoreLease: true } }],
        },
        options,
      );
      if (asked.succeeded && holder.lease !== session?.lease)
        await this.#waitDeleted(leasingKey, (asked.header?.revision ?? 0) + 1, options);
    }
  }

  async #waitDeleted(leasingKey: Uint8Array, startRevision: number, options: CallOptions | undefined): Promise<void> {
    const watcher = this.#client.watch(leasingKey, { startRevision, noPut: true });
    const stop = (): void => watcher.cancel();
    const timer = options?.timeoutMs === undefined ? undefined : setTimeout(stop, options.timeoutMs);
    options?.signal?.addEventListener('abort', stop, { once: true });
    try {
      for await (const { events } of watcher) if (events.length > 0) return;
      options?.signal?.throwIfAborted();
    } finally {
      clearTimeout(timer);
      options?.signal?.removeEventListener('abort', stop);
      watcher.cancel();
    }
  }

  #afterPut(put: Init<PutRequest>, header: ResponseHeader | undefined): void {
    const id = latin1(put.key ?? emptyBytes);
    const owned = this.#owned.get(id);
    const revision = header?.revision ?? 0;
    if (owned === undefined || owned.changing > 0 || revision <= owned.storeRevision) return;
    // Only what is known whole: a value or lease that was kept would have to be read, and a key with a lease may go by itself.
    if (put.ignoreValue === true || put.ignoreLease === true || (put.lease ?? 0n) !== 0n) {
      if ((put.lease ?? 0n) !== 0n) {
        this.#lose(id, owned);
        this.#giveBack(put.key ?? emptyBytes, revision + 1);
      }
      return;
    }
    const before = owned.kv;
    owned.kv = {
      key: copyBytes(put.key ?? emptyBytes),
      value: copyBytes(put.value ?? emptyBytes),
      createRevision: before?.createRevision ?? revision,
      modRevision: revision,
      version: (before?.version ?? 0) + 1,
      lease: 0n,
    };
    owned.storeRevision = revision;
    owned.stale = false;
  }

  #afterDelete(del: Init<DeleteRangeRequest>, header: ResponseHeader | undefined): void {
    const revision = header?.revision ?? 0;
    for (const [, owned] of this.#ownedIn([{ key: del.key ?? emptyBytes, end: del.rangeEnd ?? emptyBytes }])) {
      if (owned.changing > 0 || revision <= owned.storeRevision) continue;
      owned.kv = undefined;
      owned.storeRevision = revision;
      owned.stale = false;
    }
  }

  // ---- the rest

  #saw(header: ResponseHeader | undefined): void {
    if (header !== undefined && header.revision >= (this.#header?.revision ?? 0)) this.#header = { ...header };
  }

  #leasingKey(key: Uint8Array): Uint8Array {
    return Buffer.concat([this.#prefix, key]);
  }

  /** The leasing keys of a span; an open end stays under the prefix. */
  #leasingSpan({ key, end }: Span): { key: Uint8Array; rangeEnd: Uint8Array } {
    let rangeEnd: Uint8Array = emptyBytes;
    if (end.length === 1 && end[0] === 0) rangeEnd = Buffer.concat([this.#prefix, new Uint8Array(64).fill(0xff)]);
    else if (end.length > 0) rangeEnd = this.#leasingKey(end);
    return { key: this.#leasingKey(key), rangeEnd };
  }

  #currentSession(): Promise<Session> {
    this.#session ??= Session.create(this.#client, { ttlSeconds: sessionTtlSeconds }).then(
      (session) => {
        const gone = (): void => {
          this.#session = undefined;
          this.#forgetAll();
        };
        if (session.lost.aborted) gone();
        else session.lost.addEventListener('abort', gone, { once: true });
        return session;
      },
      (error: unknown) => {
        this.#session = undefined;
        throw error;
      },
    );
    return this.#session;
  }
}

interface Span {
  readonly key: Uint8Array;
  /** Empty: one key. */
  readonly end: Uint8Array;
}

/** Whether a key, as latin1, lies in a span. */
function within(id: string, { key, end }: Span): boolean {
  const from = latin1(key);
  if (end.length === 0) return id === from;
  return id >= from && ((end.length === 1 && end[0] === 0) || id < latin1(end));
}

/** Whether the answer is one pair as it is now. */
function isPlain(r: Init<RangeRequest>): boolean {
  return (
    (r.rangeEnd?.length ?? 0) === 0 &&
    (r.revision ?? 0) === 0 &&
    (r.minModRevision ?? 0) === 0 &&
    (r.maxModRevision ?? 0) === 0 &&
    (r.minCreateRevision ?? 0) === 0 &&
    (r.maxCreateRevision ?? 0) === 0
  );
}

/** What either branch may write. */
function writes(txn: Init<TxnRequest>): Span[] {
  const out: Span[] = [];
  const walk = (o: Init<RequestOp>): void => {
    if (o.requestPut !== undefined) out.push({ key: o.requestPut.key ?? emptyBytes, end: emptyBytes });
    else if (o.requestDeleteRange !== undefined)
      out.push({ key: o.requestDeleteRange.key ?? emptyBytes, end: o.requestDeleteRange.rangeEnd ?? emptyBytes });
    else if (o.requestTxn !== undefined) out.push(...writes(o.requestTxn));
  };
  for (const o of [...(txn.success ?? []), ...(txn.failure ?? [])]) walk(o);
  return out;
}

/** A pair that is kept must not be a view of the answer it came in. */
function owning(kv: KeyValue): KeyValue {
  return { ...kv, key: copyBytes(kv.key), value: copyBytes(kv.value) };
}

/** A client that reads the keys it owns from its own memory. All writers of these keys must use the same `prefix`. */
export function withLeasing(client: Client, prefix: Bytes): Client & { readonly connection: LeasingLayer } {
  return new Client(new LeasingLayer(client.connection, prefix)) as Client & { readonly connection: LeasingLayer };
}

/** The client: typed calls in the words of a TypeScript program, over `Connection`. */
import {
  AlarmType as AlarmTypeValue,
  Compare_CompareResult as CompareResult,
  Compare_CompareTarget as CompareTarget,
  RangeRequest_SortOrder as SortOrder,
  RangeRequest_SortTarget as SortTarget,
  WatchCreateRequest_FilterType as FilterType,
  type Compare,
  type DeleteRangeResponse,
  type LeaseGrantResponse,
  type LeaseTimeToLiveResponse,
  type Member,
  type PutResponse,
  type RangeResponse,
  type RequestOp,
  type StatusResponse,
  type TxnResponse,
} from '../api/gen/etcdserverpb.ts';
import * as rpc from '../api/gen/methods.ts';
import type { KeyValue } from '../api/gen/mvccpb.ts';
import type { Init } from '../api/proto-io.ts';
import { prefixEnd, utf8 } from '../base/bytes.ts';
import type { CallOptions } from '../wire/channel.ts';
import { Connection } from './connection.ts';
import type { CallLayer } from './layer.ts';
import { LeaseKeeper, type KeptLease } from './lease.ts';
import type { ClientOptions } from './options.ts';
import { WatchClient, type Watcher } from './watch.ts';

/** Text is taken as UTF-8. */
export type Bytes = string | Uint8Array;

const bytes = (b: Bytes): Uint8Array => (typeof b === 'string' ? utf8(b) : b);
const openEnd = new Uint8Array(1);

/** Which keys: the one named (default), all that begin with it, up to `end`, or from it on. */
export interface Span {
  readonly prefix?: boolean | undefined;
  /** Exclusive. */
  readonly end?: Bytes | undefined;
  readonly fromKey?: boolean | undefined;
}

export interface GetOptions extends Span, CallOptions {
  readonly limit?: number | undefined;
  readonly revision?: number | undefined;
  readonly sort?: { readonly by: keyof typeof SortTarget; readonly order: 'ASCEND' | 'DESCEND' } | undefined;
  /** From this member's own state, without asking the others: may be old. */
  readonly serializable?: boolean | undefined;
  readonly keysOnly?: boolean | undefined;
  readonly countOnly?: boolean | undefined;
}

export interface PutOptions extends CallOptions {
  readonly lease?: bigint | undefined;
  readonly prevKv?: boolean | undefined;
  readonly ignoreValue?: boolean | undefined;
  readonly ignoreLease?: boolean | undefined;
}

export interface DeleteOptions extends Span, CallOptions {
  readonly prevKv?: boolean | undefined;
}

export interface WatchClientOptions extends Span {
  readonly startRevision?: number | undefined;
  readonly prevKv?: boolean | undefined;
  readonly progressNotify?: boolean | undefined;
  readonly noPut?: boolean | undefined;
  readonly noDelete?: boolean | undefined;
}

/** The key and range end of a request. The empty prefix and "from the empty key" mean every key. */
export function spanOf(key: Bytes, span: Span): { key: Uint8Array; rangeEnd: Uint8Array } {
  let first = bytes(key);
  let rangeEnd: Uint8Array = new Uint8Array(0);
  if (span.prefix === true) rangeEnd = prefixEnd(first);
  else if (span.fromKey === true) rangeEnd = openEnd;
  else if (span.end !== undefined) rangeEnd = bytes(span.end);
  if (first.length === 0 && (span.prefix === true || span.fromKey === true)) first = openEnd;
  return { key: first, rangeEnd };
}

function rangeRequest(key: Bytes, o: GetOptions): Init<typeof rpc.KV.range.request extends { create(): infer R } ? R : never> {
  return {
    ...spanOf(key, o),
    limit: o.limit,
    revision: o.revision,
    serializable: o.serializable,
    keysOnly: o.keysOnly,
    countOnly: o.countOnly,
    sortOrder: o.sort === undefined ? undefined : SortOrder[o.sort.order],
    sortTarget: o.sort === undefined ? undefined : SortTarget[o.sort.by],
  };
}

/** Operations of a transaction. */
export const op = {
  put(key: Bytes, value: Bytes, o: PutOptions = {}): Init<RequestOp> {
    return {
      requestPut: {
        key: bytes(key),
        value: bytes(value),
        lease: o.lease,
        prevKv: o.prevKv,
        ignoreValue: o.ignoreValue,
        ignoreLease: o.ignoreLease,
      },
    };
  },
  get(key: Bytes, o: GetOptions = {}): Init<RequestOp> {
    return { requestRange: rangeRequest(key, o) };
  },
  delete(key: Bytes, o: DeleteOptions = {}): Init<RequestOp> {
    return { requestDeleteRange: { ...spanOf(key, o), prevKv: o.prevKv } };
  },
  txn(txn: Txn): Init<RequestOp> {
    return { requestTxn: txn.request };
  },
};

type Operator = '=' | '!=' | '>' | '<';
const operators = { '=': CompareResult.EQUAL, '!=': CompareResult.NOT_EQUAL, '>': CompareResult.GREATER, '<': CompareResult.LESS } as const;

/** Conditions of a transaction. */
export const compare = {
  version: (key: Bytes, is: Operator, version: number): Init<Compare> => ({
    key: bytes(key),
    result: operators[is],
    target: CompareTarget.VERSION,
    version,
  }),
  createRevision: (key: Bytes, is: Operator, createRevision: number): Init<Compare> => ({
    key: bytes(key),
    result: operators[is],
    target: CompareTarget.CREATE,
    createRevision,
  }),
  modRevision: (key: Bytes, is: Operator, modRevision: number): Init<Compare> => ({
    key: bytes(key),
    result: operators[is],
    target: CompareTarget.MOD,
    modRevision,
  }),
  value: (key: Bytes, is: Operator, value: Bytes): Init<Compare> => ({
    key: bytes(key),
    result: operators[is],
    target: CompareTarget.VALUE,
    value: bytes(value),
  }),
  lease: (key: Bytes, is: Operator, lease: bigint): Init<Compare> => ({
    key: bytes(key),
    result: operators[is],
    target: CompareTarget.LEASE,
    lease,
  }),
};

/** A transaction being put together: `client.txn().if(…).then(…).else(…).commit()`. */
export class Txn {
  readonly #connection: CallLayer;
  #if: readonly Init<Compare>[] = [];
  #then: readonly Init<RequestOp>[] = [];
  #else: readonly Init<RequestOp>[] = [];

  constructor(connection: CallLayer) {
    this.#connection = connection;
  }

  if(...conditions: readonly Init<Compare>[]): this {
    this.#if = [...this.#if, ...conditions];
    return this;
  }

  then(...operations: readonly Init<RequestOp>[]): this {
    this.#then = [...this.#then, ...operations];
    return this;
  }

  else(...operations: readonly Init<RequestOp>[]): this {
    this.#else = [...this.#else, ...operations];
    return this;
  }

  get request(): { compare: readonly Init<Compare>[]; success: readonly Init<RequestOp>[]; failure: readonly Init<RequestOp>[] } {
    return { compare: this.#if, success: this.#then, failure: this.#else };
  }

  commit(options?: CallOptions): Promise<TxnResponse> {
    return this.#connection.call(rpc.KV.txn, this.request, options);
  }
}

/** A client of an etcd or tsetcd cluster. Close it, or its connections keep the process alive. */
export class Client {
  readonly connection: CallLayer;
  readonly #watches: WatchClient;
  readonly #leases: LeaseKeeper;

  /** Over a connection of its own, or over a layer that is there already. */
  constructor(options: ClientOptions | CallLayer) {
    this.connection = 'call' in options ? options : new Connection(options);
    this.#watches = new WatchClient(this.connection);
    this.#leases = new LeaseKeeper(this.connection);
  }

  get endpoints(): readonly string[] {
    return this.connection.endpoints;
  }

  set endpoints(endpoints: readonly string[]) {
    this.connection.endpoints = endpoints;
  }

  /** Takes the members' client URLs as endpoints. */
  async sync(): Promise<void> {
    const { members } = await this.connection.call(rpc.Cluster.memberList, { linearizable: true });
    const urls = members.flatMap((m) => (m.isLearner ? [] : m.clientURLs));
    if (urls.length > 0) this.endpoints = urls;
  }

  /** Any method of the wire schema, with failover. */
  call: CallLayer['call'] = (method, request, options) => this.connection.call(method, request, options);

  get(key: Bytes, options: GetOptions = {}): Promise<RangeResponse> {
    return this.call(rpc.KV.range, rangeRequest(key, options), options);
  }

  /** The one pair, or undefined. */
  async getOne(key: Bytes, options: GetOptions = {}): Promise<KeyValue | undefined> {
    return (await this.get(key, options)).kvs[0];
  }

  /** The value as text, or undefined when there is no such key. */
  async getText(key: Bytes, options: GetOptions = {}): Promise<string | undefined> {
    const kv = await this.getOne(key, options);
    return kv === undefined ? undefined : Buffer.from(kv.value).toString('utf8');
  }

  put(key: Bytes, value: Bytes, options: PutOptions = {}): Promise<PutResponse> {
    return this.call(
      rpc.KV.put,
      {
        key: bytes(key),
        value: bytes(value),
        lease: options.lease,
        prevKv: options.prevKv,
        ignoreValue: options.ignoreValue,
        ignoreLease: options.ignoreLease,
      },
      options,
    );
  }

  delete(key: Bytes, options: DeleteOptions = {}): Promise<DeleteRangeResponse> {
    return this.call(rpc.KV.deleteRange, { ...spanOf(key, options), prevKv: options.prevKv }, options);
  }

  txn(): Txn {
    return new Txn(this.connection);
  }

  async compact(revision: number, options: CallOptions & { readonly physical?: boolean } = {}): Promise<void> {
    await this.call(rpc.KV.compact, { revision, physical: options.physical }, options);
  }

  watch(key: Bytes, options: WatchClientOptions = {}): Watcher {
    return this.watchRange(spanOf(key, options), options);
  }

  /** As `watch`, for a key and range end as the wire has them. */
  watchRange(
    range: { readonly key: Uint8Array; readonly rangeEnd: Uint8Array },
    options: Omit<WatchClientOptions, keyof Span> = {},
  ): Watcher {
    const filters: number[] = [];
    if (options.noPut === true) filters.push(FilterType.NOPUT);
    if (options.noDelete === true) filters.push(FilterType.NODELETE);
    return this.#watches.watch({
      ...range,
      startRevision: options.startRevision,
      prevKv: options.prevKv,
      progressNotify: options.progressNotify,
      filters,
    });
  }

  /** Asks the server for a progress mark, delivered as a batch without events to every watch. */
  requestWatchProgress(): void {
    this.#watches.requestProgress();
  }

  grantLease(ttlSeconds: number, id?: bigint): Promise<LeaseGrantResponse> {
    return this.call(rpc.Lease.leaseGrant, { TTL: ttlSeconds, ID: id });
  }

  async revokeLease(id: bigint): Promise<void> {
    await this.call(rpc.Lease.leaseRevoke, { ID: id });
  }

  leaseTimeToLive(id: bigint, options: { readonly keys?: boolean } = {}): Promise<LeaseTimeToLiveResponse> {
    return this.call(rpc.Lease.leaseTimeToLive, { ID: id, keys: options.keys });
  }

  async leases(): Promise<bigint[]> {
    return (await this.call(rpc.Lease.leaseLeases, {})).leases.map((l) => l.ID);
  }

  /** Renews the lease until `stop`. */
  keepLease(id: bigint, ttlSeconds: number): KeptLease {
    return this.#leases.keep(id, ttlSeconds);
  }

  keepLeaseOnce(id: bigint, options: CallOptions = {}): ReturnType<LeaseKeeper['once']> {
    return this.#leases.once(id, options);
  }

  async members(): Promise<Member[]> {
    return (await this.call(rpc.Cluster.memberList, { linearizable: true })).members;
  }

  /** The status of the member behind one endpoint, or of some member. */
  status(): Promise<StatusResponse> {
    return this.call(rpc.Maintenance.status, {});
  }

  async alarms(): Promise<{ memberId: bigint; alarm: 'NOSPACE' | 'CORRUPT' }[]> {
    const { alarms } = await this.call(rpc.Maintenance.alarm, { action: 0, memberID: 0n, alarm: AlarmTypeValue.NONE });
    return alarms.map((a) => ({ memberId: a.memberID, alarm: a.alarm === AlarmTypeValue.NOSPACE ? 'NOSPACE' : 'CORRUPT' }));
  }

  close(): void {
    this.#watches.close();
    this.#leases.close();
    this.connection.close();
  }
}

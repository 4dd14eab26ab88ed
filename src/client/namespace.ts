/**
 * A namespace: every key of a client, and of what it is told, stands under a prefix that the client does not see.
 *
 *   const inside = withNamespace(client, 'tenant-7/');
 *   await inside.put('a', '1'); // writes tenant-7/a
 *
 * Ranges stay inside: "from this key on" ends at the end of the prefix. Names of locks and elections are keys too.
 */
import type {
  Compare,
  DeleteRangeRequest,
  DeleteRangeResponse,
  LeaseTimeToLiveResponse,
  PutRequest,
  PutResponse,
  RangeRequest,
  RangeResponse,
  RangeStreamResponse,
  RequestOp,
  ResponseOp,
  TxnRequest,
  TxnResponse,
  WatchRequest,
  WatchResponse,
} from '../api/gen/etcdserverpb.ts';
import * as rpc from '../api/gen/methods.ts';
import type { MethodDef } from '../api/gen/methods.ts';
import type { KeyValue } from '../api/gen/mvccpb.ts';
import type { CampaignResponse, LeaderResponse } from '../api/gen/v3electionpb.ts';
import type { LockResponse } from '../api/gen/v3lockpb.ts';
import type { Init } from '../api/proto-io.ts';
import { errors, RpcError } from '../api/status.ts';
import { emptyBytes, prefixEnd, utf8 } from '../base/bytes.ts';
import type { CallOptions, ClientStream } from '../wire/channel.ts';
import type { Slot } from './balancer.ts';
import { Client, type Bytes } from './client.ts';
import { EtcdError } from './errors.ts';
import { type CallLayer, PassLayer } from './layer.ts';

const zeroKey = new Uint8Array(1);

/** How one method's messages change. Absent: not at all. Answers are changed in place: they belong to the call. */
interface Translation {
  readonly request?: (request: never) => unknown;
  readonly response?: (response: never) => void;
}

/** The translation of requests and answers between the inside of a prefix and the outside. */
export class Namespace {
  readonly prefix: Uint8Array;
  readonly #end: Uint8Array;
  readonly #byPath = new Map<string, Translation>();

  constructor(prefix: Uint8Array) {
    this.prefix = prefix;
    this.#end = prefixEnd(prefix);
    const name = (r: Init<{ name: Uint8Array }>): unknown => ({ ...r, name: this.key(r.name) });
    const leader = (r: Init<{ leader: { name: Uint8Array; key: Uint8Array } }>): unknown => ({
      ...r,
      leader: r.leader === undefined ? undefined : { ...r.leader, name: this.key(r.leader.name), key: this.key(r.leader.key) },
    });
    const on = (method: { readonly path: string }, translation: Translation): void => void this.#byPath.set(method.path, translation);
    on(rpc.KV.range, { request: (r: Init<RangeRequest>) => this.#range(filled(r)), response: (r: RangeResponse) => this.#pairs(r.kvs) });
    on(rpc.KV.rangeStream, {
      request: (r: Init<RangeRequest>) => this.#range(filled(r)),
      response: (r: RangeStreamResponse) => this.#pairs(r.rangeResponse?.kvs ?? []),
    });
    on(rpc.KV.put, { request: (r: Init<PutRequest>) => this.#put(filled(r)), response: (r: PutResponse) => this.#pair(r.prevKv) });
    on(rpc.KV.deleteRange, {
      request: (r: Init<DeleteRangeRequest>) => this.#range(filled(r)),
      response: (r: DeleteRangeResponse) => this.#pairs(r.prevKvs),
    });
    on(rpc.KV.txn, { request: (r: Init<TxnRequest>) => this.#txn(r), response: (r: TxnResponse) => this.#txnAnswer(r) });
    on(rpc.Watch.watch, { request: (r: Init<WatchRequest>) => this.#watch(r), response: (r: WatchResponse) => this.#events(r) });
    on(rpc.Lease.leaseTimeToLive, { response: (r: LeaseTimeToLiveResponse) => this.#keys(r) });
    on(rpc.Lock.lock, { request: name, response: (r: LockResponse) => void (r.key = this.strip(r.key)) });
    on(rpc.Lock.unlock, { request: (r: Init<{ key: Uint8Array }>) => ({ ...r, key: this.key(r.key) }) });
    on(rpc.Election.campaign, {
      request: name,
      response: (r: CampaignResponse) => {
        if (r.leader === undefined) return;
        r.leader.name = this.strip(r.leader.name);
        r.leader.key = this.strip(r.leader.key);
      },
    });
    on(rpc.Election.proclaim, { request: leader });
    on(rpc.Election.resign, { request: leader });
    on(rpc.Election.leader, { request: name, response: (r: LeaderResponse) => this.#pair(r.kv) });
    on(rpc.Election.observe, { request: name, response: (r: LeaderResponse) => this.#pair(r.kv) });
  }

  /** @throws EtcdError when a key is missing, which the server would not notice */
  request<Req>(method: MethodDef<Req, never> | { readonly path: string }, request: Init<Req>): Init<Req> {
    const fn = this.#byPath.get(method.path)?.request;
    return fn === undefined ? request : (fn(request as never) as Init<Req>);
  }

  /** Changes the answer in place. */
  response<Res>(method: { readonly path: string }, response: Res): Res {
    this.#byPath.get(method.path)?.response?.(response as never);
    return response;
  }

  key(key: Uint8Array | undefined): Uint8Array {
    return key === undefined || key.length === 0 ? this.prefix : Buffer.concat([this.prefix, key]);
  }

  /** The range `[key, end)` under the prefix; an open end is the end of the prefix. */
  end(end: Uint8Array | undefined): Uint8Array {
    if (end === undefined || end.length === 0) return emptyBytes;
    return end.length === 1 && end[0] === 0 ? this.#end : Buffer.concat([this.prefix, end]);
  }

  strip(key: Uint8Array): Uint8Array {
    return key.subarray(this.prefix.length);
  }

  #range<T extends { readonly key?: Uint8Array | undefined; readonly rangeEnd?: Uint8Array | undefined }>(r: T): T {
    return { ...r, key: this.key(r.key), rangeEnd: this.end(r.rangeEnd) };
  }

  #put(r: Init<PutRequest>): Init<PutRequest> {
    return { ...r, key: this.key(r.key) };
  }

  #txn(r: Init<TxnRequest>): Init<TxnRequest> {
    return {
      compare: (r.compare ?? []).map((c: Init<Compare>) => this.#range(c)),
      success: (r.success ?? []).map((o) => this.#op(o)),
      failure: (r.failure ?? []).map((o) => this.#op(o)),
    };
  }

  #op(o: Init<RequestOp>): Init<RequestOp> {
    if (o.requestRange !== undefined) return { requestRange: this.#range(filled(o.requestRange)) };
    if (o.requestPut !== undefined) return { requestPut: this.#put(filled(o.requestPut)) };
    if (o.requestDeleteRange !== undefined) return { requestDeleteRange: this.#range(filled(o.requestDeleteRange)) };
    return o.requestTxn === undefined ? o : { requestTxn: this.#txn(o.requestTxn) };
  }

  #watch(r: Init<WatchRequest>): Init<WatchRequest> {
    const create = r.createRequest;
    if (create === undefined) return r;
    const key = create.key === undefined || create.key.length === 0 ? zeroKey : create.key;
    return { createRequest: this.#range({ ...create, key }) };
  }

  #pair(kv: KeyValue | undefined): void {
    if (kv !== undefined) kv.key = this.strip(kv.key);
  }

  #pairs(kvs: readonly KeyValue[]): void {
    for (const kv of kvs) kv.key = this.strip(kv.key);
  }

  #txnAnswer(r: TxnResponse): void {
    for (const o of r.responses) this.#opAnswer(o);
  }

  #opAnswer(o: ResponseOp): void {
    if (o.responseRange !== undefined) this.#pairs(o.responseRange.kvs);
    else if (o.responsePut !== undefined) this.#pair(o.responsePut.prevKv);
    else if (o.responseDeleteRange !== undefined) this.#pairs(o.responseDeleteRange.prevKvs);
    else if (o.responseTxn !== undefined) this.#txnAnswer(o.responseTxn);
  }

  #events(r: WatchResponse): void {
    for (const e of r.events) {
      this.#pair(e.kv);
      this.#pair(e.prevKv);
    }
  }

  /** Keys of a lease that lie elsewhere are nobody's business here. */
  #keys(r: LeaseTimeToLiveResponse): void {
    const { prefix } = this;
    r.keys = r.keys.filter((k) => Buffer.compare(k.subarray(0, prefix.length), prefix) === 0).map((k) => this.strip(k));
  }
}

/** An empty key would become the prefix, a key like any other. @throws EtcdError */
function filled<T extends { readonly key?: Uint8Array | undefined }>(r: T): T {
  if (r.key === undefined || r.key.length === 0) throw new EtcdError(new RpcError(errors.emptyKey), '');
  return r;
}

export class NamespaceLayer extends PassLayer {
  readonly #namespace: Namespace;

  constructor(below: CallLayer, namespace: Namespace) {
    super(below);
    this.#namespace = namespace;
  }

  override async call<Req, Res>(method: MethodDef<Req, Res>, request: Init<Req>, options?: CallOptions): Promise<Res> {
    const answer = await this.below.call(method, this.#namespace.request(method, request), options);
    return this.#namespace.response(method, answer);
  }

  override async stream<Req, Res>(
    method: MethodDef<Req, Res>,
    options?: CallOptions,
  ): Promise<{ stream: ClientStream<Req, Res>; slot: Slot }> {
    const { stream, slot } = await this.below.stream(method, options);
    return { stream: new NamespaceStream(this.#namespace, method, stream), slot };
  }
}

class NamespaceStream<Req, Res> implements ClientStream<Req, Res> {
  readonly #namespace: Namespace;
  readonly #method: MethodDef<Req, Res>;
  readonly #below: ClientStream<Req, Res>;

  constructor(namespace: Namespace, method: MethodDef<Req, Res>, below: ClientStream<Req, Res>) {
    this.#namespace = namespace;
    this.#method = method;
    this.#below = below;
  }

  send(request: Init<Req>): void {
    this.#below.send(this.#namespace.request(this.#method, request));
  }

  halfClose(): void {
    this.#below.halfClose();
  }

  cancel(): void {
    this.#below.cancel();
  }

  get onMessage(): ((message: Res) => void) | undefined {
    return this.#below.onMessage;
  }

  set onMessage(fn: ((message: Res) => void) | undefined) {
    this.#below.onMessage = fn === undefined ? undefined : (m) => fn(this.#namespace.response(this.#method, m));
  }

  get onEnd(): ClientStream<Req, Res>['onEnd'] {
    return this.#below.onEnd;
  }

  set onEnd(fn: ClientStream<Req, Res>['onEnd']) {
    this.#below.onEnd = fn;
  }

  pause(): void {
    this.#below.pause();
  }

  resume(): void {
    this.#below.resume();
  }
}

/** A client whose keys all stand under `prefix`. It shares the connection of `client`: close one of them. */
export function withNamespace(client: Client, prefix: Bytes): Client {
  const bytes = typeof prefix === 'string' ? utf8(prefix) : prefix;
  return bytes.length === 0 ? client : new Client(new NamespaceLayer(client.connection, new Namespace(bytes)));
}

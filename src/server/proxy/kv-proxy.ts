/** KV through the proxy: serializable ranges from the cache, everything else from the members. */
import { RangeRequest, RangeResponse, TxnResponse, type TxnRequest, type RequestOp, type ResponseOp } from '../../api/gen/etcdserverpb.ts';
import { Auth, KV, type MethodDef } from '../../api/gen/methods.ts';
import { errors } from '../../api/status.ts';
import { copyBytes, emptyBytes } from '../../base/bytes.ts';
import type { HandlerTable, UnaryCall } from '../../wire/call.ts';
import { credentialsOf, identityOf } from './identity.ts';
import type { ProxyMetrics } from './metrics.ts';
import { RangeCache, type PendingRange } from './range-cache.ts';
import { statusOf, type Upstream } from './upstream.ts';

export function registerKvProxy(table: HandlerTable, upstream: Upstream, cache: RangeCache, metrics: ProxyMetrics): void {
  const proxy = new KvProxy(upstream, cache, metrics);
  table.addUnary(KV.range, (call) => proxy.range(call));
  table.addUnary(KV.put, (call) => proxy.write(call, [[call.request.key, emptyBytes]]));
  table.addUnary(KV.deleteRange, (call) => proxy.write(call, [[call.request.key, call.request.rangeEnd]]));
  table.addUnary(KV.txn, (call) => proxy.txn(call));
  table.addUnary(KV.compact, (call) => {
    const { revision } = call.request;
    const identity = identityOf(call.metadata);
    upstream.bytes(call, call.request, identity).then(
      (body) => {
        cache.compacted(revision);
        call.replyEncoded([body]);
      },
      (error: unknown) => call.fail(statusOf(error)),
    );
  });
  upstream.passStream(table, KV.rangeStream);
}

type Span = readonly [key: Uint8Array, end: Uint8Array];

class KvProxy {
  readonly #upstream: Upstream;
  readonly #cache: RangeCache;
  readonly #metrics: ProxyMetrics;

  constructor(upstream: Upstream, cache: RangeCache, metrics: ProxyMetrics) {
    this.#upstream = upstream;
    this.#cache = cache;
    this.#metrics = metrics;
  }

  range(call: UnaryCall<RangeRequest, RangeResponse>): void {
    const { request } = call;
    const identity = identityOf(call.metadata);
    const id = RangeCache.idOf(RangeRequest.encode({ ...request, serializable: true }), credentialsOf(identity));
    if (request.serializable) {
      if (this.#cache.isCompacted(request.revision)) {
        this.#metrics.cacheHits.add(1);
        return call.fail(errors.compacted);
      }
      const known = this.#cache.get(id);
      if (known !== undefined) {
        this.#metrics.cacheHits.add(1);
        return call.replyEncoded([known]);
      }
      this.#metrics.cacheMisses.add(1);
    }
    const pending = this.#cache.begin(copyBytes(request.key), copyBytes(request.rangeEnd), request.revision);
    this.#upstream.bytes(call, request, identity).then(
      (body) => {
        this.#cache.add(pending, id, request.revision, copyBytes(body));
        call.replyEncoded([body]);
      },
      (error: unknown) => {
        this.#cache.abandon(pending);
        call.fail(statusOf(error));
      },
    );
  }

  /** Before it leaves and when its answer is here: whatever came of it, what it may have changed is not served from memory. */
  write<Req, Res>(call: UnaryCall<Req, Res>, spans: readonly Span[]): void {
    const forget = (): void => {
      for (const [key, end] of spans) this.#cache.invalidate(key, end);
    };
    forget();
    this.#upstream.bytes(call, call.request as Parameters<Upstream['bytes']>[1] as never, identityOf(call.metadata)).then(
      (body) => {
        forget();
        call.replyEncoded([body]);
      },
      (error: unknown) => {
        forget();
        call.fail(statusOf(error));
      },
    );
  }

  txn(call: UnaryCall<TxnRequest, TxnResponse>): void {
    const { request } = call;
    const spans: Span[] = [];
    // A compare is a hint that its key moves: etcd's proxy forgets these too.
    for (const c of request.compare) spans.push([c.key, c.rangeEnd]);
    writtenSpans(request, spans);
    const hasReads = [...request.success, ...request.failure].some((o) => o.requestRange !== undefined);
    if (!hasReads) return this.write(call, spans);
    const forget = (): void => {
      for (const [key, end] of spans) this.#cache.invalidate(key, end);
    };
    forget();
    const reads = new Map<RequestOp, PendingRange>();
    for (const o of [...request.success, ...request.failure]) {
      if (o.requestRange !== undefined)
        reads.set(o, this.#cache.begin(copyBytes(o.requestRange.key), copyBytes(o.requestRange.rangeEnd), o.requestRange.revision));
    }
    const identity = identityOf(call.metadata);
    this.#upstream.bytes(call, request, identity).then(
      (body) => {
        forget();
        const answer = TxnResponse.decode(body);
        const branch = answer.succeeded ? request.success : request.failure;
        branch.forEach((o, i) => this.#remember(o, answer.responses[i], reads.get(o), credentialsOf(identity)));
        for (const pending of reads.values()) this.#cache.abandon(pending);
        call.replyEncoded([body]);
      },
      (error: unknown) => {
        for (const pending of reads.values()) this.#cache.abandon(pending);
        forget();
        call.fail(statusOf(error));
      },
    );
  }

  /** Keeps what a txn read, unless the txn itself wrote there. */
  #remember(op: RequestOp, answer: ResponseOp | undefined, pending: PendingRange | undefined, who: string): void {
    const { requestRange } = op;
    if (requestRange === undefined || pending === undefined || answer?.responseRange === undefined) return;
    const id = RangeCache.idOf(RangeRequest.encode({ ...requestRange, serializable: true }), who);
    this.#cache.add(pending, id, requestRange.revision, RangeResponse.encode(answer.responseRange));
  }
}

/** What either branch may change. */
function writtenSpans(txn: TxnRequest, out: Span[]): void {
  for (const o of [...txn.success, ...txn.failure]) {
    if (o.requestPut !== undefined) out.push([o.requestPut.key, emptyBytes]);
    else if (o.requestDeleteRange !== undefined) out.push([o.requestDeleteRange.key, o.requestDeleteRange.rangeEnd]);
    else if (o.requestTxn !== undefined) writtenSpans(o.requestTxn, out);
  }
}

/** Calls that change who may see what: nothing that was read before them is served after. */
export function registerAuthProxy(table: HandlerTable, upstream: Upstream, cache: RangeCache): void {
  for (const method of Object.values(Auth) as MethodDef[]) {
    if (method.path === Auth.authenticate.path || /(Status|Get|List)$/.test(method.name)) upstream.pass(table, method);
    else
      table.addUnary(method, (call) => {
        cache.clear();
        upstream.bytes(call, call.request as never, identityOf(call.metadata)).then(
          (body) => {
            cache.clear();
            call.replyEncoded([body]);
          },
          (error: unknown) => {
            cache.clear();
            call.fail(statusOf(error));
          },
        );
      });
  }
}

/**
 * How the lock and election services use the store: through the KV and lease handlers themselves, with the caller's own credentials, so that
 * quota, checks and rights are the ones of a direct call. Not for hot paths.
 */
import type { RangeRequest, RangeResponse, TxnRequest, TxnResponse } from '../../api/gen/etcdserverpb.ts';
import { RangeRequest_SortOrder, RangeRequest_SortTarget } from '../../api/gen/etcdserverpb.ts';
import { KV, Lease, type MethodDef } from '../../api/gen/methods.ts';
import type { Init } from '../../api/proto-io.ts';
import { errors, RpcError, type Status } from '../../api/status.ts';
import { prefixEnd } from '../../base/bytes.ts';
import { must } from '../../base/invariant.ts';
import type { Metadata, PeerInfo, UnaryCall } from '../../wire/call.ts';
import type { WatchDelivery, WatchEvent } from '../mvcc/types.ts';
import type { ServiceContext } from './context.ts';

/** TTL of the lease that the server makes for a caller without one. */
const sessionTtlSeconds = 60;
/** Deliveries that wait for a slow reader of an event source; the hub holds back what is beyond. */
const deliveriesMax = 64;

/** Ends what waits, once, with a reason. */
export class Abort {
  #reason: Status | undefined;
  readonly #listeners = new Set<(reason: Status) => void>();

  get reason(): Status | undefined {
    return this.#reason;
  }

  fire(reason: Status): void {
    if (this.#reason !== undefined) return;
    this.#reason = reason;
    for (const fn of [...this.#listeners]) fn(reason);
    this.#listeners.clear();
  }

  /** Runs `fn` when fired (at once when it was); returns the way to stop listening. */
  on(fn: (reason: Status) => void): () => void {
    if (this.#reason !== undefined) {
      fn(this.#reason);
      return () => {};
    }
    this.#listeners.add(fn);
    return () => this.#listeners.delete(fn);
  }

  throwIfFired(): void {
    if (this.#reason !== undefined) throw new RpcError(this.#reason);
  }
}

interface Caller {
  readonly metadata: Metadata;
  readonly peer: PeerInfo;
}

export class InternalClient {
  readonly context: ServiceContext;
  readonly #caller: Caller;

  constructor(context: ServiceContext, caller: Caller) {
    this.context = context;
    this.#caller = caller;
  }

  /** Calls a handler of this server. Rejects with RpcError. */
  call<Req, Res>(method: MethodDef<Req, Res>, request: Init<Req>): Promise<Res> {
    const { handler } = must(this.context.table.unary.get(method.path), 'internal calls are to methods of this server');
    const requestBytes = method.request.encode(request);
    return new Promise<Res>((resolve, reject) => {
      const call: UnaryCall<Req, Res> = {
        method: method as MethodDef,
        metadata: this.#caller.metadata,
        peer: this.#caller.peer,
        deadline: Infinity,
        cancelled: false,
        onCancel: undefined,
        requestBytes,
        request: method.request.decode(requestBytes),
        state: undefined,
        reply: resolve,
        replyEncoded: (parts) => resolve(method.response.decode(Buffer.concat(parts))),
        fail: (status) => reject(new RpcError(status)),
      };
      handler(call);
    });
  }

  txn(request: Init<TxnRequest>): Promise<TxnResponse> {
    return this.call(KV.txn, request);
  }

  get(request: Init<RangeRequest>): Promise<RangeResponse> {
    return this.call(KV.range, request);
  }

  async delete(key: Uint8Array): Promise<void> {
    await this.call(KV.deleteRange, { key });
  }

  /** The lease of a session: the caller's own, or a new one. */
  async session(lease: bigint): Promise<bigint> {
    if (lease !== 0n) return lease;
    return (await this.call(Lease.leaseGrant, { TTL: sessionTtlSeconds })).ID;
  }

  /** Resolves when no key under `prefix` is left that was created at or before `maxCreateRev`: the callers before this one are gone. */
  async waitForPredecessors(prefix: Uint8Array, maxCreateRev: number, abort: Abort): Promise<void> {
    for (;;) {
      abort.throwIfFired();
      const last = await this.get({ ...newestCreated(prefix), maxCreateRevision: maxCreateRev });
      const kv = last.kvs[0];
      if (kv === undefined) return;
      const source = this.events(kv.key, undefined, last.header?.revision ?? 0, abort);
      try {
        while ((await source.next()).type !== 'delete');
      } finally {
        source.close();
      }
    }
  }

  /** Events of a key, or of `[key, end)`, from a revision on. */
  events(key: Uint8Array, end: Uint8Array | undefined, startRev: number, abort: Abort): EventSource {
    return new EventSource(this.context, { key, end, startRev }, abort);
  }
}

/** The key under a prefix that was created first: the one whose turn it is. */
export function firstCreated(prefix: Uint8Array): Init<RangeRequest> {
  return {
    key: prefix,
    rangeEnd: prefixEnd(prefix),
    limit: 1,
    sortOrder: RangeRequest_SortOrder.ASCEND,
    sortTarget: RangeRequest_SortTarget.CREATE,
  };
}

function newestCreated(prefix: Uint8Array): Init<RangeRequest> {
  return { ...firstCreated(prefix), sortOrder: RangeRequest_SortOrder.DESCEND };
}

/** A watch read event by event. */
export class EventSource {
  readonly #deliveries: WatchDelivery[] = [];
  readonly #close: () => void;
  #at = 0;
  #failed: Status | undefined;
  #wake: (() => void) | undefined;
  /** The store's revision as of the last event. */
  rev = 0;

  constructor(context: ServiceContext, from: { key: Uint8Array; end: Uint8Array | undefined; startRev: number }, abort: Abort) {
    const stream = context.member.kv.watchers.open((d) => {
      if (this.#deliveries.length >= deliveriesMax) return false;
      if (d.compactRev !== 0) this.#failed = errors.compacted;
      else if (d.events.length > 0) this.#deliveries.push(d);
      this.#wake?.();
      return true;
    });
    const forget = abort.on((reason) => {
      this.#failed = reason;
      this.#wake?.();
    });
    this.#close = () => {
      forget();
      stream.close();
    };
    stream.watch({ ...from, filterPut: false, filterDelete: false, prevKv: false }, 0);
  }

  /** @throws RpcError when aborted, or when the wanted history is compacted. */
  async next(): Promise<WatchEvent> {
    for (;;) {
      if (this.#failed !== undefined) throw new RpcError(this.#failed);
      const delivery = this.#deliveries[0];
      const event = delivery?.events[this.#at++];
      if (delivery !== undefined && event !== undefined) {
        this.rev = delivery.rev;
        return event;
      }
      this.#at = 0;
      if (delivery === undefined) await new Promise<void>((resolve) => (this.#wake = resolve));
      else this.#deliveries.shift();
    }
  }

  close(): void {
    this.#close();
  }
}

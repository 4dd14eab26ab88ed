/**
 * Reads that never go back in time: a serializable read may be served by a member that lags; with this layer an answer older than one
 * already seen is not taken, and the read is tried on other members.
 */
import type { ResponseHeader } from '../api/gen/etcdserverpb.ts';
import { KV, type MethodDef } from '../api/gen/methods.ts';
import type { Init } from '../api/proto-io.ts';
import type { CallOptions } from '../wire/channel.ts';
import { Client } from './client.ts';
import { sleep } from './connection.ts';
import { PassLayer } from './layer.ts';

/** Tries for each endpoint before a read gives up, as etcd's client has it. */
const triesPerEndpoint = 5;
/** Pause after a round over all endpoints: a member that lags catches up meanwhile. */
const pauseMs = 20;

/** No member has a revision as high as one already seen. */
export class OrderViolationError extends Error {
  readonly code = 'order-violation';

  constructor() {
    super('etcdclient: no cluster members have a revision higher than the previously received revision');
  }
}

const ordered = new Set([KV.range.path, KV.txn.path]);
const raising = new Set([KV.put.path, KV.deleteRange.path, ...ordered]);

export class OrderingLayer extends PassLayer {
  #seen = 0;

  /** The highest revision seen. */
  get revision(): number {
    return this.#seen;
  }

  override async call<Req, Res>(method: MethodDef<Req, Res>, request: Init<Req>, options?: CallOptions): Promise<Res> {
    if (!raising.has(method.path)) return this.below.call(method, request, options);
    const mustReach = this.#seen;
    const giveUp = options?.timeoutMs === undefined ? Infinity : performance.now() + options.timeoutMs;
    for (let tries = 1; ; tries++) {
      const left = giveUp - performance.now();
      const answer = await this.below.call(method, request, left === Infinity ? options : { ...options, timeoutMs: Math.max(1, left) });
      const revision = (answer as { readonly header?: ResponseHeader }).header?.revision ?? 0;
      // Only what reads can be asked again: a txn that wrote is never behind.
      if (revision >= mustReach || !ordered.has(method.path)) {
        this.#seen = Math.max(this.#seen, revision);
        return answer;
      }
      const endpoints = Math.max(1, this.endpoints.length);
      if (tries >= triesPerEndpoint * endpoints) throw new OrderViolationError();
      if (tries % endpoints === 0) await sleep(pauseMs, options?.signal);
    }
  }
}

/** A client whose reads never see less than an earlier one of it saw. It shares the connection of `client`. */
export function withOrdering(client: Client): Client {
  return new Client(new OrderingLayer(client.connection));
}

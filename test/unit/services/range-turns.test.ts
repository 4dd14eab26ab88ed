// Ranges of unknown size take turns: by connection, behind connections that do not read, and never in the way of small ones.
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { RangeRequest, RangeResponse, RequestOp, TxnRequest, TxnResponse } from '../../../src/api/gen/etcdserverpb.ts';
import { KV } from '../../../src/api/gen/methods.ts';
import type { Status } from '../../../src/api/status.ts';
import { utf8 } from '../../../src/base/bytes.ts';
import type { Lane, UnaryCall } from '../../../src/wire/call.ts';
import { Services, until } from './lone-member.ts';

const rows = 12_000;
const value = 'v'.repeat(100);

/** One client connection, as far as the services see it. */
class Connection implements Lane {
  gathering = 0;
  congested = false;
  /** Most ranges gathered for it at a time. */
  most = 0;
}

class Call {
  readonly method = KV.range;
  readonly metadata = new Map();
  readonly peer = { address: 'test', commonName: undefined, viaGateway: false };
  readonly deadlineMs = Infinity;
  readonly request: RangeRequest;
  readonly requestBytes: Uint8Array;
  readonly lane: Connection;
  cancelled = false;
  onCancel: (() => void) | undefined = undefined;
  state: unknown = undefined;
  answer: RangeResponse | undefined;
  failed: Status | undefined;
  readonly #answered: (call: Call) => void;

  constructor(lane: Connection, request: Partial<RangeRequest>, answered: (call: Call) => void) {
    this.lane = lane;
    this.request = { ...RangeRequest.create(), serializable: true, ...request };
    this.requestBytes = RangeRequest.encode(this.request);
    this.#answered = answered;
  }

  get congested(): boolean {
    this.lane.most = Math.max(this.lane.most, this.lane.gathering);
    return this.lane.congested;
  }

  reply(answer: RangeResponse): void {
    this.answer = answer;
    this.#answered(this);
  }

  replyEncoded(parts: readonly Uint8Array[]): void {
    this.reply(RangeResponse.decode(Buffer.concat(parts)));
  }

  fail(status: Status): void {
    this.failed = status;
    this.#answered(this);
  }

  get over(): boolean {
    return this.answer !== undefined || this.failed !== undefined;
  }
}

const everything = { key: utf8('k'), rangeEnd: utf8('l') };

describe('ranges of unknown size', { timeout: 60_000 }, () => {
  const services = new Services();
  let order: Call[] = [];
  beforeAll(async () => {
    const puts = [];
    for (let i = 0; i < rows; i++) puts.push(services.put(`k${i}`, value));
    await Promise.all(puts);
  }, 60_000);
  beforeEach(() => {
    order = [];
  });

  function ask(lane: Connection, request: Partial<RangeRequest>): Call {
    const call = new Call(lane, request, (c) => order.push(c));
    services.table.unary.get(KV.range.path)?.handler(call as unknown as UnaryCall<unknown, unknown>);
    return call;
  }
  it('are gathered two at a time for one connection, which does not hold up another', async () => {
    const [greedy, modest] = [new Connection(), new Connection()];
    const many = Array.from({ length: 12 }, () => ask(greedy, everything));
    const one = ask(modest, everything);
    await until(() => many.every((c) => c.over) && one.over, 30_000);
    expect(greedy.most).toBe(2);
    expect(order.indexOf(one)).toBeLessThan(order.length / 2);
    for (const call of [...many, one]) expect(call.answer?.kvs.length).toBe(rows);
    expect([greedy.gathering, modest.gathering]).toEqual([0, 0]);
  });

  it('wait while their connection does not take what it has, and are answered once it does', async () => {
    const lane = new Connection();
    lane.congested = true;
    const waiting = [ask(lane, everything), ask(lane, everything)];
    const others = ask(new Connection(), everything);
    const single = ask(lane, { key: utf8('k7') });
    await until(() => others.over && single.over);
    expect(waiting.map((c) => c.over)).toEqual([false, false]);
    lane.congested = false;
    await until(() => waiting.every((c) => c.over));
    for (const call of waiting) expect(call.answer?.count).toBe(rows);
  });

  it('wait in txns that only read as well', async () => {
    const lane = new Connection();
    lane.congested = true;
    const ranges = {
      ...TxnRequest.create(),
      success: [{ ...RequestOp.create(), requestRange: { ...RangeRequest.create(), ...everything } }],
    };
    let answer: TxnResponse | undefined;
    const call = {
      lane,
      get congested() {
        return lane.congested;
      },
      method: KV.txn,
      metadata: new Map(),
      peer: { address: 'test', commonName: undefined, viaGateway: false },
      request: ranges,
      requestBytes: TxnRequest.encode(ranges),
      cancelled: false,
      replyEncoded: (parts: readonly Uint8Array[]) => (answer = TxnResponse.decode(Buffer.concat(parts))),
    };
    services.table.unary.get(KV.txn.path)?.handler(call as unknown as UnaryCall<unknown, unknown>);
    const other = ask(new Connection(), everything);
    await until(() => other.over);
    expect(answer).toBe(undefined);
    lane.congested = false;
    await until(() => answer !== undefined);
    expect(answer?.responses[0]?.responseRange?.kvs.length).toBe(rows);
    expect(lane.gathering).toBe(0);
  });

  it('let one with a small limit pass', async () => {
    const lane = new Connection();
    const many = Array.from({ length: 6 }, () => ask(lane, everything));
    const small = ask(lane, { ...everything, limit: 5 });
    await until(() => many.every((c) => c.over));
    expect(small.answer?.kvs.length).toBe(5);
    expect(order.indexOf(small)).toBeLessThan(3);
  });

  it('leave the line when they are cancelled', async () => {
    const lane = new Connection();
    lane.congested = true;
    const gone = ask(lane, everything);
    gone.cancelled = true;
    lane.congested = false;
    const next = ask(lane, everything);
    await until(() => next.over);
    expect(gone.over).toBe(false);
    expect(lane.gathering).toBe(0);
  });
});

// Answers of long ranges, which leave in parts while they are read.
import { beforeEach, describe, expect, it } from 'vitest';
import { RangeRequest, RangeResponse } from '../../../src/api/gen/etcdserverpb.ts';
import { KV } from '../../../src/api/gen/methods.ts';
import type { Status } from '../../../src/api/status.ts';
import { utf8Text, utf8 } from '../../../src/base/bytes.ts';
import type { Lane, UnaryCall } from '../../../src/wire/call.ts';
import { Services, until } from './lone-member.ts';

const rows = 8000;
const everything = { key: utf8('k'), rangeEnd: utf8('l') };

class Call {
  readonly method = KV.range;
  readonly metadata = new Map();
  readonly peer = { address: 'test', commonName: undefined, viaGateway: false };
  readonly request: RangeRequest;
  readonly requestBytes: Uint8Array;
  readonly lane: Lane = { gathering: 0 };
  cancelled = false;
  onCancel: (() => void) | undefined = undefined;
  onDrain: (() => void) | undefined = undefined;
  /** Whether the client takes what is sent. */
  flows = true;
  /** An answer of more bytes is refused. */
  bytesMax = Infinity;
  announced = -1;
  readonly sent: Uint8Array[] = [];
  bytes = 0;
  failed: Status | undefined;

  constructor(request: Partial<RangeRequest>) {
    this.request = { ...RangeRequest.create(), serializable: true, ...request };
    this.requestBytes = RangeRequest.encode(this.request);
  }

  replyBegin(bytes: number): boolean {
    this.announced = bytes;
    return bytes <= this.bytesMax;
  }

  replyPart(parts: readonly Uint8Array[]): boolean {
    for (const part of parts) this.bytes += part.length;
    this.sent.push(...parts);
    return this.flows || this.over;
  }

  replyEncoded(parts: readonly Uint8Array[]): void {
    this.announced = 0;
    this.replyPart(parts);
    this.announced = this.bytes;
  }

  fail(status: Status): void {
    this.failed = status;
  }

  get over(): boolean {
    return this.announced === this.bytes;
  }

  get answer(): RangeResponse {
    return RangeResponse.decode(Buffer.concat(this.sent));
  }
}

describe('answers in parts', { timeout: 60_000 }, () => {
  let services: Services;
  beforeEach(async () => {
    services = new Services();
    const puts = [];
    for (let i = 0; i < rows; i++) puts.push(services.put(`k${String(i).padStart(5, '0')}`, `${i} `.padEnd(300, 'v')));
    await Promise.all(puts);
  }, 60_000);

  function ask(request: Partial<RangeRequest>, flows = true, bytesMax = Infinity): Call {
    const call = new Call(request);
    call.flows = flows;
    call.bytesMax = bytesMax;
    services.table.unary.get(KV.range.path)?.handler(call as unknown as UnaryCall<unknown, unknown>);
    return call;
  }
  /** A call whose first part has gone and whose client takes nothing more. */
  async function parked(): Promise<Call> {
    const call = ask(everything, false);
    await until(() => call.bytes > 0);
    expect(call.over).toBe(false);
    return call;
  }
  /** Whether a compaction at the current revision removes all that it may. */
  function compacted(): () => boolean {
    let done = false;
    services.member.kv.compact(services.member.kv.currentRev, () => (done = true));
    return () => done;
  }

  it('are as long as announced and hold every row', async () => {
    const call = ask(everything);
    await until(() => call.over);
    const { answer } = call;
    expect(answer.kvs.map((kv) => utf8Text(kv.key))).toEqual(Array.from({ length: rows }, (_, i) => `k${String(i).padStart(5, '0')}`));
    expect(answer.kvs.every((kv, i) => utf8Text(kv.value).startsWith(`${i} `))).toBe(true);
    expect([answer.count, answer.more, answer.header?.revision]).toEqual([rows, false, rows + 1]);
    expect(call.lane.gathering).toBe(0);
    expect([call.onCancel, call.onDrain]).toEqual([undefined, undefined]);
    await until(compacted());
  });

  it.each([1, 3000, 4000, rows - 1, rows, rows + 1])('keep a limit of %d', async (limit) => {
    const call = ask({ ...everything, limit });
    await until(() => call.over);
    const { answer } = call;
    expect(answer.kvs.length).toBe(Math.min(limit, rows));
    expect(utf8Text(answer.kvs.at(-1)?.key ?? utf8(''))).toBe(`k${String(Math.min(limit, rows) - 1).padStart(5, '0')}`);
    expect([answer.count, answer.more]).toEqual([rows, limit < rows]);
  });

  it('are read no faster than the client takes them, as they were at first', async () => {
    const call = await parked();
    let most = 0;
    for (let turn = 0; !call.over; turn++) {
      await services.put(`k${String(rows - 1 - (turn % 100)).padStart(5, '0')}`, 'written since');
      const before = call.bytes;
      // What is not awaited does nothing of its own accord.
      await new Promise((resolve) => setTimeout(resolve, 2));
      expect(call.bytes).toBe(before);
      call.onDrain?.();
      await until(() => call.bytes > before);
      most = Math.max(most, call.bytes - before);
    }
    expect(most).toBeLessThan(call.announced);
    expect(call.answer.kvs.some((kv) => utf8Text(kv.value) === 'written since')).toBe(false);
    expect(call.answer.kvs.length).toBe(rows);
  });

  it('do not hold up a compaction because a client is slow', async () => {
    const call = await parked();
    const values = call.bytes;
    for (let i = 0; i < 50; i++) await services.put(`k${String(rows - 1 - i).padStart(5, '0')}`, 'written since');
    const done = compacted();
    await until(done);
    expect(call.bytes).toBeGreaterThan(values);
    expect(call.over).toBe(true);
    expect(call.answer.kvs.some((kv) => utf8Text(kv.value) === 'written since')).toBe(false);
  });

  it('let go of everything when they are cancelled', async () => {
    const call = await parked();
    expect(call.lane.gathering).toBe(1);
    const before = call.bytes;
    call.cancelled = true;
    call.onCancel?.();
    expect(call.lane.gathering).toBe(0);
    await services.put('k00000', 'written since');
    await until(compacted());
    expect(call.bytes).toBe(before);
  });

  it('break off when a snapshot replaces what they read', async () => {
    const call = await parked();
    services.member.kv.restore();
    call.onDrain?.();
    await until(() => call.failed !== undefined);
    expect(call.over).toBe(false);
    expect(call.lane.gathering).toBe(0);
  });

  it('that are too large leave nothing behind', async () => {
    const call = ask(everything, true, 1_500_000);
    await until(() => call.announced > 0);
    expect(call.sent).toEqual([]);
    expect(call.lane.gathering).toBe(0);
    await services.put('k00000', 'written since');
    await until(compacted());
  });
});

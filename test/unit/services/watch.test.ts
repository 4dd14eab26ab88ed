// Watch streams: what recordings do not reach. Ids of 64 bits, fragments, back-pressure, many watchers, ends.
import { describe, expect, it } from 'vitest';
import type { WatchResponse } from '../../../src/api/gen/etcdserverpb.ts';
import { Watch } from '../../../src/api/gen/methods.ts';
import { Reader } from '../../../src/api/proto-io.ts';
import { errors } from '../../../src/api/status.ts';
import { latin1, utf8 } from '../../../src/base/bytes.ts';
import { controlMessage, EventEncoder } from '../../../src/server/services/watch-encoder.ts';
import type { WatchEvent } from '../../../src/server/mvcc/types.ts';
import { Services, until } from './lone-member.ts';

const create = (key: string, more: object = {}) => ({ createRequest: { key: utf8(key), ...more } });
const keysOf = (r: WatchResponse): string[] => r.events.map((e) => latin1(e.kv?.key ?? new Uint8Array(0)));

/** The varint field 2 of a response, exact. */
function wireIdOf(parts: readonly Uint8Array[]): bigint {
  const body = Buffer.concat(parts);
  const r = new Reader(body);
  let id = 0n;
  while (r.pos < body.length) {
    const tag = r.varint32();
    if (tag === 16) id = r.bigInt64();
    else r.skip(tag);
  }
  return id;
}

describe('watch ids', () => {
  it('are any 64 bits, on the way in and out', () => {
    for (const id of [1n, 127n, 128n, 2n ** 53n + 1n, 2n ** 63n - 1n, -7n, -(2n ** 63n)])
      expect(wireIdOf(controlMessage(new Uint8Array(0), id, { created: true }))).toBe(id);
  });

  it('beyond 2^53 are told apart, and cancelled by their own', async () => {
    const services = new Services();
    const { handler } = services.table.streams.get(Watch.watch.path)!;
    const { method } = services.table.streams.get(Watch.watch.path)!;
    const sent: (readonly Uint8Array[])[] = [];
    const call = {
      metadata: new Map(),
      peer: { address: '', commonName: undefined, viaGateway: false },
      cancelled: false,
      onMessage: undefined as ((m: unknown) => void) | undefined,
      sendEncoded: (parts: readonly Uint8Array[]) => sent.push(parts) > 0,
      fail() {},
      end() {},
      pause() {},
      resume() {},
    };
    handler(call as never);
    const varint = (v: bigint): Buffer => {
      const out: number[] = [];
      for (let u = BigInt.asUintN(64, v); ; u >>= 7n) {
        out.push(Number(u & 127n) | (u > 127n ? 128 : 0));
        if (u <= 127n) return Buffer.from(out);
      }
    };
    // create_request { key "a", watch_id }; cancel_request { watch_id }
    const request = (tag: number, inner: Buffer): unknown =>
      method.request.decode(Buffer.concat([Buffer.from([tag]), varint(BigInt(inner.length)), inner]));
    const a = 2n ** 53n + 10n;
    const b = 2n ** 53n + 11n;
    for (const id of [a, b, -3n, a]) call.onMessage?.(request(0x0a, Buffer.concat([Buffer.from([0x0a, 1, 97, 0x38]), varint(id)])));
    expect(sent.map(wireIdOf)).toEqual([a, b, -3n, -1n]);
    await services.put('a');
    await until(() => sent.length === 7);
    expect(sent.slice(4).map(wireIdOf).sort()).toEqual([-3n, a, b].sort());
    call.onMessage?.(request(0x12, Buffer.concat([Buffer.from([0x08]), varint(b)])));
    expect(wireIdOf(sent[7]!)).toBe(b);
    await services.put('a');
    await until(() => sent.length === 10);
    expect(sent.slice(8).map(wireIdOf).sort()).toEqual([-3n, a].sort());
  });
});

describe('fragments', () => {
  const event = (n: number, bytes: number): WatchEvent => ({
    type: 'put',
    kv: Buffer.concat([Buffer.from([10, 1, 97 + n, 42, 0x80 | (bytes & 127), bytes >> 7]), Buffer.alloc(bytes)]),
    modRev: n,
    prevKv: undefined,
  });
  const decoded = (messages: readonly (readonly Uint8Array[])[]): WatchResponse[] =>
    messages.map((parts) => Watch.watch.response.decode(Buffer.concat(parts)));

  it('cut between events, and all but the last are marked', () => {
    const events = [0, 1, 2, 3, 4].map((n) => event(n, 1000));
    const cut = decoded(new EventEncoder().messages(new Uint8Array(0), 3, events, 2500));
    expect(cut.map((m) => [m.events.length, m.fragment, m.watchId])).toEqual([
      [2, true, 3],
      [2, true, 3],
      [1, false, 3],
    ]);
    expect(cut.flatMap(keysOf)).toEqual(['a', 'b', 'c', 'd', 'e']);
  });

  it('hold at least one event, however large, and are not made when nobody asked or nothing is too large', () => {
    const big = [event(0, 5000), event(1, 5000)];
    const encoder = new EventEncoder();
    expect(decoded(encoder.messages(new Uint8Array(0), 1, big, 100)).map((m) => [m.events.length, m.fragment])).toEqual([
      [1, true],
      [1, false],
    ]);
    expect(encoder.messages(new Uint8Array(0), 1, big, 0)).toHaveLength(1);
    expect(encoder.messages(new Uint8Array(0), 1, big, 1_000_000)).toHaveLength(1);
    expect(encoder.messages(new Uint8Array(0), 1, [big[0]!], 100)).toHaveLength(1);
  });

  it('encode an event once for all its watchers', () => {
    const encoder = new EventEncoder();
    const one = event(0, 10);
    expect(encoder.encode({ ...one })).toBe(encoder.encode({ ...one }));
    expect(encoder.encode({ ...one, prevKv: one.kv })).not.toBe(encoder.encode(one));
  });
});

describe('a watch stream', () => {
  it('serves 10,000 watchers of one key in little time', async () => {
    const services = new Services();
    const w = services.stream(Watch.watch);
    const n = 10_000;
    for (let i = 0; i < n; i++) w.stream.send(create('k'));
    await until(() => w.got.length === n);
    const start = performance.now();
    await services.put('k', 'v');
    await until(() => w.got.length === 2 * n);
    // Generous: the in-process channel decodes each of them.
    expect(performance.now() - start).toBeLessThan(3000);
    expect(new Set(w.got.slice(n).map((m) => m.watchId)).size).toBe(n);
    w.stream.cancel();
    await until(() => services.member.kv.watchers.watcherCount === 0);
  });

  it('takes no deliveries and reads no requests while its client does not read, and loses nothing', async () => {
    const services = new Services();
    const w = services.stream(Watch.watch);
    w.stream.send(create('k'));
    await until(() => w.got.length === 1);
    w.stream.pause();
    const revisions = 600;
    for (let i = 0; i < revisions; i++) await services.put('k', 'x'.repeat(1000));
    // Far less than everything is on its way: the rest is with the hub.
    expect(services.member.kv.watchers.slowWatcherCount).toBe(1);
    w.stream.send({ progressRequest: {} });
    w.stream.resume();
    await until(() => w.got.reduce((sum, m) => sum + m.events.length, 0) === revisions);
    const seen = w.got.flatMap((m) => m.events.map((e) => e.kv?.modRevision));
    expect(seen).toEqual(Array.from({ length: revisions }, (_, i) => i + 2));
    expect(w.got.every((m) => (m.header?.revision ?? 0) >= Math.max(0, ...m.events.map((e) => e.kv?.modRevision ?? 0)))).toBe(true);
  });

  it('ends when the leader is lost, for those who asked for one', async () => {
    const services = new Services();
    const asked = services.stream(Watch.watch, { hasleader: 'true' });
    const plain = services.stream(Watch.watch);
    for (const w of [asked, plain]) w.stream.send(create('k'));
    await until(() => asked.got.length + plain.got.length === 2);
    services.member.loseLeader();
    await until(() => asked.end !== undefined);
    expect(asked.end).toEqual(errors.noLeader);
    expect(plain.end).toBeUndefined();
    const late = services.stream(Watch.watch, { hasleader: 'true' });
    await until(() => late.end !== undefined);
    expect(late.end).toEqual(errors.noLeader);
    services.member.stop();
    await until(() => plain.end !== undefined);
    expect(plain.end).toEqual(errors.stopped);
    expect(services.member.listeners).toBe(0);
    expect(services.member.kv.watchers.watcherCount).toBe(0);
    expect(services.errors).toEqual([]);
  });

  it('tells progress to idle watchers that asked, by the timer', async () => {
    const services = new Services({ config: { watchProgressNotifyMs: 40 } });
    const w = services.stream(Watch.watch);
    w.stream.send(create('a', { progressNotify: true }));
    w.stream.send(create('b'));
    await until(() => w.got.length === 2);
    await services.put('other');
    await until(() => w.got.length >= 4);
    expect(w.got.slice(2).every((m) => m.watchId === 0 && m.events.length === 0 && !m.created)).toBe(true);
    expect(w.got.at(-1)?.header?.revision).toBe(2);
    w.stream.cancel();
  });
});

// Calls of every kind, over each server binding and each client channel: the same cases for all of them.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { KV, Lease, Maintenance, Watch } from '../../../src/api/gen/methods.ts';
import { RpcError, type Status } from '../../../src/api/status.ts';
import { fromLatin1, latin1, utf8 } from '../../../src/base/bytes.ts';
import type { Channel, ClientStream } from '../../../src/wire/channel.ts';
import type { BindingKind } from '../../../src/wire/listener.ts';
import { connect, TestServer, until, type ChannelKind } from './fixture.ts';

const combinations: readonly (readonly [BindingKind, ChannelKind])[] = [
  ['native', 'grpc-js'],
  ['native', 'http2'],
  ['http2', 'grpc-js'],
  ['http2', 'http2'],
  ['http2', 'in-process'],
  ['http2', 'in-process-direct'],
];

async function failure(promise: Promise<unknown>): Promise<Status> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof RpcError) return error.status;
    throw error;
  }
  throw new Error('did not fail');
}

/** Gathers what comes on a stream. */
class Reader<Req, Res> {
  readonly messages: Res[] = [];
  status: Status | undefined;
  ends = 0;

  constructor(stream: ClientStream<Req, Res>) {
    stream.onMessage = (m) => this.messages.push(m);
    stream.onEnd = (s) => {
      this.status = s;
      this.ends++;
    };
  }
}

describe.each(combinations)('%s server, %s channel', (binding, kind) => {
  let server: TestServer;
  let channel: Channel;
  const local = kind.startsWith('in-process');
  // Without codecs a request must be complete.
  const range = (key: string) => ({ ...KV.range.request.create(), key: utf8(key) });
  const create = (key: string, watchId = 0) => ({
    ...Watch.watch.request.create(),
    createRequest: {
      key: fromLatin1(key),
      rangeEnd: new Uint8Array(0),
      startRevision: 0,
      progressNotify: false,
      filters: [],
      prevKv: false,
      watchId,
      fragment: false,
    },
  });

  beforeEach(async () => {
    server = await TestServer.start({ binding });
    channel = connect(kind, server);
  });
  afterEach(async () => {
    channel.close();
    await server.stop();
    expect(server.grpc.openCalls).toBe(0);
    expect(server.grpc.wheel.armed).toBe(0);
  });

  it('answers unary calls', async () => {
    expect((await channel.unary(KV.range, range('abc'))).count).toBe(3);
    expect((await channel.unary(KV.range, range('later'))).count).toBe(5);
    const put = await channel.unary(KV.put, { ...KV.put.request.create(), key: utf8('k'), value: new Uint8Array(300) });
    expect(put.header).toEqual({ clusterId: 1n, memberId: 2n, revision: 300, raftTerm: 3 });
  });

  it('answers many calls at once, in any order', async () => {
    const keys = Array.from({ length: 500 }, (_, i) => (i % 3 === 0 ? `later:${'x'.repeat(i)}` : 'y'.repeat(i + 1)));
    const counts = await Promise.all(keys.map(async (k) => (await channel.unary(KV.range, range(k))).count));
    expect(counts).toEqual(keys.map((k) => k.length));
  });

  it('takes only the first answer', async () => {
    expect((await channel.unary(KV.range, range('twice'))).count).toBe(1);
  });

  it.each([0, 1, 100, 16_370, 16_384, 65_535, 70_000, 1_000_000, 5_000_000])('S-021: carries answers of %i bytes', async (n) => {
    for (const verb of ['big', 'parts']) {
      const response = await channel.unary(KV.range, range(`${verb}:${n}`));
      expect(response.kvs[0]?.value.length).toBe(n);
      if (n > 0) expect(response.kvs[0]?.value[n - 1]).toBe(verb === 'big' ? 120 : 121);
    }
  });

  it.each([0, 1, 9_990, 16_384, 65_535, 70_000, 5_000_000, 30_000_000])(
    'carries answers of %i bytes that leave while they are made',
    async (n) => {
      const answers = await Promise.all([1, 2, 3].map(() => channel.unary(KV.range, range(`flow:${n}`))));
      for (const answer of answers) {
        const value = answer.kvs[0]?.value ?? new Uint8Array(0);
        expect(value.length).toBe(n);
        expect(value.every((b) => b === 121)).toBe(true);
      }
      if (!local && n >= 5_000_000) expect(server.seen.waits).toBeGreaterThan(0);
      expect(server.seen.cancels).toEqual([]);
    },
  );

  it('breaks off an answer in the middle', async () => {
    for (const n of [20_000, 3_000_000]) {
      expect((await failure(channel.unary(KV.range, range(`broken:${n}`)))).code).not.toBe(0);
      expect((await failure(channel.unary(KV.range, range(`held:${n}`), { timeoutMs: 200 }))).code).toBe(4);
      const abort = new AbortController();
      setTimeout(() => abort.abort(), 50);
      expect((await failure(channel.unary(KV.range, range(`held:${n}`), { signal: abort.signal }))).code).toBe(1);
    }
    await until(() => server.seen.cancels.length === 4);
    expect((await channel.unary(KV.range, range('abc'))).count).toBe(3);
  });

  it('refuses to announce more than a message may hold', async () => {
    const refused = await failure(channel.unary(KV.range, range('announce:2147483648')));
    // Inside the process there are no messages and no announcements.
    if (local) expect(refused.code).toBe(11);
    else expect(refused).toEqual({ code: 8, message: 'grpc: trying to send message larger than max (2147483648 vs. 2147483647)' });
  });

  it.each([0, 1, 16_370, 16_384, 65_536, 1_000_000, 2_000_000])('carries requests of %i bytes', async (n) => {
    const response = await channel.unary(KV.put, { ...KV.put.request.create(), key: utf8('k'), value: new Uint8Array(n).fill(1) });
    expect(response.header?.revision).toBe(n);
  });

  it('carries statuses with any text', async () => {
    const text = 'a % b "c" é 日本 \n\t~ 100%25';
    expect(await failure(channel.unary(KV.range, range(`fail:${text}`)))).toEqual({ code: 9, message: text });
    expect(await failure(channel.unary(KV.range, range('etcd')))).toEqual({
      code: 11,
      message: 'etcdserver: mvcc: required revision has been compacted',
    });
  });

  it('carries metadata, binary too', async () => {
    const response = await channel.unary(KV.range, range('meta'), {
      metadata: { token: 'abc.1', 'x-bin': '\x00\xff\x80a', hasleader: 'true' },
    });
    const seen = new Map(response.kvs.map((kv) => [latin1(kv.key), latin1(kv.value)]));
    expect(seen.get('token')).toBe('abc.1');
    expect(seen.get('hasleader')).toBe('true');
    expect(seen.get('x-bin')).toBe('\x00\xff\x80a');
    expect(seen.has('te')).toBe(false);
  });

  it('tells the handler its deadline', async () => {
    expect((await channel.unary(KV.range, range('deadline'))).count).toBe(0);
    const left = (await channel.unary(KV.range, range('deadline'), { timeoutMs: 30_000 })).count;
    expect(left).toBeGreaterThan(25_000);
    expect(left).toBeLessThanOrEqual(30_001);
  });

  it('ends calls at their deadline', async () => {
    // Connected first: a deadline that passes before there is a connection never reaches the handler.
    await channel.unary(KV.range, range('warm'));
    expect(await failure(channel.unary(KV.range, range('hang:d'), { timeoutMs: 300 }))).toEqual({
      code: 4,
      message: 'context deadline exceeded',
    });
    await until(() => server.seen.cancels.length === 1);
    const stream = channel.stream(Watch.watch, { timeoutMs: 300 });
    const reader = new Reader(stream);
    await until(() => reader.status !== undefined);
    expect(reader.status).toEqual({ code: 4, message: 'context deadline exceeded' });
    await until(() => server.seen.cancels.length === 2);
  });

  it('cancels unary calls', async () => {
    const abort = new AbortController();
    const pending = failure(channel.unary(KV.range, range('hang:c'), { signal: abort.signal }));
    await until(() => server.seen.calls.length === 1);
    abort.abort();
    expect(await pending).toEqual({ code: 1, message: 'context canceled' });
    await until(() => server.seen.cancels.length === 1);
    expect(server.seen.calls[0]?.cancelled).toBe(true);
    expect(await failure(channel.unary(KV.range, range('x'), { signal: abort.signal }))).toEqual({ code: 1, message: 'context canceled' });
  });

  it('cancels open calls when the channel closes', async () => {
    const pending = failure(channel.unary(KV.range, range('hang:z')));
    const reader = new Reader(channel.stream(Watch.watch));
    await until(() => server.seen.calls.length === 1 && server.seen.streams.length === 1);
    channel.close();
    expect((await pending).code).toBe(1);
    await until(() => reader.status !== undefined);
    expect(reader.status?.code).toBe(1);
    await until(() => server.seen.cancels.length === 2);
    expect((await failure(channel.unary(KV.range, range('x')))).code).toBe(1);
  });

  it('streams both ways', async () => {
    const stream = channel.stream(Watch.watch);
    const reader = new Reader(stream);
    for (let i = 0; i < 200; i++) stream.send(create(`key-${i}`, i));
    await until(() => reader.messages.length === 200);
    expect(reader.messages.map((m) => m.watchId)).toEqual(Array.from({ length: 200 }, (_, i) => i));
    stream.halfClose();
    await until(() => server.seen.halfCloses === 1);
    expect(reader.status).toBeUndefined();
    const call = server.seen.streams[0];
    call?.send({ ...Watch.watch.response.create(), watchId: 777 });
    await until(() => reader.messages.length === 201);
    stream.cancel();
    await until(() => reader.status !== undefined && server.seen.cancels.length === 1);
    expect(reader.status).toEqual({ code: 1, message: 'context canceled' });
    expect(reader.ends).toBe(1);
  });

  it('ends streams with what the handler says', async () => {
    for (const [key, status] of [
      ['end', { code: 0, message: '' }],
      ['fail', { code: 5, message: 'no such thing' }],
    ] as const) {
      const stream = channel.stream(Watch.watch);
      const reader = new Reader(stream);
      stream.send(create('first'));
      stream.send(create(key));
      await until(() => reader.status !== undefined);
      expect(reader.status).toEqual(status);
      expect(reader.messages.length).toBe(1);
    }
    const stream = channel.stream(Maintenance.snapshot);
    const reader = new Reader(stream);
    stream.send({});
    stream.halfClose();
    await until(() => reader.status !== undefined);
    expect(reader.status).toEqual({ code: 14, message: 'at once' });
  });

  it('answers Internal when a handler throws, and reports it', async () => {
    const stream = channel.stream(Watch.watch);
    const reader = new Reader(stream);
    stream.send(create('throw'));
    await until(() => reader.status !== undefined);
    expect(reader.status?.code).toBe(13);
    expect((server.errors[0] as Error).message).toBe('a bug');
    expect((await channel.unary(KV.range, range('still'))).count).toBe(5);
  });

  it('streams from the server with back-pressure', async () => {
    const stream = channel.stream(KV.rangeStream);
    const reader = new Reader(stream);
    stream.send(range('n:300:20000'));
    stream.halfClose();
    await until(() => reader.status !== undefined, 15_000);
    expect(reader.status).toEqual({ code: 0, message: '' });
    expect(reader.messages.map((m) => m.rangeResponse?.count)).toEqual(Array.from({ length: 300 }, (_, i) => 299 - i));
  });

  it('holds a server back while the client does not read', async () => {
    const stream = channel.stream(KV.rangeStream);
    const reader = new Reader(stream);
    stream.pause();
    stream.send(range('n:2000:20000'));
    stream.halfClose();
    await until(() => server.seen.streams.length === 1);
    const call = server.seen.streams[0];
    await until(() => (call?.bufferedBytes ?? 0) > 0 || reader.messages.length > 0, 10_000);
    await new Promise((resolve) => setTimeout(resolve, 100));
    // 40 MB were asked for: most of them must not have been sent.
    expect(call?.bufferedBytes).toBeLessThan(200_000);
    expect(reader.messages.length).toBeLessThan(10);
    stream.resume();
    await until(() => reader.status !== undefined, 30_000);
    expect(reader.messages.length).toBe(2000);
    expect(reader.status?.code).toBe(0);
  });

  it('holds a client back while the handler does not read', async () => {
    const stream = channel.stream(Lease.leaseKeepAlive);
    const reader = new Reader(stream);
    for (let i = 1; i <= 50; i++) stream.send({ ID: BigInt(i) });
    stream.halfClose();
    await until(() => reader.messages.length === 1);
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(server.seen.received).toBe(1);
    server.seen.streams[0]?.resume();
    await until(() => reader.status !== undefined);
    expect(reader.messages.length).toBe(50);
    expect(reader.status?.code).toBe(0);
  });

  it('refuses what has no handler', async () => {
    if (local) return;
    expect(await failure(channel.unary(KV.compact, {}))).toEqual({
      code: 12,
      message: 'unknown method Compact for service etcdserverpb.KV',
    });
    const other = { ...KV.range, path: '/foo.Bar/Baz', service: 'foo.Bar', name: 'Baz' };
    expect(await failure(channel.unary(other, {}))).toEqual({ code: 12, message: 'unknown service foo.Bar' });
    const reader = new Reader(channel.stream({ ...Watch.watch, path: '/etcdserverpb.Watch/Nope' }));
    await until(() => reader.status !== undefined);
    expect(reader.status).toEqual({ code: 12, message: 'unknown method Nope for service etcdserverpb.Watch' });
  });

  it('refuses messages that are too large, on both sides', async () => {
    if (local) return;
    const put = (n: number) => ({ key: utf8('k'), value: new Uint8Array(n) });
    expect(await failure(channel.unary(KV.put, put(2_200_000)))).toEqual({
      code: 8,
      message: 'grpc: received message larger than max (2200008 vs. 2097152)',
    });
    expect((await failure(channel.unary(KV.put, put(4_194_304)))).message).toBe(
      'trying to send message larger than max (4194312 vs. 4194304)',
    );
    const small = connect(kind, server, undefined, { receiveBytesMax: 1000 });
    expect(await failure(small.unary(KV.range, range('big:2000')))).toEqual({
      code: 8,
      message: 'grpc: received message larger than max (2011 vs. 1000)',
    });
    small.close();
    expect((await channel.unary(KV.range, range('still'))).count).toBe(5);
  });

  it('ends calls when the connection is lost, and connects again', async () => {
    if (local) return;
    const pending = failure(channel.unary(KV.range, range('hang:l')));
    const reader = new Reader(channel.stream(Watch.watch));
    await until(() => server.seen.calls.length === 1 && server.seen.streams.length === 1);
    const { port } = server;
    await server.stop();
    expect((await pending).code).toBe(14);
    await until(() => reader.status !== undefined);
    expect(reader.status?.code).toBe(14);
    expect(server.seen.cancels.sort()).toEqual(['hang:l', 'watch']);
    const error = await channel.unary(KV.range, range('x'), { timeoutMs: 100 }).catch((e: unknown) => e as RpcError);
    expect(error).toMatchObject({ code: 4, message: 'context deadline exceeded', unsent: true });
    server = await TestServer.start({ binding, port });
    expect((await channel.unary(KV.range, range('again'))).count).toBe(5);
  });

  it('says that nothing was sent when there is no connection', async () => {
    if (local) return;
    const quick = connect(kind, server, undefined, { connectTimeoutMs: 150 });
    const { port } = server;
    await server.stop();
    const error = await quick.unary(KV.range, range('x')).catch((e: unknown) => e as RpcError);
    expect(error).toMatchObject({ code: 14, unsent: true });
    const reader = new Reader(quick.stream(Watch.watch));
    await until(() => reader.status !== undefined);
    expect(reader.status?.code).toBe(14);
    quick.close();
    server = await TestServer.start({ binding, port });
  });

  it('a channel that drains refuses new calls, unsent, and closes after the last', async () => {
    if (local) return;
    const other = connect(kind, server);
    const pending = other.unary(KV.range, range('hang:d'));
    await until(() => server.seen.calls.length === 1);
    let drained = false;
    other.drain(() => {
      drained = true;
    });
    const refused = { code: 14, message: 'the connection is draining', unsent: true };
    expect(await other.unary(KV.range, range('x')).catch((e: unknown) => e as RpcError)).toMatchObject(refused);
    const reader = new Reader(other.stream(Watch.watch));
    await until(() => reader.status !== undefined);
    expect(reader.status?.message).toBe(refused.message);
    expect(server.seen.calls.length + server.seen.streams.length).toBe(1);
    expect(drained).toBe(false);
    (server.seen.calls[0] as { reply(r: unknown): void }).reply(KV.range.response.create());
    expect((await pending).count).toBe(0);
    await until(() => drained);
  });

  it('drains: open calls end in peace, new ones go elsewhere', async () => {
    if (local) return;
    const pending = channel.unary(KV.range, range('hang:g'));
    await until(() => server.seen.calls.length === 1);
    const closing = server.listener.close(5_000);
    await new Promise((resolve) => setTimeout(resolve, 30));
    (server.seen.calls[0] as { reply(r: unknown): void }).reply(KV.range.response.create());
    expect((await pending).count).toBe(0);
    await closing;
    expect(server.listener.connections).toBe(0);
  });
});

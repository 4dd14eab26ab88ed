// A member that sends its spans to a collector of our own: what arrives, and what happens when the collector does not.
import { createServer, type Server } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { KV, Lease, Watch } from '../../src/api/gen/methods.ts';
import { TraceService } from '../../src/api/gen/otlp-collector.ts';
import type { KeyValue } from '../../src/api/gen/otlp-common.ts';
import type { Span } from '../../src/api/gen/otlp-trace.ts';
import { Code } from '../../src/api/status.ts';
import { utf8 } from '../../src/base/bytes.ts';
import { silentLog } from '../../src/base/log.ts';
import { RealClock } from '../../src/host/real-clock.ts';
import { HandlerTable } from '../../src/wire/call.ts';
import type { Channel } from '../../src/wire/channel.ts';
import { connectHttp2 } from '../../src/wire/http2-channel.ts';
import { defaultWireLimits } from '../../src/wire/limits.ts';
import { Listener } from '../../src/wire/listener.ts';
import { GrpcServer } from '../../src/wire/server-call.ts';
import { type MemberProcess, oneMember, until } from '../support/member.ts';

const clock = new RealClock();
const undo: (() => unknown)[] = [];
afterEach(async () => {
  for (const fn of undo.splice(0).reverse()) await fn();
});

interface Collector {
  readonly port: number;
  readonly spans: Span[];
  resource: readonly KeyValue[];
  /** From now on every call fails. */
  broken: boolean;
  calls: number;
}

async function collector(): Promise<Collector> {
  const table = new HandlerTable();
  const spans: Span[] = [];
  const state = { spans, resource: [] as readonly KeyValue[], broken: false, calls: 0 };
  table.addUnary(TraceService.export, (call) => {
    state.calls++;
    if (state.broken) {
      call.fail({ code: Code.Internal, message: 'out of order' });
      return;
    }
    for (const r of call.request.resourceSpans) {
      state.resource = r.resource?.attributes ?? [];
      // The bytes are views of what came over the socket.
      for (const s of r.scopeSpans)
        for (const x of s.spans)
          spans.push({ ...x, traceId: x.traceId.slice(), spanId: x.spanId.slice(), parentSpanId: x.parentSpanId.slice() });
    }
    call.reply({ partialSuccess: undefined });
  });
  const grpc = new GrpcServer({ table, limits: defaultWireLimits, clock });
  const listener = new Listener({ grpc, http: (_request, response) => response.end(''), log: silentLog });
  const server: Server = createServer((socket) => listener.accept(socket));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  undo.push(async () => {
    server.close();
    await listener.close(0);
  });
  return Object.assign(state, { port: (server.address() as { port: number }).port });
}

function channelTo(member: MemberProcess): Channel {
  const channel = connectHttp2(
    { text: member.endpoint, address: member.endpoint, secure: false, unix: false },
    { tls: undefined, connectTimeoutMs: 30_000, keepaliveMs: 0, keepaliveTimeoutMs: 0, sendBytesMax: 1 << 20, receiveBytesMax: 1 << 20 },
  );
  undo.push(() => channel.close());
  return channel;
}

async function traced(port: number, ...more: string[]): Promise<MemberProcess> {
  const member = await oneMember({
    args: ['--enable-distributed-tracing', '--distributed-tracing-address', `127.0.0.1:${port}`, ...more],
  });
  undo.push(() => member.remove());
  return member;
}

const trace = '0af7651916cd43dd8448eb211c80319c';
const sampled = { metadata: { traceparent: `00-${trace}-b7ad6b7169203331-01`, tracestate: 'vendor=1' } };
const hex = (b: Uint8Array): string => Buffer.from(b).toString('hex');
const attribute = (attributes: readonly KeyValue[], key: string): unknown => {
  const value = attributes.find((a) => a.key === key)?.value;
  return value?.stringValue ?? value?.intValue ?? value?.boolValue;
};

it('sends the spans of sampled calls, from the client down to WAL and apply', { timeout: 120_000 }, async () => {
  const sink = await collector();
  const member = await traced(sink.port);
  const channel = channelTo(member);
  // Not sampled: no parent says so, and the rate is 0. Nor is one whose parent says no.
  await channel.unary(KV.put, { key: utf8('silent'), value: utf8('1') });
  const unsampled = { metadata: { traceparent: `00-${'1'.repeat(32)}-b7ad6b7169203331-00` } };
  await channel.unary(KV.put, { key: utf8('silent'), value: utf8('1') }, unsampled);
  await channel.unary(KV.put, { key: utf8('k'), value: utf8('v') }, sampled);
  await channel.unary(KV.range, { key: utf8('k') }, sampled);
  await expect(channel.unary(KV.range, { key: utf8('k'), revision: 99 }, sampled)).rejects.toThrow('future revision');
  await channel.unary(Lease.leaseGrant, { ID: 7n, TTL: 60 }, sampled);
  const renewals = channel.stream(Lease.leaseKeepAlive, sampled);
  await new Promise<void>((resolve) => {
    renewals.onMessage = (): void => resolve();
    renewals.send({ ID: 7n });
  });
  renewals.halfClose();
  await channel.unary(Lease.leaseRevoke, { ID: 7n }, sampled);
  const ranges = channel.stream(KV.rangeStream, sampled);
  await new Promise<void>((resolve) => {
    ranges.onMessage = (): void => resolve();
    ranges.send({ key: utf8('k'), limit: 5 });
    ranges.halfClose();
  });
  const stream = channel.stream(Watch.watch, sampled);
  const created = new Promise<void>((resolve) => (stream.onMessage = (): void => resolve()));
  stream.send({ createRequest: { key: utf8('w') } });
  await created;
  stream.cancel();
  await until('the watch to end in the metrics', async () => {
    const text = await (await fetch(`${member.url}/metrics`)).text();
    return /grpc_server_handled_total\{grpc_code="Canceled",grpc_method="Watch"[^}]*\} 1/.test(text);
  });
  // A stop sends what waits.
  await member.stop();

  const names = sink.spans.map((s) => s.name);
  expect(names).toContain('etcdserverpb.KV/Put');
  expect(new Set(sink.spans.map((s) => hex(s.traceId)))).toEqual(new Set([trace]));
  expect(new Set(sink.spans.map((s) => s.traceState))).toEqual(new Set(['vendor=1']));
  const byName = (name: string): Span[] => sink.spans.filter((s) => s.name === name);
  const one = (name: string): Span => {
    expect(byName(name), name).toHaveLength(1);
    return byName(name)[0]!;
  };
  const call = one('etcdserverpb.KV/Put');
  expect(hex(call.parentSpanId)).toBe('b7ad6b7169203331');
  expect([call.kind, call.flags]).toEqual([2, 0x301]);
  expect(attribute(call.attributes, 'rpc.response.status_code')).toBe('OK');
  // The names that etcd's instrumentation gives them.
  expect(call.attributes.map((a) => a.key)).toEqual([
    ...['rpc.method', 'rpc.system.name', 'server.address', 'server.port', 'rpc.response.status_code'],
  ]);
  expect(attribute(call.attributes, 'server.address')).toBe('127.0.0.1');
  expect(attribute(call.attributes, 'server.port')).toBe(BigInt(member.options.clientPort));
  const put = one('put');
  expect(attribute(put.attributes, 'key')).toBe('k');
  expect(put.events.map((e) => e.name)).toEqual(['Send raft proposal', 'Receive raft result']);
  const within = (name: string, outer: Span): Span => {
    const found = byName(name).filter((s) => hex(s.parentSpanId) === hex(outer.spanId));
    expect(found, name).toHaveLength(1);
    return found[0]!;
  };
  const raft = within('raft', put);
  const [wal, apply] = [within('wal', raft), within('apply', put)];
  expect([put, raft, wal, apply].map((s) => hex(s.parentSpanId))).toEqual([call, put, raft, put].map((s) => hex(s.spanId)));
  for (const [inner, outer] of [
    [put, call],
    [raft, put],
    [wal, raft],
    [apply, put],
  ] as const) {
    expect(inner.startTimeUnixNano >= outer.startTimeUnixNano, `${inner.name} begins in ${outer.name}`).toBe(true);
    expect(inner.endTimeUnixNano <= outer.endTimeUnixNano, `${inner.name} ends in ${outer.name}`).toBe(true);
  }
  expect(apply.startTimeUnixNano >= raft.endTimeUnixNano).toBe(true);
  expect(Math.abs(Number(call.startTimeUnixNano / 1_000_000n) - Date.now())).toBeLessThan(3_600_000);

  expect(byName('range')).toHaveLength(2);
  expect(byName('read index')).toHaveLength(2);
  expect(byName('etcdserverpb.KV/Range').map((s) => attribute(s.attributes, 'rpc.response.status_code'))).toEqual(['OK', 'OUT_OF_RANGE']);
  expect(attribute(one('watch').attributes, 'key')).toBe('w');
  for (const name of ['lease_grant', 'lease_renew', 'lease_revoke']) expect(attribute(one(name).attributes, 'id'), name).toBe(7n);
  expect(one('range_streaming').attributes.map((a) => a.key)).toEqual(['range_begin', 'range_end', 'rev', 'limit', 'count_only']);
  expect(attribute(one('etcdserverpb.Watch/Watch').attributes, 'rpc.response.status_code')).toBe('CANCELLED');
});

it('says who it is', { timeout: 120_000 }, async () => {
  const sink = await collector();
  const member = await traced(
    sink.port,
    ...['--distributed-tracing-instance-id', 'instance-1', '--distributed-tracing-service-name', 'store'],
    ...['--distributed-tracing-sampling-rate', '1000000'],
  );
  expect(member.log).toContain('distributed tracing setup enabled');
  await channelTo(member).unary(KV.put, { key: utf8('k'), value: utf8('v') });
  await until('a span', () => sink.spans.length > 0);
  expect(attribute(sink.resource, 'service.name')).toBe('store');
  expect(attribute(sink.resource, 'service.instance.id')).toBe('instance-1');
  // A root of its own.
  expect(sink.spans.find((s) => s.name === 'etcdserverpb.KV/Put')!.parentSpanId.length).toBe(0);
});

it('serves on while the collector fails, and stops in order', { timeout: 120_000 }, async () => {
  const sink = await collector();
  sink.broken = true;
  const member = await traced(sink.port, '--distributed-tracing-sampling-rate', '1000000');
  const channel = channelTo(member);
  for (let i = 0; i < 30; i++)
    await Promise.all(Array.from({ length: 50 }, () => channel.unary(KV.put, { key: utf8('k'), value: utf8('v') })));
  await until('failed exports', () => sink.calls > 3);
  const lines = member.log.split('\n').filter((l) => l.includes('failed to export spans'));
  expect(lines).toHaveLength(1);
  await channel.unary(KV.put, { key: utf8('k'), value: utf8('v') });
  expect((await member.stop()).signal).toBe('SIGTERM');
});

it('serves without a collector', { timeout: 120_000 }, async () => {
  const gone = await collector();
  for (const fn of undo.splice(0).reverse()) await fn();
  const member = await traced(gone.port, '--distributed-tracing-sampling-rate', '1000000');
  const channel = channelTo(member);
  await channel.unary(KV.put, { key: utf8('k'), value: utf8('v') });
  await until('a line about it', () => member.log.includes('failed to export spans'));
  await channel.unary(KV.put, { key: utf8('k'), value: utf8('v') });
  expect((await member.stop()).signal).toBe('SIGTERM');
});

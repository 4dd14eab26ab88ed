// What a gRPC server says to odd requests, word for word as etcd 3.7.1 said it to the same bytes.
import { connect as connectHttp2, type ClientHttp2Session } from 'node:http2';
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { KV } from '../../../src/api/gen/methods.ts';
import { decodeMessage } from '../../../src/wire/grpc-text.ts';
import { TestServer, until } from './fixture.ts';

const frame = (body: Uint8Array, flag = 0): Buffer => {
  const out = Buffer.alloc(5 + body.length);
  out[0] = flag;
  out.writeUInt32BE(body.length, 1);
  out.set(body, 5);
  return out;
};
const key = frame(Buffer.from([0x0a, 1, 0x61]));
const range = '/etcdserverpb.KV/Range';
const put = '/etcdserverpb.KV/Put';
const rangeStream = '/etcdserverpb.KV/RangeStream';
const watch = '/etcdserverpb.Watch/Watch';
const badWire = 'proto: cannot parse invalid wire-format data';

interface Case {
  readonly name: string;
  readonly headers?: Record<string, string>;
  readonly body?: Uint8Array;
  readonly open?: boolean;
  readonly http?: number;
  readonly code: number;
  readonly message?: string;
}

const cases: readonly Case[] = [
  { name: 'a good call', body: key, code: 0 },
  {
    name: 'malformed body',
    body: frame(Buffer.from('CgU=', 'base64')),
    code: 13,
    message: `grpc: error unmarshalling request: ${badWire}`,
  },
  {
    name: 'malformed put',
    headers: { ':path': put },
    body: frame(Buffer.from('////', 'base64')),
    code: 13,
    message: `grpc: error unmarshalling request: ${badWire}`,
  },
  {
    name: 'malformed message on a stream',
    headers: { ':path': watch },
    body: frame(Buffer.from('////', 'base64')),
    code: 13,
    message: `grpc: failed to unmarshal the received message: ${badWire}`,
  },
  {
    name: 'malformed request of a server stream',
    headers: { ':path': rangeStream },
    body: frame(Buffer.from('////', 'base64')),
    code: 13,
    message: `grpc: failed to unmarshal the received message: ${badWire}`,
  },
  { name: 'no request', code: 2, message: 'EOF' },
  {
    name: 'no request for a server stream',
    headers: { ':path': rangeStream },
    code: 13,
    message: 'cardinality violation: received no request message from non-client-streaming RPC',
  },
  { name: 'two requests', body: Buffer.concat([key, key]), code: 0 },
  { name: 'a message cut short', body: Buffer.from([0, 0, 0, 0, 9, 1]), code: 2, message: 'unexpected EOF' },
  { name: 'a prefix cut short', body: Buffer.from([0, 0, 0]), code: 2, message: 'EOF' },
  {
    name: 'a stream message cut short',
    headers: { ':path': watch },
    body: Buffer.from([0, 0, 0, 0, 9, 1]),
    code: 13,
    message: 'unexpected EOF',
  },
  { name: 'gzip', headers: { 'grpc-encoding': 'gzip' }, body: frame(gzipSync(Buffer.from([0x0a, 1, 0x61])), 1), code: 0 },
  { name: 'gzip, not compressed', headers: { 'grpc-encoding': 'gzip' }, body: key, code: 0 },
  { name: 'identity', headers: { 'grpc-encoding': 'identity' }, body: key, code: 0 },
  {
    name: 'compressed without an encoding',
    body: frame(gzipSync(Buffer.from([0x0a, 1, 0x61])), 1),
    code: 13,
    message: 'grpc: compressed flag set with identity or empty encoding',
  },
  { name: 'bad gzip', headers: { 'grpc-encoding': 'gzip' }, body: frame(Buffer.from('hello'), 1), code: 13 },
  {
    name: 'unknown encoding',
    headers: { 'grpc-encoding': 'zstd' },
    body: key,
    code: 12,
    message: 'grpc: Decompressor is not installed for grpc-encoding "zstd"',
  },
  { name: 'unknown flag', body: frame(Buffer.from([0x0a, 1, 0x61]), 2), code: 13, message: 'grpc: received unexpected payload format 2' },
  {
    name: 'too large',
    headers: { ':path': put },
    body: frame(Buffer.alloc(2_200_000)),
    code: 8,
    message: 'grpc: received message larger than max (2200000 vs. 2097152)',
  },
  {
    name: 'declared 4 GiB',
    headers: { ':path': put },
    body: Buffer.from([0, 255, 255, 255, 255]),
    open: true,
    code: 8,
    message: 'grpc: received message larger than max (4294967295 vs. 2097152)',
  },
  {
    name: 'declared 4 GiB on a stream',
    headers: { ':path': watch },
    body: Buffer.from([0, 255, 255, 255, 255]),
    open: true,
    code: 8,
    message: 'grpc: received message larger than max (4294967295 vs. 2097152)',
  },
  {
    name: 'a gzip bomb',
    headers: { ':path': put, 'grpc-encoding': 'gzip' },
    body: frame(gzipSync(Buffer.alloc(5_000_000)), 1),
    code: 8,
    message: 'grpc: received message after decompression larger than max 2097152',
  },
  {
    name: 'a large gzip bomb',
    headers: { ':path': watch, 'grpc-encoding': 'gzip' },
    body: frame(gzipSync(Buffer.alloc(50_000_000)), 1),
    code: 8,
    message: 'grpc: received message after decompression larger than max 2097152',
  },
  {
    name: 'no slash',
    headers: { ':path': 'etcdserverpb.KV/Range' },
    body: key,
    code: 12,
    message: 'malformed method name: "etcdserverpb.KV/Range"',
  },
  {
    name: 'two slashes',
    headers: { ':path': '//etcdserverpb.KV/Range' },
    body: key,
    code: 12,
    message: 'unknown service /etcdserverpb.KV',
  },
  { name: 'a slash at the end', headers: { ':path': `${range}/` }, body: key, code: 12, message: 'unknown service etcdserverpb.KV/Range' },
  { name: 'only a slash', headers: { ':path': '/' }, body: key, code: 12, message: 'malformed method name: "/"' },
  { name: 'one segment', headers: { ':path': '/foo' }, body: key, code: 12, message: 'malformed method name: "/foo"' },
  {
    name: 'an escaped slash',
    headers: { ':path': '/etcdserverpb.KV%2fRange' },
    body: key,
    code: 12,
    message: 'malformed method name: "/etcdserverpb.KV%2fRange"',
  },
  {
    name: 'a query',
    headers: { ':path': `${range}?x=1` },
    body: key,
    code: 12,
    message: 'unknown method Range?x=1 for service etcdserverpb.KV',
  },
  { name: 'unknown service', headers: { ':path': '/foo.Bar/Baz' }, body: key, code: 12, message: 'unknown service foo.Bar' },
  {
    name: 'other case',
    headers: { ':path': '/etcdserverpb.KV/range' },
    body: key,
    code: 12,
    message: 'unknown method range for service etcdserverpb.KV',
  },
  {
    name: 'GET',
    headers: { ':method': 'GET' },
    http: 405,
    code: 13,
    message: 'Received a HEADERS frame with :method "GET" which should be POST',
  },
  { name: 'application/grpc+proto', headers: { 'content-type': 'application/grpc+proto' }, body: key, code: 0 },
  {
    name: 'application/grpcx',
    headers: { 'content-type': 'application/grpcx' },
    body: key,
    http: 415,
    code: 3,
    message: 'invalid gRPC request content-type "application/grpcx"',
  },
  {
    name: 'a bad timeout',
    headers: { 'grpc-timeout': 'xx' },
    body: key,
    http: 400,
    code: 13,
    message: 'malformed grpc-timeout: transport: timeout unit is not recognized: "xx"',
  },
  {
    name: 'a long timeout',
    headers: { 'grpc-timeout': '999999999m' },
    body: key,
    http: 400,
    code: 13,
    message: 'malformed grpc-timeout: transport: timeout string is too long: "999999999m"',
  },
  { name: 'no time at all', headers: { 'grpc-timeout': '0m' }, body: key, code: 4, message: 'context deadline exceeded' },
  {
    name: 'a deadline that passes',
    headers: { ':path': watch, 'grpc-timeout': '50m' },
    open: true,
    code: 4,
    message: 'context deadline exceeded',
  },
  {
    name: 'bad binary metadata',
    headers: { 'x-bin': '!!!' },
    body: key,
    http: 400,
    code: 13,
    message: 'malformed binary metadata "!!!" in header "x-bin": illegal base64 data at input byte 0',
  },
];

describe.each(['native', 'http2'] as const)('%s server', (binding) => {
  let server: TestServer;
  let session: ClientHttp2Session;

  beforeAll(async () => {
    server = await TestServer.start({ binding });
    session = connectHttp2(`http://127.0.0.1:${server.port}`);
  });
  afterAll(async () => {
    session.destroy();
    await server.stop();
    expect(server.errors).toEqual([]);
  });

  interface Answer {
    http: number;
    head: Record<string, unknown>;
    code: number;
    message: string;
    body: Buffer;
  }

  function call(headers: Record<string, string>, body: Uint8Array | undefined, open: boolean): Promise<Answer> {
    return new Promise((resolve) => {
      const stream = session.request({ ':method': 'POST', ':path': range, 'content-type': 'application/grpc', te: 'trailers', ...headers });
      const answer: Answer = { http: 0, head: {}, code: -1, message: '', body: Buffer.alloc(0) };
      const note = (h: Record<string, unknown>): void => {
        if (h['grpc-status'] !== undefined) answer.code = Number(h['grpc-status']);
        if (h['grpc-message'] !== undefined) answer.message = decodeMessage(String(h['grpc-message']));
      };
      stream.on('response', (h) => {
        answer.http = h[':status'] ?? 0;
        answer.head = h;
        note(h);
      });
      stream.on('trailers', note);
      stream.on('data', (d: Buffer) => (answer.body = Buffer.concat([answer.body, d])));
      stream.on('error', () => {});
      stream.on('close', () => resolve(answer));
      if (body !== undefined) stream.write(body);
      if (!open) stream.end();
    });
  }

  // nghttp2 itself refuses a path without a slash.
  it.each(cases.filter((c) => binding === 'native' || c.name !== 'no slash'))(
    '$name',
    async ({ headers, body, open, http, code, message }) => {
      const answer = await call(headers ?? {}, body, open ?? false);
      expect({ http: answer.http, code: answer.code, message: answer.message }).toEqual({
        http: http ?? 200,
        code,
        message: message ?? (code === 0 ? '' : answer.message),
      });
    },
  );

  it('answers a client that gzips with gzip, within reason', async () => {
    const ask = (text: string): Promise<Answer> =>
      call({ 'grpc-encoding': 'gzip' }, frame(KV.range.request.encode({ key: Buffer.from(text) })), false);
    const small = await ask('abc');
    expect(small.head['grpc-encoding']).toBe('gzip');
    expect(small.body[0]).toBe(0);
    const middle = await ask('big:20000');
    expect(middle.body[0]).toBe(1);
    expect(KV.range.response.decode(gunzipSync(middle.body.subarray(5))).kvs[0]?.value.length).toBe(20_000);
    const large = await ask('parts:200000');
    expect(large.body[0]).toBe(0);
    expect(KV.range.response.decode(large.body.subarray(5)).kvs[0]?.value.length).toBe(200_000);
  });

  it('inflates messages of a stream in order, small and large', async () => {
    const bodies = [10, 300_000, 20, 500_000, 30].map((n, i) => {
      const plain = Buffer.concat([KV.put.request.encode({ key: Buffer.from('k'), value: Buffer.alloc(n, i) })]);
      return frame(gzipSync(plain), 1);
    });
    for (const body of bodies) {
      const answer = await call({ ':path': put, 'grpc-encoding': 'gzip' }, body, false);
      expect(answer.code).toBe(0);
    }
    expect(server.seen.received).toBeGreaterThanOrEqual(800_060);
  });

  it('takes binary metadata with and without padding, and lists of it', async () => {
    const answer = await call({ 'a-bin': 'AAE', 'b-bin': 'AAE=,/w' }, frame(KV.range.request.encode({ key: Buffer.from('meta') })), false);
    const kvs = KV.range.response
      .decode(answer.body.subarray(5))
      .kvs.map((kv) => `${Buffer.from(kv.key)}=${Buffer.from(kv.value).toString('hex')}`);
    expect(kvs).toEqual(expect.arrayContaining(['a-bin=0001', 'b-bin=0001', 'b-bin=ff']));
  });

  it('S-064, S-065, S-066, S-067: stays up through all of it', async () => {
    await until(() => server.grpc.openCalls === 0);
    expect((await call({}, key, false)).code).toBe(0);
  });
});

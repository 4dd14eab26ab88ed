// Whatever a client sends, it gets etcd's error, and the member lives on. Where a real etcd is installed both get the same and must say the same.
// Longer: TSETCD_FULL=1 npm test test/robustness/bad-input
import { connect as connectHttp2, constants, type ClientHttp2Session } from 'node:http2';
import { connect as connectTcp, type Socket } from 'node:net';
import { mkdirSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { methods } from '../../src/api/gen/methods.ts';
import { SeededRandom } from '../../src/base/random.ts';
import { type Client, compare, connect, EtcdError, op, rpc } from '../../src/client/index.ts';
import { freePorts, httpGet, MemberProcess, oneMember, reference, scratch, until } from '../support/member.ts';

const full = process.env['TSETCD_FULL'] !== undefined;
const place = scratch();
let ours: MemberProcess & { remove(): Promise<void> };
let theirs: MemberProcess | undefined;
const clients: Client[] = [];

beforeAll(async () => {
  ours = await oneMember();
  if (reference('etcd') !== undefined) {
    const [clientPort = 0, peerPort = 0] = await freePorts(2);
    mkdirSync(`${place.dir}/logs`);
    theirs = new MemberProcess({ kind: 'etcd', dataDir: `${place.dir}/etcd`, clientPort, peerPort });
    await theirs.start();
  }
  for (const m of [ours, theirs]) {
    if (m === undefined) continue;
    const client = connect({ endpoints: [m.endpoint], requestTimeoutMs: 10_000, sendBytesMax: 64 << 20 });
    clients.push(client);
    for (let i = 0; i < 10; i++) await client.put('k', String(i));
    await client.compact(5);
  }
});
afterAll(async () => {
  for (const c of clients) c.close();
  await theirs?.stop('SIGKILL');
  await ours.remove();
  place.remove();
});

afterEach(async () => {
  // It lives, it is the same process, and it writes.
  expect(ours.child?.exitCode).toBeNull();
  expect((await httpGet(`${ours.url}/health`)).status).toBe(200);
  await clients[0]?.put('alive', 'yes');
});

const failure = async (call: Promise<unknown>): Promise<{ code: number; message: string } | 'done'> =>
  call.then(
    () => 'done' as const,
    (error: unknown) => {
      if (!(error instanceof EtcdError)) throw error;
      return { code: error.code, message: error.message };
    },
  );

const requests: Readonly<Record<string, readonly [number, string, (c: Client) => Promise<unknown>]>> = {
  'empty key in a put': [3, 'etcdserver: key is not provided', (c) => c.put('', 'v')],
  'empty key in a range': [3, 'etcdserver: key is not provided', (c) => c.get('')],
  'empty key in a delete': [3, 'etcdserver: key is not provided', (c) => c.delete('')],
  'empty key in a txn': [3, 'etcdserver: key is not provided', (c) => c.txn().then(op.put('', 'v')).commit()],
  'empty key in a compare': [
    3,
    'etcdserver: key is not provided',
    (c) =>
      c
        .txn()
        .if(compare.value('', '=', 'v'))
        .commit(),
  ],
  'a value above --max-request-bytes': [3, 'etcdserver: request is too large', (c) => c.put('big', Buffer.alloc(1_600_000))],
  'a message above what gRPC takes': [8, 'grpc: received message larger than max', (c) => c.put('big', Buffer.alloc(3_000_000))],
  'too many ops': [
    3,
    'etcdserver: too many operations in txn request',
    (c) =>
      c
        .txn()
        .then(...Array.from({ length: 129 }, (_, i) => op.put(`t${i}`, '')))
        .commit(),
  ],
  'the same key twice': [
    3,
    'etcdserver: duplicate key given in txn request',
    (c) => c.txn().then(op.put('d', '1'), op.put('d', '2')).commit(),
  ],
  'a compacted revision': [11, 'etcdserver: mvcc: required revision has been compacted', (c) => c.get('k', { revision: 2 })],
  'a future revision': [11, 'etcdserver: mvcc: required revision is a future revision', (c) => c.get('k', { revision: 10_000 })],
  'compaction to a compacted revision': [11, 'etcdserver: mvcc: required revision has been compacted', (c) => c.compact(3)],
  'compaction to the future': [11, 'etcdserver: mvcc: required revision is a future revision', (c) => c.compact(10_000)],
  'compaction to a negative revision': [11, 'etcdserver: mvcc: required revision has been compacted', (c) => c.compact(-1)],
  'a put with an unknown lease': [5, 'etcdserver: requested lease not found', (c) => c.put('k', 'v', { lease: 123n })],
  'revoke of an unknown lease': [5, 'etcdserver: requested lease not found', (c) => c.revokeLease(123n)],
  'a lease with a TTL too large': [11, 'etcdserver: too large lease TTL', (c) => c.grantLease(9_000_000_001)],
  'ignore_value with a value': [
    3,
    'etcdserver: value is provided',
    (c) => c.call(rpc.KV.put, { key: Buffer.from('k'), value: Buffer.from('v'), ignoreValue: true }),
  ],
  'ignore_value of no key': [3, 'etcdserver: key not found', (c) => c.call(rpc.KV.put, { key: Buffer.from('none'), ignoreValue: true })],
  'a bad sort': [3, 'etcdserver: invalid sort option', (c) => c.call(rpc.KV.range, { key: Buffer.from('k'), sortOrder: 77 })],
  'an unknown member to remove': [5, 'etcdserver: member not found', (c) => c.call(rpc.Cluster.memberRemove, { ID: 77n })],
  'HashKV of the future': [
    11,
    'etcdserver: mvcc: required revision is a future revision',
    (c) => c.call(rpc.Maintenance.hashKV, { revision: 10_000 }),
  ],
};

describe('a bad request', () => {
  it.each(Object.keys(requests))('%s', async (name) => {
    const [code, message, send] = requests[name]!;
    const answer = await failure(send(clients[0]!));
    expect(answer).toMatchObject({ code, message: expect.stringContaining(message) as string });
    if (clients[1] !== undefined) expect(await failure(send(clients[1]))).toEqual(answer);
  });

  it('changes nothing', async () => {
    expect((await clients[0]!.get('big')).count).toBe(0);
    expect(await clients[0]!.getText('k')).toBe('9');
  });
});

interface Answer {
  readonly http: number;
  readonly code: string | undefined;
  readonly message: string | undefined;
}

/** One gRPC request by hand. */
function post(session: ClientHttp2Session, path: string, body: Uint8Array, headers: Record<string, string> = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const stream = session.request({ ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers', ...headers });
    let http = 0;
    let code: string | undefined;
    let message: string | undefined;
    const take = (h: Record<string, unknown>): void => {
      http = Number(h[':status'] ?? http);
      code = (h['grpc-status'] as string | undefined) ?? code;
      message = (h['grpc-message'] as string | undefined) ?? message;
      if (h['grpc-status'] !== undefined) stream.close(constants.NGHTTP2_CANCEL);
    };
    stream.on('response', take);
    stream.on('trailers', take);
    stream.on('data', () => undefined);
    // protobuf for Go makes one of the spaces in its words an unbreakable one, by a hash of the program.
    stream.on('close', () => resolve({ http, code, message: message?.replace('%C2%A0', ' ') }));
    stream.on('error', (e: NodeJS.ErrnoException) => (code === undefined ? reject(e) : undefined));
    stream.setTimeout(1500, () => stream.close(constants.NGHTTP2_CANCEL));
    stream.end(body);
  });
}

const message = (body: readonly number[] | Uint8Array, flag = 0): Buffer => {
  const prefix = Buffer.alloc(5);
  prefix[0] = flag;
  prefix.writeUInt32BE(body.length, 1);
  return Buffer.concat([prefix, Uint8Array.from(body)]);
};

const malformed: Readonly<Record<string, Buffer>> = {
  'a lone tag': message([0x0a]),
  'a length beyond the end': message([0x0a, 0x7f, 0x41]),
  'an endless varint': message(new Array<number>(12).fill(0xff)),
  'field number zero': message([0x00, 0x01]),
  'an end of a group': message([0x0c]),
  'an open group': message([0x0b]),
  'a reserved wire type': message([0x0e, 0x00]),
  'no message at all': Buffer.alloc(0),
  'half a prefix': Buffer.from([0, 0, 0]),
  'a cut body': message([0x0a, 0x01, 0x41]).subarray(0, 6),
  'an unknown flag': message([0x0a, 0x01, 0x41], 9),
  'compressed without an encoding': message([0x0a, 0x01, 0x41], 1),
  'an absurd length': Buffer.from([0, 0xff, 0xff, 0xff, 0xff, 1, 2, 3]),
};

describe('a malformed gRPC body', () => {
  const sessions: ClientHttp2Session[] = [];
  beforeAll(() => {
    for (const m of [ours, theirs]) if (m !== undefined) sessions.push(connectHttp2(m.url));
  });
  afterAll(() => {
    for (const s of sessions) s.destroy();
  });

  it.each(Object.keys(malformed))('%s', async (name) => {
    const body = malformed[name]!;
    for (const path of ['/etcdserverpb.KV/Range', '/etcdserverpb.KV/Txn', '/etcdserverpb.Lease/LeaseGrant', '/etcdserverpb.Watch/Watch']) {
      const answer = await post(sessions[0]!, path, body);
      // A watch stream without a message waits for one, even when the client has half closed it.
      const silent = path.endsWith('Watch') && body.length < 5;
      expect(answer.http, path).toBe(silent ? 0 : 200);
      expect(answer.code, path).not.toBe('0');
      if (sessions[1] !== undefined) expect(answer, path).toEqual(await post(sessions[1], path, body));
    }
  });

  it.each([
    ['/etcdserverpb.KV/Nope', {}],
    ['/nope.Nope/Nope', {}],
    ['/nope', {}],
    ['/etcdserverpb.KV/Range', { 'grpc-timeout': 'soon' }],
    ['/etcdserverpb.KV/Range', { 'grpc-timeout': '0n' }],
    ['/etcdserverpb.KV/Range', { 'grpc-encoding': 'brotli' }],
    ['/etcdserverpb.KV/Range', { 'content-type': 'application/grpcx' }],
    ['/etcdserverpb.KV/Range', { 'token-bin': '***' }],
  ])('to %s with %j', async (path, headers) => {
    const answer = await post(sessions[0]!, path, message([0x0a, 0x01, 0x41]), headers);
    expect(answer.code).not.toBe('0');
    if (sessions[1] !== undefined) expect(answer).toEqual(await post(sessions[1], path, message([0x0a, 0x01, 0x41]), headers));
  });

  it('of random bytes, to every method', async () => {
    const random = new SeededRandom(11);
    for (let round = 0; round < (full ? 200 : 6); round++) {
      const bodies = methods.map((m) => {
        const body = Uint8Array.from({ length: random.u32() % 60 }, () => (random.u32() % 3 === 0 ? 0x0a : random.u32() % 256));
        return { path: m.path, body: message(body) };
      });
      // A session of its own: cancelling many calls ends it.
      const session = connectHttp2(ours.url);
      session.on('error', () => undefined);
      // Locks and campaigns may wait for ever: the time limit of `post` cancels them.
      await Promise.all(bodies.map(({ path, body }) => post(session, path, body).catch(() => undefined)));
      session.destroy();
    }
  }, 600_000);
});

describe('a connection', () => {
  const open = (): Promise<Socket> =>
    new Promise((resolve, reject) => {
      const socket = connectTcp(ours.options.clientPort, '127.0.0.1', () => resolve(socket));
      socket.on('error', reject);
    });
  const sent = async (...pieces: readonly (string | Uint8Array)[]): Promise<{ answer: string; closed: boolean }> => {
    const socket = await open();
    socket.removeAllListeners('error').on('error', () => undefined);
    let answer = '';
    let closed = false;
    socket.on('data', (d: Buffer) => (answer += d.toString('latin1')));
    socket.on('close', () => (closed = true));
    for (const piece of pieces) {
      socket.write(piece);
      await new Promise((r) => setTimeout(r, 5));
    }
    await until('an answer or an end', () => closed || answer !== '', 1500).catch(() => undefined);
    await new Promise((r) => setTimeout(r, 20));
    socket.destroy();
    return { answer, closed };
  };
  const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';

  it('of garbage is closed or refused', async () => {
    const random = new SeededRandom(5);
    const garbage = (): Uint8Array => Uint8Array.from({ length: 1 + (random.u32() % 3000) }, () => random.u32() & 255);
    for (let i = 0; i < (full ? 300 : 10); i++) await sent(garbage());
    for (let i = 0; i < (full ? 300 : 10); i++) await sent(preface, garbage());
    // After proper settings.
    for (let i = 0; i < (full ? 300 : 10); i++) await sent(preface, Uint8Array.from([0, 0, 0, 4, 0, 0, 0, 0, 0]), garbage());
  }, 600_000);

  const http1: Readonly<Record<string, string>> = {
    'a TLS hello': '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
    'a request without host': 'GET / HTTP/1.1\r\n\r\n',
    'a bad version': 'GET /health HTTP/9.9\r\nhost: x\r\n\r\n',
    'no request line': 'NOPE\r\n\r\n',
    'a bad header': 'GET /health HTTP/1.1\r\nhost: x\r\nbad header\r\n\r\n',
    'a negative length': 'POST /v3/kv/put HTTP/1.1\r\nhost: x\r\ncontent-length: -4\r\n\r\n',
    'a bad chunk': 'POST /v3/kv/put HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n',
    'a line without end': `GET /${'a'.repeat(100_000)} HTTP/1.1\r\nhost: x\r\n\r\n`,
    'headers without end': `GET / HTTP/1.1\r\nhost: x\r\n${'a: b\r\n'.repeat(10_000)}\r\n`,
    'cut JSON': 'POST /v3/kv/put HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\n{"key',
  };
  it.each(Object.keys(http1))('with %s gets an answer of HTTP/1.1, or its end', async (name) => {
    const { answer, closed } = await sent(Buffer.from(http1[name]!, 'latin1'));
    expect(closed || /^HTTP\/1\.1 [2345]\d\d /.test(answer)).toBe(true);
  });

  it('that is half open, silent or never read does not hold others up', async () => {
    const sockets = await Promise.all(Array.from({ length: full ? 500 : 60 }, open));
    for (const s of sockets) s.on('error', () => undefined);
    sockets.forEach((s, i) => {
      if (i % 4 === 0) s.end();
      else if (i % 4 === 1) s.write('PRI * HT');
      else if (i % 4 === 2) s.write(preface);
      else s.write('GET /health HTTP/1.1\r\nhos');
    });
    const start = performance.now();
    for (let i = 0; i < 50; i++) await clients[0]!.put('k2', String(i));
    expect(performance.now() - start).toBeLessThan(10_000);
    for (const s of sockets) s.destroy();
  });

  it('cut in the middle of a call leaves nothing behind', async () => {
    for (let i = 0; i < 20; i++) {
      const client = connect({ endpoints: [ours.endpoint] });
      client.watch('k');
      void client.put('cut', 'x').catch(() => undefined);
      await new Promise((r) => setTimeout(r, i));
      client.close();
    }
    await until('the watchers to be gone', async () => {
      const { body } = await httpGet(`${ours.url}/metrics`);
      return /^etcd_debugging_mvcc_watcher_total 0$/m.test(body);
    });
  });
});

describe('the JSON gateway', () => {
  const postJson = (path: string, body: string): Promise<number> =>
    fetch(`${ours.url}${path}`, { method: 'POST', body }).then((r) => r.status);

  const bodies = ['{', '[]', '"x"', '{"key": 7}', '{"key": "***"}', '\xff\xfe', '{"key":{"a":1}}', '['.repeat(100_000), '{"limit":"x"}'];
  it('S-042: refuses what is not the JSON of the request', async () => {
    for (const body of [...bodies, 'null', '{"a":']) {
      const status = await postJson('/v3/kv/range', body);
      expect(status, body.slice(0, 20)).toBeGreaterThanOrEqual(400);
      if (theirs !== undefined) {
        const other = await fetch(`${theirs.url}/v3/kv/range`, { method: 'POST', body });
        expect(status, body.slice(0, 20)).toBe(other.status);
      }
    }
  });
});

// HTTP beside gRPC on one port: HTTP/1.1 and HTTP/2, plain and TLS, TCP and unix sockets, for each binding.
import { createHash } from 'node:crypto';
import { get as getHttp, request as requestHttp, type IncomingMessage } from 'node:http';
import { connect as connectHttp2, type ClientHttp2Session } from 'node:http2';
import { request as requestHttps } from 'node:https';
import { connect as connectTcp, type Socket } from 'node:net';
import { basename } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { generate } from 'selfsigned';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { KV, Watch } from '../../../src/api/gen/methods.ts';
import { utf8 } from '../../../src/base/bytes.ts';
import { connect, TestServer, until, type ServerOptions } from './fixture.ts';

interface Answer {
  status: number;
  headers: Record<string, unknown>;
  body: string;
}

let ca: { cert: string; key: string };
let clientCert: { cert: string; key: string };

beforeAll(async () => {
  const server = await generate([{ name: 'commonName', value: 'server' }], {
    keySize: 2048,
    extensions: [
      { name: 'basicConstraints', cA: true },
      {
        name: 'subjectAltName',
        altNames: [
          { type: 2, value: 'localhost' },
          { type: 7, ip: '127.0.0.1' },
        ],
      },
    ],
  } as Parameters<typeof generate>[1]);
  ca = { cert: server.cert, key: server.private };
  const client = await generate([{ name: 'commonName', value: 'alice' }], {
    keySize: 2048,
    extensions: [{ name: 'basicConstraints', cA: true }],
  } as Parameters<typeof generate>[1]);
  clientCert = { cert: client.cert, key: client.private };
});

function collect(res: IncomingMessage): Promise<Answer> {
  return new Promise((resolve, reject) => {
    let body = '';
    res.on('data', (d: Buffer) => (body += d.toString('latin1')));
    res.on('end', () => resolve({ status: res.statusCode ?? 0, headers: res.headers, body }));
    res.on('error', reject);
  });
}

function http1(
  port: number,
  path: string,
  options: { method?: string; body?: string; headers?: Record<string, string> } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const req = requestHttp(
      { host: '127.0.0.1', port, path, method: options.method ?? 'GET', headers: options.headers, agent: false },
      (res) => resolve(collect(res)),
    );
    req.on('error', reject);
    req.end(options.body);
  });
}

function http2(
  session: ClientHttp2Session,
  path: string,
  options: { method?: string; body?: string | Buffer; headers?: Record<string, string> } = {},
): Promise<Answer> {
  return new Promise((resolve) => {
    const stream = session.request({ ':path': path, ':method': options.method ?? 'GET', ...options.headers });
    const answer: Answer = { status: 0, headers: {}, body: '' };
    stream.on('response', (h) => {
      answer.status = h[':status'] ?? 0;
      answer.headers = h;
    });
    stream.on('data', (d: Buffer) => (answer.body += d.toString('latin1')));
    stream.on('error', () => {});
    stream.on('close', () => resolve(answer));
    stream.end(options.body);
  });
}

describe.each(['native', 'http2'] as const)('%s server', (binding) => {
  let server: TestServer;
  const start = async (more: Partial<ServerOptions> = {}): Promise<TestServer> => (server = await TestServer.start({ binding, ...more }));

  afterEach(async () => {
    await server.stop();
    expect(server.listener.connections).toBe(0);
    expect(server.errors).toEqual([]);
  });

  it('serves HTTP/1.1 and HTTP/2 with one handler', async () => {
    await start();
    const session = connectHttp2(`http://127.0.0.1:${server.port}`);
    for (const get of [(path: string, o?: object) => http1(server.port, path, o), (path: string, o?: object) => http2(session, path, o)]) {
      const plain = await get('/health?x=1', { headers: { 'X-One': 'y' } });
      expect(plain).toMatchObject({ status: 200, body: 'GET /health?x=1 y 127.0.0.1 ' });
      expect(plain.headers['content-type']).toBe('text/plain; charset=utf-8');
      expect(plain.headers['x-test']).toBe('a, b');
      expect(typeof plain.headers['date']).toBe('string');
      expect((await get('/missing')).status).toBe(404);
      expect((await get('/v3/kv/put', { method: 'POST', body: '{"key":"Zm9v"}' })).body).toBe('POST /v3/kv/put - 127.0.0.1 {"key":"Zm9v"}');
      expect((await get('/x', { method: 'POST', body: 'z'.repeat(200_000) })).status).toBe(413);
      expect((await get('/stream')).body).toBe('one\ntwo\n');
      expect((await get('/big')).body.length).toBe(64 * 65_536);
      expect(await get('/head', { method: 'HEAD' })).toMatchObject({ status: 200, body: '' });
    }
    // gRPC goes on beside it.
    const channel = connect('grpc-js', server);
    expect((await channel.unary(KV.range, { key: utf8('abc') })).count).toBe(3);
    channel.close();
    session.destroy();
  });

  it('tells a handler that its client went away', async () => {
    let aborts = 0;
    let asked = 0;
    await start({
      http: (request, response) => {
        asked++;
        request.onAbort = () => aborts++;
        response.head(200, {});
        response.write('begin');
      },
    });
    const session = connectHttp2(`http://127.0.0.1:${server.port}`);
    const stream = session.request({ ':path': '/watch' });
    stream.on('error', () => {});
    const req = getHttp({ host: '127.0.0.1', port: server.port, path: '/watch', agent: false });
    req.on('error', () => {});
    await until(() => asked === 2);
    stream.close(8);
    req.destroy();
    await until(() => aborts === 2);
    session.destroy();
  });

  it('holds back a body that nobody reads', async () => {
    let resume: (() => void) | undefined;
    let got = 0;
    let done = false;
    await start({
      http: (request, response) => {
        request.pause();
        resume = () => request.resume();
        request.onData = (chunk) => (got += chunk.length);
        request.onEnd = () => {
          done = true;
          response.end('ok');
        };
      },
    });
    const session = connectHttp2(`http://127.0.0.1:${server.port}`);
    const pending = http2(session, '/', { method: 'POST', body: Buffer.alloc(3_000_000) });
    await until(() => resume !== undefined);
    await new Promise((r) => setTimeout(r, 50));
    expect(got).toBe(0);
    resume?.();
    expect((await pending).body).toBe('ok');
    expect([got, done]).toEqual([3_000_000, true]);
    session.destroy();
  });

  it('hands upgrades over', async () => {
    await start({
      upgrade: (request, socket) => {
        const accept = createHash('sha1')
          .update(`${request.headers.get('sec-websocket-key')}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
          .digest('base64');
        socket.end(
          `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\nhello`,
        );
      },
    });
    const answer = await new Promise<string>((resolve, reject) => {
      const req = requestHttp({
        host: '127.0.0.1',
        port: server.port,
        path: '/v3/watch',
        agent: false,
        headers: {
          connection: 'Upgrade',
          upgrade: 'websocket',
          'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
          'sec-websocket-version': '13',
        },
      });
      req.on('error', reject);
      req.on('upgrade', (res, socket, head) => {
        let text = head.toString();
        socket.on('data', (d: Buffer) => (text += d.toString()));
        socket.on('end', () => {
          socket.destroy();
          resolve(`${res.headers['sec-websocket-accept']} ${text}`);
        });
      });
      req.end();
    });
    expect(answer).toBe('s3pPLMBiTxaQ9kYGzzhZRbK+xOo= hello');
  });

  it.each(['grpc-js', 'http2'] as const)('serves unix sockets to the %s channel', async (kind) => {
    await start({ unix: true });
    const channel = connect(kind, server);
    expect((await channel.unary(KV.range, { key: utf8('abc') })).count).toBe(3);
    channel.close();
    // Calls name the last part of the path, as those of etcd's client.
    expect(server.seen.calls.at(-1)?.metadata.get(':authority')).toEqual([basename(server.listener.address)]);
    const answer = await new Promise<Answer>((resolve, reject) => {
      getHttp({ socketPath: server.listener.address, path: '/v', agent: false }, (res) => resolve(collect(res))).on('error', reject);
    });
    expect(answer.status).toBe(200);
  });

  it.each(['grpc-js', 'http2'] as const)('serves TLS to the %s channel', async (kind) => {
    await start({ tls: { options: { cert: ca.cert, key: ca.key } } });
    const trusting = connect(kind, server, { ca: Buffer.from(ca.cert) });
    expect((await trusting.unary(KV.range, { key: utf8('abc') })).count).toBe(3);
    const big = await trusting.unary(KV.range, { key: utf8('big:3000000') });
    expect(big.kvs[0]?.value.length).toBe(3_000_000);
    trusting.close();
    const careless = connect(kind, server, { insecureSkipVerify: true });
    expect((await careless.unary(KV.range, { key: utf8('abc') })).count).toBe(3);
    careless.close();
    const named = connect(kind, server, { ca: Buffer.from(ca.cert), serverName: 'localhost' });
    expect((await named.unary(KV.range, { key: utf8('abc') })).count).toBe(3);
    named.close();
    for (const tls of [{}, { ca: Buffer.from(ca.cert), serverName: 'elsewhere' }]) {
      const wary = connect(kind, server, tls, { connectTimeoutMs: 200 });
      await expect(wary.unary(KV.range, { key: utf8('abc') })).rejects.toMatchObject({ code: 14, unsent: true });
      wary.close();
    }
  });

  it('serves HTTP/1.1 over TLS, with ALPN and without', async () => {
    await start({ tls: { options: { cert: ca.cert, key: ca.key } } });
    for (const ALPNProtocols of [['http/1.1'], undefined]) {
      const answer = await new Promise<Answer>((resolve, reject) => {
        requestHttps({ host: '127.0.0.1', port: server.port, path: '/v', ca: ca.cert, ALPNProtocols, agent: false } as object, (res) =>
          resolve(collect(res)),
        )
          .on('error', reject)
          .end();
      });
      expect(answer).toMatchObject({ status: 200, body: 'GET /v - 127.0.0.1 ' });
    }
  });

  it('tells the name in a verified client certificate', async () => {
    await start({ tls: { options: { cert: ca.cert, key: ca.key, ca: clientCert.cert, requestCert: true, rejectUnauthorized: true } } });
    const channel = connect('http2', server, {
      ca: Buffer.from(ca.cert),
      cert: Buffer.from(clientCert.cert),
      key: Buffer.from(clientCert.key),
    });
    await channel.unary(KV.range, { key: utf8('abc') });
    expect(server.seen.calls[0]?.peer.commonName).toBe('alice');
    expect(server.seen.calls[0]?.peer.address).toMatch(/^127\.0\.0\.1:\d+$/);
    channel.close();
    const nameless = connect('http2', server, { ca: Buffer.from(ca.cert) }, { connectTimeoutMs: 200 });
    await expect(nameless.unary(KV.range, { key: utf8('abc') })).rejects.toMatchObject({ code: 14 });
    nameless.close();
  });

  it('takes new TLS material and refuses what `verify` refuses', async () => {
    let refreshed = 0;
    const refusal = { text: undefined as string | undefined };
    await start({
      tls: {
        options: { cert: ca.cert, key: ca.key },
        refresh: () => {
          refreshed++;
          return { cert: clientCert.cert, key: clientCert.key };
        },
        verify: () => refusal.text,
      },
    });
    const subject = await new Promise<string>((resolve, reject) => {
      const socket = connectTls({ host: '127.0.0.1', port: server.port, rejectUnauthorized: false, ALPNProtocols: ['h2'] }, () => {
        resolve(String(socket.getPeerCertificate().subject.CN));
        socket.destroy();
      });
      socket.on('error', reject);
    });
    expect([subject, refreshed]).toEqual(['alice', 1]);
    refusal.text = 'revoked';
    const channel = connect('http2', server, { insecureSkipVerify: true }, { connectTimeoutMs: 200 });
    await expect(channel.unary(KV.range, { key: utf8('abc') })).rejects.toMatchObject({ code: 14 });
    channel.close();
  });

  it('S-033: closes connections that say nothing, or not enough, in time', async () => {
    await start({ limits: { handshakeMs: 150, headersMs: 200 } });
    const lines = ['', 'PRI * HT', 'GET / HTTP/1.1\r\nHost:', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'];
    const sockets = lines.map((text) => {
      const socket = connectTcp(server.port, '127.0.0.1');
      socket.on('error', () => {});
      socket.write(text);
      socket.resume();
      return socket;
    });
    await until(() => sockets.every((s) => s.closed || s.destroyed), 4_000);
    await until(() => server.listener.connections === 0);
  });

  it('S-005: closes TLS connections that never begin their handshake', async () => {
    await start({ tls: { options: { cert: ca.cert, key: ca.key } }, limits: { handshakeMs: 150, handshakesPerAddressMax: 20 } });
    const sockets: Socket[] = [];
    for (let i = 0; i < 50; i++) {
      const socket = connectTcp(server.port, '127.0.0.1');
      socket.on('error', () => {});
      socket.resume();
      sockets.push(socket);
    }
    // Above the cap of one address they are closed at once, below it by the time limit.
    await until(() => sockets.filter((s) => s.closed).length >= 30);
    await until(() => sockets.every((s) => s.closed), 4_000);
    const channel = connect('http2', server, { insecureSkipVerify: true });
    expect((await channel.unary(KV.range, { key: utf8('abc') })).count).toBe(3);
    channel.close();
  });

  it.each([true, false])('keeps connections beyond the time of their handshake (unix: %s)', async (unix) => {
    await start({ unix, tls: { options: { cert: ca.cert, key: ca.key } }, limits: { handshakeMs: 250 } });
    const channel = connect('http2', server, { ca: Buffer.from(ca.cert) });
    expect((await channel.unary(KV.range, { key: utf8('abc') })).count).toBe(3);
    const stream = channel.stream(Watch.watch);
    let ended = false;
    stream.onEnd = () => (ended = true);
    await new Promise((r) => setTimeout(r, 600));
    expect(ended).toBe(false);
    expect((await channel.unary(KV.range, { key: utf8('abc') })).count).toBe(3);
    expect(server.listener.connections).toBe(1);
    channel.close();
  });

  it('S-005, S-116: caps connections', async () => {
    await start({ limits: { connectionsMax: 3 } });
    const sockets = Array.from({ length: 6 }, () => {
      const socket = connectTcp(server.port, '127.0.0.1');
      socket.on('error', () => {});
      socket.resume();
      return socket;
    });
    await until(() => sockets.filter((s) => s.closed).length === 3);
    for (const s of sockets) s.destroy();
  });

  it('answers 500 when a handler throws, and reports it', async () => {
    await start({
      http: () => {
        throw new TypeError('a bug');
      },
    });
    const session = connectHttp2(`http://127.0.0.1:${server.port}`);
    expect((await http2(session, '/')).status).toBe(500);
    expect((await http1(server.port, '/')).status).toBe(500);
    expect(server.errors.splice(0).map((e) => (e as Error).message)).toEqual(['a bug', 'a bug']);
    session.destroy();
  });

  it('S-033: refuses HTTP/1.1 headers without end', async () => {
    await start();
    const answer = await new Promise<string>((resolve) => {
      const socket = connectTcp(server.port, '127.0.0.1', () =>
        socket.write(`GET / HTTP/1.1\r\nHost: x\r\nX: ${'y'.repeat(40_000)}\r\n\r\n`),
      );
      let text = '';
      socket.on('data', (d: Buffer) => (text += d.toString()));
      socket.on('error', () => {});
      socket.on('close', () => resolve(text));
    });
    expect(answer === '' || answer.startsWith('HTTP/1.1 4')).toBe(true);
  });
});

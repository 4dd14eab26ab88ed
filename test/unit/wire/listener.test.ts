// One port: what tells TLS from plain text, what becomes of an offered upgrade, and how either side of a TLS connection says that it refuses the other.
import { readFileSync } from 'node:fs';
import { connect as connectPlain } from 'node:net';
import { connect as connectTls, type ConnectionOptions } from 'node:tls';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import type { Log } from '../../../src/base/log.ts';
import { silentLog } from '../../../src/base/log.ts';
import { RealClock } from '../../../src/host/real-clock.ts';
import { TlsFiles, type TlsFilesOptions } from '../../../src/host/tls-files.ts';
import { PeerClient } from '../../../src/server/peer/peer-client.ts';
import { HandlerTable } from '../../../src/wire/call.ts';
import { defaultWireLimits } from '../../../src/wire/limits.ts';
import { Listener, type ListenerOptions } from '../../../src/wire/listener.ts';
import { GrpcServer } from '../../../src/wire/server-call.ts';
import { Authority, type Pair } from '../../support/certificates.ts';
import { scratch } from '../../support/member.ts';

const place = scratch();
const authority = new Authority(`${place.dir}/ca`);
const stranger = new Authority(`${place.dir}/stranger`, 'stranger');
const own = authority.issue('own', { san: 'IP:127.0.0.1' });
const open: Listener[] = [];
afterEach(async () => {
  for (const l of open.splice(0)) await l.close(0);
});
afterAll(() => place.remove());

function files(pair: Pair, over: Partial<TlsFilesOptions> = {}): TlsFiles {
  return new TlsFiles({
    certFile: pair.cert,
    keyFile: pair.key,
    clientCertFile: '',
    clientKeyFile: '',
    trustedCaFile: authority.ca,
    crlFile: '',
    clientCertAuth: true,
    allowedCommonNames: [],
    allowedHostnames: [],
    ciphers: 'TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:ECDHE-ECDSA-AES128-GCM-SHA256',
    minVersion: 'TLSv1.2',
    maxVersion: undefined,
    selfSigned: false,
    log: silentLog,
    ...over,
  });
}

async function listen(options: Partial<ListenerOptions>): Promise<Listener> {
  const listener = new Listener({
    grpc: new GrpcServer({ table: new HandlerTable(), limits: defaultWireLimits, clock: new RealClock() }),
    http: (request, response) => {
      let body = '';
      request.onData = (chunk) => (body += Buffer.from(chunk).toString());
      request.onEnd = () => {
        response.head(200, { 'content-type': 'text/plain' });
        response.end(`${request.method} ${request.path} ${request.headers.get('upgrade') ?? '-'} ${body}`);
      };
    },
    ...options,
  });
  open.push(listener);
  await listener.listen({ host: '127.0.0.1', port: 0 });
  return listener;
}

/** Everything that is read until the end, or the error's code. */
function exchange(socket: ReturnType<typeof connectPlain>, text: string): Promise<string> {
  return new Promise((resolve) => {
    let seen = '';
    socket.on('data', (d: Buffer) => (seen += d.toString('latin1')));
    socket.on('error', (e: NodeJS.ErrnoException) => resolve(e.code ?? e.message));
    socket.on('close', () => resolve(seen));
    if (text !== '') socket.write(text);
  });
}

const get = (extra = ''): string => `GET /a HTTP/1.1\r\nHost: x\r\n${extra}Connection: close\r\n\r\n`;

describe('a port', () => {
  it('for both serves TLS and plain text', async () => {
    const listener = await listen({ tls: files(own, { clientCertAuth: false, trustedCaFile: '' }).listenerTls(), plainToo: true });
    const ca = readFileSync(authority.ca);
    expect(await exchange(connectPlain(listener.port, '127.0.0.1'), get())).toContain('GET /a - ');
    const options = { port: listener.port, host: '127.0.0.1', ca };
    expect(await exchange(connectTls(options), get())).toContain('GET /a - ');
  });

  it('answers a request as it is when it offers a protocol that is not served', async () => {
    const listener = await listen({});
    const offer = 'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n';
    const post = `POST /b HTTP/1.1\r\nHost: x\r\n${offer}Content-Length: 4\r\n\r\nbody`;
    const seen = await exchange(connectPlain(listener.port, '127.0.0.1'), post + get(offer));
    expect(seen.split('HTTP/1.1 200 OK')).toHaveLength(3);
    expect(seen).toContain('POST /b - body');
    expect(seen).toContain('GET /a - ');
  });
});

describe('a certificate that is refused', () => {
  const client = (port: number, pair: Pair | undefined, over: ConnectionOptions = {}): ReturnType<typeof connectTls> =>
    connectTls({
      port,
      host: '127.0.0.1',
      ca: readFileSync(authority.ca),
      ...(pair === undefined ? {} : { cert: readFileSync(pair.cert), key: readFileSync(pair.key) }),
      ...over,
    });

  it('is answered with an alert, whatever the cipher', async () => {
    const listener = await listen({ tls: files(own, { allowedCommonNames: ['own'] }).listenerTls() });
    const { port } = listener;
    expect(await exchange(client(port, undefined), '')).toMatch(/_ALERT_CERTIFICATE_REQUIRED$/);
    expect(await exchange(client(port, stranger.issue('s')), get())).toMatch(/_ALERT_UNKNOWN_CA$/);
    expect(await exchange(client(port, authority.issue('old', { days: -1 })), get())).toMatch(/_ALERT_CERTIFICATE_EXPIRED$/);
    const other = authority.issue('other');
    for (const ciphers of ['TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256'])
      expect(await exchange(client(port, other, { ciphers }), get()), ciphers).toMatch(/_ALERT_BAD_CERTIFICATE$/);
    // Without TLS 1.3 the connection just ends.
    expect(await exchange(client(port, other, { maxVersion: 'TLSv1.2' }), '')).toMatch(/^$|ECONNRESET/);
    expect(await exchange(client(port, own), get())).toContain('GET /a');
  });

  it('is refused by a member that dials as well, before it sends anything, and the other logs the alert', async () => {
    const logged: unknown[] = [];
    const log: Log = { ...silentLog, warn: (_message, fields) => void logged.push(fields?.['error']) };
    let requests = 0;
    const listener = await listen({
      tls: files(own).listenerTls(),
      http: (_request, response) => {
        requests++;
        response.head(200, {});
        response.end('x');
      },
      log,
    });
    const ask = async (allowed: string): Promise<string | number | undefined> => {
      const tls = files(own, { allowedCommonNames: [allowed] });
      const peer = new PeerClient({
        urls: [`https://127.0.0.1:${listener.port}`],
        dialMs: 30_000,
        lookup: (_host, _options, done) => done(null, '127.0.0.1', 4),
        tls: { dialOptions: () => tls.dialOptions(), verifyServer: (socket, host) => tls.verifyServer(socket, host) },
      });
      const answer = await new Promise<string | number | undefined>((resolve) => {
        peer.ask({ method: 'GET', path: '/', bytesMax: 10 }, (error, a) => resolve(error?.message ?? a?.status));
      });
      peer.close();
      return answer;
    };
    expect(await ask('own')).toBe(200);
    expect(await ask('somebody')).toBe('client certificate authentication failed');
    await expect.poll(() => logged, { timeout: 30_000 }).toContain('remote error: tls: bad certificate');
    expect(requests).toBe(1);
  });

  it('may have the name of its authority, on either side', async () => {
    // Neither says by key ids who signed it: OpenSSL takes such a certificate for one that signed itself, Go looks at the signature.
    const twin = (by: Authority, san = 'IP:127.0.0.1', usage = 'serverAuth,clientAuth'): Pair =>
      by.issue(`twin${twins++}`, { cn: 'test authority', san, usage, keyIds: false });
    let twins = 0;
    const namesake = new Authority(`${place.dir}/namesake`);
    const good = twin(authority);
    const ask = async (server: Pair, from: Pair): Promise<(string | number | undefined)[]> => {
      const listener = await listen({ tls: files(server).listenerTls() });
      const tls = files(from);
      const peer = new PeerClient({
        urls: [`https://127.0.0.1:${listener.port}`],
        dialMs: 30_000,
        lookup: (_host, _options, done) => done(null, '127.0.0.1', 4),
        tls: { dialOptions: () => tls.dialOptions(), verifyServer: (socket, host) => tls.verifyServer(socket, host) },
      });
      const answers = [];
      for (let i = 0; i < 2; i++) {
        answers.push(
          await new Promise<string | number | undefined>((resolve) => {
            peer.ask({ method: 'GET', path: '/', bytesMax: 1_000 }, (error, a) => resolve(error?.message ?? a?.status));
          }),
        );
      }
      peer.close();
      return answers;
    };
    // In OpenSSL's words.
    const seemsSelfSigned = expect.stringMatching(/self.signed certificate/) as unknown;
    expect(await ask(good, good)).toEqual([200, 200]);
    expect(await ask(own, good)).toEqual([200, 200]);
    expect(await ask(twin(namesake), good)).toEqual([seemsSelfSigned, seemsSelfSigned]);
    expect(await ask(twin(authority, 'IP:127.0.0.2'), good)).toEqual([
      'x509: certificate is not valid for 127.0.0.1',
      'x509: certificate is not valid for 127.0.0.1',
    ]);
    expect((await ask(twin(authority, 'IP:127.0.0.1', 'clientAuth'), good))[1]).toEqual(expect.any(String));
    for (const from of [
      twin(namesake),
      twin(authority, 'IP:127.0.0.1', 'serverAuth'),
      authority.issue('late', { cn: 'test authority', days: -1, keyIds: false }),
    ])
      expect((await ask(own, from))[1]).toEqual(expect.any(String));
  });
});

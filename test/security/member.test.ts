// Rows of the security checklist (test/data/security/checklist.tsv) that a running member shows. Each test is named by its rows.
import { spawn } from 'node:child_process';
import { closeSync, openSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { request } from 'node:http';
import { connect as connectTcp } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connect, rpc, type Client } from '../../src/client/index.ts';
import { Auth, KV, methods } from '../../src/api/gen/methods.ts';
import { RpcError } from '../../src/api/status.ts';
import { connectGrpcJs } from '../../src/wire/grpc-js-channel.ts';
import type { Channel } from '../../src/wire/channel.ts';
import { freePorts, httpGet, MemberProcess, program, run, scratch, until } from '../support/member.ts';
import { frame, preface } from '../conformance/wire/raw.ts';

const place = scratch();
const dataDir = join(place.dir, 'data');
const secrets = { password: 'pw-Zq81-of-alice', second: 'pw-Kx42-of-alice', wrong: 'pw-Wn13-wrong', root: 'pw-Rt77-of-root' };
let member: MemberProcess;
let client: Client;
let channel: Channel;
const tokens: string[] = [];

interface Answer {
  readonly status: number;
  readonly body: string;
}

/** An HTTP request with any headers. */
function http(
  path: string,
  options: { method?: string; headers?: Record<string, string>; body?: string; port?: number } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { method = 'GET', headers = {}, body, port = member.options.clientPort } = options;
    const r = request({ host: '127.0.0.1', port, path, method, headers, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (d: string) => (text += d));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: text }));
      response.on('error', reject);
    });
    r.on('error', reject);
    r.on('upgrade', (_response, socket) => {
      socket.destroy();
      resolve({ status: 101, body: '' });
    });
    r.setTimeout(20_000, () => r.destroy(new Error('no answer')));
    r.end(body);
  });
}

const files = (dir: string): string[] => readdirSync(dir, { recursive: true, withFileTypes: true }).map((e) => join(e.parentPath, e.name));
const token = async (name: string, password: string): Promise<string> => {
  const { token: t } = await channel.unary(Auth.authenticate, { name, password }, { timeoutMs: 30_000 });
  tokens.push(t);
  return t;
};

beforeAll(async () => {
  const [clientPort = 0, peerPort = 0] = await freePorts(2);
  member = new MemberProcess({
    dataDir,
    clientPort,
    peerPort,
    args: [
      ...['--log-level', 'debug', '--bcrypt-cost', '4', '--initial-cluster-token', 'tok-Sg55-cluster'],
      ...['--cors', 'https://good.example:443', '--host-whitelist', 'good.example,127.0.0.1,localhost'],
      ...['--grpc-keepalive-min-time', '1s'],
    ],
  });
  const before = process.umask(0);
  member.spawn();
  process.umask(before);
  await member.ready();
  client = connect({ endpoints: [member.endpoint], requestTimeoutMs: 30_000 });
  channel = connectGrpcJs(
    { text: member.endpoint, address: member.endpoint, secure: false, unix: false },
    { tls: undefined, connectTimeoutMs: 30_000, keepaliveMs: 0, keepaliveTimeoutMs: 0, sendBytesMax: 1e9, receiveBytesMax: 1e9 },
  );
});
afterAll(async () => {
  channel?.close();
  await client?.close();
  await member?.stop('SIGKILL');
  place.remove();
});

describe('pages and origins', () => {
  const good = { origin: 'https://good.example' };
  const evil = { origin: 'https://evil.test' };
  const put = { method: 'POST', body: '{"key":"Zm9y","value":"Z2Vk"}' };

  it('S-013: a foreign page drives nothing when --cors names who may', async () => {
    const type = { 'content-type': 'text/plain' };
    expect((await http('/v3/kv/put', { ...put, headers: { ...evil, ...type } })).status).toBe(403);
    expect((await http('/v3/kv/put', { ...put, headers: { ...type, origin: 'null' } })).status).toBe(403);
    expect((await client.get('for')).kvs).toEqual([]);
    expect((await http('/v3/kv/put', { ...put, headers: { ...good, ...type } })).status).toBe(200);
    expect((await http('/v3/kv/put', { ...put, headers: { origin: member.url } })).status).toBe(200);
    expect((await http('/v3/kv/put', put)).status).toBe(200);
    await client.delete('for');
  });

  it('S-014: a name that is not ours is misdirected', async () => {
    for (const host of ['evil.test', 'evil.test:2379', '[::2]:2379'])
      expect((await http('/health', { headers: { host } })).status, host).toBe(421);
    for (const host of ['good.example', 'GOOD.example:80', '127.0.0.1:1', 'localhost'])
      expect((await http('/health', { headers: { host } })).status, host).toBe(200);
  });

  it('S-118: no foreign page opens a WebSocket, and frames have a limit', async () => {
    const upgrade = {
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==',
    };
    expect((await http('/v3/watch', { headers: { ...upgrade, ...evil } })).status).toBe(403);
    expect((await http('/v3/watch', { headers: { ...upgrade, host: 'evil.test' } })).status).toBe(403);
    expect((await http('/v3/watch', { headers: { ...upgrade, ...good } })).status).toBe(101);
    // A frame that announces 2^40 bytes: the connection ends, nothing is kept for it.
    const closed = await new Promise<boolean>((resolve) => {
      const socket = connectTcp(member.options.clientPort, '127.0.0.1', () => {
        socket.write(
          `GET /v3/watch HTTP/1.1\r\nHost: localhost\r\n${Object.entries(upgrade)
            .map(([k, v]) => `${k}: ${v}\r\n`)
            .join('')}\r\n`,
        );
        socket.write(Buffer.from([0x82, 0xff, 0, 0, 1, 0, 0, 0, 0, 0, 1, 2, 3, 4]));
      });
      socket.on('data', () => undefined);
      socket.on('error', () => undefined);
      socket.on('close', () => resolve(true));
      socket.setTimeout(30_000, () => resolve(false));
    });
    expect(closed).toBe(true);
  });

  it('S-119: only these pages are there without a password', async () => {
    const open = ['/health', '/livez', '/readyz', '/metrics', '/version', '/debug/vars'];
    for (const path of open) expect((await http(path)).status, path).toBe(200);
    for (const path of ['/', '/debug/requests', '/v2/keys', '/config', '/members', '/raft', '/leases', '/metrics/x', '/favicon.ico'])
      expect((await http(path)).status, path).toBe(404);
    expect(Object.keys(JSON.parse((await http('/version')).body) as object).sort()).toEqual(['etcdcluster', 'etcdserver', 'storage']);
  });
});

describe('what is sent', () => {
  it('S-072: names that clients make up do not become series of metrics', async () => {
    const series = async (): Promise<number> => (await httpGet(`${member.url}/metrics`, 20_000)).body.split('\n').length;
    const unknown = (i: number) => ({ ...KV.range, path: `/etcdserverpb.KV/Range${i}`, name: `Range${i}` });
    await channel.unary(unknown(0), {}, { timeoutMs: 30_000 }).catch(() => undefined);
    const before = await series();
    for (let i = 1; i < 200; i++)
      await expect(
        channel.unary(unknown(i), {}, { timeoutMs: 30_000, metadata: { 'client-api-version': `v${i}`, 'user-agent': `u${i}` } }),
      ).rejects.toThrow('unknown method');
    // Others may add a line of their own meanwhile; 199 names and agents do not.
    expect(await series()).toBeLessThan(before + 50);
  });

  it('S-080, S-083: names of JavaScript are names like any other', async () => {
    const names = ['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty', 'valueOf'];
    for (const name of names) {
      await client.put(name, name);
      expect((await client.get(name)).kvs.map((kv) => Buffer.from(kv.value).toString())).toEqual([name]);
      await client.call(rpc.Auth.roleAdd, { name });
      await client.call(rpc.Auth.userAdd, { name, password: 'long-enough' });
      await client.call(rpc.Auth.userGrantRole, { user: name, role: name });
      expect((await client.call(rpc.Auth.userGet, { name })).roles).toEqual([name]);
    }
    const bodies = names.map(
      (n) => `{"key":"YQ==","${n}":{"polluted":"yes"},"__proto__":{"polluted":"yes"},"constructor":{"prototype":{"polluted":"yes"}}}`,
    );
    for (const body of bodies) {
      expect((await http('/v3/kv/range', { method: 'POST', body })).status).toBe(200);
      expect(
        (await http('/v3/kv/txn', { method: 'POST', body: `{"success":[{"request_range":${body},"__proto__":{"request_put":{}}}]}` }))
          .status,
      ).toBe(200);
    }
    // What would have been polluted shows in every answer.
    expect((await http('/v3/kv/range', { method: 'POST', body: '{"key":"YQ=="}' })).body).not.toContain('polluted');
    for (const name of names) {
      await client.call(rpc.Auth.userDelete, { name });
      await client.call(rpc.Auth.roleDelete, { role: name });
    }
  });

  it('S-084: 64 bits come back as they went', async () => {
    for (const id of ['9007199254740993', '9223372036854775807', '-1']) {
      await client.call(rpc.Lease.leaseGrant, { ID: BigInt(id), TTL: 600 });
      const json = await http('/v3/lease/timetolive', { method: 'POST', body: `{"ID":"${id}"}` });
      expect(JSON.parse(json.body)).toMatchObject({ ID: id });
      expect((await client.call(rpc.Lease.leaseTimeToLive, { ID: BigInt(id) })).ID).toBe(BigInt(id));
      await client.call(rpc.Lease.leaseRevoke, { ID: BigInt(id) });
    }
  });

  it('S-082, S-042: nesting without end is refused, in protobuf and in JSON', async () => {
    // Txns in the success branch of txns, 100,000 deep: built from the inside.
    let body: Buffer = Buffer.alloc(0);
    const wrap = (tag: number, inner: Buffer): Buffer => {
      const head: number[] = [tag];
      let n = inner.length;
      for (; n >= 128; n >>>= 7) head.push((n & 127) | 128);
      head.push(n);
      return Buffer.concat([Buffer.from(head), inner]);
    };
    for (let i = 0; i < 5_000; i++) body = wrap(0x12, wrap(0x22, body));
    const raw = {
      ...KV.txn,
      request: { ...KV.txn.request, encode: () => body, write: (_m: unknown, w: { raw(b: Uint8Array): void }) => w.raw(body) },
    };
    await expect(channel.unary(raw as typeof KV.txn, {}, { timeoutMs: 30_000 })).rejects.toThrow(RpcError);
    for (const json of ['['.repeat(100_000), '{"success":['.repeat(20_000), '{"compare":'.repeat(20_000)])
      expect((await http('/v3/kv/txn', { method: 'POST', body: json })).status).toBe(400);
    await client.get('still there');
  });

  it('S-110: requests and txns have a size, to the byte and to the operation', async () => {
    const put = (n: number) => client.put('size', Buffer.alloc(n, 1));
    let [fits, fails] = [1_500_000, 1_572_864];
    // The whole entry counts; the edge is found by halving.
    while (fails - fits > 1) {
      const middle = (fits + fails) >>> 1;
      await put(middle).then(
        () => (fits = middle),
        () => (fails = middle),
      );
    }
    await put(fits);
    await expect(put(fits + 1)).rejects.toThrow('etcdserver: request is too large');
    const ops = (n: number) => Array.from({ length: n }, (_, i) => ({ requestPut: { key: Buffer.from(`op/${i}`) } }));
    await client.call(KV.txn, { success: ops(128) });
    await expect(client.call(KV.txn, { success: ops(129) })).rejects.toThrow('etcdserver: too many operations in txn request');
    const nested = { success: [{ requestTxn: { success: ops(127) } }] };
    await client.call(KV.txn, nested);
    await expect(client.call(KV.txn, { success: [{ requestTxn: { success: ops(128) } }] })).rejects.toThrow('too many operations');
  }, 60_000);
});

describe('ports', () => {
  it('S-050: the peer port serves no client', async () => {
    const port = member.options.peerPort;
    const peer = connectGrpcJs(
      { text: `127.0.0.1:${port}`, address: `127.0.0.1:${port}`, secure: false, unix: false },
      { tls: undefined, connectTimeoutMs: 2_000, keepaliveMs: 0, keepaliveTimeoutMs: 0, sendBytesMax: 1e9, receiveBytesMax: 1e9 },
    );
    await expect(peer.unary(KV.range, { key: Buffer.from('a') }, { timeoutMs: 3_000 })).rejects.toThrow();
    peer.close();
    for (const path of ['/v3/kv/range', '/v3/auth/user/list', '/health', '/metrics', '/debug/vars'])
      expect((await http(path, { port, method: 'POST', body: '{}' })).status, path).toBe(404);
  });

  it('S-030, S-031: bodies without end are cut off on the peer port', async () => {
    const port = member.options.peerPort;
    const headers = { 'X-Server-From': 'abc', 'X-Server-Version': '3.7.1', 'X-Min-Cluster-Version': '3.0.0' };
    const members = await new Promise<string>((resolve, reject) =>
      request({ host: '127.0.0.1', port, path: '/members', agent: false }, (r) => resolve(String(r.resume().headers['x-etcd-cluster-id'])))
        .on('error', reject)
        .end(),
    );
    const sent = (path: string, limit: number, first = Buffer.alloc(0)): Promise<number> =>
      new Promise((resolve) => {
        let bytes = 0;
        const chunk = Buffer.alloc(65_536);
        const r = request({
          host: '127.0.0.1',
          port,
          path,
          method: 'POST',
          agent: false,
          headers: { ...headers, 'X-Etcd-Cluster-ID': members },
        });
        const more = (): void => {
          while (bytes < limit && !r.destroyed) {
            bytes += chunk.length;
            if (!r.write(chunk)) {
              r.once('drain', more);
              return;
            }
          }
        };
        const over = (): void => {
          r.destroy();
          resolve(bytes);
        };
        r.on('response', over);
        r.on('error', over);
        r.on('close', over);
        if (first.length > 0) r.write(first);
        more();
      });
    const rss = (): number => Number(/RssAnon:\s+(\d+)/.exec(readFileSync(`/proc/${member.pid}/status`, 'utf8'))?.[1]) * 1024;
    const before = rss();
    for (const path of ['/leases', '/leases/internal']) expect(await sent(path, 64 << 20), path).toBeLessThan(16 << 20);
    // A snapshot whose message announces 2^60 bytes is refused by its first eight.
    const huge = Buffer.from([0x10, 0, 0, 0, 0, 0, 0, 0]);
    expect(await sent('/raft/snapshot', 64 << 20, huge)).toBeLessThan(16 << 20);
    expect(rss() - before).toBeLessThan(64 << 20);
    await client.get('still there');
  }, 60_000);

  it('S-086: SIGUSR1 opens no port of a debugger', async () => {
    const listening = (): string[] =>
      readFileSync(`/proc/${member.pid}/net/tcp`, 'utf8')
        .split('\n')
        .filter((l) => / 0A /.test(l));
    const sockets = (): number => readdirSync(`/proc/${member.pid}/fd`).length;
    const before = listening().length;
    const descriptors = sockets();
    process.kill(member.pid, 'SIGUSR1');
    await until('the signal in the log', () => member.log.includes('"user defined signal 1"'));
    await client.put('signal', 'x');
    expect(sockets()).toBeLessThanOrEqual(descriptors + 2);
    expect(listening().some((l) => l.includes(':240D '))).toBe(false);
    expect(before).toBeGreaterThan(0);
    expect(member.log).not.toContain('Debugger listening');
  });

  it('S-073: a client that pings without end is sent away', async () => {
    const outcome = await new Promise<string>((resolve) => {
      const socket = connectTcp(member.options.clientPort, '127.0.0.1', () => {
        socket.write(Buffer.concat([preface, frame(4, 0, 0)]));
        const timer = setInterval(() => socket.write(frame(6, 0, 0, Buffer.alloc(8))), 10);
        socket.on('close', () => {
          clearInterval(timer);
          resolve(text.includes('too_many_pings') ? 'too many pings' : 'closed');
        });
      });
      let text = '';
      socket.on('error', () => undefined);
      socket.on('data', (d: Buffer) => (text += d.toString('latin1')));
      socket.setTimeout(45_000, () => resolve('still there'));
    });
    expect(outcome).toBe('too many pings');
  }, 60_000);
});

describe('secrets', () => {
  it('S-008, S-009, S-035: passwords, tokens, keys and values reach neither log, metrics, errors nor the WAL', async () => {
    await client.call(rpc.Auth.userAdd, { name: 'root', password: secrets.root });
    await client.call(rpc.Auth.userGrantRole, { user: 'root', role: 'root' });
    await client.call(rpc.Auth.userAdd, { name: 'alice', password: secrets.password });
    await client.call(rpc.Auth.roleAdd, { name: 'r' });
    await client.call(rpc.Auth.roleGrantPermission, { name: 'r', perm: { permType: 2, key: Buffer.from('key-Hd28-secret') } });
    await client.call(rpc.Auth.userGrantRole, { user: 'alice', role: 'r' });
    await client.call(rpc.Auth.authEnable, {});
    const root = { metadata: { token: await token('root', secrets.root) }, timeoutMs: 30_000 };
    const alice = { metadata: { token: await token('alice', secrets.password) }, timeoutMs: 30_000 };
    const errors: string[] = [];
    const failed = (e: unknown): void => void errors.push(String((e as Error).stack));
    await channel.unary(Auth.authenticate, { name: 'alice', password: secrets.wrong }, { timeoutMs: 30_000 }).catch(failed);
    await channel.unary(Auth.authenticate, { name: 'nobody', password: secrets.wrong }, { timeoutMs: 30_000 }).catch(failed);
    await channel.unary(KV.put, { key: Buffer.from('key-Hd28-secret'), value: Buffer.from('value-Bm64-secret') }, alice);
    await channel.unary(KV.put, { key: Buffer.from('key-Ox19-other'), value: Buffer.from('value-Bm64-secret') }, alice).catch(failed);
    await channel.unary(Auth.userChangePassword, { name: 'alice', password: secrets.second }, root);
    await channel.unary(KV.range, { key: Buffer.from('key-Hd28-secret') }, alice).catch(failed);
    await http('/v3/auth/authenticate', { method: 'POST', body: `{"name":"alice","password":"${secrets.second}"}` });
    await http('/v3/kv/put', {
      method: 'POST',
      body: '{"key":"a2V5LUhkMjgtc2VjcmV0","value":"***"}',
      headers: { authorization: `Bearer ${tokens[0]}` },
    });
    expect(errors.length).toBeGreaterThanOrEqual(3);
    const metrics = (await httpGet(`${member.url}/metrics`, 20_000)).body + (await http('/debug/vars')).body;
    const shown = [member.log, metrics, ...errors].join('\n');
    for (const secret of [...Object.values(secrets), ...tokens, 'key-Hd28-secret', 'key-Ox19-other', 'value-Bm64-secret'])
      expect(shown.includes(secret), secret).toBe(false);
    // Keys and values are what the store is for; passwords and whole tokens are not.
    for (const file of files(dataDir)) {
      if (!statSync(file).isFile()) continue;
      const bytes = readFileSync(file);
      for (const secret of [...Object.values(secrets), ...tokens]) expect(bytes.includes(secret), `${secret} in ${file}`).toBe(false);
    }
    // Who failed, from where and why is told (S-012).
    const failures = member.log.split('\n').filter((l) => l.includes('"invalid authentication was requested"'));
    expect(failures.map((l) => JSON.parse(l) as object)).toEqual([
      expect.objectContaining({
        user: 'alice',
        error: 'wrong password',
        'remote-addr': expect.stringMatching(/^127\.0\.0\.1:\d+$/) as unknown,
      }),
      expect.objectContaining({ user: 'nobody', error: 'no such user' }),
    ]);
  }, 60_000);

  it('S-047: a restart under auth serves at once, by the rules', async () => {
    await member.stop('SIGKILL');
    await member.start();
    const t = await token('alice', secrets.second);
    const got = await channel.unary(KV.range, { key: Buffer.from('key-Hd28-secret') }, { metadata: { token: t }, timeoutMs: 30_000 });
    expect(got.count).toBe(1);
    await expect(channel.unary(KV.range, { key: Buffer.from('a') }, { metadata: { token: t }, timeoutMs: 30_000 })).rejects.toThrow(
      'permission denied',
    );
    await expect(channel.unary(KV.range, { key: Buffer.from('a') }, { timeoutMs: 30_000 })).rejects.toThrow('user name is empty');
  }, 60_000);

  it('S-091: guessing is slowed down, and holds up nobody else', async () => {
    const guess = (i: number): Promise<string> =>
      channel.unary(Auth.authenticate, { name: 'alice', password: `guess-${i}` }, { timeoutMs: 30_000 }).then(
        () => 'in',
        (e: RpcError) => e.message,
      );
    for (let i = 0; i < 10; i++) expect(await guess(i)).toContain('authentication failed');
    const many = await Promise.all(Array.from({ length: 200 }, (_, i) => guess(i)));
    expect(many.filter((m) => m.includes('too many requests')).length).toBeGreaterThan(150);
    expect(many).not.toContain('in');
    await token('root', secrets.root);
  }, 60_000);
});

describe('files', () => {
  it("S-017: what a member makes is its owner's alone, whatever the umask; wider rights are reported", async () => {
    const wide = [dataDir, ...files(dataDir)].filter((f) => (statSync(f).mode & 0o077) !== 0);
    expect(wide).toEqual([]);
    const open = join(place.dir, 'open');
    const mkdir = await run('mkdir', ['-m', '755', open]);
    expect(mkdir.code).toBe(0);
    const [clientPort = 0, peerPort = 0] = await freePorts(2);
    const second = new MemberProcess({ dataDir: open, clientPort, peerPort });
    await second.start();
    // Profiles and the log's level are there when asked for, or at log level debug (S-119).
    for (const path of ['/debug/pprof/', '/debug/pprof/heap', '/debug/log/level'])
      expect((await http(path, { port: clientPort })).status, path).toBe(404);
    await second.stop();
    expect(second.log).toContain('check file permission');
    expect(second.log).toMatch(/exist, but the permission is \\"drwxr-xr-x\\"/);
  }, 60_000);

  it('S-081: the program runs without making code from text', async () => {
    const [clientPort = 0, peerPort = 0] = await freePorts(2);
    const url = `http://127.0.0.1:${clientPort}`;
    const peer = `http://127.0.0.1:${peerPort}`;
    const logFile = join(place.dir, 'strict.log');
    const log = openSync(logFile, 'a');
    const flags = ['--data-dir', join(place.dir, 'strict'), '--listen-client-urls', url, '--advertise-client-urls', url];
    const peers = ['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer, '--initial-cluster', `default=${peer}`];
    const child = spawn(process.execPath, ['--disallow-code-generation-from-strings', program, 'server', ...flags, ...peers], {
      stdio: ['ignore', log, log],
    });
    closeSync(log);
    try {
      await until('it to serve', async () => (await httpGet(`${url}/health`).catch(() => undefined))?.status === 200);
      const c = connect({ endpoints: [url], requestTimeoutMs: 30_000 });
      await c.put('a', 'b');
      await c.call(rpc.Auth.userAdd, { name: 'u', password: 'long-enough' });
      expect((await c.get('a')).kvs).toHaveLength(1);
      await c.close();
      expect(await http('/v3/kv/range', { port: clientPort, method: 'POST', body: '{"key":"YQ=="}' })).toMatchObject({ status: 200 });
    } finally {
      child.kill('SIGKILL');
    }
  }, 60_000);

  it('S-122: a name is no path', async () => {
    const [clientPort = 0, peerPort = 0] = await freePorts(2);
    const name = '../../S-122';
    const dir = join(place.dir, 'a/b/named');
    const named = new MemberProcess({ name, dataDir: dir, clientPort, peerPort, logFile: join(place.dir, 'named.log') });
    await named.start().catch(() => undefined);
    await named.stop('SIGKILL');
    expect(files(place.dir).filter((f) => f.includes('S-122'))).toEqual([]);
  }, 60_000);
});

it('S-001: the table of methods that a member serves is the one of the protos', () => {
  expect(new Set(methods.map((m) => m.path)).size).toBe(methods.length);
});

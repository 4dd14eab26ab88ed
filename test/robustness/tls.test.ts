// A member behind TLS: who gets in, as whom, and certificates that change under load. Longer: TSETCD_ROTATIONS=100 npx vitest run test/robustness/tls.test.ts
import { copyFileSync, mkdirSync, readFileSync } from 'node:fs';
import { request } from 'node:https';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Client, connect } from '../../src/client/index.ts';
import { Authority, type Pair } from '../support/certificates.ts';
import { freePorts, MemberProcess, reference, run, scratch, until } from '../support/member.ts';

const rotations = Number(process.env['TSETCD_ROTATIONS'] ?? 4);
const place = scratch();
const live = `${place.dir}/live`;
const authority = new Authority(`${place.dir}/ca`);
const stranger = new Authority(`${place.dir}/stranger`, 'stranger');
const names = 'DNS:localhost,IP:127.0.0.1';
const servers = [authority.issue('server0', { san: names }), authority.issue('server1', { san: names })] as const;
const people = {
  root: authority.issue('root'),
  alice: authority.issue('alice', { usage: 'clientAuth' }),
  revoked: authority.issue('revoked'),
  expired: authority.issue('expired', { days: -1 }),
  serverOnly: authority.issue('server-only', { usage: 'serverAuth' }),
  elsewhere: authority.issue('elsewhere', { san: 'IP:10.1.2.3' }),
  strange: stranger.issue('strange', { cn: 'root' }),
};
const clients: Client[] = [];
let member: MemberProcess;
let secureUrl = '';
let metricsUrl = '';
const socket = `${place.dir}/member.sock`;

function present(pair: Pair): void {
  copyFileSync(pair.cert, `${live}/server.pem`);
  copyFileSync(pair.key, `${live}/server.key`);
}

function client(pair: Pair | undefined, endpoint = secureUrl): Client {
  const own = pair === undefined ? {} : { cert: readFileSync(pair.cert), key: readFileSync(pair.key) };
  const c = connect({
    endpoints: [endpoint],
    tls: { ca: readFileSync(authority.ca), serverName: 'localhost', ...own },
    requestTimeoutMs: 1500,
  });
  clients.push(c);
  return c;
}

/** The answer's status, or the error's text. */
function web(
  url: string,
  pair: Pair | undefined,
  options: { readonly path: string; readonly body?: string },
): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const own = pair === undefined ? {} : { cert: readFileSync(pair.cert), key: readFileSync(pair.key) };
    const method = options.body === undefined ? 'GET' : 'POST';
    const r = request(`${url}${options.path}`, { agent: false, ca: readFileSync(authority.ca), method, ...own }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (d: string) => (body += d));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
    });
    r.on('error', reject);
    r.end(options.body);
  });
}

beforeAll(async () => {
  mkdirSync(live);
  present(servers[0]);
  copyFileSync(authority.ca, `${live}/ca.pem`);
  copyFileSync(authority.revoke().der, `${live}/crl`);
  const [clientPort = 0, peerPort = 0, securePort = 0, metricsPort = 0] = await freePorts(4);
  secureUrl = `https://127.0.0.1:${securePort}`;
  metricsUrl = `https://127.0.0.1:${metricsPort}`;
  const plain = `http://127.0.0.1:${clientPort}`;
  member = new MemberProcess({
    dataDir: `${place.dir}/data`,
    clientPort,
    peerPort,
    args: [
      ...['--listen-client-urls', `${plain},${secureUrl},unixs://${socket}`, '--listen-metrics-urls', metricsUrl],
      ...['--cert-file', `${live}/server.pem`, '--key-file', `${live}/server.key`, '--trusted-ca-file', `${live}/ca.pem`],
      ...['--client-cert-auth', '--client-crl-file', `${live}/crl`],
    ],
  });
  await member.start();
}, 60_000);
afterAll(async () => {
  for (const c of clients) await c.close();
  await member?.stop('SIGKILL');
  place.remove();
});

describe('a member behind TLS', () => {
  it('S-099: serves http, https, unixs and metrics side by side', async () => {
    expect(member.log).toContain('"serving client traffic securely"');
    expect(member.log).toContain('serving client traffic insecurely; this is strongly discouraged!');
    const plain = connect({ endpoints: [member.url] });
    clients.push(plain);
    await plain.put('k', 'plain');
    expect((await client(people.alice).get('k')).kvs[0]?.value.toString()).toContain('plain');
    await client(people.alice, `unixs://${socket}`).put('k', 'unixs');
    expect((await plain.get('k')).kvs).toHaveLength(1);
    expect((await web(metricsUrl, people.alice, { path: '/metrics' })).body).toContain('etcd_server_has_leader 1');
    await expect(web(metricsUrl, people.elsewhere, { path: '/metrics' })).rejects.toThrow();
    expect((await web(secureUrl, people.elsewhere, { path: '/health' })).status).toBe(200);
    expect(member.log).toContain('certificate is valid for 10.1.2.3, not 127.0.0.1');
  });

  it.each([
    ['nobody', undefined, "tls: client didn't provide a certificate"],
    ['an expired certificate', people.expired, 'x509: certificate has expired or is not yet valid: current time'],
    ['a stranger', people.strange, 'x509: certificate signed by unknown authority'],
    ['a server', people.serverOnly, 'x509: certificate specifies an incompatible key usage'],
  ])('S-097: refuses %s', async (_who, pair, words) => {
    await expect(client(pair).put('k', 'v')).rejects.toThrow();
    for (const url of [secureUrl, metricsUrl]) await expect(web(url, pair, { path: '/health' })).rejects.toThrow();
    await until('the refusal in the log', () =>
      member.log.split('\n').some((l) => l.includes('"rejected connection on client endpoint"') && l.includes(words)),
    );
  });

  it('S-007: refuses revoked certificates, and everybody while the list cannot be read', async () => {
    await client(people.revoked).put('k', 'v');
    const { der, pem } = authority.revoke(people.revoked);
    for (const list of [der, pem]) {
      copyFileSync(list, `${live}/crl`);
      await expect(client(people.revoked).put('k', 'v')).rejects.toThrow();
      await expect(web(metricsUrl, people.revoked, { path: '/health' })).rejects.toThrow();
      await client(people.alice).put('k', 'v');
    }
    copyFileSync(people.alice.key, `${live}/crl`);
    await expect(client(people.alice).put('k', 'v')).rejects.toThrow();
    copyFileSync(der, `${live}/crl`);
    await client(people.alice).put('k', 'v');
    expect(member.log).toMatch(/certificate serial \d+ revoked/);
    expect(member.log).toContain('x509: malformed crl');
  });

  it('S-022: answers nothing older than TLS 1.2, and logs plain text and floods of broken handshakes as refusals', async () => {
    const { port } = new URL(secureUrl);
    const hello = (options: object): Promise<string> =>
      new Promise((resolve) => {
        const s: TLSSocket = connectTls({ host: '127.0.0.1', port: Number(port), rejectUnauthorized: false, ...options }, () => {
          resolve(s.getProtocol() ?? '');
          s.destroy();
        });
        s.on('error', (e) => resolve(e.message));
      });
    const alice = { cert: readFileSync(people.alice.cert), key: readFileSync(people.alice.key) };
    expect(await hello({ ...alice, minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' })).toBe('TLSv1.2');
    expect(await hello(alice)).toBe('TLSv1.3');
    expect(await hello({ minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' })).toMatch(/alert|protocol version/);
    expect(await hello({ maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-SHA:ECDHE-RSA-AES256-SHA' })).toMatch(/handshake failure/);
    await until('both in the log', () => /only unsupported versions/.test(member.log) && /no cipher suite supported/.test(member.log));
    await expect(connectPlain(`http://127.0.0.1:${port}`)).rejects.toThrow();
  });

  it(`takes new certificates and authorities under load, ${rotations} times`, async () => {
    let stop = false;
    let done = 0;
    const failures: unknown[] = [];
    const steady = client(people.alice);
    const pinned = (async () => {
      while (!stop && failures.length === 0) {
        await steady.put('steady', String(done)).then(
          () => done++,
          (e: unknown) => failures.push(e),
        );
      }
    })();
    const fresh = (async () => {
      while (!stop && failures.length === 0) {
        const c = client(people.alice);
        await c.put('fresh', 'x').then(
          () => done++,
          (e: unknown) => failures.push(e),
        );
        await c.close();
      }
    })();
    const shown = (): Promise<string> =>
      new Promise((resolve, reject) => {
        const s = connectTls({ host: '127.0.0.1', port: Number(new URL(secureUrl).port), rejectUnauthorized: false }, () => {
          resolve(s.getPeerX509Certificate()?.subject ?? '');
          s.destroy();
        });
        s.on('error', reject);
      });
    try {
      for (let i = 1; i <= rotations; i++) {
        present(servers[i % 2] as Pair);
        await until('the new certificate', async () => (await shown()) === `CN=server${i % 2}`);
        const seen = done;
        await until('further writes', () => failures.length > 0 || done > seen + 20);
      }
    } finally {
      stop = true;
      await Promise.all([pinned, fresh]);
    }
    expect(failures).toEqual([]);
    // Another authority: who was let in stays, and nobody new comes in with the old one's certificates.
    copyFileSync(stranger.ca, `${live}/ca.pem`);
    await client(people.strange).put('k', 'v');
    await expect(client(people.alice).put('k', 'v')).rejects.toThrow();
    await steady.put('steady', 'still');
    copyFileSync(authority.ca, `${live}/ca.pem`);
    await client(people.alice).put('k', 'v');
  }, 60_000);

  it('S-011: takes the common name for the user, and never for calls through the gateway', async () => {
    const root = client(people.root);
    const mine = Buffer.from('mine').toString('base64');
    const steps: readonly [string, object][] = [
      ['user/add', { name: 'root', options: { no_password: true } }],
      ['user/add', { name: 'alice', options: { no_password: true } }],
      ['user/grant', { user: 'root', role: 'root' }],
      ['role/add', { name: 'mine' }],
      ['role/grant', { name: 'mine', perm: { permType: 'READWRITE', key: mine } }],
      ['user/grant', { user: 'alice', role: 'mine' }],
      ['enable', {}],
    ];
    for (const [path, body] of steps)
      expect(await web(secureUrl, people.root, { path: `/v3/auth/${path}`, body: JSON.stringify(body) })).toMatchObject({ status: 200 });
    const alice = client(people.alice);
    await alice.put('mine', 'v');
    await expect(alice.put('other', 'v')).rejects.toThrow('etcdserver: permission denied');
    await root.put('other', 'v');
    const key = Buffer.from('other').toString('base64');
    const answer = await web(secureUrl, people.root, { path: '/v3/kv/range', body: JSON.stringify({ key }) });
    expect(answer).toMatchObject({ status: 400, body: expect.stringContaining('etcdserver: user name is empty') as unknown });
    if (reference('etcdctl') !== undefined) {
      const ctl = (pair: Pair, ...args: string[]): ReturnType<typeof run> =>
        run(reference('etcdctl') as string, [
          ...['--endpoints', secureUrl, '--cacert', authority.ca, '--cert', pair.cert, '--key', pair.key, '--command-timeout=2s'],
          ...args,
        ]);
      expect(await ctl(people.alice, 'put', 'mine', 'ctl')).toMatchObject({ code: 0, stdout: 'OK\n' });
      expect((await ctl(people.alice, 'get', 'other')).stderr).toContain('permission denied');
      expect((await ctl(people.strange, 'get', 'mine')).code).not.toBe(0);
      expect(await ctl(people.root, 'auth', 'disable')).toMatchObject({ code: 0, stdout: 'Authentication Disabled\n' });
    }
  });
});

async function connectPlain(endpoint: string): Promise<void> {
  const c = connect({ endpoints: [endpoint], requestTimeoutMs: 800 });
  clients.push(c);
  await c.put('k', 'v');
}

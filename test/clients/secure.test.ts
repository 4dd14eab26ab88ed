// Certificates from `tsetcd cert`, a member of each kind behind them, and clients that nobody here wrote: by certificate and by password.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePorts, MemberProcess, program, reference, run, scratch, top, type Ran } from '../support/member.ts';

const place = scratch();
const pki = join(place.dir, 'pki');
const file = (name: string): string => join(pki, name);
const tsetcd = (...args: string[]): Promise<Ran> => run(process.execPath, [program, ...args]);
const lines = (r: Ran, word: string): string[] => r.stdout.split('\n').filter((l) => l.startsWith(`${word} `));
const nodeClient = join(top, '.cache/reference/node');
const started: MemberProcess[] = [];
const kinds = (['tsetcd', 'etcd'] as const).filter((k) => k === 'tsetcd' || reference('etcd') !== undefined);
/** Of each kind, a client port that asks for certificates and one that does not. */
const urls = new Map<string, { readonly strict: string; readonly open: string }>();
const flags = (url: string, who?: string): string[] => [
  ...['--endpoints', url, '--cacert', file('ca.crt')],
  ...(who === undefined ? [] : ['--cert', file(`${who}.crt`), '--key', file(`${who}.key`)]),
];

beforeAll(async () => {
  for (const args of [
    ['init', '--name', 'clients CA'],
    ['issue', 'm1', '--host', 'localhost,127.0.0.1'],
    ['issue', 'root', '--for', 'client'],
    ['issue', 'alice', '--for', 'client'],
  ])
    expect((await tsetcd('cert', ...args, '--dir', pki)).code).toBe(0);
  for (const kind of kinds) {
    const [clientPort = 0, peerPort = 0, port = 0] = await freePorts(3);
    const member = new MemberProcess({
      kind,
      dataDir: join(place.dir, kind),
      clientPort,
      peerPort,
      args: [
        ...['--listen-client-urls', `http://127.0.0.1:${clientPort},https://127.0.0.1:${port}`],
        ...['--listen-peer-urls', `https://127.0.0.1:${peerPort}`, '--initial-advertise-peer-urls', `https://127.0.0.1:${peerPort}`],
        ...['--initial-cluster', `default=https://127.0.0.1:${peerPort}`, '--bcrypt-cost', '4'],
        ...['--cert-file', file('m1.crt'), '--key-file', file('m1.key'), '--trusted-ca-file', file('ca.crt'), '--client-cert-auth'],
        ...['--peer-cert-file', file('m1.crt'), '--peer-key-file', file('m1.key'), '--peer-trusted-ca-file', file('ca.crt')],
        '--peer-client-cert-auth',
      ],
    });
    started.push(member);
    await member.start();
    urls.set(kind, { strict: `https://127.0.0.1:${port}`, open: member.url });
  }
}, 120_000);
afterAll(async () => {
  for (const m of started) await m.stop('SIGKILL');
  place.remove();
});

describe('tsetcd cert', () => {
  it('finds nothing wrong with what it made, and says what is wrong with a swapped key', async () => {
    const good = await tsetcd('cert', 'check', file('m1.crt'), file('m1.key'), '--ca', file('ca.crt'), '--host', '127.0.0.1');
    expect(good).toMatchObject({ code: 0, stdout: expect.stringMatching(/it will work\n$/) as unknown });
    const bad = await tsetcd('cert', 'check', file('alice.crt'), file('root.key'), '--for', 'client', '--cn', 'bob', '-w', 'json');
    expect(bad.code).toBe(1);
    expect(JSON.parse(bad.stdout)).toMatchObject({ ok: false, certificate: { commonName: 'alice' } });
    expect(bad.stdout).toContain('the key is not the one of the certificate');
    expect((await tsetcd('cert', 'issue', 'm1', '--dir', pki, '--host', 'x')).stderr).toContain('is there already');
    expect((await tsetcd('cert', 'issue', 'x', '--dir', pki, '--for', 'everybody')).code).toBe(128);
    expect((await tsetcd('__complete', 'cert', '')).stdout).toMatch(/init\t[\s\S]*issue\t[\s\S]*check\t/);
    expect((await tsetcd('__complete', 'cert', 'issue', '--for', '')).stdout).toMatch(/member[\s\S]*client[\s\S]*server/);
  });
});

describe.each(kinds)('a member of %s', (kind) => {
  const at = (): { readonly strict: string; readonly open: string } => urls.get(kind) as { strict: string; open: string };

  it('takes the certificates, and users log in by them and by password', async () => {
    const { strict, open } = at();
    const tools: [string, string[]][] = [[process.execPath, [program]]];
    const etcdctl = reference('etcdctl');
    if (etcdctl !== undefined) tools.push([etcdctl, []]);
    const root = (...args: string[]): Promise<Ran> => tsetcd(...flags(strict, 'root'), ...args);
    for (const args of [
      ['user', 'add', 'root', '--no-password'],
      ['user', 'grant-role', 'root', 'root'],
      ['role', 'add', 'mine'],
      ['role', 'grant-permission', 'mine', 'readwrite', 'mine/', '--prefix'],
      ['user', 'add', 'alice:wonderland'],
      ['user', 'grant-role', 'alice', 'mine'],
      ['auth', 'enable'],
    ])
      expect(await root(...args)).toMatchObject({ code: 0 });
    for (const [command, before] of tools) {
      const ctl = (...args: string[]): Promise<Ran> => run(command, [...before, '--command-timeout', '20s', ...args]);
      // By certificate.
      expect(await ctl(...flags(strict, 'alice'), 'put', 'mine/a', '1')).toMatchObject({ code: 0, stdout: 'OK\n' });
      expect((await ctl(...flags(strict, 'alice'), 'get', 'other')).stderr).toContain('permission denied');
      expect(await ctl(...flags(strict, 'root'), 'get', 'other')).toMatchObject({ code: 0 });
      // By password, without and with a certificate beside it: then the password counts.
      expect(await ctl('--endpoints', open, '--user', 'alice:wonderland', 'get', 'mine/a')).toMatchObject({
        code: 0,
        stdout: 'mine/a\n1\n',
      });
      expect((await ctl('--endpoints', open, '--user', 'alice:looking-glass', 'get', 'mine/a')).stderr).toContain('authentication failed');
      expect((await ctl(...flags(strict, 'root'), '--user', 'alice:wonderland', 'get', 'other')).stderr).toContain('permission denied');
      expect((await ctl('--endpoints', open, 'get', 'mine/a')).stderr).toContain('user name is empty');
    }
  }, 120_000);

  it('serves the Go client by certificate and by password', async () => {
    const clientcheck = reference('clientcheck');
    if (clientcheck === undefined) return;
    const { strict, open } = at();
    for (const who of [
      flags(strict, 'root'),
      ['--endpoints', open, '--user', 'alice:wonderland'],
      [...flags(strict, 'root'), '--user', 'alice:wonderland'],
    ]) {
      const args = who.map((a) => a.replace(/^--/, '-').replace(/^https?:\/\//, ''));
      const r = await run(clientcheck, [...args, '-only', 'login']);
      expect(r.stdout, r.stderr).toBe('ok login\n');
    }
  }, 120_000);

  it('serves npm etcd3 by certificate and by password', async () => {
    if (!existsSync(nodeClient)) return;
    const { strict, open } = at();
    const check = join(import.meta.dirname, 'node/login.mjs');
    for (const args of [
      [strict, 'root', '', pki],
      [open, '', 'alice:wonderland', pki],
      [strict, 'alice', 'alice:wonderland', pki],
    ]) {
      const r = await run(process.execPath, [check, nodeClient, ...args]);
      expect(lines(r, 'fail'), r.stdout + r.stderr).toEqual([]);
      expect(lines(r, 'ok').length, r.stdout + r.stderr).toBe(1);
    }
  }, 120_000);
});

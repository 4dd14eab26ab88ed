// Certificates that people make, and what is said about bad ones.
import { X509Certificate } from 'node:crypto';
import { chmodSync, copyFileSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SeededRandom } from '../../../src/base/random.ts';
import { examine, issueCertificate, makeAuthority, type ExamineOptions, type Purpose } from '../../../src/host/certificates.ts';
import { Authority } from '../../support/certificates.ts';
import { scratch } from '../../support/member.ts';

const place = scratch();
const dir = join(place.dir, 'pki');
const now = Date.now();
const dayMs = 24 * 3_600_000;
const base = { commonName: '', hosts: [] as string[], days: 90, nowMs: now, force: false };
const issue = (name: string, more: Partial<typeof base> & { purpose?: Purpose } = {}) =>
  issueCertificate(dir, {
    ...base,
    purpose: 'member',
    hosts: ['localhost', '127.0.0.1', '::1'],
    name,
    ...more,
    commonName: more.commonName ?? name,
  });
const look = (name: string, more: Partial<ExamineOptions> = {}) =>
  examine({
    certFile: join(dir, `${name}.crt`),
    keyFile: join(dir, `${name}.key`),
    caFile: join(dir, 'ca.crt'),
    purpose: 'member',
    hosts: ['127.0.0.1'],
    commonName: undefined,
    nowMs: now,
    ...more,
  });
const bad = (name: string, more: Partial<ExamineOptions> = {}): string[] =>
  look(name, more)
    .findings.filter((f) => f.level !== 'ok')
    .map((f) => `${f.level} ${f.about}: ${f.text}`);

beforeAll(async () => {
  await makeAuthority(dir, { name: 'test CA', days: 300, nowMs: now, force: false });
  await issue('m1');
  await issue('alice', { purpose: 'client', hosts: [] });
  await issue('server', { purpose: 'server', hosts: ['db.example.net', '*.svc.example.net'] });
});
afterAll(() => place.remove());

describe('an authority', () => {
  it('issues what has nothing wrong with it', () => {
    expect(bad('m1')).toEqual([]);
    expect(bad('alice', { purpose: 'client', hosts: [], commonName: 'alice' })).toEqual([]);
    expect(bad('server', { purpose: 'server', hosts: ['db.example.net', 'a.svc.example.net'] })).toEqual([]);
    expect(look('m1').certificate).toMatchObject({ subject: 'CN=m1', issuer: 'CN=test CA', usages: ['serverAuth', 'clientAuth'] });
    expect(look('m1').certificate?.names).toEqual(['localhost', '127.0.0.1', '0:0:0:0:0:0:0:1']);
    const ca = new X509Certificate(readFileSync(join(dir, 'ca.crt')));
    expect([ca.ca, ca.verify(ca.publicKey)]).toEqual([true, true]);
  });

  it('keeps its keys from others, whatever the umask', async () => {
    const before = process.umask(0);
    try {
      const own = join(place.dir, 'open');
      await makeAuthority(own, { name: 'x', days: 10, nowMs: now, force: false });
      const mode = (f: string): number => statSync(join(own, f)).mode & 0o777;
      expect([mode(''), mode('ca.key'), mode('ca.crt')]).toEqual([0o700, 0o600, 0o644]);
    } finally {
      process.umask(before);
    }
  });

  it('replaces nothing unasked, and a link instead of what it leads to', async () => {
    await expect(makeAuthority(dir, { name: 'x', days: 10, nowMs: now, force: false })).rejects.toThrow('is there already');
    await expect(issue('m1')).rejects.toThrow('m1.crt is there already');
    const victim = join(place.dir, 'victim');
    writeFileSync(victim, 'untouched');
    symlinkSync(victim, join(dir, 'link.crt'));
    await issue('link', { force: true });
    expect(readFileSync(victim, 'utf8')).toBe('untouched');
    expect(bad('link')).toEqual([]);
  });

  it('lets nothing outlive itself, and signs no more once it has ended', async () => {
    const made = await issue('long', { days: 5000 });
    expect(made.notAfter.getTime()).toBe(Date.parse(new X509Certificate(readFileSync(join(dir, 'ca.crt'))).validTo));
    await expect(issue('late', { nowMs: now + 301 * dayMs })).rejects.toThrow('has expired');
  });

  it.each([
    ['../up', {}],
    ['ca', {}],
    ['', {}],
    ['a/b', {}],
    ['-x', {}],
    ['ok', { commonName: 'a,O=root' }],
    ['ok', { commonName: 'a+CN=root' }],
    ['ok', { commonName: 'a\nb' }],
    ['ok', { commonName: '#1234' }],
    ['ok', { hosts: [] }],
    ['ok', { hosts: ['https://x'] }],
    ['ok', { hosts: ['10.0.0.1:2379'] }],
    ['ok', { hosts: ['a b'] }],
    ['ok', { days: 0 }],
    ['ok', { days: Number.NaN }],
  ])('refuses to issue %j with %j', async (name, more) => {
    await expect(issue(name, more)).rejects.toThrow();
  });

  it('signs with the authority of others, RSA too', async () => {
    const foreign = new Authority(join(place.dir, 'foreign'));
    copyFileSync(foreign.ca, join(place.dir, 'foreign/ca.crt'));
    await issueCertificate(join(place.dir, 'foreign'), { ...base, purpose: 'client', name: 'bob', commonName: 'bob' });
    const at = (f: string): string => join(place.dir, 'foreign', f);
    const options = { certFile: at('bob.crt'), keyFile: at('bob.key'), caFile: at('ca.crt'), hosts: [], nowMs: Date.now() + 5000 };
    expect(examine({ ...options, purpose: 'client', commonName: 'bob' }).findings.filter((f) => f.level === 'error')).toEqual([]);
  });
});

describe('a check', () => {
  it('tells of times', async () => {
    await issue('old', { nowMs: now - 200 * dayMs });
    await issue('new', { nowMs: now + 5 * dayMs });
    await issue('soon', { days: 3 });
    expect(bad('old')).toEqual([expect.stringMatching(/^error validity: the certificate has expired on 20/)]);
    expect(bad('new')).toEqual([expect.stringMatching(/^error validity: the certificate is not valid before 20/)]);
    expect(bad('soon')).toEqual([expect.stringMatching(/^warning validity: the certificate expires in [23] days/)]);
  });

  it('tells of names, use and common name', () => {
    expect(bad('m1', { hosts: ['10.0.0.9', 'localhost', 'elsewhere'] })).toEqual([
      expect.stringContaining('error names: it does not stand for 10.0.0.9, only for localhost'),
      expect.stringContaining('it does not stand for elsewhere'),
    ]);
    expect(bad('alice', { hosts: [] })).toEqual([
      'error usage: the extended key usage lacks serverAuth',
      'error names: there are no alternative names, and a common name is no host name',
    ]);
    expect(bad('server', { hosts: [] })).toEqual([
      'error usage: the extended key usage lacks clientAuth: members are clients of each other',
    ]);
    expect(bad('alice', { purpose: 'client', hosts: [], commonName: 'bob' })).toEqual([
      'error common name: the common name is "alice", not "bob"',
    ]);
  });

  it('tells of keys', () => {
    expect(bad('m1', { keyFile: join(dir, 'alice.key') })).toEqual(['error key: the key is not the one of the certificate']);
    expect(bad('m1', { keyFile: join(dir, 'm1.crt') })).toEqual([expect.stringMatching(/^error key: .* holds no private key/)]);
    expect(bad('m1', { certFile: join(dir, 'm1.key'), keyFile: undefined })).toEqual([
      expect.stringMatching(/^error file: .* holds no certificate, but a key/),
    ]);
    const open = join(dir, 'open.key');
    copyFileSync(join(dir, 'm1.key'), open);
    chmodSync(open, 0o644);
    expect(bad('m1', { keyFile: open })).toEqual([`warning permissions: ${open} can be read or written by others (0644)`]);
    const locked = join(dir, 'locked.key');
    writeFileSync(locked, '-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n', { mode: 0o600 });
    expect(bad('m1', { keyFile: locked })).toEqual([expect.stringContaining('is encrypted')]);
    expect(bad('m1', { keyFile: join(dir, 'none.key') })).toEqual([expect.stringContaining('no such file or directory')]);
  });

  it('tells of chains', async () => {
    const other = join(place.dir, 'other');
    await makeAuthority(other, { name: 'other CA', days: 10, nowMs: now, force: false });
    const twin = join(place.dir, 'twin');
    await makeAuthority(twin, { name: 'test CA', days: 10, nowMs: now, force: false });
    expect(bad('m1', { caFile: join(other, 'ca.crt') })).toEqual([
      expect.stringMatching(/^error chain: no authority in .* has signed it; the issuer is CN=test CA/),
    ]);
    expect(bad('m1', { caFile: join(twin, 'ca.crt') })).toEqual([
      expect.stringMatching(/^error chain: an authority of that name is in .*, but another key signed/),
    ]);
    expect(bad('m1', { caFile: join(dir, 'alice.crt') })).toEqual([expect.stringContaining('error chain: no authority')]);
    expect(bad('m1', { nowMs: now + 80 * dayMs })).toEqual([expect.stringContaining('warning validity')]);
    expect(bad('m1', { nowMs: now + 400 * dayMs })).toEqual([
      expect.stringContaining('error validity: the certificate has expired'),
      expect.stringContaining('error validity: the authority CN=test CA has expired'),
    ]);
  });

  it('tells of weak ones, and of authorities that serve', () => {
    const foreign = new Authority(join(place.dir, 'weak'));
    const served = examine({
      certFile: foreign.ca,
      keyFile: undefined,
      caFile: foreign.ca,
      purpose: 'server',
      hosts: [],
      commonName: undefined,
      nowMs: Date.now() + 5000,
    });
    expect(served.findings.filter((f) => f.level !== 'ok' && f.about !== 'validity').map((f) => `${f.level} ${f.about}`)).toEqual([
      'warning usage',
      'error names',
    ]);
  });

  it('never throws for what is in a file', () => {
    const r = new SeededRandom(12_345);
    const next = (): number => r.u32();
    const whole = readFileSync(join(dir, 'm1.crt'), 'latin1') + readFileSync(join(dir, 'm1.key'), 'latin1');
    const file = join(dir, 'fuzz.crt');
    for (let i = 0; i < 400; i++) {
      const bytes = Buffer.from(whole, 'latin1');
      for (let n = 1 + (next() % 4); n > 0; n--) bytes[next() % bytes.length] = next() & 255;
      writeFileSync(file, next() % 5 === 0 ? bytes.subarray(0, next() % bytes.length) : bytes, { mode: 0o600 });
      expect(() => look('m1', { certFile: file, keyFile: file, caFile: file })).not.toThrow();
    }
  });
});

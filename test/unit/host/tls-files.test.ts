import { copyFileSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { X509Certificate } from 'node:crypto';
import { afterAll, describe, expect, it } from 'vitest';
import { silentLog } from '../../../src/base/log.ts';
import { SeededRandom } from '../../../src/base/random.ts';
import { normalSerial, revokedSerials } from '../../../src/host/crl.ts';
import { selfSigned } from '../../../src/host/self-signed.ts';
import { alternativeNames, TlsFiles, type TlsFilesOptions } from '../../../src/host/tls-files.ts';
import { Authority } from '../../support/certificates.ts';
import { scratch } from '../../support/member.ts';

const place = scratch();
const authority = new Authority(`${place.dir}/ca`);
const a = authority.issue('a', { san: 'IP:127.0.0.1' });
const b = authority.issue('b');
afterAll(() => place.remove());

function options(over: Partial<TlsFilesOptions> = {}): TlsFilesOptions {
  return {
    certFile: a.cert,
    keyFile: a.key,
    clientCertFile: '',
    clientKeyFile: '',
    trustedCaFile: authority.ca,
    crlFile: '',
    clientCertAuth: true,
    allowedCommonNames: [],
    allowedHostnames: [],
    ciphers: 'TLS_AES_128_GCM_SHA256:ECDHE-ECDSA-AES128-GCM-SHA256',
    minVersion: 'TLSv1.2',
    maxVersion: undefined,
    selfSigned: false,
    log: silentLog,
    ...over,
  };
}

describe('files of a listener', () => {
  it.each([
    [{ keyFile: '' }, /^KeyFile and CertFile must both be present/],
    [{ keyFile: b.key }, 'tls: private key does not match public key'],
    [{ keyFile: '/nowhere/k' }, 'open /nowhere/k: no such file or directory'],
    [{ certFile: a.key }, /failed to find certificate or key PEM data/],
    [{ trustedCaFile: a.key }, /no certificate of an authority/],
    [{ clientCertFile: b.cert }, /^ClientKeyFile and ClientCertFile must both be present or both absent/],
    [{ clientCertFile: b.cert, clientKeyFile: a.key }, 'tls: private key does not match public key'],
    [{ allowedCommonNames: ['x'], allowedHostnames: ['y'] }, /mutually exclusive/],
  ] as [Partial<TlsFilesOptions>, string | RegExp][])('cannot be %j', (over, message) => {
    expect(() => new TlsFiles(options(over))).toThrow(message);
  });

  it('are read again when they change, and kept when what is new is broken', () => {
    const dir = `${place.dir}/live`;
    mkdirSync(dir);
    const [certFile, keyFile, trustedCaFile] = [`${dir}/c`, `${dir}/k`, `${dir}/ca`];
    const use = (cert: string, key: string): void => {
      copyFileSync(cert, certFile);
      copyFileSync(key, keyFile);
    };
    use(a.cert, a.key);
    copyFileSync(authority.ca, trustedCaFile);
    const files = new TlsFiles(options({ certFile, keyFile, trustedCaFile }));
    const first = files.listenerTls();
    const second = files.listenerTls();
    expect(first.refresh()).toBeUndefined();
    copyFileSync(b.cert, certFile);
    expect(first.refresh()).toBeUndefined();
    rmSync(keyFile);
    expect(first.refresh()).toBeUndefined();
    copyFileSync(b.key, keyFile);
    // Each listener is told once.
    expect(first.refresh()?.cert).toEqual(readFileSync(b.cert));
    expect(first.refresh()).toBeUndefined();
    expect(second.refresh()?.cert).toEqual(readFileSync(b.cert));
    expect(files.dialOptions()).toMatchObject({ cert: readFileSync(b.cert), rejectUnauthorized: true });
    const other = new Authority(`${place.dir}/other`);
    copyFileSync(other.ca, trustedCaFile);
    expect(first.refresh()?.ca).toEqual(readFileSync(other.ca));
  });
});

describe('revocation lists', () => {
  const serial = (path: string): string => normalSerial(new X509Certificate(readFileSync(path)).serialNumber);

  it('name serial numbers, as PEM and as DER', () => {
    expect(revokedSerials(readFileSync(authority.revoke().der)).size).toBe(0);
    const { pem, der } = authority.revoke(b);
    for (const path of [pem, der]) expect([...revokedSerials(readFileSync(path))]).toEqual([serial(b.cert)]);
  });

  it('S-007: of any broken form are refused or read, never more', () => {
    const whole = readFileSync(authority.revoke().der);
    const random = new SeededRandom(7);
    const below = (n: number): number => Math.floor(random.float() * n);
    let refused = 0;
    for (let i = 0; i < 20_000; i++) {
      const bytes = Buffer.from(whole.subarray(0, 1 + below(whole.length)));
      for (let n = below(4); n > 0; n--) bytes[below(bytes.length)] = below(256);
      try {
        revokedSerials(bytes);
      } catch (error) {
        if ((error as Error).message !== 'x509: malformed crl') throw error;
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(15_000);
  });
});

describe('self-made certificates', () => {
  it('S-098: name their hosts, are private, last as asked, and are used again until they expire', async () => {
    const dir = `${place.dir}/made`;
    const now = Date.now();
    const paths = await selfSigned(dir, ['127.0.0.1:2379', '[::1]:2379', 'localhost:1', 'localhost:1'], 2, silentLog, now);
    const made = new X509Certificate(readFileSync(paths.certFile));
    expect(made.checkIP('127.0.0.1')).toBe('127.0.0.1');
    expect(made.checkIP('::1')).toBeDefined();
    expect(made.checkHost('localhost')).toBe('localhost');
    expect(Math.abs(Date.parse(made.validTo) - now - 730 * 86_400_000)).toBeLessThan(2000);
    for (const path of Object.values(paths)) expect(statSync(path as string).mode & 0o777).toBe(0o600);
    expect(statSync(dir).mode & 0o777).toBe(0o700);
    new TlsFiles(options({ ...paths, trustedCaFile: '', clientCertAuth: false }));
    const before = readFileSync(paths.certFile);
    await selfSigned(dir, [], 2, silentLog, now);
    expect(readFileSync(paths.certFile)).toEqual(before);
    await selfSigned(dir, [], 2, silentLog, now + 3 * 365 * 86_400_000);
    expect(readFileSync(paths.certFile)).not.toEqual(before);
    await expect(selfSigned(dir, [], 0, silentLog, now)).rejects.toThrow('selfSignedCertValidity is invalid,it should be greater than 0');
    writeFileSync(paths.certFile, 'broken');
    await expect(selfSigned(dir, [], 1, silentLog, now)).rejects.toThrow();
  });
});

it('alternative names are told apart', () => {
  expect(alternativeNames('DNS:a, IP Address:1.2.3.4, URI:x, DNS:*.b, DNS:"c, IP Address:6.6.6.6"')).toEqual({
    addresses: ['1.2.3.4'],
    hosts: ['a', '*.b', 'c, IP Address:6.6.6.6'],
  });
  expect(alternativeNames(undefined)).toEqual({ addresses: [], hosts: [] });
});

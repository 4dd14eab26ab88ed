/** `--auto-tls` and `--peer-auto-tls`: a certificate that a member makes for itself. It encrypts; it proves nothing about who is there. Loaded only by members that make one. */
import { X509Certificate } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { resolve } from 'node:path';
import { generate } from 'selfsigned';
import type { Log } from '../base/log.ts';

const yearMs = 365 * 24 * 3_600_000;

export interface SelfSignedPaths {
  readonly certFile: string;
  readonly keyFile: string;
}

/**
 * The certificate and key in `directory`, made when missing or expired, for hosts given as names, addresses or `host:port`.
 * @throws Error when the validity is zero, or of the file system
 */
export async function selfSigned(
  directory: string,
  hosts: readonly string[],
  validityYears: number,
  log: Log,
  nowMs: number,
): Promise<SelfSignedPaths> {
  if (validityYears === 0) {
    const error = new Error('selfSignedCertValidity is invalid,it should be greater than 0');
    log.warn('cannot generate cert', { error });
    throw error;
  }
  const certFile = resolve(directory, 'cert.pem');
  const keyFile = resolve(directory, 'key.pem');
  if (isUsable(certFile, keyFile, nowMs)) return { certFile, keyFile };
  mkdirSync(directory, { recursive: true, mode: 0o700 });

  const notAfter = new Date(nowMs + validityYears * yearMs);
  log.warn('automatically generate certificates', { 'certificate-validity-bound-not-after': notAfter.toISOString() });
  const names = [...new Set(hosts.map(hostOf).filter((h) => h !== ''))];
  const made = await generate([{ name: 'organizationName', value: 'etcd' }], {
    keyType: 'ec',
    curve: 'P-256',
    algorithm: 'sha256',
    notBeforeDate: new Date(nowMs),
    notAfterDate: notAfter,
    extensions: [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'keyUsage', digitalSignature: true, keyEncipherment: true, keyCertSign: true, critical: true },
      { name: 'extKeyUsage', serverAuth: true, clientAuth: true },
      ...(names.length === 0
        ? []
        : [
            {
              name: 'subjectAltName' as const,
              altNames: names.map((n) => (isIP(n) === 0 ? { type: 2 as const, value: n } : { type: 7 as const, ip: n })),
            },
          ]),
    ],
  });
  place(keyFile, made.private);
  log.info('created key file', { path: keyFile });
  place(certFile, made.cert);
  log.info('created cert file', { path: certFile });
  return { certFile, keyFile };
}

function isUsable(certFile: string, keyFile: string, nowMs: number): boolean {
  try {
    readFileSync(keyFile);
    return Date.parse(new X509Certificate(readFileSync(certFile)).validTo) > nowMs;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}

/** Whole or not at all, and readable by nobody else at any moment. */
function place(path: string, text: string): void {
  const temporary = `${path}.tmp`;
  writeFileSync(temporary, text, { mode: 0o600 });
  chmodSync(temporary, 0o600);
  renameSync(temporary, path);
}

function hostOf(text: string): string {
  const m = /^(?:\[([^\]]*)\]|([^:]*)):\d+$/.exec(text);
  return m === null ? text : (m[1] ?? m[2] ?? '');
}

/**
 * Certificates for people who run members: a small authority, certificates that it issues, and what is wrong with given ones. They work with
 * tsetcd and with etcd (Go's rules: names count only as alternative names, an authority says that it is one). Loaded only by `cert`.
 *
 * Files are PEM: `ca.crt` and `ca.key` of the authority, `NAME.crt` and `NAME.key` of what it issues; keys are 0600 in a folder that is 0700.
 */
import { createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto';
import { chmodSync, closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, statSync, writeSync } from 'node:fs';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { generate } from 'selfsigned';

const dayMs = 24 * 3_600_000;
/** Clocks of the machines that verify may be behind by so much. */
const backdateMs = 5 * 60_000;
/** A certificate that ends sooner is worth a warning, in days. */
const endsSoonDays = 30;
/** Files that are looked into: a bundle of a whole system's authorities has 250 KB. */
const pemBytesMax = 4 * 1024 * 1024;
const rsaBitsMin = 2048;

export const authorityFiles = { cert: 'ca.crt', key: 'ca.key' } as const;

/** `member`: server and client at once, as members are to each other and to themselves; `client`: a user; `server`: only served with. */
export type Purpose = 'member' | 'client' | 'server';

/** What cannot be done, in words for the user; `hint` says what to try. */
export class CertificateError extends Error {
  readonly hint: string | undefined;

  constructor(message: string, hint?: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'CertificateError';
    this.hint = hint;
  }
}

export interface Issued {
  readonly certFile: string;
  readonly keyFile: string;
  readonly notAfter: Date;
}

/** Makes the authority's certificate and key in `dir`. @throws CertificateError when there is one and `force` is not set */
export async function makeAuthority(
  dir: string,
  options: { readonly name: string; readonly days: number; readonly nowMs: number; readonly force: boolean },
): Promise<Issued> {
  checkName(options.name);
  const files = { certFile: join(dir, authorityFiles.cert), keyFile: join(dir, authorityFiles.key) };
  refuseExisting([files.certFile, files.keyFile], options.force);
  makeDir(dir);
  const span = spanOf(options);
  const made = await generate([{ name: 'commonName', value: options.name }], {
    ...keyOptions('ec'),
    ...span,
    extensions: [
      // It signs members and users, never another authority.
      { name: 'basicConstraints', cA: true, pathLenConstraint: 0, critical: true },
      { name: 'keyUsage', keyCertSign: true, cRLSign: true, critical: true },
    ],
  });
  place(files.keyFile, made.private, 0o600);
  place(files.certFile, made.cert, 0o644);
  return { ...files, notAfter: span.notAfterDate };
}

/**
 * Issues a certificate with a key of its own.
 * @param options.hosts  names and addresses that it stands for; at least one for a member or server
 * @throws CertificateError
 */
export async function issueCertificate(
  dir: string,
  options: {
    readonly name: string;
    readonly purpose: Purpose;
    readonly commonName: string;
    readonly hosts: readonly string[];
    readonly days: number;
    readonly nowMs: number;
    readonly force: boolean;
  },
): Promise<Issued> {
  const { name, purpose, commonName, hosts } = options;
  if (!/^[A-Za-z0-9_][A-Za-z0-9._@-]{0,127}$/.test(name) || name === 'ca')
    throw new CertificateError(
      `the name ${JSON.stringify(name)} cannot be a file's`,
      'use letters, digits and . _ @ -; the common name may differ: --cn',
    );
  checkName(commonName);
  for (const h of hosts) checkHost(h);
  if (purpose !== 'client' && hosts.length === 0)
    throw new CertificateError(
      'a certificate that is served with needs the names it is reached by',
      'give --host NAME or --host ADDRESS, as often as needed',
    );
  const ca = readAuthority(dir);
  const caEnd = Date.parse(ca.certificate.validTo);
  if (caEnd <= options.nowMs) throw new CertificateError(`the authority in ${dir} has expired`, 'make a new one: cert init --force');
  const files = { certFile: join(dir, `${name}.crt`), keyFile: join(dir, `${name}.key`) };
  refuseExisting([files.certFile, files.keyFile], options.force);
  // Nothing may outlive who vouches for it.
  const asked = spanOf(options);
  const span = { ...asked, notAfterDate: new Date(Math.min(asked.notAfterDate.getTime(), caEnd)) };
  const kind = ca.key.asymmetricKeyType === 'rsa' ? 'rsa' : 'ec';
  const made = await generate([{ name: 'commonName', value: commonName }], {
    ...keyOptions(kind),
    ...span,
    ca: { cert: ca.certPem, key: ca.keyPem },
    extensions: [
      { name: 'basicConstraints', cA: false, critical: true },
      { name: 'keyUsage', digitalSignature: true, ...(kind === 'rsa' ? { keyEncipherment: true } : {}), critical: true },
      { name: 'extKeyUsage', serverAuth: purpose !== 'client', clientAuth: purpose !== 'server' },
      ...(hosts.length === 0
        ? []
        : [
            {
              name: 'subjectAltName' as const,
              altNames: [...new Set(hosts)].map((h) => (isIP(h) === 0 ? { type: 2 as const, value: h } : { type: 7 as const, ip: h })),
            },
          ]),
    ],
  });
  const leaf = new X509Certificate(made.cert);
  if (!leaf.checkIssued(ca.certificate) || !leaf.verify(ca.certificate.publicKey))
    throw new CertificateError(`the authority in ${dir} cannot sign: its key and certificate do not go together`);
  place(files.keyFile, made.private, 0o600);
  place(files.certFile, made.cert, 0o644);
  return { ...files, notAfter: span.notAfterDate };
}

function keyOptions(kind: 'ec' | 'rsa') {
  return { keyType: kind, algorithm: 'sha256', ...(kind === 'ec' ? { curve: 'P-256' as const } : { keySize: 3072 }) };
}

function spanOf(o: { readonly days: number; readonly nowMs: number }): { notBeforeDate: Date; notAfterDate: Date } {
  if (!(o.days >= 1 && o.days <= 36_500)) throw new CertificateError(`--days ${o.days} is not between 1 and 36500`);
  return { notBeforeDate: new Date(o.nowMs - backdateMs), notAfterDate: new Date(o.nowMs + o.days * dayMs) };
}

/** A common name as it may stand in a subject without quoting: what would end it and begin another part is refused. */
function checkName(name: string): void {
  if (!/^[\p{L}\p{N}][\p{L}\p{N} ._@:/-]{0,62}$/u.test(name) || name.endsWith(' '))
    throw new CertificateError(`${JSON.stringify(name)} cannot be a common name`, 'use up to 63 letters, digits, blanks and . _ @ : / -');
}

function checkHost(host: string): void {
  if (isIP(host) === 0 && !/^(\*\.)?[A-Za-z0-9_]([A-Za-z0-9_-]{0,62})(\.[A-Za-z0-9_][A-Za-z0-9_-]{0,62})*$/.test(host))
    throw new CertificateError(
      `${JSON.stringify(host)} is neither a name nor an address`,
      'give it without scheme and port: --host db1.example.net',
    );
}

function refuseExisting(files: readonly string[], force: boolean): void {
  if (force) return;
  const there = files.find((f) => statSync(f, { throwIfNoEntry: false }) !== undefined);
  if (there !== undefined) throw new CertificateError(`${there} is there already`, 'with --force it is replaced');
}

function makeDir(dir: string): void {
  try {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw fileError(dir, error);
  }
}

/** Whole or not at all, and with its rights from the first moment on. A link of that name is replaced, not followed. */
function place(path: string, text: string, mode: number): void {
  const temporary = `${path}.${process.pid}.tmp`;
  try {
    const fd = openSync(temporary, 'wx', mode);
    try {
      writeSync(fd, text);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    chmodSync(temporary, mode);
    renameSync(temporary, path);
  } catch (error) {
    throw fileError(path, error);
  }
}

function readAuthority(dir: string): { certPem: string; keyPem: string; certificate: X509Certificate; key: KeyObject } {
  const certFile = join(dir, authorityFiles.cert);
  if (statSync(certFile, { throwIfNoEntry: false }) === undefined)
    throw new CertificateError(`there is no authority in ${dir}`, `make one first: cert init --dir ${dir}`);
  const certPem = readText(certFile);
  const keyPem = readText(join(dir, authorityFiles.key));
  try {
    return { certPem, keyPem, certificate: new X509Certificate(certPem), key: createPrivateKey(keyPem) };
  } catch (error) {
    throw new CertificateError(`the authority in ${dir} cannot be read: ${(error as Error).message}`);
  }
}

function readText(path: string): string {
  try {
    const bytes = readFileSync(path);
    if (bytes.length > pemBytesMax) throw new CertificateError(`${path} is larger than ${pemBytesMax} bytes`);
    return bytes.toString('latin1');
  } catch (error) {
    throw error instanceof CertificateError ? error : fileError(path, error);
  }
}

function fileError(path: string, error: unknown): CertificateError {
  const { code } = error as NodeJS.ErrnoException;
  const reasons: Readonly<Record<string, string>> = {
    ENOENT: 'no such file or directory',
    EACCES: 'permission denied',
    EISDIR: 'is a directory',
  };
  return new CertificateError(`${path}: ${reasons[code ?? ''] ?? (error as Error).message}`, undefined, { cause: error });
}

// What is wrong with given files.

export interface Finding {
  /** An error keeps a member or client from working; a warning does not, yet. */
  readonly level: 'ok' | 'warning' | 'error';
  readonly about: 'file' | 'key' | 'permissions' | 'validity' | 'chain' | 'usage' | 'names' | 'common name' | 'strength';
  readonly text: string;
  /** What to do about it. */
  readonly advice: string;
}

export interface Examined {
  readonly findings: readonly Finding[];
  /** Undefined when no certificate could be read. */
  readonly certificate:
    | {
        readonly subject: string;
        readonly issuer: string;
        readonly commonName: string;
        readonly names: readonly string[];
        readonly usages: readonly string[];
        readonly notBefore: Date;
        readonly notAfter: Date;
        readonly serial: string;
      }
    | undefined;
}

export interface ExamineOptions {
  readonly certFile: string;
  /** Undefined: no key is looked at. */
  readonly keyFile: string | undefined;
  readonly caFile: string | undefined;
  readonly purpose: Purpose;
  /** Names and addresses that it will be reached by. */
  readonly hosts: readonly string[];
  /** The common name that is expected (`--peer-cert-allowed-cn`, or the user). */
  readonly commonName: string | undefined;
  readonly nowMs: number;
}

const usageOids: Readonly<Record<string, string>> = {
  '1.3.6.1.5.5.7.3.1': 'serverAuth',
  '1.3.6.1.5.5.7.3.2': 'clientAuth',
  '2.5.29.37.0': 'anyExtendedKeyUsage',
};
/** Signature algorithms that Go refuses: DER of their identifiers. */
const weakSignatures: readonly (readonly [string, string])[] = [
  ['MD5', '06092a864886f70d010104'],
  ['SHA-1', '06092a864886f70d010105'],
  ['SHA-1', '06072a8648ce3d0401'],
];

/** Looks at everything before it gives its findings, the worst not first but in the order of a handshake. Never throws for what is in a file. */
export function examine(o: ExamineOptions): Examined {
  const findings: Finding[] = [];
  const add = (level: Finding['level'], about: Finding['about'], text: string, advice = ''): void =>
    void findings.push({ level, about, text, advice });
  const read = (path: string): string | undefined => {
    try {
      return readText(path);
    } catch (error) {
      add('error', 'file', (error as Error).message, 'is the path right, and may the user that runs the member read it?');
      return undefined;
    }
  };
  const pem = read(o.certFile);
  const blocks = pem === undefined ? [] : certificatesIn(pem);
  if (pem !== undefined && blocks.length === 0) {
    const key = /-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(pem);
    add(
      'error',
      'file',
      `${o.certFile} holds no certificate${key ? ', but a key' : ''}`,
      key ? 'certificate and key have changed places' : 'it must be PEM; for DER: openssl x509 -inform der -in FILE',
    );
  }
  const chain: X509Certificate[] = [];
  for (const block of blocks) {
    try {
      chain.push(parsed(block));
    } catch (error) {
      add('error', 'file', `${o.certFile}: a certificate cannot be read: ${(error as Error).message}`);
    }
  }
  const leaf = chain[0];
  if (o.keyFile !== undefined) examineKey(o.keyFile, leaf, read, add);
  if (leaf === undefined) return { findings, certificate: undefined };

  examineValidity(leaf, 'the certificate', o.nowMs, add);
  if (o.caFile !== undefined) examineChain(chain, o.caFile, o.nowMs, read, add);
  const usages = leaf.keyUsage?.map((oid) => usageOids[oid] ?? oid) ?? [];
  examineUsage(leaf, usages, o.purpose, add);
  const names = namesOf(leaf.subjectAltName);
  examineNames(leaf, names, o, add);
  const commonName = commonNameOf(leaf.subject);
  if (o.commonName !== undefined && o.commonName !== commonName)
    add(
      'error',
      'common name',
      `the common name is ${JSON.stringify(commonName)}, not ${JSON.stringify(o.commonName)}`,
      'issue one with --cn, or change what is allowed',
    );
  else if (o.purpose === 'client' && commonName === '')
    add(
      'warning',
      'common name',
      'there is no common name: with --client-cert-auth nobody is recognized by it',
      'issue one with --cn USER',
    );
  else if (commonName !== '') add('ok', 'common name', o.purpose === 'client' ? `the user is ${commonName}` : commonName);
  examineStrength(leaf, add);
  return {
    findings,
    certificate: {
      subject: oneLine(leaf.subject),
      issuer: oneLine(leaf.issuer),
      commonName,
      names,
      usages,
      notBefore: new Date(leaf.validFrom),
      notAfter: new Date(leaf.validTo),
      serial: leaf.serialNumber,
    },
  };
}

type Add = (level: Finding['level'], about: Finding['about'], text: string, advice?: string) => void;

function examineKey(file: string, leaf: X509Certificate | undefined, read: (path: string) => string | undefined, add: Add): void {
  const pem = read(file);
  if (pem === undefined) return;
  if (/-----BEGIN ENCRYPTED PRIVATE KEY-----|Proc-Type: 4,ENCRYPTED/.test(pem)) {
    add(
      'error',
      'key',
      `${file} is encrypted: neither etcd nor tsetcd can ask for its password`,
      `openssl pkey -in ${file} -out plain.key; chmod 600 plain.key`,
    );
    return;
  }
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch {
    add(
      'error',
      'key',
      `${file} holds no private key in PEM`,
      certificatesIn(pem).length > 0 ? 'certificate and key have changed places' : '',
    );
    return;
  }
  if (leaf !== undefined) {
    if (leaf.checkPrivateKey(key)) add('ok', 'key', 'the key goes with the certificate');
    else add('error', 'key', 'the key is not the one of the certificate', 'take the pair that was made together, or issue anew');
  }
  const mode = statSync(file).mode & 0o777;
  if ((mode & 0o077) !== 0)
    add('warning', 'permissions', `${file} can be read or written by others (${mode.toString(8).padStart(4, '0')})`, `chmod 600 ${file}`);
  else add('ok', 'permissions', `${file} is its owner's alone`);
}

function examineValidity(c: X509Certificate, what: string, nowMs: number, add: Add): void {
  const from = Date.parse(c.validFrom);
  const to = Date.parse(c.validTo);
  const days = Math.floor((to - nowMs) / dayMs);
  if (Number.isNaN(from) || Number.isNaN(to)) add('error', 'validity', `the times of ${what} cannot be read`, 'issue anew');
  else if (from > nowMs) add('error', 'validity', `${what} is not valid before ${day(from)}`, 'is the clock of this machine right?');
  else if (to <= nowMs)
    add(
      'error',
      'validity',
      `${what} has expired on ${day(to)}`,
      'issue a new one and put it in place: members take it up without a restart',
    );
  else if (days < endsSoonDays)
    add('warning', 'validity', `${what} expires in ${days} days, on ${day(to)}`, 'issue a new one and put it in place');
  else add('ok', 'validity', `${what} is valid until ${day(to)} (${days} days)`);
}

function examineChain(
  chain: readonly X509Certificate[],
  file: string,
  nowMs: number,
  read: (path: string) => string | undefined,
  add: Add,
): void {
  const pem = read(file);
  if (pem === undefined) return;
  const authorities: X509Certificate[] = [];
  for (const block of certificatesIn(pem)) {
    try {
      authorities.push(parsed(block));
    } catch (error) {
      add('error', 'chain', `${file}: an authority cannot be read: ${(error as Error).message}`);
    }
  }
  if (authorities.length === 0) {
    add('error', 'chain', `${file} holds no certificate of an authority`, 'it must be PEM');
    return;
  }
  // From the leaf upwards; what the file of the certificate brings along fills the gap to an authority.
  let at = chain[0] as X509Certificate;
  for (let steps = 0; steps <= chain.length; steps++) {
    const trusted = authorities.find((a) => signs(a, at));
    if (trusted !== undefined) {
      if (!trusted.ca)
        add('error', 'chain', `${oneLine(trusted.subject)} in ${file} is no authority: it may not sign`, 'make one: cert init');
      else if (!(Date.parse(trusted.validTo) > nowMs && Date.parse(trusted.validFrom) <= nowMs))
        examineValidity(trusted, `the authority ${oneLine(trusted.subject)}`, nowMs, add);
      else add('ok', 'chain', `signed by ${oneLine(trusted.subject)}`);
      return;
    }
    const between = chain.find((c) => c !== at && signs(c, at));
    if (between === undefined) break;
    if (!between.ca) add('error', 'chain', `${oneLine(between.subject)} is no authority: it may not sign`);
    at = between;
  }
  const sameName = authorities.some((a) => a.subject === at.issuer);
  add(
    'error',
    'chain',
    sameName
      ? `an authority of that name is in ${file}, but another key signed`
      : `no authority in ${file} has signed it; the issuer is ${oneLine(at.issuer)}`,
    sameName
      ? 'the authority was made anew since: issue anew, or trust both'
      : 'give the authority that issued it, with intermediate ones in the certificate file',
  );
}

function signs(authority: X509Certificate, of: X509Certificate): boolean {
  try {
    return authority.subject === of.issuer && of.verify(authority.publicKey);
  } catch {
    return false;
  }
}

function examineUsage(leaf: X509Certificate, usages: readonly string[], purpose: Purpose, add: Add): void {
  if (leaf.ca) add('warning', 'usage', 'the certificate is an authority itself', 'serve with one that it has issued: cert issue');
  // Without the extension every use is allowed.
  if (usages.length === 0 || usages.includes('anyExtendedKeyUsage')) {
    add('ok', 'usage', 'any');
    return;
  }
  const needs = purpose === 'client' ? ['clientAuth'] : purpose === 'server' ? ['serverAuth'] : ['serverAuth', 'clientAuth'];
  const missing = needs.filter((n) => !usages.includes(n));
  if (missing.length === 0) add('ok', 'usage', usages.join(', '));
  else {
    const why = purpose === 'member' && missing.includes('clientAuth') ? ': members are clients of each other' : '';
    add('error', 'usage', `the extended key usage lacks ${missing.join(' and ')}${why}`, `issue one with cert issue --for ${purpose}`);
  }
}

function examineNames(leaf: X509Certificate, names: readonly string[], o: ExamineOptions, add: Add): void {
  if (names.length === 0 && o.purpose !== 'client') {
    add('error', 'names', 'there are no alternative names, and a common name is no host name', 'issue one with --host');
    return;
  }
  const missing = o.hosts.filter((h) => (isIP(h) === 0 ? leaf.checkHost(h, { subject: 'never' }) : leaf.checkIP(h)) === undefined);
  for (const h of missing)
    add('error', 'names', `it does not stand for ${h}, only for ${names.join(', ') || 'nothing'}`, `issue one with --host ${h}`);
  if (missing.length === 0 && names.length > 0) add('ok', 'names', names.join(', '));
}

function examineStrength(leaf: X509Certificate, add: Add): void {
  const { asymmetricKeyType: kind, asymmetricKeyDetails: details } = leaf.publicKey;
  if (kind === 'rsa' && (details?.modulusLength ?? 0) < rsaBitsMin)
    add('error', 'strength', `an RSA key of ${details?.modulusLength} bits is too short`, `${rsaBitsMin} or more, or an elliptic curve`);
  const raw = leaf.raw.toString('hex');
  const weak = weakSignatures.find(([, der]) => raw.includes(der));
  if (weak !== undefined && leaf.issuer !== leaf.subject)
    add('error', 'strength', `it is signed with ${weak[0]}, which etcd and tsetcd do not accept`, 'issue anew');
}

/** A certificate all of whose parts can be read. @throws Error */
function parsed(block: string): X509Certificate {
  const c = new X509Certificate(block);
  // OpenSSL reads these when they are asked for.
  void c.publicKey.asymmetricKeyDetails;
  void c.subjectAltName;
  void c.keyUsage;
  return c;
}

function certificatesIn(pem: string): string[] {
  return pem.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
}

function namesOf(text: string | undefined): string[] {
  return (text ?? '').split(', ').flatMap((n) => {
    const m = /^(?:DNS|IP Address):(.*)$/.exec(n);
    return m === null ? [] : [m[1] ?? ''];
  });
}

function commonNameOf(subject: string): string {
  return /^CN=(.*)$/m.exec(subject)?.[1] ?? '';
}

function oneLine(name: string): string {
  return name.replace(/\n/g, ', ');
}

function day(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}

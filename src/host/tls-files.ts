/**
 * Certificates, keys, authorities and revocation lists as files that may change at any time. Each handshake looks whether they did (a `stat`
 * each, some µs) and uses what is there: no restart, and no connection is dropped. Files that cannot be used, such as a certificate whose key
 * is not written yet, leave the former ones in use; a revocation list that cannot be read lets nobody in.
 */
import { constants, createHash, X509Certificate } from 'node:crypto';
import { type LookupAddress, promises as dns } from 'node:dns';
import { readFileSync, statSync } from 'node:fs';
import { isIP, type LookupFunction } from 'node:net';
import {
  checkServerIdentity,
  type ConnectionOptions,
  createSecureContext,
  type SecureContextOptions,
  type SecureVersion,
  type TlsOptions,
  type TLSSocket,
} from 'node:tls';
import type { Log } from '../base/log.ts';
import type { TlsSide } from '../base/tls-side.ts';
import { TlsFilesError } from './tls-files-error.ts';
import { crlBytesMax, normalSerial, revokedSerials } from './crl.ts';

/** A file changed so lately that a further change might leave no trace in its times is read again. File systems count in 4 ms and more. */
const racyMs = 100;
/** Certificates, keys and bundles of authorities: a whole system's bundle has 250 KB. */
const pemBytesMax = 4 * 1024 * 1024;
/** Certificates of one peer that are looked at. OpenSSL verifies chains of up to 100. */
const chainMax = 100;

export interface TlsFilesOptions extends TlsSide {
  /** OpenSSL's cipher list. */
  readonly ciphers: string;
  readonly minVersion: SecureVersion;
  readonly maxVersion: SecureVersion | undefined;
  /** The certificate is one that a member made for itself: as a client it takes any other. */
  readonly selfSigned: boolean;
  readonly log: Log;
}

/** What a listener of `wire` takes. */
export interface FilesListenerTls {
  readonly options: TlsOptions;
  readonly refresh: () => SecureContextOptions | undefined;
  readonly verify: (socket: TLSSocket) => string | undefined | Promise<string | undefined>;
}

interface Material {
  readonly authorities: readonly X509Certificate[];
  readonly server: SecureContextOptions;
  readonly dial: SecureContextOptions;
  readonly fingerprint: string;
}

export class TlsFiles {
  readonly #o: TlsFilesOptions;
  readonly #watched: readonly string[];
  readonly #demandsCertificates: boolean;
  #stamp: string;
  #material: Material;
  /** Said once, not at each handshake. */
  #failure = '';
  #crlStamp = '';
  #revoked: ReadonlySet<string> = new Set();

  /** Reads the files. @throws TlsFilesError in etcd's words */
  constructor(options: TlsFilesOptions) {
    this.#o = options;
    this.#demandsCertificates = options.clientCertAuth || options.trustedCaFile !== '';
    const { certFile, keyFile, clientCertFile, clientKeyFile, trustedCaFile, allowedCommonNames, allowedHostnames } = options;
    if (certFile === '' || keyFile === '') {
      throw new TlsFilesError(`KeyFile and CertFile must both be present[key: ${keyFile}, cert: ${certFile}]`);
    }
    if ((clientCertFile === '') !== (clientKeyFile === '')) {
      throw new TlsFilesError(
        `ClientKeyFile and ClientCertFile must both be present or both absent: key: ${clientKeyFile}, cert: ${clientCertFile}]`,
      );
    }
    if (allowedCommonNames.length > 0 && allowedHostnames.length > 0) {
      throw new TlsFilesError(
        `AllowedCNs and AllowedHostnames are mutually exclusive (cns=[${allowedCommonNames.join(' ')}], hostnames=[${allowedHostnames.join(' ')}])`,
      );
    }
    this.#watched = [...new Set([certFile, keyFile, clientCertFile, clientKeyFile, trustedCaFile])].filter((f) => f !== '');
    this.#stamp = stampOf(this.#watched);
    this.#material = this.#read();
  }

  /**
   * For one listener. With `sanLookup` a client's certificate must name the address it comes from, as etcd asks of peers and of metrics ports.
   */
  listenerTls(sanLookup?: LookupFunction): FilesListenerTls {
    let used = this.#current();
    return {
      options: { ...used.server, requestCert: this.#demandsCertificates, rejectUnauthorized: false },
      refresh: () => {
        const now = this.#current();
        if (now === used) return undefined;
        used = now;
        return now.server;
      },
      verify: (socket) => this.#verify(socket, sanLookup),
    };
  }

  /** For a connection that this member opens: its certificate, and whom it believes. Ask anew for each connection. */
  dialOptions(): ConnectionOptions {
    return {
      ...this.#current().dial,
      rejectUnauthorized: !this.#o.selfSigned,
      // Alternative names alone count, as everywhere here.
      checkServerIdentity: (host, cert) =>
        cert.subjectaltname === undefined
          ? new Error('x509: certificate relies on legacy Common Name field, use SANs instead')
          : checkServerIdentity(host, cert),
    };
  }

  /**
   * After the handshake of a connection this member opened: a text refuses the server, whose certificate is revoked or not for one of the allowed
   * names. With `host` also the chain and the name are looked at here, where Node has refused them and was told to go on: a certificate whose
   * issuer has its own name seems to have signed itself when no key ids tell them apart.
   */
  verifyServer(socket: TLSSocket, host?: string): string | undefined {
    // In this order: on a client's side Node gives the certificate away with the object, and knows none afterwards.
    const common = commonNames(socket);
    const certificate = socket.getPeerX509Certificate();
    if (host !== undefined && !socket.authorized && !this.#o.selfSigned) {
      if (!isNamesake(socket)) return String(socket.authorizationError ?? 'unauthorized');
      if (certificate === undefined || !issuedBy(this.#current().authorities, certificate, serverAuth)) return 'self-signed certificate';
      if (!names(certificate, host)) return `x509: certificate is not valid for ${host}`;
    }
    if (certificate !== undefined && !this.#hasAllowedName(common, certificate)) return notAllowed;
    return this.#revocation(certificate);
  }

  #current(): Material {
    const stamp = stampOf(this.#watched);
    if (stamp === this.#stamp && stamp !== '') return this.#material;
    this.#stamp = stamp;
    const { log, certFile, keyFile, trustedCaFile } = this.#o;
    const paths = { 'cert-file': certFile, 'key-file': keyFile, 'trusted-ca-file': trustedCaFile };
    try {
      const next = this.#read(this.#material);
      if (next !== this.#material) {
        this.#material = next;
        log.info('reloaded TLS files', paths);
      }
      this.#failure = '';
    } catch (error) {
      const { message } = error as Error;
      if (message !== this.#failure) log.warn('failed to reload TLS files; the former ones stay in use', { ...paths, error });
      this.#failure = message;
    }
    return this.#material;
  }

  /** `former` itself when the files hold the same. */
  #read(former?: Material): Material {
    const { certFile, keyFile, clientCertFile, clientKeyFile, trustedCaFile, ciphers, minVersion, maxVersion } = this.#o;
    const cert = readPem(certFile);
    const key = readPem(keyFile);
    const own = clientCertFile !== '';
    const clientCert = own ? readPem(clientCertFile) : cert;
    const clientKey = own ? readPem(clientKeyFile) : key;
    const trusted = trustedCaFile === '' ? undefined : readAuthorities(trustedCaFile);
    const ca = trusted?.bytes;
    const hash = createHash('sha256');
    for (const part of [cert, key, clientCert, clientKey, ca ?? '']) hash.update(String(part.length)).update(':').update(part);
    const fingerprint = hash.digest('hex');
    if (fingerprint === former?.fingerprint) return former;
    const common: SecureContextOptions & { allowPartialTrustChain: boolean } = {
      ciphers,
      minVersion,
      ...(maxVersion === undefined ? {} : { maxVersion }),
      ...(ca === undefined ? {} : { ca }),
      // Any certificate of the bundle is believed, as Go does.
      allowPartialTrustChain: true,
    };
    const server: SecureContextOptions = {
      ...common,
      cert,
      key,
      honorCipherOrder: true,
      // A resumed session would not be verified again: against authorities that changed, or a certificate that expired meanwhile.
      ...(this.#demandsCertificates ? { secureOptions: constants.SSL_OP_NO_TICKET } : {}),
    };
    const dial: SecureContextOptions = { ...common, cert: clientCert, key: clientKey };
    checkContext(server);
    if (own) checkContext(dial);
    return { server, dial, authorities: trusted?.authorities ?? [], fingerprint };
  }

  #verify(socket: TLSSocket, sanLookup: LookupFunction | undefined): string | undefined | Promise<string | undefined> {
    if (!this.#demandsCertificates) return undefined;
    const certificate = socket.getPeerX509Certificate();
    if (certificate === undefined) return "tls: client didn't provide a certificate";
    if (!socket.authorized && !(isNamesake(socket) && issuedBy(this.#current().authorities, certificate, clientAuth)))
      return `tls: failed to verify certificate: ${chainWords(socket, certificate)}`;
    if (!this.#hasAllowedName(commonNames(socket), certificate)) return notAllowed;
    const revoked = this.#revocation(certificate);
    if (revoked !== undefined || sanLookup === undefined) return revoked;
    return sanMismatch(certificate, socket.remoteAddress, sanLookup);
  }

  #hasAllowedName(common: readonly string[], certificate: X509Certificate): boolean {
    const { allowedCommonNames, allowedHostnames } = this.#o;
    if (allowedCommonNames.length > 0 && !common.some((n) => allowedCommonNames.includes(n))) return false;
    return allowedHostnames.length === 0 || allowedHostnames.some((n) => names(certificate, n));
  }

  #revocation(certificate: X509Certificate | undefined): string | undefined {
    const { crlFile } = this.#o;
    if (crlFile === '' || certificate === undefined) return undefined;
    try {
      const stamp = stampOf([crlFile]);
      if (stamp === '' || stamp !== this.#crlStamp) {
        this.#crlStamp = '';
        this.#revoked = revokedSerials(readFile(crlFile, crlBytesMax));
        this.#crlStamp = stamp;
      }
    } catch (error) {
      return (error as Error).message;
    }
    let at: X509Certificate | undefined = certificate;
    for (let i = 0; at !== undefined && i < chainMax; i++, at = at.issuerCertificate) {
      const serial = normalSerial(at.serialNumber);
      if (this.#revoked.has(serial)) return `transport: certificate serial ${BigInt(`0x${serial}`)} revoked`;
    }
    return undefined;
  }
}

const notAllowed = 'client certificate authentication failed';

/** Identity and times of files; empty when one of them is missing or too fresh to be told from its next state. */
function stampOf(paths: readonly string[]): string {
  let stamp = '';
  const fresh = Date.now() - racyMs;
  for (const path of paths) {
    const s = statSync(path, { throwIfNoEntry: false });
    if (s === undefined || s.ctimeMs > fresh) return '';
    stamp += `${s.dev}:${s.ino}:${s.size}:${s.mtimeMs}:${s.ctimeMs} `;
  }
  return stamp;
}

/** @throws TlsFilesError with Go's words */
function readFile(path: string, bytesMax: number): Buffer {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const reasons: Readonly<Record<string, string>> = {
      ENOENT: 'no such file or directory',
      EACCES: 'permission denied',
      EISDIR: 'is a directory',
    };
    throw new TlsFilesError(`open ${path}: ${reasons[code ?? ''] ?? code}`);
  }
  if (bytes.length > bytesMax) throw new TlsFilesError(`${path}: larger than ${bytesMax} bytes`);
  return bytes;
}

function readPem(path: string): Buffer {
  return readFile(path, pemBytesMax);
}

/** A bundle of authorities, each of them checked: OpenSSL would skip what it cannot read. */
function readAuthorities(path: string): { readonly bytes: Buffer; readonly authorities: X509Certificate[] } {
  const bytes = readPem(path);
  const blocks = bytes.toString('latin1').match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
  if (blocks.length === 0) throw new TlsFilesError(`${path}: no certificate of an authority in it`);
  const authorities = blocks.map((block) => {
    try {
      const authority = new X509Certificate(block);
      void authority.serialNumber;
      return authority;
    } catch (error) {
      throw new TlsFilesError(`${path}: x509: malformed certificate: ${(error as Error).message}`);
    }
  });
  return { bytes, authorities };
}

const serverAuth = '1.3.6.1.5.5.7.3.1';
const clientAuth = '1.3.6.1.5.5.7.3.2';
const anyUsage = '2.5.29.37.0';
/** Object ids of signatures by MD5 and SHA-1, as they stand in a certificate. Go believes none of them either. */
const brokenSignatures = ['06092a864886f70d010104', '06092a864886f70d010105', '06072a8648ce3d0401'].map((hex) => Buffer.from(hex, 'hex'));

/** Whether Node's only objection is that a certificate seems to have signed itself. */
function isNamesake(socket: TLSSocket): boolean {
  return String(socket.authorizationError ?? '') === 'DEPTH_ZERO_SELF_SIGNED_CERT';
}

/** Whether one of `authorities` signed the certificate itself, both are valid now and may be used so. OpenSSL goes by names, Go by signatures. */
function issuedBy(authorities: readonly X509Certificate[], certificate: X509Certificate, usage: string): boolean {
  const now = Date.now();
  const usable = (c: X509Certificate): boolean => {
    // Despite its name, this is the extended key usage.
    const usages = c.keyUsage as readonly string[] | undefined;
    return (
      Date.parse(c.validFrom) <= now &&
      now <= Date.parse(c.validTo) &&
      (usages === undefined || usages.length === 0 || usages.includes(usage) || usages.includes(anyUsage))
    );
  };
  if (!usable(certificate) || brokenSignatures.some((id) => certificate.raw.includes(id))) return false;
  return authorities.some((a) => a.ca && a.subject === certificate.issuer && usable(a) && certificate.verify(a.publicKey));
}

function checkContext(options: SecureContextOptions): void {
  try {
    createSecureContext(options);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ERR_OSSL_X509_KEY_VALUES_MISMATCH') throw new TlsFilesError('tls: private key does not match public key');
    if (code === 'ERR_OSSL_X509_KEY_TYPE_MISMATCH') throw new TlsFilesError('tls: private key type does not match public key type');
    if (code === 'ERR_OSSL_PEM_NO_START_LINE') {
      throw new TlsFilesError('tls: failed to find certificate or key PEM data in certificate or key input');
    }
    throw new TlsFilesError(`tls: ${message}`);
  }
}

function chainWords(socket: TLSSocket, certificate: X509Certificate): string {
  const code = String(socket.authorizationError ?? '');
  if (/EXPIRED|NOT_YET_VALID/.test(code)) {
    const now = new Date();
    const [word, bound] =
      Date.parse(certificate.validFrom) > now.getTime() ? ['before', certificate.validFrom] : ['after', certificate.validTo];
    return `x509: certificate has expired or is not yet valid: current time ${second(now)} is ${word} ${second(new Date(bound))}`;
  }
  if (code === 'INVALID_PURPOSE') return 'x509: certificate specifies an incompatible key usage';
  if (/INVALID_CA|PATH_LENGTH/.test(code)) return 'x509: invalid certificate authority in the chain';
  return 'x509: certificate signed by unknown authority';
}

function second(date: Date): string {
  return date.toISOString().replace(/\.\d+Z$/, 'Z');
}

function commonNames(socket: TLSSocket): readonly string[] {
  const name: unknown = socket.getPeerCertificate().subject?.CN;
  return Array.isArray(name) ? (name as string[]) : typeof name === 'string' ? [name] : [];
}

/** By alternative names only; a common name is no host name. */
function names(certificate: X509Certificate, host: string): boolean {
  return isIP(host) === 0 ? certificate.checkHost(host, { subject: 'never' }) !== undefined : certificate.checkIP(host) !== undefined;
}

/** etcd's check of a certificate that names hosts or addresses against where the connection comes from. */
async function sanMismatch(certificate: X509Certificate, remote: string | undefined, lookup: LookupFunction): Promise<string | undefined> {
  const { addresses, hosts } = alternativeNames(certificate.subjectAltName);
  if (addresses.length === 0 && hosts.length === 0) return undefined;
  if (remote === undefined) return 'tls: a certificate with names needs an address to compare them with';
  const address = remote.replace(/^::ffff:(?=\d+\.)/, '');
  if (addresses.length > 0) {
    if (certificate.checkIP(address) !== undefined) return undefined;
    if (hosts.length === 0) return `x509: certificate is valid for ${addresses.join(', ')}, not ${address}`;
  }
  const plain = hosts.filter((h) => !h.startsWith('*.'));
  const suffixes = hosts.filter((h) => h.startsWith('*.')).map((h) => h.slice(1));
  let failure = '';
  try {
    for (const found of await dns.reverse(address)) {
      const name = found.replace(/\.$/, '');
      if (plain.includes(name) || suffixes.some((s) => name.endsWith(s))) return undefined;
    }
  } catch (error) {
    failure = (error as Error).message;
  }
  for (const host of plain) {
    const answer = await new Promise<readonly LookupAddress[] | Error>((resolve) =>
      lookup(host, { all: true }, (error, found) => resolve(error ?? (found as LookupAddress[]))),
    );
    if (answer instanceof Error) failure = answer.message;
    else if (answer.some((a) => a.address === address)) return undefined;
  }
  const shown = hosts.map((h) => JSON.stringify(h)).join(' ');
  return `tls: ${JSON.stringify(address)} does not match any of DNSNames [${shown}]${failure === '' ? '' : ` (${failure})`}`;
}

/** Node's text, such as `DNS:a, IP Address:1.2.3.4`; names with odd characters are quoted in it. */
export function alternativeNames(text: string | undefined): { readonly addresses: readonly string[]; readonly hosts: readonly string[] } {
  const addresses: string[] = [];
  const hosts: string[] = [];
  for (const m of (text ?? '').matchAll(/(DNS|IP Address):("(?:[^"\\]|\\.)*"|[^,]*)/g)) {
    const raw = m[2] ?? '';
    const value = raw.startsWith('"') ? (JSON.parse(raw) as string) : raw;
    (m[1] === 'DNS' ? hosts : addresses).push(value);
  }
  return { addresses, hosts };
}

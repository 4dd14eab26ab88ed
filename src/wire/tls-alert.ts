/**
 * The last word of a side that refuses the other's certificate. Node looks at certificates when the handshake is over and can then only cut the
 * connection: the other reads an end of file and its operator wonders. Go's programs say why, with an alert, and so does this: TLS 1.3
 * lets either side send one any time, as a record under its application key (RFC 8446 §5.2, §6.2, §7.3).
 */
import { createCipheriv, createHmac } from 'node:crypto';
import type { TLSSocket } from 'node:tls';

/** Descriptions of alerts. */
const badCertificate = 42;
const certificateExpired = 45;
const unknownCa = 48;
const certificateRequired = 116;

const fatal = 2;
const alertRecord = 21;
const applicationData = 23;
const tagBytes = 16;
const nonceBytes = 12;
/** Session tickets follow the handshake, a record each: OpenSSL sends two, or one on a resumed session. */
const ticketRecords = 2;
const ticketRecordsResumed = 1;

interface Suite {
  readonly cipher: 'aes-128-gcm' | 'aes-256-gcm' | 'chacha20-poly1305';
  readonly keyBytes: number;
  readonly hash: 'sha256' | 'sha384';
}

const suites: ReadonlyMap<string, Suite> = new Map([
  ['TLS_AES_128_GCM_SHA256', { cipher: 'aes-128-gcm', keyBytes: 16, hash: 'sha256' }],
  ['TLS_AES_256_GCM_SHA384', { cipher: 'aes-256-gcm', keyBytes: 32, hash: 'sha384' }],
  ['TLS_CHACHA20_POLY1305_SHA256', { cipher: 'chacha20-poly1305', keyBytes: 32, hash: 'sha256' }],
]);

/** A side's first application secret, when this line of a key log (NSS format) holds it. */
export function secretOf(line: Buffer, side: 'CLIENT' | 'SERVER'): Buffer | undefined {
  const m = /^(CLIENT|SERVER)_TRAFFIC_SECRET_0 [0-9a-f]+ ([0-9a-f]+)/.exec(line.toString('latin1'));
  return m?.[1] === side ? Buffer.from(m[2] as string, 'hex') : undefined;
}

/** What a server that has sent nothing but its handshake says last. Undefined without TLS 1.3. */
export function serverAlert(socket: TLSSocket, secret: Uint8Array): Buffer | undefined {
  return alertAfterHandshake(socket, secret, alertOf(socket), socket.isSessionReused() ? ticketRecordsResumed : ticketRecords);
}

/** The same of a client that refuses the server's certificate and has sent nothing yet. */
export function clientAlert(socket: TLSSocket, secret: Uint8Array): Buffer | undefined {
  return alertAfterHandshake(socket, secret, badCertificate, 0);
}

/** The record that carries a fatal alert, after `sequence` other records under the same key. */
function alertAfterHandshake(socket: TLSSocket, secret: Uint8Array, alert: number, sequence: number): Buffer | undefined {
  if (socket.getProtocol() !== 'TLSv1.3') return undefined;
  const suite = suites.get(socket.getCipher().standardName);
  if (suite === undefined) return undefined;
  const key = expandLabel(suite.hash, secret, 'key', suite.keyBytes);
  // The nonce is the sequence number of the record, xor the connection's.
  const nonce = expandLabel(suite.hash, secret, 'iv', nonceBytes);
  nonce[nonceBytes - 1] = (nonce[nonceBytes - 1] as number) ^ sequence;
  const inner = Buffer.from([fatal, alert, alertRecord]);
  const header = Buffer.from([applicationData, 3, 3, 0, inner.length + tagBytes]);
  // The types tell ciphers apart by their literal names; the call is the same for all three.
  const cipher = createCipheriv(suite.cipher as 'chacha20-poly1305', key, nonce, { authTagLength: tagBytes });
  cipher.setAAD(header, { plaintextLength: inner.length });
  const sealed = [cipher.update(inner), cipher.final()];
  return Buffer.concat([header, ...sealed, cipher.getAuthTag()]);
}

/** The alert for a client whose certificate is refused, as Go chooses it. */
function alertOf(socket: TLSSocket): number {
  if (socket.getPeerX509Certificate() === undefined) return certificateRequired;
  if (socket.authorized) return badCertificate;
  const code = String(socket.authorizationError ?? '');
  if (/EXPIRED|NOT_YET_VALID/.test(code)) return certificateExpired;
  return /ISSUER|SELF_SIGNED|LEAF_SIGNATURE|UNTRUSTED/.test(code) ? unknownCa : badCertificate;
}

/** HKDF-Expand-Label with an empty context, for what fits one block of the hash. */
function expandLabel(hash: string, secret: Uint8Array, label: string, bytes: number): Buffer {
  const name = Buffer.from(`tls13 ${label}`, 'latin1');
  const info = Buffer.concat([Buffer.from([bytes >> 8, bytes & 0xff, name.length]), name, Buffer.from([0, 1])]);
  return createHmac(hash, secret).update(info).digest().subarray(0, bytes);
}

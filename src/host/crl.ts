/** Certificate revocation lists: just the serial numbers, by a strict walk of the DER. Signature and dates are left aside, as etcd does. */

/** Lists larger than this are refused. Some 25,000 revoked certificates fit in a MiB. */
export const crlBytesMax = 16 * 1024 * 1024;

interface Value {
  readonly tag: number;
  /** Bounds of the content. */
  readonly from: number;
  readonly to: number;
}

const sequence = 0x30;
const integer = 0x02;
const utcTime = 0x17;
const generalizedTime = 0x18;
const bitString = 0x03;

/** Serial numbers in upper-case hex without leading zeros. PEM (one list) or DER. @throws Error `x509: malformed crl` */
export function revokedSerials(file: Uint8Array): ReadonlySet<string> {
  const der = derOf(Buffer.from(file.buffer, file.byteOffset, file.byteLength));
  const list = valueAt(der, 0, der.length);
  if (list.tag !== sequence || list.to !== der.length) throw malformed();
  const [body, algorithm, signature] = children(der, list);
  if (body?.tag !== sequence || algorithm?.tag !== sequence || signature?.tag !== bitString) throw malformed();
  const fields = children(der, body);
  let i = fields[0]?.tag === integer ? 1 : 0;
  // Algorithm, issuer, this update, next update.
  if (fields[i++]?.tag !== sequence || fields[i++]?.tag !== sequence || !isTime(fields[i++])) throw malformed();
  if (isTime(fields[i])) i++;
  const serials = new Set<string>();
  const entries = fields[i];
  if (entries?.tag !== sequence) return serials;
  for (const entry of children(der, entries)) {
    const serial = entry.tag === sequence ? children(der, entry)[0] : undefined;
    if (serial?.tag !== integer || serial.to === serial.from) throw malformed();
    serials.add(normalSerial(der.toString('hex', serial.from, serial.to)));
  }
  return serials;
}

export function normalSerial(hex: string): string {
  return hex.toUpperCase().replace(/^0+(?=.)/, '');
}

function derOf(file: Buffer): Buffer {
  if (file.length > crlBytesMax) throw malformed();
  if (file[0] === sequence) return file;
  const m = /-----BEGIN X509 CRL-----([A-Za-z0-9+/=\s]*)-----END X509 CRL-----/.exec(file.toString('latin1'));
  if (m === null) throw malformed();
  return Buffer.from(m[1] ?? '', 'base64');
}

function isTime(value: Value | undefined): boolean {
  return value?.tag === utcTime || value?.tag === generalizedTime;
}

function children(der: Buffer, parent: Value): Value[] {
  const out: Value[] = [];
  for (let at = parent.from; at < parent.to;) {
    const value = valueAt(der, at, parent.to);
    out.push(value);
    at = value.to;
  }
  return out;
}

function valueAt(der: Buffer, at: number, end: number): Value {
  const tag = der[at];
  const first = der[at + 1];
  if (tag === undefined || first === undefined || at + 2 > end || (tag & 0x1f) === 0x1f) throw malformed();
  let from = at + 2;
  let length = first;
  if (first >= 0x80) {
    const n = first & 0x7f;
    if (n === 0 || n > 4 || from + n > end) throw malformed();
    length = der.readUIntBE(from, n);
    from += n;
  }
  if (from + length > end) throw malformed();
  return { tag, from, to: from + length };
}

function malformed(): Error {
  return new Error('x509: malformed crl');
}

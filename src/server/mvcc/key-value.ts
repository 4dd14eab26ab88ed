/**
 * The stored row: `mvccpb.KeyValue` bytes, written by hand because a put is the hottest path there is, and read only as far as needed.
 *
 *     field            tag    value
 *     key              0x0a   length, bytes
 *     create_revision  0x10   varint
 *     mod_revision     0x18   varint
 *     version          0x20   varint
 *     value            0x2a   length, bytes     left out when empty
 *     lease            0x30   varint (64 bits)  left out when 0
 *
 * Fields stand in this order, as etcd writes them: hashes cover these bytes, so they must be equal on every member. A tombstone row has the key
 * alone. A row may be empty: etcd's restore with a revision bump leaves one.
 */
import { asBuffer } from '../../base/bytes.ts';

const tagKey = 0x0a;
const tagCreateRevision = 0x10;
const tagModRevision = 0x18;
const tagVersion = 0x20;
const tagValue = 0x2a;
const tagLease = 0x30;

/** Length of a revision key without the tombstone mark. */
export const revisionKeyBytes = 17;

/** One row; the result is a new buffer that nobody changes. */
export function encodeKeyValue(
  key: Uint8Array,
  createRevision: number,
  modRevision: number,
  version: number,
  value: Uint8Array,
  lease: bigint,
): Uint8Array {
  const keyLength = key.length;
  const valueLength = value.length;
  let size = 4 + varintSize(keyLength) + keyLength + varintSize(createRevision) + varintSize(modRevision) + varintSize(version);
  if (valueLength !== 0) size += 1 + varintSize(valueLength) + valueLength;
  if (lease !== 0n) size += 1 + bigVarintSize(lease);
  const out = Buffer.allocUnsafe(size);
  out[0] = tagKey;
  let p = putVarint(out, 1, keyLength);
  out.set(key, p);
  p += keyLength;
  out[p] = tagCreateRevision;
  p = putVarint(out, p + 1, createRevision);
  out[p] = tagModRevision;
  p = putVarint(out, p + 1, modRevision);
  out[p] = tagVersion;
  p = putVarint(out, p + 1, version);
  if (valueLength !== 0) {
    out[p] = tagValue;
    p = putVarint(out, p + 1, valueLength);
    out.set(value, p);
    p += valueLength;
  }
  if (lease !== 0n) {
    out[p] = tagLease;
    putBigVarint(out, p + 1, lease);
  }
  return out;
}

/** The row of a delete: the key alone. */
export function encodeTombstone(key: Uint8Array): Uint8Array {
  const out = Buffer.allocUnsafe(1 + varintSize(key.length) + key.length);
  out[0] = tagKey;
  out.set(key, putVarint(out, 1, key.length));
  return out;
}

/** What a watcher sees of a delete: key and mod_revision. */
export function encodeDeleteEvent(key: Uint8Array, modRevision: number): Uint8Array {
  const out = Buffer.allocUnsafe(2 + varintSize(key.length) + key.length + varintSize(modRevision));
  out[0] = tagKey;
  let p = putVarint(out, 1, key.length);
  out.set(key, p);
  p += key.length;
  out[p] = tagModRevision;
  putVarint(out, p + 1, modRevision);
  return out;
}

/** Fields of a row before its value. One object is reused by each reader. */
export class RowFields {
  createRevision = 0;
  modRevision = 0;
  version = 0;
}

/** Reads the revisions and the version of a put's row; stops before the value. */
export function readRowFields(row: Uint8Array, into: RowFields): void {
  into.createRevision = 0;
  into.modRevision = 0;
  into.version = 0;
  const end = row.length;
  let p = 0;
  while (p < end) {
    const tag = row[p++];
    if (tag === tagKey) {
      const length = getVarint(row, p);
      p = varintEnd + length;
    } else if (tag === tagCreateRevision) {
      into.createRevision = getVarint(row, p);
      p = varintEnd;
    } else if (tag === tagModRevision) {
      into.modRevision = getVarint(row, p);
      p = varintEnd;
    } else if (tag === tagVersion) {
      into.version = getVarint(row, p);
      p = varintEnd;
    } else return;
  }
}

/** A view of the row's key; empty for an empty row. */
export function rowKey(row: Uint8Array): Uint8Array {
  if (row.length === 0 || row[0] !== tagKey) return row.subarray(0, 0);
  const length = getVarint(row, 1);
  return row.subarray(varintEnd, varintEnd + length);
}

/** The row's key, one character a byte. */
export function rowKeyText(row: Uint8Array): string {
  if (row.length === 0 || row[0] !== tagKey) return '';
  const length = getVarint(row, 1);
  return asBuffer(row).latin1Slice(varintEnd, varintEnd + length);
}

/** A revision as etcd's `key` bucket spells it: 8 bytes main, `_`, 8 bytes sub, and `t` for a tombstone. */
export function encodeRevisionKey(main: number, sub: number, tombstone = false): Uint8Array {
  const out = Buffer.allocUnsafe(tombstone ? revisionKeyBytes + 1 : revisionKeyBytes);
  writeRevisionKey(out, main, sub);
  if (tombstone) out[revisionKeyBytes] = 0x74;
  return out;
}

/** Writes the 17 bytes common to both kinds. */
export function writeRevisionKey(out: Buffer, main: number, sub: number): void {
  out.writeUInt32BE(Math.floor(main / two32), 0);
  out.writeUInt32BE(main % two32, 4);
  out[8] = 0x5f;
  out.writeUInt32BE(Math.floor(sub / two32), 9);
  out.writeUInt32BE(sub % two32, 13);
}

/** The main revision of a revision key; undefined when it is too short. */
export function revisionKeyMain(key: Uint8Array): number | undefined {
  if (key.length < revisionKeyBytes) return undefined;
  const b = asBuffer(key);
  return b.readUInt32BE(0) * two32 + b.readUInt32BE(4);
}

const two32 = 4294967296;

/** Where the varint read last ended: a second result without an object. */
let varintEnd = 0;

function getVarint(b: Uint8Array, p: number): number {
  let byte = b[p++] ?? 0;
  if (byte < 128) {
    varintEnd = p;
    return byte;
  }
  let v = byte & 127;
  let scale = 128;
  do {
    byte = b[p++] ?? 0;
    v += (byte & 127) * scale;
    scale *= 128;
  } while (byte >= 128);
  varintEnd = p;
  return v;
}

function varintSize(v: number): number {
  if (v < 128) return 1;
  if (v < 16384) return 2;
  if (v < 2097152) return 3;
  if (v < 268435456) return 4;
  let n = 4;
  for (let rest = Math.floor(v / 268435456); rest > 0; rest = Math.floor(rest / 128)) n++;
  return n;
}

function putVarint(b: Uint8Array, p: number, v: number): number {
  while (v >= 2147483648) {
    b[p++] = (v % 128) | 128;
    v = Math.floor(v / 128);
  }
  while (v > 127) {
    b[p++] = (v & 127) | 128;
    v >>>= 7;
  }
  b[p++] = v;
  return p;
}

function bigVarintSize(v: bigint): number {
  let n = 1;
  for (let rest = BigInt.asUintN(64, v) >> 7n; rest > 0n; rest >>= 7n) n++;
  return n;
}

function putBigVarint(b: Uint8Array, p: number, v: bigint): number {
  const u = BigInt.asUintN(64, v);
  let lo = Number(u & 0xffffffffn);
  let hi = Number(u >> 32n);
  while (hi !== 0 || lo > 127) {
    b[p++] = (lo & 127) | 128;
    lo = ((lo >>> 7) | (hi << 25)) >>> 0;
    hi >>>= 7;
  }
  b[p++] = lo;
  return p;
}

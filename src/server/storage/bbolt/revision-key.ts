/**
 * Keys of the bucket `key`: main revision u64 big-endian, `_`, sub revision u64 big-endian, and `t` behind the key of a tombstone.
 * They sort as their revisions do.
 */
import type { Revision } from '../backend.ts';

export const revisionKeyBytes = 17;
export const tombstoneKeyBytes = 18;

const separator = 0x5f;
const tombstoneMark = 0x74;

/** Writes all 18 bytes; the mark counts for a tombstone only. */
export function writeRevisionKey(b: Buffer, main: number, sub: number): void {
  b.writeUInt32BE(Math.floor(main / 0x100000000), 0);
  b.writeUInt32BE(main % 0x100000000, 4);
  b[8] = separator;
  b.writeUInt32BE(Math.floor(sub / 0x100000000), 9);
  b.writeUInt32BE(sub % 0x100000000, 13);
  b[17] = tombstoneMark;
}

export function revisionKey(main: number, sub: number): Buffer {
  const b = Buffer.alloc(tombstoneKeyBytes);
  writeRevisionKey(b, main, sub);
  return b.subarray(0, revisionKeyBytes);
}

/** Undefined for what is no revision key, or beyond 2^53. */
export function parseRevisionKey(key: Uint8Array): (Revision & { readonly tombstone: boolean }) | undefined {
  const tombstone = key.length === tombstoneKeyBytes;
  if (key.length !== revisionKeyBytes && !tombstone) return undefined;
  if (key[8] !== separator || (tombstone && key[17] !== tombstoneMark)) return undefined;
  const b = new DataView(key.buffer, key.byteOffset, key.length);
  const main = b.getUint32(0) * 0x100000000 + b.getUint32(4);
  const sub = b.getUint32(9) * 0x100000000 + b.getUint32(13);
  return Number.isSafeInteger(main) && Number.isSafeInteger(sub) ? { main, sub, tombstone } : undefined;
}

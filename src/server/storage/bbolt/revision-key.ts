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
  if (!isRevisionKey(key, 0, key.length)) return undefined;
  return { main: u64At(key, 0), sub: u64At(key, 9), tombstone: key.length === tombstoneKeyBytes };
}

/** Whether `bytes` bytes at `at` are a revision key, up to 2^53. */
export function isRevisionKey(b: Uint8Array, at: number, bytes: number): boolean {
  const tombstone = bytes === tombstoneKeyBytes;
  if (bytes !== revisionKeyBytes && !tombstone) return false;
  if (b[at + 8] !== separator || (tombstone && b[at + 17] !== tombstoneMark)) return false;
  return Number.isSafeInteger(u64At(b, at)) && Number.isSafeInteger(u64At(b, at + 9));
}

export function revisionMain(b: Uint8Array, at: number): number {
  return u64At(b, at);
}

export function revisionSub(b: Uint8Array, at: number): number {
  return u64At(b, at + 9);
}

/** Big-endian; beyond 2^53 inexact. */
function u64At(b: Uint8Array, at: number): number {
  return u32At(b, at) * 0x100000000 + u32At(b, at + 4);
}

function u32At(b: Uint8Array, at: number): number {
  return (((b[at] as number) << 24) | ((b[at + 1] as number) << 16) | ((b[at + 2] as number) << 8) | (b[at + 3] as number)) >>> 0;
}

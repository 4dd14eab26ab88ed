/**
 * The bbolt file format, version 2, as far as etcd uses it. All numbers are little-endian; a page is 4096 bytes where we write.
 *
 *   page      0 id u64 | 8 flags u16 | 10 count u16 | 12 overflow u32 (further pages of this run) | 16 elements, then their keys and values
 *   leaf      0 flags u32 (1: the value is a bucket) | 4 pos u32 (of the key, from this element on) | 8 ksize u32 | 12 vsize u32; the value
 *             follows the key
 *   branch    0 pos u32 | 4 ksize u32 | 8 page u64; the key is the first one of the child
 *   bucket    0 root page u64, 0 for an inline bucket | 8 sequence u64 | 16 an inline bucket's leaf page
 *   meta      at 16 of pages 0 and 1: 0 magic u32 | 4 version u32 | 8 page size u32 | 12 flags u32 | 16 root page u64 | 24 sequence u64 |
 *             32 freelist page u64 | 40 pages in use u64 | 48 transaction id u64 | 56 checksum u64: FNV-1a of the 56 bytes before
 *
 * The meta page with the higher transaction id counts when its checksum is right. A freelist page of all ones: none is stored, free pages are
 * the ones that nothing refers to (what etcd does on Linux).
 */
export const pageBytes = 4096;
export const pageHeaderBytes = 16;
export const elementBytes = 16;
export const bucketHeaderBytes = 16;
export const metaBytes = 64;

export const PageFlag = { branch: 0x01, leaf: 0x02, meta: 0x04, freelist: 0x10 } as const;
export const bucketLeafFlag = 0x01;

const magic = 0xed0cdaed;
const version = 2;
const checksumAt = 56;
/** Marks a file whose freelist is not stored. */
const noFreelist = 0xffffffffffffffffn;

export interface Meta {
  readonly pageBytes: number;
  readonly root: number;
  /** Number of the first page behind the ones in use. */
  readonly pages: number;
  readonly txid: bigint;
}

export function writePageHeader(
  b: Buffer,
  at: number,
  page: { readonly id: number; readonly flags: number; readonly count: number; readonly overflow: number },
): void {
  writeU64(b, at, page.id);
  b.writeUInt16LE(page.flags, at + 8);
  b.writeUInt16LE(page.count, at + 10);
  b.writeUInt32LE(page.overflow, at + 12);
}

/** A whole meta page. */
export function encodeMetaPage(id: number, meta: Meta): Buffer {
  const b = Buffer.alloc(meta.pageBytes);
  writePageHeader(b, 0, { id, flags: PageFlag.meta, count: 0, overflow: 0 });
  const at = pageHeaderBytes;
  b.writeUInt32LE(magic, at);
  b.writeUInt32LE(version, at + 4);
  b.writeUInt32LE(meta.pageBytes, at + 8);
  writeU64(b, at + 16, meta.root);
  b.writeBigUInt64LE(noFreelist, at + 32);
  writeU64(b, at + 40, meta.pages);
  b.writeBigUInt64LE(meta.txid, at + 48);
  b.writeBigUInt64LE(fnv1a64(b, at, at + checksumAt), at + checksumAt);
  return b;
}

/** Why bytes are no meta page. */
export type MetaProblem = 'not a bbolt file' | 'unknown version' | 'wrong checksum';

/** Reads the meta at `at`, behind the page header. Values beyond 2^53 come out as such and fail later checks. */
export function decodeMeta(b: Buffer, at: number): Meta | MetaProblem {
  if (at + metaBytes > b.length || b.readUInt32LE(at) !== magic) return 'not a bbolt file';
  if (b.readUInt32LE(at + 4) !== version) return 'unknown version';
  if (b.readBigUInt64LE(at + checksumAt) !== fnv1a64(b, at, at + checksumAt)) return 'wrong checksum';
  return { pageBytes: b.readUInt32LE(at + 8), root: readU64(b, at + 16), pages: readU64(b, at + 40), txid: b.readBigUInt64LE(at + 48) };
}

export function writeU64(b: Buffer, at: number, value: number): void {
  b.writeUInt32LE(value % 0x100000000, at);
  b.writeUInt32LE(Math.floor(value / 0x100000000), at + 4);
}

/** Above 2^53 inexact: no page number of a real file is. */
export function readU64(b: Buffer, at: number): number {
  return b.readUInt32LE(at) + b.readUInt32LE(at + 4) * 0x100000000;
}

/** FNV-1a, 64 bits. Slow; for some dozens of bytes. */
export function fnv1a64(b: Uint8Array, from: number, to: number): bigint {
  let hash = 0xcbf29ce484222325n;
  for (let i = from; i < to; i++) hash = BigInt.asUintN(64, (hash ^ BigInt(b[i] as number)) * 0x100000001b3n);
  return hash;
}

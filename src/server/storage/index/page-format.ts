/**
 * The index file, byte by byte. Little-endian throughout. Derived data: everything in it can be rebuilt from the revision log.
 *
 * `index.pages` is an array of slots of 4096 bytes. Pages have logical numbers; the page table (in `index.ckpt`) says in which slot a page
 * lies and what its CRC-32 is (over all 4096 bytes; `zlib.crc32`, native and thrice as fast on 4 KiB as CRC-32C in JS). A page that changed
 * since the last checkpoint goes to a slot that this checkpoint does not use, so the checkpoint stays whole until the next one is durable.
 *
 * Page header, 16 bytes:
 *
 *   0 u32  page number (catches misdirected writes)
 *   4 u8   type: 1 leaf, 2 branch, 3 overflow, 4 bitmap
 *   5 u8   0
 *   6 u16  leaf, branch: number of cells; overflow: bytes used
 *   8 u16  leaf, branch: start of the cell area (4096 when empty)
 *  10 u16  leaf, branch: bytes of dead cells inside the cell area
 *  12 u32  overflow: next page of the chain, 0 = last; leaf, branch: bytes that all keys of the page have in common (the first cell of a branch
 *          left out)
 *
 * Leaf and branch: a slot array follows the header, sorted by cell order; cells fill the page from its end. A slot is the u16 offset of the cell
 * and a u32 "head": the four bytes of the key behind the common ones, big-endian, zeros where it ends. A search compares heads, which lie
 * together, and looks at few cells, which do not: most of a lookup's time is waiting for memory.
 *
 * Cell order: key bytes ascending, then revision descending: the newest version of a key comes first.
 *
 * Leaf cell:
 *   0 u8   flags: 1 tombstone, 2 newest version of its key, 4 long key, 8 long payload, 16 payload ends with a lease id
 *   1 u16  inline key bytes (≤ 400)
 *   3 u16, 5 u32  main revision, high and low part;  9 u32  sub revision (0 in trees without revisions)
 *  13 u16  payload bytes
 *  15      inline key; a long key goes on with: u32 key length, u32 first overflow page of the whole key
 *          payload; a long payload is: u32 length, u32 first overflow page
 *
 * Branch cell:
 *   0 u8   flags: 4 long key;  1 u16  inline key bytes;  3, 5, 9  revision, as above
 *  13 u32  child page;  17 u32  cells below the child with flags newest and not tombstone
 *  21      inline key, as above. A child holds the cells ≥ its own and < the next branch cell's key and revision; the first cell counts as −∞.
 *
 * Payload of the key tree: u32 segment, u32 offset and u32 bytes of the row in the revision log (where it was written first), [8 bytes lease].
 * Lease tree: key = lease id (8 bytes, big-endian) + key, no payload. Bucket tree: key = bucket number (1 byte) + key, payload = value.
 *
 * Bitmap page: bits from byte 16 on, bit i of the page = the row that starts in the i-th 32 bytes of its stretch of a log file is dead.
 */
export const pageBytes = 4096;
export const pageHeader = 16;
export const slotBytes = 6;
export const overflowData = pageBytes - pageHeader;
/** Bits of one bitmap page. */
export const bitmapBits = (pageBytes - pageHeader) * 8;

export const pageType = { leaf: 1, branch: 2, overflow: 3, bitmap: 4 } as const;

export const cellFlag = { tombstone: 1, newest: 2, longKey: 4, longPayload: 8, lease: 16 } as const;
export const leafCellHeader = 15;
export const branchCellHeader = 21;
/** Keys beyond this go to overflow pages: at least eight cells fit in a page. */
export const inlineKeyMax = 400;
export const inlinePayloadMax = 512;

/** Sorts before every revision of a key; no stored revision reaches it. */
export const revisionMax = 2 ** 48 - 1;
export const subMax = 0xffffffff;

/** A page of the index is not what was written. The index must be rebuilt from the log. */
export class IndexPageError extends Error {
  readonly code = 'index-page';
  readonly path: string;
  readonly offset: number;

  constructor(options: { path: string; offset: number; what: string }) {
    super(`${options.path}: offset ${options.offset}: ${options.what}`);
    this.path = options.path;
    this.offset = options.offset;
  }
}

/**
 * The revision log on disk. Little-endian throughout, except revision keys, which are etcd's.
 *
 * A segment is one file of records, `FFFFFFFFF-LLLLLLLLL-GGGG.seg` (hexadecimal: first and last segment number that it holds, generation).
 * It is written once, from front to back. A rewrite leaves out what is dead and makes one file of one or more neighbours, with the next
 * generation; it counts once it has its name, because it was synced before. Where two files hold the same segments, the one that holds
 * more of them, else the one of the higher generation, counts; the other is a leftover. `*.tmp` is a leftover always.
 *
 * Record, header of 12 bytes:
 *
 *   0 u32  CRC-32C of bytes [4, length)
 *   4 u32  length of the whole record
 *   8 u8   type
 *   9 u8   padding at the end of the record (rows are at least 32 bytes, so that a bit for each 32 bytes of a file can mark the dead)
 *  10 u16  0
 *  12      body, by type:
 *
 *   1 put, 2 tombstone  etcd's revision key (u64 big-endian main, `_`, u64 big-endian sub, `t` behind a tombstone's: 17 or 18 bytes), then
 *                mvccpb.KeyValue bytes
 *   3 commit     8 bytes "TSCOMMIT"; f64 number; u32 segment, u32 offset of this record; u32, u32 end of the commit before (durable when
 *                this one was written); f64 consistent index; f64 term; f64 newest main revision; f64 live rows; f64 size model: bytes of rows
 *                (`bolt-size.ts`), f64 high-water mark in pages; f64 for each of the nine small buckets: bytes; u32 segment at whose head the
 *                last whole image of the small buckets starts; u32 confState bytes (0xffffffff = none), raftpb.ConfState
 *   4 kills      u32 count, then for each row that died: u32 main low, u16 main high, u32 sub
 *   5 change     u8 bucket, u8 1 put or 0 delete, u32 key bytes, key, value
 *   6 image      a stretch of the bucket tree as it was here: u8 1 when it is the first of its image, 2 when the last (3 both); u32 bytes of
 *                `from`, from; u32 bytes of `to` (0xffffffff = no end), to; u32 count, then u32 key bytes, u32 value bytes, key, value. Keys
 *                begin with the bucket number.
 *   7 footer     u32 count, then for about each 4 KiB of the file: f64 main, u32 sub, u32 offset of a row; u32 count, then u32 offsets of rows
 *                that died while the file was written
 *   8 header     8 bytes "TSREVLOG"; u32 format version (1); u32 first, u32 last segment; u32 generation; u32, u32 end of the commit before
 *                (0 in the first segment); f64 number of that commit; u32, u32 in a rewritten file: rows that were dead at this position of
 *                the log are left out (0, 0 otherwise)
 *   9 trailer    last record of a finished file: 8 bytes "TSSEALED"; u32 offset of the footer; f64 main, u32 sub of the first row; f64 main, u32 sub
 *                of the last row (0 without rows); f64 rows; f64 bytes of rows
 *
 * A small bucket's state is the last whole image and the changes behind its start. Every segment starts with an image, written in slices between
 * the commits, or goes on with one that did not fit into those before; later slices hold what changed before them, so replaying in order gives the state. Only segments before the newest whole
 * image are ever rewritten, which drops changes, images and commits.
 */
import { crc32c } from '../../../base/crc32c.ts';
import type { ConfState } from '../../../raft/types.ts';
import { ConfStateCodec } from '../../../api/gen/raftpb.ts';

export const formatVersion = 1;
export const recordHeader = 12;
export const rowMin = 32;
export const recordType = { put: 1, tombstone: 2, commit: 3, kills: 4, change: 5, image: 6, footer: 7, header: 8, trailer: 9 } as const;
export const recordTypeMax = 9;
export const revisionKeyBytes = 17;
export const bucketCount = 9;
export const killBytes = 10;

const none = 0xffffffff;
export const commitMagic = Buffer.from('TSCOMMIT', 'latin1');
const headerMagic = 'TSREVLOG';
const trailerMagic = 'TSSEALED';

/** A place in the log. */
export interface LogPosition {
  readonly segment: number;
  readonly offset: number;
}

export function comparePositions(a: LogPosition, b: LogPosition): number {
  return a.segment !== b.segment ? a.segment - b.segment : a.offset - b.offset;
}

/** What a commit makes durable besides the records before it. */
export interface CommitState {
  readonly number: number;
  /** Where the commit record starts. */
  readonly at: LogPosition;
  /** End of the commit before. */
  readonly before: LogPosition;
  readonly consistentIndex: number;
  readonly consistentTerm: number;
  readonly confState: ConfState | undefined;
  readonly lastMain: number;
  readonly liveRows: number;
  readonly rowCost: number;
  readonly highWaterPages: number;
  readonly bucketBytes: readonly number[];
  readonly imageSegment: number;
}

export interface SegmentHeader {
  readonly first: number;
  readonly last: number;
  readonly generation: number;
  readonly before: LogPosition;
  readonly commitsBefore: number;
  readonly deadAsOf: LogPosition;
}

export interface SegmentTrailer {
  readonly footer: number;
  readonly firstMain: number;
  readonly firstSub: number;
  readonly lastMain: number;
  readonly lastSub: number;
  readonly rows: number;
  readonly rowBytes: number;
}

export const headerRecordBytes = recordHeader + 8 + 4 * 4 + 8 + 8 + 8;
export const trailerRecordBytes = recordHeader + 8 + 4 + 12 + 12 + 8 + 8;

/** Fills in CRC, length and type of a record that lies in `b` at `at`. */
export function sealRecord(b: Buffer, at: number, length: number, type: number, padding = 0): void {
  b.writeUInt32LE(length, at + 4);
  b[at + 8] = type;
  b[at + 9] = padding;
  b[at + 10] = 0;
  b[at + 11] = 0;
  b.writeUInt32LE(crc32c(0, b, at + 4, at + length), at);
}

/** Whether the whole record at `at` lies in `b` before `end` and its checksum is right. */
export function recordIsSound(b: Buffer, at: number, end: number): boolean {
  if (at + recordHeader > end) return false;
  const length = b.readUInt32LE(at + 4);
  if (length < recordHeader || at + length > end) return false;
  const type = b[at + 8] as number;
  return type > 0 && type <= recordTypeMax && crc32c(0, b, at + 4, at + length) === b.readUInt32LE(at);
}

export function rowRecordBytes(tombstone: boolean, kvBytes: number): number {
  return Math.max(rowMin, recordHeader + revisionKeyBytes + (tombstone ? 1 : 0) + kvBytes);
}

export function encodeRow(b: Buffer, at: number, length: number, main: number, sub: number, tombstone: boolean, kv: Uint8Array): void {
  let o = at + recordHeader;
  b.writeUInt32BE(Math.floor(main / 4294967296), o);
  b.writeUInt32BE(main % 4294967296, o + 4);
  b[o + 8] = 0x5f;
  b.writeUInt32BE(0, o + 9);
  b.writeUInt32BE(sub, o + 13);
  o += revisionKeyBytes;
  if (tombstone) b[o++] = 0x74;
  b.set(kv, o);
  const padding = at + length - o - kv.length;
  if (padding > 0) b.fill(0, at + length - padding, at + length);
  sealRecord(b, at, length, tombstone ? recordType.tombstone : recordType.put, padding);
}

export function isRow(type: number): boolean {
  return type === recordType.put || type === recordType.tombstone;
}
export function rowMain(b: Buffer, at: number): number {
  return b.readUInt32BE(at + recordHeader) * 4294967296 + b.readUInt32BE(at + recordHeader + 4);
}
export function rowSub(b: Buffer, at: number): number {
  return b.readUInt32BE(at + recordHeader + 13);
}
/** The `mvccpb.KeyValue` bytes of a row, a view. */
export function rowValue(b: Buffer, at: number): Buffer {
  return b.subarray(rowValueStart(b, at), rowValueEnd(b, at));
}

export function rowValueStart(b: Buffer, at: number): number {
  return at + recordHeader + revisionKeyBytes + (b[at + 8] === recordType.tombstone ? 1 : 0);
}

export function rowValueEnd(b: Buffer, at: number): number {
  return at + b.readUInt32LE(at + 4) - (b[at + 9] as number);
}

export function encodeCommit(state: CommitState): Buffer {
  const conf = state.confState === undefined ? undefined : ConfStateCodec.encode(state.confState);
  const length = recordHeader + 8 + 8 + 16 + 6 * 8 + bucketCount * 8 + 8 + (conf?.length ?? 0);
  const b = Buffer.alloc(length);
  let o = commitMagic.copy(b, recordHeader) + recordHeader;
  o = b.writeDoubleLE(state.number, o);
  o = b.writeUInt32LE(state.at.segment, o);
  o = b.writeUInt32LE(state.at.offset, o);
  o = b.writeUInt32LE(state.before.segment, o);
  o = b.writeUInt32LE(state.before.offset, o);
  o = b.writeDoubleLE(state.consistentIndex, o);
  o = b.writeDoubleLE(state.consistentTerm, o);
  o = b.writeDoubleLE(state.lastMain, o);
  o = b.writeDoubleLE(state.liveRows, o);
  o = b.writeDoubleLE(state.rowCost, o);
  o = b.writeDoubleLE(state.highWaterPages, o);
  for (let i = 0; i < bucketCount; i++) o = b.writeDoubleLE(state.bucketBytes[i] ?? 0, o);
  o = b.writeUInt32LE(state.imageSegment, o);
  o = b.writeUInt32LE(conf === undefined ? none : conf.length, o);
  if (conf !== undefined) b.set(conf, o);
  sealRecord(b, 0, length, recordType.commit);
  return b;
}

/** Undefined when the body cannot be one (checked even behind a right checksum, because the record may have been found by its magic). */
export function decodeCommit(b: Buffer, at: number): CommitState | undefined {
  const length = b.readUInt32LE(at + 4);
  if (
    b[at + 8] !== recordType.commit ||
    length < recordHeader + 160 ||
    b.compare(commitMagic, 0, 8, at + recordHeader, at + recordHeader + 8) !== 0
  )
    return undefined;
  let o = at + recordHeader + 8;
  const f64 = (): number => {
    o += 8;
    return b.readDoubleLE(o - 8);
  };
  const u32 = (): number => {
    o += 4;
    return b.readUInt32LE(o - 4);
  };
  const number = f64();
  const own = { segment: u32(), offset: u32() };
  const before = { segment: u32(), offset: u32() };
  const consistentIndex = f64();
  const consistentTerm = f64();
  const lastMain = f64();
  const liveRows = f64();
  const rowCost = f64();
  const highWaterPages = f64();
  const bucketBytes: number[] = [];
  for (let i = 0; i < bucketCount; i++) bucketBytes.push(f64());
  const imageSegment = u32();
  const confBytes = u32();
  const confState = confBytes === none ? undefined : ConfStateCodec.decode(b.subarray(o, o + confBytes));
  return {
    number,
    at: own,
    before,
    consistentIndex,
    consistentTerm,
    confState,
    lastMain,
    liveRows,
    rowCost,
    highWaterPages,
    bucketBytes,
    imageSegment,
  };
}

export function encodeHeader(h: SegmentHeader): Buffer {
  const b = Buffer.alloc(headerRecordBytes);
  let o = recordHeader + b.latin1Write(headerMagic, recordHeader);
  o = b.writeUInt32LE(formatVersion, o);
  o = b.writeUInt32LE(h.first, o);
  o = b.writeUInt32LE(h.last, o);
  o = b.writeUInt32LE(h.generation, o);
  o = b.writeUInt32LE(h.before.segment, o);
  o = b.writeUInt32LE(h.before.offset, o);
  o = b.writeDoubleLE(h.commitsBefore, o);
  o = b.writeUInt32LE(h.deadAsOf.segment, o);
  b.writeUInt32LE(h.deadAsOf.offset, o);
  sealRecord(b, 0, b.length, recordType.header);
  return b;
}

/** Undefined when it is not a header of this format. */
export function decodeHeader(b: Buffer): SegmentHeader | undefined {
  if (!recordIsSound(b, 0, b.length) || b[8] !== recordType.header || b.latin1Slice(recordHeader, recordHeader + 8) !== headerMagic)
    return undefined;
  const o = recordHeader + 8;
  if (b.readUInt32LE(o) !== formatVersion) return undefined;
  return {
    first: b.readUInt32LE(o + 4),
    last: b.readUInt32LE(o + 8),
    generation: b.readUInt32LE(o + 12),
    before: { segment: b.readUInt32LE(o + 16), offset: b.readUInt32LE(o + 20) },
    commitsBefore: b.readDoubleLE(o + 24),
    deadAsOf: { segment: b.readUInt32LE(o + 32), offset: b.readUInt32LE(o + 36) },
  };
}

export function encodeTrailer(t: SegmentTrailer): Buffer {
  const b = Buffer.alloc(trailerRecordBytes);
  let o = recordHeader + b.latin1Write(trailerMagic, recordHeader);
  o = b.writeUInt32LE(t.footer, o);
  o = b.writeDoubleLE(t.firstMain, o);
  o = b.writeUInt32LE(t.firstSub, o);
  o = b.writeDoubleLE(t.lastMain, o);
  o = b.writeUInt32LE(t.lastSub, o);
  o = b.writeDoubleLE(t.rows, o);
  b.writeDoubleLE(t.rowBytes, o);
  sealRecord(b, 0, b.length, recordType.trailer);
  return b;
}

/** `b` is the last `trailerRecordBytes` of a file. */
export function decodeTrailer(b: Buffer): SegmentTrailer | undefined {
  if (b.length !== trailerRecordBytes || !recordIsSound(b, 0, b.length) || b[8] !== recordType.trailer) return undefined;
  if (b.latin1Slice(recordHeader, recordHeader + 8) !== trailerMagic) return undefined;
  const o = recordHeader + 8;
  return {
    footer: b.readUInt32LE(o),
    firstMain: b.readDoubleLE(o + 4),
    firstSub: b.readUInt32LE(o + 12),
    lastMain: b.readDoubleLE(o + 16),
    lastSub: b.readUInt32LE(o + 24),
    rows: b.readDoubleLE(o + 28),
    rowBytes: b.readDoubleLE(o + 36),
  };
}

export function encodeChange(bucket: number, key: Uint8Array, value: Uint8Array | undefined): Buffer {
  const length = recordHeader + 6 + key.length + (value?.length ?? 0);
  const b = Buffer.allocUnsafe(length);
  b[recordHeader] = bucket;
  b[recordHeader + 1] = value === undefined ? 0 : 1;
  b.writeUInt32LE(key.length, recordHeader + 2);
  b.set(key, recordHeader + 6);
  if (value !== undefined) b.set(value, recordHeader + 6 + key.length);
  sealRecord(b, 0, length, recordType.change);
  return b;
}

export function decodeChange(b: Buffer, at: number): { bucket: number; key: Buffer; value: Buffer | undefined } {
  const end = at + b.readUInt32LE(at + 4);
  const o = at + recordHeader;
  const keyEnd = o + 6 + b.readUInt32LE(o + 2);
  return { bucket: b[o] as number, key: b.subarray(o + 6, keyEnd), value: b[o + 1] === 1 ? b.subarray(keyEnd, end) : undefined };
}

export interface BucketImage {
  readonly first: boolean;
  readonly last: boolean;
  readonly from: Uint8Array;
  readonly to: Uint8Array | undefined;
  readonly entries: readonly [Uint8Array, Uint8Array][];
}

export function encodeImage(image: BucketImage): Buffer {
  let length = recordHeader + 1 + 4 + image.from.length + 4 + (image.to?.length ?? 0) + 4;
  for (const [k, v] of image.entries) length += 8 + k.length + v.length;
  const b = Buffer.allocUnsafe(length);
  let o = recordHeader;
  b[o++] = (image.first ? 1 : 0) | (image.last ? 2 : 0);
  o = b.writeUInt32LE(image.from.length, o);
  b.set(image.from, o);
  o = b.writeUInt32LE(image.to === undefined ? none : image.to.length, o + image.from.length);
  if (image.to !== undefined) {
    b.set(image.to, o);
    o += image.to.length;
  }
  o = b.writeUInt32LE(image.entries.length, o);
  for (const [k, v] of image.entries) {
    o = b.writeUInt32LE(k.length, o);
    o = b.writeUInt32LE(v.length, o);
    b.set(k, o);
    b.set(v, o + k.length);
    o += k.length + v.length;
  }
  sealRecord(b, 0, length, recordType.image);
  return b;
}

export function decodeImage(b: Buffer, at: number): BucketImage {
  let o = at + recordHeader;
  const flags = b[o++] as number;
  const bytes = (n: number): Buffer => {
    o += n;
    return b.subarray(o - n, o);
  };
  const u32 = (): number => {
    o += 4;
    return b.readUInt32LE(o - 4);
  };
  const from = bytes(u32());
  const toBytes = u32();
  const to = toBytes === none ? undefined : bytes(toBytes);
  const entries: [Uint8Array, Uint8Array][] = [];
  for (let n = u32(); n > 0; n--) {
    const keyBytes = u32();
    const valueBytes = u32();
    entries.push([bytes(keyBytes), bytes(valueBytes)]);
  }
  return { first: (flags & 1) !== 0, last: (flags & 2) !== 0, from, to, entries };
}

export function encodeKills(kills: Buffer, bytes: number): Buffer {
  const length = recordHeader + 4 + bytes;
  const b = Buffer.allocUnsafe(length);
  b.writeUInt32LE(bytes / killBytes, recordHeader);
  kills.copy(b, recordHeader + 4, 0, bytes);
  sealRecord(b, 0, length, recordType.kills);
  return b;
}

export function writeKill(b: Buffer, at: number, main: number, sub: number): void {
  b.writeUInt32LE(main % 4294967296, at);
  b.writeUInt16LE(Math.floor(main / 4294967296), at + 4);
  b.writeUInt32LE(sub, at + 6);
}

export function eachKill(b: Buffer, at: number, each: (main: number, sub: number) => void): void {
  let o = at + recordHeader + 4;
  for (let n = b.readUInt32LE(at + recordHeader); n > 0; n--, o += killBytes)
    each(b.readUInt16LE(o + 4) * 4294967296 + b.readUInt32LE(o), b.readUInt32LE(o + 6));
}

export function segmentName(first: number, last: number, generation: number): string {
  return `${hex(first, 9)}-${hex(last, 9)}-${hex(generation, 4)}.seg`;
}

export function parseSegmentName(name: string): { first: number; last: number; generation: number } | undefined {
  const m = /^([0-9a-f]{9})-([0-9a-f]{9})-([0-9a-f]{4,8})\.seg$/.exec(name);
  return m === null ? undefined : { first: parseInt(m[1] ?? '', 16), last: parseInt(m[2] ?? '', 16), generation: parseInt(m[3] ?? '', 16) };
}

function hex(n: number, width: number): string {
  return n.toString(16).padStart(width, '0');
}

/** Key and lease of `mvccpb.KeyValue` bytes: fields 1 and 6. The key is a view. */
export function keyAndLease(kv: Uint8Array): { key: Uint8Array; lease: bigint } {
  let key: Uint8Array = kv.subarray(0, 0);
  let lease = 0n;
  let o = 0;
  while (o < kv.length) {
    const tag = kv[o++] as number;
    if ((tag & 7) === 2) {
      let n = 0;
      let shift = 0;
      for (;;) {
        const byte = kv[o++] ?? 0;
        n += (byte & 127) * 2 ** shift;
        if (byte < 128) break;
        shift += 7;
      }
      if (tag === 0x0a) key = kv.subarray(o, o + n);
      o += n;
    } else if (tag === 0x30) {
      let shift = 0n;
      lease = 0n;
      for (;;) {
        const byte = kv[o++] ?? 0;
        lease |= BigInt(byte & 127) << shift;
        if (byte < 128) break;
        shift += 7n;
      }
      lease = BigInt.asIntN(64, lease);
    } else while ((kv[o++] ?? 0) >= 128);
  }
  return { key, lease };
}

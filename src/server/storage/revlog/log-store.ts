/**
 * The rows on disk and in memory: segment files, the chunks of the newest records, which rows are dead, and who still reads what.
 */
import { invariant } from '../../../base/invariant.ts';
import { crc32c } from '../../../base/crc32c.ts';
import { CorruptError } from '../backend.ts';
import { bitmapBits, pageHeader, pageType } from '../index/page-format.ts';
import { positionShift } from '../index/key-index.ts';
import { frameBase, frameChunk } from '../index/page-store.ts';
import type { PageStore } from '../index/page-store.ts';
import type { RowGather } from '../row-gather.ts';
import type { VersionList } from '../version-list.ts';
import type { LogPosition } from './format.ts';
import { isRow, recordHeader, recordIsSound, rowMain, rowSub, rowValue, rowValueEnd, rowValueStart } from './format.ts';
import type { LogFile } from './log-file.ts';
import { LogSnapshot } from './log-scan.ts';
import { copierInputBytes, RowCopier } from './row-copier.ts';

/** Records are put together in pieces of this size; each is one write. */
const chunkBytes = 256 * 1024;
/** Directories of finished segments kept in memory; each is up to 0.4 % of a segment. */
const directoriesMax = 48;
/** A stretch between two entries of a directory, unless a row is larger. */
const scratchBytes = 16 * 1024;
/** Bytes read at once when rows are asked for in the order of the log, as a range over keys written in order does. */
const aheadBytes = copierInputBytes;
/** Bytes between one row and the next that still count as going forward: dead rows and records of other kinds lie there. */
const aheadGapBytes = 4 * 1024;
/** Bytes of the file behind one bit. */
const bitShift = 5;

/** Newest records, in memory until written, and for a while after as a cache. Content below `used` never changes. */
export interface Chunk {
  readonly file: LogFile;
  /** Offset in the segment of the first byte. */
  readonly base: number;
  readonly bytes: Buffer;
  used: number;
  /** Bytes handed to the disk. */
  submitted: number;
  /** Writes of it that are not done. */
  underWay: number;
}

/** A row found by its revision. Valid until the next search. */
export interface FoundRow {
  readonly bytes: Buffer;
  readonly at: number;
  readonly offset: number;
  readonly size: number;
}

export class LogStore {
  /** Current files, by segment number, ascending. */
  files: LogFile[] = [];
  #bySegment: LogFile[] = [];
  /** Files with rows but the last; undefined when files came or went. */
  #rowFiles: LogFile[] | undefined;
  readonly chunks: Chunk[] = [];
  /** Position of the oldest byte in memory. */
  #memoryFrom = Infinity;
  #chunksBytes = 0;
  readonly snapshots = new Set<LogSnapshot>();
  readonly #retired = new Set<LogFile>();
  /** Files nobody reads any more: to be closed and removed. */
  readonly #gone: (file: LogFile) => void;
  #pages: PageStore;
  #loaded: LogFile[] = [];

  constructor(pages: PageStore, gone: (file: LogFile) => void) {
    this.#pages = pages;
    this.#gone = gone;
  }

  setFiles(files: LogFile[]): void {
    this.files = files;
    this.#rowFiles = undefined;
    this.#bySegment = [];
    for (const f of files) for (let s = f.first; s <= f.last; s++) this.#bySegment[s] = f;
  }

  setPages(pages: PageStore): void {
    this.#pages = pages;
    this.pagesEpoch++;
  }
  /** Goes up when the index, and with it the bits of dead rows, is made anew. */
  pagesEpoch = 0;
  /** Revisions that died since the checkpoint before a rewrite, main and sub in turn; undefined when none is under way. */
  killsSince: number[] | undefined;
  /** The stretch last searched for a row: kills and lookups of moved rows go through one after another. */
  #searched: { file: LogFile; from: number; bytes: Buffer } | undefined;
  /** Where stretches of usual size are read to, one after another. */
  readonly #scratch = Buffer.allocUnsafeSlow(scratchBytes);
  /** A stretch of a file that no longer changes, read ahead of what was asked for. */
  #ahead = Buffer.allocUnsafeSlow(aheadBytes);
  #aheadFile: LogFile | undefined;
  #aheadFrom = 0;
  #aheadTo = 0;
  /** Null: none was made yet; undefined: none can be. */
  #copier: RowCopier | undefined | null = null;
  /** Where the row that was read last from a file ended. */
  #lastFile: LogFile | undefined;
  #lastEnd = 0;

  get tail(): LogFile {
    const f = this.files[this.files.length - 1];
    invariant(f !== undefined, 'the log has a last segment');
    return f;
  }
  get end(): LogPosition {
    return { segment: this.tail.last, offset: this.tail.end };
  }
  get retiredBytes(): number {
    let sum = 0;
    for (const f of this.#retired) sum += f.end;
    return sum;
  }
  get retiredFiles(): Iterable<LogFile> {
    return this.#retired;
  }
  fileOf(segment: number): LogFile | undefined {
    return this.#bySegment[segment];
  }

  addTail(file: LogFile): void {
    this.files.push(file);
    this.#rowFiles = undefined;
    this.#bySegment[file.first] = file;
  }

  /** Room for a record of `size` bytes at the log's end: where to write is `chunk.bytes` at the returned offset. */
  reserve(size: number): number {
    const tail = this.tail;
    let c = this.chunks[this.chunks.length - 1];
    if (c === undefined || c.file !== tail || c.used + size > c.bytes.length) {
      c = { file: tail, base: tail.end, bytes: Buffer.allocUnsafeSlow(Math.max(chunkBytes, size)), used: 0, submitted: 0, underWay: 0 };
      if (this.chunks.length === 0) this.#memoryFrom = tail.last * positionShift + tail.end;
      this.chunks.push(c);
      this.#chunksBytes += c.bytes.length;
    }
    const at = c.used;
    c.used += size;
    tail.end += size;
    this.chunk = c;
    return at;
  }
  chunk: Chunk | undefined;

  /** Appends a whole encoded record. */
  appendRecord(record: Buffer): void {
    const at = this.reserve(record.length);
    record.copy((this.chunk as Chunk).bytes, at);
  }

  /** Drops the oldest written chunks beyond `keepBytes`. */
  pruneChunks(keepBytes: number): void {
    let drop = 0;
    while (drop + 1 < this.chunks.length && this.#chunksBytes > keepBytes) {
      const c = this.chunks[drop] as Chunk;
      // What is on its way cannot be read from the file yet.
      if (c.submitted < c.used || c.underWay > 0) break;
      this.#chunksBytes -= c.bytes.length;
      drop++;
    }
    if (drop === 0) return;
    this.chunks.splice(0, drop);
    const first = this.chunks[0] as Chunk;
    this.#memoryFrom = first.file.last * positionShift + first.base;
  }

  /** The record at a position of the newest part of the log. Undefined when it is not in memory. */
  fromMemory(position: number): { chunk: Chunk; at: number } | undefined {
    if (position < this.#memoryFrom) return undefined;
    let lo = 0;
    let hi = this.chunks.length;
    while (lo < hi) {
      const mid = (lo + hi) >>> 1;
      const c = this.chunks[mid] as Chunk;
      if (c.file.last * positionShift + c.base <= position) lo = mid + 1;
      else hi = mid;
    }
    const chunk = this.chunks[lo - 1];
    if (chunk === undefined) return undefined;
    const at = position - (chunk.file.last * positionShift + chunk.base);
    return at < chunk.used ? { chunk, at } : undefined;
  }

  /** The `mvccpb.KeyValue` bytes of a row. @throws CorruptError */
  readRow(position: number, size: number, main: number, sub: number): Uint8Array {
    const b = this.#record(position, size, main, sub);
    const value = rowValue(b, this.#recordAt);
    return this.#recordLent ? Buffer.from(value) : value;
  }

  /**
   * As `readRow`, of the list's rows from the one numbered `from` on, into what gathers an answer; ends when `bytesMax` are exceeded.
   * @returns the number of the first row left. @throws CorruptError
   */
  gatherRows(list: VersionList, from: number, into: RowGather, bytesMax: number): number {
    const copier = this.#useCopier();
    const mark = into.bytes + bytesMax;
    let i = from;
    try {
      for (; i < list.count && into.bytes + (copier?.pending ?? 0) <= mark; i++) {
        const position = list.position[i] as number;
        const size = list.size[i] as number;
        const main = list.main[i] as number;
        if (copier !== undefined && this.#copyRow(copier, position, size, main, into)) continue;
        copier?.flush(into);
        const b = this.#record(position, size, main, list.sub[i] as number);
        into.add(b, rowValueStart(b, this.#recordAt), rowValueEnd(b, this.#recordAt));
      }
    } finally {
      copier?.flush(into);
    }
    return i;
  }

  #copyRow(copier: RowCopier, position: number, size: number, main: number, into: RowGather): boolean {
    if (position >= this.#memoryFrom) return false;
    const segment = Math.floor(position / positionShift);
    const file = this.#bySegment[segment];
    if (file?.original !== true) return false;
    const offset = position - segment * positionShift;
    if (!this.#isAhead(file, offset, size) && !(this.#goesForward(file, offset) && this.#readAhead(file, segment, offset, size)))
      return false;
    this.#lastFile = file;
    this.#lastEnd = offset + size;
    return copier.copy(offset - this.#aheadFrom, size, main, into);
  }

  /** From now on what is read ahead lies where rows can be copied from; a store that is never asked for ranges does without. */
  #useCopier(): RowCopier | undefined {
    if (this.#copier === null) {
      this.#copier = RowCopier.make();
      if (this.#copier !== undefined) {
        this.#ahead = this.#copier.input;
        this.#aheadFile = undefined;
      }
    }
    return this.#copier;
  }

  /** A row's record: the bytes that hold it; where it begins in them and whether they are used again is in the two fields below. */
  #record(position: number, size: number, main: number, sub: number): Buffer {
    this.#recordLent = false;
    const m = this.fromMemory(position);
    if (m !== undefined) {
      this.#recordAt = m.at;
      return m.chunk.bytes;
    }
    const segment = Math.floor(position / positionShift);
    const file = this.#bySegment[segment];
    invariant(file !== undefined, 'the segment of a row is there', { segment });
    if (file.original) {
      const offset = position - segment * positionShift;
      const forward = this.#goesForward(file, offset);
      this.#lastFile = file;
      this.#lastEnd = offset + size;
      if (this.#isAhead(file, offset, size) || (forward && this.#readAhead(file, segment, offset, size))) {
        this.#recordAt = offset - this.#aheadFrom;
        this.#recordLent = true;
        if (isRowOf(this.#ahead, this.#recordAt, size, main)) return this.#ahead;
      } else {
        const b = Buffer.allocUnsafe(size);
        this.#recordAt = 0;
        if (file.file.read(b, offset) === size && isRowOf(b, 0, size, main)) return b;
      }
      throw new CorruptError({ path: file.path, offset, what: `row ${main}.${sub} with a wrong checksum` });
    }
    const found = this.findIn(file, main, sub);
    if (found === undefined) throw new CorruptError({ path: file.path, offset: 0, what: `row ${main}.${sub} is not there` });
    this.#recordAt = found.at;
    this.#recordLent = true;
    return found.bytes;
  }
  #recordAt = 0;
  /** The bytes are used again, or hold much more than the row. */
  #recordLent = false;

  #isAhead(file: LogFile, offset: number, size: number): boolean {
    return file === this.#aheadFile && offset >= this.#aheadFrom && offset + size <= this.#aheadTo;
  }

  /** Whether a row lies right behind the one that was read last. */
  #goesForward(file: LogFile, offset: number): boolean {
    return file === this.#lastFile && offset >= this.#lastEnd && offset - this.#lastEnd <= aheadGapBytes;
  }

  /** Reads a stretch from a row on, as far as the file is written. False when the row is not whole in it. */
  #readAhead(file: LogFile, segment: number, offset: number, size: number): boolean {
    if (size >= aheadBytes) return false;
    let to = Math.min(offset + aheadBytes, file.end);
    // What is in memory may be on its way to the disk still.
    if (this.#memoryFrom < (segment + 1) * positionShift) to = Math.min(to, this.#memoryFrom - segment * positionShift);
    if (to < offset + size) return false;
    this.#aheadFile = undefined;
    const n = file.file.read(this.#ahead.subarray(0, to - offset), offset);
    this.#aheadFile = file;
    this.#aheadFrom = offset;
    this.#aheadTo = offset + n;
    return n >= size;
  }

  /** The file that would hold a revision. */
  fileOfRevision(main: number, sub: number): LogFile | undefined {
    const tail = this.tail;
    if (tail.rows > 0 && (tail.firstMain < main || (tail.firstMain === main && tail.firstSub <= sub))) return tail;
    this.#rowFiles ??= this.files.filter((f) => f !== tail && f.rows > 0);
    const files = this.#rowFiles;
    let lo = 0;
    let hi = files.length;
    while (lo < hi) {
      const mid = (lo + hi) >>> 1;
      const f = files[mid] as LogFile;
      if (f.lastMain > main || (f.lastMain === main && f.lastSub >= sub)) hi = mid;
      else lo = mid + 1;
    }
    const f = files[lo];
    return f !== undefined && (f.firstMain < main || (f.firstMain === main && f.firstSub <= sub)) ? f : undefined;
  }

  findRevision(main: number, sub: number): { file: LogFile; row: FoundRow } | undefined {
    const file = this.fileOfRevision(main, sub);
    if (file === undefined) return undefined;
    const row = this.findIn(file, main, sub);
    return row === undefined ? undefined : { file, row };
  }

  /** @throws CorruptError when the stretch that would hold it is damaged */
  findIn(file: LogFile, main: number, sub: number): FoundRow | undefined {
    if (file.rows === 0 || main < file.firstMain || main > file.lastMain) return undefined;
    const directory = this.#directoryOf(file);
    const i = directory.find(main, sub);
    if (i < 0) return undefined;
    const from = directory.offset(i, file.end);
    const to = directory.offset(i + 1, file.end);
    let b: Buffer;
    if (this.#searched?.file === file && this.#searched.from === from && this.#searched.bytes.length === to - from)
      b = this.#searched.bytes;
    else {
      this.#searched = undefined;
      if (file.sealed && to - from <= scratchBytes) {
        b = this.#scratch.subarray(0, to - from);
        const n = file.file.read(b, from);
        if (n !== b.length) throw new CorruptError({ path: file.path, offset: from + n, what: 'file cut short' });
      } else b = this.readStretch(file, from, to);
      this.#searched = { file, from, bytes: b };
    }
    let at = 0;
    while (at + recordHeader <= b.length) {
      const size = b.readUInt32LE(at + 4);
      if (size < recordHeader || at + size > b.length) break;
      if (isRow(b[at + 8] as number)) {
        const m = rowMain(b, at);
        if (m === main && rowSub(b, at) === sub) {
          if (!recordIsSound(b, at, b.length)) break;
          return { bytes: b, at, offset: from + at, size };
        }
        if (m > main) {
          if (!recordIsSound(b, at, b.length)) break;
          return undefined;
        }
      }
      at += size;
      if (at === b.length) return undefined;
    }
    throw new CorruptError({ path: file.path, offset: from + at, what: 'record with a wrong checksum' });
  }

  /** Bytes [from, to) of a segment, from memory or file; what comes from the file lies in `into` when it fits there. */
  readStretch(file: LogFile, from: number, to: number, into?: Buffer): Buffer {
    if (!file.sealed || this.#memoryFrom < Infinity) {
      const m = file.original ? this.fromMemory(file.first * positionShift + from) : undefined;
      if (m !== undefined && m.at + to - from <= m.chunk.used) return m.chunk.bytes.subarray(m.at, m.at + to - from);
      if (m !== undefined || (file.original && this.fromMemory(file.first * positionShift + to - 1) !== undefined))
        return this.#assemble(file, from, to);
    }
    const b = into !== undefined && into.length >= to - from ? into.subarray(0, to - from) : Buffer.allocUnsafeSlow(to - from);
    const n = file.file.read(b, from);
    if (n !== b.length) throw new CorruptError({ path: file.path, offset: from + n, what: 'file cut short' });
    return b;
  }

  #assemble(file: LogFile, from: number, to: number): Buffer {
    const out = Buffer.allocUnsafeSlow(to - from);
    let o = from;
    while (o < to) {
      const m = this.fromMemory(file.first * positionShift + o);
      if (m !== undefined) {
        const n = Math.min(m.chunk.used - m.at, to - o);
        m.chunk.bytes.copy(out, o - from, m.at, m.at + n);
        o += n;
      } else {
        let stop = to;
        for (const c of this.chunks)
          if (c.file === file && c.base > o) {
            stop = Math.min(stop, c.base);
            break;
          }
        const n = file.file.read(out.subarray(o - from, stop - from), o);
        if (n !== stop - o) throw new CorruptError({ path: file.path, offset: o + n, what: 'file cut short' });
        o = stop;
      }
    }
    return out;
  }

  #directoryOf(file: LogFile): ReturnType<LogFile['directory']> {
    if (!file.hasDirectory) {
      this.#loaded.push(file);
      if (this.#loaded.length > directoriesMax) this.#loaded.shift()?.dropDirectory();
    }
    return file.directory();
  }

  directoryOf(file: LogFile): ReturnType<LogFile['directory']> {
    return this.#directoryOf(file);
  }

  // Dead rows.

  /** Marks a row dead. False when it was. */
  markDead(file: LogFile, offset: number, size: number): boolean {
    const bit = offset >>> bitShift;
    const stretch = Math.floor(bit / bitmapBits);
    while (file.bitmaps.length <= stretch) file.bitmaps.push(0);
    this.#pages.beginOp();
    let page = file.bitmaps[stretch] as number;
    if (this.snapshots.size > 0) this.#keepBits(file, stretch);
    if (page === 0) {
      page = this.#pages.allocate(pageType.bitmap);
      file.bitmaps[stretch] = page;
    }
    const f = this.#pages.touch(page);
    const b = this.#pages.chunks[frameChunk(f)] as Buffer;
    const i = bit - stretch * bitmapBits;
    const o = frameBase(f) + pageHeader + (i >>> 3);
    const mask = 1 << (i & 7);
    if (((b[o] as number) & mask) !== 0) return false;
    b[o] = (b[o] as number) | mask;
    file.deadBytes += size;
    return true;
  }

  isDead(file: LogFile, offset: number): boolean {
    const bit = offset >>> bitShift;
    const stretch = Math.floor(bit / bitmapBits);
    const page = file.bitmaps[stretch] ?? 0;
    if (page === 0) return false;
    this.#pages.beginOp();
    const f = this.#pages.fetch(page);
    const i = bit - stretch * bitmapBits;
    return (((this.#pages.chunks[frameChunk(f)] as Buffer)[frameBase(f) + pageHeader + (i >>> 3)] as number) & (1 << (i & 7))) !== 0;
  }

  /** A copy of the bits of one stretch; undefined when none is set. */
  copyBits(file: LogFile, stretch: number): Uint8Array | undefined {
    const page = file.bitmaps[stretch] ?? 0;
    if (page === 0) return undefined;
    this.#pages.beginOp();
    const f = this.#pages.fetch(page);
    const base = frameBase(f) + pageHeader;
    return new Uint8Array((this.#pages.chunks[frameChunk(f)] as Buffer).subarray(base, base + bitmapBits / 8));
  }

  freeBits(file: LogFile): void {
    for (let s = 0; s < file.bitmaps.length; s++) {
      this.#keepBits(file, s);
      const page = file.bitmaps[s] as number;
      if (page !== 0) this.#pages.free(page);
    }
    file.bitmaps = [];
  }

  #keepBits(file: LogFile, stretch: number): void {
    for (const s of this.snapshots) s.keepBits(file, stretch);
  }

  // Readers.

  snapshot(bornAt: number): LogSnapshot {
    const s = new LogSnapshot(this, bornAt);
    for (const { file } of s.files) file.pins++;
    this.snapshots.add(s);
    return s;
  }

  releaseSnapshot(s: LogSnapshot): void {
    if (!this.snapshots.delete(s)) return;
    for (const { file } of s.files) {
      file.pins--;
      if (file.pins === 0 && file.retired) this.#drop(file);
    }
  }

  /** Puts a rewritten file in the place of the ones it replaces. */
  replace(old: readonly LogFile[], by: LogFile): void {
    for (const f of old) this.freeBits(f);
    const at = this.files.indexOf(old[0] as LogFile);
    this.files.splice(at, old.length, by);
    this.#rowFiles = undefined;
    for (let s = by.first; s <= by.last; s++) this.#bySegment[s] = by;
    for (const f of old) {
      f.retired = true;
      this.#retired.add(f);
      if (f.pins === 0) this.#drop(f);
    }
  }

  #drop(file: LogFile): void {
    if (this.#searched?.file === file) this.#searched = undefined;
    this.#retired.delete(file);
    this.#gone(file);
  }
}

function isRowOf(b: Buffer, at: number, size: number, main: number): boolean {
  return (
    b.readUInt32LE(at + 4) === size &&
    crc32c(0, b, at + 4, at + size) === b.readUInt32LE(at) &&
    isRow(b[at + 8] as number) &&
    rowMain(b, at) === main
  );
}

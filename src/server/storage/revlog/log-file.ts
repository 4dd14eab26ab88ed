/** One segment file of the revision log, and the sparse directory of its rows. */
import type { Disk, DiskFile } from '../../../base/disk.ts';
import { CorruptError } from '../backend.ts';
import type { LogPosition, SegmentHeader, SegmentTrailer } from './format.ts';
import {
  decodeTrailer,
  encodeTrailer,
  isRow,
  recordHeader,
  recordIsSound,
  recordType,
  recordTypeMax,
  rowMain,
  rowSub,
  sealRecord,
  segmentName,
  trailerRecordBytes,
} from './format.ts';

/** A directory entry for about each so many bytes: one read of a page's size finds a row. */
const directoryStep = 4096;
/** Block of a walk over a file. */
const walkBlock = 256 * 1024;

/** Offsets of some rows by revision, ascending. 16 bytes an entry, 0.4 % of the file. */
export class RowDirectory {
  #mains = new Float64Array(64);
  #subs = new Uint32Array(64);
  #offsets = new Uint32Array(64);
  count = 0;
  #next = 0;

  /** Offers a row; rows come in order. */
  add(main: number, sub: number, offset: number): void {
    if (offset < this.#next) return;
    this.push(main, sub, offset);
  }

  push(main: number, sub: number, offset: number): void {
    const n = this.count;
    if (n === this.#mains.length) {
      this.#mains = doubled(this.#mains, new Float64Array(n * 2));
      this.#subs = doubled(this.#subs, new Uint32Array(n * 2));
      this.#offsets = doubled(this.#offsets, new Uint32Array(n * 2));
    }
    this.#mains[n] = main;
    this.#subs[n] = sub;
    this.#offsets[n] = offset;
    this.count = n + 1;
    this.#next = offset + directoryStep;
  }

  main(i: number): number {
    return this.#mains[i] ?? 0;
  }
  sub(i: number): number {
    return this.#subs[i] ?? 0;
  }
  /** Offset of entry i; `end` behind the last. */
  offset(i: number, end: number): number {
    return i < this.count ? (this.#offsets[i] ?? end) : end;
  }

  /** The last entry at or before a revision, −1 when all come later. */
  find(main: number, sub: number): number {
    const mains = this.#mains;
    let lo = 0;
    let hi = this.count;
    if (hi === 0) return -1;
    const first = mains[0] as number;
    const last = mains[hi - 1] as number;
    // Revisions lie about evenly: guess, then close in with growing steps.
    let guess = last > first ? Math.floor(((main - first) / (last - first)) * (hi - 1)) : 0;
    guess = guess < 0 ? 0 : guess >= hi ? hi - 1 : guess;
    if ((mains[guess] as number) < main) {
      lo = guess;
      for (let step = 1; lo + step < hi; step *= 2) {
        if ((mains[lo + step] as number) > main) {
          hi = lo + step;
          break;
        }
        if ((mains[lo + step] as number) < main) lo += step;
        else break;
      }
    } else {
      hi = guess + 1;
      for (let step = 1; hi - step > 0; step *= 2) {
        if ((mains[hi - step] as number) < main) {
          lo = hi - step;
          break;
        }
        if ((mains[hi - step] as number) > main) hi -= step;
        else break;
      }
    }
    while (hi < this.count && (mains[hi] as number) <= main) hi++;
    while (lo < hi) {
      const mid = (lo + hi) >>> 1;
      const m = mains[mid] as number;
      if (m < main || (m === main && (this.#subs[mid] as number) <= sub)) lo = mid + 1;
      else hi = mid;
    }
    return lo - 1;
  }

  encode(count: number): Buffer {
    const b = Buffer.allocUnsafe(4 + count * 16);
    b.writeUInt32LE(count, 0);
    for (let i = 0, o = 4; i < count; i++, o += 16) {
      b.writeDoubleLE(this.#mains[i] as number, o);
      b.writeUInt32LE(this.#subs[i] as number, o + 8);
      b.writeUInt32LE(this.#offsets[i] as number, o + 12);
    }
    return b;
  }

  static decode(b: Buffer, at: number): RowDirectory {
    const d = new RowDirectory();
    let o = at + 4;
    for (let n = b.readUInt32LE(at); n > 0; n--, o += 16) d.push(b.readDoubleLE(o), b.readUInt32LE(o + 8), b.readUInt32LE(o + 12));
    return d;
  }
}

export class LogFile {
  path: string;
  readonly file: DiskFile;
  readonly header: SegmentHeader;
  /** Bytes of content; grows while it is the last segment. */
  end = 0;
  sealed = false;
  rows = 0;
  rowBytes = 0;
  firstMain = 0;
  firstSub = 0;
  lastMain = 0;
  lastSub = 0;
  /** Bytes of rows that are dead and still here. */
  deadBytes = 0;
  /** Index pages with the bits of dead rows, one for each stretch of the file; 0 = none dead there. */
  bitmaps: number[] = [];
  #directory: RowDirectory | undefined;
  /** Snapshots that read it. */
  pins = 0;
  /** Replaced by a rewrite; goes when the last pin goes. */
  retired = false;

  constructor(path: string, file: DiskFile, header: SegmentHeader) {
    this.path = path;
    this.file = file;
    this.header = header;
  }

  static create(disk: Disk, dir: string, header: SegmentHeader): LogFile {
    const path = `${dir}/${segmentName(header.first, header.last, header.generation)}`;
    const f = new LogFile(path, disk.open(path, { write: true, create: true, truncate: true }), header);
    f.#directory = new RowDirectory();
    return f;
  }

  get first(): number {
    return this.header.first;
  }
  get last(): number {
    return this.header.last;
  }
  /** Rows lie where the index says; in a rewritten file they are found by revision. */
  get original(): boolean {
    return this.header.generation === 0;
  }

  noteRow(main: number, sub: number, offset: number, bytes: number): void {
    if (this.rows === 0) {
      this.firstMain = main;
      this.firstSub = sub;
    }
    this.lastMain = main;
    this.lastSub = sub;
    this.rows++;
    this.rowBytes += bytes;
    this.directory().add(main, sub, offset);
  }

  setDirectory(d: RowDirectory): void {
    this.#directory = d;
  }

  /** Takes the directory out of memory; it is read again from the footer. */
  dropDirectory(): void {
    if (this.sealed) this.#directory = undefined;
  }

  directory(): RowDirectory {
    this.#directory ??= this.#loadDirectory();
    return this.#directory;
  }

  get hasDirectory(): boolean {
    return this.#directory !== undefined;
  }

  /** The footer and trailer that finish the file, to be written at `end`. */
  finish(deadOffsets: readonly number[]): Buffer {
    const directory = this.directory();
    const list = directory.encode(directory.count);
    const length = recordHeader + list.length + 4 + 4 * deadOffsets.length;
    const b = Buffer.alloc(length + trailerRecordBytes);
    list.copy(b, recordHeader);
    let o = b.writeUInt32LE(deadOffsets.length, recordHeader + list.length);
    for (const offset of deadOffsets) o = b.writeUInt32LE(offset, o);
    sealRecord(b, 0, length, recordType.footer);
    encodeTrailerInto(b, length, this, this.end);
    return b;
  }

  /** Reads a finished file's trailer. False when there is none. */
  loadTrailer(): boolean {
    const size = this.file.size();
    if (size < trailerRecordBytes) return false;
    const b = Buffer.allocUnsafe(trailerRecordBytes);
    this.file.read(b, size - trailerRecordBytes);
    const t = decodeTrailer(b);
    if (t === undefined || t.footer >= size) return false;
    this.takeTrailer(t);
    return true;
  }

  takeTrailer(t: SegmentTrailer): void {
    this.sealed = true;
    this.end = t.footer;
    this.firstMain = t.firstMain;
    this.firstSub = t.firstSub;
    this.lastMain = t.lastMain;
    this.lastSub = t.lastSub;
    this.rows = t.rows;
    this.rowBytes = t.rowBytes;
  }

  /** Offsets of rows that died while a rewritten file was made. Undefined when the footer is not readable. */
  footerDead(): number[] | undefined {
    const b = this.#readFooter();
    if (b === undefined) return undefined;
    let o = recordHeader + 4 + 16 * b.readUInt32LE(recordHeader);
    const out: number[] = [];
    for (let n = b.readUInt32LE(o); n > 0; n--) out.push(b.readUInt32LE((o += 4)));
    return out;
  }

  #readFooter(): Buffer | undefined {
    const size = this.file.size() - trailerRecordBytes - this.end;
    if (size < recordHeader + 8) return undefined;
    const b = Buffer.allocUnsafe(size);
    if (this.file.read(b, this.end) !== size || !recordIsSound(b, 0, size) || b[8] !== recordType.footer || b.readUInt32LE(4) !== size)
      return undefined;
    return b;
  }

  #loadDirectory(): RowDirectory {
    const footer = this.sealed ? this.#readFooter() : undefined;
    if (footer !== undefined) return RowDirectory.decode(footer, recordHeader);
    // A bad footer costs time, not data: walk the rows.
    const d = new RowDirectory();
    walkRecords(this, 0, this.end, false, (b, at, offset) => {
      if (isRow(b[at + 8] as number)) d.add(rowMain(b, at), rowSub(b, at), offset);
    });
    return d;
  }
}

/**
 * Calls `each` for the records in [from, to) of a file, in order. Buffers are views of blocks read for this walk, never reused.
 * @throws CorruptError when a checksum is wrong (with `check`) or a length leads outside
 */
export function walkRecords(
  f: LogFile,
  from: number,
  to: number,
  check: boolean,
  each: (b: Buffer, at: number, offset: number) => void,
): void {
  let offset = from;
  while (offset < to) {
    let b = Buffer.allocUnsafeSlow(Math.min(walkBlock, to - offset));
    let n = f.file.read(b, offset);
    if (n >= recordHeader) {
      const length = b.readUInt32LE(4);
      if (length > n && offset + length <= to) {
        b = Buffer.allocUnsafeSlow(length);
        n = f.file.read(b, offset);
      }
    }
    let at = 0;
    while (at + recordHeader <= n) {
      const length = b.readUInt32LE(at + 4);
      if (at + length > n && at > 0 && length >= recordHeader && offset + at + length <= to) break;
      const type = b[at + 8] as number;
      const whole = length >= recordHeader && at + length <= n && type >= 1 && type <= recordTypeMax;
      if (!whole || (check && !recordIsSound(b, at, n)))
        throw new CorruptError({ path: f.path, offset: offset + at, what: 'record with a wrong checksum' });
      each(b, at, offset + at);
      at += length;
    }
    if (at === 0) throw new CorruptError({ path: f.path, offset, what: 'record cut short' });
    offset += at;
  }
}

function encodeTrailerInto(b: Buffer, at: number, f: LogFile, footer: number): void {
  const t: SegmentTrailer = {
    footer,
    firstMain: f.firstMain,
    firstSub: f.firstSub,
    lastMain: f.lastMain,
    lastSub: f.lastSub,
    rows: f.rows,
    rowBytes: f.rowBytes,
  };
  encodeTrailer(t).copy(b, at);
}

function doubled<T extends Float64Array | Uint32Array>(from: T, to: T): T {
  to.set(from);
  return to;
}

export const logStart: LogPosition = { segment: 0, offset: 0 };

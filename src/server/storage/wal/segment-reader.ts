/**
 * Reads the records of one segment and tells three ends apart: the end of the data, a torn tail, and corruption.
 *
 * A torn tail is what a crash leaves of writes that were never synced: any subset of their 512-byte sectors. A sector that did not make it
 * holds zeros, as the segment was zero there. So a record is torn when the file ends inside it or when a whole sector of it is zero; and
 * where a length is zero but something lies further on, the sector with the length was lost. Frames begin at multiples of 8, so that a
 * length never spans sectors: a length of another value than written is corruption, not a torn write.
 *
 * A record also delimits itself (its fields tell where it ends). Where the length disagrees with a record that is sound by its checksum, the
 * length has rotted; and where the length, last in its sector, is zero before a sound record, only the length was lost (`lostLengths`).
 *
 * Decoding is strict, since the checksum covers data but not the record type: any field out of place is corruption.
 */
import { equalBytes } from '../../../base/bytes.ts';
import { crc32c } from '../../../base/crc32c.ts';
import type { DiskFile } from '../../../base/disk.ts';
import { WalError } from './errors.ts';
import { frameBytes, paddingOf, RecordType, sectorBytes } from './format.ts';

/** Read at a time. Views of entries keep a window alive, so it is not larger. */
const windowBytes = 1 << 20;

let zeros: Uint8Array | undefined;

export type ReadOutcome = 'record' | 'end' | 'torn';

export class SegmentReader {
  readonly #file: DiskFile;
  readonly #size: number;
  readonly #isLast: boolean;
  #window: Uint8Array = new Uint8Array(0);
  #windowFrom = 0;
  #parsed: Parsed = { type: 0, crc: 0, from: 0, to: 0 };

  /** The record just read: its data are `buffer[from, to)`. The buffer stays valid and must not be changed. */
  type = 0;
  buffer: Uint8Array = new Uint8Array(0);
  from = 0;
  to = 0;
  /** Running checksum after it. */
  crc: number;
  /** Where the next frame begins. */
  offset = 0;
  /** Records read so far. */
  count = 0;
  /** Frames that were read although their length field was lost: what belongs there. */
  readonly lostLengths: { readonly offset: number; readonly bodyBytes: number }[] = [];

  /** `isLast`: only the last segment may have a torn tail. `crc` comes from the segment before, 0 for the first one read. */
  constructor(file: DiskFile, options: { readonly crc: number; readonly isLast: boolean }) {
    this.#file = file;
    this.#size = file.size();
    this.#isLast = options.isLast;
    this.crc = options.crc;
  }

  /** @throws WalError `corrupt` */
  next(): ReadOutcome {
    const at = this.offset;
    const left = this.#size - at;
    if (left < frameBytes) {
      if (left === 0 || this.#isZero(at, this.#size)) return 'end';
      return this.#tornOr('the last frame is cut');
    }
    const w = this.#load(at, frameBytes);
    const p = at - this.#windowFrom;
    const low = ((w[p] as number) | ((w[p + 1] as number) << 8) | ((w[p + 2] as number) << 16) | ((w[p + 3] as number) << 24)) >>> 0;
    const high = (w[p + 4] as number) | ((w[p + 5] as number) << 8) | ((w[p + 6] as number) << 16);
    const top = w[p + 7] as number;
    if (low === 0 && high === 0 && top === 0) return this.#zeroLength(at);
    const bodyBytes = low + high * 4294967296;
    const padding = paddingOf(bodyBytes);
    if (top !== (padding === 0 ? 0 : 0x80 | padding)) throw this.#corrupt('a frame has an impossible length field');
    if (bodyBytes + padding > left - frameBytes) return this.#tooLong(at, bodyBytes);

    const body = this.#load(at + frameBytes, bodyBytes);
    const from = at + frameBytes - this.#windowFrom;
    if (!parseRecord(body, from, from + bodyBytes, this.#parsed) || this.#parsed.to !== from + bodyBytes)
      return this.#unsound(at, bodyBytes, 'a record does not parse');
    if (!this.#checksumHolds(body)) return this.#unsound(at, bodyBytes, 'walpb: crc mismatch');
    this.#take(body, at + frameBytes + bodyBytes + padding);
    return 'record';
  }

  corrupt(what: string): WalError {
    return new WalError('corrupt', what, { path: this.#file.path, offset: this.offset, record: this.count });
  }

  #corrupt(what: string): WalError {
    return this.corrupt(what);
  }

  #tornOr(what: string): ReadOutcome {
    if (this.#isLast) return 'torn';
    throw this.#corrupt(what);
  }

  #take(body: Uint8Array, next: number): void {
    const { type, from, to } = this.#parsed;
    this.type = type;
    this.buffer = body;
    this.from = from;
    this.to = to;
    this.crc = this.#parsed.crc;
    this.offset = next;
    this.count++;
  }

  #checksumHolds(body: Uint8Array): boolean {
    const { type, crc, from, to } = this.#parsed;
    // A crc record re-seeds: it must repeat the running value, unless this is the first segment read.
    if (type === RecordType.crc) return from === to && (this.crc === 0 || this.crc === crc);
    return crc32c(this.crc, body, from, to) === crc;
  }

  /** The record at `at` is not as its length or checksum says. */
  #unsound(at: number, bodyBytes: number, what: string): ReadOutcome {
    if (this.#isLast && !this.#soundBody(at) && this.#hasZeroSector(at + frameBytes, at + frameBytes + bodyBytes)) return 'torn';
    throw this.#corrupt(what);
  }

  /** The length field points beyond the file: a file cut short, or a rotten length. */
  #tooLong(at: number, bodyBytes: number): ReadOutcome {
    const what = 'a frame is longer than its file';
    const from = at + frameBytes;
    const there = this.#size - from;
    if (bodyBytes <= there) {
      // Only padding is missing.
      return this.#tornOr(what);
    }
    const head = this.#load(from, Math.min(there, 32));
    const p = from - this.#windowFrom;
    const shape: Parsed = { type: 0, crc: 0, from: 0, to: 0 };
    const complete = parseRecord(head, p, p + Math.min(there, 32), shape);
    if (complete && shape.to - p !== bodyBytes) throw this.#corrupt(what);
    return this.#tornOr(what);
  }

  /** A length of zero: the end of the data, a lost sector, or a lost length. */
  #zeroLength(at: number): ReadOutcome {
    const sectorEnd = Math.min(this.#size, (Math.floor(at / sectorBytes) + 1) * sectorBytes);
    if (!this.#isZero(at, sectorEnd)) throw this.#corrupt('a length field is zero before data');
    if (this.#isZero(sectorEnd, this.#size)) return 'end';
    const bodyBytes = sectorEnd - at === frameBytes ? this.#soundBody(at) : 0;
    if (bodyBytes !== 0) {
      this.lostLengths.push({ offset: at, bodyBytes });
      const from = at + frameBytes;
      const body = this.#load(from, bodyBytes);
      parseRecord(body, from - this.#windowFrom, from - this.#windowFrom + bodyBytes, this.#parsed);
      this.#take(body, from + bodyBytes + paddingOf(bodyBytes));
      return 'record';
    }
    return this.#tornOr('zeros before the end of a segment');
  }

  /** Bytes of the record behind the frame at `at` when it is sound whatever the length field says, else 0. */
  #soundBody(at: number): number {
    const from = at + frameBytes;
    const headEnd = Math.min(this.#size, from + 32);
    if (headEnd <= from) return 0;
    let w = this.#load(from, headEnd - from);
    let p = from - this.#windowFrom;
    const saved = this.#parsed;
    this.#parsed = { type: 0, crc: 0, from: 0, to: 0 };
    try {
      if (!parseRecord(w, p, p + headEnd - from, this.#parsed)) return 0;
      const bytes = this.#parsed.to - p;
      if (from + bytes > this.#size) return 0;
      w = this.#load(from, bytes);
      p = from - this.#windowFrom;
      return parseRecord(w, p, p + bytes, this.#parsed) && this.#checksumHolds(w) ? bytes : 0;
    } finally {
      this.#parsed = saved;
    }
  }

  /** Whether a sector that begins inside `[from, to)` is zero throughout. */
  #hasZeroSector(from: number, to: number): boolean {
    for (let s = Math.ceil(from / sectorBytes) * sectorBytes; s < to; s += sectorBytes)
      if (this.#isZero(s, Math.min(s + sectorBytes, this.#size))) return true;
    return false;
  }

  #isZero(from: number, to: number): boolean {
    const block = new Uint8Array(Math.min(windowBytes, Math.max(to - from, 0)));
    for (let at = from; at < to; at += block.length) {
      const n = this.#file.read(block.length <= to - at ? block : block.subarray(0, to - at), at);
      if (n === 0) break;
      zeros ??= new Uint8Array(windowBytes);
      if (!equalBytes(block.subarray(0, n), zeros.subarray(0, n))) return false;
    }
    return true;
  }

  /** Makes `[at, at + n)` lie in the window, which is returned. `n` was checked against the file's size. */
  #load(at: number, n: number): Uint8Array {
    if (at >= this.#windowFrom && at + n <= this.#windowFrom + this.#window.length) return this.#window;
    const window = new Uint8Array(Math.min(Math.max(windowBytes, n), this.#size - at));
    const got = this.#file.read(window, at);
    if (got !== window.length) throw this.#corrupt('the file shrank while it was read');
    this.#window = window;
    this.#windowFrom = at;
    return window;
  }
}

interface Parsed {
  type: number;
  crc: number;
  /** Data: [from, to). `to` is the end of the record and may lie beyond the bytes at hand. */
  from: number;
  to: number;
}

/** Exactly `type crc [data]`, as every etcd writes it. False when the head is not of that form; the data may end beyond `end`. */
function parseRecord(b: Uint8Array, start: number, end: number, out: Parsed): boolean {
  let p = start;
  if (p + 4 > end || b[p] !== 0x08) return false;
  const type = b[p + 1] as number;
  if (type < RecordType.metadata || type > RecordType.snapshot || b[p + 2] !== 0x10) return false;
  p += 3;
  let v = 0;
  let scale = 1;
  let byte: number;
  do {
    if (p >= end || scale > 268435456) return false;
    byte = b[p++] as number;
    v += (byte & 127) * scale;
    scale *= 128;
  } while (byte > 127);
  if (v > 0xffffffff) return false;
  out.type = type;
  out.crc = v;
  out.from = p;
  out.to = p;
  if (type === RecordType.crc) return true;
  if (p === end || b[p] !== 0x1a) return false;
  p++;
  v = 0;
  scale = 1;
  do {
    if (p >= end || scale > 268435456) return false;
    byte = b[p++] as number;
    v += (byte & 127) * scale;
    scale *= 128;
  } while (byte > 127);
  out.from = p;
  out.to = p + v;
  return v !== 0;
}

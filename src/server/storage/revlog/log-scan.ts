/** Rows in revision order as of one moment: the files and the dead rows of that moment are held for it. */
import { invariant } from '../../../base/invariant.ts';
import type { Row, RowScan, RowSize } from '../backend.ts';
import { CorruptError } from '../backend.ts';
import { bitmapBits } from '../index/page-format.ts';
import { isRow, recordHeader, recordIsSound, rowMain, rowMin, rowSub, rowValue, rowValueEnd, rowValueStart, recordType } from './format.ts';
import type { LogFile } from './log-file.ts';
import type { LogStore } from './log-store.ts';

/** What a scan reads ahead: large enough to make a read cheap, small enough to be held by one row. */
const blockBytes = 128 * 1024;
/** A first block, for scans that want a few rows (a watcher that is a little behind). */
const firstBlockBytes = 16 * 1024;

/** A snapshot was held for longer than allowed, or its bits were lost with a bad index page. */
export class SnapshotExpiredError extends Error {
  readonly code = 'snapshot-expired';
}

export class LogSnapshot {
  readonly #store: LogStore;
  readonly files: readonly { readonly file: LogFile; readonly end: number }[];
  readonly bornAt: number;
  readonly #bits = new Map<LogFile, (Uint8Array | undefined | null)[]>();
  expired = false;
  #users = 1;

  constructor(store: LogStore, bornAt: number) {
    this.#store = store;
    this.bornAt = bornAt;
    this.files = store.files.map((file) => ({ file, end: file.end }));
  }

  /** Another scan over the same moment. */
  share(): this {
    invariant(this.#users > 0, 'the snapshot is held');
    this.#users++;
    return this;
  }

  release(): void {
    invariant(this.#users > 0, 'the snapshot is held');
    if (--this.#users === 0) {
      this.#bits.clear();
      this.#store.releaseSnapshot(this);
    }
  }

  /** Gives up what it holds before its readers are done. */
  expire(): void {
    this.expired = true;
    this.#bits.clear();
    this.#store.releaseSnapshot(this);
  }

  /** Called before bits of a stretch change. */
  keepBits(file: LogFile, stretch: number): void {
    if (file.pins === 0) return;
    let kept = this.#bits.get(file);
    if (kept === undefined) this.#bits.set(file, (kept = []));
    if (kept[stretch] === undefined) kept[stretch] = this.#store.copyBits(file, stretch) ?? null;
  }

  /** Takes copies of everything that is not copied yet, because the originals are about to go. @throws IndexPageError */
  keepAllBits(): void {
    for (const { file } of this.files) for (let s = 0; s < file.bitmaps.length; s++) this.keepBits(file, s);
  }

  isDead(file: LogFile, offset: number): boolean {
    const kept = this.#bits.get(file);
    if (kept !== undefined) {
      const bit = offset >>> 5;
      const stretch = Math.floor(bit / bitmapBits);
      const bits = kept[stretch];
      if (bits === null) return false;
      if (bits !== undefined) {
        const i = bit - stretch * bitmapBits;
        return ((bits[i >>> 3] as number) & (1 << (i & 7))) !== 0;
      }
    }
    return this.#store.isDead(file, offset);
  }
}

export class LogScan implements RowScan {
  readonly #store: LogStore;
  readonly #snapshot: LogSnapshot;
  readonly #from: number;
  readonly #to: number;
  #fileIndex = -1;
  #offset = 0;
  #end = 0;
  #block: Buffer | undefined;
  #blockStart = 0;
  #at = 0;
  #blockBytes = firstBlockBytes;
  #closed = false;

  readonly #repair: (error: unknown) => void;
  /** Where blocks are read to when rows are lent, one after another. */
  readonly #lent: Buffer | undefined;

  /** Takes over one hold on the snapshot. `repair` makes a new index after a bad page, or throws what it is given. */
  constructor(store: LogStore, snapshot: LogSnapshot, from: number, to: number, repair: (error: unknown) => void, lent = false) {
    this.#store = store;
    this.#lent = lent ? Buffer.allocUnsafeSlow(blockBytes) : undefined;
    this.#repair = repair;
    this.#snapshot = snapshot;
    this.#from = from;
    this.#to = to;
    const files = snapshot.files;
    let i = files.length;
    while (i > 0) {
      const f = (files[i - 1] as { file: LogFile }).file;
      if (f.rows > 0 && f.lastMain < from) break;
      i--;
    }
    this.#openFile(i);
  }

  next(): Row | undefined {
    const at = this.#advance(true);
    if (at < 0) return undefined;
    const b = this.#block as Buffer;
    return { main: rowMain(b, at), sub: rowSub(b, at), tombstone: b[at + 8] === recordType.tombstone, value: rowValue(b, at) };
  }

  measure(into: RowSize): boolean {
    const at = this.#advance(false);
    if (at < 0) return false;
    const b = this.#block as Buffer;
    into.tombstone = b[at + 8] === recordType.tombstone;
    into.bytes = rowValueEnd(b, at) - rowValueStart(b, at);
    if (into.bytes < 0) this.#corrupt(at);
    return true;
  }

  /** Where the next row lies in the block; −1 at the end. */
  #advance(check: boolean): number {
    for (;;) {
      if (this.#snapshot.expired) throw new SnapshotExpiredError('the scan was open for too long');
      if (this.#closed || this.#fileIndex >= this.#snapshot.files.length) return -1;
      if (this.#block === undefined || this.#at >= this.#block.length) {
        if (!this.#readBlock()) {
          this.#openFile(this.#fileIndex + 1);
          continue;
        }
      }
      const b = this.#block as Buffer;
      const at = this.#at;
      const left = b.length - at;
      const size = left >= recordHeader ? b.readUInt32LE(at + 4) : 0;
      if (left < recordHeader || (size > left && this.#blockStart + at + size <= this.#end)) {
        // Cut off by the end of the block: read on from here.
        if (this.#blockStart + b.length >= this.#end) this.#corrupt();
        this.#offset = this.#blockStart + at;
        this.#readBlock(Math.max(size, recordHeader));
        continue;
      }
      if (size < recordHeader || size > left) this.#corrupt();
      this.#at = at + size;
      if (check && !recordIsSound(b, at, b.length)) this.#corrupt(at);
      if (!isRow(b[at + 8] as number)) continue;
      if (size < rowMin) this.#corrupt(at);
      const { file } = this.#snapshot.files[this.#fileIndex] as { file: LogFile };
      const main = rowMain(b, at);
      if (main < this.#from || this.#isDead(file, this.#blockStart + at)) continue;
      if (main >= this.#to) {
        this.#fileIndex = this.#snapshot.files.length;
        return -1;
      }
      return at;
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#block = undefined;
    if (!this.#snapshot.expired) this.#snapshot.release();
  }

  #isDead(file: LogFile, offset: number): boolean {
    try {
      return this.#snapshot.isDead(file, offset);
    } catch (error) {
      this.#repair(error);
      if (this.#snapshot.expired) throw new SnapshotExpiredError('the dead rows of the scan were lost with a bad index page');
      return this.#snapshot.isDead(file, offset);
    }
  }

  #openFile(index: number): void {
    this.#fileIndex = index;
    this.#block = undefined;
    const entry = this.#snapshot.files[index];
    if (entry === undefined) return;
    this.#end = entry.end;
    this.#offset = 0;
    if (entry.file.rows > 0 && entry.file.firstMain < this.#from) {
      const directory = this.#store.directoryOf(entry.file);
      const i = directory.find(this.#from, 0);
      if (i > 0) this.#offset = Math.min(directory.offset(i, entry.end), entry.end);
    }
  }

  #readBlock(atLeast = 0): boolean {
    if (this.#offset >= this.#end) return false;
    const { file } = this.#snapshot.files[this.#fileIndex] as { file: LogFile };
    const bytes = Math.min(Math.max(this.#blockBytes, atLeast), this.#end - this.#offset);
    this.#blockBytes = blockBytes;
    this.#block = this.#store.readStretch(file, this.#offset, this.#offset + bytes, this.#lent);
    this.#blockStart = this.#offset;
    this.#offset += bytes;
    this.#at = 0;
    return true;
  }

  #corrupt(at = this.#at): never {
    const { file } = this.#snapshot.files[this.#fileIndex] as { file: LogFile };
    throw new CorruptError({ path: file.path, offset: this.#blockStart + at, what: 'record with a wrong checksum' });
  }
}

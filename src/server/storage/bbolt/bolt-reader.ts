/**
 * Reads a bbolt file page by page. Everything in it is taken for possibly wrong: what does not fit is a `BoltError` that names the file and
 * the page, never a crash, an endless walk or a wrong entry that the format could have told from a right one. (Values have no checksum in this
 * format; the SHA-256 behind a saved snapshot covers them.)
 */
import { compareBytes } from '../../../base/bytes.ts';
import type { DiskFile } from '../../../base/disk.ts';
import {
  bucketHeaderBytes,
  bucketLeafFlag,
  decodeMeta,
  elementBytes,
  type Meta,
  metaBytes,
  PageFlag,
  pageHeaderBytes,
  readU64,
} from './format.ts';

/** Page sizes that bbolt can have: those of operating systems. */
const pageBytesMin = 1024;
const pageBytesMax = 64 * 1024;
/** Longest run of pages that is read: far beyond any request limit in use, and little enough to be held. */
const runBytesMax = 256 * 1024 * 1024;
/** What is read ahead while pages follow one another in the file. */
const readAheadBytesMax = 256 * 1024;
/** Levels of a tree; with two children a page, more than any file can have. */
const depthMax = 64;

/** A file that is no bbolt file, or a damaged one. */
export class BoltError extends Error {
  readonly code = 'bolt-file';
  readonly path: string;
  readonly page: number | undefined;

  constructor(options: { readonly path: string; readonly page?: number; readonly what: string }) {
    super(`${options.path}: ${options.page === undefined ? '' : `page ${options.page}: `}${options.what}`);
    this.path = options.path;
    this.page = options.page;
  }
}

/** Entries of one bucket in key order. */
export interface BoltCursor {
  /** False at the end. @throws BoltError */
  next(): boolean;
  /** Views of memory that nobody changes. */
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  /** Where the key lies, for those that want no view: in this memory, at `keyAt`. The value follows it. */
  readonly bytes: Buffer;
  readonly keyAt: number;
  readonly keyBytes: number;
  readonly valueBytes: number;
}

type Root = { readonly page: number } | { readonly inline: Buffer };

export class BoltReader {
  readonly path: string;
  readonly meta: Meta;
  readonly #file: DiskFile;
  readonly #buckets = new Map<string, Root>();
  #window: Buffer = Buffer.alloc(0);
  #windowAt = 0;
  #ahead = 0;

  /**
   * Finds the newest sound meta page and the buckets. The file stays the caller's.
   *
   * @param bytes  length of the database in the file, when something (a digest) follows it.
   * @throws BoltError, DiskError
   */
  constructor(file: DiskFile, bytes: number = file.size()) {
    this.path = file.path;
    this.#file = file;
    this.meta = readMeta(file, bytes);
    const cursor = new TreeCursor(this, { page: this.meta.root }, true);
    while (cursor.next()) {
      const { page, value } = cursor;
      if (value.length < bucketHeaderBytes) throw new BoltError({ path: this.path, page, what: 'a bucket without a header' });
      const b = Buffer.from(value.buffer, value.byteOffset, value.length);
      const root = readU64(b, 0);
      this.#buckets.set(
        Buffer.from(cursor.key).toString('latin1'),
        root === 0 ? { inline: Buffer.from(b.subarray(bucketHeaderBytes)) } : { page: root },
      );
    }
  }

  /** Names in byte order, one character a byte. */
  get buckets(): string[] {
    return [...this.#buckets.keys()];
  }

  /** Size as etcd reports it: of the pages in use. */
  get sizeBytes(): number {
    return this.meta.pages * this.meta.pageBytes;
  }

  /** Undefined when there is no such bucket. */
  cursor(bucket: string): BoltCursor | undefined {
    const root = this.#buckets.get(bucket);
    return root === undefined ? undefined : new TreeCursor(this, root, false);
  }

  /** A run of pages that begins with page `id`: at least its header is there and fits. @throws BoltError, DiskError */
  run(id: number): Buffer {
    const { pageBytes, pages } = this.meta;
    if (id < 2 || id >= pages) throw new BoltError({ path: this.path, page: id, what: `outside the file's ${pages} pages` });
    const page = this.#read(id * pageBytes, pageBytes);
    if (readU64(page, 0) !== id) throw new BoltError({ path: this.path, page: id, what: `says that it is page ${readU64(page, 0)}` });
    const overflow = page.readUInt32LE(12);
    if (overflow === 0) return page;
    if (id + overflow >= pages || (overflow + 1) * pageBytes > runBytesMax)
      throw new BoltError({ path: this.path, page: id, what: `runs over ${overflow} more pages, beyond the file's ${pages}` });
    return this.#read(id * pageBytes, (overflow + 1) * pageBytes);
  }

  #read(at: number, bytes: number): Buffer {
    const from = at - this.#windowAt;
    if (from >= 0 && from + bytes <= this.#window.length) return this.#window.subarray(from, from + bytes);
    // Pages that follow one another are read in ever larger stretches, others one by one.
    const follows = from >= 0 && from <= this.#window.length + 4 * this.meta.pageBytes;
    this.#ahead = follows ? Math.min(Math.max(2 * this.#ahead, 4 * this.meta.pageBytes), readAheadBytesMax) : 0;
    const end = Math.min(at + Math.max(bytes, this.#ahead), this.sizeBytes);
    const window = Buffer.allocUnsafeSlow(end - at);
    const n = this.#file.read(window, at);
    if (n !== window.length) throw new BoltError({ path: this.path, what: `the file ends at ${at + n}, within its pages` });
    this.#window = window;
    this.#windowAt = at;
    return window.subarray(0, bytes);
  }
}

function readMeta(file: DiskFile, bytes: number): Meta {
  const { path } = file;
  const found: Meta[] = [];
  let problem = 'not a bbolt file';
  const look = (at: number): Meta | undefined => {
    const b = Buffer.alloc(pageHeaderBytes + metaBytes);
    if (at + b.length > bytes || file.read(b, at) !== b.length) return undefined;
    const meta = decodeMeta(b, pageHeaderBytes);
    if (typeof meta === 'string') {
      if (meta !== 'not a bbolt file') problem = meta;
      return undefined;
    }
    const { pageBytes } = meta;
    if (pageBytes < pageBytesMin || pageBytes > pageBytesMax || (pageBytes & (pageBytes - 1)) !== 0) {
      problem = `a page size of ${pageBytes}`;
      return undefined;
    }
    found.push(meta);
    return meta;
  };
  const first = look(0);
  if (first !== undefined) look(first.pageBytes);
  // The second one tells where it lies only by being there.
  else for (let size = pageBytesMin; size <= pageBytesMax && found.length === 0; size *= 2) look(size);
  const meta = found.sort((a, b) => (a.txid < b.txid ? 1 : a.txid > b.txid ? -1 : 0))[0];
  if (meta === undefined) throw new BoltError({ path, what: problem });
  if (!Number.isSafeInteger(meta.pages) || meta.pages < 3 || meta.root < 2 || meta.root >= meta.pages)
    throw new BoltError({ path, what: `a meta page with root ${meta.root} among ${meta.pages} pages` });
  if (meta.pages * meta.pageBytes > bytes)
    throw new BoltError({ path, what: `the file is cut short: ${bytes} bytes for ${meta.pages} pages of ${meta.pageBytes}` });
  return meta;
}

interface Frame {
  readonly id: number;
  readonly run: Buffer;
  readonly leaf: boolean;
  readonly count: number;
  index: number;
}

/** Walks a tree from its root, leaves from left to right. */
class TreeCursor implements BoltCursor {
  readonly #reader: BoltReader;
  readonly #stack: Frame[] = [];
  /** Whether the values are buckets. */
  readonly #ofBuckets: boolean;
  /** One bit a page: each belongs to one place in a tree, so that no walk is endless. */
  readonly #seen: Uint8Array;
  bytes: Buffer = Buffer.alloc(0);
  keyAt = 0;
  /** −1 before the first entry. */
  #keyBytes = -1;
  valueBytes = 0;

  constructor(reader: BoltReader, root: Root, ofBuckets: boolean) {
    this.#reader = reader;
    this.#ofBuckets = ofBuckets;
    this.#seen = new Uint8Array('inline' in root ? 0 : Math.ceil(reader.meta.pages / 8));
    if ('inline' in root) this.#push(0, root.inline, true);
    else this.#visit(root.page);
  }

  get keyBytes(): number {
    return Math.max(0, this.#keyBytes);
  }
  get key(): Uint8Array {
    return this.bytes.subarray(this.keyAt, this.keyAt + this.keyBytes);
  }
  get value(): Uint8Array {
    const at = this.keyAt + this.keyBytes;
    return this.bytes.subarray(at, at + this.valueBytes);
  }
  /** The page of the entry, for messages. */
  get page(): number {
    return this.#stack[this.#stack.length - 1]?.id ?? 0;
  }

  next(): boolean {
    for (;;) {
      const frame = this.#stack[this.#stack.length - 1];
      if (frame === undefined) return false;
      if (frame.index >= frame.count) {
        this.#stack.pop();
        continue;
      }
      const at = pageHeaderBytes + elementBytes * frame.index++;
      if (frame.leaf) {
        this.#take(frame, at);
        return true;
      }
      this.#descend(frame, at);
    }
  }

  #take(frame: Frame, at: number): void {
    const { run, id } = frame;
    const flags = run.readUInt32LE(at);
    const start = at + run.readUInt32LE(at + 4);
    const keyBytes = run.readUInt32LE(at + 8);
    const valueBytes = run.readUInt32LE(at + 12);
    if (start < pageHeaderBytes + elementBytes * frame.count || start + keyBytes + valueBytes > run.length)
      this.#fail(id, 'an entry that reaches beyond its page');
    if (flags !== (this.#ofBuckets ? bucketLeafFlag : 0)) this.#fail(id, `an entry of kind ${flags} out of place`);
    if (!this.#isBelow(run, start, keyBytes)) this.#fail(id, 'keys out of order');
    this.bytes = run;
    this.keyAt = start;
    this.#keyBytes = keyBytes;
    this.valueBytes = valueBytes;
  }

  /** Whether the last key comes before another. */
  #isBelow(b: Buffer, at: number, bytes: number): boolean {
    const mine = this.#keyBytes;
    if (mine < 0) return true;
    const { bytes: a, keyAt } = this;
    const n = mine < bytes ? mine : bytes;
    for (let i = 0; i < n; i++) {
      const d = (a[keyAt + i] as number) - (b[at + i] as number);
      if (d !== 0) return d < 0;
    }
    return mine < bytes;
  }

  #descend(frame: Frame, at: number): void {
    const { run, id } = frame;
    const start = at + run.readUInt32LE(at);
    const keyBytes = run.readUInt32LE(at + 4);
    if (start < pageHeaderBytes + elementBytes * frame.count || start + keyBytes > run.length)
      this.#fail(id, 'an entry that reaches beyond its page');
    if (!this.#isBelow(run, start, keyBytes)) this.#fail(id, 'keys out of order');
    const key = run.subarray(start, start + keyBytes);
    this.#visit(readU64(run, at + 8));
    const child = this.#stack[this.#stack.length - 1] as Frame;
    const first = child.count === 0 ? undefined : firstKey(child);
    if (first === undefined || compareBytes(first, key) < 0) this.#fail(child.id, 'keys below those its parent says');
  }

  #visit(page: number): void {
    const run = this.#reader.run(page);
    const pages = run.length / this.#reader.meta.pageBytes;
    for (let i = page; i < page + pages; i++) {
      const bit = 1 << (i & 7);
      if (((this.#seen[i >>> 3] as number) & bit) !== 0) this.#fail(i, 'belongs to two places');
      this.#seen[i >>> 3] = (this.#seen[i >>> 3] as number) | bit;
    }
    this.#push(page, run, false);
  }

  #push(id: number, run: Buffer, inline: boolean): void {
    if (run.length < pageHeaderBytes) this.#fail(id, 'an inline bucket that is too short');
    const flags = run.readUInt16LE(8);
    const count = run.readUInt16LE(10);
    const leaf = flags === PageFlag.leaf;
    if (!leaf && (flags !== PageFlag.branch || inline)) this.#fail(id, `neither leaf nor branch (flags ${flags})`);
    if (pageHeaderBytes + elementBytes * count > run.length) this.#fail(id, `${count} entries, more than fit`);
    if (!leaf && count === 0) this.#fail(id, 'a branch without children');
    if (this.#stack.length >= depthMax) this.#fail(id, 'the tree is too deep');
    this.#stack.push({ id, run, leaf, count, index: 0 });
  }

  #fail(page: number, what: string): never {
    throw new BoltError({ path: this.#reader.path, page, what });
  }
}

/** Undefined when it reaches beyond the page. */
function firstKey(frame: Frame): Uint8Array | undefined {
  const { run, leaf } = frame;
  const start = pageHeaderBytes + run.readUInt32LE(pageHeaderBytes + (leaf ? 4 : 0));
  const end = start + run.readUInt32LE(pageHeaderBytes + (leaf ? 8 : 4));
  return end > run.length ? undefined : run.subarray(start, end);
}

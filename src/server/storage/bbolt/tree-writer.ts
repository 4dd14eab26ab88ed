/**
 * Packs entries, given in key order, into the pages of one B+tree, leaves first: a page is complete before the next begins, and a branch page
 * follows its last child. So nothing but the page in the making is held, and the same entries always give the same pages.
 *
 * bbolt stops the process when it removes entries below a branch page with a single child. No branch page but the root has fewer than two.
 */
import { invariant } from '../../../base/invariant.ts';
import { bucketHeaderBytes, elementBytes, pageBytes, PageFlag, pageHeaderBytes, writePageHeader, writeU64 } from './format.ts';

/** Children of a branch page even when their keys are so long that they take a run of pages. */
const branchChildrenMin = 4;
/** Size up to which bbolt keeps a bucket inside its parent: a quarter of a page. */
const inlineBytesMax = pageBytes / 4;

/** Where pages go. */
export interface PageOut {
  /** Gives the next page ids to a run of pages. */
  take(pages: number): number;
  /** The memory of the run taken last, to be filled completely; undefined when pages are only counted. */
  memory(pages: number): Buffer | undefined;
}

/** A finished bucket: where its root is, or itself when it is small. */
export type BucketRoot = { readonly page: number } | { readonly inline: Buffer };

interface Level {
  keys: Buffer[];
  pages: number[];
  /** How many of them fit in one page, and the size of that page. */
  fit: number;
  bytes: number;
}

export class TreeWriter {
  readonly #out: PageOut;
  readonly #levels: Level[] = [];
  #leaves = 0;

  // The leaf in the making: its keys and values one after another, and the numbers of its elements.
  #data = Buffer.allocUnsafeSlow(pageBytes);
  #used = 0;
  #count = 0;
  readonly #flags: number[] = [];
  readonly #keySizes: number[] = [];
  readonly #valueSizes: number[] = [];
  #firstKey: Buffer = Buffer.alloc(0);
  /** When pages are only counted, data are not copied. */
  readonly #copying: boolean;

  constructor(out: PageOut, options: { readonly copying: boolean }) {
    this.#out = out;
    this.#copying = options.copying;
  }

  /** `key` must be above the one before; `key[0, keyBytes)` and `value` are copied. */
  add(key: Uint8Array, keyBytes: number, value: Uint8Array, flags = 0): void {
    if (!this.#copying) return this.count(keyBytes, value.length);
    const size = keyBytes + value.length;
    if (this.#count > 0 && !this.#fits(size)) this.#endLeaf();
    if (this.#count === 0) this.#firstKey = Buffer.from(key.subarray(0, keyBytes));
    if (this.#used + size > this.#data.length) this.#grow(this.#used + size);
    this.#data.set(keyBytes === key.length ? key : key.subarray(0, keyBytes), this.#used);
    this.#data.set(value, this.#used + keyBytes);
    this.#used += size;
    this.#flags[this.#count] = flags;
    this.#keySizes[this.#count] = keyBytes;
    this.#valueSizes[this.#count] = value.length;
    this.#count++;
  }

  /** As `add`, where pages are only counted: lengths are all that matters. */
  count(keyBytes: number, valueBytes: number): void {
    invariant(!this.#copying, 'what is written has bytes');
    const size = keyBytes + valueBytes;
    if (this.#count > 0 && !this.#fits(size)) this.#endLeaf();
    if (this.#count === 0) this.#firstKey = Buffer.allocUnsafe(keyBytes);
    this.#used += size;
    this.#count++;
  }

  #fits(size: number): boolean {
    const before = pageHeaderBytes + elementBytes * this.#count + this.#used;
    // A large element lies on a run of pages, and what follows uses up the last of them.
    const room = before <= pageBytes ? pageBytes : Math.ceil(before / pageBytes) * pageBytes;
    return before + elementBytes + size <= room;
  }

  /** Writes what is left. With `inline`, a small bucket without buckets in it takes no page of its own. */
  finish(inline: boolean): BucketRoot {
    if (inline && this.#leaves === 0) {
      const size = pageHeaderBytes + elementBytes * this.#count + this.#used;
      if (size <= inlineBytesMax) {
        const b = Buffer.alloc(bucketHeaderBytes + size);
        if (this.#copying) this.#writeLeaf(b.subarray(bucketHeaderBytes), 0, 0);
        return { inline: b };
      }
    }
    if (this.#count > 0 || this.#leaves === 0) this.#endLeaf();
    for (let i = 0; ; i++) {
      const level = this.#levels[i] as Level;
      if (level.pages.length === 1) {
        invariant(i === this.#levels.length - 1, 'a single page is the root');
        return { page: level.pages[0] as number };
      }
      // One more than fits: the last page gets two.
      if (level.fit < level.pages.length) this.#endBranch(i, level.fit - 1);
      this.#endBranch(i, level.pages.length);
    }
  }

  #endLeaf(): void {
    const size = pageHeaderBytes + elementBytes * this.#count + this.#used;
    const pages = Math.ceil(size / pageBytes);
    const id = this.#out.take(pages);
    const memory = this.#out.memory(pages);
    if (memory !== undefined) this.#writeLeaf(memory, id, pages - 1);
    this.#leaves++;
    this.#count = 0;
    this.#used = 0;
    this.#addChild(0, this.#firstKey, id);
  }

  #writeLeaf(b: Buffer, id: number, overflow: number): void {
    const n = this.#count;
    writePageHeader(b, 0, { id, flags: PageFlag.leaf, count: n, overflow });
    let at = pageHeaderBytes;
    let data = pageHeaderBytes + elementBytes * n;
    for (let i = 0; i < n; i++) {
      const ksize = this.#keySizes[i] as number;
      const vsize = this.#valueSizes[i] as number;
      b.writeUInt32LE(this.#flags[i] as number, at);
      b.writeUInt32LE(data - at, at + 4);
      b.writeUInt32LE(ksize, at + 8);
      b.writeUInt32LE(vsize, at + 12);
      at += elementBytes;
      data += ksize + vsize;
    }
    this.#data.copy(b, at, 0, this.#used);
    b.fill(0, data);
  }

  #addChild(depth: number, key: Buffer, page: number): void {
    const level = (this.#levels[depth] ??= { keys: [], pages: [], fit: 0, bytes: pageHeaderBytes });
    level.keys.push(key);
    level.pages.push(page);
    fill(level);
    // Two beyond a full page: whatever comes, they are enough for a page of their own.
    if (level.pages.length - level.fit >= 2) this.#endBranch(depth, level.fit);
  }

  /** Makes a branch page of the first `n` children. */
  #endBranch(depth: number, n: number): void {
    const level = this.#levels[depth] as Level;
    invariant(n >= 2, 'a branch page has two children', { n });
    const keys = level.keys.splice(0, n);
    const children = level.pages.splice(0, n);
    level.fit = 0;
    level.bytes = pageHeaderBytes;
    fill(level);
    let size = pageHeaderBytes;
    for (const key of keys) size += elementBytes + key.length;
    const pages = Math.ceil(size / pageBytes);
    const id = this.#out.take(pages);
    const b = this.#out.memory(pages);
    if (b !== undefined) {
      writePageHeader(b, 0, { id, flags: PageFlag.branch, count: n, overflow: pages - 1 });
      let at = pageHeaderBytes;
      let data = pageHeaderBytes + elementBytes * n;
      for (const [i, key] of keys.entries()) {
        b.writeUInt32LE(data - at, at);
        b.writeUInt32LE(key.length, at + 4);
        writeU64(b, at + 8, children[i] as number);
        key.copy(b, data);
        at += elementBytes;
        data += key.length;
      }
      b.fill(0, data);
    }
    this.#addChild(depth + 1, keys[0] as Buffer, id);
  }

  #grow(bytes: number): void {
    const larger = Buffer.allocUnsafeSlow(Math.ceil((bytes + pageHeaderBytes + elementBytes) / pageBytes) * pageBytes);
    this.#data.copy(larger, 0, 0, this.#used);
    this.#data = larger;
  }
}

/** Counts in the children that still fit in the first page. */
function fill(level: Level): void {
  for (; level.fit < level.keys.length; level.fit++) {
    const bytes = level.bytes + elementBytes + (level.keys[level.fit] as Buffer).length;
    if (bytes > pageBytes && level.fit >= branchChildrenMin) return;
    level.bytes = bytes;
  }
}

/**
 * A B+tree over a `PageStore`: ordered cells of (key, revision) with a small payload, and in every branch cell how many live keys lie below.
 * Cell and page formats: `page-format.ts`. One thread, no locks; every public call is one operation of the store.
 *
 * Worked example, versions of key `a` written at revisions 5 and 9, key `b` at 7:
 *
 *   (a, 9, newest) (a, 5) (b, 7, newest)
 *
 * `seek(a, ∞)` stops at (a, 9): the newest. `seek(a, 6)` stops at (a, 5): what was visible at 6. A cell without `newest` belongs to the same
 * key as the cell before it, because the newest version of a key is never removed while older ones are there.
 */
import { compareBytes } from '../../../base/bytes.ts';
import { invariant } from '../../../base/invariant.ts';
import {
  branchCellHeader,
  cellFlag,
  inlineKeyMax,
  inlinePayloadMax,
  leafCellHeader,
  overflowData,
  pageBytes,
  pageHeader,
  pageType,
  revisionMax,
  slotBytes,
  subMax,
} from './page-format.ts';
import { frameBase, frameChunk } from './page-store.ts';
import type { PageStore } from './page-store.ts';
import type { ShowValue } from '../backend.ts';

/** 2^48 cells over pages of at least two cells: deeper is a bug. */
const depthMax = 48;
/** A page with less in use is joined with a neighbour when both fit into `mergedMax`. */
const sparse = 1024;
const mergedMax = 3072;
/** Bytes compared one by one before the native comparison pays. */
const shortCompare = 48;

/** Where no cell was sought yet. */
const nowhere = Buffer.alloc(0);

export class Tree {
  readonly #store: PageStore;
  #root: number;
  /** Changes with every insertion and removal: positions found before are void. */
  mutations = 0;

  // The place found by the last seek.
  readonly #pathPage = new Int32Array(depthMax);
  readonly #pathIndex = new Int32Array(depthMax);
  #depth = 0;
  leaf = 0;
  index = 0;
  #count = 0;
  /** Memory and offset of the cell at the place; valid until the next operation of the store. */
  bytes: Buffer;
  view: DataView;
  cell = 0;
  #base = 0;
  /** `mutations` when the place was found by going down. */
  #placeMutations = -1;

  readonly #scratch = Buffer.allocUnsafeSlow(2048);
  readonly #page = Buffer.allocUnsafeSlow(pageBytes);

  constructor(store: PageStore, root: number) {
    this.#store = store;
    store.beginOp();
    this.#root = root === 0 ? store.allocate(pageType.leaf) : root;
    this.bytes = nowhere;
    this.view = new DataView(nowhere.buffer, nowhere.byteOffset, 0);
  }

  get root(): number {
    return this.#root;
  }

  /**
   * Goes to the first cell at or after (key, main, sub) in cell order. False when there is none; the place is then behind the last cell.
   */
  seek(key: Uint8Array, main: number, sub: number): boolean {
    this.#descend(key, main, sub);
    return this.index < this.#count ? true : this.#nextLeaf();
  }

  /** Goes behind the last cell of the tree. */
  seekLast(): void {
    const store = this.#store;
    store.beginOp();
    let id = this.#root;
    for (this.#depth = 0; ; this.#depth++) {
      const f = store.fetch(id);
      const v = store.views[frameChunk(f)] as DataView;
      const base = frameBase(f);
      if ((store.chunks[frameChunk(f)] as Buffer)[base + 4] === pageType.leaf) break;
      const last = v.getUint16(base + 6, true) - 1;
      this.#pathPage[this.#depth] = id;
      this.#pathIndex[this.#depth] = last;
      id = v.getUint32(base + v.getUint16(base + pageHeader + slotBytes * last, true) + 13, true);
    }
    this.#enterLeaf(id);
    this.index = this.#count;
  }

  /** The next cell; only when nothing changed since the place was found. */
  step(): boolean {
    if (++this.index < this.#count) {
      this.#aim();
      return true;
    }
    this.#store.beginOp();
    for (let i = 0; i < this.#depth; i++) this.#store.fetch(this.#pathPage[i] as number);
    return this.#nextLeaf();
  }

  /** The cell before; only when nothing changed since the place was found. */
  stepBack(): boolean {
    if (this.index > 0) {
      this.index--;
      this.#aim();
      return true;
    }
    return this.#previousLeaf();
  }

  /** Goes back to a place found before, when nothing changed since; the page may have been dropped from memory in between. */
  resume(leaf: number, index: number): void {
    this.#placeMutations = -1;
    this.#store.beginOp();
    this.#enterLeaf(leaf);
    this.index = index;
    this.#aim();
  }

  /** The path of the last seek, so that several cursors can share the tree. */
  savePath(into: Int32Array): number {
    for (let i = 0; i < this.#depth; i++) {
      into[2 * i] = this.#pathPage[i] as number;
      into[2 * i + 1] = this.#pathIndex[i] as number;
    }
    return this.#depth;
  }

  restorePath(from: Int32Array, depth: number): void {
    for (let i = 0; i < depth; i++) {
      this.#pathPage[i] = from[2 * i] as number;
      this.#pathIndex[i] = from[2 * i + 1] as number;
    }
    this.#depth = depth;
  }

  // The cell at the place.
  get flags(): number {
    return this.bytes[this.cell] as number;
  }
  get main(): number {
    return this.view.getUint16(this.cell + 3, true) * 4294967296 + this.view.getUint32(this.cell + 5, true);
  }
  get sub(): number {
    return this.view.getUint32(this.cell + 9, true);
  }
  /** Offset of the payload inside `bytes`. */
  get payload(): number {
    const c = this.cell;
    return c + leafCellHeader + this.view.getUint16(c + 1, true) + ((this.bytes[c] as number) & cellFlag.longKey ? 8 : 0);
  }
  get payloadBytes(): number {
    return this.view.getUint16(this.cell + 13, true);
  }
  get keyBytes(): number {
    const inline = this.view.getUint16(this.cell + 1, true);
    return this.flags & cellFlag.longKey ? this.view.getUint32(this.cell + leafCellHeader + inline, true) : inline;
  }
  /** Copies the key of the cell into `into`, which must be long enough. */
  copyKey(into: Buffer): void {
    const c = this.cell;
    const inline = this.view.getUint16(c + 1, true);
    if (this.flags & cellFlag.longKey) {
      const at = c + leafCellHeader + inline;
      this.#readOverflow(this.view.getUint32(at + 4, true), this.view.getUint32(at, true)).copy(into);
    } else if (inline <= shortCompare) {
      const b = this.bytes;
      for (let i = 0; i < inline; i++) into[i] = b[c + leafCellHeader + i] as number;
    } else this.bytes.copy(into, 0, c + leafCellHeader, c + leafCellHeader + inline);
  }
  /** A fresh copy. */
  key(): Buffer {
    const out = Buffer.allocUnsafe(this.keyBytes);
    this.copyKey(out);
    return out;
  }
  /** A fresh copy of the payload, long or short. */
  value(): Buffer {
    const at = this.payload;
    if (this.flags & cellFlag.longPayload) return this.#readOverflow(this.view.getUint32(at + 4, true), this.view.getUint32(at, true));
    const out = Buffer.allocUnsafe(this.payloadBytes);
    if (out.length <= shortCompare) for (let i = 0; i < out.length; i++) out[i] = this.bytes[at + i] as number;
    else this.bytes.copy(out, 0, at, at + out.length);
    return out;
  }
  /** Shows the payload where it lies, or a copy of a long one. */
  lendValue(show: ShowValue): void {
    const at = this.payload;
    if ((this.flags & cellFlag.longPayload) === 0) {
      show(this.bytes, at, at + this.payloadBytes);
      return;
    }
    const value = this.value();
    show(value, 0, value.length);
  }
  /** The key of the cell against another: negative, 0, positive. */
  compareKey(key: Uint8Array): number {
    return this.#compareKey(this.bytes, this.view, this.cell, leafCellHeader, key);
  }

  /** Whether all keys of the place's leaf come before another. */
  leafIsBefore(key: Uint8Array): boolean {
    const last = this.#base + this.view.getUint16(this.#base + pageHeader + slotBytes * (this.#count - 1), true);
    return this.#compareKey(this.bytes, this.view, last, leafCellHeader, key) < 0;
  }

  /** Sets flags of the cell at the place; `delta` is what that changes in the number of live keys. */
  setFlags(flags: number, delta: number): void {
    this.#touchLeaf();
    this.bytes[this.cell] = flags;
    if (delta !== 0) this.#addCount(delta);
  }

  /**
   * Goes to where a version newer than all of `key` belongs, when the place is still at the newest of them, as the last `seek` left it; false
   * when it is not. A put looks its key up and then appends to it: this saves the second way down.
   */
  stayForNewer(key: Uint8Array, main: number, sub: number): boolean {
    if (this.#placeMutations !== this.mutations || this.index >= this.#count) return false;
    const store = this.#store;
    store.beginOp();
    for (let i = 0; i < this.#depth; i++) store.fetch(this.#pathPage[i] as number);
    this.#enterLeaf(this.leaf);
    this.#aim();
    if ((this.flags & cellFlag.newest) === 0 || this.compareKey(key) !== 0) return false;
    return this.main < main || (this.main === main && this.sub < sub);
  }

  /** Goes to where (key, main, sub) belongs, for `insertHere`. True when a cell is at the place in the same page. */
  seekInsert(key: Uint8Array, main: number, sub: number): boolean {
    this.#descend(key, main, sub);
    return this.index < this.#count;
  }

  /**
   * Inserts a cell at the place found by `seekInsert` with the same key and revision; `delta` = change of live keys of this page, which may
   * count flags that were set on a neighbour without counting them. A payload longer than 512 bytes goes to overflow pages.
   */
  insertHere(key: Uint8Array, main: number, sub: number, flags: number, payload: Uint8Array, payloadLength: number, delta: number): void {
    this.mutations++;
    const size = this.#leafCell(key, main, sub, flags, payload, payloadLength);
    this.#touchLeaf();
    if (delta !== 0) this.#addCount(delta);
    if (!this.#place(this.bytes, this.view, this.#base, this.index, this.#scratch, size)) this.#splitLeaf(size);
  }

  /** Inserts a cell behind all others; what does not belong there is a bug. Pages are filled one after another. */
  insertLast(key: Uint8Array, main: number, sub: number, flags: number, payload: Uint8Array, payloadLength: number): void {
    this.seekLast();
    if (this.index > 0) {
      this.cell = this.#base + this.view.getUint16(this.#base + pageHeader + slotBytes * (this.index - 1), true);
      const d = this.compareKey(key);
      const behind = d < 0 || (d === 0 && compareRevision(this.view, this.cell, main, sub) < 0);
      invariant(behind, 'what is entered last comes after all others', { main, sub });
    }
    this.insertHere(key, main, sub, flags, payload, payloadLength, weight(flags));
  }

  insert(key: Uint8Array, main: number, sub: number, flags: number, payload: Uint8Array): void {
    this.seekInsert(key, main, sub);
    this.insertHere(key, main, sub, flags, payload, payload.length, weight(flags));
  }

  /** Removes the cell at the place. The place is void afterwards. */
  removeHere(): void {
    this.mutations++;
    this.#touchLeaf();
    const flags = this.flags;
    const c = this.cell;
    const size = leafSize(this.bytes, this.view, c);
    if (flags & cellFlag.longKey) {
      const at = c + leafCellHeader + this.view.getUint16(c + 1, true);
      this.#freeOverflow(this.view.getUint32(at + 4, true));
    }
    if (flags & cellFlag.longPayload) this.#freeOverflow(this.view.getUint32(this.payload + 4, true));
    removeCell(this.bytes, this.view, this.#base, this.index, size);
    if (weight(flags) !== 0) this.#addCount(-1);
    this.#shrink();
  }

  /** Live keys in cells before (key, revision ∞). O(log n). */
  rank(key: Uint8Array): number {
    this.#descend(key, revisionMax, subMax);
    let sum = 0;
    for (let level = 0; level < this.#depth; level++) {
      const f = this.#store.fetch(this.#pathPage[level] as number);
      const v = this.#store.views[frameChunk(f)] as DataView;
      const base = frameBase(f);
      for (let i = this.#pathIndex[level] as number; i-- > 0;)
        sum += v.getUint32(base + v.getUint16(base + pageHeader + slotBytes * i, true) + 17, true);
    }
    const f = this.#store.fetch(this.leaf);
    const b = this.#store.chunks[frameChunk(f)] as Buffer;
    const v = this.#store.views[frameChunk(f)] as DataView;
    const base = frameBase(f);
    for (let i = 0; i < this.index; i++) sum += weight(b[base + v.getUint16(base + pageHeader + slotBytes * i, true)] as number);
    return sum;
  }

  /** Live keys in the whole tree. */
  total(): number {
    this.#store.beginOp();
    return this.#countPage(this.#root);
  }

  /** Costly check of the whole tree: order, counts, page shape. Calls `each` at every cell in order. @returns pages visited */
  verify(each?: () => void): number {
    let pages = 0;
    let before: { key: Buffer; main: number; sub: number } | undefined;
    const walk = (id: number): number => {
      this.#store.beginOp();
      const f = this.#store.fetch(id);
      const b = this.#store.chunks[frameChunk(f)] as Buffer;
      const v = this.#store.views[frameChunk(f)] as DataView;
      const base = frameBase(f);
      pages++;
      const n = v.getUint16(base + 6, true);
      let used = 0;
      const leaf = b[base + 4] === pageType.leaf;
      const header = leaf ? leafCellHeader : branchCellHeader;
      const prefix = v.getUint32(base + 12, true);
      const children: { child: number; count: number }[] = [];
      for (let i = 0; i < n; i++) {
        const c = base + v.getUint16(base + pageHeader + slotBytes * i, true);
        used += leaf ? leafSize(b, v, c) : branchSize(b, v, c);
        if (leaf || i > 0) {
          const inline = v.getUint16(c + 1, true);
          const other = base + v.getUint16(base + pageHeader + slotBytes * (n - 1), true) + header;
          invariant(
            inline >= prefix && b.compare(b, other, other + prefix, c + header, c + header + prefix) === 0,
            'keys of a page share its prefix',
            { id, i },
          );
          invariant(
            v.getUint32(base + pageHeader + slotBytes * i + 2, true) === headAt(b, c + header, prefix, inline),
            'slots have the heads of their keys',
            { id, i },
          );
        }
        if (!leaf) children.push({ child: v.getUint32(c + 13, true), count: v.getUint32(c + 17, true) });
      }
      invariant(used + v.getUint16(base + 10, true) === pageBytes - v.getUint16(base + 8, true), 'cells and holes fill the cell area', {
        id,
      });
      invariant(pageHeader + slotBytes * n <= v.getUint16(base + 8, true), 'slots and cells do not meet', { id });
      if (!leaf) {
        invariant(n > 0, 'a branch has children', { id });
        let sum = 0;
        for (const { child, count } of children) {
          const real = walk(child);
          invariant(real === count, 'live keys below are counted', { id, child, real, count });
          sum += real;
        }
        return sum;
      }
      let sum = 0;
      for (let i = 0; i < n; i++) {
        this.resume(id, i);
        const now = { key: this.key(), main: this.main, sub: this.sub };
        if (before !== undefined) {
          const order = compareBytes(before.key, now.key);
          const sameOrder = before.main > now.main || (before.main === now.main && before.sub > now.sub);
          invariant(order < 0 || (order === 0 && sameOrder), 'cells are in order', { id, i });
        }
        before = now;
        sum += weight(this.flags);
        each?.();
      }
      return sum;
    };
    walk(this.#root);
    return pages;
  }

  /**
   * Goes down to the leaf where (key, main, sub) belongs, at its first cell at or after it. All keys between two bounds share what both share
   * with the wanted key, so each comparison starts behind that: keys with long common beginnings cost no more than others.
   */
  #descend(key: Uint8Array, main: number, sub: number): void {
    const store = this.#store;
    store.beginOp();
    const n = key.length;
    let id = this.#root;
    let depth = 0;
    let same = 0;
    let sameLo = 0;
    let sameHi = 0;
    for (;;) {
      const f = store.fetch(id);
      const b = store.chunks[frameChunk(f)] as Buffer;
      const v = store.views[frameChunk(f)] as DataView;
      const base = frameBase(f);
      const count = v.getUint16(base + 6, true);
      const leaf = b[base + 4] === pageType.leaf;
      const header = leaf ? leafCellHeader : branchCellHeader;
      // Leaf: first cell ≥ target. Branch: first cell > target; the child before it holds the target. The first child has no lower bound.
      let lo = leaf ? 0 : 1;
      let hi = count;
      if (lo < hi) {
        const prefix = v.getUint32(base + 12, true);
        let i = same;
        if (i < prefix) {
          const k = base + v.getUint16(base + pageHeader + slotBytes * lo, true) + header;
          const m = prefix < n ? prefix : n;
          while (i < m && b[k + i] === key[i]) i++;
          // Outside of what the keys of the page have in common, the target comes before or behind them all.
          if (i < prefix) {
            if (i < n && (b[k + i] as number) < (key[i] as number)) lo = count;
            else hi = lo;
          }
        }
        // Of a long key only the inline part counts, on both sides.
        const head = headOf(key, prefix, n < inlineKeyMax ? n : inlineKeyMax);
        while (lo < hi) {
          const mid = (lo + hi) >>> 1;
          const slot = base + pageHeader + slotBytes * mid;
          const cellHead = v.getUint32(slot + 2, true);
          let d: number;
          if (cellHead !== head) d = cellHead < head ? -1 : 1;
          else d = this.#compareFrom(b, v, base + v.getUint16(slot, true), header, prefix, key, main, sub);
          if (d < 0 || (d === 0 && !leaf)) lo = mid + 1;
          else hi = mid;
        }
        // What both neighbours share with the target, all below the child share.
        if (!leaf) {
          const left = lo > 1 ? this.#sharedFrom(b, v, base, lo - 1, header, key, same) : sameLo;
          const right = lo < count ? this.#sharedFrom(b, v, base, lo, header, key, same) : sameHi;
          sameLo = left;
          sameHi = right;
          same = left < right ? left : right;
        }
      }
      if (leaf) {
        this.#placeMutations = this.mutations;
        this.leaf = id;
        this.index = lo;
        this.#count = count;
        this.bytes = b;
        this.view = v;
        this.#base = base;
        this.#depth = depth;
        if (lo < count) this.cell = base + v.getUint16(base + pageHeader + slotBytes * lo, true);
        return;
      }
      invariant(depth < depthMax, 'the tree is not that deep');
      this.#pathPage[depth] = id;
      this.#pathIndex[depth] = lo - 1;
      depth++;
      id = v.getUint32(base + v.getUint16(base + pageHeader + slotBytes * (lo - 1), true) + 13, true);
    }
  }

  /** Cell order, when key and cell have the first `from` bytes in common. */
  #compareFrom(b: Buffer, v: DataView, c: number, header: number, from: number, key: Uint8Array, main: number, sub: number): number {
    const n = key.length;
    const inline = v.getUint16(c + 1, true);
    const k = c + header;
    const m = inline < n ? inline : n;
    let i = from;
    while (i < m && b[k + i] === key[i]) i++;
    if (i < m) return (b[k + i] as number) - (key[i] as number);
    if ((b[c] as number) & cellFlag.longKey) {
      const d = this.#compareKey(b, v, c, header, key);
      if (d !== 0) return d;
    } else if (inline !== n) return inline - n;
    return compareRevision(v, c, main, sub);
  }

  /** How many bytes a cell's key and another have in common, at least `from`. */
  #sharedFrom(b: Buffer, v: DataView, base: number, index: number, header: number, key: Uint8Array, from: number): number {
    const c = base + v.getUint16(base + pageHeader + slotBytes * index, true);
    const inline = v.getUint16(c + 1, true);
    const m = inline < key.length ? inline : key.length;
    let i = from;
    for (const k = c + header; i < m && b[k + i] === key[i];) i++;
    return i;
  }

  #compareKey(b: Buffer, v: DataView, c: number, header: number, key: Uint8Array): number {
    const inline = v.getUint16(c + 1, true);
    const k = c + header;
    const m = Math.min(inline, key.length);
    const d = m === 0 ? 0 : b.compare(key, 0, m, k, k + m);
    if (d !== 0) return d;
    if (((b[c] as number) & cellFlag.longKey) === 0) return inline - key.length;
    if (key.length <= inline) return 1;
    return compareBytes(this.#readOverflow(v.getUint32(k + inline + 4, true), v.getUint32(k + inline, true)), key);
  }

  #enterLeaf(id: number): void {
    const f = this.#store.fetch(id);
    this.bytes = this.#store.chunks[frameChunk(f)] as Buffer;
    this.view = this.#store.views[frameChunk(f)] as DataView;
    this.#base = frameBase(f);
    this.leaf = id;
    this.#count = this.view.getUint16(this.#base + 6, true);
  }

  #aim(): void {
    this.cell = this.#base + this.view.getUint16(this.#base + pageHeader + slotBytes * this.index, true);
  }

  #nextLeaf(): boolean {
    const store = this.#store;
    let level = this.#depth - 1;
    for (; level >= 0; level--) {
      const f = store.fetch(this.#pathPage[level] as number);
      const v = store.views[frameChunk(f)] as DataView;
      if ((this.#pathIndex[level] as number) + 1 < v.getUint16(frameBase(f) + 6, true)) break;
    }
    if (level < 0) {
      this.index = this.#count;
      return false;
    }
    this.#pathIndex[level] = (this.#pathIndex[level] as number) + 1;
    for (; level < this.#depth; level++) {
      const child = this.#child(level);
      if (level + 1 < this.#depth) {
        this.#pathPage[level + 1] = child;
        this.#pathIndex[level + 1] = 0;
      } else this.#enterLeaf(child);
    }
    this.index = 0;
    if (this.#count === 0) return this.#nextLeaf();
    this.#aim();
    return true;
  }

  #previousLeaf(): boolean {
    let level = this.#depth - 1;
    while (level >= 0 && this.#pathIndex[level] === 0) level--;
    if (level < 0) return false;
    this.#pathIndex[level] = (this.#pathIndex[level] as number) - 1;
    for (; level < this.#depth; level++) {
      const child = this.#child(level);
      if (level + 1 < this.#depth) {
        const f = this.#store.fetch(child);
        this.#pathPage[level + 1] = child;
        this.#pathIndex[level + 1] = (this.#store.views[frameChunk(f)] as DataView).getUint16(frameBase(f) + 6, true) - 1;
      } else this.#enterLeaf(child);
    }
    if (this.#count === 0) return this.#previousLeaf();
    this.index = this.#count - 1;
    this.#aim();
    return true;
  }

  /** The child that the path takes at a level. */
  #child(level: number): number {
    const f = this.#store.fetch(this.#pathPage[level] as number);
    const v = this.#store.views[frameChunk(f)] as DataView;
    const base = frameBase(f);
    return v.getUint32(base + v.getUint16(base + pageHeader + slotBytes * (this.#pathIndex[level] as number), true) + 13, true);
  }

  #touchLeaf(): void {
    this.#store.touch(this.leaf);
  }

  /** Adds to the count in every branch cell of the path. */
  #addCount(delta: number): void {
    for (let level = this.#depth - 1; level >= 0; level--) {
      const f = this.#store.touch(this.#pathPage[level] as number);
      const v = this.#store.views[frameChunk(f)] as DataView;
      const base = frameBase(f);
      const at = base + v.getUint16(base + pageHeader + slotBytes * (this.#pathIndex[level] as number), true) + 17;
      v.setUint32(at, v.getUint32(at, true) + delta, true);
    }
  }

  #countPage(id: number): number {
    const f = this.#store.fetch(id);
    const b = this.#store.chunks[frameChunk(f)] as Buffer;
    const v = this.#store.views[frameChunk(f)] as DataView;
    const base = frameBase(f);
    const leaf = b[base + 4] === pageType.leaf;
    let sum = 0;
    for (let i = v.getUint16(base + 6, true); i-- > 0;) {
      const c = base + v.getUint16(base + pageHeader + slotBytes * i, true);
      sum += leaf ? weight(b[c] as number) : v.getUint32(c + 17, true);
    }
    return sum;
  }

  /** Encodes a leaf cell into the scratch buffer; returns its size. */
  #leafCell(key: Uint8Array, main: number, sub: number, flags: number, payload: Uint8Array, payloadLength: number): number {
    const s = this.#scratch;
    const long = key.length > inlineKeyMax;
    const longPayload = payloadLength > inlinePayloadMax;
    const inline = long ? inlineKeyMax : key.length;
    s[0] = flags | (long ? cellFlag.longKey : 0) | (longPayload ? cellFlag.longPayload : 0);
    writeRevision(s, inline, main, sub);
    s.writeUInt16LE(longPayload ? 8 : payloadLength, 13);
    let at = leafCellHeader + copyInto(s, leafCellHeader, key, inline);
    if (long) {
      s.writeUInt32LE(key.length, at);
      s.writeUInt32LE(this.#writeOverflow(key), at + 4);
      at += 8;
    }
    if (longPayload) {
      s.writeUInt32LE(payloadLength, at);
      s.writeUInt32LE(this.#writeOverflow(payload.subarray(0, payloadLength)), at + 4);
      return at + 8;
    }
    return at + copyInto(s, at, payload, payloadLength);
  }

  #branchCell(key: Uint8Array, main: number, sub: number, child: number, count: number): number {
    const s = this.#scratch;
    const long = key.length > inlineKeyMax;
    const inline = long ? inlineKeyMax : key.length;
    s[0] = long ? cellFlag.longKey : 0;
    writeRevision(s, inline, main, sub);
    s.writeUInt32LE(child, 13);
    s.writeUInt32LE(count, 17);
    const at = branchCellHeader + copyInto(s, branchCellHeader, key, inline);
    if (!long) return at;
    s.writeUInt32LE(key.length, at);
    s.writeUInt32LE(this.#writeOverflow(key), at + 4);
    return at + 8;
  }

  /** Puts an encoded cell into a page, when it fits. */
  #place(b: Buffer, v: DataView, base: number, index: number, cell: Buffer, size: number): boolean {
    const n = v.getUint16(base + 6, true);
    let upper = v.getUint16(base + 8, true);
    const lower = pageHeader + slotBytes * n;
    if (upper - lower < size + slotBytes) {
      const holes = v.getUint16(base + 10, true);
      if (upper - lower + holes < size + slotBytes) return false;
      this.#squeeze(b, v, base);
      upper = v.getUint16(base + 8, true);
    }
    const at = upper - size;
    moveBytes(cell, 0, b, base + at, size);
    const slot = base + pageHeader + slotBytes * index;
    if (index < n) b.copyWithin(slot + slotBytes, slot, base + lower);
    v.setUint16(slot, at, true);
    v.setUint16(base + 6, n + 1, true);
    v.setUint16(base + 8, at, true);
    const leaf = b[base + 4] === pageType.leaf;
    const first = leaf ? 0 : 1;
    const prefix = v.getUint32(base + 12, true);
    const k = base + at + (leaf ? leafCellHeader : branchCellHeader);
    const inline = v.getUint16(base + at + 1, true);
    // With the keys that were there the page's prefix holds; the new key may not have it.
    let shares = n > first && inline >= prefix;
    if (shares && prefix > 0) {
      const other = index === first ? first + 1 : first;
      const o = base + v.getUint16(base + pageHeader + slotBytes * other, true) + (leaf ? leafCellHeader : branchCellHeader);
      for (let i = prefix; shares && i-- > 0;) shares = b[k + i] === b[o + i];
    }
    if (shares) v.setUint32(slot + 2, headAt(b, k, prefix, inline), true);
    else setHeads(b, v, base);
    return true;
  }

  /** Moves the cells together so that the free space is one piece. */
  #squeeze(b: Buffer, v: DataView, base: number): void {
    const copy = this.#page;
    b.copy(copy, 0, base, base + pageBytes);
    const n = v.getUint16(base + 6, true);
    const leaf = b[base + 4] === pageType.leaf;
    const old = new DataView(copy.buffer, copy.byteOffset, pageBytes);
    let upper = pageBytes;
    for (let i = 0; i < n; i++) {
      const c = old.getUint16(pageHeader + slotBytes * i, true);
      const size = leaf ? leafSize(copy, old, c) : branchSize(copy, old, c);
      upper -= size;
      moveBytes(copy, c, b, base + upper, size);
      v.setUint16(base + pageHeader + slotBytes * i, upper, true);
    }
    v.setUint16(base + 8, upper, true);
    v.setUint16(base + 10, 0, true);
  }

  /** Splits the leaf at the place and puts the cell in the scratch buffer where it belongs. */
  #splitLeaf(size: number): void {
    const store = this.#store;
    const cell = Buffer.from(this.#scratch.subarray(0, size));
    const left = this.leaf;
    const at = this.index;
    const n = this.#count;
    const right = store.allocate(pageType.leaf);
    const split = at === n ? n : this.#halfway(this.bytes, this.view, this.#base, true);
    const rf = store.fetch(right);
    const rb = store.chunks[frameChunk(rf)] as Buffer;
    const rv = store.views[frameChunk(rf)] as DataView;
    const rbase = frameBase(rf);
    this.#moveCells(this.bytes, this.view, this.#base, split, rb, rv, rbase, true);
    const goesLeft = at < split || (at === split && split < n);
    const placed = goesLeft
      ? this.#place(this.bytes, this.view, this.#base, at, cell, size)
      : this.#place(rb, rv, rbase, at - split, cell, size);
    invariant(placed, 'half a page takes a cell', { size });
    // The separator: just enough of the right page's first key to tell it from the left page's last.
    const lb = this.bytes;
    const lv = this.view;
    const last = this.#base + lv.getUint16(this.#base + pageHeader + slotBytes * (lv.getUint16(this.#base + 6, true) - 1), true);
    const first = rbase + rv.getUint16(rbase + pageHeader, true);
    const lastKey = this.#cellKey(lb, lv, last, leafCellHeader);
    const firstKey = this.#cellKey(rb, rv, first, leafCellHeader);
    let same = 0;
    while (same < lastKey.length && same < firstKey.length && lastKey[same] === firstKey[same]) same++;
    if (same === firstKey.length && same === lastKey.length) {
      const main = rv.getUint16(first + 3, true) * 4294967296 + rv.getUint32(first + 5, true);
      this.#insertBranch(this.#depth - 1, firstKey, main, rv.getUint32(first + 9, true), left, right);
    } else this.#insertBranch(this.#depth - 1, firstKey.subarray(0, same + 1), revisionMax, subMax, left, right);
  }

  /** Enters `right` beside `left` at a level of the path; level −1 grows a new root. */
  #insertBranch(level: number, key: Uint8Array, main: number, sub: number, left: number, right: number): void {
    const store = this.#store;
    if (level < 0) {
      const root = store.allocate(pageType.branch);
      const f = store.fetch(root);
      const b = store.chunks[frameChunk(f)] as Buffer;
      const v = store.views[frameChunk(f)] as DataView;
      const none = this.#branchCell(key.subarray(0, 0), revisionMax, subMax, left, this.#countPage(left));
      this.#place(b, v, frameBase(f), 0, this.#scratch, none);
      const size = this.#branchCell(key, main, sub, right, this.#countPage(right));
      this.#place(b, v, frameBase(f), 1, this.#scratch, size);
      this.#root = root;
      return;
    }
    const page = this.#pathPage[level] as number;
    const f = store.touch(page);
    const b = store.chunks[frameChunk(f)] as Buffer;
    const v = store.views[frameChunk(f)] as DataView;
    const base = frameBase(f);
    const index = this.#pathIndex[level] as number;
    v.setUint32(base + v.getUint16(base + pageHeader + slotBytes * index, true) + 17, this.#countPage(left), true);
    const size = this.#branchCell(key, main, sub, right, this.#countPage(right));
    if (this.#place(b, v, base, index + 1, this.#scratch, size)) return;

    // Split the branch; its middle key moves up.
    const cell = Buffer.from(this.#scratch.subarray(0, size));
    const n = v.getUint16(base + 6, true);
    const at = index + 1;
    const split = at === n ? n - 1 : this.#halfway(b, v, base, false);
    const sibling = store.allocate(pageType.branch);
    const sf = store.fetch(sibling);
    const sb = store.chunks[frameChunk(sf)] as Buffer;
    const sv = store.views[frameChunk(sf)] as DataView;
    const sbase = frameBase(sf);
    this.#moveCells(b, v, base, split, sb, sv, sbase, false);
    const placed = at <= split ? this.#place(b, v, base, at, cell, size) : this.#place(sb, sv, sbase, at - split, cell, size);
    invariant(placed, 'half a branch takes a cell', { size });
    const middle = sbase + sv.getUint16(sbase + pageHeader, true);
    const middleKey = this.#cellKey(sb, sv, middle, branchCellHeader);
    const middleMain = sv.getUint16(middle + 3, true) * 4294967296 + sv.getUint32(middle + 5, true);
    this.#insertBranch(level - 1, middleKey, middleMain, sv.getUint32(middle + 9, true), page, sibling);
  }

  /** Index of the first cell of the second half, by bytes; between 1 and n − 1. */
  #halfway(b: Buffer, v: DataView, base: number, leaf: boolean): number {
    const n = v.getUint16(base + 6, true);
    const half = (pageBytes - v.getUint16(base + 8, true) - v.getUint16(base + 10, true)) >> 1;
    let sum = 0;
    for (let i = 0; i < n; i++) {
      const c = base + v.getUint16(base + pageHeader + slotBytes * i, true);
      sum += leaf ? leafSize(b, v, c) : branchSize(b, v, c);
      if (sum >= half) return Math.min(Math.max(i + 1, 1), n - 1);
    }
    return n - 1;
  }

  /** Moves cells `from`… of one page to the end of another and squeezes the first. */
  #moveCells(b: Buffer, v: DataView, base: number, from: number, tb: Buffer, tv: DataView, tbase: number, leaf: boolean): void {
    const n = v.getUint16(base + 6, true);
    let moved = 0;
    let m = tv.getUint16(tbase + 6, true);
    let upper = tv.getUint16(tbase + 8, true);
    for (let i = from; i < n; i++) {
      const c = base + v.getUint16(base + pageHeader + slotBytes * i, true);
      const size = leaf ? leafSize(b, v, c) : branchSize(b, v, c);
      upper -= size;
      moveBytes(b, c, tb, tbase + upper, size);
      tv.setUint16(tbase + pageHeader + slotBytes * m++, upper, true);
      moved += size;
    }
    tv.setUint16(tbase + 6, m, true);
    tv.setUint16(tbase + 8, upper, true);
    v.setUint16(base + 6, from, true);
    v.setUint16(base + 10, v.getUint16(base + 10, true) + moved, true);
    if (moved > 0) this.#squeeze(b, v, base);
    setHeads(b, v, base);
    setHeads(tb, tv, tbase);
  }

  /** A copy of a cell's whole key. */
  #cellKey(b: Buffer, v: DataView, c: number, header: number): Buffer {
    const inline = v.getUint16(c + 1, true);
    if ((b[c] as number) & cellFlag.longKey)
      return this.#readOverflow(v.getUint32(c + header + inline + 4, true), v.getUint32(c + header + inline, true));
    return Buffer.from(b.subarray(c + header, c + header + inline));
  }

  /** After a removal in the leaf of the path: drops empty pages, joins sparse ones. */
  #shrink(): void {
    let page = this.leaf;
    for (let level = this.#depth - 1; level >= 0; level--) {
      const store = this.#store;
      const f = store.fetch(page);
      const v = store.views[frameChunk(f)] as DataView;
      const base = frameBase(f);
      const n = v.getUint16(base + 6, true);
      const parent = this.#pathPage[level] as number;
      const index = this.#pathIndex[level] as number;
      if (n === 0) {
        this.#removeBranch(parent, index, true);
        store.free(page);
      } else {
        if (usedBytes(v, base) >= sparse || !this.#join(level)) return;
      }
      page = parent;
    }
    // The root: a branch with one child gives way to the child; one without children becomes an empty leaf.
    for (;;) {
      const store = this.#store;
      const f = store.fetch(this.#root);
      const b = store.chunks[frameChunk(f)] as Buffer;
      const v = store.views[frameChunk(f)] as DataView;
      const base = frameBase(f);
      if (b[base + 4] === pageType.leaf) return;
      const n = v.getUint16(base + 6, true);
      if (n > 1) return;
      const old = this.#root;
      if (n === 0) this.#root = store.allocate(pageType.leaf);
      else {
        this.#root = v.getUint32(base + v.getUint16(base + pageHeader, true) + 13, true);
        this.#removeBranch(old, 0, true);
      }
      store.free(old);
    }
  }

  /** Joins the page that the path takes at a level with a neighbour, when both fit into one. */
  #join(level: number): boolean {
    const store = this.#store;
    const parent = this.#pathPage[level] as number;
    const pf = store.fetch(parent);
    const pv = store.views[frameChunk(pf)] as DataView;
    const pbase = frameBase(pf);
    const n = pv.getUint16(pbase + 6, true);
    const index = this.#pathIndex[level] as number;
    for (const l of [index - 1, index]) {
      if (l < 0 || l + 1 >= n) continue;
      const left = pv.getUint32(pbase + pv.getUint16(pbase + pageHeader + slotBytes * l, true) + 13, true);
      const right = pv.getUint32(pbase + pv.getUint16(pbase + pageHeader + slotBytes * (l + 1), true) + 13, true);
      const lf0 = store.fetch(left);
      const rf0 = store.fetch(right);
      const separator = pbase + pv.getUint16(pbase + pageHeader + slotBytes * (l + 1), true);
      const pb = store.chunks[frameChunk(pf)] as Buffer;
      const sum =
        usedBytes(store.views[frameChunk(lf0)] as DataView, frameBase(lf0)) +
        usedBytes(store.views[frameChunk(rf0)] as DataView, frameBase(rf0)) +
        branchSize(pb, pv, separator);
      if (sum > mergedMax) continue;
      const lf = store.touch(left);
      const rf = store.touch(right);
      const lb = store.chunks[frameChunk(lf)] as Buffer;
      const lv = store.views[frameChunk(lf)] as DataView;
      const rb = store.chunks[frameChunk(rf)] as Buffer;
      const rv = store.views[frameChunk(rf)] as DataView;
      const leaf = lb[frameBase(lf) + 4] === pageType.leaf;
      this.#squeeze(lb, lv, frameBase(lf));
      if (!leaf) this.#takeSeparator(rb, rv, frameBase(rf), pb, pv, separator);
      this.#moveCells(rb, rv, frameBase(rf), 0, lb, lv, frameBase(lf), leaf);
      store.touch(parent);
      const at = pbase + pv.getUint16(pbase + pageHeader + slotBytes * l, true) + 17;
      pv.setUint32(at, this.#countPage(left), true);
      this.#removeBranch(parent, l + 1, leaf);
      store.free(right);
      return true;
    }
    return false;
  }

  /** Gives the first cell of a branch the key that its parent knows it by: as the first it may have been any. */
  #takeSeparator(b: Buffer, v: DataView, base: number, pb: Buffer, pv: DataView, separator: number): void {
    const c = base + v.getUint16(base + pageHeader, true);
    const child = v.getUint32(c + 13, true);
    const count = v.getUint32(c + 17, true);
    if ((b[c] as number) & cellFlag.longKey) this.#freeOverflow(v.getUint32(c + branchCellHeader + v.getUint16(c + 1, true) + 4, true));
    const size = branchSize(pb, pv, separator);
    const cell = Buffer.from(pb.subarray(separator, separator + size));
    cell.writeUInt32LE(child, 13);
    cell.writeUInt32LE(count, 17);
    removeCell(b, v, base, 0, branchSize(b, v, c));
    const placed = this.#place(b, v, base, 0, cell, size);
    invariant(placed, 'a sparse branch takes a longer key', { size });
  }

  /** Removes a branch cell; `freeKey` unless its long key found a new owner. */
  #removeBranch(page: number, index: number, freeKey: boolean): void {
    const f = this.#store.touch(page);
    const b = this.#store.chunks[frameChunk(f)] as Buffer;
    const v = this.#store.views[frameChunk(f)] as DataView;
    const base = frameBase(f);
    const c = base + v.getUint16(base + pageHeader + slotBytes * index, true);
    if (freeKey && (b[c] as number) & cellFlag.longKey)
      this.#freeOverflow(v.getUint32(c + branchCellHeader + v.getUint16(c + 1, true) + 4, true));
    removeCell(b, v, base, index, branchSize(b, v, c));
  }

  #writeOverflow(bytes: Uint8Array): number {
    let next = 0;
    for (let part = Math.ceil(bytes.length / overflowData) - 1; part >= 0; part--) {
      const id = this.#store.allocate(pageType.overflow);
      const f = this.#store.fetch(id);
      const v = this.#store.views[frameChunk(f)] as DataView;
      const base = frameBase(f);
      const piece = bytes.subarray(part * overflowData, (part + 1) * overflowData);
      v.setUint16(base + 6, piece.length, true);
      v.setUint32(base + 12, next, true);
      (this.#store.chunks[frameChunk(f)] as Buffer).set(piece, base + pageHeader);
      next = id;
    }
    return next;
  }

  #readOverflow(first: number, length: number): Buffer {
    const out = Buffer.allocUnsafeSlow(length);
    let at = 0;
    for (let id = first; id !== 0;) {
      const f = this.#store.fetch(id);
      const b = this.#store.chunks[frameChunk(f)] as Buffer;
      const v = this.#store.views[frameChunk(f)] as DataView;
      const base = frameBase(f);
      const n = v.getUint16(base + 6, true);
      invariant(b[base + 4] === pageType.overflow && at + n <= length, 'an overflow chain has the length of its value', { id });
      b.copy(out, at, base + pageHeader, base + pageHeader + n);
      at += n;
      id = v.getUint32(base + 12, true);
    }
    invariant(at === length, 'an overflow chain has the length of its value', { at, length });
    return out;
  }

  #freeOverflow(first: number): void {
    for (let id = first; id !== 0;) {
      const f = this.#store.fetch(id);
      const next = (this.#store.views[frameChunk(f)] as DataView).getUint32(frameBase(f) + 12, true);
      this.#store.free(id);
      id = next;
    }
  }
}

/** Four bytes of a key behind its first `prefix`, as a number that compares like them. */
function headOf(key: Uint8Array, prefix: number, n: number): number {
  if (prefix + 4 <= n)
    return (
      (((key[prefix] as number) << 24) |
        ((key[prefix + 1] as number) << 16) |
        ((key[prefix + 2] as number) << 8) |
        (key[prefix + 3] as number)) >>>
      0
    );
  let head = 0;
  for (let i = 0; i < 4; i++) head = (head << 8) | (prefix + i < n ? (key[prefix + i] as number) : 0);
  return head >>> 0;
}

/** As `headOf`, for the inline key that starts at `k`. */
function headAt(b: Buffer, k: number, prefix: number, inline: number): number {
  let head = 0;
  for (let i = 0; i < 4; i++) head = (head << 8) | (prefix + i < inline ? (b[k + prefix + i] as number) : 0);
  return head >>> 0;
}

/** Finds what the keys of a page have in common, and fills in the heads. */
function setHeads(b: Buffer, v: DataView, base: number): void {
  const n = v.getUint16(base + 6, true);
  const leaf = b[base + 4] === pageType.leaf;
  const header = leaf ? leafCellHeader : branchCellHeader;
  const first = leaf ? 0 : 1;
  let prefix = 0;
  if (n > first) {
    // The keys are sorted: what the first and the last share, all share.
    const x = base + v.getUint16(base + pageHeader + slotBytes * first, true);
    const y = base + v.getUint16(base + pageHeader + slotBytes * (n - 1), true);
    const m = Math.min(v.getUint16(x + 1, true), v.getUint16(y + 1, true));
    while (prefix < m && b[x + header + prefix] === b[y + header + prefix]) prefix++;
  }
  v.setUint32(base + 12, prefix, true);
  for (let i = first; i < n; i++) {
    const slot = base + pageHeader + slotBytes * i;
    const c = base + v.getUint16(slot, true);
    v.setUint32(slot + 2, headAt(b, c + header, prefix, v.getUint16(c + 1, true)), true);
  }
}

/** Order of a cell's revision and another: the newer one first. */
function compareRevision(v: DataView, c: number, main: number, sub: number): number {
  const cellMain = v.getUint16(c + 3, true) * 4294967296 + v.getUint32(c + 5, true);
  if (cellMain !== main) return cellMain > main ? -1 : 1;
  const cellSub = v.getUint32(c + 9, true);
  return cellSub === sub ? 0 : cellSub > sub ? -1 : 1;
}

/** 1 for the cell of a key that exists now. */
export function weight(flags: number): number {
  return (flags & (cellFlag.tombstone | cellFlag.newest)) === cellFlag.newest ? 1 : 0;
}

function leafSize(b: Buffer, v: DataView, c: number): number {
  return leafCellHeader + v.getUint16(c + 1, true) + ((b[c] as number) & cellFlag.longKey ? 8 : 0) + v.getUint16(c + 13, true);
}

function branchSize(b: Buffer, v: DataView, c: number): number {
  return branchCellHeader + v.getUint16(c + 1, true) + ((b[c] as number) & cellFlag.longKey ? 8 : 0);
}

function usedBytes(v: DataView, base: number): number {
  return pageHeader + slotBytes * v.getUint16(base + 6, true) + pageBytes - v.getUint16(base + 8, true) - v.getUint16(base + 10, true);
}

/** Between different memory; a loop is cheaper than a call for the size of most cells. */
function moveBytes(from: Buffer, at: number, to: Buffer, target: number, size: number): void {
  if (size <= 96) for (let i = 0; i < size; i++) to[target + i] = from[at + i] as number;
  else from.copy(to, target, at, at + size);
}

function removeCell(b: Buffer, v: DataView, base: number, index: number, size: number): void {
  const n = v.getUint16(base + 6, true);
  const slot = base + pageHeader + slotBytes * index;
  b.copyWithin(slot, slot + slotBytes, base + pageHeader + slotBytes * n);
  v.setUint16(base + 6, n - 1, true);
  v.setUint16(base + 10, v.getUint16(base + 10, true) + size, true);
  if (n === 1) {
    v.setUint16(base + 8, pageBytes, true);
    v.setUint16(base + 10, 0, true);
  }
}

function writeRevision(s: Buffer, inline: number, main: number, sub: number): void {
  s.writeUInt16LE(inline, 1);
  s.writeUInt16LE(Math.floor(main / 4294967296), 3);
  s.writeUInt32LE(main % 4294967296, 5);
  s.writeUInt32LE(sub, 9);
}

function copyInto(s: Buffer, at: number, from: Uint8Array, length: number): number {
  if (length <= 64) for (let i = 0; i < length; i++) s[at + i] = from[i] as number;
  else s.set(from.length === length ? from : from.subarray(0, length), at);
  return length;
}

/**
 * What etcd's Status would report as the size of its bbolt file with the same content. Quotas are set against these numbers, so they must be
 * like etcd's; the real size on disk is another figure.
 *
 * bbolt keeps rows in leaf pages of 4096 bytes, filled to 0.9 by appending; an element costs 16 bytes beside key and value; a page takes at
 * least two elements, so large ones lie in pairs on runs of pages. A commit writes the changed pages anew before the old ones are free: the
 * file is as large as the pages in use ever were at a commit, until a defrag. Checked against etcd 3.7.1.
 */
import { bucketCount } from './format.ts';

const page = 4096;
/** Bytes of elements in a page of the key bucket. */
const filled = 3690;
/** Beyond this an element lies with one other on a run of pages. */
const pairFrom = 1835;
/** Buckets up to this many bytes lie inside the root page (a quarter of a page). */
const inlineMax = 1000;
/** Two meta pages, the root of buckets and the freelist. */
const basePages = 4;
/** Runs that small holes do not take. */
const longRun = 16;
/** Root path and freelist, written anew by each commit. */
const commitPages = 2;

/** Cost of a row in bytes of filled pages: its share of the whole elements that fit. */
export function rowCost(elementBytes: number): number {
  if (elementBytes <= pairFrom) return filled / Math.floor((filled - 20) / elementBytes);
  return (Math.ceil((2 * elementBytes + 16) / page) * filled) / 2;
}

export class BoltSize {
  #rows: number;
  readonly buckets: number[];
  #highWater: number;
  /** The last leaf of the key bucket: each commit with rows writes it anew. Bytes and number of its elements, and the last two of them. */
  #tailBytes = 0;
  #tailCount = 0;
  #last = 0;
  #secondLast = 0;
  /** Pages of runs longer than a page that this commit writes, the last leaf left out. */
  #freshRuns = 0;
  #fresh = false;
  #inUseBefore: number;

  constructor(rows: number, buckets: readonly number[], highWater: number) {
    this.#rows = rows;
    // No holes: a bucket that was never written counts as empty.
    this.buckets = Array.from({ length: bucketCount }, (_, i) => buckets[i] ?? 0);
    this.#highWater = Math.max(highWater, basePages + commitPages);
    this.#inUseBefore = this.pagesInUse;
  }

  get rows(): number {
    return this.#rows;
  }
  get highWater(): number {
    return this.#highWater;
  }

  addRow(elementBytes: number): void {
    this.#rows += rowCost(elementBytes);
    this.#fresh = true;
    this.#tailBytes += elementBytes;
    this.#tailCount++;
    if (this.#tailCount >= 4 && this.#tailBytes > page) {
      // The leaf splits; at least two elements stay in the new last one.
      const left = this.#last + elementBytes;
      const pages = Math.ceil((this.#tailBytes - left) / page);
      if (pages > 1) this.#freshRuns += pages;
      this.#tailBytes = left;
      this.#tailCount = 2;
    }
    this.#secondLast = this.#last;
    this.#last = elementBytes;
  }

  removeRow(elementBytes: number): void {
    this.#rows -= rowCost(elementBytes);
  }

  /** An entry of a small bucket came (+) or went (−). */
  changeEntry(bucket: number, bytes: number): void {
    this.buckets[bucket] = (this.buckets[bucket] ?? 0) + bytes;
  }

  get pagesInUse(): number {
    let pages = basePages + bucketPages(this.#rows);
    for (const bytes of this.buckets) pages += bucketPages(bytes);
    return pages;
  }

  /** Called as each commit is made up. */
  commit(): void {
    const inUse = this.pagesInUse;
    if (this.#fresh) {
      const tail = Math.ceil(this.#tailBytes / page);
      const runs = this.#freshRuns + (tail > 1 ? tail : 0);
      // A run of pages needs free neighbours, and what the former commits gave up is not free at once: the file grows by the run.
      const free = this.#highWater - this.#inUseBefore;
      if (free < (runs < longRun ? runs : 2 * runs)) this.#highWater = Math.max(this.#highWater, this.#inUseBefore) + runs;
    }
    this.#highWater = Math.max(this.#highWater, inUse + commitPages);
    this.#fresh = false;
    this.#freshRuns = 0;
    this.#inUseBefore = inUse;
  }

  /** After a defrag nothing is free but what the next commit needs. */
  defragment(): void {
    this.#inUseBefore = this.pagesInUse;
    this.#highWater = this.#inUseBefore + commitPages;
    const tail = this.#last > pairFrom || this.#secondLast > pairFrom ? this.#last + this.#secondLast : 0;
    this.#tailBytes = Math.min(tail, this.#rows);
    this.#tailCount = Math.min(2, this.#tailCount);
  }

  get sizeBytes(): number {
    return Math.max(this.#highWater, this.pagesInUse + commitPages) * page;
  }
  get inUseBytes(): number {
    return this.pagesInUse * page;
  }
}

function bucketPages(bytes: number): number {
  if (bytes <= inlineMax) return 0;
  const leaves = Math.ceil(bytes / filled);
  return leaves + (leaves > 1 ? Math.ceil(leaves / 110) : 0);
}

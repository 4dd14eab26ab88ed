/**
 * What etcd's Status would report as the size of its bbolt file with the same content. Quotas are set against these numbers, so they must be
 * like etcd's; the real size on disk is another figure.
 *
 * bbolt keeps rows in leaf pages of 4096 bytes, filled to 0.9 by appending; an element costs 16 bytes beside key and value; a page takes at
 * least two elements, so large ones lie in pairs on runs of pages. A commit writes the changed pages anew before the old ones are free: the
 * file is as large as the pages in use ever were at a commit, until a defrag. Checked against etcd 3.7.1.
 */
const page = 4096;
/** Bytes of elements in a page of the key bucket. */
const filled = 3690;
/** Beyond this an element lies with one other on a run of pages. */
const pairFrom = 1800;
/** Buckets up to this many bytes lie inside the root page (a quarter of a page). */
const inlineMax = 1000;
/** Two meta pages, the root of buckets and the freelist. */
const basePages = 4;
/** Root path and freelist, written anew by each commit. */
const commitPages = 2;

/** Cost of a row in bytes of filled pages. */
export function rowCost(elementBytes: number): number {
  return elementBytes <= pairFrom ? elementBytes : (Math.ceil((2 * elementBytes + 16) / page) * filled) / 2;
}

export class BoltSize {
  #rows: number;
  readonly buckets: number[];
  #highWater: number;
  /** Cost of rows since the last commit, and of the last two rows before: bbolt writes the last leaf again. */
  #fresh = 0;
  #last = 0;
  #secondLast = 0;
  #committedTail = 0;

  constructor(rows: number, buckets: readonly number[], highWater: number) {
    this.#rows = rows;
    // Holes would make every sum NaN.
    this.buckets = Array.from({ length: Math.max(10, buckets.length) }, (_, i) => buckets[i] ?? 0);
    this.#highWater = Math.max(highWater, basePages + commitPages);
  }

  get rows(): number {
    return this.#rows;
  }
  get highWater(): number {
    return this.#highWater;
  }

  addRow(elementBytes: number): void {
    const cost = rowCost(elementBytes);
    this.#rows += cost;
    this.#fresh += cost;
    this.#secondLast = this.#last;
    this.#last = cost;
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
    const fresh = this.#fresh > inlineMax ? Math.ceil((this.#fresh % filled > 0 ? this.#committedTail : 0) / filled) : 0;
    this.#highWater = Math.max(this.#highWater, this.pagesInUse + commitPages + fresh);
    this.#committedTail = Math.min(this.#last, 1e9) + (this.#secondLast > pairFrom ? this.#secondLast : 0);
    this.#fresh = 0;
  }

  /** After a defrag nothing is free but what the next commit needs. */
  defragment(): void {
    this.#highWater = this.pagesInUse + commitPages;
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

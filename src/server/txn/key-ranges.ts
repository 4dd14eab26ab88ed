/** Ranges of keys as requests name them, and a set of such ranges. */
import { emptyBytes } from '../../base/bytes.ts';
import type { KeyRange } from '../storage/backend.ts';

/** True for etcd's way to write "no upper bound": a single zero byte. */
export function isOpenEnd(rangeEnd: Uint8Array): boolean {
  return rangeEnd.length === 1 && rangeEnd[0] === 0;
}

/** `range_end` of a request as the store takes it: absent = one key, empty = no upper bound. */
export function storeEnd(rangeEnd: Uint8Array): Uint8Array | undefined {
  return rangeEnd.length === 0 ? undefined : isOpenEnd(rangeEnd) ? emptyBytes : rangeEnd;
}

export function storeRange(key: Uint8Array, rangeEnd: Uint8Array): KeyRange {
  return { key, end: storeEnd(rangeEnd) };
}

/** The range of a watch: an empty key is the lowest there is. */
export function watchRange(key: Uint8Array, rangeEnd: Uint8Array): KeyRange {
  return storeRange(key.length === 0 ? lowestKey : key, rangeEnd);
}
const lowestKey = new Uint8Array(1);

/**
 * Half-open ranges `[start, end)` of keys as latin1 strings, merged as they come: sorted, disjoint, none empty. Latin1 strings compare as
 * their bytes do.
 */
export class RangeSet {
  readonly #starts: string[] = [];
  readonly #ends: string[] = [];

  /** An empty or inverted range is left out: it holds no key. */
  add(start: string, end: string): void {
    if (start >= end) return;
    const starts = this.#starts;
    const ends = this.#ends;
    // All ranges from `first` up to `last` touch the new one.
    const first = lowerBound(ends, start);
    let last = first;
    while (last < starts.length && (starts[last] as string) <= end) last++;
    if (first < last) {
      if ((starts[first] as string) < start) start = starts[first] as string;
      if ((ends[last - 1] as string) > end) end = ends[last - 1] as string;
    }
    starts.splice(first, last - first, start);
    ends.splice(first, last - first, end);
  }

  addAll(other: RangeSet): void {
    for (let i = 0; i < other.#starts.length; i++) this.add(other.#starts[i] as string, other.#ends[i] as string);
  }

  has(key: string): boolean {
    return this.#holding(key) !== undefined;
  }

  /** True when one of the (merged) ranges holds all of `[start, end)`. A range without keys counts as its start. */
  covers(start: string, end: string): boolean {
    const held = this.#holding(start);
    return held !== undefined && end <= held;
  }

  /** The end of the range that holds the key. */
  #holding(key: string): string | undefined {
    // The first range that ends after the key is the only one that can hold it.
    let lo = 0;
    let hi = this.#ends.length;
    while (lo < hi) {
      const mid = (lo + hi) >>> 1;
      if ((this.#ends[mid] as string) > key) hi = mid;
      else lo = mid + 1;
    }
    return lo < this.#starts.length && (this.#starts[lo] as string) <= key ? this.#ends[lo] : undefined;
  }
}

/** Index of the first string that is not below `at`. */
function lowerBound(sorted: readonly string[], at: string): number {
  let lo = 0;
  let hi = sorted.length;
  while (lo < hi) {
    const mid = (lo + hi) >>> 1;
    if ((sorted[mid] as string) < at) lo = mid + 1;
    else hi = mid;
  }
  return lo;
}

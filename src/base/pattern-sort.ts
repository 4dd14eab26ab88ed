/**
 * Pattern-defeating quicksort (Orson Peters), with the constants and the order of steps of Go's `sort.Sort`. It is not stable: which of two
 * equal elements comes first follows from the steps alone, so a server that sorts as etcd does must take the same ones.
 *
 * Short runs (12 at most) are sorted by insertion. Longer ones: choose a pivot; when everything looked sorted already, try a few insertions;
 * when the pivot equals the element left of the run, take all equal ones out; else partition, go on with both sides. After a bad partition
 * three elements are swapped about; after too many of them heapsort ends it, so the worst case is n·log n.
 */

/** Runs up to this length are sorted by insertion. */
const insertionMax = 12;
/** From this length on the pivot is the median of medians. */
const nintherMin = 50;
/** As many swaps in choosing a pivot mean: descending. */
const swapsDescending = 12;
/** Attempts to repair a run that is sorted but for a few. */
const repairsMax = 5;
/** Shorter runs are not repaired. */
const repairMin = 50;

export function patternSort<T>(list: T[], less: (a: T, b: T) => boolean): void {
  new Sorter(list, less).sort(0, list.length, bitLength(list.length));
}

const bitLength = (n: number): number => 32 - Math.clz32(n);

interface Pivot {
  readonly at: number;
  readonly hint: 'ascending' | 'descending' | 'unknown';
}

class Sorter<T> {
  readonly #list: T[];
  readonly #less: (a: T, b: T) => boolean;
  /** Swaps made by the choice of a pivot that is going on. */
  #swaps = 0;

  constructor(list: T[], less: (a: T, b: T) => boolean) {
    this.#list = list;
    this.#less = less;
  }

  #before(i: number, j: number): boolean {
    return this.#less(this.#list[i] as T, this.#list[j] as T);
  }

  #swap(i: number, j: number): void {
    const list = this.#list;
    const kept = list[i] as T;
    list[i] = list[j] as T;
    list[j] = kept;
  }

  /** Sorts `[from, to)`. `limit`: bad partitions that are borne before heapsort. */
  sort(from: number, to: number, limit: number): void {
    let balanced = true;
    let partitioned = true;
    for (;;) {
      const length = to - from;
      if (length <= insertionMax) return this.#insertion(from, to);
      if (limit === 0) return this.#heap(from, to);
      if (!balanced) {
        this.#breakPatterns(from, to);
        limit--;
      }
      let { at, hint } = this.#pivot(from, to);
      if (hint === 'descending') {
        this.#reverse(from, to);
        at = to - 1 - (at - from);
        hint = 'ascending';
      }
      if (balanced && partitioned && hint === 'ascending' && this.#repair(from, to)) return;
      if (from > 0 && !this.#before(from - 1, at)) {
        from = this.#partitionEqual(from, to, at);
        continue;
      }
      const { middle, already } = this.#partition(from, to, at);
      partitioned = already;
      const left = middle - from;
      const right = to - middle;
      const least = length >> 3;
      if (left < right) {
        balanced = left >= least;
        this.sort(from, middle, limit);
        from = middle + 1;
      } else {
        balanced = right >= least;
        this.sort(middle + 1, to, limit);
        to = middle;
      }
    }
  }

  #insertion(from: number, to: number): void {
    for (let i = from + 1; i < to; i++) for (let j = i; j > from && this.#before(j, j - 1); j--) this.#swap(j, j - 1);
  }

  #heap(from: number, to: number): void {
    const length = to - from;
    for (let i = (length - 1) >> 1; i >= 0; i--) this.#siftDown(i, length, from);
    for (let i = length - 1; i >= 0; i--) {
      this.#swap(from, from + i);
      this.#siftDown(0, i, from);
    }
  }

  #siftDown(root: number, end: number, from: number): void {
    for (;;) {
      let child = 2 * root + 1;
      if (child >= end) return;
      if (child + 1 < end && this.#before(from + child, from + child + 1)) child++;
      if (!this.#before(from + root, from + child)) return;
      this.#swap(from + root, from + child);
      root = child;
    }
  }

  /** Afterwards `[from, middle)` is below the pivot, the rest not. */
  #partition(from: number, to: number, pivot: number): { readonly middle: number; readonly already: boolean } {
    this.#swap(from, pivot);
    let i = from + 1;
    let j = to - 1;
    const advance = (): void => {
      while (i <= j && this.#before(i, from)) i++;
      while (i <= j && !this.#before(j, from)) j--;
    };
    advance();
    const already = i > j;
    while (i <= j) {
      this.#swap(i++, j--);
      advance();
    }
    this.#swap(j, from);
    return { middle: j, already };
  }

  /** Afterwards what equals the pivot is in front; returns where the greater begin. */
  #partitionEqual(from: number, to: number, pivot: number): number {
    this.#swap(from, pivot);
    let i = from + 1;
    let j = to - 1;
    for (;;) {
      while (i <= j && !this.#before(from, i)) i++;
      while (i <= j && this.#before(from, j)) j--;
      if (i > j) return i;
      this.#swap(i++, j--);
    }
  }

  /** True when a run with a few in the wrong place is now sorted. */
  #repair(from: number, to: number): boolean {
    let i = from + 1;
    for (let n = 0; n < repairsMax; n++) {
      while (i < to && !this.#before(i, i - 1)) i++;
      if (i === to) return true;
      if (to - from < repairMin) return false;
      this.#swap(i, i - 1);
      if (i - from >= 2) for (let j = i - 1; j >= 1 && this.#before(j, j - 1); j--) this.#swap(j, j - 1);
      if (to - i >= 2) for (let j = i + 1; j < to && this.#before(j, j - 1); j++) this.#swap(j, j - 1);
    }
    return false;
  }

  /** Three swaps about the middle, by a sequence that hangs on the length alone. */
  #breakPatterns(from: number, to: number): void {
    const length = to - from;
    if (length < 8) return;
    let random = BigInt(length);
    const mask = 2 ** bitLength(length) - 1;
    const middle = from + (length >> 2) * 2;
    for (let i = 0; i < 3; i++) {
      random ^= BigInt.asUintN(64, random << 13n);
      random ^= random >> 7n;
      random ^= BigInt.asUintN(64, random << 17n);
      let other = Number(random & BigInt(mask));
      if (other >= length) other -= length;
      this.#swap(middle - 1 + i, from + other);
    }
  }

  #pivot(from: number, to: number): Pivot {
    const length = to - from;
    const quarter = length >> 2;
    this.#swaps = 0;
    let i = from + quarter;
    let j = from + quarter * 2;
    let k = from + quarter * 3;
    if (length >= 8) {
      if (length >= nintherMin) {
        i = this.#median(i - 1, i, i + 1);
        j = this.#median(j - 1, j, j + 1);
        k = this.#median(k - 1, k, k + 1);
      }
      j = this.#median(i, j, k);
    }
    return { at: j, hint: this.#swaps === 0 ? 'ascending' : this.#swaps === swapsDescending ? 'descending' : 'unknown' };
  }

  /** Where the median of three lies. */
  #median(a: number, b: number, c: number): number {
    if (this.#before(b, a)) {
      this.#swaps++;
      [a, b] = [b, a];
    }
    if (this.#before(c, b)) {
      this.#swaps++;
      [b, c] = [c, b];
    }
    if (this.#before(b, a)) {
      this.#swaps++;
      [a, b] = [b, a];
    }
    return b;
  }

  #reverse(from: number, to: number): void {
    for (let i = from, j = to - 1; i < j; i++, j--) this.#swap(i, j);
  }
}

/** One range at one revision, in as many steps as the caller likes. */
import { compareBytes } from '../../base/bytes.ts';
import { RowGather } from '../storage/row-gather.ts';
import type { Backend, KeyRange, VersionCursor } from '../storage/backend.ts';
import type { CountCache } from './count-cache.ts';
import { rowKey } from './key-value.ts';
import type { SliceBudget } from './slices.ts';

export interface RangeScanOptions {
  readonly backend: Backend;
  /** Undefined while the revision is still being written. */
  readonly counts: CountCache | undefined;
  readonly key: Uint8Array;
  /** Exclusive; of length 0 = unbounded. */
  readonly end: Uint8Array;
  readonly rev: number;
  /** 0 = no limit. */
  readonly limit: number;
  readonly countOnly: boolean;
  /** Rows go into `gathered`. */
  readonly gather: boolean;
  /** The count when it is known without walking: at the newest revision. */
  readonly total: number | undefined;
}

/** True when no key can lie in the range. */
export function isEmptyRange(range: KeyRange): boolean {
  return range.end !== undefined && range.end.length !== 0 && compareBytes(range.key, range.end) >= 0;
}

/**
 * Collects rows up to the limit, then finds out how many keys follow: from the known total, or from a count kept nearby, or by walking on.
 */
export class RangeScan {
  readonly kvs: Uint8Array[] = [];
  readonly gathered: RowGather | undefined;
  count = 0;
  readonly #o: RangeScanOptions;
  #cursor: VersionCursor | undefined;
  #counting: Counting | undefined;

  constructor(options: RangeScanOptions) {
    this.#o = options;
    this.gathered = options.gather ? new RowGather() : undefined;
  }

  /** Rows collected so far. */
  get #rows(): number {
    return this.gathered?.count ?? this.kvs.length;
  }

  /** @returns true when `kvs` and `count` are final. Without a budget it runs to the end. */
  advance(budget: SliceBudget | undefined): boolean {
    if (this.#counting !== undefined) return this.#walk(this.#counting, budget);
    const { backend, key, end, rev, limit, countOnly, total } = this.#o;
    if (countOnly) {
      if (total !== undefined) {
        this.count = total;
        return true;
      }
      return this.#countFrom(key, budget);
    }
    const cursor = (this.#cursor ??= backend.cursor({ key, end }, rev));
    const { kvs, gathered } = this;
    while (limit === 0 || this.#rows < limit) {
      if (!cursor.next()) {
        this.count = this.#rows;
        return true;
      }
      let bytes: number;
      if (gathered === undefined) {
        const row = backend.read(cursor.version);
        kvs.push(row);
        bytes = row.length;
      } else bytes = backend.readInto(cursor.version, gathered);
      if (budget?.spend(bytes) === true) return false;
    }
    const known = total ?? this.#knownTotal();
    if (known !== undefined) {
      this.count = known;
      const { counts } = this.#o;
      if (counts !== undefined && known - this.#rows >= counts.keysMin) counts.put(rev, this.#after(), end, known - this.#rows);
      return true;
    }
    return this.#countFrom(this.#after(), budget);
  }

  /** The count of the whole range, when an earlier page ended where this one starts. */
  #knownTotal(): number | undefined {
    const near = this.#o.counts?.find(this.#o.rev, this.#o.key, this.#o.end);
    return near?.side === 'same' ? near.count : undefined;
  }

  /** The least key behind the last one collected. */
  #after(): Uint8Array {
    const last = this.gathered === undefined ? this.kvs[this.kvs.length - 1] : this.gathered.last;
    if (last === undefined) return this.#o.key;
    const key = rowKey(last);
    const after = Buffer.alloc(key.length + 1);
    after.set(key);
    return after;
  }

  #countFrom(start: Uint8Array, budget: SliceBudget | undefined): boolean {
    const { backend, end, rev, counts } = this.#o;
    const near = counts?.find(rev, start, end);
    let range: KeyRange = { key: start, end };
    let sign: 1 | -1 = 1;
    if (near !== undefined) {
      if (near.side === 'same') {
        this.count = this.#rows + near.count;
        return true;
      }
      if (near.side === 'below') {
        range = { key: near.start, end: start };
        sign = -1;
      } else range = { key: start, end: near.start };
    }
    this.#counting = { start, cursor: backend.cursor(range, rev), base: near?.count ?? 0, sign, walked: 0 };
    return this.#walk(this.#counting, budget);
  }

  #walk(c: Counting, budget: SliceBudget | undefined): boolean {
    while (c.cursor.next()) {
      c.walked++;
      if (budget?.spend(0) === true) return false;
    }
    const rest = c.base + c.sign * c.walked;
    this.#o.counts?.put(this.#o.rev, c.start, this.#o.end, rest);
    this.count = this.#rows + rest;
    return true;
  }
}

/** Counting of `[start, end)`: the keys walked are added to, or taken from, what a neighbour has. */
interface Counting {
  readonly start: Uint8Array;
  readonly cursor: VersionCursor;
  readonly base: number;
  readonly sign: 1 | -1;
  walked: number;
}

/** One range at one revision, in as many steps as the caller likes. */
import { compareBytes } from '../../base/bytes.ts';
import { must } from '../../base/invariant.ts';
import { RowGather } from '../storage/row-gather.ts';
import type { Backend, KeyRange, VersionCursor } from '../storage/backend.ts';
import { lendList, returnList, versionsAtOnce } from '../storage/version-list.ts';
import type { CountCache } from './count-cache.ts';
import { rowKey } from './key-value.ts';
import { RowReader, type Measured } from './row-reader.ts';
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
  /** Once so many bytes are gathered, further rows are only measured: `rest` says where they begin and what they take. Infinity = all are gathered. */
  readonly gatherBytesMax: number;
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
  /** Rows that were measured, and the key with which they begin. */
  rest: { readonly from: Uint8Array; readonly measured: Measured } | undefined;
  count = 0;
  readonly #o: RangeScanOptions;
  #cursor: VersionCursor | undefined;
  #reader: RowReader | undefined;
  #counting: Counting | undefined;

  constructor(options: RangeScanOptions) {
    this.#o = options;
    this.gathered = options.gather ? new RowGather() : undefined;
  }

  /** Rows collected or measured so far. */
  get #rows(): number {
    return this.gathered === undefined ? this.kvs.length : this.gathered.count + (this.rest?.measured.rows ?? 0);
  }

  /** @returns true when `kvs` and `count` are final. Without a budget it runs to the end. */
  advance(budget: SliceBudget | undefined): boolean {
    if (this.#counting !== undefined) return this.#walk(this.#counting, budget);
    const { key, end, rev, countOnly, counts, total } = this.#o;
    if (countOnly) {
      if (total !== undefined) {
        this.count = total;
        return true;
      }
      return this.#countFrom(key, budget);
    }
    const found = this.gathered === undefined ? this.#collect(budget) : this.#gather(this.gathered, budget);
    if (found === 'paused') return false;
    if (found === 'all') {
      this.count = this.#rows;
      return true;
    }
    const known = total ?? this.#knownTotal();
    if (known !== undefined) {
      this.count = known;
      if (counts !== undefined && known - this.#rows >= counts.keysMin) counts.put(rev, this.#after(), end, known - this.#rows);
      return true;
    }
    return this.#countFrom(this.#after(), budget);
  }

  #openCursor(): VersionCursor {
    const { backend, key, end, rev } = this.#o;
    return (this.#cursor ??= backend.cursor({ key, end }, rev));
  }

  #collect(budget: SliceBudget | undefined): Found {
    const { backend, limit } = this.#o;
    const cursor = this.#openCursor();
    while (limit === 0 || this.kvs.length < limit) {
      if (!cursor.next()) return 'all';
      const row = backend.read(cursor.version);
      this.kvs.push(row);
      if (budget?.spend(row.length) === true) return 'paused';
    }
    return 'limit';
  }

  #gather(gathered: RowGather, budget: SliceBudget | undefined): Found {
    const { backend, limit, gatherBytesMax } = this.#o;
    const reader = (this.#reader ??= new RowReader(backend, this.#openCursor()));
    for (;;) {
      if (reader.isBetween) {
        if (limit > 0 && this.#rows >= limit) return this.#gatherEnds(reader, 'limit');
        if (this.rest === undefined && gathered.bytes > gatherBytesMax) this.#beginRest();
      }
      const left = limit === 0 ? versionsAtOnce : limit - this.#rows;
      const there = this.rest === undefined ? reader.read(gathered, left) : reader.measure(this.rest.measured, left);
      if (!there) return this.#gatherEnds(reader, 'all');
      if (budget?.isSpent() === true) return 'paused';
    }
  }

  #beginRest(): void {
    this.rest = { from: this.#after(), measured: { rows: 0, bytes: 0, lastBytes: 0 } };
  }

  #gatherEnds(reader: RowReader, found: Found): Found {
    reader.close();
    return found;
  }

  /** The count of the whole range, when an earlier page ended where this one starts. */
  #knownTotal(): number | undefined {
    const near = this.#o.counts?.find(this.#o.rev, this.#o.key, this.#o.end);
    return near?.side === 'same' ? near.count : undefined;
  }

  /** The least key behind the last one collected. */
  #after(): Uint8Array {
    if (this.#rows === 0) return this.#o.key;
    const key = this.gathered === undefined ? rowKey(must(this.kvs.at(-1), 'a row was read')) : this.#openCursor().key;
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
    const list = lendList();
    let paused = false;
    do {
      c.cursor.fill(list, versionsAtOnce);
      c.walked += list.count;
    } while (list.count === versionsAtOnce && !(paused = budget?.isSpent() === true));
    returnList(list);
    if (paused) return false;
    const rest = c.base + c.sign * c.walked;
    this.#o.counts?.put(this.#o.rev, c.start, this.#o.end, rest);
    this.count = this.#rows + rest;
    return true;
  }
}

/** Why the collecting stopped. */
type Found = 'all' | 'limit' | 'paused';

/** Counting of `[start, end)`: the keys walked are added to, or taken from, what a neighbour has. */
interface Counting {
  readonly start: Uint8Array;
  readonly cursor: VersionCursor;
  readonly base: number;
  readonly sign: 1 | -1;
  walked: number;
}

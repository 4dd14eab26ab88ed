/**
 * Counts of ranges at past revisions.
 *
 * A client that pages through a range at a fixed revision wants the total at each page, and each page begins where the last one ended: pages
 * share the end and the revision, not the start. So per (revision, end) a few starts are kept with the count of `[start, end)`; a wanted start
 * that is not there is reached from its nearest neighbour by counting only the keys between.
 *
 *     page 1: [a, z) at 7, 500 of 1,000,000     kept:  start = key 500 + \0, count 999,500
 *     page 2: starts exactly there              no key is counted
 *
 * What is visible at a revision never changes while the revision is not compacted, so entries need no invalidation but that.
 */
import { fromLatin1, latin1 } from '../../base/bytes.ts';

/** Pagers served at once; beyond it the one unused longest counts anew. */
export const countCacheGroupsMax = 64;
/** Starts kept per pager: the newest pages. */
export const countCacheStartsMax = 8;
/** A remainder shorter than this is counted faster than it is looked after. */
export const countCacheKeysMin = 1000;

interface Mark {
  readonly start: string;
  readonly count: number;
}

/** A count known nearby. */
export interface Neighbour {
  readonly start: Uint8Array;
  readonly count: number;
  /** Where the neighbour starts, seen from the wanted start. */
  readonly side: 'same' | 'below' | 'above';
}

export class CountCache {
  /** Counts below this are not kept. */
  readonly keysMin: number;
  readonly #groups = new Map<string, Mark[]>();

  constructor(keysMin = countCacheKeysMin) {
    this.keysMin = keysMin;
  }

  /** Remembers how many keys of `[start, end)` are visible at `rev`. */
  put(rev: number, start: Uint8Array, end: Uint8Array, count: number): void {
    if (count < this.keysMin) return;
    const id = groupId(rev, end);
    const marks = this.#groups.get(id) ?? [];
    this.#groups.delete(id);
    this.#groups.set(id, marks);
    const text = latin1(start);
    const known = marks.findIndex((m) => m.start === text);
    if (known >= 0) marks.splice(known, 1);
    else if (marks.length === countCacheStartsMax) marks.shift();
    marks.push({ start: text, count });
    if (this.#groups.size > countCacheGroupsMax) {
      const oldest = this.#groups.keys().next();
      if (oldest.done !== true) this.#groups.delete(oldest.value);
    }
  }

  /** The best known start for `[start, end)` at `rev`; the nearest below is preferred to the nearest above. */
  find(rev: number, start: Uint8Array, end: Uint8Array): Neighbour | undefined {
    const marks = this.#groups.get(groupId(rev, end));
    if (marks === undefined) return undefined;
    const text = latin1(start);
    let below: Mark | undefined;
    let above: Mark | undefined;
    for (const mark of marks) {
      if (mark.start === text) return { start, count: mark.count, side: 'same' };
      if (mark.start < text) {
        if (below === undefined || mark.start > below.start) below = mark;
      } else if (above === undefined || mark.start < above.start) above = mark;
    }
    const best = below ?? above;
    if (best === undefined) return undefined;
    return { start: fromLatin1(best.start), count: best.count, side: best === below ? 'below' : 'above' };
  }

  /** Drops what is below a new compacted revision. */
  compact(rev: number): void {
    for (const id of this.#groups.keys()) if (Number.parseInt(id, 10) < rev) this.#groups.delete(id);
  }

  clear(): void {
    this.#groups.clear();
  }
}

function groupId(rev: number, end: Uint8Array): string {
  return `${String(rev)}:${latin1(end)}`;
}

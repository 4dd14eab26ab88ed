/** Who watches a key: a map for watchers of one key, an interval tree for watchers of ranges. */
import { IntervalTree, type Interval } from './interval-tree.ts';

export interface Watched extends Interval {
  /** True: `keyText` alone; `endText` is not looked at. */
  readonly single: boolean;
}

export class WatchMatcher<T extends Watched> {
  /** Most keys have one watcher: no set is made for it. */
  readonly #keys = new Map<string, T | Set<T>>();
  readonly #ranges = new IntervalTree<T>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** The item must not be in yet. */
  add(item: T): void {
    this.#size++;
    if (!item.single) {
      this.#ranges.add(item);
      return;
    }
    const there = this.#keys.get(item.keyText);
    if (there === undefined) this.#keys.set(item.keyText, item);
    else if (there instanceof Set) there.add(item);
    else this.#keys.set(item.keyText, new Set([there, item]));
  }

  /** The item must be in. */
  delete(item: T): void {
    this.#size--;
    if (!item.single) {
      this.#ranges.delete(item);
      return;
    }
    const there = this.#keys.get(item.keyText);
    if (there instanceof Set) {
      there.delete(item);
      if (there.size === 0) this.#keys.delete(item.keyText);
    } else this.#keys.delete(item.keyText);
  }

  /** Fills `out` (emptied first) with everyone who watches `key`. */
  find(key: string, out: T[]): void {
    out.length = 0;
    const there = this.#keys.get(key);
    if (there !== undefined) {
      if (there instanceof Set) for (const item of there) out.push(item);
      else out.push(there);
    }
    if (!this.#ranges.empty) this.#ranges.find(key, out);
  }
}

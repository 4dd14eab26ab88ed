/**
 * The MsgApps sent to one follower and not yet acknowledged: a ring of (last index, payload bytes), bounded by count and by bytes.
 * The byte limit may be passed by the last message let in, so that one entry larger than the limit can still travel.
 */
import { invariant } from '../../base/invariant.ts';

/** The ring starts small and doubles up to the limit: most followers never have more than a few in flight. */
const ringSlotsMin = 8;

export class Inflights {
  readonly #countMax: number;
  /** 0 = no limit. */
  readonly #bytesMax: number;
  #indexes: number[] = [];
  #sizes: number[] = [];
  #head = 0;
  #count = 0;
  #bytes = 0;

  constructor(countMax: number, bytesMax: number) {
    this.#countMax = countMax;
    this.#bytesMax = bytesMax;
  }

  get count(): number {
    return this.#count;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get full(): boolean {
    return this.#count >= this.#countMax || (this.#bytesMax !== 0 && this.#bytes >= this.#bytesMax);
  }

  /** @param lastIndex  of the message's entries; never lower than that of the message before. */
  add(lastIndex: number, bytes: number): void {
    invariant(!this.full, 'a message is only sent while there is room in flight', { lastIndex, count: this.#count, bytes: this.#bytes });
    if (this.#count === this.#indexes.length) this.#grow();
    const at = (this.#head + this.#count) % this.#indexes.length;
    this.#indexes[at] = lastIndex;
    this.#sizes[at] = bytes;
    this.#count++;
    this.#bytes += bytes;
  }

  /** Frees every message whose entries all lie at or below `index`. */
  freeUpTo(index: number): void {
    while (this.#count > 0 && (this.#indexes[this.#head] ?? 0) <= index) {
      this.#bytes -= this.#sizes[this.#head] ?? 0;
      this.#head = (this.#head + 1) % this.#indexes.length;
      this.#count--;
    }
  }

  clear(): void {
    this.#head = 0;
    this.#count = 0;
    this.#bytes = 0;
  }

  #grow(): void {
    const old = this.#indexes.length;
    const slots = Math.min(Math.max(old * 2, ringSlotsMin), Math.max(this.#countMax, 1));
    const indexes = new Array<number>(slots).fill(0);
    const sizes = new Array<number>(slots).fill(0);
    for (let i = 0; i < this.#count; i++) {
      const at = (this.#head + i) % old;
      indexes[i] = this.#indexes[at] ?? 0;
      sizes[i] = this.#sizes[at] ?? 0;
    }
    this.#indexes = indexes;
    this.#sizes = sizes;
    this.#head = 0;
  }
}

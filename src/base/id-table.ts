/**
 * A map from numbers to values for what comes and goes many thousand times a second.
 *
 * A `Map` replaces its inner table again and again under such use, and V8 lets each replaced table refer to the next: once one of them has grown old,
 * all behind it, and all that was ever in them, looks alive until a full collection. Minor collections then copy megabytes of dead calls (10 ms
 * each where 0.1 would do). The arrays here are written in place.
 *
 * Open addressing, linear probing; a removal moves what follows back, so that no marks of removed ones gather.
 */
const leastBits = 5;
/** Smaller tables keep their size: their use goes up and down with every turn. */
const shrinksFromBits = 9;

export class IdTable<T> {
  #bits = leastBits;
  #keys = new Float64Array(1 << leastBits);
  #values: (T | undefined)[] = new Array<T | undefined>(1 << leastBits).fill(undefined);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** @param key  an integer of up to 53 bits, not negative */
  get(key: number): T | undefined {
    return this.#values[this.#find(key)];
  }

  has(key: number): boolean {
    return this.get(key) !== undefined;
  }

  /** @param value  anything but undefined */
  set(key: number, value: T): void {
    let i = this.#find(key);
    if (this.#values[i] === undefined) {
      if (this.#size * 2 >= this.#values.length) {
        this.#resize(this.#bits + 1);
        i = this.#find(key);
      }
      this.#size++;
      this.#keys[i] = key;
    }
    this.#values[i] = value;
  }

  /** False when it was not there. */
  delete(key: number): boolean {
    let hole = this.#find(key);
    const values = this.#values;
    if (values[hole] === undefined) return false;
    const keys = this.#keys;
    const mask = values.length - 1;
    for (let i = (hole + 1) & mask; values[i] !== undefined; i = (i + 1) & mask) {
      const home = this.#home(keys[i] as number);
      // It may move back to the hole unless its home lies behind the hole.
      if (((i - home) & mask) < ((i - hole) & mask)) continue;
      keys[hole] = keys[i] as number;
      values[hole] = values[i];
      hole = i;
    }
    values[hole] = undefined;
    this.#size--;
    if (this.#bits >= shrinksFromBits && this.#size * 16 < values.length) this.#resize(this.#bits - 2);
    return true;
  }

  /** Shows every value, in no order; the table must not change meanwhile. */
  forEach(show: (value: T) => void): void {
    for (const value of this.#values) if (value !== undefined) show(value);
  }

  /** In the order of their keys; a copy. */
  values(): T[] {
    const keys: number[] = [];
    for (let i = 0; i < this.#values.length; i++) if (this.#values[i] !== undefined) keys.push(this.#keys[i] as number);
    return keys.sort((a, b) => a - b).map((key) => this.get(key) as T);
  }

  clear(): void {
    this.#values.fill(undefined);
    this.#size = 0;
    this.#resize(leastBits);
  }

  #home(key: number): number {
    return Math.imul((key | 0) ^ (key / 4294967296), 0x9e3779b1) >>> (32 - this.#bits);
  }

  /** Where a key is, or would be. */
  #find(key: number): number {
    const values = this.#values;
    const mask = values.length - 1;
    let i = this.#home(key);
    while (values[i] !== undefined && this.#keys[i] !== key) i = (i + 1) & mask;
    return i;
  }

  #resize(bits: number): void {
    const keys = this.#keys;
    const values = this.#values;
    this.#bits = Math.max(bits, leastBits);
    this.#keys = new Float64Array(1 << this.#bits);
    this.#values = new Array<T | undefined>(1 << this.#bits).fill(undefined);
    if (this.#size === 0) return;
    for (let i = 0; i < values.length; i++) {
      const value = values[i];
      if (value === undefined) continue;
      const at = this.#find(keys[i] as number);
      this.#keys[at] = keys[i] as number;
      this.#values[at] = value;
      // The old array may have grown old: what it refers to would live as long as it does.
      values[i] = undefined;
    }
  }
}

/**
 * Keys numbered in the order in which they were first met, outside the JS heap: ten million keys of 32 bytes take some 500 MB of memory that
 * no collector walks through.
 */
import { equalBytes } from '../../base/bytes.ts';
import { crc32c } from '../../base/crc32c.ts';

const chunkBytes = 4 * 1024 * 1024;
const slotsInitial = 1 << 12;

export class KeyTable {
  #count = 0;
  readonly #chunks: Buffer[] = [];
  #used = 0;
  /** Of each key: checksum, chunk, offset, length. */
  #keys = new Uint32Array(4 * slotsInitial);
  /** Open addressing; a key's number + 1. */
  #slots = new Uint32Array(slotsInitial);

  get count(): number {
    return this.#count;
  }

  /** The key's number. A new key is copied. */
  add(key: Uint8Array): number {
    const hash = crc32c(0, key);
    const mask = this.#slots.length - 1;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const n = this.#slots[slot] as number;
      if (n === 0) {
        this.#slots[slot] = this.#enter(key, hash) + 1;
        if (this.#count * 2 > this.#slots.length) this.#rehash();
        return this.#count - 1;
      }
      if (this.#keys[4 * (n - 1)] === hash && equalBytes(this.#key(n - 1), key)) return n - 1;
    }
  }

  #key(n: number): Uint8Array {
    const offset = this.#keys[4 * n + 2] as number;
    return (this.#chunks[this.#keys[4 * n + 1] as number] as Buffer).subarray(offset, offset + (this.#keys[4 * n + 3] as number));
  }

  #enter(key: Uint8Array, hash: number): number {
    let chunk = this.#chunks[this.#chunks.length - 1];
    if (chunk === undefined || this.#used + key.length > chunk.length) {
      chunk = Buffer.allocUnsafeSlow(Math.max(chunkBytes, key.length));
      this.#chunks.push(chunk);
      this.#used = 0;
    }
    chunk.set(key, this.#used);
    if (4 * this.#count === this.#keys.length) {
      const larger = new Uint32Array(2 * this.#keys.length);
      larger.set(this.#keys);
      this.#keys = larger;
    }
    this.#keys.set([hash, this.#chunks.length - 1, this.#used, key.length], 4 * this.#count);
    this.#used += key.length;
    return this.#count++;
  }

  #rehash(): void {
    const slots = new Uint32Array(2 * this.#slots.length);
    const mask = slots.length - 1;
    for (let n = 0; n < this.#count; n++) {
      let slot = (this.#keys[4 * n] as number) & mask;
      while (slots[slot] !== 0) slot = (slot + 1) & mask;
      slots[slot] = n + 1;
    }
    this.#slots = slots;
  }
}

/** A number for each key: grows as keys come. */
export class KeyNumbers {
  #values = new Float64Array(slotsInitial);

  get(n: number): number {
    return this.#values[n] ?? 0;
  }

  set(n: number, value: number): void {
    if (n >= this.#values.length) {
      const larger = new Float64Array(Math.max(n + 1, 2 * this.#values.length));
      larger.set(this.#values);
      this.#values = larger;
    }
    this.#values[n] = value;
  }
}

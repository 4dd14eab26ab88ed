/** Randomness fit for ids, salts and tokens: the system's generator, drawn in blocks. */
import { randomFillSync } from 'node:crypto';
import type { Random } from '../base/random.ts';

/** One draw from the system costs about a microsecond whatever its size; a block serves 512 numbers. */
const poolBytes = 4096;

export class RealRandom implements Random {
  readonly #pool = Buffer.allocUnsafeSlow(poolBytes);
  #used = poolBytes;

  u32(): number {
    return this.#pool.readUInt32LE(this.#take(4));
  }

  u64(): bigint {
    return this.#pool.readBigUInt64LE(this.#take(8));
  }

  float(): number {
    return this.u32() / 4294967296;
  }

  bytes(n: number): Uint8Array {
    return randomFillSync(new Uint8Array(n));
  }

  #take(n: number): number {
    if (this.#used + n > poolBytes) {
      randomFillSync(this.#pool);
      this.#used = 0;
    }
    const at = this.#used;
    this.#used += n;
    return at;
  }
}

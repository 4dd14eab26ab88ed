/** Randomness as a seam: the process entry binds the real one, the simulator a seeded one. */
export interface Random {
  /** A whole number in [0, 2^32). */
  u32(): number;
  u64(): bigint;
  /** A number in [0, 1). */
  float(): number;
  /** Fresh bytes, owned by the caller. */
  bytes(n: number): Uint8Array;
}

/** xoshiro128** seeded through splitmix32: repeatable on every platform. For simulation, tests and jitter, never for secrets. */
export class SeededRandom implements Random {
  #a: number;
  #b: number;
  #c: number;
  #d: number;

  constructor(seed: number) {
    let z = seed >>> 0;
    const next = (): number => {
      z = (z + 0x9e3779b9) >>> 0;
      let t = z ^ (z >>> 16);
      t = Math.imul(t, 0x21f0aaad);
      t ^= t >>> 15;
      t = Math.imul(t, 0x735a2d97);
      return (t ^ (t >>> 15)) >>> 0;
    };
    this.#a = next();
    this.#b = next();
    this.#c = next();
    this.#d = next() | 1;
  }

  u32(): number {
    const rotated = Math.imul(this.#b, 5);
    const out = Math.imul((rotated << 7) | (rotated >>> 25), 9) >>> 0;
    const t = this.#b << 9;
    this.#c ^= this.#a;
    this.#d ^= this.#b;
    this.#b ^= this.#c;
    this.#a ^= this.#d;
    this.#c ^= t;
    this.#d = (this.#d << 11) | (this.#d >>> 21);
    return out;
  }

  u64(): bigint {
    return (BigInt(this.u32()) << 32n) | BigInt(this.u32());
  }

  float(): number {
    return this.u32() / 4294967296;
  }

  bytes(n: number): Uint8Array {
    const out = new Uint8Array(n);
    for (let i = 0; i < n; i++) out[i] = this.u32() & 255;
    return out;
  }
}

// Seeded choices: a seed names a run.

export class Rng {
  #state;

  constructor(seed) {
    this.#state = (seed * 2654435761) >>> 0 || 1;
  }

  /** In [0, 1). */
  next() {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  }

  int(n) {
    return Math.floor(this.next() * n);
  }

  chance(p) {
    return this.next() < p;
  }

  pick(list) {
    return list[this.int(list.length)];
  }

  /** `[[weight, value], …]` */
  weighted(list) {
    let at = this.next() * list.reduce((sum, [w]) => sum + w, 0);
    for (const [w, value] of list) {
      at -= w;
      if (at < 0) return value;
    }
    return list[list.length - 1][1];
  }
}

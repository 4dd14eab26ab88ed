/** Revisions that sliced readers stand on. Compaction may move past them at once, but waits with its deletions until they are done. */

export interface Pin {
  readonly rev: number;
}

interface Waiter {
  readonly rev: number;
  readonly ready: () => void;
}

export class ReaderPins {
  readonly #pins = new Set<Pin>();
  #waiters: Waiter[] = [];

  pin(rev: number): Pin {
    const pin = { rev };
    this.#pins.add(pin);
    return pin;
  }

  release(pin: Pin): void {
    this.#pins.delete(pin);
    if (this.#waiters.length === 0) return;
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const w of waiters) this.whenNoneBelow(w.rev, w.ready);
  }

  /** Runs `ready`, at once when it can, when no reader stands below `rev`. Ends: such readers are no longer let in, and each only computes. */
  whenNoneBelow(rev: number, ready: () => void): void {
    for (const pin of this.#pins) {
      if (pin.rev < rev) {
        this.#waiters.push({ rev, ready });
        return;
      }
    }
    ready();
  }

  /** After the store's content was replaced: nobody stands on the old one. */
  clear(): void {
    this.#pins.clear();
    this.#waiters = [];
  }
}

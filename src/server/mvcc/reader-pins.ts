/** Revisions that sliced readers stand on. Compaction may move past them at once, but waits with its deletions until they are done. */

export interface Pin {
  readonly rev: number;
  /** Runs when a compaction begins to wait for the reader, who may have been waiting itself. */
  onAwaited: (() => void) | undefined;
}

interface Waiter {
  readonly rev: number;
  readonly ready: () => void;
}

export class ReaderPins {
  readonly #pins = new Set<Pin>();
  #waiters: Waiter[] = [];

  pin(rev: number): Pin {
    const pin = { rev, onAwaited: undefined };
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

  isAwaited(pin: Pin): boolean {
    return this.#waiters.some((w) => pin.rev < w.rev);
  }

  /**
   * Runs `ready`, at once when it can, when no reader stands below `rev`. Ends: such readers are no longer let in, and each only computes once it is
   * told that it is awaited.
   */
  whenNoneBelow(rev: number, ready: () => void): void {
    const below = [...this.#pins].filter((pin) => pin.rev < rev);
    if (below.length === 0) {
      ready();
      return;
    }
    this.#waiters.push({ rev, ready });
    for (const pin of below) {
      const { onAwaited } = pin;
      pin.onAwaited = undefined;
      onAwaited?.();
    }
  }

  /** After the store's content was replaced: nobody stands on the old one. */
  clear(): void {
    this.#pins.clear();
    this.#waiters = [];
  }
}

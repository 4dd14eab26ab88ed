/** The process's clocks. */
import type { Clock, Timer } from '../base/clock.ts';

/** Node turns a longer delay into 1 ms. */
const timerMsMax = 2 ** 31 - 1;

export class RealClock implements Clock {
  mono(): number {
    return performance.now();
  }

  wall(): number {
    return Date.now();
  }

  after(ms: number, fn: () => void): Timer {
    return new OneShot(ms, fn);
  }

  every(ms: number, fn: () => void): Timer {
    return new Interval(ms, fn);
  }

  defer(fn: () => void): void {
    setImmediate(fn);
  }
}

class OneShot implements Timer {
  #handle: NodeJS.Timeout | undefined;

  constructor(ms: number, fn: () => void) {
    this.#arm(ms, fn);
  }

  #arm(ms: number, fn: () => void): void {
    if (ms <= timerMsMax) this.#handle = setTimeout(fn, ms);
    else this.#handle = setTimeout(() => this.#arm(ms - timerMsMax, fn), timerMsMax);
    this.#handle.unref();
  }

  cancel(): void {
    clearTimeout(this.#handle);
  }
}

/**
 * Keeps to its beat, as Go's tickers do: what comes late does not put off what follows, and what was missed whole is left out. Node's own interval
 * counts from each late start anew: on a busy machine ticks of 100 ms came every 107, and elections took that much longer.
 */
class Interval implements Timer {
  readonly #ms: number;
  readonly #fn: () => void;
  #due: number;
  #handle: NodeJS.Timeout | undefined;

  constructor(ms: number, fn: () => void) {
    this.#ms = Math.min(Math.max(ms, 1), timerMsMax);
    this.#fn = fn;
    const now = performance.now();
    this.#due = now + this.#ms;
    this.#arm(now);
  }

  #arm(now: number): void {
    this.#handle = setTimeout(this.#fire, Math.max(1, Math.min(this.#due - now, timerMsMax)));
    this.#handle.unref();
  }

  readonly #fire = (): void => {
    const now = performance.now();
    // Node may be early by part of a millisecond.
    this.#due += this.#ms * Math.max(1, Math.ceil((now - this.#due) / this.#ms));
    this.#arm(now);
    this.#fn();
  };

  cancel(): void {
    clearTimeout(this.#handle);
    this.#handle = undefined;
  }
}

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

class Interval implements Timer {
  readonly #handle: NodeJS.Timeout;

  constructor(ms: number, fn: () => void) {
    this.#handle = setInterval(fn, Math.min(ms, timerMsMax));
    this.#handle.unref();
  }

  cancel(): void {
    clearInterval(this.#handle);
  }
}

/** Time that tests move. Each look at it may cost a little, so that sliced work gets cut often. */
import type { Clock, Timer } from '../../../src/base/clock.ts';

interface Due {
  readonly at: number;
  readonly order: number;
  readonly fn: () => void;
}

export class TestClock implements Clock {
  /** Milliseconds that pass at each look. */
  lookMs = 0;
  #now = 1000;
  #order = 0;
  #timers: Due[] = [];
  #deferred: (() => void)[] = [];

  mono(): number {
    this.#now += this.lookMs;
    return this.#now;
  }

  wall(): number {
    return 1_700_000_000_000 + this.#now;
  }

  after(ms: number, fn: () => void): Timer {
    const due: Due = { at: this.#now + ms, order: this.#order++, fn };
    this.#timers.push(due);
    return {
      cancel: () => {
        this.#timers = this.#timers.filter((t) => t !== due);
      },
    };
  }

  every(ms: number, fn: () => void): Timer {
    let timer: Timer;
    const tick = (): void => {
      timer = this.after(ms, tick);
      fn();
    };
    timer = this.after(ms, tick);
    return {
      cancel: () => {
        timer.cancel();
      },
    };
  }

  defer(fn: () => void): void {
    this.#deferred.push(fn);
  }

  get idle(): boolean {
    return this.#deferred.length === 0 && this.#timers.length === 0;
  }

  get deferredCount(): number {
    return this.#deferred.length;
  }

  /** One turn: what was deferred before it. @returns whether anything ran. */
  turn(): boolean {
    const now = this.#deferred;
    this.#deferred = [];
    for (const fn of now) fn();
    return now.length > 0;
  }

  /** Moves time to the next timer and runs it. @returns whether there was one. */
  fire(): boolean {
    const next = this.#timers.reduce<Due | undefined>(
      (a, b) => (a === undefined || b.at < a.at || (b.at === a.at && b.order < a.order) ? b : a),
      undefined,
    );
    if (next === undefined) return false;
    this.#timers = this.#timers.filter((t) => t !== next);
    this.#now = Math.max(this.#now, next.at);
    next.fn();
    return true;
  }

  /** Runs everything until nothing is left, or `until` holds. */
  settle(until: () => boolean = () => false, stepsMax = 1_000_000): void {
    for (let i = 0; i < stepsMax; i++) {
      if (until()) return;
      if (!this.turn() && !this.fire()) return;
    }
    throw new Error('the clock does not come to rest');
  }

  /** Runs deferred turns only; timers stay. */
  drain(turnsMax = 1_000_000): void {
    for (let i = 0; i < turnsMax; i++) if (!this.turn()) return;
    throw new Error('deferred work does not come to rest');
  }
}

/** Virtual time for unit tests: nothing happens until `run`, which then does all there is to do, in order. */
import type { Clock, Timer } from '../../../src/base/clock.ts';

interface Event {
  readonly at: number;
  readonly sequence: number;
  readonly fn: () => void;
  cancelled: boolean;
}

export class StepClock implements Clock {
  #now = 0;
  #sequence = 0;
  #events: Event[] = [];

  mono(): number {
    return this.#now;
  }

  wall(): number {
    return 1_700_000_000_000 + this.#now;
  }

  after(ms: number, fn: () => void): Timer {
    const event: Event = { at: this.#now + ms, sequence: this.#sequence++, fn, cancelled: false };
    this.#events.push(event);
    return { cancel: () => (event.cancelled = true) };
  }

  every(ms: number, fn: () => void): Timer {
    let timer: Timer;
    const tick = (): void => {
      timer = this.after(ms, tick);
      fn();
    };
    timer = this.after(ms, tick);
    return { cancel: () => timer.cancel() };
  }

  defer(fn: () => void): void {
    this.after(0, fn);
  }

  /** Runs events, and the microtasks between them, until none is left or `until` holds. */
  async run(until: () => boolean = () => false): Promise<void> {
    for (;;) {
      for (let i = 0; i < 4; i++) await Promise.resolve();
      if (until() || !this.step()) return;
    }
  }

  /** As `run`, without letting microtasks in between. */
  drain(): void {
    while (this.step());
  }

  step(): boolean {
    this.#events = this.#events.filter((e) => !e.cancelled);
    if (this.#events.length === 0) return false;
    let next = this.#events[0] as Event;
    for (const e of this.#events) if (e.at < next.at || (e.at === next.at && e.sequence < next.sequence)) next = e;
    this.#events.splice(this.#events.indexOf(next), 1);
    this.#now = Math.max(this.#now, next.at);
    next.fn();
    return true;
  }
}

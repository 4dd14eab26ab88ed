/**
 * Guessing passwords is slowed down: after some wrong ones in a row for the same user from the same address, each further attempt waits its
 * turn, ever longer up to two seconds, and what would wait longer is turned away at once. Nobody is locked out: another address, or another
 * user, is not held up, and the right password clears the count. Kept by each member for itself.
 */
import type { Clock } from '../../base/clock.ts';

/** Wrong passwords in a row that cost nothing: people mistype, and scripts come in numbers. Of one address over all users, more. */
const freeFailures = 10;
const freeFailuresOfAddress = 100;
/** The first pause, which then doubles. */
const firstPauseMs = 100;
/** The longest pause, and the longest that an attempt waits for its turn. */
export const pauseMsMax = 2000;
/** Users and addresses that are remembered; the one that failed longest ago is forgotten first. */
const rememberedMax = 4096;

interface Failures {
  count: number;
  /** When the next attempt may be made, on the monotonic clock. */
  nextMs: number;
}

export class LoginBackoff {
  readonly #clock: Pick<Clock, 'mono'>;
  readonly #failures = new Map<string, Failures>();
  /** Attempts turned away since the start. */
  refused = 0;

  constructor(clock: Pick<Clock, 'mono'>) {
    this.#clock = clock;
  }

  /**
   * Milliseconds that this attempt has to wait before its password is looked at; undefined: it is turned away.
   * @param from  address, with or without a port; the port does not count
   */
  attempt(from: string, user: string): number | undefined {
    const now = this.#clock.mono();
    let wait = 0;
    for (const [key, free] of keysOf(from, user)) {
      const f = this.#failures.get(key);
      if (f === undefined || f.count < free) continue;
      wait = Math.max(wait, f.nextMs - now);
    }
    if (wait > pauseMsMax) {
      this.refused++;
      return undefined;
    }
    for (const [key, free] of keysOf(from, user)) {
      const f = this.#failures.get(key);
      if (f === undefined || f.count < free) continue;
      const pause = Math.min(pauseMsMax, firstPauseMs * 2 ** Math.min(10, f.count - free));
      f.nextMs = Math.max(f.nextMs, now) + pause;
    }
    return Math.max(0, wait);
  }

  failed(from: string, user: string): void {
    for (const [key] of keysOf(from, user)) {
      const f = this.#failures.get(key) ?? { count: 0, nextMs: 0 };
      f.count++;
      // To the end: the oldest stands first.
      this.#failures.delete(key);
      this.#failures.set(key, f);
    }
    for (const key of this.#failures.keys()) {
      if (this.#failures.size <= rememberedMax) break;
      this.#failures.delete(key);
    }
  }

  succeeded(from: string, user: string): void {
    for (const [key] of keysOf(from, user)) this.#failures.delete(key);
  }

  /** Users and addresses with failures. */
  get remembered(): number {
    return this.#failures.size;
  }
}

function keysOf(from: string, user: string): readonly (readonly [key: string, free: number])[] {
  const host = from.replace(/:\d+$/, '');
  return [
    [`${host}\n${user}`, freeFailures],
    [host, freeFailuresOfAddress],
  ];
}

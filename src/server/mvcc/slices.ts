/** Long work on the event loop: cut into slices, so that heartbeats and other requests get their turn. */
import type { Clock } from '../../base/clock.ts';

/** Length of one slice. Nothing may hold the loop longer than 5 ms; the overshoot of one step comes on top. */
export const sliceMs = 2;
/** Rows between two looks at the clock: at 1–3 µs a row a look costs nothing and the overshoot stays near 0.1 ms. */
const rowsPerClockLook = 32;
/** Bytes of a row that count as one more row: reading, checking and hashing them takes about as long. */
const bytesPerRow = 2048;

export interface Sliced {
  /** Works until the clock shows `until`. @returns true when there is nothing left to do. */
  slice(until: number): boolean;
}

/** What is left of one slice. */
export class SliceBudget {
  readonly #clock: Clock;
  readonly #until: number;
  #rows = 0;

  constructor(clock: Clock, until: number) {
    this.#clock = clock;
    this.#until = until;
  }

  /** Counts a row of so many bytes. @returns true when the slice is over. */
  spend(bytes: number): boolean {
    this.#rows += 1 + Math.floor(bytes / bytesPerRow);
    if (this.#rows < rowsPerClockLook) return false;
    this.#rows = 0;
    return this.isSpent();
  }

  /** Looks at the clock. */
  isSpent(): boolean {
    return this.#clock.mono() >= this.#until;
  }
}

/** Runs the first slice in this turn, each further one in a turn of its own. */
export function runSliced(clock: Clock, work: Sliced): void {
  if (work.slice(clock.mono() + sliceMs)) return;
  clock.defer(() => {
    runSliced(clock, work);
  });
}

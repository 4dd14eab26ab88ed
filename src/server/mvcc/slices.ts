/** Long work on the event loop: cut into slices, so that heartbeats and other requests get their turn. */
import type { Clock } from '../../base/clock.ts';

/** Length of one slice. Nothing may hold the loop longer than 5 ms; the overshoot of one step comes on top. */
export const sliceMs = 2;
/** Rows between two looks at the clock: at 1–2 µs a row a look costs nothing and the overshoot stays below 0.1 ms. */
export const rowsPerClockLook = 32;

export interface Sliced {
  /** Works until the clock shows `until`. @returns true when there is nothing left to do. */
  slice(until: number): boolean;
}

/** Runs the first slice in this turn, each further one in a turn of its own. */
export function runSliced(clock: Clock, work: Sliced): void {
  if (work.slice(clock.mono() + sliceMs)) return;
  clock.defer(() => {
    runSliced(clock, work);
  });
}

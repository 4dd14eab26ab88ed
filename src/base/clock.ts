/** Time as a seam. Timers run on the monotonic clock; the wall clock is for people, ids and certificates. */
export interface Clock {
  /** Milliseconds since some fixed moment; never goes back; fractions allowed. */
  mono(): number;
  /** Milliseconds since the Unix epoch; may jump. */
  wall(): number;
  /** Runs `fn` once after `ms`, unless cancelled. Does not keep the process alive. */
  after(ms: number, fn: () => void): Timer;
  /** Runs `fn` each `ms` until cancelled. A late tick is not made up for. */
  every(ms: number, fn: () => void): Timer;
  /** Runs `fn` after the current turn's I/O: the way to cut long work into slices, and to batch what arrives in one turn. */
  defer(fn: () => void): void;
}

export interface Timer {
  cancel(): void;
}

/**
 * Deadlines of many calls on one timer: a hashed wheel of intrusive lists, so that a call costs two pointer writes to arm and to disarm. A
 * deadline fires up to one slot late, never early. The timer runs only while something is armed.
 */
import type { Clock, Timer } from '../base/clock.ts';

/** Width of a slot in ms. The client watches its own deadline; the server's only has to stop useless work. */
const slotMs = 10;
const slotCount = 1024;

export interface DeadlineEntry {
  /** On the monotonic clock, in ms. */
  readonly deadline: number;
  deadlinePrev: DeadlineEntry | undefined;
  deadlineNext: DeadlineEntry | undefined;
  /** Runs once, disarmed already. */
  onDeadline(): void;
}

class Slot implements DeadlineEntry {
  readonly deadline = Infinity;
  deadlinePrev: DeadlineEntry | undefined = this;
  deadlineNext: DeadlineEntry | undefined = this;
  onDeadline(): void {}
}

export class DeadlineWheel {
  readonly #clock: Clock;
  readonly #slots: Slot[] = Array.from({ length: slotCount }, () => new Slot());
  #armed = 0;
  #tick = 0;
  #timer: Timer | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get armed(): number {
    return this.#armed;
  }

  arm(entry: DeadlineEntry): void {
    if (this.#timer === undefined) {
      this.#tick = Math.floor(this.#clock.mono() / slotMs);
      this.#timer = this.#clock.every(slotMs, () => this.#turn());
    }
    // The slot after the one that holds the deadline: when it is visited, the deadline has passed.
    const tick = Math.max(Math.floor(entry.deadline / slotMs) + 1, this.#tick + 1);
    const slot = this.#slots[tick % slotCount] as Slot;
    const last = slot.deadlinePrev as DeadlineEntry;
    entry.deadlinePrev = last;
    entry.deadlineNext = slot;
    last.deadlineNext = entry;
    slot.deadlinePrev = entry;
    this.#armed++;
  }

  /** Does nothing when the entry is not armed. */
  disarm(entry: DeadlineEntry): void {
    const prev = entry.deadlinePrev;
    const next = entry.deadlineNext;
    if (prev === undefined || next === undefined) return;
    prev.deadlineNext = next;
    next.deadlinePrev = prev;
    entry.deadlinePrev = undefined;
    entry.deadlineNext = undefined;
    if (--this.#armed === 0) this.close();
  }

  close(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #turn(): void {
    const now = this.#clock.mono();
    const target = Math.floor(now / slotMs);
    // After a long stall every slot is visited once, not once for each missed tick.
    const from = Math.max(this.#tick + 1, target - slotCount + 1);
    this.#tick = Math.max(this.#tick, target);
    for (let tick = from; tick <= target; tick++) {
      const slot = this.#slots[tick % slotCount] as Slot;
      let entry = slot.deadlineNext as DeadlineEntry;
      while (entry !== slot) {
        // `onDeadline` may disarm others, the next one among them: go on from the slot's head after each that fired.
        const next = entry.deadlineNext as DeadlineEntry;
        if (entry.deadline <= now) {
          this.disarm(entry);
          entry.onDeadline();
          entry = slot.deadlineNext as DeadlineEntry;
        } else entry = next;
      }
    }
  }
}

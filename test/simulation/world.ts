/**
 * Simulated time: one heap of events, run one after the other in one thread. After each event the promises that it settled run to their end, so
 * that an event is what a turn of the event loop is in a process.
 *
 * A machine has a clock of its own (offset, drift, pauses); a process on it is the owner of its events, which die with it.
 */
import type { Clock, Timer } from '../../src/base/clock.ts';
import { SeededRandom } from '../../src/base/random.ts';

/** Who an event belongs to. A dead owner's events never run; a paused one's wait. */
export interface Owner {
  readonly alive: boolean;
  /** No event of this owner runs before. */
  readonly busyUntil: number;
  /** For the trace. */
  readonly number: number;
  /** The process in whose name it acts: itself, or the one that waits for a machine's disk. */
  readonly process: unknown;
}

interface Entry {
  time: number;
  /** When it was to run at first: what waits for its owner keeps its order, however often it is put off. */
  readonly due: number;
  readonly sequence: number;
  readonly owner: Owner | undefined;
  /** Settles no promise: the turn needs no end of its own. */
  readonly plain: boolean;
  run: (() => void) | undefined;
}

// Taken before anything forbids them.
const immediate = setImmediate;
const turnEnd = (): Promise<void> => new Promise((resolve) => immediate(resolve));

/** Longest delay of a deferred call: a turn of a real event loop. */
const turnMsMax = 0.02;

export class World {
  readonly seed: number;
  now = 0;
  events = 0;
  /** The first broken rule. */
  failure: string | undefined;
  /** Runs after each event of an owner. */
  afterEvent: ((owner: Owner | undefined) => void) | undefined;
  /** Runs when the code of an owner throws. */
  onThrow: ((owner: Owner | undefined, error: unknown) => void) | undefined;
  /** Whose event runs now. */
  current: Owner | undefined;
  trace: ((line: string) => void) | undefined;
  readonly #heap: Entry[] = [];
  #sequence = 0;
  #hashA = 0x811c9dc5;
  #hashB = 0x9e3779b9;

  constructor(seed: number) {
    this.seed = seed;
  }

  /** A stream of its own for each use, so that a draw more in one does not shift the others. */
  random(name: string): SeededRandom {
    let h = this.seed ^ 0x5bd1e995;
    for (let i = 0; i < name.length; i++) h = Math.imul(h ^ name.charCodeAt(i), 0x01000193) ^ (h >>> 15);
    return new SeededRandom(h ^ Math.imul(this.seed + 1, 0x9e3779b1));
  }

  fail(what: string): void {
    if (this.failure !== undefined) return;
    this.failure = `${what} (at ${(this.now / 1000).toFixed(3)} s)`;
    this.trace?.(`FAILURE ${what}`);
  }

  /** Takes part in the hash that two runs of one seed must share. */
  mix(value: number): void {
    this.#hashA = Math.imul(this.#hashA ^ (value | 0), 0x01000193);
    this.#hashB = (Math.imul(this.#hashB, 31) + (value | 0)) | 0;
  }

  mixText(text: string): void {
    for (let i = 0; i < text.length; i++) this.mix(text.charCodeAt(i));
  }

  get hash(): string {
    const hex = (n: number): string => (n >>> 0).toString(16).padStart(8, '0');
    return hex(this.#hashA) + hex(this.#hashB);
  }

  at(time: number, owner: Owner | undefined, run: () => void, plain = false): Timer {
    const due = Math.max(time, this.now);
    const entry: Entry = { time: due, due, sequence: ++this.#sequence, owner, plain, run };
    this.#push(entry);
    return {
      cancel() {
        entry.run = undefined;
      },
    };
  }

  after(ms: number, run: () => void): Timer {
    return this.at(this.now + ms, undefined, run);
  }

  /** Runs `run` for an owner, inside an event that is nobody's: now, or when the owner can. Dead owners do nothing. */
  as(owner: Owner, run: () => void): void {
    if (!owner.alive) return;
    if (owner.busyUntil > this.now || this.current !== undefined) {
      this.at(this.now, owner, run);
      return;
    }
    this.current = owner;
    try {
      run();
    } catch (error) {
      this.#thrown(owner, error);
    }
    this.afterEvent?.(owner);
    this.current = undefined;
  }

  /** Runs events up to `time`, until one breaks a rule or `done` says so. */
  async runTo(time: number, done?: () => boolean): Promise<void> {
    while (this.failure === undefined) {
      const next = this.#heap[0];
      if (next === undefined || next.time > time) break;
      this.#pop();
      const { owner } = next;
      if (next.run === undefined || owner?.alive === false) continue;
      if (owner !== undefined && owner.busyUntil > next.time) {
        next.time = owner.busyUntil;
        this.#push(next);
        continue;
      }
      this.now = next.time;
      this.events++;
      this.mix(Math.round(next.time * 1000));
      this.mix(owner?.number ?? -1);
      this.current = owner;
      try {
        next.run();
      } catch (error) {
        this.#thrown(owner, error);
      }
      if (!next.plain) await turnEnd();
      this.afterEvent?.(owner);
      this.current = undefined;
      if (done?.() === true) return;
    }
    if (this.failure === undefined && this.now < time) this.now = time;
  }

  #thrown(owner: Owner | undefined, error: unknown): void {
    if (this.onThrow !== undefined && owner !== undefined) this.onThrow(owner, error);
    else this.fail(`the simulator threw: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  }

  #push(entry: Entry): void {
    const heap = this.#heap;
    let i = heap.length;
    heap.push(entry);
    while (i > 0) {
      const up = (i - 1) >> 1;
      const parent = heap[up] as Entry;
      if (!isBefore(entry, parent)) break;
      heap[i] = parent;
      i = up;
    }
    heap[i] = entry;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop() as Entry;
    const n = heap.length;
    if (n === 0) return;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= n) break;
      if (child + 1 < n && isBefore(heap[child + 1] as Entry, heap[child] as Entry)) child++;
      if (!isBefore(heap[child] as Entry, last)) break;
      heap[i] = heap[child] as Entry;
      i = child;
    }
    heap[i] = last;
  }
}

function isBefore(a: Entry, b: Entry): boolean {
  if (a.time !== b.time) return a.time < b.time;
  return a.due !== b.due ? a.due < b.due : a.sequence < b.sequence;
}

export interface ClockTraits {
  /** 1 = as the world's; monotonic time runs so much faster. */
  readonly rate: number;
  /** Added to the wall clock; may change. */
  wallOffsetMs: number;
  /** Virtual time that each look at the clock costs: a machine whose turns take long. */
  readonly lookMs: number;
}

/** The clock of one owner. */
export class SimClock implements Clock {
  readonly #world: World;
  readonly #owner: Owner;
  readonly #traits: ClockTraits;
  readonly #random: SeededRandom;
  /** Told of the time that a turn has taken. */
  readonly #spend: ((ms: number) => void) | undefined;
  #turn = -1;
  #spent = 0;
  #lastDefer = 0;

  constructor(world: World, owner: Owner, traits: ClockTraits, name: string, spend?: (ms: number) => void) {
    this.#world = world;
    this.#owner = owner;
    this.#traits = traits;
    this.#random = world.random(`clock ${name}`);
    this.#spend = spend;
  }

  mono(): number {
    const { lookMs, rate } = this.#traits;
    if (lookMs === 0) return 1000 + this.#world.now * rate;
    if (this.#turn !== this.#world.events) {
      this.#turn = this.#world.events;
      this.#spent = 0;
    }
    this.#spent += lookMs;
    this.#spend?.(lookMs);
    return 1000 + (this.#world.now + this.#spent) * rate;
  }

  wall(): number {
    return 1_700_000_000_000 + Math.floor(this.#world.now) + this.#traits.wallOffsetMs;
  }

  after(ms: number, fn: () => void): Timer {
    return this.#world.at(this.#world.now + Math.max(0, ms) / this.#traits.rate, this.#owner, fn);
  }

  every(ms: number, fn: () => void): Timer {
    const period = ms / this.#traits.rate;
    let due = this.#world.now + period;
    let timer: Timer;
    let over = false;
    const tick = (): void => {
      // A late tick is not made up for.
      due = Math.max(due + period, this.#world.now + period / 2);
      timer = this.#world.at(due, this.#owner, tick);
      fn();
      if (over) timer.cancel();
    };
    timer = this.#world.at(due, this.#owner, tick);
    return {
      cancel() {
        over = true;
        timer.cancel();
      },
    };
  }

  defer(fn: () => void): void {
    // Deferred calls of one process keep their order; those of others get in between.
    const at = Math.max(this.#lastDefer, this.#world.now + this.#random.float() * turnMsMax);
    this.#lastDefer = at;
    this.#world.at(at, this.#owner, fn);
  }
}

/** Rows of a range that were only measured: read while the answer is on its way, so that no more of it than that lies in memory. */
import type { Clock } from '../../base/clock.ts';
import { invariant } from '../../base/invariant.ts';
import type { Backend } from '../storage/backend.ts';
import { RowGather } from '../storage/row-gather.ts';
import type { Pin, ReaderPins } from './reader-pins.ts';
import { RowReader, type Measured } from './row-reader.ts';

export interface RangeRestOptions {
  readonly backend: Backend;
  readonly clock: Clock;
  readonly pins: ReaderPins;
  readonly key: Uint8Array;
  /** Exclusive; of length 0 = unbounded. */
  readonly end: Uint8Array;
  readonly rev: number;
  readonly measured: Measured;
  /** The content that was measured is there no more. */
  readonly isReplaced: () => boolean;
}

export class RangeRest {
  readonly #o: RangeRestOptions;
  readonly #reader: RowReader;
  readonly #gather = new RowGather();
  readonly #pin: Pin;
  #rows: number;
  #bytes: number;
  #closed = false;

  /** From now on the rows are kept, until `close`. */
  constructor(options: RangeRestOptions) {
    const { backend, pins, key, end, rev, measured } = options;
    this.#o = options;
    this.#reader = new RowReader(backend, backend.cursor({ key, end }, rev));
    this.#pin = pins.pin(rev);
    this.#rows = measured.rows;
    this.#bytes = measured.bytes;
  }

  /** Rows in all, and what they take in an answer. */
  get rows(): number {
    return this.#rows;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get finished(): boolean {
    return this.#gather.count === this.#rows;
  }

  /** A compaction waits for this reader: it should come to an end. `onAwaited` says so once. */
  get isAwaited(): boolean {
    return this.#o.pins.isAwaited(this.#pin);
  }

  set onAwaited(fn: () => void) {
    this.#pin.onAwaited = fn;
  }

  /** Leaves the last row out; before the first is read. */
  dropLast(): void {
    this.#rows--;
    this.#bytes -= this.#o.measured.lastBytes;
  }

  /** The next rows, as many as are read before the clock shows `until`. Undefined when the content was replaced. @throws CorruptError */
  read(until: number): Uint8Array[] | undefined {
    const { clock, isReplaced } = this.#o;
    if (isReplaced()) return undefined;
    const gather = this.#gather;
    while (!this.finished) {
      const there = this.#reader.read(gather, this.#rows - gather.count);
      invariant(there, 'rows that were measured are there', { left: this.#rows - gather.count });
      if (clock.mono() >= until) break;
    }
    invariant(!this.finished || gather.bytes === this.#bytes, 'rows are as long as they were measured', { bytes: gather.bytes });
    return gather.take();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#reader.close();
    this.#o.pins.release(this.#pin);
  }
}

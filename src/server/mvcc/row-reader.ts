/** Rows from a cursor into an answer, a stretch at a time. */
import type { Backend, VersionCursor } from '../storage/backend.ts';
import type { RowGather } from '../storage/row-gather.ts';
import { lendList, returnList } from '../storage/version-list.ts';

/** Bytes of rows read between two looks at the clock: well below 1 ms. */
const stepBytes = 64 * 1024;

export class RowReader {
  readonly #backend: Backend;
  readonly #cursor: VersionCursor;
  readonly #list = lendList();
  #at = 0;

  constructor(backend: Backend, cursor: VersionCursor) {
    this.#backend = backend;
    this.#cursor = cursor;
  }

  /** All rows taken from the cursor were read. */
  get isBetween(): boolean {
    return this.#at === this.#list.count;
  }

  /** The key of the row taken last from the cursor; a view valid until the next step. */
  get key(): Uint8Array {
    return this.#cursor.key;
  }

  /** Reads some rows, `rowsMax` at most. @returns false at the end of the cursor */
  read(into: RowGather, rowsMax: number): boolean {
    if (this.isBetween && !this.#fill(rowsMax)) return false;
    this.#at = this.#backend.gather(this.#list, this.#at, into, stepBytes);
    return true;
  }

  /** Steps over some rows and adds up what they would take. @returns false at the end of the cursor */
  measure(into: Measured, rowsMax: number): boolean {
    if (!this.#fill(rowsMax)) return false;
    const { count } = this.#list;
    this.#at = count;
    into.rows += count;
    into.bytes += this.#backend.measure(this.#list, 0);
    into.lastBytes = this.#backend.measure(this.#list, count - 1);
    return true;
  }

  /** Ends the reading. */
  close(): void {
    returnList(this.#list);
  }

  #fill(rowsMax: number): boolean {
    this.#cursor.fill(this.#list, rowsMax);
    this.#at = 0;
    return this.#list.count > 0;
  }
}

/** What rows take in an answer. */
export interface Measured {
  rows: number;
  bytes: number;
  /** Of the last row. */
  lastBytes: number;
}

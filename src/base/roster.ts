/** Who is to be told or looked after; they come and go often, which a `Set` does badly (id-table.ts). */
import { IdTable } from './id-table.ts';

export class Roster<T> {
  readonly #table = new IdTable<T>();
  #next = 0;

  get size(): number {
    return this.#table.size;
  }

  /** @returns its number, for `delete` */
  add(item: T): number {
    const number = this.#next++;
    this.#table.set(number, item);
    return number;
  }

  /** False when it was not there any more. */
  delete(number: number): boolean {
    return this.#table.delete(number);
  }

  /** In the order in which they were added; a copy. */
  items(): T[] {
    return this.#table.values();
  }

  clear(): void {
    this.#table.clear();
  }
}

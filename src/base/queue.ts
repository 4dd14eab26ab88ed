/** First in, first out, in one array that is used again: nothing refers to what was taken out. */
const leastLength = 16;

export class Queue<T> {
  #items: (T | undefined)[] = new Array<T | undefined>(leastLength).fill(undefined);
  #from = 0;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** The oldest; undefined when there is none. */
  get head(): T | undefined {
    return this.#items[this.#from];
  }

  push(item: T): void {
    const items = this.#items;
    if (this.#length === items.length) this.#grow();
    this.#items[(this.#from + this.#length++) & (this.#items.length - 1)] = item;
  }

  /** Takes the oldest out. */
  shift(): T | undefined {
    const item = this.#items[this.#from];
    if (this.#length === 0) return undefined;
    this.#items[this.#from] = undefined;
    this.#from = (this.#from + 1) & (this.#items.length - 1);
    this.#length--;
    return item;
  }

  takeAll(): T[] {
    const all: T[] = [];
    while (this.#length > 0) all.push(this.shift() as T);
    return all;
  }

  #grow(): void {
    const items = this.#items;
    this.#items = new Array<T | undefined>(items.length * 2).fill(undefined);
    for (let i = 0; i < items.length; i++) {
      const at = (this.#from + i) & (items.length - 1);
      this.#items[i] = items[at];
      items[at] = undefined;
    }
    this.#from = 0;
  }
}

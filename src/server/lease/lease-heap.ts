/** A binary heap of leases by the moment to look at them again. Each item knows its place, so that it can be taken out or moved in O(log n). */
export interface HeapItem {
  /** Milliseconds on the monotonic clock. Change it only through `LeaseHeap.set`. */
  wakeAt: number;
  /** Place in the heap; −1 outside. */
  heapIndex: number;
}

export class LeaseHeap<T extends HeapItem> {
  #items: T[] = [];

  get size(): number {
    return this.#items.length;
  }

  /** The item that is due first. */
  peek(): T | undefined {
    return this.#items[0];
  }

  /** Adds an item, or moves one that is in the heap. */
  set(item: T, wakeAt: number): void {
    item.wakeAt = wakeAt;
    if (item.heapIndex < 0) {
      item.heapIndex = this.#items.length;
      this.#items.push(item);
      this.#up(item);
    } else {
      this.#up(item);
      this.#down(item);
    }
  }

  remove(item: T): void {
    const at = item.heapIndex;
    if (at < 0) return;
    item.heapIndex = -1;
    const last = this.#items.pop() as T;
    if (last === item) return;
    this.#items[at] = last;
    last.heapIndex = at;
    this.#up(last);
    this.#down(last);
  }

  clear(): void {
    for (const item of this.#items) item.heapIndex = -1;
    this.#items = [];
  }

  #up(item: T): void {
    const items = this.#items;
    let at = item.heapIndex;
    while (at > 0) {
      const parentAt = (at - 1) >>> 1;
      const parent = items[parentAt] as T;
      if (parent.wakeAt <= item.wakeAt) break;
      items[at] = parent;
      parent.heapIndex = at;
      at = parentAt;
    }
    items[at] = item;
    item.heapIndex = at;
  }

  #down(item: T): void {
    const items = this.#items;
    const n = items.length;
    let at = item.heapIndex;
    for (;;) {
      let childAt = 2 * at + 1;
      if (childAt >= n) break;
      if (childAt + 1 < n && (items[childAt + 1] as T).wakeAt < (items[childAt] as T).wakeAt) childAt++;
      const child = items[childAt] as T;
      if (item.wakeAt <= child.wakeAt) break;
      items[at] = child;
      child.heapIndex = at;
      at = childAt;
    }
    items[at] = item;
    item.heapIndex = at;
  }
}

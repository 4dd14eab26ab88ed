/** A file's content in memory: pages that were never written are holes and read as zeros. */

/** Small enough that a preallocated segment of 64 MB with a few records costs little. */
const pageBytes = 1 << 14;

export class SparseBytes {
  readonly #pages = new Map<number, Uint8Array>();
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** Returns how many bytes were read: fewer than asked only at the end. */
  read(into: Uint8Array, position: number): number {
    const n = Math.max(0, Math.min(into.length, this.#length - position));
    for (let done = 0; done < n;) {
      const at = position + done;
      const inPage = at % pageBytes;
      const take = Math.min(pageBytes - inPage, n - done);
      const page = this.#pages.get(Math.floor(at / pageBytes));
      if (page === undefined) into.fill(0, done, done + take);
      else into.set(page.subarray(inPage, inPage + take), done);
      done += take;
    }
    return n;
  }

  write(bytes: Uint8Array, position: number): void {
    for (let done = 0; done < bytes.length;) {
      const at = position + done;
      const index = Math.floor(at / pageBytes);
      const inPage = at % pageBytes;
      const take = Math.min(pageBytes - inPage, bytes.length - done);
      let page = this.#pages.get(index);
      if (page === undefined) {
        page = new Uint8Array(pageBytes);
        this.#pages.set(index, page);
      }
      page.set(bytes.subarray(done, done + take), inPage);
      done += take;
    }
    this.#length = Math.max(this.#length, position + bytes.length);
  }

  /** Cuts or grows to `bytes`; what is new is zero. */
  truncate(bytes: number): void {
    if (bytes < this.#length) {
      const last = Math.floor(bytes / pageBytes);
      for (const index of [...this.#pages.keys()]) if (index > last) this.#pages.delete(index);
      this.#pages.get(last)?.fill(0, bytes % pageBytes);
    }
    this.#length = bytes;
  }

  clone(): SparseBytes {
    const copy = new SparseBytes();
    for (const [index, page] of this.#pages) copy.#pages.set(index, page.slice());
    copy.#length = this.#length;
    return copy;
  }
}

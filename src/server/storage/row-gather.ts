/** Rows of an answer as they travel, copied once: each is field 2 of a RangeResponse (tag, length, `mvccpb.KeyValue` bytes). */

/** Bytes of the first part; each next one is four times as large, up to the last figure. A larger row gets a part of its own size. */
const firstPartBytes = 8 * 1024;
const partBytesMax = 128 * 1024;
/** Tag and length of one row at most. */
const frameBytes = 6;

/** What a row of so many bytes takes in an answer. */
export function framedBytes(n: number): number {
  return n + (n < 128 ? 2 : n < 16384 ? 3 : n < 2097152 ? 4 : n < 268435456 ? 5 : 6);
}

export class RowGather {
  count = 0;
  /** Of all rows gathered, framed. */
  bytes = 0;
  #full: Uint8Array[] = [];
  #part: Buffer = Buffer.alloc(0);
  /** What of the part was taken, and what was written. */
  #taken = 0;
  #used = 0;
  #nextPartBytes = firstPartBytes;
  /** Of the last row, framed. */
  #lastBytes = 0;

  /** Copies the row `from[start, end)`. */
  add(from: Uint8Array, start: number, end: number): void {
    let n = end - start;
    if (this.#used + n + frameBytes > this.#part.length) this.#nextPart(n + frameBytes);
    const part = this.#part;
    const at = this.#used;
    let pos = at;
    part[pos++] = 18;
    for (; n > 127; n >>>= 7) part[pos++] = (n & 127) | 128;
    part[pos++] = n;
    part.set(from.subarray(start, end), pos);
    this.#used = pos + end - start;
    this.#lastBytes = this.#used - at;
    this.bytes += this.#lastBytes;
    this.count++;
  }

  /** Copies rows that are framed already; the last of them takes `lastBytes`. */
  addFramed(framed: Uint8Array, rows: number, lastBytes: number): void {
    let from = 0;
    while (from < framed.length) {
      if (this.#used === this.#part.length) this.#nextPart(framed.length - from);
      const n = Math.min(framed.length - from, this.#part.length - this.#used);
      this.#part.set(framed.subarray(from, from + n), this.#used);
      this.#used += n;
      from += n;
    }
    this.#lastBytes = lastBytes;
    this.bytes += framed.length;
    this.count += rows;
  }

  /** Takes the last row back, before it is taken; once for each row added at most. */
  dropLast(): void {
    this.count--;
    this.bytes -= this.#lastBytes;
    let left = this.#lastBytes;
    this.#lastBytes = 0;
    for (;;) {
      const here = Math.min(left, this.#used - this.#taken);
      this.#used -= here;
      left -= here;
      const before = left === 0 ? undefined : this.#full.pop();
      if (before === undefined) return;
      // Nothing is added to it any more: it has room for what it holds.
      this.#part = Buffer.from(before.buffer, before.byteOffset, before.length);
      this.#taken = 0;
      this.#used = before.length;
    }
  }

  /** The parts gathered since the last call. Their bytes no longer change. */
  take(): Uint8Array[] {
    this.#seal();
    const parts = this.#full;
    this.#full = [];
    return parts;
  }

  #seal(): void {
    if (this.#used > this.#taken) this.#full.push(this.#part.subarray(this.#taken, this.#used));
    this.#taken = this.#used;
  }

  #nextPart(needed: number): void {
    this.#seal();
    this.#part = Buffer.allocUnsafeSlow(Math.max(this.#nextPartBytes, needed));
    this.#nextPartBytes = Math.min(4 * this.#nextPartBytes, partBytesMax);
    this.#taken = 0;
    this.#used = 0;
  }
}

/** Rows of an answer as they travel, copied once: each is field 2 of a RangeResponse (tag, length, `mvccpb.KeyValue` bytes). */

/** Bytes of the first part; each next one is four times as large, up to the last figure. A larger row gets a part of its own size. */
const firstPartBytes = 8 * 1024;
const partBytesMax = 128 * 1024;
/** Tag and length of one row at most. */
const frameBytes = 6;

export class RowGather {
  count = 0;
  readonly #full: Uint8Array[] = [];
  #part: Buffer = Buffer.alloc(0);
  #used = 0;
  #nextPartBytes = firstPartBytes;
  /** Where the last row's frame and its bytes begin in the part. */
  #lastFrame = 0;
  #lastBytes = 0;

  /** Copies the row `from[start, end)`. */
  add(from: Uint8Array, start: number, end: number): void {
    let n = end - start;
    if (this.#used + n + frameBytes > this.#part.length) this.#nextPart(n + frameBytes);
    const part = this.#part;
    let pos = this.#used;
    this.#lastFrame = pos;
    part[pos++] = 18;
    for (; n > 127; n >>>= 7) part[pos++] = (n & 127) | 128;
    part[pos++] = n;
    this.#lastBytes = pos;
    part.set(from.subarray(start, end), pos);
    this.#used = pos + end - start;
    this.count++;
  }

  /** The last row; lent until the next `add`. */
  get last(): Uint8Array | undefined {
    return this.count === 0 ? undefined : this.#part.subarray(this.#lastBytes, this.#used);
  }

  /** Takes the last row back; once for each `add` at most. */
  dropLast(): void {
    this.#used = this.#lastFrame;
    this.count--;
  }

  /** All parts, whose bytes no longer change. Ends the gathering. */
  parts(): Uint8Array[] {
    if (this.#used > 0) this.#full.push(this.#part.subarray(0, this.#used));
    this.#used = 0;
    return this.#full;
  }

  #nextPart(needed: number): void {
    if (this.#used > 0) this.#full.push(this.#part.subarray(0, this.#used));
    this.#part = Buffer.allocUnsafeSlow(Math.max(this.#nextPartBytes, needed));
    this.#nextPartBytes = Math.min(4 * this.#nextPartBytes, partBytesMax);
    this.#used = 0;
  }
}

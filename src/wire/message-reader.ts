/** Length-prefixed messages of a gRPC body, however the body was cut on its way. */

const emptyBody = new Uint8Array(0);

/** First size of the buffer of a message that comes in pieces; it doubles as bytes arrive, so that a length alone costs nothing. */
const assemblyBytesMin = 4_096;
/** Pieces below this are copied together while they wait, into buffers of the second size. */
const crumbBytesMax = 1_024;
const tailBytes = 8_192;

/**
 * Cuts body bytes into message frames: flag (1 byte), length (4 bytes, big endian), body. Pieces of one message are copied together, so that
 * a body in a million fragments costs its bytes and no more.
 */
export class MessageReader {
  flag = 0;
  length = 0;
  /** The body that `next` found; a view of what was pushed, or a buffer of its own. */
  body: Uint8Array = emptyBody;
  tooLarge = false;
  /** Pushed and not consumed; only the first may be partly consumed (`#pos`). */
  readonly #chunks: Uint8Array[] = [];
  #tail: Buffer | undefined = undefined;
  #tailUsed = 0;
  #pos = 0;
  #available = 0;
  /** Bytes of the current message gathered so far. */
  #assembly: Buffer | undefined = undefined;
  #gathered = 0;
  #prefixDone = false;

  /** Bytes kept: of an unfinished message, and of what is not consumed. */
  get heldBytes(): number {
    return this.#available + this.#gathered + (this.#prefixDone ? 5 : 0);
  }

  push(chunk: Uint8Array): void {
    if (chunk.length === 0) return;
    this.#available += chunk.length;
    // Crumbs behind a chunk that waits are put together, or each would cost a view.
    if (this.#chunks.length === 0 || chunk.length >= crumbBytesMax) {
      this.#chunks.push(chunk);
      this.#tail = undefined;
      return;
    }
    if (this.#tail === undefined || this.#tailUsed + chunk.length > this.#tail.length) {
      this.#tail = Buffer.allocUnsafeSlow(tailBytes);
      this.#tailUsed = 0;
      this.#chunks.push(emptyBody);
    }
    this.#tail.set(chunk, this.#tailUsed);
    this.#tailUsed += chunk.length;
    this.#chunks[this.#chunks.length - 1] = this.#tail.subarray(0, this.#tailUsed);
  }

  /** Moves to the next message; false when it is not whole yet. True as well when its length passes `limit` (`tooLarge`). */
  next(limit: number): boolean {
    if (!this.#prefixDone) {
      if (this.#available < 5) {
        this.#squeeze();
        return false;
      }
      this.flag = this.#byte();
      this.length = this.#byte() * 16_777_216 + this.#byte() * 65_536 + this.#byte() * 256 + this.#byte();
      if (this.length > limit) {
        this.tooLarge = true;
        return true;
      }
      this.#prefixDone = true;
      this.#gathered = 0;
    }
    const missing = this.length - this.#gathered;
    const head = this.#chunks[0];
    if (this.#gathered === 0 && head !== undefined && head.length - this.#pos >= missing) {
      this.body = head.subarray(this.#pos, this.#pos + missing);
      this.#skip(missing);
    } else if (missing === 0) this.body = this.#gathered === 0 ? emptyBody : (this.#assembly as Buffer).subarray(0, this.length);
    else {
      this.#gather();
      if (this.#gathered < this.length) return false;
      this.body = (this.#assembly as Buffer).subarray(0, this.length);
    }
    this.#assembly = undefined;
    this.#gathered = 0;
    this.#prefixDone = false;
    return true;
  }

  #gather(): void {
    while (this.#available > 0 && this.#gathered < this.length) {
      const chunk = this.#chunks[0] as Uint8Array;
      const n = Math.min(chunk.length - this.#pos, this.length - this.#gathered);
      const needed = this.#gathered + n;
      if (this.#assembly === undefined || this.#assembly.length < needed) {
        const size = Math.min(this.length, Math.max(assemblyBytesMin, needed, (this.#assembly?.length ?? 0) * 2));
        const grown = Buffer.allocUnsafeSlow(size);
        this.#assembly?.copy(grown, 0, 0, this.#gathered);
        this.#assembly = grown;
      }
      this.#assembly.set(chunk.subarray(this.#pos, this.#pos + n), this.#gathered);
      this.#gathered = needed;
      this.#skip(n);
    }
  }

  /** A prefix in pieces: keep the few bytes, not the chunks they came in. */
  #squeeze(): void {
    if (this.#chunks.length === 0 || (this.#chunks.length === 1 && this.#pos === 0)) return;
    const bytes = Buffer.allocUnsafeSlow(this.#available);
    const total = this.#available;
    for (let i = 0; i < total; i++) bytes[i] = this.#byte();
    this.push(bytes);
  }

  #byte(): number {
    const byte = (this.#chunks[0] as Uint8Array)[this.#pos] as number;
    this.#skip(1);
    return byte;
  }

  #skip(n: number): void {
    this.#pos += n;
    this.#available -= n;
    if (this.#pos === (this.#chunks[0] as Uint8Array | undefined)?.length) {
      this.#chunks.shift();
      this.#pos = 0;
      if (this.#chunks.length === 0) this.#tail = undefined;
    }
  }
}

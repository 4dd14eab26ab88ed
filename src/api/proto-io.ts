/**
 * Protobuf wire format: a growing writer and a checked reader.
 *
 * Generated codecs (`gen/`) are thin lists of calls into these two classes. 64-bit fields come in two kinds: ids are `bigint` and exact,
 * counters (revisions, indexes, terms, sizes) are `number`; a counter outside the safe range saturates, since clients may send any 64 bits.
 * Source: protobuf encoding reference; field numbers from `proto/`.
 */

/** Deepest nesting of messages a decoder follows. Go's limit is 10,000; a txn may nest at most max-txn-ops levels, 128 by default. */
export const recursionDepthMax = 1000;

/** A malformed protobuf body. The transport answers it with Internal, as grpc-go does. */
export class DecodeError extends Error {
  readonly code = 'decode';
}

/** What a caller may pass to an encoder: any subset of the fields, at every level. */
export type Init<T> = T extends Uint8Array | bigint | number | string | boolean | undefined
  ? T
  : T extends readonly (infer U)[]
    ? readonly Init<U>[]
    : { readonly [K in keyof T]?: Init<T[K]> | undefined };

/** Encodes and decodes one message type. */
export interface Codec<T> {
  /** Full name, such as `etcdserverpb.RangeRequest`. */
  readonly typeName: string;
  /** A message with every field at its default. */
  create(): T;
  /** Fields left out or `undefined` count as default. The result is owned by the caller. */
  encode(message: Init<T>): Uint8Array;
  /** Appends the message body (no tag, no length) to `w`. */
  write(message: Init<T>, w: Writer): void;
  /** `bytes` fields of the result are views of `body`: the caller must not change it afterwards. @throws DecodeError */
  decode(body: Uint8Array): T;
  read(r: Reader, end: number): T;
}

const utf8Strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const two32 = 4294967296;

/** A growing output buffer. Reuse one by `reset`; `finish` copies out. */
export class Writer {
  buf: Buffer;
  pos = 0;

  constructor(capacity = 256) {
    this.buf = Buffer.allocUnsafeSlow(capacity);
  }

  reset(): void {
    this.pos = 0;
  }

  /** A copy of what was written. */
  finish(): Uint8Array {
    const out = Buffer.allocUnsafe(this.pos);
    this.buf.copy(out, 0, 0, this.pos);
    return out;
  }

  /** Makes room for `n` more bytes. */
  reserve(n: number): void {
    if (this.pos + n <= this.buf.length) return;
    let capacity = this.buf.length * 2;
    while (capacity < this.pos + n) capacity *= 2;
    const grown = Buffer.allocUnsafeSlow(capacity);
    this.buf.copy(grown, 0, 0, this.pos);
    this.buf = grown;
  }

  /** An unsigned 32-bit varint: tags, lengths, enums that are not negative. */
  varint32(v: number): void {
    this.reserve(5);
    const b = this.buf;
    let p = this.pos;
    while (v > 127) {
      b[p++] = (v & 127) | 128;
      v >>>= 7;
    }
    b[p++] = v;
    this.pos = p;
  }

  #split64(lo: number, hi: number): void {
    this.reserve(10);
    const b = this.buf;
    let p = this.pos;
    while (hi !== 0) {
      b[p++] = (lo & 127) | 128;
      lo = ((lo >>> 7) | (hi << 25)) >>> 0;
      hi >>>= 7;
    }
    while (lo > 127) {
      b[p++] = (lo & 127) | 128;
      lo >>>= 7;
    }
    b[p++] = lo;
    this.pos = p;
  }

  /** A safe integer as int64 or uint64; negative ones take ten bytes. */
  int64(v: number): void {
    if (v >= 0 && v < 0x80000000) {
      this.varint32(v);
      return;
    }
    // Two's complement of the 64-bit value, in halves: floor division keeps the low half non-negative.
    const hi = Math.floor(v / two32);
    this.#split64((v - hi * two32) >>> 0, hi >>> 0);
  }

  bigint64(v: bigint): void {
    const u = BigInt.asUintN(64, v);
    this.#split64(Number(u & 0xffffffffn), Number(u >> 32n));
  }

  /** 32 bits, little-endian. */
  fixed32(v: number): void {
    this.reserve(4);
    this.pos = this.buf.writeUInt32LE(v >>> 0, this.pos);
  }

  fixed64(v: bigint): void {
    this.reserve(8);
    this.pos = this.buf.writeBigUInt64LE(BigInt.asUintN(64, v), this.pos);
  }

  /** Raw bytes, no length. */
  raw(v: Uint8Array): void {
    this.reserve(v.length);
    this.buf.set(v, this.pos);
    this.pos += v.length;
  }

  bytes(v: Uint8Array): void {
    this.varint32(v.length);
    this.raw(v);
  }

  string(v: string): void {
    const start = this.pos;
    // Every UTF-16 unit takes at most three bytes of UTF-8.
    this.reserve(5 + v.length * 3);
    if (v.length < 42) {
      // At most 126 bytes: the length fits in one byte.
      const n = this.buf.utf8Write(v, start + 1);
      this.buf[start] = n;
      this.pos = start + 1 + n;
    } else {
      this.varint32(Buffer.byteLength(v));
      this.pos += this.buf.utf8Write(v, this.pos);
    }
  }

  /** Opens a length-delimited body; give the returned mark to `endMessage`. */
  beginMessage(): number {
    this.reserve(1);
    return this.pos++;
  }

  /** Closes a body: moves it up when its length takes more than one byte. */
  endMessage(mark: number): void {
    const length = this.pos - mark - 1;
    if (length < 128) {
      this.buf[mark] = length;
      return;
    }
    const extra = length < 16384 ? 1 : length < 2097152 ? 2 : length < 268435456 ? 3 : 4;
    this.reserve(extra);
    this.buf.copyWithin(mark + 1 + extra, mark + 1, this.pos);
    const end = this.pos + extra;
    this.pos = mark;
    this.varint32(length);
    this.pos = end;
  }
}

const words = new DataView(new ArrayBuffer(8));

/** Two 32-bit halves, both unsigned, as one integer: by way of memory, which makes one BigInt where arithmetic makes four. */
export function uint64Of(high: number, low: number): bigint {
  words.setUint32(0, high);
  words.setUint32(4, low);
  return words.getBigUint64(0);
}

/** A cursor over one body. All reads are checked against the end of the buffer. */
export class Reader {
  readonly buf: Uint8Array;
  pos = 0;
  depth = 0;

  constructor(buf: Uint8Array) {
    this.buf = buf;
  }

  /** A varint cut to 32 bits, as tags, enums, bools and lengths are read. */
  varint32(): number {
    const b = this.buf;
    let p = this.pos;
    let byte = b[p++];
    if (byte === undefined) throw new DecodeError('unexpected EOF');
    if (byte < 128) {
      this.pos = p;
      return byte;
    }
    let v = byte & 127;
    for (let shift = 7; shift < 70; shift += 7) {
      byte = b[p++];
      if (byte === undefined) throw new DecodeError('unexpected EOF');
      if (shift < 32) v |= (byte & 127) << shift;
      if (byte < 128) {
        if (shift === 63 && byte > 1) break;
        this.pos = p;
        return v >>> 0;
      }
    }
    throw new DecodeError('variable length integer overflow');
  }

  #lo = 0;
  #hi = 0;

  #split64(): void {
    const b = this.buf;
    let lo = 0;
    let hi = 0;
    for (let i = 0; i < 10; i++) {
      const byte = b[this.pos++];
      if (byte === undefined) throw new DecodeError('unexpected EOF');
      const v = byte & 127;
      if (i < 4) lo |= v << (7 * i);
      else if (i === 4) {
        lo |= v << 28;
        hi |= v >>> 4;
      } else if (i < 9) hi |= v << (7 * i - 32);
      else {
        if (byte > 1) break;
        hi |= v << 31;
      }
      if (byte < 128) {
        this.#lo = lo >>> 0;
        this.#hi = hi >>> 0;
        return;
      }
    }
    throw new DecodeError('variable length integer overflow');
  }

  /** A signed counter; saturates at ±(2^53 − 1). */
  int64(): number {
    const byte = this.buf[this.pos];
    if (byte !== undefined && byte < 128) {
      this.pos++;
      return byte;
    }
    this.#split64();
    const v = (this.#hi | 0) * two32 + this.#lo;
    return v > Number.MAX_SAFE_INTEGER ? Number.MAX_SAFE_INTEGER : v < -Number.MAX_SAFE_INTEGER ? -Number.MAX_SAFE_INTEGER : v;
  }

  /** An unsigned counter; saturates at 2^53 − 1. */
  uint64(): number {
    const byte = this.buf[this.pos];
    if (byte !== undefined && byte < 128) {
      this.pos++;
      return byte;
    }
    this.#split64();
    const v = this.#hi * two32 + this.#lo;
    return v > Number.MAX_SAFE_INTEGER ? Number.MAX_SAFE_INTEGER : v;
  }

  bigUint64(): bigint {
    const byte = this.buf[this.pos];
    if (byte === 0) {
      this.pos++;
      return 0n;
    }
    this.#split64();
    return uint64Of(this.#hi, this.#lo);
  }

  bigInt64(): bigint {
    return BigInt.asIntN(64, this.bigUint64());
  }

  int32(): number {
    return this.varint32() | 0;
  }

  bool(): boolean {
    const byte = this.buf[this.pos];
    if (byte !== undefined && byte < 128) {
      this.pos++;
      return byte !== 0;
    }
    this.#split64();
    return this.#lo !== 0 || this.#hi !== 0;
  }

  fixed32(): number {
    const at = this.pos;
    this.#advance(4);
    const b = this.buf;
    return ((b[at] as number) | ((b[at + 1] as number) << 8) | ((b[at + 2] as number) << 16) | ((b[at + 3] as number) << 24)) >>> 0;
  }

  fixed64(): bigint {
    const low = this.fixed32();
    return (BigInt(this.fixed32()) << 32n) | BigInt(low);
  }

  /** A view of the next length-delimited field. */
  bytes(): Uint8Array {
    const end = this.messageEnd();
    const v = this.buf.subarray(this.pos, end);
    this.pos = end;
    return v;
  }

  string(): string {
    const v = this.bytes();
    try {
      return utf8Strict.decode(v);
    } catch {
      throw new DecodeError('string field contains invalid UTF-8');
    }
  }

  /** Reads a length and returns where the body ends. */
  messageEnd(): number {
    const length = this.varint32();
    const end = this.pos + length;
    if (end > this.buf.length) throw new DecodeError('unexpected EOF');
    return end;
  }

  enter(): void {
    if (++this.depth > recursionDepthMax) throw new DecodeError('message nesting too deep');
  }

  leave(pos: number, end: number): void {
    this.depth--;
    if (pos !== end) throw new DecodeError('field runs past the end of its message');
  }

  /** Skips one field whose tag was just read. */
  skip(tag: number): void {
    if (tag >>> 3 === 0) throw new DecodeError('invalid field number');
    switch (tag & 7) {
      case 0:
        this.#split64();
        return;
      case 1:
        this.#advance(8);
        return;
      case 2:
        this.#advance(this.varint32());
        return;
      case 3: {
        this.enter();
        for (;;) {
          const inner = this.varint32();
          if ((inner & 7) === 4) {
            if (inner >>> 3 !== tag >>> 3) throw new DecodeError('mismatching end group marker');
            break;
          }
          this.skip(inner);
        }
        this.depth--;
        return;
      }
      case 5:
        this.#advance(4);
        return;
      default:
        throw new DecodeError('invalid wire type');
    }
  }

  #advance(n: number): void {
    this.pos += n;
    if (this.pos > this.buf.length) throw new DecodeError('unexpected EOF');
  }
}

/** The scratch writer of `Codec.encode`; taken out while in use so that a nested call gets its own. */
let scratch: Writer | undefined;
const scratchBytesMax = 1 << 20;

export function encodeWith<T>(codec: Codec<T>, message: Init<T>): Uint8Array {
  const w = scratch ?? new Writer(1024);
  scratch = undefined;
  w.reset();
  codec.write(message, w);
  const out = w.finish();
  // One huge message must not pin its buffer for ever.
  if (w.buf.length <= scratchBytesMax) scratch = w;
  return out;
}

export function decodeWith<T>(codec: Codec<T>, body: Uint8Array): T {
  return codec.read(new Reader(body), body.length);
}

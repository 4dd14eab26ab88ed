/** Protobuf varints written straight into a buffer: for response parts that are put together by hand. */

const two32 = 4294967296;

/** Bytes that `value` takes; a negative one takes ten. */
export function varintSize(value: number): number {
  if (value < 0) return 10;
  let n = 1;
  while (value >= 128) {
    value = Math.floor(value / 128);
    n++;
  }
  return n;
}

/** Writes `value` (a safe integer, two's complement when negative) at `at`; returns the position after it. */
export function writeVarint(buf: Uint8Array, at: number, value: number): number {
  if (value >= 0 && value < 0x80000000) {
    while (value > 127) {
      buf[at++] = (value & 127) | 128;
      value >>>= 7;
    }
    buf[at++] = value;
    return at;
  }
  let hi = Math.floor(value / two32);
  let lo = (value - hi * two32) >>> 0;
  hi >>>= 0;
  while (hi !== 0) {
    buf[at++] = (lo & 127) | 128;
    lo = ((lo >>> 7) | (hi << 25)) >>> 0;
    hi >>>= 7;
  }
  while (lo > 127) {
    buf[at++] = (lo & 127) | 128;
    lo >>>= 7;
  }
  buf[at++] = lo;
  return at;
}

/** As `writeVarint` for 64 bits. */
export function writeBigVarint(buf: Uint8Array, at: number, value: bigint): number {
  let rest = BigInt.asUintN(64, value);
  while (rest > 127n) {
    buf[at++] = Number(rest & 127n) | 128;
    rest >>= 7n;
  }
  buf[at++] = Number(rest);
  return at;
}

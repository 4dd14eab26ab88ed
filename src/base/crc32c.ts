/**
 * CRC-32C (Castagnoli, reflected polynomial 0x82f63b78), eight bytes a step. Node's own `zlib.crc32` is the other polynomial.
 *
 * Worked example: `crc32c(0, utf8('123456789'))` is 0xe3069283. Values chain: the checksum of `a` followed by `b` is
 * `crc32c(crc32c(0, a), b)`; this is how etcd's WAL runs one value through all records.
 */

const tables = makeCrc32cTables(8);

/** So many tables of 256, one after another: table k gives the effect of a byte that is followed by k zero bytes. */
export function makeCrc32cTables(count: number): Int32Array {
  const t = new Int32Array(count * 256);
  for (let n = 0; n < 256; n++) {
    let c = n;
    for (let bit = 0; bit < 8; bit++) c = c & 1 ? (c >>> 1) ^ 0x82f63b78 : c >>> 1;
    t[n] = c;
  }
  for (let i = 256; i < count * 256; i++) {
    const before = t[i - 256] as number;
    t[i] = (before >>> 8) ^ (t[before & 255] as number);
  }
  return t;
}

/** Continues `seed` (0 at the start) over `bytes[start, end)`. Returns an unsigned 32-bit value. */
export function crc32c(seed: number, bytes: Uint8Array, start = 0, end = bytes.length): number {
  const t = tables;
  let c = ~seed;
  let i = start;
  for (const whole = end - 7; i < whole; i += 8) {
    c ^= (bytes[i] as number) | ((bytes[i + 1] as number) << 8) | ((bytes[i + 2] as number) << 16) | ((bytes[i + 3] as number) << 24);
    c =
      (t[1792 + (c & 255)] as number) ^
      (t[1536 + ((c >>> 8) & 255)] as number) ^
      (t[1280 + ((c >>> 16) & 255)] as number) ^
      (t[1024 + (c >>> 24)] as number) ^
      (t[768 + (bytes[i + 4] as number)] as number) ^
      (t[512 + (bytes[i + 5] as number)] as number) ^
      (t[256 + (bytes[i + 6] as number)] as number) ^
      (t[bytes[i + 7] as number] as number);
  }
  for (; i < end; i++) c = (c >>> 8) ^ (t[(c ^ (bytes[i] as number)) & 255] as number);
  return ~c >>> 0;
}

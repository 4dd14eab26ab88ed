import { describe, expect, test } from 'vitest';
import { crc32c } from '../../../src/base/crc32c.ts';
import { SeededRandom } from '../../../src/base/random.ts';

/** Bit by bit, from the definition. */
function slow(seed: number, bytes: Uint8Array): number {
  let c = ~seed >>> 0;
  for (const byte of bytes) {
    c = (c ^ byte) >>> 0;
    for (let bit = 0; bit < 8; bit++) c = c & 1 ? ((c >>> 1) ^ 0x82f63b78) >>> 0 : c >>> 1;
  }
  return ~c >>> 0;
}

describe('crc32c', () => {
  test('published values (RFC 3720 B.4)', () => {
    expect(crc32c(0, new Uint8Array(0))).toBe(0);
    expect(crc32c(0, Buffer.from('123456789'))).toBe(0xe3069283);
    expect(crc32c(0, new Uint8Array(32))).toBe(0x8a9136aa);
    expect(crc32c(0, new Uint8Array(32).fill(0xff))).toBe(0x62a8ab43);
    expect(
      crc32c(
        0,
        Uint8Array.from({ length: 32 }, (_, i) => i),
      ),
    ).toBe(0x46dd794e);
    expect(
      crc32c(
        0,
        Uint8Array.from({ length: 32 }, (_, i) => 31 - i),
      ),
    ).toBe(0x113fdb5c);
  });

  test('equals the definition at every length and alignment, with any seed', () => {
    const random = new SeededRandom(7);
    const all = random.bytes(120);
    for (let start = 0; start < 9; start++) {
      for (let end = start; end <= all.length; end++) {
        const seed = random.u32();
        const want = slow(seed, all.subarray(start, end));
        expect(crc32c(seed, all, start, end)).toBe(want);
        expect(crc32c(seed, all.subarray(start, end))).toBe(want);
      }
    }
  });

  test('chains', () => {
    const bytes = new SeededRandom(8).bytes(1000);
    const whole = crc32c(0, bytes);
    for (let cut = 0; cut <= bytes.length; cut += 13) {
      expect(crc32c(crc32c(0, bytes, 0, cut), bytes, cut)).toBe(whole);
    }
  });
});

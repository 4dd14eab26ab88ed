import { describe, expect, it } from 'vitest';
import { SeededRandom } from '../../../src/base/random.ts';
import { RangeSet, storeEnd, storeRange } from '../../../src/server/txn/key-ranges.ts';

describe('range ends', () => {
  it('are read in one way', () => {
    expect(storeEnd(Buffer.alloc(0))).toBeUndefined();
    expect(storeEnd(Buffer.of(0))).toHaveLength(0);
    expect(storeEnd(Buffer.from('b'))).toEqual(Buffer.from('b'));
    expect(storeEnd(Buffer.of(0, 0))).toEqual(Buffer.of(0, 0));
    expect(storeRange(Buffer.from('a'), Buffer.alloc(0))).toEqual({ key: Buffer.from('a'), end: undefined });
  });
});

describe('RangeSet', () => {
  it('joins what touches and keeps gaps', () => {
    const set = new RangeSet();
    set.add('a', 'c');
    set.add('c', 'e');
    expect(set.covers('a', 'e')).toBe(true);
    set.add('f', 'h');
    expect(set.covers('a', 'h')).toBe(false);
    expect(set.has('e')).toBe(false);
    set.add('d', 'g');
    expect(set.covers('a', 'h')).toBe(true);
    expect(set.covers('a', 'h\0')).toBe(false);
  });

  it('leaves out ranges that hold no key', () => {
    const set = new RangeSet();
    set.add('b', '\0');
    set.add('b', 'b');
    expect(set.has('b')).toBe(false);
    expect(set.has('\0')).toBe(false);
  });

  it('S-095: agrees with a plain list on random ranges', () => {
    const random = new SeededRandom(11);
    let wrong = 0;
    const letter = (): string => String.fromCharCode(97 + (random.u32() % 20));
    for (let round = 0; round < 60; round++) {
      const set = new RangeSet();
      const held = new Set<string>();
      for (let i = 0; i < 8; i++) {
        const start = letter();
        const end = letter();
        set.add(start, end);
        for (let c = 97; c < 117; c++)
          if (String.fromCharCode(c) >= start && String.fromCharCode(c) < end) held.add(String.fromCharCode(c));
      }
      for (let c = 97; c < 117; c++) expect(set.has(String.fromCharCode(c))).toBe(held.has(String.fromCharCode(c)));
      for (let from = 97; from < 116; from++) {
        for (let to = from + 1; to < 117; to++) {
          let all = true;
          for (let c = from; c < to; c++) all &&= held.has(String.fromCharCode(c));
          if (set.covers(String.fromCharCode(from), String.fromCharCode(to)) !== all) wrong++;
        }
      }
    }
    expect(wrong).toBe(0);
  });

  it('takes ten thousand ranges', () => {
    const set = new RangeSet();
    for (let i = 0; i < 10_000; i++)
      set.add(`k${String((i * 7919) % 10_000).padStart(6, '0')}`, `k${String((i * 7919) % 10_000).padStart(6, '0')}\0`);
    expect(set.has('k005000')).toBe(true);
  });
});

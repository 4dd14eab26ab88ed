// Numbers, durations, sizes, quoted bytes and words of interactive lines, as etcd's tools write and read them.
import { describe, expect, it } from 'vitest';
import { fc } from './property.ts';
import { humanBytes } from '../../../src/base/human-bytes.ts';
import { formatDuration, parseDuration, parseInt64 } from '../../../src/commands/text/go-numbers.ts';
import { fromBytes, hexText, quote, toBytes } from '../../../src/commands/text/quote.ts';
import { splitLine, unquote } from '../../../src/commands/text/words.ts';

describe('numbers', () => {
  it('durations', () => {
    const pairs = { '1.5s': 1500, '2m3s': 123_000, '912.345µs': 0.912345, '1h0m0s': 3_600_000, '5ns': 0.000005, '0s': 0 };
    for (const [text, ms] of Object.entries(pairs)) {
      expect(formatDuration(ms)).toBe(text);
      expect(parseDuration(text)).toBeCloseTo(ms, 9);
    }
    expect(formatDuration(-1500)).toBe('-1.5s');
    expect(() => parseDuration('')).toThrow('time: invalid duration ""');
    expect(() => parseDuration('1x')).toThrow('time: unknown unit "x" in duration "1x"');
  });

  it('sizes', () => {
    expect([5, 20480, 2147483648, 150000, 999].map(humanBytes)).toEqual(['5 B', '20 kB', '2.1 GB', '150 kB', '999 B']);
  });

  it('integers', () => {
    expect(parseInt64('-0x1f')).toBe(-31n);
    expect(parseInt64('694d81417acd4754', 16)).toBe(0x694d81417acd4754n);
    expect(() => parseInt64('1_0', 10)).toThrow('invalid syntax');
    expect(() => parseInt64('9223372036854775808')).toThrow('value out of range');
  });
});

describe('bytes', () => {
  it('are quoted with escapes where they do not print', () => {
    expect(quote('a"\\\n\x7f')).toBe('"a\\"\\\\\\n\\x7f"');
    expect(quote(Buffer.from([0xff, 0x61, 0xe2, 0x82, 0xac]))).toBe('"\\xffa€"');
    expect(quote('\u00a0\u{e0001}')).toBe('"\\u00a0\\U000e0001"');
    expect(hexText(Buffer.from([0, 255]))).toBe('\\x00\\xff');
  });

  it('survive the way through a string, whatever they are', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        expect([...toBytes(fromBytes(bytes))]).toEqual([...bytes]);
      }),
    );
  });

  it('survive quoting', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        expect([...toBytes(unquote(quote(bytes)))]).toEqual([...bytes]);
      }),
    );
  });
});

describe('words', () => {
  it('are split at blanks, grouped by quotes', () => {
    expect(splitLine('put "a b" \'c "d\' e"f \t --prev-kv')).toEqual(['put', 'a b', 'c "d', 'e"f', '--prev-kv']);
    expect(splitLine('  ')).toEqual([]);
    expect([...toBytes(splitLine('"\\xff\\x00"')[0] ?? '')]).toEqual([255, 0]);
  });
});

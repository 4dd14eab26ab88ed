import { describe, expect, it } from 'vitest';
import { formatDuration, parseDuration } from '../../../src/base/duration.ts';

describe('durations as Go has them', () => {
  it.each([
    ['0', 0],
    ['1h', 3_600_000],
    ['1h30m', 5_400_000],
    ['1.5s', 1500],
    ['300ms', 300],
    ['-2s', -2000],
    ['.5s', 500],
    ['10µs', 0.01],
    ['5', undefined],
    ['', undefined],
    ['1d', undefined],
    ['s', undefined],
    ['1 s', undefined],
  ])('reads %j', (text, ms) => {
    const found = parseDuration(text);
    if (ms === undefined) expect(found).toBeUndefined();
    else expect(found).toBeCloseTo(ms, 9);
  });

  it.each([
    [0, '0s'],
    [100, '100ms'],
    [7279.782e-3, '7.279782ms'],
    [0.0005, '500ns'],
    [0.0015, '1.5µs'],
    [1000, '1s'],
    [60_000, '1m0s'],
    [5_400_000, '1h30m0s'],
    [-1500, '-1.5s'],
  ])('writes %d ms', (ms, text) => {
    expect(formatDuration(ms)).toBe(text);
  });
});

// What the cache keeps, forgets, and refuses to keep.
import { describe, expect, it } from 'vitest';
import { Gauge } from '../../../src/base/metrics.ts';
import { RangeCache } from '../../../src/server/proxy/range-cache.ts';

const b = (s: string): Uint8Array => Buffer.from(s, 'latin1');
const none = new Uint8Array(0);

let now = 0;
const clock = { mono: (): number => now };

function filled(entries: readonly (readonly [id: string, key: string, end: string, revision?: number])[]): RangeCache {
  const cache = new RangeCache(new Gauge(), clock);
  for (const [id, key, end, revision] of entries) cache.add(cache.begin(b(key), b(end), revision), id, revision ?? 0, b(id));
  return cache;
}
const kept = (cache: RangeCache, ...ids: string[]): string[] => ids.filter((id) => cache.get(id) !== undefined);

describe('range cache', () => {
  it('forgets what a write touches and nothing else', () => {
    const all = [
      ['a', 'a', ''],
      ['b', 'b', ''],
      ['a-c', 'a', 'c'],
      ['b-', 'b', '\0'],
      ['c-d', 'c', 'd'],
    ] as const;
    const ids = all.map(([id]) => id);
    const after = (key: string, end = ''): string[] => {
      const cache = filled(all);
      cache.invalidate(b(key), b(end));
      return kept(cache, ...ids);
    };
    expect(after('a')).toEqual(['b', 'b-', 'c-d']);
    expect(after('b')).toEqual(['a', 'c-d']);
    expect(after('c')).toEqual(['a', 'b', 'a-c']);
    expect(after('b', 'c')).toEqual(['a', 'c-d']);
    expect(after('b', '\0')).toEqual(['a']);
    expect(after('e')).toEqual(['a', 'b', 'a-c', 'c-d']);
  });

  it('does not keep an answer that a write overtook', () => {
    const cache = filled([]);
    const pending = cache.begin(b('a'), none);
    cache.invalidate(b('a'), none);
    cache.add(pending, 'a', 0, b('old'));
    expect(cache.get('a')).toBeUndefined();
  });

  it('keeps answers of a revision through writes, until it is compacted', () => {
    const cache = filled([['a@5', 'a', '', 5]]);
    cache.invalidate(b('a'), none);
    expect(kept(cache, 'a@5')).toEqual(['a@5']);
    cache.compacted(7);
    expect(cache.isCompacted(5)).toBe(true);
    expect(cache.isCompacted(7)).toBe(false);
    expect(cache.isCompacted(0)).toBe(false);
  });

  it('asks again for what has grown old, and for everything when rights change', () => {
    const cache = filled([
      ['a', 'a', ''],
      ['a@5', 'a', '', 5],
    ]);
    now += 29_000;
    expect(kept(cache, 'a', 'a@5')).toEqual(['a', 'a@5']);
    now += 2_000;
    expect(kept(cache, 'a', 'a@5')).toEqual([]);
    const other = filled([['a@5', 'a', '', 5]]);
    const pending = other.begin(b('b'), none, 6);
    other.clear();
    other.add(pending, 'b@6', 6, b('old'));
    expect(kept(other, 'a@5', 'b@6')).toEqual([]);
  });

  it('is bounded in entries and bytes, and forgets the least used first', () => {
    const gauge = new Gauge();
    const cache = new RangeCache(gauge, clock);
    for (let i = 0; i < 2048; i++) cache.add(cache.begin(b(`k${i}`), none), `k${i}`, 0, b('v'));
    expect(cache.get('k0')).toBeDefined();
    cache.add(cache.begin(b('new'), none), 'new', 0, b('v'));
    expect(cache.size).toBe(2048);
    expect(gauge.value).toBe(2048);
    expect(kept(cache, 'k0', 'k1', 'new')).toEqual(['k0', 'new']);
    for (let i = 0; i < 40; i++) cache.add(cache.begin(b(`m${i}`), none), `m${i}`, 0, new Uint8Array(4 * 1024 * 1024));
    expect(cache.size).toBeLessThanOrEqual(16);
    cache.add(cache.begin(b('huge'), none), 'huge', 0, new Uint8Array(5 * 1024 * 1024));
    expect(cache.get('huge')).toBeUndefined();
  });
});

// Orders of equal elements as Go's sort.Sort leaves them: [length, distinct values, descending, FNV-1a of the order], recorded with Go 1.26.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { patternSort } from '../../../src/base/pattern-sort.ts';

const recorded = JSON.parse(readFileSync(join(import.meta.dirname, '../../data/base/sort.json'), 'utf8')) as [
  number,
  number,
  boolean,
  number,
][];

it.each(recorded)('%i elements of %i values, descending: %s', (length, values, descending, hash) => {
  let x = (length * 7919 + values) >>> 0;
  const list = Array.from({ length }, (_, i) => {
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0;
    return { value: (x >>> 16) % values, i };
  });
  patternSort(list, descending ? (a, b) => b.value < a.value : (a, b) => a.value < b.value);
  expect(list.reduce((h, e) => Math.imul(h ^ e.i, 16777619) >>> 0, 2166136261)).toBe(hash);
});

it('sorts what defeats a plain quicksort', () => {
  const list = Array.from({ length: 5000 }, (_, i) => (i % 2 === 0 ? i : 5000 - i));
  const organ = [...list].sort((a, b) => a - b);
  patternSort(list, (a, b) => a < b);
  expect(list).toEqual(organ);
});

// Matching equals a look at every watcher, while watchers come and go; and stays fast with many.
import { expect, test } from 'vitest';
import { SeededRandom } from '../../../src/base/random.ts';
import { WatchMatcher, type Watched } from '../../../src/server/mvcc/watch-matcher.ts';

interface Item extends Watched {
  readonly n: number;
}

function watches(item: Watched, key: string): boolean {
  if (item.single) return item.keyText === key;
  return key >= item.keyText && (item.endText === '' || key < item.endText);
}

test.each([1, 2, 3])('seed %d', (seed) => {
  const random = new SeededRandom(seed);
  const letters = ['\0', 'a', 'b', 'c', '\xff'];
  const text = (least: number): string =>
    Array.from({ length: least + (random.u32() % 3) }, () => letters[random.u32() % 5] ?? '').join('');
  const matcher = new WatchMatcher<Item>();
  const all: Item[] = [];
  const found: Item[] = [];
  for (let n = 0; n < 8_000; n++) {
    // Grows to some hundreds, shrinks to none, again and again.
    const grow = Math.floor(n / 1000) % 2 === 0 ? random.u32() % 3 > 0 : random.u32() % 3 === 0;
    if (grow || all.length === 0) {
      const item = { n, keyText: text(1), endText: random.u32() % 8 === 0 ? '' : text(1), single: random.u32() % 3 === 0 };
      all.push(item);
      matcher.add(item);
    } else {
      const [item] = all.splice(random.u32() % all.length, 1);
      if (item !== undefined) matcher.delete(item);
    }
    expect(matcher.size).toBe(all.length);
    if (n % 3 > 0) continue;
    const key = text(1);
    matcher.find(key, found);
    expect(found.map((i) => i.n).sort((a, b) => a - b)).toEqual(
      all
        .filter((i) => watches(i, key))
        .map((i) => i.n)
        .sort((a, b) => a - b),
    );
  }
});

test('ranges added in order do not degrade', () => {
  const matcher = new WatchMatcher<Item>();
  const items: Item[] = [];
  for (let n = 0; n < 20_000; n++) {
    const keyText = `p${String(n).padStart(6, '0')}/`;
    items.push({ n, keyText, endText: `p${String(n).padStart(6, '0')}0`, single: false });
  }
  for (const item of items) matcher.add(item);
  const found: Item[] = [];
  const start = performance.now();
  for (let n = 0; n < 20_000; n++) {
    matcher.find(`p${String(n).padStart(6, '0')}/x`, found);
    expect(found.length).toBe(1);
  }
  // A look at every watcher would take minutes.
  expect(performance.now() - start).toBeLessThan(5000);
  for (const item of items) matcher.delete(item);
  expect(matcher.size).toBe(0);
});

import { expect, test } from 'vitest';
import { SeededRandom } from '../../../../src/base/random.ts';
import { Inflights } from '../../../../src/raft/tracker/inflights.ts';

test('is full by count', () => {
  const flight = new Inflights(2, 0);
  flight.add(5, 1000);
  expect(flight.full).toBe(false);
  flight.add(7, 1000);
  expect(flight.full).toBe(true);
  expect(() => flight.add(8, 1)).toThrow('room in flight');
  flight.freeUpTo(4);
  expect(flight.count).toBe(2);
  flight.freeUpTo(6);
  expect([flight.count, flight.bytes]).toEqual([1, 1000]);
});

test('is full by bytes, which the last message may pass', () => {
  const flight = new Inflights(100, 10);
  flight.add(1, 6);
  expect(flight.full).toBe(false);
  flight.add(2, 60);
  expect(flight.full).toBe(true);
  flight.freeUpTo(2);
  expect([flight.full, flight.bytes]).toEqual([false, 0]);
});

test('equals a plain queue over any use', () => {
  const random = new SeededRandom(3);
  for (let round = 0; round < 20; round++) {
    const flight = new Inflights(1 + (random.u32() % 40), random.u32() % 2 === 0 ? 0 : 50);
    let queue: [number, number][] = [];
    let last = 0;
    for (let i = 0; i < 100; i++) {
      const dice = random.u32() % 20;
      if (dice === 0) {
        flight.clear();
        queue = [];
      } else if (dice < 13 && !flight.full) {
        last += random.u32() % 3;
        const bytes = random.u32() % 9;
        flight.add(last, bytes);
        queue.push([last, bytes]);
      } else {
        const index = last - (random.u32() % 10);
        flight.freeUpTo(index);
        queue = queue.filter(([at]) => at > index);
      }
      expect([flight.count, flight.bytes]).toEqual([queue.length, queue.reduce((sum, [, bytes]) => sum + bytes, 0)]);
    }
  }
});

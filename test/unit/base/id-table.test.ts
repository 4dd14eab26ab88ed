// Tables and queues for what comes and goes often, against Map and array.
import { expect, test } from 'vitest';
import { IdTable } from '../../../src/base/id-table.ts';
import { Queue } from '../../../src/base/queue.ts';
import { SeededRandom } from '../../../src/base/random.ts';
import { Roster } from '../../../src/base/roster.ts';

test.each([
  ['streams', (n: number) => 2 * n + 1],
  ['ids of 48 bits', (n: number) => n * 4_294_967_296 + n],
  ['multiples', (n: number) => n * 65_536],
  ['the largest', (n: number) => Number.MAX_SAFE_INTEGER - n],
] as const)('a table holds what a Map holds: %s', (_, keyOf) => {
  const random = new SeededRandom(3);
  const table = new IdTable<string>();
  const model = new Map<number, string>();
  for (let i = 0; i < 16_000; i++) {
    // It fills and empties in waves.
    const grows = Math.floor(i / 4000) % 2 === 0;
    const key = keyOf(random.u32() % 1500);
    if (random.u32() % 10 < (grows ? 8 : 1)) {
      table.set(key, String(i));
      model.set(key, String(i));
    } else expect(table.delete(key)).toBe(model.delete(key));
    const looked = keyOf(random.u32() % 1500);
    expect(table.get(looked)).toBe(model.get(looked));
    expect(table.has(looked)).toBe(model.has(looked));
    expect(table.size).toBe(model.size);
  }
  expect(model.size).toBeGreaterThan(0);
  expect(table.values()).toEqual([...model].sort(([a], [b]) => a - b).map(([, value]) => value));
  const shown: string[] = [];
  table.forEach((value) => shown.push(value));
  expect(shown.sort()).toEqual([...model.values()].sort());
  table.clear();
  expect([table.size, table.values(), table.get(keyOf(1))]).toEqual([0, [], undefined]);
});

test('a table keeps what stays while others come and go', () => {
  const table = new IdTable<number>();
  table.set(1, 1);
  let gone = true;
  for (let id = 3; id < 100_000; id += 2) {
    table.set(id, id);
    if (id > 41) gone = table.delete(id - 40) && gone;
  }
  expect(gone).toBe(true);
  expect(table.get(1)).toBe(1);
  expect(table.size).toBe(21);
});

test('a queue gives what was put in, in order', () => {
  const random = new SeededRandom(5);
  const queue = new Queue<number>();
  const model: number[] = [];
  for (let i = 0; i < 8000; i++) {
    if (random.u32() % 100 < (Math.floor(i / 1000) % 2 === 0 ? 70 : 30)) {
      queue.push(i);
      model.push(i);
    } else expect(queue.shift()).toBe(model.shift());
    expect(queue.head).toBe(model[0]);
    expect(queue.length).toBe(model.length);
  }
  expect(queue.takeAll()).toEqual(model);
  expect([queue.length, queue.head, queue.shift()]).toEqual([0, undefined, undefined]);
});

test('a roster lists who is on it in the order of their coming', () => {
  const roster = new Roster<string>();
  const numbers = ['a', 'b', 'c', 'd'].map((name) => roster.add(name));
  expect(roster.delete(numbers[1] as number)).toBe(true);
  expect(roster.delete(numbers[1] as number)).toBe(false);
  roster.add('e');
  expect(roster.items()).toEqual(['a', 'c', 'd', 'e']);
  expect(roster.size).toBe(4);
  roster.clear();
  expect(roster.items()).toEqual([]);
});

import { expect, test } from 'vitest';
import { ReadOnly, readRequestsMax } from '../../../src/raft/read-only.ts';

const context = (n: number): Uint8Array => new Uint8Array([n]);

test('confirms up to the number that was answered, oldest first', () => {
  const reads = new ReadOnly();
  expect(reads.context()).toBeUndefined();
  for (let i = 1; i <= 3; i++) reads.add({ from: 1n, context: context(i) }, 10 + i, 0);
  const third = reads.context();
  expect(third).toHaveLength(8);
  expect(reads.answered(2n, third ?? new Uint8Array(0))).toBe(true);
  expect([reads.answeredBy(1n, 1n), reads.answeredBy(2n, 1n), reads.answeredBy(3n, 1n)]).toEqual([3, 3, 0]);
  expect(reads.confirm(0)).toEqual([]);
  expect(reads.confirm(2).map((r) => r.index)).toEqual([11, 12]);
  expect(reads.size).toBe(1);
  expect(reads.confirm(Infinity).map((r) => r.index)).toEqual([13]);
});

test('ignores contexts that it never sent, and answers that come late', () => {
  const reads = new ReadOnly();
  reads.add({ from: 1n, context: context(1) }, 1, 0);
  const first = reads.context() ?? new Uint8Array(0);
  reads.add({ from: 1n, context: context(2) }, 1, 0);
  const second = reads.context() ?? new Uint8Array(0);
  for (const bad of [new Uint8Array(0), new Uint8Array(8), new Uint8Array(8).fill(255), new Uint8Array(9)]) {
    expect(reads.answered(2n, bad)).toBe(false);
  }
  reads.answered(2n, second);
  reads.answered(2n, first);
  expect(reads.answeredBy(2n, 1n)).toBe(2);
});

test('refuses more than its limit', () => {
  const reads = new ReadOnly();
  let taken = 0;
  while (taken <= readRequestsMax && reads.add({ from: 1n, context: context(1) }, 1, 0)) taken++;
  expect(taken).toBe(readRequestsMax);
});

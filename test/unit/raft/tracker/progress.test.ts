import { expect, test } from 'vitest';
import { Progress } from '../../../../src/raft/tracker/progress.ts';

const limits = { maxInflightMsgs: 2, maxInflightBytes: 0 };

function progress(match: number, next: number): Progress {
  const p = new Progress(2n, next, false, limits);
  p.match = match;
  return p;
}

test('probing sends one message and waits', () => {
  const p = progress(3, 8);
  expect(p.isPaused).toBe(false);
  p.sent(2, 20);
  expect([p.isPaused, p.next]).toEqual([true, 8]);
  expect(p.rejected(5, 4)).toBe(false);
  expect(p.rejected(7, 5)).toBe(true);
  expect([p.isPaused, p.next]).toEqual([false, 6]);
  // Never below what is acknowledged.
  expect(p.rejected(5, 0)).toBe(true);
  expect(p.next).toBe(4);
});

test('the stream runs ahead until the flight is full', () => {
  const p = progress(3, 4);
  p.becomeReplicate();
  p.sent(2, 10);
  expect([p.next, p.isPaused, p.hasRoom]).toEqual([6, false, true]);
  p.sent(1, 10);
  expect([p.next, p.isPaused, p.hasRoom]).toEqual([7, true, false]);
  expect(p.acknowledged(5)).toBe(true);
  p.inflights.freeUpTo(5);
  expect([p.match, p.next, p.isPaused]).toEqual([5, 7, false]);
  expect(p.acknowledged(5)).toBe(false);
  expect(p.acknowledged(4)).toBe(false);
});

test('a refusal in the stream goes back to what is acknowledged, an old one is ignored', () => {
  const p = progress(3, 4);
  p.becomeReplicate();
  p.sent(2, 0);
  expect(p.rejected(3, 0)).toBe(false);
  expect(p.rejected(5, 5)).toBe(true);
  expect(p.next).toBe(4);
});

test('goes on behind a snapshot that may have arrived', () => {
  const p = progress(3, 4);
  p.becomeSnapshot(10);
  expect([p.isPaused, p.next, p.pendingSnapshot]).toEqual([true, 11, 10]);
  p.becomeProbe();
  expect([p.isPaused, p.next, p.pendingSnapshot]).toEqual([false, 11, 0]);
  p.becomeSnapshot(10);
  p.pendingSnapshot = 0;
  p.becomeProbe();
  expect(p.next).toBe(4);
});

test('tells a commit index once, and only what the member can use', () => {
  const p = progress(3, 4);
  p.becomeReplicate();
  p.sentCommit = 2;
  expect(p.canRaiseCommit(2)).toBe(false);
  expect(p.canRaiseCommit(3)).toBe(true);
  p.sentCommit = 3;
  expect(p.canRaiseCommit(9)).toBe(false);
  p.sent(3, 0);
  expect(p.canRaiseCommit(9)).toBe(true);
  // What was told for entries that must be sent again does not count.
  p.sentCommit = 6;
  p.becomeProbe();
  expect(p.sentCommit).toBe(3);
});

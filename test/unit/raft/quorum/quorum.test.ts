// The tables stand in test/datadriven; here every small case is checked against a definition that counts voters.
import { expect, test } from 'vitest';
import { jointIndex, jointVote } from '../../../../src/raft/quorum/joint.ts';
import { majorityIndex, majorityOf, majorityVote, type VoteResult } from '../../../../src/raft/quorum/majority.ts';
import { SeededRandom } from '../../../../src/base/random.ts';

/** The highest index in the list that enough voters have reached. */
function indexByCounting(acked: readonly number[]): number {
  if (acked.length === 0) return Infinity;
  const reached = (index: number): number => acked.filter((a) => a >= index).length;
  return Math.max(0, ...acked.filter((index) => reached(index) * 2 > acked.length));
}

/** Decided when all ways to complete the votes end alike. */
function voteByCounting(votes: readonly (boolean | undefined)[]): VoteResult {
  if (votes.length === 0) return 'won';
  const yes = votes.filter((v) => v === true).length;
  const open = votes.filter((v) => v === undefined).length;
  if (yes * 2 > votes.length) return 'won';
  return (yes + open) * 2 > votes.length ? 'pending' : 'lost';
}

test('majorities need more than half', () => {
  expect([1, 2, 3, 4, 5, 6, 7].map(majorityOf)).toEqual([1, 2, 2, 3, 3, 4, 4]);
});

test('commit index of up to 20 voters equals counting', () => {
  const random = new SeededRandom(7);
  for (let round = 0; round < 800; round++) {
    const acked = Array.from({ length: random.u32() % 21 }, () => random.u32() % 6);
    const before = [...acked];
    expect(majorityIndex(acked)).toBe(indexByCounting(acked));
    expect(acked).toEqual(before);
  }
});

test('all votes of up to seven voters equal counting', () => {
  for (let n = 0; n <= 7; n++) {
    for (let code = 0; code < 3 ** n; code++) {
      const votes = Array.from({ length: n }, (_, i) => [undefined, true, false][Math.floor(code / 3 ** i) % 3]);
      if (majorityVote(votes) !== voteByCounting(votes)) expect.fail(`${votes.join(' ')} is ${majorityVote(votes)}`);
    }
  }
});

test('a joint decision is both decisions', () => {
  const random = new SeededRandom(8);
  for (let round = 0; round < 800; round++) {
    const list = <T>(of: () => T): T[] => Array.from({ length: random.u32() % 8 }, of);
    const [a, b] = [list(() => random.u32() % 6), list(() => random.u32() % 6)];
    expect(jointIndex(a, b)).toBe(Math.min(indexByCounting(a), indexByCounting(b)));
    const vote = () => [undefined, true, false][random.u32() % 3];
    const [va, vb] = [list(vote), list(vote)];
    const results = [voteByCounting(va), voteByCounting(vb)];
    const expected = results.includes('lost') ? 'lost' : results.includes('pending') ? 'pending' : 'won';
    expect(jointVote(va, vb)).toBe(expected);
  }
});

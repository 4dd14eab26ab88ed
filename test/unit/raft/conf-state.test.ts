import { expect, test } from 'vitest';
import { copyConfState, equalConfState, isJointConfState, isMemberIn, isVoterIn } from '../../../src/raft/conf-state.ts';
import { confStateWith, voters } from './support.ts';

test('the order of the lists means nothing, the roles do', () => {
  expect(equalConfState(voters(1, 2, 3), voters(3, 1, 2))).toBe(true);
  expect(equalConfState(voters(1, 2), voters(1, 2, 3))).toBe(false);
  expect(equalConfState(voters(1), confStateWith({ voters: [1n], learners: [2n] }))).toBe(false);
  expect(equalConfState(confStateWith({ autoLeave: true }), confStateWith({}))).toBe(false);
});

test('a copy shares nothing', () => {
  const state = confStateWith({ voters: [1n], votersOutgoing: [2n], learnersNext: [2n], learners: [3n] });
  const copy = copyConfState(state);
  copy.voters.push(9n);
  expect(state.voters).toEqual([1n]);
  expect([isJointConfState(state), isVoterIn(state, 2n), isVoterIn(state, 3n), isMemberIn(state, 3n), isMemberIn(state, 9n)]).toEqual([
    true,
    true,
    false,
    true,
    false,
  ]);
});

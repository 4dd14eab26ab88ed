/** Help with raft's ConfState for those who store and compare it. */
import type { ConfState, MemberId } from './types.ts';

export function emptyConfState(): ConfState {
  return { voters: [], learners: [], votersOutgoing: [], learnersNext: [], autoLeave: false };
}

/** A copy that shares no list with its source. */
export function copyConfState(state: ConfState): ConfState {
  return {
    voters: [...state.voters],
    learners: [...state.learners],
    votersOutgoing: [...state.votersOutgoing],
    learnersNext: [...state.learnersNext],
    autoLeave: state.autoLeave,
  };
}

/** Same members in the same roles; the order of the lists means nothing. */
export function equalConfState(a: ConfState, b: ConfState): boolean {
  return (
    a.autoLeave === b.autoLeave &&
    sameIds(a.voters, b.voters) &&
    sameIds(a.learners, b.learners) &&
    sameIds(a.votersOutgoing, b.votersOutgoing) &&
    sameIds(a.learnersNext, b.learnersNext)
  );
}

export function isJointConfState(state: ConfState): boolean {
  return state.votersOutgoing.length > 0;
}

/** Whether `id` has a vote in either half. */
export function isVoterIn(state: ConfState, id: MemberId): boolean {
  return state.voters.includes(id) || state.votersOutgoing.includes(id);
}

/** Whether `id` has any role. */
export function isMemberIn(state: ConfState, id: MemberId): boolean {
  return isVoterIn(state, id) || state.learners.includes(id) || state.learnersNext.includes(id);
}

function sameIds(a: readonly MemberId[], b: readonly MemberId[]): boolean {
  const left = new Set(a);
  const right = new Set(b);
  if (left.size !== right.size) return false;
  for (const id of left) if (!right.has(id)) return false;
  return true;
}

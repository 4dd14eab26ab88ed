/** A joint configuration decides only when both of its halves do (raft thesis §4.3). With an empty outgoing half it is a plain majority. */
import { majorityIndex, majorityVote, type VoteResult } from './majority.ts';

export function jointIndex(incoming: readonly number[], outgoing: readonly number[]): number {
  const a = majorityIndex(incoming);
  if (outgoing.length === 0) return a;
  return Math.min(a, majorityIndex(outgoing));
}

/** Lost when either half is lost, won when both are won. */
export function jointVote(incoming: readonly (boolean | undefined)[], outgoing: readonly (boolean | undefined)[]): VoteResult {
  const a = majorityVote(incoming);
  if (outgoing.length === 0) return a;
  const b = majorityVote(outgoing);
  if (a === b) return a;
  return a === 'lost' || b === 'lost' ? 'lost' : 'pending';
}

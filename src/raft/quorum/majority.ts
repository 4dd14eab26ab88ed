/**
 * Majorities over a list of voters. A list holds one value a voter, in any order; a voter that has not answered has 0 (index) or undefined (vote).
 *
 * The empty list is neutral: it has reached every index and won every vote, so that the absent half of a joint configuration never decides.
 */
export type VoteResult = 'pending' | 'won' | 'lost';

/** Voters for which the sort needs no allocation; larger groups work, a little slower. */
const scratchVotersMax = 16;
const scratch = new Float64Array(scratchVotersMax);

/** Voters needed out of `n`. */
export function majorityOf(n: number): number {
  return Math.floor(n / 2) + 1;
}

/**
 * The highest index that a majority has reached.
 *
 * @param acked  one index a voter, not changed.
 * @returns Infinity for no voters.
 */
export function majorityIndex(acked: readonly number[]): number {
  const n = acked.length;
  if (n === 0) return Infinity;
  if (n === 1) return acked[0] ?? 0;
  const sorted = n <= scratchVotersMax ? scratch : new Float64Array(n);
  for (let i = 0; i < n; i++) {
    const value = acked[i] ?? 0;
    let at = i;
    for (; at > 0 && (sorted[at - 1] ?? 0) > value; at--) sorted[at] = sorted[at - 1] ?? 0;
    sorted[at] = value;
  }
  return sorted[n - majorityOf(n)] ?? 0;
}

/** Whether the votes given so far decide the election; true is yes, false is no, undefined not yet. */
export function majorityVote(votes: readonly (boolean | undefined)[]): VoteResult {
  const n = votes.length;
  if (n === 0) return 'won';
  let yes = 0;
  let no = 0;
  for (const vote of votes) {
    if (vote === true) yes++;
    else if (vote === false) no++;
  }
  const needed = majorityOf(n);
  if (yes >= needed) return 'won';
  return n - no >= needed ? 'pending' : 'lost';
}

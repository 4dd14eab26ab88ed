// commit (1 2 3) [(outgoing)]: the index that a majority, or both majorities, have reached; `_` has not answered.
// vote (y n _) [(outgoing)]: the state of the election.
import { jointIndex, jointVote } from '../../../src/raft/quorum/joint.ts';
import type { Stage } from '../stage.ts';
import type { Command } from '../transcript.ts';

export function commit(stage: Stage, { words }: Command): void {
  const [incoming, outgoing] = [0, 1].map((i) => (words[i] ?? '').split(/\s+/).filter((w) => w !== ''));
  const numbersIn = (list: readonly string[] = []): number[] => list.map((w) => (w === '_' ? 0 : Number(w)));
  stage.say(String(jointIndex(numbersIn(incoming), numbersIn(outgoing))));
}

export function vote(stage: Stage, { words }: Command): void {
  const [incoming, outgoing] = [0, 1].map((i) => (words[i] ?? '').split(/\s+/).filter((w) => w !== ''));
  const votesIn = (list: readonly string[] = []): (boolean | undefined)[] => list.map((w) => (w === '_' ? undefined : w === 'y'));
  stage.say(jointVote(votesIn(incoming), votesIn(outgoing)));
}

// elect N: campaigns and settles without a word.
// settle [1 2 …]: these members (all) take Readys, sync, apply and exchange messages until nothing is left to do. Messages to others stay.
import type { Stage } from '../stage.ts';
import { textOfMessage } from '../text.ts';
import { StateType } from '../../../src/raft/machine.ts';
import type { Command } from '../transcript.ts';

/** More rounds than any transcript needs: a storm that does not end is an error. */
const roundsMax = 500;

export function settle(stage: Stage, { words }: Command): void {
  const chosen = new Set(words.length === 0 ? [...stage.actors.keys()] : words.map(Number));
  for (let round = 0; round < roundsMax; round++) {
    let busy = false;
    for (const id of chosen) {
      const actor = stage.actor(id);
      if (actor.node === undefined) continue;
      while (actor.node.hasReady() || actor.writes.length > 0 || actor.toApply.length > 0) {
        busy = true;
        if (actor.node.hasReady()) stage.ready(actor);
        while (stage.sync(actor));
        while (stage.apply(actor));
      }
    }
    const batch = stage.network.filter((m) => chosen.has(Number(m.to)));
    stage.network = stage.network.filter((m) => !chosen.has(Number(m.to)));
    for (const m of batch) {
      const { node } = stage.actor(Number(m.to));
      stage.say(node === undefined ? `${textOfMessage(m)} (lost)` : textOfMessage(m));
      node?.step(m);
    }
    if (!busy && batch.length === 0) return;
  }
  throw new RangeError('it does not settle');
}

export function elect(stage: Stage, { words }: Command): void {
  const node = stage.node(words[0]);
  node.campaign();
  settle(stage, { verb: 'settle', words: [], options: new Map() });
  stage.takeLines();
  const leads = node.state === StateType.Leader;
  stage.say(leads ? `${words[0]} leads at term ${node.term}` : `${words[0]} does not lead`);
}

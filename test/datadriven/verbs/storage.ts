// ready N: takes one Ready and shows it.   sync N [count=N]: its oldest writes become durable.   apply N [count=N]: applies what was handed out.
// compact N index: drops the log up to there.   crash N: forgets all that was not synced or applied.   restart N.
// commit-lost N index: only this much of the commit index is on disk, as after a torn write.
// saved N: what was applied is in the backend, so a restart begins there.
import { copyConfState } from '../../../src/raft/conf-state.ts';
import type { Stage } from '../stage.ts';
import { textOfEntry, textOfMessage } from '../text.ts';
import type { Command } from '../transcript.ts';

export function ready(stage: Stage, { words }: Command): void {
  const actor = stage.actor(words[0]);
  if (!stage.node(words[0]).hasReady()) {
    stage.say('nothing to do');
    return;
  }
  const rd = stage.ready(actor);
  const { hardState, snapshot } = rd;
  if (hardState !== undefined) stage.say(`hard state: term=${hardState.term} vote=${hardState.vote} commit=${hardState.commit}`);
  if (snapshot !== undefined) stage.say(`snapshot: ${snapshot.metadata?.index}@${snapshot.metadata?.term}`);
  if (rd.entries.length > 0) stage.say(`entries: ${rd.entries.map(textOfEntry).join(', ')}`);
  if (rd.committedEntries.length > 0) stage.say(`to apply: ${rd.committedEntries.map(textOfEntry).join(', ')}`);
  for (const m of rd.messages) stage.say(`at once: ${textOfMessage(m)}`);
  for (const m of rd.messagesAfterAppend) stage.say(`after append: ${textOfMessage(m)}`);
  if (rd.mustSync) stage.say('must sync');
}

export function sync(stage: Stage, { words, options }: Command): void {
  const actor = stage.actor(words[0]);
  for (let left = Number(options.get('count') ?? actor.writes.length); left > 0 && stage.sync(actor); left--);
}

export function apply(stage: Stage, { words, options }: Command): void {
  const actor = stage.actor(words[0]);
  for (let left = Number(options.get('count') ?? actor.toApply.length); left > 0 && stage.apply(actor); left--);
}

export function compact(stage: Stage, { words }: Command): void {
  const { disk } = stage.actor(words[0]);
  const node = stage.node(words[0]);
  const index = Number(words[1]);
  disk.snapshotTerm = node.termAt(index) ?? 0;
  disk.entries = disk.entries.slice(index - disk.snapshotIndex);
  disk.snapshotIndex = index;
  saved(stage, { verb: '', words, options: new Map() });
  node.compactLog(index);
}

export function saved(stage: Stage, { words }: Command): void {
  const actor = stage.actor(words[0]);
  actor.disk.applied = actor.applied;
  actor.disk.confState = copyConfState(actor.confState);
}

export function commitLost(stage: Stage, { words }: Command): void {
  const { disk } = stage.actor(words[0]);
  disk.hardState = { ...disk.hardState, commit: Number(words[1]) };
}

export function crash(stage: Stage, { words }: Command): void {
  for (const word of words) stage.actor(word).node = undefined;
}

export function restart(stage: Stage, { words }: Command): void {
  for (const word of words) stage.start(stage.actor(word));
}

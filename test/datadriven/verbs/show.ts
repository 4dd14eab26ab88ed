// status [N …]: role, indexes, configuration, and on a leader what it knows of the others.   log N: the log with its borders.
import type { Stage } from '../stage.ts';
import { textOfEntry, textOfStatus } from '../text.ts';
import type { Command } from '../transcript.ts';

export function status(stage: Stage, { words }: Command): void {
  for (const id of words.length === 0 ? stage.actors.keys() : words) {
    const { node } = stage.actor(id);
    if (node === undefined) stage.say(`${id}: down`);
    else for (const line of textOfStatus(node.status())) stage.say(line);
  }
}

export function log(stage: Stage, { words }: Command): void {
  for (const word of words) {
    const node = stage.node(word);
    const entries = node.entriesBetween(node.firstIndex, node.lastIndex + 1, Infinity);
    const before = node.firstIndex === 1 ? '' : `snapshot ${node.firstIndex - 1}@${node.termAt(node.firstIndex - 1)} `;
    stage.say(`${word}: ${before}[${entries.map(textOfEntry).join(', ')}] commit=${node.commit}`);
  }
}

// campaign N · tick N [count] · jitter N ticks · propose N word… (one batch) · propose N size=bytes · read N context · transfer N to
// forget N · report-unreachable N of · report-snapshot N of ok|failed
// conf N [v1] [+4 -3 l5 ~2] [explicit|implicit]: proposes a configuration change; no changes ask to leave the joint configuration.
import { ConfChangeTransition, ConfChangeType, type ConfChangeSingle } from '../../../src/raft/types.ts';
import type { Stage } from '../stage.ts';
import type { Command } from '../transcript.ts';

const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text));

export function campaign(stage: Stage, { words }: Command): void {
  for (const word of words) stage.node(word).campaign();
}

export function tick(stage: Stage, { words, options }: Command): void {
  for (let i = Number(options.get('count') ?? 1); i > 0; i--) for (const word of words) stage.node(word).tick();
}

export function jitter(stage: Stage, { words }: Command): void {
  stage.actor(words[0]).jitter = Number(words[1]);
}

export function propose(stage: Stage, { words, options }: Command): void {
  const data = options.has('size') ? [bytes('x'.repeat(Number(options.get('size'))))] : words.slice(1).map(bytes);
  stage.say(stage.node(words[0]).proposeBatch(data));
}

export function read(stage: Stage, { words }: Command): void {
  stage.say(stage.node(words[0]).readIndex(bytes(words[1] ?? '')));
}

export function transfer(stage: Stage, { words }: Command): void {
  stage.node(words[0]).transferLeader(BigInt(words[1] ?? 0));
}

export function forget(stage: Stage, { words }: Command): void {
  stage.node(words[0]).forgetLeader();
}

export function reportUnreachable(stage: Stage, { words }: Command): void {
  stage.node(words[0]).reportUnreachable(BigInt(words[1] ?? 0));
}

export function reportSnapshot(stage: Stage, { words }: Command): void {
  stage.node(words[0]).reportSnapshot(BigInt(words[1] ?? 0), words[2] === 'ok');
}

const kinds: Readonly<Record<string, number>> = {
  '+': ConfChangeType.ConfChangeAddNode,
  '-': ConfChangeType.ConfChangeRemoveNode,
  '~': ConfChangeType.ConfChangeUpdateNode,
  l: ConfChangeType.ConfChangeAddLearnerNode,
};

export function conf(stage: Stage, { words }: Command): void {
  const context = new Uint8Array(0);
  const changes: ConfChangeSingle[] = [];
  for (const word of words.slice(1)) {
    const type = kinds[word[0] ?? ''];
    if (type !== undefined) changes.push({ type, nodeId: BigInt(word.slice(1)) });
  }
  let transition: ConfChangeTransition = ConfChangeTransition.ConfChangeTransitionAuto;
  if (words.includes('explicit')) transition = ConfChangeTransition.ConfChangeTransitionJointExplicit;
  if (words.includes('implicit')) transition = ConfChangeTransition.ConfChangeTransitionJointImplicit;
  const [first] = changes;
  const node = stage.node(words[0]);
  if (words.includes('v1') && first !== undefined) stage.say(node.proposeConfChange({ id: 1n, context, ...first }));
  else stage.say(node.proposeConfChange({ transition, changes, context }));
}

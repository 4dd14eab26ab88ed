// deliver [to=N] [from=N] [type=MsgX] [count=N] [last=yes] [keep=yes]: hands over messages that wait in the network, oldest first; `last` takes only the
//   newest, `keep` leaves a copy behind.   drop …: the same choice is lost.   network: what waits.
import { MessageType } from '../../../src/raft/types.ts';
import type { Stage } from '../stage.ts';
import { textOfMessage } from '../text.ts';
import type { Command } from '../transcript.ts';

export function deliver(stage: Stage, command: Command): void {
  for (const m of pick(stage, command)) {
    const result = stage.node(Number(m.to)).step(m);
    stage.say(result === 'ok' ? textOfMessage(m) : `${textOfMessage(m)} (${result})`);
  }
}

export function drop(stage: Stage, command: Command): void {
  for (const m of pick(stage, command)) stage.say(`lost: ${textOfMessage(m)}`);
}

export function network(stage: Stage): void {
  for (const m of stage.network) stage.say(textOfMessage(m));
}

function pick(stage: Stage, { options }: Command) {
  const type = options.get('type');
  const wanted = type === undefined ? undefined : MessageType[type as keyof typeof MessageType];
  const of = (key: string, id: bigint): boolean => !options.has(key) || BigInt(options.get(key) ?? 0) === id;
  let chosen = stage.network.filter((m) => of('to', m.to) && of('from', m.from) && (wanted === undefined || m.type === wanted));
  if (options.has('last')) chosen = chosen.slice(-1);
  if (options.has('count')) chosen = chosen.slice(0, Number(options.get('count')));
  if (!options.has('keep')) stage.network = stage.network.filter((m) => !chosen.includes(m));
  return chosen;
}

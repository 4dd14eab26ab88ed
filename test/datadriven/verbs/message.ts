// message N type=MsgX|number from=N [to=N] [term=N] [index=N] [log-term=N] [commit=N] [entries=(index@term …)] [reject=yes] [hint=N] [snapshot=index@term]
//   [context=text] [voters=(…)]: hands a made-up message to member N.
import { newMessage } from '../../../src/raft/message.ts';
import { MessageType } from '../../../src/raft/types.ts';
import { ids, numbers, type Stage } from '../stage.ts';
import type { Command } from '../transcript.ts';

export function message(stage: Stage, { words, options }: Command): void {
  const type = options.get('type') ?? '';
  const number = (key: string): number => Number(options.get(key) ?? 0);
  const m = newMessage(MessageType[type as keyof typeof MessageType] ?? Number(type), BigInt(options.get('to') ?? words[0] ?? 0));
  m.from = BigInt(options.get('from') ?? 0);
  m.term = number('term');
  m.index = number('index');
  m.logTerm = number('log-term');
  m.commit = number('commit');
  m.rejectHint = number('hint');
  m.reject = options.has('reject');
  m.context = new Uint8Array(Buffer.from(options.get('context') ?? ''));
  for (const place of (options.get('entries') ?? '').split(/\s+/).filter((text) => text !== '')) {
    const [Index = 0, Term = 0] = numbers(place.replace('@', ' '));
    m.entries.push({ Type: 0, Term, Index, Data: new Uint8Array(0) });
  }
  if (options.has('snapshot')) {
    const [index = 0, term = 0] = numbers(options.get('snapshot')?.replace('@', ' '));
    const confState = { voters: ids(options.get('voters')), learners: [], votersOutgoing: [], learnersNext: [], autoLeave: false };
    m.snapshot = { data: new Uint8Array(0), metadata: { index, term, confState } };
  }
  stage.say(stage.node(words[0]).step(m));
}

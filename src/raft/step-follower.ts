/** What a follower (or learner) does with a message of its own term. */
import { startCampaign } from './election.ts';
import type { StepResult } from './machine.ts';
import type { Raft } from './raft.ts';
import { takeAppend, takeHeartbeat, takeSnapshot } from './replication.ts';
import { MessageType, noMember, type Message } from './types.ts';

export function stepFollower(r: Raft, m: Message): StepResult {
  switch (m.type) {
    case MessageType.MsgApp:
      heard(r, m);
      takeAppend(r, m);
      return 'ok';
    case MessageType.MsgHeartbeat:
      heard(r, m);
      takeHeartbeat(r, m);
      return 'ok';
    case MessageType.MsgSnap:
      heard(r, m);
      takeSnapshot(r, m);
      return 'ok';
    case MessageType.MsgProp:
      return r.config.disableProposalForwarding ? 'dropped' : forward(r, m);
    case MessageType.MsgReadIndex:
    case MessageType.MsgTransferLeader:
      return forward(r, m);
    case MessageType.MsgReadIndexResp: {
      const request = m.entries[0];
      if (m.entries.length !== 1 || request === undefined) return 'dropped';
      r.readStates.push({ index: m.index, context: request.Data });
      return 'ok';
    }
    case MessageType.MsgTimeoutNow:
      r.config.log.info(
        `${r.name} [term ${r.term}] received MsgTimeoutNow from ${m.from.toString(16)} and starts an election to get leadership.`,
      );
      startCampaign(r, 'transfer');
      return 'ok';
    default:
      return 'dropped';
  }
}

function heard(r: Raft, m: Message): void {
  r.electionElapsed = 0;
  r.lead = m.from;
}

function forward(r: Raft, m: Message): StepResult {
  if (r.lead === noMember || r.lead === m.from) return 'dropped';
  r.send({ ...m, to: r.lead });
  return 'ok';
}

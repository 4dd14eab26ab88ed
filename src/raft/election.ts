/** Campaigns: asking for votes and counting them. */
import { isConfChangeEntry } from './confchange/codec.ts';
import { StateType } from './machine.ts';
import { newMessage, transferContext, typeName } from './message.ts';
import type { Raft } from './raft.ts';
import { MessageType } from './types.ts';

/** `transfer`: at the leader's wish, so without a pre-vote and past the leases of the voters. */
export type CampaignKind = 'pre-vote' | 'election' | 'transfer';

/** Bytes of committed entries looked at in one go when searching for configuration changes. */
const scanBytes = 1 << 20;

export function campaignIfDue(r: Raft): void {
  if (r.electionElapsed < r.randomizedElectionTicks || !r.isPromotable) return;
  r.electionElapsed = 0;
  r.campaign();
}

export function startCampaign(r: Raft, kind: CampaignKind): void {
  if (r.state === StateType.Leader) return;
  if (!r.isPromotable) {
    r.config.log.warn(`${r.name} is unpromotable and can not campaign`);
    return;
  }
  if (hasUnappliedConfChange(r)) {
    // A transfer to a new voter often comes together with the commit of the change that made it one.
    if (kind === 'transfer') r.campaignWhenApplied = true;
    else r.config.log.warn(`${r.name} cannot campaign at term ${r.term} since there are still pending configuration changes to apply`);
    return;
  }
  r.config.log.info(`${r.name} is starting a new election at term ${r.term}`);
  if (kind === 'pre-vote') askForPreVotes(r);
  else askForVotes(r, kind);
}

/** A vote came in. */
export function countVote(r: Raft, from: bigint, granted: boolean): void {
  r.tracker.recordVote(from, granted);
  const kind = r.state === StateType.PreCandidate ? 'MsgPreVoteResp' : 'MsgVoteResp';
  r.config.log.info(`${r.name} received ${kind}${granted ? '' : ' rejection'} from ${from.toString(16)} at term ${r.term}`);
  const { granted: yes, refused: no } = r.tracker.votes();
  r.config.log.info(`${r.name} has received ${yes} ${kind} votes and ${no} vote rejections`);
  switch (r.tracker.voteResult()) {
    case 'won':
      if (r.state === StateType.PreCandidate) askForVotes(r, 'election');
      else r.becomeLeader();
      break;
    case 'lost':
      // A pre-vote that was lost says nothing about the term, so it stays.
      r.becomeFollower(r.term, 0n);
      break;
    case 'pending':
  }
}

function askForPreVotes(r: Raft): void {
  r.becomePreCandidate();
  // The own pre-vote changes nothing that must be durable, so it counts at once.
  countVote(r, r.id, true);
  if (r.state === StateType.PreCandidate) sendVoteRequests(r, MessageType.MsgPreVote, r.term + 1, 'pre-vote');
}

function askForVotes(r: Raft, kind: CampaignKind): void {
  r.becomeCandidate();
  sendVoteRequests(r, MessageType.MsgVote, r.term, kind);
}

function sendVoteRequests(r: Raft, type: number, term: number, kind: CampaignKind): void {
  for (const member of r.tracker.members) {
    if (member.id === r.id || !r.tracker.isVoter(member.id)) continue;
    const m = newMessage(type, member.id);
    m.term = term;
    m.index = r.log.lastIndex;
    m.logTerm = r.log.lastTerm;
    r.config.log.info(`${r.name} ${r.logEnd} sent ${typeName(type)} request to ${member.id.toString(16)} at term ${r.term}`);
    if (kind === 'transfer') m.context = transferContext;
    // Were a vote request sent before the own vote is durable, the others could make us leader, and after a crash again in the same term.
    if (type === MessageType.MsgVote) r.sendAfterAppend(m);
    else r.send(m);
  }
}

/** A committed change that is not applied may have made us a non-voter, or changed who must be asked. */
function hasUnappliedConfChange(r: Raft): boolean {
  for (let next = Math.max(r.log.applied + 1, r.log.firstIndex); next <= r.log.committed;) {
    const entries = r.log.slice(next, r.log.committed + 1, scanBytes);
    if (entries.some(isConfChangeEntry)) return true;
    if (entries.length === 0) return false;
    next += entries.length;
  }
  return false;
}

/** What a candidate or pre-candidate does with a message of its own term. */
import { countVote } from './election.ts';
import { StateType, type StepResult } from './machine.ts';
import type { Raft } from './raft.ts';
import { stepFollower } from './step-follower.ts';
import { MessageType, type Message } from './types.ts';

export function stepCandidate(r: Raft, m: Message): StepResult {
  switch (m.type) {
    case MessageType.MsgApp:
    case MessageType.MsgHeartbeat:
    case MessageType.MsgSnap:
      // Someone else has won this term.
      r.becomeFollower(r.term, m.from);
      return stepFollower(r, m);
    case MessageType.MsgVoteResp:
      if (r.state !== StateType.Candidate) return 'dropped';
      countVote(r, m.from, !m.reject);
      return 'ok';
    case MessageType.MsgPreVoteResp:
      // A grant counts only for the term that is asked about now.
      if (r.state !== StateType.PreCandidate || (!m.reject && m.term !== r.term + 1)) return 'dropped';
      countVote(r, m.from, !m.reject);
      return 'ok';
    default:
      // Also proposals and reads: there is no leader to pass them to.
      return 'dropped';
  }
}

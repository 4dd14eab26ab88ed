/**
 * The state machine of one member: its term, role and timers, and the turns between roles. What each role does with a message stands in
 * `step-leader.ts`, `step-candidate.ts` and `step-follower.ts`; elections in `election.ts`; log traffic in `replication.ts`. They all work on
 * this one object, whose fields are open to them and to nobody outside of this room (`RawNode` is the face).
 *
 * Source: Ongaro's thesis (elections §3.4, membership §4.3, PreVote §9.6, reads §6.4); message semantics are those of etcd's raft, so
 * that members of both kinds work in one cluster.
 */
import { emptyBytes } from '../base/bytes.ts';
import { invariant } from '../base/invariant.ts';
import { asV2 } from './confchange/codec.ts';
import { applyChange } from './confchange/changer.ts';
import type { Config } from './confchange/config.ts';
import { restoreConfig } from './confchange/restore.ts';
import { campaignIfDue, countVote, startCampaign } from './election.ts';
import { RaftLog } from './log.ts';
import { StateType, type RaftConfig, type ReadState, type StepResult } from './machine.ts';
import { isForwarded, isKnown, isLocalMessage, isResponse, isSound, isTransferContext, newMessage, typeName } from './message.ts';
import { ReadOnly, type ReadRequest } from './read-only.ts';
import { broadcastAppend, broadcastCommit, broadcastHeartbeat, raiseCommit, sendAppendTo } from './replication.ts';
import { recoveredState } from './recovery.ts';
import { stepCandidate } from './step-candidate.ts';
import { stepFollower } from './step-follower.ts';
import { checkQuorumNow, handOver, leaveJointIfDue, releaseReads, stepLeader } from './step-leader.ts';
import { ProgressTracker } from './tracker/tracker.ts';
import {
  EntryType,
  MessageType,
  noMember,
  type ConfChange,
  type ConfChangeV2,
  type ConfState,
  type MemberId,
  type Message,
  type Snapshot,
} from './types.ts';

export class Raft {
  readonly id: MemberId;
  readonly config: RaftConfig;
  readonly log: RaftLog;
  readonly tracker: ProgressTracker;

  term: number;
  vote: MemberId;
  lead: MemberId = noMember;
  state: StateType = StateType.Follower;
  electionElapsed = 0;
  heartbeatElapsed = 0;
  randomizedElectionTicks = 0;
  /** Asked by the leader to campaign, while a committed configuration change was still being applied: to be done when it is. */
  campaignWhenApplied = false;
  /** Ticks since the start. */
  now = 0;
  /** The own vote of this term waits for its HardState to be durable. */
  selfVotePending = false;

  // Of the leader:
  /** To whom leadership is being handed; proposals are refused meanwhile. */
  leadTransferee: MemberId = noMember;
  /** Leads a configuration in which it has no vote: steps down as soon as a voter can take over, at the latest after an election timeout. */
  isLeaving = false;
  /** No configuration change is taken until the state machine has reached this index. */
  pendingConfIndex = 0;
  /**
   * A committed configuration change whose commit index is not durable here yet; 0 for none. Nobody is told of it and it is not applied before: else
   * a member that it removes could be gone, and a crash could bring back the configuration in which that member's vote is needed.
   */
  heldChange = 0;
  /** Data bytes of own entries that are not committed. */
  uncommittedBytes = 0;
  /** Asked someone to campaign in this term: the lease no longer shields us from another leader. */
  leaseGivenAway = false;
  /** Tick up to which no other leader can have been elected; only kept for lease based reads. */
  leaseEndTick = 0;
  readonly reads = new ReadOnly();
  /** Reads that came before the first commit of the term. */
  earlyReads: ReadRequest[] = [];

  /** To leave at once. */
  messages: Message[] = [];
  /** To leave when the next Ready's durable part is. */
  messagesAfterAppend: Message[] = [];
  readStates: ReadState[] = [];
  snapshotSource: (() => Snapshot | undefined) | undefined = undefined;

  constructor(config: RaftConfig) {
    invariant(config.id !== noMember, 'a member has an id');
    invariant(config.heartbeatTicks > 0, 'heartbeats come at least every tick', { heartbeatTicks: config.heartbeatTicks });
    invariant(config.electionTicks > config.heartbeatTicks, 'an election takes longer than a heartbeat', {
      electionTicks: config.electionTicks,
    });
    invariant(config.maxInflightMsgs > 0, 'at least one message may be in flight');
    invariant(config.maxCommittedBytes > 0, 'at least one entry may be applied at a time');
    invariant(!config.leaseBasedReads || config.checkQuorum, 'lease based reads stand on CheckQuorum');
    this.config = config;
    this.id = config.id;
    const start = recoveredState(config);
    this.log = new RaftLog(start.log);
    this.tracker = new ProgressTracker(config);
    this.tracker.adopt(start.config, this.log.lastIndex);
    this.term = start.term;
    this.vote = start.vote;
    config.log.info(`${this.name} switched to configuration ${describe(this.tracker.confState())}`);
    this.becomeFollower(this.term, noMember);
    config.log.info(`${this.name} became follower at term ${this.term}`);
    const peers = this.tracker.members.map((m) => m.id.toString(16)).join(',');
    const { committed, applied, lastIndex, lastTerm } = this.log;
    config.log.info(
      `newRaft ${this.name} [peers: [${peers}], term: ${this.term}, commit: ${committed}, applied: ${applied}, lastindex: ${lastIndex}, lastterm: ${lastTerm}]`,
    );
  }

  get name(): string {
    return this.id.toString(16);
  }

  /** Where the log ends, for lines about votes. */
  get logEnd(): string {
    return `[logterm: ${this.log.lastTerm}, index: ${this.log.lastIndex}]`;
  }

  /** Whether this member may become leader as far as it knows: a voter with its whole log in place. */
  get isPromotable(): boolean {
    const own = this.tracker.get(this.id);
    return own !== undefined && !own.isLearner && this.log.pendingSnapshot === undefined;
  }

  /** The commit index that members, the state machine included, may know of. */
  get openCommit(): number {
    return this.heldChange === 0 ? this.log.committed : this.heldChange - 1;
  }

  /** Whether an entry of the own term is committed: until then the commit index may lag behind what earlier leaders committed. */
  get hasCommittedInTerm(): boolean {
    return this.log.termAt(this.log.committed) === this.term;
  }

  // --- time ---------------------------------------------------------------------------------------------------------------------------------

  tick(): void {
    this.now++;
    this.electionElapsed++;
    if (this.state !== StateType.Leader) {
      campaignIfDue(this);
      return;
    }
    this.heartbeatElapsed++;
    if (this.electionElapsed >= this.config.electionTicks) {
      this.electionElapsed = 0;
      if (this.config.checkQuorum) checkQuorumNow(this);
      // The new leader should have been there by now: take proposals again.
      this.leadTransferee = noMember;
      if (this.isLeaving) this.becomeFollower(this.term, noMember);
    }
    if (this.isLeader() && this.heartbeatElapsed >= this.config.heartbeatTicks) {
      this.heartbeatElapsed = 0;
      broadcastHeartbeat(this);
    }
  }

  // --- messages -----------------------------------------------------------------------------------------------------------------------------

  step(m: Message): StepResult {
    if (isLocalMessage(m.type)) return 'local-message';
    if (m.to !== this.id || !isKnown(m.type) || !isSound(m)) return this.#drop(m, 'it is not for this member or makes no sense');
    // What was passed on may come back to the one who asked.
    if (m.from === noMember || (m.from === this.id && !isForwarded(m.type))) return this.#drop(m, 'it lacks a sender');
    if (m.type === MessageType.MsgProp || m.type === MessageType.MsgReadIndex) return this.#stepRole(m);
    if (m.term === 0) return this.#drop(m, 'it lacks a term');
    if (isResponse(m.type) && this.tracker.get(m.from) === undefined) return 'peer-not-found';
    if (m.term > this.term) {
      if (!this.#enterTermOf(m)) return 'dropped';
    } else if (m.term < this.term) {
      this.#answerOldTerm(m);
      return 'dropped';
    }
    if (m.type === MessageType.MsgVote || m.type === MessageType.MsgPreVote) {
      this.#answerCandidate(m);
      return 'ok';
    }
    return this.#stepRole(m);
  }

  /** A request of our own: it has no term to compare. */
  stepOwn(m: Message): StepResult {
    return this.#stepRole(m);
  }

  #stepRole(m: Message): StepResult {
    if (this.state === StateType.Leader) return stepLeader(this, m);
    return this.state === StateType.Follower ? stepFollower(this, m) : stepCandidate(this, m);
  }

  /** A message of a later term; false when it must not touch us. */
  #enterTermOf(m: Message): boolean {
    switch (m.type) {
      case MessageType.MsgVote:
      case MessageType.MsgPreVote: {
        // Who hears a leader does not help to depose it, unless the leader asked for that itself.
        const hearsLeader = this.config.checkQuorum && this.lead !== noMember && this.electionElapsed < this.config.electionTicks;
        if (hearsLeader && !isTransferContext(m.context)) {
          this.config.log.info(
            `${this.#voteText('ignored', m)} at term ${this.term}: lease is not expired (remaining ticks: ${this.config.electionTicks - this.electionElapsed})`,
          );
          return false;
        }
        // A pre-vote asks about a term that nobody has entered yet.
        if (m.type === MessageType.MsgVote) this.#follow(m, noMember);
        return true;
      }
      case MessageType.MsgPreVoteResp:
        // A grant names the term we would campaign in; a refusal names the term of the one who refuses.
        if (m.reject) this.#follow(m, noMember);
        return true;
      case MessageType.MsgApp:
      case MessageType.MsgHeartbeat:
      case MessageType.MsgSnap:
        this.#follow(m, m.from);
        return true;
      default:
        this.#follow(m, noMember);
        return true;
    }
  }

  /** Enters the higher term that a message names. */
  #follow(m: Message, lead: MemberId): void {
    const from = m.from.toString(16);
    this.config.log.info(
      `${this.name} [term: ${this.term}] received a ${typeName(m.type)} message with higher term from ${from} [term: ${m.term}]`,
    );
    this.becomeFollower(m.term, lead);
  }

  /** What became of a vote request, as far as where the logs end. */
  #voteText(done: string, m: Message): string {
    const own = `${this.logEnd.slice(0, -1)}, vote: ${this.vote.toString(16)}]`;
    const link = done === 'cast' ? 'for' : 'from';
    return `${this.name} ${own} ${done} ${typeName(m.type)} ${link} ${m.from.toString(16)} [logterm: ${m.logTerm}, index: ${m.index}]`;
  }

  #answerOldTerm(m: Message): void {
    const fromLeader = m.type === MessageType.MsgHeartbeat || m.type === MessageType.MsgApp;
    if (fromLeader && (this.config.checkQuorum || this.config.preVote)) {
      // The others hear this leader and so ignore our campaigns: without an answer we would stay in our higher term for good. The term
      // that this one carries makes the leader step down, and the next one is elected above it.
      this.sendAfterAppend(newMessage(MessageType.MsgAppResp, m.from));
    } else if (m.type === MessageType.MsgPreVote) {
      // Say no, so that a candidate stuck behind learns the term before pre-vote came into use.
      this.config.log.info(`${this.#voteText('rejected', m)} at term ${this.term}`);
      const answer = newMessage(MessageType.MsgPreVoteResp, m.from);
      answer.reject = true;
      this.sendAfterAppend(answer);
    }
  }

  #answerCandidate(m: Message): void {
    // A learner answers too: it may have been promoted in a configuration that it does not know yet.
    const isPre = m.type === MessageType.MsgPreVote;
    const free = this.vote === m.from || (this.vote === noMember && this.lead === noMember) || (isPre && m.term > this.term);
    const grant = free && this.log.isUpToDate(m.logTerm, m.index);
    this.config.log.info(`${this.#voteText(grant ? 'cast' : 'rejected', m)} at term ${this.term}`);
    const answer = newMessage(isPre ? MessageType.MsgPreVoteResp : MessageType.MsgVoteResp, m.from);
    answer.term = grant ? m.term : this.term;
    answer.reject = !grant;
    this.sendAfterAppend(answer);
    if (grant && !isPre) {
      this.electionElapsed = 0;
      this.vote = m.from;
    }
  }

  #drop(m: Message, why: string): StepResult {
    this.config.log.debug(`${this.name} dropped message ${m.type} from ${m.from.toString(16)} at term ${m.term}: ${why}`);
    return 'dropped';
  }

  /** Leaves at once. The term is filled in unless it is set already; forwarded requests carry none. */
  send(m: Message): void {
    this.#address(m);
    this.messages.push(m);
  }

  /** Leaves when what is in memory now is durable. */
  sendAfterAppend(m: Message): void {
    this.#address(m);
    this.messagesAfterAppend.push(m);
  }

  #address(m: Message): void {
    invariant(m.to !== this.id && m.to !== noMember, 'messages go to other members', { type: m.type });
    if (m.from === noMember) m.from = this.id;
    if (m.term === 0 && m.type !== MessageType.MsgProp && m.type !== MessageType.MsgReadIndex) m.term = this.term;
  }

  // --- roles --------------------------------------------------------------------------------------------------------------------------------

  /** Also tells the compiler that a call in between may have changed the role. */
  isLeader(): boolean {
    return this.state === StateType.Leader;
  }

  becomeFollower(term: number, lead: MemberId): void {
    const before = this.state;
    const termBefore = this.term;
    this.#startTerm(term);
    this.lead = lead;
    this.state = StateType.Follower;
    if (before !== StateType.Follower || termBefore !== term) this.config.log.info(`${this.name} became follower at term ${this.term}`);
  }

  becomeCandidate(): void {
    invariant(this.state !== StateType.Leader, 'a leader does not campaign');
    this.#startTerm(this.term + 1);
    this.vote = this.id;
    this.state = StateType.Candidate;
    this.selfVotePending = true;
    this.config.log.info(`${this.name} became candidate at term ${this.term}`);
  }

  /** Asks around without entering a term: nothing that must be durable changes. */
  becomePreCandidate(): void {
    invariant(this.state !== StateType.Leader, 'a leader does not campaign');
    this.tracker.clearVotes();
    this.lead = noMember;
    this.state = StateType.PreCandidate;
    this.config.log.info(`${this.name} became pre-candidate at term ${this.term}`);
  }

  becomeLeader(): void {
    invariant(this.state === StateType.Candidate, 'only a candidate becomes leader', { state: this.state });
    this.#startTerm(this.term);
    this.lead = this.id;
    this.state = StateType.Leader;
    const own = this.tracker.get(this.id);
    invariant(own !== undefined, 'a leader is a member');
    own.becomeReplicate();
    own.recentActive = true;
    // Any change among the entries that came with the log may be unapplied: take no other until all of them are applied.
    this.pendingConfIndex = this.log.lastIndex;
    // The empty entry is let in whatever the limits say: without it nothing of earlier terms commits.
    this.log.push(EntryType.EntryNormal, this.term, emptyBytes);
    this.config.log.info(`${this.name} became leader at term ${this.term}`);
    broadcastAppend(this);
  }

  #startTerm(term: number): void {
    if (this.term !== term) {
      this.term = term;
      this.vote = noMember;
    }
    this.lead = noMember;
    this.electionElapsed = 0;
    this.heartbeatElapsed = 0;
    this.randomizedElectionTicks = this.config.electionTicks + (this.config.random.u32() % this.config.electionTicks);
    this.selfVotePending = false;
    this.campaignWhenApplied = false;
    this.leadTransferee = noMember;
    this.pendingConfIndex = 0;
    this.isLeaving = false;
    this.heldChange = 0;
    this.uncommittedBytes = 0;
    this.leaseGivenAway = false;
    this.leaseEndTick = 0;
    this.reads.clear();
    this.earlyReads = [];
    this.tracker.clearVotes();
    for (const member of this.tracker.members) {
      member.restart(member.id === this.id ? this.log.stable : 0, this.log.lastIndex + 1);
    }
  }

  // --- what the caller tells ------------------------------------------------------------------------------------------------------------------

  campaign(): void {
    startCampaign(this, this.config.preVote ? 'pre-vote' : 'election');
  }

  /** The log is durable up to `log.stable`; `electionTerm` is the term of an own vote that became durable with it, or 0. */
  appendDone(electionTerm: number): void {
    if (electionTerm !== 0 && electionTerm === this.term && this.state === StateType.Candidate) countVote(this, this.id, true);
    if (!this.isLeader()) return;
    const released = this.heldChange !== 0 && this.log.durableCommit >= this.heldChange;
    if (released) this.heldChange = this.log.firstChange(this.log.durableCommit + 1, this.log.committed);
    const own = this.tracker.get(this.id);
    if (own !== undefined && own.acknowledged(this.log.stable) && raiseCommit(this)) this.committedMore();
    else if (released) broadcastCommit(this);
  }

  /** The commit index moved on the leader. */
  committedMore(): void {
    releaseReads(this);
    broadcastCommit(this);
  }

  appliedTo(index: number): void {
    this.log.appliedTo(index);
    if (this.campaignWhenApplied) startCampaign(this, 'transfer');
    leaveJointIfDue(this);
  }

  applyConfChange(change: ConfChange | ConfChangeV2): ConfState {
    const changed = applyChange(this.tracker.config, asV2(change));
    if (changed.config === undefined) this.config.log.warn(`${this.name} ignored a committed configuration change: ${changed.refused}`);
    else if (changed.config !== this.tracker.config) this.switchConfig(changed.config);
    return this.tracker.confState();
  }

  switchConfig(config: Config): void {
    this.tracker.adopt(config, this.log.lastIndex);
    this.config.log.info(`${this.name} switched to configuration ${describe(this.tracker.confState())}`);
    if (this.state !== StateType.Leader) return;
    // It was granted by another quorum.
    this.leaseEndTick = 0;
    const own = this.tracker.get(this.id);
    if (own === undefined || own.isLearner) {
      this.isLeaving = true;
      this.electionElapsed = 0;
    }
    // A smaller quorum may have everything already; a new member should hear of the log at once.
    if (raiseCommit(this)) this.committedMore();
    else for (const member of this.tracker.members) if (member.id !== this.id) sendAppendTo(this, member, false);
    if (this.leadTransferee !== noMember && !this.tracker.isVoter(this.leadTransferee)) this.leadTransferee = noMember;
    // The readers' quorum is another one now.
    releaseReads(this);
    if (this.isLeaving) handOver(this);
  }

  #ends(): string {
    return `[commit: ${this.log.committed}, lastindex: ${this.log.lastIndex}, lastterm: ${this.log.lastTerm}]`;
  }

  /** Takes a leader's snapshot in place of the log; false when there is no use for it. */
  restoreSnapshot(snapshot: Snapshot, index: number, term: number): boolean {
    const confState = snapshot.metadata?.confState;
    if (index <= this.log.committed || confState === undefined) return false;
    const restored = restoreConfig(confState);
    if (restored.config === undefined) {
      this.config.log.warn(`${this.name} ignored a snapshot at ${index} with a bad configuration: ${restored.refused}`);
      return false;
    }
    const c = restored.config;
    if (!c.voters.has(this.id) && !c.votersOutgoing.has(this.id) && !c.learners.has(this.id)) {
      this.config.log.warn(`${this.name} ignored a snapshot at ${index}: it is no member in it`);
      return false;
    }
    if (this.log.matches(index, term)) {
      // All of it is in the log already; only the commit index was behind.
      this.config.log.info(`${this.name} ${this.#ends()} fast-forwarded commit to snapshot [index: ${index}, term: ${term}]`);
      this.log.commitTo(index);
      return false;
    }
    this.log.restore(snapshot, index, term);
    this.switchConfig(c);
    this.config.log.info(`${this.name} ${this.#ends()} restored snapshot [index: ${index}, term: ${term}]`);
    return true;
  }
}

function describe(state: ConfState): string {
  const ids = (list: readonly MemberId[]): string => `(${list.map((id) => id.toString(16)).join(' ')})`;
  let text = `voters=${ids(state.voters)}`;
  if (state.votersOutgoing.length > 0) text += `&&${ids(state.votersOutgoing)}`;
  if (state.learners.length > 0) text += ` learners=${ids(state.learners)}`;
  if (state.learnersNext.length > 0) text += ` learners_next=${ids(state.learnersNext)}`;
  return state.autoLeave ? `${text} autoleave` : text;
}

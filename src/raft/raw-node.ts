/**
 * The raft machine as the rest of the server sees it: `Raft` plus the making of Readys.
 *
 * A Ready hands everything out once. Its durable part is remembered under its token until `appendDone`; only then do its entries count as
 * ours (D-2), may be applied (D-3), and does an own vote count.
 */
import { invariant } from '../base/invariant.ts';
import { encodeConfChange, encodeConfChangeV2 } from './confchange/codec.ts';
import {
  StateType,
  type ProgressStatus,
  type RaftConfig,
  type RaftMachine,
  type RaftStatus,
  type Ready,
  type SoftState,
  type StepResult,
} from './machine.ts';
import { newMessage } from './message.ts';
import { Raft } from './raft.ts';
import { proposeData, proposeEntries, takeRead } from './step-leader.ts';
import {
  EntryType,
  MessageType,
  noMember,
  type ConfChange,
  type ConfChangeV2,
  type ConfState,
  type Entry,
  type HardState,
  type MemberId,
  type Message,
  type Snapshot,
} from './types.ts';

const none: readonly never[] = Object.freeze([]);

export class RawNode implements RaftMachine {
  readonly #raft: Raft;
  #lastToken = 0;
  #hardState: HardState;
  #softState: SoftState = { lead: noMember, state: StateType.Follower };
  /** Own votes on their way to the WAL. */
  readonly #votes: { readonly token: number; readonly term: number }[] = [];

  /** @throws RaftStateError  when `config.initial` does not fit together. */
  constructor(config: RaftConfig) {
    this.#raft = new Raft(config);
    this.#hardState = { ...config.initial.hardState };
  }

  tick(): void {
    this.#raft.tick();
  }

  campaign(): void {
    this.#raft.campaign();
  }

  step(message: Message): StepResult {
    return this.#raft.step(message);
  }

  propose(data: Uint8Array): StepResult {
    return this.proposeBatch([data]);
  }

  proposeBatch(data: readonly Uint8Array[]): StepResult {
    const r = this.#raft;
    if (r.state === StateType.Leader) return proposeData(r, data);
    if (data.length === 0) return 'dropped';
    return this.#ask(MessageType.MsgProp, data.map(normalEntry));
  }

  proposeConfChange(change: ConfChange | ConfChangeV2): StepResult {
    const isV2 = 'changes' in change;
    const entry: Entry = {
      Type: isV2 ? EntryType.EntryConfChangeV2 : EntryType.EntryConfChange,
      Term: 0,
      Index: 0,
      Data: isV2 ? encodeConfChangeV2(change) : encodeConfChange(change),
    };
    const r = this.#raft;
    return r.state === StateType.Leader ? proposeEntries(r, [entry]) : this.#ask(MessageType.MsgProp, [entry]);
  }

  applyConfChange(change: ConfChange | ConfChangeV2): ConfState {
    return this.#raft.applyConfChange(change);
  }

  readIndex(context: Uint8Array): StepResult {
    const r = this.#raft;
    if (r.state === StateType.Leader) return takeRead(r, { from: r.id, context });
    return this.#ask(MessageType.MsgReadIndex, [normalEntry(context)]);
  }

  transferLeader(to: MemberId): void {
    const m = newMessage(MessageType.MsgTransferLeader, this.#raft.id);
    // The message comes, so to speak, from the one who shall lead.
    m.from = to;
    this.#raft.stepOwn(m);
  }

  forgetLeader(): void {
    const r = this.#raft;
    // With lease based reads the vote that this may give away would break the leader's lease.
    if (r.state !== StateType.Follower || r.config.leaseBasedReads || r.lead === noMember) return;
    r.config.log.info(`${r.name} forgetting leader ${r.lead.toString(16)} at term ${r.term}`);
    r.lead = noMember;
  }

  reportUnreachable(id: MemberId): void {
    const member = this.#follower(id);
    // Messages on the way are probably lost: start over from what is acknowledged.
    if (member?.state === 'replicate') member.becomeProbe();
  }

  reportSnapshot(id: MemberId, ok: boolean): void {
    const member = this.#follower(id);
    if (member?.state !== 'snapshot') return;
    if (!ok) member.pendingSnapshot = 0;
    member.becomeProbe();
    // After success its acknowledgement follows; after a failure wait a heartbeat before trying again.
    member.paused = true;
  }

  hasReady(): boolean {
    const r = this.#raft;
    return (
      r.messages.length > 0 ||
      r.log.hasUnwritten ||
      r.log.hasCommitted(r.openCommit) ||
      r.messagesAfterAppend.length > 0 ||
      r.readStates.length > 0 ||
      r.log.committed !== this.#hardState.commit ||
      r.term !== this.#hardState.term ||
      r.vote !== this.#hardState.vote ||
      r.lead !== this.#softState.lead ||
      r.state !== this.#softState.state
    );
  }

  ready(): Ready {
    const r = this.#raft;
    const token = ++this.#lastToken;
    const entries = r.log.unwritten();
    const snapshot = r.log.hasUnwrittenSnapshot ? r.log.pendingSnapshot : undefined;
    const votes = r.term !== this.#hardState.term || r.vote !== this.#hardState.vote;
    const hardState = votes || r.log.committed !== this.#hardState.commit ? this.#nextHardState() : undefined;
    const ready: Ready = {
      token,
      softState: this.#nextSoftState(),
      hardState,
      entries,
      snapshot,
      committedEntries: r.log.takeCommitted(r.openCommit),
      messages: r.messages.length === 0 ? none : r.messages,
      messagesAfterAppend: r.messagesAfterAppend.length === 0 ? none : r.messagesAfterAppend,
      readStates: r.readStates.length === 0 ? none : r.readStates,
      mustSync: votes || entries.length > 0 || snapshot !== undefined || (hardState !== undefined && r.heldChange !== 0),
    };
    r.log.beginWrite(token);
    if (r.selfVotePending) {
      r.selfVotePending = false;
      this.#votes.push({ token, term: r.term });
    }
    // What was handed out belongs to the caller; nothing may be added to it.
    if (ready.messages !== none) r.messages = [];
    if (ready.messagesAfterAppend !== none) r.messagesAfterAppend = [];
    if (ready.readStates !== none) r.readStates = [];
    return ready;
  }

  appendDone(token: number): void {
    invariant(token <= this.#lastToken, 'only Readys that were taken are acknowledged', { token, last: this.#lastToken });
    this.#raft.log.endWrite(token);
    let electionTerm = 0;
    for (let vote = this.#votes[0]; vote !== undefined && vote.token <= token; vote = this.#votes[0]) {
      electionTerm = vote.term;
      this.#votes.shift();
    }
    this.#raft.appendDone(electionTerm);
  }

  applied(index: number): void {
    this.#raft.appliedTo(index);
  }

  compactLog(index: number): void {
    this.#raft.log.compactTo(index);
  }

  get snapshotSource(): (() => Snapshot | undefined) | undefined {
    return this.#raft.snapshotSource;
  }

  set snapshotSource(source: (() => Snapshot | undefined) | undefined) {
    this.#raft.snapshotSource = source;
  }

  get isLone(): boolean {
    return this.#raft.tracker.isLone;
  }

  get firstIndex(): number {
    return this.#raft.log.firstIndex;
  }

  get lastIndex(): number {
    return this.#raft.log.lastIndex;
  }

  get term(): number {
    return this.#raft.term;
  }

  get lead(): MemberId {
    return this.#raft.lead;
  }

  get state(): StateType {
    return this.#raft.state;
  }

  get commit(): number {
    return this.#raft.log.committed;
  }

  entriesBetween(lo: number, hi: number, maxBytes: number): readonly Entry[] {
    return this.#raft.log.slice(lo, hi, maxBytes);
  }

  termAt(index: number): number | undefined {
    return this.#raft.log.termAt(index);
  }

  status(): RaftStatus {
    const r = this.#raft;
    const progress = new Map<MemberId, ProgressStatus>();
    if (r.state === StateType.Leader) {
      for (const { id, match, next, state, isLearner, recentActive, pendingSnapshot } of r.tracker.members) {
        progress.set(id, { match, next, state, isLearner, recentActive, pendingSnapshot });
      }
    }
    return {
      id: r.id,
      term: r.term,
      vote: r.vote,
      commit: r.log.committed,
      applied: r.log.applied,
      lastIndex: r.log.lastIndex,
      lead: r.lead,
      state: r.state,
      leadTransferee: r.leadTransferee,
      confState: r.tracker.confState(),
      progress,
    };
  }

  /** A request of our own, to be passed on to the leader. */
  #ask(type: MessageType, entries: Entry[]): StepResult {
    const m = newMessage(type, this.#raft.id);
    m.entries = entries;
    return this.#raft.stepOwn(m);
  }

  #follower(id: MemberId): ReturnType<Raft['tracker']['get']> {
    const r = this.#raft;
    return r.state === StateType.Leader && id !== r.id ? r.tracker.get(id) : undefined;
  }

  #nextHardState(): HardState {
    const r = this.#raft;
    this.#hardState = { term: r.term, vote: r.vote, commit: r.log.committed };
    return this.#hardState;
  }

  #nextSoftState(): SoftState | undefined {
    const r = this.#raft;
    const before = this.#softState;
    if (r.lead === before.lead && r.state === before.state) return undefined;
    if (r.lead !== before.lead) this.#logLeader(before.lead);
    this.#softState = { lead: r.lead, state: r.state };
    return this.#softState;
  }

  #logLeader(before: MemberId): void {
    const { name, lead, term, config } = this.#raft;
    const [old, now] = [before.toString(16), lead.toString(16)];
    if (before === noMember) config.log.info(`raft.node: ${name} elected leader ${now} at term ${term}`);
    else if (lead === noMember) config.log.info(`raft.node: ${name} lost leader ${old} at term ${term}`);
    else config.log.info(`raft.node: ${name} changed leader from ${old} to ${now} at term ${term}`);
  }
}

function normalEntry(data: Uint8Array): Entry {
  return { Type: EntryType.EntryNormal, Term: 0, Index: 0, Data: data };
}

/** What a leader does with a message of its own term. */
import { emptyBytes } from '../base/bytes.ts';
import { changeOf, isConfChangeEntry } from './confchange/codec.ts';
import { applyChange } from './confchange/changer.ts';
import type { StepResult } from './machine.ts';
import { newMessage, payloadBytes } from './message.ts';
import type { Raft } from './raft.ts';
import { readRequestsMax, type AnsweredRead, type ReadRequest } from './read-only.ts';
import { broadcastAppend, broadcastHeartbeat, raiseCommit, sendAppendTo } from './replication.ts';
import type { Progress } from './tracker/progress.ts';
import { EntryType, MessageType, noMember, type ConfChangeV2, type Entry, type Message } from './types.ts';

export function stepLeader(r: Raft, m: Message): StepResult {
  if (m.type === MessageType.MsgProp) return proposeEntries(r, m.entries);
  if (m.type === MessageType.MsgReadIndex) {
    const request = m.entries[0];
    if (m.entries.length !== 1 || request === undefined) return 'dropped';
    return takeRead(r, { from: m.from === noMember ? r.id : m.from, context: request.Data });
  }
  const member = r.tracker.get(m.from);
  if (member === undefined) return 'dropped';
  switch (m.type) {
    case MessageType.MsgAppResp:
      member.recentActive = true;
      return m.reject ? takeReject(r, member, m) : takeAck(r, member, m);
    case MessageType.MsgHeartbeatResp:
      takeHeartbeatResponse(r, member, m);
      return 'ok';
    case MessageType.MsgTransferLeader:
      return startTransfer(r, member);
    default:
      // MsgApp, MsgHeartbeat or MsgSnap would mean a second leader in this term, which cannot be; votes that come late need no answer.
      return 'dropped';
  }
}

// --- proposals ------------------------------------------------------------------------------------------------------------------------------

/** @param proposed  type and data count; they are copied into entries of our log. */
export function proposeEntries(r: Raft, proposed: readonly Entry[]): StepResult {
  if (proposed.length === 0 || !mayPropose(r, payloadBytes(proposed))) return 'dropped';
  for (const entry of proposed) if (!isKnownType(entry.Type)) return 'dropped';
  for (const entry of proposed) {
    if (isConfChangeEntry(entry)) pushConfChange(r, entry);
    else r.log.push(entry.Type, r.term, entry.Data);
  }
  broadcastAppend(r);
  return 'ok';
}

/** Normal entries proposed here. */
export function proposeData(r: Raft, data: readonly Uint8Array[]): StepResult {
  let bytes = 0;
  if (r.config.maxUncommittedBytes > 0) for (let i = 0; i < data.length; i++) bytes += data[i]?.length ?? 0;
  if (data.length === 0 || !mayPropose(r, bytes)) return 'dropped';
  for (let i = 0; i < data.length; i++) r.log.push(EntryType.EntryNormal, r.term, data[i] ?? emptyBytes);
  broadcastAppend(r);
  return 'ok';
}

/** Takes `bytes` into the uncommitted account, or says no. One proposal larger than the limit may go alone; empty entries always. */
function mayPropose(r: Raft, bytes: number): boolean {
  if (r.isLeaving || r.leadTransferee !== noMember) return false;
  const limit = r.config.maxUncommittedBytes;
  if (limit === 0) return true;
  if (bytes > 0 && r.uncommittedBytes > 0 && r.uncommittedBytes + bytes > limit) return false;
  r.uncommittedBytes += bytes;
  return true;
}

/** A change that may not be made now is replaced by an empty entry, so that the indexes behind it hold. */
function pushConfChange(r: Raft, entry: Entry): void {
  const change = changeOf(entry);
  const refused = change === undefined ? 'it cannot be read' : refusal(r, change);
  if (refused === undefined || (change !== undefined && r.config.disableConfChangeValidation === true)) {
    r.pendingConfIndex = r.log.lastIndex + 1;
    r.log.push(entry.Type, r.term, entry.Data);
    return;
  }
  r.config.log.info(`${r.name} refused a configuration change: ${refused}`);
  // Its bytes were counted and will never be committed.
  if (r.config.maxUncommittedBytes > 0) r.uncommittedBytes -= entry.Data.length;
  r.log.push(EntryType.EntryNormal, r.term, emptyBytes);
}

function refusal(r: Raft, change: ConfChangeV2): string | undefined {
  if (r.pendingConfIndex > r.log.applied) return `the one at ${r.pendingConfIndex} may be unapplied, applied is ${r.log.applied}`;
  // None is pending, so this is the configuration that it will meet.
  return applyChange(r.tracker.config, change).refused;
}

function isKnownType(type: number): boolean {
  return type === EntryType.EntryNormal || type === EntryType.EntryConfChange || type === EntryType.EntryConfChangeV2;
}

/** Once the change into an automatic joint configuration is applied, the leader proposes to leave it; if that fails, on the next apply. */
export function leaveJointIfDue(r: Raft): void {
  if (!r.isLeader() || !r.tracker.config.autoLeave || r.log.applied < r.pendingConfIndex) return;
  // An empty ConfChangeV2 has no bytes at all.
  proposeEntries(r, [{ Type: EntryType.EntryConfChangeV2, Term: 0, Index: 0, Data: emptyBytes }]);
}

// --- answers to MsgApp ----------------------------------------------------------------------------------------------------------------------

function takeReject(r: Raft, member: Progress, m: Message): StepResult {
  // The follower's hint skips its entries of too high a term; ours skips what we have above the hint's term. Together, at most one round a term.
  const hint = m.logTerm > 0 ? r.log.lastWithTermUpTo(m.rejectHint, m.logTerm).index : m.rejectHint;
  if (!member.rejected(m.index, hint)) return 'ok';
  if (member.state === 'replicate') member.becomeProbe();
  sendAppendTo(r, member, true);
  return 'ok';
}

function takeAck(r: Raft, member: Progress, m: Message): StepResult {
  // Nobody can have more than we sent.
  if (m.index > r.log.lastIndex) return 'dropped';
  // A probe that was answered with nothing new still ends the probing.
  const answersProbe = member.state === 'probe' && member.match === m.index;
  if (!member.acknowledged(m.index) && !answersProbe) return 'ok';
  if (member.state === 'probe') member.becomeReplicate();
  else if (member.state === 'replicate') member.inflights.freeUpTo(m.index);
  // In the snapshot state any acknowledgement from which our log goes on will do: of this snapshot, of another, or of entries.
  else if (member.match + 1 >= r.log.firstIndex) member.becomeReplicate();
  if (raiseCommit(r)) r.committedMore();
  else if (member.canRaiseCommit(r.openCommit)) sendAppendTo(r, member, true);
  // Room was made: fill it.
  while (sendAppendTo(r, member, false));
  if (member.id === r.leadTransferee && member.match === r.log.lastIndex) {
    r.config.log.info(`${r.name} sent MsgTimeoutNow to ${member.id.toString(16)} after received MsgAppResp`);
    sendTimeoutNow(r, member);
  }
  if (r.isLeaving) handOver(r);
  return 'ok';
}

function takeHeartbeatResponse(r: Raft, member: Progress, m: Message): void {
  member.recentActive = true;
  member.paused = false;
  // What filled the flight may all be lost: an empty MsgApp finds out. A probe must be answered before entries flow again.
  if (member.match < r.log.lastIndex || member.state === 'probe') sendAppendTo(r, member, true);
  if (m.context.length > 0 && r.reads.answered(member.id, m.context)) releaseReads(r);
}

// --- reads ----------------------------------------------------------------------------------------------------------------------------------

export function takeRead(r: Raft, request: ReadRequest): StepResult {
  if (!r.hasCommittedInTerm) {
    if (r.earlyReads.length >= readRequestsMax) return 'dropped';
    r.earlyReads.push(request);
    return 'ok';
  }
  if (r.tracker.isSingleVoter || r.now < r.leaseEndTick) {
    answerRead(r, { from: request.from, context: request.context, index: r.log.committed });
    return 'ok';
  }
  if (!r.reads.add(request, r.log.committed, r.now)) return 'dropped';
  broadcastHeartbeat(r);
  return 'ok';
}

/** Answers what is confirmed, and takes up the reads that waited for the first commit of the term. */
export function releaseReads(r: Raft): void {
  if (r.earlyReads.length > 0 && r.hasCommittedInTerm) {
    const early = r.earlyReads;
    r.earlyReads = [];
    for (const request of early) takeRead(r, request);
  }
  if (r.reads.size === 0) return;
  const confirmed = r.tracker.quorumIndex((member) => r.reads.answeredBy(member.id, r.id));
  for (const read of r.reads.confirm(confirmed)) {
    renewLease(r, read.tick);
    answerRead(r, read);
  }
}

/**
 * A quorum answered a heartbeat sent at `tick`. Each of them ignores other candidates for an election timeout from its arrival; ticks of
 * two members can be one apart at either end. (etcd's own lease ends with the CheckQuorum round, up to two timeouts after the last answer.)
 */
function renewLease(r: Raft, tick: number): void {
  if (!r.config.leaseBasedReads || r.leaseGivenAway) return;
  r.leaseEndTick = Math.max(r.leaseEndTick, tick + r.config.electionTicks - 2);
}

function answerRead(r: Raft, read: AnsweredRead): void {
  if (read.from === r.id) {
    r.readStates.push({ index: read.index, context: read.context });
    return;
  }
  const m = newMessage(MessageType.MsgReadIndexResp, read.from);
  m.index = read.index;
  m.entries = [{ Type: EntryType.EntryNormal, Term: 0, Index: 0, Data: read.context }];
  r.send(m);
}

// --- leadership -----------------------------------------------------------------------------------------------------------------------------

/**
 * Steps down when no quorum was heard from since the last time, and asks one of the voters to campaign. A leader that hears nobody may still be
 * heard: the others would begin to miss it only now and elect an election timeout or two later. (etcd's leader goes without a word.) Where the
 * message comes late or not at all nothing is lost: it counts in this term only, and whoever leads later does so in another.
 */
export function checkQuorumNow(r: Raft): void {
  const active = r.tracker.isQuorumActive();
  for (const member of r.tracker.members) if (member.id !== r.id) member.recentActive = false;
  if (active) return;
  r.config.log.warn(`${r.name} stepped down to follower since quorum is not active`);
  const heir = likeliestHeir(r);
  if (heir !== undefined) sendTimeoutNow(r, heir);
  r.becomeFollower(r.term, noMember);
}

/** The voter that is known to have most of the log: the others are the least likely to refuse it. */
function likeliestHeir(r: Raft): Progress | undefined {
  let heir: Progress | undefined;
  for (const member of r.tracker.members) {
    if (member.id === r.id || !r.tracker.isVoter(member.id)) continue;
    if (heir === undefined || member.match > heir.match) heir = member;
  }
  return heir;
}

/**
 * Ends a leadership without a vote once a voter has the whole log, and asks that one to campaign. Had the leader gone earlier, its longer log could
 * make it refuse every candidate, and being no voter it could not win itself.
 */
export function handOver(r: Raft): void {
  const heir = r.tracker.members.find((m) => m.id !== r.id && r.tracker.config.voters.has(m.id) && m.match === r.log.lastIndex);
  if (heir === undefined) return;
  sendTimeoutNow(r, heir);
  r.becomeFollower(r.term, noMember);
}

function startTransfer(r: Raft, to: Progress): StepResult {
  if (to.id === r.id || !r.tracker.isVoter(to.id)) return 'dropped';
  const name = to.id.toString(16);
  if (r.leadTransferee === to.id) {
    r.config.log.info(`${r.name} [term ${r.term}] transfer leadership to ${name} is in progress, ignores request to same node ${name}`);
    return 'ok';
  }
  // A later wish replaces an earlier one. It should be over within an election timeout, counted from now.
  if (r.leadTransferee !== noMember) {
    r.config.log.info(`${r.name} [term ${r.term}] abort previous transferring leadership to ${r.leadTransferee.toString(16)}`);
  }
  r.config.log.info(`${r.name} [term ${r.term}] starts to transfer leadership to ${name}`);
  r.electionElapsed = 0;
  r.leadTransferee = to.id;
  if (to.match === r.log.lastIndex) {
    sendTimeoutNow(r, to);
    r.config.log.info(`${r.name} sends MsgTimeoutNow to ${name} immediately as ${name} already has up-to-date log`);
  } else sendAppendTo(r, to, true);
  return 'ok';
}

function sendTimeoutNow(r: Raft, to: Progress): void {
  r.leaseGivenAway = true;
  r.leaseEndTick = 0;
  r.send(newMessage(MessageType.MsgTimeoutNow, to.id));
}

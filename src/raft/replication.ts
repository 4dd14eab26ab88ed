/** Log traffic: what the leader sends to each member, and what a follower does with it. */
import { payloadBytes, newMessage } from './message.ts';
import type { Raft } from './raft.ts';
import type { Progress } from './tracker/progress.ts';
import { MessageType, type Entry, type Message } from './types.ts';

// --- leader ---------------------------------------------------------------------------------------------------------------------------------

/** Sends what was appended to everybody: one message as a probe, in the stream as many as the flight takes. */
export function broadcastAppend(r: Raft): void {
  const members = r.tracker.members;
  if (members.length === 1) return;
  for (const member of members) {
    if (member.id === r.id || !sendAppendTo(r, member, true)) continue;
    while (sendAppendTo(r, member, false));
  }
}

/** Tells of a higher commit index; whoever knows it already, or cannot use it yet, is left alone. */
export function broadcastCommit(r: Raft): void {
  const members = r.tracker.members;
  if (members.length === 1) return;
  for (const member of members) if (member.id !== r.id) sendAppendTo(r, member, member.canRaiseCommit(r.openCommit));
}

/**
 * Sends the next entries to a member, or the snapshot when they are no longer in the log.
 *
 * @param evenEmpty  also without entries, to carry the commit index or as a probe.
 * @returns whether something was sent.
 */
export function sendAppendTo(r: Raft, to: Progress, evenEmpty: boolean): boolean {
  if (to.isPaused) return false;
  const logTerm = r.log.termAt(to.next - 1);
  if (logTerm === undefined) return sendSnapshotTo(r, to);
  const entries: Entry[] = to.hasRoom ? r.log.slice(to.next, r.log.lastIndex + 1, r.config.maxSizePerMsgBytes) : [];
  if (entries.length === 0 && !evenEmpty) return false;
  const m = newMessage(MessageType.MsgApp, to.id);
  m.index = to.next - 1;
  m.logTerm = logTerm;
  m.entries = entries;
  m.commit = r.openCommit;
  r.send(m);
  to.sent(entries.length, payloadBytes(entries));
  to.sentCommit = m.commit;
  return true;
}

function sendSnapshotTo(r: Raft, to: Progress): boolean {
  // A member that does not answer would not take it either.
  if (!to.recentActive) return false;
  const snapshot = r.snapshotSource?.();
  const meta = snapshot?.metadata;
  // None at hand, or one from which our log does not go on: asked for again later.
  if (snapshot === undefined || meta === undefined || meta.index + 1 < r.log.firstIndex || meta.index > r.log.committed) return false;
  to.becomeSnapshot(meta.index);
  const m = newMessage(MessageType.MsgSnap, to.id);
  m.snapshot = snapshot;
  r.send(m);
  r.config.log.info(`${r.name} sends a snapshot at index ${meta.index} to ${to.id.toString(16)}, its log begins at ${r.log.firstIndex}`);
  return true;
}

export function broadcastHeartbeat(r: Raft): void {
  const context = r.reads.context();
  for (const member of r.tracker.members) {
    if (member.id === r.id) continue;
    const m = newMessage(MessageType.MsgHeartbeat, member.id);
    // Not beyond what the member is known to have: its log behind that may still differ from ours.
    m.commit = Math.min(member.match, r.openCommit);
    if (m.commit > member.sentCommit) member.sentCommit = m.commit;
    if (context !== undefined) m.context = context;
    r.send(m);
  }
}

/** Moves the commit index to what a quorum has. Only entries of the own term are committed by counting (thesis §3.6.2). */
export function raiseCommit(r: Raft): boolean {
  const index = r.tracker.committedIndex();
  if (index <= r.log.committed || r.log.termAt(index) !== r.term) return false;
  if (r.uncommittedBytes > 0) r.uncommittedBytes -= r.log.bytesOfTerm(r.term, r.log.committed + 1, index);
  if (r.heldChange === 0) r.heldChange = r.log.firstChange(r.log.committed + 1, index);
  r.log.commitTo(index);
  return true;
}

// --- follower -------------------------------------------------------------------------------------------------------------------------------

export function takeAppend(r: Raft, m: Message): void {
  const answer = newMessage(MessageType.MsgAppResp, m.from);
  if (m.index < r.log.committed) {
    // Old news: what is committed here agrees with every leader.
    answer.index = r.log.committed;
  } else if (r.log.matches(m.index, m.logTerm)) {
    // It starts at or behind the commit index, so nothing committed can be replaced.
    r.log.merge(m.entries);
    answer.index = m.index + m.entries.length;
    r.log.commitTo(Math.min(m.commit, answer.index));
  } else {
    // The hint lets the leader skip to where our logs can agree, a whole term at a time.
    const hint = r.log.lastWithTermUpTo(m.index, m.logTerm);
    answer.index = m.index;
    answer.reject = true;
    answer.rejectHint = hint.index;
    answer.logTerm = hint.term;
  }
  r.sendAfterAppend(answer);
}

export function takeHeartbeat(r: Raft, m: Message): void {
  // Beyond our log only when entries that we acknowledged are lost; the leader will not send them again.
  if (m.commit <= r.log.lastIndex) r.log.commitTo(m.commit);
  else r.config.log.warn(`${r.name} ignored commit index ${m.commit} from ${m.from.toString(16)}: the log ends at ${r.log.lastIndex}`);
  const answer = newMessage(MessageType.MsgHeartbeatResp, m.from);
  answer.context = m.context;
  r.send(answer);
}

export function takeSnapshot(r: Raft, m: Message): void {
  const meta = m.snapshot?.metadata;
  if (m.snapshot === undefined || meta === undefined) return;
  const taken = r.restoreSnapshot(m.snapshot, meta.index, meta.term);
  const did = taken ? 'restored' : 'ignored';
  r.config.log.info(`${r.name} [commit: ${r.log.committed}] ${did} snapshot [index: ${meta.index}, term: ${meta.term}]`);
  const answer = newMessage(MessageType.MsgAppResp, m.from);
  answer.index = taken ? r.log.lastIndex : r.log.committed;
  r.sendAfterAppend(answer);
}

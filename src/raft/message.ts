/** Making and judging messages. */
import { emptyBytes, latin1, utf8 } from '../base/bytes.ts';
import { MessageType, noMember, type Entry, type MemberId, type Message } from './types.ts';

/**
 * What an entry costs beside its data when a message or a Ready is filled up to a limit: without it a million empty entries would fit. About
 * what Type, Term, Index and the framing take on the wire.
 */
export const entryOverheadBytes = 16;

/**
 * Terms and indexes above this are nobody's honest value (a term an microsecond for 142 years) and would leave no room to count on from.
 * Messages that carry them are dropped.
 */
export const counterMax = 2 ** 52;

/** The context by which voters know a campaign that the leader itself asked for; they answer it inside the leader's lease. */
export const transferContext: Uint8Array = utf8('CampaignTransfer');
const transferText = latin1(transferContext);

export function isTransferContext(context: Uint8Array): boolean {
  return context.length === transferText.length && latin1(context) === transferText;
}

export function newMessage(type: MessageType, to: MemberId): Message {
  return {
    type,
    to,
    from: noMember,
    term: 0,
    logTerm: 0,
    index: 0,
    entries: [],
    commit: 0,
    snapshot: undefined,
    reject: false,
    rejectHint: 0,
    context: emptyBytes,
    vote: noMember,
    responses: [],
  };
}

/** Whether a message of this type may come from another member at all. */
export function isKnown(type: MessageType): boolean {
  return Number.isInteger(type) && type > MessageType.MsgHup && type < MessageType.MsgForgetLeader;
}

/** Messages that a member only ever tells itself; from the network they are refused. */
export function isLocalMessage(type: MessageType): boolean {
  switch (type) {
    case MessageType.MsgHup:
    case MessageType.MsgBeat:
    case MessageType.MsgUnreachable:
    case MessageType.MsgSnapStatus:
    case MessageType.MsgCheckQuorum:
    case MessageType.MsgStorageAppend:
    case MessageType.MsgStorageAppendResp:
    case MessageType.MsgStorageApply:
    case MessageType.MsgStorageApplyResp:
      return true;
    default:
      return false;
  }
}

/** Answers: worth something only from a member of the configuration. */
export function isResponse(type: MessageType): boolean {
  switch (type) {
    case MessageType.MsgAppResp:
    case MessageType.MsgVoteResp:
    case MessageType.MsgPreVoteResp:
    case MessageType.MsgHeartbeatResp:
    case MessageType.MsgReadIndexResp:
      return true;
    default:
      return false;
  }
}

/** Requests to the leader that a follower passes on: they carry no term, and their sender need not be a member yet. */
export function isForwarded(type: MessageType): boolean {
  return type === MessageType.MsgProp || type === MessageType.MsgReadIndex || type === MessageType.MsgTransferLeader;
}

/** Whether every number in a message from the network can be counted with, and its entries follow each other. */
export function isSound(m: Message): boolean {
  if (!isCounter(m.term) || !isCounter(m.logTerm) || !isCounter(m.index) || !isCounter(m.commit) || !isCounter(m.rejectHint)) return false;
  if (m.type === MessageType.MsgApp) return areContiguous(m);
  if (m.type === MessageType.MsgSnap) {
    const meta = m.snapshot?.metadata;
    return meta !== undefined && isCounter(meta.index) && isCounter(meta.term) && meta.index > 0 && meta.term <= m.term;
  }
  return true;
}

/** Bytes of data in entries: the unit of the flow and uncommitted limits. */
export function payloadBytes(entries: readonly Entry[]): number {
  let bytes = 0;
  for (let i = 0; i < entries.length; i++) bytes += entries[i]?.Data.length ?? 0;
  return bytes;
}

function isCounter(value: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= counterMax;
}

function areContiguous(m: Message): boolean {
  let term = m.logTerm;
  let index = m.index;
  for (const entry of m.entries) {
    index++;
    if (entry.Index !== index || entry.Term < term || entry.Term > m.term || !Number.isInteger(entry.Term)) return false;
    term = entry.Term;
  }
  return m.logTerm <= m.term;
}

const typeNames: ReadonlyMap<number, string> = new Map(Object.entries(MessageType).map(([name, type]) => [type, name]));

/** As the log has it. */
export function typeName(type: number): string {
  return typeNames.get(type) ?? String(type);
}

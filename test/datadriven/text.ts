/** How things look in a transcript. */
import { changeOf, isConfChangeEntry } from '../../src/raft/confchange/codec.ts';
import { StateType, type ProgressStatus, type RaftStatus } from '../../src/raft/machine.ts';
import {
  ConfChangeTransition,
  EntryType,
  MessageType,
  type ConfChangeV2,
  type ConfState,
  type Entry,
  type MemberId,
  type Message,
} from '../../src/raft/types.ts';

const messageNames = new Map<number, string>(Object.entries(MessageType).map(([name, value]) => [value, name]));
const changeSigns = ['+', '-', '~', 'l'];
const printable = /^[ -~]*$/;

export function textOfMessage(m: Message): string {
  const parts = [`${m.from}→${m.to}`, messageNames.get(m.type) ?? `type ${m.type}`];
  if (m.term !== 0) parts.push(`term=${m.term}`);
  if (m.type === MessageType.MsgApp || m.type === MessageType.MsgVote || m.type === MessageType.MsgPreVote)
    parts.push(`log=${m.index}@${m.logTerm}`);
  else if (m.index !== 0) parts.push(`index=${m.index}`);
  if (m.reject) parts.push('REJECT');
  if (m.reject && m.type === MessageType.MsgAppResp) parts.push(`hint=${m.rejectHint}@${m.logTerm}`);
  if (m.type === MessageType.MsgApp || m.type === MessageType.MsgHeartbeat) parts.push(`commit=${m.commit}`);
  if (m.context.length > 0) parts.push(`context=${textOfContext(m.context)}`);
  const meta = m.snapshot?.metadata;
  if (meta !== undefined) parts.push(`snapshot=${meta.index}@${meta.term} ${textOfConfState(meta.confState)}`);
  if (m.entries.length > 0) parts.push(`[${m.entries.map(textOfEntry).join(', ')}]`);
  return parts.join(' ');
}

export function textOfEntry(e: Entry): string {
  const place = e.Index === 0 ? '' : `${e.Index}@${e.Term}`;
  const change = isConfChangeEntry(e) ? changeOf(e) : undefined;
  let data = change === undefined ? textOfData(e.Data) : `${e.Type === EntryType.EntryConfChange ? 'v1' : 'v2'}(${textOfChange(change)})`;
  if (change === undefined && e.Type !== EntryType.EntryNormal) data = `type ${e.Type} ${data}`;
  return [place, data].filter((part) => part !== '').join(' ');
}

export function textOfChange(change: ConfChangeV2): string {
  const words = change.changes.map((c) => `${changeSigns[c.type] ?? '?'}${c.nodeId}`);
  if (change.transition === ConfChangeTransition.ConfChangeTransitionJointImplicit) words.push('implicit');
  if (change.transition === ConfChangeTransition.ConfChangeTransitionJointExplicit) words.push('explicit');
  return words.length === 0 ? 'leave' : words.join(' ');
}

export function textOfConfState(state: ConfState | undefined): string {
  if (state === undefined) return 'no configuration';
  const list = (name: string, members: readonly MemberId[]): string => (members.length === 0 ? '' : ` ${name}=(${members.join(' ')})`);
  const text = `voters=(${state.voters.join(' ')})${list('outgoing', state.votersOutgoing)}${list('learners', state.learners)}`;
  return `${text}${list('learners_next', state.learnersNext)}${state.autoLeave ? ' autoleave' : ''}`;
}

export function textOfStatus(s: RaftStatus): string[] {
  const role = Object.entries(StateType).find(([, value]) => value === s.state)?.[0] ?? '?';
  const head = `${s.id}: ${role} term=${s.term} vote=${s.vote} lead=${s.lead} commit=${s.commit} applied=${s.applied} last=${s.lastIndex}`;
  const transfer = s.leadTransferee === 0n ? '' : ` transfer to ${s.leadTransferee}`;
  return [`${head}${transfer} ${textOfConfState(s.confState)}`, ...[...s.progress].filter(([id]) => id !== s.id).map(textOfProgress)];
}

function textOfProgress([id, p]: [MemberId, ProgressStatus]): string {
  const pending = p.pendingSnapshot === 0 ? '' : ` snapshot=${p.pendingSnapshot}`;
  return `   ${id}: ${p.state} match=${p.match} next=${p.next}${pending}${p.isLearner ? ' learner' : ''}${p.recentActive ? '' : ' inactive'}`;
}

function textOfData(data: Uint8Array): string {
  const text = Buffer.from(data).toString('latin1');
  if (text.length > 24) return `${text.slice(0, 4)}…(${text.length} bytes)`;
  return text === '' ? '' : JSON.stringify(text);
}

function textOfContext(context: Uint8Array): string {
  const text = Buffer.from(context).toString('latin1');
  if (printable.test(text)) return text;
  return context.length === 8 ? `#${Buffer.from(context).readBigUInt64BE()}` : Buffer.from(context).toString('hex');
}

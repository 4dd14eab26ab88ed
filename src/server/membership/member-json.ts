/**
 * Members as JSON, byte for byte as etcd writes them: in the bucket `members`, in the context of configuration changes, in .snap files.
 *
 *     {"id":<number>,"peerURLs":[..],"isLearner":true,"name":"..","clientURLs":[..]}
 *
 * The id is a 64-bit number, which JSON.parse cannot hold; isLearner, name and clientURLs are left out when empty.
 */
import { utf8, utf8Text } from '../../base/bytes.ts';
import type { ClusterMember } from './cluster.ts';

/** The context of a configuration change: the member, and whether a learner becomes a voter. */
export interface MemberContext {
  readonly member: ClusterMember;
  readonly isPromote: boolean;
}

/** JSON as Go writes it: `<`, `>`, `&` and the two line separators escaped. */
export function goJson(value: unknown): string {
  return JSON.stringify(value).replace(/[<>&\u2028\u2029]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

export function memberJson(m: ClusterMember): string {
  return `{${memberFields(m)}}`;
}

export function raftAttributesJson(m: ClusterMember): string {
  return `{${raftAttributeFields(m)}}`;
}

export function attributesJson(m: ClusterMember): string {
  return `{${attributeFields(m).join(',')}}`;
}

/** The bytes that go into `ConfChange.context`. */
export function encodeMemberContext(context: MemberContext): Uint8Array {
  return utf8(`{${memberFields(context.member)},"isPromote":${String(context.isPromote)}}`);
}

/** @throws SyntaxError for what is not JSON of this shape. */
export function decodeMemberContext(bytes: Uint8Array): MemberContext {
  const parsed = parse(utf8Text(bytes));
  return { member: memberOf(parsed), isPromote: parsed.isPromote === true };
}

/** @throws SyntaxError for what is not JSON of this shape. */
export function decodeMember(bytes: Uint8Array): ClusterMember {
  return memberOf(parse(utf8Text(bytes)));
}

function memberFields(m: ClusterMember): string {
  return [`"id":${BigInt.asUintN(64, m.id)}`, raftAttributeFields(m), ...attributeFields(m)].join(',');
}

function raftAttributeFields(m: ClusterMember): string {
  return `"peerURLs":${goJson(m.peerUrls)}${m.isLearner ? ',"isLearner":true' : ''}`;
}

function attributeFields(m: ClusterMember): string[] {
  const out: string[] = [];
  if (m.name !== '') out.push(`"name":${goJson(m.name)}`);
  if (m.clientUrls.length !== 0) out.push(`"clientURLs":${goJson(m.clientUrls)}`);
  return out;
}

function parse(text: string): Record<string, unknown> {
  // Inside a JSON string every quote is escaped, so that `"id":1` can only be the member itself.
  const parsed: unknown = JSON.parse(text.replace(/"id"\s*:\s*(\d+)/, '"id":"$1"'));
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) throw new SyntaxError('a member is not a JSON object');
  return parsed as Record<string, unknown>;
}

function memberOf(o: Record<string, unknown>): ClusterMember {
  return {
    id: typeof o.id === 'string' ? BigInt.asUintN(64, BigInt(o.id)) : 0n,
    peerUrls: strings(o.peerURLs),
    isLearner: o.isLearner === true,
    name: typeof o.name === 'string' ? o.name : '',
    clientUrls: strings(o.clientURLs),
  };
}

function strings(v: unknown): string[] {
  return Array.isArray(v) ? v.filter((s): s is string => typeof s === 'string') : [];
}

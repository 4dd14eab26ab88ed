/** The meta keys that a commit carries, in etcd's encoding. */
import type { ConfState, MemberId } from '../../../raft/types.ts';

/** u64 big-endian. */
export function encodeMetaIndex(n: number): Buffer {
  const b = Buffer.alloc(8);
  b.writeBigUInt64BE(BigInt(n), 0);
  return b;
}

export function decodeMetaIndex(b: Uint8Array): number {
  return Number(Buffer.from(b).readBigUInt64BE(0));
}

/** JSON as etcd writes it: ids as plain numbers, empty lists left out. */
export function confStateJson(c: ConfState): Buffer {
  const list = (name: string, ids: readonly MemberId[]): string[] => (ids.length === 0 ? [] : [`"${name}":[${ids.join(',')}]`]);
  const parts = [
    ...list('voters', c.voters),
    ...list('learners', c.learners),
    ...list('voters_outgoing', c.votersOutgoing),
    ...list('learners_next', c.learnersNext),
    `"auto_leave":${c.autoLeave}`,
  ];
  return Buffer.from(`{${parts.join(',')}}`, 'latin1');
}

/** Ids go beyond what JSON numbers hold, so they are taken from the text. */
export function parseConfState(json: Uint8Array): ConfState {
  const text = Buffer.from(json).toString('utf8');
  const list = (name: string): MemberId[] => {
    const m = new RegExp(`"${name}"\\s*:\\s*\\[([^\\]]*)\\]`).exec(text);
    const inner = m?.[1]?.trim() ?? '';
    return inner === '' ? [] : inner.split(',').map((id) => BigInt(id.trim()) as MemberId);
  };
  return {
    voters: list('voters'),
    learners: list('learners'),
    votersOutgoing: list('voters_outgoing'),
    learnersNext: list('learners_next'),
    autoLeave: /"auto_leave"\s*:\s*true/.test(text),
  };
}

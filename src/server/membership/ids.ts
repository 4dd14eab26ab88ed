/**
 * Member and cluster ids: the first 8 bytes, big-endian, of a SHA-1.
 * Source: peer-protocol.md "Identity".
 */
import { createHash } from 'node:crypto';
import type { MemberId } from '../../raft/types.ts';

/**
 * Of a member's sorted peer URLs, the cluster token, and for one that joins at run time the moment, so that a member which comes back gets a
 * new id.
 */
export function memberId(of: {
  readonly peerUrls: readonly string[];
  readonly clusterToken: string;
  /** Unix time in seconds; absent for a member of the initial cluster. */
  readonly addedAtSeconds?: number | undefined;
}): MemberId {
  const at = of.addedAtSeconds === undefined ? '' : String(of.addedAtSeconds);
  return firstEight(Buffer.from([...of.peerUrls].sort(byteOrder).join('') + of.clusterToken + at, 'utf8'));
}

/** Of the ids of all initial members. */
export function clusterId(memberIds: readonly MemberId[]): bigint {
  const bytes = Buffer.alloc(8 * memberIds.length);
  const sorted = [...memberIds].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  sorted.forEach((id, i) => bytes.writeBigUInt64BE(id, 8 * i));
  return firstEight(bytes);
}

/** As ids are written in paths, logs, buckets and on the command line: lower-case hex without padding. */
export function idText(id: bigint): string {
  return BigInt.asUintN(64, id).toString(16);
}

/** Go sorts strings by their bytes. */
function byteOrder(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a, 'utf8'), Buffer.from(b, 'utf8'));
}

function firstEight(bytes: Uint8Array): bigint {
  return createHash('sha1').update(bytes).digest().readBigUInt64BE(0);
}

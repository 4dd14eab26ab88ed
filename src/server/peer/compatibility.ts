/** What members tell each other in headers, and whether they may talk. Source: peer-protocol.md "Compatibility check". */
import type { MemberId } from '../../raft/types.ts';
import { idText } from '../membership/ids.ts';

/** Oldest cluster version that this server works in. */
export const minClusterVersion = '3.0.0';

export interface OwnIdentity {
  readonly memberId: MemberId;
  readonly clusterId: bigint;
  readonly serverVersion: string;
  /** As they are told to others. */
  readonly peerUrls: () => readonly string[];
}

/** Headers of every raft request. */
export function ownHeaders(own: OwnIdentity): Record<string, string> {
  return {
    'X-Server-From': idText(own.memberId),
    'X-Server-Version': own.serverVersion,
    'X-Min-Cluster-Version': minClusterVersion,
    'X-Etcd-Cluster-ID': idText(own.clusterId),
    'X-PeerURLs': own.peerUrls().join(','),
  };
}

export const incompatibleVersion = 'incompatible version';
export const clusterIdMismatch = 'cluster ID mismatch';

/** Why a request is refused with 412, or undefined. */
export function refusal(own: OwnIdentity, headers: ReadonlyMap<string, string>): string | undefined {
  const server = headers.get('x-server-version') ?? '2.0.0';
  const least = headers.get('x-min-cluster-version') ?? '2.0.0';
  if (compareMinor(server, minClusterVersion) < 0 || compareMinor(least, own.serverVersion) > 0) return incompatibleVersion;
  if (headers.get('x-etcd-cluster-id') !== idText(own.clusterId)) return clusterIdMismatch;
  return undefined;
}

/** Whether a server's answer may be read as a stream: every minor from 2.1 on has both streams. A version that is missing has none. */
export function servesStreams(version: string | undefined, ownVersion: string): boolean {
  const v = version ?? '2.0.0';
  return compareMinor(v, ownVersion) >= 0 || compareMinor(v, '2.1.0') >= 0;
}

/** By major and minor alone; text that is no version counts as 0.0. */
export function compareMinor(a: string, b: string): number {
  const [x, y] = [minorOf(a), minorOf(b)];
  return x[0] - y[0] || x[1] - y[1];
}

function minorOf(version: string): [number, number] {
  const m = /^(\d{1,6})\.(\d{1,6})\./.exec(version);
  return m === null ? [0, 0] : [Number(m[1]), Number(m[2])];
}

/** A member id in a path or header: hex of at most 64 bits. */
export function parseId(text: string): MemberId | undefined {
  return /^[0-9a-fA-F]{1,16}$/.test(text) ? BigInt(`0x${text}`) : undefined;
}

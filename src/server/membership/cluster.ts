/** The members of the cluster, its id and version, in the buckets `members`, `members_removed` and `cluster`. */
import type { Status } from '../../api/status.ts';
import type { MemberId } from '../../raft/types.ts';

export interface ClusterMember {
  readonly id: MemberId;
  readonly peerUrls: readonly string[];
  readonly isLearner: boolean;
  /** Empty until the member has published itself. */
  readonly name: string;
  readonly clientUrls: readonly string[];
}

export interface Cluster {
  readonly clusterId: bigint;
  /** Sorted by id. */
  members(): ClusterMember[];
  member(id: MemberId): ClusterMember | undefined;
  isRemoved(id: MemberId): boolean;
  /** `3.7.0`, or undefined before the leader has set it. */
  readonly version: string | undefined;
  readonly downgrade: { readonly enabled: boolean; readonly targetVersion: string };

  // By apply.
  add(member: ClusterMember): void;
  remove(id: MemberId): void;
  promote(id: MemberId): void;
  updatePeerUrls(id: MemberId, peerUrls: readonly string[]): void;
  updateAttributes(id: MemberId, name: string, clientUrls: readonly string[]): void;
  setVersion(version: string): void;
  setDowngrade(enabled: boolean, targetVersion: string): void;
  /** Whether a configuration change may be applied (unknown, existing, removed member; url in use; learner rules), by etcd's rules. */
  validate(
    change: { readonly type: number; readonly nodeId: MemberId; readonly context: Uint8Array },
    maxLearners: number,
  ): Status | undefined;

  restore(): void;
  onChange(fn: () => void): void;
}

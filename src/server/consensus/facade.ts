/** What services, http, maintenance and the peer room see of a running member. Implemented by `server/server.ts` and `consensus/`. */
import type { Status } from '../../api/status.ts';
import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import type { Random } from '../../base/random.ts';
import type { RaftStatus } from '../../raft/machine.ts';
import type { MemberId } from '../../raft/types.ts';
import type { AlarmStore } from '../alarm/alarm-store.ts';
import type { AuthInfo, Completion, RaftRequest } from '../apply/types.ts';
import type { AuthStore } from '../auth/auth-store.ts';
import type { ServerConfig } from '../config/config.ts';
import type { Lessor } from '../lease/lessor.ts';
import type { Cluster, ClusterMember } from '../membership/cluster.ts';
import type { MvccStore } from '../mvcc/types.ts';
import type { Backend } from '../storage/backend.ts';

export interface MemberFacade {
  readonly config: ServerConfig;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly memberId: MemberId;
  readonly clusterId: bigint;

  readonly backend: Backend;
  readonly kv: MvccStore;
  readonly lessor: Lessor;
  readonly auth: AuthStore;
  readonly alarms: AlarmStore;
  readonly cluster: Cluster;

  readonly raftTerm: number;
  readonly committedIndex: number;
  readonly appliedIndex: number;
  /** 0n when none is known. */
  readonly leader: MemberId;
  readonly isLeader: boolean;
  readonly isLearner: boolean;
  raftStatus(): RaftStatus;
  /** Unique ids for requests and leases: upper 16 bits from the member id, then time, then a counter (peer-protocol.md "Identity"). */
  nextId(): bigint;

  /**
   * Sends a request through raft; `completion` is told after apply, or of: too many requests, request is too large, request timed out
   * (with its two "possibly due to" forms), server stopped, leader changed.
   */
  propose(request: RaftRequest, auth: AuthInfo | undefined, completion: Completion): void;
  /**
   * A put or delete whose request bytes travel as they are: `field` is the field number in InternalRaftRequest. `message` is the same request,
   * when the caller has decoded it already: it must not be changed afterwards.
   */
  proposeEncoded(field: number, request: Uint8Array, auth: AuthInfo | undefined, completion: Completion, message?: unknown): void;
  /** Runs `done` once a read sees every write acknowledged before now; many callers share one round. */
  linearizableRead(done: (error: Status | undefined) => void): void;
  /** When the newest round of such reads was over, monotonic ms. */
  readonly readAgreedMs: number;

  /** Configuration changes. `done` gets the members after the change. */
  addMember(peerUrls: readonly string[], isLearner: boolean, done: MemberDone): void;
  removeMember(id: MemberId, done: MemberDone): void;
  updateMember(id: MemberId, peerUrls: readonly string[], done: MemberDone): void;
  promoteMember(id: MemberId, done: MemberDone): void;
  moveLeader(to: MemberId, done: (error: Status | undefined) => void): void;

  /** Renews on the leader, here or by asking it; `ttl` in seconds. */
  renewLease(id: bigint, done: (error: Status | undefined, ttl: number) => void): void;
  leaseTimeToLive(id: bigint, withKeys: boolean, done: (error: Status | undefined, info: LeaseInfo | undefined) => void): void;

  /** Runs `fn` with true when the member lost its leader for three election timeouts; returns the way to stop listening. */
  onLeaderLost(fn: () => void): () => void;
  /** Runs `fn` when the member begins to stop: open streams end then. */
  onStop(fn: () => void): () => void;
}

export type MemberDone = (
  error: Status | undefined,
  result: { readonly member: ClusterMember | undefined; readonly members: readonly ClusterMember[] } | undefined,
) => void;

export interface LeaseInfo {
  /** Seconds left; −1 when the lease is gone. */
  readonly ttl: number;
  readonly grantedTtl: number;
  readonly keys: readonly Uint8Array[];
}

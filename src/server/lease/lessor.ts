/** Leases: replicated grants and revokes, and the leader's clock over them. */
import type { Status } from '../../api/status.ts';

export interface Lease {
  readonly id: bigint;
  /** Granted TTL in seconds. */
  readonly ttl: number;
  /** Checkpointed remaining TTL in seconds; 0 = none. */
  readonly remainingTtl: number;
}

/** Implemented in this room. Grant, revoke and checkpoint are called by apply; renew and expiry by the leader alone. */
export interface Lessor {
  grant(id: bigint, ttl: number): { error: Status | undefined; lease: Lease | undefined };
  /** Only the lease itself; apply deletes the attached keys (`backend.leaseKeys`) in the same turn, sorted, in one revision. */
  revoke(id: bigint): Status | undefined;
  checkpoint(id: bigint, remainingTtl: number): Status | undefined;
  has(id: bigint): boolean;
  lookup(id: bigint): Lease | undefined;
  /**
   * Leader only: pushes the expiry out; TTL in seconds, or undefined when the lease is unknown or has ended (see `isEnded`). A lease with a
   * checkpointed `remainingTtl` must first get a checkpoint of 0 through raft, else a next leader would cut the acked renewal short (G-L-1).
   */
  renew(id: bigint): number | undefined;
  /** Leader only: its time is over but its revoke is not applied yet. A renewal then waits by `whenSettled` and tries again. */
  isEnded(id: bigint): boolean;
  /** Runs `fn` once the lease is revoked or this member is no longer the leader (at once when that is so). */
  whenSettled(id: bigint, fn: () => void): void;
  /** Seconds left by the leader's clock (rounded as etcd rounds). */
  remaining(id: bigint): number | undefined;
  /** Sorted by expiry. */
  list(): Lease[];
  /** Becoming leader: every lease is extended by at least what this member could not have known of (G-L-4). */
  promote(extendMs: number): void;
  demote(): void;
  readonly isPrimary: boolean;
  /** Up to `limit` leases that are due now, for the leader to revoke through raft; each is handed out again after 3 s if still there. */
  due(limit: number): bigint[];
  /** Leases whose remaining TTL is due for a checkpoint, at most `limit`. */
  checkpointsDue(limit: number): { id: bigint; remainingTtl: number }[];
  /** Reads everything anew from the backend. */
  restore(): void;
  readonly count: number;
}

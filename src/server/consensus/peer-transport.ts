/** What consensus asks of the peer room. A member alone has nobody to talk to: `nullTransport`. */
import { errors, type Status } from '../../api/status.ts';
import type { MemberId, Message } from '../../raft/types.ts';
import type { HashResult } from '../mvcc/types.ts';
import type { BackendView } from '../storage/backend.ts';
import type { LeaseInfo, MemberDone } from './facade.ts';

export interface PeerTransport {
  /** Messages in order, for members other than this one; a member that cannot be reached is reported to raft. Never blocks. */
  send(messages: readonly Message[]): void;
  /**
   * A MsgSnap whose metadata matches `view`. The transport streams the view as a bbolt file, releases it, and reports the outcome to raft by
   * `ReadyLoop.reportSnapshot`.
   */
  sendSnapshot(message: Message, view: BackendView): void;
  addPeer(id: MemberId, peerUrls: readonly string[]): void;
  removePeer(id: MemberId): void;
  updatePeer(id: MemberId, peerUrls: readonly string[]): void;
  /** Since when the connection to a member has been up without a break, in ms on the monotonic clock; undefined when it is down. */
  activeSince(id: MemberId): number | undefined;
  /** Server and cluster version of each other member; undefined where it did not answer. */
  versions(done: (versions: ReadonlyMap<MemberId, PeerVersion | undefined>) => void): void;
  /** Content hashes of the other members at `rev`, for corruption checks; undefined where there is none. */
  hashes(rev: number, done: (hashes: ReadonlyMap<MemberId, PeerHash | undefined>) => void): void;

  // Questions that only the leader answers, put to it over HTTP.
  renewLease(leader: MemberId, id: bigint, done: (error: Status | undefined, ttl: number) => void): void;
  leaseTimeToLive(
    leader: MemberId,
    id: bigint,
    withKeys: boolean,
    done: (error: Status | undefined, info: LeaseInfo | undefined) => void,
  ): void;
  promoteMember(leader: MemberId, id: MemberId, done: MemberDone): void;

  stop(): void;
}

export interface PeerVersion {
  readonly server: string;
  readonly cluster: string;
}

export interface PeerHash {
  readonly hash: number;
  readonly hashRevision: number;
  /** Hashes are compared where it is the same. `bareRevision` where nothing can be told by the hash. */
  readonly compactRevision: number;
  readonly revision: number;
}

/**
 * In the place of a compacted revision: no key is visible at the revision that was asked for, so that the hash depends on whether the member has
 * applied a compaction there yet. No member is ever compacted to it (−1 is "never"), so a leader, of etcd too, compares such a hash with none.
 */
export const bareRevision = -2;

/** What a member tells its peers of a hash. Without a compaction there is only one way to make it. */
export function peerHashOf({ hash, hashRevision, compactRevision, bare }: HashResult, revision: number): PeerHash {
  return { hash, hashRevision, compactRevision: bare && compactRevision >= 0 ? bareRevision : compactRevision, revision };
}

export const nullTransport: PeerTransport = {
  send() {},
  sendSnapshot(_message, view) {
    view.release();
  },
  addPeer() {},
  removePeer() {},
  updatePeer() {},
  activeSince: () => undefined,
  versions(done) {
    done(new Map());
  },
  hashes(_rev, done) {
    done(new Map());
  },
  renewLease(_leader, _id, done) {
    done(errors.noLeader, 0);
  },
  leaseTimeToLive(_leader, _id, _withKeys, done) {
    done(errors.noLeader, undefined);
  },
  promoteMember(_leader, _id, done) {
    done(errors.noLeader, undefined);
  },
  stop() {},
};

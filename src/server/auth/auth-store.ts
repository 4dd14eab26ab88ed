/** Users, roles and permissions, in the buckets `auth`, `authUsers` and `authRoles`; checked again at apply time. */
import type { InternalRaftRequest } from '../../api/gen/etcdserverpb.ts';
import type { Status } from '../../api/status.ts';
import type { Metadata, PeerInfo } from '../../wire/call.ts';
import type { ApplyResult, AuthInfo, RaftRequest } from '../apply/types.ts';

export interface AuthStore {
  readonly enabled: boolean;
  readonly revision: number;
  /** What the member itself acts as (expiry of leases, for one): root at the newest revision; undefined when auth is off. */
  rootInfo(): AuthInfo | undefined;
  /** Who makes this call: from its token or certificate. Undefined info when auth is off or none is given. */
  authInfo(metadata: Metadata, peer: PeerInfo): { error: Status | undefined; info: AuthInfo | undefined };
  /**
   * The raft index that a member must have applied before it can know the call's token; 0 = none. A member that lags waits for it rather than
   * refuse a good token.
   */
  tokenIndex(metadata: Metadata): number;
  /** At apply and before serving: may this user make this request? Also checks the auth revision. Undefined = yes. */
  check(info: AuthInfo | undefined, request: RaftRequest): Status | undefined;
  checkRange(info: AuthInfo | undefined, key: Uint8Array, rangeEnd: Uint8Array, write: boolean): Status | undefined;
  checkAdmin(info: AuthInfo | undefined): Status | undefined;
  /** Somebody known to be somebody: what calls need that no permission covers. */
  checkUser(info: AuthInfo | undefined): Status | undefined;
  /** May every key attached to this lease be read (or written)? Always yes for root. */
  checkLease(info: AuthInfo | undefined, lease: bigint, write: boolean): Status | undefined;
  /** Applies one of the auth requests. The caller fills in the revision of the result's header. */
  apply(request: InternalRaftRequest): ApplyResult;
  /**
   * Decides what must not be decided at apply: hashes passwords, checks the password of an `authenticate` request and picks its token. `done`
   * gets the request to propose, without the password.
   *
   * For `authenticate` the password is right as of `revision` at the moment of `done`. When `revision` is another once the request is applied,
   * begin anew: the user may have been changed in between, and the token is of an old revision.
   * @param from  the caller's address, for the log of failures
   */
  prepare(request: RaftRequest, done: (error: Status | undefined, request: RaftRequest | undefined) => void, from?: string): void;
  restore(): void;
  close(): void;
}

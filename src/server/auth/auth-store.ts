/** Users, roles and permissions, in the buckets `auth`, `authUsers` and `authRoles`; checked again at apply time. */
import type { InternalRaftRequest } from '../../api/gen/etcdserverpb.ts';
import type { Status } from '../../api/status.ts';
import type { Metadata, PeerInfo } from '../../wire/call.ts';
import type { ApplyResult, AuthInfo } from '../apply/types.ts';

export interface AuthStore {
  readonly enabled: boolean;
  readonly revision: number;
  /** Who makes this call: from its token or certificate. Undefined info when auth is off or none is given. */
  authInfo(metadata: Metadata, peer: PeerInfo): { error: Status | undefined; info: AuthInfo | undefined };
  /** At apply and before serving: may this user make this request? Also checks the auth revision. Undefined = yes. */
  check(info: AuthInfo | undefined, request: InternalRaftRequest): Status | undefined;
  checkRange(info: AuthInfo | undefined, key: Uint8Array, rangeEnd: Uint8Array, write: boolean): Status | undefined;
  checkAdmin(info: AuthInfo | undefined): Status | undefined;
  /** Applies one of the auth requests. */
  apply(request: InternalRaftRequest): ApplyResult;
  /** Decides what must not be decided at apply: hashes passwords, picks tokens. `done` gets the request to propose. */
  prepare(request: InternalRaftRequest, done: (error: Status | undefined, request: InternalRaftRequest | undefined) => void): void;
  restore(): void;
  close(): void;
}

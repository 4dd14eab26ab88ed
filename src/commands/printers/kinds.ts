/** Everything that a command may print, by kind, with its message. */
import type {
  AlarmResponse,
  AuthStatusResponse,
  DeleteRangeResponse,
  DowngradeResponse,
  HashKVResponse,
  LeaseGrantResponse,
  LeaseKeepAliveResponse,
  LeaseLeasesResponse,
  LeaseRevokeResponse,
  LeaseTimeToLiveResponse,
  MemberListResponse,
  MoveLeaderResponse,
  PutResponse,
  RangeResponse,
  ResponseHeader,
  StatusResponse,
  TxnResponse,
  WatchResponse,
  AuthRoleGetResponse,
  AuthRoleListResponse,
  AuthUserGetResponse,
  AuthUserListResponse,
} from '../../api/gen/etcdserverpb.ts';
import type { Member } from '../../api/gen/etcdserverpb.ts';
import type { KeyValue } from '../../api/gen/mvccpb.ts';
import type { RangeHead } from '../kv/range-parts.ts';

export interface EndpointHealth {
  readonly endpoint: string;
  readonly health: boolean;
  /** Milliseconds. */
  readonly tookMs: number;
  readonly error: string;
}

/** A message that is told in a sentence: the words for `simple`, and the response for the other formats. */
export interface Told {
  readonly words: string;
  readonly message: object;
  readonly typeName: string;
}

export interface Kinds {
  put: PutResponse;
  get: RangeResponse;
  del: DeleteRangeResponse;
  txn: TxnResponse;
  watch: WatchResponse;
  grant: LeaseGrantResponse;
  revoke: { readonly id: bigint; readonly response: LeaseRevokeResponse };
  keepAlive: LeaseKeepAliveResponse;
  timeToLive: { readonly response: LeaseTimeToLiveResponse; readonly keys: boolean };
  leases: LeaseLeasesResponse;
  memberList: MemberListResponse;
  /** Add, remove, update and promote: no `fields` for these. */
  member: Told & { readonly member?: Member };
  moveLeader: { readonly words: string; readonly response: MoveLeaderResponse };
  endpointHealth: readonly EndpointHealth[];
  endpointStatus: readonly { readonly endpoint: string; readonly status: StatusResponse }[];
  endpointHashKv: readonly { readonly endpoint: string; readonly hash: HashKVResponse }[];
  alarm: AlarmResponse;
  downgrade: { readonly words: string; readonly response: DowngradeResponse };
  /** Changes of roles and users: a sentence, or the header. */
  authChange: Told & { readonly message: { readonly header: ResponseHeader | undefined } };
  roleGet: { readonly role: string; readonly response: AuthRoleGetResponse };
  roleList: AuthRoleListResponse;
  userGet: { readonly user: string; readonly response: AuthUserGetResponse };
  userList: AuthUserListResponse;
  authStatus: AuthStatusResponse;
}
export type Kind = keyof Kinds;

/** Takes the pairs of a range as they come. */
export interface RangeSink {
  pairs(kvs: readonly KeyValue[]): void;
  /** After the last. */
  end(): void;
}

/** What one format does for each kind it supports; `range` prints a large `get` in parts, byte for byte as `get` does at once. */
export type Shows = { readonly [K in Kind]?: (value: Kinds[K]) => void };
export type Format = Shows & {
  readonly range?: (head: RangeHead) => RangeSink;
};

/** `get` of a format that prints ranges in parts. */
export function atOnce(range: (head: RangeHead) => RangeSink): (r: RangeResponse) => void {
  return (r) => {
    const sink = range(r);
    sink.pairs(r.kvs);
    sink.end();
  };
}

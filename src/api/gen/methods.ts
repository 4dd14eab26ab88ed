// Generated from proto/ by scripts/generate-api.mjs. Do not edit: change the .proto and run `npm run generate`.
import type { Codec } from '../proto-io.ts';
import {
  AlarmRequest,
  AlarmResponse,
  AuthDisableRequest,
  AuthDisableResponse,
  AuthEnableRequest,
  AuthEnableResponse,
  AuthRoleAddRequest,
  AuthRoleAddResponse,
  AuthRoleDeleteRequest,
  AuthRoleDeleteResponse,
  AuthRoleGetRequest,
  AuthRoleGetResponse,
  AuthRoleGrantPermissionRequest,
  AuthRoleGrantPermissionResponse,
  AuthRoleListRequest,
  AuthRoleListResponse,
  AuthRoleRevokePermissionRequest,
  AuthRoleRevokePermissionResponse,
  AuthStatusRequest,
  AuthStatusResponse,
  AuthUserAddRequest,
  AuthUserAddResponse,
  AuthUserChangePasswordRequest,
  AuthUserChangePasswordResponse,
  AuthUserDeleteRequest,
  AuthUserDeleteResponse,
  AuthUserGetRequest,
  AuthUserGetResponse,
  AuthUserGrantRoleRequest,
  AuthUserGrantRoleResponse,
  AuthUserListRequest,
  AuthUserListResponse,
  AuthUserRevokeRoleRequest,
  AuthUserRevokeRoleResponse,
  AuthenticateRequest,
  AuthenticateResponse,
  CompactionRequest,
  CompactionResponse,
  DefragmentRequest,
  DefragmentResponse,
  DeleteRangeRequest,
  DeleteRangeResponse,
  DowngradeRequest,
  DowngradeResponse,
  HashKVRequest,
  HashKVResponse,
  HashRequest,
  HashResponse,
  LeaseGrantRequest,
  LeaseGrantResponse,
  LeaseKeepAliveRequest,
  LeaseKeepAliveResponse,
  LeaseLeasesRequest,
  LeaseLeasesResponse,
  LeaseRevokeRequest,
  LeaseRevokeResponse,
  LeaseTimeToLiveRequest,
  LeaseTimeToLiveResponse,
  MemberAddRequest,
  MemberAddResponse,
  MemberListRequest,
  MemberListResponse,
  MemberPromoteRequest,
  MemberPromoteResponse,
  MemberRemoveRequest,
  MemberRemoveResponse,
  MemberUpdateRequest,
  MemberUpdateResponse,
  MoveLeaderRequest,
  MoveLeaderResponse,
  PutRequest,
  PutResponse,
  RangeRequest,
  RangeResponse,
  RangeStreamResponse,
  SnapshotRequest,
  SnapshotResponse,
  StatusRequest,
  StatusResponse,
  TxnRequest,
  TxnResponse,
  WatchRequest,
  WatchResponse,
} from './etcdserverpb.ts';
import { LockRequest, LockResponse, UnlockRequest, UnlockResponse } from './v3lockpb.ts';
import {
  CampaignRequest,
  CampaignResponse,
  LeaderRequest,
  LeaderResponse,
  ProclaimRequest,
  ProclaimResponse,
  ResignRequest,
  ResignResponse,
} from './v3electionpb.ts';

/** One RPC: its gRPC path, codecs, which sides stream, and its JSON gateway path ('' where it has none). */
export interface MethodDef<Req = unknown, Res = unknown> {
  readonly path: string;
  readonly service: string;
  readonly name: string;
  readonly request: Codec<Req>;
  readonly response: Codec<Res>;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
  readonly httpPath: string;
}

export const KV = {
  range: {
    path: '/etcdserverpb.KV/Range',
    service: 'etcdserverpb.KV',
    name: 'Range',
    request: RangeRequest,
    response: RangeResponse,
    requestStream: false,
    responseStream: false,
    httpPath: '/v3/kv/range',
  } as MethodDef<RangeRequest, RangeResponse>,
  rangeStream: {
    path: '/etcdserverpb.KV/RangeStream',
    service: 'etcdserverpb.KV',
    name: 'RangeStream',
    request: RangeRequest,
    response: RangeStreamResponse,
    requestStream: false,
    responseStream: true,
    httpPath: '',
  } as MethodDef<RangeRequest, RangeStreamResponse>,
  put: {
    path: '/etcdserverpb.KV/Put',
    service: 'etcdserverpb.KV',
    name: 'Put',
    request: PutRequest,
    response: PutResponse,
    requestStream: false,
    responseStream: false,
    httpPath: '/v3/kv/put',
  } as MethodDef<PutRequest, PutResponse>,
  deleteRange: {
    path: '/etcdserverpb.KV/DeleteRange',
    service: 'etcdserverpb.KV',
    name: 'DeleteRange',
    request: DeleteRangeRequest,
    response: DeleteRangeResponse,
    requestStream: false,
    responseStream: false,
    httpPath: '/v3/kv/deleterange',
  } as MethodDef<DeleteRangeRequest, DeleteRangeResponse>,
  txn: {
    path: '/etcdserverpb.KV/Txn',
    service: 'etcdserverpb.KV',
    name: 'Txn',
    request: TxnRequest,
    response: TxnResponse,
    requestStream: false,
    responseStream: false,
    httpPath: '/v3/kv/txn',
  } as MethodDef<TxnRequest, TxnResponse>,
  compact: {
    path: '/etcdserverpb.KV/Compact',
    service: 'etcdserverpb.KV',
    name: 'Compact',
    request: CompactionRequest,
    response: CompactionResponse,
    requestStream: false,
    responseStream: false,
    httpPath: '/v3/kv/compaction',
  } as MethodDef<CompactionRequest, CompactionResponse>,
} as const;

export const Watch = {
  watch: {
    path: '/etcdserverpb.Watch/Watch',
    service: 'etcdserverpb.Watch',
    name: 'Watch',
    request: WatchRequest,
    response: WatchResponse,
    requestStream: true,
    responseStream: true,
    httpPath: '/v3/watch',
  } as MethodDef<WatchRequest, WatchResponse>,
} as const;

export const Lease = {
  leaseGrant: {
    path: '/etcdserverpb.Lease/LeaseGrant',
    service: 'etcdserverpb.Lease',
    name: 'LeaseGrant',
    request: LeaseGrantRequest,
    response: LeaseGrantResponse,
    requestStream: false,
    responseStream: false,
    httpPath: '/v3/lease/grant',
  } as MethodDef<LeaseGrantRequest, LeaseGrantResponse>,
  leaseRevoke: {
    path: '/etcdserverpb.Lease/LeaseRevoke',
    service: 'etcdserverpb.Lease',
    name: 'LeaseRevoke',
    request: LeaseRevokeRequest,
    response: LeaseRevokeResponse,
    requestStream: false,
    responseStream: false,
    httpPath: '/v3/lease/revoke',
  } as MethodDef<LeaseRevokeRequest, LeaseRevokeResponse>,
  leaseKeepAlive: {
    path: '/etcdserverpb.Lease/LeaseKeepAlive',
    service: 'etcdserverpb.Lease',
    name: 'LeaseKeepAlive',
    request: LeaseKeepAliveRequest,
    response: LeaseKeepAliveResponse,
    requestStream: true,
    responseStream: true,
    httpPath: '/v3/lease/keepalive',
  } as MethodDef<LeaseKeepAliveRequest, LeaseKeepAliveResponse>,
  leaseTimeToLive: {
    path: '/etcdserverpb.Lease/LeaseTimeToLive',
    service: 'etcdserverpb.Lease',
    name: 'LeaseTimeToLive',
    request: LeaseTimeToLiveRequest,
    response: LeaseTimeToLiveResponse,
    requestStream: false,
    responseStream: false,
    httpPath: '/v3/lease/timetolive',
  } as MethodDef<LeaseTimeToLiveRequest, LeaseTimeToLiveResponse>,
  leaseLeases: {
    path: '/etcdserverpb.Lease/LeaseLeases',
    service: 'etcdserverpb.Lease',
    name: 'LeaseLeases',
    request: LeaseLeasesRequest,
    response: LeaseLeasesResponse,
    requestStream: false,
    responseStream: false,
    httpPath: '/v3/lease/leases',
  } as MethodDef<LeaseLeasesRequest, LeaseLeasesResponse>,
} as const;

export const Cluster = {
  memberAdd: {
    path: '/etcdserverpb.Cluster/MemberAdd',
    service: 'etcdserverpb.Cluster',
    name: 'MemberAdd',
    request: MemberAddRequest,
    response: MemberAddResponse,
    requestStream: false,
    responseStream: false,
    httpPath: '/v3/cluster/member/add',
  } as MethodDef<MemberAddRequest, MemberAddResponse>,
  memberRemove: {
    path: '/etcdserverpb.Cluster/MemberRemove',
    service: 'etcdserverpb.Cluster',
    name: 'MemberRemove',
    request: MemberRemoveRequest,
    response: MemberRemoveResponse,
    requestStream: false,
    responseStream: false,
    httpPath: '/v3/cluster/member/remove',
  } as MethodDef<MemberRemoveRequest, MemberRemoveResponse>,
  memberUpdate: {
    path: '/etcdserverpb.Cluster/MemberUpdate',
    service: 'etcdserverpb.Cluster',
    name: 'MemberUpdate',
    request: MemberUpdateRequest,
    response: MemberUpdateResponse,
    requestStream: false,
    responseStream: false,
    httpPath: '/v3/cluster/member/update',
  } as MethodDef<MemberUpdateRequest, MemberUpdateResponse>,
  memberList: {
    path: '/etcdserverpb.Cluster/MemberList',
    service: 'etcdserverpb.Cluster',
    name: 'MemberList',
    request: MemberListRequest,
    response: MemberListResponse,
    requestStream: false,
    responseStream: false,
    httpPath: '/v3/cluster/member/list',
  } as MethodDef<MemberListRequest, MemberListResponse>,
  memberPromote: {
    path: '/etcdserverpb.Cluster/MemberPromote',
    service: 'etcdserverpb.Cluster',
    name: 'MemberPromote',
    request: MemberPromoteRequest,
    response: MemberPromoteResponse,
    requestStream: false,
    responseStream: false,
    httpPath: '/v3/cluster/member/promote',
  } as MethodDef<MemberPromoteRequest, MemberPromoteResponse>,
} as const;

export const Maintenance = {
  alarm: {
    path: '/etcdserverpb.Maintenance/Alarm',
    service: 'etcdserverpb.Maintenance',
    name: 'Alarm',
    request: AlarmRequest,
    response: AlarmResponse,
    requestStream: false,
    responseStream: false,
    httpPath: '/v3/maintenance/alarm',
  } as MethodDef<AlarmRequest, AlarmResponse>,
  status: {
    path: '/etcdserverpb.Maintenance/Status',
    service: 'etcdserverpb.Maintenance',
    name: 'Status',
    request: StatusRequest,
    response: StatusResponse,
    requestStream: false,
    responseStream: false,
    httpPath: '/v3/maintenance/status',
  } as MethodDef<StatusRequest, StatusResponse>,
  defragment: {
    path: '/etcdserverpb.Maintenance/Defragment',
    service: 'etcdserverpb.Maintenance',
    name: 'Defragment',
    request: DefragmentRequest,
    response: DefragmentResponse,
    requestStream: false,
    responseStream: false,
    httpPath: '/v3/maintenance/defragment',
  } as MethodDef<DefragmentRequest, DefragmentResponse>,
  hash: {
    path: '/etcdserverpb.Maintenance/Hash',
    service: 'etcdserverpb.Maintenance',
    name: 'Hash',
    request: HashRequest,
    response: HashResponse,
    requestStream: false,
    responseStream: false,
    httpPath: '/v3/maintenance/hash',
  } as MethodDef<HashRequest, HashResponse>,
  hashKV: {
    path: '/etcdserverpb.Maintenance/HashKV',
    service: 'etcdserverpb.Maintenance',
    name: 'HashKV',
    request: HashKVRequest,
    response: HashKVResponse,
    requestStream: false,
    responseStream: false,
    httpPath: '/v3/maintenance/hashkv',
  } as MethodDef<HashKVRequest, HashKVResponse>,
  snapshot: {
    path: '/etcdserverpb.Maintenance/Snapshot',
    service: 'etcdserverpb.Maintenance',
    name: 'Snapshot',
    request: SnapshotRequest,
    response: SnapshotResponse,
    requestStream: false,
    responseStream: true,
    httpPath: '/v3/maintenance/snapshot',
  } as MethodDef<SnapshotRequest, SnapshotResponse>,
  moveLeader: {
    path: '/etcdserverpb.Maintenance/MoveLeader',
    service: 'etcdserverpb.Maintenance',
    name: 'MoveLeader',
    request: MoveLeaderRequest,
    response: MoveLeaderResponse,
    requestStream: false,
    responseStream: false,
    httpPath: '/v3/maintenance/transfer-leadership',
  } as MethodDef<MoveLeaderRequest, MoveLeaderResponse>,
  downgrade: {
    path: '/etcdserverpb.Maintenance/Downgrade',
    service: 'etcdserverpb.Maintenance',
    name: 'Downgrade',
    request: DowngradeRequest,
    response: DowngradeResponse,
    requestStream: false,
    responseStream: false,
    httpPath: '/v3/maintenance/downgrade',
  } as MethodDef<DowngradeRequest, DowngradeResponse>,
} as const;

export const Auth = {
  authEnable: {
    path: '/etcdserverpb.Auth/AuthEnable',
    service: 'etcdserverpb.Auth',
    name: 'AuthEnable',
    request: AuthEnableRequest,
    response: AuthEnableResponse,
    requestStream: false,
    responseStream: false,
    httpPath: '/v3/auth/enable',
  } as MethodDef<AuthEnableRequest, AuthEnableResponse>,
  authDisable: {
    path: '/etcdserverpb.Auth/AuthDisable',
    service: 'etcdserverpb.Auth',
    name: 'AuthDisable',
    request: AuthDisableRequest,
    response: AuthDisableResponse,
    requestStream: false,
    responseStream: false,
    httpPath: '/v3/auth/disable',
  } as MethodDef<AuthDisableRequest, AuthDisableResponse>,
  authStatus: {
    path: '/etcdserverpb.Auth/AuthStatus',
    service: 'etcdserverpb.Auth',
    name: 'AuthStatus',
    request: AuthStatusRequest,
    response: AuthStatusResponse,
    requestStream: false,
    responseStream: false,
    httpPath: '/v3/auth/status',
  } as MethodDef<AuthStatusRequest, AuthStatusResponse>,
  authenticate: {
    path: '/etcdserverpb.Auth/Authenticate',
    service: 'etcdserverpb.Auth',
    name: 'Authenticate',
    request: AuthenticateRequest,
    response: AuthenticateResponse,
    requestStream: false,
    responseStream: false,
    httpPath: '/v3/auth/authenticate',
  } as MethodDef<AuthenticateRequest, AuthenticateResponse>,
  userAdd: {
    path: '/etcdserverpb.Auth/UserAdd',
    service: 'etcdserverpb.Auth',
    name: 'UserAdd',
    request: AuthUserAddRequest,
    response: AuthUserAddResponse,
    requestStream: false,
    responseStream: false,
    httpPath: '/v3/auth/user/add',
  } as MethodDef<AuthUserAddRequest, AuthUserAddResponse>,
  userGet: {
    path: '/etcdserverpb.Auth/UserGet',
    service: 'etcdserverpb.Auth',
    name: 'UserGet',
    request: AuthUserGetRequest,
    response: AuthUserGetResponse,
    requestStream: false,
    responseStream: false,
    httpPath: '/v3/auth/user/get',
  } as MethodDef<AuthUserGetRequest, AuthUserGetResponse>,
  userList: {
    path: '/etcdserverpb.Auth/UserList',
    service: 'etcdserverpb.Auth',
    name: 'UserList',
    request: AuthUserListRequest,
    response: AuthUserListResponse,
    requestStream: false,
    responseStream: false,
    httpPath: '/v3/auth/user/list',
  } as MethodDef<AuthUserListRequest, AuthUserListResponse>,
  userDelete: {
    path: '/etcdserverpb.Auth/UserDelete',
    service: 'etcdserverpb.Auth',
    name: 'UserDelete',
    request: AuthUserDeleteRequest,
    response: AuthUserDeleteResponse,
    requestStream: false,
    responseStream: false,
    httpPath: '/v3/auth/user/delete',
  } as MethodDef<AuthUserDeleteRequest, AuthUserDeleteResponse>,
  userChangePassword: {
    path: '/etcdserverpb.Auth/UserChangePassword',
    service: 'etcdserverpb.Auth',
    name: 'UserChangePassword',
    request: AuthUserChangePasswordRequest,
    response: AuthUserChangePasswordResponse,
    requestStream: false,
    responseStream: false,
    httpPath: '/v3/auth/user/changepw',
  } as MethodDef<AuthUserChangePasswordRequest, AuthUserChangePasswordResponse>,
  userGrantRole: {
    path: '/etcdserverpb.Auth/UserGrantRole',
    service: 'etcdserverpb.Auth',
    name: 'UserGrantRole',
    request: AuthUserGrantRoleRequest,
    response: AuthUserGrantRoleResponse,
    requestStream: false,
    responseStream: false,
    httpPath: '/v3/auth/user/grant',
  } as MethodDef<AuthUserGrantRoleRequest, AuthUserGrantRoleResponse>,
  userRevokeRole: {
    path: '/etcdserverpb.Auth/UserRevokeRole',
    service: 'etcdserverpb.Auth',
    name: 'UserRevokeRole',
    request: AuthUserRevokeRoleRequest,
    response: AuthUserRevokeRoleResponse,
    requestStream: false,
    responseStream: false,
    httpPath: '/v3/auth/user/revoke',
  } as MethodDef<AuthUserRevokeRoleRequest, AuthUserRevokeRoleResponse>,
  roleAdd: {
    path: '/etcdserverpb.Auth/RoleAdd',
    service: 'etcdserverpb.Auth',
    name: 'RoleAdd',
    request: AuthRoleAddRequest,
    response: AuthRoleAddResponse,
    requestStream: false,
    responseStream: false,
    httpPath: '/v3/auth/role/add',
  } as MethodDef<AuthRoleAddRequest, AuthRoleAddResponse>,
  roleGet: {
    path: '/etcdserverpb.Auth/RoleGet',
    service: 'etcdserverpb.Auth',
    name: 'RoleGet',
    request: AuthRoleGetRequest,
    response: AuthRoleGetResponse,
    requestStream: false,
    responseStream: false,
    httpPath: '/v3/auth/role/get',
  } as MethodDef<AuthRoleGetRequest, AuthRoleGetResponse>,
  roleList: {
    path: '/etcdserverpb.Auth/RoleList',
    service: 'etcdserverpb.Auth',
    name: 'RoleList',
    request: AuthRoleListRequest,
    response: AuthRoleListResponse,
    requestStream: false,
    responseStream: false,
    httpPath: '/v3/auth/role/list',
  } as MethodDef<AuthRoleListRequest, AuthRoleListResponse>,
  roleDelete: {
    path: '/etcdserverpb.Auth/RoleDelete',
    service: 'etcdserverpb.Auth',
    name: 'RoleDelete',
    request: AuthRoleDeleteRequest,
    response: AuthRoleDeleteResponse,
    requestStream: false,
    responseStream: false,
    httpPath: '/v3/auth/role/delete',
  } as MethodDef<AuthRoleDeleteRequest, AuthRoleDeleteResponse>,
  roleGrantPermission: {
    path: '/etcdserverpb.Auth/RoleGrantPermission',
    service: 'etcdserverpb.Auth',
    name: 'RoleGrantPermission',
    request: AuthRoleGrantPermissionRequest,
    response: AuthRoleGrantPermissionResponse,
    requestStream: false,
    responseStream: false,
    httpPath: '/v3/auth/role/grant',
  } as MethodDef<AuthRoleGrantPermissionRequest, AuthRoleGrantPermissionResponse>,
  roleRevokePermission: {
    path: '/etcdserverpb.Auth/RoleRevokePermission',
    service: 'etcdserverpb.Auth',
    name: 'RoleRevokePermission',
    request: AuthRoleRevokePermissionRequest,
    response: AuthRoleRevokePermissionResponse,
    requestStream: false,
    responseStream: false,
    httpPath: '/v3/auth/role/revoke',
  } as MethodDef<AuthRoleRevokePermissionRequest, AuthRoleRevokePermissionResponse>,
} as const;

export const Lock = {
  lock: {
    path: '/v3lockpb.Lock/Lock',
    service: 'v3lockpb.Lock',
    name: 'Lock',
    request: LockRequest,
    response: LockResponse,
    requestStream: false,
    responseStream: false,
    httpPath: '/v3/lock/lock',
  } as MethodDef<LockRequest, LockResponse>,
  unlock: {
    path: '/v3lockpb.Lock/Unlock',
    service: 'v3lockpb.Lock',
    name: 'Unlock',
    request: UnlockRequest,
    response: UnlockResponse,
    requestStream: false,
    responseStream: false,
    httpPath: '/v3/lock/unlock',
  } as MethodDef<UnlockRequest, UnlockResponse>,
} as const;

export const Election = {
  campaign: {
    path: '/v3electionpb.Election/Campaign',
    service: 'v3electionpb.Election',
    name: 'Campaign',
    request: CampaignRequest,
    response: CampaignResponse,
    requestStream: false,
    responseStream: false,
    httpPath: '/v3/election/campaign',
  } as MethodDef<CampaignRequest, CampaignResponse>,
  proclaim: {
    path: '/v3electionpb.Election/Proclaim',
    service: 'v3electionpb.Election',
    name: 'Proclaim',
    request: ProclaimRequest,
    response: ProclaimResponse,
    requestStream: false,
    responseStream: false,
    httpPath: '/v3/election/proclaim',
  } as MethodDef<ProclaimRequest, ProclaimResponse>,
  leader: {
    path: '/v3electionpb.Election/Leader',
    service: 'v3electionpb.Election',
    name: 'Leader',
    request: LeaderRequest,
    response: LeaderResponse,
    requestStream: false,
    responseStream: false,
    httpPath: '/v3/election/leader',
  } as MethodDef<LeaderRequest, LeaderResponse>,
  observe: {
    path: '/v3electionpb.Election/Observe',
    service: 'v3electionpb.Election',
    name: 'Observe',
    request: LeaderRequest,
    response: LeaderResponse,
    requestStream: false,
    responseStream: true,
    httpPath: '/v3/election/observe',
  } as MethodDef<LeaderRequest, LeaderResponse>,
  resign: {
    path: '/v3electionpb.Election/Resign',
    service: 'v3electionpb.Election',
    name: 'Resign',
    request: ResignRequest,
    response: ResignResponse,
    requestStream: false,
    responseStream: false,
    httpPath: '/v3/election/resign',
  } as MethodDef<ResignRequest, ResignResponse>,
} as const;

/** Path of every method. A table keyed by it is complete, or does not compile. */
export type MethodPath =
  | '/etcdserverpb.KV/Range'
  | '/etcdserverpb.KV/RangeStream'
  | '/etcdserverpb.KV/Put'
  | '/etcdserverpb.KV/DeleteRange'
  | '/etcdserverpb.KV/Txn'
  | '/etcdserverpb.KV/Compact'
  | '/etcdserverpb.Watch/Watch'
  | '/etcdserverpb.Lease/LeaseGrant'
  | '/etcdserverpb.Lease/LeaseRevoke'
  | '/etcdserverpb.Lease/LeaseKeepAlive'
  | '/etcdserverpb.Lease/LeaseTimeToLive'
  | '/etcdserverpb.Lease/LeaseLeases'
  | '/etcdserverpb.Cluster/MemberAdd'
  | '/etcdserverpb.Cluster/MemberRemove'
  | '/etcdserverpb.Cluster/MemberUpdate'
  | '/etcdserverpb.Cluster/MemberList'
  | '/etcdserverpb.Cluster/MemberPromote'
  | '/etcdserverpb.Maintenance/Alarm'
  | '/etcdserverpb.Maintenance/Status'
  | '/etcdserverpb.Maintenance/Defragment'
  | '/etcdserverpb.Maintenance/Hash'
  | '/etcdserverpb.Maintenance/HashKV'
  | '/etcdserverpb.Maintenance/Snapshot'
  | '/etcdserverpb.Maintenance/MoveLeader'
  | '/etcdserverpb.Maintenance/Downgrade'
  | '/etcdserverpb.Auth/AuthEnable'
  | '/etcdserverpb.Auth/AuthDisable'
  | '/etcdserverpb.Auth/AuthStatus'
  | '/etcdserverpb.Auth/Authenticate'
  | '/etcdserverpb.Auth/UserAdd'
  | '/etcdserverpb.Auth/UserGet'
  | '/etcdserverpb.Auth/UserList'
  | '/etcdserverpb.Auth/UserDelete'
  | '/etcdserverpb.Auth/UserChangePassword'
  | '/etcdserverpb.Auth/UserGrantRole'
  | '/etcdserverpb.Auth/UserRevokeRole'
  | '/etcdserverpb.Auth/RoleAdd'
  | '/etcdserverpb.Auth/RoleGet'
  | '/etcdserverpb.Auth/RoleList'
  | '/etcdserverpb.Auth/RoleDelete'
  | '/etcdserverpb.Auth/RoleGrantPermission'
  | '/etcdserverpb.Auth/RoleRevokePermission'
  | '/v3lockpb.Lock/Lock'
  | '/v3lockpb.Lock/Unlock'
  | '/v3electionpb.Election/Campaign'
  | '/v3electionpb.Election/Proclaim'
  | '/v3electionpb.Election/Leader'
  | '/v3electionpb.Election/Observe'
  | '/v3electionpb.Election/Resign';

/** Every method of every service. */
export const methods: readonly MethodDef[] = [
  KV.range as MethodDef,
  KV.rangeStream as MethodDef,
  KV.put as MethodDef,
  KV.deleteRange as MethodDef,
  KV.txn as MethodDef,
  KV.compact as MethodDef,
  Watch.watch as MethodDef,
  Lease.leaseGrant as MethodDef,
  Lease.leaseRevoke as MethodDef,
  Lease.leaseKeepAlive as MethodDef,
  Lease.leaseTimeToLive as MethodDef,
  Lease.leaseLeases as MethodDef,
  Cluster.memberAdd as MethodDef,
  Cluster.memberRemove as MethodDef,
  Cluster.memberUpdate as MethodDef,
  Cluster.memberList as MethodDef,
  Cluster.memberPromote as MethodDef,
  Maintenance.alarm as MethodDef,
  Maintenance.status as MethodDef,
  Maintenance.defragment as MethodDef,
  Maintenance.hash as MethodDef,
  Maintenance.hashKV as MethodDef,
  Maintenance.snapshot as MethodDef,
  Maintenance.moveLeader as MethodDef,
  Maintenance.downgrade as MethodDef,
  Auth.authEnable as MethodDef,
  Auth.authDisable as MethodDef,
  Auth.authStatus as MethodDef,
  Auth.authenticate as MethodDef,
  Auth.userAdd as MethodDef,
  Auth.userGet as MethodDef,
  Auth.userList as MethodDef,
  Auth.userDelete as MethodDef,
  Auth.userChangePassword as MethodDef,
  Auth.userGrantRole as MethodDef,
  Auth.userRevokeRole as MethodDef,
  Auth.roleAdd as MethodDef,
  Auth.roleGet as MethodDef,
  Auth.roleList as MethodDef,
  Auth.roleDelete as MethodDef,
  Auth.roleGrantPermission as MethodDef,
  Auth.roleRevokePermission as MethodDef,
  Lock.lock as MethodDef,
  Lock.unlock as MethodDef,
  Election.campaign as MethodDef,
  Election.proclaim as MethodDef,
  Election.leader as MethodDef,
  Election.observe as MethodDef,
  Election.resign as MethodDef,
];

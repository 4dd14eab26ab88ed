/**
 * What each RPC needs: one table, keyed by the methods of the protos. It does not compile while a method has no rule, a handler cannot be
 * registered without one (`ServiceContext`), and what has none is refused (G-A-1).
 *
 * Every call passes here before its handler sees it; what goes through raft is asked again at apply. The shape of a request (empty keys, bad
 * URLs) is checked before, as etcd answers those first.
 */
import type { MethodDef, MethodPath } from '../../api/gen/methods.ts';
import {
  AlarmRequest_AlarmAction,
  type AlarmRequest,
  type AuthRoleGetRequest,
  type AuthUserGetRequest,
  type DeleteRangeRequest,
  type LeaseKeepAliveRequest,
  type LeaseRevokeRequest,
  type LeaseTimeToLiveRequest,
  type PutRequest,
  type RangeRequest,
  type TxnRequest,
  type WatchRequest,
} from '../../api/gen/etcdserverpb.ts';
import type { Status } from '../../api/status.ts';
import { errors } from '../../api/status.ts';
import { invariant } from '../../base/invariant.ts';
import type { AuthInfo } from '../apply/types.ts';
import { watchRange } from '../txn/key-ranges.ts';
import type { AuthStore } from './auth-store.ts';

/**
 * - `open`: anybody
 * - `user`: somebody known
 * - `admin`: a user with the root role
 * - `keys`: permissions on the keys that the request names
 * - `lease`: permissions on the keys attached to the lease, and a user
 * - `own`: root, or the user for what concerns itself
 * - `inner`: made of KV calls with the caller's identity, each of which is checked
 */
export type Need = 'open' | 'user' | 'admin' | 'keys' | 'lease' | 'own' | 'inner';

export interface CallScope {
  readonly auth: AuthStore;
  /** Ids of all leases. */
  readonly leaseIds: () => Iterable<bigint>;
}

interface Rule {
  readonly need: Need;
  /** The reason to refuse. For a streaming method asked for each message. */
  readonly refusal: (scope: CallScope, info: AuthInfo | undefined, request: never) => Status | undefined;
  /** Requests for which nobody is asked who they are: a bad token does no harm there. */
  readonly anonymous?: (request: never) => boolean;
}

const open: Rule = { need: 'open', refusal: () => undefined };
const anybody: Rule = { need: 'open', refusal: () => undefined, anonymous: () => true };
const user: Rule = { need: 'user', refusal: ({ auth }, info) => auth.checkUser(info) };
const admin: Rule = { need: 'admin', refusal: ({ auth }, info) => auth.checkAdmin(info) };
const inner: Rule = { need: 'inner', refusal: () => undefined, anonymous: () => true };

function keys<Req>(refusal: (auth: AuthStore, info: AuthInfo | undefined, request: Req) => Status | undefined): Rule {
  return { need: 'keys', refusal: ({ auth }, info, request) => refusal(auth, info, request) };
}

function lease<Req>(refusal: (scope: CallScope, info: AuthInfo | undefined, request: Req) => Status | undefined): Rule {
  return { need: 'lease', refusal: (scope, info, request) => scope.auth.checkUser(info) ?? refusal(scope, info, request) };
}

function own<Req>(refusal: (auth: AuthStore, info: AuthInfo | undefined, request: Req) => Status | undefined): Rule {
  return { need: 'own', refusal: ({ auth }, info, request) => refusal(auth, info, request) };
}

const readRange = keys<RangeRequest>((auth, info, range) => auth.check(info, { range }));

/** Whose keys may be seen may be listed: one attached key out of reach hides the whole list. */
function leaseList({ auth, leaseIds }: CallScope, info: AuthInfo | undefined): Status | undefined {
  if (!auth.enabled || auth.checkAdmin(info) === undefined) return undefined;
  for (const id of leaseIds()) {
    const denied = auth.checkLease(info, id, false);
    if (denied !== undefined) return denied;
  }
  return undefined;
}

/** An answer to a create request that is refused is a message of its own; cancelling and asking for progress need nothing. */
const watch: Rule = {
  need: 'keys',
  refusal: ({ auth }, info, { createRequest: create }: WatchRequest) => {
    if (create === undefined) return undefined;
    return auth.checkRange(info, watchRange(create.key, create.rangeEnd).key, create.rangeEnd, false);
  },
  anonymous: ({ createRequest }: WatchRequest) => createRequest === undefined,
};

/** gRPC's own services, which are in no proto of etcd's: health, and reflection. */
type HealthPath =
  | '/grpc.health.v1.Health/Check'
  | '/grpc.health.v1.Health/List'
  | '/grpc.health.v1.Health/Watch'
  | '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo'
  | '/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo';

const rules: Readonly<Record<MethodPath | HealthPath, Rule>> = {
  '/etcdserverpb.KV/Range': readRange,
  '/etcdserverpb.KV/RangeStream': readRange,
  '/etcdserverpb.KV/Put': keys<PutRequest>((auth, info, put) => auth.check(info, { put })),
  '/etcdserverpb.KV/DeleteRange': keys<DeleteRangeRequest>((auth, info, deleteRange) => auth.check(info, { deleteRange })),
  '/etcdserverpb.KV/Txn': keys<TxnRequest>((auth, info, txn) => auth.check(info, { txn })),
  '/etcdserverpb.KV/Compact': admin,
  '/etcdserverpb.Watch/Watch': watch,

  '/etcdserverpb.Lease/LeaseGrant': user,
  '/etcdserverpb.Lease/LeaseRevoke': lease<LeaseRevokeRequest>(({ auth }, info, { ID }) => auth.checkLease(info, ID, true)),
  '/etcdserverpb.Lease/LeaseKeepAlive': lease<LeaseKeepAliveRequest>(({ auth }, info, { ID }) => auth.checkLease(info, ID, true)),
  '/etcdserverpb.Lease/LeaseTimeToLive': lease<LeaseTimeToLiveRequest>(({ auth }, info, r) =>
    r.keys ? auth.checkLease(info, r.ID, false) : undefined,
  ),
  '/etcdserverpb.Lease/LeaseLeases': lease(leaseList),

  '/etcdserverpb.Cluster/MemberList': user,
  '/etcdserverpb.Cluster/MemberAdd': admin,
  '/etcdserverpb.Cluster/MemberRemove': admin,
  '/etcdserverpb.Cluster/MemberUpdate': admin,
  '/etcdserverpb.Cluster/MemberPromote': admin,

  '/etcdserverpb.Maintenance/Status': user,
  '/etcdserverpb.Maintenance/Alarm': {
    need: 'admin',
    refusal: ({ auth }, info, r: AlarmRequest) =>
      r.action === AlarmRequest_AlarmAction.GET ? auth.checkUser(info) : auth.checkAdmin(info),
  },
  '/etcdserverpb.Maintenance/Defragment': admin,
  '/etcdserverpb.Maintenance/Hash': admin,
  '/etcdserverpb.Maintenance/HashKV': admin,
  '/etcdserverpb.Maintenance/Snapshot': admin,
  '/etcdserverpb.Maintenance/MoveLeader': admin,
  '/etcdserverpb.Maintenance/Downgrade': admin,

  '/etcdserverpb.Auth/Authenticate': anybody,
  '/etcdserverpb.Auth/AuthStatus': open,
  '/etcdserverpb.Auth/AuthEnable': admin,
  '/etcdserverpb.Auth/AuthDisable': admin,
  '/etcdserverpb.Auth/UserAdd': admin,
  '/etcdserverpb.Auth/UserGet': own<AuthUserGetRequest>((auth, info, authUserGet) => auth.check(info, { authUserGet })),
  '/etcdserverpb.Auth/UserList': admin,
  '/etcdserverpb.Auth/UserDelete': admin,
  '/etcdserverpb.Auth/UserChangePassword': admin,
  '/etcdserverpb.Auth/UserGrantRole': admin,
  '/etcdserverpb.Auth/UserRevokeRole': admin,
  '/etcdserverpb.Auth/RoleAdd': admin,
  '/etcdserverpb.Auth/RoleGet': own<AuthRoleGetRequest>((auth, info, authRoleGet) => auth.check(info, { authRoleGet })),
  '/etcdserverpb.Auth/RoleList': admin,
  '/etcdserverpb.Auth/RoleDelete': admin,
  '/etcdserverpb.Auth/RoleGrantPermission': admin,
  '/etcdserverpb.Auth/RoleRevokePermission': admin,

  '/v3lockpb.Lock/Lock': inner,
  '/v3lockpb.Lock/Unlock': inner,
  '/v3electionpb.Election/Campaign': inner,
  '/v3electionpb.Election/Proclaim': inner,
  '/v3electionpb.Election/Leader': inner,
  '/v3electionpb.Election/Observe': inner,
  '/v3electionpb.Election/Resign': inner,

  // The gRPC health service tells only that the server is there, reflection what everybody can read in the schema.
  '/grpc.health.v1.Health/Check': anybody,
  '/grpc.health.v1.Health/List': anybody,
  '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo': anybody,
  '/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo': anybody,
  '/grpc.health.v1.Health/Watch': anybody,
};

function ruleOf(method: MethodDef): Rule | undefined {
  return Object.hasOwn(rules, method.path) ? rules[method.path as MethodPath] : undefined;
}

/** @throws InvariantError for a method that the table has no rule for: a server with one does not start. */
export function mustHaveRule(method: MethodDef): void {
  invariant(ruleOf(method) !== undefined, 'every method that is served has a rule', { method: method.path });
}

/** True when it does not matter who makes this request. */
export function isAnonymous(method: MethodDef, request: unknown): boolean {
  return ruleOf(method)?.anonymous?.(request as never) ?? false;
}

/** What kind of rule a method has; undefined when there is none. */
export function needOf(method: MethodDef): Need | undefined {
  return ruleOf(method)?.need;
}

/**
 * The reason why this caller may not make this call, undefined when it may.
 * @param request  the decoded request; of a streaming method, each message
 */
export function authorize(scope: CallScope, method: MethodDef, info: AuthInfo | undefined, request: unknown): Status | undefined {
  if (!scope.auth.enabled) return undefined;
  const found = ruleOf(method);
  return found === undefined ? errors.permissionDenied : found.refusal(scope, info, request as never);
}

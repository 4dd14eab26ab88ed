/**
 * What each RPC needs: one table, keyed by the method itself. A method without a rule is refused, and fails a test.
 *
 * Services ask before they serve or propose; what goes through raft is asked again at apply. The shape of a request (empty keys, bad URLs) is
 * checked before, as etcd answers those first.
 */
import { Auth, Cluster, Election, KV, Lease, Lock, Maintenance, Watch, type MethodDef } from '../../api/gen/methods.ts';
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
import type { AuthInfo } from '../apply/types.ts';
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
}

const open: Rule = { need: 'open', refusal: () => undefined };
const user: Rule = { need: 'user', refusal: ({ auth }, info) => auth.checkUser(info) };
const admin: Rule = { need: 'admin', refusal: ({ auth }, info) => auth.checkAdmin(info) };
const inner: Rule = { need: 'inner', refusal: () => undefined };

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

const rules = new Map<MethodDef, Rule>([
  ...rule(KV.range, readRange),
  ...rule(KV.rangeStream, readRange),
  ...rule(
    KV.put,
    keys<PutRequest>((auth, info, put) => auth.check(info, { put })),
  ),
  ...rule(
    KV.deleteRange,
    keys<DeleteRangeRequest>((auth, info, deleteRange) => auth.check(info, { deleteRange })),
  ),
  ...rule(
    KV.txn,
    keys<TxnRequest>((auth, info, txn) => auth.check(info, { txn })),
  ),
  ...rule(KV.compact, admin),
  ...rule(
    Watch.watch,
    keys<WatchRequest>((auth, info, { createRequest: create }) =>
      create === undefined ? undefined : auth.checkRange(info, create.key, create.rangeEnd, false),
    ),
  ),

  ...rule(Lease.leaseGrant, user),
  ...rule(
    Lease.leaseRevoke,
    lease<LeaseRevokeRequest>(({ auth }, info, { ID }) => auth.checkLease(info, ID, true)),
  ),
  ...rule(
    Lease.leaseKeepAlive,
    lease<LeaseKeepAliveRequest>(({ auth }, info, { ID }) => auth.checkLease(info, ID, true)),
  ),
  ...rule(
    Lease.leaseTimeToLive,
    lease<LeaseTimeToLiveRequest>(({ auth }, info, r) => (r.keys ? auth.checkLease(info, r.ID, false) : undefined)),
  ),
  ...rule(Lease.leaseLeases, lease(leaseList)),

  ...rule(Cluster.memberList, user),
  ...rule(Cluster.memberAdd, admin),
  ...rule(Cluster.memberRemove, admin),
  ...rule(Cluster.memberUpdate, admin),
  ...rule(Cluster.memberPromote, admin),

  ...rule(Maintenance.status, user),
  ...rule(Maintenance.alarm, {
    need: 'admin',
    refusal: ({ auth }, info, r: AlarmRequest) =>
      r.action === AlarmRequest_AlarmAction.GET ? auth.checkUser(info) : auth.checkAdmin(info),
  }),
  ...rule(Maintenance.defragment, admin),
  ...rule(Maintenance.hash, admin),
  ...rule(Maintenance.hashKV, admin),
  ...rule(Maintenance.snapshot, admin),
  ...rule(Maintenance.moveLeader, admin),
  ...rule(Maintenance.downgrade, admin),

  ...rule(Auth.authenticate, open),
  ...rule(Auth.authStatus, open),
  ...rule(Auth.authEnable, admin),
  ...rule(Auth.authDisable, admin),
  ...rule(Auth.userAdd, admin),
  ...rule(
    Auth.userGet,
    own<AuthUserGetRequest>((auth, info, authUserGet) => auth.check(info, { authUserGet })),
  ),
  ...rule(Auth.userList, admin),
  ...rule(Auth.userDelete, admin),
  ...rule(Auth.userChangePassword, admin),
  ...rule(Auth.userGrantRole, admin),
  ...rule(Auth.userRevokeRole, admin),
  ...rule(Auth.roleAdd, admin),
  ...rule(
    Auth.roleGet,
    own<AuthRoleGetRequest>((auth, info, authRoleGet) => auth.check(info, { authRoleGet })),
  ),
  ...rule(Auth.roleList, admin),
  ...rule(Auth.roleDelete, admin),
  ...rule(Auth.roleGrantPermission, admin),
  ...rule(Auth.roleRevokePermission, admin),

  ...rule(Lock.lock, inner),
  ...rule(Lock.unlock, inner),
  ...rule(Election.campaign, inner),
  ...rule(Election.proclaim, inner),
  ...rule(Election.leader, inner),
  ...rule(Election.observe, inner),
  ...rule(Election.resign, inner),
]);

function rule<Req, Res>(method: MethodDef<Req, Res>, r: Rule): [[MethodDef, Rule]] {
  return [[method as MethodDef, r]];
}

/** What kind of rule a method has; undefined when there is none. */
export function needOf(method: MethodDef): Need | undefined {
  return rules.get(method)?.need;
}

/**
 * The reason why this caller may not make this call, undefined when it may.
 * @param request  the decoded request; of a streaming method, each message
 */
export function authorize(scope: CallScope, method: MethodDef, info: AuthInfo | undefined, request: unknown): Status | undefined {
  if (!scope.auth.enabled) return undefined;
  const found = rules.get(method);
  return found === undefined ? errors.permissionDenied : found.refusal(scope, info, request as never);
}

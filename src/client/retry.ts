/**
 * Which calls may be sent again. A write is sent again only when it surely never left (`unsent`), or when the server said that it did not
 * take it; a read on any Unavailable. An ambiguous write is the caller's to decide (guarantee G-KV-16).
 */
import type { MethodDef } from '../api/gen/methods.ts';
import { Auth, Cluster, Election, KV, Lease, Lock, Maintenance } from '../api/gen/methods.ts';
import { Code, RpcError } from '../api/status.ts';
import { reasonOf } from './errors.ts';

/** Rounds over the endpoints before a read gives up; etcd's client has the same bound. */
export const attemptsMax = 100;
/** Pause between rounds over all endpoints, ± 10 %. */
export const backoffMs = 25;

const writes = new Set<string>(
  [
    KV.put,
    KV.deleteRange,
    KV.compact,
    Lease.leaseGrant,
    Lease.leaseRevoke,
    Cluster.memberAdd,
    Cluster.memberRemove,
    Cluster.memberUpdate,
    Cluster.memberPromote,
    Maintenance.alarm,
    Maintenance.defragment,
    Maintenance.moveLeader,
    Maintenance.downgrade,
    ...Object.values(Auth).filter((m) => !/(Status|Get|List|Authenticate)$/.test(m.name)),
    ...Object.values(Lock),
    ...Object.values(Election).filter((m) => m.name !== 'Leader'),
  ].map((m) => m.path),
);

/** Whether the call changes something. A txn does unless every operation in it is a range. */
export function isWrite(method: MethodDef, request: unknown): boolean {
  if (method.path === KV.txn.path) return !isReadOnlyTxn(request as TxnShape);
  return writes.has(method.path);
}

interface OpShape {
  readonly requestRange?: unknown;
  readonly requestTxn?: TxnShape | undefined;
}
interface TxnShape {
  readonly success?: readonly OpShape[] | undefined;
  readonly failure?: readonly OpShape[] | undefined;
}

function isReadOnlyTxn(txn: TxnShape): boolean {
  const readOnly = (op: OpShape): boolean => op.requestRange !== undefined || (op.requestTxn !== undefined && isReadOnlyTxn(op.requestTxn));
  return (txn.success ?? []).every(readOnly) && (txn.failure ?? []).every(readOnly);
}

/** Whether the failed call may be sent again, to one of so many endpoints. A learner takes no call that another member would. */
export function mayRetry(error: unknown, write: boolean, endpoints: number): boolean {
  if (!(error instanceof RpcError)) return false;
  if (endpoints > 1 && reasonOf(error.status) === 'notSupportedForLearner') return true;
  if (error.code !== Code.Unavailable) return false;
  return !write || error.unsent;
}

/**
 * Whether the call was refused for its token, or because users or roles changed while it was on its way, and may be sent again: after another
 * login where there is a password; as it is where a certificate names the user; not with a token that the caller has given.
 */
export function mayRetryAuth(error: unknown, credentials: 'password' | 'token' | 'none'): boolean {
  if (!(error instanceof RpcError)) return false;
  const reason = reasonOf(error.status);
  if (credentials === 'none') return reason === 'authOldRevision';
  return credentials === 'password' && (reason === 'invalidAuthToken' || reason === 'authOldRevision' || reason === 'userEmpty');
}

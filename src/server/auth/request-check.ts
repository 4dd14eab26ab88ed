/**
 * What a request needs, at whatever depth it hides it. The same walk serves the check before proposing and the one at apply, and it must say
 * at apply exactly what etcd says there: members of both kinds apply the same log.
 */
import type { Init } from '../../api/proto-io.ts';
import type { DeleteRangeRequest, PutRequest, RangeRequest, RequestOp, TxnRequest } from '../../api/gen/etcdserverpb.ts';
import type { Status } from '../../api/status.ts';
import { emptyBytes } from '../../base/bytes.ts';
import type { AuthInfo, RaftRequest } from '../apply/types.ts';

/** The questions that can be asked of the auth store. */
export interface Judge {
  checkRange(info: AuthInfo | undefined, key: Uint8Array, rangeEnd: Uint8Array, write: boolean): Status | undefined;
  checkAdmin(info: AuthInfo | undefined): Status | undefined;
  checkLease(info: AuthInfo | undefined, lease: bigint, write: boolean): Status | undefined;
  hasRole(username: string, role: string): boolean;
}

/** With auth on: the reason why this request may not be applied. */
export function checkRequest(judge: Judge, info: AuthInfo | undefined, r: RaftRequest): Status | undefined {
  if (r.put !== undefined) return checkPut(judge, info, r.put);
  if (r.txn !== undefined) return checkTxn(judge, info, r.txn);
  if (r.range !== undefined) return checkRange(judge, info, r.range);
  if (r.deleteRange !== undefined) return checkDelete(judge, info, r.deleteRange);
  if (r.leaseRevoke !== undefined) return judge.checkLease(info, r.leaseRevoke.ID ?? 0n, true);
  if (needsAdmin(r)) return judge.checkAdmin(info);
  if (r.authUserGet !== undefined) {
    const denied = judge.checkAdmin(info);
    return denied !== undefined && (info?.username ?? '') === (r.authUserGet.name ?? '') ? undefined : denied;
  }
  if (r.authRoleGet !== undefined) {
    const denied = judge.checkAdmin(info);
    return denied !== undefined && judge.hasRole(info?.username ?? '', r.authRoleGet.role ?? '') ? undefined : denied;
  }
  return undefined;
}

function needsAdmin(r: RaftRequest): boolean {
  return (
    r.authEnable !== undefined ||
    r.authDisable !== undefined ||
    r.authUserAdd !== undefined ||
    r.authUserDelete !== undefined ||
    r.authUserChangePassword !== undefined ||
    r.authUserGrantRole !== undefined ||
    r.authUserRevokeRole !== undefined ||
    r.authUserList !== undefined ||
    r.authRoleAdd !== undefined ||
    r.authRoleDelete !== undefined ||
    r.authRoleGrantPermission !== undefined ||
    r.authRoleRevokePermission !== undefined ||
    r.authRoleList !== undefined
  );
}

function checkRange(judge: Judge, info: AuthInfo | undefined, r: Init<RangeRequest>): Status | undefined {
  return judge.checkRange(info, r.key ?? emptyBytes, r.rangeEnd ?? emptyBytes, false);
}

/** Attaching a key to a lease is giving it into the hands of whoever may revoke the lease: who cannot write all of its keys may not attach. */
function checkPut(judge: Judge, info: AuthInfo | undefined, r: Init<PutRequest>): Status | undefined {
  const key = r.key ?? emptyBytes;
  return (
    judge.checkRange(info, key, emptyBytes, true) ??
    judge.checkLease(info, r.lease ?? 0n, true) ??
    (r.prevKv === true ? judge.checkRange(info, key, emptyBytes, false) : undefined)
  );
}

function checkDelete(judge: Judge, info: AuthInfo | undefined, r: Init<DeleteRangeRequest>): Status | undefined {
  const key = r.key ?? emptyBytes;
  const end = r.rangeEnd ?? emptyBytes;
  return judge.checkRange(info, key, end, true) ?? (r.prevKv === true ? judge.checkRange(info, key, end, false) : undefined);
}

/** Both branches count, whichever is taken. */
function checkTxn(judge: Judge, info: AuthInfo | undefined, r: Init<TxnRequest>): Status | undefined {
  for (const c of r.compare ?? []) {
    const denied = judge.checkRange(info, c.key ?? emptyBytes, c.rangeEnd ?? emptyBytes, false);
    if (denied !== undefined) return denied;
  }
  return checkOps(judge, info, r.success ?? []) ?? checkOps(judge, info, r.failure ?? []);
}

function checkOps(judge: Judge, info: AuthInfo | undefined, ops: readonly Init<RequestOp>[]): Status | undefined {
  for (const op of ops) {
    let denied: Status | undefined;
    if (op.requestRange !== undefined) denied = checkRange(judge, info, op.requestRange);
    else if (op.requestPut !== undefined) denied = checkPut(judge, info, op.requestPut);
    else if (op.requestDeleteRange !== undefined) denied = checkDelete(judge, info, op.requestDeleteRange);
    else if (op.requestTxn !== undefined) denied = checkTxn(judge, info, op.requestTxn);
    if (denied !== undefined) return denied;
  }
  return undefined;
}

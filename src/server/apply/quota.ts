/**
 * What requests cost in backend bytes, and whether the backend has room for them. Services ask before proposing (refused, not applied, NOSPACE
 * raised), apply asks again (applied all the same, but answered with the error).
 * Source: server-limits.md "quota check".
 */
import type { PutRequest, RequestOp, TxnRequest } from '../../api/gen/etcdserverpb.ts';

/** Used when `--quota-backend-bytes` is 0: 2 GiB. */
export const defaultQuotaBytes = 2147483648;
/** Bytes beside key and value that a put is reckoned with. */
export const putOverheadBytes = 256;
/** Bytes that a lease grant is reckoned with. */
export const leaseGrantCostBytes = 64;

export function putCost(r: PutRequest): number {
  return putOverheadBytes + r.key.length + r.value.length;
}

/** The dearer of the two branches, nested txns included. 0 = nothing in it puts. */
export function txnCost(r: TxnRequest): number {
  return Math.max(opsCost(r.success), opsCost(r.failure));
}

function opsCost(ops: readonly RequestOp[]): number {
  let cost = 0;
  for (const op of ops) {
    if (op.requestPut !== undefined) cost += putCost(op.requestPut);
    else if (op.requestTxn !== undefined) cost += txnCost(op.requestTxn);
  }
  return cost;
}

export class BackendQuota {
  /** Infinity without a limit. */
  readonly limitBytes: number;
  readonly #backend: { readonly sizeBytes: number };

  /** @param quotaBackendBytes as configured: 0 = default, negative = no limit */
  constructor(quotaBackendBytes: number, backend: { readonly sizeBytes: number }) {
    this.limitBytes = quotaBackendBytes < 0 ? Infinity : quotaBackendBytes === 0 ? defaultQuotaBytes : quotaBackendBytes;
    this.#backend = backend;
  }

  /** A request that costs nothing (deletes, reads) is always let through. */
  available(costBytes: number): boolean {
    return costBytes === 0 || this.#backend.sizeBytes + costBytes < this.limitBytes;
  }
}

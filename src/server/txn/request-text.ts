/** Requests in the log, in the shape that etcd gives them. How long keys and values are, never which: keys may be as secret as values. */
import type { InternalRaftRequest, RequestOp, TxnRequest } from '../../api/gen/etcdserverpb.ts';

/** Operations of a txn that are spelled out on each side. */
const operationsMax = 16;

export function requestText(r: InternalRaftRequest): string {
  const header = `ID:${r.header?.ID ?? r.ID}${(r.header?.username ?? '') === '' ? '' : ` username:${JSON.stringify(r.header?.username)}`}`;
  if (r.put !== undefined) return `header:<${header}> put:<${putText(r.put)}>`;
  if (r.txn !== undefined) return `header:<${header}> txn:<${txnText(r.txn)}>`;
  return `header:{${header}}  ${otherText(r)}`;
}

function otherText(r: InternalRaftRequest): string {
  if (r.deleteRange !== undefined) return `delete_range:{${rangeText(r.deleteRange)}}`;
  if (r.range !== undefined) return `range:{${rangeText(r.range)}}`;
  if (r.compaction !== undefined) return `compaction:{revision:${r.compaction.revision}${r.compaction.physical ? ' physical:true' : ''}}`;
  if (r.leaseGrant !== undefined) return `lease_grant:{TTL:${r.leaseGrant.TTL} ID:${r.leaseGrant.ID}}`;
  if (r.leaseRevoke !== undefined) return `lease_revoke:{ID:${r.leaseRevoke.ID}}`;
  const kind = Object.entries(r).find(([name, value]) => name !== 'ID' && name !== 'header' && value !== undefined)?.[0] ?? 'empty';
  return `${kind.replace(/[A-Z]/g, (c) => `_${c.toLowerCase()}`)}:{}`;
}

function operations(ops: readonly RequestOp[]): string {
  const shown = ops.slice(0, operationsMax).map((op) => {
    if (op.requestPut !== undefined) return `request_put:<${putText(op.requestPut)}>`;
    if (op.requestRange !== undefined) return `request_range:{${rangeText(op.requestRange)}}`;
    if (op.requestDeleteRange !== undefined) return `request_delete_range:{${rangeText(op.requestDeleteRange)}}`;
    return 'request_txn:{}';
  });
  if (ops.length > operationsMax) shown.push(`and ${ops.length - operationsMax} more`);
  return shown.join(' ');
}

export function txnText(txn: Pick<TxnRequest, 'compare' | 'success' | 'failure'>): string {
  return `compare:${txn.compare.length} success:<${operations(txn.success)}> failure:<${operations(txn.failure)}>`;
}

export function putText(put: { readonly key: Uint8Array; readonly value: Uint8Array; readonly lease: bigint }): string {
  return `key_size:${put.key.length} value_size:${put.value.length} ${put.lease === 0n ? '' : `lease:${put.lease} `}`;
}

export function rangeText(range: RangeLike): string {
  const words = [`key_size:${range.key.length}`];
  if (range.rangeEnd.length > 0) words.push(`range_end_size:${range.rangeEnd.length}`);
  if ((range.limit ?? 0) !== 0) words.push(`limit:${range.limit}`);
  if ((range.revision ?? 0) !== 0) words.push(`revision:${range.revision}`);
  if (range.serializable === true) words.push('serializable:true');
  if (range.keysOnly === true) words.push('keys_only:true');
  if (range.countOnly === true) words.push('count_only:true');
  return words.join(' ');
}

interface RangeLike {
  readonly key: Uint8Array;
  readonly rangeEnd: Uint8Array;
  readonly limit?: number;
  readonly revision?: number;
  readonly serializable?: boolean;
  readonly keysOnly?: boolean;
  readonly countOnly?: boolean;
}

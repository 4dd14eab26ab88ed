/** What a traced call does, as etcd's spans name it: one per request, with the parameters that tell how costly it is. */
import type {
  CompactionRequest,
  DeleteRangeRequest,
  LeaseGrantRequest,
  LeaseRevokeRequest,
  PutRequest,
  RangeRequest,
  TxnRequest,
  WatchCreateRequest,
} from '../../api/gen/etcdserverpb.ts';
import { KV, Lease } from '../../api/gen/methods.ts';
import type { CallSpan, SpanAttributes } from '../../base/trace.ts';
import { isReadOnlyTxn } from '../txn/checks.ts';

interface Work {
  readonly name: string;
  readonly attributes: (request: never) => SpanAttributes;
}

const works: ReadonlyMap<string, Work> = new Map<string, Work>([
  [
    KV.range.path,
    {
      name: 'range',
      attributes: (r: RangeRequest) => ({
        range_begin: text(r.key),
        range_end: text(r.rangeEnd),
        rev: r.revision,
        limit: r.limit,
        count_only: r.countOnly,
        keys_only: r.keysOnly,
      }),
    },
  ],
  [KV.put.path, { name: 'put', attributes: (r: PutRequest) => ({ key: text(r.key) }) }],
  [
    KV.deleteRange.path,
    { name: 'delete_range', attributes: (r: DeleteRangeRequest) => ({ range_begin: text(r.key), range_end: text(r.rangeEnd) }) },
  ],
  [KV.txn.path, { name: 'txn', attributes: txnAttributes }],
  [KV.compact.path, { name: 'compact', attributes: (r: CompactionRequest) => ({ is_physical: r.physical, rev: r.revision }) }],
  [Lease.leaseGrant.path, { name: 'lease_grant', attributes: (r: LeaseGrantRequest) => ({ id: r.ID, ttl: r.TTL }) }],
  [Lease.leaseRevoke.path, { name: 'lease_revoke', attributes: (r: LeaseRevokeRequest) => ({ id: r.ID }) }],
]);

/** Begins the span of a request that has been decoded and looked at. */
export function beginWork(call: CallSpan, path: string, request: unknown): void {
  const work = works.get(path);
  call.work =
    work === undefined ? call.child(path.slice(path.lastIndexOf('/') + 1)) : call.child(work.name, work.attributes(request as never));
}

/** A range as a stream: its span lasts as long as the stream. */
export function beginRangeStream(call: CallSpan, r: RangeRequest): void {
  call.child('range_streaming', {
    range_begin: text(r.key),
    range_end: text(r.rangeEnd),
    rev: r.revision,
    limit: r.limit,
    count_only: r.countOnly,
  });
}

/** A watcher: its span lasts as long as its stream. */
export function beginWatch(call: CallSpan, r: WatchCreateRequest): void {
  call.child('watch', {
    key: text(r.key),
    range_end: text(r.rangeEnd),
    start_rev: r.startRevision,
    progress_notify: r.progressNotify,
    prev_kv: r.prevKv,
    fragment: r.fragment,
  });
}

/** The first operation stands for the others. */
function txnAttributes(r: TxnRequest): SpanAttributes {
  const first = r.success[0];
  const kind =
    first?.requestRange !== undefined
      ? 'range'
      : first?.requestPut !== undefined
        ? 'put'
        : first?.requestDeleteRange !== undefined
          ? 'delete_range'
          : first?.requestTxn !== undefined
            ? 'txn'
            : '';
  const key = first?.requestRange?.key ?? first?.requestPut?.key ?? first?.requestDeleteRange?.key;
  return {
    compare_first_key: text(r.compare[0]?.key),
    success_first_key: text(key),
    success_first_type: kind,
    success_first_lease: first?.requestPut?.lease ?? 0,
    compare_len: r.compare.length,
    success_len: r.success.length,
    failure_len: r.failure.length,
    read_only: isReadOnlyTxn(r),
  };
}

/** Bytes of a key that are looked at. */
const keyBytesMax = 512;

function text(key: Uint8Array | undefined): string {
  return key === undefined ? '' : Buffer.from(key.buffer, key.byteOffset, Math.min(key.length, keyBytesMax)).toString();
}

/** Meaning of a Range request: what to read, what to sort and drop, how the answer is put together from stored bytes. */
import { RangeRequest_SortOrder, RangeRequest_SortTarget, type RangeRequest } from '../../api/gen/etcdserverpb.ts';
import type { Writer } from '../../api/proto-io.ts';
import { compareBytes } from '../../base/bytes.ts';
import { patternSort } from '../../base/pattern-sort.ts';
import type { RangeQuery, RangeResult } from '../mvcc/types.ts';
import { framedBytes } from '../storage/row-gather.ts';
import { storeEnd } from './key-ranges.ts';
import { keyOnlyRow, rowFields, valuelessRow, type RowFields } from './row-fields.ts';

export interface RangeAnswer {
  /** `mvccpb.KeyValue` bytes, sorted and cut as asked. */
  readonly kvs: readonly Uint8Array[];
  readonly more: boolean;
  readonly count: number;
}

/** What to read from the store. One row more than the limit is read, to know whether there are more. */
export function rangeQuery(r: RangeRequest): RangeQuery {
  // Rows come in key order: sorting them so needs no more of them than the limit.
  const sorted = r.sortOrder === RangeRequest_SortOrder.DESCEND || r.sortTarget !== RangeRequest_SortTarget.KEY;
  const everything = (sorted && r.sortOrder !== RangeRequest_SortOrder.NONE) || hasFilter(r);
  return {
    key: r.key,
    end: storeEnd(r.rangeEnd),
    rev: r.revision,
    limit: everything || r.limit <= 0 ? 0 : r.limit + 1,
    countOnly: r.countOnly,
  };
}

/** Filters, sorts, cuts and strips what the store gave. Rows are decoded only when a filter or a sort looks into them. */
export function rangeAnswer(r: RangeRequest, result: RangeResult): RangeAnswer {
  let kvs: readonly Uint8Array[] = result.kvs;
  if (kvs.length !== 0) {
    if (hasFilter(r)) kvs = filterRows(r, kvs);
    kvs = sortRows(r, kvs);
  }
  const more = r.limit > 0 && kvs.length > r.limit;
  if (more) kvs = kvs.slice(0, r.limit);
  if (r.keysOnly) kvs = kvs.map(r.sortTarget === RangeRequest_SortTarget.VALUE ? valuelessRow : keyOnlyRow);
  return { kvs, more, count: result.count };
}

function hasFilter(r: RangeRequest): boolean {
  return r.minModRevision !== 0 || r.maxModRevision !== 0 || r.minCreateRevision !== 0 || r.maxCreateRevision !== 0;
}

function filterRows(r: RangeRequest, kvs: readonly Uint8Array[]): readonly Uint8Array[] {
  return kvs.filter((kv) => {
    const { modRevision, createRevision } = rowFields(kv);
    return (
      (r.maxModRevision === 0 || modRevision <= r.maxModRevision) &&
      (r.minModRevision === 0 || modRevision >= r.minModRevision) &&
      (r.maxCreateRevision === 0 || createRevision <= r.maxCreateRevision) &&
      (r.minCreateRevision === 0 || createRevision >= r.minCreateRevision)
    );
  });
}

/** Ties fall as etcd's sort lets them fall. A target other than the key without an order sorts ascending. */
function sortRows(r: RangeRequest, kvs: readonly Uint8Array[]): readonly Uint8Array[] {
  const descend = r.sortOrder === RangeRequest_SortOrder.DESCEND;
  if (r.sortTarget === RangeRequest_SortTarget.KEY) return descend ? kvs.toReversed() : kvs;
  const compare = fieldOrder(r.sortTarget);
  const rows = kvs.map((kv) => ({ kv, fields: rowFields(kv) }));
  patternSort(rows, descend ? (a, b) => compare(b.fields, a.fields) < 0 : (a, b) => compare(a.fields, b.fields) < 0);
  return rows.map((row) => row.kv);
}

function fieldOrder(target: number): (a: RowFields, b: RowFields) => number {
  switch (target) {
    case RangeRequest_SortTarget.VERSION:
      return (a, b) => a.version - b.version;
    case RangeRequest_SortTarget.CREATE:
      return (a, b) => a.createRevision - b.createRevision;
    case RangeRequest_SortTarget.MOD:
      return (a, b) => a.modRevision - b.modRevision;
    default:
      return (a, b) => compareBytes(a.value, b.value);
  }
}

/** Whether the rows of a request go out as the store reads them: in key order, whole. */
export function asRead(r: RangeRequest): boolean {
  return !r.keysOnly && r.sortTarget === RangeRequest_SortTarget.KEY && r.sortOrder !== RangeRequest_SortOrder.DESCEND && !hasFilter(r);
}

/** What stands behind the rows of an answer. */
export function encodeTail(more: boolean, count: number): Uint8Array[] {
  const tail = Buffer.allocUnsafe(13);
  const n = putTail(tail, 0, { kvs: [], more, count });
  return n === 0 ? [] : [tail.subarray(0, n)];
}

/** Appends `kvs` 2, `more` 3 and `count` 4 of a RangeResponse. */
export function writeRangeAnswer(answer: RangeAnswer, w: Writer): void {
  for (const kv of answer.kvs) {
    w.varint32(18);
    w.bytes(kv);
  }
  if (answer.more) {
    w.varint32(24);
    w.varint32(1);
  }
  if (answer.count !== 0) {
    w.varint32(32);
    w.int64(answer.count);
  }
}

/** A row of at least this many bytes goes into the answer as it lies in the store; smaller ones are gathered, which costs less than a part each. */
const ownPartBytes = 4096;
/** Gathered rows are cut into parts of about this size, so that no huge buffer is needed. */
const gatherBytes = 65536;

/** As `writeRangeAnswer`, in parts. */
export function encodeRangeAnswer(answer: RangeAnswer): Uint8Array[] {
  const parts: Uint8Array[] = [];
  const kvs = answer.kvs;
  let i = 0;
  while (i < kvs.length) {
    // How many rows the next gathered part takes, and how long it gets.
    let bytes = 0;
    let end = i;
    while (end < kvs.length && bytes < gatherBytes) {
      const n = (kvs[end] as Uint8Array).length;
      bytes += framedBytes(n);
      end++;
      if (n >= ownPartBytes) {
        bytes -= n;
        break;
      }
    }
    const last = end === kvs.length;
    const part = Buffer.allocUnsafe(bytes + (last ? 13 : 0));
    let pos = 0;
    let own: Uint8Array | undefined;
    for (; i < end; i++) {
      const kv = kvs[i] as Uint8Array;
      part[pos++] = 18;
      pos = putVarint(part, pos, kv.length);
      if (kv.length >= ownPartBytes) own = kv;
      else {
        part.set(kv, pos);
        pos += kv.length;
      }
    }
    if (own !== undefined) {
      parts.push(part.subarray(0, pos), own);
    } else if (last) {
      parts.push(part.subarray(0, putTail(part, pos, answer)));
      return parts;
    } else parts.push(part);
  }
  parts.push(...encodeTail(answer.more, answer.count));
  return parts;
}

/** Needs at most 13 bytes. */
function putTail(into: Buffer, pos: number, answer: RangeAnswer): number {
  if (answer.more) {
    into[pos++] = 24;
    into[pos++] = 1;
  }
  if (answer.count !== 0) {
    into[pos++] = 32;
    pos = putVarint(into, pos, answer.count);
  }
  return pos;
}

function putVarint(into: Buffer, pos: number, n: number): number {
  while (n > 127) {
    into[pos++] = (n & 127) | 128;
    n = Math.floor(n / 128);
  }
  into[pos++] = n;
  return pos;
}

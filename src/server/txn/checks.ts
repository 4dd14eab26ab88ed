/**
 * What is refused before it is proposed: the shape of KV requests, with etcd's errors in etcd's order.
 * Source: recordings kv-*; etcd 3.7 `etcdserver/api/v3rpc/key.go`.
 */
import type { AlarmRequest, DeleteRangeRequest, PutRequest, RangeRequest, RequestOp, TxnRequest } from '../../api/gen/etcdserverpb.ts';
import { Code, errors, type Status } from '../../api/status.ts';
import { latin1 } from '../../base/bytes.ts';
import { isOpenEnd, RangeSet } from './key-ranges.ts';

export function checkRange(r: RangeRequest): Status | undefined {
  if (r.key.length === 0) return errors.emptyKey;
  // Enum values that the schema has no name for.
  if (r.sortOrder < 0 || r.sortOrder > 2 || r.sortTarget < 0 || r.sortTarget > 4) return errors.invalidSortOption;
  return undefined;
}

export function checkPut(r: PutRequest): Status | undefined {
  if (r.key.length === 0) return errors.emptyKey;
  if (r.ignoreValue && r.value.length !== 0) return errors.valueProvided;
  if (r.ignoreLease && r.lease !== 0n) return errors.leaseProvided;
  return undefined;
}

export function checkDeleteRange(r: DeleteRangeRequest): Status | undefined {
  return r.key.length === 0 ? errors.emptyKey : undefined;
}

/** Limits, keys and options of a whole txn, then keys written twice, then what would end a real etcd. */
export function checkTxn(r: TxnRequest, maxTxnOps: number): Status | undefined {
  const bad = checkTxnOps(r, maxTxnOps);
  if (bad !== undefined) return bad;
  if (writtenKeys(r.success) === undefined || writtenKeys(r.failure) === undefined) return errors.duplicateKey;
  return crashesEtcd(r) ? errors.keyNotFound : undefined;
}

const unknownAlarmAction: Status = Object.freeze({ code: Code.InvalidArgument, message: 'etcdserver: unknown alarm action' });

/** An alarm request whose action has no name ends a real etcd as it is applied. */
export function checkAlarm(r: AlarmRequest): Status | undefined {
  return r.action < 0 || r.action > 2 ? unknownAlarmAction : undefined;
}

/** True when both branches hold nothing but ranges. Such a txn need not go through raft. A nested txn counts as a write, as in etcd. */
export function isReadOnlyTxn(r: TxnRequest): boolean {
  return r.success.every(isRange) && r.failure.every(isRange);
}

/** True when every range of the txn may be served from this member's own state. */
export function isSerializableTxn(r: TxnRequest): boolean {
  return r.success.every(isSerializableRange) && r.failure.every(isSerializableRange);
}

function isRange(op: RequestOp): boolean {
  return op.requestRange !== undefined;
}

function isSerializableRange(op: RequestOp): boolean {
  return op.requestRange !== undefined && op.requestRange.serializable;
}

function checkTxnOps(r: TxnRequest, maxOps: number): Status | undefined {
  const ops = Math.max(r.compare.length, r.success.length, r.failure.length);
  if (ops > maxOps) return errors.tooManyOps;
  for (const c of r.compare) if (c.key.length === 0) return errors.emptyKey;
  for (const op of r.success) {
    const bad = checkOp(op, maxOps - ops);
    if (bad !== undefined) return bad;
  }
  for (const op of r.failure) {
    const bad = checkOp(op, maxOps - ops);
    if (bad !== undefined) return bad;
  }
  return undefined;
}

function checkOp(op: RequestOp, maxOps: number): Status | undefined {
  if (op.requestRange !== undefined) return checkRange(op.requestRange);
  if (op.requestPut !== undefined) return checkPut(op.requestPut);
  if (op.requestDeleteRange !== undefined) return checkDeleteRange(op.requestDeleteRange);
  if (op.requestTxn !== undefined) return checkTxnOps(op.requestTxn, maxOps);
  return errors.keyNotFound;
}

interface Written {
  readonly puts: Set<string>;
  readonly deletes: RangeSet;
}

/**
 * The keys that one branch may put and the ranges it may delete; undefined when a key could be written twice.
 *
 * Etcd's rules, quirks included. Deletes of this level count for all puts of this level and of nested txns, wherever they stand; deletes of
 * a nested txn only for what comes after it and for this level's puts. The two branches of one nested txn exclude each other. An open-ended
 * range `[key, \0)` is taken literally here, as an empty one.
 */
function writtenKeys(ops: readonly RequestOp[]): Written | undefined {
  const deletes = new RangeSet();
  const puts = new Set<string>();
  for (const { requestDeleteRange: d } of ops) {
    if (d === undefined) continue;
    const key = latin1(d.key);
    deletes.add(key, d.rangeEnd.length === 0 ? key + '\0' : latin1(d.rangeEnd));
  }
  for (const { requestTxn: t } of ops) {
    if (t === undefined) continue;
    const then = writtenKeys(t.success);
    if (then === undefined) return undefined;
    const otherwise = writtenKeys(t.failure);
    if (otherwise === undefined) return undefined;
    for (const key of then.puts) {
      if (puts.has(key) || deletes.has(key)) return undefined;
      puts.add(key);
    }
    for (const key of otherwise.puts) {
      if ((puts.has(key) && !then.puts.has(key)) || deletes.has(key)) return undefined;
      puts.add(key);
    }
    deletes.addAll(then.deletes);
    deletes.addAll(otherwise.deletes);
  }
  for (const { requestPut: p } of ops) {
    if (p === undefined) continue;
    const key = latin1(p.key);
    if (puts.has(key) || deletes.has(key)) return undefined;
    puts.add(key);
  }
  return { puts, deletes };
}

/**
 * True for a txn that may put with `ignore_value` or `ignore_lease` to a key which an open-ended delete removed before, in the same run. A
 * real etcd passes it (see `writtenKeys`), panics while it applies it, and again at every start since the entry is in its log.
 */
function crashesEtcd(r: TxnRequest): boolean {
  return openDeleteFloor(r.success, undefined) === null || openDeleteFloor(r.failure, undefined) === null;
}

/**
 * The lowest start of an open-ended delete that may have run after `ops`, given the lowest one before (undefined: none); null when a put that
 * needs its former value may meet it.
 */
function openDeleteFloor(ops: readonly RequestOp[], floor: string | undefined): string | undefined | null {
  for (const op of ops) {
    const put = op.requestPut;
    const del = op.requestDeleteRange;
    const txn = op.requestTxn;
    if (put !== undefined) {
      if (floor !== undefined && (put.ignoreValue || put.ignoreLease) && latin1(put.key) >= floor) return null;
    } else if (del !== undefined) {
      if (isOpenEnd(del.rangeEnd)) floor = lower(floor, latin1(del.key));
    } else if (txn !== undefined) {
      const then = openDeleteFloor(txn.success, floor);
      const otherwise = openDeleteFloor(txn.failure, floor);
      if (then === null || otherwise === null) return null;
      floor = then === undefined ? otherwise : otherwise === undefined ? then : lower(then, otherwise);
    }
  }
  return floor;
}

function lower(a: string | undefined, b: string): string {
  return a === undefined || b < a ? b : a;
}

/**
 * Execution of a txn whose branches are decided. First everything that can fail is checked on the state before the txn, then all operations of
 * the taken branches run in order: a txn that fails has no effect (G-KV-5, G-KV-8).
 */
import type { DeleteRangeRequest, PutRequest, RangeRequest, RequestOp, TxnRequest } from '../../api/gen/etcdserverpb.ts';
import { Writer } from '../../api/proto-io.ts';
import { errors, type Status } from '../../api/status.ts';
import { emptyBytes, latin1 } from '../../base/bytes.ts';
import { must } from '../../base/invariant.ts';
import type { RangeResult, WriteTxn } from '../mvcc/types.ts';
import { takenBranches, type ReadView } from './compare.ts';
import { storeEnd, storeRange } from './key-ranges.ts';
import { rangeAnswer, rangeQuery, writeRangeAnswer } from './range.ts';
import { rowFields } from './row-fields.ts';

/** The state that a txn is checked against. */
export interface TxnScope {
  /** Revision before the txn. */
  readonly rev: number;
  /** −1 before any compaction. */
  readonly compactRev: number;
  hasLease(id: bigint): boolean;
}

export interface TxnOutcome {
  readonly error: Status | undefined;
  /** `succeeded` and `responses` of the TxnResponse, encoded. */
  readonly body: Uint8Array;
}

/** Runs a txn that only reads. */
export function readTxn(view: ReadView, txn: TxnRequest, scope: TxnScope): TxnOutcome {
  const branches = takenBranches(view, txn);
  const error = checkOps(view, txn, scope, branches);
  return error === undefined ? { error, body: run(view, undefined, txn, branches) } : { error, body: emptyBytes };
}

/** Runs any txn inside `write`. On an error nothing was written. */
export function writeTxn(write: WriteTxn, txn: TxnRequest, scope: TxnScope): TxnOutcome {
  const branches = takenBranches(write, txn);
  const error = checkOps(write, txn, scope, branches);
  return error === undefined ? { error, body: run(write, write, txn, branches) } : { error, body: emptyBytes };
}

/** A put outside or inside a txn: writes the value and lease that it means. */
export interface PutOutcome {
  readonly error: Status | undefined;
  readonly rev: number;
  /** The former row, when asked for and there. */
  readonly prev: Uint8Array | undefined;
}

/** The general put. The lease must have been checked. */
export function put(write: WriteTxn, r: PutRequest): PutOutcome {
  let value = r.value;
  let lease = r.lease;
  let prev: Uint8Array | undefined;
  if (r.ignoreValue || r.ignoreLease || r.prevKv) {
    prev = singleRow(write, r.key);
    if (r.ignoreValue || r.ignoreLease) {
      if (prev === undefined) return { error: errors.keyNotFound, rev: 0, prev: undefined };
      const former = rowFields(prev);
      if (r.ignoreValue) value = former.value;
      if (r.ignoreLease) lease = former.lease;
    }
  }
  return { error: undefined, rev: write.put(r.key, value, lease), prev: r.prevKv ? prev : undefined };
}

export interface DeleteOutcome {
  readonly deleted: number;
  readonly rev: number;
  /** The deleted rows, when asked for. */
  readonly prev: readonly Uint8Array[];
}

export function deleteRange(write: WriteTxn, r: DeleteRangeRequest): DeleteOutcome {
  const range = storeRange(r.key, r.rangeEnd);
  const prev = r.prevKv ? write.range({ ...range, rev: 0, limit: 0, countOnly: false }).kvs : [];
  const { deleted, rev } = write.deleteRange(range);
  return { deleted, rev, prev };
}

/** Appends `deleted` 2 and `prev_kvs` 3 of a DeleteRangeResponse. */
export function writeDeleteOutcome(outcome: DeleteOutcome, w: Writer): void {
  if (outcome.deleted !== 0) {
    w.varint32(16);
    w.int64(outcome.deleted);
  }
  for (const kv of outcome.prev) {
    w.varint32(26);
    w.bytes(kv);
  }
}

function singleRow(view: ReadView, key: Uint8Array): Uint8Array | undefined {
  return view.range({ key, end: undefined, rev: 0, limit: 1, countOnly: false }).kvs[0];
}

/** Takes the branches decided before, one a txn, in order of execution. */
class Branches {
  readonly #taken: readonly boolean[];
  #next = 0;

  constructor(taken: readonly boolean[]) {
    this.#taken = taken;
  }

  next(): boolean {
    return must(this.#taken[this.#next++], 'every executed txn has its branch decided');
  }
}

/** What the operations before have done to a key that a later one needs. */
type Effect = { readonly put: string } | { readonly from: string; readonly to: string | undefined };

function checkOps(view: ReadView, txn: TxnRequest, scope: TxnScope, taken: readonly boolean[]): Status | undefined {
  const branches = new Branches(taken);
  const effects: Effect[] = [];
  const checkBranch = (t: TxnRequest): Status | undefined => {
    for (const op of branches.next() ? t.success : t.failure) {
      const error = check(op);
      if (error !== undefined) return error;
    }
    return undefined;
  };
  const check = (op: RequestOp): Status | undefined => {
    if (op.requestRange !== undefined) return checkRevision(op.requestRange, scope);
    if (op.requestPut !== undefined) return checkPutState(view, op.requestPut, scope, effects);
    if (op.requestDeleteRange !== undefined) noteDelete(op.requestDeleteRange, effects);
    return op.requestTxn === undefined ? undefined : checkBranch(op.requestTxn);
  };
  return checkBranch(txn);
}

/** Inside a txn a negative revision is not "newest" as in a plain Range, but older than the compacted one (which is −1 at first). */
function checkRevision(r: RangeRequest, scope: TxnScope): Status | undefined {
  if (r.revision === 0) return undefined;
  if (r.revision > scope.rev) return errors.futureRev;
  return r.revision < scope.compactRev ? errors.compacted : undefined;
}

function checkPutState(view: ReadView, r: PutRequest, scope: TxnScope, effects: Effect[]): Status | undefined {
  if (r.lease !== 0n && !scope.hasLease(r.lease)) return errors.leaseNotFound;
  if (!r.ignoreValue && !r.ignoreLease) {
    if (effects.length !== 0) effects.push({ put: latin1(r.key) });
    return undefined;
  }
  // Requests checked by `checkTxn` never meet a key deleted before in the same txn; an entry proposed by a member that does not refuse them may.
  const key = latin1(r.key);
  for (let i = effects.length - 1; i >= 0; i--) {
    const e = effects[i] as Effect;
    if ('put' in e) {
      if (e.put === key) return undefined;
    } else if (key >= e.from && (e.to === undefined || key < e.to)) return errors.keyNotFound;
  }
  return singleRow(view, r.key) === undefined ? errors.keyNotFound : undefined;
}

function noteDelete(r: DeleteRangeRequest, effects: Effect[]): void {
  const from = latin1(r.key);
  const end = storeEnd(r.rangeEnd);
  effects.push({ from, to: end === undefined ? from + '\0' : end.length === 0 ? undefined : latin1(end) });
}

const scratchBytes = 4096;
/** A larger answer must not pin its buffer for ever. */
const scratchBytesMax = 1 << 20;
let scratch = new Writer(scratchBytes);

function run(view: ReadView, write: WriteTxn | undefined, txn: TxnRequest, taken: readonly boolean[]): Uint8Array {
  const w = scratch;
  w.reset();
  runTxn(view, write, txn, new Branches(taken), w);
  const body = w.finish();
  if (w.buf.length > scratchBytesMax) scratch = new Writer(scratchBytes);
  return body;
}

/** Appends `succeeded` 2 and `responses` 3 of a TxnResponse. */
function runTxn(view: ReadView, write: WriteTxn | undefined, txn: TxnRequest, branches: Branches, w: Writer): void {
  const succeeded = branches.next();
  if (succeeded) {
    w.varint32(16);
    w.varint32(1);
  }
  for (const op of succeeded ? txn.success : txn.failure) {
    w.varint32(26);
    const mark = w.beginMessage();
    runOp(view, write, op, branches, w);
    w.endMessage(mark);
  }
}

/** Appends a ResponseOp: response_range 1, response_put 2, response_delete_range 3, response_txn 4. */
function runOp(view: ReadView, write: WriteTxn | undefined, op: RequestOp, branches: Branches, w: Writer): void {
  if (op.requestRange !== undefined) {
    const result: RangeResult = view.range(rangeQuery(op.requestRange));
    const answer = rangeAnswer(op.requestRange, result);
    w.varint32(10);
    const mark = w.beginMessage();
    writeHeader(result.rev, w);
    writeRangeAnswer(answer, w);
    w.endMessage(mark);
  } else if (op.requestPut !== undefined) {
    const outcome = put(must(write, 'a txn that writes has a write transaction'), op.requestPut);
    must(outcome.error === undefined ? outcome : undefined, 'a checked put does not fail');
    w.varint32(18);
    const mark = w.beginMessage();
    writeHeader(outcome.rev, w);
    if (outcome.prev !== undefined) {
      w.varint32(18);
      w.bytes(outcome.prev);
    }
    w.endMessage(mark);
  } else if (op.requestDeleteRange !== undefined) {
    const outcome = deleteRange(must(write, 'a txn that writes has a write transaction'), op.requestDeleteRange);
    w.varint32(26);
    const mark = w.beginMessage();
    writeHeader(outcome.rev, w);
    writeDeleteOutcome(outcome, w);
    w.endMessage(mark);
  } else if (op.requestTxn !== undefined) {
    w.varint32(34);
    const mark = w.beginMessage();
    // The header of a nested txn is there and empty.
    w.varint32(10);
    w.varint32(0);
    runTxn(view, write, op.requestTxn, branches, w);
    w.endMessage(mark);
  }
}

/** Operations inside a txn tell nothing but the revision in their headers. */
function writeHeader(rev: number, w: Writer): void {
  w.varint32(10);
  const mark = w.beginMessage();
  w.varint32(24);
  w.int64(rev);
  w.endMessage(mark);
}

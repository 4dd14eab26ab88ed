/** Meaning of a txn's compares. */
import { Compare_CompareResult, Compare_CompareTarget, type Compare, type TxnRequest } from '../../api/gen/etcdserverpb.ts';
import { compareBytes, emptyBytes } from '../../base/bytes.ts';
import type { RangeQuery, RangeResult } from '../mvcc/types.ts';
import { storeEnd } from './key-ranges.ts';
import { noRow, rowFields, type RowFields } from './row-fields.ts';

/** What can be read from: the store, or the writes of one entry. */
export interface ReadView {
  range(query: RangeQuery): RangeResult;
}

/** True when every compare holds for every key that it names. Sees the newest revision. */
export function evaluateCompares(view: ReadView, compares: readonly Compare[]): boolean {
  for (const c of compares) if (!evaluateCompare(view, c)) return false;
  return true;
}

/**
 * Which branch a txn and each txn nested in a taken branch takes, in order of execution. All are decided on the state before the txn: a nested
 * compare does not see what the txn writes.
 */
export function takenBranches(view: ReadView, txn: TxnRequest, into: boolean[] = []): boolean[] {
  const succeeded = evaluateCompares(view, txn.compare);
  into.push(succeeded);
  for (const op of succeeded ? txn.success : txn.failure) {
    if (op.requestTxn !== undefined) takenBranches(view, op.requestTxn, into);
  }
  return into;
}

function evaluateCompare(view: ReadView, c: Compare): boolean {
  const { kvs } = view.range({ key: c.key, end: storeEnd(c.rangeEnd), rev: 0, limit: 0, countOnly: false });
  // There is no way to write "no value": comparing the value of a missing key never holds. Other fields of a missing key are 0.
  if (kvs.length === 0) return c.target !== Compare_CompareTarget.VALUE && holds(c, noRow);
  for (const kv of kvs) if (!holds(c, rowFields(kv))) return false;
  return true;
}

function holds(c: Compare, row: RowFields): boolean {
  const order = compareField(c, row);
  switch (c.result) {
    case Compare_CompareResult.EQUAL:
      return order === 0;
    case Compare_CompareResult.NOT_EQUAL:
      return order !== 0;
    case Compare_CompareResult.GREATER:
      return order > 0;
    case Compare_CompareResult.LESS:
      return order < 0;
    default:
      // A result without a name always holds, a target without a name always compares equal: as etcd.
      return true;
  }
}

/** An operand of another kind than the target's counts as the zero of the target's kind. */
function compareField(c: Compare, row: RowFields): number {
  switch (c.target) {
    case Compare_CompareTarget.VERSION:
      return row.version - (c.version ?? 0);
    case Compare_CompareTarget.CREATE:
      return row.createRevision - (c.createRevision ?? 0);
    case Compare_CompareTarget.MOD:
      return row.modRevision - (c.modRevision ?? 0);
    case Compare_CompareTarget.VALUE:
      return compareBytes(row.value, c.value ?? emptyBytes);
    case Compare_CompareTarget.LEASE: {
      const lease = c.lease ?? 0n;
      return row.lease === lease ? 0 : row.lease > lease ? 1 : -1;
    }
    default:
      return 0;
  }
}

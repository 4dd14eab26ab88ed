/**
 * What the roles of one user allow: the ranges it may read and those it may write, merged, so that a request over adjoining grants passes and
 * one over a gap does not.
 */
import { Permission_Type, type Permission } from '../../api/gen/authpb.ts';
import { latin1 } from '../../base/bytes.ts';
import { RangeSet, storeRange } from '../txn/key-ranges.ts';

/** After every key, since keys are latin1 here. */
const endOfKeys = '\uffff';

export class UserPermissions {
  readonly #read = new RangeSet();
  readonly #write = new RangeSet();

  constructor(grants: Iterable<Permission>) {
    for (const grant of grants) {
      const { start, end } = interval(grant.key, grant.rangeEnd);
      if (grant.permType === Permission_Type.READ || grant.permType === Permission_Type.READWRITE) this.#read.add(start, end);
      if (grant.permType === Permission_Type.WRITE || grant.permType === Permission_Type.READWRITE) this.#write.add(start, end);
    }
  }

  allows(key: Uint8Array, rangeEnd: Uint8Array, write: boolean): boolean {
    const { start, end } = interval(key, rangeEnd);
    return (write ? this.#write : this.#read).covers(start, end);
  }
}

/** What may be granted: a key, or a range that holds at least its first key. */
export function isGrantable(p: Permission): boolean {
  if (p.key.length === 0) return false;
  const { start, end } = interval(p.key, p.rangeEnd);
  return start < end;
}

/** The range as the store would take it: one reading of `range_end` for grants, checks and reads. */
function interval(key: Uint8Array, rangeEnd: Uint8Array): { start: string; end: string } {
  const range = storeRange(key, rangeEnd);
  const start = latin1(range.key);
  return { start, end: range.end === undefined ? start + '\0' : range.end.length === 0 ? endOfKeys : latin1(range.end) };
}

/**
 * Reads single fields out of stored `mvccpb.KeyValue` bytes, so that compares, filters and sorts need not build the message.
 *
 * A row as etcd and we write it has its fields in order of number: key 1, create_revision 2, mod_revision 3, version 4, value 5, lease 6.
 * So the form without value and lease is a prefix of the row: `keyOnlyRow` is a view, not a copy.
 */
import { Reader, Writer } from '../../api/proto-io.ts';
import { emptyBytes } from '../../base/bytes.ts';

const tagKey = 10;
const tagCreate = 16;
const tagMod = 24;
const tagVersion = 32;
const tagValue = 42;
const tagLease = 48;

export interface RowFields {
  /** Views of the row. */
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  readonly createRevision: number;
  readonly modRevision: number;
  readonly version: number;
  readonly lease: bigint;
}

/** What a compare sees where there is no key. */
export const noRow: RowFields = { key: emptyBytes, value: emptyBytes, createRevision: 0, modRevision: 0, version: 0, lease: 0n };

/** All fields of a row; key and value are views of it. */
export function rowFields(row: Uint8Array): RowFields {
  const r = new Reader(row);
  let key: Uint8Array = emptyBytes;
  let value: Uint8Array = emptyBytes;
  let createRevision = 0;
  let modRevision = 0;
  let version = 0;
  let lease = 0n;
  while (r.pos < row.length) {
    const tag = r.varint32();
    switch (tag) {
      case tagKey:
        key = r.bytes();
        break;
      case tagCreate:
        createRevision = r.int64();
        break;
      case tagMod:
        modRevision = r.int64();
        break;
      case tagVersion:
        version = r.int64();
        break;
      case tagValue:
        value = r.bytes();
        break;
      case tagLease:
        lease = r.bigInt64();
        break;
      default:
        r.skip(tag);
    }
  }
  return { key, value, createRevision, modRevision, version, lease };
}

/** The row without value and lease: a view where the fields are in order, else a copy. */
export function keyOnlyRow(row: Uint8Array): Uint8Array {
  const r = new Reader(row);
  let last = 0;
  while (r.pos < row.length) {
    const start = r.pos;
    const tag = r.varint32();
    if (tag === tagValue || tag === tagLease) return onlyTrailing(row, start) ? row.subarray(0, start) : without(row, true);
    if (tag < last) return without(row, true);
    last = tag;
    r.skip(tag);
  }
  return row;
}

/** The row without its value, lease kept: what a keys-only range sorted by value gives. */
export function valuelessRow(row: Uint8Array): Uint8Array {
  return without(row, false);
}

/** True when nothing but value and lease follows from `start`. */
function onlyTrailing(row: Uint8Array, start: number): boolean {
  const r = new Reader(row);
  r.pos = start;
  while (r.pos < row.length) {
    const tag = r.varint32();
    if (tag !== tagValue && tag !== tagLease) return false;
    r.skip(tag);
  }
  return true;
}

function without(row: Uint8Array, lease: boolean): Uint8Array {
  const r = new Reader(row);
  const w = new Writer(row.length + 1);
  while (r.pos < row.length) {
    const start = r.pos;
    const tag = r.varint32();
    r.skip(tag);
    if (tag === tagValue || (lease && tag === tagLease)) continue;
    w.raw(row.subarray(start, r.pos));
  }
  return w.finish();
}

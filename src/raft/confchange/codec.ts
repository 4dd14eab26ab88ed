/**
 * ConfChange and ConfChangeV2 as they stand in an entry's data. The machine needs them when it proposes and checks changes, and it may not import
 * the generated codecs, which sit above it; a test holds the two equal.
 *
 *   ConfChange        1 id varint (absent when 0) · 2 type varint · 3 node_id varint · 4 context bytes (absent when empty)
 *   ConfChangeV2      1 transition varint · 2 changes, each a ConfChangeSingle · 3 context bytes (absent when empty)
 *   ConfChangeSingle  1 type varint · 2 node_id varint
 */
import { emptyBytes } from '../../base/bytes.ts';
import { EntryType, type ConfChange, type ConfChangeSingle, type ConfChangeV2, type Entry } from '../types.ts';

export function encodeConfChange(change: ConfChange): Uint8Array {
  const out: number[] = [];
  if (change.id !== 0n) field(out, 8, change.id);
  field(out, 16, BigInt(change.type));
  field(out, 24, change.nodeId);
  return joined(out, 34, change.context);
}

export function encodeConfChangeV2(change: ConfChangeV2): Uint8Array {
  const out: number[] = [];
  field(out, 8, BigInt(change.transition));
  for (const single of change.changes) {
    const inner: number[] = [];
    field(inner, 8, BigInt(single.type));
    field(inner, 16, single.nodeId);
    field(out, 18, BigInt(inner.length));
    for (const byte of inner) out.push(byte);
  }
  return joined(out, 26, change.context);
}

/** A version 1 change as the version 2 change of the same meaning. */
export function asV2(change: ConfChange | ConfChangeV2): ConfChangeV2 {
  if ('changes' in change) return change;
  return { transition: 0, changes: [{ type: change.type, nodeId: change.nodeId }], context: change.context };
}

/** The change in a configuration entry; undefined when the entry is none or its bytes make no sense. */
export function changeOf(entry: Pick<Entry, 'Type' | 'Data'>): ConfChangeV2 | undefined {
  const reader = new Reader(entry.Data);
  if (entry.Type === EntryType.EntryConfChange) return readV1(reader);
  if (entry.Type === EntryType.EntryConfChangeV2) return readV2(reader);
  return undefined;
}

export function isConfChangeEntry(entry: Pick<Entry, 'Type'>): boolean {
  return entry.Type === EntryType.EntryConfChange || entry.Type === EntryType.EntryConfChangeV2;
}

function readV1(r: Reader): ConfChangeV2 | undefined {
  const single: ConfChangeSingle = { type: 0, nodeId: 0n };
  let context: Uint8Array = emptyBytes;
  while (r.more()) {
    const tag = r.small();
    if (tag === 16) single.type = r.small();
    else if (tag === 24) single.nodeId = r.varint();
    else if (tag === 34) context = r.bytes();
    else r.skip(tag);
  }
  return r.failed ? undefined : { transition: 0, changes: [single], context };
}

function readV2(r: Reader): ConfChangeV2 | undefined {
  const change: ConfChangeV2 = { transition: 0, changes: [], context: emptyBytes };
  while (r.more()) {
    const tag = r.small();
    if (tag === 8) change.transition = r.small();
    else if (tag === 26) change.context = r.bytes();
    else if (tag === 18) {
      const single = readSingle(new Reader(r.bytes()));
      if (single === undefined) return undefined;
      change.changes.push(single);
    } else r.skip(tag);
  }
  return r.failed ? undefined : change;
}

function readSingle(r: Reader): ConfChangeSingle | undefined {
  const single: ConfChangeSingle = { type: 0, nodeId: 0n };
  while (r.more()) {
    const tag = r.small();
    if (tag === 8) single.type = r.small();
    else if (tag === 16) single.nodeId = r.varint();
    else r.skip(tag);
  }
  return r.failed ? undefined : single;
}

/** Reads never throw: the first bad byte sets `failed` and ends the input. */
class Reader {
  readonly #data: Uint8Array;
  #pos = 0;
  failed = false;

  constructor(data: Uint8Array) {
    this.#data = data;
  }

  more(): boolean {
    return !this.failed && this.#pos < this.#data.length;
  }

  varint(): bigint {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.#data[this.#pos++];
      if (byte === undefined) break;
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return BigInt.asUintN(64, value);
    }
    this.failed = true;
    return 0n;
  }

  small(): number {
    const value = this.varint();
    if (value <= 0xffffffffn) return Number(value);
    this.failed = true;
    return 0;
  }

  bytes(): Uint8Array {
    const length = this.small();
    const start = this.#pos;
    if (start + length > this.#data.length) {
      this.failed = true;
      return emptyBytes;
    }
    this.#pos = start + length;
    return this.#data.subarray(start, this.#pos);
  }

  skip(tag: number): void {
    const wire = tag & 7;
    if (tag >>> 3 === 0) this.failed = true;
    else if (wire === 0) this.varint();
    else if (wire === 1) this.#pos += 8;
    else if (wire === 2) this.bytes();
    else if (wire === 5) this.#pos += 4;
    else this.failed = true;
    if (this.#pos > this.#data.length) this.failed = true;
  }
}

function field(out: number[], tag: number, value: bigint): void {
  out.push(tag);
  let rest = BigInt.asUintN(64, value);
  while (rest > 127n) {
    out.push(Number(rest & 127n) | 128);
    rest >>= 7n;
  }
  out.push(Number(rest));
}

function joined(head: number[], contextTag: number, context: Uint8Array): Uint8Array {
  if (context.length > 0) field(head, contextTag, BigInt(context.length));
  const out = new Uint8Array(head.length + context.length);
  out.set(head);
  out.set(context, head.length);
  return out;
}

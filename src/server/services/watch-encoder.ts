/**
 * Watch responses put together from stored bytes.
 *
 * WatchResponse { 1 header, 2 watch_id, 3 created, 4 canceled, 5 compact_revision, 6 cancel_reason, 7 fragment, 11 events }
 * Event { 1 type (PUT 0, DELETE 1), 2 kv, 3 prev_kv }
 *
 * A change seen by a thousand watchers is encoded once: all of them share the header's bytes and the event's bytes, and differ only in the
 * two or three bytes of their watch id.
 */
import type { WatchEvent } from '../mvcc/types.ts';
import { varintSize, writeBigVarint, writeVarint } from './varint.ts';

const noBytes = new Uint8Array(0);
const fragmentField = Uint8Array.of(0x38, 1);

/** A watch id as clients may choose it: any 64 bits. Ids beyond 2^53 come as bigint. */
export type WireWatchId = number | bigint;

export function idField(id: WireWatchId): Uint8Array {
  if (id === 0) return noBytes;
  if (typeof id === 'bigint') {
    const big = Buffer.allocUnsafe(11);
    big[0] = 0x10;
    return big.subarray(0, writeBigVarint(big, 1, id));
  }
  const out = Buffer.allocUnsafe(1 + varintSize(id));
  out[0] = 0x10;
  writeVarint(out, 1, id);
  return out;
}

/** Created, cancelled and progress messages. */
export function controlMessage(
  header: Uint8Array,
  id: WireWatchId,
  what: { readonly created?: boolean; readonly canceled?: boolean; readonly compactRev?: number; readonly reason?: string },
): readonly Uint8Array[] {
  const reason = what.reason === undefined ? noBytes : Buffer.from(what.reason, 'utf8');
  const tail = Buffer.allocUnsafe(26 + reason.length);
  let at = 0;
  if (what.created === true) {
    tail[at++] = 0x18;
    tail[at++] = 1;
  }
  if (what.canceled === true) {
    tail[at++] = 0x20;
    tail[at++] = 1;
  }
  if (what.compactRev !== undefined && what.compactRev !== 0) {
    tail[at++] = 0x28;
    at = writeVarint(tail, at, what.compactRev);
  }
  if (reason.length > 0) {
    tail[at++] = 0x32;
    at = writeVarint(tail, at, reason.length);
    tail.set(reason, at);
    at += reason.length;
  }
  const parts = [header, idField(id)];
  if (at > 0) parts.push(tail.subarray(0, at));
  return parts;
}

function eventSize(event: WatchEvent): number {
  const { kv, prevKv } = event;
  return (
    (event.type === 'delete' ? 2 : 0) +
    1 +
    varintSize(kv.length) +
    kv.length +
    (prevKv === undefined ? 0 : 1 + varintSize(prevKv.length) + prevKv.length)
  );
}

/** One `events` field. */
function encodeEvent(event: WatchEvent): Uint8Array {
  const { kv, prevKv } = event;
  const size = eventSize(event);
  const out = Buffer.allocUnsafe(1 + varintSize(size) + size);
  out[0] = 0x5a;
  let at = writeVarint(out, 1, size);
  if (event.type === 'delete') {
    out[at++] = 0x08;
    out[at++] = 1;
  }
  out[at++] = 0x12;
  at = writeVarint(out, at, kv.length);
  out.set(kv, at);
  at += kv.length;
  if (prevKv !== undefined) {
    out[at++] = 0x1a;
    at = writeVarint(out, at, prevKv.length);
    out.set(prevKv, at);
  }
  return out;
}

/** Encodes events, remembering the last few: watchers of one change are told one after the other. */
export class EventEncoder {
  /** A power of two. A transaction of up to this many keys is encoded once for all its watchers. */
  static readonly slots = 64;
  readonly #kv: (Uint8Array | undefined)[] = new Array<Uint8Array | undefined>(EventEncoder.slots);
  readonly #prev: (Uint8Array | undefined)[] = new Array<Uint8Array | undefined>(EventEncoder.slots);
  readonly #bytes: Uint8Array[] = new Array<Uint8Array>(EventEncoder.slots);
  #next = 0;
  /** Values above this are not remembered: the slots would hold on to them. */
  static readonly rememberBytesMax = 16384;

  encode(event: WatchEvent): Uint8Array {
    // Newest first: the same event for the next watcher is nearly always the last one.
    for (let i = 1; i <= EventEncoder.slots; i++) {
      const slot = (this.#next - i) & (EventEncoder.slots - 1);
      const kv = this.#kv[slot];
      if (kv === undefined) break;
      if (kv === event.kv && this.#prev[slot] === event.prevKv) return this.#bytes[slot] as Uint8Array;
    }
    const bytes = encodeEvent(event);
    if (bytes.length <= EventEncoder.rememberBytesMax) {
      const slot = this.#next & (EventEncoder.slots - 1);
      this.#kv[slot] = event.kv;
      this.#prev[slot] = event.prevKv;
      this.#bytes[slot] = bytes;
      this.#next++;
    }
    return bytes;
  }

  /**
   * The messages of one delivery.
   *
   * @param fragmentBytes  0: one message whatever its size. Else a message that reaches this size is cut between events; every part but the
   *   last is marked as a fragment. A single event larger than that travels alone.
   */
  messages(header: Uint8Array, id: WireWatchId, events: readonly WatchEvent[], fragmentBytes: number): (readonly Uint8Array[])[] {
    const idBytes = idField(id);
    if (events.length === 1) return [[header, idBytes, this.encode(events[0] as WatchEvent)]];
    const encoded = events.map((e) => this.encode(e));
    const fixed = header.length + idBytes.length;
    let total = fixed;
    for (const e of encoded) total += e.length;
    if (fragmentBytes === 0 || total < fragmentBytes) return [[header, idBytes, ...encoded]];
    const out: Uint8Array[][] = [];
    let from = 0;
    while (from < encoded.length) {
      let size = fixed + 2;
      let to = from;
      while (to < encoded.length) {
        size += (encoded[to] as Uint8Array).length;
        if (to > from && size >= fragmentBytes) break;
        to++;
      }
      const parts = [header, idBytes];
      if (to < encoded.length) parts.push(fragmentField);
      for (let i = from; i < to; i++) parts.push(encoded[i] as Uint8Array);
      out.push(parts);
      from = to;
    }
    return out;
  }
}

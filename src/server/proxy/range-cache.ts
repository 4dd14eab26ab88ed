/**
 * Answers to ranges, kept for serializable reads. As etcd's proxy has it: what goes through this proxy forgets what it changes, and a
 * write that takes another way is not noticed before a watch here tells of it or the answer has grown old; whoever needs the newest state
 * reads linearizably. What users may see can change elsewhere too: an answer's age bounds that as well.
 *
 * A write forgets the ranges it touches before it leaves and again when its answer is here, and an answer that was under way meanwhile is
 * not kept: so that no read through this proxy sees less than a write through it that was answered before.
 */
import { compareBytes, latin1 } from '../../base/bytes.ts';
import type { Clock } from '../../base/clock.ts';
import type { Gauge } from '../../base/metrics.ts';

/** Entries, as etcd's proxy has them. */
const entriesMax = 2048;
/** Bytes of all answers together, so that a few thousand large ranges cannot fill the memory. */
const bytesMax = 64 * 1024 * 1024;

/** Milliseconds after which an answer is asked for again. */
const ageMsMax = 30_000;

interface Entry {
  readonly id: string;
  readonly key: Uint8Array;
  /** Empty: one key. */
  readonly end: Uint8Array;
  /** Asked for by a revision: never changes. */
  readonly pinned: boolean;
  readonly body: Uint8Array;
  /** On the monotonic clock. */
  readonly addedMs: number;
}

/** A range whose answer is under way. */
export interface PendingRange {
  readonly key: Uint8Array;
  readonly end: Uint8Array;
  /** Asked for by a revision: what is written does not change it. */
  readonly pinned: boolean;
  /** Something in it changed meanwhile, or who may see it. */
  touched: boolean;
}

export class RangeCache {
  /** In order of use, the last used last. */
  readonly #entries = new Map<string, Entry>();
  /** Entries of one key, by it: most writes are of one key, and must not look at every entry. */
  readonly #points = new Map<string, Set<Entry>>();
  readonly #ranges = new Set<Entry>();
  readonly #pending = new Set<PendingRange>();
  readonly #keys: Gauge;
  readonly #clock: Pick<Clock, 'mono'>;
  #bytes = 0;
  #compactRevision = 0;

  constructor(keys: Gauge, clock: Pick<Clock, 'mono'>) {
    this.#keys = keys;
    this.#clock = clock;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** @param request  the encoded request with `serializable` set; @param who  whose answer it is */
  static idOf(request: Uint8Array, who: string): string {
    return `${who}\u0000${latin1(request)}`;
  }

  /** Whether the revision was compacted through this proxy. */
  isCompacted(revision: number): boolean {
    return revision > 0 && revision < this.#compactRevision;
  }

  get(id: string): Uint8Array | undefined {
    const entry = this.#entries.get(id);
    if (entry === undefined) return undefined;
    if (this.#clock.mono() - entry.addedMs > ageMsMax) {
      this.#drop(id);
      this.#keys.set(this.#entries.size);
      return undefined;
    }
    this.#entries.delete(id);
    this.#entries.set(id, entry);
    return entry.body;
  }

  begin(key: Uint8Array, end: Uint8Array, revision = 0): PendingRange {
    const pending = { key, end, pinned: revision > 0, touched: false };
    this.#pending.add(pending);
    return pending;
  }

  abandon(pending: PendingRange): void {
    this.#pending.delete(pending);
  }

  /** Keeps the answer unless something in its range changed while it was under way. `body` is kept: it must not be a view of something larger. */
  add(pending: PendingRange, id: string, revision: number, body: Uint8Array): void {
    this.#pending.delete(pending);
    if (pending.touched || (revision > 0 && revision <= this.#compactRevision)) return;
    // One answer must not push out all others.
    if (body.length > bytesMax / 16) return;
    this.#drop(id);
    const entry: Entry = { id, key: pending.key, end: pending.end, pinned: revision > 0, body, addedMs: this.#clock.mono() };
    this.#entries.set(id, entry);
    this.#bytes += body.length;
    if (!entry.pinned) this.#index(entry);
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= entriesMax && this.#bytes <= bytesMax) break;
      this.#drop(oldest);
    }
    this.#keys.set(this.#entries.size);
  }

  /** Forgets what overlaps `[key, end)`, or `key` alone when `end` is empty. */
  invalidate(key: Uint8Array, end: Uint8Array): void {
    for (const pending of this.#pending) if (!pending.pinned && overlap(pending.key, pending.end, key, end)) pending.touched = true;
    if (end.length === 0) for (const entry of [...(this.#points.get(latin1(key)) ?? [])]) this.#drop(entry.id);
    else
      for (const same of [...this.#points.values()])
        for (const entry of [...same]) if (overlap(entry.key, entry.end, key, end)) this.#drop(entry.id);
    for (const entry of [...this.#ranges]) if (overlap(entry.key, entry.end, key, end)) this.#drop(entry.id);
    this.#keys.set(this.#entries.size);
  }

  /** Forgets everything, also what is under way: who may see what has changed. */
  clear(): void {
    for (const pending of this.#pending) pending.touched = true;
    for (const id of [...this.#entries.keys()]) this.#drop(id);
    this.#keys.set(0);
  }

  compacted(revision: number): void {
    this.#compactRevision = Math.max(this.#compactRevision, revision);
  }

  #drop(id: string): void {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    this.#entries.delete(id);
    this.#bytes -= entry.body.length;
    this.#ranges.delete(entry);
    if (entry.pinned || entry.end.length > 0) return;
    const at = latin1(entry.key);
    const same = this.#points.get(at);
    same?.delete(entry);
    if (same?.size === 0) this.#points.delete(at);
  }

  #index(entry: Entry): void {
    if (entry.end.length > 0) {
      this.#ranges.add(entry);
      return;
    }
    const at = latin1(entry.key);
    const same = this.#points.get(at);
    if (same === undefined) this.#points.set(at, new Set([entry]));
    else same.add(entry);
  }
}

/** Whether two ranges share a key. An empty end is one key, a zero byte no end at all. */
function overlap(aKey: Uint8Array, aEnd: Uint8Array, bKey: Uint8Array, bEnd: Uint8Array): boolean {
  return endsBehind(aKey, aEnd, bKey) && endsBehind(bKey, bEnd, aKey);
}

/** Whether some key of `[key, end)` is `at` or behind it. */
function endsBehind(key: Uint8Array, end: Uint8Array, at: Uint8Array): boolean {
  if (end.length === 0) return compareBytes(key, at) >= 0;
  return (end.length === 1 && end[0] === 0) || compareBytes(end, at) > 0;
}

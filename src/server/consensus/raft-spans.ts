/**
 * Spans of sampled writes between their proposal and their answer: `raft` from the proposal to the commit, `wal` around the append and sync that
 * carries the entry here, `apply`. Entries are recognised by their data, so that raft and WAL need not know of any of it. Nothing here is touched while
 * no sampled write is under way.
 */
import type { Span } from '../../base/trace.ts';
import type { Entry } from '../../raft/types.ts';

/** Sampled writes followed at a time; those beyond it show their call alone. */
const followedMax = 4096;
/** The end of an entry has the request's id, with which the whole is told apart. */
const tailBytes = 48;

interface Followed {
  readonly work: Span;
  readonly raft: Span;
  committedMs: number;
}

export class RaftSpans {
  readonly #open = new Map<string, Followed>();

  get idle(): boolean {
    return this.#open.size === 0;
  }

  /** The entry goes to raft. */
  proposed(data: Uint8Array, work: Span): void {
    work.event('Send raft proposal');
    if (this.#open.size < followedMax) this.#open.set(keyOf(data), { work, raft: work.child('raft'), committedMs: 0 });
  }

  /** These entries go to the WAL; undefined when none of them is followed, else run it when they are durable. */
  saving(entries: readonly Entry[]): (() => void) | undefined {
    const spans: Span[] = [];
    for (const entry of entries) {
      const found = this.#open.get(keyOf(entry.Data));
      if (found !== undefined) spans.push(found.raft.child('wal', { entries: entries.length }));
    }
    if (spans.length === 0) return undefined;
    return () => {
      for (const span of spans) span.end();
    };
  }

  committed(entries: readonly Entry[], nowMs: number): void {
    for (const entry of entries) {
      const found = this.#open.get(keyOf(entry.Data));
      if (found === undefined) continue;
      found.committedMs = nowMs;
      found.raft.end(nowMs);
    }
  }

  /** The entry has been applied; that began at `startMs`, unless it was committed later. */
  applied(data: Uint8Array, work: Span, startMs: number, endMs: number, index: number): void {
    const key = keyOf(data);
    const committedMs = this.#open.get(key)?.committedMs ?? 0;
    this.#open.delete(key);
    work.child('apply', { index }, Math.max(startMs, committedMs)).end(endMs);
    work.event('Receive raft result');
  }

  /** It will not be applied, or nobody waits for it any more. */
  dropped(data: Uint8Array): void {
    this.#open.delete(keyOf(data));
  }
}

function keyOf(data: Uint8Array): string {
  const from = Math.max(0, data.length - tailBytes);
  return `${data.length} ${Buffer.from(data.buffer, data.byteOffset + from, data.length - from).latin1Slice()}`;
}

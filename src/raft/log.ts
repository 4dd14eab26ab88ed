/**
 * The member's log in memory, behind its last snapshot, and where each border in it stands:
 *
 *      snapshotIndex     applied   handed     committed        stable     written     last
 *   ─────────┼──────────────┼────────┼────────────┼──────────────┼──────────┼──────────┤
 *    in the snapshot        │  to be applied      │    to be committed  on its way    not yet in
 *                      in the state machine                               to the WAL    a Ready
 *
 *   applied ≤ handed ≤ min(committed, stable)   (rule D-3)          stable ≤ written ≤ last          committed ≤ last
 *
 * `stable` is exact: entries up to it are in the WAL as they are here. Several writes may be under way; when a conflict replaces a tail, each of
 * them is cut back to what of it still counts, so that a late acknowledgement of replaced entries moves nothing, even when the same entry
 * comes back at the same place later (ABA):
 *
 *   write 1 carries 5@1 · a new leader replaces it: write 2 carries 5@2 · a third brings 5@1 back: write 3 carries 5@1
 *   write 1 done → nothing (cut to 4)     write 2 done → nothing (cut to 4)     write 3 done → stable = 5
 */
import { invariant } from '../base/invariant.ts';
import { isConfChangeEntry } from './confchange/codec.ts';
import { entryOverheadBytes } from './message.ts';
import type { Entry, Snapshot } from './types.ts';

/** One Ready's durable part on its way to the WAL. */
interface Write {
  readonly token: number;
  /** Entries up to here are durable when it is done. */
  last: number;
  /** Commit index that its hard state, or the one before, carries. */
  readonly commit: number;
  /** 0 when it carries no snapshot. */
  readonly snapshotIndex: number;
}

/** Committed entries in the hands of the state machine. */
interface Batch {
  readonly last: number;
  readonly bytes: number;
}

export interface RaftLogStart {
  readonly entries: readonly Entry[];
  readonly snapshotIndex: number;
  readonly snapshotTerm: number;
  readonly committed: number;
  readonly applied: number;
  /** Limit on the bytes of committed entries handed out and not yet applied. */
  readonly maxCommittedBytes: number;
}

export class RaftLog {
  #entries: Entry[];
  #snapshotIndex: number;
  #snapshotTerm: number;
  #committed: number;
  #applied: number;
  #handed: number;
  #stable: number;
  #durableCommit: number;
  #written: number;
  readonly #writes: Write[] = [];
  readonly #batches: Batch[] = [];
  #batchBytes = 0;
  readonly #batchBytesMax: number;
  /** Received and not yet durable. */
  #snapshot: Snapshot | undefined = undefined;
  #snapshotWritten = false;

  constructor(start: RaftLogStart) {
    this.#entries = [...start.entries];
    this.#snapshotIndex = start.snapshotIndex;
    this.#snapshotTerm = start.snapshotTerm;
    this.#committed = start.committed;
    this.#applied = start.applied;
    this.#handed = start.applied;
    this.#stable = start.snapshotIndex + start.entries.length;
    this.#written = this.#stable;
    this.#durableCommit = start.committed;
    this.#batchBytesMax = start.maxCommittedBytes;
  }

  get firstIndex(): number {
    return this.#snapshotIndex + 1;
  }

  get lastIndex(): number {
    return this.#snapshotIndex + this.#entries.length;
  }

  get lastTerm(): number {
    return this.#entries.length === 0 ? this.#snapshotTerm : this.#at(this.lastIndex).Term;
  }

  get snapshotIndex(): number {
    return this.#snapshotIndex;
  }

  get committed(): number {
    return this.#committed;
  }

  get applied(): number {
    return this.#applied;
  }

  /** The highest index that is in the WAL as it is here. */
  get stable(): number {
    return this.#stable;
  }

  /** The commit index that a restart would find at least. */
  get durableCommit(): number {
    return this.#durableCommit;
  }

  /** Undefined outside of [firstIndex − 1, lastIndex]. */
  termAt(index: number): number | undefined {
    if (index === this.#snapshotIndex) return this.#snapshotTerm;
    return this.#entries[index - this.#snapshotIndex - 1]?.Term;
  }

  matches(index: number, term: number): boolean {
    return this.termAt(index) === term;
  }

  /** Whether a log that ends with this entry has all that ours has committed: later term, or same term and at least as long. */
  isUpToDate(lastTerm: number, lastIndex: number): boolean {
    const own = this.lastTerm;
    return lastTerm > own || (lastTerm === own && lastIndex >= this.lastIndex);
  }

  /** Entries [lo, hi) cut to what is there; bytes count data and overhead, at least one entry is taken. */
  slice(lo: number, hi: number, maxBytes: number): Entry[] {
    const from = Math.max(lo, this.firstIndex) - this.#snapshotIndex - 1;
    const to = Math.min(hi - this.#snapshotIndex - 1, this.#entries.length);
    let bytes = 0;
    for (let i = from; i < to; i++) {
      bytes += (this.#entries[i]?.Data.length ?? 0) + entryOverheadBytes;
      if (bytes > maxBytes && i > from) return this.#entries.slice(from, i);
    }
    return to <= from ? [] : this.#entries.slice(from, to);
  }

  /** Data bytes of the entries of `term` in [lo, hi]. */
  bytesOfTerm(term: number, lo: number, hi: number): number {
    let bytes = 0;
    for (let i = lo; i <= hi; i++) {
      const entry = this.#at(i);
      if (entry.Term === term) bytes += entry.Data.length;
    }
    return bytes;
  }

  /** Index of the first configuration change in [lo, hi], 0 when there is none. */
  firstChange(lo: number, hi: number): number {
    for (let i = lo; i <= hi; i++) if (isConfChangeEntry(this.#at(i))) return i;
    return 0;
  }

  /** Adds one entry at the end. */
  push(type: number, term: number, data: Uint8Array): void {
    this.#entries.push({ Type: type, Term: term, Index: this.lastIndex + 1, Data: data });
  }

  /**
   * Takes over a leader's entries, the first of them right behind an entry that matches; what conflicts is replaced.
   *
   * @param entries  contiguous, first index ≤ lastIndex + 1, no conflict with a committed one. The entries are kept.
   */
  merge(entries: readonly Entry[]): void {
    let at = 0;
    for (; at < entries.length; at++) {
      const entry = entries[at];
      if (entry === undefined || !this.matches(entry.Index, entry.Term)) break;
    }
    const first = entries[at];
    if (first === undefined) return;
    invariant(first.Index <= this.lastIndex + 1, 'entries go on from the log without a gap', { first: first.Index, last: this.lastIndex });
    if (first.Index <= this.lastIndex) this.#cutFrom(first.Index);
    for (; at < entries.length; at++) {
      const entry = entries[at];
      if (entry !== undefined) this.#entries.push(entry);
    }
  }

  /**
   * The highest index at or below `index` whose term is at or below `term`: the last place where a log whose entry at `index` has `term` can
   * agree with ours. Its term is 0 when it lies before our first entry.
   */
  lastWithTermUpTo(index: number, term: number): { readonly index: number; readonly term: number } {
    for (let i = Math.min(index, this.lastIndex); i > 0; i--) {
      const own = this.termAt(i);
      if (own === undefined) return { index: i, term: 0 };
      if (own <= term) return { index: i, term: own };
    }
    return { index: 0, term: 0 };
  }

  commitTo(index: number): void {
    if (index <= this.#committed) return;
    invariant(index <= this.lastIndex, 'only what is in the log is committed', { index, last: this.lastIndex });
    this.#committed = index;
  }

  // --- to the WAL -------------------------------------------------------------------------------------------------------------------------

  /** Entries not yet handed to the WAL; kept by the caller, never changed. */
  unwritten(): Entry[] {
    if (this.#written === this.lastIndex) return [];
    return this.#entries.slice(this.#written - this.#snapshotIndex);
  }

  get hasUnwritten(): boolean {
    return this.#written < this.lastIndex || this.hasUnwrittenSnapshot;
  }

  get hasUnwrittenSnapshot(): boolean {
    return this.#snapshot !== undefined && !this.#snapshotWritten;
  }

  /** Received, not yet durable. */
  get pendingSnapshot(): Snapshot | undefined {
    return this.#snapshot;
  }

  /** What `unwritten` and `pendingSnapshot` gave is on its way under this token. */
  beginWrite(token: number): void {
    const snapshotIndex = this.hasUnwrittenSnapshot ? (this.#snapshot?.metadata?.index ?? 0) : 0;
    this.#snapshotWritten = this.#snapshot !== undefined;
    this.#written = this.lastIndex;
    this.#writes.push({ token, last: this.lastIndex, commit: this.#committed, snapshotIndex });
  }

  /** The writes up to this token are durable. */
  endWrite(token: number): void {
    for (let write = this.#writes[0]; write !== undefined && write.token <= token; write = this.#writes[0]) {
      this.#writes.shift();
      if (write.last > this.#stable) this.#stable = write.last;
      this.#durableCommit = write.commit;
      if (write.snapshotIndex === 0) continue;
      if (this.#snapshot?.metadata?.index === write.snapshotIndex) this.#snapshot = undefined;
      this.#handed = Math.max(this.#handed, write.snapshotIndex);
    }
  }

  // --- to the state machine ---------------------------------------------------------------------------------------------------------------

  /** @param limit  a commit index that must not be passed. */
  hasCommitted(limit: number): boolean {
    return (
      this.#handed < Math.min(limit, this.#committed, this.#stable) &&
      this.#snapshot === undefined &&
      this.#batchBytes < this.#batchBytesMax
    );
  }

  /** The next entries to apply: committed and durable. They count as handed out. */
  takeCommitted(limit: number): Entry[] {
    if (!this.hasCommitted(limit)) return [];
    const end = Math.min(limit, this.#committed, this.#stable);
    const entries = this.slice(this.#handed + 1, end + 1, this.#batchBytesMax - this.#batchBytes);
    const last = entries[entries.length - 1];
    invariant(last !== undefined && entries[0]?.Index === this.#handed + 1, 'what is to be applied next is in the log', {
      next: this.#handed + 1,
    });
    let bytes = 0;
    for (const entry of entries) bytes += entry.Data.length + entryOverheadBytes;
    this.#batches.push({ last: last.Index, bytes });
    this.#batchBytes += bytes;
    this.#handed = last.Index;
    return entries;
  }

  appliedTo(index: number): void {
    if (index <= this.#applied) return;
    invariant(index <= this.#handed, 'only what was handed out is applied', { index, handed: this.#handed });
    this.#applied = index;
    for (let batch = this.#batches[0]; batch !== undefined && batch.last <= index; batch = this.#batches[0]) {
      this.#batches.shift();
      this.#batchBytes -= batch.bytes;
    }
  }

  /** Frees entries up to `index`. */
  compactTo(index: number): void {
    if (index <= this.#snapshotIndex) return;
    invariant(index <= this.#applied, 'only what is applied is dropped', { index, applied: this.#applied });
    const term = this.#at(index).Term;
    this.#entries = this.#entries.slice(index - this.#snapshotIndex);
    this.#snapshotIndex = index;
    this.#snapshotTerm = term;
  }

  /** A snapshot ahead of the commit index takes the place of the whole log. */
  restore(snapshot: Snapshot, index: number, term: number): void {
    invariant(index > this.#committed, 'a snapshot moves the commit index forward', { index, committed: this.#committed });
    // Our entries behind the commit index may conflict with what the snapshot stands for: none of them counts as stable any more.
    this.#cutFrom(this.#committed + 1);
    this.#entries = [];
    this.#snapshotIndex = index;
    this.#snapshotTerm = term;
    this.#committed = index;
    this.#written = index;
    this.#snapshot = snapshot;
    this.#snapshotWritten = false;
  }

  #cutFrom(index: number): void {
    invariant(index > this.#committed, 'a committed entry is never replaced', { index, committed: this.#committed });
    if (index > this.#snapshotIndex) this.#entries.length = Math.min(this.#entries.length, index - this.#snapshotIndex - 1);
    const last = index - 1;
    if (this.#stable > last) this.#stable = last;
    if (this.#written > last) this.#written = last;
    for (const write of this.#writes) if (write.last > last) write.last = last;
  }

  #at(index: number): Entry {
    const entry = this.#entries[index - this.#snapshotIndex - 1];
    invariant(entry !== undefined, 'the entry is in the log', { index, first: this.firstIndex, last: this.lastIndex });
    return entry;
  }
}

/**
 * Watchers that are behind read the log.
 *
 * A pass is one scan from its members' least wanted revision to the revision current when it began, matched against all members at once. It runs in slices beside writes;
 * a member that reaches the end goes to the synced group when nothing was written meanwhile, else it waits for the next pass, which is short.
 * Watchers far apart in history do not share a pass, so that one which wants everything does not hold up one which missed a second.
 */
import type { Clock } from '../../base/clock.ts';
import type { Row, RowScan } from '../storage/backend.ts';
import { encodeDeleteEvent, readRowFields, RowFields, rowKey, rowKeyText } from './key-value.ts';
import { SliceBudget, sliceMs } from './slices.ts';
import type { WatchEvent } from './types.ts';
import type { HistorySource, Hub } from './watch-hub.ts';
import { WatchMatcher } from './watch-matcher.ts';
import { eventBytes, type WatcherEntry } from './watcher.ts';

/** Watchers of one pass; bounds the deliveries made at its end in one turn. */
export const watchersPerPassMax = 512;
/** Passes side by side: the newest watchers take three, the last is left to the oldest. */
export const passesMax = 4;
/** Distinct revisions in one delivery, as etcd has. */
export const revisionsPerBatchMax = 1000;
/** Bytes gathered for one watcher before they are delivered, at the next revision boundary. */
export const batchBytesMax = 1 << 20;
/** Bytes gathered in a pass before everything is delivered, at the next revision boundary. */
export const passBytesMax = 4 << 20;
/** Revisions that watchers of one pass may always lie apart. */
export const passSpreadRevs = 1000;

export class CatchUp {
  readonly #clock: Clock;
  readonly #hub: Hub;
  readonly #store: HistorySource;
  readonly #waiting = new Set<WatcherEntry>();
  #passes: CatchUpPass[] = [];
  #scheduled = false;

  constructor(options: { clock: Clock; hub: Hub; store: HistorySource }) {
    this.#clock = options.clock;
    this.#hub = options.hub;
    this.#store = options.store;
  }

  /** An unsynced watcher whose stream takes deliveries. Never delivers in this turn. */
  add(w: WatcherEntry): void {
    this.#waiting.add(w);
    this.#schedule();
  }

  remove(w: WatcherEntry): void {
    if (w.pass !== undefined) w.pass.leave(w);
    else this.#waiting.delete(w);
  }

  /** The log was replaced: passes begin anew from where their members stand. */
  restart(): void {
    const passes = this.#passes;
    this.#passes = [];
    for (const pass of passes) for (const w of pass.abandon()) this.#waiting.add(w);
    if (this.#waiting.size > 0) this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#clock.defer(this.#run);
  }

  readonly #run = (): void => {
    this.#scheduled = false;
    const until = this.#clock.mono() + sliceMs;
    do {
      this.#beginPasses();
      // The first in line works, then goes to the back.
      const pass = this.#passes.shift();
      if (pass === undefined) break;
      if (!pass.slice(until)) this.#passes.push(pass);
    } while (this.#clock.mono() < until);
    if (this.#passes.length > 0 || this.#waiting.size > 0) this.#schedule();
  };

  #beginPasses(): void {
    if (this.#waiting.size === 0 || this.#passes.length === passesMax) return;
    this.#settle();
    while (this.#waiting.size > 0 && this.#passes.length < passesMax) {
      const members = this.#cluster(this.#passes.length === passesMax - 1);
      for (const w of members) this.#waiting.delete(w);
      this.#passes.push(new CatchUpPass({ clock: this.#clock, hub: this.#hub, store: this.#store, members }));
    }
  }

  /** Takes out those who have nothing to read: they want the future, what is compacted, or their stream refuses. */
  #settle(): void {
    const { currentRev, compactRev } = this.#store;
    for (const w of this.#waiting) {
      if (w.nextRev > currentRev || w.stream.blocked) {
        this.#waiting.delete(w);
        this.#hub.enter(w);
      } else if (w.nextRev < compactRev) {
        this.#waiting.delete(w);
        this.#hub.endCompacted(w);
      }
    }
  }

  /** Who reads together: those near the oldest wanted revision, or near the newest. */
  #cluster(oldest: boolean): WatcherEntry[] {
    const { currentRev } = this.#store;
    let pivot = oldest ? Infinity : 0;
    for (const w of this.#waiting) pivot = oldest ? Math.min(pivot, w.nextRev) : Math.max(pivot, w.nextRev);
    const spread = Math.max(passSpreadRevs, currentRev - pivot);
    const members: WatcherEntry[] = [];
    for (const w of this.#waiting) {
      if (Math.abs(w.nextRev - pivot) > spread) continue;
      members.push(w);
      if (members.length === watchersPerPassMax) break;
    }
    return members;
  }
}

const fields = new RowFields();

export class CatchUpPass {
  readonly #clock: Clock;
  readonly #hub: Hub;
  readonly #matcher = new WatchMatcher<WatcherEntry>();
  readonly #members: Set<WatcherEntry>;
  readonly #found: WatcherEntry[] = [];
  readonly #scan: RowScan;
  /** Behind the last revision that the scan covers. */
  readonly #end: number;
  #bytes = 0;
  #main = 0;

  constructor(options: { clock: Clock; hub: Hub; store: HistorySource; members: readonly WatcherEntry[] }) {
    this.#clock = options.clock;
    this.#hub = options.hub;
    this.#members = new Set(options.members);
    this.#end = options.store.currentRev + 1;
    let from = this.#end;
    for (const w of this.#members) {
      w.pass = this;
      this.#matcher.add(w);
      from = Math.min(from, w.nextRev);
    }
    this.#scan = options.store.backend.scan(Math.max(from, 0), this.#end);
  }

  /** @returns true when the pass is over and its members are in other groups. */
  slice(until: number): boolean {
    const budget = new SliceBudget(this.#clock, until);
    while (this.#members.size > 0) {
      const row = this.#scan.next();
      if (row === undefined) break;
      if (row.main !== this.#main) {
        if (this.#bytes >= passBytesMax) this.#flushAll(row.main);
        this.#main = row.main;
      }
      this.#match(row);
      if (budget.spend(row.value.length)) return false;
    }
    this.#scan.close();
    this.#flushAll(this.#end);
    for (const w of this.#members) {
      this.#forget(w);
      this.#hub.enter(w);
    }
    return true;
  }

  /** For a member that is cancelled. */
  leave(w: WatcherEntry): void {
    this.#forget(w);
    this.#members.delete(w);
  }

  /** Ends early; members stand behind what was delivered to them. */
  abandon(): WatcherEntry[] {
    this.#scan.close();
    const members = [...this.#members];
    for (const w of members) this.leave(w);
    return members;
  }

  #match(row: Row): void {
    const found = this.#found;
    this.#matcher.find(rowKeyText(row.value), found);
    if (found.length === 0) return;
    let plain: WatchEvent | undefined;
    let withPrevious: WatchEvent | undefined;
    for (const w of found) {
      if (row.main < w.nextRev || !w.wants(row.tombstone)) continue;
      if (w.batch !== undefined && w.batchLastRev !== row.main && (w.batchRevs >= revisionsPerBatchMax || w.batchBytes >= batchBytesMax)) {
        if (!this.#flush(w, row.main)) continue;
      }
      const event = w.prevKv ? (withPrevious ??= this.#event(row, true)) : (plain ??= this.#event(row, false));
      const bytes = eventBytes(event);
      w.batchBytes += bytes;
      this.#bytes += bytes;
      if (w.batch === undefined) w.batch = [event];
      else w.batch.push(event);
      if (w.batchLastRev !== row.main) {
        w.batchLastRev = row.main;
        w.batchRevs++;
      }
    }
  }

  #event(row: Row, prevKv: boolean): WatchEvent {
    const key = rowKey(row.value);
    const modRev = row.main;
    if (row.tombstone) {
      return { type: 'delete', kv: encodeDeleteEvent(key, modRev), modRev, prevKv: prevKv ? this.#hub.previous(key, modRev) : undefined };
    }
    let previous: Uint8Array | undefined;
    if (prevKv) {
      readRowFields(row.value, fields);
      if (fields.createRevision !== modRev) previous = this.#hub.previous(key, modRev);
    }
    return { type: 'put', kv: row.value, modRev, prevKv: previous };
  }

  /** Delivers what was gathered of the revisions below `next` to everyone. */
  #flushAll(next: number): void {
    for (const w of this.#members) this.#flush(w, next);
    this.#bytes = 0;
  }

  /** @returns false when the watcher has left the pass. */
  #flush(w: WatcherEntry, next: number): boolean {
    const { batch } = w;
    const bytes = w.batchBytes;
    w.batch = undefined;
    w.batchBytes = 0;
    w.batchRevs = 0;
    w.batchLastRev = 0;
    w.nextRev = Math.max(w.nextRev, next);
    if (batch === undefined) return true;
    this.#bytes -= bytes;
    const { rev } = this.#hub;
    const taken = this.#hub.deliver(w, batch, rev);
    // The receiver may have cancelled it.
    if (w.pass !== this) return false;
    if (taken) return true;
    this.leave(w);
    this.#hub.keep(w, { watcher: w, events: batch, rev, compactRev: 0 });
    return false;
  }

  #forget(w: WatcherEntry): void {
    this.#matcher.delete(w);
    w.pass = undefined;
    w.batch = undefined;
    w.batchBytes = 0;
    w.batchRevs = 0;
    w.batchLastRev = 0;
  }
}

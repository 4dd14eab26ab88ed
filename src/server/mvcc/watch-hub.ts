/**
 * Tells watchers of writes.
 *
 * A synced watcher gets the events of a revision in the turn in which the revision is made. A watcher that starts in the past, or whose
 * receiver was too slow, reads the log in passes that run in slices and are shared by many watchers. Nothing is buffered for a watcher but the
 * one delivery that its receiver refused; what comes after is read from the log when the receiver has room. So a receiver that never reads
 * costs a bounded amount of memory and no time.
 */
import { latin1 } from '../../base/bytes.ts';
import type { Clock, Timer } from '../../base/clock.ts';
import type { Backend } from '../storage/backend.ts';
import { CatchUp } from './catch-up.ts';
import { encodeDeleteEvent } from './key-value.ts';
import type { MvccStats, WatchDelivery, WatchEvent, WatchHub } from './types.ts';
import { WatchMatcher } from './watch-matcher.ts';
import { Stream } from './watch-stream.ts';
import { deliveryBytes, type WatcherEntry } from './watcher.ts';
import type { Change } from './write-txn.ts';

/** A receiver that does not call `resume` is tried again after this long, as etcd does. */
export const victimRetryMs = 10;

/** What the hub needs to know of the store. */
export interface HistorySource {
  readonly backend: Backend;
  readonly currentRev: number;
  readonly compactRev: number;
}

export interface HubOptions {
  readonly clock: Clock;
  readonly store: HistorySource;
  readonly stats: MvccStats;
  readonly bufferBytes: number;
}

export class Hub implements WatchHub {
  readonly #clock: Clock;
  readonly #store: HistorySource;
  readonly #stats: MvccStats;
  readonly #bufferBytes: number;
  readonly #synced = new WatchMatcher<WatcherEntry>();
  readonly #catchUp: CatchUp;
  readonly #streams = new Set<Stream>();
  readonly #blocked = new Set<Stream>();
  readonly #found: WatcherEntry[] = [];
  #retryTimer: Timer | undefined;
  #watchers = 0;
  #pendingEvents = 0;

  constructor(options: HubOptions) {
    this.#clock = options.clock;
    this.#store = options.store;
    this.#stats = options.stats;
    this.#bufferBytes = options.bufferBytes;
    this.#catchUp = new CatchUp({ clock: options.clock, hub: this, store: options.store });
  }

  get rev(): number {
    return this.#store.currentRev;
  }

  get streamCount(): number {
    return this.#streams.size;
  }

  get watcherCount(): number {
    return this.#watchers;
  }

  get slowWatcherCount(): number {
    return this.#watchers - this.#synced.size;
  }

  get pendingEvents(): number {
    return this.#pendingEvents;
  }

  /** Whether anyone wants to hear of writes. */
  get hasSynced(): boolean {
    return this.#synced.size > 0;
  }

  open(deliver: (d: WatchDelivery) => boolean): Stream {
    const stream = new Stream(this, deliver);
    this.#streams.add(stream);
    return stream;
  }

  /** Tells synced watchers of one revision. */
  notify(changes: readonly Change[], rev: number): void {
    const single = changes.length === 1;
    const touched: WatcherEntry[] = [];
    for (const change of changes) {
      const found = this.#found;
      this.#synced.find(latin1(change.key), found);
      if (found.length === 0) continue;
      const events = new ChangeEvents(this, change, rev);
      for (const w of found) {
        if (rev < w.nextRev || !w.wants(change.tombstone)) continue;
        if (single) {
          // Watchers of one change share one list.
          this.#send(w, events.list(w.prevKv), rev);
        } else if (w.batch === undefined) {
          w.batch = [events.event(w.prevKv)];
          touched.push(w);
        } else w.batch.push(events.event(w.prevKv));
      }
    }
    for (const w of touched) {
      const { batch } = w;
      w.batch = undefined;
      if (batch !== undefined) this.#send(w, batch, rev);
    }
  }

  #send(w: WatcherEntry, events: readonly WatchEvent[], rev: number): void {
    // A receiver may have cancelled it on account of an earlier delivery.
    if (w.state !== 'synced') return;
    if (this.deliver(w, events, rev)) {
      w.nextRev = rev + 1;
      return;
    }
    this.#synced.delete(w);
    w.nextRev = rev + 1;
    this.keep(w, { watcher: w, events, rev, compactRev: 0 });
  }

  /** @returns false when the receiver is full; then `keep` the delivery. */
  deliver(w: WatcherEntry, events: readonly WatchEvent[], rev: number): boolean {
    const { stream } = w;
    if (stream.blocked || !stream.deliver({ watcher: w, events, rev, compactRev: 0 })) return false;
    this.#stats.events += events.length;
    return true;
  }

  /** The state at `modRev` − 1; undefined when there was none or it is compacted. */
  previous(key: Uint8Array, modRev: number): Uint8Array | undefined {
    const rev = modRev - 1;
    if (rev < this.#store.compactRev) return undefined;
    const { backend } = this.#store;
    const version = backend.visible(key, rev);
    return version === undefined ? undefined : backend.read(version);
  }

  /** A new watcher, or one that has caught up or not: to the group that its next revision says. */
  enter(w: WatcherEntry): void {
    if (w.state === 'closed') this.#watchers++;
    if (w.nextRev > this.rev) {
      w.state = 'synced';
      this.#synced.add(w);
    } else if (w.stream.blocked) {
      w.state = 'parked';
      w.stream.parked.add(w);
    } else {
      w.state = 'unsynced';
      this.#catchUp.add(w);
    }
  }

  /** The wanted revision is gone: tells the watcher and ends it. */
  endCompacted(w: WatcherEntry): void {
    const d: WatchDelivery = { watcher: w, events: [], rev: this.rev, compactRev: this.#store.compactRev };
    if (!w.stream.blocked && w.stream.deliver(d)) this.#removeCompacted(w);
    else this.keep(w, d);
  }

  #removeCompacted(w: WatcherEntry): void {
    w.stream.compacted.add(w.id);
    this.remove(w);
  }

  /**
   * Holds what the receiver refused. The watcher belongs to no group when this is called, and its next revision is the one behind the
   * delivery. Over the stream's limit the delivery is dropped and the watcher will read it again.
   */
  keep(w: WatcherEntry, d: WatchDelivery): void {
    if (w.state === 'closed') return;
    const { stream } = w;
    if (!stream.blocked) {
      stream.blocked = true;
      this.#blocked.add(stream);
      this.#retryTimer ??= this.#clock.after(victimRetryMs, this.#retryAll);
    }
    const bytes = deliveryBytes(d.events);
    const first = d.events[0];
    // One delivery is always kept, however large: it is what finds out that the receiver has room again.
    if (first !== undefined && stream.victims.size > 0 && stream.keptBytes + bytes > this.#bufferBytes) {
      w.nextRev = first.modRev;
      w.state = 'parked';
      stream.parked.add(w);
      return;
    }
    w.state = 'victim';
    w.kept = d;
    w.keptBytes = bytes;
    stream.keptBytes += bytes;
    stream.victims.add(w);
    this.#pendingEvents += d.events.length;
  }

  readonly #retryAll = (): void => {
    this.#retryTimer = undefined;
    for (const stream of [...this.#blocked]) this.retry(stream);
    if (this.#blocked.size > 0) this.#retryTimer = this.#clock.after(victimRetryMs, this.#retryAll);
  };

  /** Gives a stream what was kept for it, until it refuses again. */
  retry(stream: Stream): void {
    if (!stream.blocked) return;
    for (const w of stream.victims) {
      const { kept } = w;
      if (kept === undefined) continue;
      if (!stream.deliver(kept)) return;
      this.#stats.events += kept.events.length;
      // The receiver may have cancelled it just now.
      if (w.kept !== kept) continue;
      this.#dropKept(w);
      if (kept.compactRev !== 0) this.#removeCompacted(w);
      else this.#regroup(w);
    }
    this.#unblock(stream);
  }

  /** To a group by revision, past the stream's being blocked: a victim must not be parked, its stream is about to open. */
  #regroup(w: WatcherEntry): void {
    if (w.nextRev > this.rev) {
      w.state = 'synced';
      this.#synced.add(w);
    } else {
      w.state = 'parked';
      w.stream.parked.add(w);
    }
  }

  #unblock(stream: Stream): void {
    stream.blocked = false;
    this.#blocked.delete(stream);
    const parked = [...stream.parked];
    stream.parked.clear();
    for (const w of parked) this.enter(w);
  }

  #dropKept(w: WatcherEntry): void {
    if (w.kept === undefined) return;
    this.#pendingEvents -= w.kept.events.length;
    w.stream.keptBytes -= w.keptBytes;
    w.stream.victims.delete(w);
    w.kept = undefined;
    w.keptBytes = 0;
  }

  /** Takes a watcher out for good. */
  remove(w: WatcherEntry): void {
    const { state, stream } = w;
    if (state === 'closed') return;
    if (state === 'synced') this.#synced.delete(w);
    else if (state === 'unsynced') this.#catchUp.remove(w);
    else if (state === 'parked') stream.parked.delete(w);
    else this.#dropKept(w);
    w.state = 'closed';
    stream.watchers.delete(w.id);
    this.#watchers--;
    // The last victim is gone without a delivery: nothing is left that would find out whether the receiver has room.
    if (stream.blocked && stream.victims.size === 0 && state === 'victim') this.#unblock(stream);
  }

  /** For `Stream.close`. */
  closed(stream: Stream): void {
    this.#streams.delete(stream);
    this.#blocked.delete(stream);
  }

  /** The content was replaced; until now the store stood at `oldRev`. Synced watchers have everything up to there, the others know where they stand. */
  restore(oldRev: number): void {
    this.#catchUp.restart();
    for (const stream of this.#streams) {
      for (const w of stream.watchers.values()) {
        if (w.state !== 'synced') continue;
        this.#synced.delete(w);
        w.nextRev = Math.max(w.nextRev, oldRev + 1);
        this.enter(w);
      }
    }
  }

  close(): void {
    this.#retryTimer?.cancel();
    this.#retryTimer = undefined;
    for (const stream of [...this.#streams]) stream.close();
    this.#catchUp.restart();
  }
}

/** The events of one change, made when the first watcher wants them and shared by all. */
class ChangeEvents {
  readonly #hub: Hub;
  readonly #change: Change;
  readonly #rev: number;
  #plain: readonly WatchEvent[] | undefined;
  #withPrevious: readonly WatchEvent[] | undefined;

  constructor(hub: Hub, change: Change, rev: number) {
    this.#hub = hub;
    this.#change = change;
    this.#rev = rev;
  }

  event(prevKv: boolean): WatchEvent {
    return this.list(prevKv)[0] as WatchEvent;
  }

  list(prevKv: boolean): readonly WatchEvent[] {
    if (!prevKv) return (this.#plain ??= [this.#make(undefined)]);
    if (this.#withPrevious !== undefined) return this.#withPrevious;
    const { key, createRevision } = this.#change;
    const previous = createRevision === this.#rev ? undefined : this.#hub.previous(key, this.#rev);
    if (previous === undefined) return (this.#withPrevious = this.list(false));
    return (this.#withPrevious = [this.#make(previous)]);
  }

  #make(prevKv: Uint8Array | undefined): WatchEvent {
    const { tombstone, key, kv } = this.#change;
    const modRev = this.#rev;
    return tombstone ? { type: 'delete', kv: encodeDeleteEvent(key, modRev), modRev, prevKv } : { type: 'put', kv, modRev, prevKv };
  }
}

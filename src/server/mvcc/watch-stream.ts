/** The watchers of one client stream, and whether its receiver takes what it is given. */
import type { Hub } from './watch-hub.ts';
import type { WatchDelivery, Watcher, WatchOptions, WatchStream } from './types.ts';
import { WatcherEntry } from './watcher.ts';

export class Stream implements WatchStream {
  readonly hub: Hub;
  readonly deliver: (d: WatchDelivery) => boolean;
  readonly watchers = new Map<number, WatcherEntry>();
  /** The receiver refused a delivery and has not taken one since. Then there is at least one victim. */
  blocked = false;
  /** Watchers with a kept delivery, in the order to try. */
  readonly victims = new Set<WatcherEntry>();
  readonly parked = new Set<WatcherEntry>();
  keptBytes = 0;
  /**
   * Ids of watchers that ended by compaction. As in etcd they stay taken until the client cancels them, and keep the stream from being synced
   * as a whole.
   */
  readonly compacted = new Set<number>();
  #nextId = 0;
  #closed = false;

  constructor(hub: Hub, deliver: (d: WatchDelivery) => boolean) {
    this.hub = hub;
    this.deliver = deliver;
  }

  get size(): number {
    return this.watchers.size;
  }

  get allSynced(): boolean {
    if (this.watchers.size === 0 || this.blocked || this.compacted.size > 0) return false;
    const { rev } = this.hub;
    for (const w of this.watchers.values()) if (!w.synced || w.startRev > rev) return false;
    return true;
  }

  watch(options: WatchOptions, id: number): Watcher | undefined {
    if (this.#closed) return undefined;
    let chosen = id;
    if (chosen === 0) {
      while (this.#taken(this.#nextId)) this.#nextId++;
      chosen = this.#nextId++;
    } else if (this.#taken(chosen)) return undefined;
    const { rev } = this.hub;
    const future = options.startRev === 0 || options.startRev > rev;
    const nextRev = future ? Math.max(rev + 1, options.startRev) : options.startRev;
    const watcher = new WatcherEntry({ id: chosen, stream: this, watch: options, nextRev });
    this.watchers.set(chosen, watcher);
    this.hub.enter(watcher);
    return watcher;
  }

  cancel(id: number): boolean {
    const watcher = this.watchers.get(id);
    if (watcher === undefined) return this.compacted.delete(id);
    this.hub.remove(watcher);
    return true;
  }

  #taken(id: number): boolean {
    return this.watchers.has(id) || this.compacted.has(id);
  }

  requestProgress(id: number): boolean {
    const watcher = this.watchers.get(id);
    const { rev } = this.hub;
    if (watcher === undefined || !watcher.synced || this.blocked || watcher.startRev > rev) return false;
    // Progress that is refused is not kept: the next one says more.
    return this.deliver({ watcher, events: [], rev, compactRev: 0 });
  }

  resume(): void {
    if (!this.#closed) this.hub.retry(this);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const w of [...this.watchers.values()]) this.hub.remove(w);
    this.hub.closed(this);
  }
}

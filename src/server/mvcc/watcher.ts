/**
 * One watcher and where it stands.
 *
 *     synced    has everything up to the current revision; told of each write as it happens
 *     unsynced  has to catch up from the log: waiting for a pass, or in one
 *     victim    its receiver refused a delivery; that one is kept and comes first
 *     parked    unsynced, and its stream is refusing: waits until the stream takes deliveries again
 *     closed    cancelled, or ended by compaction
 */
import { latin1 } from '../../base/bytes.ts';
import type { CatchUpPass } from './catch-up.ts';
import type { WatchDelivery, Watcher, WatchEvent, WatchOptions } from './types.ts';
import type { Watched } from './watch-matcher.ts';
import type { Stream } from './watch-stream.ts';

export type WatcherState = 'synced' | 'unsynced' | 'victim' | 'parked' | 'closed';

export class WatcherEntry implements Watcher, Watched {
  readonly id: number;
  readonly stream: Stream;
  readonly single: boolean;
  readonly keyText: string;
  readonly endText: string;
  readonly startRev: number;
  readonly filterPut: boolean;
  readonly filterDelete: boolean;
  readonly prevKv: boolean;
  state: WatcherState = 'closed';
  /** No event below is still to be sent. Kept up to date when the watcher leaves the synced group, not while it is in it. */
  nextRev: number;
  /** What the receiver refused. */
  kept: WatchDelivery | undefined;
  keptBytes = 0;
  /** The pass it catches up in, and what that has gathered for it. */
  pass: CatchUpPass | undefined;
  batch: WatchEvent[] | undefined;
  batchBytes = 0;
  batchRevs = 0;
  batchLastRev = 0;

  constructor(options: { id: number; stream: Stream; watch: WatchOptions; nextRev: number }) {
    const { watch } = options;
    this.id = options.id;
    this.stream = options.stream;
    this.single = watch.end === undefined;
    this.keyText = latin1(watch.key);
    this.endText = watch.end === undefined ? '' : latin1(watch.end);
    this.startRev = watch.startRev;
    this.filterPut = watch.filterPut;
    this.filterDelete = watch.filterDelete;
    this.prevKv = watch.prevKv;
    this.nextRev = options.nextRev;
  }

  get synced(): boolean {
    return this.state === 'synced';
  }

  get minRev(): number {
    return this.state === 'synced' ? Math.max(this.nextRev, this.stream.hub.rev + 1) : this.nextRev;
  }

  wants(tombstone: boolean): boolean {
    return tombstone ? !this.filterDelete : !this.filterPut;
  }
}

/** What a delivery holds in memory, rows shared with others counted too. */
export function deliveryBytes(events: readonly WatchEvent[]): number {
  let bytes = 0;
  for (const e of events) bytes += eventBytes(e);
  return bytes;
}

/** Cost of an event object beside its rows. */
const eventOverheadBytes = 64;

export function eventBytes(e: WatchEvent): number {
  return eventOverheadBytes + e.kv.length + (e.prevKv === undefined ? 0 : e.prevKv.length);
}

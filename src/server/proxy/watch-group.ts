/**
 * Watches on the members that many clients' watchers share.
 *
 * A group holds the watchers of one identity on one range. Usually it has one broadcast: a watch on a member that stands at `nextRevision`,
 * with everything below delivered. A watcher that wants to start there or later joins it. One that wants older events gets a broadcast of
 * its own, which catches up; as soon as two broadcasts stand at the same revision they become one. Marks of progress, asked for while there is
 * more than one, tell how far a broadcast without events has come.
 *
 *   watchers from now on      ─┐
 *   watcher from revision 90  ─┴▶ broadcast at 120 ─┐
 *   watcher from revision 3   ──▶ broadcast at 57  ─┴▶ one stream to a member
 */
import { ResponseHeader } from '../../api/gen/etcdserverpb.ts';
import { Event } from '../../api/gen/mvccpb.ts';
import { Writer, type Init } from '../../api/proto-io.ts';
import type { Status } from '../../api/status.ts';
import { RpcError } from '../../api/status.ts';
import type { Clock, Timer } from '../../base/clock.ts';
import { WatchClient, type WatchBatch, type Watcher } from '../../client/watch.ts';
import type { CallLayer } from '../../client/layer.ts';
import type { Identity } from './identity.ts';
import type { ProxyMetrics } from './metrics.ts';

/** How long broadcasts of one range stay apart before their progress is asked for; then twice as long each time, up to the maximum. */
const mergeMs = 250;
const mergeMsMax = 8000;

/** What a group delivers to: one watcher of one client. */
export interface Receiver {
  /** Events below it are not wanted, or were delivered. */
  nextRevision: number;
  /** `header`: the encoded field. The batch's events are all of whole revisions; a delivery sets `nextRevision`. */
  events(header: Uint8Array, batch: EncodedBatch): void;
  progress(header: Uint8Array, revision: number): void;
  /** The members ended the watch: by a cancel, after which there is nothing more. */
  canceled(header: Uint8Array, compactRevision: number, reason: string): void;
  failed(status: Status): void;
}

/** Events with their encoding, made once for all receivers. */
export class EncodedBatch {
  readonly events: readonly Event[];
  readonly encoded: readonly Uint8Array[];
  readonly firstRevision: number;
  readonly lastRevision: number;
  #whole: Uint8Array | undefined;

  constructor(events: readonly Event[]) {
    this.events = events;
    this.encoded = events.map(encodeEvent);
    this.firstRevision = events[0]?.kv?.modRevision ?? 0;
    this.lastRevision = events.at(-1)?.kv?.modRevision ?? 0;
  }

  /** All events as one piece. */
  get whole(): Uint8Array {
    this.#whole ??= this.encoded.length === 1 ? (this.encoded[0] as Uint8Array) : Buffer.concat(this.encoded);
    return this.#whole;
  }
}

const eventWriter = new Writer(1024);

/** One `events` field of a WatchResponse. */
function encodeEvent(event: Event): Uint8Array {
  const w = eventWriter;
  w.reset();
  w.bytes(Event.encode(event));
  const body = w.finish();
  const out = Buffer.allocUnsafe(1 + body.length);
  out[0] = 0x5a;
  out.set(body, 1);
  return out;
}

export function encodeHeader(header: Init<ResponseHeader> | undefined, revision?: number): Uint8Array {
  if (header === undefined && revision === undefined) return new Uint8Array(0);
  const body = ResponseHeader.encode(revision === undefined ? (header ?? {}) : { ...header, revision });
  const out = Buffer.allocUnsafe(2 + body.length);
  // Two ids of 10 bytes, revision and term: far below 128.
  out[0] = 0x0a;
  out[1] = body.length;
  out.set(body, 2);
  return out;
}

/** The stream to a member under all watches of an identity. */
export class WatchHub {
  readonly identity: Identity;
  readonly clock: Clock;
  readonly metrics: ProxyMetrics;
  readonly client: WatchClient;
  /** Told of each event before the clients are. */
  readonly onEvents: (events: readonly Event[]) => void;
  /** Run when a mark of progress for all watches has been delivered to every broadcast. */
  onMark: ((revision: number, header: ResponseHeader | undefined) => void) | undefined;
  readonly #groups = new Map<string, WatchGroup>();
  readonly #onIdle: () => void;
  #users = 0;
  #marked = false;

  constructor(options: {
    readonly identity: Identity;
    readonly layer: CallLayer;
    readonly clock: Clock;
    readonly metrics: ProxyMetrics;
    readonly onEvents: (events: readonly Event[]) => void;
    readonly onIdle: () => void;
  }) {
    this.identity = options.identity;
    this.clock = options.clock;
    this.metrics = options.metrics;
    this.client = new WatchClient(options.layer, { metadata: options.identity.metadata });
    this.onEvents = options.onEvents;
    this.#onIdle = options.onIdle;
  }

  group(key: Uint8Array, end: Uint8Array, prevKv: boolean): WatchGroup {
    const id = `${prevKv ? 'p' : ''}${key.length}:${Buffer.from(key).toString('latin1')}${Buffer.from(end).toString('latin1')}`;
    let group = this.#groups.get(id);
    if (group === undefined) {
      group = new WatchGroup(this, key, end, prevKv, () => this.#groups.delete(id));
      this.#groups.set(id, group);
    }
    return group;
  }

  /** Sessions of clients that use this hub keep it. */
  enter(): void {
    this.#users++;
  }

  leave(): void {
    if (--this.#users > 0) return;
    this.client.close();
    this.#onIdle();
  }

  /** A mark speaks for all watches, and each broadcast gets it in this turn. */
  marked(batch: WatchBatch): void {
    if (this.#marked) return;
    this.#marked = true;
    process.nextTick(() => {
      this.#marked = false;
      this.onMark?.(batch.revision, batch.raw.header);
    });
  }
}

export class WatchGroup {
  readonly hub: WatchHub;
  readonly key: Uint8Array;
  readonly end: Uint8Array;
  readonly prevKv: boolean;
  readonly #onEmpty: () => void;
  /** In order of their making. */
  #broadcasts: Broadcast[] = [];
  #merging: Timer | undefined;
  #pauseMs = mergeMs;

  constructor(hub: WatchHub, key: Uint8Array, end: Uint8Array, prevKv: boolean, onEmpty: () => void) {
    this.hub = hub;
    this.key = key;
    this.end = end;
    this.prevKv = prevKv;
    this.#onEmpty = onEmpty;
  }

  /**
   * @param fromNow  the receiver's `nextRevision` is only a lower bound: it may begin where the newest broadcast stands.
   * @param storeRevision  of a member, as far as it is known
   */
  add(receiver: Receiver, fromNow: boolean, storeRevision: number): Broadcast {
    let best: Broadcast | undefined;
    for (const b of this.#broadcasts) {
      if (fromNow ? !b.servesPresent(receiver.nextRevision) : b.nextRevision > receiver.nextRevision) continue;
      if (best === undefined || b.nextRevision > best.nextRevision) best = b;
    }
    if (best === undefined) {
      best = new Broadcast(this, receiver.nextRevision, storeRevision);
      this.#broadcasts.push(best);
      if (this.#broadcasts.length > 1) this.#mergeSoon();
    } else if (fromNow) receiver.nextRevision = Math.max(receiver.nextRevision, best.nextRevision);
    best.add(receiver);
    return best;
  }

  // ---- for broadcasts

  /** Joins the broadcast to another one that stands where it stands. */
  advanced(moved: Broadcast): void {
    if (this.#broadcasts.length < 2) return;
    const into = this.#broadcasts.find((b) => b !== moved && b.nextRevision === moved.nextRevision);
    if (into === undefined) return;
    const [stays, goes] = this.#broadcasts.indexOf(into) < this.#broadcasts.indexOf(moved) ? [into, moved] : [moved, into];
    goes.moveTo(stays);
  }

  gone(broadcast: Broadcast): void {
    this.#broadcasts = this.#broadcasts.filter((b) => b !== broadcast);
    if (this.#broadcasts.length < 2) {
      this.#merging?.cancel();
      this.#merging = undefined;
      this.#pauseMs = mergeMs;
    }
    if (this.#broadcasts.length === 0) this.#onEmpty();
  }

  #mergeSoon(): void {
    this.#merging ??= this.hub.clock.after(this.#pauseMs, () => {
      this.#merging = undefined;
      if (this.#broadcasts.length < 2) return;
      this.#pauseMs = Math.min(this.#pauseMs * 2, mergeMsMax);
      this.hub.client.requestProgress();
      this.#mergeSoon();
    });
  }
}

/** One watch on a member, and the watchers it serves. */
export class Broadcast {
  readonly group: WatchGroup;
  /** Everything below has been delivered to the receivers. */
  nextRevision: number;
  /** Began in the past and is not known to have reached the present, or in the future and has not been reached by it. */
  #place: 'past' | 'present' | 'future';
  readonly #watcher: Watcher;
  #receivers = new Set<Receiver>();
  #over = false;

  constructor(group: WatchGroup, startRevision: number, storeRevision: number) {
    this.group = group;
    this.nextRevision = startRevision;
    this.#place = startRevision <= storeRevision ? 'past' : startRevision > storeRevision + 1 ? 'future' : 'present';
    this.#watcher = group.hub.client.watch(
      { key: group.key, rangeEnd: group.end, startRevision, prevKv: group.prevKv, progressNotify: true },
      { overlap: true },
    );
    this.#watcher.onBatch = (batch) => this.#deliver(batch);
    this.#watcher.onEnd = (error) => this.#ended(error);
  }

  /** Whether a watcher of the present can join: one far behind would make it wait, and what lies in the future would hide events from it. */
  servesPresent(revision: number): boolean {
    return this.#place === 'present' || (this.#place === 'past' && this.nextRevision >= revision);
  }

  add(receiver: Receiver): void {
    this.#receivers.add(receiver);
    receiverBroadcast.set(receiver, this);
    if (this.#receivers.size > 1) this.group.hub.metrics.watchersCoalescing.add(1);
  }

  remove(receiver: Receiver): void {
    if (!this.#receivers.delete(receiver)) return;
    receiverBroadcast.delete(receiver);
    if (this.#receivers.size > 0) this.group.hub.metrics.watchersCoalescing.add(-1);
    else this.#stop();
  }

  moveTo(other: Broadcast): void {
    const receivers = this.#receivers;
    this.#receivers = new Set();
    if (receivers.size > 1) this.group.hub.metrics.watchersCoalescing.add(1 - receivers.size);
    for (const r of receivers) other.add(r);
    this.#stop();
  }

  #stop(): void {
    if (this.#over) return;
    this.#over = true;
    this.#watcher.cancel();
    this.group.gone(this);
  }

  #deliver(batch: WatchBatch): void {
    if (this.#over) return;
    const { hub } = this.group;
    if (batch.events.length > 0) {
      hub.onEvents(batch.events);
      const encoded = new EncodedBatch(batch.events);
      const header = encodeHeader(batch.raw.header);
      this.nextRevision = Math.max(this.nextRevision, encoded.lastRevision + 1);
      if (this.#place === 'future') this.#place = 'present';
      hub.metrics.eventsCoalescing.inc(this.#receivers.size - 1);
      // A receiver may leave while it is served.
      for (const r of [...this.#receivers]) r.events(header, encoded);
    } else {
      // Only a watch that has caught up is given marks.
      if (this.#place === 'past' || batch.revision + 1 >= this.nextRevision) this.#place = 'present';
      this.nextRevision = Math.max(this.nextRevision, batch.revision + 1);
      if (batch.raw.watchId === -1) hub.marked(batch);
      else {
        const header = encodeHeader(batch.raw.header);
        for (const r of [...this.#receivers]) r.progress(header, batch.revision);
      }
    }
    if (!this.#over) this.group.advanced(this);
  }

  #ended(error: Error | undefined): void {
    if (this.#over) return;
    this.#over = true;
    this.group.gone(this);
    const receivers = [...this.#receivers];
    this.#receivers.clear();
    if (receivers.length > 1) this.group.hub.metrics.watchersCoalescing.add(1 - receivers.length);
    for (const r of receivers) receiverBroadcast.delete(r);
    const by = this.#watcher.canceledBy;
    const header = encodeHeader(by?.header);
    for (const r of receivers) {
      if (by !== undefined) r.canceled(header, by.compactRevision, by.cancelReason);
      else if (error instanceof RpcError) r.failed(error.status);
      else r.canceled(header, 0, error?.message ?? '');
    }
  }
}

/** Where a receiver is served: merging moves it. */
const receiverBroadcast = new WeakMap<Receiver, Broadcast>();

export function broadcastOf(receiver: Receiver): Broadcast | undefined {
  return receiverBroadcast.get(receiver);
}

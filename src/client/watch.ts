/**
 * Watches that survive the loss of a member: all watches of a client share one stream; when it breaks, each is opened again behind the last
 * event it delivered, so that nothing is missed and nothing comes twice.
 */
import { Watch as WatchRpc } from '../api/gen/methods.ts';
import type { WatchCreateRequest, WatchRequest, WatchResponse } from '../api/gen/etcdserverpb.ts';
import type { Event } from '../api/gen/mvccpb.ts';
import type { Init } from '../api/proto-io.ts';
import { Code, RpcError, type Status } from '../api/status.ts';
import type { CallOptions, ClientStream } from '../wire/channel.ts';
import type { Slot } from './balancer.ts';
import { sleep } from './connection.ts';
import { EtcdError, reasonOf, WatchCanceledError } from './errors.ts';
import type { CallLayer } from './layer.ts';

/** Pause before the stream is opened again; doubled up to the maximum while members stay away. */
const resumeMs = 25;
const resumeMsMax = 1000;
/** Responses a consumer may lag behind before the stream is held back. */
const queueMax = 128;

const resumable: ReadonlySet<Code> = new Set([Code.Unavailable, Code.OK, Code.Internal, Code.Unknown]);

/** One batch of events: all of one or more whole revisions. Without events: a progress mark. */
export interface WatchBatch {
  readonly events: readonly Event[];
  /** The store's revision as of this batch. */
  readonly revision: number;
  readonly raw: WatchResponse;
}

/** A running watch: iterate over it, or use the callbacks. */
export class Watcher implements AsyncIterable<WatchBatch> {
  readonly request: Init<WatchCreateRequest>;
  /** Events below this are delivered. 0 until known. */
  nextRevision: number;
  /** Set once the server has confirmed the watch; changes when the watch is opened again. */
  id = -1;
  /** Called with each batch instead of queueing for iteration. */
  onBatch: ((batch: WatchBatch) => void) | undefined;
  /** Called once: undefined after `cancel`, else why the watch ended. */
  onEnd: ((error: Error | undefined) => void) | undefined;
  /** Called at each (re-)creation with the server's answer. */
  onCreated: ((response: WatchResponse) => void) | undefined;
  /**
   * Asks the server for one revision more than is wanted, and drops it: a member answers requests for progress only when every watch of the
   * stream begins at or below its revision, so that one that waits for the very next revision would keep all from being answered.
   */
  overlap = false;
  /** The server's answer that ended the watch. */
  canceledBy: WatchResponse | undefined;
  readonly #hub: WatchClient;
  readonly #queue: WatchBatch[] = [];
  #wake: (() => void) | undefined;
  #ended = false;
  #error: Error | undefined;
  #fragments: Event[] = [];

  constructor(hub: WatchClient, request: Init<WatchCreateRequest>) {
    this.#hub = hub;
    this.request = request;
    this.nextRevision = request.startRevision ?? 0;
  }

  get ended(): boolean {
    return this.#ended;
  }

  get queued(): number {
    return this.#queue.length;
  }

  cancel(): void {
    if (this.#ended) return;
    this.#hub.remove(this);
    this.end(undefined);
  }

  /** Asks the server for a progress mark, delivered as a batch without events to every watch of the client. */
  requestProgress(): void {
    this.#hub.requestProgress();
  }

  /** For the hub. */
  receive(response: WatchResponse): void {
    const revision = response.header?.revision ?? 0;
    let events = response.events;
    if (response.fragment) {
      this.#fragments.push(...events);
      return;
    }
    if (this.#fragments.length > 0) {
      events = [...this.#fragments, ...events];
      this.#fragments = [];
    }
    const last = events.at(-1)?.kv?.modRevision;
    // A watch opened anew may see the rest of a revision it had in part: whole revisions only are ever delivered, so this drops repeats.
    if (last !== undefined) {
      if (last < this.nextRevision) return;
      events = events.filter((e) => (e.kv?.modRevision ?? 0) >= this.nextRevision);
      this.nextRevision = last + 1;
    } else if (revision >= this.nextRevision) this.nextRevision = revision + 1;
    const batch: WatchBatch = { events, revision, raw: { ...response, events } };
    if (this.onBatch !== undefined) {
      this.onBatch(batch);
      return;
    }
    this.#queue.push(batch);
    this.#wake?.();
    if (this.#queue.length >= queueMax) this.#hub.hold();
  }

  /** For the hub: the stream broke; what was received in part is read again. */
  interrupted(): void {
    this.id = -1;
    this.#fragments = [];
  }

  end(error: Error | undefined): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#error = error;
    this.#wake?.();
    this.onEnd?.(error);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<WatchBatch, void, void> {
    try {
      for (;;) {
        const batch = this.#queue.shift();
        if (batch !== undefined) {
          this.#hub.release();
          yield batch;
          continue;
        }
        if (this.#ended) {
          if (this.#error !== undefined) throw this.#error;
          return;
        }
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        this.#wake = undefined;
      }
    } finally {
      this.cancel();
    }
  }
}

/** The shared stream under all watches of one client. */
export class WatchClient {
  readonly #connection: CallLayer;
  readonly #options: CallOptions;
  readonly #watchers = new Set<Watcher>();
  /** Sent and not yet confirmed, in order: confirmations come in the order of creation. */
  #creating: Watcher[] = [];
  readonly #byId = new Map<number, Watcher>();
  #stream: ClientStream<WatchRequest, WatchResponse> | undefined;
  #opening = false;
  #held = false;
  #pause = resumeMs;
  readonly #abort = new AbortController();

  /** @param options  of the stream under the watches: metadata such as a token or `hasleader` */
  constructor(connection: CallLayer, options: CallOptions = {}) {
    this.#connection = connection;
    this.#options = options;
  }

  watch(request: Init<WatchCreateRequest>, options: { readonly overlap?: boolean } = {}): Watcher {
    const watcher = new Watcher(this, request);
    watcher.overlap = options.overlap ?? false;
    this.#watchers.add(watcher);
    if (this.#stream !== undefined) this.#create(watcher);
    else void this.#open();
    return watcher;
  }

  remove(watcher: Watcher): void {
    if (!this.#watchers.delete(watcher)) return;
    if (watcher.id >= 0) {
      this.#byId.delete(watcher.id);
      this.#stream?.send({ cancelRequest: { watchId: watcher.id } });
    }
    // One that is not confirmed yet is cancelled when its confirmation comes.
    if (this.#watchers.size === 0 && this.#creating.length === 0) this.#drop();
    this.release();
  }

  requestProgress(): void {
    this.#stream?.send({ progressRequest: {} });
  }

  hold(): void {
    if (this.#held) return;
    this.#held = true;
    this.#stream?.pause();
  }

  release(): void {
    if (!this.#held) return;
    for (const w of this.#watchers) if (w.queued >= queueMax / 2) return;
    this.#held = false;
    this.#stream?.resume();
  }

  close(): void {
    this.#abort.abort();
    this.#drop();
    for (const w of [...this.#watchers]) w.end(undefined);
    this.#watchers.clear();
  }

  #drop(): void {
    const stream = this.#stream;
    this.#stream = undefined;
    this.#byId.clear();
    this.#creating = [];
    if (stream !== undefined) {
      stream.onEnd = undefined;
      stream.onMessage = undefined;
      stream.cancel();
    }
  }

  #create(watcher: Watcher): void {
    this.#creating.push(watcher);
    // Fragments keep one huge revision from meeting a message limit; they are joined again above.
    const { nextRevision, overlap } = watcher;
    const startRevision = overlap && nextRevision > 1 ? nextRevision - 1 : nextRevision;
    this.#stream?.send({ createRequest: { ...watcher.request, startRevision, watchId: 0, fragment: true } });
  }

  async #open(): Promise<void> {
    if (this.#opening || this.#stream !== undefined) return;
    this.#opening = true;
    try {
      while (this.#watchers.size > 0 && !this.#abort.signal.aborted) {
        let opened: { stream: ClientStream<WatchRequest, WatchResponse>; slot: Slot };
        try {
          opened = await this.#connection.stream(WatchRpc.watch, this.#options);
        } catch (error) {
          if (error instanceof RpcError && error.code === Code.Unavailable) {
            await sleep(this.#nextPause(), this.#abort.signal).catch(() => undefined);
            continue;
          }
          for (const w of [...this.#watchers]) {
            this.#watchers.delete(w);
            w.end(error as Error);
          }
          return;
        }
        const { stream, slot } = opened;
        this.#stream = stream;
        stream.onMessage = (m) => this.#onMessage(m);
        stream.onEnd = (status) => this.#onEnd(stream, slot, status);
        for (const w of this.#watchers) this.#create(w);
        return;
      }
    } finally {
      this.#opening = false;
    }
  }

  #nextPause(): number {
    const pause = this.#pause * (0.9 + 0.2 * Math.random());
    this.#pause = Math.min(this.#pause * 2, resumeMsMax);
    return pause;
  }

  #onMessage(m: WatchResponse): void {
    if (m.created) {
      const watcher = this.#creating.shift();
      if (watcher === undefined) return;
      this.#pause = resumeMs;
      if (m.canceled) {
        this.#fail(watcher, m);
        return;
      }
      if (watcher.ended) {
        this.#stream?.send({ cancelRequest: { watchId: m.watchId } });
        if (this.#watchers.size === 0 && this.#creating.length === 0) this.#drop();
        return;
      }
      watcher.id = m.watchId;
      this.#byId.set(m.watchId, watcher);
      // "From now on" becomes a revision as soon as it is known, so that a resume misses nothing.
      if (watcher.nextRevision === 0) watcher.nextRevision = (m.header?.revision ?? 0) + 1;
      watcher.onCreated?.(m);
      return;
    }
    // An answer to a manual progress request speaks for all watches of the stream.
    if (m.watchId === -1) {
      for (const w of this.#byId.values()) w.receive(m);
      return;
    }
    const watcher = this.#byId.get(m.watchId);
    if (watcher === undefined) return;
    if (m.canceled) {
      this.#fail(watcher, m);
      return;
    }
    watcher.receive(m);
  }

  #fail(watcher: Watcher, m: WatchResponse): void {
    this.#byId.delete(watcher.id);
    if (watcher.overlap && m.compactRevision !== 0 && m.compactRevision <= watcher.nextRevision) {
      // Only the revision that nobody wants is gone.
      watcher.overlap = false;
      watcher.interrupted();
      this.#create(watcher);
      return;
    }
    this.#watchers.delete(watcher);
    const reason =
      m.compactRevision !== 0
        ? 'etcdserver: mvcc: required revision has been compacted'
        : m.cancelReason || 'watch is canceled by the server';
    watcher.canceledBy = m;
    watcher.end(new WatchCanceledError(reason, m.compactRevision));
  }

  #onEnd(stream: ClientStream<WatchRequest, WatchResponse>, slot: Slot, status: Status): void {
    if (this.#stream !== stream) return;
    this.#stream = undefined;
    this.#byId.clear();
    this.#creating = [];
    this.#held = false;
    // Said only to those who asked for a leader: they want to be told, as etcd's client does it.
    const retry = resumable.has(status.code) && reasonOf(status) !== 'noLeader';
    for (const w of [...this.#watchers]) {
      w.interrupted();
      if (!retry) {
        this.#watchers.delete(w);
        w.end(new EtcdError(new RpcError(status), slot.endpoint.text));
      }
    }
    if (this.#watchers.size === 0 || this.#abort.signal.aborted) return;
    this.#connection.streamFailed(slot);
    void sleep(this.#nextPause(), this.#abort.signal).then(
      () => this.#open(),
      () => undefined,
    );
  }
}

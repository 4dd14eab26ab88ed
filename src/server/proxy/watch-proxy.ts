/**
 * Watch through the proxy: each client stream has its own watchers and ids, the watches on the members are shared (`watch-group.ts`).
 *
 * A watcher is admitted by a serializable range of no rows with the caller's credentials, as etcd's proxy does it. Its answer also tells
 * the revision after which "from now on" begins, so that a watcher can join a watch that runs already and miss nothing.
 *
 * A client that does not read loses its places: its watchers leave the shared watches and come back, each where it stopped, when the
 * client has taken what was buffered for it. So a slow client costs bounded memory, holds nobody else up, and still gets every event once.
 */
import type { WatchCreateRequest, WatchRequest, WatchResponse } from '../../api/gen/etcdserverpb.ts';
import type { ResponseHeader } from '../../api/gen/etcdserverpb.ts';
import { KV, Watch } from '../../api/gen/methods.ts';
import { Code, errors, RpcError, type Status } from '../../api/status.ts';
import { compareBytes, copyBytes } from '../../base/bytes.ts';
import type { Log } from '../../base/log.ts';
import { reasonOf } from '../../client/errors.ts';
import { sleep } from '../../client/connection.ts';
import type { HandlerTable, StreamCall } from '../../wire/call.ts';
import { controlMessage, idField, type WireWatchId } from '../services/watch-encoder.ts';
import { identityOf, type Identity } from './identity.ts';
import type { ProxyMetrics } from './metrics.ts';
import type { RangeCache } from './range-cache.ts';
import type { Upstream } from './upstream.ts';
import { broadcastOf, type EncodedBatch, encodeHeader, type Receiver, WatchHub } from './watch-group.ts';

/** Bytes waiting for one client above which its watchers leave the shared watches. */
const bufferedBytesMax = 4 * 1024 * 1024;
/** Requests of one stream that wait for their admission; the client is held back beyond it. */
const requestsMax = 1024;
/** Between attempts to ask members that are all away. */
const retryMs = 300;
/** Between requests for a mark of progress that a client waits for. */
const markMs = 1000;
/** A message of a client that asked for fragments is cut at this size: etcd's default request limit and the room above it. */
const fragmentBytes = 1_572_864 + 524_288;

const invalidWatchId = -1;
const zeroKey = new Uint8Array(1);
const filterNoPut = 0;
const filterNoDelete = 1;
const fragmentField = Uint8Array.of(0x38, 1);

interface Admission {
  readonly error?: Status | undefined;
  readonly header?: ResponseHeader | undefined;
}

export class WatchProxy {
  readonly log: Log;
  readonly upstream: Upstream;
  readonly #metrics: ProxyMetrics;
  readonly #cache: RangeCache;
  readonly #hubs = new Map<string, { readonly hub: WatchHub; readonly waiting: Set<WatchSession>; timer: boolean }>();
  /** Admissions under way, and those that came after they had left. */
  readonly #asked = new Map<string, { next: Promise<Admission> | undefined; readonly running: Promise<Admission> }>();

  constructor(options: { readonly upstream: Upstream; readonly metrics: ProxyMetrics; readonly cache: RangeCache; readonly log: Log }) {
    this.upstream = options.upstream;
    this.#metrics = options.metrics;
    this.#cache = options.cache;
    this.log = options.log;
  }

  register(table: HandlerTable): void {
    table.addStream(Watch.watch, (call) => {
      new WatchSession(this, call);
    });
  }

  hub(identity: Identity): WatchHub {
    let entry = this.#hubs.get(identity.key);
    if (entry === undefined) {
      const waiting = new Set<WatchSession>();
      const hub = new WatchHub({
        identity,
        layer: this.upstream.layer,
        clock: this.upstream.clock,
        metrics: this.#metrics,
        onEvents: (events) => {
          // Writes that took another way become known here.
          for (const e of events) if (e.kv !== undefined) this.#cache.invalidate(e.kv.key, new Uint8Array(0));
        },
        onIdle: () => this.#hubs.delete(identity.key),
      });
      hub.onMark = (revision, header) => {
        for (const session of waiting) if (session.marked(revision, header)) waiting.delete(session);
      };
      entry = { hub, waiting, timer: false };
      this.#hubs.set(identity.key, entry);
    }
    return entry.hub;
  }

  /** Asks for a mark of progress until the session has had one or is over. */
  requestMark(identity: Identity, session: WatchSession): void {
    const entry = this.#hubs.get(identity.key);
    if (entry === undefined) return;
    entry.waiting.add(session);
    entry.hub.client.requestProgress();
    if (entry.timer) return;
    entry.timer = true;
    const again = (): void => {
      for (const s of entry.waiting) if (s.over) entry.waiting.delete(s);
      entry.timer = entry.waiting.size > 0;
      if (!entry.timer) return;
      entry.hub.client.requestProgress();
      this.upstream.clock.after(markMs, again);
    };
    this.upstream.clock.after(markMs, again);
  }

  /**
   * Whether the identity may watch the range, and the revision of a member. Those who ask while a question is under way share the next one:
   * an answer that had left the member before they asked might not know what they know.
   */
  admit(identity: Identity, key: Uint8Array, end: Uint8Array): Promise<Admission> {
    const id = `${identity.key}\n${key.length}:${Buffer.from(key).toString('latin1')}${Buffer.from(end).toString('latin1')}`;
    const known = this.#asked.get(id);
    if (known !== undefined) {
      known.next ??= known.running.then(() => this.#start(id, identity, key, end));
      return known.next;
    }
    return this.#start(id, identity, key, end);
  }

  #start(id: string, identity: Identity, key: Uint8Array, end: Uint8Array): Promise<Admission> {
    const running = this.#ask(identity, key, end);
    const entry: { next: Promise<Admission> | undefined; readonly running: Promise<Admission> } = { next: undefined, running };
    this.#asked.set(id, entry);
    void running.then(() => {
      if (this.#asked.get(id) === entry && entry.next === undefined) this.#asked.delete(id);
    });
    return running;
  }

  async #ask(identity: Identity, key: Uint8Array, end: Uint8Array): Promise<Admission> {
    const { layer } = this.upstream;
    for (;;) {
      try {
        const answer = await layer.call(
          KV.range,
          { key, rangeEnd: end, serializable: true, countOnly: true, limit: 1 },
          { metadata: identity.metadata },
        );
        return { header: answer.header };
      } catch (error) {
        if (!(error instanceof RpcError)) return { error: { code: Code.Unknown, message: String(error) } };
        // Members that are away come back: the client waits, as it would for a member.
        if (error.code !== Code.Unavailable || reasonOf(error.status) === 'noLeader' || layer.closed) return { error: error.status };
        await sleep(retryMs);
      }
    }
  }
}

type WatchCall = StreamCall<WatchRequest, WatchResponse>;

/** A request in its turn: a creation waits for its admission, and what came after waits with it, so that answers keep the order. */
interface Turn {
  readonly request: WatchRequest;
  admission: Admission | undefined;
}

/** One client's stream. */
class WatchSession {
  over = false;
  readonly #proxy: WatchProxy;
  readonly #call: WatchCall;
  readonly #identity: Identity;
  readonly #hub: WatchHub;
  readonly #watchers = new Map<WireWatchId, ProxyWatcher>();
  #turns: Turn[] = [];
  #nextId = 0;
  /** Too much is buffered: no watcher of this stream is served. */
  #lagging = false;
  #held = false;
  #lastHeader: ResponseHeader | undefined;

  constructor(proxy: WatchProxy, call: WatchCall) {
    this.#proxy = proxy;
    this.#call = call;
    this.#identity = identityOf(call.metadata);
    this.#hub = proxy.hub(this.#identity);
    this.#hub.enter();
    call.onMessage = (m) => this.#request(m);
    call.onDrain = () => this.#drained();
    call.onCancel = () => this.#close();
  }

  #close(): void {
    if (this.over) return;
    this.over = true;
    for (const w of this.#watchers.values()) broadcastOf(w)?.remove(w);
    this.#watchers.clear();
    this.#turns = [];
    this.#hub.leave();
  }

  fail(status: Status): void {
    if (this.over) return;
    this.#call.fail(status);
    this.#close();
  }

  #request(request: WatchRequest): void {
    const turn: Turn = { request, admission: undefined };
    this.#turns.push(turn);
    const create = request.createRequest;
    if (create === undefined || create.startRevision < 0 || isEmptyRange(create)) turn.admission = {};
    else {
      // What is kept must not be a view of the socket's memory.
      create.key = copyBytes(create.key.length === 0 ? zeroKey : create.key);
      create.rangeEnd = copyBytes(create.rangeEnd);
      void this.#proxy.admit(this.#identity, create.key, create.rangeEnd).then((admission) => {
        turn.admission = admission;
        this.#work();
      });
    }
    this.#hold();
    this.#work();
  }

  #work(): void {
    while (!this.over) {
      const admission = this.#turns[0]?.admission;
      if (admission === undefined) break;
      const request = (this.#turns.shift() as Turn).request;
      if (request.createRequest !== undefined) this.#create(request.createRequest, admission);
      else if (request.cancelRequest !== undefined) this.#cancel(wireIdOf(request.cancelRequest.watchId));
      else if (request.progressRequest !== undefined && this.#watchers.size > 0) this.#proxy.requestMark(this.#identity, this);
    }
    if (!this.over) this.#hold();
  }

  /** Reads no more requests while too many wait or too much is buffered. */
  #hold(): void {
    const hold = this.#lagging || this.#turns.length >= requestsMax;
    if (hold === this.#held) return;
    this.#held = hold;
    if (hold) this.#call.pause();
    else this.#call.resume();
  }

  #create(request: WatchCreateRequest, admission: Admission): void {
    if (request.startRevision < 0) return this.#refuse(errors.compacted.message);
    if (isEmptyRange(request)) return this.#refuse('mvcc: watcher range is empty');
    if (admission.error !== undefined) {
      if (reasonOf(admission.error) === 'noLeader') return this.fail(admission.error);
      return this.#refuse(admission.error.message);
    }
    this.#lastHeader = admission.header;
    let id = wireIdOf(request.watchId);
    if (id === 0) {
      while (this.#watchers.has(this.#nextId)) this.#nextId++;
      id = this.#nextId++;
    } else if (this.#watchers.has(id)) return this.#refuse('mvcc: duplicate watch ID provided on the WatchStream');
    const revision = admission.header?.revision ?? 0;
    const fromNow = request.startRevision === 0;
    const watcher = new ProxyWatcher(this, this.#hub, id, request, fromNow ? revision + 1 : request.startRevision);
    this.#watchers.set(id, watcher);
    if (!this.#lagging) watcher.join(fromNow, revision);
    const told = fromNow ? watcher.nextRevision - 1 : revision;
    this.send(controlMessage(encodeHeader(admission.header, told), id, { created: true }));
    this.#proxy.log.debug('create watcher', { key: Buffer.from(request.key).toString(), end: Buffer.from(request.rangeEnd).toString() });
  }

  #refuse(reason: string): void {
    this.send(controlMessage(encodeHeader(this.#lastHeader ?? {}), invalidWatchId, { created: true, canceled: true, reason }));
  }

  #cancel(id: WireWatchId): void {
    const watcher = this.#watchers.get(id);
    if (watcher === undefined) return;
    broadcastOf(watcher)?.remove(watcher);
    this.#watchers.delete(id);
    this.send(controlMessage(encodeHeader(this.#lastHeader ?? {}), id, { canceled: true }));
  }

  forget(id: WireWatchId): void {
    this.#watchers.delete(id);
  }

  /** A mark holds for this stream when all its watchers have had what is below it. True when it was passed on. */
  marked(revision: number, header: ResponseHeader | undefined): boolean {
    if (this.over) return true;
    if (this.#lagging) return false;
    for (const w of this.#watchers.values()) if ((broadcastOf(w)?.nextRevision ?? 0) <= revision) return false;
    this.send(controlMessage(encodeHeader(header, revision), invalidWatchId, {}));
    return true;
  }

  send(parts: readonly Uint8Array[]): void {
    if (this.over || this.#call.sendEncoded(parts) || this.#lagging) return;
    if (this.#call.bufferedBytes <= bufferedBytesMax) return;
    this.#lagging = true;
    this.#hold();
    for (const w of this.#watchers.values()) broadcastOf(w)?.remove(w);
  }

  #drained(): void {
    if (this.over || !this.#lagging) return;
    this.#lagging = false;
    for (const w of [...this.#watchers.values()]) {
      if (this.#lagging) break;
      if (broadcastOf(w) === undefined) w.join(false, this.#lastHeader?.revision ?? 0);
    }
    this.#work();
  }
}

/** A client may choose any id; negative ones are encoded as bigint. */
function wireIdOf(id: number): WireWatchId {
  return id < 0 ? BigInt(id) : id;
}

function isEmptyRange({ key, rangeEnd }: WatchCreateRequest): boolean {
  if (rangeEnd.length === 0 || (rangeEnd.length === 1 && rangeEnd[0] === 0)) return false;
  return compareBytes(key.length === 0 ? zeroKey : key, rangeEnd) >= 0;
}

class ProxyWatcher implements Receiver {
  nextRevision: number;
  readonly #session: WatchSession;
  readonly #hub: WatchHub;
  readonly #id: WireWatchId;
  readonly #idField: Uint8Array;
  readonly #key: Uint8Array;
  readonly #end: Uint8Array;
  readonly #prevKv: boolean;
  readonly #noPut: boolean;
  readonly #noDelete: boolean;
  readonly #progress: boolean;
  readonly #fragment: boolean;

  constructor(session: WatchSession, hub: WatchHub, id: WireWatchId, request: WatchCreateRequest, nextRevision: number) {
    this.#session = session;
    this.#hub = hub;
    this.#id = id;
    this.#idField = idField(id);
    this.#key = request.key;
    this.#end = request.rangeEnd;
    this.#prevKv = request.prevKv;
    this.#noPut = request.filters.includes(filterNoPut);
    this.#noDelete = request.filters.includes(filterNoDelete);
    this.#progress = request.progressNotify;
    this.#fragment = request.fragment;
    this.nextRevision = nextRevision;
  }

  /** @param storeRevision  of a member, as far as it is known */
  join(fromNow: boolean, storeRevision: number): void {
    this.#hub.group(this.#key, this.#end, this.#prevKv).add(this, fromNow, storeRevision);
  }

  events(header: Uint8Array, batch: EncodedBatch): void {
    if (batch.lastRevision < this.nextRevision) return;
    const from = this.nextRevision;
    this.nextRevision = batch.lastRevision + 1;
    if (!this.#noPut && !this.#noDelete && batch.firstRevision >= from && !this.#fragment) {
      this.#session.send([header, this.#idField, batch.whole]);
      return;
    }
    const wanted = batch.encoded.filter((_, i) => {
      const event = batch.events[i];
      if ((event?.kv?.modRevision ?? 0) < from) return false;
      return event?.type === 1 ? !this.#noDelete : !this.#noPut;
    });
    if (wanted.length > 0) this.#sendEvents(header, wanted);
  }

  #sendEvents(header: Uint8Array, events: readonly Uint8Array[]): void {
    let parts: Uint8Array[] = [];
    let size = 0;
    for (const e of events) {
      if (this.#fragment && parts.length > 0 && size + e.length >= fragmentBytes) {
        this.#session.send([header, this.#idField, fragmentField, ...parts]);
        parts = [];
        size = 0;
      }
      parts.push(e);
      size += e.length;
    }
    this.#session.send([header, this.#idField, ...parts]);
  }

  progress(header: Uint8Array, revision: number): void {
    // A watcher that begins in the future is not told of the present.
    if (this.#progress && revision >= this.nextRevision - 1) this.#session.send([header, this.#idField]);
  }

  canceled(header: Uint8Array, compactRevision: number, reason: string): void {
    this.#session.forget(this.#id);
    const why = reason === '' ? {} : { reason };
    this.#session.send(controlMessage(header, this.#id, { canceled: true, compactRev: compactRevision, ...why }));
  }

  failed(status: Status): void {
    this.#session.fail(status);
  }
}

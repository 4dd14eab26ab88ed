/**
 * Watch: many watchers on one stream.
 *
 * The hub delivers to a stream synchronously; a delivery is encoded and handed to the call at once, so what a client sees is in the order in
 * which things happened: created before the first event, progress after the events it vouches for. When the call's buffer is full the
 * stream takes no deliveries (the hub keeps or re-reads them) and reads no requests until it has drained.
 */
import { type WatchCancelRequest, type WatchCreateRequest, WatchRequest, type WatchResponse } from '../../api/gen/etcdserverpb.ts';
import { Watch, type MethodDef } from '../../api/gen/methods.ts';
import { decodeWith, Reader, type Codec } from '../../api/proto-io.ts';
import { Code, errors, type Status } from '../../api/status.ts';
import type { Timer } from '../../base/clock.ts';
import { compareBytes } from '../../base/bytes.ts';
import { failpointsOn, failpointThen } from '../../base/failpoint.ts';
import type { WatchDelivery, WatchStream } from '../mvcc/types.ts';
import { watchRange } from '../txn/key-ranges.ts';
import type { ServiceContext, StreamRequest, StreamScope } from './context.ts';
import { controlMessage, EventEncoder, type WireWatchId } from './watch-encoder.ts';
import { beginWatch } from './work-spans.ts';

/** etcd's "no watch": in the answer to a failed create, and in a progress answer for the whole stream. */
const invalidWatchId = -1;
/** Room for framing and headers on top of --max-request-bytes: where fragments are cut. */
const requestOverheadBytes = 512 * 1024;
/** Share of the progress interval by which streams are spread. */
const progressJitter = 0.1;
const filterNoPut = 0;
const filterNoDelete = 1;

/** As in grpc-go's text form of a status. */
const codeNames = Object.keys(Code);
const reasonOf = (status: Status): string => `rpc error: code = ${codeNames[status.code] ?? 'Unknown'} desc = ${status.message}`;

export function registerWatch(context: ServiceContext): void {
  const encoder = new EventEncoder();
  context.stream(exactWatch, (scope) => {
    new WatchSession(context, scope, encoder);
  });
}

/** What a watcher asked for beyond plain events. Kept only for watchers that asked for something. */
interface Special {
  progressNotify: boolean;
  /** No event since the last tick of the progress timer. */
  idle: boolean;
  readonly fragment: boolean;
  /** The id on the wire, when it is not the hub's. */
  readonly wireId: WireWatchId | undefined;
}

class WatchSession {
  readonly #context: ServiceContext;
  readonly #scope: StreamScope<WatchRequest, WatchResponse>;
  readonly #encoder: EventEncoder;
  readonly #stream: WatchStream;
  readonly #special = new Map<number, Special>();
  /** Ids that the hub does not take as numbers (negative, beyond 2^53), with the hub's id for them. */
  #aliases: Map<bigint, number> | undefined;
  #nextAlias = -2;
  #progressTimer: Timer | undefined;
  #full = false;
  /** Messages that wait for a failpoint. */
  readonly #held: (readonly Uint8Array[])[] = [];

  constructor(context: ServiceContext, scope: StreamScope<WatchRequest, WatchResponse>, encoder: EventEncoder) {
    this.#context = context;
    this.#scope = scope;
    this.#encoder = encoder;
    this.#stream = context.member.kv.watchers.open((d) => this.#deliver(d));
    const { call } = scope;
    scope.onRequest = (request) => this.#request(request);
    // Half-closing leaves the watchers as they are: no onHalfClose.
    call.onDrain = () => this.#drained();
    scope.onOver(() => {
      this.#progressTimer?.cancel();
      this.#stream.close();
    });
  }

  #request(asked: StreamRequest<WatchRequest>): void {
    const { clock } = this.#context.member;
    const start = clock.mono();
    this.#serve(asked);
    this.#context.watchTimes.control.observe((clock.mono() - start) / 1000);
  }

  #serve(asked: StreamRequest<WatchRequest>): void {
    if (asked.shape((r) => (r.createRequest?.startRevision ?? 0) < 0)) return this.#refuse(errors.compacted.message);
    const request = asked.open((denied) => this.#refuse(reasonOf(denied)));
    if (request === undefined) return;
    if (request.createRequest !== undefined) this.#create(request.createRequest);
    else if (request.cancelRequest !== undefined) this.#cancel(request.cancelRequest);
    else if (request.progressRequest !== undefined) this.#progress();
  }

  #create(request: WatchCreateRequest): void {
    const { member } = this.#context;
    // The same reading of the range as its permission was checked by.
    const { key, end } = watchRange(request.key, request.rangeEnd);
    if (end !== undefined && end.length > 0 && compareBytes(key, end) >= 0) return this.#refuse('mvcc: watcher range is empty');

    const { limits } = this.#context;
    if (this.#stream.size >= limits.watchersPerStreamMax || member.kv.watchers.watcherCount >= limits.watchersMax)
      return this.#refuse(tooMany);
    const wanted = exactIdOf(request);
    let hubId: number;
    if (typeof wanted === 'number' && wanted >= 0) hubId = wanted;
    else {
      const big = BigInt(wanted);
      if (this.#aliases?.has(big) === true) return this.#refuse(duplicateId);
      hubId = this.#nextAlias--;
    }
    const { span } = this.#scope.call;
    if (span !== undefined) beginWatch(span, request);
    const watcher = this.#stream.watch(
      {
        key,
        end,
        startRev: request.startRevision,
        filterPut: request.filters.includes(filterNoPut),
        filterDelete: request.filters.includes(filterNoDelete),
        prevKv: request.prevKv,
      },
      hubId,
    );
    if (watcher === undefined) return this.#refuse(duplicateId);
    let wireId: WireWatchId | undefined;
    if (hubId < 0) {
      wireId = wanted;
      (this.#aliases ??= new Map()).set(BigInt(wanted), hubId);
    }
    if (request.progressNotify || request.fragment || wireId !== undefined)
      this.#special.set(watcher.id, { progressNotify: request.progressNotify, idle: true, fragment: request.fragment, wireId });
    if (request.progressNotify) this.#startProgressTimer();
    this.#send(controlMessage(this.#context.header(member.kv.currentRev), wireId ?? watcher.id, { created: true }));
  }

  #refuse(reason: string): void {
    const header = this.#context.header(this.#context.member.kv.currentRev);
    this.#send(controlMessage(header, invalidWatchId, { created: true, canceled: true, reason }));
  }

  #cancel(request: WatchCancelRequest): void {
    const wireId = exactIdOf(request);
    const aliased = this.#aliases?.get(BigInt(wireId));
    const hubId = aliased ?? (typeof wireId === 'number' ? wireId : undefined);
    if (hubId === undefined || !this.#stream.cancel(hubId)) return;
    this.#forget(hubId);
    this.#send(controlMessage(this.#context.header(this.#context.member.kv.currentRev), wireId, { canceled: true }));
  }

  #forget(hubId: number): void {
    const wireId = this.#special.get(hubId)?.wireId;
    this.#special.delete(hubId);
    if (wireId !== undefined) this.#aliases?.delete(BigInt(wireId));
  }

  /** A manual progress request is answered only when the answer holds for every watcher; else the client has to ask again. */
  #progress(): void {
    if (this.#stream.size === 0 || !this.#stream.allSynced) return;
    this.#send(controlMessage(this.#context.header(this.#context.member.kv.currentRev), invalidWatchId, {}));
  }

  #startProgressTimer(): void {
    if (this.#progressTimer !== undefined) return;
    const { clock, config, random } = this.#context.member;
    const interval = config.watchProgressNotifyMs * (1 + random.float() * progressJitter);
    this.#progressTimer = clock.every(interval, () => {
      for (const [id, special] of this.#special) {
        if (!special.progressNotify) continue;
        if (special.idle) this.#stream.requestProgress(id);
        special.idle = true;
      }
    });
  }

  #deliver(d: WatchDelivery): boolean {
    if (this.#scope.over) return true;
    if (this.#full) return false;
    const { clock } = this.#context.member;
    const start = clock.mono();
    this.#write(d);
    const ms = clock.mono() - start;
    const { watchTimes } = this.#context;
    if (d.events.length > 0) watchTimes.delivered(d.events.length, ms);
    else if (d.compactRev === 0) watchTimes.progress.observe(ms / 1000);
    else watchTimes.control.observe(ms / 1000);
    return true;
  }

  #write(d: WatchDelivery): void {
    const { id } = d.watcher;
    const special = this.#special.size === 0 ? undefined : this.#special.get(id);
    const wireId = special?.wireId ?? id;
    if (d.compactRev !== 0) {
      this.#forget(id);
      // As etcd: the header of this one carries no revision.
      this.#send(controlMessage(this.#context.header(0), wireId, { canceled: true, compactRev: d.compactRev }));
    } else if (d.events.length === 0) this.#send(controlMessage(this.#context.header(d.rev), wireId, {}));
    else {
      if (special !== undefined) special.idle = false;
      const fragmentBytes = special?.fragment === true ? this.#context.member.config.maxRequestBytes + requestOverheadBytes : 0;
      const header = this.#context.header(d.rev);
      for (const parts of this.#encoder.messages(header, wireId, d.events, fragmentBytes)) this.#send(parts);
    }
  }

  #send(parts: readonly Uint8Array[]): void {
    if (failpointsOn()) {
      this.#held.push(parts);
      if (this.#held.length === 1) this.#sendHeld();
    } else this.#sendNow(parts);
  }

  /** False when the call has enough for now. */
  #sendNow(parts: readonly Uint8Array[]): boolean {
    const room = this.#scope.call.sendEncoded(parts);
    if (!room) this.#fill();
    return room;
  }

  #fill(): void {
    if (this.#full) return;
    this.#full = true;
    // Answers to requests must not pile up either.
    this.#scope.call.pause();
  }

  #drained(): void {
    if (this.#held.length > 0) return;
    this.#full = false;
    this.#stream.resume();
    if (!this.#full) this.#scope.call.resume();
  }

  /** A point that waits holds this stream alone, as a client that does not read. */
  #sendHeld(): void {
    let inTurn = true;
    failpointThen('beforeSendWatchResponse', () => {
      if (this.#scope.over) return;
      const parts = this.#held.shift();
      const room = parts === undefined || this.#sendNow(parts);
      if (this.#held.length > 0) this.#sendHeld();
      else if (!inTurn && room) this.#drained();
    });
    inTurn = false;
    if (this.#held.length > 0) this.#fill();
  }
}

const tooMany = 'etcdserver: too many watchers';
const duplicateId = 'mvcc: duplicate watch ID provided on the WatchStream';

/**
 * The id as it was on the wire. The generated codec gives counters as numbers, which saturate; ids of watches are any 64 bits, so those
 * beyond 2^53 are read once more.
 */
function exactIdOf(request: WatchCreateRequest | WatchCancelRequest): WireWatchId {
  return exactIds.get(request) ?? request.watchId;
}
const exactIds = new WeakMap<object, bigint>();

const exactWatchRequest: Codec<WatchRequest> = {
  ...WatchRequest,
  decode(body) {
    return decodeWith(exactWatchRequest, body);
  },
  read(r, end) {
    const start = r.pos;
    const message = WatchRequest.read(r, end);
    const inner = message.createRequest ?? message.cancelRequest;
    if (inner !== undefined && !Number.isSafeInteger(Math.abs(inner.watchId) + 1)) {
      const id = findWatchId(r.buf.subarray(start, end), message.createRequest === undefined);
      if (id !== undefined) exactIds.set(inner, id);
    }
    return message;
  },
};

/** The last watch_id in the last create_request (field 1, id 7) or cancel_request (field 2, id 1). The body was decoded before, so it is sound. */
function findWatchId(body: Uint8Array, isCancel: boolean): bigint | undefined {
  const r = new Reader(body);
  const outer = isCancel ? 0x12 : 0x0a;
  const wanted = isCancel ? 0x08 : 0x38;
  let found: bigint | undefined;
  while (r.pos < body.length) {
    const tag = r.varint32();
    if (tag !== outer) {
      r.skip(tag);
      continue;
    }
    const end = r.messageEnd();
    while (r.pos < end) {
      const field = r.varint32();
      if (field === wanted) found = r.bigInt64();
      else r.skip(field);
    }
  }
  return found;
}

const exactWatch: MethodDef<WatchRequest, WatchResponse> = { ...Watch.watch, request: exactWatchRequest };

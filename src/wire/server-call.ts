/**
 * The gRPC half of a server, common to every binding that carries HTTP/2: which handler a request's headers lead to, how message frames
 * become messages, deadlines, cancellation, statuses. A binding brings request heads and body bytes and offers a `CallCarrier` to answer on.
 *
 * Texts of refusals are grpc-go's, as etcd answers them.
 */
import { gunzip, gunzipSync, gzipSync, constants as zlibConstants } from 'node:zlib';
import type { Clock } from '../base/clock.ts';
import { invariant, InvariantError } from '../base/invariant.ts';
import type { MethodDef } from '../api/gen/methods.ts';
import { DecodeError, type Codec } from '../api/proto-io.ts';
import { Code, RpcError, errors, type Status } from '../api/status.ts';
import type { CallSpan, CallTracer } from '../base/trace.ts';
import type { HandlerTable, Lane, Metadata, PeerInfo, StreamCall, StreamHandler, UnaryCall, UnaryHandler } from './call.ts';
import { DeadlineWheel, type DeadlineEntry } from './deadline-wheel.ts';
import { parseTimeout } from './grpc-text.ts';
import type { WireLimits } from './limits.ts';
import { MessageReader } from './message-reader.ts';
import { BadBinaryMetadata, metadataOf } from './metadata.ts';
import { silentObserver, type HandledCall, type MethodObserver, type WireObserver } from './observer.ts';

/** How a call answers on the stream that carries it. After `last`, `sendStatus` or `reset` nothing else is called. */
export interface CallCarrier {
  /** Response headers when they have not gone yet, one message, and with `last` the trailers of OK. Returns the body's length in bytes. */
  sendMessage(codec: Codec<unknown>, message: unknown, last: boolean): number;
  /** The same for a body that is encoded, `bytes` long in all. `compressed` sets the flag of the message frame. */
  sendParts(parts: readonly Uint8Array[], bytes: number, compressed: boolean, last: boolean): void;
  /** Begins a message of `bytes` in all, whose parts follow in calls of `sendMore`; the last of them brings the trailers of OK. */
  sendBegin(bytes: number): void;
  sendMore(parts: readonly Uint8Array[], last: boolean): void;
  /** Ends the stream in the middle of a message. */
  breakOff(): void;
  /** Trailers; headers and trailers in one block when nothing went before. */
  sendStatus(status: Status): void;
  readonly bufferedBytes: number;
  /** The whole connection has more output waiting than it should. */
  readonly congested?: boolean;
  readonly lane?: Lane | undefined;
  /** Holds back the stream's window, or renews it again. */
  setPaused(paused: boolean): void;
}

export interface MethodEntry {
  readonly method: MethodDef;
  readonly unary: UnaryHandler<unknown, unknown> | undefined;
  readonly stream: StreamHandler<unknown, unknown> | undefined;
  readonly observer: MethodObserver;
  /** Waits while its connection has more output than it should, as its answer may be large. Streams look at their own output. */
  readonly waits: boolean;
}

export interface HeaderField {
  readonly name: string;
  readonly value: string;
}

/** What the headers of a gRPC request say. Never changed once made: requests with the same header block share one. */
export class CallHead {
  readonly entry: MethodEntry | undefined;
  /** Answered at once with this, when there is no entry. */
  readonly refusal: Status | undefined;
  readonly httpStatus: number;
  readonly metadata: Metadata;
  /** Infinity without one. */
  readonly timeoutMs: number;
  /** Messages of the request may be gzipped; those of the answer may then be too, as in grpc-go. */
  readonly gzip: boolean;
  readonly contentType: string;

  constructor(init: Partial<CallHead> & { readonly metadata: Metadata }) {
    this.entry = init.entry;
    this.refusal = init.refusal;
    this.httpStatus = init.httpStatus ?? 200;
    this.metadata = init.metadata;
    this.timeoutMs = init.timeoutMs ?? Infinity;
    this.gzip = init.gzip ?? false;
    this.contentType = init.contentType ?? defaultContentType;
  }
}

export const defaultContentType = 'application/grpc';
const noMetadata: Metadata = new Map();

/** True for what etcd hands to gRPC; anything else goes to the HTTP handler. */
export function isGrpcContentType(contentType: string | undefined): boolean {
  return contentType !== undefined && contentType.startsWith(defaultContentType);
}

export interface GrpcServerOptions {
  readonly table: HandlerTable;
  readonly limits: WireLimits;
  readonly clock: Clock;
  readonly observer?: WireObserver | undefined;
  /** Asked of each call, when there is one. */
  readonly tracer?: CallTracer | undefined;
  /** Told of what a handler threw and of broken invariants. By default thrown again outside the connection, which ends the process. */
  readonly onHandlerError?: ((error: unknown) => void) | undefined;
}

/** Handlers, limits and clocks of one server; shared by all its bindings. */
export class GrpcServer {
  readonly limits: WireLimits;
  readonly clock: Clock;
  readonly wheel: DeadlineWheel;
  readonly tracer: CallTracer | undefined;
  readonly #entries = new Map<string, MethodEntry>();
  readonly #services = new Set<string>();
  readonly #onHandlerError: (error: unknown) => void;
  /** Calls that have begun and not ended. */
  openCalls = 0;
  /** Streams of all connections, calls or not. */
  openStreams = 0;
  /** Bytes of output that wait on streams of all connections. */
  queuedBytes = 0;

  constructor(options: GrpcServerOptions) {
    this.limits = options.limits;
    this.clock = options.clock;
    this.wheel = new DeadlineWheel(options.clock);
    this.tracer = options.tracer;
    this.#onHandlerError = options.onHandlerError ?? rethrowOutside;
    const observer = options.observer ?? silentObserver;
    for (const [path, { method, handler, short }] of options.table.unary) {
      this.#add(path, { method, unary: handler, stream: undefined, observer: observer.method(method), waits: !short });
    }
    for (const [path, { method, handler }] of options.table.streams) {
      this.#add(path, { method, unary: undefined, stream: handler, observer: observer.method(method), waits: false });
    }
  }

  #add(path: string, entry: MethodEntry): void {
    this.#entries.set(path, entry);
    this.#services.add(path.slice(1, path.lastIndexOf('/')));
  }

  /** Judges the headers of a request whose content type is gRPC's. `fields` are the regular ones, names in lower case. */
  head(method: string, path: string, authority: string, fields: readonly HeaderField[]): CallHead {
    let timeout: string | undefined;
    let encoding: string | undefined;
    let contentType = '';
    for (const { name, value } of fields) {
      if (name === 'content-type') contentType = value;
      else if (name === 'grpc-timeout') timeout = value;
      else if (name === 'grpc-encoding') encoding = value;
    }
    const refuse = (httpStatus: number, code: Code, message: string): CallHead =>
      new CallHead({ metadata: noMetadata, httpStatus, refusal: { code, message } });
    const next = contentType.charAt(defaultContentType.length);
    if (next !== '' && next !== '+' && next !== ';') {
      return refuse(415, Code.InvalidArgument, `invalid gRPC request content-type ${JSON.stringify(contentType)}`);
    }
    if (method !== 'POST') {
      return refuse(405, Code.Internal, `Received a HEADERS frame with :method ${JSON.stringify(method)} which should be POST`);
    }
    let timeoutMs = Infinity;
    if (timeout !== undefined) {
      const parsed = parseTimeout(timeout);
      if (typeof parsed === 'string') return refuse(400, Code.Internal, `malformed grpc-timeout: ${parsed}`);
      timeoutMs = parsed;
    }
    let metadata: Metadata;
    try {
      metadata = metadataOf(authority, fields);
    } catch (error) {
      if (!(error instanceof BadBinaryMetadata)) throw error;
      return refuse(400, Code.Internal, error.message);
    }
    const entry = this.#entries.get(path);
    if (entry === undefined) return refuse(200, Code.Unimplemented, this.#unknown(path));
    const gzip = encoding === 'gzip';
    if (encoding !== undefined && !gzip && encoding !== 'identity') {
      return refuse(200, Code.Unimplemented, `grpc: Decompressor is not installed for grpc-encoding ${JSON.stringify(encoding)}`);
    }
    return new CallHead({ entry, metadata, timeoutMs, gzip, contentType });
  }

  #unknown(path: string): string {
    const cut = path.lastIndexOf('/');
    if (!path.startsWith('/') || cut < 1) return `malformed method name: ${JSON.stringify(path)}`;
    const service = path.slice(1, cut);
    if (!this.#services.has(service)) return `unknown service ${service}`;
    return `unknown method ${path.slice(cut + 1)} for service ${service}`;
  }

  /** Whether a connection that has so many streams open may open another one; the peer is told that it may try again (REFUSED_STREAM). */
  admits(openStreams: number): boolean {
    const { concurrentStreamsMax, concurrentStreamsWhenFull, streamsMax } = this.limits;
    return openStreams < concurrentStreamsMax && (this.openStreams < streamsMax || openStreams < concurrentStreamsWhenFull);
  }

  handlerError(error: unknown): void {
    this.#onHandlerError(error);
  }

  close(): void {
    this.wheel.close();
  }
}

function rethrowOutside(error: unknown): void {
  process.nextTick(() => {
    throw error;
  });
}

/** Answers of a client that sends gzip are gzipped between these sizes; below it does not pay, above it would hold the event loop. */
const gzipAnswerBytesMin = 1_024;
const gzipAnswerBytesMax = 65_536;
/** Compressed bytes that are inflated in place; larger ones go to the thread pool. */
const gunzipInlineBytesMax = 8_192;

const emptyBody = new Uint8Array(0);
const eof: Status = { code: Code.Unknown, message: 'EOF' };
const noRequest: Status = {
  code: Code.Internal,
  message: 'cardinality violation: received no request message from non-client-streaming RPC',
};
const manyRequests: Status = {
  code: Code.Internal,
  message: 'cardinality violation: received multiple request messages for non-client-streaming RPC',
};

/** One call on a server, unary or streaming. The binding feeds it by `data`, `halfClose` and `cancel`. */
export class ServerCall implements UnaryCall, StreamCall, DeadlineEntry, HandledCall {
  readonly peer: PeerInfo;
  readonly deadline: number;
  readonly span: CallSpan | undefined;
  request: unknown = undefined;
  requestBytes: Uint8Array = emptyBody;
  state: unknown = undefined;
  answer: readonly Uint8Array[] | undefined = undefined;
  failure: Status | undefined = undefined;
  rows = 0;
  rowsInAll = 0;
  agreedMs: number | undefined = undefined;
  workedMs: number | undefined = undefined;
  cancelled = false;
  onCancel: (() => void) | undefined = undefined;
  onMessage: ((message: unknown) => void) | undefined = undefined;
  onHalfClose: (() => void) | undefined = undefined;
  onDrain: (() => void) | undefined = undefined;
  deadlinePrev: DeadlineEntry | undefined = undefined;
  deadlineNext: DeadlineEntry | undefined = undefined;
  /** True once a status has been sent or the call was cancelled: the binding may drop what still comes. */
  done = false;
  readonly #server: GrpcServer;
  readonly #head: CallHead;
  readonly #entry: MethodEntry;
  readonly #carrier: CallCarrier;
  readonly #startedMs: number;
  #reader: MessageReader | undefined = undefined;
  /** Messages seen; a call without request stream has one. */
  #messages = 0;
  #paused = false;
  #inflating = false;
  #halfClosed = false;
  #wantsDrain = false;
  #draining = false;
  /** Of an answer in parts: bytes announced, bytes still to come, and its head. */
  #announced = 0;
  #owed = 0;
  #firstParts: readonly Uint8Array[] | undefined = undefined;

  /**
   * `head.entry` must be set; a refused head gets no call. `nowMs` is the monotonic time of arrival. `timeoutMs` is given apart from the head,
   * so that requests which differ in nothing else can share one.
   */
  constructor(server: GrpcServer, head: CallHead, carrier: CallCarrier, peer: PeerInfo, nowMs: number, timeoutMs: number) {
    this.#server = server;
    this.#head = head;
    this.#entry = head.entry as MethodEntry;
    this.#carrier = carrier;
    this.peer = peer;
    this.#startedMs = nowMs;
    this.deadline = nowMs + timeoutMs;
    server.openCalls++;
    this.span = server.tracer?.call(this.#entry.method.path, head.metadata, peer.local ?? '', nowMs);
    this.#entry.observer.started();
  }

  get method(): MethodDef {
    return this.#entry.method;
  }

  get metadata(): Metadata {
    return this.#head.metadata;
  }

  get bufferedBytes(): number {
    return this.#carrier.bufferedBytes;
  }

  get congested(): boolean {
    return this.#carrier.congested === true;
  }

  get lane(): Lane | undefined {
    return this.#carrier.lane;
  }

  /** Bytes of request body kept for messages that are not whole, or not delivered. */
  get heldBytes(): number {
    return this.#reader?.heldBytes ?? 0;
  }

  /** All that the method takes has come: what the client still owes is the end of its side. */
  get inputComplete(): boolean {
    return this.#messages > 0 && !this.#entry.method.requestStream;
  }

  /** Arms the deadline and lets a streaming handler begin. The binding calls it once, when it is ready to be answered. */
  start(): void {
    if (this.deadline !== Infinity) {
      if (this.deadline <= this.#startedMs) {
        this.#finish(errors.contextDeadlineExceeded);
        return;
      }
      this.#server.wheel.arm(this);
    }
    const handler = this.#entry.stream;
    if (handler === undefined) return;
    try {
      handler(this);
    } catch (error) {
      this.#thrown(error);
    }
  }

  // ---- from the binding

  /** Bytes of the request's body, in order. Views are kept until the messages in them are done with. */
  data(chunk: Uint8Array): void {
    if (this.done) return;
    if (this.#reader === undefined) {
      // The usual case: a whole message in one piece.
      if (!this.#paused && chunk.length >= 5 && chunk[0] === 0) {
        const length =
          (((chunk[1] as number) << 24) | ((chunk[2] as number) << 16) | ((chunk[3] as number) << 8) | (chunk[4] as number)) >>> 0;
        if (length === chunk.length - 5 && length <= this.#server.limits.recvMessageBytesMax) {
          this.#deliver(chunk.subarray(5));
          return;
        }
      }
      this.#reader = new MessageReader();
    }
    this.#reader.push(chunk);
    this.#pump();
  }

  halfClose(): void {
    if (this.done || this.#halfClosed) return;
    this.#halfClosed = true;
    if (!this.#paused && !this.#inflating) this.#endOfInput();
  }

  /** The peer reset the stream, or the connection is gone. */
  cancel(): void {
    if (this.done) return;
    this.cancelled = true;
    this.#close(Code.Canceled);
    this.#notifyCancel();
  }

  /** The carrier's queue fell below the low-water mark. */
  drained(): void {
    if (!this.#wantsDrain || this.done || this.#draining) return;
    this.#wantsDrain = false;
    const onDrain = this.onDrain;
    if (onDrain === undefined) return;
    this.#draining = true;
    try {
      onDrain();
    } catch (error) {
      this.#thrown(error);
    } finally {
      this.#draining = false;
    }
  }

  onDeadline(): void {
    if (this.done) return;
    this.cancelled = true;
    this.#finish(errors.contextDeadlineExceeded);
    this.#notifyCancel();
  }

  /** Ends the call because of what the peer did or what a limit forbids. */
  refuse(status: Status): void {
    if (this.done) return;
    this.cancelled = true;
    this.#finish(status);
    this.#notifyCancel();
  }

  // ---- from the handler

  reply(response: unknown): void {
    if (this.done) return;
    if (this.#head.gzip) {
      this.#sendBody([this.#entry.method.response.encode(response as never)], true);
      return;
    }
    // Before the carrier, which may find that the stream is over and say so.
    this.done = true;
    const bytes = this.#carrier.sendMessage(this.#entry.method.response as Codec<unknown>, response, true);
    this.#entry.observer.sent(bytes);
    this.#close(Code.OK);
  }

  replyEncoded(parts: readonly Uint8Array[]): void {
    if (!this.done) this.#sendBody(parts, true);
  }

  replyBegin(bytes: number): boolean {
    if (this.done || this.#isTooLarge(bytes)) return false;
    this.#carrier.sendBegin(bytes);
    this.#announced = bytes;
    this.#owed = bytes;
    return true;
  }

  replyPart(parts: readonly Uint8Array[]): boolean {
    if (this.done) return false;
    // Of the answer the log wants to see the head alone.
    this.#firstParts ??= parts.slice(0, 1);
    for (const part of parts) this.#owed -= part.length;
    invariant(this.#owed >= 0, 'an answer is as long as announced', { method: this.#entry.method.path });
    const last = this.#owed === 0;
    if (last) this.done = true;
    this.#carrier.sendMore(parts, last);
    if (!last) return this.#afterSend();
    this.#entry.observer.sent(this.#announced);
    this.#answered(this.#firstParts);
    return true;
  }

  send(response: unknown): boolean {
    if (this.done) return false;
    if (this.#head.gzip) this.#sendBody([this.#entry.method.response.encode(response as never)], false);
    else this.#entry.observer.sent(this.#carrier.sendMessage(this.#entry.method.response as Codec<unknown>, response, false));
    return this.#afterSend();
  }

  sendEncoded(parts: readonly Uint8Array[]): boolean {
    if (this.done) return false;
    this.#sendBody(parts, false);
    return this.#afterSend();
  }

  end(): void {
    if (!this.done) this.#finish(ok);
  }

  fail(status: Status): void {
    if (!this.done) this.#finish(status);
  }

  pause(): void {
    if (this.#paused || this.done) return;
    this.#paused = true;
    this.#carrier.setPaused(true);
  }

  resume(): void {
    if (!this.#paused || this.done) return;
    this.#paused = false;
    if (this.#inflating) return;
    if (this.#reader !== undefined) this.#pump();
    if (this.#paused || this.done || this.#inflating) return;
    this.#carrier.setPaused(false);
    if (this.#halfClosed) this.#endOfInput();
  }

  // ---- inside

  #afterSend(): boolean {
    if (this.done) return false;
    if (this.#carrier.bufferedBytes < this.#server.limits.streamHighWaterBytes) return true;
    this.#wantsDrain = true;
    return false;
  }

  #sendBody(parts: readonly Uint8Array[], last: boolean): void {
    let bytes = 0;
    for (const part of parts) bytes += part.length;
    if (this.#isTooLarge(bytes)) return;
    if (last) this.done = true;
    if (this.#head.gzip && bytes >= gzipAnswerBytesMin && bytes <= gzipAnswerBytesMax) {
      const zipped = gzipSync(parts.length === 1 ? (parts[0] as Uint8Array) : Buffer.concat(parts), { level: zlibConstants.Z_BEST_SPEED });
      this.#carrier.sendParts([zipped], zipped.length, true, last);
    } else this.#carrier.sendParts(parts, bytes, false, last);
    this.#entry.observer.sent(bytes);
    if (!last) return;
    this.#answered(parts);
  }

  #answered(parts: readonly Uint8Array[]): void {
    this.answer = parts;
    this.#close(Code.OK);
    this.answer = undefined;
  }

  /** Fails the call when an answer of so many bytes may not be sent. */
  #isTooLarge(bytes: number): boolean {
    const limit = this.#server.limits.sendMessageBytesMax;
    if (bytes <= limit) return false;
    this.#finish({ code: Code.ResourceExhausted, message: `grpc: trying to send message larger than max (${bytes} vs. ${limit})` });
    return true;
  }

  /** Sends a status and ends the call; in the middle of an answer there is no place for a status. */
  #finish(status: Status): void {
    this.done = true;
    this.failure = status;
    if (this.#owed > 0) this.#carrier.breakOff();
    else this.#carrier.sendStatus(status);
    this.#close(status.code);
  }

  #close(code: Code): void {
    this.done = true;
    this.#reader = undefined;
    this.#server.openCalls--;
    if (this.deadlineNext !== undefined) this.#server.wheel.disarm(this);
    this.#entry.observer.handled(this, code, this.#server.clock.mono() - this.#startedMs);
    if (this.span !== undefined) this.span.finish(code);
  }

  #notifyCancel(): void {
    const onCancel = this.onCancel;
    this.onCancel = undefined;
    if (onCancel === undefined) return;
    try {
      onCancel();
    } catch (error) {
      this.#server.handlerError(error);
    }
  }

  #thrown(error: unknown): void {
    if (error instanceof RpcError) {
      this.fail(error.status);
      return;
    }
    this.fail({ code: Code.Internal, message: error instanceof InvariantError ? error.message : 'internal error' });
    this.#server.handlerError(error);
  }

  /** Takes whole messages out of the reader, as long as the handler wants them. */
  #pump(): void {
    const reader = this.#reader as MessageReader;
    const limit = this.#server.limits.recvMessageBytesMax;
    while (!this.#paused && !this.done && !this.#inflating) {
      if (!reader.next(limit)) break;
      if (reader.tooLarge) {
        this.refuse({
          code: Code.ResourceExhausted,
          message: `grpc: received message larger than max (${reader.length} vs. ${limit})`,
        });
        return;
      }
      const flag = reader.flag;
      const body = reader.body;
      if (flag === 0) this.#deliver(body);
      else if (flag !== 1) this.refuse({ code: Code.Internal, message: `grpc: received unexpected payload format ${flag}` });
      else if (!this.#head.gzip) {
        this.refuse({ code: Code.Internal, message: 'grpc: compressed flag set with identity or empty encoding' });
      } else this.#inflate(body);
    }
  }

  #inflate(body: Uint8Array): void {
    const options = { maxOutputLength: this.#server.limits.recvMessageBytesMax };
    if (body.length <= gunzipInlineBytesMax) {
      let plain: Uint8Array;
      try {
        plain = gunzipSync(body, options);
      } catch (error) {
        this.refuse(this.#inflateStatus(error));
        return;
      }
      this.#deliver(plain);
      return;
    }
    this.#inflating = true;
    this.#carrier.setPaused(true);
    gunzip(body, options, (error, plain) => {
      this.#inflating = false;
      if (this.done) return;
      if (error !== null) {
        this.refuse(this.#inflateStatus(error));
        return;
      }
      this.#deliver(plain);
      if (this.done || this.#paused) return;
      this.#pump();
      if (this.done || this.#paused || this.#inflating) return;
      this.#carrier.setPaused(false);
      if (this.#halfClosed) this.#endOfInput();
    });
  }

  #inflateStatus(error: unknown): Status {
    if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') {
      const limit = this.#server.limits.recvMessageBytesMax;
      return { code: Code.ResourceExhausted, message: `grpc: received message after decompression larger than max ${limit}` };
    }
    return { code: Code.Internal, message: `grpc: failed to decompress the message: ${(error as Error).message}` };
  }

  #deliver(body: Uint8Array): void {
    const entry = this.#entry;
    const first = this.#messages++ === 0;
    if (!first && !entry.method.requestStream) {
      // grpc-go looks at the first message of a unary call only; a server stream with two is refused.
      if (entry.unary === undefined) this.refuse(manyRequests);
      return;
    }
    let message: unknown;
    try {
      message = entry.method.request.decode(body);
    } catch (error) {
      if (!(error instanceof DecodeError)) {
        this.#thrown(error);
        return;
      }
      const what = entry.unary === undefined ? 'failed to unmarshal the received message' : 'error unmarshalling request';
      this.refuse({ code: Code.Internal, message: `grpc: ${what}: proto: cannot parse invalid wire-format data` });
      return;
    }
    entry.observer.received(body.length);
    try {
      if (entry.unary !== undefined) {
        this.request = message;
        this.requestBytes = body;
        entry.unary(this);
      } else this.onMessage?.(message);
    } catch (error) {
      this.#thrown(error);
    }
  }

  #endOfInput(): void {
    if (this.done) return;
    const held = this.#reader?.heldBytes ?? 0;
    const unary = this.#entry.unary !== undefined;
    // grpc-go: a cut body is "unexpected EOF" (13 on streams); a cut prefix counts as if it had not come.
    if (held > 0 && unary) {
      if (this.#messages === 0) this.refuse({ code: Code.Unknown, message: held < 5 ? 'EOF' : 'unexpected EOF' });
      return;
    }
    if (held >= 5) {
      this.refuse({ code: Code.Internal, message: 'unexpected EOF' });
      return;
    }
    if (this.#messages === 0 && !this.#entry.method.requestStream) {
      this.refuse(unary ? eof : noRequest);
      return;
    }
    if (unary) return;
    try {
      this.onHalfClose?.();
    } catch (error) {
      this.#thrown(error);
    }
  }
}

const ok: Status = { code: Code.OK, message: '' };

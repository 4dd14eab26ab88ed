/**
 * A `Channel` that calls a `HandlerTable` in this process: for embedding, the JSON gateway, lock and election, the proxy, and tests.
 *
 * `encoded` (default) sends every message through its codec, so that both sides own their objects and defaults are filled in. Without it
 * objects are handed over as they are: requests must then be complete, and neither side may change what it gave or got.
 */
import type { Clock, Timer } from '../base/clock.ts';
import { Roster } from '../base/roster.ts';
import type { MethodDef } from '../api/gen/methods.ts';
import type { Init } from '../api/proto-io.ts';
import { Code, RpcError, type Status } from '../api/status.ts';
import type { CallSpan, CallTracer } from '../base/trace.ts';
import type { HandlerTable, Metadata, PeerInfo, StreamCall, StreamHandler, UnaryCall } from './call.ts';
import type { CallOptions, Channel, ClientStream } from './channel.ts';
import { canceledStatus, closedStatus, deadlineStatus } from './channel-options.ts';
import { silentObserver, type HandledCall, type MethodObserver, type WireObserver } from './observer.ts';

export interface InProcessOptions {
  readonly table: HandlerTable;
  readonly clock: Clock;
  readonly encoded?: boolean | undefined;
  /** Who the handlers see as the caller. */
  readonly peer?: PeerInfo | undefined;
  readonly observer?: WireObserver | undefined;
  /** Asked of each call, when there is one. */
  readonly tracer?: CallTracer | undefined;
  readonly onHandlerError?: ((error: unknown) => void) | undefined;
}

/** Bytes waiting for a paused reader above which `send` returns false. */
const highWaterBytes = 65_536;

const inProcessPeer: PeerInfo = { address: 'in-process', commonName: undefined, viaGateway: false };
const noMetadata: Metadata = new Map();
const emptyBody = new Uint8Array(0);

export class InProcessChannel implements Channel {
  readonly endpoint = 'in-process';
  readonly ready = true;
  readonly #options: InProcessOptions;
  readonly #encoded: boolean;
  readonly #peer: PeerInfo;
  readonly #observers = new Map<string, MethodObserver>();
  readonly #open = new Roster<{ closed(): void }>();
  #closed = false;

  constructor(options: InProcessOptions) {
    this.#options = options;
    this.#encoded = options.encoded ?? true;
    this.#peer = options.peer ?? inProcessPeer;
  }

  connect(): Promise<void> {
    return Promise.resolve();
  }

  unary<Req, Res>(method: MethodDef<Req, Res>, request: Init<Req>, options?: CallOptions): Promise<Res> {
    return new Promise((resolve, reject) => {
      const entry = this.#options.table.unary.get(method.path);
      if (entry === undefined || this.#closed) {
        reject(new RpcError(this.#closed ? closedStatus : unknownMethod(method), { unsent: true }));
        return;
      }
      const call = new InProcessUnary<Req, Res>(this, method, this.#observer(method), options, resolve, reject);
      if (!call.begin(request, options)) return;
      try {
        entry.handler(call as UnaryCall<unknown, unknown>);
      } catch (error) {
        call.thrown(error);
      }
    });
  }

  stream<Req, Res>(method: MethodDef<Req, Res>, options?: CallOptions): ClientStream<Req, Res> {
    const entry = this.#options.table.streams.get(method.path);
    const pair = new InProcessStream<Req, Res>(this, method, this.#observer(method), options);
    if (this.#closed) pair.abandon(closedStatus);
    else if (entry === undefined) pair.abandon(unknownMethod(method));
    else pair.begin(entry.handler as StreamHandler<unknown, unknown>, options);
    return pair.client;
  }

  close(): void {
    this.#closed = true;
    for (const call of this.#open.items()) call.closed();
  }

  /** Calls under way are no matter of a connection here. */
  drain(done: () => void): void {
    this.#closed = true;
    done();
  }

  // ---- for the calls

  get encoded(): boolean {
    return this.#encoded;
  }

  get peer(): PeerInfo {
    return this.#peer;
  }

  get clock(): Clock {
    return this.#options.clock;
  }

  get tracer(): CallTracer | undefined {
    return this.#options.tracer;
  }

  get open(): Roster<{ closed(): void }> {
    return this.#open;
  }

  handlerError(error: unknown): void {
    const report = this.#options.onHandlerError;
    if (report !== undefined) report(error);
    else
      process.nextTick(() => {
        throw error;
      });
  }

  #observer<Req, Res>(method: MethodDef<Req, Res>): MethodObserver {
    let observer = this.#observers.get(method.path);
    if (observer === undefined) {
      observer = (this.#options.observer ?? silentObserver).method(method as unknown as MethodDef);
      this.#observers.set(method.path, observer);
    }
    return observer;
  }
}

/** What unary and streaming calls have in common: who calls, until when, and how it was broken off. */
abstract class InProcessCall implements HandledCall {
  readonly method: MethodDef;
  readonly metadata: Metadata;
  readonly peer: PeerInfo;
  readonly deadline: number;
  readonly span: CallSpan | undefined;
  abstract readonly request: unknown;
  abstract readonly requestBytes: Uint8Array;
  cancelled = false;
  answer: readonly Uint8Array[] | undefined = undefined;
  failure: Status | undefined = undefined;
  rows = 0;
  rowsInAll = 0;
  agreedMs: number | undefined = undefined;
  workedMs: number | undefined = undefined;
  onCancel: (() => void) | undefined = undefined;
  protected done = false;
  protected readonly channel: InProcessChannel;
  protected readonly observer: MethodObserver;
  /** Among the open ones of the channel. */
  #openNumber = -1;
  readonly #startedMs: number;
  #timer: Timer | undefined;
  #signal: AbortSignal | undefined;

  constructor(channel: InProcessChannel, method: MethodDef, observer: MethodObserver, options: CallOptions | undefined) {
    this.channel = channel;
    this.method = method;
    this.observer = observer;
    this.peer = channel.peer;
    this.metadata = options?.metadata === undefined ? noMetadata : metadataOf(options.metadata);
    this.#startedMs = channel.clock.mono();
    this.deadline = this.#startedMs + (options?.timeoutMs ?? Infinity);
    this.span = channel.tracer?.call(method.path, this.metadata, channel.peer.local ?? '', this.#startedMs);
  }

  /** False when the call ended before it began. */
  protected arm(options: CallOptions | undefined): boolean {
    this.#openNumber = this.channel.open.add(this);
    this.observer.started();
    const signal = options?.signal;
    if (signal !== undefined) {
      if (signal.aborted) {
        this.breakOff(canceledStatus);
        return false;
      }
      this.#signal = signal;
      signal.addEventListener('abort', this.#abort);
    }
    if (options?.timeoutMs !== undefined) {
      if (options.timeoutMs <= 0) {
        this.breakOff(deadlineStatus);
        return false;
      }
      this.#timer = this.channel.clock.after(options.timeoutMs, () => this.breakOff(deadlineStatus));
    }
    return true;
  }

  readonly #abort = (): void => this.breakOff(canceledStatus);

  closed(): void {
    this.breakOff(closedStatus);
  }

  /** Ends the call from the caller's side, and tells the handler. */
  breakOff(status: Status): void {
    if (this.done) return;
    this.cancelled = true;
    this.failure = status;
    this.settle(status.code);
    this.deliver(status);
    const onCancel = this.onCancel;
    this.onCancel = undefined;
    try {
      onCancel?.();
    } catch (error) {
      this.channel.handlerError(error);
    }
  }

  fail(status: Status): void {
    if (this.done) return;
    this.failure = status;
    this.settle(status.code);
    this.deliver(status);
  }

  thrown(error: unknown): void {
    if (error instanceof RpcError) this.fail(error.status);
    else {
      this.fail({ code: Code.Internal, message: 'internal error' });
      this.channel.handlerError(error);
    }
  }

  protected settle(code: Code): void {
    this.done = true;
    this.channel.open.delete(this.#openNumber);
    this.#timer?.cancel();
    this.#signal?.removeEventListener('abort', this.#abort);
    this.observer.handled(this, code, this.channel.clock.mono() - this.#startedMs);
    if (this.span !== undefined) this.span.finish(code);
  }

  /** Hands a status to the caller. */
  protected abstract deliver(status: Status): void;
}

class InProcessUnary<Req, Res> extends InProcessCall implements UnaryCall<Req, Res> {
  state: unknown = undefined;
  #request: Req | undefined;
  #bytes: Uint8Array | undefined;
  readonly #resolve: (response: Res) => void;
  readonly #reject: (error: RpcError) => void;

  constructor(
    channel: InProcessChannel,
    method: MethodDef<Req, Res>,
    observer: MethodObserver,
    options: CallOptions | undefined,
    resolve: (response: Res) => void,
    reject: (error: RpcError) => void,
  ) {
    super(channel, method as unknown as MethodDef, observer, options);
    this.#resolve = resolve;
    this.#reject = reject;
  }

  begin(request: Init<Req>, options: CallOptions | undefined): boolean {
    if (this.channel.encoded) {
      this.#bytes = this.method.request.encode(request as never);
      this.#request = this.method.request.decode(this.#bytes) as Req;
    } else this.#request = request as Req;
    if (!this.arm(options)) return false;
    this.observer.received(this.#bytes?.length ?? 0);
    return true;
  }

  get request(): Req {
    return this.#request as Req;
  }

  get requestBytes(): Uint8Array {
    return (this.#bytes ??= this.method.request.encode(this.#request as never));
  }

  reply(response: Res): void {
    if (this.done) return;
    if (this.channel.encoded) {
      const body = this.method.response.encode(response as never);
      this.observer.sent(body.length);
      this.settle(Code.OK);
      this.#resolve(this.method.response.decode(body) as Res);
      return;
    }
    this.observer.sent(0);
    this.settle(Code.OK);
    this.#resolve(response);
  }

  replyEncoded(parts: readonly Uint8Array[]): void {
    if (this.done) return;
    const body = joined(parts);
    this.observer.sent(body.length);
    this.answer = parts;
    this.settle(Code.OK);
    this.#resolve(this.method.response.decode(body) as Res);
  }

  protected deliver(status: Status): void {
    this.#reject(new RpcError(status));
  }
}

/** Both ends of a stream. What one end does reaches the other in a microtask, so that neither is called from inside its own call. */
class InProcessStream<Req, Res> extends InProcessCall implements StreamCall<Req, Res> {
  readonly request = undefined;
  readonly requestBytes = emptyBody;
  onMessage: ((message: Req) => void) | undefined = undefined;
  onHalfClose: (() => void) | undefined = undefined;
  onDrain: (() => void) | undefined = undefined;
  readonly client: InProcessClientStream<Req, Res>;
  bufferedBytes = 0;
  readonly #toServer: { readonly message: Req; readonly bytes: number }[] = [];
  readonly #toClient: { readonly message: Res; readonly bytes: number }[] = [];
  #endStatus: Status | undefined;
  #halfClosed = false;
  #halfCloseTold = false;
  #serverPaused = false;
  #clientPaused = false;
  #wantsDrain = false;
  #scheduled = false;
  #ended = false;

  constructor(channel: InProcessChannel, method: MethodDef<Req, Res>, observer: MethodObserver, options: CallOptions | undefined) {
    super(channel, method as unknown as MethodDef, observer, options);
    this.client = new InProcessClientStream(this);
  }

  begin(handler: StreamHandler<unknown, unknown>, options: CallOptions | undefined): void {
    if (!this.arm(options)) return;
    try {
      handler(this as StreamCall<unknown, unknown>);
    } catch (error) {
      this.thrown(error);
    }
  }

  /** Ends a stream that never reached a handler. */
  abandon(status: Status): void {
    this.done = true;
    this.deliver(status);
  }

  // ---- the handler's side

  send(response: Res): boolean {
    if (this.done) return false;
    let message = response;
    let bytes = 0;
    if (this.channel.encoded || this.#clientPaused) {
      const body = this.method.response.encode(response as never);
      bytes = body.length;
      if (this.channel.encoded) message = this.method.response.decode(body) as Res;
    }
    return this.#sendDecoded(message, bytes);
  }

  sendEncoded(parts: readonly Uint8Array[]): boolean {
    if (this.done) return false;
    const body = joined(parts);
    return this.#sendDecoded(this.method.response.decode(body) as Res, body.length);
  }

  end(): void {
    this.fail({ code: Code.OK, message: '' });
  }

  pause(): void {
    this.#serverPaused = true;
  }

  resume(): void {
    this.#serverPaused = false;
    this.#schedule();
  }

  // ---- the client's side

  clientSend(request: Init<Req>): void {
    if (this.done || this.#halfClosed) return;
    let message = request as Req;
    let bytes = 0;
    if (this.channel.encoded) {
      const body = this.method.request.encode(request as never);
      bytes = body.length;
      message = this.method.request.decode(body) as Req;
    }
    this.#toServer.push({ message, bytes });
    this.#schedule();
  }

  clientHalfClose(): void {
    this.#halfClosed = true;
    this.#schedule();
  }

  clientPause(paused: boolean): void {
    this.#clientPaused = paused;
    if (!paused) this.#schedule();
  }

  protected deliver(status: Status): void {
    // A client that broke off reads no more.
    if (this.cancelled) this.#toClient.length = 0;
    this.#endStatus = status;
    this.#schedule();
  }

  #sendDecoded(message: Res, bytes: number): boolean {
    this.observer.sent(bytes);
    this.bufferedBytes += bytes;
    this.#toClient.push({ message, bytes });
    this.#schedule();
    if (this.bufferedBytes < highWaterBytes) return true;
    this.#wantsDrain = true;
    return false;
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      this.#feedServer();
      this.#feedClient();
    });
  }

  #feedServer(): void {
    try {
      while (!this.done && !this.#serverPaused && this.#toServer.length > 0) {
        const { message, bytes } = this.#toServer.shift() as { message: Req; bytes: number };
        this.observer.received(bytes);
        this.onMessage?.(message);
      }
      if (!this.done && !this.#serverPaused && this.#halfClosed && !this.#halfCloseTold) {
        this.#halfCloseTold = true;
        this.onHalfClose?.();
      }
    } catch (error) {
      this.thrown(error);
    }
  }

  #feedClient(): void {
    while (!this.#clientPaused && this.#toClient.length > 0) {
      const { message, bytes } = this.#toClient.shift() as { message: Res; bytes: number };
      this.bufferedBytes -= bytes;
      this.client.onMessage?.(message);
    }
    if (this.#wantsDrain && !this.done && this.bufferedBytes < highWaterBytes) {
      this.#wantsDrain = false;
      try {
        this.onDrain?.();
      } catch (error) {
        this.thrown(error);
      }
    }
    if (this.#endStatus === undefined || this.#ended || this.#toClient.length > 0) return;
    this.#ended = true;
    this.client.onEnd?.(this.#endStatus);
  }
}

class InProcessClientStream<Req, Res> implements ClientStream<Req, Res> {
  onMessage: ((message: Res) => void) | undefined = undefined;
  onEnd: ((status: Status) => void) | undefined = undefined;
  readonly #pair: InProcessStream<Req, Res>;

  constructor(pair: InProcessStream<Req, Res>) {
    this.#pair = pair;
  }

  send(request: Init<Req>): void {
    this.#pair.clientSend(request);
  }

  halfClose(): void {
    this.#pair.clientHalfClose();
  }

  cancel(): void {
    this.#pair.breakOff(canceledStatus);
  }

  pause(): void {
    this.#pair.clientPause(true);
  }

  resume(): void {
    this.#pair.clientPause(false);
  }
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  return parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts);
}

function metadataOf(record: Readonly<Record<string, string>>): Metadata {
  const out = new Map<string, readonly (string | Uint8Array)[]>();
  for (const [name, value] of Object.entries(record)) {
    out.set(name, [name.endsWith('-bin') ? Buffer.from(value, 'latin1') : value]);
  }
  return out;
}

function unknownMethod(method: { readonly name: string; readonly service: string }): Status {
  return { code: Code.Unimplemented, message: `unknown method ${method.name} for service ${method.service}` };
}

/** Server binding on `node:http2`: the second one, plain and well-trodden. Serves gRPC calls and neutral HTTP requests of accepted sockets. */
import {
  constants,
  createServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { Duplex } from 'node:stream';
import type { Timer } from '../base/clock.ts';
import type { Codec } from '../api/proto-io.ts';
import { Code, type Status } from '../api/status.ts';
import type { BindingOptions, ServerBinding } from './binding.ts';
import type { PeerInfo } from './call.ts';
import { encodeMessage } from './grpc-text.ts';
import { headerTrace } from './header-trace.ts';
import { headerMap, lowerNames, type HttpHeaders, type HttpRequest, type HttpResponse } from './http.ts';
import { KeepalivePolicy, keepalivePeriodMs } from './keepalive.ts';
import { isGrpcContentType, ServerCall, type CallCarrier, type CallHead, type HeaderField } from './server-call.ts';

export class Http2Binding implements ServerBinding {
  readonly #options: BindingOptions;
  readonly #server: Http2Server;
  readonly #sessions = new Map<ServerHttp2Session, Session>();
  #accepting: { readonly socket: Duplex; readonly peer: PeerInfo; readonly secure: boolean } | undefined;
  readonly #sweep: Timer;

  constructor(options: BindingOptions) {
    this.#options = options;
    const { limits, clock } = options.grpc;
    this.#server = createServer({
      settings: {
        initialWindowSize: limits.streamWindowBytes,
        maxConcurrentStreams: limits.concurrentStreamsMax,
        maxHeaderListSize: limits.headerListBytesMax,
        headerTableSize: limits.hpackTableBytes,
        enablePush: false,
      },
      maxHeaderListPairs: limits.headerCountMax,
      maxSettings: 32,
      maxOutstandingPings: 10,
      maxSessionInvalidFrames: 100,
      maxSessionRejectedStreams: 100,
      // Megabytes a session may hold before it refuses streams.
      maxSessionMemory: Math.max(10, Math.ceil(limits.heldBytesMax / 1_048_576)),
      streamResetBurst: limits.resetsBurst,
      streamResetRate: limits.resetsPerSecond,
    } as Parameters<typeof createServer>[0]);
    this.#server.on('session', (session) => this.#session(session));
    this.#server.on('sessionError', () => {});
    this.#server.on('stream', (stream, headers, _flags, ...rest: unknown[]) => {
      const session = stream.session;
      const known = session === undefined ? undefined : this.#sessions.get(session as ServerHttp2Session);
      if (known === undefined) stream.close(constants.NGHTTP2_REFUSED_STREAM);
      else known.stream(stream, headers, (rest[0] as string[] | undefined) ?? []);
    });
    this.#sweep = clock.every(keepalivePeriodMs(limits), () => {
      for (const session of this.#sessions.values()) session.sweep();
    });
  }

  get connections(): number {
    return this.#sessions.size;
  }

  accept(socket: Duplex, head: Uint8Array | undefined, peer: PeerInfo, secure: boolean): void {
    if (head !== undefined && head.length > 0) socket.unshift(head);
    this.#accepting = { socket, peer, secure };
    this.#server.emit('connection', socket);
    this.#accepting = undefined;
  }

  drain(): void {
    // `close` sends GOAWAY, lets open streams end, then closes the connection.
    for (const session of this.#sessions.keys()) session.close();
  }

  close(): void {
    this.#sweep.cancel();
    for (const session of this.#sessions.values()) session.cut();
    this.#server.close();
  }

  #session(session: ServerHttp2Session): void {
    // The session wraps its socket in a proxy, but it is made inside our `emit`: the one that is being accepted is its own.
    const accepted = this.#accepting;
    if (accepted === undefined) {
      session.destroy();
      return;
    }
    const known = new Session(session, accepted.socket, this.#options, accepted.peer, accepted.secure);
    this.#sessions.set(session, known);
    session.on('error', () => {});
    session.on('close', () => {
      this.#sessions.delete(session);
      known.closed();
    });
    session.setLocalWindowSize(this.#options.grpc.limits.connectionWindowBytes);
  }
}

class Session {
  readonly #session: ServerHttp2Session;
  readonly #socket: Duplex;
  readonly #options: BindingOptions;
  readonly #peer: PeerInfo;
  readonly #secure: boolean;
  readonly #keepalive: KeepalivePolicy;
  readonly #streams = new Set<GrpcStream>();
  readonly #acceptedMs: number;
  #settled = false;
  #open = 0;

  constructor(session: ServerHttp2Session, socket: Duplex, options: BindingOptions, peer: PeerInfo, secure: boolean) {
    this.#session = session;
    this.#socket = socket;
    this.#options = options;
    this.#peer = peer;
    this.#secure = secure;
    const { limits, clock } = options.grpc;
    this.#acceptedMs = clock.mono();
    this.#keepalive = new KeepalivePolicy(limits, this.#acceptedMs);
    session.once('remoteSettings', () => {
      this.#settled = true;
    });
    session.on('ping', () => {
      if (this.#keepalive.pingReceived(clock.mono(), this.#open > 0)) return;
      session.goaway(constants.NGHTTP2_ENHANCE_YOUR_CALM, 0, Buffer.from('too_many_pings'));
      setImmediate(() => session.destroy(undefined, constants.NGHTTP2_ENHANCE_YOUR_CALM));
    });
  }

  stream(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, raw: readonly string[]): void {
    const { grpc } = this.#options;
    this.#keepalive.activity(grpc.clock.mono());
    stream.on('error', () => {});
    if (!grpc.admits(this.#open)) {
      stream.close(constants.NGHTTP2_REFUSED_STREAM);
      return;
    }
    this.#open++;
    grpc.openStreams++;
    stream.on('close', () => {
      this.#open--;
      grpc.openStreams--;
    });
    const fields = raw.length > 0 ? fieldsOfRaw(raw) : fieldsOf(headers);
    const trace = headerTrace();
    if (trace !== undefined) for (let i = 0; i + 1 < raw.length; i += 2) trace(raw[i] as string, raw[i + 1] as string, false);
    const method = headers[':method'] ?? '';
    const path = headers[':path'] ?? '';
    const authority = headers[':authority'] ?? headers.host ?? '';
    if (!isGrpcContentType(headers['content-type'])) {
      const response = new Http2Response(stream);
      const request = new Http2Request(stream, { method, path, authority, fields, peer: this.#peer, secure: this.#secure });
      stream.on('close', () => {
        if (!response.finished) request.abort();
      });
      this.#options.http(request, response);
      request.start();
      return;
    }
    const head = this.#options.grpc.head(method, path, authority, fields);
    if (head.refusal !== undefined) {
      refuse(stream, head, head.refusal);
      return;
    }
    const carried = new GrpcStream(stream, head, this.#options, this.#peer, this.#keepalive);
    this.#streams.add(carried);
    stream.on('close', () => this.#streams.delete(carried));
    carried.start();
  }

  sweep(): void {
    const now = this.#options.grpc.clock.mono();
    if (!this.#settled && now - this.#acceptedMs > this.#options.grpc.limits.handshakeMs) {
      this.cut();
      return;
    }
    for (const stream of this.#streams) stream.sweep(now);
    switch (this.#keepalive.tick(now)) {
      case 'ping':
        this.#session.ping((error) => {
          if (error === null) this.#keepalive.activity(this.#options.grpc.clock.mono());
        });
        break;
      case 'dead':
        this.cut();
        break;
    }
  }

  /** Closes the connection without a word, so that clients see a lost connection and not the end of their calls. */
  cut(): void {
    this.#socket.destroy();
    this.#session.destroy();
  }

  closed(): void {
    for (const stream of this.#streams) stream.call.cancel();
    this.#streams.clear();
  }
}

/** Carries one gRPC call. */
class GrpcStream implements CallCarrier {
  readonly call: ServerCall;
  readonly #stream: ServerHttp2Stream;
  readonly #head: CallHead;
  readonly #options: BindingOptions;
  readonly #keepalive: KeepalivePolicy;
  readonly #startedMs: number;
  #trailers: OutgoingHttpHeaders | undefined;
  #ended = false;
  #stalledSince = Infinity;
  #stalledBytes = 0;

  constructor(stream: ServerHttp2Stream, head: CallHead, options: BindingOptions, peer: PeerInfo, keepalive: KeepalivePolicy) {
    this.#stream = stream;
    this.#head = head;
    this.#options = options;
    this.#keepalive = keepalive;
    this.#startedMs = options.grpc.clock.mono();
    this.call = new ServerCall(options.grpc, head, this, peer, this.#startedMs, head.timeoutMs);
    stream.on('wantTrailers', () => {
      if (stream.destroyed) return;
      stream.sendTrailers(this.#trailers ?? statusHeaders(okStatus));
      this.#stopInput();
    });
    stream.on('drain', () => this.call.drained());
    stream.on('close', () => this.call.cancel());
  }

  start(): void {
    this.call.start();
    this.#stream.on('data', (chunk: Buffer) => {
      this.call.data(chunk);
      if (this.call.heldBytes > this.#options.grpc.limits.heldBytesMax) this.#stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
    });
    this.#stream.on('end', () => {
      this.#ended = true;
      this.call.halfClose();
    });
  }

  get bufferedBytes(): number {
    return this.#stream.writableLength;
  }

  sendMessage(codec: Codec<unknown>, message: unknown, last: boolean): number {
    const body = codec.encode(message as never);
    this.sendParts([body], body.length, false, last);
    return body.length;
  }

  sendParts(parts: readonly Uint8Array[], bytes: number, compressed: boolean, last: boolean): void {
    const stream = this.#stream;
    if (!this.#mayWrite()) return;
    const prefix = messagePrefix(bytes, compressed);
    const only = parts[0];
    if (parts.length === 1 && only !== undefined && bytes < 16_384) stream.write(Buffer.concat([prefix, only]));
    else {
      stream.cork();
      stream.write(prefix);
      for (const part of parts) stream.write(part);
      stream.uncork();
    }
    if (last) stream.end();
  }

  sendBegin(bytes: number): void {
    if (this.#mayWrite()) this.#stream.write(messagePrefix(bytes, false));
  }

  sendMore(parts: readonly Uint8Array[], last: boolean): void {
    if (!this.#mayWrite()) return;
    const stream = this.#stream;
    stream.cork();
    for (const part of parts) stream.write(part);
    stream.uncork();
    if (last) stream.end();
  }

  breakOff(): void {
    const stream = this.#stream;
    if (stream.destroyed || stream.closed) return;
    // A reset between data and trailers would be the cleaner way; Node 20 ends its process over it.
    this.#trailers = statusHeaders({ code: Code.Internal, message: 'the answer was broken off' });
    stream.end();
  }

  /** Sends the response headers when they have not gone. False when the stream is over. */
  #mayWrite(): boolean {
    const stream = this.#stream;
    if (stream.destroyed || stream.closed) return false;
    this.#keepalive.sent();
    if (!stream.headersSent) stream.respond(this.#responseHeaders(), { waitForTrailers: true });
    return true;
  }

  sendStatus(status: Status): void {
    const stream = this.#stream;
    if (stream.destroyed || stream.closed) return;
    this.#keepalive.sent();
    if (!stream.headersSent) {
      stream.respond({ ...this.#responseHeaders(), ...statusHeaders(status) }, { endStream: true });
      this.#stopInput();
    } else {
      this.#trailers = statusHeaders(status);
      stream.end();
    }
  }

  setPaused(paused: boolean): void {
    if (paused) this.#stream.pause();
    else this.#stream.resume();
  }

  sweep(nowMs: number): void {
    const { limits } = this.#options.grpc;
    const { method } = this.call;
    if (!this.#ended && !method.requestStream && nowMs - this.#startedMs > limits.bodyMs) {
      this.#stream.close(constants.NGHTTP2_CANCEL);
      return;
    }
    const waiting = this.#stream.writableLength;
    if (waiting < limits.streamHighWaterBytes || waiting < this.#stalledBytes) this.#stalledSince = Infinity;
    else if (this.#stalledSince === Infinity) this.#stalledSince = nowMs;
    else if (nowMs - this.#stalledSince > limits.stalledMs) this.#stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
    this.#stalledBytes = waiting;
  }

  #responseHeaders(): OutgoingHttpHeaders {
    const headers: OutgoingHttpHeaders = { ':status': this.#head.httpStatus, 'content-type': this.#head.contentType };
    if (this.#head.gzip) headers['grpc-encoding'] = 'gzip';
    return headers;
  }

  /** After an answer the rest of the request is of no use; when it has not ended, the client is told to stop. */
  #stopInput(): void {
    const stream = this.#stream;
    if (this.#ended || stream.readableEnded || stream.endAfterHeaders) return;
    stream.resume();
    // A well-behaved client is about to end its side: give it this turn.
    setImmediate(() => {
      if (!this.#ended && !stream.closed) stream.close(constants.NGHTTP2_NO_ERROR);
    });
  }
}

const okStatus: Status = { code: Code.OK, message: '' };

function messagePrefix(bytes: number, compressed: boolean): Buffer {
  const prefix = Buffer.allocUnsafe(5);
  prefix[0] = compressed ? 1 : 0;
  prefix.writeUInt32BE(bytes, 1);
  return prefix;
}

function statusHeaders(status: Status): OutgoingHttpHeaders {
  return status.message === ''
    ? { 'grpc-status': String(status.code) }
    : { 'grpc-status': String(status.code), 'grpc-message': encodeMessage(status.message) };
}

function refuse(stream: ServerHttp2Stream, head: CallHead, status: Status): void {
  stream.respond({ ':status': head.httpStatus, 'content-type': head.contentType, ...statusHeaders(status) }, { endStream: true });
  stream.resume();
  setImmediate(() => {
    if (!stream.readableEnded && !stream.closed) stream.close(constants.NGHTTP2_NO_ERROR);
  });
}

function fieldsOfRaw(raw: readonly string[]): HeaderField[] {
  const fields: HeaderField[] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i] as string;
    if (!name.startsWith(':')) fields.push({ name: name.toLowerCase(), value: raw[i + 1] as string });
  }
  return fields;
}

function fieldsOf(headers: IncomingHttpHeaders): HeaderField[] {
  const fields: HeaderField[] = [];
  for (const [name, value] of Object.entries(headers)) {
    if (name.startsWith(':') || value === undefined) continue;
    if (Array.isArray(value)) for (const one of value) fields.push({ name, value: one });
    else fields.push({ name, value });
  }
  return fields;
}

interface Http2RequestInit {
  readonly method: string;
  readonly path: string;
  readonly authority: string;
  readonly fields: readonly HeaderField[];
  readonly peer: PeerInfo;
  readonly secure: boolean;
}

class Http2Request implements HttpRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: ReadonlyMap<string, string>;
  readonly host: string;
  readonly protocol = '2' as const;
  readonly secure: boolean;
  readonly peer: PeerInfo;
  onData: ((chunk: Uint8Array) => void) | undefined;
  onEnd: (() => void) | undefined;
  onAbort: (() => void) | undefined;
  readonly #stream: ServerHttp2Stream;
  #aborted = false;

  constructor(stream: ServerHttp2Stream, init: Http2RequestInit) {
    this.#stream = stream;
    this.method = init.method;
    this.path = init.path;
    this.headers = headerMap(init.fields);
    this.host = init.authority;
    this.secure = init.secure;
    this.peer = init.peer;
  }

  start(): void {
    this.#stream.on('data', (chunk: Buffer) => this.onData?.(chunk));
    this.#stream.on('end', () => this.onEnd?.());
  }

  abort(): void {
    if (this.#aborted) return;
    this.#aborted = true;
    this.onAbort?.();
  }

  pause(): void {
    this.#stream.pause();
  }

  resume(): void {
    this.#stream.resume();
  }
}

class Http2Response implements HttpResponse {
  onDrain: (() => void) | undefined;
  ended = false;
  readonly #stream: ServerHttp2Stream;

  constructor(stream: ServerHttp2Stream) {
    this.#stream = stream;
    stream.on('drain', () => this.onDrain?.());
  }

  get headSent(): boolean {
    return this.#stream.headersSent;
  }

  get finished(): boolean {
    return this.ended && this.#stream.writableFinished;
  }

  get bufferedBytes(): number {
    return this.#stream.writableLength;
  }

  head(status: number, headers: HttpHeaders): void {
    if (this.#stream.headersSent || this.#stream.destroyed) return;
    this.#stream.respond({ ...lowerNames(headers), ':status': status });
  }

  write(chunk: Uint8Array | string): boolean {
    if (this.ended || this.#stream.destroyed) return false;
    if (!this.#stream.headersSent) this.head(200, {});
    return this.#stream.write(chunk);
  }

  abort(): void {
    this.ended = true;
    this.#stream.close(constants.NGHTTP2_INTERNAL_ERROR);
  }

  end(chunk?: Uint8Array | string): void {
    if (this.ended || this.#stream.destroyed) return;
    if (!this.#stream.headersSent) this.head(200, {});
    this.ended = true;
    if (chunk === undefined) this.#stream.end();
    else this.#stream.end(chunk);
  }
}

/**
 * The lean client `Channel`, on `node:http2` alone: for one-shot commands, whose time is mostly start-up. One connection, made when first
 * needed and made again when lost; no compression.
 */
import {
  connect as connectSession,
  constants,
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type IncomingHttpHeaders,
} from 'node:http2';
import { connect as connectSocket, isIP, type Socket } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import type { MethodDef } from '../api/gen/methods.ts';
import { DecodeError, type Init } from '../api/proto-io.ts';
import { Code, RpcError, type Status } from '../api/status.ts';
import { asBuffer } from '../base/bytes.ts';
import type { CallOptions, Channel, ClientStream } from './channel.ts';
import { OpenCalls } from './open-calls.ts';
import {
  authorityOf,
  canceledStatus,
  closedStatus,
  deadlineStatus,
  hostPort,
  pingPeriodMs,
  pingTimeoutMs,
  receiveTooLarge,
  sendTooLarge,
  undecodable,
  unreachable,
  verifiedName,
  type ChannelOptions,
  type ChannelTarget,
} from './channel-options.ts';
import { codeOfHttpStatus, formatTimeout, statusOf } from './grpc-text.ts';
import { MessageReader } from './message-reader.ts';

/** Opens a channel; connects when first used. */
export function connectHttp2(target: ChannelTarget, options: ChannelOptions): Channel {
  return new Http2Channel(target, options);
}

/** A refused connection is tried again after this many ms, then ever later up to the second number. */
const backoffMinMs = 50;
const backoffMaxMs = 1_000;
/** Receive windows: what a server may have on its way to us, of one stream and of all. */
const streamWindowBytes = 1_048_576;
const connectionWindowBytes = 4_194_304;

class Http2Channel implements Channel {
  readonly endpoint: string;
  readonly #target: ChannelTarget;
  readonly #options: ChannelOptions;
  readonly #open = new OpenCalls(() => this.close());
  #session: ClientHttp2Session | undefined;
  #connecting: Promise<ClientHttp2Session> | undefined;
  /** Wanted though no call waits for it. */
  #wanted = false;
  /** Ends what an attempt to connect is at: its socket, or the pause before the next. */
  #giveUp: (() => void) | undefined;
  #tlsContext: ConnectionOptions['secureContext'];
  /** Why the last attempt to connect failed; undefined once one succeeded. */
  #fault: unknown;
  #pingMs: number;

  constructor(target: ChannelTarget, options: ChannelOptions) {
    this.endpoint = target.text;
    this.#target = target;
    this.#options = options;
    this.#pingMs = options.keepaliveMs;
  }

  get ready(): boolean {
    return this.#session !== undefined;
  }

  async connect(): Promise<void> {
    if (this.#session !== undefined) return;
    this.#wanted = true;
    try {
      await this.#connect();
    } finally {
      this.#wanted = false;
    }
  }

  unary<Req, Res>(method: MethodDef<Req, Res>, request: Init<Req>, options: CallOptions = {}): Promise<Res> {
    return new Promise((resolve, reject) => {
      const stream = this.#call(method, options);
      let response: Res | undefined;
      stream.onMessage = (message) => {
        response = message;
      };
      stream.onEnd = (status) => {
        // A deadline that passed before there was a connection is told with why there was none.
        if (status.code !== Code.OK)
          reject(new RpcError(status, { unsent: stream.unsent, cause: stream.unsent ? this.#fault : undefined }));
        else if (response === undefined)
          reject(new RpcError({ code: Code.Internal, message: 'cardinality violation: received no response message' }));
        else resolve(response);
      };
      stream.send(request);
      stream.halfClose();
    });
  }

  stream<Req, Res>(method: MethodDef<Req, Res>, options: CallOptions = {}): ClientStream<Req, Res> {
    return this.#call(method, options);
  }

  close(): void {
    if (!this.#open.end()) return;
    this.#giveUp?.();
    const session = this.#session;
    this.#session = undefined;
    if (session === undefined || session.destroyed) return;
    // Resets of the calls above still leave.
    session.close();
    setImmediate(() => session.destroy());
  }

  drain(done: () => void): void {
    this.#open.drain(done);
  }

  #call<Req, Res>(method: MethodDef<Req, Res>, options: CallOptions): Http2Call<Req, Res> {
    const deadline = options.timeoutMs === undefined ? Infinity : performance.now() + options.timeoutMs;
    const call = new Http2Call<Req, Res>(method, this.#options, deadline, options.signal, () => this.#open.forget(call));
    this.#open.add(call);
    const { refusal } = this.#open;
    if (refusal !== undefined) {
      call.finishSoon(refusal);
      return call;
    }
    if (!call.begin()) return call;
    const session = this.#session;
    if (session !== undefined) call.attach(session, this.#headers(method, options, deadline));
    else {
      this.#connect().then(
        (connected) => call.attach(connected, this.#headers(method, options, deadline)),
        (error: unknown) => call.finishSoon(error instanceof RpcError ? error.status : unreachable(String(error))),
      );
    }
    return call;
  }

  #headers(method: MethodDef<never, never> | { readonly path: string }, options: CallOptions, deadline: number): Record<string, string> {
    const headers: Record<string, string> = {
      ':method': 'POST',
      ':scheme': this.#target.secure ? 'https' : 'http',
      ':path': method.path,
      ':authority': authorityOf(this.#target),
      'content-type': 'application/grpc',
      te: 'trailers',
      'user-agent': 'tsetcd',
    };
    if (deadline !== Infinity) headers['grpc-timeout'] = formatTimeout(deadline - performance.now());
    for (const [name, value] of Object.entries(options.metadata ?? {})) {
      headers[name] = name.endsWith('-bin') ? Buffer.from(value, 'latin1').toString('base64').replace(/=+$/, '') : value;
    }
    return headers;
  }

  /** One attempt after the other, until `connectTimeoutMs` have passed. */
  #connect(): Promise<ClientHttp2Session> {
    this.#connecting ??= this.#attempts().finally(() => {
      this.#connecting = undefined;
    });
    return this.#connecting;
  }

  async #attempts(): Promise<ClientHttp2Session> {
    const giveUp = performance.now() + this.#options.connectTimeoutMs;
    for (let backoff = backoffMinMs; ; backoff = Math.min(backoff * 2, backoffMaxMs)) {
      if (this.#open.closed) throw new RpcError(closedStatus, { unsent: true });
      try {
        const session = await this.#attempt(giveUp - performance.now());
        this.#fault = undefined;
        return session;
      } catch (error) {
        this.#fault = error;
        const left = giveUp - performance.now();
        // Waiting does not mend a certificate that does not fit, but the server may be about to come up with another one: as grpc does.
        if (this.#options.failFast === true || left <= backoff || (this.#open.size === 0 && !this.#wanted))
          throw new RpcError(unreachable((error as Error).message), { cause: error, unsent: true });
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, backoff);
          this.#giveUp = () => {
            clearTimeout(timer);
            resolve();
          };
        });
      }
    }
  }

  async #attempt(timeoutMs: number): Promise<ClientHttp2Session> {
    const socket = await this.#socket();
    this.#giveUp = () => socket.destroy();
    return new Promise((resolve, reject) => {
      const session = connectSession(`${this.#target.secure ? 'https' : 'http'}://localhost`, {
        createConnection: () => socket,
        settings: { initialWindowSize: streamWindowBytes, enablePush: false },
      });
      let ready = false;
      const lost = (error: Error): void => {
        clearTimeout(timer);
        if (this.#session === session) this.#session = undefined;
        if (!ready) reject(error);
      };
      // A session that dies during a handshake may not say so: its socket and the time are looked at as well.
      const timer = setTimeout(
        () => {
          lost(new Error('connection timed out'));
          socket.destroy();
          session.destroy();
        },
        Math.max(1, timeoutMs),
      );
      socket.on('error', lost);
      socket.on('close', () => {
        lost(new Error('connection closed'));
        if (!ready) session.destroy();
      });
      session.on('error', lost);
      session.on('close', () => lost(new Error('connection closed')));
      session.on('goaway', (code, _last, data) => {
        // As grpc-go: half as often on the next connection.
        if (code === constants.NGHTTP2_ENHANCE_YOUR_CALM && data?.toString('latin1') === 'too_many_pings')
          this.#pingMs = 2 * pingPeriodMs(this.#pingMs);
        if (this.#session === session) this.#session = undefined;
      });
      session.once('remoteSettings', () => {
        clearTimeout(timer);
        this.#giveUp = undefined;
        ready = true;
        session.setLocalWindowSize(connectionWindowBytes);
        if (this.#open.closed) session.destroy();
        else {
          this.#session = session;
          if (this.#options.keepaliveMs > 0)
            keepAlive(
              session,
              { everyMs: pingPeriodMs(this.#pingMs), timeoutMs: pingTimeoutMs(this.#options.keepaliveTimeoutMs) },
              () => this.#options.keepaliveWithoutCalls === true || this.#open.size > 0,
            );
        }
        resolve(session);
      });
    });
  }

  async #socket(): Promise<Socket> {
    const target = this.#target;
    const where = target.unix ? { path: target.address } : hostPort(target.address);
    if (!target.secure) return connectSocket({ ...where, noDelay: true });
    const tls = this.#options.tls;
    const { checkServerIdentity, connect, createSecureContext } = await import('node:tls');
    const pem = (b: Uint8Array | undefined): Buffer | undefined => (b === undefined ? undefined : asBuffer(b));
    this.#tlsContext ??= createSecureContext({ ca: pem(tls?.ca), cert: pem(tls?.cert), key: pem(tls?.key) });
    const name = tls?.serverName ?? verifiedName(target);
    return connect({
      ...where,
      secureContext: this.#tlsContext,
      ALPNProtocols: ['h2'],
      rejectUnauthorized: tls?.insecureSkipVerify !== true,
      // An IP address must not be sent as a server name, but is what the certificate is checked against.
      ...(isIP(name) === 0 ? { servername: name } : {}),
      checkServerIdentity: (_host, cert) => checkServerIdentity(name, cert),
    });
  }
}

/** Pings while calls are open; a connection that does not answer in time is given up. */
function keepAlive(
  session: ClientHttp2Session,
  { everyMs, timeoutMs }: { readonly everyMs: number; readonly timeoutMs: number },
  busy: () => boolean,
): void {
  const timer = setInterval(() => {
    if (!busy() || session.destroyed) return;
    const timeout = setTimeout(() => session.destroy(new Error('keepalive ping failed to receive ACK within timeout')), timeoutMs);
    session.ping(() => clearTimeout(timeout));
  }, everyMs);
  timer.unref();
  session.on('close', () => clearInterval(timer));
}

class Http2Call<Req, Res> implements ClientStream<Req, Res> {
  onMessage: ((message: Res) => void) | undefined;
  onEnd: ((status: Status) => void) | undefined;
  /** Nothing of this call has been sent, or the server says that it looked at nothing. */
  unsent = true;
  readonly #method: MethodDef<Req, Res>;
  readonly #options: ChannelOptions;
  readonly #deadline: number;
  readonly #signal: AbortSignal | undefined;
  readonly #forget: () => void;
  readonly #reader = new MessageReader();
  #stream: ClientHttp2Stream | undefined;
  /** Sent before there was a connection. */
  #early: Buffer[] = [];
  #halfClosed = false;
  #paused = false;
  #ended = false;
  #status: Status | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(method: MethodDef<Req, Res>, options: ChannelOptions, deadline: number, signal: AbortSignal | undefined, forget: () => void) {
    this.#method = method;
    this.#options = options;
    this.#deadline = deadline;
    this.#signal = signal;
    this.#forget = forget;
  }

  /** Arms deadline and signal; false when the call is over before it began. */
  begin(): boolean {
    if (this.#signal?.aborted === true) {
      this.finishSoon(canceledStatus);
      return false;
    }
    this.#signal?.addEventListener('abort', this.#abort);
    this.#armDeadline();
    return true;
  }

  #armDeadline(): void {
    if (this.#deadline === Infinity) return;
    const left = this.#deadline - performance.now();
    this.#timer = setTimeout(
      () => (left > 2 ** 31 - 1 ? this.#armDeadline() : this.#breakOff(deadlineStatus)),
      Math.min(Math.max(0, left), 2 ** 31 - 1),
    );
  }

  attach(session: ClientHttp2Session, headers: Record<string, string>): void {
    if (this.#ended) return;
    let stream: ClientHttp2Stream;
    try {
      stream = session.request(headers, { endStream: false });
    } catch (error) {
      this.finishSoon(unreachable((error as Error).message));
      return;
    }
    this.#stream = stream;
    this.unsent = false;
    stream.on('response', (response) => this.#response(response));
    stream.on('trailers', (trailers) => {
      this.#status ??= statusOf(text(trailers['grpc-status']), text(trailers['grpc-message']));
    });
    stream.on('data', (chunk: Buffer) => {
      this.#reader.push(chunk);
      this.#pump();
    });
    stream.on('error', () => {});
    stream.on('close', () => this.#finish(this.#status ?? this.#statusOfReset(stream, session)));
    if (this.#paused) stream.pause();
    for (const body of this.#early) stream.write(body);
    this.#early = [];
    if (this.#halfClosed) stream.end();
  }

  send(request: Init<Req>): void {
    if (this.#ended || this.#halfClosed) return;
    const body = this.#method.request.encode(request);
    if (body.length > this.#options.sendBytesMax) {
      this.#stream?.close(constants.NGHTTP2_CANCEL);
      this.finishSoon(sendTooLarge(body.length, this.#options.sendBytesMax));
      return;
    }
    const framed = Buffer.allocUnsafe(5 + body.length);
    framed[0] = 0;
    framed.writeUInt32BE(body.length, 1);
    framed.set(body, 5);
    if (this.#stream === undefined) this.#early.push(framed);
    else this.#stream.write(framed);
  }

  halfClose(): void {
    if (this.#halfClosed) return;
    this.#halfClosed = true;
    this.#stream?.end();
  }

  cancel(): void {
    this.#breakOff(canceledStatus);
  }

  closed(): void {
    this.#breakOff(closedStatus);
  }

  pause(): void {
    this.#paused = true;
    this.#stream?.pause();
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#pump();
    if (!this.#paused) this.#stream?.resume();
  }

  /** Ends the call, not before its owner could set `onEnd`. */
  finishSoon(status: Status): void {
    queueMicrotask(() => this.#finish(status));
  }

  readonly #abort = (): void => this.#breakOff(canceledStatus);

  #breakOff(status: Status): void {
    if (this.#ended) return;
    this.#stream?.close(constants.NGHTTP2_CANCEL);
    this.finishSoon(status);
  }

  #response(headers: IncomingHttpHeaders & { ':status'?: number | undefined }): void {
    const http = headers[':status'] ?? 0;
    const status = statusOf(text(headers['grpc-status']), text(headers['grpc-message']));
    if (status !== undefined) this.#status = status;
    else if (http !== 200 || !(headers['content-type'] ?? '').startsWith('application/grpc')) {
      const message =
        http === 200
          ? `unexpected content-type "${headers['content-type'] ?? ''}" received from server`
          : `unexpected HTTP status code received from server: ${http}`;
      this.#status = { code: http === 200 ? Code.Unknown : codeOfHttpStatus(http), message };
      this.#stream?.close(constants.NGHTTP2_CANCEL);
    }
  }

  #pump(): void {
    const reader = this.#reader;
    const limit = this.#options.receiveBytesMax;
    while (!this.#paused && !this.#ended && reader.next(limit)) {
      if (reader.tooLarge) return this.#reject(receiveTooLarge(reader.length, limit));
      if (reader.flag !== 0) {
        return this.#reject({ code: Code.Internal, message: 'grpc: compressed flag set with identity or empty encoding' });
      }
      let message: Res;
      try {
        message = this.#method.response.decode(reader.body);
      } catch (error) {
        if (!(error instanceof DecodeError)) throw error;
        return this.#reject(undecodable(error.message));
      }
      this.onMessage?.(message);
    }
  }

  #reject(status: Status): void {
    this.#status = status;
    this.#stream?.close(constants.NGHTTP2_CANCEL);
    this.finishSoon(status);
  }

  #statusOfReset(stream: ClientHttp2Stream, session: ClientHttp2Session): Status {
    if (session.destroyed) return { code: Code.Unavailable, message: 'error reading from server: EOF' };
    const reset = stream.rstCode;
    const code =
      reset === constants.NGHTTP2_REFUSED_STREAM
        ? Code.Unavailable
        : reset === constants.NGHTTP2_CANCEL
          ? Code.Canceled
          : reset === constants.NGHTTP2_ENHANCE_YOUR_CALM
            ? Code.ResourceExhausted
            : reset === constants.NGHTTP2_INADEQUATE_SECURITY
              ? Code.PermissionDenied
              : Code.Internal;
    if (reset === constants.NGHTTP2_REFUSED_STREAM) this.unsent = true;
    if (reset === constants.NGHTTP2_NO_ERROR) return { code, message: 'server closed the stream without sending trailers' };
    return { code, message: `stream terminated by RST_STREAM with error code: ${resetNames[reset ?? 0] ?? String(reset)}` };
  }

  #finish(status: Status): void {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#timer);
    this.#signal?.removeEventListener('abort', this.#abort);
    this.#early = [];
    this.#forget();
    this.onEnd?.(status);
  }
}

const resetNames = [
  'NO_ERROR',
  'PROTOCOL_ERROR',
  'INTERNAL_ERROR',
  'FLOW_CONTROL_ERROR',
  'SETTINGS_TIMEOUT',
  'STREAM_CLOSED',
  'FRAME_SIZE_ERROR',
  'REFUSED_STREAM',
  'CANCEL',
  'COMPRESSION_ERROR',
  'CONNECT_ERROR',
  'ENHANCE_YOUR_CALM',
  'INADEQUATE_SECURITY',
  'HTTP_1_1_REQUIRED',
];

function text(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value;
}

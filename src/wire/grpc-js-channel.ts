/** The client `Channel` on @grpc/grpc-js: raw calls with our own codecs. Loaded only by who needs a long-lived client. */
import {
  Client,
  connectivityState,
  credentials,
  Metadata,
  type ChannelCredentials,
  type ClientDuplexStream,
  type StatusObject,
} from '@grpc/grpc-js';
import { isIP } from 'node:net';
import { checkServerIdentity } from 'node:tls';
import type { MethodDef } from '../api/gen/methods.ts';
import { DecodeError, type Codec, type Init } from '../api/proto-io.ts';
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
  type ChannelTls,
} from './channel-options.ts';

/** Opens a channel; connects when first used. */
export function connectGrpcJs(target: ChannelTarget, options: ChannelOptions): Channel {
  return new GrpcJsChannel(target, options);
}

/** A lost connection is tried again after this many ms, then ever later up to the second number. */
const backoffMinMs = 50;
const backoffMaxMs = 3_000;

class GrpcJsChannel implements Channel {
  readonly endpoint: string;
  readonly #client: Client;
  readonly #options: ChannelOptions;
  readonly #open = new OpenCalls(() => this.close());
  #connecting: Promise<void> | undefined;

  constructor(target: ChannelTarget, options: ChannelOptions) {
    this.endpoint = target.text;
    this.#options = options;
    const serverName = serverNameOf(target, options.tls);
    this.#client = new Client(target.unix ? `unix:${target.address}` : target.address, credentialsOf(target, options.tls), {
      'grpc.max_send_message_length': -1,
      // Checked where messages are decoded, for the sake of grpc-go's text.
      'grpc.max_receive_message_length': -1,
      'grpc.initial_reconnect_backoff_ms': backoffMinMs,
      'grpc.min_reconnect_backoff_ms': backoffMinMs,
      'grpc.max_reconnect_backoff_ms': backoffMaxMs,
      // When to send a call again is the client library's decision: never an ambiguous write.
      'grpc.enable_retries': 0,
      'grpc.use_local_subchannel_pool': 1,
      'grpc.service_config_disable_resolution': 1,
      'grpc.default_authority': authorityOf(target),
      ...(serverName === undefined ? {} : { 'grpc.ssl_target_name_override': serverName }),
      ...(options.keepaliveMs > 0
        ? {
            'grpc.keepalive_time_ms': pingPeriodMs(options.keepaliveMs),
            'grpc.keepalive_timeout_ms': pingTimeoutMs(options.keepaliveTimeoutMs),
            'grpc.keepalive_permit_without_calls': 0,
          }
        : {}),
    });
  }

  async unary<Req, Res>(method: MethodDef<Req, Res>, request: Init<Req>, options: CallOptions = {}): Promise<Res> {
    const body = asBuffer(method.request.encode(request));
    if (body.length > this.#options.sendBytesMax) throw new RpcError(sendTooLarge(body.length, this.#options.sendBytesMax));
    const deadline = options.timeoutMs === undefined ? Infinity : Date.now() + options.timeoutMs;
    if (options.signal?.aborted === true) throw new RpcError(canceledStatus, { unsent: true });
    const { refusal } = this.#open;
    if (refusal !== undefined) throw new RpcError(refusal, { unsent: true });
    if (!this.ready) await this.#connect(deadline, options.signal);
    if (this.#open.closed) throw new RpcError(closedStatus, { unsent: true });
    return new Promise<Res>((resolve, reject) => {
      let canceled = false;
      const call = this.#client.makeUnaryRequest(
        method.path,
        (b: Buffer) => b,
        (b: Buffer) => decoded(method.response, b, this.#options.receiveBytesMax),
        body,
        metadataOf(options),
        deadline === Infinity ? {} : { deadline },
        (error, response) => {
          this.#open.forget(handle);
          options.signal?.removeEventListener('abort', abort);
          if (error !== null) reject(new RpcError(localStatus(error, canceled, this.#open.closed, deadline), { cause: error }));
          else if (response instanceof RpcError) reject(response);
          else resolve(response as Res);
        },
      );
      const abort = (): void => {
        canceled = true;
        call.cancel();
      };
      const handle = { closed: abort };
      this.#open.add(handle);
      options.signal?.addEventListener('abort', abort);
    });
  }

  stream<Req, Res>(method: MethodDef<Req, Res>, options: CallOptions = {}): ClientStream<Req, Res> {
    const stream = new GrpcJsStream<Req, Res>(method, this.#options.sendBytesMax, () => this.#open.forget(stream));
    this.#open.add(stream);
    const deadline = options.timeoutMs === undefined ? Infinity : Date.now() + options.timeoutMs;
    const refusal = options.signal?.aborted === true ? canceledStatus : this.#open.refusal;
    if (refusal !== undefined) {
      stream.failSoon(refusal);
      return stream;
    }
    const abort = (): void => stream.cancel();
    options.signal?.addEventListener('abort', abort, { once: true });
    stream.onClosed = () => options.signal?.removeEventListener('abort', abort);
    const open = (): void => {
      if (stream.ended) return;
      const call = this.#client.makeBidiStreamRequest(
        method.path,
        (b: Buffer) => b,
        (b: Buffer) => decoded(method.response, b, this.#options.receiveBytesMax),
        metadataOf(options),
        deadline === Infinity ? {} : { deadline },
      );
      stream.attach(call as ClientDuplexStream<Buffer, Res | RpcError>, (status, canceled) =>
        localStatus(status, canceled, this.#open.closed, deadline),
      );
    };
    if (this.ready) open();
    else {
      this.#connect(deadline, undefined).then(open, (error: unknown) =>
        stream.failSoon(error instanceof RpcError ? error.status : unreachable(String(error))),
      );
    }
    return stream;
  }

  close(): void {
    if (!this.#open.end()) return;
    this.#client.close();
  }

  drain(done: () => void): void {
    this.#open.drain(done);
  }

  /** Asking also has a connection made that was lost while nothing was under way. */
  get ready(): boolean {
    return !this.#open.closed && this.#client.getChannel().getConnectivityState(true) === connectivityState.READY;
  }

  connect(): Promise<void> {
    this.#connecting ??= this.#connect(Infinity, undefined).finally(() => {
      this.#connecting = undefined;
    });
    return this.#connecting;
  }

  /** @throws RpcError  unsent: Unavailable, DeadlineExceeded when the call's own time was shorter, Canceled. */
  #connect(deadline: number, signal: AbortSignal | undefined): Promise<void> {
    if (this.#open.closed) return Promise.reject(new RpcError(this.#open.refusal ?? closedStatus, { unsent: true }));
    const giveUp = Date.now() + this.#options.connectTimeoutMs;
    return new Promise((resolve, reject) => {
      const fail = (status: Status): void => {
        cleanUp();
        reject(new RpcError(status, { unsent: true }));
      };
      const abort = (): void => fail(canceledStatus);
      const handle = { closed: () => fail(closedStatus) };
      const cleanUp = (): void => {
        this.#open.forget(handle);
        signal?.removeEventListener('abort', abort);
      };
      signal?.addEventListener('abort', abort);
      this.#open.add(handle);
      this.#client.waitForReady(Math.min(deadline, giveUp), (error) => {
        if (error === undefined || error === null) {
          cleanUp();
          resolve();
        } else
          fail(
            deadline < giveUp
              ? deadlineStatus
              : unreachable(`no connection to ${this.endpoint} within ${this.#options.connectTimeoutMs}ms`),
          );
      });
    });
  }
}

class GrpcJsStream<Req, Res> implements ClientStream<Req, Res> {
  onMessage: ((message: Res) => void) | undefined;
  onEnd: ((status: Status) => void) | undefined;
  onClosed: (() => void) | undefined;
  ended = false;
  readonly #method: MethodDef<Req, Res>;
  readonly #sendBytesMax: number;
  readonly #forget: () => void;
  #call: ClientDuplexStream<Buffer, Res | RpcError> | undefined;
  /** Sent before there was a connection. */
  #early: Buffer[] = [];
  #halfClosed = false;
  #canceled = false;
  #paused = false;
  #status: Status | undefined;
  #read = false;

  constructor(method: MethodDef<Req, Res>, sendBytesMax: number, forget: () => void) {
    this.#method = method;
    this.#sendBytesMax = sendBytesMax;
    this.#forget = forget;
  }

  attach(
    call: ClientDuplexStream<Buffer, Res | RpcError>,
    statusOf: (status: Pick<StatusObject, 'code' | 'details'>, canceled: boolean) => Status,
  ): void {
    this.#call = call;
    call.on('data', (message: Res | RpcError) => {
      if (this.ended || this.#canceled) return;
      if (message instanceof RpcError) {
        this.#finish(message.status);
        call.cancel();
      } else this.onMessage?.(message);
    });
    // An error is a status that is not OK, which comes as an event of its own; the end may come later, when all messages are read.
    call.on('error', () => {});
    call.on('status', (status: StatusObject) => {
      this.#status = statusOf(status, this.#canceled);
      if (this.#read || this.#canceled) this.#finish(this.#status);
    });
    call.on('end', () => {
      this.#read = true;
      if (this.#status !== undefined) this.#finish(this.#status);
    });
    if (this.#paused) call.pause();
    for (const body of this.#early) call.write(body);
    this.#early = [];
    if (this.#halfClosed) call.end();
  }

  /** Ends the stream, not before its owner could set `onEnd`. */
  failSoon(status: Status): void {
    queueMicrotask(() => this.#finish(status));
  }

  send(request: Init<Req>): void {
    if (this.ended || this.#halfClosed) return;
    const body = asBuffer(this.#method.request.encode(request));
    if (body.length > this.#sendBytesMax) {
      this.#call?.cancel();
      this.failSoon(sendTooLarge(body.length, this.#sendBytesMax));
    } else if (this.#call === undefined) this.#early.push(body);
    else this.#call.write(body);
  }

  halfClose(): void {
    if (this.#halfClosed) return;
    this.#halfClosed = true;
    this.#call?.end();
  }

  cancel(): void {
    if (this.ended || this.#canceled) return;
    this.#canceled = true;
    this.#early = [];
    if (this.#call === undefined) this.failSoon(canceledStatus);
    else this.#call.cancel();
  }

  /** The channel closes. */
  closed(): void {
    this.cancel();
  }

  pause(): void {
    this.#paused = true;
    this.#call?.pause();
  }

  resume(): void {
    this.#paused = false;
    this.#call?.resume();
  }

  #finish(status: Status): void {
    if (this.ended) return;
    this.ended = true;
    this.#forget();
    this.onClosed?.();
    this.onEnd?.(status);
  }
}

/** What is sent as server name where grpc-js would send something else: an IP address may not be one, and Node warns of it on stderr. */
function serverNameOf(target: ChannelTarget, tls: ChannelTls | undefined): string | undefined {
  if (!target.secure) return undefined;
  if (tls?.serverName !== undefined) return isIP(tls.serverName) === 0 ? tls.serverName : 'localhost';
  return !target.unix && isIP(hostPort(target.address).host) !== 0 ? 'localhost' : undefined;
}

function credentialsOf(target: ChannelTarget, tls: ChannelTls | undefined): ChannelCredentials {
  if (!target.secure) return credentials.createInsecure();
  const pem = (b: Uint8Array | undefined): Buffer | null => (b === undefined ? null : asBuffer(b));
  const skip = tls?.insecureSkipVerify === true;
  const name = tls?.serverName ?? verifiedName(target);
  return credentials.createSsl(
    pem(tls?.ca),
    pem(tls?.key),
    pem(tls?.cert),
    skip
      ? { rejectUnauthorized: false, checkServerIdentity: () => undefined }
      : { checkServerIdentity: (_host, cert) => checkServerIdentity(name, cert) },
  );
}

function metadataOf(options: CallOptions): Metadata {
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(options.metadata ?? {})) {
    metadata.set(name, name.endsWith('-bin') ? Buffer.from(value, 'latin1') : value);
  }
  return metadata;
}

/** A decoder that throws would be reported in grpc-js's words; the error travels as a value. */
function decoded<T>(codec: Codec<T>, body: Buffer, bytesMax: number): T | RpcError {
  if (body.length > bytesMax) return new RpcError(receiveTooLarge(body.length, bytesMax));
  try {
    return codec.decode(body);
  } catch (error) {
    if (error instanceof DecodeError) return new RpcError(undecodable(error.message), { cause: error });
    throw error;
  }
}

const abandonedText = 'Received RST_STREAM with code 0 ';
/** In what grpc-js says of a call whose connection broke. */
const brokenText = 'triggered by internal client error';

const lostStatus: Status = { code: Code.Unavailable, message: 'error reading from server: EOF' };

/** What happened on this side gets grpc-go's words. */
function localStatus(status: Pick<StatusObject, 'code' | 'details'>, canceled: boolean, closed: boolean, deadline: number): Status {
  const code = status.code as Code;
  if (code === Code.Canceled && closed) return closedStatus;
  if (code === Code.Canceled && canceled) return canceledStatus;
  // Timers may fire a millisecond early.
  if (code === Code.DeadlineExceeded && Date.now() >= deadline - 2) return deadlineStatus;
  // grpc-js says this of a call that it began on a connection in the very turn in which it gave the connection up: no server sent it. Its
  // text is the only mark. A client that took it for the server's word would not fail over.
  if (code === Code.Internal && (status.details.startsWith(abandonedText) || status.details.includes(brokenText))) return lostStatus;
  // The member died with the call under way: told as etcd's client tells it, whichever binding the call went by.
  if (code === Code.Unavailable && (status.details === 'Connection dropped' || /^(read|write) E[A-Z]+$/.test(status.details)))
    return lostStatus;
  return { code, message: status.details };
}

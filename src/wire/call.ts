/**
 * What a gRPC handler sees of a call, whichever binding carries it. Callback style on purpose: a put or a get must not cost a promise or a
 * closure beyond the call object itself.
 *
 * A binding guarantees: `onCancel` runs at most once and never after the call has been answered; after `reply`, `fail` or `end` nothing else
 * may be sent (later calls are ignored); the `deadline` is enforced by the binding, which cancels the call and answers DeadlineExceeded.
 */
import type { MethodDef } from '../api/gen/methods.ts';
import type { Status } from '../api/status.ts';
import type { CallSpan } from '../base/trace.ts';

/** Lower-case names; a `-bin` value is bytes. Several values of one name keep their order. */
export type Metadata = ReadonlyMap<string, readonly (string | Uint8Array)[]>;

export interface PeerInfo {
  /** `ip:port`, a socket path, or `in-process`. */
  readonly address: string;
  /** Of a verified TLS client certificate. */
  readonly commonName: string | undefined;
  /** True for calls that the JSON gateway makes: a certificate's name must not count as a user there. */
  readonly viaGateway: boolean;
  /** The server's own end of the connection, in the form of `address`; absent where there is none. */
  readonly local?: string;
}

interface CallBase {
  readonly method: MethodDef;
  readonly metadata: Metadata;
  readonly peer: PeerInfo;
  /** On the monotonic clock, in ms; Infinity without one. */
  readonly deadline: number;
  readonly cancelled: boolean;
  /** Of a call that is traced. */
  readonly span?: CallSpan | undefined;
  /** Set by the handler: the client went away, reset the stream, or the deadline passed. */
  onCancel: (() => void) | undefined;
  /** Ends the call with a status that is not OK. */
  fail(status: Status): void;
}

/** What the calls of one connection share. */
export interface Lane {
  /** Answers of unknown size that are being gathered. */
  gathering: number;
}

export interface UnaryCall<Req = unknown, Res = unknown> extends CallBase {
  /**
   * The request body as it came; what is decoded from it are views of it. It may share its memory with what arrived beside it on the socket (up
   * to 64 KiB): copy what is kept for long.
   */
  readonly requestBytes: Uint8Array;
  readonly request: Req;
  /** True while the client's connection has so much output waiting that a large answer should wait too; where there is no connection, never. */
  readonly congested?: boolean;
  /** The client's connection, for handlers that want to be fair; undefined where there is none. */
  readonly lane?: Lane | undefined;
  reply(response: Res): void;
  /** As `reply`, for a body that is encoded already, in parts that are sent one after the other. Parts must not be changed afterwards. */
  replyEncoded(parts: readonly Uint8Array[]): void;
  /**
   * Announces a body of so many bytes, for answers too large to be held: `replyPart` brings it, and the call is over with the last byte. Until then
   * `fail` breaks it off. False when the call is over already, because the answer is too large. Undefined where answers cannot come in parts.
   */
  replyBegin?(bytes: number): boolean;
  /** False when the caller should wait for `onDrain` (the parts are taken all the same). */
  replyPart?(parts: readonly Uint8Array[]): boolean;
  /** As of a stream; for answers in parts. */
  onDrain?: (() => void) | undefined;
  /** A place for the handler's own state, so that it needs no closure. */
  state: unknown;
  /** What handlers tell the log of slow calls. */
  rows?: number;
  rowsInAll?: number;
  agreedMs?: number | undefined;
  workedMs?: number | undefined;
}

/** A call in which at least one side streams. For server streaming, `onMessage` sees exactly one message and then `onHalfClose`. */
export interface StreamCall<Req = unknown, Res = unknown> extends CallBase {
  onMessage: ((message: Req) => void) | undefined;
  onHalfClose: (() => void) | undefined;
  /** Runs when buffered output has fallen below the binding's low-water mark, after a `send` returned false. */
  onDrain: (() => void) | undefined;
  /** Sends one message; false when the caller should wait for `onDrain` (the message is taken all the same). */
  send(response: Res): boolean;
  sendEncoded(parts: readonly Uint8Array[]): boolean;
  /** Bytes accepted and not yet handed to the socket. */
  readonly bufferedBytes: number;
  /** Ends the call with OK. */
  end(): void;
  /** Stops and resumes the flow of incoming messages (the peer is held back by flow control). */
  pause(): void;
  resume(): void;
}

export type UnaryHandler<Req = never, Res = never> = (call: UnaryCall<Req, Res>) => void;
export type StreamHandler<Req = never, Res = never> = (call: StreamCall<Req, Res>) => void;

/** The handlers of a server by gRPC path. A path without one is answered Unimplemented. */
export class HandlerTable {
  readonly unary = new Map<string, { method: MethodDef; handler: UnaryHandler<unknown, unknown>; short: boolean }>();
  readonly streams = new Map<string, { method: MethodDef; handler: StreamHandler<unknown, unknown> }>();

  /** `short`: its answers are never much larger than the requests, so they may go where much output waits already. */
  addUnary<Req, Res>(method: MethodDef<Req, Res>, handler: UnaryHandler<Req, Res>, short = false): void {
    this.unary.set(method.path, { method: method as MethodDef, handler: handler as unknown as UnaryHandler<unknown, unknown>, short });
  }

  addStream<Req, Res>(method: MethodDef<Req, Res>, handler: StreamHandler<Req, Res>): void {
    this.streams.set(method.path, { method: method as MethodDef, handler: handler as unknown as StreamHandler<unknown, unknown> });
  }
}

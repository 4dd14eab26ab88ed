/** One stream of an HTTP/2 connection: its states, its send queue, and the gRPC call or HTTP exchange that it carries. */
import type { Timer } from '../../base/clock.ts';
import type { Codec } from '../../api/proto-io.ts';
import type { Status } from '../../api/status.ts';
import { encodeMessage } from '../grpc-text.ts';
import type { Lane } from '../call.ts';
import { defaultContentType, ServerCall, type CallCarrier, type CallHead } from '../server-call.ts';
import type { Connection } from './connection.ts';
import { ErrorCode, Flag, frameBytesMax, frameHeaderBytes, FrameType, putFrameHeader } from './frames.ts';
import { HttpExchange } from './http-exchange.ts';
import type { RequestHead } from './request-head.ts';

/** Parts up to this size are copied into the connection's buffer; larger ones go to the socket as they are. */
export const copyBytesMax = 4_096;
const messagePrefixBytes = 5;
/**
 * An HTTP response that is complete before its request ends the stream only when the request ends too, or after this many ms: a client in the
 * middle of its body then sees the answer before it is told to stop, and what is wrong with the body still gets its error.
 */
const earlyEndMs = 200;

/** How a stream's sending side ends once its queue is empty. */
type End = 'data' | Status;

export class NativeStream implements CallCarrier {
  readonly id: number;
  readonly connection: Connection;
  readonly head: RequestHead;
  /** Apart from the head, which requests share. */
  readonly timeoutMs: number;
  readonly startedMs: number;
  call: ServerCall | undefined = undefined;
  exchange: HttpExchange | undefined = undefined;
  sendWindow: number;
  recvWindow: number;
  /** END_STREAM came, or went. */
  remoteClosed = false;
  localClosed = false;
  headersSent = false;
  /** Framed for gRPC, not yet for HTTP/2: one piece after the other, from `#queueAt` on. */
  #queue: Uint8Array[] = noQueue;
  #queueAt = 0;
  queuedBytes = 0;
  /** In the connection's list of streams that have something to send. */
  inSendList = false;
  /** When output last moved: a peer that takes nothing is cut. */
  progressMs = 0;
  #end: End | undefined = undefined;
  /** An HTTP response is complete before its request is: its end is held back for a while. */
  #heldEnd: Timer | undefined = undefined;
  #paused = false;
  /** Received and not yet given back to the peer's window. */
  #uncredited = 0;
  #bodyBytes = 0;
  /** Came while new calls of this connection had to wait. */
  #deferred: Uint8Array[] | undefined = undefined;
  #deferredBytes = 0;

  constructor(
    id: number,
    connection: Connection,
    head: RequestHead,
    timeoutMs: number,
    sendWindow: number,
    recvWindow: number,
    nowMs: number,
  ) {
    this.id = id;
    this.connection = connection;
    this.head = head;
    this.timeoutMs = timeoutMs;
    this.sendWindow = sendWindow;
    this.recvWindow = recvWindow;
    this.startedMs = nowMs;
  }

  // ---- from the peer

  /** Begins the call or exchange, or puts it off until the connection's output has room. */
  open(defer: boolean): void {
    if (defer) this.#deferred = [];
    else this.#begin();
  }

  /** The connection has room again. */
  beginDeferred(): void {
    const chunks = this.#deferred;
    if (chunks === undefined) return;
    this.#deferred = undefined;
    this.#deferredBytes = 0;
    this.#begin();
    for (const chunk of chunks) this.#deliver(chunk);
    if (this.remoteClosed) this.#deliverEnd();
  }

  #begin(): void {
    const { call } = this.head;
    if (call === undefined) {
      this.exchange = new HttpExchange(this);
      this.connection.host.http(this.exchange, this.exchange);
      this.exchange.start();
      return;
    }
    if (call.refusal !== undefined) {
      this.sendStatus(call.refusal);
      return;
    }
    // A call of one message begins with its body: headers alone cost their stream and no more, and as in grpc-go they are no call yet.
    if (call.entry?.unary === undefined || this.timeoutMs !== Infinity) this.#beginCall(call);
  }

  #beginCall(head: CallHead): ServerCall {
    const call = new ServerCall(this.connection.host.grpc, head, this, this.connection.peer, this.startedMs, this.timeoutMs);
    this.call = call;
    call.start();
    return call;
  }

  /** The call of this stream, begun now when only its headers had come; undefined for HTTP, and where it was refused. */
  #ownCall(): ServerCall | undefined {
    if (this.call !== undefined) return this.call;
    const head = this.head.call;
    return head?.entry === undefined ? undefined : this.#beginCall(head);
  }

  /** A DATA frame's content; `flowBytes` is what it took of the windows, padding included. False when it breaks `content-length`. */
  data(chunk: Uint8Array, flowBytes: number, endStream: boolean): boolean {
    this.#uncredited += flowBytes;
    this.#bodyBytes += chunk.length;
    const { contentLength } = this.head;
    if (contentLength >= 0 && (this.#bodyBytes > contentLength || (endStream && this.#bodyBytes !== contentLength))) return false;
    // Set before the message is handled: an answer in the same turn then ends the stream for good.
    if (endStream) this.remoteClosed = true;
    if (chunk.length > 0) {
      if (this.#deferred !== undefined) {
        this.#deferred.push(chunk);
        this.#deferredBytes += chunk.length;
      } else this.#deliver(chunk);
    }
    if (endStream) this.ended();
    else this.#credit();
    return true;
  }

  /** The peer's side has ended, by DATA or trailers; `remoteClosed` is set. */
  ended(): void {
    if (this.localClosed) this.connection.removeStream(this);
    else if (this.#heldEnd !== undefined) this.#releaseEnd();
    else if (this.#deferred === undefined) this.#deliverEnd();
  }

  lengthMissing(): boolean {
    const { contentLength } = this.head;
    return contentLength > 0 && this.#bodyBytes !== contentLength;
  }

  #deliver(chunk: Uint8Array): void {
    const call = this.#ownCall();
    if (call !== undefined) call.data(chunk);
    else this.exchange?.data(chunk);
  }

  #deliverEnd(): void {
    const call = this.#ownCall();
    if (call !== undefined) call.halfClose();
    else this.exchange?.dataEnd();
  }

  /** Reset by either side, or the connection is gone. */
  abort(): void {
    this.#queue = noQueue;
    this.#queueAt = 0;
    this.queuedBytes = 0;
    this.#deferred = undefined;
    this.#heldEnd?.cancel();
    this.#heldEnd = undefined;
    this.localClosed = true;
    this.remoteClosed = true;
    this.call?.cancel();
    this.exchange?.aborted();
  }

  /** Bytes of the request that we keep. */
  get heldBytes(): number {
    return this.#deferredBytes + (this.call?.heldBytes ?? 0) + (this.exchange?.heldBytes ?? 0);
  }

  setPaused(paused: boolean): void {
    this.#paused = paused;
    if (!paused) this.#credit();
  }

  #credit(): void {
    if (this.#paused || this.#deferred !== undefined || this.remoteClosed || this.localClosed) return;
    const { streamWindowBytes } = this.connection.limits;
    if (this.#uncredited * 2 < streamWindowBytes) return;
    this.connection.windowUpdate(this.id, this.#uncredited);
    this.recvWindow += this.#uncredited;
    this.#uncredited = 0;
  }

  // ---- gRPC answers

  get bufferedBytes(): number {
    return this.queuedBytes;
  }

  get congested(): boolean {
    return this.connection.congested;
  }

  get lane(): Lane {
    return this.connection;
  }

  sendMessage(codec: Codec<unknown>, message: unknown, last: boolean): number {
    if (this.localClosed) return 0;
    const { connection } = this;
    const w = connection.out();
    connection.sent();
    if (!this.headersSent) this.#writeHeaders();
    const at = w.pos;
    const bodyAt = at + frameHeaderBytes + messagePrefixBytes;
    w.reserve(frameHeaderBytes + messagePrefixBytes);
    w.pos = bodyAt;
    codec.write(message as never, w);
    const bytes = w.pos - bodyAt;
    const length = bytes + messagePrefixBytes;
    putMessagePrefix(w.buf, at + frameHeaderBytes, bytes, false);
    if (this.queuedBytes === 0 && length <= frameBytesMax && length <= this.sendWindow && connection.maySend(length)) {
      putFrameHeader(w.buf, at, length, FrameType.data, 0, this.id);
      this.sendWindow -= length;
      connection.tookWindow(length);
      if (last) this.#writeTrailers(undefined);
      return bytes;
    }
    // It has to wait, whole or in part: out of the shared buffer again.
    const framed = Buffer.allocUnsafeSlow(length);
    w.buf.copy(framed, 0, at + frameHeaderBytes, w.pos);
    w.pos = at;
    this.#enqueue(framed);
    if (last) this.#endAfterQueue(undefined);
    return bytes;
  }

  sendParts(parts: readonly Uint8Array[], bytes: number, compressed: boolean, last: boolean): void {
    if (this.localClosed) return;
    const { connection } = this;
    const length = bytes + messagePrefixBytes;
    connection.sent();
    if (!this.headersSent) this.#writeHeaders();
    if (this.queuedBytes === 0 && bytes <= copyBytesMax && length <= this.sendWindow && connection.maySend(length)) {
      const w = connection.out();
      w.reserve(frameHeaderBytes + length);
      putFrameHeader(w.buf, w.pos, length, FrameType.data, 0, this.id);
      putMessagePrefix(w.buf, w.pos + frameHeaderBytes, bytes, compressed);
      w.pos += frameHeaderBytes + messagePrefixBytes;
      for (const part of parts) w.raw(part);
      this.sendWindow -= length;
      connection.tookWindow(length);
      if (last) this.#writeTrailers(undefined);
      return;
    }
    this.#enqueuePrefix(bytes, compressed);
    for (const part of parts) if (part.length > 0) this.#enqueue(part);
    if (last) this.#endAfterQueue(undefined);
  }

  sendBegin(bytes: number): void {
    if (this.localClosed) return;
    this.connection.sent();
    if (!this.headersSent) this.#writeHeaders();
    this.#enqueuePrefix(bytes, false);
  }

  sendMore(parts: readonly Uint8Array[], last: boolean): void {
    if (this.localClosed) return;
    for (const part of parts) if (part.length > 0) this.#enqueue(part);
    if (last) this.#endAfterQueue(undefined);
  }

  breakOff(): void {
    if (!this.localClosed) this.connection.resetStream(this, ErrorCode.internalError);
  }

  #enqueuePrefix(bytes: number, compressed: boolean): void {
    const prefix = Buffer.allocUnsafe(messagePrefixBytes);
    putMessagePrefix(prefix, 0, bytes, compressed);
    this.#enqueue(prefix);
  }

  sendStatus(status: Status): void {
    if (this.localClosed) return;
    this.connection.sent();
    if (this.queuedBytes > 0) this.#endAfterQueue(status);
    else this.#writeTrailers(status);
  }

  #writeHeaders(): void {
    this.headersSent = true;
    const call = this.head.call as CallHead;
    if (call.contentType === defaultContentType && !call.gzip) this.connection.grpcHeaders(this.id);
    else {
      const fields: [string, string][] = [['content-type', call.contentType]];
      if (call.gzip) fields.push(['grpc-encoding', 'gzip']);
      this.connection.headers(this.id, call.httpStatus, fields, false);
    }
  }

  /** The end of a gRPC answer; undefined is OK. */
  #writeTrailers(status: Status | undefined): void {
    this.localClosed = true;
    if (this.headersSent && (status === undefined || status.code === 0)) this.connection.grpcOk(this.id);
    else {
      const fields: [string, string][] = [];
      if (!this.headersSent) fields.push(['content-type', this.head.call?.contentType ?? defaultContentType]);
      fields.push(['grpc-status', String(status?.code ?? 0)]);
      if (status !== undefined && status.message !== '') fields.push(['grpc-message', encodeMessage(status.message)]);
      this.connection.headers(this.id, this.headersSent ? 0 : (this.head.call?.httpStatus ?? 200), fields, true);
      this.headersSent = true;
    }
    this.#closeLocal();
  }

  // ---- HTTP answers

  /** Response headers of an exchange. */
  sendHead(status: number, fields: readonly (readonly [string, string])[], end: boolean): void {
    if (this.localClosed || this.headersSent) return;
    this.headersSent = true;
    const now = end && this.remoteClosed;
    this.connection.headers(this.id, status, fields, now);
    if (now) {
      this.localClosed = true;
      this.#closeLocal();
    } else if (end) this.endBody();
  }

  sendBody(chunk: Uint8Array): void {
    if (!this.localClosed && chunk.length > 0) this.#enqueue(chunk);
  }

  endBody(): void {
    if (this.localClosed || this.#end !== undefined || this.#heldEnd !== undefined) return;
    if (this.remoteClosed) this.#releaseEnd();
    else this.#heldEnd = this.connection.host.grpc.clock.after(earlyEndMs, () => this.#releaseEnd());
  }

  #releaseEnd(): void {
    this.#heldEnd?.cancel();
    this.#heldEnd = undefined;
    if (this.localClosed) return;
    this.#end = 'data';
    this.connection.wantSend(this);
  }

  // ---- queue

  #enqueue(chunk: Uint8Array): void {
    if (this.queuedBytes === 0) this.progressMs = this.connection.nowMs;
    if (this.#queue === noQueue) this.#queue = [];
    this.#queue.push(chunk);
    this.queuedBytes += chunk.length;
    this.connection.queued(chunk.length);
    this.connection.wantSend(this);
  }

  #endAfterQueue(status: Status | undefined): void {
    this.#end = status ?? okStatus;
    this.connection.wantSend(this);
  }

  /**
   * Writes one DATA frame of up to `bytesMax`, or the end. Returns the bytes taken of the windows; the caller has made sure that there is room.
   */
  writeSome(bytesMax: number): number {
    if (this.localClosed) return 0;
    const length = Math.min(bytesMax, this.queuedBytes, frameBytesMax, this.sendWindow);
    const all = length === this.queuedBytes;
    if (length > 0 || (all && this.#end === 'data')) {
      const ends = all && this.#end === 'data';
      const { connection } = this;
      const w = connection.out();
      w.reserve(frameHeaderBytes);
      putFrameHeader(w.buf, w.pos, length, FrameType.data, ends ? Flag.endStream : 0, this.id);
      w.pos += frameHeaderBytes;
      let left = length;
      while (left > 0) {
        const piece = this.#queue[this.#queueAt] as Uint8Array;
        const n = Math.min(left, piece.length);
        connection.writeBytes(n === piece.length ? piece : piece.subarray(0, n));
        if (n === piece.length) this.#queue[this.#queueAt++] = emptyPiece;
        else this.#queue[this.#queueAt] = piece.subarray(n);
        left -= n;
      }
      if (this.#queueAt === this.#queue.length || this.#queueAt > 1_024) {
        this.#queue.splice(0, this.#queueAt);
        this.#queueAt = 0;
      }
      this.queuedBytes -= length;
      this.sendWindow -= length;
      this.progressMs = connection.nowMs;
      if (ends) {
        this.localClosed = true;
        this.#closeLocal();
      }
    }
    if (!this.localClosed && this.queuedBytes === 0 && this.#end !== undefined && this.#end !== 'data') this.#writeTrailers(this.#end);
    return length;
  }

  /** Something can be written now as far as this stream goes. */
  get sendable(): boolean {
    if (this.localClosed) return false;
    return this.queuedBytes > 0 ? this.sendWindow > 0 : this.#end !== undefined;
  }

  /** Below the low-water mark: handlers that wait may go on. */
  notifyDrained(): void {
    if (this.queuedBytes * 2 > this.connection.limits.streamHighWaterBytes) return;
    if (this.call !== undefined) this.call.drained();
    else this.exchange?.drained();
  }

  /** Our side has ended. A client that still sends what nobody reads is told to stop; one that only owes its end is given time for it. */
  #closeLocal(): void {
    if (this.remoteClosed) this.connection.removeStream(this);
    else if (this.call?.inputComplete !== true) this.connection.resetStream(this, ErrorCode.noError);
  }
}

const okStatus: Status = { code: 0, message: '' };
const emptyPiece = new Uint8Array(0);
/** Of all streams that have never had to wait: nothing is put into it. */
const noQueue: Uint8Array[] = [];

function putMessagePrefix(b: Buffer, at: number, bytes: number, compressed: boolean): void {
  b[at] = compressed ? 1 : 0;
  b[at + 1] = bytes >>> 24;
  b[at + 2] = bytes >>> 16;
  b[at + 3] = bytes >>> 8;
  b[at + 4] = bytes;
}

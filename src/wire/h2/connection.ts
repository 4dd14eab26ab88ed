/**
 * One HTTP/2 connection, server side: frames in, frames out (RFC 9113).
 *
 * Input is parsed inside the socket's data callback; what that leads to is written into one buffer and leaves in one `write` at the end of the
 * callback, or at the end of the turn when it comes about elsewhere (`flush`). DATA that does not fit the peer's windows or the socket waits on its
 * stream and is taken in turns. Whatever a peer can make us do for nothing is counted against a named limit (limits.ts).
 */
import type { Socket } from 'node:net';
import type { Writer } from '../../api/proto-io.ts';
import type { Timer } from '../../base/clock.ts';
import { IdTable } from '../../base/id-table.ts';
import type { Lane, PeerInfo } from '../call.ts';
import type { HttpHandler } from '../http.ts';
import { KeepalivePolicy } from '../keepalive.ts';
import type { WireLimits } from '../limits.ts';
import { isGrpcContentType, type GrpcServer } from '../server-call.ts';
import {
  ErrorCode,
  Flag,
  frameBytesMax,
  frameHeaderBytes,
  FrameType,
  H2Error,
  initialWindowBytes,
  preface,
  putFrameHeader,
  readUint32,
  Setting,
  TokenBucket,
  windowBytesMax,
  writeFrameHeader,
  writeGoaway,
  writePing,
  writeRstStream,
  writeSettings,
  writeSettingsAck,
  writeWindowUpdate,
} from './frames.ts';
import { headerTrace } from '../header-trace.ts';
import { HpackDecoder, type HeaderEntry } from './hpack-decoder.ts';
import { HpackEncoder } from './hpack-encoder.ts';
import { areTrailers, parseHead, sameButTimeout, timeoutOf, type RequestHead } from './request-head.ts';
import { copyBytesMax, NativeStream } from './stream.ts';
import { RecentIds } from './recent-ids.ts';
import { scratchWriter, type WriterPool } from './writer-pool.ts';

/** What a connection needs of the binding it belongs to. */
export interface ConnectionHost {
  readonly grpc: GrpcServer;
  readonly http: HttpHandler;
  readonly writers: WriterPool;
  /** Has `flush` called at the end of this turn. */
  flushSoon(connection: Connection): void;
  closed(connection: Connection): void;
}

/** Header blocks remembered with what they mean; a client repeats a handful of them. */
const headCacheEntries = 8;
/** Lists of fields remembered beside, for blocks that differ in `grpc-timeout`, and so in every byte once tables have moved. */
const recentHeadEntries = 4;
/** Longest block that is remembered, in bytes: a repeated one is a few indexes. */
const headCacheBytesMax = 256;
/** Rounds of writing in one turn, each up to the socket's high-water mark. */
const flushRoundsMax = 8;
/** After a fatal error the peer gets this time to read our GOAWAY before the socket is destroyed, in ms. */
const lingerMs = 1_000;
/** What it goes on sending meanwhile is thrown away up to this many bytes, then left unread: to read on would let a flood go on for that time. */
const lingerBytesMax = 65_536;
/** A connection whose bytes took longer than this to go through, in ms, is read again only when the others had their turn: up to 32 reads come in a row. */
const chunkMsMax = 1;
/**
 * A ping that comes behind an answer of ours measures the line (gRPC's clients send one behind each), and the next request is about to follow. Its
 * acknowledgement waits so long, in ms, for something to travel with: on its own it would cost both ends a wake-up in the middle of that request.
 */
const pingHeldMs = 1;
/** Smallest DATA frame, in bytes, that may bring a part of a message without counting as a frame that brings nothing forward. */
const fragmentBytesMin = 8;
/** A header list over the limit counts as so many resets. */
const oversizedHeadersCost = 20;
/** Bytes not yet taken by the kernel, in high-water marks, above which nothing more is read: only answers to frames grow it that far. */
const readStopFactor = 4;

const drainPing = Buffer.from('drain\0\0\0', 'latin1');
const keepalivePing = Buffer.from('alive\0\0\0', 'latin1');

interface CachedHead {
  readonly block: Uint8Array;
  readonly version: number;
  readonly head: RequestHead;
}

export class Connection implements Lane {
  readonly host: ConnectionHost;
  readonly peer: PeerInfo;
  readonly secure: boolean;
  readonly limits: WireLimits;
  /** Monotonic time of this turn. */
  nowMs: number;
  readonly #socket: Socket;
  readonly #streams = new IdTable<NativeStream>();
  readonly #acceptedMs: number;

  // Input.
  #prefaceSeen = 0;
  #settingsSeen = false;
  /** A frame that has not come whole: its header first, then the whole of it. */
  #partial: Buffer | undefined = undefined;
  #partialFill = 0;
  #lastStreamId = 0;
  readonly #decoder: HpackDecoder;
  #recvWindow: number;
  #uncredited = 0;
  #reading = false;
  #readStopped = false;
  readonly #recentResets = new RecentIds();
  readonly #peerResets = new RecentIds();
  // A header block in pieces.
  #blockStream = 0;
  #blockFlags = 0;
  #blockParts: Uint8Array[] = [];
  #blockBytes = 0;
  #blockSinceMs = Infinity;
  #blockSelfDependent = false;
  // What the last requests said.
  #headCache: CachedHead[] = [];
  #headCacheNext = 0;
  readonly #recentHeads: { readonly entries: readonly HeaderEntry[]; readonly head: RequestHead }[] = [];
  #recentHeadsNext = 0;

  // Output.
  #writer: Writer | undefined = undefined;
  #sealed = 0;
  #chunks: Uint8Array[] = [];
  #chunkBytes = 0;
  #dirty = false;
  readonly #encoder = new HpackEncoder();
  #sendWindow = initialWindowBytes;
  #peerInitialWindow = initialWindowBytes;
  /** Streams with something to send, oldest first, from `#sendAt` on. */
  #sendList: NativeStream[] = [];
  #sendAt = 0;
  #queuedBytes = 0;
  gathering = 0;
  readonly #deferred: NativeStream[] = [];
  #socketProgressMs: number;
  #socketTaken = 0;

  // Life.
  readonly #keepalive: KeepalivePolicy;
  readonly #control: TokenBucket;
  readonly #resets: TokenBucket;
  readonly #windowUpdates: TokenBucket;
  #draining = false;
  /** Streams above this came after our GOAWAY. */
  #goawayLast = Infinity;
  #closingMs = Infinity;
  /** Closed for what the peer did: what waits for it is not worth waiting. */
  #failed = false;
  /** Others come first: nothing is read until the next turn. */
  #resting = false;
  /** Bytes that came after a fatal error. */
  #lateBytes = 0;
  #gone = false;

  constructor(host: ConnectionHost, socket: Socket, peer: PeerInfo, secure: boolean) {
    this.host = host;
    this.peer = peer;
    this.secure = secure;
    const { limits, clock } = host.grpc;
    this.limits = limits;
    this.#socket = socket;
    this.nowMs = clock.mono();
    this.#acceptedMs = this.nowMs;
    this.#socketProgressMs = this.nowMs;
    this.#decoder = new HpackDecoder({
      tableBytes: limits.hpackTableBytes,
      listBytesMax: limits.headerListBytesMax,
      countMax: limits.headerCountMax,
      trace: headerTrace(),
    });
    this.#recvWindow = Math.max(initialWindowBytes, limits.connectionWindowBytes);
    this.#keepalive = new KeepalivePolicy(limits, this.nowMs);
    this.#control = new TokenBucket(limits.controlFramesBurst, limits.controlFramesPerSecond, this.nowMs);
    this.#resets = new TokenBucket(limits.resetsBurst, limits.resetsPerSecond, this.nowMs);
    this.#windowUpdates = new TokenBucket(limits.windowUpdatesBurst, limits.windowUpdatesPerSecond, this.nowMs);
  }

  /** Sends our SETTINGS and begins to read. `head` has been read already. */
  start(head: Uint8Array | undefined): void {
    const { limits } = this;
    const w = this.out();
    writeSettings(w, [
      [Setting.headerTableSize, limits.hpackTableBytes],
      [Setting.maxConcurrentStreams, limits.concurrentStreamsMax],
      [Setting.initialWindowSize, limits.streamWindowBytes],
      [Setting.maxHeaderListSize, limits.headerListBytesMax],
    ]);
    if (this.#recvWindow > initialWindowBytes) writeWindowUpdate(w, 0, this.#recvWindow - initialWindowBytes);
    const socket = this.#socket;
    socket.on('data', (chunk: Buffer) => this.#onData(chunk));
    socket.on('drain', () => this.#onDrain());
    socket.on('end', () => this.#lost());
    socket.on('close', () => this.#lost());
    socket.on('error', () => this.#lost());
    if (head !== undefined) this.#onData(head as Buffer);
    socket.resume();
  }

  get openStreams(): number {
    return this.#streams.size;
  }

  /** Bytes of output that wait on streams. */
  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  /** So much waits that new calls, and large answers of those that have begun, have to wait too. */
  get congested(): boolean {
    const { limits } = this;
    const free = this.host.grpc.queuedBytes > limits.queuedHighWaterBytes ? limits.streamHighWaterBytes : limits.connectionHighWaterBytes;
    return this.#queuedBytes > free;
  }

  // ---- life

  /** Asks the client to go elsewhere. The first GOAWAY leaves time for calls that are on their way; the second names the last one taken. */
  drain(): void {
    if (this.#draining || this.#closing) return;
    this.#draining = true;
    const w = this.out();
    writeGoaway(w, windowBytesMax, ErrorCode.noError, 'graceful_stop');
    writePing(w, drainPing, false);
  }

  /** Cuts the connection: calls are cancelled, nothing more is sent. */
  destroy(): void {
    this.#socket.destroy();
    this.#lost();
  }

  /** Looks after times; called about once a second. */
  sweep(nowMs: number): void {
    this.nowMs = nowMs;
    const { limits } = this;
    if (this.#stalled(nowMs) || (nowMs - this.#closingMs > lingerMs && (this.#failed || this.#socket.writableLength === 0))) {
      this.destroy();
      return;
    }
    if (this.#closing) return;
    if (!this.#settingsSeen && nowMs - this.#acceptedMs > limits.handshakeMs) {
      this.destroy();
      return;
    }
    if (nowMs - this.#blockSinceMs > limits.headersMs) {
      this.#fatal(ErrorCode.enhanceYourCalm, 'headers took too long');
      return;
    }
    for (const stream of this.#streams.values()) this.#sweepStream(stream, nowMs);
    switch (this.#keepalive.tick(nowMs)) {
      case 'ping':
        writePing(this.out(), keepalivePing, false);
        break;
      case 'dead':
        this.destroy();
        break;
    }
  }

  /** True when the socket has taken nothing for too long although something waits. */
  #stalled(nowMs: number): boolean {
    const waiting = this.#socket.writableLength;
    const taken = this.#socket.bytesWritten - waiting;
    if (waiting > 0 && taken === this.#socketTaken) return nowMs - this.#socketProgressMs > this.limits.stalledMs;
    this.#socketTaken = taken;
    this.#socketProgressMs = nowMs;
    return false;
  }

  #sweepStream(stream: NativeStream, nowMs: number): void {
    const { limits } = this;
    if (!stream.remoteClosed && nowMs - stream.startedMs > limits.bodyMs) {
      const method = stream.head.call?.entry?.method;
      if (method === undefined ? stream.head.contentLength !== 0 && stream.localClosed : !method.requestStream) {
        this.resetStream(stream, stream.localClosed ? ErrorCode.noError : ErrorCode.cancel);
        return;
      }
    }
    if (stream.queuedBytes >= limits.streamHighWaterBytes && nowMs - stream.progressMs > limits.stalledMs) {
      this.resetStream(stream, ErrorCode.enhanceYourCalm);
    }
  }

  get #closing(): boolean {
    return this.#closingMs !== Infinity || this.#gone;
  }

  #lost(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#pingTimer?.cancel();
    if (!this.#socket.destroyed) this.#socket.destroy();
    this.#abortStreams();
    this.#chunks = [];
    this.#writer = undefined;
    this.#partial = undefined;
    this.host.closed(this);
  }

  #abortStreams(): void {
    for (const stream of this.#streams.values()) stream.abort();
    this.host.grpc.openStreams -= this.#streams.size;
    this.#streams.clear();
    this.#sendList = [];
    this.#sendAt = 0;
    this.host.grpc.queuedBytes -= this.#queuedBytes;
    this.#queuedBytes = 0;
    this.#deferred.length = 0;
  }

  /** Ends the connection for what the peer did: GOAWAY with the code, then nothing more is read. */
  #fatal(code: ErrorCode, reason: string): void {
    if (this.#closing) return;
    this.#abortStreams();
    writeGoaway(this.out(), this.#lastStreamId, code, reason);
    this.#closingMs = this.nowMs;
    this.#failed = true;
    this.flush();
    if (!this.#gone) this.#socket.end();
  }

  // ---- input

  #onData(chunk: Buffer): void {
    if (this.#closing) {
      this.#lateBytes += chunk.length;
      if (this.#failed && this.#lateBytes > lingerBytesMax) this.#socket.pause();
      return;
    }
    this.nowMs = this.host.grpc.clock.mono();
    this.#keepalive.activity(this.nowMs);
    this.#reading = true;
    try {
      this.#parse(chunk);
    } catch (error) {
      if (error instanceof H2Error) this.#fatal(error.code, error.message);
      else {
        this.#fatal(ErrorCode.internalError, '');
        this.host.grpc.handlerError(error);
      }
    } finally {
      this.#reading = false;
    }
    const endedMs = this.host.grpc.clock.mono();
    if (endedMs - this.nowMs > chunkMsMax && !this.#resting) {
      this.#resting = true;
      this.#socket.pause();
      this.host.grpc.clock.defer(this.#readOn);
    }
    if (this.#dirty) this.flush();
    if (!this.#readStopped && this.#socket.writableLength > this.limits.socketHighWaterBytes * readStopFactor) {
      this.#readStopped = true;
      this.#socket.pause();
    }
  }

  #parse(chunk: Buffer): void {
    let p = 0;
    const n = chunk.length;
    while (this.#prefaceSeen < preface.length) {
      if (p === n) return;
      if (chunk[p++] !== preface[this.#prefaceSeen++]) throw new H2Error(ErrorCode.protocolError, 'bad connection preface');
    }
    while (this.#partial !== undefined) {
      if (p === n) return;
      p = this.#fill(this.#partial, chunk, p);
      if (this.#closing) return;
    }
    while (n - p >= frameHeaderBytes) {
      const end = p + frameHeaderBytes + this.#frameLength(chunk, p);
      if (end > n) break;
      this.#frame(chunk, p, p + frameHeaderBytes, end);
      p = end;
      if (this.#closing) return;
    }
    if (p === n) return;
    const size = n - p >= frameHeaderBytes ? frameHeaderBytes + this.#frameLength(chunk, p) : frameHeaderBytes;
    this.#partial = Buffer.allocUnsafeSlow(size);
    this.#partialFill = chunk.copy(this.#partial, 0, p, n);
  }

  #frameLength(b: Buffer, at: number): number {
    const length = ((b[at] as number) << 16) | ((b[at + 1] as number) << 8) | (b[at + 2] as number);
    if (length > frameBytesMax) throw new H2Error(ErrorCode.frameSizeError, 'frame too large');
    return length;
  }

  /** Adds bytes to the frame that is being gathered; returns where the rest of the chunk begins. */
  #fill(partial: Buffer, chunk: Buffer, p: number): number {
    const took = Math.min(partial.length - this.#partialFill, chunk.length - p);
    chunk.copy(partial, this.#partialFill, p, p + took);
    this.#partialFill += took;
    if (this.#partialFill < partial.length) return p + took;
    const size = frameHeaderBytes + this.#frameLength(partial, 0);
    if (partial.length < size) {
      // Only the header was known to be missing.
      const whole = Buffer.allocUnsafeSlow(size);
      partial.copy(whole);
      this.#partial = whole;
      if (this.#partialFill < size) return p + took;
    }
    this.#partial = undefined;
    this.#frame(partial, 0, frameHeaderBytes, size);
    return p + took;
  }

  #frame(b: Buffer, at: number, start: number, end: number): void {
    const type = b[at + 3] as number;
    const flags = b[at + 4] as number;
    const id = readUint32(b, at + 5) & 0x7fffffff;
    if (this.#blockStream !== 0 && (type !== FrameType.continuation || id !== this.#blockStream)) {
      throw new H2Error(ErrorCode.protocolError, 'a header block was broken off');
    }
    if (!this.#settingsSeen && type !== FrameType.settings) throw new H2Error(ErrorCode.protocolError, 'the first frame must be SETTINGS');
    switch (type) {
      case FrameType.data:
        this.#onDataFrame(b, flags, id, start, end);
        return;
      case FrameType.headers:
        this.#onHeaders(b, flags, id, start, end);
        return;
      case FrameType.priority:
        this.#onPriority(b, id, start, end);
        return;
      case FrameType.rstStream:
        this.#onRstStream(id, end - start);
        return;
      case FrameType.settings:
        this.#onSettings(b, flags, id, start, end);
        return;
      case FrameType.pushPromise:
        throw new H2Error(ErrorCode.protocolError, 'clients do not push');
      case FrameType.ping:
        this.#onPing(b, flags, id, start, end);
        return;
      case FrameType.goaway:
        if (id !== 0) throw new H2Error(ErrorCode.protocolError, 'GOAWAY on a stream');
        if (end - start < 8) throw new H2Error(ErrorCode.frameSizeError, 'GOAWAY too short');
        this.#count();
        return;
      case FrameType.windowUpdate:
        this.#onWindowUpdate(b, id, start, end);
        return;
      case FrameType.continuation:
        this.#onContinuation(b, flags, id, start, end);
        return;
      default:
        this.#count();
    }
  }

  /** Charges a frame that brings nothing forward. */
  #count(): void {
    if (!this.#control.take(this.nowMs)) throw new H2Error(ErrorCode.enhanceYourCalm, 'too many control frames');
  }

  #onDataFrame(b: Buffer, flags: number, id: number, start: number, end: number): void {
    if (id === 0) throw new H2Error(ErrorCode.protocolError, 'DATA without a stream');
    const flowBytes = end - start;
    this.#recvWindow -= flowBytes;
    if (this.#recvWindow < 0) throw new H2Error(ErrorCode.flowControlError, 'connection window exceeded');
    this.#uncredited += flowBytes;
    if (this.#uncredited * 2 >= this.limits.connectionWindowBytes) {
      this.windowUpdate(0, this.#uncredited);
      this.#recvWindow += this.#uncredited;
      this.#uncredited = 0;
    }
    const endStream = (flags & Flag.endStream) !== 0;
    if (flowBytes === 0 && !endStream) this.#count();
    const stream = this.#streams.get(id);
    if (stream === undefined) {
      this.#unknownStream(id, 'DATA');
      return;
    }
    if (stream.remoteClosed) {
      this.#streamError(stream, ErrorCode.streamClosed);
      return;
    }
    stream.recvWindow -= flowBytes;
    if (stream.recvWindow < 0) {
      this.#streamError(stream, ErrorCode.flowControlError);
      return;
    }
    if ((flags & Flag.padded) !== 0) {
      if (flowBytes < 1) throw new H2Error(ErrorCode.frameSizeError, 'no padding length');
      const padding = b[start] as number;
      start++;
      if (padding > end - start) throw new H2Error(ErrorCode.protocolError, 'padding longer than its frame');
      end -= padding;
      if (start === end && !endStream) this.#count();
    }
    const before = stream.heldBytes;
    if (!stream.data(b.subarray(start, end), flowBytes, endStream)) {
      this.#streamError(stream, ErrorCode.protocolError);
      return;
    }
    const held = stream.heldBytes - before;
    if (held <= 0) return;
    if (!endStream && end - start < fragmentBytesMin) this.#count();
    if (this.#heldBytes() > this.limits.heldBytesMax) this.#streamError(stream, ErrorCode.enhanceYourCalm);
  }

  /** Sums only when a stream keeps more than a little: one message in one frame never comes here. */
  #heldBytes(): number {
    let total = 0;
    this.#streams.forEach((stream) => (total += stream.heldBytes));
    return total;
  }

  /** A frame on a stream that is not open. */
  #unknownStream(id: number, what: string): void {
    if (id > this.#lastStreamId || (id & 1) === 0) throw new H2Error(ErrorCode.protocolError, `${what} on an idle stream`);
    // We reset it, and the peer may not have known: not its fault, but not for ever.
    if (this.#recentResets.has(id)) return;
    if (this.#peerResets.delete(id)) {
      // A stream error and no more: netty's cancellation overtakes the DATA that it had queued.
      this.#resetId(id, ErrorCode.streamClosed);
      return;
    }
    throw new H2Error(ErrorCode.streamClosed, `${what} on a closed stream`);
  }

  #onHeaders(b: Buffer, flags: number, id: number, start: number, end: number): void {
    if (id === 0 || (id & 1) === 0) throw new H2Error(ErrorCode.protocolError, 'HEADERS on a bad stream');
    let padding = 0;
    if ((flags & Flag.padded) !== 0) {
      if (start >= end) throw new H2Error(ErrorCode.frameSizeError, 'no padding length');
      padding = b[start++] as number;
    }
    let selfDependent = false;
    if ((flags & Flag.priority) !== 0) {
      if (end - start < 5) throw new H2Error(ErrorCode.frameSizeError, 'no priority fields');
      selfDependent = (readUint32(b, start) & 0x7fffffff) === id;
      start += 5;
    }
    if (padding > end - start) throw new H2Error(ErrorCode.protocolError, 'padding longer than its frame');
    end -= padding;
    if ((flags & Flag.endHeaders) !== 0) {
      this.#headerBlock(id, (flags & Flag.endStream) !== 0, selfDependent, b, start, end);
      return;
    }
    this.#blockStream = id;
    this.#blockFlags = flags;
    this.#blockSelfDependent = selfDependent;
    this.#blockParts = [b.subarray(start, end)];
    this.#blockBytes = end - start;
    this.#blockSinceMs = this.nowMs;
  }

  #onContinuation(b: Buffer, flags: number, id: number, start: number, end: number): void {
    if (this.#blockStream === 0) throw new H2Error(ErrorCode.protocolError, 'CONTINUATION without HEADERS');
    this.#blockParts.push(b.subarray(start, end));
    this.#blockBytes += end - start;
    if (this.#blockParts.length > this.limits.continuationsMax || this.#blockBytes > this.limits.headerListBytesMax * 2) {
      throw new H2Error(ErrorCode.enhanceYourCalm, 'header block too large');
    }
    if ((flags & Flag.endHeaders) === 0) return;
    const block = Buffer.concat(this.#blockParts);
    this.#blockParts = [];
    this.#blockStream = 0;
    this.#blockSinceMs = Infinity;
    this.#headerBlock(id, (this.#blockFlags & Flag.endStream) !== 0, this.#blockSelfDependent, block, 0, block.length);
  }

  #headerBlock(id: number, endStream: boolean, selfDependent: boolean, b: Buffer, start: number, end: number): void {
    const stream = this.#streams.get(id);
    if (stream === undefined && id > this.#lastStreamId) {
      this.#request(id, endStream, selfDependent, b, start, end);
      return;
    }
    // Decoded in any case: the table must follow.
    const entries: HeaderEntry[] = [];
    this.#decoder.decode(b, start, end, entries);
    if (stream === undefined) {
      this.#count();
      this.#unknownStream(id, 'HEADERS');
    } else if (stream.remoteClosed) this.#streamError(stream, ErrorCode.streamClosed);
    else if (!endStream || selfDependent || !areTrailers(entries) || stream.lengthMissing())
      this.#streamError(stream, ErrorCode.protocolError);
    else {
      stream.remoteClosed = true;
      stream.ended();
    }
  }

  #request(id: number, endStream: boolean, selfDependent: boolean, b: Buffer, start: number, end: number): void {
    this.#lastStreamId = id;
    let head = this.#cachedHead(b, start, end);
    let timeoutMs = head?.timeoutMs ?? Infinity;
    if (head === undefined) {
      const entries: HeaderEntry[] = [];
      const { version } = this.#decoder;
      this.#decoder.decode(b, start, end, entries);
      if (this.#decoder.tooLarge) {
        // Unpacking a list costs up to a thousand times its frame: a client that keeps sending them is sent away soon.
        this.#chargeReset(oversizedHeadersCost);
        this.headers(id, 431, [], true);
        this.#resetId(id, ErrorCode.noError);
        return;
      }
      head = this.#headOf(entries);
      if (head === undefined) {
        this.#chargeReset();
        this.#resetId(id, ErrorCode.protocolError);
        return;
      }
      timeoutMs = timeoutOf(entries);
      if (Number.isNaN(timeoutMs)) {
        // The words for it are found where requests are judged.
        const call = this.host.grpc.head(head.method, head.path, head.authority, entries);
        head = { ...head, call };
        timeoutMs = Infinity;
      } else if (version === this.#decoder.version && end - start <= headCacheBytesMax) this.#cacheHead(b, start, end, head, timeoutMs);
    }
    if (selfDependent || (endStream && head.contentLength > 0)) {
      this.#chargeReset();
      this.#resetId(id, ErrorCode.protocolError);
      return;
    }
    const { grpc } = this.host;
    if (id > this.#goawayLast || !grpc.admits(this.#streams.size)) {
      this.#chargeReset();
      this.#resetId(id, ErrorCode.refusedStream);
      return;
    }
    // A put, a watch or a lease's renewal does not wait for those who read everything.
    const defer = this.congested && head.call?.entry?.waits !== false;
    if (defer && this.#deferred.length >= this.limits.deferredCallsMax) {
      this.#resetId(id, ErrorCode.refusedStream);
      return;
    }
    const stream = new NativeStream(id, this, head, timeoutMs, this.#peerInitialWindow, this.limits.streamWindowBytes, this.nowMs);
    this.#streams.set(id, stream);
    grpc.openStreams++;
    if (endStream) stream.remoteClosed = true;
    if (defer) this.#deferred.push(stream);
    stream.open(defer);
    if (endStream && !stream.localClosed) stream.ended();
  }

  /** The meaning of a block that came before, as long as the table it refers to is the same. */
  #cachedHead(b: Buffer, start: number, end: number): RequestHead | undefined {
    const length = end - start;
    const { version } = this.#decoder;
    const cache = this.#headCache;
    next: for (let i = 0; i < cache.length; i++) {
      const { block, version: then, head } = cache[i] as CachedHead;
      if (block.length !== length || then !== version) continue;
      for (let j = 0; j < length; j++) if (block[j] !== b[start + j]) continue next;
      return head;
    }
    return undefined;
  }

  #cacheHead(b: Buffer, start: number, end: number, shared: RequestHead, timeoutMs: number): void {
    const head = shared.timeoutMs === timeoutMs ? shared : { ...shared, timeoutMs };
    const entry = { block: new Uint8Array(b.subarray(start, end)), version: this.#decoder.version, head };
    if (this.#headCache.length < headCacheEntries) this.#headCache.push(entry);
    else {
      this.#headCache[this.#headCacheNext] = entry;
      this.#headCacheNext = (this.#headCacheNext + 1) % headCacheEntries;
    }
  }

  #headOf(entries: readonly HeaderEntry[]): RequestHead | undefined {
    const recent = this.#recentHeads;
    for (let i = 0; i < recent.length; i++) {
      const { entries: before, head } = recent[i] as { entries: readonly HeaderEntry[]; head: RequestHead };
      if (sameButTimeout(entries, before)) return head;
    }
    const parsed = parseHead(entries);
    if (parsed === undefined) return undefined;
    const { method, scheme, path, authority, fields, contentLength } = parsed;
    const call = isGrpcContentType(parsed.contentType) ? this.host.grpc.head(method, path, authority, fields) : undefined;
    const head: RequestHead = { method, scheme, path, authority, call, timeoutMs: call?.timeoutMs ?? Infinity, fields, contentLength };
    // Refused ones may owe it to their timeout.
    if (call?.entry !== undefined) {
      if (recent.length < recentHeadEntries) recent.push({ entries, head });
      else {
        recent[this.#recentHeadsNext] = { entries, head };
        this.#recentHeadsNext = (this.#recentHeadsNext + 1) % recentHeadEntries;
      }
    }
    return head;
  }

  #onPriority(b: Buffer, id: number, start: number, end: number): void {
    if (id === 0) throw new H2Error(ErrorCode.protocolError, 'PRIORITY without a stream');
    this.#count();
    const stream = this.#streams.get(id);
    const code =
      end - start !== 5
        ? ErrorCode.frameSizeError
        : (readUint32(b, start) & 0x7fffffff) === id
          ? ErrorCode.protocolError
          : ErrorCode.noError;
    if (code === ErrorCode.noError) return;
    if (stream === undefined) throw new H2Error(code, 'bad PRIORITY');
    this.#streamError(stream, code);
  }

  #onRstStream(id: number, length: number): void {
    if (id === 0) throw new H2Error(ErrorCode.protocolError, 'RST_STREAM without a stream');
    if (length !== 4) throw new H2Error(ErrorCode.frameSizeError, 'RST_STREAM of a bad length');
    if (id > this.#lastStreamId || (id & 1) === 0) throw new H2Error(ErrorCode.protocolError, 'RST_STREAM on an idle stream');
    const stream = this.#streams.get(id);
    if (stream === undefined) {
      // Netty answers each DATA frame that still comes on a stream it has cancelled.
      if (!this.#windowUpdates.take(this.nowMs)) throw new H2Error(ErrorCode.enhanceYourCalm, 'too many RST_STREAM frames');
      return;
    }
    this.#peerResets.add(id);
    // One that was answered has cost its worth; one broken off before costs us work for nothing.
    if (!stream.localClosed) this.#chargeReset();
    this.#forget(stream);
    stream.abort();
  }

  #onSettings(b: Buffer, flags: number, id: number, start: number, end: number): void {
    if (id !== 0) throw new H2Error(ErrorCode.protocolError, 'SETTINGS on a stream');
    if ((flags & Flag.ack) !== 0) {
      if (end !== start) throw new H2Error(ErrorCode.frameSizeError, 'SETTINGS acknowledgement with a payload');
      if (!this.#settingsSeen) throw new H2Error(ErrorCode.protocolError, 'the first frame must be SETTINGS');
      this.#count();
      return;
    }
    if ((end - start) % 6 !== 0) throw new H2Error(ErrorCode.frameSizeError, 'SETTINGS of a bad length');
    this.#count();
    this.#settingsSeen = true;
    for (let p = start; p < end; p += 6) this.#setting(((b[p] as number) << 8) | (b[p + 1] as number), readUint32(b, p + 2));
    writeSettingsAck(this.out());
  }

  #setting(id: number, value: number): void {
    switch (id) {
      case Setting.headerTableSize:
        this.#encoder.setTableSize(value);
        return;
      case Setting.enablePush:
        if (value > 1) throw new H2Error(ErrorCode.protocolError, 'bad ENABLE_PUSH');
        return;
      case Setting.maxFrameSize:
        // We never send more than the least allowed.
        if (value < 16_384 || value > 16_777_215) throw new H2Error(ErrorCode.protocolError, 'bad MAX_FRAME_SIZE');
        return;
      case Setting.initialWindowSize: {
        if (value > windowBytesMax) throw new H2Error(ErrorCode.flowControlError, 'initial window too large');
        const change = value - this.#peerInitialWindow;
        this.#peerInitialWindow = value;
        this.#streams.forEach((stream) => {
          stream.sendWindow += change;
          if (stream.sendWindow > windowBytesMax) throw new H2Error(ErrorCode.flowControlError, 'window too large');
          if (change > 0) this.#wake(stream);
        });
      }
    }
  }

  #onPing(b: Buffer, flags: number, id: number, start: number, end: number): void {
    if (id !== 0) throw new H2Error(ErrorCode.protocolError, 'PING on a stream');
    if (end - start !== 8) throw new H2Error(ErrorCode.frameSizeError, 'PING of a bad length');
    if ((flags & Flag.ack) !== 0) {
      if (this.#draining && this.#goawayLast === Infinity && b.compare(drainPing, 0, 8, start, end) === 0) this.#finishDrain();
      else this.#count();
      return;
    }
    if (!this.#keepalive.pingReceived(this.nowMs, this.#streams.size > 0)) {
      throw new H2Error(ErrorCode.enhanceYourCalm, 'too_many_pings');
    }
    if (this.#answered && this.#heldPing === undefined) {
      this.#answered = false;
      this.#heldPing = Buffer.from(b.subarray(start, end));
      this.#pingTimer ??= this.host.grpc.clock.after(pingHeldMs, this.#releasePing);
    } else writePing(this.out(), b.subarray(start, end), true);
  }

  readonly #releasePing = (): void => {
    this.#pingTimer = undefined;
    // Nothing is written behind the end of the connection.
    if (this.#heldPing !== undefined && !this.#closing) this.out();
  };

  #finishDrain(): void {
    this.#goawayLast = this.#lastStreamId;
    writeGoaway(this.out(), this.#lastStreamId, ErrorCode.noError, '');
    this.#closeWhenDrained();
  }

  #closeWhenDrained(): void {
    if (this.#goawayLast === Infinity || this.#streams.size > 0 || this.#closing) return;
    this.#closingMs = this.nowMs;
    // After what is being written in this turn.
    process.nextTick(() => {
      this.flush();
      if (!this.#gone) this.#socket.end();
    });
  }

  #onWindowUpdate(b: Buffer, id: number, start: number, end: number): void {
    if (end - start !== 4) throw new H2Error(ErrorCode.frameSizeError, 'WINDOW_UPDATE of a bad length');
    if (!this.#windowUpdates.take(this.nowMs)) throw new H2Error(ErrorCode.enhanceYourCalm, 'too many WINDOW_UPDATE frames');
    const increment = readUint32(b, start) & 0x7fffffff;
    if (id === 0) {
      if (increment === 0) throw new H2Error(ErrorCode.protocolError, 'WINDOW_UPDATE of nothing');
      this.#sendWindow += increment;
      if (this.#sendWindow > windowBytesMax) throw new H2Error(ErrorCode.flowControlError, 'connection window too large');
      if (this.#hasSendList) this.#markDirty();
      return;
    }
    const stream = this.#streams.get(id);
    if (stream === undefined) {
      // Closed streams may still be updated; idle ones may not.
      if (id > this.#lastStreamId || (id & 1) === 0) throw new H2Error(ErrorCode.protocolError, 'WINDOW_UPDATE on an idle stream');
      return;
    }
    if (increment === 0) {
      this.#streamError(stream, ErrorCode.protocolError);
      return;
    }
    stream.sendWindow += increment;
    if (stream.sendWindow > windowBytesMax) this.#streamError(stream, ErrorCode.flowControlError);
    else this.#wake(stream);
  }

  // ---- streams

  /** Resets a stream for what its peer did; too many of them end the connection. */
  #streamError(stream: NativeStream, code: ErrorCode): void {
    this.#chargeReset();
    this.resetStream(stream, code);
  }

  #chargeReset(cost = 1): void {
    if (!this.#resets.take(this.nowMs, cost)) throw new H2Error(ErrorCode.enhanceYourCalm, 'too many resets');
  }

  resetStream(stream: NativeStream, code: ErrorCode): void {
    this.#resetId(stream.id, code);
    this.#forget(stream);
    stream.abort();
    this.#closeWhenDrained();
  }

  #resetId(id: number, code: ErrorCode): void {
    writeRstStream(this.out(), id, code);
    this.#recentResets.add(id);
  }

  /** Both sides have ended. */
  removeStream(stream: NativeStream): void {
    this.#forget(stream);
    this.#closeWhenDrained();
  }

  #forget(stream: NativeStream): void {
    if (!this.#streams.delete(stream.id)) return;
    this.host.grpc.openStreams--;
    if (stream.queuedBytes > 0) this.queued(-stream.queuedBytes);
  }

  // ---- output

  /** The buffer of this turn; what is written there leaves with the next flush. */
  out(): Writer {
    let w = this.#writer;
    if (w === undefined) {
      w = this.host.writers.take();
      this.#writer = w;
      this.#sealed = 0;
    }
    if (!this.#dirty) this.#markDirty();
    return w;
  }

  #markDirty(): void {
    if (this.#dirty) return;
    this.#dirty = true;
    if (!this.#reading) this.host.flushSoon(this);
  }

  /** HEADERS or DATA leave: pings of the peer around them are no abuse. */
  sent(): void {
    this.#answered = true;
    this.#keepalive.sent();
  }

  windowUpdate(id: number, increment: number): void {
    writeWindowUpdate(this.out(), id, increment);
  }

  /** Room for so much DATA right now, on the connection and its socket. */
  maySend(length: number): boolean {
    return length <= this.#sendWindow && this.#sendAt === this.#sendList.length && this.#socketRoom;
  }

  get #socketRoom(): boolean {
    return (
      this.#socket.writableLength + this.#chunkBytes + (this.#writer === undefined ? 0 : this.#writer.pos - this.#sealed) <
      this.limits.socketHighWaterBytes
    );
  }

  tookWindow(length: number): void {
    this.#sendWindow -= length;
    this.#windowUpdates.earn(4);
  }

  queued(bytes: number): void {
    this.#queuedBytes += bytes;
    this.host.grpc.queuedBytes += bytes;
  }

  /** Response headers of a good call. */
  grpcHeaders(id: number): void {
    const w = this.out();
    const at = w.pos;
    w.reserve(frameHeaderBytes);
    w.pos = at + frameHeaderBytes;
    this.#encoder.writeGrpcHeaders(w);
    putFrameHeader(w.buf, at, w.pos - at - frameHeaderBytes, FrameType.headers, Flag.endHeaders, id);
  }

  /** Trailers of a good call. */
  grpcOk(id: number): void {
    const w = this.out();
    const at = w.pos;
    w.reserve(frameHeaderBytes);
    w.pos = at + frameHeaderBytes;
    this.#encoder.writeGrpcOk(w);
    putFrameHeader(w.buf, at, w.pos - at - frameHeaderBytes, FrameType.headers, Flag.endHeaders | Flag.endStream, id);
  }

  /** Any other header block; trailers with a `status` of 0. A block above one frame goes on in CONTINUATION. */
  headers(id: number, status: number, fields: readonly (readonly [string, string])[], endStream: boolean): void {
    const block = scratchWriter();
    this.#encoder.writeFields(block, status, fields);
    const w = this.out();
    let at = 0;
    do {
      const n = Math.min(block.pos - at, frameBytesMax);
      const last = at + n === block.pos;
      writeFrameHeader(
        w,
        n,
        at === 0 ? FrameType.headers : FrameType.continuation,
        (last ? Flag.endHeaders : 0) | (endStream && at === 0 ? Flag.endStream : 0),
        id,
      );
      w.raw(block.buf.subarray(at, at + n));
      at += n;
    } while (at < block.pos);
  }

  /** Bytes of a DATA frame: small ones are copied, large ones are kept as they are until they are written. */
  writeBytes(bytes: Uint8Array): void {
    const w = this.out();
    if (bytes.length <= copyBytesMax) {
      w.raw(bytes);
      return;
    }
    this.#seal(w);
    this.#chunks.push(bytes);
    this.#chunkBytes += bytes.length;
  }

  #seal(w: Writer): void {
    if (w.pos === this.#sealed) return;
    this.#chunks.push(w.buf.subarray(this.#sealed, w.pos));
    this.#chunkBytes += w.pos - this.#sealed;
    this.#sealed = w.pos;
  }

  get #hasSendList(): boolean {
    return this.#sendAt < this.#sendList.length;
  }

  /** A stream has something to send. */
  wantSend(stream: NativeStream): void {
    if (stream.inSendList || !stream.sendable) return;
    stream.inSendList = true;
    this.#sendList.push(stream);
    this.#markDirty();
  }

  /** A stream's window has opened. */
  #wake(stream: NativeStream): void {
    if (stream.queuedBytes > 0) this.wantSend(stream);
  }

  /** Moves queued DATA into the output, a frame of each stream in turn, as far as windows and the socket allow. */
  #pump(): void {
    const list = this.#sendList;
    while (this.#sendAt < list.length && this.#socketRoom) {
      const stream = list[this.#sendAt] as NativeStream;
      if (stream.sendable && stream.queuedBytes > 0 && this.#sendWindow <= 0) break;
      this.#sendAt++;
      stream.inSendList = false;
      if (!stream.sendable) continue;
      const n = stream.writeSome(this.#sendWindow);
      if (n > 0) {
        this.tookWindow(n);
        this.#queuedBytes -= n;
        this.host.grpc.queuedBytes -= n;
        this.sent();
      }
      if (stream.sendable) {
        stream.inSendList = true;
        list.push(stream);
      }
      if (n > 0 && !stream.localClosed) this.#drained.push(stream);
    }
    if (this.#sendAt === list.length || this.#sendAt > 4_096) {
      list.splice(0, this.#sendAt);
      this.#sendAt = 0;
    }
  }

  readonly #drained: NativeStream[] = [];
  /** HEADERS or DATA left since the last ping that was held. */
  #answered = false;
  /** Payload of a ping that is yet to be acknowledged. */
  #heldPing: Buffer | undefined;
  #pingTimer: Timer | undefined;

  /** Writes what this turn has gathered. */
  flush(): void {
    for (let round = 0; ; round++) {
      this.#dirty = false;
      if (this.#gone) return;
      if (this.#hasSendList) this.#pump();
      this.#write();
      if (this.#drained.length > 0) for (const stream of this.#drained.splice(0)) stream.notifyDrained();
      if (this.#deferred.length > 0) this.#beginDeferred();
      const more = (this.#dirty || this.#hasSendList) && this.#socketRoom && (this.#dirty || this.#sendWindow > 0);
      if (!more) break;
      if (round === flushRoundsMax) {
        // Others want their turn as well.
        this.#dirty = true;
        setImmediate(() => this.flush());
        return;
      }
    }
  }

  #beginDeferred(): void {
    while (this.#deferred.length > 0 && this.#queuedBytes * 2 <= this.limits.connectionHighWaterBytes) {
      const stream = this.#deferred.shift() as NativeStream;
      if (this.#streams.get(stream.id) === stream) stream.beginDeferred();
    }
  }

  #write(): void {
    const w = this.#writer;
    if (w === undefined) return;
    if (this.#heldPing !== undefined) {
      writePing(w, this.#heldPing, true);
      this.#heldPing = undefined;
    }
    const socket = this.#socket;
    this.#writer = undefined;
    if (this.#chunks.length === 0) {
      if (w.pos > 0) socket.write(w.buf.subarray(0, w.pos));
    } else {
      this.#seal(w);
      socket.cork();
      for (const chunk of this.#chunks) socket.write(chunk);
      socket.uncork();
      this.#chunks = [];
      this.#chunkBytes = 0;
    }
    // With nothing left in the socket the kernel has it all, and the buffer is free again; otherwise the socket owns it.
    if (socket.writableLength === 0) this.host.writers.give(w);
  }

  /** Reads on, unless something else speaks against it. */
  readonly #readOn = (): void => {
    this.#resting = false;
    if (!this.#readStopped && !this.#failed && !this.#gone) this.#socket.resume();
  };

  #onDrain(): void {
    if (this.#readStopped) {
      this.#readStopped = false;
      if (!this.#resting) this.#readOn();
    }
    this.nowMs = this.host.grpc.clock.mono();
    if (this.#hasSendList) this.#markDirty();
  }
}

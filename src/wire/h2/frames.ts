/**
 * HTTP/2 frames: numbers of RFC 9113 and the writing of the short ones.
 *
 * A frame is length (3 bytes), type (1), flags (1), stream id (4, highest bit unused), payload. Big endian throughout.
 */
import type { Writer } from '../../api/proto-io.ts';

export const FrameType = {
  data: 0,
  headers: 1,
  priority: 2,
  rstStream: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

export const Flag = { endStream: 1, ack: 1, endHeaders: 4, padded: 8, priority: 32 } as const;

export const ErrorCode = {
  noError: 0,
  protocolError: 1,
  internalError: 2,
  flowControlError: 3,
  settingsTimeout: 4,
  streamClosed: 5,
  frameSizeError: 6,
  refusedStream: 7,
  cancel: 8,
  compressionError: 9,
  connectError: 10,
  enhanceYourCalm: 11,
  inadequateSecurity: 12,
  http11Required: 13,
} as const;
export type ErrorCode = (typeof ErrorCode)[keyof typeof ErrorCode];

export const Setting = {
  headerTableSize: 1,
  enablePush: 2,
  maxConcurrentStreams: 3,
  initialWindowSize: 4,
  maxFrameSize: 5,
  maxHeaderListSize: 6,
} as const;

export const frameHeaderBytes = 9;
/** The largest frame we take: the protocol's default, never raised, so that a buffer for one is small. */
export const frameBytesMax = 16_384;
/** Flow-control windows before any SETTINGS; also the one of a connection. */
export const initialWindowBytes = 65_535;
export const windowBytesMax = 2_147_483_647;
export const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');

/** Writes a frame header and leaves `w` behind it. */
export function writeFrameHeader(w: Writer, length: number, type: number, flags: number, streamId: number): void {
  w.reserve(frameHeaderBytes);
  putFrameHeader(w.buf, w.pos, length, type, flags, streamId);
  w.pos += frameHeaderBytes;
}

export function putFrameHeader(b: Buffer, at: number, length: number, type: number, flags: number, streamId: number): void {
  b[at] = length >>> 16;
  b[at + 1] = length >>> 8;
  b[at + 2] = length;
  b[at + 3] = type;
  b[at + 4] = flags;
  b[at + 5] = streamId >>> 24;
  b[at + 6] = streamId >>> 16;
  b[at + 7] = streamId >>> 8;
  b[at + 8] = streamId;
}

export function writeUint32(w: Writer, v: number): void {
  w.reserve(4);
  const b = w.buf;
  const p = w.pos;
  b[p] = v >>> 24;
  b[p + 1] = v >>> 16;
  b[p + 2] = v >>> 8;
  b[p + 3] = v;
  w.pos = p + 4;
}

export function writeRstStream(w: Writer, streamId: number, code: ErrorCode): void {
  writeFrameHeader(w, 4, FrameType.rstStream, 0, streamId);
  writeUint32(w, code);
}

export function writeWindowUpdate(w: Writer, streamId: number, increment: number): void {
  writeFrameHeader(w, 4, FrameType.windowUpdate, 0, streamId);
  writeUint32(w, increment);
}

export function writeSettings(w: Writer, settings: readonly (readonly [number, number])[]): void {
  writeFrameHeader(w, settings.length * 6, FrameType.settings, 0, 0);
  for (const [id, value] of settings) {
    w.reserve(2);
    w.buf[w.pos++] = id >>> 8;
    w.buf[w.pos++] = id;
    writeUint32(w, value);
  }
}

export function writeSettingsAck(w: Writer): void {
  writeFrameHeader(w, 0, FrameType.settings, Flag.ack, 0);
}

/** `payload` is eight bytes. */
export function writePing(w: Writer, payload: Uint8Array, ack: boolean): void {
  writeFrameHeader(w, 8, FrameType.ping, ack ? Flag.ack : 0, 0);
  w.raw(payload);
}

export function writeGoaway(w: Writer, lastStreamId: number, code: ErrorCode, debug: string): void {
  const text = Buffer.from(debug, 'latin1');
  writeFrameHeader(w, 8 + text.length, FrameType.goaway, 0, 0);
  writeUint32(w, lastStreamId);
  writeUint32(w, code);
  w.raw(text);
}

export function readUint32(b: Uint8Array, at: number): number {
  return (((b[at] as number) << 24) | ((b[at + 1] as number) << 16) | ((b[at + 2] as number) << 8) | (b[at + 3] as number)) >>> 0;
}

/** Something the peer may not do; ends the stream, or the connection when `streamId` is 0. Never leaves the connection that throws it. */
export class H2Error extends Error {
  readonly code: ErrorCode;
  readonly streamId: number;

  constructor(code: ErrorCode, message: string, streamId = 0) {
    super(message);
    this.code = code;
    this.streamId = streamId;
  }
}

/** A rate with a burst: `take` is false when more came than is allowed. Time in ms. */
export class TokenBucket {
  readonly #burst: number;
  readonly #perMs: number;
  #tokens: number;
  #lastMs: number;

  constructor(burst: number, perSecond: number, nowMs: number) {
    this.#burst = burst;
    this.#perMs = perSecond / 1000;
    this.#tokens = burst;
    this.#lastMs = nowMs;
  }

  take(nowMs: number, cost = 1): boolean {
    if (this.#tokens < cost) {
      this.#tokens = Math.min(this.#burst, this.#tokens + (nowMs - this.#lastMs) * this.#perMs);
      this.#lastMs = nowMs;
      if (this.#tokens < cost) return false;
    }
    this.#tokens -= cost;
    return true;
  }

  earn(n: number): void {
    if (this.#tokens < this.#burst) this.#tokens += n;
  }
}

// HTTP/2 by hand: frames out, frames in, and a socket that exists in memory only.
import { EventEmitter } from 'node:events';
import type { Duplex } from 'node:stream';
import { huffman } from '../../../src/wire/h2/hpack-tables.ts';

export const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly id: number;
  readonly payload: Buffer;
}

export function frame(type: number, flags: number, id: number, payload: Uint8Array = Buffer.alloc(0)): Buffer {
  const out = Buffer.alloc(9 + payload.length);
  out.writeUIntBE(payload.length, 0, 3);
  out[3] = type;
  out[4] = flags;
  out.writeUInt32BE(id >>> 0, 5);
  out.set(payload, 9);
  return out;
}

export function u32(...values: number[]): Buffer {
  const out = Buffer.alloc(values.length * 4);
  values.forEach((v, i) => out.writeUInt32BE(v >>> 0, i * 4));
  return out;
}

/** Whole frames at the start of `bytes`, and what is left. */
export function parseFrames(bytes: Buffer): { frames: Frame[]; rest: Buffer } {
  const frames: Frame[] = [];
  let p = 0;
  while (bytes.length - p >= 9) {
    const length = bytes.readUIntBE(p, 3);
    if (bytes.length - p < 9 + length) break;
    frames.push({
      type: bytes[p + 3] as number,
      flags: bytes[p + 4] as number,
      id: bytes.readUInt32BE(p + 5) & 0x7fffffff,
      payload: bytes.subarray(p + 9, p + 9 + length),
    });
    p += 9 + length;
  }
  return { frames, rest: bytes.subarray(p) };
}

export function hpackInteger(pattern: number, prefix: number, v: number): Buffer {
  const mask = (1 << prefix) - 1;
  if (v < mask) return Buffer.from([pattern | v]);
  const out = [pattern | mask];
  v -= mask;
  while (v >= 128) {
    out.push((v & 127) | 128);
    v >>>= 7;
  }
  out.push(v);
  return Buffer.from(out);
}

export function huffmanEncode(text: string): Buffer {
  const out: number[] = [];
  let bits = 0;
  let count = 0;
  for (let i = 0; i < text.length; i++) {
    const byte = text.charCodeAt(i) & 255;
    const code = huffman.codes[byte] as number;
    for (let left = huffman.lengths[byte] as number; left > 0;) {
      const n = Math.min(left, 8 - count);
      bits = (bits << n) | ((code >>> (left - n)) & ((1 << n) - 1));
      count += n;
      left -= n;
      if (count === 8) {
        out.push(bits);
        bits = 0;
        count = 0;
      }
    }
  }
  if (count > 0) out.push((bits << (8 - count)) | ((1 << (8 - count)) - 1));
  return Buffer.from(out);
}

export function hpackString(text: string, coded = false): Buffer {
  const body = coded ? huffmanEncode(text) : Buffer.from(text, 'latin1');
  return Buffer.concat([hpackInteger(coded ? 0x80 : 0, 7, body.length), body]);
}

/** Plain literals, in no table. */
export function block(fields: readonly (readonly [string, string])[]): Buffer {
  return Buffer.concat(fields.flatMap(([name, value]) => [Buffer.from([0]), hpackString(name), hpackString(value)]));
}

export function grpcFields(path: string, more: readonly (readonly [string, string])[] = []): (readonly [string, string])[] {
  return [
    [':method', 'POST'],
    [':scheme', 'http'],
    [':path', path],
    [':authority', 'test'],
    ['content-type', 'application/grpc'],
    ['te', 'trailers'],
    ...more,
  ];
}

export function message(body: Uint8Array): Buffer {
  const out = Buffer.alloc(5 + body.length);
  out.writeUInt32BE(body.length, 1);
  out.set(body, 5);
  return out;
}

/** What a connection uses of a socket. Takes every write at once, unless `blocked`. */
export class FakeSocket extends EventEmitter {
  destroyed = false;
  ended = false;
  paused = true;
  blocked = false;
  writableLength = 0;
  bytesWritten = 0;
  #chunks: Buffer[] = [];

  write(chunk: Buffer): boolean {
    if (this.destroyed) return false;
    // The buffer is the connection's again after the call.
    this.#chunks.push(Buffer.from(chunk));
    this.bytesWritten += chunk.length;
    if (this.blocked) this.writableLength += chunk.length;
    return !this.blocked;
  }

  cork(): void {}
  uncork(): void {}
  pause(): void {
    this.paused = true;
  }
  resume(): void {
    this.paused = false;
  }
  end(): void {
    this.ended = true;
  }
  destroy(): void {
    if (this.destroyed) return;
    this.destroyed = true;
    this.emit('close');
  }

  unblock(): void {
    this.blocked = false;
    this.writableLength = 0;
    this.emit('drain');
  }

  /** Frames written since the last call. */
  take(): Frame[] {
    const { frames } = parseFrames(Buffer.concat(this.#chunks));
    this.#chunks = [];
    return frames;
  }

  drop(): void {
    this.#chunks = [];
  }

  get duplex(): Duplex {
    return this as unknown as Duplex;
  }
}

/** A clock that a test moves. */
export class TestClock {
  now = 1_000;
  readonly timers = new Set<{ at: number; every: number; fn: () => void }>();
  mono(): number {
    return this.now;
  }
  wall(): number {
    return 1_700_000_000_000 + this.now;
  }
  after(ms: number, fn: () => void) {
    return this.#add(ms, 0, fn);
  }
  every(ms: number, fn: () => void) {
    return this.#add(ms, ms, fn);
  }
  defer(fn: () => void): void {
    setImmediate(fn);
  }
  #add(ms: number, every: number, fn: () => void) {
    const timer = { at: this.now + ms, every, fn };
    this.timers.add(timer);
    return { cancel: () => void this.timers.delete(timer) };
  }
  advance(ms: number): void {
    const end = this.now + ms;
    for (;;) {
      let next: { at: number; every: number; fn: () => void } | undefined;
      for (const t of this.timers) if (t.at <= end && (next === undefined || t.at < next.at)) next = t;
      if (next === undefined) break;
      this.now = Math.max(this.now, next.at);
      if (next.every > 0) next.at += next.every;
      else this.timers.delete(next);
      next.fn();
    }
    this.now = end;
  }
}

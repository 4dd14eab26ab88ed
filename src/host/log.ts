/**
 * The log as other programs read it: one JSON object a line in zap's key order (level, ts, logger, caller, msg, fields, stacktrace), or tab-
 * separated for people. Writing never blocks the event loop: a pipe or terminal is written without waiting and its backlog is bounded; a
 * file is written by libuv's pool, one write in flight.
 */
import { closeSync, constants, fstatSync, mkdirSync, openSync, write, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Log, LogFields, LogRotation } from '../base/log.ts';
import { RotatedFile } from './rotated-file.ts';

export const logLevels = ['debug', 'info', 'warn', 'error', 'dpanic', 'panic', 'fatal'] as const;
export type LogLevel = (typeof logLevels)[number];

/** Bytes a sink holds for a reader that does not read; what comes on top is counted and dropped. */
const backlogBytesMax = 1 << 20;
/** Time between attempts to write to a full pipe. */
const retryMs = 10;
/** Longest time `flush` waits for a full pipe when the process ends. */
const flushMs = 500;
/** Equal messages a second that are written; of further ones every `sampleEvery`-th. */
const sampleFirst = 100;
const sampleEvery = 100;

export interface Sink {
  write(line: string): void;
  /** Writes what is held, on this thread; for the end of the process. */
  flush(): void;
  close(): void;
}

export interface LogOptions {
  readonly level: LogLevel;
  readonly format: 'json' | 'console';
  /** Times without fractions of a second, in the console's form. */
  readonly wholeSeconds?: boolean | undefined;
  readonly sinks: readonly Sink[];
}

export interface HostLog extends Log {
  /** What is written from now on; for this log and all that are named after it. */
  level: LogLevel;
  flush(): void;
  close(): void;
}

export function createLog(options: LogOptions): HostLog {
  return new ZapLog(options, { level: options.level, sampler: new Sampler() }, undefined);
}

/**
 * `stderr`, `stdout`, `default` (stderr) or a file path. `rotation`: the file is replaced as it grows.
 * @throws the file system's error.
 */
export function openSink(output: string, rotation?: LogRotation): Sink {
  if (output === 'default' || output === 'stderr') return openStream(2);
  if (output === 'stdout') return openStream(1);
  // As etcd: only files that rotate get their folder made.
  if (rotation !== undefined) mkdirSync(dirname(output), { recursive: true, mode: 0o700 });
  const fd = openSync(output, 'a', 0o600);
  return new FileSink(fd, true, rotation === undefined ? undefined : new RotatedFile(output, rotation));
}

function openStream(fd: 1 | 2): Sink {
  let stat;
  try {
    stat = fstatSync(fd);
  } catch {
    return new NullSink();
  }
  if (stat.isFile()) return new FileSink(fd, false);
  if (stat.isSocket()) return new SocketSink(fd);
  try {
    // A second opening of the same pipe or terminal has flags of its own, so that not waiting is not forced on who shares it with us.
    return new PipeSink(openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY), true);
  } catch {
    return new PipeSink(fd, false);
  }
}

/** Blocks this thread: only at the end of the process. */
function pause(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

class NullSink implements Sink {
  write(): void {}
  flush(): void {}
  close(): void {}
}

class PipeSink implements Sink {
  readonly #fd: number;
  readonly #owned: boolean;
  #backlog: Buffer[] = [];
  #backlogBytes = 0;
  #dropped = 0;
  #timer: NodeJS.Timeout | undefined;
  #gone = false;

  constructor(fd: number, owned: boolean) {
    this.#fd = fd;
    this.#owned = owned;
  }

  write(line: string): void {
    if (this.#gone) return;
    const bytes = Buffer.from(line, 'utf8');
    if (this.#backlog.length === 0) {
      const n = this.#try(bytes);
      if (n < bytes.length) this.#hold(bytes.subarray(n));
    } else if (this.#backlogBytes + bytes.length > backlogBytesMax) {
      this.#dropped++;
    } else {
      this.#hold(bytes);
    }
  }

  #hold(bytes: Buffer): void {
    this.#backlog.push(bytes);
    this.#backlogBytes += bytes.length;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#drain();
    }, retryMs).unref();
  }

  #drain(): void {
    while (this.#backlog.length > 0) {
      const first = this.#backlog[0] as Buffer;
      const n = this.#try(first);
      this.#backlogBytes -= n;
      if (n < first.length) {
        this.#backlog[0] = first.subarray(n);
        this.#timer ??= setTimeout(() => {
          this.#timer = undefined;
          this.#drain();
        }, retryMs).unref();
        return;
      }
      this.#backlog.shift();
    }
    if (this.#dropped > 0) {
      const dropped = this.#dropped;
      this.#dropped = 0;
      this.write(
        `{"level":"warn","ts":"${timestamp()}","caller":"host/log.ts","msg":"dropped log lines: nobody read them","dropped":${dropped}}\n`,
      );
    }
  }

  /** Bytes taken: fewer than given when the pipe is full. */
  #try(bytes: Buffer): number {
    let at = 0;
    while (at < bytes.length) {
      try {
        at += writeSync(this.#fd, bytes, at);
      } catch (error) {
        const code = (error as NodeJS.ErrnoException).code;
        if (code === 'EAGAIN') return at;
        // EPIPE, EIO: the reader is gone for good. A member outlives who reads its log.
        this.#gone = true;
        this.#backlog = [];
        this.#backlogBytes = 0;
        return bytes.length;
      }
    }
    return at;
  }

  flush(): void {
    const end = Date.now() + flushMs;
    while (this.#backlog.length > 0 && Date.now() < end) {
      this.#drain();
      if (this.#backlog.length > 0) pause(5);
    }
  }

  close(): void {
    clearTimeout(this.#timer);
    if (this.#owned) closeSync(this.#fd);
    this.#gone = true;
  }
}

class FileSink implements Sink {
  #fd: number;
  readonly #owned: boolean;
  readonly #rotated: RotatedFile | undefined;
  #lines: string[] = [];
  #heldBytes = 0;
  #dropped = 0;
  #inFlight: Buffer | undefined;
  /** Size of the file once the write in flight is done. */
  #sizeAfter = 0;
  #closed = false;

  constructor(fd: number, owned: boolean, rotated?: RotatedFile) {
    this.#fd = fd;
    this.#owned = owned;
    this.#rotated = rotated;
  }

  write(line: string): void {
    if (this.#closed) return;
    if (this.#heldBytes + line.length > backlogBytesMax) {
      this.#dropped++;
      return;
    }
    this.#lines.push(line);
    this.#heldBytes += line.length;
    if (this.#inFlight === undefined) this.#pump();
  }

  #pump(): void {
    if (this.#lines.length === 0) return;
    if (this.#dropped > 0) {
      this.#lines.push(
        `{"level":"warn","ts":"${timestamp()}","caller":"host/log.ts","msg":"dropped log lines: the file is too slow","dropped":${this.#dropped}}\n`,
      );
      this.#dropped = 0;
    }
    const bytes = this.#rotated === undefined ? this.#takeAll() : this.#takeForFile(this.#rotated);
    this.#send(bytes);
  }

  #takeAll(): Buffer {
    const bytes = Buffer.from(this.#lines.join(''), 'utf8');
    this.#lines = [];
    this.#heldBytes = 0;
    return bytes;
  }

  /** As many lines as the file has room for; a full one is replaced first. */
  #takeForFile(rotated: RotatedFile): Buffer {
    let room = rotated.bytesMax - fstatSync(this.#fd).size;
    if (Buffer.byteLength(this.#lines[0] ?? '') > room && room < rotated.bytesMax) {
      const next = rotated.replace();
      if (next !== undefined) {
        closeSync(this.#fd);
        this.#fd = next;
        room = rotated.bytesMax;
      }
    }
    const taken: Buffer[] = [];
    do {
      const line = this.#lines.shift() as string;
      const bytes = Buffer.from(line, 'utf8');
      this.#heldBytes -= line.length;
      room -= bytes.length;
      taken.push(bytes);
    } while (this.#lines.length > 0 && Buffer.byteLength(this.#lines[0] as string) <= room);
    return Buffer.concat(taken);
  }

  #send(bytes: Buffer): void {
    this.#inFlight = bytes;
    this.#sizeAfter = fstatSync(this.#fd).size + bytes.length;
    write(this.#fd, bytes, 0, bytes.length, null, (error, n) => {
      this.#inFlight = undefined;
      if (this.#closed) return;
      // A disk that takes no log must not stop the member: the lines are lost.
      if (error === null && n < bytes.length) this.#send(bytes.subarray(n));
      else this.#pump();
    });
  }

  flush(): void {
    if (this.#closed) return;
    // The write in flight goes on in its thread while this one waits; a disk that hangs must not hold up the end.
    const end = Date.now() + flushMs;
    while (this.#inFlight !== undefined && fstatSync(this.#fd).size < this.#sizeAfter && Date.now() < end) pause(1);
    if (this.#lines.length === 0) return;
    const bytes = Buffer.from(this.#lines.join(''), 'utf8');
    this.#lines = [];
    this.#heldBytes = 0;
    try {
      writeSync(this.#fd, bytes);
    } catch {
      // As above.
    }
  }

  close(): void {
    this.flush();
    this.#closed = true;
    if (this.#owned && this.#inFlight === undefined) closeSync(this.#fd);
  }
}

/** Written through the process's own stream: a second handle on its socket is not possible. What a reader leaves is queued, up to the bound. */
class SocketSink implements Sink {
  readonly #stream: NodeJS.WriteStream;
  #dropped = 0;

  constructor(fd: 1 | 2) {
    this.#stream = fd === 1 ? process.stdout : process.stderr;
    // Not in the type declarations: the handle's switch between waiting for the reader and queueing for it.
    (this.#stream as unknown as { _handle?: { setBlocking?(on: boolean): void } })._handle?.setBlocking?.(false);
    this.#stream.on('error', () => {});
  }

  write(line: string): void {
    if (this.#stream.writableLength > backlogBytesMax) {
      this.#dropped++;
      return;
    }
    if (this.#dropped > 0) {
      const dropped = this.#dropped;
      this.#dropped = 0;
      this.#stream.write(
        `{"level":"warn","ts":"${timestamp()}","caller":"host/log.ts","msg":"dropped log lines: nobody read them","dropped":${dropped}}\n`,
      );
    }
    this.#stream.write(line);
  }

  flush(): void {}
  close(): void {}
}

/** Counts equal messages in the running second, so that a storm of one message cannot drown the rest. */
class Sampler {
  #second = 0;
  readonly #counts = new Map<string, number>();

  admits(level: LogLevel, message: string): boolean {
    const second = Math.floor(Date.now() / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#counts.clear();
    }
    const key = `${level} ${message}`;
    const n = (this.#counts.get(key) ?? 0) + 1;
    this.#counts.set(key, n);
    return n <= sampleFirst || (n - sampleFirst) % sampleEvery === 0;
  }
}

/** What all logs of one family have in common. */
interface Shared {
  level: LogLevel;
  readonly sampler: Sampler;
}

class ZapLog implements HostLog {
  readonly #options: LogOptions;
  readonly #shared: Shared;
  readonly #name: string | undefined;

  constructor(options: LogOptions, shared: Shared, name: string | undefined) {
    this.#options = options;
    this.#shared = shared;
    this.#name = name;
  }

  get level(): LogLevel {
    return this.#shared.level;
  }
  set level(level: LogLevel) {
    this.#shared.level = level;
  }
  get debugEnabled(): boolean {
    return this.#shared.level === 'debug';
  }

  debug(message: string, fields?: LogFields): void {
    if (this.debugEnabled) this.#write('debug', message, fields);
  }
  info(message: string, fields?: LogFields): void {
    this.#write('info', message, fields);
  }
  warn(message: string, fields?: LogFields): void {
    this.#write('warn', message, fields);
  }
  error(message: string, fields?: LogFields): void {
    this.#write('error', message, fields);
  }
  fatal(message: string, fields?: LogFields): void {
    this.#write('fatal', message, fields);
    this.flush();
  }
  named(name: string): Log {
    return new ZapLog(this.#options, this.#shared, this.#name === undefined ? name : `${this.#name}.${name}`);
  }
  flush(): void {
    for (const sink of this.#options.sinks) sink.flush();
  }
  close(): void {
    for (const sink of this.#options.sinks) sink.close();
  }

  #write(level: LogLevel, message: string, fields: LogFields | undefined): void {
    const rank = logLevels.indexOf(level);
    if (rank < logLevels.indexOf(this.#shared.level) || !this.#shared.sampler.admits(level, message)) return;
    const frames = callFrames();
    const stack = rank >= 3 ? frames.join('\n') : undefined;
    const caller = callerOf(frames[0]);
    const line =
      this.#options.format === 'json'
        ? this.#json(level, caller, message, fields, stack)
        : this.#console(level, caller, message, fields, stack);
    for (const sink of this.#options.sinks) sink.write(line);
  }

  #json(level: LogLevel, caller: string, message: string, fields: LogFields | undefined, stack: string | undefined): string {
    const logger = this.#name === undefined ? '' : `"logger":${JSON.stringify(this.#name)},`;
    let line = `{"level":"${level}","ts":"${timestamp()}",${logger}"caller":${JSON.stringify(caller)},"msg":${JSON.stringify(message)}`;
    for (const [key, value] of Object.entries(fields ?? {})) line += `,${JSON.stringify(key)}:${fieldText(value)}`;
    if (stack !== undefined) line += `,"stacktrace":${JSON.stringify(stack)}`;
    return `${line}}\n`;
  }

  #console(level: LogLevel, caller: string, message: string, fields: LogFields | undefined, stack: string | undefined): string {
    const time = this.#options.wholeSeconds === true ? timestamp().replace(/\.\d+(?:Z|([+-]\d\d)(\d\d))$/, wholeSeconds) : timestamp();
    const parts = [time, level, ...(this.#name === undefined ? [] : [this.#name]), caller, message];
    const entries = Object.entries(fields ?? {});
    if (entries.length > 0) parts.push(`{${entries.map(([k, v]) => `${JSON.stringify(k)}: ${fieldText(v)}`).join(', ')}}`);
    return `${parts.join('\t')}\n${stack === undefined ? '' : `${stack}\n`}`;
  }
}

/** RFC 3339, as Go writes it. */
function wholeSeconds(_all: string, hours: string | undefined, minutes: string | undefined): string {
  return hours === undefined ? 'Z' : `${hours}:${minutes}`;
}

/** Ids are the only bigints: printed as etcd prints ids, in hex. */
function fieldText(value: unknown): string {
  switch (typeof value) {
    case 'bigint':
      return `"${value.toString(16)}"`;
    case 'undefined':
      return 'null';
    case 'object':
      if (value instanceof Error) return JSON.stringify(value.message);
      if (value instanceof Uint8Array) return JSON.stringify(Buffer.from(value).toString('base64'));
      if (value instanceof Map) return fieldText(Object.fromEntries(value));
      return JSON.stringify(value, (_, v: unknown) => (typeof v === 'bigint' ? v.toString(16) : v));
    default:
      return JSON.stringify(value) ?? 'null';
  }
}

function callFrames(): string[] {
  const holder: { stack?: string } = {};
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 14;
  Error.captureStackTrace(holder);
  Error.stackTraceLimit = limit;
  const lines = (holder.stack ?? '').split('\n').slice(1);
  // Own frames: callFrames, #write, the level's method.
  return lines.slice(3).map((l) => l.trim());
}

/** `dir/file:line` of a stack frame. */
function callerOf(frame: string | undefined): string {
  const m = /([^/\\(\s]+[/\\][^/\\]+?):(\d+):\d+\)?$/.exec(frame ?? '');
  return m === null ? 'tsetcd/main:0' : `${m[1]}:${m[2]}`;
}

const pad = (n: number, width: number): string => String(n).padStart(width, '0');

/** `2006-01-02T15:04:05.000000Z`, or with the local zone's offset as `+0200`. */
export function timestamp(): string {
  const now = performance.timeOrigin + performance.now();
  const wall = Date.now();
  // The monotonic reading gives the microseconds, unless the wall clock has been set since the process began.
  const ms = Math.abs(now - wall) < 2 ? now : wall;
  const d = new Date(ms);
  const micros = pad(Math.floor((ms - Math.floor(ms)) * 1000), 3);
  const offset = -d.getTimezoneOffset();
  if (offset === 0) return `${d.toISOString().slice(0, 23)}${micros}Z`;
  const local = new Date(d.getTime() + offset * 60_000).toISOString().slice(0, 23);
  const abs = Math.abs(offset);
  return `${local}${micros}${offset < 0 ? '-' : '+'}${pad(Math.floor(abs / 60), 2)}${pad(abs % 60, 2)}`;
}

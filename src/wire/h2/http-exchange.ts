/** An HTTP request and its response on a native stream. */
import type { PeerInfo } from '../call.ts';
import { headerMap, lowerNames, type HttpHeaders, type HttpRequest, type HttpResponse } from '../http.ts';
import { ErrorCode } from './frames.ts';
import type { NativeStream } from './stream.ts';

export class HttpExchange implements HttpRequest, HttpResponse {
  readonly method: string;
  readonly path: string;
  readonly host: string;
  readonly protocol = '2' as const;
  readonly secure: boolean;
  readonly peer: PeerInfo;
  onData: ((chunk: Uint8Array) => void) | undefined = undefined;
  onEnd: (() => void) | undefined = undefined;
  onAbort: (() => void) | undefined = undefined;
  onDrain: (() => void) | undefined = undefined;
  headSent = false;
  ended = false;
  readonly #stream: NativeStream;
  #headers: ReadonlyMap<string, string> | undefined = undefined;
  #head: { readonly status: number; readonly fields: readonly (readonly [string, string])[] } | undefined = undefined;
  #wantsDrain = false;
  #started = false;
  #paused = false;
  #remoteEnded = false;
  /** Came before the handler returned, or while it held the flow. */
  #held: Uint8Array[] = [];
  heldBytes = 0;

  constructor(stream: NativeStream) {
    const { head, connection } = stream;
    this.#stream = stream;
    this.method = head.method;
    this.path = head.path;
    this.host = head.authority;
    this.secure = connection.secure;
    this.peer = connection.peer;
  }

  get headers(): ReadonlyMap<string, string> {
    return (this.#headers ??= headerMap(this.#stream.head.fields));
  }

  get bufferedBytes(): number {
    return this.#stream.queuedBytes;
  }

  // ---- from the stream

  start(): void {
    this.#started = true;
    this.#feed();
  }

  data(chunk: Uint8Array): void {
    this.#held.push(chunk);
    this.heldBytes += chunk.length;
    this.#feed();
  }

  dataEnd(): void {
    this.#remoteEnded = true;
    this.#feed();
  }

  aborted(): void {
    const { onAbort } = this;
    this.onAbort = undefined;
    this.ended = true;
    onAbort?.();
  }

  drained(): void {
    if (!this.#wantsDrain) return;
    this.#wantsDrain = false;
    this.onDrain?.();
  }

  // ---- from the handler

  pause(): void {
    this.#paused = true;
    this.#stream.setPaused(true);
  }

  resume(): void {
    this.#paused = false;
    this.#feed();
    if (!this.#paused) this.#stream.setPaused(false);
  }

  head(status: number, headers: HttpHeaders): void {
    if (this.headSent) return;
    this.headSent = true;
    const fields: [string, string][] = [];
    for (const [name, value] of Object.entries(lowerNames(headers))) {
      for (const one of typeof value === 'string' ? [value] : value) fields.push([name, one.replace(/[\0\r\n]/g, ' ')]);
    }
    if (headers.date === undefined && headers.Date === undefined) {
      fields.push(['date', new Date(this.#stream.connection.host.grpc.clock.wall()).toUTCString()]);
    }
    // Held until the first body byte or the next turn, so that an empty answer is one frame.
    this.#head = { status, fields };
    process.nextTick(() => this.#sendHead(false));
  }

  write(chunk: Uint8Array | string): boolean {
    if (this.ended) return false;
    this.head(200, {});
    this.#sendHead(false);
    if (this.method !== 'HEAD') this.#stream.sendBody(bytesOf(chunk));
    if (this.#stream.queuedBytes < this.#stream.connection.limits.streamHighWaterBytes) return true;
    this.#wantsDrain = true;
    return false;
  }

  end(chunk?: Uint8Array | string): void {
    if (this.ended) return;
    this.head(200, {});
    this.ended = true;
    const bytes = chunk === undefined || this.method === 'HEAD' ? undefined : bytesOf(chunk);
    if (bytes === undefined || bytes.length === 0) {
      if (this.#head !== undefined) this.#sendHead(true);
      else this.#stream.endBody();
      return;
    }
    this.#sendHead(false);
    this.#stream.sendBody(bytes);
    this.#stream.endBody();
  }

  abort(): void {
    if (this.ended) return;
    this.#stream.connection.resetStream(this.#stream, ErrorCode.internalError);
  }

  #sendHead(end: boolean): void {
    if (this.#head === undefined) return;
    const { status, fields } = this.#head;
    this.#head = undefined;
    this.#stream.sendHead(status, fields, end);
  }

  #feed(): void {
    if (!this.#started) return;
    while (!this.#paused && this.#held.length > 0) {
      const chunk = this.#held.shift() as Uint8Array;
      this.heldBytes -= chunk.length;
      this.onData?.(chunk);
    }
    if (this.#paused || !this.#remoteEnded || this.#held.length > 0) return;
    this.#remoteEnded = false;
    this.onEnd?.();
  }
}

function bytesOf(chunk: Uint8Array | string): Uint8Array {
  return typeof chunk === 'string' ? Buffer.from(chunk, 'utf8') : chunk;
}

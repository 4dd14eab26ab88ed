/**
 * HTTP requests that are not gRPC, whichever protocol and binding brought them: HTTP/1.1, or HTTP/2 on either server binding.
 * A handler gets a request whose body has not been read, and a response to fill, now or later.
 */
import type { Duplex } from 'node:stream';
import type { PeerInfo } from './call.ts';
import type { HeaderField } from './server-call.ts';

export interface HttpRequest {
  readonly method: string;
  /** Path and query, as they came. */
  readonly path: string;
  /** Lower-case names; values of a repeated header are joined by `, ` (`cookie` by `; `). Without pseudo-headers. */
  readonly headers: ReadonlyMap<string, string>;
  /** `Host` or `:authority`. */
  readonly host: string;
  readonly protocol: '1.1' | '2';
  /** Came over TLS. */
  readonly secure: boolean;
  readonly peer: PeerInfo;
  /** Chunks of the body from the time this is set; views that the handler may keep. Set it in the handler's own turn, or the body is dropped. */
  onData: ((chunk: Uint8Array) => void) | undefined;
  onEnd: (() => void) | undefined;
  /** The client went away before the end of the body or of the response. Runs at most once. */
  onAbort: (() => void) | undefined;
  pause(): void;
  resume(): void;
}

export type HttpHeaders = Readonly<Record<string, string | readonly string[]>>;

export interface HttpResponse {
  /** Sends status and headers; only the first call counts. */
  head(status: number, headers: HttpHeaders): void;
  /** Sends a piece of the body (after a `head` of 200 without headers, when there was none); false when the caller should wait for `onDrain`. */
  write(chunk: Uint8Array | string): boolean;
  end(chunk?: Uint8Array | string): void;
  /** Drops what is not sent yet and cuts the connection (HTTP/1.1) or resets the stream. The request's `onAbort` follows. */
  abort(): void;
  onDrain: (() => void) | undefined;
  readonly headSent: boolean;
  readonly ended: boolean;
  /** Bytes accepted and not yet handed to the socket. */
  readonly bufferedBytes: number;
}

export type HttpHandler = (request: HttpRequest, response: HttpResponse) => void;

/** A request for another protocol (WebSocket) on HTTP/1.1. The handler owns the socket; `head` is what came after the request. */
export type UpgradeHandler = (request: HttpRequest, socket: Duplex, head: Uint8Array) => void;

/**
 * Reads the whole body. `done` runs once: with the bytes, or with undefined when they passed `bytesMax` (the rest is dropped; answer 413) or
 * when the client went away (`aborted`).
 */
export function readBody(request: HttpRequest, bytesMax: number, done: (body: Uint8Array | undefined, aborted: boolean) => void): void {
  let parts: Uint8Array[] = [];
  let total = 0;
  let finished = false;
  const finish = (body: Uint8Array | undefined, aborted: boolean): void => {
    if (finished) return;
    finished = true;
    parts = [];
    done(body, aborted);
  };
  request.onData = (chunk) => {
    if (finished) return;
    total += chunk.length;
    if (total > bytesMax) finish(undefined, false);
    else parts.push(chunk);
  };
  request.onEnd = () => finish(parts.length === 1 ? parts[0] : Buffer.concat(parts), false);
  const before = request.onAbort;
  request.onAbort = () => {
    before?.();
    finish(undefined, true);
  };
}

/** Joins repeated headers as HTTP allows. */
export function headerMap(fields: readonly HeaderField[]): ReadonlyMap<string, string> {
  const out = new Map<string, string>();
  for (const { name, value } of fields) {
    const before = out.get(name);
    out.set(name, before === undefined ? value : name === 'cookie' ? `${before}; ${value}` : `${before}, ${value}`);
  }
  return out;
}

/** Headers that mean something in HTTP/1.1 only are left out. */
const hopHeaders = new Set(['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade']);

export function lowerNames(headers: HttpHeaders): Record<string, string | string[]> {
  const out: Record<string, string | string[]> = {};
  for (const [name, value] of Object.entries(headers)) {
    const lower = name.toLowerCase();
    if (!hopHeaders.has(lower)) out[lower] = typeof value === 'string' ? value : [...value];
  }
  return out;
}

/** HTTP/1.1 by `node:http`, shown as neutral requests. Sockets come from the listener. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { PeerInfo } from './call.ts';
import type { HttpHandler, HttpHeaders, HttpRequest, HttpResponse, UpgradeHandler } from './http.ts';
import type { WireLimits } from './limits.ts';

export interface Http1Options {
  readonly limits: WireLimits;
  readonly handler: HttpHandler;
  readonly upgrade?: UpgradeHandler | undefined;
  readonly peerOf: (socket: Duplex) => PeerInfo;
  readonly secureOf: (socket: Duplex) => boolean;
}

export class Http1Binding {
  readonly #server: Server;
  readonly #options: Http1Options;

  constructor(options: Http1Options) {
    this.#options = options;
    this.#server = createServer({
      maxHeaderSize: options.limits.headerListBytesMax,
      headersTimeout: options.limits.headersMs,
      // Streams stay open: the body's time is the handler's matter. Node's check of headers needs its interval.
      requestTimeout: 0,
      keepAliveTimeout: 120_000,
      connectionsCheckingInterval: Math.min(5_000, Math.ceil(options.limits.headersMs / 4)),
    });
    this.#server.maxHeadersCount = options.limits.headerCountMax;
    this.#server.on('request', (req: IncomingMessage, res: ServerResponse) => this.#request(req, res));
    this.#server.on('upgrade', (req: IncomingMessage, socket: Duplex, head: Buffer) => this.#upgrade(req, socket, head));
    this.#server.on('clientError', (error: NodeJS.ErrnoException, socket: Duplex) => {
      // What does not begin like HTTP at all (a broken HTTP/2 preface, say) gets no HTTP answer.
      if (error.code !== 'HPE_INVALID_METHOD' && socket.writable)
        socket.end('HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n400 Bad Request');
      else socket.destroy();
    });
    // An unbound server never listens, so its check of slow headers has to be started by the event that `listen` would cause.
    this.#server.emit('listening');
  }

  accept(socket: Duplex): void {
    this.#server.emit('connection', socket);
  }

  /** Closes idle connections; the others end after their response. */
  drain(): void {
    this.#server.closeIdleConnections();
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  #request(req: IncomingMessage, res: ServerResponse): void {
    const socket = req.socket;
    const request = new Http1Request(req, this.#options.peerOf(socket), this.#options.secureOf(socket));
    const response = new Http1Response(res);
    res.on('close', () => {
      if (!res.writableFinished) request.abort();
    });
    res.on('error', () => {});
    this.#options.handler(request, response);
    request.start();
  }

  #upgrade(req: IncomingMessage, socket: Duplex, head: Buffer): void {
    const upgrade = this.#options.upgrade;
    if (upgrade === undefined) {
      socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n');
      return;
    }
    socket.on('error', () => {});
    upgrade(new Http1Request(req, this.#options.peerOf(socket), this.#options.secureOf(socket)), socket, head);
  }
}

class Http1Request implements HttpRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: ReadonlyMap<string, string>;
  readonly host: string;
  readonly protocol = '1.1' as const;
  readonly secure: boolean;
  readonly peer: PeerInfo;
  onData: ((chunk: Uint8Array) => void) | undefined;
  onEnd: (() => void) | undefined;
  onAbort: (() => void) | undefined;
  readonly #req: IncomingMessage;
  #aborted = false;

  constructor(req: IncomingMessage, peer: PeerInfo, secure: boolean) {
    this.#req = req;
    this.method = req.method ?? 'GET';
    this.path = req.url ?? '/';
    const headers = new Map<string, string>();
    for (const [name, value] of Object.entries(req.headers)) {
      if (value !== undefined) headers.set(name, Array.isArray(value) ? value.join(', ') : value);
    }
    this.headers = headers;
    this.host = headers.get('host') ?? '';
    this.secure = secure;
    this.peer = peer;
  }

  start(): void {
    this.#req.on('data', (chunk: Buffer) => this.onData?.(chunk));
    this.#req.on('end', () => this.onEnd?.());
    this.#req.on('error', () => this.abort());
  }

  abort(): void {
    if (this.#aborted) return;
    this.#aborted = true;
    this.onAbort?.();
  }

  pause(): void {
    this.#req.pause();
  }

  resume(): void {
    this.#req.resume();
  }
}

class Http1Response implements HttpResponse {
  onDrain: (() => void) | undefined;
  readonly #res: ServerResponse;
  headSent = false;

  constructor(res: ServerResponse) {
    this.#res = res;
    res.on('drain', () => this.onDrain?.());
  }

  get ended(): boolean {
    return this.#res.writableEnded;
  }

  get bufferedBytes(): number {
    return this.#res.writableLength;
  }

  head(status: number, headers: HttpHeaders): void {
    if (this.headSent) return;
    this.headSent = true;
    this.#res.statusCode = status;
    for (const [name, value] of Object.entries(headers)) this.#res.setHeader(name, value as string | string[]);
    // Not written yet, so that an `end` in the same turn can still tell the length.
    process.nextTick(() => {
      if (!this.#res.headersSent && !this.#res.destroyed) this.#res.flushHeaders();
    });
  }

  write(chunk: Uint8Array | string): boolean {
    if (this.ended) return false;
    this.headSent = true;
    return this.#res.write(chunk);
  }

  abort(): void {
    this.#res.destroy();
  }

  end(chunk?: Uint8Array | string): void {
    if (this.ended) return;
    this.headSent = true;
    if (chunk === undefined) this.#res.end();
    else {
      // With one piece the length is known, and the client is spared chunked coding.
      if (!this.#res.headersSent) this.#res.setHeader('content-length', Buffer.byteLength(chunk as string));
      this.#res.end(chunk);
    }
  }
}

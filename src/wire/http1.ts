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
  /** The response begun last on each connection. */
  readonly #latest = new WeakMap<Duplex, ServerResponse>();

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
    this.#latest.set(socket, res);
    res.on('close', () => {
      if (!res.writableFinished) request.abort();
    });
    res.on('error', () => {});
    this.#options.handler(request, response);
    request.start();
  }

  #upgrade(req: IncomingMessage, socket: Duplex, head: Buffer): void {
    const upgrade = this.#options.upgrade;
    if (upgrade === undefined || req.method === 'CONNECT' || req.headers.upgrade?.toLowerCase() !== 'websocket') {
      this.#stay(req, socket, head);
      return;
    }
    socket.on('error', () => {});
    upgrade(new Http1Request(req, this.#options.peerOf(socket), this.#options.secureOf(socket)), socket, head);
  }

  /**
   * A protocol that is not served here (`curl --http2` offers h2c) is no more than an offer: the request is answered as if it had not been made.
   * Node has given the connection up by now, so it begins anew, with the same request in front.
   */
  #stay(req: IncomingMessage, socket: Duplex, head: Buffer): void {
    if (req.method === 'CONNECT') {
      socket.end('HTTP/1.1 405 Method Not Allowed\r\nConnection: close\r\n\r\n');
      return;
    }
    let text = `${req.method} ${req.url} HTTP/${req.httpVersion}\r\n`;
    for (let i = 0; i + 1 < req.rawHeaders.length; i += 2) {
      const name = req.rawHeaders[i] as string;
      let value = req.rawHeaders[i + 1] as string;
      if (/^(upgrade|http2-settings)$/i.test(name)) continue;
      if (/^connection$/i.test(name)) {
        value = value
          .split(',')
          .filter((token) => !upgradeTokens.has(token.trim().toLowerCase()))
          .join(',');
        if (value.trim() === '') continue;
      }
      text += `${name}: ${value}\r\n`;
    }
    const anew = (): void => {
      if (socket.destroyed) return;
      socket.unshift(Buffer.concat([Buffer.from(`${text}\r\n`, 'latin1'), head]));
      this.accept(socket);
      socket.resume();
    };
    // Answers keep their order: one to an earlier request of a pipeline goes first.
    const earlier = this.#latest.get(socket);
    if (earlier === undefined || earlier.writableFinished || earlier.destroyed) anew();
    else earlier.once('close', anew);
  }
}

/** Tokens of a Connection header that ask for another protocol. */
const upgradeTokens: ReadonlySet<string> = new Set(['upgrade', 'http2-settings']);

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

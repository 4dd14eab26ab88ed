/** HTTP to one peer: its URLs, of which one is in use until it fails, and its connections. */
import { Agent, type ClientRequest, type IncomingMessage, request } from 'node:http';
import { Agent as TlsAgent, request as secureRequest } from 'node:https';
import { connect, type LookupFunction, type NetConnectOpts } from 'node:net';
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from 'node:tls';
import { clientAlert, secretOf } from '../../wire/tls-alert.ts';
import { handshakeError } from '../../wire/tls-words.ts';

/** An idle connection is closed before the other side does it: etcd's peer port reads with a timeout of 5 s. */
const idleMs = 4000;

/** How a connection by TLS is opened. Asked for each one: certificates may change. */
export interface PeerDialTls {
  dialOptions(): ConnectionOptions;
  /** After the handshake: a text gives the connection up. With `host` chain and name have yet to be verified. */
  verifyServer(socket: TLSSocket, host?: string): string | undefined;
}

export interface PeerClientOptions {
  readonly urls: readonly string[];
  /** Time to connect, ms. */
  readonly dialMs: number;
  readonly lookup: LookupFunction;
  readonly tls?: PeerDialTls | undefined;
  /** An address of this machine that connections leave by; the system picks one when absent. */
  readonly localAddress?: string | undefined;
}

export interface AskOptions {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | string | undefined;
  /** Whole time of the exchange, ms; undefined: none. */
  readonly timeoutMs?: number | undefined;
  /** Bytes of an answer that are read. */
  readonly bytesMax: number;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
}

type Dialled = (error: Error | null, socket?: TLSSocket) => void;

/** Hands over a connection whose server has been looked at: no byte of a request goes to another. */
function dial(how: ConnectionOptions, tls: PeerDialTls, dialMs: number, namesakes: boolean, done: Dialled): TLSSocket {
  const raw = connect(how as NetConnectOpts);
  const socket = connectTls({ ...how, ...tls.dialOptions(), ...(namesakes ? { rejectUnauthorized: false } : {}), socket: raw });
  let over = false;
  const finish: Dialled = (error, dialled) => {
    if (over) return;
    over = true;
    clearTimeout(timer);
    done(error, dialled);
  };
  const timer = setTimeout(() => socket.destroy(new Error(`dial ${how.host ?? how.path ?? ''}: i/o timeout`)), dialMs);
  timer.unref();
  let secret: Buffer | undefined;
  socket.on('keylog', (line: Buffer) => {
    secret ??= secretOf(line, 'CLIENT');
  });
  raw.on('error', (error) => socket.destroy(error));
  socket.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code?.startsWith('ERR_SSL_') === true) error.message = handshakeError(error);
    finish(error);
  });
  socket.on('close', () => finish(new Error('EOF')));
  socket.once('secureConnect', () => {
    const refused = tls.verifyServer(socket, namesakes ? how.servername || how.host || 'localhost' : undefined);
    if (refused === undefined) {
      socket.setNoDelay(true);
      finish(null, socket);
      return;
    }
    // The other side is told why; its handshake has to end first.
    const alert = secret === undefined ? undefined : clientAlert(socket, secret);
    setImmediate(() => {
      if (alert !== undefined) raw.write(alert);
      socket.destroy();
    });
    finish(new Error(refused));
  });
  return socket;
}

/** Of a certificate that has, as far as OpenSSL looks, signed itself. */
const namesakeCode = 'DEPTH_ZERO_SELF_SIGNED_CERT';

export class PeerClient {
  readonly #o: PeerClientOptions;
  #urls: readonly string[];
  #picked = 0;
  readonly #plain: Agent;
  readonly #secure: TlsAgent;
  readonly #dialling = new Set<TLSSocket>();
  /** A certificate was refused because it seems to have signed itself: from then on that is looked at more closely. */
  #namesakes = false;

  constructor(options: PeerClientOptions) {
    this.#o = options;
    this.#urls = options.urls;
    this.#plain = new Agent({ keepAlive: true, timeout: idleMs });
    this.#secure = new TlsAgent({ keepAlive: true, timeout: idleMs });
    const { tls } = options;
    // In place of the agent's own way, which would also resume sessions: those are not verified again.
    if (tls !== undefined) {
      this.#secure.createConnection = (how, done) => {
        const socket = dial(how as ConnectionOptions, tls, options.dialMs, this.#namesakes, (error, dialled) => {
          this.#dialling.delete(socket);
          if ((error as NodeJS.ErrnoException | null)?.code === namesakeCode) this.#namesakes = true;
          done?.(error, dialled as TLSSocket);
        });
        this.#dialling.add(socket);
        return undefined;
      };
    }
  }

  get urls(): readonly string[] {
    return this.#urls;
  }

  setUrls(urls: readonly string[]): void {
    this.#urls = urls;
    this.#picked = 0;
  }

  /** The URL in use. */
  get url(): string {
    return this.#urls[this.#picked] ?? '';
  }

  /** The URL did not work: the next one is used, unless that has happened meanwhile. */
  failed(url: string): void {
    if (url === this.url && this.#urls.length > 1) this.#picked = (this.#picked + 1) % this.#urls.length;
  }

  /** Begins a request; the caller listens to `error` and `response`, and ends it. The dial has a time of its own. */
  open(
    url: string,
    options: { readonly method: string; readonly path: string; readonly headers: Readonly<Record<string, string>> },
  ): ClientRequest {
    const { method, path, headers } = options;
    const { dialMs, lookup, localAddress } = this.#o;
    const at = /^(https?|unixs?):\/\/(.*)$/.exec(url);
    const scheme = at?.[1] ?? 'http';
    const secure = scheme === 'https' || scheme === 'unixs';
    const agent = secure ? this.#secure : this.#plain;
    const base = { method, path, headers, agent, lookup };
    let req: ClientRequest;
    if (scheme.startsWith('unix')) {
      const make = secure ? secureRequest : request;
      req = make({ ...base, socketPath: at?.[2] ?? '' });
    } else {
      const { hostname, port } = new URL(url);
      const host = hostname.replace(/^\[|\]$/g, '');
      const make = secure ? secureRequest : request;
      req = make({ ...base, host, port: port === '' ? (secure ? 443 : 80) : Number(port), localAddress });
    }
    req.once('socket', (socket) => {
      socket.setNoDelay(true);
      if (!socket.connecting) return;
      const timer = setTimeout(() => req.destroy(new Error(`dial ${url}: i/o timeout`)), dialMs);
      timer.unref();
      const done = (): void => clearTimeout(timer);
      socket.once('connect', done);
      socket.once('close', done);
    });
    return req;
  }

  /** One request and its whole answer. `done` runs once. A connection that was idle may have been closed meanwhile: then it is asked again. */
  ask(options: AskOptions, done: (error: Error | undefined, answer: Answer | undefined) => void): { cancel(): void } {
    const url = this.url;
    let over = false;
    let req: ClientRequest;
    const finish = (error: Error | undefined, answer: Answer | undefined): void => {
      if (over) return;
      over = true;
      clearTimeout(timer);
      if (error !== undefined) this.failed(url);
      done(error, answer);
    };
    const timer =
      options.timeoutMs === undefined
        ? undefined
        : setTimeout(() => {
            finish(new Error(`${options.method} ${url}${options.path}: timed out`), undefined);
            req.destroy();
          }, options.timeoutMs);
    timer?.unref();
    const attempt = (): void => {
      const body = options.body;
      const headers: Record<string, string> = { ...options.headers };
      if (body !== undefined) headers['Content-Length'] = String(Buffer.byteLength(body as string));
      try {
        req = this.open(url, { method: options.method, path: options.path, headers });
      } catch (error) {
        finish(error as Error, undefined);
        return;
      }
      const current = req;
      let answered = false;
      const namesakes = this.#namesakes;
      current.on('error', (error: NodeJS.ErrnoException) => {
        const idle = current.reusedSocket && error.code === 'ECONNRESET';
        if (!over && !answered && (idle || (error.code === namesakeCode && !namesakes))) attempt();
        else finish(error, undefined);
      });
      current.on('response', (response) => {
        answered = true;
        const parts: Buffer[] = [];
        let total = 0;
        response.on('data', (chunk: Buffer) => {
          total += chunk.length;
          if (total > options.bytesMax) {
            finish(new Error(`${options.method} ${url}${options.path}: the answer is too large`), undefined);
            current.destroy();
          } else parts.push(chunk);
        });
        response.on('error', (error) => finish(error, undefined));
        response.on('aborted', () => finish(new Error('unexpected EOF'), undefined));
        response.on('end', () =>
          finish(undefined, { status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(parts) }),
        );
      });
      current.end(body);
    };
    attempt();
    return {
      cancel: () => {
        over = true;
        clearTimeout(timer);
        req?.destroy();
      },
    };
  }

  close(): void {
    this.#plain.destroy();
    this.#secure.destroy();
    for (const socket of this.#dialling) socket.destroy();
  }
}

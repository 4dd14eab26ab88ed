/**
 * One client port. gRPC over HTTP/2 (prior knowledge, or ALPN `h2` under TLS), other HTTP/2 requests, and HTTP/1.1 share it: the first bytes of
 * a connection, or its ALPN, tell which binding serves it. TLS and plain, TCP and unix sockets.
 */
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { unlinkSync } from 'node:fs';
import type { Duplex } from 'node:stream';
import {
  createSecureContext,
  createServer as createTlsServer,
  type SecureContextOptions,
  type Server as TlsServer,
  type TlsOptions,
  type TLSSocket,
} from 'node:tls';
import type { Log } from '../base/log.ts';
import { silentLog } from '../base/log.ts';
import type { ServerBinding } from './binding.ts';
import type { PeerInfo } from './call.ts';
import { Http1Binding } from './http1.ts';
import { Http2Binding } from './http2-server.ts';
import type { HttpHandler, UpgradeHandler } from './http.ts';
import { NativeBinding } from './native-server.ts';
import type { GrpcServer } from './server-call.ts';
import { secretOf, serverAlert } from './tls-alert.ts';
import { handshakeError } from './tls-words.ts';

export interface ListenAddress {
  /** TCP: host (an IP, a name, or empty for all interfaces) and port (0 picks one). */
  readonly host?: string | undefined;
  readonly port?: number | undefined;
  /** Unix socket: its path. A left-over socket file is removed first. */
  readonly path?: string | undefined;
}

/** TLS of a listener. Certificates may change: `secureContext` is asked at each handshake when it is given. */
export interface ListenerTls {
  /** Options for `tls.createServer`, without ALPN. */
  readonly options: TlsOptions;
  /** Called before each handshake; return new material when files have changed, else undefined. A throw closes the connection. */
  readonly refresh?: (() => SecureContextOptions | undefined) | undefined;
  /** Looks at a finished handshake (revocation, allowed names); a text refuses the connection and is logged. Nothing is read until it is known. */
  readonly verify?: ((socket: TLSSocket) => string | undefined | Promise<string | undefined>) | undefined;
}

export interface ListenerOptions {
  readonly grpc: GrpcServer;
  readonly http: HttpHandler;
  readonly upgrade?: UpgradeHandler | undefined;
  readonly tls?: ListenerTls | undefined;
  /** With `tls`: plain text is served as well; the first byte tells. */
  readonly plainToo?: boolean | undefined;
  /** Who connects here, as the log says it; clients by default. */
  readonly endpoint?: 'client' | 'peer' | undefined;
  /** Which HTTP/2 binding serves; our own by default. */
  readonly binding?: BindingKind | undefined;
  readonly log?: Log | undefined;
  /** Plain HTTP only: HTTP/2 is not served (etcd's `--listen-client-http-urls` with a split port, metrics URLs). */
  readonly http1Only?: boolean | undefined;
  /** gRPC only: other requests are answered 404 (etcd's `--listen-client-urls` when HTTP has ports of its own). */
  readonly grpcOnly?: boolean | undefined;
}

export type BindingKind = 'native' | 'http2';

const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');

export class Listener {
  readonly #options: ListenerOptions;
  readonly #log: Log;
  readonly #server: Server;
  readonly #tls: TlsServer | undefined;
  readonly #http1: Http1Binding;
  readonly #http2: ServerBinding;
  readonly #sockets = new Set<Socket>();
  readonly #handshakes = new Map<Socket, string>();
  readonly #handshakesOf = new Map<string, number>();
  #draining = false;

  constructor(options: ListenerOptions) {
    this.#options = options;
    this.#log = options.log ?? silentLog;
    const { grpc } = options;
    const http = guarded(options.grpcOnly === true ? notFound : options.http, grpc);
    this.#http2 = options.binding === 'http2' ? new Http2Binding({ grpc, http }) : new NativeBinding({ grpc, http });
    this.#http1 = new Http1Binding({
      limits: grpc.limits,
      handler: http,
      upgrade: options.grpcOnly === true ? undefined : options.upgrade,
      peerOf: peerOfSocket,
      secureOf: isSecure,
    });
    this.#server = createServer({ noDelay: true, pauseOnConnect: true }, (socket) => this.accept(socket));
    this.#tls = options.tls === undefined ? undefined : this.#tlsServer(options.tls);
  }

  /** Resolves once connections are accepted; rejects with the system's error (EADDRINUSE…). */
  listen(address: ListenAddress): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      const listening = (): void => {
        this.#server.removeListener('error', reject);
        this.#server.on('error', (error) => this.#log.warn('listener error', { error: error.message }));
        resolve();
      };
      if (address.path !== undefined) {
        removeSocketFile(address.path);
        this.#server.listen(address.path, listening);
      } else this.#server.listen({ port: address.port ?? 0, ...(address.host ? { host: address.host } : {}) }, listening);
    });
  }

  /** `host:port`, or the socket's path. */
  get address(): string {
    const address = this.#server.address() as AddressInfo | string | null;
    if (address === null) return '';
    if (typeof address === 'string') return address;
    return address.family === 'IPv6' ? `[${address.address}]:${address.port}` : `${address.address}:${address.port}`;
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  /** Open connections, all kinds. */
  get connections(): number {
    return this.#sockets.size;
  }

  /**
   * Accepts no more, asks clients to leave and waits for their open calls, `graceMs` at most; then cuts what is left. Resolves when nothing
   * of this listener is open.
   */
  async close(graceMs: number): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#draining = true;
    this.#http1.drain();
    this.#http2.drain();
    for (const socket of this.#handshakes.keys()) socket.destroy();
    const cut = (): void => {
      this.#http1.close();
      this.#http2.close();
      for (const socket of this.#sockets) socket.destroy();
    };
    const timer = graceMs > 0 ? this.#options.grpc.clock.after(graceMs, cut) : undefined;
    if (timer === undefined) cut();
    await closed;
    timer?.cancel();
    cut();
    // A server counts a socket as gone a little before the socket says so.
    while (this.#sockets.size > 0) await new Promise((resolve) => setImmediate(resolve));
    this.#tls?.close();
  }

  /** Serves a connection that was accepted elsewhere, without delay and paused (`noDelay`, `pauseOnConnect`): a port bound before it is served. */
  accept(socket: Socket): void {
    const { limits, clock } = this.#options.grpc;
    if (this.#draining || this.#sockets.size >= limits.connectionsMax) {
      socket.destroy();
      return;
    }
    this.#sockets.add(socket);
    socket.on('error', () => socket.destroy());
    const address = socket.remoteAddress ?? '';
    const ofAddress = this.#handshakesOf.get(address) ?? 0;
    if (this.#handshakes.size >= limits.handshakesMax || ofAddress >= limits.handshakesPerAddressMax) {
      this.#sockets.delete(socket);
      socket.destroy();
      return;
    }
    this.#handshakes.set(socket, address);
    this.#handshakesOf.set(address, ofAddress + 1);
    const timer = clock.after(limits.handshakeMs, () => socket.destroy());
    const settled = (): void => {
      timer.cancel();
      this.#settle(socket);
    };
    socket.on('close', () => {
      settled();
      this.#sockets.delete(socket);
    });
    if (this.#tls === undefined) this.#sniff(socket, settled);
    else if (this.#options.plainToo === true) this.#sniffTls(socket, settled, this.#tls);
    else this.#acceptTls(socket, settled, this.#tls);
  }

  #acceptTls(socket: Socket, settled: () => void, server: TlsServer): void {
    try {
      const fresh = this.#options.tls?.refresh?.();
      if (fresh !== undefined) server.setSecureContext(fresh);
    } catch (error) {
      this.#log.warn('failed to load TLS files', { error: (error as Error).message });
      socket.destroy();
      return;
    }
    pendingTls.set(socket, settled);
    server.emit('connection', socket);
  }

  /** A TLS client begins with a handshake record; no HTTP does. */
  #sniffTls(socket: Socket, settled: () => void, server: TlsServer): void {
    socket.once('data', (chunk: Buffer) => {
      socket.pause();
      socket.unshift(chunk);
      if (chunk[0] === handshakeRecord) this.#acceptTls(socket, settled, server);
      else this.#sniff(socket, settled);
    });
    socket.resume();
  }

  /** The accepted socket under a TLS socket. The TLS socket keeps it, but Node has no public name for it: peers' addresses will do as well. */
  #rawOf(socket: TLSSocket): Socket | undefined {
    const parent = (socket as unknown as { _parent?: Socket })._parent;
    if (parent !== undefined && pendingTls.has(parent)) return parent;
    for (const raw of this.#handshakes.keys()) {
      if (raw.remotePort === socket.remotePort && raw.remoteAddress === socket.remoteAddress) return raw;
    }
    return undefined;
  }

  #settle(socket: Socket): void {
    const address = this.#handshakes.get(socket);
    if (address === undefined) return;
    this.#handshakes.delete(socket);
    const rest = (this.#handshakesOf.get(address) ?? 1) - 1;
    if (rest === 0) this.#handshakesOf.delete(address);
    else this.#handshakesOf.set(address, rest);
  }

  #tlsServer(tls: ListenerTls): TlsServer {
    // Checked here, so that bad material fails at start and not at the first client.
    createSecureContext(tls.options);
    const server = createTlsServer({
      ...tls.options,
      ALPNProtocols: this.#options.http1Only === true ? ['http/1.1'] : ['h2', 'http/1.1'],
      handshakeTimeout: this.#options.grpc.limits.handshakeMs,
    });
    server.on('secureConnection', (socket) => this.#secured(socket, tls));
    if (tls.verify !== undefined) {
      server.on('keylog', (line: Buffer, socket: TLSSocket) => {
        const secret = secretOf(line, 'SERVER');
        if (secret !== undefined) alertSecrets.set(socket, secret);
      });
    }
    server.on('tlsClientError', (error: Error, socket: TLSSocket) => {
      this.#rejected(socket, handshakeError(error), {});
      socket.destroy();
    });
    return server;
  }

  #secured(socket: TLSSocket, tls: ListenerTls): void {
    socket.on('error', (error: NodeJS.ErrnoException) => {
      // With TLS 1.3 a client that refuses our certificate says so when the handshake is over here.
      if (error.code?.includes('_ALERT_') === true) this.#rejected(socket, handshakeError(error), {});
      socket.destroy();
    });
    const raw = this.#rawOf(socket);
    const settled = raw === undefined ? undefined : pendingTls.get(raw);
    let refused: ReturnType<NonNullable<ListenerTls['verify']>>;
    try {
      refused = tls.verify?.(socket);
    } catch (error) {
      refused = (error as Error).message;
    }
    const decide = (reason: string | undefined): void => {
      if (socket.destroyed) return;
      if (reason !== undefined) {
        const verified = socket.authorized ? namesOf(socket.getPeerX509Certificate()?.subjectAltName) : {};
        this.#rejected(socket, reason, verified);
        this.#alert(socket, raw);
      } else {
        alertSecrets.delete(socket);
        this.#serve(socket, settled);
      }
    };
    if (refused instanceof Promise)
      refused.then(decide, (error: unknown) => decide(error instanceof Error ? error.message : String(error)));
    else decide(refused);
  }

  /** Tells a client that its certificate is refused, gives it a moment to read that, and cuts the connection. */
  #alert(socket: TLSSocket, raw: Socket | undefined): void {
    const secret = alertSecrets.get(socket);
    const record = secret === undefined ? undefined : serverAlert(socket, secret);
    alertSecrets.delete(socket);
    if (raw === undefined || record === undefined) {
      socket.destroy();
      return;
    }
    // What the client has already sent is read and dropped: closing with bytes unread would reset the connection, alert and all.
    socket.resume();
    const timer = this.#options.grpc.clock.after(alertMs, () => raw.destroy());
    raw.once('close', () => timer.cancel());
    // The session tickets leave first.
    setImmediate(() => raw.end(record));
  }

  #rejected(socket: TLSSocket, error: string, names: Readonly<Record<string, readonly string[]>>): void {
    this.#log.warn(`rejected connection on ${this.#options.endpoint ?? 'client'} endpoint`, {
      'remote-addr': socket.remoteAddress === undefined ? '' : peerOfSocket(socket).address,
      'server-name': typeof socket.servername === 'string' ? socket.servername : '',
      ...names,
      error,
    });
  }

  #serve(socket: TLSSocket, settled: (() => void) | undefined): void {
    if (socket.alpnProtocol === 'h2') {
      settled?.();
      this.#http2.accept(socket, undefined, peerOfSocket(socket), true);
    } else if (socket.alpnProtocol === 'http/1.1') {
      settled?.();
      this.#http1.accept(socket);
    } else this.#sniff(socket, settled ?? (() => {}));
  }

  /** Reads until the bytes differ from HTTP/2's preface or make a whole one. */
  #sniff(socket: Socket, settled: () => void): void {
    if (this.#options.http1Only === true) {
      settled();
      this.#http1.accept(socket);
      socket.resume();
      return;
    }
    let seen: Buffer | undefined;
    const onData = (chunk: Buffer): void => {
      seen = seen === undefined ? chunk : Buffer.concat([seen, chunk]);
      const n = Math.min(seen.length, preface.length);
      const http2 = seen.compare(preface, 0, n, 0, n) === 0;
      if (http2 && n < preface.length) return;
      socket.removeListener('data', onData);
      socket.pause();
      settled();
      if (http2) this.#http2.accept(socket, seen, peerOfSocket(socket), isSecure(socket));
      else {
        socket.unshift(seen);
        this.#http1.accept(socket);
        socket.resume();
      }
    };
    socket.on('data', onData);
    socket.resume();
  }
}

/** How long a refused client may take to read why, ms. */
const alertMs = 1_000;

/** What an alert after the handshake is written with, until the certificate has been looked at. */
const alertSecrets = new WeakMap<TLSSocket, Buffer>();

/** Type of the record that a TLS connection begins with. */
const handshakeRecord = 22;

/** Sockets whose TLS handshake runs, with what marks it as finished. */
const pendingTls = new WeakMap<Socket, () => void>();

function isSecure(socket: Duplex): boolean {
  return (socket as Partial<TLSSocket>).encrypted === true;
}

/** Peer of an accepted socket; the name comes from a client certificate that the handshake has verified. */
export function peerOfSocket(duplex: Duplex): PeerInfo {
  const socket = duplex as Socket;
  const address = endText(socket.remoteAddress, socket.remotePort) ?? 'unix';
  const local = endText(socket.localAddress?.replace(/^::ffff:/, ''), socket.localPort) ?? '';
  let commonName: string | undefined;
  const tls = socket as TLSSocket;
  if (tls.encrypted && tls.authorized) {
    const name: unknown = tls.getPeerCertificate()?.subject?.CN;
    if (typeof name === 'string') commonName = name;
    else if (Array.isArray(name) && typeof name[0] === 'string') commonName = name[0];
  }
  return { address, commonName, viaGateway: false, local };
}

function endText(host: string | undefined, port: number | undefined): string | undefined {
  if (host === undefined || port === undefined) return undefined;
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Alternative names of a certificate, as the log shows them. */
function namesOf(text: string | undefined): Readonly<Record<string, readonly string[]>> {
  const of = (kind: string): string[] => (text ?? '').split(', ').flatMap((n) => (n.startsWith(kind) ? [n.slice(kind.length)] : []));
  return { 'ip-addresses': of('IP Address:'), 'dns-names': of('DNS:') };
}

function removeSocketFile(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

/** A handler that throws fails its own request only, and is reported. */
function guarded(handler: HttpHandler, grpc: GrpcServer): HttpHandler {
  return (request, response) => {
    try {
      handler(request, response);
    } catch (error) {
      response.head(500, { 'content-type': 'text/plain; charset=utf-8' });
      response.end('internal error\n');
      grpc.handlerError(error);
    }
  };
}

const notFound: HttpHandler = (_request, response) => {
  response.head(404, { 'content-type': 'text/plain; charset=utf-8' });
  response.end('404 page not found\n');
};

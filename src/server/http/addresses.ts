/** URLs to listen on, as addresses; and ports taken before anything is served on them. */
import { createServer, type Server, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';
import { unlinkSync } from 'node:fs';
import { splitHostPort } from '../config/flag-values.ts';
import type { ListenAddress } from '../../wire/listener.ts';

/** Connections kept waiting for the member to be ready; the kernel's own queue is of this order. */
const waitingMax = 1024;

/** `http://host:port` or `unix://path`. A name of this machine's loopback means IPv4, as Go takes it. */
export function addressOf(url: string): ListenAddress {
  const m = /^([a-z]+):\/\/(.*)$/.exec(url);
  const rest = m?.[2] ?? '';
  if (m?.[1]?.startsWith('unix') === true) return { path: rest };
  const at = splitHostPort(rest);
  return { host: at?.host === 'localhost' ? '127.0.0.1' : (at?.host ?? ''), port: at?.port ?? 0 };
}

/** `host:port` as etcd logs a listener. */
export function addressText(url: string): string {
  return url.replace(/^[a-z]+:\/\//, '');
}

/** A port that is bound from the start of the program, so that a conflict shows before any data is touched, and served from when it is ready. */
export class ReservedPort {
  readonly url: string;
  /** The same address is listed for plain text and for TLS: the first byte of a connection tells which it is. */
  plainToo = false;
  readonly #server: Server;
  #waiting: Socket[] = [];
  #serve: ((socket: Socket) => void) | undefined;

  private constructor(url: string, server: Server) {
    this.url = url;
    this.#server = server;
    server.on('connection', (socket: Socket) => {
      if (this.#serve !== undefined) {
        this.#serve(socket);
        return;
      }
      socket.on('error', () => socket.destroy());
      if (this.#waiting.length >= waitingMax) socket.destroy();
      else this.#waiting.push(socket);
    });
  }

  /** @throws the system's error, such as EADDRINUSE */
  static async bind(url: string): Promise<ReservedPort> {
    const address = addressOf(url);
    const server = createServer({ noDelay: true, pauseOnConnect: true });
    const port = new ReservedPort(url, server);
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      const listening = (): void => {
        server.removeListener('error', reject);
        server.on('error', () => {});
        resolve();
      };
      if (address.path !== undefined) {
        removeStaleSocket(address.path);
        server.listen(address.path, listening);
      } else {
        server.listen({ port: address.port ?? 0, ...(address.host ? { host: address.host } : {}), backlog: 4096 }, listening);
      }
    });
    return port;
  }

  /** The URL with the port that the system picked. */
  get boundUrl(): string {
    const address = this.#server.address() as AddressInfo | string | null;
    if (address === null || typeof address === 'string') return this.url;
    return this.url.replace(/:0$/, `:${address.port}`);
  }

  /** Hands over what waits and all that comes. */
  serve(accept: (socket: Socket) => void): void {
    this.#serve = accept;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const socket of waiting) if (!socket.destroyed) accept(socket);
  }

  /** Takes no more connections; those handed over belong to who serves them. */
  close(): void {
    for (const socket of this.#waiting) socket.destroy();
    this.#waiting = [];
    this.#server.close();
  }
}

/** A socket file that nobody listens on is left from a former life. */
function removeStaleSocket(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

/** Server binding that speaks HTTP/2 itself, straight on accepted sockets: the default one. */
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Timer } from '../base/clock.ts';
import type { BindingOptions, ServerBinding } from './binding.ts';
import type { PeerInfo } from './call.ts';
import { Connection, type ConnectionHost } from './h2/connection.ts';
import { WriterPool } from './h2/writer-pool.ts';
import type { HttpHandler } from './http.ts';
import { keepalivePeriodMs } from './keepalive.ts';
import type { GrpcServer } from './server-call.ts';

export class NativeBinding implements ServerBinding, ConnectionHost {
  readonly grpc: GrpcServer;
  readonly http: HttpHandler;
  readonly writers = new WriterPool();
  readonly #connections = new Set<Connection>();
  readonly #sweep: Timer;
  #toFlush: Connection[] = [];
  #draining = false;

  constructor(options: BindingOptions) {
    this.grpc = options.grpc;
    this.http = options.http;
    const { clock, limits } = options.grpc;
    this.#sweep = clock.every(keepalivePeriodMs(limits), () => {
      const now = clock.mono();
      for (const connection of this.#connections) connection.sweep(now);
    });
  }

  get connections(): number {
    return this.#connections.size;
  }

  accept(socket: Duplex, head: Uint8Array | undefined, peer: PeerInfo, secure: boolean): void {
    const connection = new Connection(this, socket as Socket, peer, secure);
    this.#connections.add(connection);
    connection.start(head);
    if (this.#draining) connection.drain();
  }

  drain(): void {
    this.#draining = true;
    for (const connection of this.#connections) connection.drain();
  }

  close(): void {
    this.#sweep.cancel();
    for (const connection of this.#connections) connection.destroy();
  }

  // ---- for connections

  readonly #flushAll = (): void => {
    const list = this.#toFlush;
    this.#toFlush = [];
    for (const connection of list) connection.flush();
  };

  flushSoon(connection: Connection): void {
    if (this.#toFlush.length === 0) process.nextTick(this.#flushAll);
    this.#toFlush.push(connection);
  }

  closed(connection: Connection): void {
    this.#connections.delete(connection);
  }
}

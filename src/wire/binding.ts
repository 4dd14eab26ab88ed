/** What the listener needs of a server binding for HTTP/2, and what both bindings are given. */
import type { Duplex } from 'node:stream';
import type { PeerInfo } from './call.ts';
import type { HttpHandler } from './http.ts';
import type { GrpcServer } from './server-call.ts';

export interface BindingOptions {
  readonly grpc: GrpcServer;
  /** Requests that are not gRPC. */
  readonly http: HttpHandler;
}

export interface ServerBinding {
  /** Serves HTTP/2 on an accepted socket. `head` has been read from it already: at least the client's preface, or nothing of it (TLS). */
  accept(socket: Duplex, head: Uint8Array | undefined, peer: PeerInfo, secure: boolean): void;
  /** Tells every client to go elsewhere (GOAWAY); open calls go on, and connections close when they have none. */
  drain(): void;
  /** Cuts what is left. */
  close(): void;
  /** Open connections. */
  readonly connections: number;
}

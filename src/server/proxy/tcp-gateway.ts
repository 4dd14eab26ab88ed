/**
 * The TCP gateway: connections of clients go to members as they are, in turn, or by priority and weight when SRV records name the members.
 * A member that refuses a connection is passed over until it accepts one again.
 */
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { Clock, Timer } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import type { Random } from '../../base/random.ts';
import { formatDuration } from '../../base/duration.ts';

/** Connections of clients at a time; further ones are closed at once. Each costs two sockets. */
const connectionsMax = 20_000;
/** Milliseconds for a connection to a member: one that does not answer at all is as good as away. */
const dialMs = 10_000;
/** A record of weight 0 is taken once in so many times when others have weights, as RFC 2782 wants it rarely. */
const unweightedOneIn = 100;
const priorityMax = 65_535;

/** Where a member listens, as an SRV record tells it; priority and weight 0 without one. */
export interface GatewayTarget {
  readonly host: string;
  readonly port: number;
  readonly priority: number;
  readonly weight: number;
}

interface Remote {
  readonly target: GatewayTarget;
  /** `host:port`. */
  readonly address: string;
  active: boolean;
  checking: boolean;
}

export class TcpGateway {
  readonly #remotes: Remote[];
  readonly #log: Log;
  readonly #random: Random;
  readonly #retryMs: number;
  readonly #monitor: Timer;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #turn = 0;
  #clients = 0;

  constructor(options: {
    readonly targets: readonly GatewayTarget[];
    /** Milliseconds between attempts to reach members that were away. */
    readonly retryMs: number;
    readonly clock: Clock;
    readonly random: Random;
    readonly log: Log;
  }) {
    this.#log = options.log;
    this.#random = options.random;
    this.#retryMs = options.retryMs;
    this.#remotes = options.targets.map((target) => ({ target, address: addressText(target), active: true, checking: false }));
    this.#server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true }, (socket) => this.#serve(socket));
    this.#monitor = options.clock.every(options.retryMs, () => {
      for (const remote of this.#remotes) if (!remote.active && !remote.checking) this.#reactivate(remote);
    });
  }

  get addresses(): string[] {
    return this.#remotes.map((r) => r.address);
  }

  /** Clients' connections that are open. */
  get connections(): number {
    return this.#clients;
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  /** Resolves once connections are accepted; rejects with the system's error. */
  listen(host: string, port: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen({ port, ...(host === '' ? {} : { host }) }, () => {
        this.#server.removeListener('error', reject);
        this.#server.on('error', (error) => this.#log.warn('listener error', { error: error.message }));
        resolve();
      });
    });
  }

  close(): Promise<void> {
    this.#monitor.cancel();
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      for (const socket of this.#sockets) socket.destroy();
    });
  }

  #serve(client: Socket): void {
    client.on('error', () => client.destroy());
    if (this.#clients >= connectionsMax) {
      client.destroy();
      return;
    }
    this.#clients++;
    this.#track(client);
    client.on('close', () => this.#clients--);
    this.#dial(client);
  }

  #track(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
  }

  /** Connects the client to the first member that accepts. */
  #dial(client: Socket): void {
    if (client.destroyed) return;
    const remote = this.#pick();
    if (remote === undefined) {
      client.destroy();
      return;
    }
    const { host, port } = remote.target;
    const member = connect({ host, port, noDelay: true, allowHalfOpen: true });
    this.#track(member);
    let connected = false;
    const failed = (error: Error): void => {
      if (connected) {
        client.destroy();
        return;
      }
      connected = true;
      member.destroy();
      if (remote.active) {
        remote.active = false;
        this.#log.warn('deactivated endpoint', {
          address: remote.address,
          interval: formatDuration(this.#retryMs),
          error: dialText(remote.address, error),
        });
      }
      this.#dial(client);
    };
    member.setTimeout(dialMs, () => {
      if (!connected) member.destroy(new Error('i/o timeout'));
    });
    member.on('error', failed);
    member.once('connect', () => {
      connected = true;
      member.setTimeout(0);
      if (client.destroyed) {
        member.destroy();
        return;
      }
      member.on('close', () => client.destroy());
      client.on('close', () => member.destroy());
      // Each direction ends by itself: a half-closed connection still brings its answer.
      client.pipe(member);
      member.pipe(client);
    });
  }

  /** The best priority's active member: by weight where there are weights, else in turn. */
  #pick(): Remote | undefined {
    let best = priorityMax + 1;
    for (const r of this.#remotes) if (r.active) best = Math.min(best, r.target.priority);
    const candidates = this.#remotes.filter((r) => r.active && r.target.priority === best);
    const weighted = candidates.filter((r) => r.target.weight > 0);
    const plain = candidates.filter((r) => r.target.weight === 0);
    if (weighted.length > 0 && (plain.length === 0 || this.#below(unweightedOneIn) !== 0)) {
      let left = this.#below(weighted.reduce((sum, r) => sum + r.target.weight, 0));
      for (const r of weighted) {
        left -= r.target.weight;
        if (left < 0) return r;
      }
    }
    return plain.length === 0 ? undefined : plain[this.#turn++ % plain.length];
  }

  /** A whole number in [0, n). */
  #below(n: number): number {
    return Math.floor(this.#random.float() * n);
  }

  #reactivate(remote: Remote): void {
    remote.checking = true;
    const { host, port } = remote.target;
    const socket = connect({ host, port });
    this.#track(socket);
    socket.setTimeout(dialMs, () => socket.destroy(new Error('i/o timeout')));
    socket.once('connect', () => {
      remote.checking = false;
      remote.active = true;
      this.#log.info('activated', { address: remote.address });
      socket.destroy();
    });
    socket.once('error', (error) => {
      socket.destroy();
      if (remote.active) return;
      remote.checking = false;
      this.#log.warn('failed to activate endpoint (stay inactive for another interval)', {
        address: remote.address,
        interval: formatDuration(this.#retryMs),
        error: dialText(remote.address, error),
      });
    });
  }
}

function addressText({ host, port }: GatewayTarget): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** As Go words it. */
function dialText(address: string, error: Error): string {
  const words: Readonly<Record<string, string>> = {
    ECONNREFUSED: 'connect: connection refused',
    EHOSTUNREACH: 'connect: no route to host',
    ENETUNREACH: 'connect: network is unreachable',
    ETIMEDOUT: 'connect: connection timed out',
    ECONNRESET: 'connect: connection reset by peer',
  };
  return `dial tcp ${address}: ${words[(error as NodeJS.ErrnoException).code ?? ''] ?? error.message}`;
}

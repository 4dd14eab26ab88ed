/**
 * Keepalive of one HTTP/2 connection, both ways: how often its client may ping, and when we ping to see whether it still lives.
 * Rules are those of grpc-go's server transport with etcd's enforcement policy (least time, no pings without calls).
 */
import type { WireLimits } from './limits.ts';

/** Pings too close together that are forgiven before the connection is closed. */
const strikesMax = 2;
/** Without an open call a client may ping once in this time, in ms. */
const pingWithoutCallMs = 7_200_000;

export class KeepalivePolicy {
  readonly #limits: WireLimits;
  #lastPingMs = -Infinity;
  #strikes = 0;
  /** Set when we sent headers or data: pings around real traffic are how clients measure bandwidth, and count for nothing. */
  #reset = false;
  #lastActivityMs: number;
  #pingSentMs = Infinity;

  constructor(limits: WireLimits, nowMs: number) {
    this.#limits = limits;
    this.#lastActivityMs = nowMs;
  }

  /** We sent HEADERS or DATA. */
  sent(): void {
    this.#reset = true;
  }

  /** Any frame arrived. */
  activity(nowMs: number): void {
    this.#lastActivityMs = nowMs;
    this.#pingSentMs = Infinity;
  }

  /** False when the client has pinged too often: the connection gets GOAWAY with ENHANCE_YOUR_CALM and `too_many_pings`. */
  pingReceived(nowMs: number, hasCalls: boolean): boolean {
    this.activity(nowMs);
    if (this.#reset) {
      this.#reset = false;
      this.#strikes = 0;
      this.#lastPingMs = -Infinity;
      return true;
    }
    const least = hasCalls ? this.#limits.keepaliveMinMs : pingWithoutCallMs;
    if (this.#lastPingMs + least > nowMs) this.#strikes++;
    this.#lastPingMs = nowMs;
    return this.#strikes <= strikesMax;
  }

  /** What the regular check should do. After `ping` the caller pings and reports the answer as activity. */
  tick(nowMs: number): 'nothing' | 'ping' | 'dead' {
    if (this.#pingSentMs !== Infinity) return nowMs - this.#pingSentMs >= this.#limits.keepaliveTimeoutMs ? 'dead' : 'nothing';
    if (nowMs - this.#lastActivityMs < this.#limits.keepaliveIntervalMs) return 'nothing';
    this.#pingSentMs = nowMs;
    return 'ping';
  }
}

/** How often connections are looked after, in ms: often enough for the shortest of the times that are watched. */
export function keepalivePeriodMs(limits: WireLimits): number {
  const shortest = Math.min(
    limits.keepaliveIntervalMs,
    limits.keepaliveTimeoutMs,
    limits.bodyMs,
    limits.stalledMs,
    limits.headersMs,
    limits.handshakeMs,
  );
  return Math.min(1_000, Math.max(10, shortest / 4));
}

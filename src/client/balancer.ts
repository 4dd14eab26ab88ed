/** Spreads calls over the endpoints' channels and steers round the ones that just failed. */
import type { Channel } from '../wire/channel.ts';
import type { ChannelOptions, ChannelTarget } from '../wire/channel-options.ts';
import { parseEndpoint, type Connect, type Policy } from './options.ts';

/** An endpoint that failed is left out for this long, unless all have failed; twice as long each time, up to the maximum. */
const restMs = 1000;
const restMsMax = 15_000;

export interface Slot {
  readonly endpoint: ChannelTarget;
  readonly channel: Channel;
  pending: number;
  failures: number;
  /** On the monotonic clock. */
  restsUntil: number;
}

export class Balancer {
  #slots: Slot[] = [];
  #next = 0;
  readonly #connect: Connect;
  readonly #options: ChannelOptions;
  readonly #policy: Policy;

  constructor(connect: Connect, options: ChannelOptions, policy: Policy) {
    this.#connect = connect;
    this.#options = options;
    this.#policy = policy;
  }

  get endpoints(): string[] {
    return this.#slots.map((s) => s.endpoint.text);
  }

  /** Channels of endpoints that stay are kept; the others are closed. */
  setEndpoints(texts: readonly string[]): void {
    const old = new Map(this.#slots.map((s) => [s.endpoint.text, s]));
    this.#slots = [...new Set(texts)].map((text) => {
      const kept = old.get(text);
      if (kept !== undefined) {
        old.delete(text);
        return kept;
      }
      const endpoint = parseEndpoint(text, this.#options.tls !== undefined);
      return { endpoint, channel: this.#connect(endpoint, this.#options), pending: 0, failures: 0, restsUntil: 0 };
    });
    for (const gone of old.values()) gone.channel.close();
  }

  /** The slot for the next call, `avoid`ing those already tried when others are left. */
  pick(avoid?: ReadonlySet<Slot>): Slot {
    const now = performance.now();
    const fresh = this.#slots.filter((s) => avoid === undefined || !avoid.has(s));
    const untried = fresh.length > 0 ? fresh : this.#slots;
    const rested = untried.filter((s) => now >= s.restsUntil);
    const from = rested.length > 0 ? rested : untried;
    let index = 0;
    if (this.#policy === 'random') index = Math.floor(Math.random() * from.length);
    else if (this.#policy === 'round-robin') index = this.#next++ % from.length;
    else for (let i = 1; i < from.length; i++) if ((from[i]?.pending ?? 0) < (from[index]?.pending ?? 0)) index = i;
    const slot = from[index];
    if (slot === undefined) throw new TypeError('client has no endpoints');
    return slot;
  }

  get size(): number {
    return this.#slots.length;
  }

  failed(slot: Slot): void {
    const now = performance.now();
    // What fails at the same time is one failure.
    if (now < slot.restsUntil) return;
    slot.restsUntil = now + Math.min(restMs * 2 ** slot.failures, restMsMax);
    slot.failures++;
  }

  succeeded(slot: Slot): void {
    slot.failures = 0;
    slot.restsUntil = 0;
  }

  close(): void {
    for (const s of this.#slots) s.channel.close();
    this.#slots = [];
  }
}

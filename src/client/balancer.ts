/** Spreads calls over the endpoints' channels and steers round the ones that just failed. */
import type { Channel } from '../wire/channel.ts';
import type { ChannelOptions, ChannelTarget } from '../wire/channel-options.ts';
import { parseEndpoint, type Connect } from './options.ts';

/** An endpoint that failed is left out for this long, unless all have failed. */
const restMs = 1000;

export interface Slot {
  readonly endpoint: ChannelTarget;
  readonly channel: Channel;
  pending: number;
  failedAt: number;
}

export type Policy = 'round-robin' | 'random' | 'least-pending';

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
      return { endpoint, channel: this.#connect(endpoint, this.#options), pending: 0, failedAt: -Infinity };
    });
    for (const gone of old.values()) gone.channel.close();
  }

  /** The slot for the next call, `avoid`ing those already tried when others are left. */
  pick(avoid?: ReadonlySet<Slot>): Slot {
    const now = performance.now();
    const fresh = this.#slots.filter((s) => avoid === undefined || !avoid.has(s));
    const untried = fresh.length > 0 ? fresh : this.#slots;
    const rested = untried.filter((s) => now - s.failedAt > restMs);
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
    slot.failedAt = performance.now();
  }

  succeeded(slot: Slot): void {
    slot.failedAt = -Infinity;
  }

  close(): void {
    for (const s of this.#slots) s.channel.close();
    this.#slots = [];
  }
}

/**
 * Spreads calls over the endpoints' channels and steers round the ones that just failed. Of several endpoints all are connected to at once, and
 * calls go to those that are there: nobody waits for a member that is away while another could answer.
 */
import { Code, errors, RpcError } from '../api/status.ts';
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
  /** When it was last asked to connect. */
  dialledAt: number;
}

export class Balancer {
  #slots: Slot[] = [];
  /** Of former endpoints. */
  readonly #retired = new Set<Slot>();
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

  /** Channels of endpoints that stay are kept. Calls under way elsewhere go on, as long as those members let them. */
  setEndpoints(texts: readonly string[]): void {
    const old = new Map(this.#slots.map((s) => [s.endpoint.text, s]));
    this.#slots = [...new Set(texts)].map((text) => {
      const kept = old.get(text);
      if (kept !== undefined) {
        old.delete(text);
        return kept;
      }
      const endpoint = parseEndpoint(text, this.#options.tls !== undefined);
      const channel = this.#connect(endpoint, this.#options);
      return { endpoint, channel, pending: 0, failures: 0, restsUntil: 0, dialledAt: -Infinity };
    });
    for (const gone of old.values()) {
      this.#retired.add(gone);
      gone.channel.drain(() => this.#retired.delete(gone));
    }
  }

  /**
   * The slot for the next call, `avoid`ing those already tried when others are left: one that is connected, else the first that gets there.
   * @throws RpcError  unsent: when none of them can be reached, or `deadline` (of `performance.now`) passes before.
   */
  pick(avoid: ReadonlySet<Slot> | undefined, deadline: number): Slot | Promise<Slot> {
    const [only] = this.#slots;
    if (only === undefined) throw new TypeError('client has no endpoints');
    if (this.#slots.length === 1) return only;
    const now = performance.now();
    const fresh = this.#slots.filter((s) => avoid?.has(s) !== true);
    const untried = fresh.length > 0 ? fresh : this.#slots;
    const ready: Slot[] = [];
    for (const s of this.#slots) {
      if (s.channel.ready) {
        if (untried.includes(s)) ready.push(s);
      } else if (now - s.dialledAt > restMs) {
        s.dialledAt = now;
        s.channel.connect().catch(() => undefined);
      }
    }
    const rested = ready.filter((s) => now >= s.restsUntil);
    const from = rested.length > 0 ? rested : ready;
    return from.length > 0 ? this.#byPolicy(from) : firstConnected(untried, deadline);
  }

  #byPolicy(from: readonly Slot[]): Slot {
    let index = 0;
    if (this.#policy === 'random') index = Math.floor(Math.random() * from.length);
    else if (this.#policy === 'round-robin') index = this.#next++ % from.length;
    else for (let i = 1; i < from.length; i++) if ((from[i]?.pending ?? 0) < (from[index]?.pending ?? 0)) index = i;
    return from[index] as Slot;
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
    for (const s of [...this.#slots, ...this.#retired]) s.channel.close();
    this.#slots = [];
    this.#retired.clear();
  }
}

function firstConnected(slots: readonly Slot[], deadline: number): Promise<Slot> {
  return new Promise((resolve, reject) => {
    const timer =
      deadline === Infinity
        ? undefined
        : setTimeout(
            () => reject(new RpcError(errors.contextDeadlineExceeded, { unsent: true })),
            Math.min(Math.max(0, deadline - performance.now()), 2 ** 31 - 1),
          );
    let left = slots.length;
    for (const slot of slots) {
      slot.channel.connect().then(
        () => {
          clearTimeout(timer);
          resolve(slot);
        },
        (error: unknown) => {
          // What the last one says stands for all.
          if (--left > 0) return;
          clearTimeout(timer);
          reject(error instanceof RpcError ? error : new RpcError({ code: Code.Unavailable, message: String(error) }, { unsent: true }));
        },
      );
    }
  });
}

/**
 * Simple tokens: 16 random letters, a dot, the raft index before the entry that assigned it. Held in memory of every member, gone with a
 * restart; each ends a while after its last use.
 */
import type { Clock, Timer } from '../../base/clock.ts';
import type { Random } from '../../base/random.ts';
import type { AuthInfo } from '../apply/types.ts';
import type { TokenProvider } from './tokens.ts';

const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const prefixLetters = 16;
/** Random bytes from here on are thrown away: 256 is no multiple of 52. */
const fairByteEnd = 208;
const sweepMs = 1000;

interface Held {
  readonly username: string;
  expiresAt: number;
}

export class SimpleTokens implements TokenProvider {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #ttlMs: number;
  /** By last use, oldest first: a used token moves to the end. All live equally long, so those that end first stand first. */
  readonly #held = new Map<string, Held>();
  #sweep: Timer | undefined;

  constructor(options: { readonly clock: Clock; readonly random: Random; readonly ttlMs: number }) {
    this.#clock = options.clock;
    this.#random = options.random;
    this.#ttlMs = options.ttlMs;
  }

  get size(): number {
    return this.#held.size;
  }

  prefix(): string {
    let out = '';
    while (out.length < prefixLetters) {
      for (const byte of this.#random.bytes(2 * prefixLetters)) {
        if (byte < fairByteEnd && out.length < prefixLetters) out += letters.charAt(byte % letters.length);
      }
    }
    return out;
  }

  assign(of: { readonly username: string; readonly index: number; readonly prefix: string }): { error: undefined; token: () => string } {
    const token = `${of.prefix}.${of.index}`;
    this.#held.set(token, { username: of.username, expiresAt: this.#clock.mono() + this.#ttlMs });
    return { error: undefined, token: () => token };
  }

  info(token: string, revision: number): AuthInfo | undefined {
    const held = this.#held.get(token);
    if (held === undefined) return undefined;
    const now = this.#clock.mono();
    this.#held.delete(token);
    if (held.expiresAt <= now) return undefined;
    held.expiresAt = now + this.#ttlMs;
    this.#held.set(token, held);
    return { username: held.username, revision };
  }

  indexOf(token: string): number {
    const match = /^[A-Za-z]{16}\.(\d{1,15})$/.exec(token);
    return match === null ? 0 : Number(match[1]) + 1;
  }

  invalidateUser(username: string): void {
    for (const [token, held] of this.#held) if (held.username === username) this.#held.delete(token);
  }

  enable(): void {
    this.#sweep ??= this.#clock.every(sweepMs, () => {
      const now = this.#clock.mono();
      for (const [token, held] of this.#held) {
        if (held.expiresAt > now) break;
        this.#held.delete(token);
      }
    });
  }

  disable(): void {
    this.#sweep?.cancel();
    this.#sweep = undefined;
    this.#held.clear();
  }
}

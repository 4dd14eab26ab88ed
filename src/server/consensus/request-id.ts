/**
 * Unique ids for requests and leases: bits 63…48 the low 16 bits of the member id, 47…8 the low 40 bits of Unix milliseconds at start, 7…0 a
 * counter that runs over into them. So a restarted member does not repeat the ids of its former life.
 * Source: peer protocol, "Identity".
 */
import type { MemberId } from '../../raft/types.ts';

const two32 = 4294967296;

export class RequestIds {
  /** Upper 16 bits, as they stand in the high word. */
  readonly #prefix: number;
  /** Lower 48 bits of the id given last. */
  #low: number;

  constructor(memberId: MemberId, wallMs: number) {
    this.#prefix = (Number(memberId & 0xffffn) << 16) >>> 0;
    this.#low = (Math.floor(wallMs) % 2 ** 40) * 256;
  }

  /** The lower 48 bits of a fresh id: what this member knows its own requests by. */
  nextLow(): number {
    this.#low = (this.#low + 1) % 2 ** 48;
    return this.#low;
  }

  /** High and low word of the id with these lower 48 bits. */
  high(low: number): number {
    return (this.#prefix + Math.floor(low / two32)) >>> 0;
  }

  id(low: number): bigint {
    return (BigInt(this.high(low)) << 32n) | BigInt(low % two32);
  }

  /** The lower 48 bits when the id is one of this member's, else −1. */
  lowOf(id: bigint): number {
    const high = Number(id >> 32n);
    if ((high & 0xffff0000) >>> 0 !== this.#prefix) return -1;
    return (high & 0xffff) * two32 + Number(id & 0xffffffffn);
  }
}

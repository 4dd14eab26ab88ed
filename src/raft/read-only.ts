/**
 * Linearizable reads without the log (raft thesis §6.4). Each request gets the commit index of its arrival and the next number; the number
 * travels as the context of a heartbeat round and comes back in the responses. A quorum that has answered number n still knew this leader
 * after every request up to n had arrived, so all of them may be answered.
 *
 * The context is ours alone: followers echo whatever eight bytes they get. The number counts within one leadership; answers of an
 * earlier one are of a lower term and never get here.
 */
import type { MemberId } from './types.ts';

/** Requests that wait for a round or for the first commit of the term; more are refused, and their senders ask again. */
export const readRequestsMax = 4096;

export interface ReadRequest {
  /** The follower that forwarded it; our own id when it was asked here. */
  readonly from: MemberId;
  readonly context: Uint8Array;
}

export interface AnsweredRead extends ReadRequest {
  readonly index: number;
}

export interface PendingRead extends AnsweredRead {
  readonly sequence: number;
  /** When it came. */
  readonly tick: number;
}

export class ReadOnly {
  #sequence = 0;
  #pending: PendingRead[] = [];
  readonly #answered = new Map<MemberId, number>();

  get size(): number {
    return this.#pending.length;
  }

  /** False when the queue is full. */
  add(request: ReadRequest, index: number, tick: number): boolean {
    if (this.#pending.length >= readRequestsMax) return false;
    this.#sequence++;
    this.#pending.push({ from: request.from, context: request.context, index, sequence: this.#sequence, tick });
    return true;
  }

  /** Context of the next heartbeats: the newest pending request; undefined when none waits. */
  context(): Uint8Array | undefined {
    if (this.#pending.length === 0) return undefined;
    const out = new Uint8Array(8);
    new DataView(out.buffer).setBigUint64(0, BigInt(this.#sequence));
    return out;
  }

  /** A member answered a heartbeat with this context. False when we never sent it. */
  answered(id: MemberId, context: Uint8Array): boolean {
    if (context.length !== 8) return false;
    const sequence = Number(new DataView(context.buffer, context.byteOffset, 8).getBigUint64(0));
    if (sequence === 0 || sequence > this.#sequence) return false;
    if (sequence > (this.#answered.get(id) ?? 0)) this.#answered.set(id, sequence);
    return true;
  }

  /** The newest request number that `id` has answered; `self` has answered all. */
  answeredBy(id: MemberId, self: MemberId): number {
    return id === self ? this.#sequence : (this.#answered.get(id) ?? 0);
  }

  /** Takes the requests up to `sequence`, oldest first. */
  confirm(sequence: number): readonly PendingRead[] {
    let count = 0;
    while (count < this.#pending.length && (this.#pending[count]?.sequence ?? Infinity) <= sequence) count++;
    if (count === 0) return [];
    return this.#pending.splice(0, count);
  }

  clear(): void {
    this.#sequence = 0;
    this.#pending = [];
    this.#answered.clear();
  }
}

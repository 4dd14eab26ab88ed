/** What both client channels keep of their calls: refuses new ones while it drains, and tells when the last is over. */
import { Roster } from '../base/roster.ts';
import type { Status } from '../api/status.ts';
import { closedStatus, drainingStatus } from './channel-options.ts';

/** Something under way on a channel. */
export interface OpenCall {
  /** The channel closes. */
  closed(): void;
  /** Its number among the open ones; for `OpenCalls` alone. */
  openNumber?: number;
}

export class OpenCalls {
  readonly #calls = new Roster<OpenCall>();
  readonly #close: () => void;
  #closed = false;
  #drained: (() => void) | undefined;

  /** @param close  closes the channel, when it is drained */
  constructor(close: () => void) {
    this.#close = close;
  }

  get size(): number {
    return this.#calls.size;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Why no call may begin; undefined when one may. */
  get refusal(): Status | undefined {
    if (this.#drained !== undefined) return drainingStatus;
    return this.#closed ? closedStatus : undefined;
  }

  add(call: OpenCall): void {
    call.openNumber = this.#calls.add(call);
  }

  forget(call: OpenCall): void {
    if (call.openNumber !== undefined) this.#calls.delete(call.openNumber);
    this.#closeIfDrained();
  }

  /** No new calls; `done` when the last is over and the channel is closed. */
  drain(done: () => void): void {
    this.#drained = done;
    this.#closeIfDrained();
  }

  /** Ends all; false when that was done before. */
  end(): boolean {
    if (this.#closed) return false;
    this.#closed = true;
    for (const call of this.#calls.items()) call.closed();
    return true;
  }

  #closeIfDrained(): void {
    if (this.#drained === undefined || this.#closed || this.#calls.size > 0) return;
    this.#close();
    this.#drained();
  }
}

/** Whether a peer can be reached, by what its streams and posts met last. Both say so at once; a state is logged when it changes. */
import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import type { MemberId } from '../../raft/types.ts';
import type { PeerMetrics } from './peer-metrics.ts';

export class PeerStatus {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #local: MemberId;
  readonly #id: MemberId;
  readonly #metrics: PeerMetrics;
  #since: number | undefined;

  constructor(options: { clock: Clock; log: Log; local: MemberId; id: MemberId; metrics: PeerMetrics }) {
    this.#clock = options.clock;
    this.#log = options.log;
    this.#local = options.local;
    this.#id = options.id;
    this.#metrics = options.metrics;
  }

  /** Up without a break since then, on the monotonic clock. */
  get since(): number | undefined {
    return this.#since;
  }

  up(): void {
    if (this.#since !== undefined) return;
    this.#since = this.#clock.mono();
    this.#log.info('peer became active', { 'peer-id': this.#id });
    this.#metrics.active(this.#local, this.#id, true);
  }

  down(what: string, error: string): void {
    if (this.#since === undefined) return;
    this.#since = undefined;
    this.#log.warn('peer became inactive (message send to peer failed)', { 'peer-id': this.#id, error: `failed to ${what} (${error})` });
    this.#metrics.active(this.#local, this.#id, false);
  }
}

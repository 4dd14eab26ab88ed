/** Asks a peer for its time now and then: is it there, how far, and does its clock agree? */
import type { Clock, Timer } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import type { MemberId } from '../../raft/types.ts';
import type { PeerClient } from './peer-client.ts';

const intervalMs = 4000;
const timeoutMs = 4000;
const answerBytesMax = 4096;
/** A clock that differs more is worth a warning. */
const driftMaxMs = 1000;
/** Time between two tellings of the round trip; the shorter one while the peer is unhealthy. */
const tellMs = 30_000;
const tellUnhealthyMs = 5000;
/** Weight of a new round trip in the smoothed one. */
const smoothing = 0.125;

export interface ProberOptions {
  readonly peer: MemberId;
  readonly client: PeerClient;
  readonly clock: Clock;
  readonly log: Log;
  readonly onRoundTrip: (seconds: number) => void;
}

export class Prober {
  readonly #o: ProberOptions;
  readonly #timers: Timer[] = [];
  #asking: { cancel(): void } | undefined;
  #roundTripMs: number | undefined;
  #driftMs = 0;
  #error = '';
  #toldMs: number;

  constructor(options: ProberOptions) {
    this.#o = options;
    this.#toldMs = options.clock.mono();
    this.#timers.push(
      options.clock.every(intervalMs, () => this.#probe()),
      options.clock.every(tellUnhealthyMs, () => this.#tell()),
    );
  }

  stop(): void {
    for (const t of this.#timers) t.cancel();
    this.#asking?.cancel();
  }

  #probe(): void {
    const { clock, client } = this.#o;
    if (this.#asking !== undefined) return;
    const start = clock.mono();
    this.#asking = client.ask({ method: 'GET', path: '/raft/probing', timeoutMs, bytesMax: answerBytesMax }, (error, answer) => {
      this.#asking = undefined;
      const now = answer?.status === 200 ? timeOf(answer.body.toString('utf8')) : undefined;
      if (error !== undefined || now === undefined) {
        this.#error = error?.message ?? `unexpected answer with status ${answer?.status ?? 0}`;
        return;
      }
      const took = clock.mono() - start;
      this.#error = '';
      this.#driftMs = clock.wall() - took / 2 - now;
      this.#roundTripMs = this.#roundTripMs === undefined ? took : this.#roundTripMs * (1 - smoothing) + took * smoothing;
    });
  }

  #tell(): void {
    const { clock, log, peer, onRoundTrip } = this.#o;
    const now = clock.mono();
    if (this.#error !== '') {
      log.warn('prober detected unhealthy status', {
        'round-tripper-name': 'ROUND_TRIPPER_RAFT_MESSAGE',
        'remote-peer-id': peer,
        rtt: this.#roundTripMs ?? 0,
        error: this.#error,
      });
      return;
    }
    if (this.#roundTripMs === undefined || now - this.#toldMs < tellMs) return;
    this.#toldMs = now;
    onRoundTrip(this.#roundTripMs / 1000);
    if (Math.abs(this.#driftMs) > driftMaxMs)
      log.warn('prober found high clock drift', {
        'remote-peer-id': peer,
        'clock-drift': `${this.#driftMs / 1000}s`,
        rtt: `${this.#roundTripMs}ms`,
      });
  }
}

function timeOf(text: string): number | undefined {
  const m = /"Now":\s*"([^"]+)"/.exec(text);
  const ms = m === null ? Number.NaN : Date.parse((m[1] as string).replace(/(\.\d{3})\d+/, '$1'));
  return Number.isNaN(ms) ? undefined : ms;
}

/** Leases that stay alive: renewals of all leases of a client share one stream. */
import { Lease as LeaseRpc } from '../api/gen/methods.ts';
import type { LeaseKeepAliveRequest, LeaseKeepAliveResponse } from '../api/gen/etcdserverpb.ts';
import { errors, RpcError, type Status } from '../api/status.ts';
import type { CallOptions, ClientStream } from '../wire/channel.ts';
import type { Slot } from './balancer.ts';
import { sleep } from './connection.ts';
import { LeaseExpiredError } from './errors.ts';
import type { CallLayer } from './layer.ts';

/** Pause before the stream is opened again. */
const resumeMs = 500;

/** A lease that is being renewed. */
export class KeptLease {
  readonly id: bigint;
  /** Called with each renewal, TTL in seconds. */
  onRenewed: ((response: LeaseKeepAliveResponse) => void) | undefined;
  /** Called once, when the lease is gone or could not be renewed within its TTL. */
  onLost: ((error: LeaseExpiredError) => void) | undefined;
  readonly #keeper: LeaseKeeper;
  /** On the monotonic clock. */
  nextAt: number;
  deadline: number;

  constructor(keeper: LeaseKeeper, id: bigint, ttlSeconds: number) {
    this.#keeper = keeper;
    this.id = id;
    this.nextAt = performance.now();
    this.deadline = this.nextAt + ttlSeconds * 1000;
  }

  /** Stops renewing; the lease then runs out by itself. */
  stop(): void {
    this.#keeper.remove(this);
  }
}

export class LeaseKeeper {
  readonly #connection: CallLayer;
  readonly #leases = new Map<bigint, Set<KeptLease>>();
  #stream: ClientStream<LeaseKeepAliveRequest, LeaseKeepAliveResponse> | undefined;
  #slot: Slot | undefined;
  #opening = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  readonly #abort = new AbortController();

  constructor(connection: CallLayer) {
    this.#connection = connection;
  }

  /** Renews until `stop` or until the lease is lost. `ttlSeconds`: what is known of its TTL, until the first answer. */
  keep(id: bigint, ttlSeconds: number): KeptLease {
    const kept = new KeptLease(this, id, ttlSeconds);
    const same = this.#leases.get(id);
    if (same === undefined) this.#leases.set(id, new Set([kept]));
    else same.add(kept);
    this.#tick();
    return kept;
  }

  /** One renewal on a stream of its own. @throws LeaseExpiredError when the lease is unknown. */
  async once(id: bigint, options: CallOptions = {}): Promise<LeaseKeepAliveResponse> {
    const { stream } = await this.#connection.stream(LeaseRpc.leaseKeepAlive, options);
    return new Promise((resolve, reject) => {
      stream.onMessage = (m) => {
        stream.onEnd = undefined;
        stream.cancel();
        if (m.TTL <= 0) reject(new LeaseExpiredError(errors.leaseNotFound.message));
        else resolve(m);
      };
      stream.onEnd = (status) => reject(new RpcError(status));
      stream.send({ ID: id });
    });
  }

  remove(kept: KeptLease): void {
    const same = this.#leases.get(kept.id);
    same?.delete(kept);
    if (same?.size === 0) this.#leases.delete(kept.id);
    if (this.#leases.size === 0) this.#drop();
  }

  close(): void {
    this.#abort.abort();
    this.#leases.clear();
    this.#drop();
  }

  #drop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const stream = this.#stream;
    this.#stream = undefined;
    if (stream !== undefined) {
      stream.onEnd = undefined;
      stream.onMessage = undefined;
      stream.cancel();
    }
  }

  /** Sends what is due, gives up what is past its time, and sleeps until the next is due. */
  #tick(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#leases.size === 0) return;
    const now = performance.now();
    let next = Infinity;
    for (const [id, same] of this.#leases) {
      let due = false;
      for (const kept of same) {
        if (kept.deadline <= now) {
          this.#lose(kept, 'lease could not be renewed within its TTL');
          continue;
        }
        if (kept.nextAt <= now) {
          due = true;
          // Until the answer comes: try again soon.
          kept.nextAt = now + resumeMs;
        }
        next = Math.min(next, kept.nextAt, kept.deadline);
      }
      if (due) this.#stream?.send({ ID: id });
    }
    if (this.#leases.size === 0) return;
    if (this.#stream === undefined) void this.#open();
    this.#timer = setTimeout(() => this.#tick(), Math.max(1, next - now));
  }

  async #open(): Promise<void> {
    if (this.#opening) return;
    this.#opening = true;
    try {
      const { stream, slot } = await this.#connection.stream(LeaseRpc.leaseKeepAlive);
      if (this.#leases.size === 0 || this.#abort.signal.aborted) {
        stream.cancel();
        return;
      }
      this.#stream = stream;
      this.#slot = slot;
      stream.onMessage = (m) => this.#onMessage(m);
      stream.onEnd = (status) => this.#onEnd(stream, status);
      for (const id of this.#leases.keys()) stream.send({ ID: id });
    } catch {
      // No member could be reached or the login failed; the next tick tries again until the leases' own deadlines.
    } finally {
      this.#opening = false;
    }
  }

  #onMessage(m: LeaseKeepAliveResponse): void {
    const same = this.#leases.get(m.ID);
    if (same === undefined) return;
    const now = performance.now();
    for (const kept of same) {
      if (m.TTL <= 0) this.#lose(kept, errors.leaseNotFound.message);
      else {
        kept.deadline = now + m.TTL * 1000;
        kept.nextAt = now + (m.TTL * 1000) / 3;
        kept.onRenewed?.(m);
      }
    }
    this.#tick();
  }

  #onEnd(stream: ClientStream<LeaseKeepAliveRequest, LeaseKeepAliveResponse>, _status: Status): void {
    if (this.#stream !== stream) return;
    this.#stream = undefined;
    if (this.#slot !== undefined) this.#connection.streamFailed(this.#slot);
    this.#connection.forgetToken();
    void sleep(resumeMs, this.#abort.signal).then(
      () => this.#tick(),
      () => undefined,
    );
  }

  #lose(kept: KeptLease, why: string): void {
    this.remove(kept);
    kept.onLost?.(new LeaseExpiredError(why));
  }
}

/**
 * Leases through the proxy. All renewals of an identity share one stream to a member; renewals of one lease that are asked for while one is
 * under way share its answer.
 */
import { Lease } from '../../api/gen/methods.ts';
import type { LeaseKeepAliveRequest, LeaseKeepAliveResponse } from '../../api/gen/etcdserverpb.ts';
import { Code, type Status } from '../../api/status.ts';
import type { Clock, Timer } from '../../base/clock.ts';
import type { CallLayer } from '../../client/layer.ts';
import { reasonOf } from '../../client/errors.ts';
import type { HandlerTable, StreamCall } from '../../wire/call.ts';
import type { ClientStream } from '../../wire/channel.ts';
import { identityOf, type Identity } from './identity.ts';
import { statusOf, type Upstream } from './upstream.ts';

/** Renewals of one client stream that wait for their answer; the client is held back beyond it. */
const waitingMax = 1024;
/** Pause before the stream to the members is opened again. */
const reopenMs = 200;

export function registerLeaseProxy(table: HandlerTable, upstream: Upstream): void {
  for (const method of [Lease.leaseGrant, Lease.leaseRevoke, Lease.leaseTimeToLive, Lease.leaseLeases])
    upstream.pass(table, method as typeof Lease.leaseGrant);
  const renewers = new Map<string, Renewer>();
  table.addStream(Lease.leaseKeepAlive, (call) => {
    const identity = identityOf(call.metadata);
    let renewer = renewers.get(identity.key);
    if (renewer === undefined) {
      renewer = new Renewer(upstream.layer, upstream.clock, identity, () => renewers.delete(identity.key));
      renewers.set(identity.key, renewer);
    }
    new KeepAliveSession(call, renewer);
  });
}

type KeepAliveCall = StreamCall<LeaseKeepAliveRequest, LeaseKeepAliveResponse>;

/** One client's stream. */
class KeepAliveSession {
  readonly #call: KeepAliveCall;
  readonly #renewer: Renewer;
  #waiting = 0;
  #halfClosed = false;
  #over = false;
  /** The client does not read its answers. */
  #full = false;

  constructor(call: KeepAliveCall, renewer: Renewer) {
    this.#call = call;
    this.#renewer = renewer;
    renewer.join(this);
    call.onMessage = (m) => {
      this.#waiting++;
      this.#hold();
      renewer.renew(m.ID, this);
    };
    call.onHalfClose = () => {
      this.#halfClosed = true;
      this.#endWhenDone();
    };
    call.onDrain = () => {
      this.#full = false;
      this.#hold();
    };
    call.onCancel = () => this.#finish();
  }

  answer(m: LeaseKeepAliveResponse): void {
    if (this.#over) return;
    this.#waiting--;
    this.#full = !this.#call.send(m);
    this.#hold();
    this.#endWhenDone();
  }

  fail(status: Status): void {
    if (this.#over) return;
    this.#call.fail(status);
    this.#finish();
  }

  #hold(): void {
    if (this.#full || this.#waiting >= waitingMax) this.#call.pause();
    else this.#call.resume();
  }

  #endWhenDone(): void {
    if (this.#over || !this.#halfClosed || this.#waiting > 0) return;
    this.#call.end();
    this.#finish();
  }

  #finish(): void {
    if (this.#over) return;
    this.#over = true;
    this.#renewer.leave(this);
  }
}

/** The renewals of one identity. */
class Renewer {
  readonly #layer: CallLayer;
  readonly #clock: Clock;
  readonly #identity: Identity;
  readonly #onIdle: () => void;
  readonly #sessions = new Set<KeepAliveSession>();
  /** Lease → who waits for its answer. Each of them is one request on the stream. */
  readonly #waiting = new Map<bigint, KeepAliveSession[]>();
  #stream: ClientStream<LeaseKeepAliveRequest, LeaseKeepAliveResponse> | undefined;
  #opening = false;
  #timer: Timer | undefined;
  #over = false;

  constructor(layer: CallLayer, clock: Clock, identity: Identity, onIdle: () => void) {
    this.#layer = layer;
    this.#clock = clock;
    this.#identity = identity;
    this.#onIdle = onIdle;
  }

  join(session: KeepAliveSession): void {
    this.#sessions.add(session);
  }

  leave(session: KeepAliveSession): void {
    this.#sessions.delete(session);
    for (const [id, waiting] of this.#waiting) {
      if (!waiting.includes(session)) continue;
      const rest = waiting.filter((s) => s !== session);
      if (rest.length > 0) this.#waiting.set(id, rest);
      else this.#waiting.delete(id);
    }
    if (this.#sessions.size > 0 || this.#over) return;
    this.#over = true;
    this.#timer?.cancel();
    this.#drop();
    this.#onIdle();
  }

  renew(id: bigint, session: KeepAliveSession): void {
    const waiting = this.#waiting.get(id);
    if (waiting !== undefined) {
      waiting.push(session);
      return;
    }
    this.#waiting.set(id, [session]);
    if (this.#stream !== undefined) this.#stream.send({ ID: id });
    else void this.#open();
  }

  async #open(): Promise<void> {
    if (this.#opening || this.#over || this.#timer !== undefined) return;
    this.#opening = true;
    try {
      const { stream, slot } = await this.#layer.stream(Lease.leaseKeepAlive, { metadata: this.#identity.metadata });
      if (this.#over) return stream.cancel();
      this.#stream = stream;
      stream.onMessage = (m) => this.#answer(m);
      stream.onEnd = (status) => {
        if (this.#stream !== stream) return;
        this.#stream = undefined;
        this.#layer.streamFailed(slot);
        this.#ended(status);
      };
      for (const id of this.#waiting.keys()) stream.send({ ID: id });
    } catch (error) {
      this.#ended(statusOf(error));
    } finally {
      this.#opening = false;
    }
  }

  #answer(m: LeaseKeepAliveResponse): void {
    const waiting = this.#waiting.get(m.ID);
    if (waiting === undefined) return;
    this.#waiting.delete(m.ID);
    for (const session of waiting) session.answer(m);
  }

  /** A member that went away is replaced, and what had no answer is asked again; what a member refuses is for the clients to know. */
  #ended(status: Status): void {
    const lost = status.code === Code.Unavailable || status.code === Code.OK || status.code === Code.Internal;
    if (!lost || reasonOf(status) === 'noLeader') {
      for (const session of [...this.#sessions]) session.fail(status);
      return;
    }
    if (this.#waiting.size === 0 || this.#over) return;
    this.#timer ??= this.#clock.after(reopenMs, () => {
      this.#timer = undefined;
      void this.#open();
    });
  }

  #drop(): void {
    const stream = this.#stream;
    this.#stream = undefined;
    stream?.cancel();
  }
}

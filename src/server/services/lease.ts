/** Leases: grant, revoke, keepalive, time-to-live, list. */
import type { LeaseGrantRequest, LeaseGrantResponse, LeaseKeepAliveRequest, LeaseKeepAliveResponse } from '../../api/gen/etcdserverpb.ts';
import { Lease } from '../../api/gen/methods.ts';
import { errors } from '../../api/status.ts';
import type { UnaryCall } from '../../wire/call.ts';
import { leaseGrantCostBytes } from '../apply/quota.ts';
import type { AuthInfo } from '../apply/types.ts';
import type { MemberFacade } from '../consensus/facade.ts';
import { passes, type ServiceContext, type StreamRequest, type StreamScope } from './context.ts';
import type { QuotaGuard } from './quota-guard.ts';

/** Keepalives of one stream that wait for their turn; the client is held back beyond it. A client sends one per lease and third of a TTL. */
const keepAliveQueueMax = 1024;
const signBit = 1n << 63n;

export function registerLease(context: ServiceContext, quota: QuotaGuard): void {
  const { member } = context;
  context.unary(Lease.leaseGrant, (call, info) => grant(context, call, info), {
    check: (call) =>
      passes(call, member.lessor.count >= context.limits.leasesMax ? errors.requestTooManyRequests : undefined) &&
      quota.admits(call, leaseGrantCostBytes),
  });
  context.unary(Lease.leaseRevoke, (call, info) => context.propose(call, info, { leaseRevoke: call.request }));
  context.stream(Lease.leaseKeepAlive, (scope) => {
    new KeepAliveSession(context, scope);
  });
  context.unary(Lease.leaseTimeToLive, (call, info) => {
    const { ID, keys } = call.request;
    member.leaseTimeToLive(ID, keys, (error, lease) => {
      if (error !== undefined) return call.fail(error);
      // Keys may have been attached while the leader was asked.
      const denied = keys ? (context.staleAuth(info) ?? member.auth.checkLease(info, ID, false)) : undefined;
      if (denied !== undefined) call.fail(denied);
      else if (lease !== undefined)
        call.reply({ header: context.currentHeader(), ID, TTL: lease.ttl, grantedTTL: lease.grantedTtl, keys: [...lease.keys] });
    });
  });
  context.unary(Lease.leaseLeases, (call) => {
    call.reply({ header: context.currentHeader(), leases: member.lessor.list().map(({ id }) => ({ ID: id })) });
  });
}

function grant(context: ServiceContext, call: UnaryCall<LeaseGrantRequest, LeaseGrantResponse>, info: AuthInfo | undefined): void {
  const { request } = call;
  context.propose(call, info, { leaseGrant: { TTL: request.TTL, ID: request.ID === 0n ? freeLeaseId(context.member) : request.ID } });
}

/** A positive id that no lease has. */
export function freeLeaseId(member: MemberFacade): bigint {
  for (;;) {
    const id = member.nextId() & (signBit - 1n);
    if (id !== 0n && !member.lessor.has(id)) return id;
  }
}

/** One keepalive stream: requests are renewed and answered one after the other, in the order in which they came. */
class KeepAliveSession {
  readonly #context: ServiceContext;
  readonly #scope: StreamScope<LeaseKeepAliveRequest, LeaseKeepAliveResponse>;
  readonly #queue: StreamRequest<LeaseKeepAliveRequest>[] = [];
  #busy = false;
  #full = false;
  #halfClosed = false;

  constructor(context: ServiceContext, scope: StreamScope<LeaseKeepAliveRequest, LeaseKeepAliveResponse>) {
    this.#context = context;
    this.#scope = scope;
    const { call } = scope;
    scope.onRequest = (request) => {
      this.#queue.push(request);
      if (this.#queue.length > keepAliveQueueMax) call.pause();
      this.#work();
    };
    call.onHalfClose = () => {
      this.#halfClosed = true;
      this.#work();
    };
    call.onDrain = () => {
      this.#full = false;
      this.#work();
    };
  }

  #work(): void {
    const { member } = this.#context;
    const { call } = this.#scope;
    while (!this.#busy && !this.#full && !this.#scope.over) {
      const next = this.#queue.shift();
      if (next === undefined) {
        if (this.#halfClosed) this.#scope.end();
        return;
      }
      if (this.#queue.length === keepAliveQueueMax) call.resume();
      const request = next.open();
      if (request === undefined) return;
      const id = request.ID;
      // The header tells the revision before the renewal.
      const header = this.#context.currentHeader();
      let inTurn = true;
      this.#busy = true;
      const span = call.span?.child('lease_renew', { id });
      member.renewLease(id, (error, ttl) => {
        this.#busy = false;
        span?.end();
        if (error !== undefined && error !== errors.leaseNotFound) this.#scope.fail(error);
        else if (!this.#scope.over) this.#full = !call.send({ header, ID: id, TTL: error === undefined ? ttl : 0 });
        if (!inTurn) this.#work();
      });
      inTurn = false;
    }
  }
}

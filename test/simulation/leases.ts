/** Leases: clients that hold them, and the rule that none ends before its time (G-L-1 … G-L-6). */
import type { LeaseKeepAliveRequest, LeaseKeepAliveResponse } from '../../src/api/gen/etcdserverpb.ts';
import { Lease } from '../../src/api/gen/methods.ts';
import type { Caller } from './clients.ts';
import type { Effect } from './model.ts';
import type { World } from './world.ts';

interface Held {
  /** Nobody may end it before, in simulated ms. */
  safeUntil: number;
  revokedAt: number | undefined;
  /** A client wants it gone: it may go at any time. */
  revoking: boolean;
}

/** Clocks differ by the knob's share; a millisecond is lost in rounding. */
export class LeaseRule {
  readonly #world: World;
  readonly #slack: number;
  readonly #held = new Map<bigint, Held>();
  expired = 0;

  constructor(world: World, drift: number) {
    this.#world = world;
    this.#slack = 1 - drift * 1.2;
  }

  /** A grant or renewal that was asked for at `calledAt` and has been answered. */
  renewed(id: bigint, calledAt: number, ttlSeconds: number): void {
    const lease = this.#held.get(id) ?? { safeUntil: 0, revokedAt: undefined, revoking: false };
    this.#held.set(id, lease);
    lease.safeUntil = Math.max(lease.safeUntil, calledAt + ttlSeconds * 1000 * this.#slack - 1);
    if (lease.revokedAt !== undefined && !lease.revoking && lease.revokedAt < lease.safeUntil) this.#early(id, lease);
  }

  revoking(id: bigint): void {
    const lease = this.#held.get(id) ?? { safeUntil: 0, revokedAt: undefined, revoking: false };
    lease.revoking = true;
    this.#held.set(id, lease);
  }

  effect(effect: Effect): void {
    const revoke = effect.request.leaseRevoke;
    if (revoke === undefined || effect.error !== undefined) return;
    this.expired++;
    const lease = this.#held.get(revoke.ID) ?? { safeUntil: 0, revokedAt: undefined, revoking: false };
    this.#held.set(revoke.ID, lease);
    lease.revokedAt = this.#world.now;
    if (!lease.revoking && lease.revokedAt < lease.safeUntil) this.#early(revoke.ID, lease);
  }

  #early(id: bigint, lease: Held): void {
    this.#world.fail(
      `lease ${id} was ended at ${((lease.revokedAt ?? 0) / 1000).toFixed(3)} s, promised until ${(lease.safeUntil / 1000).toFixed(3)} s`,
    );
  }
}

/** Grants, renews for a while, then lets go or revokes. */
export class LeaseClient {
  readonly #caller: Caller;
  readonly #rule: LeaseRule;
  #stopped = false;
  #next: bigint;

  constructor(caller: Caller, rule: LeaseRule) {
    this.#caller = caller;
    this.#rule = rule;
    this.#next = BigInt(caller.number) * 1_000_000n;
  }

  start(): void {
    const { world, random } = this.#caller;
    world.after(random.float() * 1000, () => this.#grant());
  }

  stop(): void {
    this.#stopped = true;
  }

  #grant(): void {
    const machine = this.#caller.machine();
    if (this.#stopped || machine === undefined) return;
    const { world, random } = this.#caller;
    const id = ++this.#next;
    const calledAt = world.now;
    this.#caller.call(machine, Lease.leaseGrant, { ID: id, TTL: 1 + (random.u32() % 3) }, (answer) => {
      if ('ok' in answer) {
        this.#rule.renewed(id, calledAt, answer.ok.TTL);
        this.#hold(id, answer.ok.TTL, world.now + random.float() * 8000);
      } else world.after(200, () => this.#grant());
    });
  }

  #hold(id: bigint, ttl: number, until: number): void {
    const { world, random } = this.#caller;
    if (this.#stopped || world.now >= until) {
      this.#letGo(id);
      return;
    }
    // Often enough, or nearly too late.
    world.after(ttl * 1000 * (0.2 + random.float() * 0.7), () => {
      this.#renew(id, (left) => {
        if (left === 0) this.#grant();
        else this.#hold(id, ttl, until);
      });
    });
  }

  #renew(id: bigint, done: (ttl: number | undefined) => void): void {
    const machine = this.#caller.machine();
    if (machine === undefined) return;
    const { world } = this.#caller;
    const calledAt = world.now;
    let over = false;
    const finish = (ttl: number | undefined): void => {
      if (over) return;
      over = true;
      timer.cancel();
      done(ttl);
    };
    const timer = world.after(5000, () => {
      stream.cancel();
      finish(undefined);
    });
    const stream = this.#caller.stream<LeaseKeepAliveRequest, LeaseKeepAliveResponse>(
      machine,
      Lease.leaseKeepAlive,
      (m) => {
        if (over) return;
        if (m.TTL > 0) this.#rule.renewed(id, calledAt, m.TTL);
        stream.cancel();
        finish(m.TTL);
      },
      () => finish(undefined),
    );
    stream.send({ ID: id });
  }

  #letGo(id: bigint): void {
    const { world, random } = this.#caller;
    const machine = this.#caller.machine();
    if (machine !== undefined && random.u32() % 2 === 0) {
      this.#rule.revoking(id);
      this.#caller.call(machine, Lease.leaseRevoke, { ID: id }, () => undefined);
    }
    world.after(random.float() * 1000, () => this.#grant());
  }
}

/**
 * Leases: what is replicated (id, TTL, checkpointed remaining TTL; bucket `lease`) and what only the leader has (when each one ends, by its
 * monotonic clock).
 *
 * Bucket: key = lease id as int64, 8 bytes big-endian; value = `leasepb.Lease` (1 ID, 2 TTL, 3 RemainingTTL).
 *
 * A leader keeps one heap item a lease, at or before the lease's end. A renewal only moves the end: the item is moved when it comes up. So a
 * keepalive costs O(1). On other members leases never end.
 */
import { Lease as LeaseCodec } from '../../api/gen/leasepb.ts';
import { Reader } from '../../api/proto-io.ts';
import { errors, type Status } from '../../api/status.ts';
import { emptyBytes } from '../../base/bytes.ts';
import type { Clock } from '../../base/clock.ts';
import type { Backend } from '../storage/backend.ts';
import { LeaseHeap, type HeapItem } from './lease-heap.ts';
import type { Lease, Lessor } from './lessor.ts';

/** Seconds; a longer grant is refused. */
export const leaseTtlMax = 9_000_000_000;
/** A lease handed out for its revoke is handed out again after this time, if it is still there. */
export const revokeRetryMs = 3000;
/** Leases that may be checkpointed in one entry. */
export const checkpointBatch = 1000;
/** From so many leases on, ends that coincide on a new leader are spread; etcd's revokes a second. */
const spreadFrom = 1000;
/** How many leases may end in one second after spreading: three quarters of etcd's revoke rate. */
const spreadPerSecond = 750;
/** What a member that is not the leader answers for the time left: Go's longest duration in seconds, as etcd. */
const foreverSeconds = 9_223_372_036;

export interface LeaseStoreOptions {
  readonly clock: Pick<Clock, 'mono'>;
  readonly backend: Pick<Backend, 'put' | 'delete' | 'eachValue'>;
  /** Seconds; shorter grants are raised to it. See `minLeaseTtl`. */
  readonly minTtl: number;
  /** Time between checkpoints of one lease; undefined = no checkpoints are made. Etcd: 5 min. */
  readonly checkpointIntervalMs?: number | undefined;
  /** Whether checkpoints are stored: from cluster version 3.6 on, or by flag. The same on all members at one entry. Default: yes. */
  readonly persistCheckpoints?: (() => boolean) | undefined;
}

/** The least TTL in seconds: one and a half election timeouts, in whole heartbeats, rounded up. 2 with etcd's defaults. */
export function minLeaseTtl(electionMs: number, heartbeatMs: number): number {
  const electionTicks = Math.floor(electionMs / heartbeatMs);
  return Math.ceil((Math.floor((3 * electionTicks) / 2) * heartbeatMs) / 1000);
}

interface Checkpoint extends HeapItem {
  readonly lease: HeldLease;
}

class HeldLease implements Lease, HeapItem {
  readonly id: bigint;
  readonly ttl: number;
  remainingTtl: number;
  /** When it ends; Infinity unless this member is the leader. */
  endsAt = Infinity;
  /** Breaks ties of `endsAt` in the order of grants and renewals. */
  turn = 0;
  wakeAt = Infinity;
  heapIndex = -1;
  checkpoint: Checkpoint | undefined;

  constructor(id: bigint, ttl: number, remainingTtl: number) {
    this.id = id;
    this.ttl = ttl;
    this.remainingTtl = remainingTtl;
  }

  /** Seconds that a new leader must still grant. */
  get owedTtl(): number {
    return this.remainingTtl > 0 ? this.remainingTtl : this.ttl;
  }
}

export class LeaseStore implements Lessor {
  readonly #clock: Pick<Clock, 'mono'>;
  readonly #backend: Pick<Backend, 'put' | 'delete' | 'eachValue'>;
  readonly #minTtl: number;
  readonly #checkpointIntervalMs: number | undefined;
  readonly #persistCheckpoints: () => boolean;
  readonly #leases = new Map<bigint, HeldLease>();
  readonly #ends = new LeaseHeap<HeldLease>();
  readonly #checkpoints = new LeaseHeap<Checkpoint>();
  /** Renewals of ended leases, waiting for the revoke or for the end of this leadership. */
  readonly #unsettled = new Map<bigint, (() => void)[]>();
  #turn = 0;
  #primary = false;

  constructor(options: LeaseStoreOptions) {
    this.#clock = options.clock;
    this.#backend = options.backend;
    this.#minTtl = options.minTtl;
    this.#checkpointIntervalMs = options.checkpointIntervalMs;
    this.#persistCheckpoints = options.persistCheckpoints ?? (() => true);
    this.restore();
  }

  get count(): number {
    return this.#leases.size;
  }

  get isPrimary(): boolean {
    return this.#primary;
  }

  grant(id: bigint, ttl: number): { error: Status | undefined; lease: Lease | undefined } {
    if (id === 0n) return { error: errors.leaseNotFound, lease: undefined };
    if (ttl > leaseTtlMax) return { error: errors.leaseTTLTooLarge, lease: undefined };
    if (this.#leases.has(id)) return { error: errors.leaseExist, lease: undefined };
    const lease = new HeldLease(id, Math.max(ttl, this.#minTtl), 0);
    this.#leases.set(id, lease);
    this.#persist(lease);
    if (this.#primary) {
      this.#refresh(lease, lease.ttl * 1000);
      this.#scheduleCheckpoint(lease);
    }
    return { error: undefined, lease };
  }

  revoke(id: bigint): Status | undefined {
    const lease = this.#leases.get(id);
    if (lease === undefined) return errors.leaseNotFound;
    this.#leases.delete(id);
    this.#ends.remove(lease);
    if (lease.checkpoint !== undefined) this.#checkpoints.remove(lease.checkpoint);
    this.#backend.delete('lease', leaseKey(id));
    this.#settle(id);
    return undefined;
  }

  checkpoint(id: bigint, remainingTtl: number): Status | undefined {
    const lease = this.#leases.get(id);
    if (lease === undefined) return undefined;
    lease.remainingTtl = remainingTtl;
    if (this.#persistCheckpoints()) this.#persist(lease);
    if (this.#primary) this.#scheduleCheckpoint(lease);
    return undefined;
  }

  has(id: bigint): boolean {
    return this.#leases.has(id);
  }

  lookup(id: bigint): Lease | undefined {
    return this.#leases.get(id);
  }

  renew(id: bigint): number | undefined {
    const lease = this.#leases.get(id);
    if (!this.#primary || lease === undefined || lease.endsAt <= this.#clock.mono()) return undefined;
    this.#refresh(lease, lease.ttl * 1000);
    this.#scheduleCheckpoint(lease);
    return lease.ttl;
  }

  isEnded(id: bigint): boolean {
    const lease = this.#leases.get(id);
    return lease !== undefined && lease.endsAt <= this.#clock.mono();
  }

  whenSettled(id: bigint, fn: () => void): void {
    if (!this.#primary || !this.#leases.has(id)) {
      fn();
      return;
    }
    const waiting = this.#unsettled.get(id);
    if (waiting === undefined) this.#unsettled.set(id, [fn]);
    else waiting.push(fn);
  }

  remaining(id: bigint): number | undefined {
    const lease = this.#leases.get(id);
    if (lease === undefined) return undefined;
    // Cut towards zero, as Go does when a duration becomes an integer. `+ 0` turns −0 into 0.
    return lease.endsAt === Infinity ? foreverSeconds : Math.trunc((lease.endsAt - this.#clock.mono()) / 1000) + 0;
  }

  list(): Lease[] {
    return [...this.#leases.values()].sort(byEnd);
  }

  promote(extendMs: number): void {
    this.#primary = true;
    const now = this.#clock.mono();
    for (const lease of this.#leases.values()) {
      this.#refresh(lease, lease.owedTtl * 1000 + extendMs, now);
      this.#scheduleCheckpoint(lease, now);
    }
    if (this.#leases.size >= spreadFrom) this.#spread(extendMs);
  }

  demote(): void {
    this.#primary = false;
    this.#ends.clear();
    this.#checkpoints.clear();
    for (const lease of this.#leases.values()) {
      lease.endsAt = Infinity;
      lease.checkpoint = undefined;
    }
    for (const id of [...this.#unsettled.keys()]) this.#settle(id);
  }

  due(limit: number): bigint[] {
    const ids: bigint[] = [];
    const now = this.#clock.mono();
    while (ids.length < limit) {
      const lease = this.#ends.peek();
      if (lease === undefined || lease.wakeAt > now) break;
      if (lease.endsAt > now) {
        // Renewed since.
        this.#ends.set(lease, lease.endsAt);
      } else {
        ids.push(lease.id);
        this.#ends.set(lease, now + revokeRetryMs);
      }
    }
    return ids;
  }

  checkpointsDue(limit: number): { id: bigint; remainingTtl: number }[] {
    const out: { id: bigint; remainingTtl: number }[] = [];
    const now = this.#clock.mono();
    while (out.length < limit) {
      const item = this.#checkpoints.peek();
      if (item === undefined || item.wakeAt > now) break;
      const lease = item.lease;
      this.#checkpoints.remove(item);
      lease.checkpoint = undefined;
      if (lease.endsAt <= now) continue;
      const remainingTtl = Math.ceil((lease.endsAt - now) / 1000);
      // Nothing to tell of one just renewed. The next one is due by this moment even if the proposal of this one gets lost.
      if (remainingTtl < lease.ttl) out.push({ id: lease.id, remainingTtl });
      this.#scheduleCheckpoint(lease);
    }
    return out;
  }

  restore(): void {
    const wasPrimary = this.#primary;
    if (wasPrimary) this.demote();
    const leases = this.#leases;
    // By hand: a store may hold hundreds of thousands, and a member that starts waits for all of them.
    let reader = new Reader(emptyBytes);
    this.#backend.eachValue(
      'lease',
      () => leases.clear(),
      (bytes, from, to) => {
        if (reader.buf !== bytes) reader = new Reader(bytes);
        reader.pos = from;
        let id = 0n;
        let ttl = 0;
        let remainingTtl = 0;
        while (reader.pos < to) {
          const tag = reader.varint32();
          if (tag === 8) id = reader.bigInt64();
          else if (tag === 16) ttl = reader.int64();
          else if (tag === 24) remainingTtl = reader.int64();
          else reader.skip(tag);
        }
        leases.set(id, new HeldLease(id, Math.max(ttl, this.#minTtl), remainingTtl));
      },
    );
    if (wasPrimary) this.promote(0);
  }

  /** Moves the end to `ms` from now. */
  #refresh(lease: HeldLease, ms: number, now = this.#clock.mono()): void {
    lease.endsAt = now + ms;
    lease.turn = ++this.#turn;
    // The item may lie before the end, never behind it.
    if (lease.heapIndex < 0 || lease.wakeAt > lease.endsAt) this.#ends.set(lease, lease.endsAt);
  }

  #scheduleCheckpoint(lease: HeldLease, now?: number): void {
    const interval = this.#checkpointIntervalMs;
    if (interval === undefined || lease.owedTtl * 1000 <= interval || lease.checkpoint !== undefined) return;
    lease.checkpoint = { lease, wakeAt: 0, heapIndex: -1 };
    this.#checkpoints.set(lease.checkpoint, (now ?? this.#clock.mono()) + interval);
  }

  /**
   * After a leader change all leases end at once, TTL for TTL. Of those that end within one second of another only so many keep their place; the
   * others are pushed back, each run of them over as many seconds as it needs.
   */
  #spread(extendMs: number): void {
    const now = this.#clock.mono();
    const leases = [...this.#leases.values()].sort(byEnd);
    let base = (leases[0] as HeldLease).endsAt - now;
    let next = base + 1000;
    let ends = 0;
    for (const lease of leases) {
      const left = lease.endsAt - now;
      if (left > next) {
        base = left;
        next = base + 1000;
        ends = 1;
        continue;
      }
      ends++;
      if (ends <= spreadPerSecond) continue;
      // A lease that lies some way into the window is pushed by so much less.
      const delay = (1000 * ends) / spreadPerSecond - (left - base);
      next = base + delay;
      this.#refresh(lease, lease.owedTtl * 1000 + delay + extendMs, now);
    }
  }

  #persist(lease: HeldLease): void {
    this.#backend.put('lease', leaseKey(lease.id), LeaseCodec.encode({ ID: lease.id, TTL: lease.ttl, RemainingTTL: lease.remainingTtl }));
  }

  #settle(id: bigint): void {
    const waiting = this.#unsettled.get(id);
    if (waiting === undefined) return;
    this.#unsettled.delete(id);
    for (const fn of waiting) fn();
  }
}

function leaseKey(id: bigint): Uint8Array {
  const key = Buffer.allocUnsafe(8);
  key.writeBigInt64BE(id, 0);
  return key;
}

function byEnd(a: HeldLease, b: HeldLease): number {
  // Infinity minus Infinity is not a number: compare, then go by turn, then by id.
  if (a.endsAt !== b.endsAt) return a.endsAt < b.endsAt ? -1 : 1;
  return a.turn - b.turn || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);
}

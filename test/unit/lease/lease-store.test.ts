// Guarantees G-L-1, G-L-2, G-L-4, G-L-7 and G-L-9 as far as one member's clock goes.
import { describe, expect, it } from 'vitest';
import { Lease } from '../../../src/api/gen/leasepb.ts';
import { errors } from '../../../src/api/status.ts';
import { SeededRandom } from '../../../src/base/random.ts';
import { LeaseStore, leaseTtlMax, minLeaseTtl, type LeaseStoreOptions } from '../../../src/server/lease/lease-store.ts';
import { ModelBackend } from '../mvcc/model-backend.ts';

class Bench {
  now = 5000;
  readonly backend: ModelBackend;
  readonly store: LeaseStore;

  constructor(options: Partial<LeaseStoreOptions> & { backend?: ModelBackend; follower?: boolean } = {}) {
    this.backend = options.backend ?? new ModelBackend();
    this.store = new LeaseStore({ clock: { mono: () => this.now }, minTtl: 2, ...options, backend: this.backend });
    if (options.follower !== true) this.store.promote(0);
  }

  pass(seconds: number): void {
    this.now += seconds * 1000;
  }
}

describe('grants', () => {
  it('are checked in etcd’s order', () => {
    const { store } = new Bench();
    expect(store.grant(0n, 60).error).toBe(errors.leaseNotFound);
    expect(store.grant(1n, 60).lease).toMatchObject({ id: 1n, ttl: 60, remainingTtl: 0 });
    expect(store.grant(1n, leaseTtlMax + 1).error).toBe(errors.leaseTTLTooLarge);
    expect(store.grant(1n, 60).error).toBe(errors.leaseExist);
    expect(store.grant(2n, -7).lease?.ttl).toBe(2);
    expect(store.grant(3n, leaseTtlMax).lease?.ttl).toBe(leaseTtlMax);
  });

  it('survive a restart with every kind of id', () => {
    const min = -(2n ** 63n);
    const max = 2n ** 63n - 1n;
    const first = new Bench();
    for (const id of [-1n, min, max, 1n]) first.store.grant(id, 60);
    const again = new Bench({ backend: first.backend });
    expect(again.store.count).toBe(4);
    for (const id of [-1n, min, max, 1n]) expect(again.store.has(id)).toBe(true);
    expect(again.store.revoke(min)).toBeUndefined();
    expect(first.backend.entries('lease').map(([key]) => Buffer.from(key).toString('hex'))).toEqual([
      '0000000000000001',
      '7fffffffffffffff',
      'ffffffffffffffff',
    ]);
    expect(Lease.decode(first.backend.entries('lease')[2]?.[1] ?? Buffer.alloc(0))).toEqual({ ID: -1n, TTL: 60, RemainingTTL: 0 });
  });

  it('have a least TTL that goes with the election timeout', () => {
    expect(minLeaseTtl(1000, 100)).toBe(2);
    expect(minLeaseTtl(5000, 500)).toBe(8);
    expect(minLeaseTtl(100, 20)).toBe(1);
  });
});

describe('expiry', () => {
  it('comes after the TTL, not before', () => {
    const b = new Bench();
    b.store.grant(1n, 10);
    b.pass(9.999);
    expect(b.store.due(10)).toEqual([]);
    b.pass(0.001);
    expect(b.store.isEnded(1n)).toBe(true);
    expect(b.store.due(10)).toEqual([1n]);
  });

  it('is pushed out by renewals', () => {
    const b = new Bench();
    b.store.grant(1n, 10);
    for (let i = 0; i < 5; i++) {
      b.pass(8);
      expect(b.store.due(10)).toEqual([]);
      expect(b.store.renew(1n)).toBe(10);
      expect(b.store.remaining(1n)).toBe(10);
    }
    b.pass(10);
    expect(b.store.renew(1n)).toBeUndefined();
    expect(b.store.due(10)).toEqual([1n]);
  });

  it('is handed out again every three seconds until revoked', () => {
    const b = new Bench();
    b.store.grant(1n, 10);
    b.pass(10);
    expect(b.store.due(10)).toEqual([1n]);
    b.pass(2.9);
    expect(b.store.due(10)).toEqual([]);
    b.pass(0.1);
    expect(b.store.due(10)).toEqual([1n]);
    b.store.revoke(1n);
    b.pass(10);
    expect(b.store.due(10)).toEqual([]);
  });

  it('takes no more than asked, oldest first', () => {
    const b = new Bench();
    for (let i = 20; i > 0; i--) b.store.grant(BigInt(i), 10 + i);
    b.pass(100);
    expect(b.store.due(3)).toEqual([1n, 2n, 3n]);
    expect(b.store.due(100)).toHaveLength(17);
    expect(b.store.due(100)).toEqual([]);
  });

  it('happens on the leader alone', () => {
    const b = new Bench({ follower: true });
    b.store.grant(1n, 10);
    b.pass(1000);
    expect(b.store.due(10)).toEqual([]);
    expect(b.store.renew(1n)).toBeUndefined();
    expect(b.store.isEnded(1n)).toBe(false);
    b.store.promote(1000);
    b.pass(10.9);
    expect(b.store.due(10)).toEqual([]);
    b.pass(0.1);
    expect(b.store.due(10)).toEqual([1n]);
    b.store.demote();
    b.pass(100);
    expect(b.store.due(10)).toEqual([]);
  });

  it('agrees with a plain list on random grants, renewals and revokes', () => {
    const random = new SeededRandom(5);
    const b = new Bench();
    const ends = new Map<bigint, number>();
    for (let i = 0; i < 5_000; i++) {
      const id = BigInt(random.u32() % 200) + 1n;
      const kind = random.u32() % 10;
      if (kind < 3 && !ends.has(id)) {
        const ttl = 2 + (random.u32() % 30);
        b.store.grant(id, ttl);
        ends.set(id, b.now + ttl * 1000);
      } else if (kind < 6) {
        const ttl = b.store.renew(id);
        const end = ends.get(id);
        expect(ttl === undefined).toBe(end === undefined || end <= b.now);
        if (ttl !== undefined) ends.set(id, b.now + ttl * 1000);
      } else if (kind < 7) {
        expect(b.store.revoke(id) === undefined).toBe(ends.delete(id));
      } else {
        b.now += random.u32() % 700;
        for (const due of b.store.due(1000)) {
          expect(ends.get(due)).toBeLessThanOrEqual(b.now);
          b.store.revoke(due);
          ends.delete(due);
        }
        expect([...ends.values()].filter((end) => end <= b.now)).toEqual([]);
      }
    }
    expect(b.store.list().map((l) => l.id)).toHaveLength(ends.size);
    const listed = b.store.list().map((l) => ends.get(l.id) ?? 0);
    expect(listed).toEqual([...listed].sort((x, y) => x - y));
  });
});

describe('a renewal of a lease that has ended', () => {
  it('waits for the revoke, or for the end of the leadership', () => {
    const b = new Bench();
    b.store.grant(1n, 10);
    b.store.grant(2n, 10);
    b.pass(10);
    const told: string[] = [];
    b.store.whenSettled(1n, () => told.push('one'));
    b.store.whenSettled(2n, () => told.push('two'));
    expect(told).toEqual([]);
    b.store.revoke(1n);
    expect(told).toEqual(['one']);
    b.store.demote();
    expect(told).toEqual(['one', 'two']);
    b.store.whenSettled(2n, () => told.push('at once'));
    expect(told).toEqual(['one', 'two', 'at once']);
  });
});

describe('a new leader', () => {
  it('grants each lease its full or checkpointed time and the extension', () => {
    const b = new Bench({ follower: true });
    b.store.grant(1n, 100);
    b.store.grant(2n, 100);
    b.store.checkpoint(2n, 30);
    b.store.promote(1000);
    expect(b.store.remaining(1n)).toBe(101);
    expect(b.store.remaining(2n)).toBe(31);
  });

  it('spreads leases that would end together, and cuts none short', () => {
    const b = new Bench({ follower: true });
    for (let i = 1; i <= 5000; i++) b.store.grant(BigInt(i), 60);
    b.store.promote(1000);
    const perSecond = new Map<number, number>();
    for (const lease of b.store.list()) {
      const left = b.store.remaining(lease.id) ?? 0;
      if (left < 61) throw new Error(`lease ${lease.id} was cut to ${left} s`);
      perSecond.set(left, (perSecond.get(left) ?? 0) + 1);
    }
    expect(Math.max(...perSecond.values())).toBeLessThanOrEqual(1000);
    // A few hundred keep their place.
    const few = new Bench({ follower: true });
    for (let i = 1; i <= 900; i++) few.store.grant(BigInt(i), 60);
    few.store.promote(1000);
    expect(few.store.list().every((l) => few.store.remaining(l.id) === 61)).toBe(true);
  });
});

describe('checkpoints', () => {
  const interval = { checkpointIntervalMs: 300_000 };

  it('are due every interval for leases longer than it', () => {
    const b = new Bench(interval);
    b.store.grant(1n, 1000);
    b.store.grant(2n, 200);
    expect(b.store.checkpointsDue(10)).toEqual([]);
    b.pass(300);
    expect(b.store.checkpointsDue(10)).toEqual([{ id: 1n, remainingTtl: 700 }]);
    b.store.checkpoint(1n, 700);
    expect(b.store.checkpointsDue(10)).toEqual([]);
    b.pass(300);
    expect(b.store.checkpointsDue(10)).toEqual([{ id: 1n, remainingTtl: 400 }]);
  });

  it('come again when the entry was lost', () => {
    const b = new Bench(interval);
    b.store.grant(1n, 1000);
    b.pass(300);
    expect(b.store.checkpointsDue(10)).toHaveLength(1);
    b.pass(300);
    expect(b.store.checkpointsDue(10)).toEqual([{ id: 1n, remainingTtl: 400 }]);
  });

  it('are stored when the cluster is new enough', () => {
    for (const persist of [true, false]) {
      const b = new Bench({ ...interval, persistCheckpoints: () => persist });
      b.store.grant(1n, 1000);
      b.store.checkpoint(1n, 123);
      expect(new Bench({ backend: b.backend }).store.lookup(1n)?.remainingTtl).toBe(persist ? 123 : 0);
    }
  });

  it('are no more than asked', () => {
    const b = new Bench(interval);
    for (let i = 1; i <= 10; i++) b.store.grant(BigInt(i), 1000);
    b.pass(301);
    expect(b.store.checkpointsDue(4)).toHaveLength(4);
    expect(b.store.checkpointsDue(100)).toHaveLength(6);
  });
});

describe('after a received snapshot', () => {
  it('everything is read anew and a leader goes on as one', () => {
    const b = new Bench();
    b.store.grant(1n, 10);
    b.backend.delete('lease', b.backend.entries('lease')[0]?.[0] ?? Buffer.alloc(0));
    b.backend.put('lease', Buffer.of(0, 0, 0, 0, 0, 0, 0, 9), Lease.encode({ ID: 9n, TTL: 50, RemainingTTL: 20 }));
    b.store.restore();
    expect(b.store.has(1n)).toBe(false);
    expect(b.store.remaining(9n)).toBe(20);
  });
});

describe('a hundred thousand leases', () => {
  it('S-113: are granted, renewed and ended well within the time of a test', () => {
    const b = new Bench({ backend: { put() {}, delete() {}, eachValue() {} } as unknown as ModelBackend });
    for (let i = 1; i <= 100_000; i++) b.store.grant(BigInt(i), 60);
    for (let i = 1; i <= 100_000; i++) b.store.renew(BigInt(i));
    b.pass(61);
    let ended = 0;
    for (let ids = b.store.due(500); ids.length > 0; ids = b.store.due(500)) {
      ended += ids.length;
      for (const id of ids) b.store.revoke(id);
    }
    expect(ended).toBe(100_000);
  });
});

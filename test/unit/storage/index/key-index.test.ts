// The index against sorted arrays: versions, counts, leases, buckets, with keys of every length and pages that come and go.
import { describe, expect, it } from 'vitest';
import { MemoryDisk } from '../../../../src/base/memory-disk.ts';
import { SeededRandom } from '../../../../src/base/random.ts';
import { KeyIndex, positionShift } from '../../../../src/server/storage/index/key-index.ts';
import { type BucketName, bucketNames } from '../../../../src/server/storage/backend.ts';
import { PageStore } from '../../../../src/server/storage/index/page-store.ts';
import { VersionList, versionsAtOnce } from '../../../../src/server/storage/version-list.ts';

function makeIndex(cacheBytes = 1 << 20): { index: KeyIndex; store: PageStore } {
  const disk = new MemoryDisk({ defer: (fn) => fn() });
  const store = PageStore.create({ disk, path: '/index.pages', cacheBytes });
  return { index: new KeyIndex(store, { keys: 0, leases: 0, buckets: 0 }), store };
}
const none = Buffer.alloc(0);
const all = { key: none, end: none };

describe('key index', () => {
  for (const shape of ['random', 'ascending', 'descending', 'shared prefixes', 'long'] as const)
    it(`inserts and removes: ${shape}`, () => {
      const random = new SeededRandom(11);
      const { index, store } = makeIndex(64 * 4096);
      const model = new Map<string, number[]>();
      let main = 1;
      const total = shape === 'long' ? 600 : 6000;
      const keyAt = (i: number): Buffer => {
        if (shape === 'ascending') return Buffer.from(String(i).padStart(8, '0'));
        if (shape === 'descending') return Buffer.from(String(total - i).padStart(8, '0'));
        if (shape === 'long')
          return Buffer.concat([
            Buffer.alloc([1, 300, 396, 398, 400, 402, 3000][i % 7] as number, 'x'),
            Buffer.from(String(random.u32() % 50)),
          ]);
        if (shape === 'shared prefixes') return Buffer.from(`/registry/${'a'.repeat(random.u32() % 40)}/${random.u32() % 300}`);
        return Buffer.from(random.bytes(1 + (random.u32() % 12)));
      };
      for (let i = 0; i < total; i++) {
        const key = keyAt(i);
        main++;
        // What was looked at before leaves the place somewhere: at this key, at another, in the middle of a range.
        const before = random.u32() % 5;
        if (before === 0) index.latest(key);
        else if (before === 1) index.latest(keyAt(i + 1));
        else if (before === 2) index.visible(key, main >> 1);
        else if (before === 3) {
          const cursor = index.cursor({ key, end: none }, Infinity);
          for (let n = random.u32() % 80; n > 0 && cursor.next(); n--);
        }
        index.append(key, main, 0, false, 1, main * 10, 40, 0n);
        const name = key.latin1Slice();
        model.set(name, [...(model.get(name) ?? []), main]);
        if (i % 3 === 2) {
          // An old version goes.
          const names = [...model.keys()];
          const victim = names[random.u32() % Math.min(names.length, 500)] as string;
          const list = model.get(victim) as number[];
          if (list.length > 1) expect(index.kill(Buffer.from(victim, 'latin1'), { main: list.shift() as number, sub: 0 })).toHaveLength(1);
        }
        if (i % 997 === 0) index.verify();
      }
      index.verify();
      store.verify();
      const sorted = [...model.keys()].map((k) => Buffer.from(k, 'latin1')).sort(Buffer.compare);
      const cursor = index.cursor(all, Infinity);
      for (const key of sorted) {
        expect(cursor.next()).toBe(true);
        expect(Buffer.compare(cursor.key, key)).toBe(0);
      }
      expect(cursor.next()).toBe(false);
      for (let i = 0; i < 200; i++) {
        const a = sorted[random.u32() % sorted.length] as Buffer;
        const b = sorted[random.u32() % sorted.length] as Buffer;
        const expected = sorted.filter((k) => Buffer.compare(k, a) >= 0 && Buffer.compare(k, b) < 0).length;
        expect(index.countLatest({ key: a, end: b })).toBe(expected);
        const list = model.get(a.latin1Slice()) as number[];
        for (const rev of list) expect(index.visible(a, rev)?.main).toBe(rev);
        expect(index.visible(a, (list[0] as number) - 1)).toBeUndefined();
      }
      // Everything goes: a tombstone, then the tombstone's death, which takes the older versions along.
      const order: Buffer[] = [...sorted];
      for (let i = order.length - 1; i > 0; i--) {
        const j = random.u32() % (i + 1);
        [order[i], order[j]] = [order[j] as Buffer, order[i] as Buffer];
      }
      for (const [i, key] of order.entries()) {
        main++;
        index.append(key, main, 0, true, 1, main * 10, 40, 0n);
        const killed = index.kill(key, { main, sub: 0 });
        expect(killed).toHaveLength(1 + (model.get(key.latin1Slice()) as number[]).length);
        expect(index.latest(key)).toBeUndefined();
        if (i % 499 === 0) index.verify();
      }
      index.verify();
      expect(index.countLatest(all)).toBe(0);
      // Three roots are left.
      expect(store.livePages).toBe(3);
    });

  it('keys of 1, 1,000, 100,000 and 1,500,000 bytes', () => {
    const { index } = makeIndex(4 << 20);
    const keys = [1, 1000, 100_000, 1_500_000].flatMap((n) => [
      Buffer.alloc(n, 'k'),
      Buffer.concat([Buffer.alloc(n - 1, 'k'), Buffer.from('l')]),
    ]);
    let main = 1;
    for (const key of keys) for (let i = 0; i < 3; i++) index.append(key, ++main, 0, false, 1, main * 100, 50, 7n);
    index.verify();
    expect(index.countLatest(all)).toBe(keys.length);
    const cursor = index.cursor(all, Infinity);
    for (const key of [...keys].sort(Buffer.compare)) {
      expect(cursor.next()).toBe(true);
      expect(Buffer.compare(cursor.key, key)).toBe(0);
      expect(index.leaseOf(key)).toBe(7n);
    }
    expect(index.leaseKeys(7n).map((k) => k.length)).toEqual([...keys].sort(Buffer.compare).map((k) => k.length));
    for (const key of keys) {
      const v = index.visible(key, (index.latest(key)?.main ?? 0) - 1);
      index.kill(key, v as { main: number; sub: number });
      index.append(key, ++main, 0, true, 1, main * 100, 50, 0n);
    }
    index.verify();
    expect(index.leaseKeys(7n)).toEqual([]);
  });

  it('100,000 leases', () => {
    const { index } = makeIndex(64 << 20);
    const n = 100_000;
    for (let i = 0; i < n; i++) {
      index.append(Buffer.from(`key/${i}`), i + 2, 0, false, 1, i, 40, BigInt(i) - 50_000n);
      index.set(4, Buffer.from(String(i)), Buffer.alloc(12));
    }
    for (let i = 0; i < n; i += 997) {
      const lease = BigInt(i) - 50_000n;
      expect(index.leaseKeys(lease).map(String)).toEqual(lease === 0n ? [] : [`key/${i}`]);
    }
    // All keys to one lease, then none.
    for (let i = 0; i < 2000; i++) index.append(Buffer.from(`key/${i}`), n + i + 2, 0, false, 1, i, 40, 5n);
    expect(index.leaseKeys(5n)).toHaveLength(2001);
    expect(index.leaseKeys(-50_000n)).toEqual([]);
    index.verify();
  });

  it('a cursor goes on after changes between its steps, one by one and many at once', () => {
    const random = new SeededRandom(5);
    const { index } = makeIndex();
    let main = 1;
    for (let i = 0; i < 500; i++) index.append(Buffer.from(`k${String(i).padStart(4, '0')}`), ++main, 0, false, 1, i, 40, 0n);
    const at = main;
    const list = new VersionList();
    for (const max of [0, 1, 2, 7, versionsAtOnce]) {
      const cursor = index.cursor(all, at);
      const seen: string[] = [];
      for (;;) {
        if (max === 0) {
          if (!cursor.next()) break;
          seen.push(Buffer.from(cursor.key).toString());
        } else {
          cursor.fill(list, max);
          // What is listed is named by where it was written.
          for (let i = 0; i < list.count; i++) seen.push(`k${String((list.position[i] as number) % positionShift).padStart(4, '0')}`);
          if (list.count < max) break;
          expect(Buffer.from(cursor.key).toString()).toBe(seen.at(-1));
        }
        for (let i = random.u32() % 3; i > 0; i--) {
          const key = Buffer.from(`k${String(random.u32() % 700).padStart(4, '0')}`);
          index.append(key, ++main, 0, random.u32() % 4 === 0, 1, main, 40, 0n);
        }
      }
      const expected = Array.from({ length: 500 }, (_, i) => `k${String(i).padStart(4, '0')}`);
      expect(seen).toEqual(expected);
    }
  });

  it('steps over many newer versions of one key', () => {
    const { index } = makeIndex();
    let main = 1;
    for (const key of ['a', 'b', 'c']) index.append(Buffer.from(key), ++main, 0, false, 1, main, 40, 0n);
    for (let i = 0; i < 5000; i++) index.append(Buffer.from('b'), ++main, 0, i % 7 === 3, 1, main, 40, 0n);
    const cursor = index.cursor(all, 4);
    const seen: [string, number][] = [];
    while (cursor.next()) seen.push([Buffer.from(cursor.key).toString(), cursor.version.main]);
    expect(seen).toEqual([
      ['a', 2],
      ['b', 3],
      ['c', 4],
    ]);
    expect(index.visible(Buffer.from('b'), 1000)?.main).toBe(1000);
    index.verify();
  });

  it('small buckets: long values, slices, replacement of a stretch', () => {
    const { index } = makeIndex();
    const value = (i: number): Buffer => Buffer.alloc(i * 37, i & 255);
    for (let i = 0; i < 300; i++) index.set(i % 9, Buffer.from(`k${i}`), value(i));
    expect(index.get('auth', Buffer.from('k1'))).toEqual(value(1));
    expect(index.get('meta', Buffer.from('k296'))).toEqual(value(296));
    const seen: string[] = [];
    for (let from: Uint8Array | undefined = none; from !== undefined;) {
      const slice: ReturnType<KeyIndex['bucketSlice']> = index.bucketSlice(from, 10_000);
      seen.push(...slice.entries.map(([k]) => Buffer.from(k).latin1Slice()));
      from = slice.next;
    }
    expect(seen).toHaveLength(300);
    expect([...seen].sort()).toEqual(seen);
    index.replaceBuckets(Buffer.from([2]), Buffer.from([4]), [[Buffer.from([3, 65]), Buffer.from('x')]]);
    expect(index.entries('authRoles')).toEqual([]);
    expect(index.entries('authUsers')).toEqual([[Buffer.from('A'), Buffer.from('x')]]);
    expect(index.entries('cluster')).toHaveLength(33);
    index.verify();
  });

  it('small buckets: a stretch becomes what its image says, whatever was there', () => {
    const { index } = makeIndex();
    const random = new SeededRandom(11);
    const bucket = 5;
    for (let round = 0; round < 30; round++) {
      const image: [Uint8Array, Uint8Array][] = [];
      for (let i = 0; i < 200; i++) {
        const key = Buffer.from(`k${String(i).padStart(3, '0')}`);
        const value = Buffer.from(`v${random.u32() % 3}`);
        if (random.u32() % 4 === 0) index.set(bucket, key, random.u32() % 2 === 0 ? undefined : value);
        // Mostly the same as what is there, sometimes missing, changed or new.
        const present = index.get(bucketNames[bucket] as BucketName, key);
        const choice = random.u32() % 10;
        if (choice === 0 || (present === undefined && choice < 5)) continue;
        image.push([Buffer.concat([Buffer.from([bucket]), key]), choice < 8 ? (present ?? value) : value]);
      }
      index.replaceBuckets(Buffer.from([bucket]), Buffer.from([bucket + 1]), image);
      const wanted = image.map(([k, v]) => [Buffer.from(k.subarray(1)), v]);
      expect(index.entries(bucketNames[bucket] as BucketName)).toEqual(wanted);
      const values: Uint8Array[] = [];
      index.eachValue(bucketNames[bucket] as BucketName, (bytes, from, to) => values.push(Buffer.from(bytes.subarray(from, to))));
      expect(values).toEqual(wanted.map(([, v]) => v));
      index.verify();
    }
  });
});

// Entered in batches in the order of keys, the index is what it is when each row is entered as it comes.
import { describe, expect, it } from 'vitest';
import { MemoryDisk } from '../../../../src/base/memory-disk.ts';
import { SeededRandom } from '../../../../src/base/random.ts';
import { KeyIndex } from '../../../../src/server/storage/index/key-index.ts';
import { PageStore } from '../../../../src/server/storage/index/page-store.ts';
import { IndexLoad } from '../../../../src/server/storage/revlog/index-load.ts';

function makeIndex(): KeyIndex {
  const disk = new MemoryDisk({ defer: (fn) => fn() });
  const store = PageStore.create({ disk, path: '/index.pages', cacheBytes: 64 * 4096 });
  return new KeyIndex(store, { keys: 0, leases: 0, buckets: 0 });
}

/** All that the key tree and the lease tree hold. */
function contentOf(index: KeyIndex, leases: number): unknown {
  const versions: unknown[] = [];
  index.verify((key, version) => versions.push([Buffer.from(key).toString('hex'), version]));
  const all = { key: Buffer.alloc(0), end: Buffer.alloc(0) };
  return { versions, count: index.countLatest(all), leases: Array.from({ length: leases }, (_, i) => index.leaseKeys(BigInt(i + 1))) };
}

describe('index load', () => {
  for (const batch of [1, 7, 300, 5000])
    for (const shape of ['any bytes', 'ascending', 'long'] as const)
      it(`batches of ${batch}, keys: ${shape}`, () => {
        const random = new SeededRandom(batch);
        const [one, many] = [makeIndex(), makeIndex()];
        const load = new IndexLoad(many, batch);
        let main = 1;
        for (let i = 0; i < 1500; i++) {
          const n = random.u32();
          const key =
            shape === 'ascending'
              ? Buffer.from(String(i >> 1).padStart(8, '0'))
              : shape === 'long'
                ? Buffer.concat([Buffer.alloc([0, 1, 399, 400, 401, 3000][n % 6] as number, 'x'), Buffer.from([n >>> 28, n >>> 24])])
                : Buffer.from(random.bytes(n % 4));
          const sub = i % 3 === 0 ? 0 : 1;
          if (sub === 0) main += 1 + (n % 3);
          else main++;
          const tombstone = n % 9 === 0;
          const lease = n % 5 === 0 && !tombstone ? BigInt(1 + (n % 7)) : 0n;
          for (const into of [
            (...a: Parameters<KeyIndex['append']>) => one.append(...a),
            (...a: Parameters<KeyIndex['append']>) => load.add(...a),
          ])
            into(key, main, sub, tombstone, 1 + (i >> 8), i * 40, 40 + (n % 99), lease);
          // Lent: the load has its own copy.
          key.fill(0);
        }
        load.flush();
        load.flush();
        expect(contentOf(many, 7)).toEqual(contentOf(one, 7));
        // It takes new versions as any other.
        for (const index of [one, many]) index.append(Buffer.from('new'), main + 1, 0, false, 9, 9, 40, 3n);
        expect(contentOf(many, 7)).toEqual(contentOf(one, 7));
      });
});

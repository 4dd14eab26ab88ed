// A snapshot is of the moment in which it was opened, whatever the store does while it is read.
import { describe, expect, it } from 'vitest';
import { silentLog } from '../../../../src/base/log.ts';
import { MemoryDisk } from '../../../../src/base/memory-disk.ts';
import { SeededRandom } from '../../../../src/base/random.ts';
import { RealClock } from '../../../../src/host/real-clock.ts';
import { encodeKeyValue, encodeTombstone } from '../../../../src/server/mvcc/key-value.ts';
import { bucketNames, CorruptError, type BucketName, type Row } from '../../../../src/server/storage/backend.ts';
import { BoltSnapshot } from '../../../../src/server/storage/bbolt/bolt-snapshot.ts';
import { defaultBackendOptions, type LogBackend, openBackend } from '../../../../src/server/storage/revlog/log-backend.ts';
import { below, contentOf, diskFile, plain, randomBytes, type Content } from './harness.ts';

/** Writes, deletes, kills and changes of small buckets, with what the store then holds. */
class Life {
  readonly backend: LogBackend;
  readonly #random: SeededRandom;
  #main = 1;
  readonly #rows = new Map<string, Row>();
  /** Versions of each key, oldest first. */
  readonly #versions = new Map<string, Row[]>();
  readonly #buckets = new Map<BucketName, Map<string, [Uint8Array, Uint8Array]>>();
  #index = 0;

  constructor(backend: LogBackend, random: SeededRandom) {
    this.backend = backend;
    this.#random = random;
    for (const b of bucketNames) this.#buckets.set(b, new Map());
  }

  step(): void {
    const random = this.#random;
    this.#main++;
    for (let sub = 0; sub <= below(random, 3); sub++) this.#write(sub);
    for (let i = below(random, 4); i > 0; i--) this.#kill();
    for (let i = below(random, 4); i > 0; i--) this.#change();
    this.backend.setConsistentIndex(++this.#index, 1);
  }

  #write(sub: number): void {
    const random = this.#random;
    const main = this.#main;
    const key = Buffer.from(`key ${below(random, 150)}`);
    const name = key.toString();
    const versions = this.#versions.get(name) ?? [];
    if (versions.at(-1)?.main === main) return;
    const tombstone = versions.length > 0 && versions.at(-1)?.tombstone === false && below(random, 5) === 0;
    const size = below(random, 30) === 0 ? 9000 : below(random, 400);
    const value = tombstone ? encodeTombstone(key) : encodeKeyValue(key, main, main, 1, randomBytes(random, size), 0n);
    const row: Row = { main, sub, tombstone, value };
    this.backend.append({ main, sub, tombstone, key, kv: value, lease: 0n });
    versions.push(row);
    this.#versions.set(name, versions);
    this.#rows.set(`${main}.${sub}`, row);
  }

  /** What a compaction does: superseded versions go, oldest first. */
  #kill(): void {
    const names = [...this.#versions.keys()];
    const name = names[below(this.#random, names.length)];
    const versions = this.#versions.get(name ?? '');
    if (name === undefined || versions === undefined || versions.length < 2) return;
    const [oldest] = versions.splice(0, 1) as [Row];
    this.backend.kill(Buffer.from(name), oldest);
    this.#rows.delete(`${oldest.main}.${oldest.sub}`);
  }

  #change(): void {
    const random = this.#random;
    const bucket = bucketNames[below(random, bucketNames.length)] as BucketName;
    const key = Buffer.from(`entry ${below(random, 120)}`);
    const entries = this.#buckets.get(bucket) as Map<string, [Uint8Array, Uint8Array]>;
    if (entries.has(key.toString()) && below(random, 3) === 0) {
      entries.delete(key.toString());
      this.backend.delete(bucket, key);
    } else {
      const value = randomBytes(random, below(random, 80));
      entries.set(key.toString(), [key, value]);
      this.backend.put(bucket, key, value);
    }
  }

  /** All but the meta entries that the commit carries. */
  content(): Content {
    const rows = [...this.#rows.values()].sort((a, b) => a.main - b.main || a.sub - b.sub);
    const entries: Partial<Record<BucketName, [Uint8Array, Uint8Array][]>> = {};
    for (const [bucket, map] of this.#buckets) entries[bucket] = [...map.values()].sort((a, b) => Buffer.compare(a[0], b[0]));
    return { rows, entries };
  }
}

function withoutOwn(content: Content): Content {
  const own = ['consistent_index', 'term', 'confState'];
  return {
    rows: content.rows,
    entries: { ...content.entries, meta: (content.entries.meta ?? []).filter(([key]) => !own.includes(Buffer.from(key).toString())) },
  };
}

describe('a snapshot of a store in use', () => {
  it.each([1, 2, 3, 4])('is of one moment (seed %d)', async (seed) => {
    const random = new SeededRandom(seed);
    const clock = new RealClock();
    const disk = new MemoryDisk(clock);
    disk.mkdir('/d', 0o700);
    const backend = openBackend({
      ...defaultBackendOptions,
      disk,
      clock,
      log: silentLog,
      dir: '/d/db',
      segmentBytes: 192 * 1024,
      checkpointBytes: 64 * 1024,
      cacheBytes: 1024 * 1024,
      batchIntervalMs: 1,
    });
    const life = new Life(backend, random);
    for (let i = 0; i < 800; i++) life.step();
    let defrag: Promise<void> | undefined;
    for (let round = 0; round < 4; round++) {
      const expected = life.content();
      const index = backend.consistentIndex;
      const snapshot = new BoltSnapshot({ view: backend.view(), clock });
      const live = (): void => {
        for (let i = 0; i < 25; i++) life.step();
      };
      live();
      defrag = backend.defragment();
      const planned = snapshot.totalBytes();
      live();
      const total = await planned;
      const pieces: Uint8Array[] = [];
      for (let p = await snapshot.next(); p !== undefined; p = await snapshot.next()) {
        pieces.push(Buffer.from(p));
        // The memory of a piece is used again once it is given back, and not before.
        if (random.u32() % 4 > 0) {
          p.fill(0xff);
          snapshot.giveBack(p);
        }
        live();
      }
      await defrag;
      const file = Buffer.concat(pieces);
      expect(file.length).toBe(total);
      const got = contentOf(diskFile(file));
      expect(plain(withoutOwn(got))).toEqual(plain(expected));
      const stored = got.entries.meta?.find(([key]) => Buffer.from(key).toString() === 'consistent_index')?.[1];
      expect(Buffer.from(stored ?? []).readBigUInt64BE(0)).toBe(BigInt(index));
    }
    await backend.close();
  });

  it('is refused, not made wrong, where a segment was damaged', async () => {
    const random = new SeededRandom(5);
    const clock = new RealClock();
    const disk = new MemoryDisk(clock);
    disk.mkdir('/d', 0o700);
    const options = {
      ...defaultBackendOptions,
      disk,
      clock,
      log: silentLog,
      dir: '/d/db',
      segmentBytes: 64 * 1024,
      cacheBytes: 256 * 1024,
    };
    const backend = openBackend(options);
    const life = new Life(backend, random);
    for (let i = 0; i < 600; i++) {
      life.step();
      if (i % 50 === 49) await new Promise<void>((resolve) => backend.commit(resolve));
    }
    const made = async (): Promise<Buffer | Error> => {
      const snapshot = new BoltSnapshot({ view: backend.view(), clock });
      try {
        const pieces: Uint8Array[] = [];
        for (let p = await snapshot.next(); p !== undefined; p = await snapshot.next()) pieces.push(p);
        return Buffer.concat(pieces);
      } catch (error) {
        return error as Error;
      } finally {
        snapshot.close();
      }
    };
    const sound = await made();
    const segments = disk.list('/d/db').filter((name) => name.endsWith('.seg'));
    let refused = 0;
    for (let i = 0; i < 60; i++) {
      const file = disk.open(`/d/db/${segments[i % (segments.length - 1)] as string}`, { write: true });
      const at = below(random, file.size());
      const byte = new Uint8Array(1);
      file.read(byte, at);
      const flip = (): void => {
        byte[0] = (byte[0] as number) ^ (1 << (i & 7));
        file.write(byte, at);
      };
      flip();
      const got = await made();
      if (got instanceof Error) expect(got).toBeInstanceOf(CorruptError);
      else expect(got).toEqual(sound);
      if (got instanceof Error) refused++;
      flip();
      file.close();
    }
    expect(refused).toBeGreaterThan(30);
    expect(await made()).toEqual(sound);
    backend.abandon();
  });
});

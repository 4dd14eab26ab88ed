// Looking at stores that no member runs on: numbers as etcd has them, from either kind of store, and nothing changed.
import { describe, expect, it } from 'vitest';
import { utf8 } from '../../../src/base/bytes.ts';
import { crc32c } from '../../../src/base/crc32c.ts';
import { SeededRandom } from '../../../src/base/random.ts';
import { RealClock } from '../../../src/host/real-clock.ts';
import { OfflineError } from '../../../src/server/offline/errors.ts';
import { hashKv } from '../../../src/server/offline/hash-kv.ts';
import { KeyNumbers, KeyTable } from '../../../src/server/offline/key-table.ts';
import { OverlayDisk } from '../../../src/server/offline/overlay-disk.ts';
import { restoreSnapshot } from '../../../src/server/offline/restore.ts';
import { snapshotStatus } from '../../../src/server/offline/snapshot-status.ts';
import type { Row } from '../../../src/server/storage/backend.ts';
import { revisionKey } from '../../../src/server/storage/bbolt/revision-key.ts';
import { keyAndLease } from '../../../src/server/storage/revlog/format.ts';
import { below, type Content } from '../storage/bbolt/harness.ts';
import { del, load, newDisk, openAt, put, restoreDefaults, sample, snapshotOf, store, toolOn, tree } from './harness.ts';

/** HashKV word for word as it is defined. */
function hashKvOf(rows: readonly Row[], rev: number, compactRev: number): number {
  const newest = new Map<string, Row>();
  for (const row of rows) if (row.main <= rev) newest.set(Buffer.from(keyAndLease(row.value).key).toString('latin1'), row);
  const keep = new Set([...newest.values()].filter((r) => !r.tombstone));
  let hash = crc32c(0, utf8('key'));
  for (const row of rows) {
    if (row.main > rev) continue;
    if (row.main <= compactRev && keep.size > 0 && !keep.has(row)) continue;
    if (row.main === compactRev && row.tombstone) continue;
    const key = Buffer.concat([revisionKey(row.main, row.sub), Buffer.from(row.tombstone ? 't' : '')]);
    hash = crc32c(crc32c(hash, key), row.value);
  }
  return hash;
}

describe('snapshot status', () => {
  it('counts what is there, and is the same for file and directory', async () => {
    const disk = newDisk();
    store(disk, '/s.db', await snapshotOf(sample));
    const tool = toolOn(disk);
    const status = await snapshotStatus(tool, '/s.db');
    expect(status).toMatchObject({ revision: 6, totalKey: 3, totalSize: load(disk, '/s.db').length - 32, version: '3.7.0' });
    await restoreSnapshot(tool, restoreDefaults);
    const before = tree(disk, '/out');
    const ofDir = await snapshotStatus(tool, '/out');
    expect(ofDir).toMatchObject({ revision: 6, totalKey: 3, version: '3.7.0' });
    expect(await snapshotStatus(tool, '/out/member/snap/db/')).toEqual(ofDir);
    expect(tree(disk, '/out')).toEqual(before);
  });

  it('of an empty store', async () => {
    const disk = newDisk();
    store(disk, '/s.db', await snapshotOf({ rows: [], entries: {} }));
    expect(await snapshotStatus(toolOn(disk), '/s.db')).toMatchObject({ revision: 0, totalKey: 0, version: '' });
    expect(await hashKv(toolOn(disk), '/s.db', 0)).toEqual({
      hash: crc32c(0, utf8('key')),
      hashRevision: 1,
      compactRevision: -1,
      bare: true,
    });
  });

  it('refuses what is no store', async () => {
    const disk = newDisk();
    const tool = toolOn(disk);
    store(disk, '/junk.db', utf8('this is not a database'));
    store(disk, '/empty.db', new Uint8Array(0));
    disk.mkdir('/dir', 0o700);
    for (const [path, text] of [
      ['/none.db', 'stat /none.db: no such file or directory'],
      ['/junk.db', 'invalid database'],
      ['/empty.db', 'invalid database'],
      ['/dir', 'invalid database'],
    ] as const) {
      for (const look of [snapshotStatus(tool, path), hashKv(tool, path, 0)])
        expect(await look.catch((e: unknown) => e)).toMatchObject({ message: text, exitCode: 1 });
    }
    store(disk, '/cut.db', (await snapshotOf(sample)).subarray(0, 9000));
    const error = (await snapshotStatus(tool, '/cut.db').catch((e: unknown) => e)) as OfflineError;
    expect(error).toBeInstanceOf(OfflineError);
    expect(error.message).toContain('/cut.db');
  });
});

describe('hashkv', () => {
  it('is the hash of the definition at every revision, with and without compaction', async () => {
    for (let seed = 1; seed <= 6; seed++) {
      const random = new SeededRandom(seed);
      const rows: Row[] = [];
      const live = new Set<string>();
      for (let main = 2; main < 60; main++)
        for (let sub = 0; sub <= below(random, 3); sub++) {
          const key = `k${below(random, 12)}`;
          if (live.has(key) && below(random, 3) === 0) {
            live.delete(key);
            rows.push(del(main, sub, key));
          } else {
            live.add(key);
            rows.push(put(main, sub, key, `${main}`));
          }
        }
      const compactRev = [undefined, 2, 20, 40, 59, 30][seed - 1];
      // A compaction has removed what nobody sees any more; half of it, when it was cut off.
      const half = seed === 6;
      const gone = (row: Row): boolean => {
        if (compactRev === undefined || row.main > compactRev || (half && row.main > compactRev / 2)) return false;
        const key = Buffer.from(keyAndLease(row.value).key).toString('latin1');
        const newest = rows.findLast((r) => r.main <= compactRev && Buffer.from(keyAndLease(r.value).key).toString('latin1') === key);
        return newest !== row || (row.tombstone && row.main !== compactRev);
      };
      const left = rows.filter((r) => !gone(r));
      const meta: [Uint8Array, Uint8Array][] =
        compactRev === undefined
          ? []
          : [
              [utf8('finishedCompactRev'), revisionKey(half ? 5 : compactRev, 0)],
              [utf8('scheduledCompactRev'), revisionKey(compactRev, 0)],
            ];
      const content: Content = { rows: left, entries: { meta } };
      const disk = newDisk();
      store(disk, '/s.db', await snapshotOf(content));
      const tool = toolOn(disk);
      const sound = half ? rows.filter((r) => !gone(r) && !(r.main <= 30 && isDead(r, rows))) : left;
      for (let rev = compactRev ?? 1; rev < 60; rev += 7)
        expect(await hashKv(tool, '/s.db', rev)).toMatchObject({
          hash: hashKvOf(sound, rev, compactRev ?? -1),
          hashRevision: rev,
          compactRevision: compactRev ?? -1,
        });
      expect((await hashKv(tool, '/s.db', 0)).hashRevision).toBe(59);
      if (compactRev !== undefined && compactRev > 2)
        await expect(hashKv(tool, '/s.db', compactRev - 1)).rejects.toThrow('mvcc: required revision has been compacted');
      await expect(hashKv(tool, '/s.db', 60)).rejects.toThrow('mvcc: required revision is a future revision');
    }
  });

  /** What a compaction at 30 removes. */
  function isDead(row: Row, rows: readonly Row[]): boolean {
    const key = Buffer.from(keyAndLease(row.value).key).toString('latin1');
    const newest = rows.findLast((r) => r.main <= 30 && Buffer.from(keyAndLease(r.value).key).toString('latin1') === key);
    return newest !== row || (row.tombstone && row.main !== 30);
  }

  it('is the same for a snapshot and for the directory made from it, and changes neither', async () => {
    const disk = newDisk();
    store(disk, '/s.db', await snapshotOf(sample));
    const tool = toolOn(disk);
    await restoreSnapshot(tool, restoreDefaults);
    const before = tree(disk, '/');
    const hash = await hashKv(tool, '/s.db', 0);
    expect(hash).toMatchObject({ hashRevision: 6, compactRevision: 3, hash: hashKvOf(sample.rows, 6, 3) });
    expect(await hashKv(tool, '/out', 0)).toEqual(hash);
    expect(tree(disk, '/')).toEqual(before);
  });

  it('waits for the member that uses the directory, and not for ever', async () => {
    const disk = newDisk();
    store(disk, '/s.db', await snapshotOf(sample));
    const tool = toolOn(disk);
    await restoreSnapshot(tool, restoreDefaults);
    const lock = disk.lock('/out/member/lock');
    await expect(hashKv(tool, '/out', 0)).rejects.toThrow('timeout');
    const later = hashKv({ ...tool, lockTimeoutMs: 0 }, '/out', 0);
    new RealClock().after(120, () => lock?.release());
    expect((await later).hashRevision).toBe(6);
  });
});

describe('an overlay', () => {
  it('lets a store recover without a write to what lies below', async () => {
    const disk = newDisk();
    store(disk, '/s.db', await snapshotOf(sample));
    const tool = toolOn(disk);
    await restoreSnapshot(tool, restoreDefaults);
    const dir = '/out/member/snap/db';
    // A torn tail and a lost index: opening cuts the one and makes the other anew.
    const segment = disk.list(dir).find((n) => n.endsWith('.seg')) as string;
    const file = disk.open(`${dir}/${segment}`, { write: true });
    file.write(Buffer.alloc(500, 0xab), file.size());
    for (const name of disk.list(dir)) if (!name.endsWith('.seg')) disk.unlink(`${dir}/${name}`);
    const before = tree(disk, '/out');
    expect((await hashKv(tool, '/out', 0)).hash).toBe(hashKvOf(sample.rows, 6, 3));
    expect(tree(disk, '/out')).toEqual(before);
    const backend = openAt(disk, dir);
    backend.abandon();
    expect(tree(disk, '/out')).not.toEqual(before);
  });

  it('is a disk like any other to those who write on it', () => {
    const random = new SeededRandom(7);
    const base = newDisk();
    const model = newDisk();
    const initial = Buffer.alloc(200_000, 3);
    for (const d of [base, model]) for (const name of ['/a', '/b']) store(d, name, initial);
    const before = tree(base, '/');
    const overlay = new OverlayDisk(base, new RealClock());
    const names = ['/a', '/b', '/c', '/d'];
    for (let i = 0; i < 3000; i++) {
      const [x, y] = [names[below(random, 4)] as string, names[below(random, 4)] as string];
      const both = (run: (d: typeof model | OverlayDisk) => unknown): void => {
        const results = [model, overlay].map((d) => {
          try {
            return run(d);
          } catch (error) {
            return (error as { code: string }).code;
          }
        });
        expect(results[1]).toEqual(results[0]);
      };
      const kind = below(random, 20);
      const at = below(random, 250_000);
      const bytes = Buffer.alloc(below(random, 3) === 0 ? below(random, 100_000) : below(random, 100), i);
      if (kind < 8) both((d) => d.open(x, { write: true, create: below(random, 1) === 0 }).write(bytes, at));
      else if (kind < 10) both((d) => d.open(x, { write: true }).truncate(at));
      else if (kind < 11) both((d) => d.open(x, { write: true }).allocate(at));
      else if (kind < 12) both((d) => d.unlink(x));
      else if (kind < 13) both((d) => x !== y && d.rename(x, y));
      else if (kind < 16)
        both((d) => {
          const into = Buffer.alloc(1000);
          const n = d.open(x, { write: false }).read(into, at);
          return [n, into.toString('hex')];
        });
      else if (kind < 18) both((d) => d.list('/'));
      else both((d) => d.stat(x)?.bytes);
    }
    expect(tree(overlay, '/')).toEqual(tree(model, '/'));
    expect(tree(base, '/')).toEqual(before);
  });
});

describe('a key table', () => {
  it('numbers keys as a map would', () => {
    const random = new SeededRandom(3);
    const table = new KeyTable();
    const numbers = new KeyNumbers();
    const model = new Map<string, number>();
    for (let i = 0; i < 30_000; i++) {
      const key = Buffer.from(`k${below(random, 12_000)}`.padEnd(below(random, 10_000) === 0 ? 5_000_000 : 0, 'x'));
      const name = key.toString().slice(0, 20) + key.length;
      const n = table.add(key);
      expect(n).toBe(model.get(name) ?? model.size);
      model.set(name, n);
      numbers.set(n, n * 3);
      expect(numbers.get(n)).toBe(n * 3);
    }
    expect(table.count).toBe(model.size);
    expect(table.add(new Uint8Array(0))).toBe(model.size);
    expect(table.add(new Uint8Array(0))).toBe(model.size);
    expect(numbers.get(1e6)).toBe(0);
  });
});

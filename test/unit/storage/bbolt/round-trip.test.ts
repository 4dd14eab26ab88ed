// What is written is what is read, whatever the sizes; the same content gives the same bytes; the shapes that bbolt relies on hold.
import { describe, expect, it } from 'vitest';
import { SeededRandom } from '../../../../src/base/random.ts';
import { encodeKeyValue } from '../../../../src/server/mvcc/key-value.ts';
import { BoltReader } from '../../../../src/server/storage/bbolt/bolt-reader.ts';
import { BoltSnapshot, SnapshotClosedError } from '../../../../src/server/storage/bbolt/bolt-snapshot.ts';
import { elementBytes, fnv1a64, pageBytes, PageFlag, pageHeaderBytes, readU64 } from '../../../../src/server/storage/bbolt/format.ts';
import { ArrayView, clock, contentOf, diskFile, fileOf, plain, randomContent, type Content } from './harness.ts';

function pagesOf(file: Buffer): { id: number; flags: number; count: number; overflow: number; bytes: Buffer }[] {
  const pages = [];
  for (let at = 2 * pageBytes; at < file.length;) {
    const overflow = file.readUInt32LE(at + 12);
    const end = at + (1 + overflow) * pageBytes;
    pages.push({
      id: readU64(file, at),
      flags: file.readUInt16LE(at + 8),
      count: file.readUInt16LE(at + 10),
      overflow,
      bytes: file.subarray(at, end),
    });
    at = end;
  }
  return pages;
}

describe('a bbolt file', () => {
  it.each([0, 1, 2, 7, 60, 500, 3000])('of %d random rows reads back', async (n) => {
    for (let seed = 1; seed <= (n < 500 ? 5 : 2); seed++) {
      const content = randomContent(new SeededRandom(seed * 1000 + n), n);
      const file = await fileOf(content);
      expect(file.length % pageBytes).toBe(0);
      expect(plain(contentOf(diskFile(file)))).toEqual(plain(content));
      expect((await fileOf(content)).equals(file)).toBe(true);
    }
  });

  it('has its pages in a row, full, and no branch with a single child', async () => {
    for (let rows = 2; rows < 40_000; rows = Math.ceil(rows * 1.9)) {
      const content: Content = {
        rows: Array.from({ length: rows }, (_, i) => ({
          main: i + 2,
          sub: 0,
          tombstone: false,
          value: encodeKeyValue(Buffer.from(`k${i}`), i + 2, i + 2, 1, Buffer.alloc(100), 0n),
        })),
        entries: {},
      };
      const file = await fileOf(content);
      const pages = pagesOf(file);
      let id = 2;
      for (const p of pages) {
        expect(p.id).toBe(id);
        id += 1 + p.overflow;
        if (p.flags === PageFlag.branch) expect(p.count).toBeGreaterThanOrEqual(2);
        else expect(p.flags).toBe(PageFlag.leaf);
      }
      const used = rows * (elementBytes + 17 + 120);
      expect(file.length).toBeLessThan(used * 1.08 + 8 * pageBytes);
    }
  });

  it('ends at every count of leaves with a right tree', async () => {
    // Values of a page each: leaves = rows, so that every remainder of the branch pages occurs, with two levels of them.
    const value = Buffer.alloc(3000);
    const rows = Array.from({ length: 300 }, (_, i) => ({
      main: i + 2,
      sub: 0,
      tombstone: false,
      value: encodeKeyValue(Buffer.from('k'), i + 2, i + 2, 1, value, 0n),
    }));
    for (let n = 100; n <= 300; n += n > 115 && n < 130 ? 1 : 9) {
      const content = { rows: rows.slice(0, n), entries: {} };
      const file = await fileOf(content);
      expect(contentOf(diskFile(file)).rows.length).toBe(n);
      for (const p of pagesOf(file)) if (p.flags === PageFlag.branch) expect(p.count).toBeGreaterThanOrEqual(2);
    }
  });

  it('leaves no bytes of other memory in its pages', async () => {
    const content = randomContent(new SeededRandom(5), 200);
    const file = await fileOf(content);
    for (const p of pagesOf(file)) {
      let end = pageHeaderBytes + elementBytes * p.count;
      for (let i = 0; i < p.count; i++) {
        const at = pageHeaderBytes + elementBytes * i;
        const leaf = p.flags === PageFlag.leaf;
        const start = at + p.bytes.readUInt32LE(at + (leaf ? 4 : 0));
        end = Math.max(end, start + p.bytes.readUInt32LE(at + (leaf ? 8 : 4)) + (leaf ? p.bytes.readUInt32LE(at + 12) : 0));
      }
      expect(p.bytes.subarray(end).every((b) => b === 0)).toBe(true);
    }
  });

  it('has two sound meta pages; either one opens it', async () => {
    const content = randomContent(new SeededRandom(9), 50);
    const file = await fileOf(content);
    for (const broken of [0, 1]) {
      const damaged = Buffer.from(file);
      damaged[broken * pageBytes + 40] = (damaged[broken * pageBytes + 40] as number) ^ 1;
      expect(plain(contentOf(diskFile(damaged)))).toEqual(plain(content));
    }
    expect(new BoltReader(diskFile(file)).meta.txid).toBe(2n);
  });

  it('hashes as FNV-1a does', () => {
    expect(fnv1a64(Buffer.from('foobar'), 0, 6)).toBe(0x85944171f73967e8n);
    expect(fnv1a64(Buffer.from(''), 0, 0)).toBe(0xcbf29ce484222325n);
  });
});

describe('a snapshot reader', () => {
  it('is given up at any point and lets go of the view', async () => {
    const content = randomContent(new SeededRandom(3), 2000);
    for (const point of ['before', 'planning', 'planned', 'reading'] as const) {
      const view = new ArrayView(content);
      const snapshot = new BoltSnapshot({ view, clock });
      if (point === 'planning') {
        const planned = snapshot.totalBytes();
        snapshot.close();
        await expect(planned).rejects.toThrow(SnapshotClosedError);
      }
      if (point === 'planned' || point === 'reading') await snapshot.totalBytes();
      if (point === 'reading') await snapshot.next();
      snapshot.close();
      await expect(snapshot.next()).rejects.toThrow(SnapshotClosedError);
      expect(view.released).toBe(true);
      expect(view.open).toBe(0);
    }
  });

  it('ends with what went wrong in the store', async () => {
    class Failing extends ArrayView {
      override rows(): ReturnType<ArrayView['rows']> {
        const inner = super.rows();
        let n = 0;
        return { ...inner, next: () => (n++ > 50 ? bad() : inner.next()) };
      }
    }
    const bad = (): never => {
      throw new Error('bad row');
    };
    const view = new Failing(randomContent(new SeededRandom(3), 100));
    const snapshot = new BoltSnapshot({ view, clock });
    await expect(snapshot.totalBytes()).rejects.toThrow('bad row');
    snapshot.close();
    expect(view.released).toBe(true);
  });
});

// Damaged files: content that is right as far as the format can tell, or an error that names the file; never anything else.
import { describe, expect, it } from 'vitest';
import { SeededRandom } from '../../../../src/base/random.ts';
import { encodeKeyValue, encodeTombstone } from '../../../../src/server/mvcc/key-value.ts';
import { BoltError, BoltReader } from '../../../../src/server/storage/bbolt/bolt-reader.ts';
import { isRowValue } from '../../../../src/server/storage/bbolt/bolt-store.ts';
import { elementBytes, encodeMetaPage, pageBytes, PageFlag, pageHeaderBytes } from '../../../../src/server/storage/bbolt/format.ts';
import { revisionKey, parseRevisionKey } from '../../../../src/server/storage/bbolt/revision-key.ts';
import { below, contentOf, diskFile, fileOf, randomBytes, randomContent } from './harness.ts';

/** Reads everything. @returns undefined when it reads, else the error, which must be of the right kind. */
function problemOf(file: Buffer, bytes?: number): BoltError | undefined {
  try {
    contentOf(diskFile(file, '/some.db'), bytes);
    return undefined;
  } catch (error) {
    if (!(error instanceof BoltError)) throw error;
    expect(error.message).toContain('/some.db');
    return error;
  }
}

describe('a damaged file', () => {
  it('with flipped bits', async () => {
    const random = new SeededRandom(1);
    let refused = 0;
    for (const rows of [3, 40, 400]) {
      const file = await fileOf(randomContent(random, rows));
      for (let i = 0; i < 250; i++) {
        const damaged = Buffer.from(file);
        const flips = 1 + below(random, 3);
        for (let k = 0; k < flips; k++) {
          // Half of them in headers and element tables, where they hurt.
          const page = below(random, file.length / pageBytes) * pageBytes;
          const at = page + (below(random, 2) === 0 ? below(random, 200) : below(random, pageBytes));
          damaged[at] = (damaged[at] as number) ^ (1 << below(random, 8));
        }
        if (problemOf(damaged) !== undefined) refused++;
      }
    }
    expect(refused).toBeGreaterThan(100);
  });

  it('with pages of noise, and with pages swapped', async () => {
    const random = new SeededRandom(2);
    const file = await fileOf(randomContent(random, 500));
    const pages = file.length / pageBytes;
    for (let i = 0; i < 200; i++) {
      const damaged = Buffer.from(file);
      const page = 2 + below(random, pages - 2);
      if (below(random, 2) === 0) randomBytes(random, pageBytes).copy(damaged, page * pageBytes);
      else {
        const other = 2 + below(random, pages - 2);
        file.copy(damaged, page * pageBytes, other * pageBytes, (other + 1) * pageBytes);
        // With the right number, so that only the walk can tell.
        damaged.writeUInt32LE(page, page * pageBytes);
      }
      problemOf(damaged);
    }
  });

  it('cut anywhere is refused', async () => {
    const file = await fileOf(randomContent(new SeededRandom(3), 200));
    for (let bytes = 0; bytes < file.length; bytes += 1 + Math.floor(bytes / 7)) {
      const problem = problemOf(file.subarray(0, bytes));
      expect(problem, `${bytes} bytes`).toBeDefined();
    }
    expect(problemOf(file.subarray(0, file.length - 1))?.message).toContain('cut short');
    // The bytes that count are told: what follows may be a digest.
    expect(problemOf(Buffer.concat([file, Buffer.alloc(32)]), file.length)).toBeUndefined();
    expect(problemOf(file, file.length - 1)?.message).toContain('cut short');
  });

  it('of another kind is refused', () => {
    expect(problemOf(Buffer.alloc(0))?.message).toContain('not a bbolt file');
    expect(problemOf(Buffer.from('this is not a database'))?.message).toContain('not a bbolt file');
    expect(problemOf(Buffer.alloc(100_000))?.message).toContain('not a bbolt file');
    expect(problemOf(randomBytes(new SeededRandom(1), 100_000))?.message).toContain('not a bbolt file');
  });

  it('whose pages form a circle ends', () => {
    const branch = (id: number, child: number): Buffer => {
      const b = Buffer.alloc(pageBytes);
      b.writeUInt32LE(id, 0);
      b.writeUInt16LE(PageFlag.branch, 8);
      b.writeUInt16LE(1, 10);
      b.writeUInt32LE(elementBytes, pageHeaderBytes);
      b.writeUInt32LE(child, pageHeaderBytes + 8);
      return b;
    };
    const meta = { pageBytes, root: 2, pages: 4, txid: 1n };
    const circle = Buffer.concat([encodeMetaPage(0, meta), encodeMetaPage(1, meta), branch(2, 3), branch(3, 2)]);
    expect(problemOf(circle)?.message).toContain('two places');
    const far = Buffer.concat([encodeMetaPage(0, meta), encodeMetaPage(1, meta), branch(2, 77), branch(3, 2)]);
    expect(problemOf(far)?.message).toContain('outside');
  });

  it('with meta pages that promise nonsense is refused', () => {
    for (const meta of [
      { pageBytes, root: 1, pages: 4, txid: 1n },
      { pageBytes, root: 4, pages: 4, txid: 1n },
      { pageBytes, root: 2, pages: 2 ** 60, txid: 1n },
      { pageBytes, root: 2 ** 60, pages: 4, txid: 1n },
      { pageBytes, root: 2, pages: 0, txid: 1n },
    ]) {
      const file = Buffer.concat([encodeMetaPage(0, meta), encodeMetaPage(1, meta), Buffer.alloc(2 * pageBytes)]);
      expect(problemOf(file)).toBeDefined();
    }
  });

  it('takes the newer of two meta pages', () => {
    const metas = [5n, 9n].map((txid, i) => encodeMetaPage(i, { pageBytes, root: 2 + i, pages: 4, txid }));
    const leaf = (id: number): Buffer => {
      const b = Buffer.alloc(pageBytes);
      b.writeUInt32LE(id, 0);
      b.writeUInt16LE(PageFlag.leaf, 8);
      return b;
    };
    const file = Buffer.concat([...metas, leaf(2), leaf(3)]);
    expect(new BoltReader(diskFile(file)).meta.root).toBe(3);
  });
});

describe('a row', () => {
  it('is what etcd writes', () => {
    const kv = encodeKeyValue(Buffer.from('k'), 5, 7, 2, Buffer.from('v'), -3n);
    expect(isRowValue(kv, false)).toBe(true);
    expect(isRowValue(kv, true)).toBe(false);
    expect(isRowValue(encodeTombstone(Buffer.from('k')), true)).toBe(true);
    expect(isRowValue(Buffer.alloc(0), false)).toBe(true);
    expect(isRowValue(Buffer.alloc(0), true)).toBe(false);
    for (let n = 1; n < kv.length; n++) if (isRowValue(kv.subarray(0, n), false)) expect([3, 5, 7, 9, 12]).toContain(n);
    expect(isRowValue(Buffer.concat([kv, kv]), false)).toBe(false);
    expect(isRowValue(Buffer.from([0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]), false)).toBe(false);
  });

  it('has a key that sorts as its revision', () => {
    const revisions = [
      [2, 0],
      [2, 1],
      [255, 3],
      [256, 0],
      [2 ** 32 - 1, 0],
      [2 ** 32, 7],
      [2 ** 47 + 5, 2 ** 31],
    ] as const;
    for (const [i, [main, sub]] of revisions.entries()) {
      const key = revisionKey(main, sub);
      expect(parseRevisionKey(key)).toEqual({ main, sub, tombstone: false });
      expect(parseRevisionKey(Buffer.concat([key, Buffer.from('t')]))).toEqual({ main, sub, tombstone: true });
      const before = revisions[i - 1];
      if (before !== undefined) expect(Buffer.compare(revisionKey(before[0], before[1]), key)).toBe(-1);
    }
    expect(parseRevisionKey(Buffer.alloc(17))).toBeUndefined();
    expect(parseRevisionKey(Buffer.alloc(0))).toBeUndefined();
  });
});

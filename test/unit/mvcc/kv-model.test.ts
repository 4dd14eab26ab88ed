// Random operations give what the list of versions gives, at every revision that is not compacted, while compactions and sliced reads run.
import { describe, expect, test } from 'vitest';
import { SeededRandom } from '../../../src/base/random.ts';
import { CompactedError, FutureRevisionError, type RangeQuery, type RangeResult } from '../../../src/server/mvcc/types.ts';
import type { Backend } from '../../../src/server/storage/backend.ts';
import { rowKeyText } from '../../../src/server/mvcc/key-value.ts';
import { bytes, decodeKv, Harness, query } from './harness.ts';
import { ListModel, rowText, type ModelKv } from './list-model.ts';

const opsPerSeed = 20_000;
const seeds = [1, 2, 3, 4, 5];

export function backendRows(backend: Backend): string[] {
  const scan = backend.scan(0, Infinity);
  const rows: string[] = [];
  for (let row = scan.next(); row !== undefined; row = scan.next()) {
    rows.push(rowText({ main: row.main, sub: row.sub, tombstone: row.tombstone, key: rowKeyText(row.value) }));
  }
  scan.close();
  return rows;
}

function check(result: RangeResult, expected: ModelKv[], q: RangeQuery, rev: number): void {
  expect(result.rev).toBe(rev);
  expect(result.count).toBe(expected.length);
  const rows = q.countOnly ? [] : q.limit > 0 ? expected.slice(0, q.limit) : expected;
  expect(result.kvs.map(decodeKv)).toEqual(rows);
}

describe.each(seeds)('seed %d', (seed) => {
  test(`${String(opsPerSeed)} operations`, () => {
    const random = new SeededRandom(seed);
    const pick = (n: number): number => random.u32() % n;
    const h = new Harness({ compactionBatchRows: 50 });
    const model = new ListModel();
    const keyCount = 10 + pick(100);
    const key = (): string => `k${String(pick(keyCount)).padStart(3, '0')}`;
    const span = (): [string, string | undefined] => {
      const kind = pick(10);
      if (kind < 4) return [key(), undefined];
      if (kind < 6) return ['\0', ''];
      if (kind < 7) return [key(), ''];
      return [key(), key()];
    };
    const rev = (): number => {
      const kind = pick(10);
      if (kind < 5) return 0;
      if (kind < 6) return model.rev + pick(2);
      return Math.max(model.compactRev - 1, 1) + pick(Math.max(model.rev - model.compactRev, 1));
    };
    let sliced = 0;
    let sliceAnswers = 0;
    let compactions = 0;
    let refused = 0;
    let open = 0;

    const read = (): void => {
      const [from, end] = span();
      const q = query(
        { key: bytes(from), end: end === undefined ? undefined : bytes(end) },
        { rev: rev(), limit: pick(3) === 0 ? 1 + pick(20) : 0, countOnly: pick(8) === 0 },
      );
      const at = q.rev === 0 ? model.rev : q.rev;
      const current = model.rev;
      const expected = at > current || at < model.compactRev ? [] : model.at(at, from, end);
      const verdict = at > current ? FutureRevisionError : at < model.compactRev ? CompactedError : undefined;
      if (pick(3) === 0 && open < 20) {
        sliced++;
        open++;
        h.store.rangeSliced(q, { cancelled: false }, (error, result) => {
          sliceAnswers++;
          open--;
          if (verdict !== undefined) expect(error).toBeInstanceOf(verdict);
          else {
            expect(error).toBeUndefined();
            if (result !== undefined) check(result, expected, q, current);
          }
        });
      } else if (verdict !== undefined) {
        refused++;
        expect(() => h.store.range(q)).toThrow(verdict);
      } else check(h.store.range(q), expected, q, current);
    };

    for (let i = 0; i < opsPerSeed; i++) {
      h.clock.lookMs = pick(4) === 0 ? 1 : 0;
      const kind = pick(100);
      if (kind < 60) {
        const ops = kind < 45 ? 1 : 1 + pick(6);
        model.begin();
        h.txn((t) => {
          expect(t.startRev).toBe(model.rev);
          for (let n = 0; n < ops; n++) {
            if (pick(4) > 0) {
              const k = key();
              const value = `v${String(pick(1000))}`.repeat(pick(3));
              const lease = [0n, 0n, 7n, -7n][pick(4)] ?? 0n;
              expect(t.put(bytes(k), bytes(value), lease)).toBe(model.rev + 1);
              model.put(k, value, lease);
            } else {
              const [from, end] = pick(5) === 0 ? span() : [key(), undefined];
              const deleted = model.delete(from, end);
              expect(t.deleteRange({ key: bytes(from), end: end === undefined ? undefined : bytes(end) }).deleted).toBe(deleted);
            }
            if (pick(8) === 0) {
              const [from, end] = span();
              const seen = t.range(query({ key: bytes(from), end: end === undefined ? undefined : bytes(end) }));
              check(seen, model.at(Infinity, from, end), query({ key: bytes(from), end: undefined }), model.rev + (t.changed ? 1 : 0));
            }
          }
        });
        model.end();
        expect(h.store.currentRev).toBe(model.rev);
      } else if (kind < 97) read();
      else if (kind < 98) {
        const to = Math.max(model.compactRev, 0) + pick(Math.max(model.rev - model.compactRev, 1) + 2);
        if (to <= model.compactRev)
          expect(() => {
            h.store.compact(to, () => undefined);
          }).toThrow(CompactedError);
        else if (to > model.rev)
          expect(() => {
            h.store.compact(to, () => undefined);
          }).toThrow(FutureRevisionError);
        else {
          h.store.compact(to, () => compactions++);
          model.compactRev = to;
        }
        expect(h.store.compactRev).toBe(model.compactRev);
      }
      if (pick(3) === 0) h.clock.turn();
      if (pick(20) === 0) h.clock.fire();
      if (pick(2000) === 0) {
        h.clock.settle();
        expect(backendRows(h.backend)).toEqual(model.rows());
        for (const k of model.keys.keys()) expect(h.backend.leaseOf(bytes(k))).toBe(model.keys.get(k)?.at(-1)?.lease ?? 0n);
      }
    }
    h.clock.settle();
    expect(backendRows(h.backend)).toEqual(model.rows());
    expect(sliceAnswers).toBe(sliced);
    expect(h.backend.openScans).toBe(0);
    expect(compactions).toBeGreaterThan(20);
    expect(refused).toBeGreaterThan(20);
    expect(sliced).toBeGreaterThan(500);
  });
});

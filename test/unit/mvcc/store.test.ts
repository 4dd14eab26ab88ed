import { describe, expect, test } from 'vitest';
import { CompactedError, FutureRevisionError, type RangeResult } from '../../../src/server/mvcc/types.ts';
import { bytes, everything, Harness, keyRange, prefix, query, rangeText } from './harness.ts';

describe('revisions', () => {
  test('start at 1, and go up by one for a txn that changed something', () => {
    const h = new Harness();
    expect(h.store.currentRev).toBe(1);
    expect(h.store.compactRev).toBe(-1);
    expect(h.put('a', '1')).toBe(2);
    expect(h.delete('missing')).toEqual({ deleted: 0, rev: 2 });
    h.txn(() => undefined);
    expect(h.store.currentRev).toBe(2);
    h.txn((t) => {
      expect(t.changed).toBe(false);
      expect(t.put(bytes('b'), bytes('2'), 0n)).toBe(3);
      expect(t.changed).toBe(true);
      expect(t.put(bytes('c'), bytes('3'), 0n)).toBe(3);
    });
    expect(h.store.currentRev).toBe(3);
    expect(rangeText(h.range(everything))).toEqual(['a=1 2/2/1', 'b=2 3/3/1', 'c=3 3/3/1']);
  });

  test('create_revision and version start anew after a delete', () => {
    const h = new Harness();
    h.put('a', '1');
    h.put('a', '2');
    expect(rangeText(h.range(keyRange('a')))).toEqual(['a=2 2/3/2']);
    expect(h.delete('a')).toEqual({ deleted: 1, rev: 4 });
    expect(h.range(keyRange('a'))).toEqual({ kvs: [], count: 0, rev: 4 });
    h.put('a', '3');
    expect(rangeText(h.range(keyRange('a')))).toEqual(['a=3 5/5/1']);
    expect(rangeText(h.range(keyRange('a'), { rev: 3 }))).toEqual(['a=2 2/3/2']);
  });

  test('a txn reads its own writes, and reports the revision they will have', () => {
    const h = new Harness();
    h.put('a', '1');
    h.txn((t) => {
      expect(t.range(query(everything)).rev).toBe(2);
      t.put(bytes('b'), bytes('2'), 0n);
      t.deleteRange(keyRange('a'));
      const seen = t.range(query(everything));
      expect(seen.rev).toBe(3);
      expect(rangeText(seen)).toEqual(['b=2 3/3/1']);
      expect(rangeText(t.range(query(everything, { rev: 2 })))).toEqual(['a=1 2/2/1']);
      expect(() => t.range(query(everything, { rev: 4 }))).toThrow(FutureRevisionError);
    });
  });

  test('delete and put of a key in one txn', () => {
    const h = new Harness();
    h.put('a', '1');
    h.txn((t) => {
      t.deleteRange(keyRange('a'));
      t.put(bytes('a'), bytes('2'), 0n);
    });
    expect(rangeText(h.range(keyRange('a')))).toEqual(['a=2 3/3/1']);
  });

  test('one txn at a time', () => {
    const h = new Harness();
    const txn = h.store.write();
    expect(() => h.store.write()).toThrow(/one write txn/);
    txn.end();
    expect(() => {
      txn.end();
    }).toThrow(/ends once/);
  });
});

describe('ranges', () => {
  const filled = (): Harness => {
    const h = new Harness();
    for (const key of ['a', 'b', 'b1', 'b2', 'c']) h.put(key, key);
    return h;
  };

  test('limit cuts the rows, not the count', () => {
    const h = filled();
    expect(h.range(everything, { limit: 2 })).toMatchObject({ count: 5, rev: 6 });
    expect(h.range(everything, { limit: 2 }).kvs).toHaveLength(2);
    expect(h.range(prefix('b'), { limit: 1, rev: 4 })).toMatchObject({ count: 2 });
    expect(h.range(everything, { countOnly: true })).toEqual({ kvs: [], count: 5, rev: 6 });
    expect(h.range(everything, { countOnly: true, rev: 3 })).toEqual({ kvs: [], count: 2, rev: 6 });
    expect(h.range(keyRange('a'), { countOnly: true })).toEqual({ kvs: [], count: 1, rev: 6 });
  });

  test('a range whose end is not behind its key is empty', () => {
    const h = filled();
    expect(h.range(keyRange('b', 'a'))).toEqual({ kvs: [], count: 0, rev: 6 });
    expect(h.range(keyRange('b', 'b'), { limit: 1, rev: 3 })).toEqual({ kvs: [], count: 0, rev: 6 });
    expect(h.delete('b', 'b')).toEqual({ deleted: 0, rev: 6 });
  });

  test('compacted and future revisions are refused', () => {
    const h = filled();
    h.compact(4);
    expect(() => h.range(everything, { rev: 3 })).toThrow(CompactedError);
    expect(() => h.range(everything, { rev: 7 })).toThrow(FutureRevisionError);
    expect(h.range(everything, { rev: 4 }).count).toBe(3);
    expect(h.range(everything, { rev: -1 }).count).toBe(5);
  });

  test('a stored row is handed out as it is, not copied', () => {
    const h = filled();
    expect(h.range(keyRange('a')).kvs[0]).toBe(h.range(everything).kvs[0]);
  });
});

describe('sliced ranges', () => {
  const collect = (h: Harness, q = query(everything)): { result: RangeResult | undefined; error: Error | undefined; calls: number } => {
    const out: { result: RangeResult | undefined; error: Error | undefined; calls: number } = {
      result: undefined,
      error: undefined,
      calls: 0,
    };
    h.store.rangeSliced(q, { cancelled: false }, (error, result) => {
      out.calls++;
      out.error = error;
      out.result = result;
    });
    return out;
  };
  const filled = (keys: number): Harness => {
    const h = new Harness();
    h.txn((t) => {
      for (let i = 0; i < keys; i++) t.put(bytes(`k${String(i).padStart(6, '0')}`), bytes('v'), 0n);
    });
    return h;
  };

  test('a small range is answered in the same turn', () => {
    const h = filled(20);
    expect(collect(h)).toMatchObject({ calls: 1, result: { count: 20 } });
    expect(collect(h, query(everything, { rev: 9 })).error).toBeInstanceOf(FutureRevisionError);
  });

  test('a large one gives the turn away, and stays at its revision while writes and a compaction go on', () => {
    const h = filled(1000);
    h.clock.lookMs = 1;
    const out = collect(h, query(everything, { rev: 2 }));
    expect(out.calls).toBe(0);
    for (let i = 0; i < 1000; i += 2) h.delete(`k${String(i).padStart(6, '0')}`);
    h.store.compact(h.store.currentRev, () => undefined);
    expect(() => h.range(everything, { rev: 2 })).toThrow(CompactedError);
    let turns = 0;
    while (out.calls === 0) {
      h.clock.turn();
      turns++;
    }
    expect(turns).toBeGreaterThan(5);
    expect(out.result).toMatchObject({ count: 1000, rev: 2 });
    expect(out.result?.kvs).toHaveLength(1000);
    // Deletions waited for the reader, and come now.
    expect(h.backend.rowCount).toBe(1500);
    h.clock.settle();
    expect(h.backend.rowCount).toBe(501);
  });

  test('cancelled in between, it ends without a result and lets compaction go on', () => {
    const h = filled(1000);
    h.clock.lookMs = 1;
    const signal = { cancelled: false };
    const ends: unknown[] = [];
    h.store.rangeSliced(query(everything), signal, (error, result) => ends.push([error, result]));
    h.put('k000001', 'x');
    signal.cancelled = true;
    expect(ends).toEqual([]);
    h.compact(3);
    expect(ends).toEqual([[undefined, undefined]]);
    expect(h.backend.rowCount).toBe(1000);
  });

  test('begins anew when the content is replaced', () => {
    const h = filled(1000);
    h.clock.lookMs = 1;
    const out = collect(h);
    const other = filled(10);
    h.store.restore(other.backend);
    h.clock.settle();
    expect(out).toMatchObject({ calls: 1, result: { count: 10 } });
  });
});

describe('counts at past revisions', () => {
  test('paging at a fixed revision counts each key once', () => {
    const h = new Harness();
    const keys = 20_000;
    const name = (i: number): string => `k${String(i).padStart(6, '0')}`;
    h.txn((t) => {
      for (let i = 0; i < keys; i++) t.put(bytes(name(i)), bytes('v'), 0n);
    });
    h.put(name(7), 'later');
    const page = (start: string, rev: number): RangeResult => h.range({ key: bytes(start), end: bytes('l') }, { rev, limit: 100 });
    // From the newest revision the first page knows its total, the next ones derive theirs.
    h.backend.cursorSteps = 0;
    let start = 'k';
    for (let i = 0; i < 100; i++) {
      const { kvs, count } = page(start, 3);
      expect(kvs).toHaveLength(100);
      expect(count).toBe(keys - 100 * i);
      start = name(100 * (i + 1) - 1) + '\0';
      if (i === 0) h.put('zz', 'the revision moves on');
    }
    expect(h.backend.cursorSteps).toBeLessThan(100 * 110);
    // At an older revision the first page counts, and a page that repeats its last key finds its neighbour.
    h.backend.cursorSteps = 0;
    start = 'k';
    for (let i = 0; i < 50; i++) {
      expect(page(start, 2).count).toBe(keys - 99 * i);
      start = name(99 * (i + 1));
    }
    expect(h.backend.cursorSteps).toBeLessThan(keys + 50 * 210);
    // Back to the start.
    h.backend.cursorSteps = 0;
    expect(page('k', 2).count).toBe(keys);
    expect(h.range({ key: bytes('k'), end: bytes('l') }, { rev: 2, countOnly: true }).count).toBe(keys);
    expect(h.backend.cursorSteps).toBeLessThan(keys);
  });
});

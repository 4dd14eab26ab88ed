import { describe, expect, it } from 'vitest';
import { RangeRequest, RangeResponse } from '../../../src/api/gen/etcdserverpb.ts';
import { KeyValue } from '../../../src/api/gen/mvccpb.ts';
import { Writer } from '../../../src/api/proto-io.ts';
import { emptyBytes } from '../../../src/base/bytes.ts';
import { SeededRandom } from '../../../src/base/random.ts';
import { encodeRangeAnswer, rangeAnswer, rangeQuery, writeRangeAnswer } from '../../../src/server/txn/range.ts';
import { keyOnlyRow, rowFields, valuelessRow } from '../../../src/server/txn/row-fields.ts';

const row = (key: string, value: string | Uint8Array, rest: object = {}): Uint8Array =>
  KeyValue.encode({ key: Buffer.from(key), value: Buffer.from(value), createRevision: 2, modRevision: 3, version: 1, lease: 7n, ...rest });

describe('rows', () => {
  it('give up single fields', () => {
    const f = rowFields(row('k', 'v', { lease: -5n }));
    expect(f).toEqual({ key: Buffer.from('k'), value: Buffer.from('v'), createRevision: 2, modRevision: 3, version: 1, lease: -5n });
  });

  it('are cut without a copy', () => {
    const whole = row('key', 'value');
    const cut = keyOnlyRow(whole);
    expect(KeyValue.decode(cut)).toMatchObject({ key: Buffer.from('key'), value: emptyBytes, version: 1, lease: 0n });
    expect(cut.buffer).toBe(whole.buffer);
    expect(KeyValue.decode(valuelessRow(whole))).toMatchObject({ value: emptyBytes, lease: 7n });
    expect(keyOnlyRow(row('key', '', { lease: 0n }))).toEqual(row('key', '', { lease: 0n }));
  });

  it('are cut right when their fields stand in another order', () => {
    const mixed = Buffer.concat([Buffer.of(42, 1, 118), Buffer.of(10, 1, 107), Buffer.of(48, 7), Buffer.of(32, 9)]);
    expect(KeyValue.decode(keyOnlyRow(mixed))).toMatchObject({ key: Buffer.from('k'), value: emptyBytes, version: 9, lease: 0n });
  });
});

describe('encodeRangeAnswer', () => {
  it('gives what the codec gives, for rows of all sizes', () => {
    const random = new SeededRandom(3);
    for (let round = 0; round < 60; round++) {
      const kvs = Array.from({ length: random.u32() % 40 }, (_, i) => {
        const sizes = [0, 1, 100, 127, 128, 4000, 4096, 20_000, 70_000];
        return row(`key${i}`, random.bytes(sizes[random.u32() % sizes.length] ?? 0));
      });
      const answer = { kvs, more: random.u32() % 2 === 0, count: [0, 5, 300, 2 ** 40][random.u32() % 4] ?? 0 };
      const encoded = Buffer.concat(encodeRangeAnswer(answer));
      const expected = RangeResponse.encode({ kvs: kvs.map((kv) => KeyValue.decode(kv)), more: answer.more, count: answer.count });
      expect(encoded.equals(Buffer.from(expected))).toBe(true);
      const w = new Writer();
      writeRangeAnswer(answer, w);
      expect(Buffer.from(w.finish()).equals(Buffer.from(expected))).toBe(true);
    }
  });

  it('hands large rows on as they are', () => {
    const large = row('k', Buffer.alloc(100_000));
    expect(encodeRangeAnswer({ kvs: [large], more: false, count: 1 })).toContain(large);
  });
});

describe('rangeQuery', () => {
  const query = (r: object) => rangeQuery(RangeRequest.decode(RangeRequest.encode({ key: Buffer.from('a'), ...r })));

  it('asks for one more than the limit, and for all when it sorts or filters', () => {
    expect(query({ limit: 3 }).limit).toBe(4);
    expect(query({ limit: -1 }).limit).toBe(0);
    expect(query({ limit: 3, sortOrder: 2 }).limit).toBe(0);
    expect(query({ limit: 3, minModRevision: 1 }).limit).toBe(0);
    expect(query({ limit: 3, sortOrder: 1 }).limit).toBe(4);
    expect(query({ limit: 3, sortOrder: 1, sortTarget: 2 }).limit).toBe(0);
  });
});

describe('rangeAnswer', () => {
  it('keeps ties in key order, in both directions', () => {
    const kvs = [row('a', 'x'), row('b', 'x'), row('c', 'w')];
    const ask = (r: object): string[] =>
      rangeAnswer(RangeRequest.decode(RangeRequest.encode({ key: Buffer.from('a'), ...r })), { kvs, count: 3, rev: 3 }).kvs.map((kv) =>
        Buffer.from(rowFields(kv).key).toString(),
      );
    expect(ask({ sortTarget: 4, sortOrder: 1 })).toEqual(['c', 'a', 'b']);
    expect(ask({ sortTarget: 4, sortOrder: 2 })).toEqual(['a', 'b', 'c']);
    expect(ask({ sortTarget: 0, sortOrder: 2, limit: 2 })).toEqual(['c', 'b']);
  });
});

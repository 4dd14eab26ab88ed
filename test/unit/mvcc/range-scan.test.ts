// Counts put together from kept neighbours equal counts made by walking.
import { expect, test } from 'vitest';
import { SeededRandom } from '../../../src/base/random.ts';
import { CountCache, countCacheGroupsMax } from '../../../src/server/mvcc/count-cache.ts';
import { RangeResponse } from '../../../src/api/gen/etcdserverpb.ts';
import { KeyValue } from '../../../src/api/gen/mvccpb.ts';
import { RangeRest } from '../../../src/server/mvcc/range-rest.ts';
import { RangeScan } from '../../../src/server/mvcc/range-scan.ts';
import { ReaderPins } from '../../../src/server/mvcc/reader-pins.ts';
import { SliceBudget } from '../../../src/server/mvcc/slices.ts';
import type { RowGather } from '../../../src/server/storage/row-gather.ts';
import { bytes, decodeKv, Harness, keyRange } from './harness.ts';
import { ListModel } from './list-model.ts';

test.each([1, 2, 3])('seed %d', (seed) => {
  const random = new SeededRandom(seed);
  const pick = (n: number): number => random.u32() % n;
  const h = new Harness();
  const model = new ListModel();
  const name = (): string => `k${String(pick(300)).padStart(3, '0')}`;
  for (let i = 0; i < 800; i++) {
    const key = name();
    model.begin();
    if (pick(4) === 0) {
      h.delete(key);
      model.delete(key, undefined);
    } else {
      h.put(key, 'v');
      model.put(key, 'v', 0n);
    }
    model.end();
  }
  const counts = new CountCache(1);
  let compacted = 1;
  const ends = ['', 'k2', 'k250', 'l'];
  for (let i = 0; i < 2000; i++) {
    if (pick(500) === 0) {
      compacted += pick(100);
      counts.compact(compacted);
    }
    const rev = compacted + pick(4) * 40;
    const key = pick(3) === 0 ? `${name()}\0` : pick(5) === 0 ? 'k' : name();
    const end = ends[pick(ends.length)] ?? '';
    if (end !== '' && key >= end) continue;
    const limit = pick(3) === 0 ? 0 : 1 + pick(60);
    const current = rev >= model.rev;
    const scan = new RangeScan({
      backend: h.backend,
      counts,
      key: bytes(key),
      end: bytes(end),
      rev: Math.min(rev, model.rev),
      limit,
      countOnly: pick(5) === 0,
      gather: pick(2) === 0,
      gatherBytesMax: pick(2) === 0 ? pick(400) : Infinity,
      total: current && limit > 0 ? h.backend.countLatest(keyRange(key, end)) : undefined,
    });
    h.clock.lookMs = pick(2);
    while (!scan.advance(new SliceBudget(h.clock, h.clock.mono()))) h.clock.lookMs = pick(2);
    const expected = model.at(rev, key, end);
    expect(scan.count).toBe(expected.length);
    const kvs =
      scan.gathered === undefined
        ? scan.kvs
        : gatheredRows(h, scan.gathered, scan.rest, { end: bytes(end), rev: Math.min(rev, model.rev) });
    if (kvs.length > 0) expect(kvs.map((b) => decodeKv(b).key)).toEqual(expected.slice(0, limit || undefined).map((kv) => kv.key));
  }
});

/** What was gathered, and read behind it of what was only measured. */
function gatheredRows(h: Harness, gathered: RowGather, rest: RangeScan['rest'], range: { end: Uint8Array; rev: number }): Uint8Array[] {
  const parts = gathered.take();
  if (rest !== undefined && rest.measured.rows > 0) {
    const pins = new ReaderPins();
    const { from: key, measured } = rest;
    const reader = new RangeRest({ backend: h.backend, clock: h.clock, pins, key, ...range, measured, isReplaced: () => false });
    expect(reader.finished).toBe(false);
    let bytes = 0;
    while (!reader.finished)
      for (const part of reader.read(h.clock.mono()) ?? []) {
        bytes += part.length;
        parts.push(part);
      }
    expect(bytes).toBe(reader.bytes);
    reader.close();
    pins.whenNoneBelow(Infinity, () => (bytes = -1));
    expect(bytes).toBe(-1);
  }
  return RangeResponse.decode(Buffer.concat(parts)).kvs.map((kv) => KeyValue.encode(kv));
}

test('few pagers are remembered, the one unused longest goes first', () => {
  const counts = new CountCache(1);
  for (let rev = 1; rev <= countCacheGroupsMax + 1; rev++) {
    counts.put(rev, bytes('a'), bytes('z'), 5);
    counts.put(1, bytes(`a${String(rev)}`), bytes('z'), 5);
  }
  expect(counts.find(2, bytes('a'), bytes('z'))).toBeUndefined();
  expect(counts.find(3, bytes('a'), bytes('z'))).toMatchObject({ count: 5, side: 'same' });
  expect(counts.find(1, bytes('b'), bytes('z'))).toMatchObject({ side: 'below' });
  expect(counts.find(3, bytes('0'), bytes('z'))).toMatchObject({ side: 'above' });
  counts.compact(4);
  expect(counts.find(3, bytes('a'), bytes('z'))).toBeUndefined();
  expect(counts.find(4, bytes('a'), bytes('z'))).toBeDefined();
});

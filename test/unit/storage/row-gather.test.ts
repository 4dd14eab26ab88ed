import { expect, it } from 'vitest';
import { RangeResponse } from '../../../src/api/gen/etcdserverpb.ts';
import { KeyValue } from '../../../src/api/gen/mvccpb.ts';
import { framedBytes, RowGather } from '../../../src/server/storage/row-gather.ts';

const row = (i: number, bytes: number): Uint8Array =>
  KeyValue.encode({ ...KeyValue.create(), key: Buffer.from(`k${i}`), value: Buffer.alloc(bytes, i) });

it('gathers rows of every length as a range response has them', () => {
  const gather = new RowGather();
  const sizes = [0, 1, 100, 117, 127, 128, 8000, 8192, 16_384, 131_072, 300_000, 5, 70_000, 70_000];
  for (const [i, n] of sizes.entries()) {
    const bytes = row(i, n);
    const framed = Buffer.concat([Buffer.alloc(3), bytes, Buffer.alloc(2)]);
    gather.add(framed, 3, 3 + bytes.length);
  }
  expect(gather.count).toBe(sizes.length);
  const { kvs } = RangeResponse.decode(Buffer.concat(gather.take()));
  expect(kvs.map((kv) => kv.value.length)).toEqual(sizes);
  for (const [i, kv] of kvs.entries()) expect(Buffer.compare(kv.value, Buffer.alloc(kv.value.length, i))).toBe(0);
});

it('takes the last row back, also the first one of a part', () => {
  for (const before of [0, 1, 26, 27, 28, 29]) {
    const gather = new RowGather();
    for (let i = 0; i < before; i++) gather.add(row(i, 300), 0, row(i, 300).length);
    const odd = row(200, 9000);
    gather.add(odd, 0, odd.length);
    gather.dropLast();
    expect(gather.count).toBe(before);
    const { kvs } = RangeResponse.decode(Buffer.concat(gather.take()));
    expect(kvs.map((kv) => kv.value[0])).toEqual(Array.from({ length: before }, (_, i) => i));
  }
});

it('takes rows that are framed, and gives parts while it goes on', () => {
  const one = new RowGather();
  const parts: Uint8Array[] = [];
  const expected: number[] = [];
  for (let i = 0; i < 60; i++) {
    const rows = Array.from({ length: 1 + (i % 4) }, (_, n) => row(n, 1 + ((i * 7919) % 30_000)));
    const framed = new RowGather();
    for (const r of rows) framed.add(r, 0, r.length);
    const bytes = Buffer.concat(framed.take());
    const last = framedBytes((rows.at(-1) as Uint8Array).length);
    one.addFramed(bytes, rows.length, last);
    // Its last row may lie in two parts.
    if (i % 3 === 2) one.dropLast();
    else expected.push((rows.at(-1) as Uint8Array).length);
    expected.splice(i % 3 === 2 ? expected.length : expected.length - 1, 0, ...rows.slice(0, -1).map((r) => r.length));
    if (i % 7 === 0) parts.push(...one.take());
  }
  parts.push(...one.take());
  expect(one.count).toBe(expected.length);
  const whole = Buffer.concat(parts);
  expect(whole.length).toBe(one.bytes);
  expect(RangeResponse.decode(whole).kvs.map((kv) => KeyValue.encode(kv).length)).toEqual(expected);
});

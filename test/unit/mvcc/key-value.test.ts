// The hand-written row codec agrees with the generated one.
import { describe, expect, test } from 'vitest';
import { KeyValue } from '../../../src/api/gen/mvccpb.ts';
import { SeededRandom } from '../../../src/base/random.ts';
import {
  encodeDeleteEvent,
  encodeKeyValue,
  encodeRevisionKey,
  encodeTombstone,
  readRowFields,
  revisionKeyMain,
  RowFields,
  rowKey,
  rowKeyText,
} from '../../../src/server/mvcc/key-value.ts';

const numbers = [
  1,
  2,
  127,
  128,
  16383,
  16384,
  2097151,
  2097152,
  268435455,
  268435456,
  2 ** 31 - 1,
  2 ** 31,
  2 ** 32,
  2 ** 35,
  2 ** 49,
  2 ** 53 - 1,
];
const leases = [0n, 1n, 127n, 128n, 2n ** 31n, 2n ** 32n, 2n ** 63n - 1n, -1n, -(2n ** 63n)];
const lengths = [0, 1, 127, 128, 300, 16383, 16384, 100_000];

describe('rows', () => {
  test('encode as the generated codec does', () => {
    const random = new SeededRandom(1);
    const pick = <T>(from: readonly T[]): T => from[random.u32() % from.length] as T;
    const fields = new RowFields();
    for (let i = 0; i < 2000; i++) {
      const kv = {
        key: random.bytes(1 + (i % 50 === 0 ? 20_000 : random.u32() % 200)),
        createRevision: pick(numbers),
        modRevision: pick(numbers),
        version: pick(numbers),
        value: random.bytes(i % 20 === 0 ? pick(lengths) : random.u32() % 50),
        lease: pick(leases),
      };
      const row = encodeKeyValue(kv.key, kv.createRevision, kv.modRevision, kv.version, kv.value, kv.lease);
      expect(Buffer.compare(row, KeyValue.encode(kv))).toBe(0);
      readRowFields(row, fields);
      expect({ ...fields }).toEqual({ createRevision: kv.createRevision, modRevision: kv.modRevision, version: kv.version });
      expect(Buffer.compare(rowKey(row), kv.key)).toBe(0);
      expect(rowKeyText(row)).toBe(Buffer.from(kv.key).toString('latin1'));
      expect(Buffer.compare(encodeTombstone(kv.key), KeyValue.encode({ key: kv.key }))).toBe(0);
      expect(Buffer.compare(encodeDeleteEvent(kv.key, kv.modRevision), KeyValue.encode({ key: kv.key, modRevision: kv.modRevision }))).toBe(
        0,
      );
    }
  });

  test('an empty row has an empty key and no revisions', () => {
    const fields = new RowFields();
    readRowFields(new Uint8Array(0), fields);
    expect({ ...fields }).toEqual({ createRevision: 0, modRevision: 0, version: 0 });
    expect(rowKey(new Uint8Array(0))).toHaveLength(0);
    expect(rowKeyText(new Uint8Array(0))).toBe('');
  });
});

test('revision keys', () => {
  expect(Buffer.from(encodeRevisionKey(258, 3)).toString('hex')).toBe('00000000000001025f0000000000000003');
  expect(Buffer.from(encodeRevisionKey(2 ** 40 + 1, 0, true)).toString('hex')).toBe('00000100000000015f000000000000000074');
  expect(revisionKeyMain(encodeRevisionKey(2 ** 40 + 1, 7))).toBe(2 ** 40 + 1);
  expect(revisionKeyMain(new Uint8Array(16))).toBeUndefined();
});

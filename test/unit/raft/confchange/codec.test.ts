// The machine's own codec writes and reads what the generated one does.
import { expect, test } from 'vitest';
import { ConfChangeCodec, ConfChangeV2Codec } from '../../../../src/api/gen/raftpb.ts';
import { SeededRandom } from '../../../../src/base/random.ts';
import { asV2, changeOf, encodeConfChange, encodeConfChangeV2 } from '../../../../src/raft/confchange/codec.ts';
import type { ConfChange, ConfChangeV2 } from '../../../../src/raft/types.ts';

const random = new SeededRandom(5);
const id = (): bigint => [0n, 1n, 127n, 128n, random.u64(), 2n ** 64n - 1n][random.u32() % 6] ?? 0n;
const context = (): Uint8Array => random.bytes([0, 1, 200][random.u32() % 3] ?? 0);

function plain(change: ConfChangeV2 | undefined): unknown {
  return change && { ...change, context: Buffer.from(change.context).toString('hex') };
}

test('version 1', () => {
  for (let i = 0; i < 100; i++) {
    const change: ConfChange = { id: id(), type: random.u32() % 4, nodeId: id(), context: context() };
    const bytes = encodeConfChange(change);
    expect(Buffer.from(bytes)).toEqual(Buffer.from(ConfChangeCodec.encode(change)));
    expect(plain(changeOf({ Type: 1, Data: bytes }))).toEqual(plain(asV2(change)));
  }
});

test('version 2', () => {
  for (let i = 0; i < 100; i++) {
    const changes = Array.from({ length: random.u32() % 5 }, () => ({ type: random.u32() % 4, nodeId: id() }));
    const change: ConfChangeV2 = { transition: random.u32() % 3, changes, context: context() };
    const bytes = encodeConfChangeV2(change);
    expect(Buffer.from(bytes)).toEqual(Buffer.from(ConfChangeV2Codec.encode(change)));
    expect(plain(changeOf({ Type: 2, Data: bytes }))).toEqual(plain(change));
  }
});

test('no bytes are a version 2 change without content', () => {
  expect(changeOf({ Type: 2, Data: new Uint8Array(0) })?.changes).toEqual([]);
  expect(changeOf({ Type: 0, Data: new Uint8Array(0) })).toBeUndefined();
});

test('broken bytes are no change, and never an exception', () => {
  const whole = encodeConfChangeV2({ transition: 1, changes: [{ type: 1, nodeId: 300n }], context: new Uint8Array(5) });
  for (let cut = 1; cut < whole.length; cut++) changeOf({ Type: 2, Data: whole.subarray(0, cut) });
  expect(changeOf({ Type: 2, Data: whole.subarray(0, whole.length - 1) })).toBeUndefined();
  expect(changeOf({ Type: 1, Data: new Uint8Array([24]) })).toBeUndefined();
  expect(changeOf({ Type: 1, Data: new Uint8Array([0, 0]) })).toBeUndefined();
  expect(changeOf({ Type: 1, Data: new Uint8Array(12).fill(255) })).toBeUndefined();
  for (let i = 0; i < 2000; i++) changeOf({ Type: 1 + (i % 2), Data: random.bytes(random.u32() % 30) });
});

test('unknown fields are skipped', () => {
  const known = encodeConfChange({ id: 1n, type: 3, nodeId: 9n, context: new Uint8Array(0) });
  const more = new Uint8Array([...known, 200, 1, 5, 0x49, 1, 2, 3, 4, 5, 6, 7, 8, 0x4d, 1, 2, 3, 4, 0x52, 2, 1, 1]);
  expect(changeOf({ Type: 1, Data: more })?.changes).toEqual([{ type: 3, nodeId: 9n }]);
});

// Generated codecs agree with protobufjs on every message type, for random contents, both ways; and survive what a client may send.
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadRoot } from '../../../scripts/generate-api.mjs';
import { enumValues, messageFields, type FieldRow } from '../../../src/api/gen/schema.ts';
import { DecodeError, type Codec } from '../../../src/api/proto-io.ts';
import { SeededRandom } from '../../../src/base/random.ts';
import * as authpb from '../../../src/api/gen/authpb.ts';
import * as etcdserverpb from '../../../src/api/gen/etcdserverpb.ts';
import * as leasepb from '../../../src/api/gen/leasepb.ts';
import * as membershippb from '../../../src/api/gen/membershippb.ts';
import * as mvccpb from '../../../src/api/gen/mvccpb.ts';
import * as raftpb from '../../../src/api/gen/raftpb.ts';
import * as snappb from '../../../src/api/gen/snappb.ts';
import * as v3electionpb from '../../../src/api/gen/v3electionpb.ts';
import * as v3lockpb from '../../../src/api/gen/v3lockpb.ts';
import * as walpb from '../../../src/api/gen/walpb.ts';

// eslint-disable-next-line @typescript-eslint/no-empty-object-type
type AnyMessage = Record<string, {} | undefined>;
const codecs = [authpb, etcdserverpb, leasepb, membershippb, mvccpb, raftpb, snappb, v3electionpb, v3lockpb, walpb]
  .flatMap((m) => Object.values(m) as unknown[])
  .filter((v): v is Codec<AnyMessage> => typeof v === 'object' && v !== null && 'typeName' in v);
const byName = new Map(codecs.map((c) => [c.typeName, c]));
const root = loadRoot();

const edges = [0n, 1n, 127n, 128n, 16383n, 16384n, 2n ** 31n - 1n, 2n ** 31n, 2n ** 32n, 2n ** 35n, 2n ** 53n - 1n];

function pick<T>(values: readonly T[], random: SeededRandom): T {
  return values[random.u32() % values.length]!;
}

function randomValue(row: FieldRow, random: SeededRandom, depth: number): NonNullable<unknown> {
  const [, , , kind, type] = row;
  const edge = pick(edges, random);
  switch (kind) {
    case 'message':
      return randomMessage(type, random, depth + 1);
    case 'enum':
      // Named values only: proto2 enums are closed, and protobufjs drops others.
      return pick(Object.values(enumValues[type]!), random);
    case 'bool':
      return true;
    case 'bytes':
      return random.bytes(1 + (random.u32() % 200));
    case 'string':
      return 'grün-'.repeat(1 + (random.u32() % 12)) + '\u{1F600}';
    case 'uint32':
      return random.u32();
    case 'int32':
      return random.u32() | 0;
    case 'uint64':
      return Number(edge);
    case 'int64':
      return Number(random.u32() % 2 === 0 ? edge : -edge);
    case 'bigUint64':
      return random.u64();
    case 'bigInt64':
      return BigInt.asIntN(64, random.u64());
  }
}

function randomMessage(name: string, random: SeededRandom, depth: number): AnyMessage {
  const out = byName.get(name)!.create();
  const oneofs = new Map<string, number>();
  for (const row of messageFields[name]!) {
    const [number, , key, kind, , repeated, oneof] = row;
    if (oneof !== '') {
      const members = messageFields[name]!.filter((r) => r[6] === oneof);
      if (!oneofs.has(oneof)) oneofs.set(oneof, members[random.u32() % members.length]![0]);
      if (oneofs.get(oneof) !== number) continue;
    }
    if (depth > 3 && kind === 'message') continue;
    if (repeated === 1) out[key] = Array.from({ length: random.u32() % 3 }, () => randomValue(row, random, depth));
    else if (oneof !== '' || random.u32() % 4 !== 0) out[key] = randomValue(row, random, depth);
  }
  return out;
}

/** Both sides' messages as plain data with exact integers. */
function plain(name: string, message: AnyMessage, wireNames: boolean): AnyMessage {
  const out: AnyMessage = {};
  for (const [, wire, key, kind, type, repeated] of messageFields[name]!) {
    const value = message[wireNames ? wire : key];
    const one = (v: unknown): NonNullable<unknown> | undefined => {
      if (v === undefined || v === null) return undefined;
      if (kind === 'message') return plain(type, v as AnyMessage, wireNames);
      if (kind === 'bytes') return Buffer.from(v as Uint8Array).toString('hex');
      if (kind.includes('64')) {
        if (typeof v === 'object') {
          const long = v as { low: number; high: number; unsigned: boolean };
          const u = (BigInt(long.high >>> 0) << 32n) | BigInt(long.low >>> 0);
          return long.unsigned ? u : BigInt.asIntN(64, u);
        }
        return BigInt(v as number);
      }
      return v;
    };
    if (repeated === 1) out[key] = ((value as unknown[] | undefined) ?? []).map(one);
    else {
      const v = one(value);
      // A default is the same as an absent field, except inside a oneof, where random messages never hold both.
      const isDefault = v === undefined || v === 0 || v === 0n || v === false || v === '';
      if (!isDefault) out[key] = v;
    }
  }
  return out;
}

describe('generated codecs', () => {
  it('are what the generator makes of proto/', () => {
    execFileSync(process.execPath, [join(import.meta.dirname, '../../../scripts/generate-api.mjs'), '--check']);
  });

  it('cover every message of the schema', () => {
    expect([...byName.keys()].sort()).toEqual(Object.keys(messageFields).sort());
  });

  it.each(codecs.map((c) => [c.typeName, c] as const))('%s agrees with protobufjs', (name, codec) => {
    const type = root.lookupType(name);
    const random = new SeededRandom(Buffer.from(name).reduce((a, b) => a * 31 + b, 7) >>> 0);
    for (let i = 0; i < 60; i++) {
      const message = randomMessage(name, random, 0);
      const bytes = codec.encode(message);
      expect(plain(name, type.decode(bytes) as unknown as AnyMessage, true)).toEqual(plain(name, message, false));
      const theirs = type.encode(type.decode(bytes)).finish();
      expect(plain(name, codec.decode(theirs), false)).toEqual(plain(name, message, false));
    }
  });

  it('S-084: keep 64-bit ids exact and saturate counters', () => {
    const id = 0xfedcba9876543210n;
    const h = etcdserverpb.ResponseHeader.decode(etcdserverpb.ResponseHeader.encode({ memberId: id, revision: -1 }));
    expect(h.memberId).toBe(id);
    expect(h.revision).toBe(-1);
    const max = Buffer.from('08' + 'ffffffffffffffff7f', 'hex');
    expect(etcdserverpb.CompactionRequest.decode(max).revision).toBe(Number.MAX_SAFE_INTEGER);
    const min = Buffer.from('08' + '80808080808080808001', 'hex');
    expect(etcdserverpb.CompactionRequest.decode(min).revision).toBe(-Number.MAX_SAFE_INTEGER);
  });

  it('refuse malformed bodies with DecodeError and nothing else', () => {
    const random = new SeededRandom(11);
    let refused = 0;
    for (let i = 0; i < 20_000; i++) {
      const codec = codecs[random.u32() % codecs.length]!;
      const bytes = Buffer.from(codec.encode(randomMessage(codec.typeName, random, 0)));
      if (bytes.length === 0) continue;
      for (let k = 0; k <= random.u32() % 3; k++) bytes[random.u32() % bytes.length] = random.u32() & 255;
      try {
        codec.decode(random.u32() % 2 === 0 ? bytes : bytes.subarray(0, random.u32() % bytes.length));
      } catch (error) {
        expect(error).toBeInstanceOf(DecodeError);
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(1000);
  });

  it('S-082: bound the nesting depth', () => {
    // A txn inside a txn inside a txn …: field 2 (success) holding field 4 (request_txn).
    let body: Buffer = Buffer.alloc(0);
    const wrap = (tag: number, b: Buffer): Buffer => {
      const w = Buffer.alloc(b.length + 6);
      let n = 0;
      w[n++] = tag;
      let l = b.length;
      while (l > 127) {
        w[n++] = (l & 127) | 128;
        l >>>= 7;
      }
      w[n++] = l;
      return Buffer.concat([w.subarray(0, n), b]);
    };
    for (let i = 0; i < 2000; i++) body = wrap(0x12, wrap(0x22, body));
    expect(() => etcdserverpb.TxnRequest.decode(body)).toThrow(DecodeError);
  });
});

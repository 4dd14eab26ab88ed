// Shapes that the recordings do not hold: limits of nested txns, the requests that end a real etcd, deep nesting.
import { describe, expect, it } from 'vitest';
import { TxnRequest } from '../../../src/api/gen/etcdserverpb.ts';
import type { Init } from '../../../src/api/proto-io.ts';
import { errors } from '../../../src/api/status.ts';
import { checkAlarm, checkTxn, isReadOnlyTxn, isSerializableTxn } from '../../../src/server/txn/checks.ts';

type Ops = NonNullable<Init<TxnRequest>['success']>;
type Op = Ops[number];
const key = (text: string): Uint8Array => Buffer.from(text, 'latin1');
const put = (k: string, more: object = {}): Op => ({ requestPut: { key: key(k), value: key('v'), ...more } });
const keep = (k: string): Op => ({ requestPut: { key: key(k), ignoreValue: true } });
const del = (k: string, end = ''): Op => ({ requestDeleteRange: { key: key(k), rangeEnd: key(end) } });
const get = (k: string, serializable = false): Op => ({ requestRange: { key: key(k), serializable } });
const nested = (success: Ops, failure: Ops = []): Op => ({ requestTxn: { success, failure } });
const txn = (success: Ops, failure: Ops = []): TxnRequest => TxnRequest.decode(TxnRequest.encode({ success, failure }));
const check = (success: Ops, failure: Ops = [], max = 128): unknown => checkTxn(txn(success, failure), max);

describe('limits of operations', () => {
  it('are shared by nested txns', () => {
    expect(check([nested([put('a'), put('b')])], [], 3)).toBeUndefined();
    expect(check([nested([put('a'), put('b'), put('c')])], [], 3)).toBe(errors.tooManyOps);
    expect(check([put('x'), nested([put('a'), put('b')])], [], 3)).toBe(errors.tooManyOps);
    // The longest of compares, success and failure counts, not their sum.
    expect(check([put('a'), put('b')], [put('a'), put('b'), put('c')], 3)).toBeUndefined();
  });

  it('S-032: hold against deep nesting', () => {
    let op: Op = put('a');
    for (let i = 0; i < 127; i++) op = nested([op]);
    expect(check([op])).toBeUndefined();
    expect(check([nested([op])])).toBe(errors.tooManyOps);
  });
});

describe('keys written twice', () => {
  it.each<[string, Ops, boolean]>([
    ['put and put', [put('a'), put('a')], true],
    ['put and delete', [put('a'), del('a')], true],
    ['delete and put', [del('a'), put('a')], true],
    ['put inside a deleted range', [put('b'), del('a', 'c')], true],
    ['put at the end of a deleted range', [put('c'), del('a', 'c')], false],
    ['deletes that overlap', [del('a', 'c'), del('b', 'd')], false],
    ['both branches of one nested txn', [nested([put('a')], [put('a')])], false],
    ['a nested put twice', [nested([put('a')]), nested([put('a')])], true],
    ['a nested put and one outside', [nested([], [put('a')]), put('a')], true],
    ['nested put, then nested delete', [nested([put('a')]), nested([del('a')])], false],
    ['nested delete, then nested put', [nested([del('a')]), nested([put('a')])], true],
    ['nested delete and a put outside, in any order', [put('a'), nested([del('a')])], true],
    ['delete in one branch, put in the other', [nested([del('a')], [put('a')])], false],
    ['open-ended delete and put behind it', [del('b', '\0'), put('c')], false],
    ['two levels down', [nested([nested([put('a')])]), nested([nested([], [put('a')])])], true],
  ])('%s', (_, ops, refused) => {
    expect(check(ops)).toBe(refused ? errors.duplicateKey : undefined);
    expect(check([], ops)).toBe(refused ? errors.duplicateKey : undefined);
  });
});

describe('txns that would end a real etcd', () => {
  it.each<[string, Ops, boolean]>([
    ['open-ended delete, then a put that keeps the value', [del('a', '\0'), keep('b')], true],
    ['with the lease kept', [del('a', '\0'), put('b', { ignoreLease: true })], true],
    ['the put comes first', [keep('b'), del('a', '\0')], false],
    ['the put lies before the delete', [del('c', '\0'), keep('b')], false],
    ['the put writes its value', [del('a', '\0'), put('b')], false],
    ['the delete is nested', [nested([], [del('a', '\0')]), keep('b')], true],
    ['the put is nested', [del('a', '\0'), nested([keep('b')])], true],
    ['both are nested beside each other', [nested([del('a', '\0')]), nested([], [keep('b')])], true],
    ['they stand in branches that exclude each other', [nested([del('a', '\0')], [keep('b')])], false],
  ])('%s', (_, ops, refused) => {
    expect(check(ops)).toBe(refused ? errors.keyNotFound : undefined);
  });

  it('refuses alarms with an unknown action', () => {
    expect(checkAlarm({ action: 3, memberID: 0n, alarm: 1 })?.code).toBe(3);
    expect(checkAlarm({ action: -1, memberID: 0n, alarm: 1 })?.code).toBe(3);
    expect(checkAlarm({ action: 2, memberID: 0n, alarm: 1 })).toBeUndefined();
  });
});

describe('reads', () => {
  it('are txns of nothing but ranges', () => {
    expect(isReadOnlyTxn(txn([get('a')], [get('b')]))).toBe(true);
    expect(isReadOnlyTxn(txn([]))).toBe(true);
    expect(isReadOnlyTxn(txn([get('a')], [put('b')]))).toBe(false);
    expect(isReadOnlyTxn(txn([nested([get('a')])]))).toBe(false);
  });

  it('are served locally when every range says so', () => {
    expect(isSerializableTxn(txn([get('a', true)], [get('b', true)]))).toBe(true);
    expect(isSerializableTxn(txn([get('a', true)], [get('b')]))).toBe(false);
  });
});

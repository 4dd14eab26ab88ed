// The steps of slow requests: which requests show them, with which figures.
import { beforeEach, describe, expect, it } from 'vitest';
import { TxnRequest, TxnResponse } from '../../../src/api/gen/etcdserverpb.ts';
import { KV, type MethodDef } from '../../../src/api/gen/methods.ts';
import type { Codec, Init } from '../../../src/api/proto-io.ts';
import { Code } from '../../../src/api/status.ts';
import { utf8 } from '../../../src/base/bytes.ts';
import { type Log, type LogFields, silentLog } from '../../../src/base/log.ts';
import { RequestLog } from '../../../src/server/http/request-log.ts';
import { type HandledCall, silentObserver } from '../../../src/wire/observer.ts';
import { TestClock } from '../mvcc/test-clock.ts';

interface Line {
  readonly level: string;
  readonly message: string;
  readonly fields: LogFields;
}

let lines: Line[] = [];
let applyBegan = 0;
let slowReads = 0;
const write =
  (level: string) =>
  (message: string, fields: LogFields = {}): void =>
    void lines.push({ level, message, fields });
const logAt = (debugEnabled: boolean): Log => ({
  ...silentLog,
  debugEnabled,
  debug: write('debug'),
  info: write('info'),
  warn: write('warn'),
});

/** The moment at which each call below is over. */
const nowMs = 10_000;
const clock = Object.assign(new TestClock(), { mono: () => nowMs, wall: () => Date.UTC(2026, 0, 2, 3, 4, 5) });

function logger(options: { readonly debug?: boolean; readonly slowMs?: number; readonly slowApplyMs?: number } = {}): RequestLog {
  return new RequestLog(silentObserver, {
    log: logAt(options.debug ?? false),
    clock,
    slowMs: options.slowMs ?? 300,
    slowApplyMs: options.slowApplyMs ?? 100,
    applyBeganMs: () => applyBegan,
    onSlowRead: () => slowReads++,
  });
}

function ended<Req, Res>(
  log: RequestLog,
  method: MethodDef<Req, Res>,
  durationMs: number,
  request: Init<Req>,
  answer: Init<Res> | undefined,
  more: Partial<HandledCall> = {},
): void {
  const requestBytes = (method.request as Codec<Req>).encode(request);
  const parts = answer === undefined ? undefined : [(method.response as Codec<Res>).encode(answer)];
  const observer = log.method(method as unknown as MethodDef);
  observer.started();
  observer.received(requestBytes.length);
  if (parts?.[0] !== undefined) observer.sent(parts[0].length);
  const call: HandledCall = {
    method: method as unknown as MethodDef,
    peer: { address: '10.0.0.1:5', commonName: undefined, viaGateway: false },
    request: method.request.decode(requestBytes),
    requestBytes,
    answer: parts,
    ...more,
  };
  observer.handled(call, answer === undefined ? Code.Unavailable : Code.OK, durationMs);
}

const header = { revision: 42 };
const find = (message: string): LogFields | undefined => lines.find((l) => l.message === message)?.fields;

beforeEach(() => {
  lines = [];
  slowReads = 0;
  applyBegan = 0;
});

describe('steps', () => {
  it('of a range: agreement, reading, answer', () => {
    const more = { rows: 2000, rowsInAll: 9000, agreedMs: nowMs - 450, workedMs: nowMs - 250 };
    ended(logger(), KV.range, 500, { key: utf8('a'), rangeEnd: utf8('bb') }, { header }, more);
    expect(find('trace')).toMatchObject({
      operation: 'range',
      detail: '{range_begin_size:1; range_end_size:2; response_count:2000; response_revision:42; }',
      duration: '500ms',
      start: '2026-01-02T03:04:04.500000Z',
      end: '2026-01-02T03:04:05.000000Z',
      steps: [
        "'agreement among raft nodes before linearized reading'  (duration: 50ms)",
        "'range keys from the store'  (duration: 200ms)",
        "'assemble the response'  (duration: 250ms)",
      ],
      step_count: 3,
    });
    expect(slowReads).toBe(1);
    expect(find('apply request took too long')).toMatchObject({ took: '500ms', prefix: 'read-only range ' });
    expect(find('request stats')).toMatchObject({ 'response count': 9000, 'time spent': '500ms', remote: '10.0.0.1:5' });
  });

  it('short ones are left out', () => {
    ended(logger(), KV.range, 150, { key: utf8('a') }, { header }, { agreedMs: nowMs - 145, workedMs: nowMs - 140 });
    expect(find('trace')?.['steps']).toEqual(["'assemble the response'  (duration: 140ms)"]);
  });

  it('of a put: waiting for raft, applying', () => {
    applyBegan = nowMs - 60;
    ended(logger(), KV.put, 260, { key: utf8('key'), value: utf8('value') }, { header });
    expect(find('trace')).toMatchObject({
      operation: 'put',
      detail: '{key_size:3; req_size:12; response_revision:42; }',
      steps: ["'process raft request'  (duration: 200ms)", "'apply to the store'  (duration: 60ms)"],
    });
    expect(slowReads).toBe(0);
    expect(find('apply request took too long')).toBeUndefined();
    expect(find('request stats')).toBeUndefined();
  });

  it('of txns, by whether they write', () => {
    const reads = { success: [{ requestRange: { key: utf8('k') } }] };
    ended(logger(), KV.txn, 200, reads, { header, succeeded: true, responses: [{ responseRange: { kvs: [{}] } }] });
    expect(find('trace')).toMatchObject({
      operation: 'transaction',
      detail: '{read_only:true; number_of_response:1; response_revision:42; }',
    });
    expect(find('apply request took too long')?.['response']).toMatch(/^responses:<range_response_count:1> size:\d+$/);
    lines = [];
    applyBegan = nowMs - 10;
    ended(logger(), KV.txn, 400, { success: [{ requestPut: { key: utf8('k') } }] }, { header, responses: [] });
    expect(find('trace')).toMatchObject({ steps: ["'process raft request'  (duration: 390ms)"] });
    // The branch that was taken has no operation.
    expect(find('request stats')).toMatchObject({ 'request count': 0, 'request size': 0 });
  });

  it('of a compaction: until it was applied, and until the rows are gone', () => {
    ended(logger(), KV.compact, 300, { revision: 7, physical: true }, { header }, { workedMs: nowMs - 120 });
    expect(find('trace')).toMatchObject({
      operation: 'compact',
      detail: '{revision:7; response_revision:42; }',
      steps: ["'process raft request'  (duration: 180ms)", "'physically apply compaction'  (duration: 120ms)"],
    });
  });

  it('none of writes that failed, of deletes and of what was fast', () => {
    ended(logger(), KV.put, 900, { key: utf8('k') }, undefined);
    ended(logger(), KV.deleteRange, 900, { key: utf8('k') }, { header, deleted: 1 });
    ended(logger(), KV.range, 99, { key: utf8('k') }, { header });
    expect(find('trace')).toBeUndefined();
    expect(lines.map((l) => l.message)).toEqual(['request stats', 'request stats']);
  });
});

it('a read that failed says why', () => {
  ended(logger(), KV.range, 500, { key: utf8('k') }, undefined, {
    failure: { code: Code.Unavailable, message: 'etcdserver: request timed out' },
  });
  expect(find('apply request took too long')).toMatchObject({ response: '', error: 'etcdserver: request timed out' });
  lines = [];
  ended(logger(), KV.range, 500, { key: utf8('k') }, undefined);
  expect(find('apply request took too long')).toMatchObject({ error: 'context deadline exceeded' });
});

it('thresholds are the flags’ own', () => {
  ended(logger({ slowApplyMs: 5000 }), KV.range, 400, { key: utf8('k') }, { header });
  expect(slowReads).toBe(0);
  expect(lines.map((l) => l.message)).toEqual(['trace', 'request stats']);
  lines = [];
  ended(logger({ slowMs: 5000, slowApplyMs: 5000 }), KV.range, 50, { key: utf8('k') }, { header });
  expect(lines).toEqual([]);
});

it('at debug level every call is told, at that level', () => {
  ended(logger({ debug: true }), KV.put, 1, { key: utf8('k') }, { header });
  ended(logger({ debug: true }), KV.put, 1000, { key: utf8('k') }, { header });
  expect(lines.filter((l) => l.message === 'request stats').map((l) => l.level)).toEqual(['debug', 'debug']);
});

it('a call that ended before its request came, and an answer too large to be read again', () => {
  ended(logger({ debug: true }), KV.txn, 1, {}, undefined, { request: undefined });
  expect(find('request stats')).toMatchObject({ 'request count': -1 });
  lines = [];
  const huge = TxnResponse.encode({ responses: [{ responseRange: { kvs: [{ value: new Uint8Array(1_200_000) }] } }] });
  ended(logger({ debug: true }), KV.txn, 1, TxnRequest.create(), {}, { answer: [huge] });
  expect(find('request stats')).toMatchObject({ 'request count': 0, 'response count': 0 });
});

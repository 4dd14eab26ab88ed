// What the log tells of slow requests: fields and numbers as etcd 3.7.1 gives them, but for the keys, of which only the lengths are shown.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { connect, rpc, type Client } from '../../src/client/index.ts';
import { utf8 } from '../../src/base/bytes.ts';
import { type MemberProcess, oneMember, until } from '../support/member.ts';

let member: MemberProcess & { remove(): Promise<void> };
let client: Client;

beforeAll(async () => {
  member = await oneMember({ args: ['--warning-unary-request-duration=1ns', '--warning-apply-duration=1ns'] });
  client = connect({ endpoints: [member.endpoint], requestTimeoutMs: 30_000 });
}, 90_000);
afterAll(async () => {
  client?.close();
  await member?.remove();
});

type Line = Readonly<Record<string, unknown>>;

/** The lines of one message that came after `from` characters of log and that `wanted` takes. */
async function lines(from: number, message: string, wanted: (line: Line) => boolean = () => true): Promise<Line[]> {
  return until(`a line "${message}"`, () => {
    const found = member.log
      .slice(from)
      .split('\n')
      .filter((l) => l.startsWith('{') && l.endsWith('}'))
      .map((l) => JSON.parse(l) as Line)
      .filter((l) => l['msg'] === message && wanted(l));
    return found.length > 0 ? found : undefined;
  });
}

const stats = async (from: number, path: string): Promise<Line> =>
  (await lines(from, 'request stats', (l) => l['response type'] === path))[0] as Line;
const counts = (l: Line): unknown[] => [l['request count'], l['request size'], l['response count'], l['request content']];

it('a put, a range, a delete, a txn and another call', async () => {
  let from = member.log.length;
  await client.put('foo', 'bar');
  expect(counts(await stats(from, '/etcdserverpb.KV/Put'))).toEqual([1, 10, 0, 'key_size:3 value_size:3 ']);
  await client.put('foo2', 'bar2');

  from = member.log.length;
  const answer = await client.call(rpc.KV.range, { key: utf8('foo'), rangeEnd: utf8('fop'), limit: 1 });
  expect(answer.count).toBe(2);
  const range = await stats(from, '/etcdserverpb.KV/Range');
  expect(counts(range)).toEqual([0, 12, 2, 'key_size:3 range_end_size:3 limit:1']);
  expect(Object.keys(range).slice(4)).toEqual([
    ...['start time', 'time spent', 'remote', 'response type', 'code', 'request count', 'request size', 'response count', 'response size'],
    'request content',
  ]);
  expect(range['start time']).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
  const [slow] = await lines(from, 'apply request took too long', (l) => l['prefix'] === 'read-only range ');
  expect(Object.keys(slow ?? {}).slice(4)).toEqual(['took', 'expected-duration', 'prefix', 'request', 'response']);
  expect(slow).toMatchObject({
    'expected-duration': '1ns',
    request: 'key_size:3 range_end_size:3 limit:1',
    response: `range_response_count:1 size:${String(range['response size'])}`,
  });

  from = member.log.length;
  await client.call(rpc.KV.txn, {
    compare: [],
    success: [{ requestRange: { key: utf8('foo') } }, { requestRange: { key: utf8('foo2'), countOnly: true } }],
    failure: [],
  });
  expect(counts(await stats(from, '/etcdserverpb.KV/Txn')).slice(0, 3)).toEqual([2, 17, 0]);
  const [slowTxn] = await lines(from, 'apply request took too long', (l) => l['prefix'] === 'read-only txn ');
  expect(slowTxn?.['response']).toMatch(/^responses:<range_response_count:1 range_response_count:0> size:\d+$/);
  expect(slowTxn?.['request']).toBe('compare:0 success:<request_range:{key_size:3} request_range:{key_size:4 count_only:true}> failure:<>');

  from = member.log.length;
  await client.call(rpc.KV.txn, { compare: [], success: [{ requestPut: { key: utf8('a'), value: utf8('b') } }], failure: [] });
  expect(counts(await stats(from, '/etcdserverpb.KV/Txn')).slice(0, 3)).toEqual([1, 8, 0]);

  from = member.log.length;
  await client.call(rpc.KV.deleteRange, { key: utf8('foo'), rangeEnd: utf8('fop') });
  expect(counts(await stats(from, '/etcdserverpb.KV/DeleteRange'))).toEqual([0, 10, 2, 'key_size:3 range_end_size:3']);

  from = member.log.length;
  await client.call(rpc.Cluster.memberList, {});
  expect(counts(await stats(from, '/etcdserverpb.Cluster/MemberList'))).toEqual([-1, -1, -1, '']);
}, 60_000);

it('reads and writes that fail', async () => {
  let from = member.log.length;
  await client.call(rpc.KV.range, { key: utf8('foo'), revision: 1_000_000 }).catch(() => undefined);
  const [read] = await lines(from, 'apply request took too long', (l) => l['prefix'] === 'read-only range ');
  expect(read).toMatchObject({ response: '', error: 'etcdserver: mvcc: required revision is a future revision' });
  expect(await stats(from, '/etcdserverpb.KV/Range')).toMatchObject({ 'response count': 0, 'response size': 0 });

  from = member.log.length;
  await client.call(rpc.KV.put, { key: utf8('x'), value: utf8('y'), lease: 119n }).catch(() => undefined);
  const [write] = await lines(from, 'failed to apply request');
  expect(Object.keys(write ?? {}).slice(4)).toEqual(['took', 'request', 'response', 'error']);
  expect(write).toMatchObject({ response: '', error: 'etcdserver: requested lease not found' });
  expect(write?.['request']).toMatch(/^header:<ID:\d+> put:<key_size:1 value_size:1 lease:119 >$/);
}, 60_000);

it('what comes through the gateway, and the count of slow applies', async () => {
  const from = member.log.length;
  const body = JSON.stringify({ key: Buffer.from('a').toString('base64') });
  const r = await fetch(`${member.url}/v3/kv/range`, { method: 'POST', body });
  expect(r.status).toBe(200);
  expect(counts(await stats(from, '/etcdserverpb.KV/Range'))).toEqual([0, 3, 1, 'key_size:1']);
  const metrics = await (await fetch(`${member.url}/metrics`)).text();
  expect(Number(/^etcd_server_slow_apply_total (\d+)$/m.exec(metrics)?.[1])).toBeGreaterThan(6);
}, 60_000);

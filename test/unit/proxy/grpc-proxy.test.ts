// The proxy before a member, all in this process: what is shared, what is not, and that nothing is lost.
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import * as rpc from '../../../src/api/gen/methods.ts';
import type { WatchRequest, WatchResponse } from '../../../src/api/gen/etcdserverpb.ts';
import type { ClientStream } from '../../../src/wire/channel.ts';
import { Code } from '../../../src/api/status.ts';
import type { Watcher } from '../../../src/client/watch.ts';
import { WatchCanceledError } from '../../../src/client/errors.ts';
import type { EmbeddedMember } from '../../../src/server/embed.ts';
import { until } from '../../support/member.ts';
import { proxyBefore, startMember, type ProxyUnderTest } from './support.ts';

let member: EmbeddedMember;
let proxy: ProxyUnderTest;
const more: ProxyUnderTest[] = [];
beforeAll(async () => {
  member = await startMember({ listen: true });
});
afterAll(() => member.close());

const open = async (options: Parameters<typeof proxyBefore>[1] = {}): Promise<ProxyUnderTest> => {
  proxy = await proxyBefore(member, options);
  more.push(proxy);
  return proxy;
};
afterEach(async () => {
  for (const p of more.splice(0)) await p.close();
  const { kvs } = await member.client.get('', { prefix: true, keysOnly: true });
  for (const kv of kvs) await member.client.delete(kv.key);
});

const watchersAtMember = (): number => proxy.memberMetric('etcd_debugging_mvcc_watcher_total');

/** Collects what a watcher delivers, as `type key=value@revision`. */
function collect(watcher: Watcher): string[] {
  const seen: string[] = [];
  watcher.onBatch = ({ events }) => {
    for (const e of events) {
      const kv = e.kv;
      seen.push(`${e.type === 1 ? 'del' : 'put'} ${Buffer.from(kv?.key ?? []).toString()}=${Buffer.from(kv?.value ?? []).toString()}`);
    }
  };
  return seen;
}
const created = (watcher: Watcher): Promise<void> =>
  new Promise((resolve) => {
    watcher.onCreated = () => resolve();
  });

describe('watches', () => {
  it('of a thousand clients on one key cost the member one', async () => {
    await open();
    const clients = Array.from({ length: 20 }, () => proxy.client());
    const before = watchersAtMember();
    const watchers = clients.flatMap((c) => Array.from({ length: 50 }, () => c.watch('shared')));
    const seen = watchers.map(collect);
    await Promise.all(watchers.map(created));
    await until('the watches to be one', () => proxy.metric('etcd_grpc_proxy_watchers_coalescing_total') === 999);
    await until('one watcher at the member', () => watchersAtMember() - before === 1);
    for (let i = 0; i < 5; i++) await member.client.put('shared', String(i));
    const all = Array.from({ length: 5 }, (_, i) => `put shared=${i}`);
    await until('all events', () => seen.every((s) => s.length >= 5));
    for (const s of seen) expect(s).toEqual(all);
    expect(proxy.metric('etcd_grpc_proxy_events_coalescing_total')).toBeGreaterThanOrEqual(999 * 5);
    for (const w of watchers) w.cancel();
    await until('the member to be left', () => watchersAtMember() === before);
    expect(proxy.metric('etcd_grpc_proxy_watchers_coalescing_total')).toBe(0);
  });

  it('from old revisions become one with those from now on, without loss or repetition', async () => {
    await open();
    const client = proxy.client();
    const first = (await member.client.put('k', '0')).header?.revision ?? 0;
    for (let i = 1; i < 20; i++) await member.client.put('k', String(i));
    await member.client.put('elsewhere', 'x');
    const before = watchersAtMember();
    const now = client.watch('k');
    const seenNow = collect(now);
    await created(now);
    const old = Array.from({ length: 20 }, (_, i) => client.watch('k', { startRevision: first + i }));
    const seen = old.map(collect);
    await until('the past', () => seen.every((s, i) => s.length >= 20 - i));
    await until('one watch', () => watchersAtMember() - before === 1);
    await member.client.put('k', 'new');
    await until('the new event', () => [...seen, seenNow].every((s) => s.at(-1) === 'put k=new'));
    seen.forEach((s, i) => expect(s).toEqual([...Array.from({ length: 20 - i }, (_, n) => `put k=${n + i}`), 'put k=new']));
    expect(seenNow).toEqual(['put k=new']);
  });

  it('of the future see nothing before it, and do not hide events from others', async () => {
    await open();
    const client = proxy.client();
    const revision = (await member.client.put('f', '0')).header?.revision ?? 0;
    const later = client.watch('f', { startRevision: revision + 3 });
    const seenLater = collect(later);
    await created(later);
    const now = client.watch('f');
    const seenNow = collect(now);
    await created(now);
    for (let i = 1; i <= 4; i++) await member.client.put('f', String(i));
    await until('all events', () => seenNow.length >= 4 && seenLater.length >= 2);
    expect(seenNow).toEqual(['put f=1', 'put f=2', 'put f=3', 'put f=4']);
    expect(seenLater).toEqual(['put f=3', 'put f=4']);
  });

  it('keep filters, previous values, ranges and fragments apart', async () => {
    await open();
    const client = proxy.client();
    await member.client.put('r/a', '1');
    const noPut = client.watch('r/', { prefix: true, noPut: true });
    const noDelete = client.watch('r/', { prefix: true, noDelete: true });
    const prev = client.watch('r/', { prefix: true, prevKv: true });
    const seen = { noPut: collect(noPut), noDelete: collect(noDelete) };
    const previous: string[] = [];
    prev.onBatch = ({ events }) => {
      for (const e of events) previous.push(Buffer.from(e.prevKv?.value ?? []).toString());
    };
    await Promise.all([noPut, noDelete, prev].map(created));
    await member.client.put('r/a', '2');
    await member.client.delete('r/a');
    await until('all events', () => previous.length === 2 && seen.noPut.length === 1 && seen.noDelete.length === 1);
    expect(previous).toEqual(['1', '2']);
    expect(seen).toEqual({ noPut: ['del r/a='], noDelete: ['put r/a=2'] });
  });

  it('tell of a compaction', async () => {
    await open();
    const revision = (await member.client.put('c', '0')).header?.revision ?? 0;
    await member.client.put('c', '1');
    await member.client.compact(revision + 1);
    const watcher = proxy.client().watch('c', { startRevision: revision });
    const error = await new Promise<Error | undefined>((resolve) => {
      watcher.onEnd = resolve;
    });
    expect(error).toBeInstanceOf(WatchCanceledError);
    expect((error as WatchCanceledError).compactRevision).toBe(revision + 1);
  });

  it('answer progress requests once all events are delivered', async () => {
    await open();
    const client = proxy.client();
    const watcher = client.watch('p');
    const marks: number[] = [];
    let events = 0;
    watcher.onBatch = (batch) => {
      if (batch.events.length > 0) events++;
      else {
        expect(events).toBe(1);
        marks.push(batch.revision);
      }
    };
    await created(watcher);
    const revision = (await member.client.put('p', '1')).header?.revision ?? 0;
    await until('the event', () => events === 1);
    client.requestWatchProgress();
    await until('a mark', () => marks.length > 0);
    expect(marks[0]).toBeGreaterThanOrEqual(revision);
  });

  it('refuse what a member refuses, and keep the ids that clients choose', async () => {
    await open();
    const { stream } = await proxy.client().connection.stream(rpc.Watch.watch);
    const answers = reader(stream);
    stream.send({ createRequest: { key: Buffer.from('b'), rangeEnd: Buffer.from('a') } });
    expect(await answers()).toMatchObject({ created: true, canceled: true, watchId: -1, cancelReason: 'mvcc: watcher range is empty' });
    stream.send({ createRequest: { key: Buffer.from('b'), startRevision: -1 } });
    expect(await answers()).toMatchObject({ created: true, canceled: true, watchId: -1 });
    stream.send({ createRequest: { key: Buffer.from('b'), watchId: 7 } });
    expect(await answers()).toMatchObject({ created: true, canceled: false, watchId: 7 });
    stream.send({ createRequest: { key: Buffer.from('b'), watchId: 7 } });
    expect(await answers()).toMatchObject({ created: true, canceled: true, watchId: -1 });
    stream.send({ cancelRequest: { watchId: 7 } });
    expect(await answers()).toMatchObject({ canceled: true, watchId: 7 });
    stream.cancel();
  });

  it('of a client that does not read cost bounded memory, and miss nothing when it reads on', async () => {
    await open();
    const { stream } = await proxy.client().connection.stream(rpc.Watch.watch);
    const got: number[] = [];
    stream.onMessage = (m) => {
      for (const e of m.events) got.push(Number(Buffer.from(e.kv?.value.subarray(0, 6) ?? []).toString()));
      if (m.created) stream.pause();
    };
    const other = collect(proxy.client().watch('slow'));
    stream.send({ createRequest: { key: Buffer.from('slow') } });
    await until('both watches', () => proxy.metric('etcd_grpc_proxy_watchers_coalescing_total') === 1);
    const value = Buffer.alloc(256 * 1024, ' ');
    const n = 80;
    for (let i = 0; i < n; i++) {
      value.write(String(i).padStart(6, '0'));
      await member.client.put('slow', value);
    }
    await until('the other client to have them all', () => other.length === n);
    // It has lost its place among the shared watches.
    await until('the slow one to be left out', () => proxy.metric('etcd_grpc_proxy_watchers_coalescing_total') === 0);
    stream.resume();
    await until('the slow client to catch up', () => got.length >= n);
    expect(got).toEqual(Array.from({ length: n }, (_, i) => i));
    stream.cancel();
  });
});

/** Messages one after the other. */
function reader(stream: ClientStream<WatchRequest, WatchResponse>): () => Promise<WatchResponse> {
  const queue: WatchResponse[] = [];
  let wake: (() => void) | undefined;
  stream.onMessage = (m) => {
    queue.push(m);
    wake?.();
  };
  return async () => {
    while (queue.length === 0)
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    return queue.shift() as WatchResponse;
  };
}

describe('ranges', () => {
  it('are cached for serializable reads and forgotten by writes through the proxy', async () => {
    await open();
    const client = proxy.client();
    await client.put('a', '1');
    expect(await client.getText('a')).toBe('1');
    await member.client.put('a', 'elsewhere');
    expect(await client.getText('a', { serializable: true })).toBe('1');
    expect(proxy.metric('etcd_grpc_proxy_cache_hits_total')).toBe(1);
    expect(await client.getText('a')).toBe('elsewhere');
    await client.put('a', '2');
    expect(await client.getText('a', { serializable: true })).toBe('2');
    await client
      .txn()
      .then({ requestPut: { key: Buffer.from('a'), value: Buffer.from('3') } })
      .commit();
    expect(await client.getText('a', { serializable: true })).toBe('3');
    await client.delete('', { prefix: true });
    expect(await client.getText('a', { serializable: true })).toBeUndefined();
  });

  it('are forgotten when a watch tells of a change', async () => {
    await open();
    const client = proxy.client();
    const watcher = client.watch('w');
    const seen = collect(watcher);
    await created(watcher);
    await client.put('w', '1');
    await until('the event', () => seen.length === 1);
    expect(await client.getText('w')).toBe('1');
    await member.client.put('w', '2');
    await until('the event', () => seen.length === 2);
    expect(await client.getText('w', { serializable: true })).toBe('2');
  });

  it('come as a stream too', async () => {
    await open();
    for (let i = 0; i < 50; i++) await member.client.put(`s/${String(i).padStart(3, '0')}`, 'v');
    const { stream } = await proxy.client().connection.stream(rpc.KV.rangeStream);
    const keys: string[] = [];
    const status = await new Promise<number>((resolve) => {
      stream.onMessage = (m) => keys.push(...(m.rangeResponse?.kvs ?? []).map((kv) => Buffer.from(kv.key).toString()));
      stream.onEnd = (s) => resolve(s.code);
      stream.send({ key: Buffer.from('s/'), rangeEnd: Buffer.from('s0') });
      stream.halfClose();
    });
    expect([status, keys.length]).toEqual([Code.OK, 50]);
  });
});

describe('namespace', () => {
  it('keeps clients under the prefix, in reads, writes, txns, watches, leases and locks', async () => {
    await open({ namespace: 'ns/' });
    const client = proxy.client();
    await member.client.put('outside', 'x');
    const watcher = client.watch('', { prefix: true });
    const seen = collect(watcher);
    await created(watcher);
    await client.put('a', '1');
    expect(await member.client.getText('ns/a')).toBe('1');
    const all = await client.get('', { prefix: true });
    expect(all.kvs.map((kv) => Buffer.from(kv.key).toString())).toEqual(['a']);
    const lease = (await client.grantLease(60)).ID;
    await client.put('b', '2', { lease });
    await member.client.put('outside2', 'x', { lease });
    const { keys } = await client.leaseTimeToLive(lease, { keys: true });
    expect(keys.map((k) => Buffer.from(k).toString())).toEqual(['b']);
    const lock = await client.call(rpc.Lock.lock, { name: Buffer.from('l'), lease });
    expect(Buffer.from(lock.key).toString()).toBe(`l/${lease.toString(16)}`);
    expect((await member.client.get('ns/l/', { prefix: true })).count).toBe(1);
    await client.call(rpc.Lock.unlock, { key: lock.key });
    await client.revokeLease(lease);
    await until('the events', () => seen.length === 5);
    expect(seen.slice(0, 2)).toEqual(['put a=1', 'put b=2']);
    await expect(client.put('', 'x')).rejects.toMatchObject({ reason: 'emptyKey' });
  });
});

describe('leases', () => {
  it('are renewed for many clients by one stream', async () => {
    await open();
    const leases = await Promise.all(Array.from({ length: 20 }, () => member.client.grantLease(120)));
    const clients = Array.from({ length: 5 }, () => proxy.client());
    const answers = await Promise.all(clients.flatMap((c) => leases.map((l) => c.keepLeaseOnce(l.ID))));
    expect(answers.every((a) => a.TTL === 120)).toBe(true);
    await expect(clients[0]?.keepLeaseOnce(12345n)).rejects.toThrow('requested lease not found');
    await Promise.all(leases.map((l) => member.client.revokeLease(l.ID)));
  });
});

describe('members', () => {
  it('are the proxies that registered under the prefix', async () => {
    const options = { resolverPrefix: 'proxies', resolverTtlSeconds: 60 };
    const a = await open({ ...options, advertiseClientUrl: '10.0.0.1:1' });
    const b = await open({ ...options, advertiseClientUrl: '10.0.0.2:1', hostname: 'other' });
    const urls = async (p: ProxyUnderTest): Promise<string[]> =>
      (await p.client().members()).map((m) => `${m.name} ${m.clientURLs[0]}`).sort();
    await until('both to be seen', async () => (await urls(a)).length === 2 && (await urls(b)).length === 2);
    expect(await urls(a)).toEqual(['host 10.0.0.1:1', 'other 10.0.0.2:1']);
    await b.close();
    more.splice(more.indexOf(b), 1);
    await until('one to be gone', async () => (await urls(a)).length === 1);
  });

  it('are those of the cluster when no address is advertised', async () => {
    await open();
    expect((await proxy.client().members())[0]?.name).toBe('embedded');
  });
});

// Namespace, ordering, leasing and mirror over a member in this process, or over answers made up.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import * as rpc from '../../../src/api/gen/methods.ts';
import { utf8Text } from '../../../src/base/bytes.ts';
import { Client, compare, op } from '../../../src/client/client.ts';
import { Mutex, Session } from '../../../src/client/concurrency.ts';
import { type CallLayer, PassLayer } from '../../../src/client/layer.ts';
import { withLeasing } from '../../../src/client/leasing.ts';
import { Syncer } from '../../../src/client/mirror.ts';
import { withNamespace } from '../../../src/client/namespace.ts';
import { OrderingLayer, OrderViolationError, withOrdering } from '../../../src/client/ordering.ts';
import { startMember, type EmbeddedMember } from '../../../src/server/embed.ts';
import { until } from '../../support/member.ts';

let member: EmbeddedMember;
beforeEach(async () => {
  member = await startMember();
});
afterEach(() => member.close());

const keys = (kvs: readonly { readonly key: Uint8Array }[]): string[] => kvs.map((kv) => utf8Text(kv.key));

describe('namespace', () => {
  it('holds everything inside, from the first key to the last', async () => {
    const { client } = member;
    const inside = withNamespace(client, 'ns/');
    for (const k of ['ns', 'ns0', 'nr', 'zz']) await client.put(k, 'outside');
    await inside.put('a', '1');
    await inside.put('z', '2');
    expect(keys((await inside.get('', { prefix: true })).kvs)).toEqual(['a', 'z']);
    expect(keys((await inside.get('b', { fromKey: true })).kvs)).toEqual(['z']);
    expect(keys((await client.get('ns/', { prefix: true })).kvs)).toEqual(['ns/a', 'ns/z']);
    const { prevKvs } = await inside.delete('', { prefix: true, prevKv: true });
    expect(keys(prevKvs)).toEqual(['a', 'z']);
    expect((await client.get('', { prefix: true })).count).toBe(4);
  });

  it('maps transactions within transactions and ends with all bytes set', async () => {
    const prefix = Buffer.from([0x61, 0xff]);
    const inside = withNamespace(member.client, prefix);
    const done = await inside
      .txn()
      .if(compare.version('k', '=', 0), { ...compare.version('a', '=', 0), rangeEnd: Buffer.from('z') })
      .then(op.put('k', 'v'), op.txn(inside.txn().then(op.get('', { fromKey: true }))))
      .commit();
    expect(done.succeeded).toBe(true);
    expect(keys(done.responses[1]?.responseTxn?.responses[0]?.responseRange?.kvs ?? [])).toEqual(['k']);
    expect((await member.client.getOne(Buffer.concat([prefix, Buffer.from('k')])))?.version).toBe(1);
  });

  it('nests, and serves watches, sessions and locks', async () => {
    const inside = withNamespace(withNamespace(member.client, 'a/'), 'b/');
    const watcher = inside.watch('locks/', { prefix: true, prevKv: true });
    const seen: string[] = [];
    watcher.onBatch = ({ events }) => {
      for (const e of events) seen.push(`${e.type} ${utf8Text(e.kv?.key ?? new Uint8Array(0))}`);
    };
    await new Promise<void>((resolve) => {
      watcher.onCreated = () => resolve();
    });
    const session = await Session.create(inside);
    const mutex = new Mutex(session, 'locks/m');
    await mutex.lock();
    const key = `locks/m/${session.lease.toString(16)}`;
    expect(keys((await member.client.get('a/b/', { prefix: true })).kvs)).toEqual([`a/b/${key}`]);
    await mutex.unlock();
    await session.close();
    await until('both events', () => seen.length === 2);
    expect(seen).toEqual([`0 ${key}`, `1 ${key}`]);
    watcher.cancel();
  });

  it('refuses the empty key as a member does', async () => {
    await expect(withNamespace(member.client, 'ns/').put('', 'v')).rejects.toMatchObject({ reason: 'emptyKey' });
    await expect(withNamespace(member.client, 'ns/').get('')).rejects.toMatchObject({ reason: 'emptyKey' });
  });
});

describe('ordering', () => {
  /** A layer whose reads answer with these revisions, one after the other, the last for ever. */
  function scripted(revisions: number[]): { layer: OrderingLayer; calls: () => number } {
    let calls = 0;
    const below = {
      endpoints: ['a', 'b'],
      call: () => {
        calls++;
        const revision = revisions.length > 1 ? revisions.shift() : revisions[0];
        return Promise.resolve({ header: { revision }, kvs: [], more: false, count: 0 });
      },
    } as unknown as CallLayer;
    return { layer: new OrderingLayer(below), calls: () => calls };
  }

  it('asks again while an answer is older than one already seen', async () => {
    const { layer, calls } = scripted([5, 3, 4, 5, 9]);
    const client = new Client(layer);
    await client.get('k', { serializable: true });
    const second = await client.get('k', { serializable: true });
    expect(second.header?.revision).toBe(5);
    expect(calls()).toBe(4);
    expect((await client.get('k', { serializable: true })).header?.revision).toBe(9);
  });

  it('gives up after five rounds over the endpoints', async () => {
    const { layer, calls } = scripted([5, 3]);
    const client = new Client(layer);
    await client.get('k');
    await expect(client.get('k')).rejects.toBeInstanceOf(OrderViolationError);
    expect(calls()).toBe(1 + 10);
  });

  it('reads its own writes from a member', async () => {
    const client = withOrdering(member.client);
    for (let i = 0; i < 10; i++) {
      await client.put('k', String(i));
      expect(await client.getText('k', { serializable: true })).toBe(String(i));
    }
  });
});

describe('leasing', () => {
  it('answers reads of owned keys from memory', async () => {
    await member.client.put('k', '1');
    const { counting, calls } = counter(member.client);
    const client = withLeasing(counting, 'leases/');
    expect(await client.getText('k')).toBe('1');
    expect(client.connection.ownedKeys).toBe(1);
    const before = calls();
    for (let i = 0; i < 20; i++) expect(await client.getText('k')).toBe('1');
    expect((await client.get('k', { countOnly: true })).count).toBe(1);
    expect(calls()).toBe(before);
    expect(await client.getText('none')).toBeUndefined();
    await client.put('k', '2');
    const kv = await client.getOne('k');
    expect([utf8Text(kv?.value ?? new Uint8Array(0)), kv?.version]).toEqual(['2', 2]);
    expect(kv).toEqual(await member.client.getOne('k'));
    await client.delete('k');
    expect(await client.getOne('k')).toBeUndefined();
    await client.connection.release();
    expect((await member.client.get('leases/', { prefix: true })).count).toBe(0);
  });

  it('gives a key up to a writer, who then sees it written and read by all', async () => {
    const [a, b] = [withLeasing(member.client, 'leases/'), withLeasing(member.client, 'leases/')];
    await a.put('k', '1');
    expect(await a.getText('k')).toBe('1');
    await b.put('k', '2');
    expect(a.connection.ownedKeys).toBe(0);
    expect(await a.getText('k')).toBe('2');
    expect(await b.getText('k')).toBe('2');
    await a.delete('k');
    expect(await b.getText('k')).toBeUndefined();
    await a.connection.release();
    await b.connection.release();
  });

  it('keeps transactions, ranges and increments of several clients linearizable', async () => {
    const clients = Array.from({ length: 3 }, () => withLeasing(member.client, 'leases/'));
    const rounds = 8;
    const increment = async (client: Client): Promise<void> => {
      for (let n = 0; n < rounds;) {
        const kv = await client.getOne('counter');
        const value = String(Number(kv === undefined ? '0' : utf8Text(kv.value)) + 1);
        const { succeeded } = await client
          .txn()
          .if(compare.modRevision('counter', '=', kv?.modRevision ?? 0))
          .then(op.put('counter', value))
          .commit();
        if (succeeded) n++;
      }
    };
    await Promise.all(clients.map(increment));
    const expected = String(rounds * clients.length);
    expect(await member.client.getText('counter')).toBe(expected);
    for (const client of clients) expect(await client.getText('counter')).toBe(expected);
    await clients[0]?.delete('', { prefix: true });
    for (const client of clients) expect(await client.getText('counter')).toBeUndefined();
    for (const client of clients) await client.connection.release();
  });

  it('leaves keys with a lease alone: they may go without a writer', async () => {
    const client = withLeasing(member.client, 'leases/');
    const lease = (await client.grantLease(60)).ID;
    await client.put('k', '1', { lease });
    expect(await client.getText('k')).toBe('1');
    expect(client.connection.ownedKeys).toBe(0);
    await client.revokeLease(lease);
    expect(await client.getText('k')).toBeUndefined();
    await client.connection.release();
  });
});

describe('mirror', () => {
  it('brings the base in pages and every change behind it', async () => {
    const { client } = member;
    for (let i = 0; i < 2300; i += 100)
      await client
        .txn()
        .then(...Array.from({ length: 100 }, (_, n) => op.put(`m/${String(i + n).padStart(5, '0')}`, 'v')))
        .commit();
    await client.put('n', 'outside');
    const syncer = new Syncer(client, { prefix: 'm/' });
    const found: string[] = [];
    let pages = 0;
    for await (const page of syncer.base()) {
      // A change while the base is read belongs to the updates.
      if (pages++ === 0) await client.put('m/99999', 'late');
      found.push(...keys(page.kvs));
    }
    expect([pages, found.length, new Set(found).size]).toEqual([3, 2300, 2300]);
    const updates: string[] = [];
    const watcher = syncer.updates();
    const reading = (async () => {
      for await (const { events } of watcher) for (const e of events) updates.push(`${e.type} ${utf8Text(e.kv?.key ?? new Uint8Array(0))}`);
    })();
    await client.delete('m/00000');
    await until('the updates', () => updates.length === 2);
    expect(updates).toEqual(['0 m/99999', '1 m/00000']);
    watcher.cancel();
    await reading;
    expect(() => new Syncer(client).updates()).toThrow('updates follow a base');
  });

  it('begins at a revision that is named', async () => {
    const { client } = member;
    const revision = (await client.put('a', '1')).header?.revision ?? 0;
    await client.put('a', '2');
    const syncer = new Syncer(client, { revision });
    const values: string[] = [];
    for await (const page of syncer.base()) values.push(...page.kvs.map((kv) => utf8Text(kv.value)));
    expect(values).toEqual(['1']);
    const { value } = await syncer.updates()[Symbol.asyncIterator]().next();
    expect(value?.events.length).toBe(1);
  });
});

/** The same client, with the names of its calls. */
function counter(client: Client): { counting: Client; calls: () => number; seen: string[] } {
  const seen: string[] = [];
  class Counting extends PassLayer {
    override call: CallLayer['call'] = (method, request, options) => {
      seen.push(method.name);
      return this.below.call(method, request, options);
    };
    override stream: CallLayer['stream'] = (method, options) => {
      seen.push(method.name);
      return this.below.stream(method, options);
    };
  }
  return { counting: new Client(new Counting(client.connection)), calls: () => seen.length, seen };
}

it('every call of a client goes through its layer', async () => {
  const { counting: client, seen } = counter(member.client);
  await client.put('k', 'v');
  await client.txn().commit();
  const session = await Session.create(client);
  await until('a renewal', () => seen.includes(rpc.Lease.leaseKeepAlive.name));
  await session.close();
  expect(new Set(seen)).toEqual(new Set(['Put', 'Txn', 'LeaseGrant', 'LeaseKeepAlive', 'LeaseRevoke']));
});

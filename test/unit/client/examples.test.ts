// The examples of examples/, run as they are against a member in this process.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { followConfig } from '../../../examples/config-watch.ts';
import { FencedRegister, withLock } from '../../../examples/fenced-lock.ts';
import { leaders, takePart } from '../../../examples/leader-election.ts';
import { transfer } from '../../../examples/ordered-locks.ts';
import { Directory, register } from '../../../examples/service-registry.ts';
import { Mutex, Session } from '../../../src/client/concurrency.ts';
import { op } from '../../../src/client/client.ts';
import { startMember, type EmbeddedMember } from '../../../src/server/embed.ts';
import { until } from '../../support/member.ts';

let member: EmbeddedMember;
beforeEach(async () => {
  member = await startMember();
});
afterEach(() => member.close());

describe('examples', () => {
  it('service registry: instances come, go, and are missed when their lease is lost', async () => {
    const { client } = member;
    const a = await register(client, 'web', { id: 'a', address: '10.0.0.1:80' });
    const directory = await Directory.open(client, 'web');
    expect([...directory.instances]).toEqual([['a', '10.0.0.1:80']]);
    const b = await register(client, 'web', { id: 'b', address: '10.0.0.2:80' });
    await until('the second instance', () => directory.instances.get('b') === '10.0.0.2:80');
    await a.close();
    await until('the first to be gone', () => !directory.instances.has('a'));
    // A lease that is lost: the instance comes back by itself.
    const [lease] = await client.leases();
    await client.revokeLease(lease ?? 0n);
    await until('the second to be gone', () => !directory.instances.has('b'));
    await until('the second to be back', () => directory.instances.has('b'));
    await b.close();
    directory.close();
  });

  it('configuration: everything at first, then each change once, transactions as one', async () => {
    const { client } = member;
    await client.put('app/a', '1');
    const stop = new AbortController();
    const seen: string[] = [];
    const done = followConfig(client, 'app/', (config) => seen.push([...config].map(([k, v]) => `${k}=${v}`).join()), stop.signal);
    await until('the first reading', () => seen.length === 1);
    await client.txn().then(op.put('app/b', '2'), op.delete('app/a')).commit();
    await client.put('elsewhere', 'x');
    await client.put('app/c', '3');
    await until('the changes', () => seen.length === 3);
    expect(seen).toEqual(['a=1', 'b=2', 'b=2,c=3']);
    stop.abort();
    await done;
  });

  it('fenced lock: a former owner is refused', async () => {
    const { client } = member;
    const register = new FencedRegister();
    let old = 0;
    await withLock(client, 'resource', async (fence) => {
      old = fence;
      register.write(fence, 'first');
    });
    await withLock(client, 'resource', async (fence) => {
      expect(fence).toBeGreaterThan(old);
      register.write(fence, 'second');
    });
    expect(() => register.write(old, 'from the past')).toThrow('fenced off');
    expect(register.value).toBe('second');
  });

  it('leader election: one leads at a time, the next when it resigns', async () => {
    const { client } = member;
    const stop = new AbortController();
    const led: string[] = [];
    let leading = 0;
    const lead = (name: string) => async (): Promise<void> => {
      led.push(name);
      expect(++leading).toBe(1);
      await until('the leader to be seen', () => seen.includes(name));
      leading--;
    };
    const seen: string[] = [];
    const watching = (async () => {
      for await (const name of leaders(client, 'boss', stop.signal)) seen.push(name);
    })();
    const parts = ['a', 'b'].map((name) => takePart(client, 'boss', name, lead(name), stop.signal));
    await until('both to have led', () => new Set(led).size === 2);
    stop.abort();
    await Promise.all(parts);
    await watching;
  });

  it('ordered locks: no deadlock, no money made or lost', async () => {
    const { client } = member;
    await client.put('accounts/x', '100');
    await client.put('accounts/y', '100');
    const moves = Array.from({ length: 10 }, (_, i) => (i % 2 === 0 ? transfer(client, 'x', 'y', 7) : transfer(client, 'y', 'x', 3)));
    expect(await Promise.all(moves)).toEqual(moves.map(() => true));
    expect([await client.getText('accounts/x'), await client.getText('accounts/y')]).toEqual(['80', '120']);
    expect(await transfer(client, 'x', 'y', 1000)).toBe(false);
  });

  it('a mutex that is waited for can be given up', async () => {
    const { client } = member;
    const [one, two] = [await Session.create(client), await Session.create(client)];
    const held = new Mutex(one, 'm');
    await held.lock();
    const stop = new AbortController();
    const waiting = new Mutex(two, 'm').lock({ signal: stop.signal });
    await until('two in the queue', async () => (await client.get('m/', { prefix: true, countOnly: true })).count === 2);
    stop.abort();
    await expect(waiting).rejects.toBeDefined();
    await until('one in the queue', async () => (await client.get('m/', { prefix: true, countOnly: true })).count === 1);
    await one.close();
    await two.close();
  });
});

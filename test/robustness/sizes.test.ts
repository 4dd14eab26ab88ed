// Keys and values of all sizes, and HashKV at a revision that was just compacted: the same writes to a real etcd give the same answers.
import { mkdirSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SeededRandom } from '../../src/base/random.ts';
import { type Client, connect, op, rpc } from '../../src/client/index.ts';
import { freePorts, MemberProcess, oneMember, reference, scratch, until } from '../support/member.ts';

const key = (bytes: number, tail = 'k'): Buffer => Buffer.concat([Buffer.alloc(bytes - 1, 'a'), Buffer.from(tail)]);

describe('keys of 1, 1,000 and 100,000 bytes', () => {
  let member: Awaited<ReturnType<typeof oneMember>>;
  beforeAll(async () => {
    member = await oneMember({ args: ['--max-request-bytes=2000000'] });
  });
  afterAll(() => member.remove());

  it('pass through put, range, watch, compaction and restart; a key of 0 is refused', async () => {
    let client = connect({ endpoints: [member.endpoint] });
    await expect(client.put('', 'v')).rejects.toMatchObject({ message: 'etcdserver: key is not provided' });
    const sizes = [1, 2, 1_000, 100_000, 1_000_000];
    const seen: string[] = [];
    const watcher = client.watch('\0', { fromKey: true, prevKv: true });
    watcher.onBatch = (batch) => {
      for (const e of batch.events)
        seen.push(`${e.type} ${e.kv?.key.length} ${Buffer.from(e.kv?.value ?? []).toString()} ${e.prevKv?.key.length}`);
    };
    await until('the watch', () => watcher.id >= 0);
    for (const n of sizes) {
      await client.put(key(n), 'one');
      await client.put(key(n), 'two');
      await client.put(key(n, 'l'), 'gone');
      await client.delete(key(n, 'l'));
    }
    await until('all events', () => seen.length === 4 * sizes.length);
    expect(seen).toEqual(sizes.flatMap((n) => [`0 ${n} one undefined`, `0 ${n} two ${n}`, `0 ${n} gone undefined`, `1 ${n}  ${n}`]));
    watcher.cancel();

    const check = async (): Promise<void> => {
      const all = await client.get('a', { prefix: true });
      expect(all.kvs.map((kv) => kv.key.length)).toEqual([...sizes].reverse().filter((n) => n > 1));
      for (const n of sizes) {
        const { kvs } = await client.get(key(n));
        expect(kvs).toHaveLength(1);
        expect(Buffer.from(kvs[0]!.key).equals(key(n))).toBe(true);
        expect(Buffer.from(kvs[0]!.value).toString()).toBe('two');
        expect(kvs[0]!.version).toBe(2);
      }
      // From a long key on, and up to one.
      const [long, longer] = [key(1_000), key(100_000)];
      expect((await client.get(longer, { end: long, countOnly: true })).count).toBe(longer.compare(long) < 0 ? 1 : 0);
      expect((await client.get(long, { fromKey: true, keysOnly: true })).kvs.map((kv) => kv.key.length)).toEqual([1_000, 2, 1]);
    };
    await check();
    const { header } = await client.get('a');
    await client.compact(header!.revision, { physical: true });
    await check();
    await expect(client.get('a', { revision: 3 })).rejects.toMatchObject({ message: expect.stringContaining('compacted') as string });
    await client.call(rpc.Maintenance.defragment, {});
    await check();
    for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
      client.close();
      await member.stop(signal);
      await member.start();
      client = connect({ endpoints: [member.endpoint] });
      await check();
    }
    client.close();
  });
});

describe.skipIf(reference('etcd') === undefined)('HashKV beside a real etcd with the same writes', () => {
  const place = scratch();
  let ours: Awaited<ReturnType<typeof oneMember>>;
  let theirs: MemberProcess;
  const clients: Client[] = [];
  beforeAll(async () => {
    ours = await oneMember({ args: ['--compaction-batch-limit=100'] });
    mkdirSync(`${place.dir}/e`);
    const [clientPort = 0, peerPort = 0] = await freePorts(2);
    theirs = new MemberProcess({ kind: 'etcd', dataDir: `${place.dir}/e/data`, clientPort, peerPort });
    await theirs.start();
    for (const m of [ours, theirs]) clients.push(connect({ endpoints: [m.endpoint] }));
  });
  afterAll(async () => {
    for (const c of clients) c.close();
    await theirs.stop('SIGKILL');
    await ours.remove();
    place.remove();
  });

  const both = async <T>(send: (c: Client) => Promise<T>): Promise<[T, T]> => Promise.all(clients.map(send)) as unknown as Promise<[T, T]>;
  const hash = async (revision: number): Promise<void> => {
    const [a, b] = await both((c) => c.call(rpc.Maintenance.hashKV, { revision }));
    expect({ hash: a.hash, compactRevision: a.compactRevision, hashRevision: a.hashRevision }, `at ${revision}`).toEqual({
      hash: b.hash,
      compactRevision: b.compactRevision,
      hashRevision: b.hashRevision,
    });
  };

  it('is the same before, at and after each compaction, and after a restart', async () => {
    const random = new SeededRandom(3);
    const leases: bigint[] = [];
    for (const id of [5n, 6n]) {
      await both((c) => c.grantLease(10_000, id));
      leases.push(id);
    }
    let revision = 1;
    for (let round = 0; round < 4; round++) {
      for (let n = 0; n < 60; n++) {
        const k = `k${random.u32() % 40}`;
        const other = `k${40 + (random.u32() % 10)}`;
        const value = 'v'.repeat(random.u32() % 300);
        const lease = random.u32() % 4 === 0 ? leases[random.u32() % 2] : undefined;
        const ops = [op.put(k, value, { lease })];
        if (random.u32() % 4 === 0) ops.unshift(op.delete(other));
        if (random.u32() % 4 === 0) ops.push(op.put(`${other}x`, value));
        const [a, b] = await both((c) =>
          c
            .txn()
            .then(...ops)
            .commit(),
        );
        expect(a.header?.revision).toBe(b.header?.revision);
        revision = a.header?.revision ?? 0;
        if (random.u32() % 10 === 0) {
          await both((c) => c.delete(k));
          revision++;
        }
      }
      await hash(0);
      await hash(revision - 7);
      const at = revision - (random.u32() % 20);
      await both((c) => c.compact(at, { physical: true }));
      await hash(at);
      await hash(at + 1);
      await hash(0);
    }
    for (const m of [ours, theirs]) {
      await m.stop('SIGTERM');
      await m.start();
    }
    await hash(0);
    await hash(revision - 1);
    const [a, b] = await both((c) => c.call(rpc.Maintenance.hash, {}));
    expect(a.hash).toBeGreaterThan(0);
    expect(b.hash).toBeGreaterThan(0);
  });
});

// Three members on one event loop: leader and follower paths, forwarding, membership, lost leaders.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { KV, Lease } from '../../../src/api/gen/methods.ts';
import { errors } from '../../../src/api/status.ts';
import { MessageType } from '../../../src/raft/types.ts';
import type { RunningServer } from '../../../src/server/server.ts';
import { TestCluster, until } from './cluster.ts';

const bytes = (s: string): Uint8Array => Buffer.from(s);
const put = (s: RunningServer, key: string, value: string): Promise<unknown> =>
  s.channel().unary(KV.put, { key: bytes(key), value: bytes(value) });
const get = async (s: RunningServer, key: string, serializable = false): Promise<string | undefined> => {
  const r = await s.channel().unary(KV.range, { key: bytes(key), serializable });
  const kv = r.kvs[0];
  return kv === undefined ? undefined : Buffer.from(kv.value).toString();
};

describe('three members', () => {
  let cluster: TestCluster;
  beforeEach(async () => {
    cluster = new TestCluster(['a', 'b', 'c']);
    await cluster.start();
  });
  afterEach(async () => {
    await cluster.stop();
    expect(cluster.fatal).toEqual([]);
  });

  it('elect a leader, publish themselves and agree on the cluster version', async () => {
    await until('a leader', () => cluster.leader !== undefined);
    await until('all names', () => [...cluster.servers.values()].every((s) => s.member.cluster.members().every((m) => m.name !== '')));
    await until('the version', () => [...cluster.servers.values()].every((s) => s.member.cluster.version === '3.7.0'));
    expect([...cluster.servers.values()].filter((s) => s.member.isLeader)).toHaveLength(1);
  });

  it('take writes anywhere and show them everywhere', async () => {
    const follower = cluster.followers()[0]!;
    await put(follower, 'k', 'v');
    for (const s of cluster.servers.values()) expect(await get(s, 'k')).toBe('v');
    expect(cluster.sent[MessageType.MsgProp]).toBeGreaterThan(0);
    expect(cluster.sent[MessageType.MsgReadIndex]).toBeGreaterThan(0);
  });

  it('apply many writes of many callers in one order', async () => {
    const all = [...cluster.servers.values()];
    await Promise.all(Array.from({ length: 300 }, (_, i) => put(all[i % 3]!, `k${i % 17}`, `v${i}`)));
    const index = cluster.leader!.member.committedIndex;
    await until('all applied', () => all.every((s) => s.member.appliedIndex >= index));
    const contents = await Promise.all(
      all.map(async (s) => (await s.channel().unary(KV.range, { key: bytes('k'), rangeEnd: bytes('l'), serializable: true })).kvs),
    );
    expect(contents[1]).toEqual(contents[0]);
    expect(contents[2]).toEqual(contents[0]);
    expect(all.map((s) => s.member.kv.currentRev)).toEqual([301, 301, 301]);
  });

  it('go on without a leader that is cut off; the old one refuses', async () => {
    const old = cluster.leader!;
    const name = [...cluster.servers].find(([, s]) => s === old)![0];
    await put(old, 'k', '1');
    cluster.cut.add(name);
    await until('another leader', () => cluster.leader !== undefined && cluster.leader !== old);
    await put(cluster.leader!, 'k', '2');
    await until('the old one to step down', () => !old.member.isLeader);
    expect(await get(old, 'k', true)).toBe('1');
    cluster.cut.delete(name);
    await until('the old one to catch up', () => old.member.appliedIndex >= cluster.leader!.member.appliedIndex);
    expect(await get(old, 'k')).toBe('2');
  });

  it('move leadership when asked, and hand it over when the leader stops', async () => {
    const target = cluster.followers()[0]!;
    const error = await new Promise((resolve) => cluster.leader!.member.moveLeader(target.member.memberId, resolve));
    expect(error).toBeUndefined();
    await until('the new leader', () => target.member.isLeader);
    const name = [...cluster.servers].find(([, s]) => s === target)![0];
    await cluster.stopOne(name);
    await until('a leader', () => cluster.leader !== undefined, 2000);
    await put(cluster.leader!, 'k', 'after');
  });

  it('renew leases through a follower and end them by the leader', async () => {
    const follower = cluster.followers()[0]!;
    const { ID } = await follower.channel().unary(Lease.leaseGrant, { TTL: 1 });
    const ttl = await new Promise<number>((resolve, reject) =>
      follower.member.renewLease(ID, (error, t) => (error === undefined ? resolve(t) : reject(new Error(error.message)))),
    );
    expect(ttl).toBe(1);
    await until('the end of the lease', () => [...cluster.servers.values()].every((s) => !s.member.lessor.has(ID)), 8000);
    const error = await new Promise((resolve) => follower.member.renewLease(ID, (e) => resolve(e)));
    expect(error).toBe(errors.leaseNotFound);
  });

  it('remove a member for good', async () => {
    const gone = cluster.followers()[0]!;
    await until('connections', () => true);
    const result = await new Promise<{ error: unknown; n: number }>((resolve) =>
      cluster.leader!.member.removeMember(gone.member.memberId, (error, r) => resolve({ error, n: r?.members.length ?? 0 })),
    );
    expect(result).toEqual({ error: undefined, n: 2 });
    await put(cluster.leader!, 'k', 'two left');
    await until('its end', () => cluster.fatal.length > 0 || gone.member.cluster.isRemoved(gone.member.memberId), 4000);
    cluster.fatal.length = 0;
  });

  it('refuse what raft cannot do: a transfer to a stranger', async () => {
    const error = await new Promise((resolve) => cluster.leader!.member.moveLeader(42n, resolve));
    expect(error).toBe(errors.badLeaderTransferee);
  });

  it('restart from their disks', async () => {
    await put(cluster.leader!, 'k', 'kept');
    await cluster.stopOne('a');
    await cluster.startOne('a');
    expect(await get(cluster.servers.get('a')!, 'k')).toBe('kept');
  });
});

// What every call passes: metadata, learners, leader; headers; and the answers of services that recordings do not reach.
import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { Cluster, Election, KV, Lease, Lock, Maintenance } from '../../../src/api/gen/methods.ts';
import { errors } from '../../../src/api/status.ts';
import { emptyBytes, fromLatin1, latin1, utf8 } from '../../../src/base/bytes.ts';
import { checkedPeerUrls } from '../../../src/server/services/cluster.ts';
import { refusal, Services, until } from './lone-member.ts';

const key = utf8('k');
const openEnd = new Uint8Array(1);

describe('admission', () => {
  it('S-039: refuses a client version that is no text', async () => {
    const { channel } = new Services();
    const metadata = { 'client-api-version': '\xff\xfe' };
    expect(await refusal(channel.unary(KV.range, { key }, { metadata }))).toEqual(errors.invalidClientAPIVersion);
    await channel.unary(KV.range, { key }, { metadata: { 'client-api-version': 'caf\xc3\xa9' } });
  });

  it('answers "no leader" only to those who ask for one', async () => {
    const { channel, member } = new Services();
    member.loseLeader();
    const metadata = { hasleader: 'true' };
    expect(await refusal(channel.unary(KV.put, { key }, { metadata }))).toEqual(errors.noLeader);
    expect(await refusal(channel.unary(Lock.lock, { name: key, lease: 1n }, { metadata }))).toEqual(errors.noLeader);
    await channel.unary(KV.range, { key, serializable: true }, { metadata: { hasleader: 'false' } });
  });

  it('lets a learner serve status, serializable ranges and snapshots, nothing else', async () => {
    const services = new Services();
    services.member.isLearner = true;
    const { channel } = services;
    await channel.unary(Maintenance.status, {});
    await channel.unary(KV.range, { key, serializable: true });
    const refused = errors.notSupportedForLearner;
    expect(await refusal(channel.unary(KV.range, { key }))).toEqual(refused);
    expect(await refusal(channel.unary(KV.put, { key }))).toEqual(refused);
    expect(await refusal(channel.unary(Cluster.memberList, {}))).toEqual(refused);
    const keepAlive = services.stream(Lease.leaseKeepAlive);
    await until(() => keepAlive.end !== undefined);
    expect(keepAlive.end).toEqual(refused);
    const snapshot = services.stream(Maintenance.snapshot);
    snapshot.stream.send({});
    snapshot.stream.halfClose();
    await until(() => snapshot.end !== undefined);
    expect(snapshot.end?.code).toBe(0);
  });
});

describe('headers', () => {
  it('carry ids, revision and term, also in encoded answers', async () => {
    const { channel, member } = new Services();
    const expected = (revision: number) => ({
      clusterId: member.clusterId,
      memberId: member.memberId,
      revision,
      raftTerm: member.raftTerm,
    });
    expect((await channel.unary(KV.put, { key })).header).toEqual(expected(2));
    expect((await channel.unary(KV.put, { key })).header).toEqual(expected(3));
    expect((await channel.unary(KV.range, { key })).header).toEqual(expected(3));
    expect((await channel.unary(Cluster.memberList, {})).header).toEqual(expected(0));
    expect((await channel.unary(Maintenance.status, {})).header).toEqual(expected(3));
  });
});

describe('range', () => {
  it('S-085: of very many rows comes whole, built over several turns', async () => {
    const services = new Services();
    const n = 20_000;
    const txn = services.member.kv.write();
    for (let i = 0; i < n; i++) txn.put(utf8(`k${String(i).padStart(6, '0')}`), utf8(`v${i}`), 0n);
    txn.end();
    const all = await services.channel.unary(KV.range, { key: openEnd, rangeEnd: openEnd });
    expect([all.kvs.length, all.count, all.more, all.header?.revision]).toEqual([n, n, false, 2]);
    expect(all.kvs.every((kv, i) => latin1(kv.value) === `v${i}`)).toBe(true);
    const page = await services.channel.unary(KV.range, { key: openEnd, rangeEnd: openEnd, limit: 10_000 });
    expect([page.kvs.length, page.count, page.more]).toEqual([10_000, n, true]);

    const stream = services.stream(KV.rangeStream);
    stream.stream.send({ key: openEnd, rangeEnd: openEnd });
    await until(() => stream.end !== undefined);
    expect(stream.end?.code).toBe(0);
    const chunks = stream.got.map((m) => m.rangeResponse!);
    expect(chunks.slice(0, 4).map((c) => c.kvs.length)).toEqual([10, 20, 40, 80]);
    expect(chunks.flatMap((c) => c.kvs)).toEqual(all.kvs);
    expect(chunks.slice(0, -1).every((c) => c.header === undefined && c.count === 0 && !c.more)).toBe(true);
    expect(chunks.at(-1)).toMatchObject({ count: n, more: false });
  });

  it('streamed to a slow client stops with "compacted" when its revision goes', async () => {
    const services = new Services();
    const txn = services.member.kv.write();
    for (let i = 0; i < 2000; i++) txn.put(utf8(`k${i}`), new Uint8Array(1000), 0n);
    txn.end();
    const stream = services.stream(KV.rangeStream);
    stream.stream.pause();
    stream.stream.send({ key: openEnd, rangeEnd: openEnd });
    await services.put('k1');
    await services.put('k1');
    await services.channel.unary(KV.compact, { revision: 4 });
    stream.stream.resume();
    await until(() => stream.end !== undefined);
    expect(stream.end).toEqual(errors.compacted);
    expect(stream.got.length).toBeLessThan(20);
  });

  it('does nothing more for a call that was given up', async () => {
    const { channel, errors: handlerErrors } = new Services();
    const abort = new AbortController();
    const call = channel.unary(KV.range, { key: openEnd, rangeEnd: openEnd }, { signal: abort.signal });
    abort.abort();
    expect((await refusal(call)).code).toBe(1);
    await channel.unary(KV.range, { key });
    expect(handlerErrors).toEqual([]);
  });
});

describe('requests that end a real etcd', () => {
  it('S-040: are refused before they are proposed', async () => {
    const { channel, member } = new Services();
    const before = member.appliedIndex;
    expect(await refusal(channel.unary(Maintenance.alarm, { action: 3 }))).toEqual(errors.unknownAlarmAction);
    expect(await refusal(channel.unary(Maintenance.alarm, { action: 1, alarm: 9 }))).toEqual(errors.unknownAlarmType);
    await channel.unary(KV.put, { key });
    const txn = {
      success: [{ requestDeleteRange: { key, rangeEnd: openEnd } }, { requestPut: { key, ignoreValue: true } }],
    };
    expect((await refusal(channel.unary(KV.txn, txn))).code).toBe(3);
    expect(member.appliedIndex).toBe(before + 1);
  });
});

describe('keepalive', () => {
  it('answers in the order of requests, all that came before the half-close', async () => {
    const services = new Services();
    for (const ID of [5n, 6n]) await services.channel.unary(Lease.leaseGrant, { ID, TTL: 60 + Number(ID) });
    const s = services.stream(Lease.leaseKeepAlive);
    const ids = Array.from({ length: 3000 }, (_, i) => BigInt(5 + (i % 3)));
    for (const ID of ids) s.stream.send({ ID });
    s.stream.halfClose();
    await until(() => s.end !== undefined);
    expect(s.end?.code).toBe(0);
    expect(s.got.map((m) => [m.ID, m.TTL])).toEqual(ids.map((id) => [id, id === 7n ? 0 : 60 + Number(id)]));
  });
});

describe('snapshot', () => {
  it('counts down, closes with the digest, and lets its reader go', async () => {
    const services = new Services();
    const s = services.stream(Maintenance.snapshot);
    s.stream.send({});
    s.stream.halfClose();
    await until(() => s.end !== undefined);
    const blobs = s.got.map((m) => m.blob);
    const data = Buffer.concat(blobs.slice(0, -1));
    expect(data.length).toBe(401_408);
    expect(Buffer.from(blobs.at(-1) ?? emptyBytes)).toEqual(createHash('sha256').update(data).digest());
    expect(s.got.at(-2)?.remainingBytes).toBe(0);
    expect(blobs.slice(0, -2).every((b) => b.length === 32_768)).toBe(true);
    expect(services.snapshots.readers).toBe(0);
  });

  it('waits for a client that does not read, and stops when it goes', async () => {
    const services = new Services();
    const s = services.stream(Maintenance.snapshot);
    s.stream.pause();
    s.stream.send({});
    s.stream.halfClose();
    await until(() => services.snapshots.readers === 1);
    s.stream.cancel();
    await until(() => services.snapshots.readers === 0);
    expect(services.errors).toEqual([]);
  });
});

describe('locks and elections', () => {
  it('leave nothing behind when their callers give up', async () => {
    const services = new Services();
    const { channel, member } = services;
    for (const ID of [1n, 2n]) await channel.unary(Lease.leaseGrant, { ID, TTL: 60 });
    const held = await channel.unary(Lock.lock, { name: key, lease: 1n });
    const abort = new AbortController();
    const waiting = channel.unary(Lock.lock, { name: key, lease: 2n }, { signal: abort.signal });
    const running = channel.unary(Election.campaign, { name: key, lease: 2n, value: key }, { signal: abort.signal });
    const given = Promise.all([refusal(waiting), refusal(running)]);
    await until(() => member.kv.watchers.watcherCount === 2);
    abort.abort();
    await given;
    await until(() => member.kv.watchers.watcherCount === 0);
    await until(() => member.kv.range({ key: fromLatin1('k/'), end: fromLatin1('k0'), rev: 0, limit: 0, countOnly: true }).count === 1);
    await channel.unary(Lock.unlock, { key: held.key });
    expect(member.listeners).toBe(0);
  });

  it('wait for those before them only, in order', async () => {
    const { channel } = new Services();
    const leases = [1n, 2n, 3n, 4n, 5n];
    for (const ID of leases) await channel.unary(Lease.leaseGrant, { ID, TTL: 60 });
    const order: bigint[] = [];
    await Promise.all(
      leases.map(async (lease) => {
        const { key: mine } = await channel.unary(Lock.lock, { name: key, lease });
        order.push(lease);
        await channel.unary(Lock.unlock, { key: mine });
      }),
    );
    expect(order).toEqual(leases);
  });

  it('end with "server stopped" when the member stops', async () => {
    const { channel, member } = new Services();
    for (const ID of [1n, 2n]) await channel.unary(Lease.leaseGrant, { ID, TTL: 60 });
    await channel.unary(Lock.lock, { name: key, lease: 1n });
    const waiting = refusal(channel.unary(Lock.lock, { name: key, lease: 2n }));
    await until(() => member.kv.watchers.watcherCount === 1);
    member.stop();
    expect(await waiting).toEqual(errors.stopped);
  });
});

describe('peer URLs', () => {
  it.each([
    [
      ['http://10.0.0.2:2380', 'http://10.0.0.1:2380'],
      ['http://10.0.0.1:2380', 'http://10.0.0.2:2380'],
    ],
    [[' https://[::1]:2380 '], ['https://[::1]:2380']],
    [['unix:///tmp/x.sock'], ['unix:///tmp/x.sock']],
    [[], undefined],
    [['http://127.0.0.1'], undefined],
    [['ftp://127.0.0.1:1'], undefined],
    [['127.0.0.1:1'], undefined],
    [['http://127.0.0.1:1/'], undefined],
    [['http://::1:2380'], undefined],
    [['http://a:b'], undefined],
    [['http://:1'], ['http://:1']],
    [['http://a:1', ''], undefined],
  ])('%j', (given, wanted) => {
    expect(checkedPeerUrls(given)).toEqual(wanted);
  });
});

// Members of tsetcd and of a real etcd in one cluster: how a user moves from one to the other, one member at a time.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { op, rpc } from '../../../src/client/index.ts';
import { type Kind, ProcessCluster } from '../../support/cluster.ts';
import { type MemberProcess, reference, until } from '../../support/member.ts';

const etcd = reference('etcd');
/** Each member in turn leads, falls behind by a little and by a lot. */
const clusters: readonly (readonly Kind[])[] = [
  ['etcd', 'tsetcd', 'tsetcd'],
  ['tsetcd', 'etcd', 'etcd'],
];

describe.skipIf(etcd === undefined).each(clusters)('%s, %s, %s', (...kinds) => {
  let cluster: ProcessCluster;
  let key = 0;
  beforeAll(async () => {
    cluster = await ProcessCluster.start({
      kinds,
      args: [
        ...[
          '--snapshot-count',
          '200',
          '--snapshot-catchup-entries',
          '100',
          '--corrupt-check-time',
          '1s',
          '--compact-hash-check-time',
          '1s',
        ],
        ...['--feature-gates', 'InitialCorruptCheck=true,CompactHashCheck=true'],
      ],
    });
  }, 60_000);
  afterAll(() => cluster?.remove());

  const first = (kind: Kind): MemberProcess => cluster.members.find((m) => m.options.kind === kind) as MemberProcess;

  /** Puts, deletes, txns and leases through each member. */
  const writes = async (n: number): Promise<void> => {
    await Promise.all(
      cluster.running.flatMap((m) => {
        const client = cluster.client(m);
        return Array.from({ length: n }, async () => {
          const k = key++;
          await client.put(`k/${k % 50}`, `${k}`.padEnd(100, 'x'));
          if (k % 5 === 0) await client.delete(`k/${(k + 25) % 50}`);
          if (k % 7 === 0)
            await client
              .txn()
              .then(op.put(`t/${k}`, 'a'), op.delete('k/3'), op.put(`t/${k}/2`, 'b'))
              .commit();
          if (k % 11 === 0) {
            const { ID } = await client.grantLease(300);
            await client.put(`l/${k}`, 'leased', { lease: ID });
            if (k % 2 === 0) await client.revokeLease(ID);
          }
        });
      }),
    );
  };
  const noAlarms = async (): Promise<void> => {
    for (const m of cluster.running) expect(await cluster.client(m).alarms()).toEqual([]);
  };

  it('writes and reads on every side, whoever leads', async () => {
    for (const kind of ['etcd', 'tsetcd'] as const) {
      await cluster.moveLeader(first(kind));
      await writes(10);
      const { ID } = await cluster.client(first('etcd')).grantLease(120);
      for (const m of cluster.members) {
        const client = cluster.client(m);
        expect((await client.keepLeaseOnce(ID)).TTL).toBe(120);
        expect((await client.leaseTimeToLive(ID)).grantedTTL).toBe(120);
        expect((await client.leaseTimeToLive(99n)).TTL).toBe(-1);
      }
      await cluster.converged();
    }
    for (const m of cluster.members) expect((await cluster.client(m).status()).storageVersion).toBe('3.7.0');
    await noAlarms();
  }, 60_000);

  it('hashes alike at a compacted revision, with the leader on either side checking', async () => {
    for (const kind of ['etcd', 'tsetcd'] as const) {
      await cluster.moveLeader(first(kind));
      await writes(5);
      const leader = cluster.client(first(kind));
      const rev = (await leader.get('x')).header?.revision ?? 0;
      await leader.compact(rev - 3, { physical: true });
      await cluster.converged();
      const hashes = await Promise.all(cluster.members.map((m) => cluster.client(m).call(rpc.Maintenance.hashKV, { revision: rev })));
      expect(new Set(hashes.map((h) => `${h.hash} ${h.compactRevision} ${h.hashRevision}`)).size).toBe(1);
      await until(
        'a check of the compaction',
        () => first(kind).log.includes('finished compaction hash check') || first(kind).log.includes('finished peer corruption check'),
      );
      expect(first(kind).log).not.toContain('hash mismatch');
    }
    await noAlarms();
  }, 60_000);

  it('alarms nobody when everything is deleted and compacted away', async () => {
    for (const kind of ['etcd', 'tsetcd'] as const) {
      await cluster.moveLeader(first(kind));
      await writes(2);
      const leader = cluster.client(first(kind));
      const before = await leader.delete('', { prefix: true });
      await leader.compact((before.header?.revision ?? 0) - 1, { physical: true });
      await leader.put('last', 'x');
      const after = await leader.delete('last');
      const markers = cluster.members.map((m) => m.log.length);
      await leader.compact(after.header?.revision ?? 0, { physical: true });
      await cluster.converged();
      // By whoever leads by now.
      for (const check of ['finished compaction hash check', 'finished peer corruption check'])
        await until(check, () => cluster.members.some((m, i) => m.log.slice(markers[i]).includes(check)));
      for (const m of cluster.members) expect(m.log).not.toContain('hash mismatch');
    }
    await noAlarms();
  }, 60_000);

  it('catches up by log and by snapshot, both ways', async () => {
    for (const kind of ['etcd', 'tsetcd'] as const) {
      const behind = first(kind);
      await cluster.moveLeader(first(kind === 'etcd' ? 'tsetcd' : 'etcd'));
      // By log.
      await behind.stop('SIGTERM');
      await writes(5);
      await behind.start();
      await cluster.converged();
      // By snapshot: the others have let go of what it lacks.
      await behind.stop('SIGKILL');
      const marker = behind.log.length;
      for (let i = 0; i < 8; i++) await writes(40);
      const leader = await cluster.leader();
      await cluster.client(leader).compact(((await cluster.client(leader).get('x')).header?.revision ?? 0) - 20);
      await behind.start();
      await cluster.converged();
      const log = behind.log.slice(marker);
      expect(log).toContain('applied snapshot');
      expect(leader.options.kind).toBe(kind === 'etcd' ? 'tsetcd' : 'etcd');
      await cluster.client(behind).put('after/snapshot', 'x');
      await behind.stop('SIGTERM');
      await behind.start();
      await cluster.converged();
    }
    await noAlarms();
  }, 120_000);

  it('replaces a member of one kind by the other', async () => {
    const old = cluster.member(0);
    const other = cluster.member(1);
    await until('the removal', () =>
      cluster.id(old).then((ID) =>
        cluster
          .client(other)
          .call(rpc.Cluster.memberRemove, { ID })
          .then(
            () => true,
            () => false,
          ),
      ),
    );
    await old.exit;
    old.child = undefined;
    cluster.members.splice(0, 1);
    await cluster.leader();
    const kind = old.options.kind === 'etcd' ? 'tsetcd' : 'etcd';
    const joiner = await cluster.joiner('m3', kind, async (url) => {
      await until('the members to be connected', () =>
        cluster
          .client(other)
          .call(rpc.Cluster.memberAdd, { peerURLs: [url], isLearner: true })
          .then(
            () => true,
            () => false,
          ),
      );
    });
    await joiner.start();
    const ID = await cluster.id(joiner);
    // Through a follower: it asks the leader.
    const follower = cluster.members.find((m) => m !== joiner && m !== cluster.member(0)) as MemberProcess;
    await until('the promotion', () =>
      cluster
        .client(follower)
        .call(rpc.Cluster.memberPromote, { ID })
        .then(
          () => true,
          (e: unknown) => {
            if (!(e instanceof Error) || !e.message.includes('in sync with leader')) throw e;
            return false;
          },
        ),
    );
    await cluster.moveLeader(joiner);
    await writes(5);
    await cluster.converged();
    await noAlarms();
  }, 60_000);
});

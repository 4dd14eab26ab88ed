// The members of a cluster change while it is written to: a learner comes and is promoted, the leader is removed, a dead member is replaced.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SeededRandom } from '../../../src/base/random.ts';
import { rpc, type Client } from '../../../src/client/index.ts';
import { ProcessCluster } from '../../support/cluster.ts';
import { type MemberProcess, until } from '../../support/member.ts';
import { check } from './checker.ts';
import { prefix, Traffic, WatchLog } from './traffic.ts';

const seed = Number(process.env['TSETCD_SEED'] ?? Date.now() % 1_000_000);

describe(`members that change under load (seed ${seed})`, () => {
  let cluster: ProcessCluster;
  let traffic: Traffic;
  let watch: WatchLog;

  beforeAll(async () => {
    // A new member gets a snapshot, the log behind it is short.
    cluster = await ProcessCluster.start({
      kinds: ['tsetcd', 'tsetcd', 'tsetcd'],
      args: ['--snapshot-count', '200', '--snapshot-catchup-entries', '100'],
    });
    const endpoints = cluster.members.map((m) => m.endpoint);
    watch = new WatchLog('the watch', endpoints);
    traffic = new Traffic({ endpoints, random: new SeededRandom(seed), clients: 24, rate: 300, pinned: false });
    traffic.start();
  });
  afterAll(async () => {
    await traffic?.stop();
    watch?.close();
    await cluster?.remove();
  });

  const written = async (n: number): Promise<void> => {
    const floor = traffic.highest + n;
    await until(`${n} revisions more`, () => traffic.highest >= floor, 60_000);
  };
  const membersAre = (): void => {
    const endpoints = cluster.running.map((m) => m.endpoint);
    traffic.endpoints = endpoints;
    watch.endpoints = endpoints;
  };
  /** Refused while members are not connected long enough, or a leader is being elected. */
  const accepted = (what: string, ask: (client: Client) => Promise<unknown>): Promise<boolean> =>
    until(
      what,
      async () =>
        ask(cluster.client(await cluster.leader())).then(
          () => true,
          () => false,
        ),
      60_000,
    );
  const add = async (name: string, isLearner: boolean): Promise<MemberProcess> => {
    const joiner = await cluster.joiner(name, 'tsetcd', async (url) => {
      // What is refused may have been done after all, and would be refused as known the second time.
      await accepted('the addition', async (client) => {
        const there = (await client.members()).some((m) => m.peerURLs.includes(url));
        if (!there) await client.call(rpc.Cluster.memberAdd, { peerURLs: [url], isLearner });
      });
    });
    await joiner.start();
    return joiner;
  };
  const removed = (ID: bigint): Promise<boolean> =>
    accepted('the removal', async (client) => {
      const there = (await client.members()).some((m) => m.ID === ID);
      if (there) await client.call(rpc.Cluster.memberRemove, { ID });
    });

  it('a learner comes and is promoted', async () => {
    await written(300);
    const joiner = await add('m3', true);
    const ID = await cluster.id(joiner);
    await accepted('the promotion', async (client) => {
      const self = (await client.members()).find((m) => m.ID === ID);
      if (self?.isLearner !== false) await client.call(rpc.Cluster.memberPromote, { ID });
    });
    membersAre();
    await written(100);
  }, 180_000);

  it('the leader is removed', async () => {
    const leader = await cluster.leader();
    await removed(await cluster.id(leader));
    expect((await leader.exit)?.code).toBe(0);
    leader.child = undefined;
    cluster.members.splice(cluster.members.indexOf(leader), 1);
    membersAre();
    await written(100);
  }, 180_000);

  it('a dead member is replaced', async () => {
    const dead = cluster.members.find((m) => m.options.name !== 'm3') as MemberProcess;
    const ID = await cluster.id(dead);
    await dead.stop('SIGKILL');
    cluster.members.splice(cluster.members.indexOf(dead), 1);
    membersAre();
    await written(100);
    await removed(ID);
    await add('m4', false);
    membersAre();
    await written(100);
  }, 180_000);

  it('and nothing is lost', async () => {
    await traffic.stop();
    const end = await cluster.converged();
    await until('the watch to be told everything', () => watch.last >= end || watch.problems.length > 0);
    expect(watch.problems).toEqual([]);
    expect(check(traffic.operations, watch.revisions, (key) => !key.startsWith(prefix))).toEqual([]);
    expect(traffic.done).toBeGreaterThan(traffic.operations.length * 0.8);
  }, 180_000);
});

// The gRPC proxy under load: it is killed and comes back, members are killed behind it, and no watcher misses an event or sees one twice.
//
// TSETCD_PROXY_ROUNDS (default 1) sets how often everything is killed once; by hand: TSETCD_PROXY_ROUNDS=20.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { connect, type Client, utf8Text } from '../../src/client/index.ts';
import { ProcessCluster } from '../support/cluster.ts';
import { type MemberProcess, until } from '../support/member.ts';
import { startProxy, type ProxyProcess } from '../support/proxy.ts';

const rounds = Number(process.env['TSETCD_PROXY_ROUNDS'] ?? 1);
const keys = 5;
const watchersPerKey = 20;
/** Far above what the proxy of this load needs, far below what a leak of all responses would take in a long run. */
const residentBytesMax = 600 * 1024 * 1024;

let cluster: ProcessCluster;
let proxy: ProxyProcess;
beforeAll(async () => {
  cluster = await ProcessCluster.start({ kinds: ['tsetcd', 'tsetcd', 'tsetcd'] });
  proxy = await startProxy(
    'grpc-proxy',
    cluster.members.map((m) => m.endpoint),
  );
});
afterAll(async () => {
  await proxy.remove();
  await cluster.remove();
});

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

it('no event is lost or doubled, a lease stays alive, memory stays bounded', { timeout: 120_000 + rounds * 60_000 }, async () => {
  const direct = connect({ endpoints: cluster.members.map((m) => m.endpoint), requestTimeoutMs: 5000 });
  const clients = Array.from({ length: 10 }, () => connect(proxy.endpoint));
  const first = (await direct.put('begin', '')).header?.revision ?? 0;

  const seen = Array.from({ length: keys * watchersPerKey }, () => [] as string[]);
  const ended: unknown[] = [];
  seen.forEach((list, i) => {
    const client = clients[i % clients.length] as Client;
    // Some from the beginning, some from now on, which is the same here, and some over all keys of a prefix.
    const watcher = client.watch(`load/${i % keys}/`, { prefix: true, startRevision: first + 1 });
    watcher.onBatch = ({ events }) => {
      for (const e of events) list.push(`${e.kv?.modRevision} ${utf8Text(e.kv?.key ?? new Uint8Array(0))}`);
    };
    watcher.onEnd = (error) => ended.push(error);
  });
  const lease = await (clients[0] as Client).grantLease(60);
  let lost: Error | undefined;
  const kept = (clients[0] as Client).keepLease(lease.ID, 60);
  kept.onLost = (error) => {
    lost = error;
  };

  let writing = true;
  let written = 0;
  const writers = [direct, clients[1] as Client].map(async (client, w) => {
    for (let n = 0; writing; n++) {
      await client.put(`load/${n % keys}/${w}`, 'x'.repeat(1000), { timeoutMs: 2000 }).then(
        () => written++,
        () => undefined,
      );
      await pause(2);
    }
  });
  const progress = async (): Promise<void> => {
    const goal = written + 30;
    await until('writes to go on', () => written >= goal, 60_000);
  };

  let resident = 0;
  for (let round = 0; round < rounds; round++) {
    await progress();
    await proxy.stop('SIGKILL');
    await pause(100);
    await proxy.start();
    await progress();
    const victim = cluster.members[round % cluster.members.length] as MemberProcess;
    await victim.stop('SIGKILL');
    await progress();
    await victim.start();
    await progress();
    resident = Math.max(resident, proxy.residentBytes);
  }
  writing = false;
  await Promise.all(writers);
  const last = (await direct.get('begin')).header?.revision ?? 0;

  // What happened, as a member itself tells it.
  const truth = Array.from({ length: keys }, () => [] as string[]);
  let reached = 0;
  const history = direct.watch('load/', { prefix: true, startRevision: first + 1 });
  history.onBatch = ({ events, revision }) => {
    for (const e of events) {
      const key = utf8Text(e.kv?.key ?? new Uint8Array(0));
      truth[Number(key.split('/')[1])]?.push(`${e.kv?.modRevision} ${key}`);
      reached = e.kv?.modRevision ?? reached;
    }
    reached = Math.max(reached, events.length === 0 ? revision : 0);
  };
  await until('the whole history', () => {
    if (reached < last) direct.requestWatchProgress();
    return reached >= last;
  });
  expect(truth.flat().length).toBeGreaterThan(rounds * 100);
  await until(
    'every watcher to have the last event',
    () => seen.every((list, i) => list.length >= (truth[i % keys]?.length ?? 0)),
    60_000,
  ).catch(() => undefined);
  seen.forEach((list, i) => expect(list, `watcher ${i}`).toEqual(truth[i % keys]));
  expect(ended).toEqual([]);
  expect(lost).toBeUndefined();
  expect((await direct.leaseTimeToLive(lease.ID)).TTL).toBeGreaterThan(0);
  expect(Math.max(resident, proxy.residentBytes)).toBeLessThan(residentBytesMax);
  kept.stop();
  for (const client of [...clients, direct]) client.close();
});

// F-11: a leader whose disk stalls hands leadership over before anybody has missed it; the cluster serves on, and the old leader follows later.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { connect } from '../../src/client/index.ts';
import { ProcessCluster } from '../support/cluster.ts';
import { freePorts, until } from '../support/member.ts';

let cluster: ProcessCluster;
let control: readonly number[];
beforeAll(async () => {
  control = await freePorts(3);
  cluster = await ProcessCluster.start({
    kinds: ['tsetcd', 'tsetcd', 'tsetcd'],
    envOf: (i) => ({ GOFAIL_HTTP: `127.0.0.1:${control[i]}` }),
  });
});
afterAll(() => cluster?.remove());

it('a leader whose disk stalls hands over', async () => {
  const leader = await cluster.leader();
  const others = cluster.members.filter((m) => m !== leader);
  const point = `http://127.0.0.1:${control[cluster.members.indexOf(leader)]}/walBeforeSync`;
  const set = async (method: string, body?: string): Promise<number> =>
    (await fetch(point, { method, ...(body === undefined ? {} : { body }) })).status;
  const client = connect({ endpoints: others.map((m) => m.endpoint), requestTimeoutMs: 5000 });
  await client.put('before', 'x');
  expect(await set('PUT', 'sleep(600000)')).toBe(204);
  // It takes the write to its log, where it stays.
  await client.put('stalled', 'x').catch(() => undefined);
  await until('the hand-over', () => leader.log.includes('handing leadership over'));
  const next = await until('another leader', async () => {
    for (const m of others) {
      const s = await cluster.client(m).status();
      if (s.leader !== 0n && s.leader === s.header?.memberId) return m;
    }
    return undefined;
  });
  for (let i = 0; i < 20; i++) await client.put(`meanwhile/${i}`, `${i}`);
  expect((await client.get('meanwhile/', { prefix: true })).count).toBe(20);
  expect(next.log).not.toContain('handing leadership over');
  // What slept goes on sleeping: the disk comes back with the process.
  await leader.stop('SIGKILL');
  await leader.start();
  await cluster.converged();
  expect((await cluster.client(leader).get('meanwhile/', { prefix: true })).count).toBe(20);
  client.close();
}, 120_000);

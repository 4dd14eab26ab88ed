// Three members as processes: write anywhere, kill anyone, fall behind, come and go. Short here; longer: TSETCD_KILLS=60 npx vitest run test/robustness/cluster.test.ts
import { connect as dial } from 'node:net';
import { request as httpRequest } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SeededRandom } from '../../src/base/random.ts';
import { Code, connect, EtcdError, rpc } from '../../src/client/index.ts';
import { ProcessCluster } from '../support/cluster.ts';
import { type MemberProcess, until } from '../support/member.ts';
import { History } from './history.ts';

const kills = Number(process.env['TSETCD_KILLS'] ?? 2);
const seed = Number(process.env['TSETCD_SEED'] ?? Date.now() % 1_000_000);
const writers = 6;

describe(`three members (${kills} kills, seed ${seed})`, () => {
  const random = new SeededRandom(seed);
  let cluster: ProcessCluster;
  beforeAll(async () => {
    cluster = await ProcessCluster.start({
      kinds: ['tsetcd', 'tsetcd', 'tsetcd'],
      args: ['--snapshot-count', '300', '--snapshot-catchup-entries', '200', '--feature-gates', 'InitialCorruptCheck=true'],
    });
  }, 60_000);
  afterAll(() => cluster?.remove());

  it('serves writes, reads and leases at each member', async () => {
    for (const [i, m] of cluster.members.entries()) await cluster.client(m).put(`at/${i}`, `${i}`);
    for (const m of cluster.members) expect((await cluster.client(m).get('at/', { prefix: true })).kvs).toHaveLength(3);
    const [a, b, c] = cluster.members.map((m) => cluster.client(m)) as [
      ReturnType<typeof connect>,
      ReturnType<typeof connect>,
      ReturnType<typeof connect>,
    ];
    const { ID } = await a.grantLease(60);
    await b.put('leased', 'x', { lease: ID });
    for (const client of [a, b, c]) {
      expect((await client.keepLeaseOnce(ID)).TTL).toBe(60);
      const info = await client.leaseTimeToLive(ID, { keys: true });
      expect(info.grantedTTL).toBe(60);
      expect(info.keys.map((k) => Buffer.from(k).toString())).toEqual(['leased']);
      expect((await client.leaseTimeToLive(4711n)).TTL).toBe(-1);
    }
    const status = await a.status();
    expect(status.storageVersion).toBe('3.7.0');
  }, 30_000);

  it('moves its leader', async () => {
    const leader = await cluster.leader();
    const other = cluster.members.find((m) => m !== leader) as MemberProcess;
    await cluster.moveLeader(other);
    await cluster.client(leader).put('moved', 'x');
  }, 30_000);

  // Before any other: after a snapshot was sent its sender keeps the log whole for a while.
  it('brings a member that fell behind up by a snapshot', async () => {
    const leader = await cluster.leader();
    const behind = cluster.members.find((m) => m !== leader) as MemberProcess;
    await behind.stop('SIGTERM');
    const client = cluster.client(leader);
    for (let i = 0; i < 4; i++) await Promise.all(Array.from({ length: 200 }, (_, n) => client.put(`behind/${n}`, `${i}`)));
    await behind.start();
    await cluster.converged();
    expect(behind.log).toContain('"msg":"applied snapshot"');
    await cluster.client(behind).put('behind/after', 'x');
    // Once more from its own files.
    await behind.stop('SIGKILL');
    await behind.start();
    await cluster.converged();
  }, 60_000);

  it(
    'keeps every acknowledged write while members are killed',
    async () => {
      const history = new History();
      const first = cluster.client(cluster.member(0));
      const start = ((await first.get('x', { countOnly: true })).header?.revision ?? 0) + 1;
      const client = connect({ endpoints: cluster.members.map((m) => m.endpoint), requestTimeoutMs: 4000 });
      let over = false;
      let acked = 0;
      const problems: string[] = [];
      const write = async (w: number): Promise<void> => {
        for (let n = 0; !over; n++) {
          try {
            const rev = await history.write(client, [{ key: `kill/${w}/${n % 10}`, value: `${w}.${n}` }]);
            if (rev !== undefined) acked++;
          } catch (error) {
            if (!(error instanceof EtcdError) || error.code !== Code.Unknown) throw error;
          }
        }
      };
      /** A linearizable read is never older than what was acknowledged before it began. */
      const read = async (): Promise<void> => {
        while (!over) {
          const floor = history.highest;
          const response = await client.get('kill/0/0').catch(() => undefined);
          const rev = response?.header?.revision;
          if (rev !== undefined && rev < floor) problems.push(`read at ${rev} after ${floor}`);
          await new Promise((r) => setTimeout(r, 5));
        }
      };
      const running = Promise.all([...Array.from({ length: writers }, (_, w) => write(w)), read(), read()]);
      running.catch(() => undefined);
      for (let k = 0; k < kills; k++) {
        const floor = acked + 30;
        await until('some writes', () => acked >= floor);
        const victim = random.float() < 0.5 ? await cluster.leader() : cluster.member(random.u32() % cluster.members.length);
        await victim.stop('SIGKILL');
        const without = acked + 20;
        await until('writes without it', () => acked >= without);
        await victim.start();
      }
      over = true;
      await running;
      client.close();
      expect(problems).toEqual([]);
      await cluster.converged();
      await history.complete(first, start);
      expect(history.changes.size).toBeGreaterThan(kills * 30);
    },
    60_000 + kills * 30_000,
  );

  it('adds a learner, promotes it, removes the leader, replaces a member', async () => {
    const leader = await cluster.leader();
    const follower = cluster.members.find((m) => m !== leader) as MemberProcess;
    const client = cluster.client(follower);
    const joiner = await cluster.joiner('m3', 'tsetcd', async (url) => {
      await until('the members to be connected', () =>
        client.call(rpc.Cluster.memberAdd, { peerURLs: [url], isLearner: true }).then(
          () => true,
          () => false,
        ),
      );
    });
    await joiner.start();
    const learner = await cluster.id(joiner);
    expect((await cluster.client(joiner).status()).isLearner).toBe(true);
    await expect(cluster.client(joiner).put('x', 'y')).rejects.toThrow('rpc not supported for learner');
    await until('the promotion', () =>
      client.call(rpc.Cluster.memberPromote, { ID: learner }).then(
        () => true,
        (e: unknown) => {
          if (!(e instanceof Error) || !e.message.includes('in sync with leader')) throw e;
          return false;
        },
      ),
    );
    // The leader knows of it first.
    await until('the promoted member to take writes', () =>
      cluster
        .client(joiner)
        .put('promoted', 'x')
        .then(
          () => true,
          () => false,
        ),
    );

    // Its own removal ends the leader, in order.
    const gone = await cluster.id(leader);
    await until('the removal', () =>
      client.call(rpc.Cluster.memberRemove, { ID: gone }).then(
        () => true,
        () => false,
      ),
    );
    const exit = await leader.exit;
    expect(exit?.code).toBe(0);
    leader.child = undefined;
    await cluster.leader();
    await client.put('removed', 'x');
    // A removed member that comes back is told so, and stops.
    leader.spawn();
    const again = await leader.exit;
    expect(again?.code).not.toBe(null);
    leader.child = undefined;
    cluster.members.splice(cluster.members.indexOf(leader), 1);

    const replacement = await cluster.joiner('m4', 'tsetcd', async (url) => {
      await until('the members to be connected', () =>
        client.call(rpc.Cluster.memberAdd, { peerURLs: [url] }).then(
          () => true,
          () => false,
        ),
      );
    });
    await replacement.start();
    await cluster.converged();
    expect((await client.members()).map((m) => m.name).sort()).toEqual(cluster.members.map((m) => m.options.name).sort());
  }, 90_000);

  it('S-044: refuses garbage, strangers and wrong ids on the peer port, and serves on', async () => {
    const target = cluster.member(0);
    const port = target.options.peerPort;
    const id = (await cluster.id(target)).toString(16);
    const members = await post(port, 'GET', '/members', {});
    const cid = members.headers['x-etcd-cluster-id'] as string;
    const headers = { 'X-Server-From': 'abc', 'X-Server-Version': '3.7.1', 'X-Min-Cluster-Version': '3.0.0', 'X-Etcd-Cluster-ID': cid };
    const cases: [string, string, Record<string, string>, Buffer | undefined, number, string][] = [
      ['POST', '/raft', {}, Buffer.from('x'), 412, 'incompatible version\n'],
      ['POST', '/raft', { ...headers, 'X-Etcd-Cluster-ID': '1' }, Buffer.from('x'), 412, 'cluster ID mismatch\n'],
      ['POST', '/raft', { ...headers, 'X-Min-Cluster-Version': '3.8.0' }, Buffer.from('x'), 412, 'incompatible version\n'],
      ['POST', '/raft', headers, Buffer.from([0xff, 0xff, 0xff]), 400, 'error unmarshalling raft message\n'],
      ['POST', '/raft', headers, Buffer.from([8, 8, 16, 5]), 403, '{"message":"cannot process message to mismatch member"}'],
      ['GET', '/raft', headers, undefined, 405, 'Method Not Allowed\n'],
      ['GET', '/raft/stream/message/zz', { ...headers, 'X-Raft-To': id }, undefined, 404, 'invalid from\n'],
      ['GET', '/raft/stream/other/1', { ...headers, 'X-Raft-To': id }, undefined, 404, 'invalid path\n'],
      ['GET', '/raft/stream/message/abc', { ...headers, 'X-Raft-To': id }, undefined, 404, 'error sender not found\n'],
      ['POST', '/raft/snapshot', headers, Buffer.from([0, 0, 0, 0, 0, 0, 0, 2, 8, 8]), 400, 'wrong raft message type\n'],
      ['GET', '/health', {}, undefined, 404, '404 page not found\n'],
    ];
    for (const [method, path, h, body, status, text] of cases) {
      const r = await post(port, method, path, h, body);
      expect([method, path, r.status, r.body]).toEqual([method, path, status, text]);
    }
    for (let i = 0; i < 20; i++) {
      const bytes = random.bytes(1 + (random.u32() % 2000));
      await new Promise<void>((resolve) => {
        const socket = dial(port, '127.0.0.1', () => socket.end(bytes));
        socket.on('close', () => resolve());
        socket.on('error', () => resolve());
        socket.resume();
      });
    }
    await cluster.client(target).put('after/garbage', 'x');
    await cluster.converged();
  }, 30_000);
});

function post(
  port: number,
  method: string,
  path: string,
  headers: Record<string, string>,
  body?: Buffer,
): Promise<{ status: number; body: string; headers: Record<string, unknown> }> {
  return new Promise((resolve, reject) => {
    const req = httpRequest({ host: '127.0.0.1', port, method, path, headers, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (d: string) => (text += d));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: text, headers: response.headers }));
    });
    req.on('error', reject);
    req.end(body);
  });
}

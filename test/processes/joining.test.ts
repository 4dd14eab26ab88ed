// A member that joins a cluster of which it is no part any more, against a peer of the test's own: etcd's member dials its streams at once, and ends.
import { createServer, type Server } from 'node:http';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { freePorts, MemberProcess, scratch, until } from '../support/member.ts';

const s = scratch();
let server: Server | undefined;
let member: MemberProcess | undefined;

afterEach(async () => {
  await member?.stop('SIGKILL');
  server?.closeAllConnections();
  server?.close();
  s.remove();
});

it('ends when the cluster has removed it before it ever got anything, in its first life or in the next', async () => {
  const [there = 0, own = 0, clients = 0] = await freePorts(3);
  const url = `http://127.0.0.1:${there}`;
  const dialled = new Set<string>();
  let removed = false;
  let asked = 0;
  server = createServer((request, response) => {
    const path = request.url ?? '';
    response.setHeader('X-Etcd-Cluster-ID', '1234abcd');
    response.setHeader('X-Server-Version', '3.7.1');
    if (path === '/members') {
      asked++;
      const members = [
        { id: 0x1111, peerURLs: [url], name: 'm0', clientURLs: ['http://127.0.0.1:1'] },
        { id: 0x2222, peerURLs: [`http://127.0.0.1:${own}`], name: '' },
      ];
      response.end(JSON.stringify(members));
    } else if (path === '/version') {
      response.end(JSON.stringify({ etcdserver: '3.7.1', etcdcluster: '3.7.0', storage: '3.7.0' }));
    } else if (path.startsWith('/raft/stream/')) {
      dialled.add(path);
      response.statusCode = removed ? 410 : 404;
      response.end(removed ? 'removed member\n' : 'error sender not found\n');
    } else {
      response.statusCode = 404;
      response.end();
    }
  });
  await new Promise<void>((resolve) => server?.listen(there, '127.0.0.1', resolve));
  const joining = (dataDir: string): MemberProcess =>
    new MemberProcess({
      name: 'm1',
      dataDir: join(s.dir, dataDir),
      clientPort: clients,
      peerPort: own,
      initialCluster: `m0=${url},m1=http://127.0.0.1:${own}`,
      args: ['--initial-cluster-state', 'existing'],
    });

  // Not known yet by a member that lags behind: dialled again and again, until it is.
  member = joining('later');
  member.spawn();
  await until('both streams to be dialled', () => dialled.size === 2, 60_000);
  expect([...dialled].sort()).toEqual(['/raft/stream/message/2222', '/raft/stream/msgapp/2222']);
  await member.stop('SIGKILL');
  removed = true;

  // Nothing is in its store that would name a peer.
  dialled.clear();
  member.spawn();
  expect(await member.exit).toEqual({ code: 0, signal: null });
  expect(member.log).toContain('permanently removed from the cluster');
  expect(dialled.size).toBeGreaterThan(0);
  expect(asked).toBe(2);

  member = joining('at once');
  member.spawn();
  expect(await member.exit).toEqual({ code: 0, signal: null });
  expect(member.log).toContain('permanently removed from the cluster');
}, 150_000);

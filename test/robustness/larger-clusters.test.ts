// Five and seven members, two peer URLs each: any minority may be away. And members that do not belong: one of another cluster in a member's place.
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { connect, rpc, type Client } from '../../src/client/index.ts';
import { freePorts, MemberProcess, scratch, until } from '../support/member.ts';

const place = scratch();
let members: MemberProcess[] = [];
const clients: Client[] = [];

const peerUrl = (port: number): string => `http://127.0.0.1:${port}`;

/** Members `m0` to `m<n-1>`, each listening on two ports for the others. */
async function start(name: string, n: number): Promise<void> {
  const ports = await freePorts(3 * n);
  const of = (i: number): { client: number; peers: [number, number] } => ({
    client: ports[3 * i] ?? 0,
    peers: [ports[3 * i + 1] ?? 0, ports[3 * i + 2] ?? 0],
  });
  const initialCluster = Array.from({ length: n }, (_, i) =>
    of(i)
      .peers.map((p) => `m${i}=${peerUrl(p)}`)
      .join(','),
  ).join(',');
  members = Array.from({ length: n }, (_, i) => {
    const { client, peers } = of(i);
    const urls = peers.map(peerUrl).join(',');
    return new MemberProcess({
      name: `m${i}`,
      dataDir: join(place.dir, `${name}-m${i}`),
      clientPort: client,
      peerPort: peers[0],
      initialCluster,
      args: ['--listen-peer-urls', urls, '--initial-advertise-peer-urls', urls],
    });
  });
  for (const m of members) m.spawn();
  for (const m of members) await m.ready();
}

function clientOf(...of: readonly MemberProcess[]): Client {
  const client = connect({ endpoints: of.map((m) => m.endpoint), requestTimeoutMs: 8000 });
  clients.push(client);
  return client;
}

async function leaderOf(among: readonly MemberProcess[]): Promise<MemberProcess> {
  return until('a leader', async () => {
    for (const m of among) {
      const s = await clientOf(m)
        .call(rpc.Maintenance.status, {}, { timeoutMs: 2000 })
        .catch(() => undefined);
      if (s !== undefined && s.leader !== 0n && s.leader === s.header?.memberId) return m;
    }
    return undefined;
  });
}

async function sameHashes(): Promise<void> {
  await until('equal hashes', async () => {
    const all = await Promise.all(
      members.map((m) =>
        clientOf(m)
          .call(rpc.Maintenance.hashKV, { revision: 0 }, { timeoutMs: 5000 })
          .catch(() => undefined),
      ),
    );
    return all[0] !== undefined && new Set(all.map((r) => `${r?.hash} ${r?.hashRevision}`)).size === 1;
  });
}

afterEach(async () => {
  for (const c of clients.splice(0)) c.close();
  await Promise.all(members.map((m) => m.stop('SIGKILL')));
  place.remove();
});

/** Seven: TSETCD_MEMBERS=7 npm test larger-clusters */
describe.each([Number(process.env['TSETCD_MEMBERS'] ?? 5)])('%d members', (n) => {
  it('serve while a minority is away, and refuse when a majority is', async () => {
    await start(`of${n}`, n);
    const client = clientOf(...members);
    for (let i = 0; i < 20; i++) await client.put(`k${i}`, `${i}`);
    expect((await client.members()).every((m) => m.peerURLs.length === 2)).toBe(true);
    const leader = await leaderOf(members);
    const minority = (n - 1) / 2;
    const gone = [leader, ...members.filter((m) => m !== leader)].slice(0, minority);
    const rest = members.filter((m) => !gone.includes(m));
    for (const m of gone) await m.stop('SIGKILL');
    await leaderOf(rest);
    await until('a write without them', () =>
      client.put('without', 'them', { timeoutMs: 3000 }).then(
        () => true,
        () => false,
      ),
    );
    expect((await client.get('k', { prefix: true })).kvs).toHaveLength(20);
    // One more, and there is no quorum.
    const last = rest[0] as MemberProcess;
    await last.stop('SIGKILL');
    const survivor = clientOf(rest[1] as MemberProcess);
    await expect(survivor.put('x', 'y', { timeoutMs: 1500 })).rejects.toThrow();
    await expect(survivor.get('k1', { timeoutMs: 1500 })).rejects.toThrow();
    expect((await survivor.get('k1', { serializable: true })).kvs).toHaveLength(1);
    for (const m of [...gone, last]) m.spawn();
    for (const m of members) await m.ready();
    await client.put('all', 'back');
    await sameHashes();
    await stranger();
  }, 120_000);
});

/** A member of another cluster takes the place of one: the others want nothing of it, and it gets nowhere. */
async function stranger(): Promise<void> {
  const out = members.at(-1) as MemberProcess;
  const rest = members.slice(0, -1);
  await out.stop('SIGTERM');
  const stray = new MemberProcess({
    ...out.options,
    dataDir: join(place.dir, 'stray'),
    args: [...(out.options.args ?? []), '--initial-cluster-token', 'another', '--initial-election-tick-advance=false'],
  });
  stray.spawn();
  const client = clientOf(...rest);
  try {
    await until(
      'the refusal on both sides',
      () => stray.log.includes('cluster ID mismatch') && rest.some((m) => m.log.includes('cluster ID mismatch')),
    );
    for (let i = 0; i < 20; i++) await client.put(`beside/${i}`, `${i}`);
    await expect(clientOf(stray).put('x', 'y', { timeoutMs: 1000 })).rejects.toThrow();
  } finally {
    await stray.stop('SIGKILL');
  }
  await out.start();
  await client.put('right', 'one');
  await sameHashes();
}

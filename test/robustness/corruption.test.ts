// One member's store is changed behind its back. The checks find it (F-10): at its start, now and then, and after a compaction; then the CORRUPT
// alarm names that member, and writes are refused until an operator has dealt with it.
import { afterEach, describe, expect, it } from 'vitest';
import { rpc } from '../../src/client/index.ts';
import { corruptStore } from '../support/corrupt-store.ts';
import { ProcessCluster } from '../support/cluster.ts';
import { type MemberProcess, until } from '../support/member.ts';

let cluster: ProcessCluster;
let victim: MemberProcess;
let victimId: bigint;

/** Three members with the same content; one that does not lead is stopped and has another value of `k` than the others. */
async function begin(args: readonly string[]): Promise<void> {
  cluster = await ProcessCluster.start({ kinds: ['tsetcd', 'tsetcd', 'tsetcd'], args });
  const client = cluster.client(cluster.member(0));
  for (let i = 0; i < 30; i++) await client.put(`other/${i}`, `${i}`);
  await client.put('k', 'right');
  await cluster.converged();
  const leader = await cluster.leader();
  victim = cluster.members.find((m) => m !== leader) as MemberProcess;
  victimId = await cluster.id(victim);
  await victim.stop('SIGTERM');
  expect(await corruptStore(victim.options.dataDir, 'k', 'wrong')).toBe(1);
}

async function alarmed(): Promise<void> {
  await until('the alarm', async () => {
    const alarms = await cluster.client(victim).alarms();
    return alarms.some((a) => a.alarm === 'CORRUPT' && a.memberId === victimId);
  });
  for (const m of cluster.members) {
    const client = cluster.client(m);
    await until('the refusal at each member', () =>
      client.put('k', 'x').then(
        () => false,
        (e: unknown) => e instanceof Error && e.message.includes('etcdserver: corrupt cluster'),
      ),
    );
    // Reads go on, as etcd's do.
    await client.get('k', { serializable: true });
  }
  const health = await fetch(`${victim.url}/health`);
  expect([health.status, ((await health.json()) as { health: string }).health]).toEqual([503, 'false']);
}

/** Stop, throw the data away, and join anew: what the manual says. */
async function mend(): Promise<void> {
  const other = cluster.client(cluster.members.find((m) => m !== victim) as MemberProcess);
  await until('the removal', () =>
    other.call(rpc.Cluster.memberRemove, { ID: victimId }).then(
      () => true,
      () => false,
    ),
  );
  await victim.exit;
  victim.child = undefined;
  cluster.members.splice(cluster.members.indexOf(victim), 1);
  // Only now: the check would raise it again.
  await other.call(rpc.Maintenance.alarm, { action: 2, memberID: victimId, alarm: 2 });
  const joiner = await cluster.joiner('again', 'tsetcd', async (url) => {
    await until('the members to be connected', () =>
      other.call(rpc.Cluster.memberAdd, { peerURLs: [url] }).then(
        () => true,
        () => false,
      ),
    );
  });
  await joiner.start();
  await cluster.converged();
  expect(await cluster.client(joiner).getText('k')).toBe('right');
}

describe('a member that holds something else', () => {
  afterEach(() => cluster.remove());

  it('is told by the check at its start, and does not serve', async () => {
    await begin(['--feature-gates', 'InitialCorruptCheck=true']);
    victim.spawn();
    const exit = await victim.exit;
    victim.child = undefined;
    expect(exit?.code).not.toBe(0);
    expect(victim.log).toContain('found different hash values from remote peer');
    expect(victim.log).toContain('found data inconsistency with peers');
    await cluster.client(await cluster.leader()).put('k', 'the others serve on');
    // Its own data back in place of the wrong one it starts.
    expect(await corruptStore(victim.options.dataDir, 'k', 'right')).toBe(1);
    await victim.start();
    await cluster.converged();
  }, 180_000);

  it('is named by the periodic check', async () => {
    await begin(['--corrupt-check-time', '1s']);
    await victim.start();
    await alarmed();
    expect((await cluster.leader()).log).toContain('same compact revision then hashes must match');
    await mend();
  }, 180_000);

  it('is named by the check of compactions', async () => {
    await begin(['--feature-gates', 'CompactHashCheck=true', '--compact-hash-check-time', '1s']);
    await victim.start();
    const leader = cluster.client(await cluster.leader());
    const { header } = await leader.put('after', 'x');
    await leader.compact(header?.revision ?? 0, { physical: true });
    await alarmed();
    expect((await cluster.leader()).log).toContain('Detected compaction hash mismatch');
  }, 180_000);
});

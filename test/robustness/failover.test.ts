// What a client sees of a cluster that loses members: endpoints that are away, a request under way when its member dies, streams that go on elsewhere;
// the control tool beside a real etcdctl where that is installed.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Code, connect, EtcdError, rpc } from '../../src/client/index.ts';
import { ProcessCluster } from '../support/cluster.ts';
import { freePorts, httpGet, type MemberProcess, program, reference, run, until } from '../support/member.ts';

describe('a client of three members', () => {
  let cluster: ProcessCluster;
  let dead: string;
  beforeAll(async () => {
    cluster = await ProcessCluster.start({ kinds: ['tsetcd', 'tsetcd', 'tsetcd'] });
    const [port] = await freePorts(1);
    dead = `127.0.0.1:${port}`;
  });
  afterAll(() => cluster?.remove());

  const tool = (args: readonly string[]): ReturnType<typeof run> => run(process.execPath, [program, ...args]);

  it('waits for no endpoint that is away while another serves', async () => {
    const client = connect({ endpoints: [dead, cluster.member(0).endpoint], connectTimeoutMs: 20_000 });
    const began = performance.now();
    for (let i = 0; i < 4; i++) await client.put('k', `${i}`);
    const watcher = client.watch('k');
    await until('the watch', () => watcher.id >= 0);
    // Far below the time to connect.
    expect(performance.now() - began).toBeLessThan(10_000);
    client.close();
    const r = await tool(['--dial-timeout=20s', `--endpoints=${dead},${cluster.member(1).endpoint}`, 'get', 'k', '--print-value-only']);
    expect([r.code, r.stdout]).toEqual([0, '3\n']);
    expect(performance.now() - began).toBeLessThan(18_000);
  }, 120_000);

  it('says what fails when all are away', async () => {
    const r = await tool(['--command-timeout=1s', `--endpoints=${dead}`, 'get', 'k']);
    expect([r.code, r.stdout]).toEqual([1, '']);
    expect(r.stderr).toContain('Error: context deadline exceeded');
    const client = connect({ endpoints: [dead], connectTimeoutMs: 200 });
    await expect(client.put('k', 'v', { timeoutMs: 500 })).rejects.toMatchObject({ code: Code.DeadlineExceeded });
    client.close();
  }, 120_000);

  it('learns of the others', async () => {
    const client = connect({ endpoints: [cluster.member(0).endpoint] });
    await client.sync();
    expect([...client.endpoints].sort()).toEqual(cluster.members.map((m) => m.url).sort());
    await client.put('k', 'v');
    client.close();
  });

  it('asks every member with --cluster, as etcdctl does', async () => {
    const etcdctl = reference('etcdctl');
    const leader = await cluster.leader();
    const away = cluster.members.find((m) => m !== leader) as MemberProcess;
    const asked = leader.endpoint;
    for (const lost of [false, true]) {
      if (lost) await away.stop('SIGKILL');
      for (const command of [
        ['endpoint', 'health', '--cluster', '-w', 'json', '--command-timeout=2s'],
        ['endpoint', 'status', '--cluster', '-w', 'json', '--command-timeout=2s'],
        ['endpoint', 'hashkv', '--cluster', '-w', 'json', '--command-timeout=2s'],
      ]) {
        const shape = (out: string): unknown =>
          (out.trim() === '' ? [] : (JSON.parse(out) as { endpoint?: string; Endpoint?: string; health?: boolean }[]))
            .map((e) => `${e.endpoint ?? e.Endpoint} ${e.health ?? ''}`)
            .sort();
        const ours = await tool([`--endpoints=${asked}`, ...command]);
        if (!lost) expect(shape(ours.stdout)).toHaveLength(3);
        expect(ours.code === 0).toBe(!lost);
        if (etcdctl === undefined) continue;
        const theirs = await run(etcdctl, [`--endpoints=${asked}`, ...command]);
        expect([command[1], ours.code, shape(ours.stdout)]).toEqual([command[1], theirs.code, shape(theirs.stdout)]);
      }
    }
    await away.start();
  }, 180_000);

  it('is told at once when the member dies that has its request, and nothing is done twice', async () => {
    const leader = await cluster.leader();
    const followers = cluster.members.filter((m) => m !== leader);
    const client = connect({ endpoints: [leader.endpoint, ...followers.map((m) => m.endpoint)] });
    const pinned = connect({ endpoints: [leader.endpoint] });
    const watcher = client.watch('during', { prefix: true });
    const seen: string[] = [];
    watcher.onBatch = (batch) => {
      for (const e of batch.events) seen.push(Buffer.from(e.kv!.key).toString());
    };
    await until('the watch', () => watcher.id >= 0);
    await pinned.get('k');
    const before = await startedPuts(leader);
    // Without the others it can only wait.
    for (const m of followers) m.child?.kill('SIGSTOP');
    const etcdctl = reference('etcdctl');
    const [ours, theirs] = [[process.execPath, program], etcdctl === undefined ? undefined : [etcdctl]].map((command, i) =>
      command === undefined
        ? undefined
        : run(command[0] ?? '', [
            ...command.slice(1),
            `--endpoints=${leader.endpoint}`,
            '--command-timeout=20s',
            'put',
            `during/2${i}`,
            'v',
          ]),
    );
    const tools = etcdctl === undefined ? 1 : 2;
    await until('the requests of the tools', async () => (await startedPuts(leader)) >= before + tools);
    const put = pinned.put('during/1', 'v').then(
      () => undefined,
      (e: unknown) => e,
    );
    const read = pinned.get('k', { timeoutMs: 20_000 }).then(
      () => undefined,
      (e: unknown) => e,
    );
    await until('the requests', async () => (await startedPuts(leader)) > before + tools);
    await leader.stop('SIGKILL');
    const error = await put;
    expect(error).toBeInstanceOf(EtcdError);
    expect([(error as EtcdError).code, (error as EtcdError).unsent]).toEqual([Code.Unavailable, false]);
    expect((error as EtcdError).message).toBe('error reading from server: EOF');
    for (const m of followers) m.child?.kill('SIGCONT');
    const [mine, real] = [await ours, await theirs];
    expect([mine?.code, mine?.stdout]).toEqual([1, '']);
    // A tool that was slow to start next to the other may have been told of the time-out before.
    const told = /Error: (rpc error: code = Unavailable desc = |etcdserver: request timed out)/;
    expect(mine?.stderr).toMatch(told);
    if (real !== undefined) {
      expect([real.code, real.stdout]).toEqual([mine?.code, mine?.stdout]);
      expect(real.stderr).toMatch(told);
    }
    // The read is tried again until somebody is there.
    await leader.start();
    expect(await read).toBe(undefined);
    await client.put('during/3', 'v');
    await until('the event that came after', () => seen.includes('during/3'));
    expect(new Set(seen).size).toBe(seen.length);
    const { count } = await client.get('during', { prefix: true, countOnly: true });
    expect(count).toBe(seen.length);
    client.close();
    pinned.close();
  }, 180_000);

  it('keeps its lease while members come and go', async () => {
    const client = connect({ endpoints: cluster.members.map((m) => m.endpoint) });
    const { ID } = await client.grantLease(15);
    const kept = client.keepLease(ID, 15);
    await client.put('leased', 'x', { lease: ID });
    const leader = await cluster.leader();
    await leader.stop('SIGKILL');
    await cluster.leader();
    await until('a renewal by the next leader', async () => {
      const { TTL } = await client.call(rpc.Lease.leaseTimeToLive, { ID }, { timeoutMs: 3000 }).catch(() => ({ TTL: 0 }));
      return TTL > 10;
    });
    await new Promise((resolve) => setTimeout(resolve, 3000));
    expect(await client.getText('leased')).toBe('x');
    kept.stop();
    client.close();
    await leader.start();
  }, 120_000);
});

/** Puts that have reached a member. */
async function startedPuts(member: MemberProcess): Promise<number> {
  const { body } = await httpGet(`${member.url}/metrics`, 10_000);
  return Number(/^grpc_server_started_total\{[^}]*grpc_method="Put"[^}]*\} (\d+)$/m.exec(body)?.[1] ?? 0);
}

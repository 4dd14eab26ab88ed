// Members that find each other, and clients that find members: by SRV records of a DNS server of our own, and by a registry in another cluster.
import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { connect } from '../../src/client/index.ts';
import { startMember } from '../../src/server/embed.ts';
import { DnsServer } from '../support/dns.ts';
import { freePorts, MemberProcess, program, run, scratch, until } from '../support/member.ts';

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

function place(): string {
  const { dir, remove } = scratch();
  ends.push(remove);
  return dir;
}

/** Members that are not told of each other. */
async function strangers(
  n: number,
  argsOf: (i: number) => readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<MemberProcess[]> {
  const dir = place();
  const ports = await freePorts(2 * n);
  const members = Array.from({ length: n }, (_, i) => {
    const [clientPort = 0, peerPort = 0] = ports.slice(2 * i);
    return new MemberProcess({
      name: `m${i}`,
      dataDir: join(dir, `m${i}`),
      clientPort,
      peerPort,
      initialCluster: '',
      args: argsOf(i),
      env,
    });
  });
  ends.push(() => Promise.all(members.map((m) => m.stop('SIGKILL'))));
  return members;
}

async function namesOf(member: MemberProcess): Promise<string[]> {
  const client = connect(member.endpoint);
  try {
    return (await client.members()).map((m) => m.name).sort();
  } finally {
    client.close();
  }
}

/** A proxy as a process, until it says that it is ready. */
async function proxy(args: readonly string[], ready: string, env: Readonly<Record<string, string>>): Promise<void> {
  const log = join(place(), 'log');
  const fd = openSync(log, 'a');
  const child = spawn(process.execPath, [program, ...args], { stdio: ['ignore', fd, fd], env: { ...process.env, ...env } });
  closeSync(fd);
  const exit = new Promise((resolve) => child.once('exit', resolve));
  ends.push(() => {
    child.kill('SIGKILL');
    return exit;
  });
  await until(ready, () => readFileSync(log, 'utf8').includes(ready));
}

describe('SRV records', () => {
  it('lead members to each other, and clients and proxies to members', async () => {
    const dns = await DnsServer.start();
    ends.push(() => dns.close());
    const env = { TSETCD_DNS_SERVERS: dns.address };
    const members = await strangers(2, () => ['--discovery-srv', 'cluster.test', '--discovery-srv-name', 'blue'], env);
    // By a name, where the members know themselves by an address: all of them must spell it in one way all the same.
    dns.records.set(
      '_etcd-server-blue._tcp.cluster.test',
      members.map((m) => ({ target: 'localhost', port: m.options.peerPort })),
    );
    dns.records.set(
      '_etcd-client._tcp.cluster.test',
      members.map((m) => ({ target: '127.0.0.1', port: m.options.clientPort, priority: 1, weight: 10 })),
    );
    for (const m of members) m.spawn();
    await Promise.all(members.map((m) => m.ready()));
    expect(await namesOf(members[0] as MemberProcess)).toEqual(['m0', 'm1']);

    const found = await run(process.execPath, [program, '--discovery-srv', 'cluster.test', 'put', 'a', '1'], { env });
    expect([found.stdout, found.code]).toEqual(['OK\n', 0]);
    const none = await run(process.execPath, [program, '--discovery-srv', 'other.test', 'get', 'a'], { env });
    expect(none.code).toBe(1);
    expect(none.stderr).toContain(`lookup _etcd-client._tcp.other.test on ${dns.address}: no such host`);

    const [gatewayPort, proxyPort] = await freePorts(2);
    const flags = ['--discovery-srv', 'cluster.test', '--insecure-discovery'];
    await proxy(['gateway', 'start', ...flags, `--listen-addr=127.0.0.1:${gatewayPort}`], 'ready to proxy client requests', env);
    await proxy(['grpc-proxy', 'start', ...flags, `--listen-addr=127.0.0.1:${proxyPort}`], 'started gRPC proxy', env);
    for (const port of [gatewayPort, proxyPort]) {
      const client = connect(`127.0.0.1:${port}`);
      ends.push(() => client.close());
      expect(await client.getText('a')).toBe('1');
    }
    // A restart asks nobody: the member knows its cluster.
    const [first] = members as [MemberProcess];
    dns.records.clear();
    await first.stop('SIGKILL');
    await first.start();
    expect(await namesOf(first)).toEqual(['m0', 'm1']);
  });

  it('that name other members keep a member from starting', async () => {
    const dns = await DnsServer.start();
    ends.push(() => dns.close());
    dns.records.set('_etcd-server._tcp.cluster.test', [{ target: '127.0.0.1', port: 1 }]);
    const [member] = await strangers(1, () => ['--discovery-srv', 'cluster.test'], { TSETCD_DNS_SERVERS: dns.address });
    member?.spawn();
    expect(await member?.exit).toEqual({ code: 1, signal: null });
    expect(member?.log).toContain('cannot find local etcd member \\"m0\\" in SRV records');
  });
});

describe('a registry', () => {
  const prefix = '/_etcd/registry/token-1';

  it('brings as many members together as it was told, and refuses the next', async () => {
    const registry = await startMember({ listen: true });
    ends.push(() => registry.close());
    await registry.client.put(`${prefix}/_config/size`, '3');
    const endpoints = registry.endpoints.join(',');
    const members = await strangers(4, () => ['--discovery-token', 'token-1', '--discovery-endpoints', endpoints]);
    const late = members.pop() as MemberProcess;
    for (const m of members) m.spawn();
    await Promise.all(members.map((m) => m.ready()));
    expect(await namesOf(members[2] as MemberProcess)).toEqual(['m0', 'm1', 'm2']);
    expect((await registry.client.get(`${prefix}/members/`, { prefix: true })).count).toBe(3);
    late.spawn();
    expect(await late.exit).toEqual({ code: 1, signal: null });
    expect(late.log).toContain('failed to join discovery cluster (discovery: cluster is full)');
    expect(late.log).toContain('do not reuse discovery token; generate a new one to bootstrap a cluster');
  });

  it('without a size, or with a bad one, refuses', async () => {
    const registry = await startMember({ listen: true });
    ends.push(() => registry.close());
    const endpoints = registry.endpoints.join(',');
    const args = ['--discovery-token', 'token-1', '--discovery-endpoints', endpoints];
    const [first, second] = (await strangers(2, () => args)) as [MemberProcess, MemberProcess];
    first.spawn();
    expect((await first.exit)?.code).toBe(1);
    expect(first.log).toContain('discovery: size key not found');
    await registry.client.put(`${prefix}/_config/size`, 'three');
    second.spawn();
    expect((await second.exit)?.code).toBe(1);
    expect(second.log).toContain('discovery: size key is bad');
  });
});

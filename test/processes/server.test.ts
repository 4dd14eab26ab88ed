// The program `tsetcd server` as its operators meet it: signals, exit codes, what it refuses, what it logs.
import { spawn, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connect, rpc } from '../../src/client/index.ts';
import { freePorts, httpGet, oneMember, program, scratch, until } from '../support/member.ts';

type One = Awaited<ReturnType<typeof oneMember>>;

/** Runs the server to its end; for starts that must fail. */
const refused = async (
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<{ code: number | null; stderr: string }> => {
  const [client, peer] = await freePorts(2);
  const urls = args.includes('--listen-client-urls')
    ? []
    : [
        `--listen-client-urls=http://127.0.0.1:${client}`,
        `--advertise-client-urls=http://127.0.0.1:${client}`,
        `--listen-peer-urls=http://127.0.0.1:${peer}`,
      ];
  const r = spawnSync(program, ['server', ...urls, ...args], { encoding: 'utf8', timeout: 20_000, env: { ...process.env, ...env } });
  return { code: r.status, stderr: r.stderr };
};

const lastMessage = (stderr: string): { level: string; msg: string; error: string } =>
  JSON.parse(stderr.trim().split('\n').at(-1)!) as { level: string; msg: string; error: string };

describe('a start that cannot be', () => {
  const s = scratch();
  afterAll(() => s.remove());

  it('ends with 2 and the usage for a bad command line, with 1 for bad values', async () => {
    const bad = await refused(['--bogus']);
    expect(bad.code).toBe(2);
    expect(bad.stderr).toContain('flag provided but not defined: -bogus\nUsage:');
    const values = await refused(['--election-timeout=200']);
    expect(values.code).toBe(1);
    expect(lastMessage(values.stderr)).toMatchObject({ msg: 'failed to verify flags' });
    const clash = await refused(['--name=a'], { ETCD_NAME: 'a' });
    expect(clash.code).toBe(1);
    expect(lastMessage(clash.stderr)).toMatchObject({ level: 'fatal', msg: expect.stringContaining('conflicting environment variable') });
  });

  it('touches no data when the port is taken', async () => {
    const [client, peer] = await freePorts(2);
    const { createServer } = await import('node:net');
    const holder = createServer();
    await new Promise<void>((resolve) => holder.listen(client, '127.0.0.1', resolve));
    const dir = join(s.dir, 'port');
    const r = await refused([
      `--data-dir=${dir}`,
      '--listen-client-urls',
      `http://127.0.0.1:${client}`,
      `--advertise-client-urls=http://127.0.0.1:${client}`,
      `--listen-peer-urls=http://127.0.0.1:${peer}`,
    ]);
    holder.close();
    expect(r.code).toBe(1);
    expect(lastMessage(r.stderr).error).toBe(`listen tcp 127.0.0.1:${client}: bind: address already in use`);
    expect(() => readFileSync(dir)).toThrow(/ENOENT/);
  });

  it('refuses a bbolt file that it did not leave with 20 and says what to do', async () => {
    const dir = join(s.dir, 'bbolt');
    mkdirSync(join(dir, 'member/snap'), { recursive: true, mode: 0o700 });
    writeFileSync(join(dir, 'member/snap/db'), Buffer.alloc(16384));
    const r = await refused([`--data-dir=${dir}`]);
    expect(r.code).toBe(20);
    expect(lastMessage(r.stderr).error).toContain('migrate-from-etcd');
    expect(readFileSync(join(dir, 'member/snap/db'))).toHaveLength(16384);
  });
});

it('lowers the version of cluster and store for a downgrade, and raises it when that is cancelled', async () => {
  const member = await oneMember();
  const client = connect({ endpoints: [member.endpoint] });
  const version = async (): Promise<unknown> => JSON.parse((await httpGet(`${member.url}/version`)).body);
  const of = (v: string): object => ({ etcdserver: '3.7.1', etcdcluster: v, storage: v });
  try {
    await until('the version', async () => JSON.stringify(await version()) === JSON.stringify(of('3.7.0')), 60_000);
    await client.call(rpc.Maintenance.downgrade, { action: 1, version: '3.6.7' });
    await until('the lower version', async () => JSON.stringify(await version()) === JSON.stringify(of('3.6.0')), 60_000);
    expect((await client.status()).downgradeInfo).toMatchObject({ enabled: true, targetVersion: '3.6.0' });
    await client.call(rpc.Maintenance.downgrade, { action: 2 });
    await until('the version again', async () => JSON.stringify(await version()) === JSON.stringify(of('3.7.0')), 60_000);
  } finally {
    client.close();
    await member.remove();
  }
});

it("called etcd, takes over a directory that was etcd's from the first, as a newer etcd does", async () => {
  const s = scratch();
  const link = join(s.dir, 'etcd');
  symlinkSync(program, link);
  const member = await oneMember({ link, env: { GODEBUG: 'gctrace=0,http2debug=2' } });
  try {
    const client = connect({ endpoints: [member.endpoint] });
    const { header } = await client.put('k', 'v');
    client.close();
    // Asked for like that, the header fields of requests are written as a Go program writes them.
    expect(member.log).toContain(` http2: decoded hpack field header field ":authority" = "${member.endpoint}"\n`);
    await member.stop();
    // What is left without these is what an etcd leaves.
    const snap = join(member.options.dataDir, 'member/snap');
    rmSync(join(snap, 'db.store'), { recursive: true });
    rmSync(join(snap, 'db.exported'));
    const before = readFileSync(join(snap, 'db'));
    const r = await refused([`--data-dir=${member.options.dataDir}`]);
    expect(r.code).toBe(20);
    expect(readFileSync(join(snap, 'db')).equals(before)).toBe(true);

    await member.start();
    expect(member.log).toContain('took over the bbolt file of an etcd');
    const again = connect({ endpoints: [member.endpoint] });
    const got = await again.get('k');
    expect(got.kvs.map((kv) => kv.modRevision)).toEqual([header?.revision]);
    again.close();
    // And leaves one again.
    await member.stop();
    expect(readFileSync(join(snap, 'db')).length).toBeGreaterThan(0);
  } finally {
    await member.remove();
    s.remove();
  }
});

it('starts from a config file alone, on two client ports, with its log in two places', async () => {
  const s = scratch();
  const [first, second, peer] = await freePorts(3);
  const log = join(s.dir, 'log.txt');
  writeFileSync(
    join(s.dir, 'c.yml'),
    `name: cfg
data-dir: ${join(s.dir, 'd')}
listen-client-urls: http://127.0.0.1:${first},http://127.0.0.1:${second}
advertise-client-urls: http://127.0.0.1:${first}
listen-peer-urls: http://127.0.0.1:${peer}
unsafe-no-fsync: true
log-outputs: [stdout, ${log}]
log-format: console
snapshot-count: 5
`,
  );
  const child = spawn(program, ['server', '--config-file', join(s.dir, 'c.yml'), '--name', 'ignored'], { stdio: 'ignore' });
  try {
    await until('the member', () =>
      httpGet(`http://127.0.0.1:${second}/health`).then(
        (r) => r.status === 200,
        () => false,
      ),
    );
    const client = connect({ endpoints: [`127.0.0.1:${first}`] });
    for (let i = 0; i < 30; i++) await client.put('k', String(i));
    await client.close();
    await until('a raft snapshot', () => readFileSync(log, 'utf8').includes('saved snapshot to disk'));
    expect(readFileSync(log, 'utf8')).toMatch(/\tinfo\t[^\t]+\tready to serve client requests\n/);
  } finally {
    child.kill('SIGKILL');
    s.remove();
  }
});

describe('a member', () => {
  let member: One;
  const s = scratch();
  beforeAll(async () => {
    member = await oneMember({});
    const client = connect({ endpoints: [member.endpoint] });
    for (let i = 0; i < 20; i++) await client.put(`k${i}`, 'v');
    await client.close();
  });
  afterAll(async () => {
    await member.remove();
    s.remove();
  });

  it('answers probes, version and metrics', async () => {
    expect(await httpGet(`http://${member.endpoint}/health`)).toEqual({ status: 200, body: '{"health":"true","reason":""}' });
    expect((await httpGet(`http://${member.endpoint}/livez?verbose`)).body).toBe('[+]serializable_read ok\nok\n');
    const ready = await httpGet(`http://${member.endpoint}/readyz?verbose`);
    for (const check of ['data_corruption', 'serializable_read', 'linearizable_read', 'non_learner'])
      expect(ready.body).toContain(`[+]${check} ok\n`);
    expect((await httpGet(`http://${member.endpoint}/readyz/nope`)).status).toBe(404);
    expect(JSON.parse((await httpGet(`http://${member.endpoint}/version`)).body)).toEqual({
      etcdserver: '3.7.1',
      etcdcluster: '3.7.0',
      storage: '3.7.0',
    });
    const metrics = (await httpGet(`http://${member.endpoint}/metrics`)).body;
    expect(metrics).toMatch(/^etcd_mvcc_put_total 20$/m);
    expect(metrics).toMatch(/^etcd_server_apply_duration_seconds_count\{op="Put",success="true",version="v3"\} 20$/m);
    expect(metrics).toMatch(
      /^grpc_server_handled_total\{grpc_code="OK",grpc_method="Put",grpc_service="etcdserverpb.KV",grpc_type="unary"\} 20$/m,
    );
    expect((await httpGet(`http://${member.endpoint}/nope`)).body).toBe('404 page not found\n');
  });

  it('keeps a second process off its data directory', async () => {
    const r = await refused([`--data-dir=${member.options.dataDir}`]);
    expect(r.code).toBe(1);
    expect(lastMessage(r.stderr).error).toContain('in use by another process');
  });

  it.each([
    ['SIGTERM', 'terminated'],
    ['SIGINT', 'interrupt'],
  ] as const)('stops in order on %s and ends by that signal', async (signal, word) => {
    member.child!.kill(signal);
    expect(await member.exit).toEqual({ code: null, signal });
    const log = readFileSync(member.logFile, 'utf8').trim().split('\n');
    expect(JSON.parse(log.at(-1)!)).toMatchObject({ level: 'info', msg: 'closed etcd server' });
    expect(log.some((l) => l.includes(`"msg":"received signal; shutting down","signal":"${word}"`))).toBe(true);
    for (const line of log)
      expect(JSON.parse(line)).toMatchObject({ level: expect.any(String), ts: expect.any(String), caller: expect.any(String) });
    await member.start();
  });

  it('refuses damaged data with 20, and names the place', async () => {
    await member.stop();
    const damaged = join(s.dir, 'damaged');
    cpSync(member.options.dataDir, damaged, { recursive: true });
    const wal = join(damaged, 'member/wal/0000000000000000-0000000000000000.wal');
    const bytes = readFileSync(wal);
    bytes[300]! ^= 1;
    writeFileSync(wal, bytes);
    const r = await refused([`--data-dir=${damaged}`]);
    expect(r.code).toBe(20);
    expect(lastMessage(r.stderr)).toMatchObject({ level: 'fatal', error: expect.stringMatching(/\.wal, offset \d+, record \d+/) });

    const short = join(s.dir, 'short');
    cpSync(member.options.dataDir, short, { recursive: true });
    rmSync(join(short, 'member/wal'), { recursive: true });
    const gone = await refused([`--data-dir=${short}`]);
    expect(gone.code).toBe(20);
    expect(lastMessage(gone.stderr).error).toContain('acknowledged writes would be lost');
    await member.start();
  });
});

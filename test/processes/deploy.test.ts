// What `deploy/` holds and what starts a cluster for trying out: each works as it is.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, it, vi } from 'vitest';
import { parse } from 'yaml';
import { flagTable } from '../../src/server/config/flag-table.ts';
import { freePorts, MemberProcess, program, run, scratch, top, until } from '../support/member.ts';

vi.setConfig({ testTimeout: 180_000 });

const place = scratch();
afterAll(() => place.remove());
const has = (tool: string, ...args: string[]): boolean => spawnSync(tool, args).status === 0;
const deploy = (name: string): string => readFileSync(join(top, 'deploy', name), 'utf8');

it.runIf(has('systemd-notify', '--version') && has('python3', '--version'))('tells systemd when it is ready', async () => {
  const socket = join(place.dir, 'notify');
  // Node has no datagram sockets of this kind: another program listens in systemd's place.
  const listener = spawn('python3', [
    '-c',
    'import socket,sys\ns=socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM)\ns.bind(sys.argv[1])\nprint("bound",flush=True)\n' +
      'while True:\n  print(repr(s.recv(4096).decode()),flush=True)',
    socket,
  ]);
  let heard = '';
  listener.stdout.setEncoding('utf8').on('data', (d: string) => (heard += d));
  const [clientPort = 0, peerPort = 0] = await freePorts(2);
  const member = new MemberProcess({ dataDir: join(place.dir, 'notified'), clientPort, peerPort, env: { NOTIFY_SOCKET: socket } });
  try {
    await until('the listener', () => heard.includes('bound'));
    await member.start();
    await until('READY=1', () => heard.includes('READY=1'));
    expect(heard).toContain(`MAINPID=${member.pid}`);
    await until('a line in the log', () => member.log.includes('successfully notified init daemon'));
  } finally {
    listener.kill('SIGKILL');
    await member.stop('SIGKILL');
  }
});

it('has a unit file that systemd understands', async () => {
  const unit = deploy('tsetcd.service');
  expect(unit).toContain('Type=notify');
  if (!has('systemd-analyze', '--version')) return;
  const dir = join(place.dir, 'units');
  mkdirSync(dir);
  const path = join(dir, 'tsetcd.service');
  // The program and its user are not installed here.
  const here = unit.replace('/usr/local/bin/tsetcd', program).replace(/^(User|Group)=.*\n/gm, '');
  writeFileSync(path, here);
  const r = await run('systemd-analyze', ['verify', path], { env: { SYSTEMD_UNIT_PATH: `${dir}:` } });
  expect([r.code, r.stderr]).toEqual([0, '']);
});

it('has a configuration file that a member starts with', async () => {
  const [clientPort = 0, peerPort = 0] = await freePorts(2);
  const text = deploy('etcd.conf.yml')
    .replaceAll(':2379', `:${clientPort}`)
    .replaceAll(':2380', `:${peerPort}`)
    .replace('/var/lib/tsetcd/data', join(place.dir, 'configured'));
  const file = join(place.dir, 'etcd.conf.yml');
  writeFileSync(file, text);
  const child = spawn(process.execPath, [program, 'server', '--config-file', file], { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (d: string) => (said += d));
  const exit = new Promise((resolve) => child.once('exit', resolve));
  try {
    await until('the member to serve', async () => {
      if (child.exitCode !== null) throw new Error(said);
      return (await run(process.execPath, [program, '--endpoints', `127.0.0.1:${clientPort}`, 'endpoint', 'health'])).code === 0;
    });
  } finally {
    child.kill('SIGKILL');
    await exit;
  }
  // What is commented out is right as well.
  const whole = parse(text.replace(/^# (?=[a-z-]+-transport-security:|  [a-z]|listen-metrics-urls:)/gm, '')) as Record<string, unknown>;
  const known = new Set(flagTable.map((flag) => flag.key));
  const keys = Object.entries(whole).flatMap(([key, value]) =>
    typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.keys(value).map((inner) => `${key}.${inner}`) : [key],
  );
  expect(keys).toContain('peer-transport-security.client-cert-auth');
  expect(keys).toContain('listen-metrics-urls');
  expect(keys.filter((key) => !known.has(key))).toEqual([]);
});

it('has a Dockerfile whose files are there', () => {
  const lines = deploy('Dockerfile').split('\n');
  const copied = lines.filter((l) => l.startsWith('COPY ') && !l.includes('--from=')).flatMap((l) => l.split(' ').slice(1, -1));
  expect(copied.length).toBeGreaterThan(6);
  for (const path of copied) expect(existsSync(join(top, path)), path).toBe(true);
});

it('npm run cluster starts three members and a proxy, and says how to talk to them', async () => {
  const base = await until('seven ports in a row', async () => {
    const first = 10_000 + Math.floor(Math.random() * 20_000);
    return (await freeRow(first, 7)) ? first : undefined;
  });
  const args = [join(top, 'scripts/run.mjs'), 'cluster', '--base', String(base), '--dir', join(place.dir, 'cluster')];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'], cwd: place.dir, env: { ...process.env, INIT_CWD: '' } });
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (d: string) => (said += d));
  child.stderr.setEncoding('utf8').on('data', (d: string) => (said += d));
  const exit = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)));
  try {
    await until('the cluster', () => said.includes('Ctrl-C ends all of them') || child.exitCode !== null, 120_000);
    expect(said).toContain('3 members and a proxy serve');
    const ctl = (...more: string[]) =>
      run(process.execPath, [program, ...more], { env: { ETCDCTL_ENDPOINTS: /export ETCDCTL_ENDPOINTS=(\S+)/.exec(said)?.[1] } });
    expect((await ctl('put', 'greeting', 'hello')).stdout).toBe('OK\n');
    const through = await run(process.execPath, [program, 'get', 'greeting'], { env: { ETCDCTL_ENDPOINTS: `127.0.0.1:${base + 6}` } });
    expect(through.stdout, through.stderr).toBe('greeting\nhello\n');
    expect((await ctl('member', 'list')).stdout.split('\n').filter((l) => l.includes('started')).length).toBe(3);
  } finally {
    child.kill('SIGTERM');
    expect(await exit).toBe(143);
  }
});

async function freeRow(first: number, n: number): Promise<boolean> {
  const { createServer } = await import('node:net');
  const servers = [];
  try {
    for (let i = 0; i < n; i++) {
      const server = createServer();
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        server.listen(first + i, '127.0.0.1', resolve);
      });
      servers.push(server);
    }
    return true;
  } catch {
    return false;
  } finally {
    await Promise.all(servers.map((s) => new Promise((resolve) => s.close(resolve))));
  }
}

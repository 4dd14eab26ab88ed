// Rows of the security checklist that clients, their command lines and a cluster without a quorum show.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import { connect, rpc } from '../../src/client/index.ts';
import { KV } from '../../src/api/gen/methods.ts';
import type { RpcError } from '../../src/api/status.ts';
import { freePorts, httpGet, oneMember, program, run, until, type MemberProcess } from '../support/member.ts';
import { TestCluster } from '../unit/consensus/cluster.ts';

const ended: (() => Promise<void>)[] = [];
afterAll(async () => {
  for (const end of ended) await end();
});
async function member(...args: string[]): Promise<MemberProcess> {
  const m = await oneMember({ args: ['--bcrypt-cost', '4', ...args] });
  ended.push(() => m.remove());
  return m;
}

describe('a client', () => {
  it('S-048: gets itself a new token when the old one has ended, once, and nobody notices', async () => {
    const m = await member('--auth-token-ttl', '1');
    const admin = connect({ endpoints: [m.endpoint], requestTimeoutMs: 30_000 });
    await admin.call(rpc.Auth.userAdd, { name: 'root', password: 'long-enough' });
    await admin.call(rpc.Auth.userGrantRole, { user: 'root', role: 'root' });
    await admin.call(rpc.Auth.authEnable, {});
    await admin.close();
    const client = connect({ endpoints: [m.endpoint], username: 'root', password: 'long-enough', requestTimeoutMs: 30_000 });
    // One more was hashed when the user was made.
    const logins = async (): Promise<number> =>
      Number(/^tsetcd_auth_passwords_checked_total (\d+)$/m.exec((await httpGet(`${m.url}/metrics`, 20_000)).body)?.[1] ?? 0) - 1;
    const seconds = 4;
    const start = Date.now();
    for (let i = 0; Date.now() - start < seconds * 1000; i++) {
      // Many at once, after a pause in which the token has ended.
      await Promise.all(Array.from({ length: 10 }, (_, k) => client.put(`k${k}`, String(i))));
      await new Promise((resolve) => setTimeout(resolve, 1200));
    }
    const spent = Math.ceil((Date.now() - start) / 1000);
    expect(await logins()).toBeGreaterThanOrEqual(2);
    expect(await logins()).toBeLessThanOrEqual(spent + 2);
    await client.close();
  }, 90_000);

  it('S-123: a password that is asked for is on no command line and in no environment', async () => {
    const m = await member();
    const child = spawn(process.execPath, [program, '--endpoints', m.endpoint, 'user', 'add', 'bob', '--interactive=false'], {
      stdio: 'pipe',
    });
    const secret = 'pw-Lr09-of-bob';
    // It waits for its standard input: as long as it does, others see what there is to see.
    await until('the program to be up', () => readFileSync(`/proc/${child.pid}/cmdline`, 'latin1').includes('user'));
    for (const file of ['cmdline', 'environ']) expect(readFileSync(`/proc/${child.pid}/${file}`, 'latin1').includes(secret)).toBe(false);
    child.stdin.end(`${secret}\n`);
    let out = '';
    child.stdout.setEncoding('utf8').on('data', (d: string) => (out += d));
    child.stderr.setEncoding('utf8').on('data', (d: string) => (out += d));
    expect(await new Promise((resolve) => child.on('close', resolve))).toBe(0);
    expect(out).toContain('User bob created');
    expect(out).not.toContain(secret);
  }, 60_000);
});

describe('members without a quorum', () => {
  it('S-114: keep a bounded number of proposals, and answer all in time', async () => {
    const cluster = new TestCluster(['a', 'b', 'c']);
    await cluster.start();
    await until('a leader', () => cluster.leader !== undefined);
    const leader = cluster.leader!;
    for (const [name, s] of cluster.servers) if (s !== leader) cluster.cut.add(name);
    const channel = leader.channel();
    const value = Buffer.alloc(1_000_000);
    const ofSize = (n: number, v: Uint8Array): Promise<string>[] =>
      Array.from({ length: n }, (_, i) =>
        channel.unary(KV.put, { key: Buffer.from(`k${i}`), value: v }, { timeoutMs: 20_000 }).then(
          () => 'done',
          (e: RpcError) => e.message,
        ),
      );
    const answers = await Promise.all([...ofSize(150, value), ...ofSize(3000, Buffer.from('x'))]);
    expect(answers).not.toContain('done');
    expect(answers.filter((a) => a.includes('too many requests')).length).toBeGreaterThan(50);
    cluster.cut.clear();
    await until('a leader again', () => cluster.leader !== undefined);
    await until('it to serve', () =>
      cluster
        .leader!.channel()
        .unary(KV.put, { key: Buffer.from('after') }, { timeoutMs: 5_000 })
        .then(
          () => true,
          () => false,
        ),
    );
    await cluster.stop();
  }, 90_000);
});

describe('the TCP gateway', () => {
  it('S-018: does not forward to itself, under whatever name', async () => {
    const [port = 0] = await freePorts(1);
    for (const [listen, endpoint] of [
      ['127.0.0.1', '127.0.0.1'],
      ['127.0.0.1', 'localhost'],
      ['localhost', '127.0.0.1'],
    ]) {
      const r = await run(
        process.execPath,
        [program, 'gateway', 'start', '--listen-addr', `${listen}:${port}`, '--endpoints', `${endpoint}:${port}`],
        {
          timeoutMs: 30_000,
        },
      );
      expect(r.code, r.stdout + r.stderr).toBe(1);
      expect(r.stdout).toContain('should not resolve to the gateway listen addr');
    }
  }, 100_000);
});

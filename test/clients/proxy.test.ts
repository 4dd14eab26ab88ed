// Clients that nobody here wrote, through the gRPC proxy and the gateway as users run them.
import type { ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { oneMember, reference, run, top, until, type MemberProcess, type Ran } from '../support/member.ts';
import { startProxy, type ProxyProcess } from '../support/proxy.ts';

// Long checks on a machine that may be busy with others.
vi.setConfig({ testTimeout: 300_000 });

let member: MemberProcess & { remove(): Promise<void> };
let proxies: Record<'grpc-proxy' | 'gateway', ProxyProcess>;
beforeAll(async () => {
  member = await oneMember();
  proxies = {
    // Larger than a member takes, so that the refusals are the member's.
    'grpc-proxy': await startProxy('grpc-proxy', [member.endpoint], ['--max-send-bytes=8388608']),
    gateway: await startProxy('gateway', [member.endpoint], ['--retry-delay=100ms']),
  };
});
afterAll(async () => {
  await Promise.all(Object.values(proxies).map((p) => p.remove()));
  await member.remove();
});

/** Programs that say "restart" when they want the member ended and started again. */
const restarts = (line: string, child: ChildProcess, signal: NodeJS.Signals): void => {
  if (!line.startsWith('restart')) return;
  void member
    .stop(signal)
    .then(() => member.start())
    .then(() => child.stdin?.write('\n'));
};
const lines = (r: Ran, word: string): string[] => r.stdout.split('\n').filter((l) => l.startsWith(`${word} `));
const python = join(top, '.cache/reference/python/bin');
const nodeClient = join(top, '.cache/reference/node');
const clientcheck = reference('clientcheck');
const etcdctl = reference('etcdctl');

describe.each(['grpc-proxy', 'gateway'] as const)('through the %s', (kind) => {
  // Each program begins on a store without keys: what one left, or its first try, is none of the next one's.
  beforeEach(async () => {
    const all = JSON.stringify({ key: 'AA==', range_end: 'AA==' });
    await until('the keys to be gone', async () => (await fetch(`${member.url}/v3/kv/deleterange`, { method: 'POST', body: all })).ok);
  });

  it.skipIf(clientcheck === undefined).each(['kv', 'ranges', 'txn', 'lease', 'lock', 'election', 'stm', 'watch', 'cancellation', 'resume'])(
    'Go clientv3 passes its check of %s',
    async (only) => {
      const r = await run(clientcheck ?? '', ['-endpoints', proxies[kind].endpoint, '-only', only], {
        onLine: (line, child) => restarts(line, child, 'SIGKILL'),
      });
      expect(lines(r, 'fail'), r.stdout + r.stderr).toEqual([]);
      expect(lines(r, 'ok')).toEqual([`ok ${only}`]);
    },
  );

  it.skipIf(!existsSync(nodeClient))('npm etcd3 passes its checks', async () => {
    const r = await run(process.execPath, [join(import.meta.dirname, 'node/check.mjs'), proxies[kind].endpoint, nodeClient], {
      onLine: (line, child) => restarts(line, child, 'SIGTERM'),
      timeoutMs: 300_000,
    });
    // An orderly end of the member under load is the connection's own matter: between the client and the proxy nothing ends.
    const failed = lines(r, 'fail').filter((l) => !l.startsWith('fail goaway'));
    expect(failed, r.stdout + r.stderr).toEqual([]);
    expect(lines(r, 'ok').length).toBeGreaterThanOrEqual(14);
  });

  it.skipIf(!existsSync(python))('PyPI etcd3 passes every check', async () => {
    const r = await run(join(python, 'python'), [join(import.meta.dirname, 'python/check.py'), proxies[kind].endpoint]);
    expect(lines(r, 'fail'), r.stdout + r.stderr).toEqual([]);
    expect(lines(r, 'ok').length).toBe(8);
  });

  it.skipIf(etcdctl === undefined)('etcdctl does its work, with users and passwords', async () => {
    const ctl = async (...args: string[]): Promise<Ran> => run(etcdctl ?? '', [`--endpoints=${proxies[kind].endpoint}`, ...args]);
    const ok = async (...args: string[]): Promise<string> => {
      const r = await ctl(...args);
      expect(r.code, r.stderr).toBe(0);
      return r.stdout.trim();
    };
    expect(await ok('put', 'a', '1')).toBe('OK');
    expect(await ok('get', 'a', '--print-value-only')).toBe('1');
    await ok('user', 'add', 'root:pw');
    await ok('role', 'add', 'root');
    await ok('user', 'grant-role', 'root', 'root');
    await ok('user', 'add', 'u:pw');
    await ok('role', 'add', 'r');
    await ok('role', 'grant-permission', 'r', 'readwrite', 'a');
    await ok('user', 'grant-role', 'u', 'r');
    await ok('auth', 'enable');
    try {
      expect(await ok('--user=u:pw', 'get', 'a', '--print-value-only', '--consistency=s')).toBe('1');
      // What one user may read is not kept for others.
      for (const args of [[], ['--consistency=s']]) {
        const none = await ctl('get', 'a', ...args);
        expect(none.stderr).toContain('etcdserver: user name is empty');
      }
      await ok('--user=root:pw', 'put', 'b', '2');
      expect(await ok('--user=root:pw', 'get', 'b', '--print-value-only', '--consistency=s')).toBe('2');
      expect((await ctl('--user=u:pw', 'get', 'b', '--consistency=s')).stderr).toContain('permission denied');
      expect((await ctl('--user=u:pw', 'watch', 'b')).stderr).toContain('permission denied');
    } finally {
      await ok('--user=root:pw', 'auth', 'disable');
      for (const what of [
        ['user', 'delete', 'root'],
        ['user', 'delete', 'u'],
        ['role', 'delete', 'r'],
        ['role', 'delete', 'root'],
      ])
        await ok(...what);
    }
  });
});

// Clients that nobody here wrote, against a member as users run it.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { ChildProcess } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { oneMember, reference, run, top, type MemberProcess, type Ran } from '../support/member.ts';

// Long checks on a machine that may be busy with others.
vi.setConfig({ testTimeout: 300_000 });

let member: MemberProcess & { remove(): Promise<void> };
beforeAll(async () => {
  member = await oneMember();
});
afterAll(() => member.remove());

/** Programs that say "restart" when they want the member ended, in good order unless they want it killed, and started again. */
const restarts = (line: string, child: ChildProcess, signal: NodeJS.Signals): void => {
  if (!line.startsWith('restart')) return;
  void member
    .stop(line === 'restart in order' ? 'SIGTERM' : signal)
    .then(() => member.start())
    .then(() => child.stdin?.write('\n'));
};
const lines = (r: Ran, word: string): string[] => r.stdout.split('\n').filter((l) => l.startsWith(`${word} `));
const python = join(top, '.cache/reference/python/bin');
const nodeClient = join(top, '.cache/reference/node');
const java = join(top, '.cache/reference/java');
// Only where `node scripts/reference.mjs rust` has built it: that takes minutes, so CI goes without.
const rustcheck = reference('rustcheck');

describe('Go clientv3', () => {
  const clientcheck = reference('clientcheck');
  it.skipIf(clientcheck === undefined)('passes every check, with a watch that resumes over a restart', async () => {
    const r = await run(clientcheck ?? '', ['-endpoints', member.endpoint], {
      onLine: (line, child) => restarts(line, child, 'SIGKILL'),
      timeoutMs: 300_000,
    });
    expect(lines(r, 'fail'), r.stdout + r.stderr).toEqual([]);
    expect(lines(r, 'ok').length).toBe(21);
    expect(r.code).toBe(0);
  });
});

describe('npm etcd3', () => {
  it.skipIf(!existsSync(nodeClient))('passes every check', async () => {
    const r = await run(process.execPath, [join(import.meta.dirname, 'node/check.mjs'), member.endpoint, nodeClient], {
      onLine: (line, child) => restarts(line, child, 'SIGTERM'),
      timeoutMs: 300_000,
    });
    expect(lines(r, 'fail'), r.stdout + r.stderr).toEqual([]);
    expect(lines(r, 'ok').length).toBe(15);
  });
});

describe('PyPI etcd3', () => {
  it.skipIf(!existsSync(python))('passes every check', async () => {
    const r = await run(join(python, 'python'), [join(import.meta.dirname, 'python/check.py'), member.endpoint]);
    expect(lines(r, 'fail'), r.stdout + r.stderr).toEqual([]);
    expect(lines(r, 'ok').length).toBe(8);
  });
});

describe('PyPI etcd3gw on the JSON gateway', () => {
  it.skipIf(!existsSync(python))('passes every check', async () => {
    const r = await run(join(python, 'python'), [join(import.meta.dirname, 'python/check_gateway.py'), member.endpoint]);
    expect(lines(r, 'fail'), r.stdout + r.stderr).toEqual([]);
    expect(lines(r, 'ok').length).toBe(8);
  });
});

// The same wire by three more implementations of gRPC: every kind of call, deadlines, cancellation, large and gzipped messages, metadata,
// errors, 10,000 calls on one connection, an orderly end under load.
describe.each([
  ['grpc-core (PyPI grpcio)', existsSync(python), join(python, 'python'), [join(import.meta.dirname, 'python/check_grpc.py')], 11],
  ['grpc-java (jetcd)', existsSync(java), 'java', ['-cp', join(java, '*'), join(import.meta.dirname, 'java/Check.java')], 14],
  ...(rustcheck === undefined ? [] : ([['tonic (crate etcd-client)', true, rustcheck, [], 10]] as const)),
] as const)('%s', (_name, here, program, args, checks) => {
  it.skipIf(!here)('passes every check, with an orderly restart under load', async () => {
    const r = await run(program, [...args, rustcheck === program ? member.url : member.endpoint], {
      onLine: (line, child) => restarts(line, child, 'SIGTERM'),
      timeoutMs: 300_000,
    });
    expect(lines(r, 'fail'), r.stdout + r.stderr).toEqual([]);
    expect(lines(r, 'ok').length, r.stdout + r.stderr).toBe(checks);
  });
});

describe.each([
  ['etcdctl 3.7.1', reference('etcdctl')],
  ['etcdctl 3.5.1', existsSync(python) ? join(python, 'etcdctl') : undefined],
])('%s', (_name, path) => {
  const ctl = async (...args: string[]): Promise<string> => {
    const r = await run(path ?? '', args, { env: { ETCDCTL_API: '3', ETCDCTL_ENDPOINTS: member.endpoint } });
    expect(r.code, r.stderr).toBe(0);
    return r.stdout;
  };

  it.skipIf(path === undefined)('reads and writes', async () => {
    expect(await ctl('put', 'ctl/rw/a', '1')).toBe('OK\n');
    expect(await ctl('put', 'ctl/rw/b', '2', '--prev-kv')).toContain('OK\n');
    expect(await ctl('get', 'ctl/rw/', '--prefix')).toBe('ctl/rw/a\n1\nctl/rw/b\n2\n');
    expect(await ctl('get', 'ctl/rw/', '--prefix', '--order=DESCEND', '--limit=1', '--print-value-only')).toBe('2\n');
    expect(await ctl('del', 'ctl/rw/', '--prefix')).toBe('2\n');
  });

  it.skipIf(path === undefined)('makes transactions', async () => {
    await ctl('put', 'ctl/t', 'x');
    const r = await run(path ?? '', ['txn'], {
      env: { ETCDCTL_API: '3', ETCDCTL_ENDPOINTS: member.endpoint },
      stdin: 'value("ctl/t") = "x"\n\nput ctl/t y\n\nget ctl/t\n\n',
    });
    expect(r.stdout).toContain('SUCCESS');
    expect(await ctl('get', 'ctl/t', '--print-value-only')).toBe('y\n');
  });

  it.skipIf(path === undefined)('grants leases and sees them end', async () => {
    const id = /lease (\w+) granted/.exec(await ctl('lease', 'grant', '60'))?.[1] ?? '';
    await ctl('put', 'ctl/l', 'x', `--lease=${id}`);
    expect(await ctl('lease', 'timetolive', id, '--keys')).toContain('ctl/l');
    await ctl('lease', 'revoke', id);
    expect(await ctl('get', 'ctl/l')).toBe('');
  });

  it.skipIf(path === undefined)('locks and elects', async () => {
    expect(await ctl('lock', 'ctl/lock', '--', 'echo', 'held')).toBe('held\n');
    const watch = run(path ?? '', ['elect', 'ctl/elect', 'me'], {
      env: { ETCDCTL_API: '3', ETCDCTL_ENDPOINTS: member.endpoint },
      onLine: (line, child) => {
        if (line === 'me') child.kill('SIGINT');
      },
    });
    expect((await watch).stdout).toContain('ctl/elect/');
  });

  it.skipIf(path === undefined)('looks at the member', async () => {
    expect(await ctl('endpoint', 'health')).toContain('is healthy');
    expect(await ctl('endpoint', 'status')).toContain(member.endpoint);
    expect(await ctl('member', 'list')).toContain('started, default');
    expect(await ctl('defrag')).toContain('Finished defragmenting');
  });
});

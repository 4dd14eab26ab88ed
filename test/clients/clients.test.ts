// Clients that nobody here wrote, against a member as users run it.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { oneMember, reference, run, top, type MemberProcess, type Ran } from '../support/member.ts';

let member: MemberProcess & { remove(): Promise<void> };
beforeAll(async () => {
  member = await oneMember();
});
afterAll(() => member.remove());

const lines = (r: Ran, word: string): string[] => r.stdout.split('\n').filter((l) => l.startsWith(`${word} `));
const python = join(top, '.cache/reference/python/bin');
const nodeClient = join(top, '.cache/reference/node');

describe('Go clientv3', () => {
  const clientcheck = reference('clientcheck');
  it.skipIf(clientcheck === undefined)('passes every check, with a watch that resumes over a restart', async () => {
    const r = await run(clientcheck ?? '', ['-endpoints', member.endpoint], {
      onLine: (line, child) => {
        if (line !== 'restart') return;
        void member
          .stop('SIGKILL')
          .then(() => member.start())
          .then(() => child.stdin?.write('\n'));
      },
    });
    expect(lines(r, 'fail')).toEqual([]);
    expect(lines(r, 'ok').length).toBe(16);
    expect(r.code).toBe(0);
  });
});

describe('npm etcd3', () => {
  it.skipIf(!existsSync(nodeClient))('passes every check', async () => {
    const r = await run(process.execPath, [join(import.meta.dirname, 'node/check.mjs'), member.endpoint, nodeClient]);
    expect(lines(r, 'fail'), r.stdout + r.stderr).toEqual([]);
    expect(lines(r, 'ok').length).toBe(8);
  });
});

describe('PyPI etcd3', () => {
  it.skipIf(!existsSync(python))('passes every check', async () => {
    const r = await run(join(python, 'python'), [join(import.meta.dirname, 'python/check.py'), member.endpoint]);
    expect(lines(r, 'fail'), r.stdout + r.stderr).toEqual([]);
    expect(lines(r, 'ok').length).toBe(8);
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

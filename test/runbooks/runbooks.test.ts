// Every runbook's script on real processes. `TSETCD_RUNBOOKS=etcd` runs them with a real etcd, etcdctl and etcdutl instead.
import { mkdirSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { oneMember, program, reference, referenceBin, run, scratch, top } from '../support/member.ts';

const folder = join(top, 'docs/runbooks');
const files = readdirSync(folder);
const pages = files.filter((f) => f.endsWith('.md') && f !== 'README.md').map((f) => f.slice(0, -3));
const place = scratch();
afterAll(() => place.remove());

/** A folder in which every name of the program is tsetcd. */
const links = join(place.dir, 'links');
mkdirSync(links);
for (const name of ['tsetcd', 'etcd', 'etcdctl', 'etcdutl']) symlinkSync(program, join(links, name));

const real = process.env['TSETCD_RUNBOOKS'] === 'etcd';
const path = [...(real ? [referenceBin] : []), links, process.env['PATH']].join(delimiter);

it('has a page for each script and a script for each page', () => {
  expect(files.filter((f) => f.endsWith('.sh') && f !== 'lib.sh').map((f) => f.slice(0, -3))).toEqual(pages);
  const index = readFileSync(join(folder, 'README.md'), 'utf8');
  for (const page of pages) {
    expect(index).toContain(`(${page}.md)`);
    expect(readFileSync(join(folder, `${page}.md`), 'utf8')).toContain(`docs/runbooks/${page}.sh`);
  }
});

describe('runbook', () => {
  const here = pages.filter((page) => page !== 'move-from-etcd' || (reference('etcd') !== undefined && !real));
  it.each(here)(
    '%s',
    async (page) => {
      const r = await run('bash', [join(folder, `${page}.sh`)], {
        env: { PATH: path, OLD: referenceBin, TMPDIR: place.dir, ETCDCTL_API: '3' },
        timeoutMs: 280_000,
      });
      expect(r.code, `${r.stdout}\n${r.stderr}`.slice(-8_000)).toBe(0);
    },
    300_000,
  );
});

describe('fifty mixed commands under set -e', () => {
  const kinds = [
    ['tsetcd', join(links, 'etcdctl')],
    ...(reference('etcd') === undefined ? [] : [['etcd', reference('etcdctl') ?? ''] as const]),
  ] as const;
  it.each(kinds)(
    'against %s',
    async (kind, etcdctl) => {
      const member = await oneMember({ kind: kind === 'etcd' ? 'etcd' : 'tsetcd' });
      try {
        const r = await run('bash', [join(top, 'test/cli/mixed.sh'), etcdctl, member.endpoint], { timeoutMs: 280_000 });
        expect(r.code, `${r.stdout}\n${r.stderr}`).toBe(0);
        expect(r.stdout).toBe('all said what etcdctl says\n');
      } finally {
        await member.remove();
      }
    },
    300_000,
  );
});

// The manual pages in man/ are those that the tree of commands gives, and groff has nothing to complain about in them.
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { manPages } from '../../../scripts/man-pages.mjs';
import { top } from '../../support/member.ts';

it('man/ is up to date (node scripts/man-pages.mjs)', async () => {
  const dir = join(top, 'man');
  const there = new Map(readdirSync(dir).map((f) => [f, readFileSync(join(dir, f), 'utf8')]));
  const wanted = await manPages();
  expect([...there.keys()].sort()).toEqual([...wanted.keys()].sort());
  for (const [name, text] of wanted) expect(there.get(name), name).toBe(text);
});

const groff = spawnSync('groff', ['--version']).status === 0;

it.runIf(groff)('groff reads every page without a warning', () => {
  const dir = join(top, 'man');
  const files = readdirSync(dir).map((f) => join(dir, f));
  const { stderr } = spawnSync('groff', ['-ww', '-z', '-man', '-Tutf8', ...files], { encoding: 'utf8' });
  expect(stderr).toBe('');
});

const mandoc = spawnSync('which', ['mandoc']).status === 0;

it.runIf(mandoc)('mandoc finds nothing wrong', () => {
  const dir = join(top, 'man');
  const files = readdirSync(dir).map((f) => join(dir, f));
  const { stdout } = spawnSync('mandoc', ['-T', 'lint', '-W', 'warning', ...files], { encoding: 'utf8' });
  // Pages that are made anew from the same sources are the same: they bear no date.
  expect(stdout.split('\n').filter((line) => line !== '' && !line.includes('missing date'))).toEqual([]);
});

const man = spawnSync('man', ['--version']).stdout?.includes('man') === true;

it.runIf(man)('man shows a page', () => {
  const env = { ...process.env, MANPAGER: 'cat', MANWIDTH: '100' };
  const { stdout, stderr, status } = spawnSync('man', ['--warnings', join(top, 'man/tsetcd-put.1')], { encoding: 'utf8', env });
  expect([status, stderr]).toEqual([0, '']);
  const text = stdout.replace(/.\x08/g, '');
  for (const part of ['NAME', 'SYNOPSIS', 'tsetcd put']) expect(text).toContain(part);
});

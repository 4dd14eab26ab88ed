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

// Every row of the security checklist has a test that is named by it, or a reason in SECURITY.md why it has none.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const top = join(import.meta.dirname, '../..');
const rows = readFileSync(join(top, 'test/data/security/checklist.tsv'), 'utf8')
  .trim()
  .split('\n')
  .slice(1)
  .map((line) => line.split('\t')[0] ?? '');
const text = readFileSync(join(top, 'SECURITY.md'), 'utf8');

/** Ids in the titles of tests: `it('S-001, S-002: …'`, `])('S-003: …'`, `describe('S-004: …'`. */
const tested = new Set<string>();
for (const file of readdirSync(join(top, 'test'), { recursive: true, encoding: 'utf8' })) {
  if (!file.endsWith('.test.ts')) continue;
  const source = readFileSync(join(top, 'test', file), 'utf8');
  for (const m of source.matchAll(/\(\s*(?:\n\s*)?['"`]((?:S-\d{3}(?:, )?)+):/g)) for (const id of (m[1] ?? '').split(', ')) tested.add(id);
}
/** Rows without a test, each with its reason: lines `| S-018 | why |`. */
const reasons = new Map([...text.matchAll(/^\| (S-\d{3}) \| (.+) \|$/gm)].map((m) => [m[1] ?? '', m[2] ?? '']));

describe('the checklist', () => {
  it('S-125: has a test or a reason for each of its rows, and the threat model is written', () => {
    expect(rows.length).toBe(92);
    expect(rows.filter((id) => !tested.has(id) && !reasons.has(id))).toEqual([]);
    for (const heading of ['## What a member trusts', '## Before anybody is known', '## Limits', '## Rows without a test'])
      expect(text).toContain(heading);
  });

  it('names no row that is not there, and gives no reason for what is tested', () => {
    const known = new Set(rows);
    expect([...tested, ...reasons.keys()].filter((id) => !known.has(id))).toEqual([]);
    expect([...reasons.keys()].filter((id) => tested.has(id))).toEqual([]);
    for (const [id, reason] of reasons) expect(reason.length, id).toBeGreaterThan(40);
  });

  it('has tests for all that happens before anybody is known', () => {
    const before = ['S-005', 'S-030', 'S-033', ...Array.from({ length: 10 }, (_, i) => `S-06${i}`)];
    expect(before.filter((id) => !tested.has(id))).toEqual([]);
  });
});

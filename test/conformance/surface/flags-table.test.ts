// Every row of etcd's flag table: known here with the same default, variable and key in the config file, and built, or refused for a reason
// that the README gives.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseDuration } from '../../../src/base/duration.ts';
import { envName, featureGates, flagTable } from '../../../src/server/config/flag-table.ts';
import { run, program, top } from '../../support/member.ts';
import { surfaceTable } from './surface-table.ts';

const rows = surfaceTable('etcd-flags');
const readme = readFileSync(join(top, 'README.md'), 'utf8');

/** What the table calls a default, as the flag would be given. */
function asGiven(row: Readonly<Record<string, string>>): string {
  const text = row['default'] ?? '';
  if (text.startsWith('(empty')) return '';
  return text.replace(/ \(=>.*\)$/, '').replace(/^""$/, '');
}

const alike = (a: string, b: string): boolean => a === b || (parseDuration(a) !== undefined && parseDuration(a) === parseDuration(b));

describe('flags of a member', () => {
  it.each(rows.filter((r) => r['program'] === 'etcd').map((r) => [(r['name'] ?? '').replace(/^--/, ''), r] as const))('%s', (name, row) => {
    const flag = flagTable.find((f) => f.name === name);
    expect(flag).toBeDefined();
    if (flag === undefined) return;
    if (row['section'] === 'ignored') {
      expect(flag.kind).toBe('ignored');
      return;
    }
    expect(
      alike(flag.value, asGiven(row)) || (flag.kind === 'bool' && flag.value === row['default']),
      `${flag.value} for ${asGiven(row)}`,
    ).toBe(true);
    expect(flag.key ?? '').toBe(row['config_key']);
    if (row['section'] !== 'meta') expect(envName(name)).toBe(row['env']);
    if (!flag.built) expect(readme, 'refused without a reason').toContain(`\`--${name}\``);
  });

  it.each(rows.filter((r) => r['program'] === 'feature-gate').map((r) => [r['name'] ?? '', r] as const))('gate %s', (name, row) => {
    const gate = featureGates.find((g) => g.name === name);
    expect(gate).toMatchObject({ value: row['default'] === 'true', stage: row['status'] });
  });
});

describe.each(['gateway start', 'grpc-proxy start'])('flags of %s', (command) => {
  const own = rows.filter((r) => r['program'] === `etcd ${command}`);
  it(`has all ${own.length}`, async () => {
    expect(own.length).toBeGreaterThan(5);
    const { stdout, stderr } = await run(process.execPath, [program, ...command.split(' '), '--help']);
    expect(own.map((r) => r['name'] ?? '').filter((name) => !`${stdout}${stderr}`.includes(name))).toEqual([]);
  });
});

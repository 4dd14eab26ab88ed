// What the build makes of the sources: bundles that are read as Latin-1.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { top } from '../support/member.ts';

describe('the bundles', () => {
  it.each(['cli.cjs', 'member.cjs'])('are ASCII: %s', (name) => {
    expect(/[^\0-\x7f].{0,40}/.exec(readFileSync(join(top, 'dist', name), 'latin1'))?.[0]).toBeUndefined();
  });

  it('read letters beyond ASCII', () => {
    const args = ['server', '--check-config', '--warning-unary-request-duration=1µs'];
    expect(execFileSync(process.execPath, [join(top, 'bin/tsetcd'), ...args], { encoding: 'utf8' })).toContain(
      'warning-unary-request-duration',
    );
  });
});

// A short differential run: the same random calls to a real etcd and to tsetcd. `node test/conformance/differential.mjs` runs as long as wanted.
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { reference, run, top } from '../support/member.ts';

const script = join(top, 'test/conformance/differential.mjs');

describe.skipIf(reference('etcd') === undefined)('answers as etcd', () => {
  it.each([
    ['data', '300'],
    ['auth', '200'],
    ['session', '120'],
    ['gateway', '250'],
  ])(
    '%s',
    async (kind, steps) => {
      const { code, stdout, stderr } = await run(process.execPath, [script, '--seed', '7', '--steps', steps, '--only', kind], {
        timeoutMs: 150_000,
      });
      expect(`${stdout}${stderr}`).toContain(' 0 differences');
      expect(code).toBe(0);
    },
    160_000,
  );
});

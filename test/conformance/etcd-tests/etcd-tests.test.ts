// A handful of etcd's own end-to-end tests, on our program; the whole suite is run by hand: node scripts/etcd-tests.mjs.
import { rmSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
// @ts-expect-error a script without types
import { isPrepared, programs, runTest } from '../../../scripts/etcd-tests.mjs';

interface Result {
  readonly outcome: 'pass' | 'fail' | 'skip';
  readonly output: string;
}
const run = runTest as (options: { suite: string; name: string; bin: string; timeoutSeconds: number }) => Promise<Result>;

const prepared = (isPrepared as (suite: string) => boolean)('e2e');
const bin = prepared ? (programs as (lastRelease?: string) => string)() : '';
afterAll(() => {
  if (prepared) rmSync(bin, { recursive: true, force: true });
});

/** Quick ones without deadlines of their own that a busy machine could miss, one of each kind. */
const names = [
  'TestConnectionMultiplexing',
  'TestCtlV3GetFormat',
  'TestCtlV3Snapshot',
  'TestCtlV3DefragOffline',
  'TestEtcdMultiPeer',
  'TestEtcdPeerCNAuth',
  'TestEtcdDeprecatedFlags',
];

describe.skipIf(!prepared)("etcd's own tests", () => {
  it.each(names)(
    '%s',
    async (name) => {
      let last: Result | undefined;
      for (let attempt = 0; attempt < 3 && last?.outcome !== 'pass'; attempt++)
        last = await run({ suite: 'e2e', name, bin, timeoutSeconds: 120 });
      expect(last?.outcome, last?.output.slice(-20_000)).toBe('pass');
    },
    400_000,
  );
});

// A sample of the comparison with etcd's own tools, live; all of it by hand: `node test/cli/differential.mjs --seeds 1,2,3`.
import { afterAll, describe, expect, it } from 'vitest';
import { differences, referencePrograms } from './differential.ts';
import { cases } from './differential-cases.ts';
import { ourPrograms, Replayer } from './replay.ts';

const programs = referencePrograms();
if (process.env['TSETCD_REQUIRE_REFERENCE'] === '1' && programs === undefined) throw new Error('the reference programs are not installed');

/** About 200 command lines. */
const sampled = ['leases', 'get', 'write', 'txn'];

describe.runIf(programs !== undefined)('beside the tools of etcd', { timeout: 300_000 }, () => {
  const theirs = new Replayer(programs ?? ourPrograms);
  const ours = new Replayer(ourPrograms);
  afterAll(() => {
    theirs.close();
    ours.close();
  });
  for (const one of cases({ seeds: [11], count: 30 }).filter((c) => sampled.includes(c.group)))
    it.concurrent(`${one.group}: ${one.scenario.name}`, async () => {
      expect(await differences(theirs, ours, one)).toEqual([]);
    });
});

// Tests the tester: known mistakes, each of which the simulator has to find. `npm run sim -- --bugs --seeds 2000` is the long form, from seed 1.
import { expect, it } from 'vitest';
import { bugNamed, bugs } from './bugs.ts';
import { planOf } from './knobs.ts';
import { run } from './simulation.ts';

/**
 * A seed that finds each, when this was written. A change of the server may move it: the search begins a little before and goes on for as long as
 * it takes, within reason.
 */
const found: Readonly<Record<string, number>> = {
  'acknowledge-before-sync': 1,
  'apply-before-durable': 11,
  'vote-forgotten': 1,
  'term-not-synced': 11,
  'commit-of-an-older-term': 17,
  'commit-without-a-majority': 6,
  'read-without-a-quorum': 2,
  'read-before-applied': 1,
  'lease-revoked-by-a-deposed-leader': 20,
  'lease-shortened-by-a-new-leader': 17,
  'lease-renewed-by-a-follower': 1,
  'leases-lost-in-a-snapshot': 1,
  'watch-skips-at-a-compaction': 14,
  'watch-skips-at-a-snapshot': 2,
  'progress-too-early': 11,
  'index-outside-the-transaction': 1,
  'snapshot-on-a-volatile-store': 6,
  'snapshot-acknowledged-before-sync': 3,
  'store-committed-before-sync': 2,
  'proposed-twice': 1,
};
const seedsBefore = 2;
const seedsMax = 400;

it('knows a seed for each mistake', () => {
  expect(Object.keys(found).sort()).toEqual(bugs.map((b) => b.name).sort());
});

for (const [name, seed] of Object.entries(found)) {
  const bug = bugNamed(name);
  it(`finds ${name} (${bug.rule})`, async () => {
    const first = Math.max(1, seed - seedsBefore);
    for (let s = first; s < first + seedsMax; s++) if ((await run(planOf(s), { bug })).failure !== undefined) return;
    expect.fail(`not found from seed ${first} to ${first + seedsMax - 1}`);
  }, 600_000);
}

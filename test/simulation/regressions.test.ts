// Plans that once broke a rule, as small as they were made. Each stays here, with what it found.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { Plan } from './knobs.ts';
import { run } from './simulation.ts';

const plans: Readonly<Record<string, string>> = {
  'removal-after-swap':
    'a store that a received snapshot replaced went on removing its old segments, by names that were the new store’s by then',
  'removed-while-joining':
    'a member that was removed before its start had asked everybody held no connection to anybody, and waited for its first message for ever',
  'second-segment-alone':
    'a new store began its second segment before the first one’s name was durable, and after a loss of power only the second was there',
  'added-by-a-sole-voter':
    'no answer told whether a second voter had been added, and nobody started the machine without which there was no quorum',
  'everything-deleted':
    'where nothing is visible any more, members that had compacted there and members that had not yet told different hashes, and an alarm called healthy ones corrupt',
};

for (const [name, what] of Object.entries(plans)) {
  it(`${name}: ${what}`, async () => {
    const plan = JSON.parse(readFileSync(join(import.meta.dirname, `../data/simulation/${name}.json`), 'utf8')) as Plan;
    const { failure } = await run(plan);
    expect(failure).toBeUndefined();
  }, 600_000);
}

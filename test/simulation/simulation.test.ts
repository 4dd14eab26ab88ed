// A whole cluster in one thread, seed by seed: no rule is broken, and a seed replays byte for byte.
import { expect, it } from 'vitest';
import { planOf } from './knobs.ts';
import { run } from './simulation.ts';

const from = Number(process.env['TSETCD_SIM_FROM'] ?? 1);
const seeds = Number(process.env['TSETCD_SIM_SEEDS'] ?? 10);

it(`seeds ${from} to ${from + seeds - 1} break no rule`, async () => {
  for (let seed = from; seed < from + seeds; seed++) {
    const result = await run(planOf(seed));
    expect(result.failure, `npm run sim -- --seeds 1 --from ${seed}`).toBeUndefined();
    const again = await run(planOf(seed));
    expect(again.hash, `seed ${seed} replays`).toBe(result.hash);
  }
}, 600_000);

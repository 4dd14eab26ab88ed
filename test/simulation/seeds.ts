/** Seeds as tests: no rule is broken, and each run twice gives the same. The two files that use this are one, for two cores. */
import { expect, it } from 'vitest';
import { planOf } from './knobs.ts';
import { run } from './simulation.ts';

/** More of them, or others: TSETCD_SIM_SEEDS, TSETCD_SIM_FROM. */
const total = Number(process.env['TSETCD_SIM_SEEDS'] ?? 200);
const first = Number(process.env['TSETCD_SIM_FROM'] ?? 1);
/** Seeds of one test: a report now and then. */
const each = 25;

export function testSeeds(part: 0 | 1): void {
  const half = Math.ceil(total / 2);
  const from = first + part * half;
  const end = Math.min(from + half, first + total);
  for (let lo = from; lo < end; lo += each) {
    const hi = Math.min(lo + each, end);
    it(`seeds ${lo} to ${hi - 1}`, async () => {
      for (let seed = lo; seed < hi; seed++) {
        const result = await run(planOf(seed));
        expect(result.failure, `npm run sim -- --seeds 1 --from ${seed}`).toBeUndefined();
        const again = await run(planOf(seed));
        expect(again.hash, `seed ${seed} replays`).toBe(result.hash);
      }
    }, 600_000);
  }
}

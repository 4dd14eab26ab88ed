/** Makes a failing plan smaller while it still fails: fewer kinds of faults, a shorter run, fewer faults, fewer clients. */
import type { Bug } from './cluster.ts';
import { type Fault, faultKinds, type Knobs, type Plan } from './knobs.ts';
import { run } from './simulation.ts';

/** Runs that shrinking may take. */
const runsMax = 80;

export interface Shrunk {
  readonly plan: Plan;
  readonly failure: string;
  readonly runs: number;
}

export async function shrink(plan: Plan, failure: string, bug?: Bug): Promise<Shrunk> {
  let best = plan;
  let text = failure;
  let runs = 0;
  const attempt = async (candidate: Plan): Promise<boolean> => {
    if (runs >= runsMax) return false;
    runs++;
    const result = await run(candidate, { bug });
    if (result.failure === undefined) return false;
    best = candidate;
    text = result.failure;
    return true;
  };

  // What comes after the failure has no part in it.
  const at = Number(/\(at ([\d.]+) s\)$/.exec(failure)?.[1] ?? Infinity) * 1000;
  if (at < plan.knobs.durationMs)
    await attempt({ ...best, knobs: { ...best.knobs, durationMs: Math.ceil(at) + 1 }, faults: best.faults.filter((f) => f.at <= at) });
  for (const kind of faultKinds) {
    const rest = best.faults.filter((f) => f.kind !== kind);
    if (rest.length < best.faults.length) await attempt({ ...best, faults: rest });
  }
  for (let size = best.faults.length >> 1; size >= 1; size >>= 1) {
    for (let from = 0; from < best.faults.length;) {
      const rest: Fault[] = [...best.faults.slice(0, from), ...best.faults.slice(from + size)];
      if (!(await attempt({ ...best, faults: rest }))) from += size;
    }
  }
  const simpler: Partial<Knobs>[] = [
    { watchers: 0 },
    { leaseClients: 0 },
    { compactions: false },
    { network: { ...best.knobs.network, loss: 0, duplicate: 0 } },
    { disk: {} },
    { drift: 0 },
    { lookMs: 0 },
    { clients: 1 },
    { clients: 2 },
    { keys: 1 },
    { members: 3 },
  ];
  for (const change of simpler) {
    const same = Object.entries(change).every(([k, v]) => JSON.stringify(best.knobs[k as keyof Knobs]) === JSON.stringify(v));
    if (!same) await attempt({ ...best, knobs: { ...best.knobs, ...change } });
  }
  return { plan: best, failure: text, runs };
}

/** For people; `JSON.stringify(plan)` is for `--plan`. */
export function planText(plan: Plan): string {
  const { knobs } = plan;
  const { flags, ...rest } = knobs;
  const faults = plan.faults.map(
    (f) =>
      `  ${(f.at / 1000).toFixed(3).padStart(8)} s  ${f.kind.padEnd(12)} ${f.target < 0 ? 'leader' : `m${f.target}`} for ${f.ms} ms (${f.dice})`,
  );
  return [`seed ${plan.seed}`, `  ${JSON.stringify(rest)}`, `  ${flags.join(' ')}`, ...faults].join('\n');
}

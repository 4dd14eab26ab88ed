/**
 * `npm run sim`
 *
 *   --seeds N --from S   run N seeds from S on (default 100 from 1)
 *   --for SECONDS        begin no seed after that time
 *   --json FILE          add the figures of this run to a file, as one line
 *   --plan FILE          run one plan, as printed for a failing seed, instead of seeds
 *   --no-shrink          print a failing seed as it is
 *   --trace              print every step of the seeds
 *   --twice              run each seed twice and compare
 *   --bug NAME           with a known mistake: stops at the first seed that finds it
 *   --bugs               each known mistake in turn
 */
import { bugNamed, bugs } from './bugs.ts';
import type { Bug } from './cluster.ts';
import { appendFileSync, readFileSync } from 'node:fs';
import { type Plan, planOf } from './knobs.ts';
import { planText, shrink } from './shrink.ts';
import { run } from './simulation.ts';

export async function main(argv: readonly string[]): Promise<number> {
  const value = (name: string, fallback: number): number => {
    const at = argv.indexOf(`--${name}`);
    return at < 0 ? fallback : Number(argv[at + 1]);
  };
  const from = value('from', 1);
  const seeds = value('seeds', 100);
  const trace = argv.includes('--trace') ? (line: string): void => void process.stdout.write(`${line}\n`) : undefined;
  const planFile = argv.indexOf('--plan');
  if (planFile >= 0) {
    const plan = JSON.parse(readFileSync(argv[planFile + 1] ?? '', 'utf8')) as Plan;
    const { failure, hash } = await run(plan, { trace });
    console.log(`${failure ?? 'no rule is broken'} [${hash}]`);
    return failure === undefined ? 0 : 1;
  }
  if (argv.includes('--bugs')) return huntAll(bugs, from, seeds);
  if (argv.includes('--bug')) return huntAll([bugNamed(argv[argv.indexOf('--bug') + 1] ?? '')], from, seeds, trace);
  const started = process.hrtime.bigint();
  const totals = new Map<string, number>();
  let simulatedMs = 0;
  let events = 0;
  let failed = 0;
  let done = 0;
  const limitSeconds = value('for', Infinity);
  const spent = (): number => Number(process.hrtime.bigint() - started) / 1e9;
  for (let seed = from; seed < from + seeds && spent() < limitSeconds; seed++) {
    done++;
    const result = await run(planOf(seed), { trace });
    simulatedMs += result.simulatedMs;
    events += result.events;
    for (const [k, v] of Object.entries(result.counts)) totals.set(k, (totals.get(k) ?? 0) + v);
    if (argv.includes('--twice')) {
      const again = await run(planOf(seed));
      if (again.hash !== result.hash) {
        failed++;
        console.log(`seed ${seed}: two runs differ: ${result.hash} ${again.hash}`);
      }
    }
    if (result.failure !== undefined) {
      failed++;
      console.log(`seed ${seed}: ${result.failure}`);
      if (!argv.includes('--no-shrink') && !argv.includes('--trace')) {
        const small = await shrink(planOf(seed), result.failure);
        console.log(`shrunk in ${small.runs} runs: ${small.failure}\n${planText(small.plan)}\nplan ${JSON.stringify(small.plan)}`);
      }
    }
  }
  const seconds = spent();
  console.log(
    `${done} seeds, ${failed} failed, ${seconds.toFixed(1)} s, ${(simulatedMs / 1000 / seconds).toFixed(0)} simulated s a second, ${(events / seconds).toFixed(0)} events a second`,
  );
  console.log([...totals].map(([k, v]) => `${k} ${v}`).join(', '));
  const file = argv.indexOf('--json');
  if (file >= 0) {
    const cpu = process.cpuUsage();
    const figures = {
      from,
      seeds: done,
      failed,
      seconds,
      cpuSeconds: (cpu.user + cpu.system) / 1e6,
      simulatedMs,
      events,
      ...Object.fromEntries(totals),
    };
    appendFileSync(argv[file + 1] ?? 'simulation.json', `${JSON.stringify(figures)}\n`);
  }
  return failed === 0 ? 0 : 1;
}

/** The first seed that finds each. */
async function huntAll(wanted: readonly Bug[], from: number, seeds: number, trace?: (line: string) => void): Promise<number> {
  let missed = 0;
  for (const bug of wanted) {
    let found: string | undefined;
    for (let seed = from; seed < from + seeds && found === undefined; seed++) {
      const { failure } = await run(planOf(seed), { bug, trace });
      if (failure !== undefined) found = `seed ${seed}: ${failure.split('\n')[0] ?? ''}`;
    }
    if (found === undefined) missed++;
    console.log(`${bug.name}: ${found ?? 'NOT FOUND'}`);
  }
  return missed;
}

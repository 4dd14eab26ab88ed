/**
 * `npm run sim`
 *
 *   --seeds N --from S   run N seeds from S on (default 100 from 1)
 *   --trace              print every step of the seeds
 *   --twice              run each seed twice and compare
 */
import { planOf } from './knobs.ts';
import { run } from './simulation.ts';

export async function main(argv: readonly string[]): Promise<number> {
  const value = (name: string, fallback: number): number => {
    const at = argv.indexOf(`--${name}`);
    return at < 0 ? fallback : Number(argv[at + 1]);
  };
  const from = value('from', 1);
  const seeds = value('seeds', 100);
  const trace = argv.includes('--trace') ? (line: string): void => void process.stdout.write(`${line}\n`) : undefined;
  const started = process.hrtime.bigint();
  const totals = new Map<string, number>();
  let simulatedMs = 0;
  let events = 0;
  let failed = 0;
  for (let seed = from; seed < from + seeds; seed++) {
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
    }
  }
  const seconds = Number(process.hrtime.bigint() - started) / 1e9;
  console.log(
    `${seeds} seeds, ${failed} failed, ${seconds.toFixed(1)} s, ${(simulatedMs / 1000 / seconds).toFixed(0)} simulated s a second, ${(events / seconds).toFixed(0)} events a second`,
  );
  console.log([...totals].map(([k, v]) => `${k} ${v}`).join(', '));
  return failed === 0 ? 0 : 1;
}

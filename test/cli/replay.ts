/** Replays recorded command lines: a library for the tests, and with `run.mjs` a program that takes any client, offline tool and server. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { program, run } from '../support/member.ts';
import { areas, type Scenario, type Step } from './corpus.ts';
import { makeCertificates, ScenarioRun, type Difference, type Programs, type Said } from './scenario.ts';

export const ourPrograms: Programs = {
  control: [process.execPath, program],
  util: [process.execPath, program, 'util'],
  server: [process.execPath, program, 'server'],
  merged: true,
};

/** What one process needs to replay several scenarios: certificates, made when first wanted, and how long a client takes to start. */
export class Replayer {
  readonly #programs: Programs;
  #dir: string | undefined;
  #certificates: Record<string, string> | undefined;
  #settleMs = 0;

  constructor(programs: Programs) {
    this.#programs = programs;
  }

  async replay(scenario: Scenario): Promise<readonly Difference[]> {
    if (this.#settleMs === 0) this.#settleMs = await this.#measure();
    return new ScenarioRun(this.#programs, scenario, { settleMs: this.#settleMs, certificates: () => this.#makeCertificates() }).run();
  }

  /** The scenario with what the programs said at each step, and what went wrong. */
  async record(scenario: Scenario): Promise<{ readonly scenario: Scenario; readonly failures: readonly Difference[] }> {
    if (this.#settleMs === 0) this.#settleMs = await this.#measure();
    const recorded = new Map<Step, Said>();
    const failures = await new ScenarioRun(this.#programs, scenario, {
      settleMs: this.#settleMs,
      certificates: () => this.#makeCertificates(),
      recorded,
    }).run();
    const steps = scenario.steps.map((step) => ({ ...step, ...(recorded.get(step) as Partial<Step> | undefined) }));
    return { scenario: { ...scenario, steps }, failures };
  }

  /** Time after which a watch is in place: a few start-ups. */
  async #measure(): Promise<number> {
    const [file = '', ...args] = this.#programs.control;
    const began = performance.now();
    await run(file, [...args, 'version']);
    return Math.min(5000, 350 + 3 * (performance.now() - began));
  }

  #makeCertificates(): Record<string, string> {
    if (this.#certificates === undefined) {
      this.#dir = mkdtempSync(join(tmpdir(), 'tsetcd-pki-'));
      this.#certificates = makeCertificates(this.#dir);
    }
    return this.#certificates;
  }

  close(): void {
    if (this.#dir !== undefined) rmSync(this.#dir, { recursive: true, force: true });
  }
}

/** Replays with the programs that the arguments name, our own for the rest; prints what differs and counts by area. */
export async function main(argv: readonly string[]): Promise<number> {
  const option = (name: string): string | undefined => {
    const at = argv.indexOf(`--${name}`);
    return at < 0 ? undefined : argv[at + 1];
  };
  const words = (text: string | undefined, fallback: readonly string[]): readonly string[] => text?.split(' ') ?? fallback;
  const merged = option('utl') === undefined;
  const programs = {
    control: words(option('ctl'), ourPrograms.control),
    util: words(option('utl'), ourPrograms.util),
    server: words(option('server'), ourPrograms.server),
    merged,
  };
  const only = new RegExp(option('only') ?? '');
  const queue = areas()
    .flatMap(({ area, scenarios }) => scenarios.map((scenario) => ({ area, scenario, name: `${area}/${scenario.name}` })))
    .filter((s) => only.test(s.name) && (argv.includes('--slow') || s.scenario.slow !== true));
  const replayer = new Replayer(programs);
  const counts = new Map<string, { passed: number; failed: number }>();
  const worker = async (): Promise<void> => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const differences = await replayer.replay(next.scenario);
      const count = counts.get(next.area) ?? { passed: 0, failed: 0 };
      counts.set(next.area, count);
      if (differences.length === 0) count.passed++;
      else {
        count.failed++;
        console.log(`FAIL ${next.name}`, differences.slice(0, 3));
      }
    }
  };
  await Promise.all(Array.from({ length: Number(option('jobs') ?? 2) }, worker));
  replayer.close();
  let failed = 0;
  for (const [area, count] of [...counts].sort()) {
    failed += count.failed;
    console.log(`${area.padEnd(14)} ${count.passed} passed, ${count.failed} failed`);
  }
  return failed === 0 ? 0 : 1;
}

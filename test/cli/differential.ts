/**
 * Runs the same command lines with etcd's own programs (client, offline tool, server) and with ours, and prints where they differ in
 * standard output, standard error or exit code: `node test/cli/differential.mjs [GROUP …] [--seeds 1,2,3] [--count 100] [--server etcd|tsetcd]`.
 */
import { reference } from '../support/member.ts';
import { cases, txnLines, type Case } from './differential-cases.ts';
import { ourPrograms, Replayer } from './replay.ts';
import type { Difference, Programs } from './scenario.ts';

/** Undefined where the reference programs are not installed. */
export function referencePrograms(): Programs | undefined {
  const [etcd, etcdctl, etcdutl] = ['etcd', 'etcdctl', 'etcdutl'].map(reference);
  if (etcd === undefined || etcdctl === undefined || etcdutl === undefined) return undefined;
  return { control: [etcdctl], util: [etcdutl], server: [etcd], merged: false };
}

/** What ours says otherwise than theirs, for the same lines. */
export async function differences(theirs: Replayer, ours: Replayer, { scenario }: Case): Promise<readonly Difference[]> {
  const recorded = await theirs.record(scenario);
  if (recorded.failures.length > 0) return recorded.failures.map((f) => ({ ...f, what: `reference: ${f.what}` }));
  return ours.replay(recorded.scenario);
}

const shown = (value: unknown): string => (JSON.stringify(value) ?? '').slice(0, 1500);

export async function main(argv: readonly string[]): Promise<number> {
  const option = (name: string, fallback: string): string => {
    const at = argv.indexOf(`--${name}`);
    return at < 0 ? fallback : (argv[at + 1] ?? fallback);
  };
  const programs = referencePrograms();
  if (programs === undefined) {
    console.error('the reference programs are not there: node scripts/reference.mjs installs them');
    return 1;
  }
  const seeds = option('seeds', '1').split(',').map(Number);
  const groups = argv.filter((a, i) => !a.startsWith('--') && !argv[i - 1]?.startsWith('--'));
  const theirs = new Replayer(programs);
  // Their server under our client tells the client's faults from the server's.
  const ours = new Replayer({ ...ourPrograms, ...(option('server', 'tsetcd') === 'etcd' ? { server: programs.server } : {}) });
  const queue = [...cases({ seeds, count: Number(option('count', '100')) }), txnLines()].filter(
    (c) => groups.length === 0 || groups.includes(c.group),
  );
  let steps = 0;
  let differing = 0;
  const worker = async (): Promise<void> => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const found = await differences(theirs, ours, next);
      steps += next.scenario.steps.length;
      differing += found.length;
      console.log(`${next.group}: ${next.scenario.name}: ${next.scenario.steps.length} steps, ${found.length} differences`);
      for (const d of found) console.log(`  ${d.step}\n    ${d.what}\n      etcd: ${shown(d.want)}\n      ours: ${shown(d.got)}`);
    }
  };
  await Promise.all(Array.from({ length: Number(option('jobs', '2')) }, worker));
  theirs.close();
  ours.close();
  console.log(`${steps} steps, ${differing} differences`);
  return differing === 0 ? 0 : 1;
}

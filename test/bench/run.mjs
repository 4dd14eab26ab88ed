// `npm run bench [-- NAME …] [--quick] [--rounds N] [--json FILE] [--keys N] [--kind etcd|tsetcd] [--dir DIR]`: drives a real etcd 3.7.1 and
// tsetcd in turn with the same load generators on the same disk, and prints both and the ratio (workloads.mjs says what each measures).
import { execFileSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { bin, Cluster } from './members.mjs';
import { median, workloadsFor } from './workloads.mjs';

const { values: flags, positionals: wanted } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    json: { type: 'string' },
    kind: { type: 'string' },
    keys: { type: 'string' },
    dir: { type: 'string', default: tmpdir() },
  },
});
const scale = flags.quick ? 0.1 : 1;
const count = (n) => Math.max(20, Math.round(n * scale));
const rounds = Number(flags.rounds ?? (flags.quick ? 1 : 3));
const keys = Number(flags.keys ?? count(1_000_000));
const kinds = ['etcd', 'tsetcd'].filter((k) => flags.kind === undefined || k === flags.kind);

if (!existsSync(join(bin, 'etcd'))) {
  console.error('no reference etcd: run node scripts/reference.mjs (needs Go)');
  process.exit(1);
}

/** One run of one workload; undefined when it failed, which is said. */
async function measure(name, workload, kind) {
  const members = new Cluster(kind, { members: workload.members, tls: workload.tls, dir: flags.dir });
  try {
    if (!workload.bare) await members.start();
    if (workload.setup) await workload.setup(members);
    if (workload.warm) await workload.warm(members);
    const figures = await workload.run(members, { keys });
    return { ...(workload.bare ? {} : members.memory()), ...figures };
  } catch (error) {
    console.error(`${name} ${kind}: ${error.message}`);
    process.exitCode = 1;
    return undefined;
  } finally {
    await members.remove();
  }
}

const show = (v) => (Number.isNaN(v) ? '-' : v >= 1000 ? Math.round(v).toString() : v >= 10 ? v.toFixed(1) : v.toFixed(3));
function spread(runs, field) {
  const values = runs.map((r) => r[field]).filter((v) => v !== undefined && !Number.isNaN(v));
  if (values.length === 0) return { text: '-', mid: NaN };
  return { text: `${show(median(values))} [${show(Math.min(...values))}…${show(Math.max(...values))}]`, mid: median(values) };
}

const [cpu] = cpus();
const version = execFileSync(join(bin, 'etcd'), ['--version']).toString().split('\n')[0];
console.log(`machine: ${cpus().length} × ${cpu.model}, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.version}, ${version}`);
console.log(`load average at the start: ${loadavg()[0].toFixed(2)}`);
const results = {};
for (const [name, workload] of Object.entries(workloadsFor(count))) {
  if (wanted.length > 0 && !wanted.some((x) => name.startsWith(x))) continue;
  const runs = Object.fromEntries(kinds.map((k) => [k, []]));
  for (let round = 0; round < (workload.once ? 1 : rounds); round++)
    // In turn, so that a drift of the machine meets both alike.
    for (const kind of kinds) {
      if ((workload.only ?? kind) !== kind) continue;
      const figures = await measure(name, workload, kind);
      if (figures !== undefined) runs[kind].push(figures);
    }
  results[name] = runs;
  console.log(`\n${name}`);
  for (const field of new Set(kinds.flatMap((k) => runs[k].flatMap((r) => Object.keys(r))))) {
    const cells = kinds.map((k) => spread(runs[k], field));
    if (cells.every((c) => c.text === '-')) continue;
    const ratio = cells.length === 2 && workload.only === undefined ? `   ratio ${(cells[1].mid / cells[0].mid).toFixed(2)}` : '';
    console.log(
      `  ${field.padEnd(18)} ${kinds.flatMap((k, i) => (cells[i].text === '-' ? [] : [`${k} ${cells[i].text}`])).join('   ')}${ratio}`,
    );
  }
}
if (flags.json !== undefined) writeFileSync(flags.json, JSON.stringify(results, undefined, 1));

// Where the CPU time of a member goes: `node test/bench/where.mjs put|range [--total N]`. One tsetcd member under the load of `npm run bench`,
// with V8's profiler on its main thread; the samples are summed up by the room of the source they fall into, and given in µs a call.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Cluster, cpuSeconds, top } from './members.mjs';
import { workloadsFor } from './workloads.mjs';

const { values, positionals } = parseArgs({ allowPositionals: true, options: { total: { type: 'string', default: '200000' } } });
const name = { put: 'put-1000', range: 'range-linear-1000' }[positionals[0] ?? 'put'];
const total = Number(values.total);
const { [name]: workload } = workloadsFor((n) => Math.round((n * total) / 200_000));

/** Line of the bundle → its source, from the comments that the bundler leaves. */
function sourcesOf(bundle) {
  const lines = readFileSync(bundle, 'utf8').split('\n');
  const sources = [];
  let source = '';
  for (const line of lines) {
    if (/^(\/\/|  \/\/) (src|node_modules)\//.test(line)) source = line.trim().slice(3);
    sources.push(source);
  }
  return sources;
}

const rooms = [
  ['HTTP/2 frames, HPACK', /^src\/wire\/h2\//],
  ['calls: dispatch, deadlines, replies', /^src\/wire\//],
  ['protobuf', /^src\/api\//],
  ['services, admission, auth', /^src\/server\/(services|auth)\//],
  ['proposals, ready loop, read index', /^src\/server\/consensus\//],
  ['raft', /^src\/raft\//],
  ['WAL records and checksums', /^src\/(server\/storage\/wal\/|base\/crc32c)/],
  ['apply, quota, txn, leases', /^src\/server\/(apply|txn|lease|alarm)\//],
  ['mvcc', /^src\/server\/mvcc\//],
  ['revision log', /^src\/server\/storage\/revlog\//],
  ['index', /^src\/server\/storage\/index\//],
  ['metrics, logs', /^src\/(server\/(http|maintenance)|base\/(log|metric)|host\/log)/],
  ['seams: disk, clock', /^src\/(host|base)\//],
];
function roomOf(frame, sources) {
  const { url, functionName, lineNumber } = frame;
  if (functionName === '(garbage collector)') return 'garbage collector';
  if (functionName === '(idle)') return 'idle';
  if (functionName === '(program)' || functionName === '(root)') return 'native code of Node';
  if (!url.endsWith('member.cjs')) return url === '' ? 'built-in functions' : 'Node: sockets, events, timers';
  const source = sources[lineNumber] ?? '';
  return rooms.find(([, re]) => re.test(source))?.[0] ?? `other (${source.split('/').slice(0, 3).join('/')})`;
}

const profiles = mkdtempSync(join(tmpdir(), 'tsetcd-where-'));
const members = new Cluster('tsetcd', {
  dir: tmpdir(),
  nodeFlags: ['--cpu-prof', `--cpu-prof-dir=${profiles}`, '--cpu-prof-interval=250'],
});
const ticks = (tid) => {
  const f = readFileSync(`/proc/${members.members[0].pid}/task/${tid}/stat`, 'utf8').split(') ')[1].split(' ');
  return [Number(f[11]) * 1e4, Number(f[12]) * 1e4];
};
try {
  await members.start();
  if (workload.setup) await workload.setup(members);
  const { pid } = members.members[0];
  await workload.run(members, {});
  const before = { cpu: cpuSeconds(pid), main: ticks(pid) };
  const figures = await workload.run(members, {});
  const after = { cpu: cpuSeconds(pid), main: ticks(pid) };
  await members.stop();
  const per = (us) => us / total;
  const [user, system] = [0, 1].map((i) => per(after.main[i] - before.main[i]));
  const all = per((after.cpu - before.cpu) * 1e6);

  const sources = sourcesOf(join(top, 'dist/member.cjs'));
  const profile = JSON.parse(readFileSync(join(profiles, readdirSync(profiles)[0]), 'utf8'));
  const frames = new Map(profile.nodes.map((n) => [n.id, n.callFrame]));
  const sums = new Map();
  for (const [i, id] of profile.samples.entries()) {
    const room = roomOf(frames.get(id), sources);
    sums.set(room, (sums.get(room) ?? 0) + profile.timeDeltas[i]);
  }
  sums.delete('idle');
  const busy = [...sums.values()].reduce((a, b) => a + b);
  console.log(
    `${name}: ${Math.round(figures.rate)}/s; server CPU a call ${all.toFixed(1)} µs, of which the main thread ${(user + system).toFixed(1)} µs`,
  );
  // The profile is of the whole run, start included: its shares are laid on the main thread's time of the second, warm load.
  for (const [room, us] of [...sums].sort((a, b) => b[1] - a[1]))
    if (us / busy > 0.005)
      console.log(
        `  ${room.padEnd(38)} ${((us / busy) * (user + system)).toFixed(2).padStart(6)} µs  ${((us / busy) * 100).toFixed(1).padStart(5)} %`,
      );
  console.log(`  ${'other threads (WAL, disk, V8)'.padEnd(38)} ${(all - user - system).toFixed(2).padStart(6)} µs`);
} finally {
  await members.remove();
  rmSync(profiles, { recursive: true, force: true });
}

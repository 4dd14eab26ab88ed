// What is measured: each workload drives the members of one kind and gives its figures.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { bin, cpuSeconds, sleep, top } from './members.mjs';

export const median = (values) => values.slice().sort((a, b) => a - b)[Math.floor(values.length / 2)];

function tool(name, argv) {
  return new Promise((resolve, reject) => {
    const child = spawn(join(bin, name), argv, { stdio: ['ignore', 'pipe', 'pipe'] });
    let out = '';
    child.stdout.on('data', (d) => (out += d));
    child.stderr.on('data', (d) => (out += d));
    let cpu = 0;
    const poll = setInterval(() => {
      try {
        cpu = cpuSeconds(child.pid);
      } catch {
        // It has just ended.
      }
    }, 50);
    child.on('close', (code) => {
      clearInterval(poll);
      if (code !== 0) reject(new Error(`${name} ${argv.join(' ')}: exit ${code}\n${out.slice(-2000)}`));
      else resolve({ out, cpu });
    });
  });
}

/** The last of its kind: some loads sum up how they prepared first. */
const last = (re, text) => Number([...text.matchAll(new RegExp(re, 'g'))].at(-1)?.[1] ?? NaN);
/** One run of a load: rate, latencies in ms, CPU of members and load generator. */
async function load(members, ops, name, argv) {
  const before = members.cpu();
  const t = performance.now();
  const { out, cpu } = await tool(name, argv);
  const seconds = (performance.now() - t) / 1000;
  const rate = last(/Requests\/sec:\s+([\d.e+-]+)/, out);
  return {
    rate: Number.isNaN(rate) ? ops / seconds : rate,
    p50ms: last(/50% in ([\d.e+-]+) secs/, out) * 1000,
    p99ms: last(/\b99% in ([\d.e+-]+) secs/, out) * 1000,
    serverCpuUs: ((members.cpu() - before) / ops) * 1e6,
    loadCpuUs: (cpu / ops) * 1e6,
  };
}

/** etcd's own load generator. */
const bench = (members, ops, ...argv) => load(members, ops, 'benchmark', [argv[0], '--precise', ...members.toolFlags, ...argv.slice(1)]);
/** Ours: test/reference/load. */
const ours = (members, ops, ...argv) => load(members, ops, 'load', [...members.toolFlags, ...argv]);
const etcdctl = (members, ...argv) => tool('etcdctl', [...members.toolFlags, ...argv]);

const put = (members, total, clients, conns) =>
  bench(
    members,
    total,
    'put',
    `--clients=${clients}`,
    `--conns=${conns}`,
    `--total=${total}`,
    '--key-size=8',
    '--val-size=256',
    '--key-space-size=100000',
  );
const range = (members, total, ...flags) =>
  bench(members, total, 'range', 'key', '--clients=1000', '--conns=100', `--total=${total}`, ...flags);
const oneKey = (members) => etcdctl(members, 'put', 'key', 'v'.repeat(256));
const fanOut = (members, watchers, puts) =>
  bench(
    members,
    watchers * puts,
    'watch',
    '--streams=10',
    `--watch-per-stream=${watchers / 10}`,
    '--watched-key-total=1',
    `--put-total=${puts}`,
    '--put-rate=0',
  );

/**
 * Median wall time of command lines, ms. With hyperfine where it is installed; else, and then in turn so that a drift of the machine meets all
 * alike, with a clock of our own.
 */
function startTimes(commands, runs, dir) {
  if (spawnSync('hyperfine', ['--version']).status === 0) {
    const file = join(mkdtempSync(join(dir, 'tsetcd-hyperfine-')), 'times.json');
    const quoted = Object.values(commands).map((words) => words.map((w) => `'${w}'`).join(' '));
    execFileSync('hyperfine', ['-N', '--warmup', '5', '--runs', String(runs), '--export-json', file, ...quoted], { stdio: 'ignore' });
    const { results } = JSON.parse(readFileSync(file, 'utf8'));
    rmSync(dirname(file), { recursive: true });
    return Object.fromEntries(Object.keys(commands).map((name, i) => [name, results[i].median * 1000]));
  }
  const times = Object.fromEntries(Object.keys(commands).map((name) => [name, []]));
  for (let round = -5; round < runs; round++)
    for (const [name, [file, ...words]] of Object.entries(commands)) {
      const begun = performance.now();
      const { status } = spawnSync(file, words, { stdio: 'ignore' });
      if (status !== 0) throw new Error(`${words.join(' ')}: exit ${status}`);
      if (round >= 0) times[name].push(performance.now() - begun);
    }
  return Object.fromEntries(Object.entries(times).map(([name, list]) => [name, median(list)]));
}

/**
 * Name → what it needs and what it measures. `warm` runs before the measured load on the same members: both programs are measured as they are
 * after their first seconds; `put-1-cold` shows those seconds.
 *
 * @param count scales a number of operations
 */
export function workloadsFor(count) {
  const many = count(200_000);
  return {
    'put-1': { warm: (m) => put(m, count(15_000), 1, 1), run: (m) => put(m, count(10_000), 1, 1) },
    'put-1-cold': { run: (m) => put(m, count(5000), 1, 1) },
    'put-1000': { run: (m) => put(m, many, 1000, 100) },
    'range-linear-1000': { setup: oneKey, run: (m) => range(m, many) },
    'range-serial-1000': { setup: oneKey, run: (m) => range(m, many, '--consistency=s') },
    'txn-4': { run: (m) => ours(m, count(50_000), 'txn', '-total', String(count(50_000)), '-clients', '500', '-conns', '50') },
    'watch-latency': {
      warm: (m) => ours(m, count(5000), 'watch-latency', '-total', String(count(5000)), '-rate', '2000'),
      run: (m) => ours(m, count(3000), 'watch-latency', '-total', String(count(3000)), '-rate', '500'),
    },
    'watch-1000': { run: (m) => fanOut(m, 1000, count(1000)) },
    'watch-10000': { run: (m) => fanOut(m, 10_000, count(100)) },
    keepalive: { run: (m) => bench(m, many, 'lease-keepalive', '--clients=100', '--conns=10', `--total=${many}`) },
    'tls-put-1000': { tls: true, run: (m) => put(m, many, 1000, 100) },
    'tls-range-linear-1000': { tls: true, setup: oneKey, run: (m) => range(m, many) },
    'tls-range-serial-1000': { tls: true, setup: oneKey, run: (m) => range(m, many, '--consistency=s') },
    'three-put-1000': { members: 3, warm: (m) => put(m, count(50_000), 1000, 100), run: (m) => put(m, many, 1000, 100) },
    // Puts by 1000 callers inside the process, no network (in-process.mjs).
    'in-process': {
      bare: true,
      only: 'tsetcd',
      run(m) {
        const words = [join(top, 'test/bench/in-process.mjs'), join(m.dir, 'data'), String(count(500_000)), '1000'];
        return JSON.parse(execFileSync(process.execPath, words).toString());
      },
    },
    // A Kubernetes control plane: pods by transactions, watchers that list by RangeStream and follow, leases, compaction (test/reference/kubeload).
    kubernetes: {
      once: true,
      async run(m) {
        const before = m.cpu();
        const { out, cpu } = await tool('kubeload', ['-endpoints', m.endpoints, '-pods', String(count(5000)), '-watchers', '100']);
        const seen = JSON.parse(out.slice(out.indexOf('{')));
        return { ...seen, serverCpuSeconds: m.cpu() - before, loadCpuSeconds: cpu };
      },
    },
    // One command line from its start to its end, in ms and in start-ups of an empty Node program.
    'cli-start': {
      async run(m) {
        const ctl = m.kind === 'etcd' ? [join(bin, 'etcdctl')] : [process.execPath, join(top, 'bin/tsetcd')];
        const times = startTimes(
          {
            node: [process.execPath, '-e', '0'],
            put: [...ctl, 'put', 'a', 'b', ...m.toolFlags],
            get: [...ctl, 'get', 'a', ...m.toolFlags],
            help: [...ctl, '--help'],
            version: [...ctl, 'version'],
            completion: [...ctl, 'completion', 'bash'],
          },
          count(60),
          m.dir,
        );
        const out = {};
        for (const [name, ms] of Object.entries(times)) out[`${name}Ms`] = ms;
        for (const [name, ms] of Object.entries(times)) if (name !== 'node') out[`${name}PerNode`] = ms / times.node;
        return out;
      },
    },
    'cold-start': {
      bare: true,
      async run(m) {
        const ms = await m.start();
        await m.stop();
        await m.dropData();
        return { ms };
      },
    },
    // A store of 1,000,000 keys: what it costs to fill, to page through, to start with. `--keys 10000000` for ten times as many.
    restart: {
      once: true,
      async run(m, { keys }) {
        const cpuBefore = m.cpu();
        const filled = await tool('load', [...m.toolFlags, 'fill', '-keys', String(keys), '-leases', String(Math.round(keys / 10))]);
        const fillCpuUs = ((m.cpu() - cpuBefore) / keys) * 1e6;
        const writtenBytesPerPut = (m.writtenMB() * 1e6) / keys;
        const filledMemory = m.memory();
        const paging = await tool('load', [...m.toolFlags, 'page', '-limit', '500']);
        const big = await tool('load', [...m.toolFlags, 'bigrange', '-keys', String(Math.min(100_000, Math.round(keys / 10)))]);
        await m.stop();
        const cleanMs = await firstRead(m);
        const cleanCpuMs = m.cpu() * 1000;
        await sleep(1000);
        const memory = m.memory();
        await put(m, count(20_000), 100, 10);
        await m.stop('SIGKILL');
        const killMs = await firstRead(m);
        return {
          cleanMs,
          cleanCpuMs,
          killMs,
          killCpuMs: m.cpu() * 1000,
          ...memory,
          fillSeconds: last(/seconds ([\d.]+)/, filled.out),
          fillCpuUs,
          fillRssAnonMB: filledMemory.rssAnonMB,
          writtenBytesPerPut,
          pageSeconds: last(/seconds ([\d.]+)/, paging.out),
          bigRangeSeconds: last(/median ([\d.]+)/, big.out),
          diskMB: m.diskMB(),
        };
      },
    },
  };
}

/** ms from the start of the process to its first healthy answer, which takes a linearizable read. */
const firstRead = (members) => members.start();

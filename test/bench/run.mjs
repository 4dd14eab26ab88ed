// `npm run bench [-- NAME …] [--quick] [--rounds N] [--json FILE]`: drives a real etcd 3.7.1 and tsetcd in turn with the same load generators on
// the same disk, and prints both and the ratio. Loads: etcd's own `benchmark` tool, else our Go program on clientv3 (test/reference/load).
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync, readdirSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { get } from 'node:http';
import { cpus, totalmem } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const top = join(dirname(fileURLToPath(import.meta.url)), '../..');
const bin = join(top, '.cache/reference/bin');
const args = process.argv.slice(2);
const flag = (name, fallback) => {
  const i = args.indexOf(`--${name}`);
  return i < 0 ? fallback : args[i + 1];
};
const quick = args.includes('--quick');
const rounds = Number(flag('rounds', quick ? 1 : 3));
const onlyKind = flag('kind', '');
const wanted = args.filter((a, i) => !a.startsWith('--') && !['--rounds', '--json', '--kind'].includes(args[i - 1] ?? ''));
const scale = quick ? 0.1 : 1;
const count = (n) => Math.max(100, Math.round(n * scale));
const kinds = ['etcd', 'tsetcd'].filter((k) => onlyKind === '' || k === onlyKind);

const sleep = (ms) => new Promise((r) => setTimeout(r, ms));
const ticksPerSecond = 100;

async function freePort() {
  return new Promise((resolve) => {
    const s = createServer().listen(0, '127.0.0.1', () => {
      const { port } = s.address();
      s.close(() => resolve(port));
    });
  });
}

const healthy = (url) =>
  new Promise((resolve) => {
    const r = get(`${url}/health`, { agent: false, timeout: 1000 }, (res) => {
      res.resume();
      resolve(res.statusCode === 200);
    });
    r.on('error', () => resolve(false));
    r.on('timeout', () => r.destroy());
  });

class Server {
  constructor(kind, extra = []) {
    this.kind = kind;
    this.extra = extra;
    this.dir = mkdtempSync(join(flag('dir', process.env.TMPDIR ?? '/tmp'), 'tsetcd-bench-'));
  }
  async start() {
    this.client ??= await freePort();
    this.peer ??= await freePort();
    const url = `http://127.0.0.1:${this.client}`;
    const peer = `http://127.0.0.1:${this.peer}`;
    const flags = ['--data-dir', join(this.dir, 'data'), '--listen-client-urls', url, '--advertise-client-urls', url];
    flags.push(
      '--listen-peer-urls',
      peer,
      '--initial-advertise-peer-urls',
      peer,
      '--initial-cluster',
      `default=${peer}`,
      '--log-level',
      'warn',
    );
    flags.push('--quota-backend-bytes', '17179869184', ...this.extra);
    const log = openSync(join(this.dir, 'log'), 'a');
    const begun = performance.now();
    this.child =
      this.kind === 'etcd'
        ? spawn(join(bin, 'etcd'), flags, { stdio: ['ignore', log, log] })
        : spawn(process.execPath, [join(top, 'bin/tsetcd'), 'server', ...flags], { stdio: ['ignore', log, log] });
    this.exited = new Promise((r) => this.child.once('exit', r));
    for (;;) {
      if (await healthy(url)) break;
      if (this.child.exitCode !== null) throw new Error(`${this.kind} ended: ${readFileSync(join(this.dir, 'log'), 'utf8').slice(-2000)}`);
      if (performance.now() - begun > 120_000) throw new Error(`${this.kind} did not become healthy`);
      await sleep(2);
    }
    return performance.now() - begun;
  }
  get endpoint() {
    return `127.0.0.1:${this.client}`;
  }
  /** User and system CPU seconds so far, all threads. */
  cpu() {
    const f = readFileSync(`/proc/${this.child.pid}/stat`, 'utf8').split(') ')[1].split(' ');
    return (Number(f[11]) + Number(f[12])) / ticksPerSecond;
  }
  memory() {
    const s = readFileSync(`/proc/${this.child.pid}/status`, 'utf8');
    const of = (k) => Math.round(Number(new RegExp(`${k}:\\s+(\\d+)`).exec(s)?.[1] ?? 0) / 1024);
    return { rssAnonMB: of('RssAnon'), vmRssMB: of('VmRSS') };
  }
  written() {
    return Number(/write_bytes: (\d+)/.exec(readFileSync(`/proc/${this.child.pid}/io`, 'utf8'))?.[1] ?? 0);
  }
  diskMB() {
    const walk = (p) => (statSync(p).isDirectory() ? readdirSync(p).reduce((a, n) => a + walk(join(p, n)), 0) : statSync(p).blocks * 512);
    return Math.round(walk(join(this.dir, 'data')) / 1e6);
  }
  async stop(signal = 'SIGTERM') {
    this.child.kill(signal);
    await this.exited;
  }
  async remove() {
    if (this.child && this.child.exitCode === null && this.child.signalCode === null) await this.stop('SIGKILL');
    rmSync(this.dir, { recursive: true, force: true });
  }
}

function tool(name, argv) {
  return new Promise((resolve, reject) => {
    const child = spawn(join(bin, name), argv, { stdio: ['ignore', 'pipe', 'pipe'] });
    let out = '';
    child.stdout.on('data', (d) => (out += d));
    child.stderr.on('data', (d) => (out += d));
    let cpu = 0;
    const poll = setInterval(() => {
      try {
        const f = readFileSync(`/proc/${child.pid}/stat`, 'utf8').split(') ')[1].split(' ');
        cpu = (Number(f[11]) + Number(f[12])) / ticksPerSecond;
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

const number = (re, text) => Number(re.exec(text)?.[1] ?? NaN);
/** One run of a load: rate, latencies in ms, CPU of server and load generator. */
async function load(server, ops, name, argv) {
  const before = server.cpu();
  const t = performance.now();
  const { out, cpu } = await tool(name, argv);
  const seconds = (performance.now() - t) / 1000;
  const rate = number(/Requests\/sec:\s+([\d.]+)/, out);
  return {
    rate: Number.isNaN(rate) ? ops / seconds : rate,
    p50ms: number(/50% in ([\d.]+) secs/, out) * 1000,
    p99ms: number(/99% in ([\d.]+) secs/, out) * 1000,
    serverCpuUs: ((server.cpu() - before) / ops) * 1e6,
    loadCpuUs: (cpu / ops) * 1e6,
  };
}

const bench = (server, ops, ...argv) => load(server, ops, 'benchmark', [argv[0], `--endpoints=${server.endpoint}`, ...argv.slice(1)]);
const put = (server, total, clients, conns) =>
  bench(
    server,
    total,
    'put',
    `--clients=${clients}`,
    `--conns=${conns}`,
    `--total=${total}`,
    '--key-size=8',
    '--val-size=256',
    '--key-space-size=100000',
  );

/**
 * Median wall time of command lines, ms. With hyperfine where it is installed; else, and then in turn so that a drift of the machine meets all
 * alike, with a clock of our own.
 */
function startTimes(commands, runs) {
  if (spawnSync('hyperfine', ['--version']).status === 0) {
    const file = join(mkdtempSync(join(flag('dir', process.env.TMPDIR ?? '/tmp'), 'tsetcd-hyperfine-')), 'times.json');
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

/** name → what it needs and what it measures. `better` says which way the ratio goes. */
const workloads = {
  'put-1': { unit: 'p50ms', run: (s) => put(s, count(5000), 1, 1) },
  'put-1000': { unit: 'rate', run: (s) => put(s, count(200000), 1000, 100) },
  'range-linear-1000': {
    unit: 'rate',
    setup: (s) => tool('etcdctl', [`--endpoints=${s.endpoint}`, 'put', 'key', 'v'.repeat(256)]),
    run: (s) => bench(s, count(200000), 'range', 'key', '--clients=1000', '--conns=100', `--total=${count(200000)}`),
  },
  'range-serial-1000': {
    unit: 'rate',
    setup: (s) => tool('etcdctl', [`--endpoints=${s.endpoint}`, 'put', 'key', 'v'.repeat(256)]),
    run: (s) => bench(s, count(200000), 'range', 'key', '--consistency=s', '--clients=1000', '--conns=100', `--total=${count(200000)}`),
  },
  'txn-4': {
    unit: 'rate',
    run: (s) =>
      load(s, count(50000), 'load', ['-endpoints', s.endpoint, 'txn', '-total', String(count(50000)), '-clients', '500', '-conns', '50']),
  },
  'watch-latency': {
    unit: 'p50ms',
    run: (s) =>
      bench(s, count(2000), 'watch-latency', '--put-rate=500', `--put-total=${count(2000)}`, '--streams=1', '--watchers-per-stream=1'),
  },
  'watch-fanout': {
    unit: 'rate',
    run: (s) =>
      bench(
        s,
        count(500) * 1000,
        'watch',
        '--streams=10',
        '--watch-per-stream=100',
        '--watched-key-total=1',
        `--put-total=${count(500)}`,
        '--put-rate=0',
      ),
  },
  keepalive: {
    unit: 'rate',
    run: (s) => bench(s, count(100000), 'lease-keepalive', '--clients=100', '--conns=10', `--total=${count(100000)}`),
  },
  // A Kubernetes control plane: pods by transactions, watchers that list by RangeStream and follow, leases, compaction (test/reference/kubeload).
  kubernetes: {
    unit: 'updatesPerSecond',
    once: true,
    async run(s) {
      const before = s.cpu();
      const { out, cpu } = await tool('kubeload', ['-endpoints', s.endpoint, '-pods', String(count(5000)), '-watchers', '100']);
      const seen = JSON.parse(out.slice(out.indexOf('{')));
      return { ...seen, serverCpuSeconds: s.cpu() - before, loadCpuSeconds: cpu, ...s.memory() };
    },
  },
  // One command line from its start to its end, in ms and in start-ups of an empty Node program.
  'cli-start': {
    unit: 'putMs',
    async run(s) {
      const ctl = s.kind === 'etcd' ? [join(bin, 'etcdctl')] : [process.execPath, join(top, 'bin/tsetcd')];
      const at = `--endpoints=${s.endpoint}`;
      const times = startTimes(
        {
          node: [process.execPath, '-e', '0'],
          put: [...ctl, 'put', 'a', 'b', at],
          get: [...ctl, 'get', 'a', at],
          help: [...ctl, '--help'],
          version: [...ctl, 'version'],
          completion: [...ctl, 'completion', 'bash'],
        },
        quick ? 20 : 60,
      );
      const out = {};
      for (const [name, ms] of Object.entries(times)) out[`${name}Ms`] = ms;
      for (const [name, ms] of Object.entries(times)) if (name !== 'node') out[`${name}PerNode`] = ms / times.node;
      return out;
    },
  },
  'cold-start': {
    unit: 'ms',
    bare: true,
    async run(s) {
      const ms = await s.start();
      await s.stop();
      rmSync(join(s.dir, 'data'), { recursive: true, force: true });
      return { ms };
    },
  },
  restart: {
    unit: 'cleanMs',
    once: true,
    async setup(s) {
      const keys = String(count(1_000_000));
      await tool('load', ['-endpoints', s.endpoint, 'fill', '-keys', keys, '-leases', String(count(100_000))]);
    },
    async run(s) {
      const paging = await tool('load', ['-endpoints', s.endpoint, 'page', '-limit', '500']);
      const big = await tool('load', ['-endpoints', s.endpoint, 'bigrange', '-keys', String(count(100_000))]);
      const written = s.written();
      await s.stop();
      const cleanMs = await s.start();
      await sleep(1000);
      const memory = s.memory();
      await put(s, count(20000), 100, 10);
      await s.stop('SIGKILL');
      const killMs = await s.start();
      return {
        cleanMs,
        killMs,
        ...memory,
        pageSeconds: number(/seconds ([\d.]+)/, paging.out),
        bigRangeSeconds: number(/median ([\d.]+)/, big.out),
        writtenMB: written / 1e6,
        diskMB: s.diskMB(),
      };
    },
  },
};

const median = (values) => values.slice().sort((a, b) => a - b)[Math.floor(values.length / 2)];
const show = (v) => (Number.isNaN(v) ? '-' : v >= 1000 ? Math.round(v).toString() : v >= 10 ? v.toFixed(1) : v.toFixed(3));

const results = {};
if (!existsSync(join(bin, 'etcd'))) {
  console.error('no reference etcd: run node scripts/reference.mjs (needs Go)');
  process.exit(1);
}
console.log(
  `machine: ${cpus().length} × ${cpus()[0].model}, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.version}, etcd ${execFileSync(join(bin, 'etcd'), ['--version']).toString().split('\n')[0]}`,
);
for (const [name, w] of Object.entries(workloads)) {
  if (wanted.length > 0 && !wanted.some((x) => name.startsWith(x))) continue;
  const runs = Object.fromEntries(kinds.map((k) => [k, []]));
  for (let round = 0; round < (w.once ? 1 : rounds); round++) {
    // In turn, so that a drift of the machine meets both alike.
    for (const kind of kinds) {
      const server = new Server(kind);
      try {
        if (!w.bare) await server.start();
        if (w.setup) await w.setup(server);
        const r = await w.run(server);
        if (!w.bare) Object.assign(r, r.rssAnonMB === undefined ? server.memory() : {});
        runs[kind].push(r);
      } catch (error) {
        console.error(`${name} ${kind}: ${error.message}`);
      } finally {
        await server.remove();
      }
    }
  }
  results[name] = runs;
  const fields = [...new Set(kinds.flatMap((k) => runs[k].flatMap((r) => Object.keys(r))))];
  console.log(`\n${name}`);
  for (const f of fields) {
    const cell = (k) => {
      const values = runs[k].map((r) => r[f]).filter((v) => v !== undefined && !Number.isNaN(v));
      return values.length === 0
        ? { text: '-', mid: NaN }
        : { text: `${show(median(values))} [${show(Math.min(...values))}…${show(Math.max(...values))}]`, mid: median(values) };
    };
    const cells = kinds.map(cell);
    if (cells.every((c) => c.text === '-')) continue;
    const ratio = cells.length === 2 ? (cells[1].mid / cells[0].mid).toFixed(2) : '';
    console.log(`  ${f.padEnd(16)} ${kinds.map((k, i) => `${k} ${cells[i].text}`).join('   ')}   ratio ${ratio}`);
  }
}
if (flag('json', '')) writeFileSync(flag('json'), JSON.stringify(results, undefined, 1));

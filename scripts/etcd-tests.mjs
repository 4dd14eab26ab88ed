// Runs etcd's own end-to-end tests (go.etcd.io/etcd/tests/v3) with tsetcd in the place of etcd, etcdctl and etcdutl.
//
//     node scripts/etcd-tests.mjs [--suite e2e|common] [--run RE] [--last-release PATH] [--bin DIR] [--timeout SECONDS] [--list]
//
// Fetches the module with the go command, compiles both suites into .cache/reference and runs each test in a process of its own, one after the
// other: they use the ports from 20000 on. --last-release names an etcd of the minor version before, for the tests that change versions; they are
// skipped without. --bin takes other programs, such as the real ones, to compare.
import { execFileSync, spawn } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  copyFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const version = 'v3.7.1';
const top = join(dirname(fileURLToPath(import.meta.url)), '..');
const cache = join(top, '.cache/reference');
const module = join(cache, 'etcd-tests');
export const suites = ['e2e', 'common'];

/** What does not have to pass, and why; of a pair, only what the pattern names. */
const exceptions = new Map([
  [
    'TestEtcdHealthyWithTinySnapshotCatchupEntries',
    'starts etcdctl 1000 times in 30 s; a Node program needs some 50 ms of CPU to start, so this takes more than two processors',
  ],
  [
    'TestHTTPLivezReadyzHandler',
    'its case "corrupt" kills a member and changes its database as a bbolt file; the store of a member that did not stop in order is a directory',
  ],
  [
    'TestFailoverOnDefrag',
    [
      /^defrag_blocks_one-third_of_requests/,
      'expects a quarter of all requests to fail while a member defragments; here none does: it serves meanwhile',
    ],
  ],
  ['TestEtcdPeerLocalAddr', 'asks the network for the address of this machine; fails without a route to the outside, with etcd too'],
]);

/** Why a test did not have to pass, if what failed of it is no more than expected. */
function excuse(name, output) {
  const exception = exceptions.get(name);
  if (!Array.isArray(exception)) return exception;
  const [expected, reason] = exception;
  const parts = [...output.matchAll(/^ +--- FAIL: [^/ ]+\/(\S+)/gm)].map((m) => m[1]);
  return parts.length > 0 && parts.every((p) => expected.test(p)) ? reason : undefined;
}

const binaryOf = (suite) => join(cache, `etcd-tests-${suite}.test`);

/** Whether a suite is compiled. */
export const isPrepared = (suite) => existsSync(binaryOf(suite));

/** Fetches and compiles what is missing. */
export function prepare(wanted = suites) {
  mkdirSync(cache, { recursive: true });
  const go = (args, options = {}) =>
    execFileSync('go', args, { stdio: ['ignore', 'pipe', 2], env: { ...process.env, GOFLAGS: '-buildvcs=false -mod=mod' }, ...options });
  const missing = wanted.filter((s) => !isPrepared(s));
  if (missing.length === 0) return;
  const directoryOf = (path) => {
    const scratch = mkdtempSync(join(tmpdir(), 'etcd-tests-'));
    try {
      writeFileSync(join(scratch, 'go.mod'), 'module fetch\n');
      return JSON.parse(go(['mod', 'download', '-json', `${path}@${version}`], { cwd: scratch }).toString()).Dir;
    } finally {
      rmSync(scratch, { recursive: true, force: true });
    }
  };
  rmSync(module, { recursive: true, force: true });
  cpSync(directoryOf('go.etcd.io/etcd/tests/v3'), module, { recursive: true });
  // The module cache is read-only.
  execFileSync('chmod', ['-R', 'u+w', module]);
  // An example that one test starts from.
  copyFileSync(join(directoryOf('go.etcd.io/etcd/v3'), 'etcd.conf.yml.sample'), join(cache, 'etcd.conf.yml.sample'));
  // Its siblings come as modules of the same version, not from the folders beside it.
  const mod = readFileSync(join(module, 'go.mod'), 'utf8');
  writeFileSync(join(module, 'go.mod'), mod.replace(/^replace \([^)]*\)\n/ms, ''));
  for (const suite of missing) go(['test', '-c', '-tags', 'e2e', '-o', binaryOf(suite), `./${suite}`], { cwd: module });
}

/** A folder of programs for the tests: links to this checkout's. The caller removes it. */
export function programs(lastRelease) {
  const dir = mkdtempSync(join(tmpdir(), 'etcd-tests-bin-'));
  for (const name of ['etcd', 'etcdctl', 'etcdutl']) symlinkSync(join(top, 'bin/tsetcd'), join(dir, name));
  if (lastRelease !== undefined) symlinkSync(lastRelease, join(dir, 'etcd-last-release'));
  return dir;
}

export function listTests(suite) {
  return execFileSync(binaryOf(suite), ['-test.list', '.'], { cwd: join(module, suite) })
    .toString()
    .split('\n')
    .filter((l) => l.startsWith('Test'));
}

/** Runs one test. @returns its outcome (`pass`, `fail` or `skip`), what it printed, and the seconds it took. */
export async function runTest({ suite, name, bin, timeoutSeconds = 300 }) {
  const cwd = join(module, suite);
  // Some tests leave their data where they run.
  for (const left of readdirSync(cwd)) if (left.endsWith('.etcd')) rmSync(join(cwd, left), { recursive: true, force: true });
  const scratch = mkdtempSync(join(tmpdir(), 'etcd-tests-run-'));
  const start = performance.now();
  const args = ['-bin-dir', bin, '-test.run', `^${name}$`, '-test.v', '-test.timeout', `${timeoutSeconds}s`];
  // A group of its own, so that nothing is left of it when it fails.
  const child = spawn(binaryOf(suite), args, {
    cwd,
    env: { ...process.env, TMPDIR: scratch },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (d) => (output += d));
  const over = setTimeout(() => process.kill(-child.pid, 'SIGKILL'), (timeoutSeconds + 10) * 1000);
  await new Promise((resolve) => child.on('exit', resolve));
  clearTimeout(over);
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // Nothing was left.
  }
  // Members may still write when they are killed.
  rmSync(scratch, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  const outcome = /^--- (PASS|SKIP): /m.exec(output)?.[1]?.toLowerCase() ?? 'fail';
  return { outcome, output, seconds: (performance.now() - start) / 1000 };
}

async function main() {
  const { values } = parseArgs({
    options: {
      suite: { type: 'string' },
      run: { type: 'string', default: '.' },
      'last-release': { type: 'string' },
      bin: { type: 'string' },
      timeout: { type: 'string', default: '300' },
      list: { type: 'boolean', default: false },
    },
  });
  prepare(values.suite === undefined ? suites : [values.suite]);
  const wanted = new RegExp(values.run);
  const all = suites
    .filter((s) => values.suite === undefined || values.suite === s)
    .flatMap((suite) => listTests(suite).map((name) => ({ suite, name })))
    .filter(({ name }) => wanted.test(name));
  if (values.list) {
    for (const { suite, name } of all) console.log(`${suite} ${name}`);
    return;
  }
  const bin = values.bin ?? programs(values['last-release']);
  const count = { pass: 0, fail: 0, skip: 0, excepted: 0 };
  const failed = [];
  try {
    for (const { suite, name } of all) {
      const r = await runTest({ suite, name, bin, timeoutSeconds: Number(values.timeout) });
      const reason = r.outcome === 'fail' ? excuse(name, r.output) : undefined;
      count[reason === undefined ? r.outcome : 'excepted']++;
      console.log(
        `${reason === undefined ? r.outcome : 'excepted'} ${suite} ${name} ${r.seconds.toFixed(1)} s${reason === undefined ? '' : ` (${reason})`}`,
      );
      if (r.outcome !== 'fail' || reason !== undefined) continue;
      failed.push(name);
      const log = join(cache, `etcd-tests-${name}.log`);
      writeFileSync(log, r.output);
      console.log(`  ${log}`);
    }
  } finally {
    if (values.bin === undefined) rmSync(bin, { recursive: true, force: true });
  }
  console.log(`${count.pass} passed, ${count.fail} failed, ${count.excepted} failed as expected, ${count.skip} skipped`);
  if (failed.length > 0) process.exitCode = 1;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();

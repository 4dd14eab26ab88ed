/**
 * Figures of the storage engine on a real disk.
 *
 *   npx esbuild test/bench/storage-bench.ts --bundle --platform=node --format=esm --outfile=dist/storage-bench.mjs && node dist/storage-bench.mjs [rows] [dir]
 *
 * Phases run in processes of their own, so that memory figures are those of a fresh process: `load` (then a clean stop), `open` (time to
 * the first read, memory, random gets, a range), `churn` (random updates, then kill -9), `reopen` (time after the kill).
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RealClock } from '../../src/host/real-clock.ts';
import { RealDisk } from '../../src/host/real-disk.ts';
import { silentLog } from '../../src/base/log.ts';
import { SeededRandom } from '../../src/base/random.ts';
import { defaultBackendOptions, openBackend } from '../../src/server/storage/revlog/log-backend.ts';
import type { LogBackend } from '../../src/server/storage/revlog/log-backend.ts';

const [phase = 'all', rowsText = '1000000', dirArg] = process.argv[2]?.match(/^\d+$/)
  ? ['all', ...process.argv.slice(2)]
  : process.argv.slice(2);
const rows = Number(rowsText);
const tail = Buffer.alloc(256, 'v');
const clock = new RealClock();

function keyOf(i: number): Buffer {
  const b = Buffer.alloc(32, '0');
  b.latin1Write(`registry/pods/${(i * 2654435761) % 4294967296}`, 0);
  b.writeUInt32BE(i, 28);
  return b;
}
const base = Buffer.concat([
  Buffer.from([0x0a, 32]),
  Buffer.alloc(32),
  Buffer.from([0x10, 0, 0, 0, 0, 0x18, 0, 0, 0, 0, 0x20, 1, 0x2a, 0x80, 2]),
  tail,
]);
function kvOf(key: Buffer, main: number, lease: number): Buffer {
  const b = Buffer.allocUnsafe(base.length + (lease > 0 ? 4 : 0));
  base.copy(b);
  key.copy(b, 2);
  for (const at of [35, 40]) {
    b[at] = (main & 127) | 128;
    b[at + 1] = ((main >> 7) & 127) | 128;
    b[at + 2] = ((main >> 14) & 127) | 128;
    b[at + 3] = (main >> 21) & 127;
  }
  if (lease > 0) {
    b[base.length] = 0x30;
    b[base.length + 1] = (lease & 127) | 128;
    b[base.length + 2] = ((lease >> 7) & 127) | 128;
    b[base.length + 3] = (lease >> 14) & 127;
  }
  return b;
}

function memory(): string {
  const status = readFileSync('/proc/self/status', 'utf8');
  const m = process.memoryUsage();
  const kb = (name: string): string => `${name} ${(Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1] ?? 0) / 1024).toFixed(0)} MB`;
  return `${kb('RssAnon')}, ${kb('VmRSS')} (heap ${(m.heapTotal / 1e6).toFixed(0)}, external ${(m.external / 1e6).toFixed(0)}, buffers ${(m.arrayBuffers / 1e6).toFixed(0)})`;
}

/** CPU of this process so far, ms: unlike the clock, it does not count what neighbours on the machine take. */
const cpuMs = (): number => {
  const u = process.cpuUsage();
  return (u.user + u.system) / 1000;
};

const turn = (): Promise<void> => new Promise((r) => setImmediate(r));
/** CPU of the event loop's thread so far, ms. */
const loopMs = (): number => Number(readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'latin1').split(' ')[0]) / 1e6;

/** The longest turn: by the clock, and by the CPU that its thread used. */
let slowest = 0;
let slowestCpu = 0;
let last = performance.now();
let lastCpu = 0;
function watchLoop(): void {
  const now = performance.now();
  const cpu = loopMs();
  slowest = Math.max(slowest, now - last);
  slowestCpu = Math.max(slowestCpu, cpu - lastCpu);
  last = now;
  lastCpu = cpu;
}
const longest = (): string => `longest turn ${slowest.toFixed(1)} ms, ${slowestCpu.toFixed(1)} ms of CPU`;

function open(dir: string): LogBackend {
  return openBackend({
    disk: new RealDisk(),
    dir: join(dir, 'db'),
    clock,
    log: silentLog,
    ...defaultBackendOptions,
    onError: (e) => {
      throw e;
    },
  });
}

async function load(dir: string): Promise<void> {
  const b = open(dir);
  let spent = 0;
  const start = performance.now();
  const cpu = process.cpuUsage();
  for (let i = 0; i < rows;) {
    const t = loopMs();
    const key = keyOf(i);
    for (const stop = Math.min(i + 200, rows); i < stop; i++) {
      const k = i % 200 === 0 ? key : keyOf(i);
      const lease = i < 100_000 ? 1 + i : 0;
      if (lease > 0) b.put('lease', k.subarray(0, 8), tail.subarray(0, 12));
      b.append({ main: i + 2, sub: 0, tombstone: false, key: k, kv: kvOf(k, i + 2, lease), lease: BigInt(lease) });
      b.setConsistentIndex(i + 1, 1);
    }
    spent += loopMs() - t;
    last = performance.now();
    lastCpu = loopMs();
    await turn();
    watchLoop();
    while (b.unwrittenBytes > 64 << 20) await turn();
  }
  const used = process.cpuUsage(cpu);
  console.log(
    `load      ${rows} rows: ${((spent / rows) * 1000).toFixed(2)} µs CPU a row in the calls (keys and kv made there too), ` +
      `${((used.user + used.system) / rows).toFixed(2)} µs CPU all threads, ${((performance.now() - start) / 1000).toFixed(1)} s; ${longest()}; ${memory()}`,
  );
  const t = performance.now();
  await b.close();
  console.log(`close     ${(performance.now() - t).toFixed(0)} ms`);
}

async function reopen(dir: string, name: string): Promise<void> {
  const t = performance.now();
  const c0 = cpuMs();
  const b = open(dir);
  const v = b.latest(keyOf(5));
  const value = v === undefined ? undefined : b.read(v);
  console.log(
    `${name.padEnd(9)} open to first read ${(performance.now() - t).toFixed(0)} ms, CPU ${(cpuMs() - c0).toFixed(0)} ms (${value?.length} bytes); ${memory()}`,
  );
  if (name === 'reopen') {
    await b.close();
    return;
  }
  const random = new SeededRandom(1);
  for (const round of ['cold', 'warm']) {
    const n = 200_000;
    const keys = Array.from({ length: n }, () => keyOf(random.u32() % rows));
    let found = 0;
    const t1 = cpuMs();
    for (const key of keys) if (b.latest(key) !== undefined) found++;
    const t2 = cpuMs();
    for (const key of keys) {
      const v = b.latest(key);
      if (v !== undefined) b.read(v);
    }
    console.log(
      `get       ${(((t2 - t1) / n) * 1000).toFixed(2)} µs CPU latest, ${(((cpuMs() - t2) / n) * 1000).toFixed(2)} µs latest and read, random, ${round} (${found})`,
    );
  }
  for (let i = 0; i < 3; i++) {
    const t2 = cpuMs();
    const c = b.cursor({ key: Buffer.alloc(0), end: Buffer.alloc(0) }, Infinity);
    let n = 0;
    while (n < 100_000 && c.next()) n++;
    const t3 = cpuMs();
    const w3 = performance.now();
    const c2 = b.cursor({ key: Buffer.alloc(0), end: Buffer.alloc(0) }, Infinity);
    const list = [];
    while (list.length < 100_000 && c2.next()) list.push(b.read(c2.version));
    console.log(
      `range     ${(((t3 - t2) / n) * 1000).toFixed(2)} µs CPU a step; 100k keys with rows ${(cpuMs() - t3).toFixed(0)} ms CPU, ${(performance.now() - w3).toFixed(0)} ms`,
    );
  }
  const t4 = cpuMs();
  for (let i = 0; i < 10_000; i++) b.countLatest({ key: keyOf(i), end: Buffer.alloc(0) });
  console.log(`count     ${((cpuMs() - t4) / 10).toFixed(2)} µs CPU`);
  console.log(
    `memory    ${memory()}; disk ${(b.diskBytes / 1e6).toFixed(0)} MB; size ${(b.sizeBytes / 1e6).toFixed(0)} MB; ${JSON.stringify(b.stats)}`,
  );
  await b.close();
}

async function churn(dir: string): Promise<void> {
  const b = open(dir);
  const random = new SeededRandom(2);
  const n = 300_000;
  let main = b.lastMain;
  let index = b.consistentIndex;
  const run = async (count: number, kill: boolean): Promise<string> => {
    let spent = 0;
    slowest = 0;
    slowestCpu = 0;
    const cpu = process.cpuUsage();
    for (let i = 0; i < count;) {
      const t = loopMs();
      for (const stop = Math.min(i + 100, count); i < stop; i++) {
        const k = keyOf(random.u32() % rows);
        const old = kill ? b.latest(k) : undefined;
        b.append({ main: ++main, sub: 0, tombstone: false, key: k, kv: kvOf(k, main, 0), lease: 0n });
        if (old !== undefined) b.kill(k, old);
        b.setConsistentIndex(++index, 1);
      }
      spent += loopMs() - t;
      last = performance.now();
      lastCpu = loopMs();
      await turn();
      watchLoop();
      while (b.unwrittenBytes > 64 << 20) await turn();
    }
    const used = process.cpuUsage(cpu);
    return `${((spent / count) * 1000).toFixed(2)} µs CPU a row in the calls, ${((used.user + used.system) / count).toFixed(2)} µs CPU all threads; ${longest()}`;
  };
  console.log(`update    random keys: ${await run(n, false)}; ${memory()}`);
  console.log(`compact   random keys, old version killed: ${await run(n, true)}; ${memory()}; ${JSON.stringify(b.stats)}`);
  const t = performance.now();
  slowest = 0;
  slowestCpu = 0;
  last = performance.now();
  lastCpu = loopMs();
  let done = false;
  const watching = (async () => {
    while (!done) {
      await turn();
      watchLoop();
    }
  })();
  await b.defragment();
  done = true;
  await watching;
  console.log(`defrag    ${(performance.now() - t).toFixed(0)} ms, ${longest()}; disk ${(b.diskBytes / 1e6).toFixed(0)} MB; ${memory()}`);
  // Up to just before the next checkpoint: the worst case for a restart.
  console.log(`update    ${await run(95_000, false)}; unwritten ${b.unwrittenBytes}`);
  process.kill(process.pid, 'SIGKILL');
}

if (phase === 'all') {
  const dir = dirArg ?? mkdtempSync(join(tmpdir(), 'storage-bench-'));
  for (const p of ['load', 'open', 'churn', 'reopen', 'open']) {
    const r = spawnSync(process.execPath, [process.argv[1] as string, p, String(rows), dir], { stdio: 'inherit' });
    if (r.status !== 0 && p !== 'churn') process.exit(1);
  }
  if (dirArg === undefined) rmSync(dir, { recursive: true, force: true });
} else if (phase === 'load') await load(dirArg as string);
else if (phase === 'churn') await churn(dirArg as string);
else await reopen(dirArg as string, phase);

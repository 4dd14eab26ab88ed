// The members that a benchmark drives: one or three processes of etcd or of tsetcd, with or without TLS, and what they cost.
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, openSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import http from 'node:http';
import https from 'node:https';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const top = join(dirname(fileURLToPath(import.meta.url)), '../..');
export const bin = join(top, '.cache/reference/bin');
export const sleep = (ms) => new Promise((r) => setTimeout(r, ms));
const ticksPerSecond = 100;
const startMaxMs = 120_000;

const handedOut = new Set();
async function freePort() {
  const port = await new Promise((resolve) => {
    const s = createServer().listen(0, '127.0.0.1', () => {
      const { port } = s.address();
      s.close(() => resolve(port));
    });
  });
  // A port that was closed may come again at once.
  if (handedOut.has(port)) return freePort();
  handedOut.add(port);
  return port;
}

const healthy = (url) =>
  new Promise((resolve) => {
    const { get } = url.startsWith('https') ? https : http;
    const r = get(`${url}/health`, { agent: false, timeout: 1000, rejectUnauthorized: false }, (res) => {
      res.resume();
      resolve(res.statusCode === 200);
    });
    r.on('error', () => resolve(false));
    r.on('timeout', () => r.destroy());
  });

/** User and system CPU seconds of a process so far, all threads. */
export function cpuSeconds(pid) {
  const f = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
  return (Number(f[11]) + Number(f[12])) / ticksPerSecond;
}

/** One process. */
class Member {
  constructor(kind, name, dir, scheme, nodeFlags) {
    Object.assign(this, { kind, name, dir: join(dir, name), log: join(dir, `${name}.log`), scheme, nodeFlags });
  }
  async takePorts() {
    this.endpoint = `127.0.0.1:${await freePort()}`;
    this.url = `${this.scheme}://${this.endpoint}`;
    this.peer = `http://127.0.0.1:${await freePort()}`;
  }
  /** Starts it and waits for its first healthy answer. */
  async start(cluster, extra) {
    const flags = [
      ...['--name', this.name, '--data-dir', this.dir, '--listen-client-urls', this.url, '--advertise-client-urls', this.url],
      ...['--listen-peer-urls', this.peer, '--initial-advertise-peer-urls', this.peer, '--initial-cluster', cluster],
      ...['--log-level', 'warn', '--quota-backend-bytes', '17179869184', ...extra],
    ];
    const log = openSync(this.log, 'a');
    const words = this.kind === 'etcd' ? [join(bin, 'etcd')] : [process.execPath, ...this.nodeFlags, join(top, 'bin/tsetcd'), 'server'];
    const begun = performance.now();
    this.child = spawn(words[0], [...words.slice(1), ...flags], { stdio: ['ignore', log, log] });
    this.exited = new Promise((r) => this.child.once('exit', r));
    while (!(await healthy(this.url))) {
      if (this.child.exitCode !== null) throw new Error(`${this.kind} ended: ${readFileSync(this.log, 'utf8').slice(-2000)}`);
      if (performance.now() - begun > startMaxMs) throw new Error(`${this.kind} did not become healthy`);
      await sleep(2);
    }
  }
  get pid() {
    return this.child.pid;
  }
  get runs() {
    return this.child !== undefined && this.child.exitCode === null && this.child.signalCode === null;
  }
  async stop(signal) {
    if (!this.runs) return;
    this.child.kill(signal);
    await this.exited;
  }
}

/** All members of one kind; with one member nothing else than that. */
export class Cluster {
  /** @param options `members` (1 or 3), `tls` (clients only), `dir` where its folder is made, `nodeFlags` for Node itself */
  constructor(kind, { members = 1, tls = false, dir, nodeFlags = [] }) {
    this.kind = kind;
    this.dir = mkdtempSync(join(dir, 'tsetcd-bench-'));
    this.tls = tls;
    const names = members === 1 ? ['default'] : Array.from({ length: members }, (_, i) => `m${i + 1}`);
    this.members = names.map((name) => new Member(kind, name, this.dir, tls ? 'https' : 'http', nodeFlags));
  }
  /** @returns ms until all are healthy */
  async start() {
    const pki = join(this.dir, 'pki');
    if (this.members[0].endpoint === undefined) {
      for (const m of this.members) await m.takePorts();
      if (this.tls) {
        const cert = (...words) => execFileSync(join(top, 'bin/tsetcd'), ['cert', ...words, '--dir', pki], { stdio: 'ignore' });
        cert('init');
        cert('issue', 'server', '--host', '127.0.0.1,localhost');
      }
    }
    const cluster = this.members.map((m) => `${m.name}=${m.peer}`).join(',');
    const extra = this.tls ? ['--cert-file', join(pki, 'server.crt'), '--key-file', join(pki, 'server.key')] : [];
    const begun = performance.now();
    await Promise.all(this.members.map((m) => m.start(cluster, extra)));
    return performance.now() - begun;
  }
  get endpoints() {
    return this.members.map((m) => (this.tls ? m.url : m.endpoint)).join(',');
  }
  /** How etcd's tools are told where to go. */
  get toolFlags() {
    return [`--endpoints=${this.endpoints}`, ...(this.tls ? [`--cacert=${join(this.dir, 'pki/ca.crt')}`] : [])];
  }
  cpu() {
    return this.members.reduce((sum, m) => sum + cpuSeconds(m.pid), 0);
  }
  /** Of the largest member. */
  memory() {
    const of = (field) =>
      Math.max(
        ...this.members.map((m) => {
          const status = readFileSync(`/proc/${m.pid}/status`, 'utf8');
          return Math.round(Number(new RegExp(`${field}:\\s+(\\d+)`).exec(status)?.[1] ?? 0) / 1024);
        }),
      );
    return { rssAnonMB: of('RssAnon'), vmRssMB: of('VmRSS') };
  }
  writtenMB() {
    const bytes = this.members.map((m) => Number(/write_bytes: (\d+)/.exec(readFileSync(`/proc/${m.pid}/io`, 'utf8'))?.[1] ?? 0));
    return bytes.reduce((a, b) => a + b) / 1e6;
  }
  diskMB() {
    const walk = (p) => (statSync(p).isDirectory() ? readdirSync(p).reduce((a, n) => a + walk(join(p, n)), 0) : statSync(p).blocks * 512);
    return Math.round(walk(this.members[0].dir) / 1e6);
  }
  async stop(signal = 'SIGTERM') {
    await Promise.all(this.members.map((m) => m.stop(signal)));
  }
  async dropData() {
    for (const m of this.members) rmSync(m.dir, { recursive: true, force: true });
  }
  async remove() {
    await this.stop('SIGKILL');
    rmSync(this.dir, { recursive: true, force: true });
  }
}

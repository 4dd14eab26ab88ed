/** Real processes for tests: tsetcd's own members and the reference etcd, on free ports of 127.0.0.1, in scratch folders. */
import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, existsSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { get } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export const top = join(import.meta.dirname, '../..');
/** The program under test; another one, such as an installed package's, by TSETCD_PROGRAM. */
export const program = process.env['TSETCD_PROGRAM'] ?? join(top, 'bin/tsetcd');
export const referenceBin = join(top, '.cache/reference/bin');

/** A program of the reference set, or undefined where it is not installed (`node scripts/reference.mjs` installs it). */
export function reference(name: string): string | undefined {
  const path = join(referenceBin, name);
  return existsSync(path) ? path : undefined;
}

/** Ports that were free a moment ago. */
export async function freePorts(n: number): Promise<number[]> {
  const servers = Array.from({ length: n }, () => createServer());
  const ports = await Promise.all(
    servers.map(
      (s) =>
        new Promise<number>((resolve, reject) => {
          s.once('error', reject);
          s.listen(0, '127.0.0.1', () => resolve((s.address() as { port: number }).port));
        }),
    ),
  );
  await Promise.all(servers.map((s) => new Promise((resolve) => s.close(resolve))));
  return ports;
}

export function scratch(): { readonly dir: string; remove(): void } {
  const dir = mkdtempSync(join(tmpdir(), 'tsetcd-test-'));
  return { dir, remove: () => rmSync(dir, { recursive: true, force: true }) };
}

export async function until<T>(what: string, probe: () => T | undefined | false | Promise<T | undefined | false>, ms = 30_000): Promise<T> {
  const end = Date.now() + ms;
  for (;;) {
    const value = await probe();
    if (value !== undefined && value !== false) return value;
    if (Date.now() > end) throw new Error(`waited ${ms} ms for ${what}`);
    await new Promise((r) => setTimeout(r, 10));
  }
}

export function httpGet(url: string, timeoutMs = 2000): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const request = get(url, { timeout: timeoutMs, agent: false }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (d: string) => (body += d));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
      response.on('error', reject);
    });
    request.on('timeout', () => request.destroy(new Error('timeout')));
    request.on('error', reject);
  });
}

export interface MemberOptions {
  readonly name?: string;
  /** `etcd` runs the reference server with the same flags. */
  readonly kind?: 'tsetcd' | 'etcd';
  /** A link named `etcd` to the program: it is called by that name, without the word `server`. */
  readonly link?: string;
  readonly dataDir: string;
  readonly clientPort: number;
  readonly peerPort: number;
  /** Where the others reach it, when that is not `peerPort` itself. */
  readonly advertisedPeerPort?: number;
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Empty: the flag is not given, for members that find each other. */
  readonly initialCluster?: string;
  readonly logFile?: string;
}

/** A member as a process of its own. */
export class MemberProcess {
  readonly options: MemberOptions;
  child: ChildProcess | undefined;
  exit: Promise<{ code: number | null; signal: NodeJS.Signals | null }> | undefined;

  constructor(options: MemberOptions) {
    this.options = options;
  }

  get endpoint(): string {
    return `127.0.0.1:${this.options.clientPort}`;
  }

  get url(): string {
    return `http://${this.endpoint}`;
  }

  get log(): string {
    return readFileSync(this.logFile, 'utf8');
  }

  get logFile(): string {
    return this.options.logFile ?? `${this.options.dataDir}.log`;
  }

  get pid(): number {
    return this.child?.pid ?? 0;
  }

  /** Starts and returns at once. `env`: this time only. */
  spawn(env: Readonly<Record<string, string>> = {}): void {
    const o = this.options;
    const name = o.name ?? 'default';
    const peer = `http://127.0.0.1:${o.peerPort}`;
    const advertised = `http://127.0.0.1:${o.advertisedPeerPort ?? o.peerPort}`;
    const flags = [
      ...['--name', name, '--data-dir', o.dataDir, '--listen-client-urls', this.url, '--advertise-client-urls', this.url],
      ...['--listen-peer-urls', peer, '--initial-advertise-peer-urls', advertised],
      ...(o.initialCluster === '' ? [] : ['--initial-cluster', o.initialCluster ?? `${name}=${advertised}`]),
      ...(o.args ?? []),
    ];
    const log = openSync(this.logFile, 'a');
    const command = o.kind === 'etcd' ? join(referenceBin, 'etcd') : process.execPath;
    const args = o.kind === 'etcd' ? flags : o.link === undefined ? [program, 'server', ...flags] : [o.link, ...flags];
    const child = spawn(command, args, { stdio: ['ignore', log, log], env: { ...process.env, ...o.env, ...env } });
    closeSync(log);
    this.child = child;
    this.exit = new Promise((resolve) => child.once('exit', (code, signal) => resolve({ code, signal })));
  }

  /** Starts and waits until it serves. */
  async start(): Promise<this> {
    this.spawn();
    await this.ready();
    return this;
  }

  async ready(): Promise<void> {
    let ended = false;
    void this.exit?.then(() => (ended = true));
    try {
      await until(
        `${this.url} to serve`,
        async () => {
          if (ended) throw new Error(`the member ended at start:\n${this.log.slice(-4000)}`);
          const r = await httpGet(`${this.url}/health?exclude=NOSPACE&exclude=CORRUPT`).catch(() => undefined);
          return r?.status === 200;
        },
        60_000,
      );
    } catch (error) {
      if (ended || !(error instanceof Error)) throw error;
      throw new Error(`${error.message}; process ${this.pid}: ${stateOf(this.pid)}\n${this.log.slice(-4000)}`, { cause: error });
    }
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<{ code: number | null; signal: NodeJS.Signals | null }> {
    const exit = this.exit;
    if (exit === undefined) return { code: null, signal: null };
    this.child?.kill(signal);
    const how = await exit;
    this.child = undefined;
    this.exit = undefined;
    return how;
  }
}

/** What the system says of a process that does not do what it should. */
function stateOf(pid: number): string {
  try {
    const lines = readFileSync(`/proc/${pid}/status`, 'utf8').split('\n');
    const threads = readdirSync(`/proc/${pid}/task`).map((t) =>
      readFileSync(`/proc/${pid}/task/${t}/stat`, 'utf8').split(' ').slice(1, 3).join(' '),
    );
    return [...lines.filter((l) => /^(State|Threads|VmRSS)/.test(l)), threads.join(', ')].join('; ');
  } catch {
    return 'gone';
  }
}

/** One member in a scratch folder; `remove` ends it and cleans up. */
export async function oneMember(options: Partial<MemberOptions> = {}): Promise<MemberProcess & { remove(): Promise<void> }> {
  const place = scratch();
  const [clientPort = 0, peerPort = 0] = await freePorts(2);
  const member = new MemberProcess({ dataDir: join(place.dir, 'data'), clientPort, peerPort, ...options });
  await member.start();
  return Object.assign(member, {
    remove: async () => {
      await member.stop('SIGKILL');
      place.remove();
    },
  });
}

export interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end. `onLine` sees each line of stdout and may write to its stdin. */
export function run(
  command: string,
  args: readonly string[],
  options: {
    readonly env?: Readonly<Record<string, string | undefined>>;
    readonly stdin?: string;
    readonly cwd?: string;
    readonly timeoutMs?: number;
    readonly onLine?: (line: string, child: ChildProcess) => void;
  } = {},
): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { env: { ...process.env, ...options.env }, cwd: options.cwd, stdio: 'pipe' });
    let stdout = '';
    let stderr = '';
    let lines = 0;
    const timer = setTimeout(() => child.kill('SIGKILL'), options.timeoutMs ?? 120_000);
    child.stdout.setEncoding('utf8').on('data', (d: string) => {
      stdout += d;
      const all = stdout.split('\n');
      for (; lines < all.length - 1; lines++) options.onLine?.(all[lines] ?? '', child);
    });
    child.stderr.setEncoding('utf8').on('data', (d: string) => (stderr += d));
    child.stdin.on('error', () => undefined);
    if (options.onLine === undefined) child.stdin.end(options.stdin ?? '');
    child.on('error', reject);
    child.on('close', (code) => {
      clearTimeout(timer);
      resolve({ code, stdout, stderr });
    });
  });
}

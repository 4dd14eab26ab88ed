/** Runs one recorded scenario: members, command lines, and what each of them must have said. */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import {
  closeSync,
  cpSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  appendFileSync,
} from 'node:fs';
import { get as httpGet } from 'node:http';
import { get as httpsGet } from 'node:https';
import { join } from 'node:path';
import { freePorts, scratch, until } from '../support/member.ts';
import type { Scenario, Step } from './corpus.ts';
import { masked, maskedTables, plainErrors, protobufText, withoutLogs } from './masks.ts';

/** The programs under test. */
export interface Programs {
  readonly control: readonly string[];
  readonly util: readonly string[];
  readonly server: readonly string[];
  /** One program plays control and util: `split` steps are left out. */
  readonly merged: boolean;
}

export interface Difference {
  readonly step: string;
  readonly what: string;
  readonly want: unknown;
  readonly got: unknown;
}

/** What a step said, masked: what a recording holds. */
export type Said = Partial<Record<'stdout' | 'stderr', string>> & { readonly exit?: number | string };

const stepMs = 30_000;
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const exitOfSignal: Readonly<Record<string, number>> = { SIGHUP: 129, SIGINT: 130, SIGKILL: 137, SIGTERM: 143 };

type Vars = Record<string, string>;

/** Certificates of one run: an authority, another one, a server's, and those of the users alice and root. */
export function makeCertificates(dir: string): Vars {
  const openssl = (...args: string[]): void => void execFileSync('openssl', args, { cwd: dir, stdio: 'ignore' });
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  for (const ca of ['ca', 'other'])
    openssl('req', '-x509', ...key, '-days', '3650', '-subj', `/CN=${ca}`, '-keyout', `${ca}.key`, '-out', `${ca}.pem`);
  const leaf = (name: string, commonName: string, extensions: string): void => {
    openssl('req', ...key, '-subj', `/CN=${commonName}`, '-keyout', `${name}.key`, '-out', `${name}.csr`);
    writeFileSync(join(dir, `${name}.ext`), extensions);
    const signer = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '3650', '-extfile', `${name}.ext`];
    openssl('x509', '-req', '-in', `${name}.csr`, ...signer, '-out', `${name}.pem`);
  };
  leaf('server', 'server', 'extendedKeyUsage=serverAuth,clientAuth\nsubjectAltName=IP:127.0.0.1,DNS:localhost\n');
  leaf('client', 'alice', 'extendedKeyUsage=clientAuth\n');
  leaf('root', 'root', 'extendedKeyUsage=clientAuth\n');
  const at = (file: string): string => join(dir, file);
  return {
    ca: at('ca.pem'),
    otherCa: at('other.pem'),
    serverCert: at('server.pem'),
    serverKey: at('server.key'),
    clientCert: at('client.pem'),
    clientKey: at('client.key'),
    rootCert: at('root.pem'),
    rootKey: at('root.key'),
  };
}

function fill(text: string, vars: Vars): string {
  return text.replace(/\{([A-Za-z][A-Za-z0-9_.]*)\}/g, (whole, name: string) => vars[name] ?? whole);
}

/** A running command with what it has said. */
class Command {
  readonly child: ChildProcess;
  out = Buffer.alloc(0);
  err = Buffer.alloc(0);
  seenOut = 0;
  seenErr = 0;
  done = false;
  readonly exit: Promise<number | string>;

  constructor(words: readonly string[], options: { cwd: string; env: NodeJS.ProcessEnv; stdin: Buffer | undefined; keepOpen: boolean }) {
    const [file = '', ...args] = words;
    this.child = spawn(file, args, {
      cwd: options.cwd,
      env: options.env,
      stdio: [options.stdin === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
      detached: true,
    });
    this.child.stdout?.on('data', (d: Buffer) => (this.out = Buffer.concat([this.out, d])));
    this.child.stderr?.on('data', (d: Buffer) => (this.err = Buffer.concat([this.err, d])));
    this.exit = new Promise((resolve) => {
      this.child.once('error', (error) => resolve(error.message));
      this.child.once('close', (code, signal) => {
        this.done = true;
        resolve(code ?? exitOfSignal[signal ?? ''] ?? String(signal));
      });
    });
    const { stdin } = this.child;
    stdin?.on('error', () => undefined);
    if (options.stdin !== undefined && options.stdin.length > 0) stdin?.write(options.stdin);
    if (!options.keepOpen) stdin?.end();
  }

  /** Ends the command and what it has started. */
  end(): void {
    if (this.done || this.child.pid === undefined) return;
    try {
      process.kill(-this.child.pid, 'SIGKILL');
    } catch {
      // Gone in between.
    }
  }

  /** Its exit code, or undefined when it does not end in time. */
  async ended(ms: number): Promise<number | string | undefined> {
    const timer = sleep(ms).then(() => undefined);
    return Promise.race([this.exit, timer]);
  }
}

interface Server {
  readonly name: string;
  readonly clientPort: number;
  readonly peerUrl: string;
  readonly clientUrl: string;
  dataDir: string;
  initialCluster: string;
  clusterState: string;
  child: ChildProcess | undefined;
  exited: Promise<unknown> | undefined;
}

export class ScenarioRun {
  readonly #programs: Programs;
  readonly #scenario: Scenario;
  readonly #place = scratch();
  readonly #vars: Vars = {};
  readonly #captures: Vars = {};
  readonly #background = new Map<string, Command>();
  #servers: Server[] = [];
  readonly #settleMs: number;
  readonly #certificates: () => Vars;
  readonly #recorded: Map<Step, Said> | undefined;
  #differences: Difference[] = [];

  constructor(
    programs: Programs,
    scenario: Scenario,
    options: { settleMs: number; certificates: () => Vars; recorded?: Map<Step, Said> | undefined },
  ) {
    this.#programs = programs;
    this.#scenario = scenario;
    this.#settleMs = options.settleMs;
    this.#certificates = options.certificates;
    this.#recorded = options.recorded;
  }

  /** Runs all steps; resolves with what differed, empty when nothing did. */
  async run(): Promise<readonly Difference[]> {
    try {
      await this.#setUp();
      for (const step of this.#scenario.steps) {
        const before = this.#differences.length;
        await this.#step(step);
        // What follows depends on what was captured here.
        if (this.#differences.length > before && (step.capture !== undefined || step.must === true)) break;
      }
    } catch (error) {
      this.#differences.push({ step: 'run', what: 'failure', want: 'none', got: (error as Error).stack });
    } finally {
      await this.#tearDown();
    }
    return this.#differences;
  }

  // ---- members

  get #spec(): Exclude<Scenario['server'], false | undefined> {
    return this.#scenario.server === false ? {} : (this.#scenario.server ?? {});
  }

  async #setUp(): Promise<void> {
    const { tls, members, second, spare } = this.#spec;
    const count = this.#scenario.server === false ? 0 : (members ?? 1);
    const names = [
      ...Array.from({ length: count }, (_, i) => `m${i + 1}`),
      ...(second === true ? ['dest'] : []),
      ...Array.from({ length: spare ?? 0 }, (_, i) => `x${i + 1}`),
    ];
    const ports = await freePorts(names.length * 2 + 1);
    const vars = this.#vars;
    vars['tmp'] = this.#place.dir;
    vars['freePort'] = String(ports.at(-1));
    if (tls !== undefined) Object.assign(vars, this.#certificates());
    this.#servers = names.map((name, i) => ({
      name,
      clientPort: ports[i * 2] ?? 0,
      clientUrl: `${tls !== undefined && name !== 'dest' ? 'https' : 'http'}://127.0.0.1:${ports[i * 2]}`,
      peerUrl: `http://127.0.0.1:${ports[i * 2 + 1]}`,
      dataDir: join(this.#place.dir, `${name}.data`),
      initialCluster: '',
      clusterState: 'new',
      child: undefined,
      exited: undefined,
    }));
    const group = this.#servers.filter((s) => s.name.startsWith('m'));
    const initial = group.map((s) => `${s.name}=${s.peerUrl}`).join(',');
    for (const s of this.#servers) s.initialCluster = s.name === 'dest' ? `dest=${s.peerUrl}` : initial;
    vars['initialCluster'] = initial;
    group.forEach((s, i) => {
      if (i === 0) this.#name('', s);
      if (group.length > 1) this.#name(String(i + 1), s);
    });
    for (const s of this.#servers) if (!group.includes(s)) this.#name(s.name === 'dest' ? 'Dest' : s.name.toUpperCase(), s);
    if (count > 1) vars['endpoints'] = group.map((s) => `127.0.0.1:${s.clientPort}`).join(',');
    const started = this.#servers.filter((s) => !s.name.startsWith('x'));
    for (const s of started) this.#start(s, []);
    await Promise.all(started.map((s) => this.#ready(s)));
    if (count > 1) await sleep(300);
  }

  #name(suffix: string, s: Server): void {
    Object.assign(this.#vars, {
      [`endpoint${suffix}`]: `127.0.0.1:${s.clientPort}`,
      [`endpointUrl${suffix}`]: s.clientUrl,
      [`peer${suffix}`]: s.peerUrl,
      [`dataDir${suffix}`]: s.dataDir,
      [`clientPort${suffix}`]: String(s.clientPort),
    });
  }

  #start(s: Server, extra: readonly string[]): void {
    const { tls, args } = this.#spec;
    const flags = [
      // The cost of a password hash is not part of what is recorded, and etcdctl's five seconds are.
      ...[
        '--bcrypt-cost=4',
        '--name',
        s.name,
        '--data-dir',
        s.dataDir,
        '--listen-client-urls',
        s.clientUrl,
        '--advertise-client-urls',
        s.clientUrl,
      ],
      ...['--listen-peer-urls', s.peerUrl, '--initial-advertise-peer-urls', s.peerUrl, '--initial-cluster', s.initialCluster],
      ...['--initial-cluster-state', s.clusterState, '--initial-cluster-token', 'replay'],
      ...[...(args ?? []), ...extra].map((a) => fill(a, { ...this.#vars, name: s.name })),
    ];
    if (tls !== undefined && s.name !== 'dest') {
      flags.push('--cert-file', this.#vars['serverCert'] ?? '', '--key-file', this.#vars['serverKey'] ?? '');
      if (tls === 'mutual') flags.push('--client-cert-auth', '--trusted-ca-file', this.#vars['ca'] ?? '');
    }
    const [file = '', ...rest] = this.#programs.server;
    const log = openSync(join(this.#place.dir, `server-${s.name}.log`), 'a');
    const child = spawn(file, [...rest, ...flags], { cwd: this.#place.dir, env: this.#environment(), stdio: ['ignore', log, log] });
    closeSync(log);
    s.child = child;
    s.exited = new Promise((resolve) => {
      child.once('exit', resolve);
      child.once('error', resolve);
    });
  }

  async #ready(s: Server): Promise<void> {
    let ended = false;
    void s.exited?.then(() => (ended = true));
    await until(`${s.name} to serve`, async () => {
      if (ended) throw new Error(`${s.name} ended: ${readFileSync(join(this.#place.dir, `server-${s.name}.log`), 'utf8').slice(-1500)}`);
      return [200, 404].includes(await this.#health(s));
    });
  }

  #health(s: Server): Promise<number> {
    const url = `${s.clientUrl}/health?exclude=NOSPACE&exclude=CORRUPT`;
    const secure = url.startsWith('https');
    const tls = secure
      ? { rejectUnauthorized: false, cert: readFileSync(this.#vars['rootCert'] ?? ''), key: readFileSync(this.#vars['rootKey'] ?? '') }
      : {};
    return new Promise((resolve) => {
      const request = (secure ? httpsGet : httpGet)(url, { timeout: 2000, agent: false, ...tls }, (response) => {
        response.resume();
        response.on('end', () => resolve(response.statusCode ?? 0));
      });
      request.on('timeout', () => request.destroy());
      request.on('error', () => resolve(0));
    });
  }

  async #stop(s: Server, signal: NodeJS.Signals): Promise<void> {
    if (s.child === undefined) return;
    s.child.kill(signal);
    await Promise.race([s.exited, sleep(10_000).then(() => s.child?.kill('SIGKILL'))]);
    await s.exited;
    s.child = undefined;
  }

  async #tearDown(): Promise<void> {
    for (const c of this.#background.values()) c.end();
    await Promise.all(this.#servers.map((s) => this.#stop(s, 'SIGKILL')));
    this.#place.remove();
  }

  // ---- steps

  #environment(): NodeJS.ProcessEnv {
    const { PATH } = process.env;
    return { PATH, HOME: this.#place.dir, TMPDIR: this.#place.dir, LANG: 'C.UTF-8', TERM: 'dumb', NO_COLOR: '1' };
  }

  get #names(): Vars {
    const out = { ...this.#vars, ...this.#captures };
    for (const [name, value] of Object.entries(this.#captures))
      if (/^[0-9a-f]{10,16}$/.test(value)) out[`${name}.dec`] = BigInt(`0x${value}`).toString();
    return out;
  }

  #launch(step: Step): Command {
    const names = this.#names;
    const args = (step.run ?? []).map((a) => fill(a, names));
    const env = this.#environment();
    const endpoint = this.#spec.tls === undefined ? this.#vars['endpoint'] : this.#vars['endpointUrl'];
    if (step.tool !== 'utl' && endpoint !== undefined && !args.some((a) => /^--endpoints(=|$)/.test(a)))
      env['ETCDCTL_ENDPOINTS'] = endpoint;
    for (const [name, value] of Object.entries({ ...this.#scenario.env, ...step.env })) {
      if (value === null) delete env[name];
      else env[name] = fill(value, names);
    }
    const text = step.stdin_repeat === undefined ? step.stdin : step.stdin_repeat[0].repeat(step.stdin_repeat[1]);
    let stdin = step.stdin_b64 === undefined ? undefined : Buffer.from(step.stdin_b64, 'base64');
    if (text !== undefined) stdin = Buffer.from(fill(text, names));
    if (stdin === undefined && step.stdin_open === true) stdin = Buffer.alloc(0);
    const words = [...(step.tool === 'utl' ? this.#programs.util : this.#programs.control), ...args];
    return new Command(words, { cwd: this.#place.dir, env, stdin, keepOpen: step.stdin_open === true });
  }

  #report(step: Step, what: string, want: unknown, got: unknown): void {
    const { stdout: _o, stderr: _e, ...rest } = step;
    this.#differences.push({ step: JSON.stringify(rest).slice(0, 300), what, want, got });
  }

  #capture(step: Step, text: string): void {
    for (const [name, pattern] of Object.entries(step.capture ?? {})) {
      const value = new RegExp(pattern, 'm').exec(text)?.[1];
      if (value === undefined) this.#report(step, `capture ${name}`, pattern, text.slice(0, 300));
      else this.#captures[name] = value;
    }
  }

  #compare(step: Step, got: { exit?: number | string; stdout?: Buffer; stderr?: Buffer }): void {
    if (this.#recorded !== undefined) {
      const text = (stream: 'stdout' | 'stderr'): Said => {
        const bytes = got[stream];
        return bytes === undefined ? {} : { [stream]: this.#normal(bytes, stream, step) };
      };
      this.#recorded.set(step, { ...(got.exit === undefined ? {} : { exit: got.exit }), ...text('stdout'), ...text('stderr') });
      return;
    }
    if (got.exit !== undefined && step.cmp?.exit !== 'ignore' && got.exit !== (step.exit ?? 0))
      this.#report(step, 'exit', step.exit ?? 0, got.exit);
    for (const stream of ['stdout', 'stderr'] as const) {
      const bytes = got[stream];
      if (bytes === undefined || step.cmp?.[stream] === 'ignore') continue;
      const text = this.#normal(bytes, stream, step);
      if (text !== (step[stream] ?? '')) this.#report(step, stream, step[stream] ?? '', text);
    }
  }

  #normal(bytes: Buffer, stream: 'stdout' | 'stderr', step: Step): string {
    const mode = step.cmp?.[stream];
    const values = (text: string): string => this.#masked(this.#unfilled(text), step);
    if (stream === 'stdout' && step.as === 'protobuf') return values(protobufText(bytes) ?? `not protobuf: ${bytes.toString('hex')}`);
    let text = bytes.toString('utf8');
    if (!Buffer.from(text, 'utf8').equals(bytes))
      text = [...bytes].map((b) => (b < 0x80 ? String.fromCharCode(b) : `<x${b.toString(16).padStart(2, '0')}>`)).join('');
    if (mode === 'nonempty') return text.trim() === '' ? '' : '<nonempty>';
    if (stream === 'stderr') text = plainErrors(text);
    const tables = maskedTables(text, values, mode === 'sorted');
    text = values(tables);
    if (mode === 'first') return `${text.split('\n')[0]}\n`;
    if (mode === 'errors') return (text.match(/^Error:.*\n/gm) ?? []).join('');
    if (mode === 'sorted' && !text.includes('┌')) {
      const lines = text.split('\n');
      if (text.endsWith('\n')) lines.pop();
      return lines.sort().join('\n') + (text.endsWith('\n') ? '\n' : '');
    }
    return text;
  }

  #masked(text: string, step: Step): string {
    const variable = { ...this.#scenario.env, ...step.env }['ETCDCTL_HEX'] ?? '';
    let out = masked(text, (step.run ?? []).some((a) => a === '--hex' || a === '--hex=true') || ['true', '1'].includes(variable));
    for (const [pattern, replacement] of [...(this.#scenario.mask ?? []), ...(step.mask ?? [])])
      out = out.replace(new RegExp(pattern, 'gm'), replacement);
    return out;
  }

  /** This run's values become the names that the recording has for them. */
  #unfilled(text: string): string {
    const pairs: [string, string][] = [];
    for (const [name, value] of Object.entries(this.#captures)) {
      if (value.length < 5) continue;
      pairs.push([value, `{${name}}`]);
      if (/^[0-9a-f]{10,16}$/.test(value))
        pairs.push([value.padStart(16, '0'), `{${name}}`], [BigInt(`0x${value}`).toString(), `{${name}.dec}`]);
    }
    const own = Object.entries(this.#vars)
      .filter(([name]) =>
        /^(endpointUrl|endpoint|peer|dataDir|tmp|ca|otherCa|(server|client|root)(Cert|Key)|endpoints)(Dest|X?\d)?$/.test(name),
      )
      .map(([name, value]): [string, string] => [value, `{${name}}`])
      .sort((a, b) => b[0].length - a[0].length || a[1].length - b[1].length);
    pairs.push(...own, [`:${this.#vars['freePort']}`, ':{freePort}']);
    return pairs.reduce((out, [value, name]) => (value === '' ? out : out.split(value).join(name)), text);
  }

  async #step(step: Step): Promise<void> {
    if (step.split === true && this.#programs.merged) return;
    if (step.run !== undefined) return this.#runStep(step);
    if (step.expect !== undefined) return this.#expectStep(step, this.#command(step.expect));
    if (step.send !== undefined) {
      const { stdin } = this.#command(step.send).child;
      if (step.text !== undefined) stdin?.write(fill(step.text, this.#names));
      if (step.close === true) stdin?.end();
      if (step.settle === true) await sleep(this.#settleMs);
      return;
    }
    const ending = step.kill ?? step.wait;
    if (ending !== undefined) return this.#endStep(step, this.#command(ending));
    if (step.server !== undefined) return this.#serverStep(step);
    if (step.sleep !== undefined) return sleep(step.sleep);
    if (step.file !== undefined) return this.#fileStep(step, fill(step.file, this.#names));
    throw new Error(`step not understood: ${JSON.stringify(step)}`);
  }

  #command(name: string): Command {
    const command = this.#background.get(name);
    if (command === undefined) throw new Error(`no command ${name}`);
    return command;
  }

  async #runStep(step: Step): Promise<void> {
    const command = this.#launch(step);
    if (step.background !== undefined) {
      this.#background.set(step.background, command);
      if (step.settle === true) await sleep(this.#settleMs);
      return;
    }
    const exit = await command.ended(step.timeout ?? stepMs);
    if (exit === undefined) {
      command.end();
      await command.exit;
      this.#report(step, 'time', 'an end', 'still running');
      return;
    }
    this.#capture(step, command.out.toString('utf8'));
    this.#compare(step, { exit, stdout: command.out, stderr: command.err });
  }

  async #expectStep(step: Step, command: Command): Promise<void> {
    const count = (text: string): number => text.split('\n').length - 1;
    const wanted = step.lines ?? count(step.stdout ?? '');
    const errors = step.errLines ?? 0;
    const end = Date.now() + (step.timeout ?? 10_000);
    const enough = (): boolean =>
      count(command.out.subarray(command.seenOut).toString('latin1')) >= wanted &&
      count(withoutLogs(command.err.subarray(command.seenErr).toString('utf8'))) >= errors;
    while (!enough() && !command.done && Date.now() < end) await sleep(10);
    if (step.quiet !== undefined) await sleep(step.quiet);
    const stdout = command.out.subarray(command.seenOut);
    command.seenOut = command.out.length;
    this.#capture(step, stdout.toString('utf8'));
    const stderr = errors > 0 ? command.err.subarray(command.seenErr) : undefined;
    if (errors > 0) command.seenErr = command.err.length;
    this.#compare(step, stderr === undefined ? { stdout } : { stdout, stderr });
  }

  async #endStep(step: Step, command: Command): Promise<void> {
    if (step.kill !== undefined && !command.done) command.child.kill(step.signal ?? 'SIGINT');
    const exit = await command.ended(step.timeout ?? stepMs);
    if (exit === undefined) {
      command.end();
      await command.exit;
      this.#report(step, 'time', 'an end', 'still running');
      return;
    }
    const stdout = command.out.subarray(command.seenOut);
    this.#capture(step, stdout.toString('utf8'));
    this.#compare(step, { exit, stdout, stderr: command.err.subarray(command.seenErr) });
  }

  async #serverStep(step: Step): Promise<void> {
    const server = this.#servers.find((s) => s.name === (step.member ?? this.#servers[0]?.name));
    if (server === undefined) throw new Error(`no member ${step.member}`);
    if (step.server === 'stop') return this.#stop(server, step.signal ?? 'SIGTERM');
    if (step.dataDir !== undefined) server.dataDir = fill(step.dataDir, this.#names);
    if (step.initialCluster !== undefined) server.initialCluster = fill(step.initialCluster, this.#names);
    if (step.clusterState !== undefined) server.clusterState = step.clusterState;
    this.#start(server, step.args ?? []);
    if (step.ready !== false) await this.#ready(server);
  }

  #fileStep(step: Step, file: string): void {
    if (step.text !== undefined) writeFileSync(file, step.text);
    if (step.b64 !== undefined) writeFileSync(file, Buffer.from(step.b64, 'base64'));
    if (step.copyFrom !== undefined) cpSync(fill(step.copyFrom, this.#names), file, { recursive: true });
    if (step.append !== undefined) appendFileSync(file, step.append);
    if (step.flip !== undefined) {
      const bytes = readFileSync(file);
      const at = (step.flip + bytes.length) % bytes.length;
      bytes[at] = (bytes[at] ?? 0) ^ 0xff;
      writeFileSync(file, bytes);
    }
    if (step.truncate !== undefined) truncateSync(file, step.truncate < 0 ? statSync(file).size + step.truncate : step.truncate);
    if (step.mkdir === true) mkdirSync(file, { recursive: true });
    if (step.remove === true) rmSync(file, { recursive: true, force: true });
    const there = existsSync(file);
    if (step.exists !== undefined && there !== step.exists) this.#report(step, 'exists', step.exists, there);
    const mode = there ? `0${(statSync(file).mode & 0o777).toString(8)}` : 'missing';
    if (step.mode !== undefined && mode !== step.mode) this.#report(step, 'mode', step.mode, mode);
    if (step.sizeMod !== undefined) {
      const rest = there ? statSync(file).size % step.sizeMod[0] : -1;
      if (rest !== step.sizeMod[1]) this.#report(step, `size modulo ${step.sizeMod[0]}`, step.sizeMod[1], rest);
    }
  }
}

/** The gateway and the gRPC proxy as processes of their own, on free ports of 127.0.0.1. */
import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePorts, program, referenceBin, scratch, until } from './member.ts';

export type ProxyKind = 'grpc-proxy' | 'gateway';

const readyLine = { 'grpc-proxy': 'started gRPC proxy', gateway: 'ready to proxy client requests' } as const;

export class ProxyProcess {
  readonly #command: readonly string[];
  readonly #kind: ProxyKind;
  readonly #place = scratch();
  readonly port: number;
  #starts = 0;
  child: ChildProcess | undefined;
  #exit: Promise<number | null> | undefined;

  constructor(kind: ProxyKind, command: readonly string[], port: number) {
    this.#kind = kind;
    this.#command = command;
    this.port = port;
  }

  get endpoint(): string {
    return `127.0.0.1:${this.port}`;
  }

  get log(): string {
    return readFileSync(this.#logFile, 'utf8');
  }

  get #logFile(): string {
    return join(this.#place.dir, 'log');
  }

  /** Resident memory in bytes. */
  get residentBytes(): number {
    const status = readFileSync(`/proc/${this.child?.pid}/status`, 'latin1');
    return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) * 1024;
  }

  async start(): Promise<this> {
    const fd = openSync(this.#logFile, 'a');
    const [command = '', ...args] = this.#command;
    const child = spawn(command, args, { stdio: ['ignore', fd, fd], cwd: this.#place.dir });
    closeSync(fd);
    this.child = child;
    let ended = false;
    this.#exit = new Promise((resolve) =>
      child.once('exit', (code) => {
        ended = true;
        resolve(code);
      }),
    );
    this.#starts++;
    await until(`the ${this.#kind} to serve`, () => {
      if (ended) throw new Error(`the ${this.#kind} ended at start:\n${this.log.slice(-4000)}`);
      return this.log.split(readyLine[this.#kind]).length > this.#starts;
    });
    return this;
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    this.child?.kill(signal);
    const code = await this.#exit;
    this.child = undefined;
    return code ?? null;
  }

  async remove(): Promise<void> {
    if (this.child !== undefined) await this.stop('SIGKILL');
    this.#place.remove();
  }
}

/** `reference`: a real etcd's. */
export async function startProxy(
  kind: ProxyKind,
  endpoints: readonly string[],
  args: readonly string[] = [],
  options: { readonly reference?: boolean } = {},
): Promise<ProxyProcess> {
  const [port = 0] = await freePorts(1);
  const address = `127.0.0.1:${port}`;
  const own = kind === 'grpc-proxy' ? [`--advertise-client-url=${address}`] : [];
  const flags = [kind, 'start', `--endpoints=${endpoints.join(',')}`, `--listen-addr=${address}`, ...own, ...args];
  const command = options.reference === true ? [join(referenceBin, 'etcd'), ...flags] : [process.execPath, program, ...flags];
  return new ProxyProcess(kind, command, port).start();
}

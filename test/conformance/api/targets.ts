// Servers to replay against, a new one for each scenario: a member inside this process on a disk in memory (default), `bin/tsetcd server`, or
// a real etcd.
import { spawn } from 'node:child_process';
import { mkdtempSync, openSync, closeSync, readFileSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startMember } from '../../../src/server/embed.ts';
import type { Address } from './replay.ts';

const top = join(import.meta.dirname, '../../..');

export interface RunningServer extends Address {
  /** Ends it at once and removes its files. */
  stop(): Promise<void>;
  /** The last lines of its log, for a failed test. */
  logTail(): string;
}

/** `TSETCD_REFERENCE` names a real etcd; `TSETCD_SPAWN=1` asks for processes of `bin/tsetcd server`. */
const reference = process.env['TSETCD_REFERENCE'] ?? '';
const command = reference !== '' ? [reference] : process.env['TSETCD_SPAWN'] === '1' ? [join(top, 'bin/tsetcd'), 'server'] : undefined;

/** The least there is: hashing is not what is tested here. */
const bcryptCost = 4;

/** Two ports that were free a moment ago. */
async function freePorts(): Promise<[number, number]> {
  const listen = (): Promise<net.Server> =>
    new Promise((resolve, reject) => {
      const s = net.createServer();
      s.once('error', reject);
      s.listen(0, '127.0.0.1', () => resolve(s));
    });
  const servers = [await listen(), await listen()];
  const ports = servers.map((s) => (s.address() as net.AddressInfo).port);
  await Promise.all(servers.map((s) => new Promise((resolve) => s.close(resolve))));
  return [ports[0]!, ports[1]!];
}

/** @param args  further flags, as `--name=value` */
export async function startServer(args: readonly string[] = []): Promise<RunningServer> {
  const [clientPort, peerPort] = await freePorts();
  return command === undefined ? embedded(clientPort, peerPort, args) : spawned(command, clientPort, peerPort, args);
}

async function embedded(clientPort: number, peerPort: number, args: readonly string[]): Promise<RunningServer> {
  const peerUrl = `http://127.0.0.1:${peerPort}`;
  const fatal: string[] = [];
  const member = await startMember({
    name: 'default',
    listen: `http://127.0.0.1:${clientPort}`,
    flags: {
      'listen-peer-urls': peerUrl,
      'initial-advertise-peer-urls': peerUrl,
      'initial-cluster': `default=${peerUrl}`,
      'bcrypt-cost': bcryptCost,
      ...Object.fromEntries(args.map((a) => a.replace(/^--/, '').split('=', 2) as [string, string])),
    },
    onFatal: (error) => fatal.push(error.stack ?? error.message),
  });
  return { host: '127.0.0.1', clientPort, peerUrl, logTail: () => fatal.join('\n'), stop: () => member.close() };
}

async function spawned(command: readonly string[], clientPort: number, peerPort: number, args: readonly string[]): Promise<RunningServer> {
  const dir = mkdtempSync(join(tmpdir(), 'tsetcd-api-'));
  const clientUrl = `http://127.0.0.1:${clientPort}`;
  const peerUrl = `http://127.0.0.1:${peerPort}`;
  const logFile = join(dir, 'log');
  const log = openSync(logFile, 'w');
  const [program = '', ...first] = command;
  const child = spawn(
    program,
    [
      ...first,
      '--name=default',
      `--data-dir=${join(dir, 'data')}`,
      '--unsafe-no-fsync',
      '--log-level=error',
      `--listen-client-urls=${clientUrl}`,
      `--advertise-client-urls=${clientUrl}`,
      `--listen-peer-urls=${peerUrl}`,
      `--initial-advertise-peer-urls=${peerUrl}`,
      `--initial-cluster=default=${peerUrl}`,
      `--bcrypt-cost=${bcryptCost}`,
      ...args,
    ],
    { stdio: ['ignore', log, log] },
  );
  closeSync(log);
  const gone = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', () => resolve());
  });
  return {
    host: '127.0.0.1',
    clientPort,
    peerUrl,
    logTail: () => readFileSync(logFile, 'utf8').trim().split('\n').slice(-5).join('\n'),
    async stop() {
      child.kill('SIGKILL');
      await gone;
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

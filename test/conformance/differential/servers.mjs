// The two servers of a differential run, on free ports and in scratch folders.
import { spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { get } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const top = join(import.meta.dirname, '../../..');
export const referenceEtcd = join(top, '.cache/reference/bin/etcd');
const program = process.env['TSETCD_PROGRAM'] ?? join(top, 'bin/tsetcd');

async function freePorts(n) {
  const servers = Array.from({ length: n }, () => createServer());
  const ports = await Promise.all(
    servers.map((s) => new Promise((resolve, reject) => s.once('error', reject).listen(0, '127.0.0.1', () => resolve(s.address().port)))),
  );
  await Promise.all(servers.map((s) => new Promise((resolve) => s.close(resolve))));
  return ports;
}

const healthy = (url) =>
  new Promise((resolve) => {
    const request = get(`${url}/health`, { timeout: 1000, agent: false }, (r) => {
      r.resume();
      resolve(r.statusCode === 200);
    });
    request.on('error', () => resolve(false));
    request.on('timeout', () => request.destroy());
  });

/** Resolves once the server is healthy. `kind`: `etcd` or `tsetcd`. */
export async function startServer(kind, flags = []) {
  const dir = mkdtempSync(join(tmpdir(), 'tsetcd-diff-'));
  const [client, peer] = await freePorts(2);
  const url = `http://127.0.0.1:${client}`;
  const peerUrl = `http://127.0.0.1:${peer}`;
  const logFile = join(dir, 'log');
  const log = openSync(logFile, 'w');
  const [command, ...first] = kind === 'etcd' ? [referenceEtcd] : [process.execPath, program, 'server'];
  const args = [
    ...first,
    '--name=default',
    `--data-dir=${join(dir, 'data')}`,
    '--unsafe-no-fsync',
    '--log-level=warn',
    '--bcrypt-cost=4',
    `--listen-client-urls=${url}`,
    `--advertise-client-urls=http://127.0.0.1:1`,
    `--listen-peer-urls=${peerUrl}`,
    `--initial-advertise-peer-urls=${peerUrl}`,
    `--initial-cluster=default=${peerUrl}`,
    ...flags,
  ];
  const child = spawn(command, args, { stdio: ['ignore', log, log] });
  closeSync(log);
  const exit = new Promise((resolve) => child.once('exit', resolve));
  const server = {
    kind,
    address: `127.0.0.1:${client}`,
    url,
    peerUrl,
    get alive() {
      return child.exitCode === null && child.signalCode === null;
    },
    logTail: () => readFileSync(logFile, 'utf8').slice(-3000),
    async stop() {
      child.kill('SIGKILL');
      await exit;
      rmSync(dir, { recursive: true, force: true });
    },
  };
  const end = Date.now() + 60_000;
  while (!(await healthy(url))) {
    if (!server.alive || Date.now() > end) {
      const tail = server.logTail();
      await server.stop();
      throw new Error(`${kind} did not start:\n${tail}`);
    }
    await new Promise((r) => setTimeout(r, 20));
  }
  return server;
}

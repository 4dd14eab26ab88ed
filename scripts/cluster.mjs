// `npm run cluster [-- --members N] [--base PORT] [--dir FOLDER]`: members and a gRPC proxy on this machine, until Ctrl-C. Member i listens on
// PORT + 2i for clients and on the port behind it for members; the proxy on the first port that is left. Data stays in FOLDER.
import { spawn } from 'node:child_process';
import { createWriteStream, mkdirSync } from 'node:fs';
import { get } from 'node:http';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const program = join(dirname(fileURLToPath(import.meta.url)), '../bin/tsetcd');
const readyMsMax = 120_000;
/** A member that does not end on SIGTERM within this time is killed, in ms. */
const stopMsMax = 30_000;

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const healthy = (url) =>
  new Promise((resolve) => {
    const request = get(`${url}/health`, { agent: false, timeout: 1000 }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    request.on('error', () => resolve(false));
    request.on('timeout', () => request.destroy());
  });

export async function runCluster(args) {
  const { values } = parseArgs({
    args,
    options: {
      members: { type: 'string', default: '3' },
      base: { type: 'string', default: '2379' },
      dir: { type: 'string', default: 'cluster.etcd' },
    },
  });
  const [count, base] = [Number(values.members), Number(values.base)];
  if (!(Number.isInteger(count) && count >= 1 && count <= 9)) throw new Error('--members takes a number from 1 to 9');
  if (!(Number.isInteger(base) && base >= 1 && base + 2 * count <= 65_535)) throw new Error('--base takes a port with room behind it');
  const dir = resolve(values.dir);
  mkdirSync(dir, { recursive: true });

  const members = Array.from({ length: count }, (_, i) => ({
    name: `m${i + 1}`,
    client: `http://127.0.0.1:${base + 2 * i}`,
    peer: `http://127.0.0.1:${base + 2 * i + 1}`,
  }));
  const proxy = `127.0.0.1:${base + 2 * count}`;
  const endpoints = members.map((m) => m.client.slice('http://'.length)).join(',');
  const cluster = members.map((m) => `${m.name}=${m.peer}`).join(',');

  const children = new Map();
  let stopping = false;
  const start = (name, argv) => {
    const log = createWriteStream(join(dir, `${name}.log`), { flags: 'a' });
    const child = spawn(process.execPath, [program, ...argv], { stdio: ['ignore', 'pipe', 'pipe'] });
    child.stdout.pipe(log, { end: false });
    child.stderr.pipe(log, { end: false });
    child.on('exit', (code, signal) => {
      children.delete(name);
      if (!stopping) console.log(`${name} ended (${signal ?? code}); its log: ${relative('', join(dir, `${name}.log`))}`);
    });
    children.set(name, child);
    return child;
  };
  const stop = async (signal) => {
    if (stopping) return;
    stopping = true;
    const ends = [...children.values()].map((child) => new Promise((resolve) => child.once('exit', resolve)));
    for (const child of children.values()) child.kill('SIGTERM');
    const timer = setTimeout(() => {
      for (const child of children.values()) child.kill('SIGKILL');
    }, stopMsMax);
    await Promise.all(ends);
    clearTimeout(timer);
    process.exit(signal === 'SIGINT' ? 130 : signal === 'SIGTERM' ? 143 : 1);
  };
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => void stop(signal));

  for (const m of members) {
    const urls = ['--listen-client-urls', m.client, '--advertise-client-urls', m.client];
    urls.push('--listen-peer-urls', m.peer, '--initial-advertise-peer-urls', m.peer);
    start(m.name, ['server', '--name', m.name, '--data-dir', join(dir, m.name), ...urls, '--initial-cluster', cluster]);
  }
  start('proxy', ['grpc-proxy', 'start', '--endpoints', endpoints, '--listen-addr', proxy, '--advertise-client-url', proxy]);
  const end = Date.now() + readyMsMax;
  for (const url of [...members.map((m) => m.client), `http://${proxy}`]) {
    while (!stopping && !(await healthy(url))) {
      if (children.size <= count || Date.now() > end) {
        console.error(`${url} does not serve; the logs are in ${relative('', dir) || '.'}`);
        await stop('');
      }
      await sleep(100);
    }
  }
  if (stopping) return;

  const path = relative('', program);
  const command = path.startsWith('..') ? program : `./${path}`;
  const rows = members.map((m) => `  ${m.name}     ${m.client.slice(7)}   (members: ${m.peer.slice(7)}, pid ${children.get(m.name)?.pid})`);
  console.log(`${count} members and a proxy serve; data and logs are in ${relative('', dir) || '.'}

${rows.join('\n')}
  proxy  ${proxy}   (pid ${children.get('proxy')?.pid})

In another terminal:

  export ETCDCTL_ENDPOINTS=${endpoints}
  ${command} put greeting hello
  ${command} get greeting
  ${command} endpoint status --cluster -w table
  ETCDCTL_ENDPOINTS=${proxy} ${command} watch greeting       # through the proxy

Kill a member and see the others go on: kill -9 ${children.get('m1')?.pid}
Ctrl-C ends all of them.`);
}

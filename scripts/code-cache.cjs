'use strict';
// Has a bundle do what it typically does, then keeps the code that V8 compiled for it: `node code-cache.cjs dist/cli.cjs` (or member.cjs).
const fs = require('node:fs');
const http = require('node:http');
const http2 = require('node:http2');
const { tmpdir } = require('node:os');
const { basename, join } = require('node:path');
const { cacheFile, cacheOf, compile, run } = require(join(__dirname, '..', 'bin', 'load.cjs'));

const file = process.argv[2];
const script = compile(file);
const bundle = run(script, file);

/** Commands against a stand-in server that answers every call with an empty message. */
async function useCli() {
  const server = http2.createServer();
  server.on('stream', (stream) => {
    stream.on('error', () => {});
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    stream.resume();
    stream.on('end', () => stream.end(Buffer.alloc(5)));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const at = `--endpoints=127.0.0.1:${server.address().port}`;
  const lines = [
    ['put', 'a', 'b', at],
    ['get', 'a', at],
    ['get', 'a', '--prefix', '-w', 'json', at],
    ['get', 'a', '-w', 'fields', at],
    ['del', 'a', at],
    ['lease', 'grant', '5', at],
    ['member', 'list', at],
    ['endpoint', 'health', at],
    ['version'],
    ['--help'],
    ['put', '--help'],
    ['completion', 'bash'],
    ['__complete', 'g'],
    ['nope'],
  ];
  // Nothing of this is to be seen.
  const { writeSync } = fs;
  fs.writeSync = (_fd, bytes, at = 0) => bytes.length - at;
  for (const line of lines) await bundle.runProgram('tsetcd', line, {});
  fs.writeSync = writeSync;
}

/** A member's first start, a few puts and ranges. */
async function useMember() {
  const dir = fs.mkdtempSync(join(tmpdir(), 'tsetcd-build-'));
  process.on('exit', () => fs.rmSync(dir, { recursive: true, force: true }));
  const [client, peer] = await freeUrls(2);
  const flags = { 'data-dir': join(dir, 'data'), 'log-outputs': join(dir, 'log'), 'listen-client-urls': client, 'listen-peer-urls': peer };
  Object.assign(flags, { 'advertise-client-urls': client, 'initial-advertise-peer-urls': peer, 'initial-cluster': `default=${peer}` });
  const serving = bundle.serve(
    'etcd',
    Object.entries(flags).map(([name, value]) => `--${name}=${value}`),
  );
  const giveUpMs = Date.now() + 30_000;
  while (!(await isHealthy(client))) {
    if (Date.now() > giveUpMs) throw new Error(`no healthy answer: ${fs.readFileSync(join(dir, 'log'), 'utf8')}`);
    await new Promise((r) => setTimeout(r, 20));
  }
  await serving;
  const session = http2.connect(client);
  // PutRequest and RangeRequest: field 1 is the key, field 2 the value.
  const key = Buffer.from([0x0a, 1, 0x61]);
  for (let i = 0; i < 20; i++) {
    await call(session, '/etcdserverpb.KV/Put', Buffer.concat([key, Buffer.from([0x12, 1, 0x62])]));
    await call(session, '/etcdserverpb.KV/Range', key);
  }
  session.close();
}

async function freeUrls(count) {
  const servers = Array.from({ length: count }, () => http.createServer());
  await Promise.all(servers.map((s) => new Promise((resolve) => s.listen(0, '127.0.0.1', resolve))));
  const urls = servers.map((s) => `http://127.0.0.1:${s.address().port}`);
  await Promise.all(servers.map((s) => new Promise((resolve) => s.close(resolve))));
  return urls;
}

function isHealthy(url) {
  return new Promise((resolve) => {
    const request = http.get(`${url}/health`, { agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    request.on('error', () => resolve(false));
  });
}

function call(session, path, message) {
  return new Promise((resolve, reject) => {
    const stream = session.request({ ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers' });
    stream.on('error', reject);
    stream.on('close', resolve);
    stream.resume();
    const head = Buffer.alloc(5);
    head.writeUInt32BE(message.length, 1);
    stream.end(Buffer.concat([head, message]));
  });
}

const use = basename(file).startsWith('member') ? useMember : useCli;
use().then(
  () => {
    fs.writeFileSync(`${cacheFile(file)}.new`, cacheOf(file, script));
    fs.renameSync(`${cacheFile(file)}.new`, cacheFile(file));
    process.exit(0);
  },
  (error) => {
    process.stderr.write(`${error.stack}\n`);
    process.exit(1);
  },
);

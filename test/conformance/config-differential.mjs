#!/usr/bin/env node
// Command lines, variables and config files, good and bad, to a real etcd and to tsetcd: does it start, with which exit code and words does it
// refuse.
//
//     node test/conformance/config-differential.mjs [--only TEXT]
//
// Ends with status 1 when one differs.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { referenceEtcd } from './differential/servers.mjs';

const top = join(import.meta.dirname, '../..');
const program = process.env['TSETCD_PROGRAM'] ?? join(top, 'bin/tsetcd');
const { values } = parseArgs({ options: { only: { type: 'string' }, verbose: { type: 'boolean', default: false } } });

/** Flags alone; ports and folder are added unless `bare`. */
const flagCases = [
  [],
  ['--nosuch'],
  ['--nosuch=1'],
  ['---name', 'x'],
  ['-'],
  ['--'],
  ['--', '--name', 'x'],
  ['word'],
  ['--name', 'x', 'word'],
  ['--name'],
  ['--name='],
  ['-name', 'x'],
  ['--=x'],
  ['--discovery', 'http://x'],
  ['--discovery-proxy', 'x'],
  ['--heartbeat-interval', 'x'],
  ['--heartbeat-interval', '-1'],
  ['--heartbeat-interval', '0'],
  ['--heartbeat-interval', '1.5'],
  ['--heartbeat-interval', '0x64'],
  ['--heartbeat-interval', '1_00'],
  ['--heartbeat-interval', '99999999999999999999'],
  ['--heartbeat-interval', '500'],
  ['--election-timeout', '0'],
  ['--election-timeout', '499'],
  ['--election-timeout', '50001'],
  ['--election-timeout', '60000', '--heartbeat-interval', '20000'],
  ['--election-timeout', 'abc'],
  ['--snapshot-count', '0'],
  ['--snapshot-count', '-5'],
  ['--snapshot-count', 'x'],
  ['--snapshot-catchup-entries', '0'],
  ['--max-snapshots', '0'],
  ['--max-snapshots', '3'],
  ['--max-wals', '-1'],
  ['--quota-backend-bytes', '-1'],
  ['--quota-backend-bytes', 'x'],
  ['--quota-backend-bytes', '9223372036854775808'],
  ['--quota-backend-bytes', '10000000000'],
  ['--max-txn-ops', '0'],
  ['--max-txn-ops', '-1'],
  ['--max-request-bytes', '0'],
  ['--max-request-bytes', '20000000'],
  ['--max-concurrent-streams', '0'],
  ['--max-concurrent-streams', '4294967296'],
  ['--max-concurrent-streams', '-1'],
  ['--backend-batch-interval', '1'],
  ['--backend-batch-interval', 'x'],
  ['--backend-batch-interval', '-1s'],
  ['--backend-batch-interval', '1h1m1s1ms1us1ns'],
  ['--backend-batch-limit', '-1'],
  ['--backend-bbolt-freelist-type', 'hashmap'],
  ['--backend-bbolt-freelist-type', 'array'],
  ['--grpc-keepalive-min-time', '0'],
  ['--grpc-keepalive-interval', '0s'],
  ['--grpc-keepalive-timeout', 'abc'],
  ['--initial-election-tick-advance=maybe'],
  ['--initial-election-tick-advance', 'false'],
  ['--pre-vote=false'],
  ['--pre-vote=0'],
  ['--pre-vote=F'],
  ['--pre-vote=no'],
  ['--strict-reconfig-check=2'],
  ['--initial-cluster-state', 'old'],
  ['--initial-cluster-state', 'existing'],
  ['--initial-cluster', ''],
  ['--initial-cluster', 'x'],
  ['--initial-cluster', 'other=http://127.0.0.1:1'],
  ['--initial-cluster', 'default=http://127.0.0.1:1'],
  ['--initial-cluster', 'default=ftp://x:1'],
  ['--initial-cluster', 'default=http://127.0.0.1'],
  ['--initial-cluster', 'default=http://127.0.0.1:1,default=http://127.0.0.1:2'],
  ['--initial-cluster', 'a=http://127.0.0.1:1,b=http://127.0.0.1:1'],
  ['--initial-advertise-peer-urls', 'http://127.0.0.1:1'],
  ['--initial-advertise-peer-urls', ''],
  ['--initial-advertise-peer-urls', 'http://x'],
  ['--initial-cluster-token', ''],
  ['--listen-client-urls', 'http://127.0.0.1'],
  ['--listen-client-urls', 'http://example.invalid:1234'],
  ['--listen-client-urls', 'http://127.0.0.1:1/path'],
  ['--listen-client-urls', 'ftp://127.0.0.1:1'],
  ['--listen-client-urls', '127.0.0.1:1'],
  ['--listen-client-urls', ''],
  ['--listen-client-urls', 'http://127.0.0.1:x'],
  ['--listen-client-urls', 'http://127.0.0.1:99999'],
  ['--listen-client-urls', 'https://127.0.0.1:0'],
  ['--listen-client-urls', 'http://:0', '--advertise-client-urls', 'http://127.0.0.1:1'],
  ['--listen-client-urls', ' http://127.0.0.1:0'],
  ['--listen-client-urls', 'http://127.0.0.1:0,'],
  ['--listen-client-urls', 'http://127.0.0.1:0?a=b'],
  ['--listen-client-urls', 'http://user@127.0.0.1:0'],
  ['--listen-peer-urls', 'https://127.0.0.1:0'],
  ['--listen-peer-urls', 'http://localhost'],
  ['--listen-peer-urls', 'http://some.host:1'],
  ['--listen-peer-urls', ''],
  ['--listen-metrics-urls', 'https://127.0.0.1:0'],
  ['--listen-metrics-urls', 'x'],
  ['--listen-metrics-urls', 'http://127.0.0.1:0'],
  ['--listen-client-http-urls', 'http://127.0.0.1:0'],
  ['--listen-client-http-urls', 'http://name:0'],
  ['--advertise-client-urls', 'x'],
  ['--advertise-client-urls', ''],
  ['--advertise-client-urls', 'http://0.0.0.0:1'],
  ['--discovery-fallback', 'proxy'],
  ['--discovery-fallback', 'x'],
  ['--discovery-token', 'tok'],
  ['--discovery-endpoints', 'http://127.0.0.1:1'],
  ['--discovery-token', 'tok', '--discovery-srv', 'example.invalid'],
  ['--v2-deprecation', 'x'],
  ['--v2-deprecation', 'not-yet'],
  ['--v2-deprecation', 'gone'],
  ['--v2-deprecation', 'write-only'],
  ['--auto-compaction-mode', 'x'],
  ['--auto-compaction-mode', ''],
  ['--auto-compaction-mode', 'revision', '--auto-compaction-retention', 'x'],
  ['--auto-compaction-mode', 'revision', '--auto-compaction-retention', '5m'],
  ['--auto-compaction-mode', 'revision', '--auto-compaction-retention', '-5'],
  ['--auto-compaction-retention', 'x'],
  ['--auto-compaction-retention', '1.5'],
  ['--auto-compaction-retention', '-1'],
  ['--auto-compaction-retention', '10x'],
  ['--auto-compaction-retention', '1h'],
  ['--auto-compaction-retention', ''],
  ['--cert-file', '/nosuch'],
  ['--cert-file', '/nosuch', '--key-file', '/nosuch'],
  ['--client-cert-auth'],
  ['--auto-tls'],
  ['--peer-auto-tls'],
  ['--peer-cert-file', '/nosuch', '--peer-key-file', '/nosuch'],
  ['--self-signed-cert-validity', '0'],
  ['--self-signed-cert-validity', '0', '--auto-tls'],
  ['--self-signed-cert-validity', 'x'],
  ['--cipher-suites', 'x'],
  ['--cipher-suites', 'TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256'],
  ['--cipher-suites', 'TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256', '--tls-min-version', 'TLS1.3'],
  ['--tls-min-version', 'TLS1.1'],
  ['--tls-min-version', 'TLS1.4'],
  ['--tls-min-version', 'TLS1.3', '--tls-max-version', 'TLS1.2'],
  ['--tls-max-version', 'x'],
  ['--cors', 'x'],
  ['--cors', 'http://a:1'],
  ['--cors', '*,http://a:1'],
  ['--host-whitelist', 'a,b'],
  ['--auth-token', 'x'],
  ['--auth-token', ''],
  ['--auth-token', 'jwt'],
  ['--auth-token', 'jwt,sign-method=RS256'],
  ['--auth-token', 'jwt,sign-method=X,priv-key=/nosuch'],
  ['--auth-token', 'jwt,pub-key=/nosuch,priv-key=/nosuch,sign-method=RS256'],
  ['--auth-token', 'simple,a=b'],
  ['--auth-token-ttl', 'x'],
  ['--auth-token-ttl', '0'],
  ['--bcrypt-cost', '3'],
  ['--bcrypt-cost', '32'],
  ['--bcrypt-cost', 'x'],
  ['--metrics', 'x'],
  ['--metrics', 'extensive'],
  ['--logger', 'capnslog'],
  ['--log-level', 'x'],
  ['--log-level', 'DEBUG'],
  ['--log-level', ''],
  ['--log-format', 'xml'],
  ['--log-format', 'console'],
  ['--log-outputs', 'stderr,default'],
  ['--log-outputs', 'stdout,stderr'],
  ['--log-outputs', ''],
  ['--log-outputs', '/nosuch/dir/file'],
  ['--log-outputs', '/dev/null'],
  ['--enable-log-rotation'],
  ['--enable-log-rotation', '--log-outputs', 'LOGFILE', '--log-rotation-config-json', 'x'],
  ['--enable-log-rotation', '--log-outputs', 'LOGFILE', '--log-rotation-config-json', '{"maxsize": -1}'],
  ['--enable-log-rotation', '--log-outputs', 'LOGFILE', '--log-rotation-config-json', '{"maxsize": true}'],
  ['--enable-log-rotation', '--log-outputs', 'LOGFILE', '--log-rotation-config-json', ''],
  ['--enable-log-rotation', '--log-outputs', 'LOGFILE,LOGFILE2'],
  ['--enable-log-rotation', '--log-outputs', 'stderr'],
  ['--enable-log-rotation', '--log-outputs', 'stdout,LOGFILE'],
  ['--log-rotation-config-json', 'x'],
  ['--warning-unary-request-duration', 'x'],
  ['--warning-unary-request-duration', '-1s'],
  ['--enable-distributed-tracing', '--distributed-tracing-sampling-rate', '-1'],
  ['--enable-distributed-tracing', '--distributed-tracing-sampling-rate', '1000001'],
  ['--distributed-tracing-sampling-rate', '-1'],
  ['--distributed-tracing-sampling-rate', 'x'],
  ['--enable-distributed-tracing', '--distributed-tracing-address', ''],
  ['--enable-distributed-tracing', '--distributed-tracing-address', '127.0.0.1:1'],
  ['--corrupt-check-time', 'x'],
  ['--corrupt-check-time', '-1s'],
  ['--compact-hash-check-time', '0'],
  ['--compact-hash-check-time', '0s'],
  ['--compact-hash-check-time', '-1m'],
  ['--compaction-batch-limit', '-1'],
  ['--compaction-sleep-interval', '-1ms'],
  ['--watch-progress-notify-interval', '1ms'],
  ['--watch-progress-notify-interval', '-1s'],
  ['--warning-apply-duration', '-1s'],
  ['--bootstrap-defrag-threshold-megabytes', '-1'],
  ['--max-learners', '0'],
  ['--max-learners', '-1'],
  ['--max-learners', 'x'],
  ['--downgrade-check-time', '0s'],
  ['--downgrade-check-time', '-1s'],
  ['--force-new-cluster'],
  ['--unsafe-no-fsync'],
  ['--feature-gates', 'x'],
  ['--feature-gates', 'X=true'],
  ['--feature-gates', 'CompactHashCheck=x'],
  ['--feature-gates', 'CompactHashCheck=true,CompactHashCheck=false'],
  ['--feature-gates', 'CompactHashCheck=TRUE'],
  ['--feature-gates', 'CompactHashCheck'],
  ['--feature-gates', ' CompactHashCheck = true , '],
  ['--feature-gates', 'LeaseCheckpointPersist=true'],
  ['--feature-gates', 'LeaseCheckpointPersist=true,LeaseCheckpoint=true'],
  ['--feature-gates', 'AllAlpha=true'],
  ['--feature-gates', 'AllBeta=false'],
  ['--feature-gates', 'StopGRPCServiceOnDefrag=true'],
  ['--feature-gates', 'SetMemberLocalAddr=true'],
  ['--feature-gates', ''],
  ['--raft-read-timeout', '1s'],
  ['--raft-write-timeout', 'x'],
  ['--version', '--nosuch'],
  ['--version=false'],
  ['--version=x'],
  ['--cluster-active-size', '3'],
  ['--cluster-active-size=3'],
  ['--peer-heartbeat-interval'],
  ['--snapshot=true'],
  ['--v'],
  ['--name', 'a,b'],
  ['--name', 'a=b'],
  ['--name', 'default'],
  ['--data-dir', ''],
  ['--data-dir', '/dev/null/x'],
  ['--wal-dir', '/dev/null/x'],
  ['--socket-reuse-address'],
  ['--enable-grpc-gateway=false'],
  ['--enable-pprof'],
  ['--config-file', '/nosuch'],
  ['--config-file', ''],
  ['--config-file'],
  ['--config', 'x'],
  ['--experimental-enable-distributed-tracing'],
  ['--experimental-initial-corrupt-check'],
  ['--experimental-warning-apply-duration', '1s'],
];

const envCases = [
  { ETCD_NAME: 'x' },
  { ETCD_NAME: '' },
  { ETCD_HEARTBEAT_INTERVAL: 'x' },
  { ETCD_PRE_VOTE: 'maybe' },
  { ETCD_NOSUCH: '1' },
  { ETCD_VERSION: '1' },
  { ETCD_DATA_DIR: 'elsewhere' },
  { ETCD_LOG_LEVEL: 'debug' },
  { ETCD_FEATURE_GATES: 'X=true' },
  { ETCD_CLUSTER_ACTIVE_SIZE: '3' },
  { ETCD_UNSUPPORTED_ARCH: 'x' },
  { ETCD_INITIAL_CLUSTER_STATE: 'old' },
  { ETCD_V2_DEPRECATION: 'x' },
  { ETCD_CONFIG_FILE: '/nosuch' },
  { ETCD_QUOTA_BACKEND_BYTES: 'abc' },
  { ETCD_EXPERIMENTAL_MAX_LEARNERS: '2' },
  { ETCD_SOCKET_REUSE_PORT: 'x' },
  { ETCD_HELP: 'true' },
  { ETCD_BACKEND_BATCH_INTERVAL: '5' },
];

/** `PORTS` becomes listener URLs. */
const fileCases = [
  '',
  'PORTS',
  '{}',
  '[]',
  'x',
  '1',
  'null',
  '"a"',
  'name: [a]\nPORTS',
  'name: 1\nPORTS',
  'name: {a: b}\nPORTS',
  'name: null\nPORTS',
  'nosuch: 1\nPORTS',
  'Name: x\nPORTS',
  'a: b: c',
  'name: "x',
  '\tname: x',
  'name: x\nname: y\nPORTS',
  'heartbeat-interval: x\nPORTS',
  'heartbeat-interval: "100"\nPORTS',
  'heartbeat-interval: 100.5\nPORTS',
  'heartbeat-interval: -1\nPORTS',
  'heartbeat-interval: 600\nPORTS',
  'election-timeout: 60000\nPORTS',
  'snapshot-count: -1\nPORTS',
  'snapshot-count: 1e3\nPORTS',
  'quota-backend-bytes: 1e9\nPORTS',
  'quota-backend-bytes: x\nPORTS',
  'max-txn-ops: true\nPORTS',
  'pre-vote: "true"\nPORTS',
  'pre-vote: yes\nPORTS',
  'pre-vote: 1\nPORTS',
  'backend-batch-interval: 1s\nPORTS',
  'backend-batch-interval: 1000000\nPORTS',
  'backend-batch-interval: 1.5\nPORTS',
  'initial-cluster-state: old\nPORTS',
  'initial-cluster-state: existing\nPORTS',
  'listen-metrics-urls: x\nPORTS',
  'listen-metrics-urls: [http://127.0.0.1:0]\nPORTS',
  'listen-peer-urls: 5\n',
  'listen-peer-urls: ""\nPORTS',
  'advertise-client-urls: x\nPORTS',
  'cors: x\nPORTS',
  'host-whitelist: a,b\nPORTS',
  'host-whitelist: [a]\nPORTS',
  'log-outputs: stderr\nPORTS',
  'log-outputs: [stderr]\nPORTS',
  'log-outputs: [1]\nPORTS',
  'log-level: x\nPORTS',
  'logger: x\nPORTS',
  'cipher-suites: [x]\nPORTS',
  'cipher-suites: x\nPORTS',
  'tls-min-version: TLS1.0\nPORTS',
  'client-transport-security: x\nPORTS',
  'client-transport-security: {auto-tls: x}\nPORTS',
  'client-transport-security: {cert-file: /nosuch}\nPORTS',
  'client-transport-security: {nosuch: 1}\nPORTS',
  'peer-transport-security: {allowed-cn: x}\nPORTS',
  'peer-transport-security: {allowed-cn: [x]}\nPORTS',
  'peer-transport-security: []\nPORTS',
  'socket-options: {reuse-address: true}\nPORTS',
  'socket-options: {reuse-address: 5}\nPORTS',
  'discovery-config: {token: x}\nPORTS',
  'discovery-config: {client: {endpoints: x}}\nPORTS',
  'auto-compaction-mode: x\nPORTS',
  'auto-compaction-retention: 5\nPORTS',
  'auto-compaction-retention: "5"\nPORTS',
  'feature-gates: X=true\nPORTS',
  'feature-gates: {CompactHashCheck: true}\nPORTS',
  'feature-gates: "CompactHashCheck=true"\nPORTS',
  'auth-token: x\nPORTS',
  'v2-deprecation: x\nPORTS',
  'strict-reconfig-check: {}\nPORTS',
  'max-learners: -1\nPORTS',
  'compact-hash-check-time: 0\nPORTS',
  'enable-log-rotation: true\nPORTS',
  'log-rotation-config-json: x\nPORTS',
  'enable-distributed-tracing: true\ndistributed-tracing-sampling-rate: -1\nPORTS',
  'initial-cluster: x\nPORTS',
  'experimental-warning-apply-duration: 5\nPORTS',
  'experimental-initial-corrupt-check: true\nPORTS',
  'wal-dir: 5\nPORTS',
  'metrics: x\nPORTS',
  '- name: x',
  '--- \nPORTS\n---\nname: y',
  '&a name: *b',
];

async function freePort() {
  const s = createServer();
  await new Promise((resolve) => s.listen(0, '127.0.0.1', resolve));
  const { port } = s.address();
  await new Promise((resolve) => s.close(resolve));
  return port;
}

/** What a program makes of it: whether it serves, or how it ends. */
async function outcome(kind, { flags, env = {}, file }) {
  const dir = mkdtempSync(join(tmpdir(), 'tsetcd-conf-'));
  const client = `http://127.0.0.1:${await freePort()}`;
  const peer = `http://127.0.0.1:${await freePort()}`;
  const has = (name) => flags.some((f) => f === `--${name}` || f.startsWith(`--${name}=`));
  const own = [];
  const add = (name, value) => {
    if (!has(name) && !(`ETCD_${name.toUpperCase().replaceAll('-', '_')}` in env)) own.push(`--${name}=${value}`);
  };
  if (file === undefined && !has('config-file') && !('ETCD_CONFIG_FILE' in env)) {
    add('data-dir', join(dir, 'data'));
    add('listen-client-urls', client);
    add('advertise-client-urls', client);
    add('listen-peer-urls', peer);
    if (!has('name') && !('ETCD_NAME' in env)) {
      add('initial-advertise-peer-urls', peer);
      add('initial-cluster', `default=${peer}`);
    } else add('initial-advertise-peer-urls', peer);
  } else if (file !== undefined) {
    const text = file.replace(
      'PORTS',
      `data-dir: ${join(dir, 'data')}\nlisten-client-urls: ${client}\nadvertise-client-urls: ${client}\nlisten-peer-urls: ${peer}\ninitial-advertise-peer-urls: ${peer}\ninitial-cluster: default=${peer}`,
    );
    writeFileSync(join(dir, 'conf.yml'), text);
    own.push(`--config-file=${join(dir, 'conf.yml')}`);
  }
  const args = [...own, ...flags.map((f) => f.replace('LOGFILE', join(dir, 'log')))];
  const [command, ...first] = kind === 'etcd' ? [referenceEtcd] : [process.execPath, program, 'server'];
  const clean = Object.fromEntries(Object.entries(process.env).filter(([k]) => !k.startsWith('ETCD_')));
  const child = spawn(command, [...first, ...args], { cwd: dir, env: { ...clean, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  const all = (d) => (text += d);
  child.stdout.setEncoding('utf8').on('data', all);
  child.stderr.setEncoding('utf8').on('data', all);
  const exit = new Promise((resolve) => child.once('close', (code, signal) => resolve(signal ?? code)));
  const end = Date.now() + 40_000;
  let ended;
  void exit.then((c) => (ended = c));
  let serves = false;
  while (ended === undefined && Date.now() < end) {
    if (text.includes('ready to serve client requests') || (await listening(client))) {
      serves = true;
      break;
    }
    await new Promise((r) => setTimeout(r, 30));
  }
  const hung = ended === undefined && !serves;
  if (ended === undefined) child.kill('SIGKILL');
  const code = await exit;
  rmSync(dir, { recursive: true, force: true });
  const masked = text
    .replaceAll(dir, 'DIR')
    .replaceAll(client, 'CLIENT')
    .replaceAll(peer, 'PEER')
    .replaceAll(client.slice(7), 'CLIENT')
    .replaceAll(peer.slice(7), 'PEER');
  // A port of 0 is one or another.
  const plain = masked.replace(/127\.0\.0\.1:\d+: KeyFile/, '127.0.0.1:0: KeyFile');
  if (serves) return { serves: true, warnings: warnings(plain), text: masked };
  if (hung) return { hangs: true, text: masked };
  return { code, words: lastWords(plain), text: masked };
}

function listening(url) {
  return fetch(`${url}/version`, { signal: AbortSignal.timeout(500) }).then(
    () => true,
    () => false,
  );
}

const parsedLines = (text) =>
  text.split('\n').flatMap((line) => {
    try {
      return line.startsWith('{') ? [JSON.parse(line)] : [];
    } catch {
      return [];
    }
  });

/** Warnings that come or not by moments, or are of one program alone. */
const passing = /Failed to detect schema version|cannot campaign at term|unsafe no-fsync/;

/** Messages of warnings, sorted: order and what depends on the machine are left out. */
const warnings = (text) =>
  [
    ...new Set(
      parsedLines(text)
        .filter((l) => l.level === 'warn' && !passing.test(l.msg))
        .map((l) => l.msg),
    ),
  ].sort();

/** The last log line's level, message and error, or the first plain line. */
function lastWords(text) {
  const lines = parsedLines(text);
  const plain = text.split('\n').filter((l) => l !== '' && !l.startsWith('{'));
  const last = lines.filter((l) => l.level !== 'info').at(-1);
  return { level: last?.level, msg: last?.msg, error: last?.error, plain: plain[0] };
}

const cases = [
  ...flagCases.map((flags) => ({ title: flags.join(' '), flags })),
  ...envCases.map((env) => ({ title: `env ${JSON.stringify(env)}`, flags: [], env })),
  { title: 'variable and flag', flags: ['--name', 'a'], env: { ETCD_NAME: 'b' } },
  { title: 'variable and flag alike', flags: ['--pre-vote=true'], env: { ETCD_PRE_VOTE: 'true' } },
  { title: 'file, flag and variable', flags: ['--heartbeat-interval', '5000'], env: { ETCD_ELECTION_TIMEOUT: '1' }, file: 'PORTS' },
  { title: 'file and bad flag', flags: ['--nosuch'], file: 'PORTS' },
  { title: 'file and bad value', flags: ['--heartbeat-interval', 'x'], file: 'PORTS' },
  ...fileCases.map((file) => ({ title: `file ${JSON.stringify(file)}`, flags: [], file })),
].filter((c) => values.only === undefined || c.title.includes(values.only));

let differ = 0;
const queue = [...cases];
async function worker() {
  for (let c = queue.shift(); c !== undefined; c = queue.shift()) {
    const [a, b] = [await outcome('etcd', c), await outcome('tsetcd', c)];
    const [x, y] = [a, b].map(({ text: _, ...rest }) => JSON.stringify(rest));
    if (x === y) {
      if (values.verbose) console.log(`same  ${c.title}  ${x}`);
      continue;
    }
    differ++;
    console.log(`DIFFERENT  ${c.title}\n  etcd:   ${x}\n  tsetcd: ${y}`);
  }
}
await Promise.all([worker(), worker()]);
console.log(`${cases.length} cases, ${differ} differ`);
process.exit(differ > 0 ? 1 : 0);

// Installs the real things that tests run beside tsetcd into .cache/reference: etcd, etcdctl, etcdutl and benchmark 3.7.1 and our own Go
// programs on clientv3 (where Go is), etcdctl 3.5.1, python-etcd3 and etcd3gw (where Python is), jetcd (where Java and Maven are), the npm
// package etcd3. Does only what is missing. With the argument "rust" also the program on the crate etcd-client: it takes minutes to build.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync, copyFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const top = join(dirname(fileURLToPath(import.meta.url)), '..');
const cache = join(top, '.cache/reference');
const bin = join(cache, 'bin');
mkdirSync(bin, { recursive: true });

const has = (program, args = ['--version']) => spawnSync(program, args, { stdio: 'ignore' }).status === 0;
const run = (program, args, options = {}) => execFileSync(program, args, { stdio: ['ignore', 2, 2], ...options });

function go() {
  if (!has('go', ['version'])) return 'go is missing: tests beside a real etcd are skipped';
  const module = join(top, 'test/reference');
  const env = { ...process.env, GOBIN: bin, GOFLAGS: '-buildvcs=false' };
  if (!['server', 'etcdctl', 'etcdutl', 'benchmark'].every((n) => existsSync(join(bin, n))))
    run('go', ['install', 'tool'], { cwd: module, env });
  if (!existsSync(join(bin, 'etcd'))) symlinkSync('server', join(bin, 'etcd'));
  for (const name of readdirSync(module)) {
    const dir = join(module, name);
    if (!statSync(dir).isDirectory()) continue;
    const newest = Math.max(...readdirSync(dir).map((f) => statSync(join(dir, f)).mtimeMs));
    if (existsSync(join(bin, name)) && statSync(join(bin, name)).mtimeMs > newest) continue;
    run('go', ['build', '-o', join(bin, name), `./${name}`], { cwd: module, env });
  }
  return undefined;
}

async function etcdTests() {
  if (!has('go', ['version'])) return undefined;
  const { prepare } = await import('./etcd-tests.mjs');
  // Other suites take long: they are run by hand.
  prepare(['e2e']);
  return undefined;
}

function h2spec() {
  if (!has('go', ['version']) || existsSync(join(bin, 'h2spec'))) return undefined;
  const dir = join(top, 'test/h2spec');
  if (!existsSync(dir)) return undefined;
  run('go', ['install', 'tool'], { cwd: dir, env: { ...process.env, GOBIN: bin, GOFLAGS: '-buildvcs=false' } });
  return undefined;
}

function python() {
  if (!has('python3')) return 'python3 is missing: its clients are skipped';
  const venv = join(cache, 'python');
  const stamp = join(venv, '.ready');
  const requirements = join(top, 'test/clients/python/requirements.txt');
  const wanted = readFileSync(requirements, 'utf8');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return undefined;
  rmSync(venv, { recursive: true, force: true });
  run('python3', ['-m', 'venv', venv]);
  run(join(venv, 'bin/pip'), ['install', '--quiet', '--disable-pip-version-check', '-r', requirements]);
  writeFileSync(stamp, wanted);
  return undefined;
}

function java() {
  if (!has('java') || !has('mvn')) return 'java or mvn is missing: the Java client is skipped';
  const dir = join(cache, 'java');
  const stamp = join(dir, '.ready');
  const pom = join(top, 'test/clients/java/pom.xml');
  const wanted = readFileSync(pom, 'utf8');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return undefined;
  rmSync(dir, { recursive: true, force: true });
  run('mvn', ['-q', '-B', '-f', pom, 'dependency:copy-dependencies', `-DoutputDirectory=${dir}`]);
  writeFileSync(stamp, wanted);
  return undefined;
}

function rust() {
  if (!has('cargo') || !has('protoc')) return 'cargo, or protoc with its include files, is missing: the Rust client is skipped';
  const target = join(cache, 'rust');
  run('cargo', ['build', '--target-dir', target], { cwd: join(top, 'test/clients/rust') });
  copyFileSync(join(target, 'debug/rustcheck'), join(bin, 'rustcheck'));
  return undefined;
}

function node() {
  const dir = join(cache, 'node');
  if (existsSync(join(dir, 'node_modules/etcd3'))) return undefined;
  mkdirSync(dir, { recursive: true });
  for (const f of ['package.json', 'package-lock.json']) copyFileSync(join(top, 'test/clients/node', f), join(dir, f));
  run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: dir });
  return undefined;
}

const extra = { rust };
for (const step of [go, etcdTests, h2spec, python, java, node, ...process.argv.slice(2).map((name) => extra[name])]) {
  const missing = await step();
  if (missing) console.error(missing);
}

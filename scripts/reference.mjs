// Installs the real things that tests run beside tsetcd into .cache/reference: etcd, etcdctl, etcdutl and benchmark 3.7.1 and our own Go
// programs on clientv3 (where Go is), etcdctl 3.5.1 and python-etcd3 (where Python is), the npm package etcd3. Does only what is missing.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync, copyFileSync } from 'node:fs';
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
  if (existsSync(stamp)) return undefined;
  rmSync(venv, { recursive: true, force: true });
  run('python3', ['-m', 'venv', venv]);
  run(join(venv, 'bin/pip'), [
    'install',
    '--quiet',
    '--disable-pip-version-check',
    '-r',
    join(top, 'test/clients/python/requirements.txt'),
  ]);
  writeFileSync(stamp, '');
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

for (const step of [go, h2spec, python, node]) {
  const missing = step();
  if (missing) console.error(missing);
}

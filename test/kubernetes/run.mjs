// The tests of Kubernetes' own storage layer (k8s.io/apiserver, storage/etcd3) on members of tsetcd. By hand: fetching and building takes minutes.
//
//   node test/kubernetes/run.mjs [--dir FOLDER] [--server 'etcd'] [-- -test.run TestWatch …]
//
// FOLDER keeps what was fetched and built for the next time. Needs Go.
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const apiserver = 'k8s.io/apiserver';
const version = 'v0.37.2';
const here = dirname(fileURLToPath(import.meta.url));
const top = join(here, '../..');
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { dir: { type: 'string' }, server: { type: 'string', default: `${process.execPath} ${join(top, 'bin/tsetcd')} server` } },
});
const dir = values.dir ?? mkdtempSync(join(tmpdir(), 'tsetcd-kubernetes-'));
mkdirSync(dir, { recursive: true });
const go = (...args) => execFileSync('go', args, { cwd: dir, stdio: ['ignore', 'pipe', 'inherit'], encoding: 'utf8' });

/** Files of the module cache are read-only, and so are their copies. */
function makeWritable(path) {
  const folder = statSync(path).isDirectory();
  chmodSync(path, folder ? 0o755 : 0o644);
  if (folder) for (const name of readdirSync(path)) makeWritable(join(path, name));
}

const tests = join(dir, 'storage.test');
const copy = join(dir, 'apiserver');
const room = join(copy, 'pkg/storage/etcd3');
if (!existsSync(tests)) {
  if (!existsSync(join(dir, 'go.mod'))) {
    writeFileSync(join(dir, 'go.mod'), 'module kubernetescheck\n\ngo 1.26\n');
    const { Dir } = JSON.parse(go('mod', 'download', '-json', `${apiserver}@${version}`));
    cpSync(Dir, copy, { recursive: true });
    makeWritable(copy);
    go('mod', 'edit', `-require=${apiserver}@${version}`, `-replace=${apiserver}=./apiserver`);
  }
  copyFileSync(join(here, 'testserver.go'), join(room, 'testserver/test_server.go'));
  go('test', '-mod=mod', '-c', '-o', tests, `${apiserver}/pkg/storage/etcd3`);
}
const run = spawnSync(tests, ['-test.v', '-test.parallel=2', ...positionals], {
  cwd: room,
  stdio: 'inherit',
  env: { ...process.env, TSETCD_KUBERNETES_SERVER: values.server },
});
process.exitCode = run.status ?? 1;

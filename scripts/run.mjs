// `npm start`, `npm test` and `npm run cluster`: set up what is missing (dependencies, build), then run in this very process.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const top = join(dirname(fileURLToPath(import.meta.url)), '..');

/** The lock that node_modules was installed from matches the project's: npm keeps a copy inside. */
function isInstalled() {
  const inner = join(top, 'node_modules/.package-lock.json');
  if (!existsSync(inner)) return false;
  const have = JSON.parse(readFileSync(inner, 'utf8')).packages;
  const want = JSON.parse(readFileSync(join(top, 'package-lock.json'), 'utf8')).packages;
  return Object.entries(want).every(([path, p]) => path === '' || p.optional || have[path]?.version === p.version);
}

if (!isInstalled()) {
  console.error('installing dependencies');
  execFileSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: top, stdio: ['ignore', 2, 2] });
}
const { buildAll, isBuilt } = await import('./build.mjs');
if (!isBuilt()) {
  console.error('building');
  await buildAll();
}

const [face, ...rest] = process.argv.slice(2);
if (face === 'test') {
  const { runTests } = await import('./test.mjs');
  await runTests(rest);
} else if (face === 'cluster') {
  if (process.env.INIT_CWD) process.chdir(process.env.INIT_CWD);
  const { runCluster } = await import('./cluster.mjs');
  await runCluster(rest);
} else {
  // npm runs scripts in the package's folder; the data directory belongs where the user stands.
  if (process.env.INIT_CWD) process.chdir(process.env.INIT_CWD);
  process.argv = [process.argv[0], join(top, 'bin/tsetcd'), face, ...rest];
  createRequire(import.meta.url)(join(top, 'bin/tsetcd'));
}

// Bundles src/ into dist/: the program, the two package entries and the workers. `--types` also writes declarations for the package.
import { build } from 'esbuild';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const top = join(dirname(fileURLToPath(import.meta.url)), '..');
const src = join(top, 'src');
const dist = join(top, 'dist');
const stamp = join(dist, '.built');

/** Newest modification below a folder, in ms. */
function newest(path) {
  const s = statSync(path);
  if (!s.isDirectory()) return s.mtimeMs;
  return Math.max(s.mtimeMs, ...readdirSync(path).map((n) => newest(join(path, n))));
}

/** True when dist/ is at least as new as everything it is made from. */
export function isBuilt() {
  if (!existsSync(stamp)) return false;
  // A published package has no sources: what is in dist/ is all there is.
  if (!existsSync(src)) return true;
  const built = statSync(stamp).mtimeMs;
  return (
    built > newest(src) &&
    built > statSync(fileURLToPath(import.meta.url)).mtimeMs &&
    built > newest(join(top, 'bin')) &&
    built > statSync(join(top, 'package.json')).mtimeMs
  );
}

export async function buildAll({ types = false } = {}) {
  // A package is made of what this build writes and of nothing older.
  if (types) rmSync(dist, { recursive: true, force: true });
  mkdirSync(dist, { recursive: true });
  // CommonJS dependencies inside an ES module bundle look for these.
  const banner = {
    js: "import { createRequire as __tsetcdRequire } from 'node:module';const require = __tsetcdRequire(import.meta.url);",
  };
  const common = {
    absWorkingDir: top,
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'esm',
    banner,
    sourcemap: false,
    legalComments: 'none',
    // Native code, and what finds its own files at run time, stays outside the bundle.
    external: ['fs-native-extensions'],
    logLevel: 'warning',
  };
  const entries = { client: 'client/index.ts', server: 'server/embed.ts' };
  for (const [k, f] of Object.entries(entries)) if (!existsSync(join(src, f))) delete entries[k];
  const before = new Set(existsSync(join(dist, 'chunks')) ? readdirSync(join(dist, 'chunks')) : []);
  const result = await build({
    ...common,
    entryPoints: Object.fromEntries(Object.entries(entries).map(([k, f]) => [k, join(src, f)])),
    outdir: dist,
    splitting: true,
    chunkNames: 'chunks/[name]-[hash]',
    metafile: true,
  });
  // Only now drop chunks of earlier builds: a program that is running may still load one of them until here.
  const made = new Set(Object.keys(result.metafile.outputs).map((f) => f.split('/').pop()));
  for (const old of before) if (!made.has(old)) rmSync(join(dist, 'chunks', old), { force: true });
  // Start-up is most of the running time of a command, and a good part of a member's: one CommonJS file each, and the code that V8 makes of it
  // kept beside it. What few commands want lies in files of its own.
  const commonJs = {
    absWorkingDir: top,
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'cjs',
    minifyWhitespace: true,
    minifySyntax: true,
    legalComments: 'none',
    supported: { 'dynamic-import': false },
    define: { 'import.meta.url': '__bundleUrl' },
    external: ['fs-native-extensions'],
    logLevel: 'warning',
  };
  const bundleUrl = "const __bundleUrl=require('node:url').pathToFileURL(__filename).href;";
  const apart = {
    name: 'apart',
    setup(b) {
      b.onResolve({ filter: /^(yaml|ora|cli-table3|selfsigned)$/ }, ({ path }) => ({ path: `./lib/${path}.cjs`, external: true }));
      b.onResolve({ filter: /^\.\/(offline|certificates)\.ts$|\/proxy\/run\.ts$/ }, ({ path }) => ({
        path: `./lib/${path.endsWith('/run.ts') ? 'proxy' : path.slice(2, -3)}.cjs`,
        external: true,
      }));
    },
  };
  await build({
    ...commonJs,
    entryPoints: ['yaml', 'ora', 'cli-table3', 'selfsigned'],
    outdir: join(dist, 'lib'),
    outExtension: { '.js': '.cjs' },
    // What was an ES module gives its default export when it is required, as the bundle that requires it expects.
    footer: { js: "if(module.exports.__esModule&&typeof module.exports.default==='function')module.exports=module.exports.default;" },
  });
  await build({
    ...commonJs,
    entryPoints: {
      offline: join(src, 'commands/util/offline.ts'),
      certificates: join(src, 'commands/cert/certificates.ts'),
      proxy: join(src, 'commands/proxy/run.ts'),
    },
    outdir: join(dist, 'lib'),
    outExtension: { '.js': '.cjs' },
    banner: { js: bundleUrl },
  });
  // Those of the process, and those that need the server's rooms.
  const workers = ['host/workers', 'workers'].map((d) => join(src, d)).filter((d) => existsSync(d));
  await build({
    ...common,
    entryPoints: workers.flatMap((d) =>
      readdirSync(d)
        .filter((f) => f.endsWith('.ts'))
        .map((f) => ({ in: join(d, f), out: f.replace(/\.ts$/, '') })),
    ),
    outdir: join(dist, 'workers'),
  });
  for (const old of readdirSync(dist)) if (/^(cli|member)-.*\.cache$/.test(old)) rmSync(join(dist, old), { force: true });
  const firstLines = { js: `'use strict';${bundleUrl}` };
  await bundle('cli', { ...commonJs, plugins: [apart], entryPoints: [join(src, 'commands/control.ts')], banner: firstLines });
  // As its lines stand, since a member's log names them.
  const lines = { minifyWhitespace: false, minifySyntax: false };
  await bundle('member', { ...commonJs, ...lines, plugins: [apart], entryPoints: [join(src, 'main.ts')], banner: firstLines });
  if (types) declarations();
  writeFileSync(stamp, '');
}

/** One CommonJS file, and the compiled code that its first uses leave. */
async function bundle(name, options) {
  const file = join(dist, `${name}.cjs`);
  const { outputFiles } = await build({ ...options, write: false, outfile: file });
  // Read as Latin-1, which is quicker. esbuild escapes what is beyond ASCII in texts, but neither in regular expressions nor in comments.
  const text = outputFiles[0].text.replace(/[^\0-\x7f]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
  // Its first line names its content: V8 itself would take code of another bundle of the same length.
  writeFileSync(`${file}.new`, `//${createHash('sha256').update(text).digest('hex').slice(0, 32)}\n${text}`);
  renameSync(`${file}.new`, file);
  execFileSync(process.execPath, [join(top, 'scripts/code-cache.cjs'), file], { stdio: ['ignore', 'ignore', 'inherit'] });
}

/** Declarations of the two package entries and of what they refer to, and of nothing else. */
function declarations() {
  const out = join(dist, 'types');
  rmSync(out, { recursive: true, force: true });
  execFileSync(process.execPath, [join(top, 'node_modules/typescript/bin/tsc'), '-p', join(top, 'tsconfig.build.json')], {
    stdio: 'inherit',
  });
  const reached = new Set();
  const visit = (file) => {
    if (reached.has(file)) return;
    reached.add(file);
    // The compiler leaves the sources' `.ts` in them, which a project without `allowImportingTsExtensions` need not take.
    const text = readFileSync(file, 'utf8').replace(/(\bfrom |\bimport\()(['"])(\.\.?\/[^'"]+)\.ts\2/g, (_all, before, quote, path) => {
      visit(join(dirname(file), `${path}.d.ts`));
      return `${before}${quote}${path}.js${quote}`;
    });
    writeFileSync(file, text);
  };
  for (const entry of ['client/index.d.ts', 'server/embed.d.ts']) visit(join(out, entry));
  for (const name of readdirSync(out, { recursive: true, encoding: 'utf8' }))
    if (name.endsWith('.d.ts') && !reached.has(join(out, name))) rmSync(join(out, name));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await buildAll({ types: process.argv.includes('--types') });

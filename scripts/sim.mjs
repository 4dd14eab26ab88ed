// `npm run sim -- --seeds N --from S`: bundles the simulator and runs it here, in one thread. See test/simulation/main.ts for its flags.
import { existsSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';

const top = join(dirname(fileURLToPath(import.meta.url)), '..');
const out = join(top, 'node_modules/.cache/tsetcd-sim');
if (!existsSync(out)) mkdirSync(out, { recursive: true });
const outfile = join(out, `main-${process.pid}.mjs`);
await build({
  entryPoints: [join(top, 'test/simulation/main.ts')],
  outfile,
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node20',
  packages: 'external',
  sourcemap: 'inline',
  logLevel: 'warning',
});
const { main } = await import(pathToFileURL(outfile).href);
const { rmSync } = await import('node:fs');
try {
  process.exitCode = await main(process.argv.slice(2));
} finally {
  rmSync(outfile, { force: true });
}

// Runs differential.ts on every Node we support.
import { build } from 'esbuild';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const dir = mkdtempSync(join(tmpdir(), 'tsetcd-differential-'));
process.on('exit', () => rmSync(dir, { recursive: true, force: true }));
await build({
  entryPoints: [join(import.meta.dirname, 'differential.ts')],
  bundle: true,
  platform: 'node',
  format: 'esm',
  outfile: join(dir, 'differential.mjs'),
  define: { 'import.meta.dirname': JSON.stringify(join(import.meta.dirname, '../support')) },
});
const { main } = await import(pathToFileURL(join(dir, 'differential.mjs')).href);
process.exit(await main(process.argv.slice(2)));

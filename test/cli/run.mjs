// Runs replay.ts on every Node we support: `node test/cli/run.mjs [--ctl CMD] [--utl CMD] [--server CMD] [--jobs N] [--only REGEX] [--slow]`.
import { build } from 'esbuild';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const dir = mkdtempSync(join(tmpdir(), 'tsetcd-replay-'));
process.on('exit', () => rmSync(dir, { recursive: true, force: true }));
await build({
  entryPoints: [join(import.meta.dirname, 'replay.ts')],
  bundle: true,
  platform: 'node',
  format: 'esm',
  outfile: join(dir, 'replay.mjs'),
  define: { 'import.meta.dirname': JSON.stringify(join(import.meta.dirname, '../support')) },
});
const { main } = await import(pathToFileURL(join(dir, 'replay.mjs')).href);
process.exit(await main(process.argv.slice(2)));

// Writes man/*.1 from the tree of commands, the one that the help is drawn from: `node scripts/man-pages.mjs [DIR]`.
import { build } from 'esbuild';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const top = join(dirname(fileURLToPath(import.meta.url)), '..');

/** Page name → text. */
export async function manPages() {
  const dir = mkdtempSync(join(tmpdir(), 'tsetcd-man-'));
  try {
    const outfile = join(dir, 'man.cjs');
    await build({
      entryPoints: [join(top, 'src/commands/man.ts')],
      bundle: true,
      platform: 'node',
      format: 'cjs',
      supported: { 'dynamic-import': false },
      outfile,
      logLevel: 'error',
      external: ['yaml', 'ora', 'cli-table3', 'fs-native-extensions'],
      plugins: [
        {
          // What runs is of no interest here.
          name: 'no-offline',
          setup: (b) => b.onResolve({ filter: /^\.\/(offline|certificates)\.ts$/ }, () => ({ path: 'no-offline', external: true })),
        },
      ],
    });
    const { pages } = createRequire(import.meta.url)(outfile);
    return pages();
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const out = process.argv[2] ?? join(top, 'man');
  mkdirSync(out, { recursive: true });
  for (const old of readdirSync(out)) if (old.endsWith('.1')) rmSync(join(out, old));
  for (const [name, text] of await manPages()) writeFileSync(join(out, name), text);
}

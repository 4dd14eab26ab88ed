// Assembles the WebAssembly text under src/ into modules that TypeScript imports: NAME.wat → NAME-wasm.ts beside it.
// `node scripts/generate-wasm.mjs --check` writes nothing and fails when the files on disk differ.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import prettier from 'prettier';
import wabtOf from 'wabt';

const top = join(fileURLToPath(import.meta.url), '../..');
const src = join(top, 'src');
const wabt = await wabtOf();

/** The TypeScript file of one text. */
async function moduleOf(file) {
  const text = wabt.parseWat(basename(file), readFileSync(file, 'utf8'));
  const { buffer } = text.toBinary({});
  text.destroy();
  const name = basename(file, '.wat').replace(/-(.)/g, (_, c) => c.toUpperCase());
  const code =
    `/** Made by scripts/generate-wasm.mjs from ${basename(file)}: do not edit. */\n` +
    `export const ${name}Wasm = '${Buffer.from(buffer).toString('base64')}';\n`;
  return prettier.format(code, { ...(await prettier.resolveConfig(file)), parser: 'typescript' });
}

let differs = false;
for (const path of readdirSync(src, { recursive: true }).sort()) {
  if (!path.endsWith('.wat')) continue;
  const target = join(src, path.replace(/\.wat$/, '-wasm.ts'));
  const made = await moduleOf(join(src, path));
  if (process.argv.includes('--check')) {
    let there = '';
    try {
      there = readFileSync(target, 'utf8');
    } catch {
      // It was never made.
    }
    if (there !== made) {
      differs = true;
      console.error(`${target} is not what ${path} gives: run npm run generate`);
    }
  } else writeFileSync(target, made);
}
process.exitCode = differs ? 1 : 0;

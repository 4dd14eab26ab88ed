/** Where the built code of a worker thread lies, whether this file runs from `src/` (tests) or from the bundle in `dist/`. */
import { existsSync } from 'node:fs';

export function workerUrl(name: string): URL {
  const candidates = import.meta.url.endsWith('.ts')
    ? [`../../dist/workers/${name}.js`]
    : [`./workers/${name}.js`, `../workers/${name}.js`];
  for (const c of candidates) {
    const url = new URL(c, import.meta.url);
    if (existsSync(url)) return url;
  }
  throw new Error(`worker ${name} is not built: run npm run build`);
}

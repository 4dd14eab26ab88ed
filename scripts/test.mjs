// Runs vitest and closes with one plain line that says how many tests passed and failed.
import { startVitest } from 'vitest/node';

export async function runTests(args) {
  const filters = args.filter((a) => !a.startsWith('-'));
  const files = await run(filters, {});
  // Many tests start processes of their own and hold them to real deadlines. Where the whole suite runs beside itself, what failed gets a machine
  // of its own, once; it counts as it ends there.
  const failed = [...files].filter(([, f]) => f.failed > 0).map(([path]) => path);
  if (process.env.CI === 'true' && failed.length > 0 && !failed.includes('') && failed.length <= 12) {
    console.log(`\nonce more, one after the other: ${failed.join(' ')}\n`);
    for (const [path, f] of await run(failed, { maxWorkers: 1, fileParallelism: false })) files.set(path, f);
  }
  const sum = (what) => [...files.values()].reduce((n, f) => n + f[what], 0);
  const skipped = sum('skipped');
  console.log(`${sum('passed')} passed, ${sum('failed')} failed${skipped ? `, ${skipped} skipped` : ''}`);
  process.exit(sum('failed') > 0 || sum('passed') === 0 ? 1 : 0);
}

/** Results by file; '' stands for errors that belong to none. */
async function run(filters, options) {
  const vitest = await startVitest('test', filters, { run: true, watch: false, passWithNoTests: false, ...options });
  const files = new Map();
  const of = (path) => {
    if (!files.has(path)) files.set(path, { passed: 0, failed: 0, skipped: 0 });
    return files.get(path);
  };
  for (const m of vitest?.state.getTestModules() ?? []) {
    const f = of(m.moduleId);
    for (const t of m.children.allTests()) f[t.result().state] = (f[t.result().state] ?? 0) + 1;
    // A file that could not be loaded has no tests of its own to fail.
    if (m.errors().length > 0) f.failed++;
  }
  for (const e of vitest?.state.getUnhandledErrors() ?? []) of(e.VITEST_TEST_PATH ?? '').failed++;
  await vitest?.close();
  return files;
}

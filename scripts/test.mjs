// Runs vitest and closes with one plain line that says how many tests passed and failed.
import { startVitest } from 'vitest/node';

export async function runTests(args) {
  const filters = args.filter((a) => !a.startsWith('-'));
  const vitest = await startVitest('test', filters, { run: true, watch: false, passWithNoTests: false });
  const modules = vitest?.state.getTestModules() ?? [];
  const count = { passed: 0, failed: 0, skipped: 0 };
  for (const m of modules) {
    for (const t of m.children.allTests()) count[t.result().state] = (count[t.result().state] ?? 0) + 1;
    // A file that could not be loaded has no tests of its own to fail.
    if (m.errors().length > 0) count.failed++;
  }
  count.failed += vitest?.state.getUnhandledErrors().length ?? 0;
  await vitest?.close();
  console.log(`${count.passed} passed, ${count.failed} failed${count.skipped ? `, ${count.skipped} skipped` : ''}`);
  process.exit(count.failed > 0 || count.passed === 0 ? 1 : 0);
}

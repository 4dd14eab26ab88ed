import { defineConfig } from 'vitest/config';

const source = (file: string): string => new URL(`./src/${file}`, import.meta.url).pathname;

export default defineConfig({
  // The examples import the package by its name.
  resolve: {
    alias: [
      { find: /^tsetcd$/, replacement: source('client/index.ts') },
      { find: /^tsetcd\/server$/, replacement: source('server/embed.ts') },
    ],
  },
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/data/**', 'test/reference/**', 'node_modules/**'],
    pool: 'forks',
    // Two cores are the smallest machine that is supported; many tests start processes of their own.
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    teardownTimeout: 10_000,
    maxConcurrency: 2,
    // Recorded scenarios carry real deadlines (five seconds of etcdctl, leases of two): on a machine that is busy otherwise one may be missed.
    retry: process.env['CI'] === 'true' ? 2 : 0,
    reporters: ['default'],
  },
});

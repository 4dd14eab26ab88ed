// Every row of etcd's metrics table: the same type, labels and buckets here, or a reason why not. And what etcd's dashboards and alerts select.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MetricsRegistry } from '../../../src/base/metrics.ts';
import { RealClock } from '../../../src/host/real-clock.ts';
import { ServerMetrics } from '../../../src/server/http/server-metrics.ts';
import { PeerMetrics } from '../../../src/server/peer/peer-metrics.ts';
import { ProcessCluster } from '../../support/cluster.ts';
import { httpGet, until } from '../../support/member.ts';
import { parseScrape, select, type Scrape, selectorsOf } from './scrape.ts';
import { surfaceTable } from './surface-table.ts';

const rows = surfaceTable('metrics');

/** Names that need not be shown, and why. */
const reasons: readonly (readonly [RegExp, string])[] = [
  [/^etcd_debugging_store_(reads|writes)/, 'of the v2 store, which is not there'],
  [/^etcd_server_learner_promote_failures$/, 'shown once a promotion failed'],
  [/^etcd_debugging_server_alarms$/, 'shown while there is an alarm'],
];
const reasonOf = (name: string): string | undefined => reasons.find(([pattern]) => pattern.test(name))?.[1];

describe('metrics', () => {
  let cluster: ProcessCluster;
  let scrapes: Scrape[] = [];
  const declared = new Map<string, { kind: string; labels: readonly string[]; bounds: readonly number[] | undefined }>();

  beforeAll(async () => {
    for (const d of [...new ServerMetrics('extensive', new RealClock()).registry.describe()]) declared.set(d.name, d);
    const registry = new MetricsRegistry();
    new PeerMetrics(registry);
    for (const d of registry.describe()) declared.set(d.name, d);
    cluster = await ProcessCluster.start({ kinds: ['tsetcd', 'tsetcd', 'tsetcd'], args: ['--metrics', 'extensive'] });
    for (const m of cluster.members) {
      const client = cluster.client(m);
      for (let i = 0; i < 5; i++) await client.put(`k${i}`, 'v');
      await client.get('k0');
      await httpGet(`${m.url}/readyz`, 10_000);
    }
    // Round trips are measured every few seconds.
    scrapes = await until('members to have measured each other', async () => {
      const texts = await Promise.all(cluster.members.map((m) => httpGet(`${m.url}/metrics`, 10_000)));
      const parsed = texts.map((t) => parseScrape(t.body));
      return parsed.every((s) => select(s, 'etcd_network_peer_round_trip_time_seconds_count{To=~".+"}').length > 0) ? parsed : undefined;
    });
  }, 90_000);
  afterAll(() => cluster?.remove());

  it.each(rows.map((r) => [r['name'] ?? '', r] as const))('%s', (name, row) => {
    const reason = reasonOf(name);
    const scrape = scrapes[0];
    const shown = scrape?.types.get(name);
    if (reason !== undefined && shown === undefined) return;
    const known = declared.get(name);
    expect(shown ?? known?.kind, 'neither shown nor declared').toBe(row['type']);
    const wanted = (row['labels'] ?? '').split(',').filter((l) => l !== '');
    const buckets = (row['buckets_or_quantiles'] ?? '').split(' ').filter((b) => b !== '' && b !== '+Inf');
    if (known !== undefined) {
      expect([...known.labels].sort()).toEqual([...wanted].sort());
      if (row['type'] === 'histogram') expect(known.bounds).toEqual(buckets.map(Number));
    }
    const samples = scrape?.samples.filter((s) => s.name === name || s.name.replace(/_(bucket|sum|count)$/, '') === name) ?? [];
    for (const s of samples)
      expect(
        Object.keys(s.labels)
          .filter((l) => l !== 'le' && l !== 'quantile')
          .sort(),
        name,
      ).toEqual([...wanted].sort());
    const bounds = new Set(samples.filter((s) => s.name === `${name}_bucket`).map((s) => s.labels['le'] ?? ''));
    if (bounds.size > 0) expect([...bounds].filter((b) => b !== '+Inf').map(Number)).toEqual(buckets.map(Number));
    if (row['presence'] === 'fresh') expect(shown, 'there from the start').toBeDefined();
  });

  it.each(
    readFileSync(join(import.meta.dirname, '../../data/surface/expressions.txt'), 'utf8')
      .split('\n')
      .filter((l) => l !== ''),
  )('selects something: %s', (expression) => {
    for (const selector of selectorsOf(expression)) {
      const found = scrapes.flatMap((s) => select(s, selector));
      expect(found.length, selector).toBeGreaterThan(0);
      for (const s of found) expect(Number.isNaN(s.value), selector).toBe(false);
    }
  });

  it('shows Node’s own figures', () => {
    for (const name of ['nodejs_eventloop_delay_seconds', 'nodejs_gc_duration_seconds', 'nodejs_heap_size_used_bytes'])
      expect(scrapes[0]?.types.has(name), name).toBe(true);
  });
});

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
import { evaluate, SeriesTable } from '../../support/promql.ts';
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

/** Of etcd's alert rules and dashboards; Grafana's variables filled in as it does. */
const expressions = readFileSync(join(import.meta.dirname, '../../data/surface/expressions.tsv'), 'utf8')
  .split('\n')
  .filter((l) => l !== '')
  .map((l) => {
    const [kind = '', name = '', text = ''] = l.split('\t');
    return { kind, name, text: text.replaceAll('$cluster', 'etcd').replaceAll('$__rate_interval', '5m') };
  });

/** Alerts about how long something takes: on a machine as slow as they say they are right. */
const timed = new Set(['etcdGRPCRequestsSlow', 'etcdMemberCommunicationSlow', 'etcdHighFsyncDurations', 'etcdHighCommitDurations']);

type Change = Parameters<SeriesTable['changed']>[0];
const set =
  (name: string, value: (before: number, at: number) => number): Change =>
  (labels, p) =>
    labels['__name__'] === name ? value(p.value, p.at) : p.value;
/** All that is measured falls into the last bucket. */
const slow =
  (name: string): Change =>
  (labels, p) =>
    labels['__name__'] === `${name}_bucket` && labels['le'] !== '+Inf' ? 0 : p.value;

/** What a scrape would show for each alert to be raised. */
const troubles: Readonly<Record<string, Change>> = {
  etcdMembersDown: set('up', () => 0),
  etcdInsufficientMembers: set('up', () => 0),
  etcdNoLeader: set('etcd_server_has_leader', () => 0),
  etcdHighNumberOfLeaderChanges: set('etcd_server_leader_changes_seen_total', (_, at) => at / 10),
  etcdHighNumberOfFailedGRPCRequests: (labels, p) =>
    labels['grpc_code'] === 'Unavailable' && labels['__name__'] === 'grpc_server_handled_total' ? p.value + p.at : p.value,
  etcdGRPCRequestsSlow: slow('grpc_server_handling_seconds'),
  etcdMemberCommunicationSlow: slow('etcd_network_peer_round_trip_time_seconds'),
  etcdHighNumberOfFailedProposals: set('etcd_server_proposals_failed_total', (_, at) => at * 1000),
  etcdHighFsyncDurations: slow('etcd_disk_wal_fsync_duration_seconds'),
  etcdHighCommitDurations: slow('etcd_disk_backend_commit_duration_seconds'),
  etcdDatabaseQuotaLowSpace: set('etcd_server_quota_backend_bytes', () => 1),
  etcdExcessiveDatabaseGrowth: set('etcd_mvcc_db_total_size_in_bytes', (before, at) => before + at * 1e6),
  etcdDatabaseHighFragmentationRatio: (labels, p) =>
    labels['__name__'] === 'etcd_mvcc_db_total_size_in_bytes'
      ? 1e9
      : labels['__name__'] === 'etcd_mvcc_db_total_size_in_use_in_bytes'
        ? 2e8
        : p.value,
};

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
    // Round trips are told twice a minute.
    scrapes = await until(
      'members to have measured each other',
      async () => {
        const texts = await Promise.all(cluster.members.map((m) => httpGet(`${m.url}/metrics`, 10_000)));
        const parsed = texts.map((t) => parseScrape(t.body));
        return parsed.every((s) => select(s, 'etcd_network_peer_round_trip_time_seconds_count{To=~".+"}').length > 1) ? parsed : undefined;
      },
      120_000,
    );
  }, 180_000);
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

  describe('alert rules and dashboards', () => {
    let table: SeriesTable;
    let now = 0;
    const quietAlerts = expressions.filter((e) => e.kind === 'alert' && !timed.has(e.name));

    beforeAll(async () => {
      table = new SeriesTable();
      // A minute apart for the rules, whatever time has passed here: what they look back on is longer than a test.
      const scrapeAll = async (): Promise<void> => {
        now += 60;
        for (const m of cluster.members) {
          const { samples } = parseScrape((await httpGet(`${m.url}/metrics`, 10_000)).body);
          table.scrape(now, { job: 'etcd', instance: m.endpoint }, samples);
        }
      };
      const load = async (): Promise<void> => {
        for (const m of cluster.members) {
          const client = cluster.client(m);
          for (let i = 0; i < 10; i++) await client.put('load', `${now}-${i}`);
          await client.get('load');
        }
      };
      const gather = async (): Promise<void> => {
        table = new SeriesTable();
        now = 0;
        await scrapeAll();
        await load();
        await scrapeAll();
        await load();
        await scrapeAll();
        // Round trips are told twice a minute: all that there are count as of after the first scrape.
        table = table.changed((labels, p) =>
          p.at === 60 && (labels['__name__'] ?? '').startsWith('etcd_network_peer_round_trip_time_seconds') ? 0 : p.value,
        );
      };
      // Elections and lost connections of a machine that is busy with other tests are behind us some time.
      await until(
        'alerts to be quiet',
        async () => {
          await gather();
          return quietAlerts.every((e) => evaluate(e.text, table, now).length === 0);
        },
        90_000,
      );
    }, 150_000);

    it.each(expressions)('$kind $name: each metric it names is there: $text', ({ text }) => {
      for (const selector of selectorsOf(text)) {
        // Shown once something could not be sent.
        if (selector.startsWith('etcd_network_peer_sent_failures_total')) continue;
        const found = scrapes.flatMap((s) => select(s, selector));
        expect(found.length, selector).toBeGreaterThan(0);
        for (const s of found) expect(Number.isNaN(s.value), selector).toBe(false);
      }
    });

    it.each(expressions.filter((e) => e.kind === 'panel'))('panel: $text', ({ text }) => {
      const found = evaluate(text, table, now);
      // One value, or one of each member, or of each pair of them.
      const each = /^(sum|histogram_quantile\(0\.99, sum)/.test(text) ? /by \(instance/.test(text) : true;
      expect(found.length).toBe(each ? 3 : 1);
      for (const { value } of found) expect(value).toBeGreaterThanOrEqual(0);
      const busy = /started_total\{.*unary|has_leader|_bytes|resident|_duration_|round_trip|committed|applied/.test(text);
      if (busy) for (const { value } of found) expect(value).toBeGreaterThan(0);
    });

    it.each(expressions.filter((e) => e.kind === 'alert'))('alert $name: $text', ({ name, text }) => {
      // What it compares has values; and the alert is quiet, if that does not hang on the machine's speed.
      const measured = evaluate(text.replace(/( < 0\.5 and .*| (>=|>|<|==) [^()<>]*)$/, ''), table, now);
      if (!/^sum\(up/.test(text)) expect(measured.length).toBeGreaterThan(name === 'etcdHighNumberOfFailedGRPCRequests' ? -1 : 0);
      // NaN: of what nobody asked for in that time.
      for (const { value } of measured) expect(value < 0).toBe(false);
      if (!timed.has(name)) expect(evaluate(text, table, now)).toEqual([]);
    });

    it.each(Object.entries(troubles))('alert %s sees trouble', (name, change) => {
      const trouble = table.changed(change);
      const fires = expressions.filter((e) => e.name === name).map((e) => evaluate(e.text, trouble, now).length > 0);
      expect(fires.length).toBeGreaterThan(0);
      expect(fires).not.toContain(false);
    });

    it('every alert has its trouble', () => {
      const names = expressions.filter((e) => e.kind === 'alert').map((e) => e.name);
      expect(Object.keys(troubles).sort()).toEqual([...new Set(names)].sort());
    });
  });

  it('shows Node’s own figures', () => {
    for (const name of ['nodejs_eventloop_delay_seconds', 'nodejs_gc_duration_seconds', 'nodejs_heap_size_used_bytes'])
      expect(scrapes[0]?.types.has(name), name).toBe(true);
  });
});

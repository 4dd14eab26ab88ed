import { expect, it } from 'vitest';
import { exponentialBuckets, MetricsRegistry } from '../../../src/base/metrics.ts';

it('prints counters, gauges, families and histograms as Prometheus reads them', () => {
  const r = new MetricsRegistry();
  r.counter('b_total', 'Bs.').inc(3);
  r.gauge('a', 'An a.').set(2147483648);
  const f = r.counters('c_total', 'Cs.', ['x', 'y']);
  f.with('2', 'q"\\').inc();
  f.with('1', 'z').inc(2);
  r.counters('never', 'No samples.', ['x']);
  const h = r.histogram('d_seconds', 'Ds.', [0.001, 1]);
  for (const v of [0.0009765625, 0.5, 2]) h.observe(v);
  expect(r.text()).toBe(
    [
      '# HELP a An a.',
      '# TYPE a gauge',
      'a 2.147483648e+09',
      '# HELP b_total Bs.',
      '# TYPE b_total counter',
      'b_total 3',
      '# HELP c_total Cs.',
      '# TYPE c_total counter',
      'c_total{x="1",y="z"} 2',
      'c_total{x="2",y="q\\"\\\\"} 1',
      '# HELP d_seconds Ds.',
      '# TYPE d_seconds histogram',
      'd_seconds_bucket{le="0.001"} 1',
      'd_seconds_bucket{le="1"} 2',
      'd_seconds_bucket{le="+Inf"} 3',
      'd_seconds_sum 2.5009765625',
      'd_seconds_count 3',
      '',
    ].join('\n'),
  );
});

it('makes the buckets that etcd declares', () => {
  expect(exponentialBuckets(0.0001, 2, 20).at(-1)).toBe(52.4288);
  expect(exponentialBuckets(0.001, 2, 14)).toEqual([
    0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024, 2.048, 4.096, 8.192,
  ]);
});

it('refuses to declare a name twice', () => {
  const r = new MetricsRegistry();
  r.gauge('a', '');
  expect(() => r.counter('a', '')).toThrow(/twice/);
});

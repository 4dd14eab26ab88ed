// The little PromQL that reads alert rules and dashboards here, against results worked out by hand from Prometheus' documentation.
import { describe, expect, it } from 'vitest';
import { evaluate, SeriesTable } from '../../support/promql.ts';

/** Each text: `name{label="x"} value@time value@time …`. */
function table(...texts: readonly string[]): SeriesTable {
  const t = new SeriesTable();
  for (const text of texts) {
    const m = /^(\w+)(?:\{(.*?)\})? (.*)$/.exec(text);
    const labels = Object.fromEntries([...(m?.[2] ?? '').matchAll(/(\w+)="([^"]*)"/g)].map((l) => [l[1] ?? '', l[2] ?? '']));
    for (const point of (m?.[3] ?? '').split(' ')) {
      const [value, at] = point.split('@').map(Number);
      t.add({ ...labels, __name__: m?.[1] ?? '' }, at ?? 0, value ?? 0);
    }
  }
  return t;
}

const values = (expression: string, t: SeriesTable, at: number): number[] => evaluate(expression, t, at).map((e) => e.value);

describe('selectors', () => {
  const t = table('a{x="1",y="p"} 1@0 2@60', 'a{x="2",y="q"} 10@0 20@60', 'b{x="1",y="p"} 5@60');
  it.each([
    ['a', [2, 20]],
    ['a{x="1"}', [2]],
    ['a{x!="1"}', [20]],
    ['a{x=~"1|3"}', [2]],
    ['a{y!~"p.*"}', [20]],
    ['c', []],
    ['sum(a)', [22]],
    ['sum(a) by (x)', [2, 20]],
    ['sum by (x) (a)', [2, 20]],
    ['sum without (x, y) (a)', [22]],
    ['count(a)', [2]],
    ['max(a) - min(a)', [18]],
    ['avg(a)', [11]],
    ['a + b', [7]],
    ['a > 3', [20]],
    ['a > bool 3', [0, 1]],
    ['3 < a', [20]],
    ['2 + 3 * 4', [14]],
    ['100 * a / a', [100, 100]],
    ['a and b', [2]],
    ['a unless b', [20]],
    ['b or a', [5, 20]],
    ['absent(a)', []],
    ['absent(c{x="1"})', [1]],
  ] as [string, number[]][])('%s', (expression, expected) => {
    expect(values(expression, t, 60)).toEqual(expected);
  });

  it('old samples are not seen', () => {
    expect(values('a', t, 60 + 299)).toEqual([2, 20]);
    expect(values('a', t, 60 + 301)).toEqual([]);
  });
});

describe('ranges', () => {
  // Ten a minute, with a reset in the middle.
  const t = table('c{i="1"} 100@0 110@60 120@120 5@180 15@240');
  it('rate and increase reach to the ends of the range, and see resets', () => {
    // 20 + 5 + 10 in 240 s; half a minute more at either end of the range would be stretched in: the range ends with the last sample.
    expect(values('increase(c[4m])', t, 240)[0]).toBeCloseTo((25 * 240) / 180, 9);
    expect(values('rate(c[4m])', t, 240)[0]).toBeCloseTo(25 / 180, 9);
    expect(values('rate(c[30s])', t, 240)).toEqual([]);
  });

  it('an increase is not stretched below zero', () => {
    expect(values('increase(z[10m])', table('z 0@0 6@60'), 60)).toEqual([6]);
  });

  it('changes, last_over_time, predict_linear', () => {
    expect(values('changes(c[1h])', t, 240)).toEqual([4]);
    expect(values('last_over_time(c[5m])', t, 300)).toEqual([15]);
    expect(values('predict_linear(g[1h], 60)', table('g 0@0 10@60 20@120'), 120)[0]).toBeCloseTo(30, 9);
  });

  it('a subquery', () => {
    expect(values('increase((max(g) or 0*absent(g))[10m:1m])', table('g 4@0 4@60 6@120'), 120)[0]).toBeGreaterThan(1.9);
    expect(values('increase((max(h) or 0*absent(h))[10m:1m])', table('g 4@0'), 120)).toEqual([0]);
  });

  it('histogram_quantile', () => {
    const h = table('h{le="1"} 10@0', 'h{le="2"} 20@0', 'h{le="4"} 20@0', 'h{le="+Inf"} 20@0');
    expect(values('histogram_quantile(0.75, h)', h, 0)).toEqual([1.5]);
    expect(values('histogram_quantile(0.99, sum(h) by (le)) > 1.9', h, 0)[0]).toBeCloseTo(1.98, 9);
    expect(values('histogram_quantile(0.99, h)', table('h{le="1"} 0@0', 'h{le="+Inf"} 5@0'), 0)).toEqual([1]);
    expect(values('histogram_quantile(0.5, h)', table('h{le="1"} 0@0', 'h{le="+Inf"} 0@0'), 0)).toEqual([NaN]);
  });
});

it.each(['a +', 'a{x="1"', 'rate(a)', 'nothing_known(a)', 'a[5m]', 'sum(a) by', '1 > 2', 'a $ b'])('refuses %s', (expression) => {
  expect(() => evaluate(expression, table('a 1@0', 'b 1@0'), 0)).toThrow();
});

/**
 * Counters, gauges and histograms that cost a few nanoseconds to feed, and the Prometheus text they are read as. Rooms hold the instruments;
 * names, labels and buckets are declared where the instrument is made. One registry belongs to one member.
 */

type Labels = Readonly<Record<string, string>>;

export class Counter {
  value = 0;

  inc(by = 1): void {
    this.value += by;
  }
}

export class Gauge {
  value = 0;

  set(value: number): void {
    this.value = value;
  }
  add(by: number): void {
    this.value += by;
  }
}

export class Histogram {
  /** Upper bounds, ascending, without +Inf. */
  readonly bounds: readonly number[];
  /** Not cumulative; the last one counts what is above every bound. */
  readonly counts: Float64Array;
  sum = 0;

  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.counts = new Float64Array(bounds.length + 1);
  }

  observe(value: number): void {
    const { bounds } = this;
    let i = 0;
    while (i < bounds.length && value > (bounds[i] as number)) i++;
    this.counts[i] = (this.counts[i] as number) + 1;
    this.sum += value;
  }
}

/** `count` bounds from `first`, each `factor` times the one before. */
export function exponentialBuckets(first: number, factor: number, count: number): number[] {
  const out: number[] = [];
  let v = first;
  for (let i = 0; i < count; i++) {
    // Printed as the decimal it stands for, not with the error of repeated multiplication.
    out.push(Number(v.toPrecision(12)));
    v *= factor;
  }
  return out;
}

/** Instruments of one name that differ in label values, made when first asked for. */
export class Family<T> {
  readonly labelNames: readonly string[];
  readonly #make: () => T;
  readonly #byKey = new Map<string, { readonly labels: readonly string[]; readonly instrument: T }>();

  constructor(labelNames: readonly string[], make: () => T) {
    this.labelNames = labelNames;
    this.#make = make;
  }

  /** Keep the result at hand on hot paths. */
  with(...labels: string[]): T {
    const key = labels.length === 1 ? (labels[0] as string) : labels.join('\u0000');
    let entry = this.#byKey.get(key);
    if (entry === undefined) {
      entry = { labels, instrument: this.#make() };
      this.#byKey.set(key, entry);
    }
    return entry.instrument;
  }

  /** Drops every label set; the next `with` starts anew. */
  clear(): void {
    this.#byKey.clear();
  }

  *entries(): Iterable<readonly [readonly string[], T]> {
    for (const e of this.#byKey.values()) yield [e.labels, e.instrument];
  }
}

type Kind = 'counter' | 'gauge' | 'histogram' | 'summary';

interface Metric extends MetricShape {
  readonly help: string;
  readonly write: (out: string[]) => void;
}

/** What is declared of a metric, whether it has a sample or not. */
export interface MetricShape {
  readonly name: string;
  readonly kind: Kind;
  readonly labels: readonly string[];
  /** Of a histogram, without +Inf. */
  readonly bounds: readonly number[] | undefined;
}

export class MetricsRegistry {
  readonly #metrics = new Map<string, Metric>();
  readonly #collectors: (() => void)[] = [];

  /** Runs before each reading, to bring gauges up to date. */
  onCollect(fn: () => void): void {
    this.#collectors.push(fn);
  }

  counter(name: string, help: string): Counter {
    const c = new Counter();
    this.#add(name, 'counter', help, (out) => out.push(sample(name, '', c.value)));
    return c;
  }

  gauge(name: string, help: string): Gauge {
    const g = new Gauge();
    this.#add(name, 'gauge', help, (out) => out.push(sample(name, '', g.value)));
    return g;
  }

  /** A value that is asked for when read. `kind` as other programs expect it: some of etcd's totals are gauges. */
  read(name: string, kind: 'counter' | 'gauge', help: string, value: () => number): void {
    this.#add(name, kind, help, (out) => out.push(sample(name, '', value())));
  }

  histogram(name: string, help: string, bounds: readonly number[]): Histogram {
    const h = new Histogram(bounds);
    this.show(name, help, h);
    return h;
  }

  /** A histogram that a room made for itself. */
  show(name: string, help: string, h: Histogram): void {
    this.#add(name, 'histogram', help, (out) => writeHistogram(out, name, {}, h), [], h.bounds);
  }

  /** Histograms that differ in one label, made elsewhere. */
  familyOf(name: string, help: string, label: string, all: Readonly<Record<string, Histogram>>): void {
    this.#add(
      name,
      'histogram',
      help,
      (out) => {
        for (const [value, h] of Object.entries(all)) writeHistogram(out, name, { [label]: value }, h);
      },
      [label],
    );
  }

  counters(name: string, help: string, labelNames: readonly string[]): Family<Counter> {
    const f = new Family(labelNames, () => new Counter());
    this.#addFamily(name, 'counter', help, f, (out, labels, c) => out.push(sample(name, labelText(labels), c.value)));
    return f;
  }

  gauges(name: string, help: string, labelNames: readonly string[]): Family<Gauge> {
    const f = new Family(labelNames, () => new Gauge());
    this.#addFamily(name, 'gauge', help, f, (out, labels, g) => out.push(sample(name, labelText(labels), g.value)));
    return f;
  }

  histograms(name: string, help: string, labelNames: readonly string[], bounds: readonly number[]): Family<Histogram> {
    const f = new Family(labelNames, () => new Histogram(bounds));
    this.#addFamily(name, 'histogram', help, f, (out, labels, h) => writeHistogram(out, name, labels, h), bounds);
    return f;
  }

  /** A summary given as a whole when read: quantile → value. */
  summary(
    name: string,
    help: string,
    value: () => { readonly quantiles: readonly (readonly [number, number])[]; readonly sum: number; readonly count: number },
  ): void {
    this.#add(name, 'summary', help, (out) => {
      const v = value();
      for (const [q, x] of v.quantiles) out.push(sample(name, `{quantile="${q}"}`, x));
      out.push(sample(`${name}_sum`, '', v.sum), sample(`${name}_count`, '', v.count));
    });
  }

  #addFamily<T>(
    name: string,
    kind: Kind,
    help: string,
    family: Family<T>,
    write: (out: string[], labels: Labels, instrument: T) => void,
    bounds?: readonly number[],
  ): void {
    const writeAll = (out: string[]): void => {
      const all = [...family.entries()].sort((a, b) => (a[0].join('\u0000') < b[0].join('\u0000') ? -1 : 1));
      for (const [values, instrument] of all) {
        write(out, Object.fromEntries(family.labelNames.map((n, i) => [n, values[i] ?? ''])), instrument);
      }
    };
    this.#add(name, kind, help, writeAll, family.labelNames, bounds);
  }

  #add(
    name: string,
    kind: Kind,
    help: string,
    write: (out: string[]) => void,
    labels: readonly string[] = [],
    bounds?: readonly number[],
  ): void {
    if (this.#metrics.has(name)) throw new Error(`metric ${name} is declared twice`);
    this.#metrics.set(name, { name, kind, help, write, labels, bounds });
  }

  /** All that is declared. */
  describe(): readonly MetricShape[] {
    return [...this.#metrics.values()];
  }

  /** Prometheus text, format 0.0.4, sorted by name; families without a sample are left out. */
  text(): string {
    for (const fn of this.#collectors) fn();
    const out: string[] = [];
    const sorted = [...this.#metrics.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
    for (const m of sorted) {
      const at = out.length;
      out.push(`# HELP ${m.name} ${m.help}\n# TYPE ${m.name} ${m.kind}\n`);
      m.write(out);
      if (out.length === at + 1) out.length = at;
    }
    return out.join('');
  }
}

function writeHistogram(out: string[], name: string, labels: Labels, h: Histogram): void {
  let total = 0;
  for (let i = 0; i < h.counts.length; i++) {
    total += h.counts[i] as number;
    const bound = h.bounds[i];
    out.push(sample(`${name}_bucket`, labelText({ ...labels, le: bound === undefined ? '+Inf' : number(bound) }), total));
  }
  out.push(sample(`${name}_sum`, labelText(labels), h.sum), sample(`${name}_count`, labelText(labels), total));
}

function sample(name: string, labels: string, value: number): string {
  return `${name}${labels} ${number(value)}\n`;
}

/** Labels sorted by name, as Go's client prints them. */
function labelText(labels: Labels): string {
  const names = Object.keys(labels).sort();
  if (names.length === 0) return '';
  // Within a histogram `le` stands last.
  const ordered = [...names.filter((n) => n !== 'le'), ...names.filter((n) => n === 'le')];
  return `{${ordered.map((n) => `${n}="${(labels[n] ?? '').replace(/\\/g, '\\\\').replace(/\n/g, '\\n').replace(/"/g, '\\"')}"`).join(',')}}`;
}

/** As Go's `%g`: exponents of two digits from 1e21 on and, for others, at 21 digits; below 1e-4 as well. */
function number(value: number): string {
  if (value === Infinity) return '+Inf';
  if (value === -Infinity) return '-Inf';
  if (Number.isNaN(value)) return 'NaN';
  const abs = Math.abs(value);
  if (abs !== 0 && (abs >= 1e6 || abs < 1e-4)) {
    const m = /^(-?\d)(\.\d+)?e([+-])(\d+)$/.exec(value.toExponential());
    if (m !== null) return `${m[1]}${m[2] ?? ''}e${m[3]}${(m[4] ?? '').padStart(2, '0')}`;
  }
  return String(value);
}

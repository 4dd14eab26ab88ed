/**
 * A small PromQL: what the expressions of etcd's alert rules and dashboards use, evaluated over the scrapes of a test as Prometheus evaluates it:
 * instant and range selectors, subqueries, `rate`, `increase`, `changes`, `last_over_time`, `predict_linear`, `histogram_quantile`, `absent`,
 * aggregations with `by` and `without`, arithmetic, comparisons with and without `bool`, `and`, `or`, `unless`. Vectors are matched on all labels.
 * What it does not know throws, so that an expression is never half understood.
 */

export interface Point {
  /** Seconds. */
  readonly at: number;
  readonly value: number;
}

export interface Series {
  /** With `__name__`. */
  readonly labels: Readonly<Record<string, string>>;
  readonly points: Point[];
}

export interface Element {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

type Vector = readonly Element[];
type Matrix = readonly Series[];

/** Samples older than this are not seen by an instant selector, s. */
const lookback = 300;
/** Step of a subquery that names none, s. */
const subqueryStep = 60;

/** Series by their labels, as a scraper gathers them. */
export class SeriesTable {
  readonly #series = new Map<string, Series>();
  readonly #byName = new Map<string, Series[]>();

  /** Adds one scrape: its samples with the scraper's labels, and `up`. */
  scrape(
    at: number,
    own: Readonly<Record<string, string>>,
    samples: readonly { readonly name: string; readonly labels: Readonly<Record<string, string>>; readonly value: number }[],
  ): void {
    for (const s of samples) this.add({ ...s.labels, ...own, __name__: s.name }, at, s.value);
    this.add({ ...own, __name__: 'up' }, at, 1);
  }

  add(labels: Readonly<Record<string, string>>, at: number, value: number): void {
    const key = keyOf(labels);
    let series = this.#series.get(key);
    if (series === undefined) {
      this.#series.set(key, (series = { labels, points: [] }));
      const name = labels['__name__'] ?? '';
      const others = this.#byName.get(name);
      if (others === undefined) this.#byName.set(name, [series]);
      else others.push(series);
    }
    series.points.push({ at, value });
  }

  /** A copy with other values: what a member in trouble would show. */
  changed(change: (labels: Readonly<Record<string, string>>, point: Point) => number): SeriesTable {
    const other = new SeriesTable();
    for (const { labels, points } of this.#series.values()) for (const p of points) other.add(labels, p.at, change(labels, p));
    return other;
  }

  named(name: string): readonly Series[] {
    return this.#byName.get(name) ?? [];
  }

  all(): Iterable<Series> {
    return this.#series.values();
  }
}

/** The value of an expression at a moment (s): a vector, or a number as a vector of one element without labels. */
export function evaluate(expression: string, table: SeriesTable, at: number): Vector {
  const value = run(parse(expression), table, at);
  if (typeof value === 'number') return [{ labels: {}, value }];
  if (isMatrix(value)) throw new Error(`a range vector is no result: ${expression}`);
  return value;
}

// ---- syntax

interface Matcher {
  readonly label: string;
  readonly op: string;
  readonly value: string;
}

interface Grouping {
  readonly without: boolean;
  readonly labels: readonly string[];
}

type Node =
  | { readonly kind: 'number'; readonly value: number }
  | { readonly kind: 'selector'; readonly name: string; readonly matchers: readonly Matcher[]; readonly range: number | undefined }
  | { readonly kind: 'subquery'; readonly of: Node; readonly range: number; readonly step: number }
  | { readonly kind: 'call'; readonly name: string; readonly args: readonly Node[] }
  | { readonly kind: 'aggregate'; readonly name: string; readonly of: Node; readonly grouping: Grouping | undefined }
  | { readonly kind: 'binary'; readonly op: string; readonly bool: boolean; readonly left: Node; readonly right: Node };

const aggregations = new Set(['sum', 'max', 'min', 'count', 'avg']);
const levels: readonly (readonly string[])[] = [['or'], ['and', 'unless'], ['==', '!=', '<=', '>=', '<', '>'], ['+', '-'], ['*', '/', '%']];

function parse(text: string): Node {
  const tokens = text.match(
    /"(?:[^"\\]|\\.)*"|[a-zA-Z_]\w*|\d+(?:\.\d+)?(?:ms|[smhdwy])|\d+(?:\.\d+)?|=~|!~|==|!=|<=|>=|[-+*/%<>=(){}[\],:]/g,
  );
  if (tokens === null || tokens.join('') !== text.replace(/\s+/g, '')) throw new Error(`cannot be read: ${text}`);
  const parser = new Parser(tokens, text);
  const node = parser.binary(0);
  parser.end();
  return node;
}

class Parser {
  readonly #tokens: readonly string[];
  readonly #text: string;
  #at = 0;

  constructor(tokens: readonly string[], text: string) {
    this.#tokens = tokens;
    this.#text = text;
  }

  #peek(): string {
    return this.#tokens[this.#at] ?? '';
  }

  #take(wanted?: string): string {
    const token = this.#peek();
    if (token === '' || (wanted !== undefined && token !== wanted))
      throw new Error(`${wanted ?? 'more'} expected at ${token}: ${this.#text}`);
    this.#at++;
    return token;
  }

  end(): void {
    if (this.#peek() !== '') throw new Error(`${this.#peek()} is too much: ${this.#text}`);
  }

  binary(level: number): Node {
    const ops = levels[level];
    if (ops === undefined) return this.#postfix();
    let left = this.binary(level + 1);
    while (ops.includes(this.#peek())) {
      const op = this.#take();
      const bool = this.#peek() === 'bool';
      if (bool) this.#take();
      left = { kind: 'binary', op, bool, left, right: this.binary(level + 1) };
    }
    return left;
  }

  #postfix(): Node {
    let node = this.#primary();
    while (this.#peek() === '[') {
      this.#take('[');
      const range = seconds(this.#take());
      if (this.#peek() === ':') {
        this.#take();
        node = { kind: 'subquery', of: node, range, step: this.#peek() === ']' ? subqueryStep : seconds(this.#take()) };
      } else if (node.kind === 'selector' && node.range === undefined) node = { ...node, range };
      else throw new Error(`a range of what is no selector: ${this.#text}`);
      this.#take(']');
    }
    return node;
  }

  #primary(): Node {
    const token = this.#take();
    if (/^\d/.test(token)) return { kind: 'number', value: Number(token) };
    if (token === '(') {
      const node = this.binary(0);
      this.#take(')');
      return node;
    }
    if (!/^[a-zA-Z_:]/.test(token)) throw new Error(`${token} begins nothing: ${this.#text}`);
    if (aggregations.has(token)) {
      let grouping = this.#grouping();
      this.#take('(');
      const of = this.binary(0);
      this.#take(')');
      grouping ??= this.#grouping();
      return { kind: 'aggregate', name: token, of, grouping };
    }
    if (this.#peek() === '(') return { kind: 'call', name: token, args: this.#list('(', ')', () => this.binary(0)) };
    const matchers =
      this.#peek() === '{'
        ? this.#list('{', '}', () => ({ label: this.#take(), op: this.#take(), value: JSON.parse(this.#take()) as string }))
        : [];
    return { kind: 'selector', name: token, matchers, range: undefined };
  }

  #grouping(): Grouping | undefined {
    if (this.#peek() !== 'by' && this.#peek() !== 'without') return undefined;
    const without = this.#take() === 'without';
    return { without, labels: this.#list('(', ')', () => this.#take()) };
  }

  #list<T>(open: string, close: string, item: () => T): T[] {
    const items: T[] = [];
    this.#take(open);
    while (this.#peek() !== close) {
      items.push(item());
      if (this.#peek() !== close) this.#take(',');
    }
    this.#take(close);
    return items;
  }
}

const unitSeconds: Readonly<Record<string, number>> = { ms: 0.001, s: 1, m: 60, h: 3600, d: 86_400, w: 604_800, y: 31_536_000 };

function seconds(text: string): number {
  const m = /^(\d+(?:\.\d+)?)(ms|[smhdwy])$/.exec(text);
  if (m === null) throw new Error(`not a duration: ${text}`);
  return Number(m[1]) * (unitSeconds[m[2] ?? ''] ?? NaN);
}

// ---- meaning

type Value = number | Vector | Matrix;

function isMatrix(value: Vector | Matrix): value is Matrix {
  const first = value[0];
  return first !== undefined && 'points' in first;
}

function run(node: Node, table: SeriesTable, at: number): Value {
  switch (node.kind) {
    case 'number':
      return node.value;
    case 'selector':
      return select(node.name, node.matchers, node.range, table, at);
    case 'subquery':
      return subquery(node.of, node.range, node.step, table, at);
    case 'aggregate':
      return aggregate(node.name, vector(run(node.of, table, at)), node.grouping);
    case 'call':
      return call(node.name, node.args, table, at);
    case 'binary':
      return binary(node.op, node.bool, run(node.left, table, at), run(node.right, table, at));
  }
}

function vector(value: Value): Vector {
  if (typeof value === 'number' || isMatrix(value)) throw new Error('an instant vector was expected');
  return value;
}

function matrix(value: Value): Matrix {
  if (typeof value === 'number' || (value.length > 0 && !isMatrix(value))) throw new Error('a range vector was expected');
  return value as Matrix;
}

function select(name: string, matchers: readonly Matcher[], range: number | undefined, table: SeriesTable, at: number): Vector | Matrix {
  const found = table.named(name).filter((s) => matchers.every((m) => matches(m, s.labels[m.label] ?? '')));
  if (range !== undefined)
    return found
      .map(({ labels, points }) => ({ labels, points: points.filter((p) => p.at > at - range && p.at <= at) }))
      .filter((s) => s.points.length > 0);
  return found.flatMap(({ labels, points }) => {
    const last = points.filter((p) => p.at > at - lookback && p.at <= at).at(-1);
    return last === undefined ? [] : [{ labels, value: last.value }];
  });
}

function matches({ op, value: wanted }: Matcher, value: string): boolean {
  switch (op) {
    case '=':
      return value === wanted;
    case '!=':
      return value !== wanted;
    case '=~':
      return new RegExp(`^(?:${wanted})$`).test(value);
    case '!~':
      return !new RegExp(`^(?:${wanted})$`).test(value);
    default:
      throw new Error(`not a matcher: ${op}`);
  }
}

/** At multiples of the step, counted from 0. */
function subquery(of: Node, range: number, step: number, table: SeriesTable, at: number): Matrix {
  const gathered = new SeriesTable();
  for (let t = (Math.floor((at - range) / step) + 1) * step; t <= at; t += step)
    for (const e of vector(run(of, table, t))) gathered.add(e.labels, t, e.value);
  return [...gathered.all()];
}

function call(name: string, args: readonly Node[], table: SeriesTable, at: number): Vector {
  const argument = (i: number): Value => {
    const node = args[i];
    if (node === undefined) throw new Error(`${name} wants more arguments`);
    return run(node, table, at);
  };
  const number = (i: number): number => {
    const value = argument(i);
    if (typeof value !== 'number') throw new Error(`${name} wants a number`);
    return value;
  };
  /** Each series' own value; none for those that have none. */
  const each = (i: number, value: (points: readonly Point[], range: number) => number | undefined): Vector => {
    const node = args[i];
    const range = node?.kind === 'selector' || node?.kind === 'subquery' ? (node.range ?? 0) : 0;
    return matrix(argument(i)).flatMap(({ labels, points }) => {
      const v = value(points, range);
      return v === undefined ? [] : [{ labels: nameless(labels), value: v }];
    });
  };
  switch (name) {
    case 'rate':
      return each(0, (points, range) => growth(points, range, at, true));
    case 'increase':
      return each(0, (points, range) => growth(points, range, at, false));
    case 'changes':
      return each(0, (points) => points.filter((p, i) => i > 0 && p.value !== points[i - 1]?.value).length);
    case 'last_over_time':
      return matrix(argument(0)).map(({ labels, points }) => ({ labels, value: points.at(-1)?.value ?? NaN }));
    case 'predict_linear': {
      const ahead = number(1);
      return each(0, (points) => predicted(points, at, ahead));
    }
    case 'histogram_quantile':
      return quantiles(number(0), vector(argument(1)));
    case 'absent': {
      const node = args[0];
      if (vector(argument(0)).length > 0) return [];
      const equal = node?.kind === 'selector' ? node.matchers.filter((m) => m.op === '=').map((m) => [m.label, m.value] as const) : [];
      return [{ labels: Object.fromEntries(equal), value: 1 }];
    }
    default:
      throw new Error(`not a function that is known here: ${name}`);
  }
}

/** A counter's growth, resets counted in, stretched to the range's ends as Prometheus does it. */
function growth(points: readonly Point[], range: number, at: number, perSecond: boolean): number | undefined {
  const first = points[0];
  const last = points.at(-1);
  if (first === undefined || last === undefined || points.length < 2) return undefined;
  let result = last.value - first.value;
  points.forEach((p, i) => {
    const before = points[i - 1];
    if (before !== undefined && p.value < before.value) result += before.value;
  });
  const sampled = last.at - first.at;
  const apart = sampled / (points.length - 1);
  let toStart = first.at - (at - range);
  let toEnd = at - last.at;
  if (toStart >= apart * 1.1) toStart = apart / 2;
  // A counter does not begin below zero.
  if (result > 0 && first.value >= 0) toStart = Math.min(toStart, sampled * (first.value / result));
  if (toEnd >= apart * 1.1) toEnd = apart / 2;
  const stretched = (result * (sampled + toStart + toEnd)) / sampled;
  return perSecond ? stretched / range : stretched;
}

function predicted(points: readonly Point[], at: number, ahead: number): number | undefined {
  if (points.length < 2) return undefined;
  const n = points.length;
  const x = points.map((p) => p.at - at);
  const sumX = x.reduce((a, b) => a + b, 0);
  const sumY = points.reduce((a, p) => a + p.value, 0);
  const sumXY = points.reduce((a, p, i) => a + (x[i] ?? 0) * p.value, 0);
  const sumXX = x.reduce((a, b) => a + b * b, 0);
  const slope = (sumXY - (sumX * sumY) / n) / (sumXX - (sumX * sumX) / n);
  return sumY / n - (slope * sumX) / n + slope * ahead;
}

function quantiles(q: number, buckets: Vector): Vector {
  const groups = new Map<string, { labels: Readonly<Record<string, string>>; bounds: { le: number; count: number }[] }>();
  for (const { labels, value } of buckets) {
    const le = labels['le'];
    if (le === undefined) continue;
    const own = without(nameless(labels), ['le']);
    const key = keyOf(own);
    let group = groups.get(key);
    if (group === undefined) groups.set(key, (group = { labels: own, bounds: [] }));
    group.bounds.push({ le: le === '+Inf' ? Infinity : Number(le), count: value });
  }
  return [...groups.values()].map(({ labels, bounds }) => ({
    labels,
    value: quantile(
      q,
      bounds.sort((a, b) => a.le - b.le),
    ),
  }));
}

function quantile(q: number, bounds: readonly { readonly le: number; readonly count: number }[]): number {
  const last = bounds.at(-1);
  if (last === undefined || last.le !== Infinity || bounds.length < 2 || last.count === 0) return NaN;
  const rank = q * last.count;
  const i = bounds.findIndex((b) => b.count >= rank);
  const bound = bounds[i];
  if (bound === undefined || i === bounds.length - 1) return bounds[bounds.length - 2]?.le ?? NaN;
  const before = bounds[i - 1];
  const from = before?.le ?? 0;
  const below = before?.count ?? 0;
  return from + ((bound.le - from) * (rank - below)) / (bound.count - below);
}

function aggregate(name: string, elements: Vector, grouping: Grouping | undefined): Vector {
  const groups = new Map<string, { labels: Readonly<Record<string, string>>; values: number[] }>();
  for (const { labels, value } of elements) {
    const own =
      grouping === undefined
        ? {}
        : grouping.without
          ? without(nameless(labels), grouping.labels)
          : Object.fromEntries(grouping.labels.flatMap((l) => (labels[l] === undefined ? [] : [[l, labels[l]]])));
    const key = keyOf(own);
    let group = groups.get(key);
    if (group === undefined) groups.set(key, (group = { labels: own, values: [] }));
    group.values.push(value);
  }
  return [...groups.values()].map(({ labels, values }) => ({ labels, value: gathered(name, values) }));
}

function gathered(name: string, values: readonly number[]): number {
  const sum = values.reduce((a, b) => a + b, 0);
  switch (name) {
    case 'sum':
      return sum;
    case 'avg':
      return sum / values.length;
    case 'count':
      return values.length;
    case 'max':
      return Math.max(...values);
    default:
      return Math.min(...values);
  }
}

function binary(op: string, bool: boolean, left: Value, right: Value): Value {
  if (op === 'and' || op === 'or' || op === 'unless') {
    const [l, r] = [vector(left), vector(right)];
    const keys = (v: Vector): Set<string> => new Set(v.map((e) => keyOf(nameless(e.labels))));
    if (op === 'or') {
      const there = keys(l);
      return [...l, ...r.filter((e) => !there.has(keyOf(nameless(e.labels))))];
    }
    const there = keys(r);
    return l.filter((e) => there.has(keyOf(nameless(e.labels))) === (op === 'and'));
  }
  const compares = levels[2]?.includes(op) === true;
  if (typeof left === 'number' && typeof right === 'number') {
    if (compares && !bool) throw new Error('numbers are compared with bool');
    return apply(op, left, right);
  }
  /** What stays of an element of the left side (of the right one, when a number stands on the left). */
  const result = (e: Element, l: number, r: number): Element[] => {
    if (!compares) return [{ labels: nameless(e.labels), value: apply(op, l, r) }];
    const holds = apply(op, l, r);
    if (bool) return [{ labels: nameless(e.labels), value: holds }];
    return holds === 1 ? [{ labels: e.labels, value: e.value }] : [];
  };
  if (typeof right === 'number') return vector(left).flatMap((e) => result(e, e.value, right));
  if (typeof left === 'number') return vector(right).flatMap((e) => result(e, left, e.value));
  const others = new Map(vector(right).map((e) => [keyOf(nameless(e.labels)), e.value]));
  if (others.size !== right.length) throw new Error('many on the right for one on the left');
  return vector(left).flatMap((e) => {
    const other = others.get(keyOf(nameless(e.labels)));
    return other === undefined ? [] : result(e, e.value, other);
  });
}

function apply(op: string, a: number, b: number): number {
  switch (op) {
    case '+':
      return a + b;
    case '-':
      return a - b;
    case '*':
      return a * b;
    case '/':
      return a / b;
    case '%':
      return a % b;
    case '==':
      return Number(a === b);
    case '!=':
      return Number(a !== b);
    case '<':
      return Number(a < b);
    case '>':
      return Number(a > b);
    case '<=':
      return Number(a <= b);
    case '>=':
      return Number(a >= b);
    default:
      throw new Error(`not an operator that is known here: ${op}`);
  }
}

function nameless(labels: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return without(labels, ['__name__']);
}

function without(labels: Readonly<Record<string, string>>, names: readonly string[]): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(labels).filter(([name]) => !names.includes(name)));
}

function keyOf(labels: Readonly<Record<string, string>>): string {
  return JSON.stringify(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)));
}

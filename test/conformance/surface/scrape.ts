/** Prometheus text, read back; and the selectors of a PromQL expression, evaluated against it. */
export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Scrape {
  readonly types: ReadonlyMap<string, string>;
  readonly samples: readonly Sample[];
}

export function parseScrape(text: string): Scrape {
  const types = new Map<string, string>();
  const samples: Sample[] = [];
  for (const line of text.split('\n')) {
    const type = /^# TYPE (\S+) (\S+)$/.exec(line);
    if (type !== null) types.set(type[1] ?? '', type[2] ?? '');
    const sample = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/.exec(line);
    if (sample === null) continue;
    const labels = Object.fromEntries([...(sample[2] ?? '').matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map((m) => [m[1] ?? '', m[2] ?? '']));
    const value = sample[3] ?? '';
    samples.push({ name: sample[1] ?? '', labels, value: value === '+Inf' ? Infinity : value === '-Inf' ? -Infinity : Number(value) });
  }
  return { types, samples };
}

/** `name{label="x",other=~"a|b"}`: matchers as Prometheus has them; `job` and `instance` are the scraper's own and match always. */
export function select(scrape: Scrape, selector: string): Sample[] {
  const m = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})?$/.exec(selector);
  if (m === null) throw new Error(`not a selector: ${selector}`);
  const matchers = [...(m[2] ?? '').matchAll(/(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"/g)];
  return scrape.samples.filter(
    (s) =>
      s.name === m[1] &&
      matchers.every(([, label = '', op = '', wanted = '']) => {
        if (label === 'job' || label === 'instance') return true;
        const value = s.labels[label] ?? '';
        const pattern = new RegExp(`^(?:${wanted})$`);
        return op === '=' ? value === wanted : op === '!=' ? value !== wanted : op === '=~' ? pattern.test(value) : !pattern.test(value);
      }),
  );
}

/** The metrics that an expression names, each with its matchers. */
export function selectorsOf(expression: string): string[] {
  return (
    [...expression.matchAll(/\b(?:etcd|grpc|process)_[a-zA-Z0-9_]+(?:\{[^}]*\})?/g)]
      .map((m) => m[0])
      // Labels that results are grouped by.
      .filter((s) => !/^grpc_(type|code|method|service)$/.test(s))
  );
}

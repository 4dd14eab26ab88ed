/** Flags as etcd's tools read them: where they may stand, how values are given, and the words of refusal. */
import { counter, NumberError, parseBool, parseDuration, parseInt64, parseUint64 } from '../text/go-numbers.ts';
import { quote } from '../text/quote.ts';
import type { FlagSpec, FlagType } from './spec.ts';

/** A command line that cannot be parsed. */
export class FlagError extends Error {}

/** `--help` or `-h` where no flag of that name is declared, or given. */
export class HelpWanted extends Error {}

type Value = boolean | string | readonly string[] | bigint | number;

const zeros: Readonly<Record<FlagType, string>> = { bool: 'false', string: '', strings: '', int: '0', uint: '0', duration: '0s' };

function parseValue(type: FlagType, text: string): Value {
  switch (type) {
    case 'bool':
      return parseBool(text);
    case 'int':
      return parseInt64(text);
    case 'uint':
      return parseUint64(text);
    case 'duration':
      return parseDuration(text);
    case 'strings':
      return text === '' ? [] : parseList(text);
    case 'string':
      return text;
  }
}

/** One line of comma-separated values, with quotes as in CSV. */
function parseList(text: string): string[] {
  if (!text.includes('"')) return text.split(',');
  const out: string[] = [];
  let rest = text;
  for (;;) {
    const quoted = /^"((?:[^"]|"")*)"(?=,|$)/.exec(rest);
    const item = quoted === null ? (/^[^,]*/.exec(rest)?.[0] ?? '') : quoted[0];
    if (quoted === null && item.includes('"')) throw new NumberError('parse error on line 1, column 1: bare " in non-quoted-field');
    out.push(quoted === null ? item : (quoted[1] ?? '').replaceAll('""', '"'));
    if (item.length === rest.length) return out;
    rest = rest.slice(item.length + 1);
  }
}

/** The values of a command's flags: defaults, then what was given. */
export class Flags {
  readonly specs: ReadonlyMap<string, FlagSpec>;
  readonly #short = new Map<string, FlagSpec>();
  readonly #values = new Map<string, Value>();
  readonly #changed = new Set<string>();
  /** Positional arguments. */
  readonly args: string[] = [];
  /** How many arguments stood before `--`; -1 without one. */
  argsBeforeDash = -1;

  constructor(specs: Iterable<FlagSpec>) {
    const byName = new Map<string, FlagSpec>();
    for (const spec of specs) {
      byName.set(spec.name, spec);
      if (spec.short !== undefined) this.#short.set(spec.short, spec);
    }
    this.specs = byName;
  }

  /** Whether `--name` or `-n` stands alone, without a value behind it. */
  static takesNoValue(spec: FlagSpec | undefined): boolean {
    return spec?.type === 'bool';
  }

  /** @throws FlagError, HelpWanted */
  parse(argv: readonly string[]): void {
    const rest = [...argv];
    for (let s = rest.shift(); s !== undefined; s = rest.shift()) {
      if (s.length < 2 || !s.startsWith('-')) this.args.push(s);
      else if (s === '--') {
        this.argsBeforeDash = this.args.length;
        this.args.push(...rest);
        break;
      } else if (s.startsWith('--')) this.#long(s, rest);
      else this.#shorts(s.slice(1), rest);
    }
    if (this.given('help') && this.bool('help')) throw new HelpWanted();
  }

  #long(s: string, rest: string[]): void {
    const body = s.slice(2);
    if (body.startsWith('-') || body.startsWith('=')) throw new FlagError(`bad flag syntax: ${s}`);
    const cut = body.indexOf('=');
    const name = cut < 0 ? body : body.slice(0, cut);
    const spec = this.specs.get(name);
    if (spec === undefined) throw new FlagError(`unknown flag: --${name}`);
    if (cut >= 0) this.set(spec, body.slice(cut + 1));
    else if (Flags.takesNoValue(spec)) this.set(spec, 'true');
    else {
      const value = rest.shift();
      if (value === undefined) throw new FlagError(`flag needs an argument: ${s}`);
      this.set(spec, value);
    }
  }

  #shorts(letters: string, rest: string[]): void {
    for (let left = letters; left !== '';) {
      const letter = left.charAt(0);
      const spec = this.#short.get(letter);
      if (spec === undefined) throw new FlagError(`unknown shorthand flag: '${letter}' in -${left}`);
      if (left.length > 2 && left.charAt(1) === '=') return this.set(spec, left.slice(2));
      if (Flags.takesNoValue(spec)) {
        this.set(spec, 'true');
        left = left.slice(1);
        continue;
      }
      if (left.length > 1) return this.set(spec, left.slice(1));
      const value = rest.shift();
      if (value === undefined) throw new FlagError(`flag needs an argument: '${letter}' in -${left}`);
      return this.set(spec, value);
    }
  }

  /** Sets a flag from text. @throws FlagError */
  set(spec: FlagSpec, text: string): void {
    let value: Value;
    try {
      value = parseValue(spec.type, text);
    } catch (error) {
      if (!(error instanceof NumberError)) throw error;
      const name = spec.short === undefined ? `--${spec.name}` : `-${spec.short}, --${spec.name}`;
      throw new FlagError(`invalid argument ${quote(text)} for ${quote(name)} flag: ${error.message}`);
    }
    // A list that is given twice grows.
    if (spec.type === 'strings' && this.#changed.has(spec.name)) value = [...this.strings(spec.name), ...(value as string[])];
    this.#values.set(spec.name, value);
    this.#changed.add(spec.name);
  }

  has(name: string): boolean {
    return this.specs.has(name);
  }

  /** Whether the flag was given, on the command line or by its variable. */
  given(name: string): boolean {
    return this.#changed.has(name);
  }

  #get(name: string): Value {
    const known = this.#values.get(name);
    if (known !== undefined) return known;
    const spec = this.specs.get(name);
    if (spec === undefined) throw new TypeError(`no flag ${name}`);
    const value = parseValue(spec.type, spec.default ?? zeros[spec.type]);
    this.#values.set(name, value);
    return value;
  }

  bool(name: string): boolean {
    return this.specs.has(name) && this.#get(name) === true;
  }

  string(name: string): string {
    return this.#get(name) as string;
  }

  strings(name: string): readonly string[] {
    return this.#get(name) as readonly string[];
  }

  bigint(name: string): bigint {
    return this.#get(name) as bigint;
  }

  /** An int or uint as a number, saturated. */
  int(name: string): number {
    return counter(this.#get(name) as bigint);
  }

  /** Milliseconds. */
  duration(name: string): number {
    return this.#get(name) as number;
  }
}

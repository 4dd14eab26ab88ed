/** Texts of flags, variables and config files become checked values. */
import { isBareNumber, parseDuration } from '../../base/duration.ts';
import { featureGates, type FlagDef } from './flag-table.ts';

/** `uint`, `int`, `uint32`: number; `duration`: ms; `urls`, `strings`: list; `gates`: as given; the rest text. */
export type FlagValue = string | number | boolean | readonly string[] | ReadonlyMap<string, boolean>;

/** A value that does not fit its flag. The message is etcd's part after `invalid value "x" for flag -name: `. */
export class ValueError extends Error {
  readonly code = 'flag-value';
}

/** @throws ValueError */
export function parseFlagValue(flag: FlagDef, text: string): FlagValue {
  switch (flag.kind) {
    case 'bool': {
      const value = parseBool(text);
      if (value === undefined) throw new ValueError('parse error');
      return value;
    }
    case 'uint':
      return parseInteger(text, 0, Number.MAX_SAFE_INTEGER);
    case 'uint32':
      return parseUint32(text);
    case 'int':
      return parseInteger(text, Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);
    case 'duration': {
      const ms = parseDuration(text);
      if (ms === undefined) throw new ValueError('parse error');
      return ms;
    }
    case 'urls':
      // No text at all leaves the default.
      if (text === '') return flag.value === '' ? [] : parseFlagValue(flag, flag.value);
      return flag.name === 'cors' ? parseOrigins(text) : parseUrls(text);
    case 'strings':
      // An output without a name cannot be opened, and says so.
      return text === '' && flag.name !== 'log-outputs' ? [] : text.split(',');
    case 'gates':
      return parseGates(text);
    case 'enum':
      if (flag.choices?.includes(text) !== true) {
        throw new ValueError(flag.name === 'v2-deprecation' ? `invalid value "${text}"` : 'invalid value');
      }
      return text;
    case 'string':
    case 'ignored':
      return text;
  }
}

/** What Go's strconv takes. */
export function parseBool(text: string): boolean | undefined {
  if (['1', 't', 'T', 'true', 'TRUE', 'True'].includes(text)) return true;
  if (['0', 'f', 'F', 'false', 'FALSE', 'False'].includes(text)) return false;
  return undefined;
}

/** What Go's strconv takes with base 0: decimal, 0x, 0o or 0, 0b, and underscores between digits. */
function parseInteger(text: string, min: number, max: number): number {
  const m =
    /^([+-]?)(?:(0[xX])(_?[0-9a-fA-F]+(?:_[0-9a-fA-F]+)*)|(0[bB])(_?[01]+(?:_[01]+)*)|(0[oO]?)(_?[0-7]+(?:_[0-7]+)*)|(0|[1-9]\d*(?:_\d+)*))$/.exec(
      text,
    );
  if (m === null || (min === 0 && m[1] !== '')) throw new ValueError('parse error');
  const digits = (m[3] ?? m[5] ?? m[7] ?? m[8] ?? '').replaceAll('_', '');
  const n = parseInt(digits, m[2] !== undefined ? 16 : m[4] !== undefined ? 2 : m[6] !== undefined ? 8 : 10) * (m[1] === '-' ? -1 : 1);
  if (n < min || n > max) throw new ValueError('value out of range');
  return n;
}

function parseUint32(text: string): number {
  const bad = (what: string): ValueError => new ValueError(`strconv.ParseUint: parsing ${JSON.stringify(text)}: ${what}`);
  try {
    return parseInteger(text, 0, 4294967295);
  } catch (error) {
    throw bad(error instanceof ValueError && error.message === 'value out of range' ? error.message : 'invalid syntax');
  }
}

/** `types.NewURLs` of etcd: schemes, a port, no path; the list is sorted. @throws ValueError */
export function parseUrls(text: string): string[] {
  return text
    .split(',')
    .map((part) => checkUrl(part.trim()))
    .sort();
}

function checkUrl(text: string): string {
  const parse = (what: string): ValueError => new ValueError(`parse ${JSON.stringify(text)}: ${what}`);
  if (!/^[a-zA-Z][a-zA-Z0-9+.-]*:/.test(text) && /^[^/?#]*:/.test(text)) throw parse('first path segment in URL cannot contain colon');
  const m = /^([a-zA-Z][a-zA-Z0-9+.-]*):\/\/([^/?#]*)([^?#]*)/.exec(text);
  const scheme = m?.[1]?.toLowerCase();
  if (m === null || scheme === undefined || !['http', 'https', 'unix', 'unixs'].includes(scheme)) {
    throw new ValueError(`URL scheme must be http, https, unix, or unixs: ${text}`);
  }
  if (scheme.startsWith('http')) {
    const port = /^(?:[^@]*@)?(?:\[[^\]]*\]|[^:]*)(:[^:]*)$/.exec(m[2] ?? '')?.[1];
    if (port !== undefined && !/^:\d*$/.test(port)) throw parse(`invalid port ${JSON.stringify(port)} after host`);
    if (splitHostPort(m[2] ?? '') === undefined) throw new ValueError(`URL address does not have the form "host:port": ${text}`);
    if ((m[3] ?? '') !== '') throw new ValueError(`URL must not contain a path: ${text}`);
  }
  return text;
}

/** `host:port` or `[v6]:port`; undefined when there is no port. */
export function splitHostPort(authority: string): { host: string; port: number } | undefined {
  const m = /^(?:[^@]*@)?(?:\[([^\]]*)\]|([^:]*)):(\d+)$/.exec(authority);
  if (m === null) return undefined;
  return { host: m[1] ?? m[2] ?? '', port: Number(m[3]) };
}

function parseOrigins(text: string): string[] {
  return text === '*' ? ['*'] : parseUrls(text);
}

function parseGates(text: string): ReadonlyMap<string, boolean> {
  const gates = new Map<string, boolean>();
  if (text === '') return gates;
  for (const part of text.split(',').map((p) => p.trim())) {
    const at = part.indexOf('=');
    if (at < 0) throw new ValueError(`missing bool value for ${part}`);
    const name = part.slice(0, at).trim();
    const value = parseBool(part.slice(at + 1).trim());
    if (!featureGates.some((g) => g.name === name)) throw new ValueError(`unrecognized feature gate: ${name}`);
    if (value === undefined) {
      throw new ValueError(
        `invalid value of ${name}=${part.slice(at + 1)}, err: strconv.ParseBool: parsing ${JSON.stringify(part.slice(at + 1))}: invalid syntax`,
      );
    }
    gates.set(name, value);
  }
  return gates;
}

/**
 * `auto-compaction-retention`: periods in ms (a bare whole number is hours), revisions as a number. @throws ValueError with Go's words.
 */
export function parseRetention(mode: string, text: string): number {
  if (text === '') return 0;
  // What does not fit 64 bits is no number to Go, and then no duration either.
  const whole = /^\d{1,19}$/.test(text) && BigInt(text) < 1n << 63n ? Number(text) : undefined;
  if (mode === 'revision') {
    if (whole !== undefined) return whole;
  } else if (whole !== undefined) {
    return whole * 3_600_000;
  }
  const ms = parseDuration(text);
  if (ms !== undefined) return mode === 'revision' ? ms * 1e6 : ms;
  const unit = /^[-+]?[\d.]*\d[\d.]*([^\d.]+)/.exec(text)?.[1];
  throw new ValueError(
    isBareNumber(text)
      ? `time: missing unit in duration ${JSON.stringify(text)}`
      : unit !== undefined && !['ns', 'us', 'µs', 'ms', 's', 'm', 'h'].includes(unit)
        ? `time: unknown unit ${JSON.stringify(unit)} in duration ${JSON.stringify(text)}`
        : `time: invalid duration ${JSON.stringify(text)}`,
  );
}

/** A value back as the text that would give it. */
export function flagText(value: FlagValue): string {
  if (typeof value === 'object') {
    return value instanceof Map ? [...value].map(([k, v]) => `${k}=${v}`).join(',') : (value as readonly string[]).join(',');
  }
  return String(value);
}

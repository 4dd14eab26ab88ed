/** Where option values come from: command line, environment, or one config file instead of both. Nothing here is merged. */
import { envName, type FlagDef, flagTable } from './flag-table.ts';
import { type FlagValue, parseFlagValue, ValueError } from './flag-values.ts';

/** A start that the configuration forbids. */
export class ConfigError extends Error {
  readonly code = 'config';
  /** `usage`: bad command line (exit 2, usage text); `panic`: as `usage`, without the usage text; `verify`: bad values (exit 1); `setup`: met when the member is put together (exit 1). */
  readonly kind: 'usage' | 'panic' | 'verify' | 'setup' | 'fatal';
  readonly fields: Readonly<Record<string, unknown>>;

  constructor(kind: 'usage' | 'panic' | 'verify' | 'setup' | 'fatal', message: string, fields: Readonly<Record<string, unknown>> = {}) {
    super(message);
    this.kind = kind;
    this.fields = fields;
  }
}

/** A line to be logged once there is a log. */
export interface Remark {
  readonly level: 'info' | 'warn';
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

export interface Options {
  /** Values by flag name; defaults are there too. */
  readonly values: ReadonlyMap<string, FlagValue>;
  /** Names that were given explicitly. */
  readonly given: ReadonlySet<string>;
  readonly configFile: string | undefined;
  readonly remarks: readonly Remark[];
}

export interface Sources {
  /** Arguments after `server`. */
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** @throws an Error whose message says why, such as `open x: no such file or directory`. */
  readonly readFile: (path: string) => string;
  /** YAML or JSON to plain values; handed in so that a start without a config file never loads the parser. @throws an Error that says why. */
  readonly parseYaml: (text: string) => unknown;
}

const flagsByName = new Map(flagTable.map((f) => [f.name, f]));

/** @throws ConfigError */
export function readOptions(sources: Sources): Options {
  const { given, rest } = parseArgv(sources.argv);
  const remarks: Remark[] = [];
  if (given.get('version') === true || given.get('help') === true || given.get('h') === true) return finish(given, undefined, remarks);
  if (rest.length > 0) throw new ConfigError('verify', `${JSON.stringify(rest[0])} is not a valid flag`);

  const path = given.get('config-file') ?? (sources.env.ETCD_CONFIG_FILE === '' ? undefined : sources.env.ETCD_CONFIG_FILE);
  if (typeof path === 'string' && path !== '') {
    const values = parseConfigFile(path, sources);
    remarks.push({
      level: 'info',
      message: 'loaded server configuration, other configuration command line flags and environment variables will be ignored if provided',
      fields: { path },
    });
    return finish(values, path, remarks);
  }
  readEnvironment(sources.env, given, remarks);
  return finish(given, undefined, remarks);
}

function finish(given: Map<string, FlagValue>, configFile: string | undefined, remarks: readonly Remark[]): Options {
  const values = new Map<string, FlagValue>();
  for (const flag of flagTable) if (flag.kind !== 'ignored') values.set(flag.name, parseFlagValue(flag, flag.value));
  for (const [name, value] of given) values.set(name, value);
  return { values, given: new Set(given.keys()), configFile, remarks };
}

/** Go's `flag` package: single or double dash, `-name=value` or `-name value`, bools only with `=`; the first other word ends the flags. */
function parseArgv(argv: readonly string[]): { given: Map<string, FlagValue>; rest: readonly string[] } {
  const given = new Map<string, FlagValue>();
  for (let i = 0; i < argv.length; i++) {
    const arg = argv[i] ?? '';
    if (arg.length < 2 || !arg.startsWith('-')) return { given, rest: argv.slice(i) };
    if (arg === '--') return { given, rest: argv.slice(i + 1) };
    const body = arg.slice(arg.startsWith('--') ? 2 : 1);
    if (body.startsWith('-') || body.startsWith('=')) throw new ConfigError('usage', `bad flag syntax: ${arg}`);
    const at = body.indexOf('=');
    const name = at < 0 ? body : body.slice(0, at);
    const flag = flagsByName.get(name);
    if (flag === undefined) throw new ConfigError('usage', `flag provided but not defined: -${name}`);
    let text = at < 0 ? undefined : body.slice(at + 1);
    if (flag.kind === 'bool' || flag.kind === 'ignored') {
      text ??= 'true';
    } else if (text === undefined) {
      text = argv[++i];
      if (text === undefined) throw new ConfigError('usage', `flag needs an argument: -${name}`);
    }
    if (flag.kind === 'ignored') continue;
    try {
      given.set(name, parseFlagValue(flag, text));
    } catch (error) {
      if (!(error instanceof ValueError)) throw error;
      throw new ConfigError(
        'usage',
        flag.kind === 'bool'
          ? `invalid boolean value ${JSON.stringify(text)} for -${name}: ${error.message}`
          : `invalid value ${JSON.stringify(text)} for flag -${name}: ${error.message}`,
      );
    }
  }
  return { given, rest: [] };
}

/** Variables that other programs of the family read; no flag of the server. */
const foreignVariables = new Set(['ETCD_CONFIG_FILE', 'ETCD_UNSUPPORTED_ARCH', 'ETCD_VERIFY', 'ETCD_TEST_DIR']);

function readEnvironment(env: Sources['env'], given: Map<string, FlagValue>, remarks: Remark[]): void {
  const used = new Set<string>();
  for (const flag of flagTable) {
    const variable = envName(flag.name);
    const text = env[variable];
    if (text === undefined || text === '' || flag.section === 'Meta') continue;
    used.add(variable);
    if (given.has(flag.name)) {
      throw new ConfigError(
        'fatal',
        'conflicting environment variable is shadowed by corresponding command-line flag (either unset environment variable or disable flag))',
        { 'environment-variable': variable },
      );
    }
    if (flag.kind === 'ignored') continue;
    try {
      given.set(flag.name, parseFlagValue(flag, text));
    } catch (error) {
      if (!(error instanceof ValueError)) throw error;
      throw new ConfigError('verify', `invalid value ${JSON.stringify(text)} for ${variable}: ${error.message}`);
    }
    remarks.push({
      level: 'info',
      message: 'recognized and used environment variable',
      fields: { 'variable-name': variable, 'variable-value': flag.name.endsWith('password') ? '***' : text },
    });
  }
  if (env.ETCD_VERSION !== undefined && env.ETCD_VERSION !== '') {
    remarks.push({
      level: 'warn',
      message: 'cannot set special environment variable',
      fields: { key: 'ETCD_VERSION', value: env.ETCD_VERSION },
    });
    used.add('ETCD_VERSION');
  }
  for (const [variable, text] of Object.entries(env)) {
    if (!variable.startsWith('ETCD_') || used.has(variable) || foreignVariables.has(variable) || text === undefined || text === '')
      continue;
    remarks.push({
      level: 'warn',
      message: 'unrecognized environment variable',
      fields: { 'environment-variable': `${variable}=${text}` },
    });
  }
}

function parseConfigFile(path: string, sources: Sources): Map<string, FlagValue> {
  let text: string;
  try {
    text = sources.readFile(path);
  } catch (error) {
    throw new ConfigError('verify', error instanceof Error ? error.message : String(error));
  }
  let root: unknown;
  try {
    root = sources.parseYaml(text);
  } catch (error) {
    throw new ConfigError('verify', `error converting YAML to JSON: yaml: ${error instanceof Error ? error.message : String(error)}`);
  }
  const given = new Map<string, FlagValue>();
  if (root === null || root === undefined) return given;
  if (typeof root !== 'object' || Array.isArray(root)) {
    throw new ConfigError('verify', `${unmarshalPrefix} cannot unmarshal ${jsonType(root)} into Go value of type embed.configYAML`);
  }
  for (const flag of flagTable) {
    if (flag.key === undefined || flag.kind === 'ignored') continue;
    const raw = lookup(root as Record<string, unknown>, flag.key.split('.'));
    if (raw === undefined || raw === null) continue;
    given.set(flag.name, fileValue(flag, raw));
  }
  return given;
}

const unmarshalPrefix = 'error unmarshaling JSON: while decoding JSON: json:';

function lookup(root: Record<string, unknown>, path: readonly string[]): unknown {
  let at: unknown = root;
  for (const part of path) {
    if (typeof at !== 'object' || at === null || Array.isArray(at)) return undefined;
    at = (at as Record<string, unknown>)[part];
  }
  return at;
}

function jsonType(value: unknown): string {
  if (Array.isArray(value)) return 'array';
  if (value === null || typeof value === 'object') return 'object';
  return typeof value === 'boolean' ? 'bool' : typeof value;
}

/** Lists that a config file holds as lists; every other list is one text with commas. */
const fileLists = new Set([
  'log-outputs',
  'cipher-suites',
  'discovery-endpoints',
  'client-cert-allowed-hostname',
  'peer-cert-allowed-cn',
  'peer-cert-allowed-hostname',
]);
/** Texts that etcd's file reader takes apart by itself, so that a type error names them differently. */
const fileTexts = new Set([
  'listen-peer-urls',
  'listen-client-urls',
  'listen-client-http-urls',
  'initial-advertise-peer-urls',
  'advertise-client-urls',
  'cors',
  'host-whitelist',
  'feature-gates',
  'listen-metrics-urls',
]);

function fileValue(flag: FlagDef, raw: unknown): FlagValue {
  const mismatch = (type: string, shown = jsonType(raw)): ConfigError =>
    new ConfigError(
      'verify',
      `${unmarshalPrefix} cannot unmarshal ${shown} into Go struct field configYAML.${fileTexts.has(flag.name) ? 'configJSON' : 'Config'}.${flag.key} of type ${type}`,
    );
  switch (flag.kind) {
    case 'bool':
      if (typeof raw !== 'boolean') throw mismatch('bool');
      return raw;
    case 'duration':
      if (typeof raw !== 'number' || !Number.isInteger(raw))
        throw mismatch('time.Duration', typeof raw === 'number' ? `number ${raw}` : jsonType(raw));
      return raw / 1e6;
    case 'uint':
    case 'uint32':
    case 'int': {
      const type = flag.kind === 'int' ? 'int' : flag.kind === 'uint32' ? 'uint32' : flag.name.startsWith('snapshot-') ? 'uint64' : 'uint';
      if (typeof raw !== 'number') throw mismatch(type);
      if (!Number.isInteger(raw) || (flag.kind !== 'int' && raw < 0)) throw mismatch(type, `number ${raw}`);
      return raw;
    }
    case 'strings':
      if (fileLists.has(flag.name)) {
        if (!Array.isArray(raw)) throw mismatch('[]string');
        return raw.map((item) => {
          if (typeof item !== 'string') throw mismatch('string', jsonType(item));
          return item;
        });
      }
  }
  if (typeof raw !== 'string') throw mismatch('string');
  try {
    // The file's state word is checked later, with the rest of the cluster's description.
    return flag.kind === 'enum' ? raw : parseFlagValue(flag, raw);
  } catch (error) {
    if (!(error instanceof ValueError)) throw error;
    throw new ConfigError('verify', flag.kind === 'urls' ? `unexpected error setting up ${flag.name}: ${error.message}` : error.message);
  }
}

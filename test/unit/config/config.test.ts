// Flags, environment and config file as etcd takes them, with etcd's words for what it refuses.
import { describe, expect, it } from 'vitest';
import { buildConfig } from '../../../src/server/config/build-config.ts';
import { flagTable } from '../../../src/server/config/flag-table.ts';
import { ConfigError, readOptions } from '../../../src/server/config/options.ts';
import type { ServerConfig } from '../../../src/server/config/config.ts';
import { parseYamlText } from '../../../src/server/config/yaml-text.ts';
import { helpText } from '../../../src/server/config/usage.ts';

interface Given {
  readonly argv?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly file?: string;
}

const read = ({ argv = [], env = {}, file }: Given): ReturnType<typeof readOptions> =>
  readOptions({
    argv,
    env,
    readFile: (path) => {
      if (file === undefined) throw new Error(`open ${path}: no such file or directory`);
      return file;
    },
    parseYaml: parseYamlText,
  });

const config = (given: Given): ServerConfig => buildConfig(read(given)).config;

const refusal = (given: Given): { kind: string; message: string } => {
  try {
    config(given);
  } catch (error) {
    if (error instanceof ConfigError) return { kind: error.kind, message: error.message };
    throw error;
  }
  throw new Error('was taken');
};

describe('the command line', () => {
  it('takes one dash or two, values after = or a space, bare booleans', () => {
    const c = config({ argv: ['-name=a', '--data-dir', 'd', '--pre-vote=false', '--unsafe-no-fsync', '--snapshot-count', '7'] });
    expect([c.name, c.dataDir, c.preVote, c.unsafeNoFsync, c.snapshotCount]).toEqual(['a', 'd', false, true, 7]);
  });

  it.each([
    [['--bogus'], 'flag provided but not defined: -bogus'],
    [['--name'], 'flag needs an argument: -name'],
    [['---name'], 'bad flag syntax: ---name'],
    [['--snapshot-count=x'], 'invalid value "x" for flag -snapshot-count: parse error'],
    [['--max-wals=-1'], 'invalid value "-1" for flag -max-wals: parse error'],
    [['--pre-vote=maybe'], 'invalid boolean value "maybe" for -pre-vote: parse error'],
    [['--backend-batch-interval', '5'], 'invalid value "5" for flag -backend-batch-interval: parse error'],
    [
      ['--listen-client-urls', 'foo'],
      'invalid value "foo" for flag -listen-client-urls: URL scheme must be http, https, unix, or unixs: foo',
    ],
    [
      ['--listen-client-urls', 'http://127.0.0.1'],
      'invalid value "http://127.0.0.1" for flag -listen-client-urls: URL address does not have the form "host:port": http://127.0.0.1',
    ],
    [
      ['--listen-client-urls', 'http://127.0.0.1:1/path'],
      'invalid value "http://127.0.0.1:1/path" for flag -listen-client-urls: URL must not contain a path: http://127.0.0.1:1/path',
    ],
    [['--initial-cluster-state', 'foo'], 'invalid value "foo" for flag -initial-cluster-state: invalid value'],
    [['--v2-deprecation', 'not-yet'], 'invalid value "not-yet" for flag -v2-deprecation: invalid value "not-yet"'],
    [['--feature-gates', 'Foo=true'], 'invalid value "Foo=true" for flag -feature-gates: unrecognized feature gate: Foo'],
    [['--feature-gates', 'Foo'], 'invalid value "Foo" for flag -feature-gates: missing bool value for Foo'],
  ])('refuses %j', (argv, message) => {
    expect(refusal({ argv })).toEqual({ kind: 'usage', message });
  });

  it.each([
    [['foo'], '"foo" is not a valid flag'],
    [['--election-timeout', '200'], '--election-timeout[200ms] should be at least as 5 times as --heartbeat-interval[100ms]'],
    [['--election-timeout', '60000'], '--election-timeout[60000ms] is too long, and should be set less than 50000ms'],
    [['--heartbeat-interval', '0'], '--heartbeat-interval must be >0 (set to 0ms)'],
    [['--listen-client-urls', 'http://127.0.0.1:1'], '--advertise-client-urls is required when --listen-client-urls is set explicitly'],
    [['--listen-peer-urls', 'http://foo.bar:1'], 'expected IP in URL for binding (http://foo.bar:1)'],
    [['--auto-compaction-mode', 'foo'], 'unknown auto-compaction-mode "foo"'],
    [['--log-format', 'foo'], 'unknown log format: foo, supported values json, console'],
    [['--logger', 'foo'], 'unknown logger option "foo"'],
    [['--discovery-fallback', 'proxy'], 'v2 proxy is deprecated, and --discovery-fallback can\'t be configured as "proxy"'],
    [
      ['--memory-mlock'],
      '--memory-mlock is not supported by this build: a JavaScript engine cannot lock its memory; turn swap off, or run the member in a control group without it',
    ],
    [
      ['--socket-reuse-port'],
      '--socket-reuse-port is not supported by this build: Node shares a port between processes only from 23.1 on; an upgrade of one member needs no shared port',
    ],
    [
      ['--log-outputs', 'systemd/journal'],
      '--log-outputs systemd/journal is not supported by this build: write to stderr, which systemd takes into the journal',
    ],
    [['--config-file', '/none'], 'open /none: no such file or directory'],
  ])('does not verify %j', (argv, message) => {
    const found = refusal({ argv });
    expect(found.message).toBe(message);
    expect(found.kind).toBe('verify');
  });

  it('refuses what is not built only when it is asked for', () => {
    expect(() => config({ argv: ['--memory-mlock=false', '--cert-file='] })).not.toThrow();
    for (const flag of flagTable) {
      if (flag.built || flag.kind !== 'bool') continue;
      const other = flag.value === 'true' ? 'false' : 'true';
      expect(refusal({ argv: [`--${flag.name}=${other}`] }).message).toContain(`--${flag.name} is not supported by this build`);
    }
  });

  it('takes and forgets the flags of long ago', () => {
    expect(() => config({ argv: ['--snapshot', '--vv=true'] })).not.toThrow();
  });
});

describe('defaults', () => {
  it('are etcd’s', () => {
    const c = config({});
    expect(c).toMatchObject({
      name: 'default',
      dataDir: 'default.etcd',
      listenClientUrls: ['http://localhost:2379'],
      listenPeerUrls: ['http://localhost:2380'],
      quotaBackendBytes: 2147483648,
      snapshotCount: 10_000,
      heartbeatMs: 100,
      electionMs: 1000,
      maxTxnOps: 128,
      maxRequestBytes: 1572864,
      watchProgressNotifyMs: 600_000,
      compactionBatchLimit: 1000,
      compactionSleepMs: 10,
      autoCompactionMode: '',
      cors: ['*'],
    });
    expect([...c.initialCluster]).toEqual([['default', ['http://localhost:2380']]]);
    expect(Object.isFrozen(c)).toBe(true);
  });

  it('let a new name make its own cluster', () => {
    expect([...config({ argv: ['--name', 'a'] }).initialCluster.keys()]).toEqual(['a']);
    expect([...config({ argv: ['--name', 'a', '--initial-cluster', 'b=http://x:1'] }).initialCluster.keys()]).toEqual(['b']);
  });

  it('know hours, durations and revisions of auto-compaction', () => {
    const of = (...argv: string[]): unknown[] => {
      const c = config({ argv });
      return [c.autoCompactionMode, c.autoCompactionRetentionValue];
    };
    expect(of('--auto-compaction-retention', '2')).toEqual(['periodic', 7_200_000]);
    expect(of('--auto-compaction-retention', '90s')).toEqual(['periodic', 90_000]);
    expect(of('--auto-compaction-retention', '1000', '--auto-compaction-mode', 'revision')).toEqual(['revision', 1000]);
    expect(refusal({ argv: ['--auto-compaction-retention', 'x'] }).message).toBe(
      'error parsing CompactionRetention: time: invalid duration "x"',
    );
  });

  it('spread the groups of feature gates to those not set', () => {
    const c = config({ argv: ['--feature-gates', 'AllAlpha=true,CompactHashCheck=false'] });
    expect([c.initialCorruptCheck, c.compactHashCheckEnabled, c.leaseCheckpoint]).toEqual([true, false, true]);
    expect(refusal({ argv: ['--feature-gates', 'LeaseCheckpointPersist=true'] }).kind).toBe('verify');
  });
});

describe('the environment', () => {
  it('fills in what flags leave out', () => {
    const options = read({ argv: ['--name', 'a'], env: { ETCD_DATA_DIR: 'd', ETCD_MAX_TXN_OPS: '3', ETCD_QUOTA_BACKEND_BYTES: '' } });
    const { config: c, remarks } = buildConfig(options);
    expect([c.name, c.dataDir, c.maxTxnOps]).toEqual(['a', 'd', 3]);
    expect(remarks.filter((r) => r.message === 'recognized and used environment variable')).toHaveLength(2);
  });

  it('clashes with a flag of the same meaning, even when equal', () => {
    const found = refusal({ argv: ['--name', 'a'], env: { ETCD_NAME: 'a' } });
    expect(found.kind).toBe('fatal');
    expect(found.message).toContain('conflicting environment variable is shadowed');
  });

  it('warns of what it does not know and refuses bad values', () => {
    const { remarks } = read({ env: { ETCD_NAMEX: 'x', OTHER: 'y' } });
    expect(remarks).toContainEqual({
      level: 'warn',
      message: 'unrecognized environment variable',
      fields: { 'environment-variable': 'ETCD_NAMEX=x' },
    });
    expect(refusal({ env: { ETCD_SNAPSHOT_COUNT: 'x' } }).message).toBe('invalid value "x" for ETCD_SNAPSHOT_COUNT: parse error');
  });
});

describe('a config file', () => {
  it('stands alone: flags and environment are left aside, unknown keys as well', () => {
    const c = config({
      argv: ['--config-file', 'c.yml', '--name', 'flag'],
      env: { ETCD_DATA_DIR: 'env' },
      file: 'name: file\nheartbeat-interval: 200\nelection-timeout: 2000\nwatch-progress-notify-interval: 5000000000\nbogus: 1\nlog-outputs: [stdout]\n',
    });
    expect([c.name, c.dataDir, c.heartbeatMs, c.watchProgressNotifyMs, c.logOutputs]).toEqual(['file', 'file.etcd', 200, 5000, ['stdout']]);
  });

  it('is found through the environment and reads nested keys', () => {
    const c = config({
      env: { ETCD_CONFIG_FILE: 'c.yml' },
      file: 'socket-options:\n  reuse-address: true\nclient-transport-security:\n  cert-file: ""\n',
    });
    expect(c.name).toBe('default');
  });

  it.each([
    [': : x', 'error converting YAML to JSON: yaml: '],
    ['name: 5', 'cannot unmarshal number into Go struct field configYAML.Config.name of type string'],
    [
      'watch-progress-notify-interval: 10s',
      'cannot unmarshal string into Go struct field configYAML.Config.watch-progress-notify-interval of type time.Duration',
    ],
    ['listen-client-urls: [x]', 'cannot unmarshal array into Go struct field configYAML.configJSON.listen-client-urls of type string'],
    ['snapshot-count: -1', 'cannot unmarshal number -1 into Go struct field configYAML.Config.snapshot-count of type uint64'],
    ['log-outputs: stderr', 'cannot unmarshal string into Go struct field configYAML.Config.log-outputs of type []string'],
    ['feature-gates: Foo=true', 'unrecognized feature gate: Foo'],
  ])('refuses %j', (file, message) => {
    const found = refusal({ argv: ['--config-file', 'c.yml'], file });
    expect(found.kind).toBe('verify');
    expect(found.message).toContain(message);
  });
});

it('--help names every flag', () => {
  const text = helpText('etcd');
  for (const flag of flagTable) if (flag.kind !== 'ignored' && flag.section !== 'Meta') expect(text).toContain(`--${flag.name} `);
});

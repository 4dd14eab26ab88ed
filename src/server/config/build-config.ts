/** Options become one frozen `ServerConfig`; relations between them are checked here and nowhere else. */
import { formatDuration } from '../../base/duration.ts';
import type { ServerConfig } from './config.ts';
import { featureGates, flagTable } from './flag-table.ts';
import { type FlagValue, flagText, parseFlagValue, parseRetention, parseUrls, splitHostPort, ValueError } from './flag-values.ts';
import { ConfigError, type Options, type Remark } from './options.ts';
import { parseLogRotation } from './log-rotation.ts';
import { cipherList, isSecureUrl, type TlsConfig, tlsVersion } from './tls.ts';

const electionMsMax = 50_000;
/** etcd's advice; above it only warns. */
const quotaBytesAdvised = 8 * 1024 * 1024 * 1024;
const requestBytesAdvised = 10 * 1024 * 1024;
const quotaBytesDefault = 2 * 1024 * 1024 * 1024;
const peerTimeoutMsMin = 5000;
/** Below, progress notices would crowd out events. */
const progressMsMin = 100;

export interface BuiltConfig {
  readonly config: ServerConfig;
  readonly remarks: readonly Remark[];
}

/** Flags that etcd is about to drop, and what it says when one is given. */
const deprecated: readonly (readonly [flag: string, message: string])[] = [
  ['max-snapshots', '--max-snapshots is deprecated in 3.6 and will be decommissioned in 3.8.'],
  [
    'v2-deprecation',
    '--v2-deprecation is deprecated and scheduled for removal in v3.8. The default value is enforced, ignoring user input.',
  ],
];

/** @throws ConfigError of kind `verify` or `setup` */
export function buildConfig(options: Options): BuiltConfig {
  const remarks: Remark[] = [...options.remarks];
  const text = (name: string): string => options.values.get(name) as string;
  const number = (name: string): number => options.values.get(name) as number;
  const bool = (name: string): boolean => options.values.get(name) as boolean;
  const list = (name: string): readonly string[] => options.values.get(name) as readonly string[];
  const given = (name: string): boolean => options.given.has(name);

  refuseUnbuilt(options);
  verify({ text, number, bool, list, given }, remarks);
  for (const [flag, message] of deprecated) if (given(flag)) remarks.push({ level: 'warn', message, fields: {} });

  const gates = resolveGates(options.values.get('feature-gates') as ReadonlyMap<string, boolean>);
  const gate = (name: string): boolean => gates.get(name) === true;
  if (gate('LeaseCheckpointPersist') && !gate('LeaseCheckpoint')) {
    throw new ConfigError('verify', 'enabling feature gate LeaseCheckpointPersist requires enabling feature gate LeaseCheckpoint');
  }

  const name = text('name');
  if (name === 'default') {
    remarks.push({
      level: 'warn',
      message:
        "it isn't recommended to use default name, please set a value for --name. Note that etcd might run into issue when multiple members have the same default name",
      fields: { name },
    });
  }
  if (text('data-dir') === '')
    remarks.push({ level: 'warn', message: "'data-dir' was empty; using default", fields: { 'data-dir': `${name}.etcd` } });
  const dataDir = text('data-dir') === '' ? `${name}.etcd` : text('data-dir');
  const advertisePeer = list('initial-advertise-peer-urls');
  // A new name without a cluster of its own names a cluster of that one member.
  const discovery = discoveryOf({ text, number, bool, list });
  const discovers = discovery !== undefined || text('discovery-srv-name') !== '';
  const clusterText =
    discovers && !given('initial-cluster')
      ? ''
      : text('initial-cluster') === defaultCluster && name !== 'default'
        ? advertisePeer.map((u) => `${name === '' ? 'default' : name}=${u}`).join(',')
        : text('initial-cluster');
  const initialCluster = parseInitialCluster(clusterText);
  const state = text('initial-cluster-state');
  if (state !== 'new' && state !== 'existing') throw new ConfigError('verify', `unexpected clusterState ${JSON.stringify(state)}`);
  checkDiscovery({ text, list }, clusterText);

  const mode = text('auto-compaction-mode') === 'revision' ? 'revision' : 'periodic';
  let retention: number;
  try {
    retention = parseRetention(mode, text('auto-compaction-retention'));
  } catch (error) {
    if (!(error instanceof ValueError)) throw error;
    throw new ConfigError('setup', `error parsing CompactionRetention: ${error.message}`);
  }

  const quota = number('quota-backend-bytes');
  if (quota > quotaBytesAdvised) {
    remarks.push({
      level: 'warn',
      message: 'quota exceeds the maximum value',
      fields: { 'quota-name': 'v3-applier', 'quota-size-bytes': quota, 'quota-maximum-size-bytes': quotaBytesAdvised },
    });
  }
  if (number('max-request-bytes') > requestBytesAdvised) {
    remarks.push({
      level: 'warn',
      message: 'exceeded recommended request limit',
      fields: { 'max-request-bytes': number('max-request-bytes'), 'recommended-request-bytes': requestBytesAdvised },
    });
  }
  if (number('max-learners') < 0) throw new ConfigError('setup', 'membership: too many learner members in cluster');
  const progress = number('watch-progress-notify-interval');
  if (progress > 0 && progress < progressMsMin) {
    remarks.push({
      level: 'warn',
      message: 'adjusting watch progress notify interval to minimum period',
      fields: { 'min-watch-progress-notify-interval': formatDuration(progressMsMin) },
    });
  }
  if (gate('LeaseCheckpoint') && !gate('LeaseCheckpointPersist')) {
    const message = 'Detected that checkpointing is enabled without persistence. Consider enabling feature gate LeaseCheckpointPersist';
    remarks.push({ level: 'warn', message, fields: {} });
  }
  if (bool('unsafe-no-fsync')) {
    remarks.push({ level: 'warn', message: 'unsafe no-fsync is enabled: a crash of the machine loses acknowledged writes', fields: {} });
  }

  const clientTls = tlsConfig('', { text, bool, list });
  const peerTls = tlsConfig('peer-', { text, bool, list });
  checkPeerSchemes(peerTls, { list }, remarks);
  checkSchemes(clientTls, { list }, remarks);

  const config: ServerConfig = Object.freeze({
    name,
    dataDir,
    walDir: text('wal-dir'),
    listenPeerUrls: list('listen-peer-urls'),
    listenClientUrls: list('listen-client-urls'),
    listenClientHttpUrls: list('listen-client-http-urls'),
    listenMetricsUrls: list('listen-metrics-urls'),
    advertiseClientUrls: list('advertise-client-urls'),
    initialAdvertisePeerUrls: advertisePeer,
    initialCluster,
    initialClusterState: state,
    initialClusterToken: text('initial-cluster-token'),
    discovery,
    forceNewCluster: bool('force-new-cluster'),
    strictReconfigCheck: bool('strict-reconfig-check'),
    initialElectionTickAdvance: bool('initial-election-tick-advance'),
    preVote: bool('pre-vote'),
    heartbeatMs: number('heartbeat-interval'),
    electionMs: number('election-timeout'),
    snapshotCount: number('snapshot-count') === 0 ? 10_000 : number('snapshot-count'),
    snapshotCatchupEntries: number('snapshot-catchup-entries'),
    maxSnapshots: number('max-snapshots'),
    maxWals: number('max-wals'),
    maxTxnOps: number('max-txn-ops'),
    maxRequestBytes: number('max-request-bytes'),
    maxConcurrentStreams: number('max-concurrent-streams'),
    maxLearners: number('max-learners'),
    quotaBackendBytes: quota === 0 ? quotaBytesDefault : quota,
    backendBatchIntervalMs: number('backend-batch-interval') <= 0 ? 100 : number('backend-batch-interval'),
    backendBatchLimit: number('backend-batch-limit') <= 0 ? 10_000 : number('backend-batch-limit'),
    autoCompactionMode: retention === 0 ? '' : mode,
    autoCompactionRetention: text('auto-compaction-retention'),
    autoCompactionRetentionValue: retention,
    compactionBatchLimit: number('compaction-batch-limit') <= 0 ? 1000 : number('compaction-batch-limit'),
    compactionSleepMs: number('compaction-sleep-interval') <= 0 ? 10 : number('compaction-sleep-interval'),
    watchProgressNotifyMs: progress <= 0 ? 600_000 : Math.max(progressMsMin, progress),
    warningApplyMs: number('warning-apply-duration'),
    warningUnaryRequestMs: number('warning-unary-request-duration'),
    grpcKeepaliveMinMs: number('grpc-keepalive-min-time'),
    grpcKeepaliveIntervalMs: number('grpc-keepalive-interval'),
    grpcKeepaliveTimeoutMs: number('grpc-keepalive-timeout'),
    unsafeNoFsync: bool('unsafe-no-fsync'),
    corruptCheckTimeMs: number('corrupt-check-time'),
    initialCorruptCheck: gate('InitialCorruptCheck'),
    compactHashCheckTimeMs: number('compact-hash-check-time'),
    compactHashCheckEnabled: gate('CompactHashCheck'),
    bcryptCost: number('bcrypt-cost'),
    authToken: text('auth-token'),
    authTokenTtlSeconds: number('auth-token-ttl'),
    leaseCheckpoint: gate('LeaseCheckpoint'),
    leaseCheckpointPersist: gate('LeaseCheckpointPersist'),
    enableGrpcGateway: bool('enable-grpc-gateway'),
    cors: list('cors').length === 0 ? ['*'] : list('cors'),
    hostWhitelist: list('host-whitelist').length === 0 ? ['*'] : list('host-whitelist'),
    clientTls,
    peerTls,
    cipherSuites: list('cipher-suites'),
    cipherList: asSetup(() => cipherList(list('cipher-suites'))),
    tlsMinVersion: tlsVersion(text('tls-min-version')) ?? 'TLSv1.2',
    tlsMaxVersion: tlsVersion(text('tls-max-version')),
    selfSignedCertValidityYears: number('self-signed-cert-validity'),
    enablePprof: bool('enable-pprof'),
    metricsLevel: text('metrics') === 'extensive' ? 'extensive' : 'basic',
    logLevel: logLevelOf(text('log-level')) ?? 'info',
    logFormat: text('log-format') === 'console' ? 'console' : 'json',
    logOutputs: list('log-outputs').length === 0 ? ['default'] : list('log-outputs'),
    bootstrapDefragThresholdMb: number('bootstrap-defrag-threshold-megabytes'),
    raftReadTimeoutMs: Math.max(peerTimeoutMsMin, number('raft-read-timeout')),
    raftWriteTimeoutMs: Math.max(peerTimeoutMsMin, number('raft-write-timeout')),
    downgradeCheckMs: number('downgrade-check-time'),
    priorityRequest: gate('PriorityRequest'),
    tracing: tracingOf({ text, number, bool }),
    featureGates: gates,
  } satisfies ServerConfig);
  return { config, remarks };
}

const defaultCluster = 'default=http://localhost:2380';

/** A flag whose feature is missing must be refused, never ignored. */
function refuseUnbuilt(options: Options): void {
  for (const flag of flagTable) {
    if (flag.built || flag.kind === 'ignored' || !options.given.has(flag.name)) continue;
    const value = options.values.get(flag.name) as FlagValue;
    if (flagText(value) === flagText(parseFlagValue(flag, flag.value))) continue;
    const why = flag.reason === undefined ? '' : `: ${flag.reason}`;
    throw new ConfigError('verify', `--${flag.name} is not supported by this build${why}`);
  }
  if (options.values.get('discovery-fallback') === 'proxy') {
    throw new ConfigError('verify', 'v2 proxy is deprecated, and --discovery-fallback can\'t be configured as "proxy"');
  }
}

type DiscoveryAccess = Pick<Access, 'text' | 'number' | 'list'> & { bool(name: string): boolean };

function discoveryOf({ text, number, bool, list }: DiscoveryAccess): ServerConfig['discovery'] {
  const endpoints = list('discovery-endpoints');
  if (endpoints.length > 0) {
    return Object.freeze({
      kind: 'token',
      token: text('discovery-token'),
      endpoints,
      dialTimeoutMs: number('discovery-dial-timeout'),
      requestTimeoutMs: number('discovery-request-timeout'),
      keepaliveMs: number('discovery-keepalive-time'),
      keepaliveTimeoutMs: number('discovery-keepalive-timeout'),
      insecureTransport: bool('discovery-insecure-transport'),
      insecureSkipVerify: bool('discovery-insecure-skip-tls-verify'),
      certFile: text('discovery-cert'),
      keyFile: text('discovery-key'),
      caFile: text('discovery-cacert'),
      user: text('discovery-user'),
      password: text('discovery-password'),
    });
  }
  const domain = text('discovery-srv');
  return domain === '' ? undefined : Object.freeze({ kind: 'srv', domain, serviceName: text('discovery-srv-name') });
}

const samplingRateMax = 1_000_000;

/** Undefined when tracing is off: its other flags are not looked at then. */
function tracingOf({ text, number, bool }: Pick<Access, 'text' | 'number' | 'bool'>): ServerConfig['tracing'] {
  if (!bool('enable-distributed-tracing')) return undefined;
  const rate = number('distributed-tracing-sampling-rate');
  // etcd's spelling.
  const bad = (why: string): ConfigError => new ConfigError('verify', `distributed tracing configurition is not valid: (${why})`);
  if (rate < 0) throw bad('tracing sampling rate must be positive');
  if (rate > samplingRateMax) throw bad(`tracing sampling rate must be less than ${samplingRateMax}`);
  const address = text('distributed-tracing-address');
  return Object.freeze({
    address: address === '' ? 'localhost:4317' : address,
    serviceName: text('distributed-tracing-service-name'),
    instanceId: text('distributed-tracing-instance-id'),
    samplesPerMillion: rate,
  });
}

/** There is one way to the initial cluster, and it is described in full. */
function checkDiscovery({ text, list }: Pick<Access, 'text' | 'list'>, cluster: string): void {
  const endpoints = list('discovery-endpoints');
  const ways = [cluster !== '', text('discovery-srv') !== '', endpoints.length > 0].filter(Boolean).length;
  if (ways > 1) {
    throw new ConfigError(
      'verify',
      'multiple discovery or bootstrap flags are set. Choose one of "initial-cluster", "discovery-endpoints" or "discovery-srv"',
    );
  }
  if ((text('discovery-token') !== '') !== endpoints.length > 0)
    throw new ConfigError('verify', 'both --discovery-token and --discovery-endpoints must be set');
  if (endpoints.some((e) => e.trim() === '')) throw new ConfigError('verify', '--discovery-endpoints must not contain empty endpoints');
}

interface Access {
  text(name: string): string;
  number(name: string): number;
  bool(name: string): boolean;
  list(name: string): readonly string[];
  given(name: string): boolean;
}

const logLevels = ['debug', 'info', 'warn', 'error', 'dpanic', 'panic', 'fatal'];

/** The level of a name, as zap reads it; undefined: there is none. */
export function logLevelOf(name: string): string | undefined {
  const lower = name.toLowerCase();
  if (name !== lower && name !== name.toUpperCase()) return undefined;
  if (lower === '') return 'info';
  if (lower === 'warning') return 'warn';
  return logLevels.includes(lower) ? lower : undefined;
}

/** The relations, in etcd's order and words. */
function verify({ text, number, bool, list, given }: Access, remarks: Remark[]): void {
  if (list('listen-client-http-urls').length === 0) {
    remarks.push({
      level: 'warn',
      message: 'Running http and grpc server on single port. This is not recommended for production.',
      fields: {},
    });
  }
  const fail = (message: string): never => {
    throw new ConfigError('verify', message);
  };
  // etcd panics here; exit code and words are the same.
  if (logLevelOf(text('log-level')) === undefined)
    throw new ConfigError('panic', `panic: unrecognized level: ${JSON.stringify(text('log-level'))}`);
  if (text('logger') === 'capnslog') fail('--logger=capnslog is removed in v3.5');
  if (text('logger') !== 'zap') fail(`unknown logger option ${JSON.stringify(text('logger'))}`);
  if (text('log-format') !== 'json' && text('log-format') !== 'console') {
    fail(`unknown log format: ${text('log-format')}, supported values json, console`);
  }
  const outputs = list('log-outputs');
  if (outputs.includes('systemd/journal'))
    fail('--log-outputs systemd/journal is not supported by this build: write to stderr, which systemd takes into the journal');
  if (outputs.length > 1 && outputs.includes('default')) {
    fail(`multi logoutput for "default" is not supported yet`);
  }
  if (bool('enable-log-rotation')) {
    try {
      parseLogRotation(outputs, text('log-rotation-config-json'));
    } catch (error) {
      fail((error as Error).message);
    }
  }
  const listenClientGiven = given('listen-client-urls');
  if (listenClientGiven && !given('advertise-client-urls')) {
    throw new ConfigError('verify', '--advertise-client-urls is required when --listen-client-urls is set explicitly', {
      'advertise-client-urls': 'missing',
    });
  }
  for (const urls of [list('listen-peer-urls'), list('listen-client-urls'), list('listen-client-http-urls'), list('listen-metrics-urls')])
    for (const url of urls) checkBindable(url);
  const tick = number('heartbeat-interval');
  const election = number('election-timeout');
  if (tick <= 0) fail(`--heartbeat-interval must be >0 (set to ${tick}ms)`);
  if (election <= 0) fail(`--election-timeout must be >0 (set to ${election}ms)`);
  if (5 * tick > election) fail(`--election-timeout[${election}ms] should be at least as 5 times as --heartbeat-interval[${tick}ms]`);
  if (election > electionMsMax) fail(`--election-timeout[${election}ms] is too long, and should be set less than ${electionMsMax}ms`);
  const mode = text('auto-compaction-mode');
  if (mode === '') fail('undefined auto-compaction-mode');
  if (mode !== 'periodic' && mode !== 'revision') fail(`unknown auto-compaction-mode ${JSON.stringify(mode)}`);
  if (number('compact-hash-check-time') <= 0)
    fail(`--compact-hash-check-time must be >0 (set to ${formatDuration(number('compact-hash-check-time'))})`);
  try {
    const lowest = tlsVersion(text('tls-min-version'));
    const highest = tlsVersion(text('tls-max-version'));
    if (lowest === 'TLSv1.3' && highest === 'TLSv1.2') {
      fail(`min version (${text('tls-min-version')}) is greater than max version (${text('tls-max-version')})`);
    }
    if (lowest === 'TLSv1.3' && list('cipher-suites').length > 0) {
      fail('cipher suites cannot be configured when only TLS1.3 is enabled');
    }
  } catch (error) {
    fail((error as Error).message);
  }
}

function tlsConfig(prefix: '' | 'peer-', { text, bool, list }: Pick<Access, 'text' | 'list'> & { bool(name: string): boolean }): TlsConfig {
  const client = prefix === '';
  return Object.freeze({
    certFile: text(`${prefix}cert-file`),
    keyFile: text(`${prefix}key-file`),
    clientCertFile: text(`${prefix}client-cert-file`),
    clientKeyFile: text(`${prefix}client-key-file`),
    trustedCaFile: text(`${prefix}trusted-ca-file`),
    crlFile: text(client ? 'client-crl-file' : 'peer-crl-file'),
    clientCertAuth: bool(`${prefix}client-cert-auth`),
    allowedCommonNames: client ? [] : list('peer-cert-allowed-cn'),
    allowedHostnames: list(client ? 'client-cert-allowed-hostname' : 'peer-cert-allowed-hostname'),
    skipClientSanVerification: client ? false : bool('peer-skip-client-san-verification'),
    auto: bool(`${prefix}auto-tls`),
  });
}

/** URLs and certificates must fit each other. */
function checkSchemes(tls: TlsConfig, { list }: Pick<Access, 'list'>, remarks: Remark[]): void {
  const files = tls.certFile !== '' || tls.keyFile !== '';
  if (files && tls.auto) remarks.push({ level: 'warn', message: 'ignoring client auto TLS since certs given', fields: {} });
  const certain = files || tls.auto;
  for (const url of [...list('listen-client-urls'), ...list('listen-client-http-urls')]) {
    if (isSecureUrl(url)) {
      if (certain) continue;
      throw new ConfigError('setup', `TLS key/cert (--cert-file, --key-file) must be provided for client url ${url} with HTTPS scheme`);
    }
    if (certain) {
      remarks.push({
        level: 'warn',
        message: 'scheme is http or unix while key and cert files are present; ignoring key and cert files',
        fields: { 'client-url': url },
      });
    }
    if (tls.clientCertAuth) {
      remarks.push({
        level: 'warn',
        message: 'scheme is http or unix while --client-cert-auth is enabled; ignoring client cert auth for this URL',
        fields: { 'client-url': url },
      });
    }
  }
  if (!certain && list('listen-metrics-urls').some(isSecureUrl)) {
    throw new ConfigError('setup', 'client TLS key/cert (--cert-file, --key-file) must be provided for metrics secure url');
  }
}

function checkPeerSchemes(tls: TlsConfig, { list }: Pick<Access, 'list'>, remarks: Remark[]): void {
  const warn = (message: string, fields: Readonly<Record<string, unknown>>): void => void remarks.push({ level: 'warn', message, fields });
  const files = tls.certFile !== '' || tls.keyFile !== '';
  if (files && tls.auto) warn('ignoring peer auto TLS since certs given', {});
  for (const url of list('listen-peer-urls')) {
    if (isSecureUrl(url)) {
      if (files || tls.auto) continue;
      throw new ConfigError('setup', `cannot listen on TLS for ${url.replace(/^[a-z]+:\/\//, '')}: KeyFile and CertFile are not presented`);
    }
    const fields = { 'peer-url': url };
    if (files || tls.auto) warn('scheme is HTTP while key and cert files are present; ignoring key and cert files', fields);
    if (tls.clientCertAuth) {
      warn('scheme is HTTP while --peer-client-cert-auth is enabled; ignoring client cert auth for this URL', fields);
    }
  }
}

function asSetup<T>(make: () => T): T {
  try {
    return make();
  } catch (error) {
    throw new ConfigError('setup', (error as Error).message);
  }
}

/** Listening needs an address, not a name that may move. */
function checkBindable(url: string): void {
  const m = /^([a-z]+):\/\/(.*)$/.exec(url);
  if (m === null || m[1]?.startsWith('unix') === true) return;
  const at = splitHostPort((m[2] ?? '').replace(/[/?#].*$/, ''));
  if (at !== undefined && at.port > 65535) throw new ConfigError('setup', `listen tcp: address ${at.port}: invalid port`);
  if (at === undefined) throw new ConfigError('verify', `missing port in address (${url})`);
  if (at.host === 'localhost') return;
  if (!/^\d{1,3}(\.\d{1,3}){3}$/.test(at.host) && !at.host.includes(':'))
    throw new ConfigError('verify', `expected IP in URL for binding (${url})`);
}

/** `name=url,…`; a name may come more than once. @throws ConfigError */
export function parseInitialCluster(text: string): ReadonlyMap<string, readonly string[]> {
  const cluster = new Map<string, string[]>();
  for (const part of text.split(',')) {
    if (part === '') continue;
    const at = part.indexOf('=');
    const name = at < 0 ? part : part.slice(0, at);
    try {
      const urls = parseUrls(at < 0 ? '' : part.slice(at + 1));
      cluster.set(name, [...(cluster.get(name) ?? []), ...urls].sort());
    } catch (error) {
      if (!(error instanceof ValueError)) throw error;
      throw new ConfigError('setup', `error setting up initial cluster: ${error.message}`);
    }
  }
  return cluster;
}

/** Gates with `AllAlpha` and `AllBeta` spread to those not set themselves. */
function resolveGates(given: ReadonlyMap<string, boolean>): ReadonlyMap<string, boolean> {
  const all = new Map<string, boolean>();
  for (const gate of featureGates) {
    const group = given.get(gate.stage === 'ALPHA' ? 'AllAlpha' : 'AllBeta');
    const spread = gate.name.startsWith('All') ? undefined : group;
    all.set(gate.name, given.get(gate.name) ?? spread ?? gate.value);
  }
  return all;
}

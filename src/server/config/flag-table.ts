/**
 * Every flag of `etcd` by name: section, kind, default and whether what it switches is built. One row each; parsing, `--help`, environment
 * and config file are all driven by this table. Source: etcd 3.7.1 flag surface.
 */

export type FlagKind =
  | 'string'
  | 'bool'
  | 'uint'
  | 'uint32'
  | 'int'
  /** Go duration on the command line, whole nanoseconds in a config file. */
  | 'duration'
  | 'urls'
  | 'strings'
  | 'gates'
  | 'enum'
  /** Taken and without effect, for command lines of long ago. */
  | 'ignored';

export interface FlagDef {
  readonly section: string;
  readonly name: string;
  readonly kind: FlagKind;
  /** As text, the way the flag would be given. */
  readonly value: string;
  readonly help: string;
  /** Key in the config file, dotted; undefined when there is none. */
  readonly key: string | undefined;
  readonly choices: readonly string[] | undefined;
  /** False: known, and refused by name when set to anything but its default. */
  readonly built: boolean;
  /** Why it is refused for good: what it asks for cannot be had here. */
  readonly reason: string | undefined;
}

interface Extra {
  readonly key?: string | undefined;
  readonly noKey?: boolean;
  readonly choices?: readonly string[];
  readonly notBuilt?: boolean;
  readonly reason?: string;
}

const rows: FlagDef[] = [];

function section(
  title: string,
  add: (flag: (name: string, kind: FlagKind, value: string, help: string, extra?: Extra) => void) => void,
): void {
  add((name, kind, value, help, extra = {}) =>
    rows.push({
      section: title,
      name,
      kind,
      value,
      help,
      key: extra.noKey === true ? undefined : (extra.key ?? name),
      choices: extra.choices,
      built: extra.notBuilt !== true && extra.reason === undefined,
      reason: extra.reason,
    }),
  );
}

section('Member', (flag) => {
  flag('name', 'string', 'default', 'Name of this member, for people.');
  flag('data-dir', 'string', '', 'Data directory; ${name}.etcd when empty.');
  flag('wal-dir', 'string', '', 'A directory of its own for the write-ahead log.');
  flag('snapshot-count', 'uint', '10000', 'Applied entries after which a raft snapshot is taken.');
  flag('heartbeat-interval', 'uint', '100', 'Milliseconds between heartbeats.');
  flag('election-timeout', 'uint', '1000', 'Milliseconds without a leader before an election; at least five heartbeats.');
  flag('initial-election-tick-advance', 'bool', 'true', 'Shorten the first election timeout after start.');
  flag('listen-peer-urls', 'urls', 'http://localhost:2380', 'URLs to listen on for members.');
  flag('listen-client-urls', 'urls', 'http://localhost:2379', 'URLs to listen on for clients (gRPC, and HTTP unless it has its own).');
  flag('listen-client-http-urls', 'urls', '', 'URLs for HTTP clients only; takes HTTP off the client URLs.');
  flag('max-snapshots', 'uint', '5', 'Raft snapshot files kept; 0 keeps all. Deprecated by etcd.');
  flag('max-wals', 'uint', '5', 'WAL files kept; 0 keeps all.');
  flag('memory-mlock', 'bool', 'false', 'Lock memory pages.', {
    reason: 'a JavaScript engine cannot lock its memory; turn swap off, or run the member in a control group without it',
  });
  flag('quota-backend-bytes', 'int', '0', 'Size of the store at which writes are refused; 0 means 2 GiB, negative no limit.');
  flag('backend-bbolt-freelist-type', 'string', '', 'Kind of bbolt free list; the store here has none, so array and map are alike.');
  flag('backend-batch-interval', 'duration', '0s', 'Longest time before the store commits; 0 means 100ms.');
  flag('backend-batch-limit', 'int', '0', 'Most operations before the store commits; 0 means 10000.');
  flag('max-txn-ops', 'uint', '128', 'Operations allowed in one transaction.');
  flag('max-request-bytes', 'uint', '1572864', 'Largest client request in bytes.');
  flag('max-concurrent-streams', 'uint32', '4294967295', 'Streams a client connection may have open.');
  flag('grpc-keepalive-min-time', 'duration', '5s', 'Shortest time a client must leave between pings.');
  flag('grpc-keepalive-interval', 'duration', '2h', 'Time between pings to a client; 0 turns them off.');
  flag('grpc-keepalive-timeout', 'duration', '20s', 'Time a client has to answer a ping; 0 turns it off.');
  flag('socket-reuse-port', 'bool', 'false', 'SO_REUSEPORT on listeners.', {
    key: 'socket-options.reuse-port',
    reason: 'Node shares a port between processes only from 23.1 on; an upgrade of one member needs no shared port',
  });
  flag('socket-reuse-address', 'bool', 'false', 'SO_REUSEADDR on listeners (always set here).', { key: 'socket-options.reuse-address' });
  flag('enable-grpc-gateway', 'bool', 'true', 'Serve the JSON gateway under /v3.');
  flag('raft-read-timeout', 'duration', '5s', 'Read timeout of connections between members; at least 5s.', { noKey: true });
  flag('raft-write-timeout', 'duration', '5s', 'Write timeout of connections between members; at least 5s.', { noKey: true });
  flag('feature-gates', 'gates', '', 'Feature gates, as Name=true|false, comma separated.');
});

section('Clustering', (flag) => {
  flag('initial-advertise-peer-urls', 'urls', 'http://localhost:2380', 'Peer URLs of this member as told to the cluster.');
  flag('initial-cluster', 'string', 'default=http://localhost:2380', 'Members at the first start, as name=url, comma separated.');
  flag('initial-cluster-state', 'enum', 'new', "'new' for a new cluster, 'existing' to join one.", { choices: ['new', 'existing'] });
  flag('initial-cluster-token', 'string', 'etcd-cluster', 'Salt of the ids of a new cluster and its members.');
  flag('advertise-client-urls', 'urls', 'http://localhost:2379', 'Client URLs of this member as told to clients.');
  flag('discovery-token', 'string', '', 'Discovery: token.', { key: 'discovery-config.token' });
  flag('discovery-endpoints', 'strings', '', 'Discovery: endpoints.', { key: 'discovery-config.client.endpoints' });
  flag('discovery-dial-timeout', 'duration', '2s', 'Discovery: time to connect.', {
    key: 'discovery-config.client.dial-timeout',
  });
  flag('discovery-request-timeout', 'duration', '5s', 'Discovery: time of a request.', {
    key: 'discovery-config.client.request-timeout',
  });
  flag('discovery-keepalive-time', 'duration', '2s', 'Discovery: time between pings.', {
    key: 'discovery-config.client.keepalive-time',
  });
  flag('discovery-keepalive-timeout', 'duration', '6s', 'Discovery: time to answer a ping.', {
    key: 'discovery-config.client.keepalive-timeout',
  });
  flag('discovery-insecure-transport', 'bool', 'true', 'Discovery: no TLS.', {
    key: 'discovery-config.client.secure.insecure-transport',
  });
  flag('discovery-insecure-skip-tls-verify', 'bool', 'false', 'Discovery: take any certificate.', {
    key: 'discovery-config.client.secure.insecure-skip-tls-verify',
  });
  flag('discovery-cert', 'string', '', 'Discovery: client certificate.', { key: 'discovery-config.client.secure.cert' });
  flag('discovery-key', 'string', '', 'Discovery: client key.', { key: 'discovery-config.client.secure.key' });
  flag('discovery-cacert', 'string', '', 'Discovery: CA bundle.', { key: 'discovery-config.client.secure.cacert' });
  flag('discovery-user', 'string', '', 'Discovery: user, or user:password.', {
    key: 'discovery-config.client.auth.username',
  });
  flag('discovery-password', 'string', '', 'Discovery: password.', { key: 'discovery-config.client.auth.password' });
  flag('discovery-fallback', 'enum', 'exit', "What to do when discovery fails; only 'exit'.", { noKey: true, choices: ['exit', 'proxy'] });
  flag('discovery-srv', 'string', '', 'DNS domain whose SRV records name the members.');
  flag('discovery-srv-name', 'string', '', 'Suffix of the SRV service name.');
  flag('strict-reconfig-check', 'bool', 'true', 'Refuse membership changes that would lose the quorum.');
  flag('pre-vote', 'bool', 'true', 'Ask before an election whether it could be won.');
  flag('auto-compaction-retention', 'string', '0', 'What auto-compaction keeps; 0 turns it off.');
  flag(
    'auto-compaction-mode',
    'string',
    'periodic',
    "'periodic' (a duration, hours without a unit) or 'revision' (a number of revisions).",
  );
  flag('v2-deprecation', 'enum', 'write-only', 'Without effect, as in etcd.', {
    choices: ['write-only', 'write-only-skip-check', 'write-only-drop-data', 'gone'],
  });
});

const client = 'client-transport-security';
const peer = 'peer-transport-security';
section('Security', (flag) => {
  const tls = (name: string, kind: FlagKind, value: string, help: string, key: string | undefined): void =>
    flag(name, kind, value, help, key === undefined ? { noKey: true } : { key });
  tls('cert-file', 'string', '', 'Certificate for clients.', `${client}.cert-file`);
  tls('key-file', 'string', '', 'Key of that certificate.', `${client}.key-file`);
  tls('client-cert-auth', 'bool', 'false', 'Demand a certificate of clients.', `${client}.client-cert-auth`);
  tls('client-cert-file', 'string', '', 'Certificate this member shows as a client.', `${client}.client-cert-file`);
  tls('client-key-file', 'string', '', 'Key of that certificate.', `${client}.client-key-file`);
  tls('client-crl-file', 'string', '', 'Revoked client certificates.', undefined);
  tls('client-cert-allowed-hostname', 'strings', '', 'Names allowed in client certificates.', `${client}.allowed-hostname`);
  tls('trusted-ca-file', 'string', '', 'CA of client certificates.', `${client}.trusted-ca-file`);
  tls('auto-tls', 'bool', 'false', 'Make certificates for clients.', `${client}.auto-tls`);
  tls('peer-cert-file', 'string', '', 'Certificate for members.', `${peer}.cert-file`);
  tls('peer-key-file', 'string', '', 'Key of that certificate.', `${peer}.key-file`);
  tls('peer-client-cert-auth', 'bool', 'false', 'Demand a certificate of members.', `${peer}.client-cert-auth`);
  tls('peer-client-cert-file', 'string', '', 'Certificate this member shows to members.', `${peer}.client-cert-file`);
  tls('peer-client-key-file', 'string', '', 'Key of that certificate.', `${peer}.client-key-file`);
  tls('peer-trusted-ca-file', 'string', '', 'CA of members.', `${peer}.trusted-ca-file`);
  tls('peer-cert-allowed-cn', 'strings', '', 'Common names allowed in certificates of members.', `${peer}.allowed-cn`);
  tls('peer-cert-allowed-hostname', 'strings', '', 'Names allowed in certificates of members.', `${peer}.allowed-hostname`);
  tls('peer-auto-tls', 'bool', 'false', 'Make certificates for members.', `${peer}.auto-tls`);
  tls('self-signed-cert-validity', 'uint', '1', 'Years a made certificate lasts.', 'self-signed-cert-validity');
  tls('peer-crl-file', 'string', '', 'Revoked certificates of members.', undefined);
  tls(
    'peer-skip-client-san-verification',
    'bool',
    'false',
    'No check of names in certificates of members.',
    `${peer}.skip-client-san-verification`,
  );
  tls('cipher-suites', 'strings', '', 'TLS cipher suites.', 'cipher-suites');
  flag('cors', 'urls', '*', 'Origins allowed to call; * means all.');
  flag('host-whitelist', 'strings', '*', 'Host names answered to without TLS; * means all.');
  tls('tls-min-version', 'string', 'TLS1.2', 'Lowest TLS version: TLS1.2 or TLS1.3.', 'tls-min-version');
  tls('tls-max-version', 'string', '', 'Highest TLS version: TLS1.2 or TLS1.3.', 'tls-max-version');
});

section('Auth', (flag) => {
  flag('auth-token', 'string', 'simple', "Kind of token: 'simple', or 'jwt' with options.");
  flag('bcrypt-cost', 'uint', '10', 'Cost of password hashes, 4 to 31.');
  flag('auth-token-ttl', 'uint', '300', 'Seconds a simple token lasts without use.');
});

section('Profiling and Monitoring', (flag) => {
  flag('enable-pprof', 'bool', 'false', 'Serve CPU and heap profiles of V8 under /debug/pprof.');
  flag('metrics', 'string', 'basic', "'extensive' adds histograms of gRPC calls.");
  flag('listen-metrics-urls', 'urls', '', 'More URLs for /metrics and /health.');
});

section('Logging', (flag) => {
  flag('logger', 'string', 'zap', "Shape of the log; only 'zap'.");
  flag('log-outputs', 'strings', 'default', "'stderr', 'stdout' or file paths, comma separated.");
  flag('log-level', 'string', 'info', 'debug, info, warn, error, panic or fatal.');
  flag('log-format', 'string', 'json', 'json or console.');
  flag('enable-log-rotation', 'bool', 'false', 'Replace the log file when it is full.');
  flag(
    'log-rotation-config-json',
    'string',
    '{"maxsize": 100, "maxage": 0, "maxbackups": 0, "localtime": false, "compress": false}',
    'When and how: megabytes, days and files kept, local time in names, gzip.',
  );
  flag('warning-unary-request-duration', 'duration', '300ms', 'A call that takes longer is logged.');
});

section('Distributed tracing', (flag) => {
  flag('enable-distributed-tracing', 'bool', 'false', 'Send traces to a collector.');
  flag('distributed-tracing-address', 'string', 'localhost:4317', 'Address of the collector.');
  flag('distributed-tracing-service-name', 'string', 'etcd', 'Service name in traces.');
  flag('distributed-tracing-instance-id', 'string', '', 'Instance id in traces.');
  flag('distributed-tracing-sampling-rate', 'int', '0', 'Samples in a million spans.');
});

section('Features', (flag) => {
  flag('corrupt-check-time', 'duration', '0s', 'Time between checks of the content among members; 0 is off.');
  flag('compact-hash-check-time', 'duration', '1m0s', "Time between the leader's checks of compaction hashes.");
  flag('compaction-batch-limit', 'int', '0', 'Revisions a compaction batch looks at; 0 means 1000.');
  flag('compaction-sleep-interval', 'duration', '0s', 'Pause between compaction batches; 0 means 10ms.');
  flag('watch-progress-notify-interval', 'duration', '0s', 'Time between progress notifications; 0 means 10m.');
  flag('warning-apply-duration', 'duration', '100ms', 'An apply that takes longer is logged.');
  flag('bootstrap-defrag-threshold-megabytes', 'uint', '0', 'Defragment at start when that gives back so much; 0 is off.');
  flag('max-learners', 'int', '1', 'Learners allowed.');
  flag('snapshot-catchup-entries', 'uint', '5000', 'Raft entries kept behind a snapshot for slow followers.');
  flag('downgrade-check-time', 'duration', '5s', 'Time between checks of a downgrade.');
});

section('Unsafe feature', (flag) => {
  flag('force-new-cluster', 'bool', 'false', 'Make a one-member cluster of this data directory.');
  flag('unsafe-no-fsync', 'bool', 'false', 'Never sync: a crash of the machine loses data.');
});

section('Meta', (flag) => {
  flag('config-file', 'string', '', 'YAML or JSON file with the configuration; flags and environment are then left aside.', {
    noKey: true,
  });
  flag('version', 'bool', 'false', 'Print the version and exit.', { noKey: true });
  flag('help', 'bool', 'false', 'Print this and exit.', { noKey: true });
  flag('h', 'bool', 'false', 'Print this and exit.', { noKey: true });
});

section('Ignored', (flag) => {
  for (const name of [
    'cluster-active-size',
    'cluster-remove-delay',
    'cluster-sync-interval',
    'config',
    'force',
    'max-result-buffer',
    'max-retry-attempts',
    'peer-heartbeat-interval',
    'peer-election-timeout',
    'retry-interval',
    'snapshot',
    'v',
    'vv',
    'test.coverprofile',
    'test.outputdir',
  ]) {
    flag(name, 'ignored', '', '', { noKey: true });
  }
});

export const flagTable: readonly FlagDef[] = rows;

/** Feature gates with stage and default. */
export const featureGates: readonly {
  readonly name: string;
  readonly value: boolean;
  readonly stage: 'ALPHA' | 'BETA';
}[] = [
  { name: 'AllAlpha', value: false, stage: 'ALPHA' },
  { name: 'AllBeta', value: false, stage: 'BETA' },
  { name: 'CompactHashCheck', value: false, stage: 'ALPHA' },
  { name: 'FastLeaseKeepAlive', value: true, stage: 'BETA' },
  { name: 'InitialCorruptCheck', value: false, stage: 'ALPHA' },
  { name: 'LeaseCheckpoint', value: false, stage: 'ALPHA' },
  { name: 'LeaseCheckpointPersist', value: false, stage: 'ALPHA' },
  { name: 'PriorityRequest', value: false, stage: 'ALPHA' },
  { name: 'SetMemberLocalAddr', value: false, stage: 'ALPHA' },
  { name: 'StopGRPCServiceOnDefrag', value: false, stage: 'ALPHA' },
  { name: 'TxnModeWriteWithSharedBuffer', value: true, stage: 'BETA' },
];

export function envName(flag: string): string {
  return `ETCD_${flag.toUpperCase().replaceAll('-', '_')}`;
}

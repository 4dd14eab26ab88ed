import type { TlsConfig, TlsVersion } from './tls.ts';

/** The frozen configuration of a member. Nothing below reads the environment or argv. Durations in ms, sizes in bytes. */
export interface ServerConfig {
  readonly name: string;
  readonly dataDir: string;
  /** Empty: `<data-dir>/member/wal`. */
  readonly walDir: string;
  readonly listenPeerUrls: readonly string[];
  readonly listenClientUrls: readonly string[];
  /** For HTTP alone; when there are any, the client URLs serve gRPC alone. */
  readonly listenClientHttpUrls: readonly string[];
  readonly listenMetricsUrls: readonly string[];
  readonly advertiseClientUrls: readonly string[];
  readonly initialAdvertisePeerUrls: readonly string[];
  /** name → peer URLs. */
  readonly initialCluster: ReadonlyMap<string, readonly string[]>;
  readonly initialClusterState: 'new' | 'existing';
  readonly initialClusterToken: string;
  /** How a new member finds the initial cluster, when that is not given. */
  readonly discovery: SrvDiscovery | TokenDiscovery | undefined;
  readonly forceNewCluster: boolean;
  readonly strictReconfigCheck: boolean;
  readonly initialElectionTickAdvance: boolean;
  readonly preVote: boolean;
  readonly heartbeatMs: number;
  readonly electionMs: number;
  readonly snapshotCount: number;
  readonly snapshotCatchupEntries: number;
  readonly maxSnapshots: number;
  readonly maxWals: number;
  readonly maxTxnOps: number;
  readonly maxRequestBytes: number;
  readonly maxConcurrentStreams: number;
  readonly maxLearners: number;
  /** 0 = the default 2 GiB; negative = no limit. */
  readonly quotaBackendBytes: number;
  readonly backendBatchIntervalMs: number;
  readonly backendBatchLimit: number;
  readonly autoCompactionMode: '' | 'periodic' | 'revision';
  readonly autoCompactionRetention: string;
  readonly compactionBatchLimit: number;
  readonly compactionSleepMs: number;
  readonly watchProgressNotifyMs: number;
  readonly warningApplyMs: number;
  readonly warningUnaryRequestMs: number;
  readonly grpcKeepaliveMinMs: number;
  readonly grpcKeepaliveIntervalMs: number;
  readonly grpcKeepaliveTimeoutMs: number;
  readonly unsafeNoFsync: boolean;
  readonly corruptCheckTimeMs: number;
  readonly initialCorruptCheck: boolean;
  readonly compactHashCheckTimeMs: number;
  readonly compactHashCheckEnabled: boolean;
  readonly bcryptCost: number;
  readonly authToken: string;
  readonly authTokenTtlSeconds: number;
  readonly leaseCheckpoint: boolean;
  readonly leaseCheckpointPersist: boolean;
  readonly enableGrpcGateway: boolean;
  /** Origins of `--cors`; `['*']` allows all. */
  readonly cors: readonly string[];
  /** Host names answered to without TLS; `['*']` allows all. */
  readonly hostWhitelist: readonly string[];
  /** Client ports: who they are and whom they let in. */
  readonly clientTls: TlsConfig;
  readonly peerTls: TlsConfig;
  /** Go's names, as given; empty: the default. */
  readonly cipherSuites: readonly string[];
  /** The same for OpenSSL, with the default filled in. */
  readonly cipherList: string;
  readonly tlsMinVersion: TlsVersion;
  /** Undefined: the highest there is. */
  readonly tlsMaxVersion: TlsVersion | undefined;
  readonly selfSignedCertValidityYears: number;
  /** Serve profiles and the log level under /debug. */
  readonly enablePprof: boolean;
  readonly metricsLevel: 'basic' | 'extensive';
  readonly logLevel: string;
  readonly logFormat: 'json' | 'console';
  readonly logOutputs: readonly string[];
  /** Parsed retention: ms when periodic, revisions otherwise; 0 = off. */
  readonly autoCompactionRetentionValue: number;
  readonly bootstrapDefragThresholdMb: number;
  readonly raftReadTimeoutMs: number;
  readonly raftWriteTimeoutMs: number;
  readonly downgradeCheckMs: number;
  /** 10,000 instead of 5,000 unapplied entries for requests that must get through (gate PriorityRequest). */
  readonly priorityRequest: boolean;
  /** Undefined: off. */
  readonly tracing: TracingConfig | undefined;
  readonly featureGates: ReadonlyMap<string, boolean>;
}

/** Spans that go to a collector. */
export interface TracingConfig {
  /** `host:port`. */
  readonly address: string;
  readonly serviceName: string;
  /** Empty: none. */
  readonly instanceId: string;
  /** Of calls that come without a decision of their caller. */
  readonly samplesPerMillion: number;
}

/** By SRV records: `_etcd-server-ssl-NAME._tcp.DOMAIN` and `_etcd-server-NAME._tcp.DOMAIN`. */
export interface SrvDiscovery {
  readonly kind: 'srv';
  readonly domain: string;
  /** Empty: none. */
  readonly serviceName: string;
}

/** By a registry in another cluster. Empty paths and names: none. */
export interface TokenDiscovery {
  readonly kind: 'token';
  readonly token: string;
  readonly endpoints: readonly string[];
  readonly dialTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly keepaliveMs: number;
  readonly keepaliveTimeoutMs: number;
  readonly insecureTransport: boolean;
  readonly insecureSkipVerify: boolean;
  readonly certFile: string;
  readonly keyFile: string;
  readonly caFile: string;
  readonly user: string;
  readonly password: string;
}

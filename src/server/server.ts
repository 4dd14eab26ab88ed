/**
 * A whole member: builds every part in order, stops them in reverse. Nothing here is about the process (signals, exit codes, argv): that is
 * the entry's, so that a member can live inside a test.
 */
import type { Clock } from '../base/clock.ts';
import type { Disk, DiskError, DiskLock } from '../base/disk.ts';
import { formatDuration } from '../base/duration.ts';
import { humanBytes } from '../base/human-bytes.ts';
import { invariant } from '../base/invariant.ts';
import type { Log, LogFields } from '../base/log.ts';
import type { Random } from '../base/random.ts';
import type { RaftMachine } from '../raft/machine.ts';
import { RawNode } from '../raft/raw-node.ts';
import type { SnapshotMetadata } from '../raft/types.ts';
import { HandlerTable } from '../wire/call.ts';
import type { HttpHandler } from '../wire/http.ts';
import type { UpgradeHandler } from '../wire/http.ts';
import { InProcessChannel } from '../wire/in-process.ts';
import { defaultWireLimits, type WireLimits } from '../wire/limits.ts';
import type { RuntimeFigures } from '../base/runtime-figures.ts';
import type { TlsFiles } from '../host/tls-files.ts';
import type { Listener, ListenerTls } from '../wire/listener.ts';
import { BucketAlarmStore } from './alarm/bucket-alarm-store.ts';
import { Applier } from './apply/applier.ts';
import { BackendQuota } from './apply/quota.ts';
import { BucketAuthStore } from './auth/bucket-auth-store.ts';
import type { PasswordHasher } from './auth/password-hasher.ts';
import type { TokenProvider } from './auth/tokens.ts';
import { BackendSlot } from './backend-slot.ts';
import { bootstrap, checkInitialCluster, isInitialized, type RemoteClusterSource } from './bootstrap/bootstrap.ts';
import { type DataPaths, dataPaths, DataRefused, openDataDir } from './bootstrap/data-dir.ts';
import { exportDatabase, leaveDatabaseFile, settleDatabase } from './bootstrap/database-file.ts';
import { installDatabase } from './bootstrap/received-database.ts';
import type { ServerConfig } from './config/config.ts';
import { featureGates } from './config/flag-table.ts';
import { isSecureUrl } from './config/tls.ts';
import { serverVersion } from './config/usage.ts';
import type { DurableLog, SnapshotFiles } from './consensus/durable.ts';
import { Member } from './consensus/member.ts';
import { nullTransport, type PeerTransport } from './consensus/peer-transport.ts';
import { addressText, ReservedPort } from './http/addresses.ts';
import { Gateway } from './http/gateway.ts';
import { upgradeGateway } from './http/gateway-websocket.ts';
import { handlerErrors } from './handler-errors.ts';
import { HealthPages } from './http/health.ts';
import { clientRoutes, metricsRoutes, type RoutesOptions, mayUpgrade } from './http/routes.ts';
import { RequestLog } from './http/request-log.ts';
import { type ProcessFigures, ServerMetrics } from './http/server-metrics.ts';
import { LeaseStore, minLeaseTtl } from './lease/lease-store.ts';
import { startAutoCompaction } from './maintenance/auto-compaction.ts';
import { CorruptionMonitor } from './maintenance/corruption.ts';
import { startPurge } from './maintenance/purge.ts';
import { BucketCluster } from './membership/bucket-cluster.ts';
import { Store } from './mvcc/store.ts';
import { loggedDefragment } from './storage/logged-defragment.ts';
import { MeteredDisk } from './metered-disk.ts';
import { registerServices } from './services/services.ts';
import type { Tracing } from './tracing/tracing.ts';
import type { SnapshotSource } from './services/snapshot-source.ts';
import type { Backend, BackendOptions } from './storage/backend.ts';
import { BoltSnapshot } from './storage/bbolt/bolt-snapshot.ts';
import { defaultBackendOptions, type LogBackend, openBackend } from './storage/revlog/log-backend.ts';
import type { Snapshotter } from './storage/snap/snapshotter.ts';
import { hex16 } from './storage/wal/format.ts';
import type { WAL } from './storage/wal/wal.ts';

/** Time open calls get to end when the member stops. */
const graceMs = 2000;
/** etcd's raft settings. */
const maxSizePerMsgBytes = 1 << 20;
const maxInflightMsgs = 512;
/** Committed entries handed out and not yet applied: a slow apply must not gather them without bound. */
const maxCommittedBytes = 64 << 20;
/** Time between checkpoints of one lease. */
const checkpointIntervalMs = 5 * 60_000;

export interface ServerOptions {
  readonly config: ServerConfig;
  readonly disk: Disk;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly hasher: PasswordHasher;
  /** Made from `config.authToken`. */
  readonly tokens: TokenProvider;
  readonly runtime: {
    readonly name: string;
    readonly os: string;
    readonly arch: string;
    readonly cpus: number;
    readonly argv: readonly string[];
  };
  readonly figures?: ProcessFigures | undefined;
  readonly runtimeFigures?: RuntimeFigures | undefined;
  /** What the process adds to `/debug/vars`. */
  readonly debugVars?: (() => Readonly<Record<string, unknown>>) | undefined;
  /** The log's level, to be changed while it runs. */
  readonly logLevel?: { level(): string; setLevel(level: string): boolean } | undefined;
  /** False for a member that is only called inside the process. */
  readonly listen: boolean;
  /** The peers' side; a member alone needs none. */
  readonly transport?: PeerTransport | undefined;
  /** With `transport`: how a member that joins asks the cluster. */
  readonly remote?: RemoteClusterSource | undefined;
  /** Other sizes than a server's, so that little data goes through what otherwise takes much: for simulations. */
  readonly sizes?: StorageSizes | undefined;
  /** Builds a store's directory from a bbolt file, off the event loop; without it that is done on the loop, in slices. */
  readonly buildStore?: ((from: string, to: string) => Promise<void>) | undefined;
  /** An orderly stop leaves `member/snap/db` as etcd's bbolt file, for etcd and its tools to go on with. */
  readonly databaseFile?: boolean | undefined;
  /**
   * A directory that was etcd's from the first is taken over, as a newer etcd takes over an older one's: the program was called by the name `etcd`. Absent,
   * it is refused.
   */
  readonly upgradesEtcd?: boolean | undefined;
  /** The member is built and begins to talk to others; it serves clients only when `startServer` resolves. */
  readonly onBuilt?: ((server: RunningServer) => void) | undefined;
  /**
   * The member cannot go on: its disk failed, or it was removed from the cluster. The caller ends the process or the embedded member; nothing
   * is acknowledged any more.
   */
  readonly onFatal: (error: Error) => void;
}

export interface StorageSizes {
  readonly walSegmentBytes: number;
  readonly store: Pick<BackendOptions, 'segmentBytes' | 'cacheBytes' | 'checkpointBytes'>;
  /** Applied entries between two cuts of raft's log in memory. */
  readonly logCutEntries: number;
  /** Payload of one raft message; a larger entry travels alone. */
  readonly raftMessageBytes: number;
}

/** The member has applied its own removal from the cluster. */
export class MemberRemoved extends Error {
  readonly code = 'member-removed';
}

export interface RunningServer {
  readonly member: Member;
  /** For those who watch it; it is driven by the member alone. */
  readonly raft: RaftMachine;
  readonly table: HandlerTable;
  readonly metrics: ServerMetrics;
  /** URLs with the ports that the system picked. */
  readonly clientUrls: readonly string[];
  readonly peerUrls: readonly string[];
  readonly metricsUrls: readonly string[];
  /** A way to call this member inside the process. */
  channel(): InProcessChannel;
  stop(): Promise<void>;
}

/** Resolves once the member serves clients. @throws what keeps it from starting: BootstrapError, DataRefused, DiskError, WalError, … */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const undo: (() => void | Promise<void>)[] = [];
  const stopAll = async (): Promise<void> => {
    for (const fn of undo.splice(0).reverse()) await fn();
  };
  try {
    return await build(options, undo, stopAll);
  } catch (error) {
    await stopAll();
    throw error;
  }
}

async function build(options: ServerOptions, undo: (() => void | Promise<void>)[], stopAll: () => Promise<void>): Promise<RunningServer> {
  const { config, disk, clock, random, log, listen, runtime } = options;
  const started = clock.mono();

  // A worker takes some 50 ms to start: it does so while everything else is read and bound.
  const walThread = disk.thread('wal');
  undo.push(() => walThread.close());
  const ports = listen ? await reservePorts(config, log, undo) : { client: [], http: [], peer: [], metrics: [] };
  // Files that cannot be used keep the member from starting before it touches any data.
  const tls = listen ? await openTls(config, log) : undefined;
  const peerTls = listen ? await openPeerTls(config, log) : undefined;
  const paths = dataPaths(config);
  const initialized = isInitialized(disk, paths);
  logStart(options, initialized);
  if (!initialized) checkInitialCluster(config);

  const lock: DiskLock = openDataDir(disk, paths, log);
  undo.push(() => lock.release());
  const database = settleDatabase(disk, paths.snapDir);
  if (database === 'foreign' && options.upgradesEtcd !== true) throw new DataRefused(foreignDatabase(paths));
  if (database === 'foreign' || database === 'changed') await takeOver(options, paths);

  let fatal = false;
  const onFatal = (error: Error): void => {
    if (fatal) return;
    fatal = true;
    options.onFatal(error);
  };
  const metrics = new ServerMetrics(config.metricsLevel, clock);

  const openStart = clock.mono();
  const storeDisk = new MeteredDisk(disk, clock, metrics.committed);
  const openStore = (): LogBackend =>
    openBackend({
      ...defaultBackendOptions,
      ...options.sizes?.store,
      disk: storeDisk,
      clock,
      log,
      dir: paths.backendDir,
      batchIntervalMs: config.backendBatchIntervalMs,
      batchOps: config.backendBatchLimit,
      onError: onFatal,
    });
  const opened = openStore();
  /** The store in use, and its slot. A received snapshot puts another in its place. */
  let store = opened;
  const slot = new BackendSlot(opened);
  const swapStore = (metadata: SnapshotMetadata, swapped: (next: Backend) => void): Promise<void> =>
    installDatabase(
      {
        disk,
        clock,
        log,
        path: `${paths.snapDir}/${hex16(metadata.index)}.snap.db`,
        snapDir: paths.snapDir,
        backendDir: paths.backendDir,
        metadata,
        former: store,
        open: openStore,
        build: options.buildStore,
      },
      (next) => {
        store = next;
        slot.current = next;
        swapped(next);
      },
    );
  const leaveFile = async (backend: Backend): Promise<boolean> => {
    try {
      return await exportDatabase({ disk, clock, log, snapDir: paths.snapDir, backend });
    } catch (error) {
      // Convenience for others; the store is whole without it.
      log.warn('failed to write the store as a bbolt file', { error: error instanceof Error ? error : new Error(String(error)) });
      return false;
    }
  };
  let backendOpen = true;
  undo.push(async () => {
    if (backendOpen && !fatal) {
      const exported = options.databaseFile === true && (await leaveFile(slot.current));
      await slot.current.close();
      if (exported) leaveDatabaseFile(disk, paths.snapDir);
    }
    backendOpen = false;
  });
  log.info('opened backend db', { path: paths.backendDir, took: formatDuration(clock.mono() - openStart) });
  log.info('restore consistentIndex', { index: opened.consistentIndex });
  await maybeDefragment(config, opened, log, clock, paths.backendDir);

  log.info('bootstrapping cluster');
  log.info('bootstrapping storage');
  const peers = listen && options.transport === undefined ? await import('./peer-side.ts') : undefined;
  // Other members that start ask this one for its cluster: an answer that there is none yet spares them the wait.
  let peerHandler: HttpHandler = stillStarting;
  const peerDoor =
    peers === undefined ? undefined : await openPeerDoor(options, peerTls, (request, response) => peerHandler(request, response));
  if (peerDoor !== undefined) {
    for (const port of ports.peer) {
      const close = peerDoor(port);
      undo.push(async () => {
        log.info('stopping serving peer traffic', { address: addressText(port.url) });
        await close();
        log.info('stopped serving peer traffic', { address: addressText(port.url) });
      });
    }
  }
  const state = await bootstrap({
    config,
    serverVersion,
    disk,
    clock,
    log,
    paths,
    backend: opened,
    walObserver: metrics.wal,
    walSegmentBytes: options.sizes?.walSegmentBytes,
    snapshotEncoding: () => {
      const start = clock.mono();
      return () => metrics.snapshotEncode.observe((clock.mono() - start) / 1000);
    },
    onDiskError: (error: DiskError) => onFatal(error),
    remote: options.remote ?? peers?.remoteCluster(config, clock, log, peerTls),
    installDatabase: async (metadata) => {
      await swapStore(metadata, () => {});
      return store;
    },
  });
  const { memberId, clusterId, wal, snapshotter, backend } = state;
  undo.push(async () => {
    snapshotter.close();
    await wal.close();
  });
  if (state.repaired) metrics.walRepairs.inc();
  if (initialized) {
    log.info('recovered v3 backend', {
      'backend-size-bytes': backend.sizeBytes,
      'backend-size': humanBytes(backend.sizeBytes),
      'backend-size-in-use-bytes': backend.sizeInUseBytes,
      'backend-size-in-use': humanBytes(backend.sizeInUseBytes),
    });
  }
  log.info('bootstrapping raft');
  log.info('starting local member', { 'local-member-id': memberId, 'cluster-id': clusterId });
  log.info('bootstrap successfully');

  const raftLog = log.named('raft');
  const raft = new RawNode({
    id: memberId,
    electionTicks: Math.floor(config.electionMs / config.heartbeatMs),
    heartbeatTicks: 1,
    preVote: config.preVote,
    checkQuorum: true,
    leaseBasedReads: false,
    maxSizePerMsgBytes: options.sizes?.raftMessageBytes ?? maxSizePerMsgBytes,
    maxInflightMsgs,
    maxInflightBytes: 0,
    maxUncommittedBytes: 0,
    maxCommittedBytes,
    disableProposalForwarding: false,
    random,
    log: raftLog,
    initial: state.raftInitial,
  });

  let toldRemoved = false;
  const removed = (): void => {
    const error = 'the member has been permanently removed from the cluster';
    if (!toldRemoved) {
      log.warn('server error', { error });
      log.warn('data-dir used by this member must be removed');
    }
    toldRemoved = true;
    onFatal(new MemberRemoved(error));
  };

  const cluster = new BucketCluster(slot, clusterId);
  const lessor = new LeaseStore({
    clock,
    backend: slot,
    minTtl: minLeaseTtl(config.electionMs, config.heartbeatMs),
    checkpointIntervalMs: config.leaseCheckpoint ? checkpointIntervalMs : undefined,
    persistCheckpoints: () => config.leaseCheckpointPersist || (cluster.version !== undefined && cluster.version >= '3.6.0'),
  });
  const auth = new BucketAuthStore({
    backend: slot,
    tokens: options.tokens,
    hasher: options.hasher,
    bcryptCost: config.bcryptCost,
    certificateUsers: config.clientTls.clientCertAuth,
    log,
  });
  undo.push(() => auth.close());
  if (config.authToken.startsWith('simple')) log.warn('simple token is not cryptographically signed');
  const kv = new Store({
    backend,
    clock,
    log,
    compactionBatchRows: config.compactionBatchLimit,
    compactionSleepMs: config.compactionSleepMs,
  });
  undo.push(() => kv.close());
  for (const m of cluster.members()) {
    log.info('recovered/added member from store', {
      'cluster-id': clusterId,
      'local-member-id': memberId,
      'recovered-remote-peer-id': m.id,
      'recovered-remote-peer-urls': m.peerUrls,
      'recovered-remote-peer-is-learner': m.isLearner,
    });
  }
  if (cluster.version !== undefined)
    log.info('set cluster version from store', { 'cluster-version': cluster.version.split('.', 2).join('.') });
  log.info('kvstore restored', { 'current-rev': kv.currentRev });
  logQuota(config, log);
  const alarms = new BucketAlarmStore(slot);
  const applier = new Applier({
    kv,
    backend: slot,
    lessor,
    alarms,
    auth,
    cluster,
    quota: new BackendQuota(config.quotaBackendBytes, slot),
  });

  const side = peers?.peerSide({
    config,
    clock,
    log,
    disk,
    registry: metrics.registry,
    memberId,
    clusterId,
    serverVersion,
    snapDir: paths.snapDir,
    databasePath: (index) => snapshotter.databasePath(index),
    tls: peerTls,
    onRemoved: removed,
  });
  undo.push(() => side?.close());
  const transport = options.transport ?? side?.transport ?? nullTransport;

  const member: Member = new Member({
    config,
    serverVersion,
    memberId,
    clusterId,
    clock,
    random,
    log,
    raft,
    durableLog: durableLog(wal, raft),
    snapshots: snapshotFiles(snapshotter, metrics, clock, onFatal),
    transport,
    snapshotIndex: state.snapshotIndex,
    remotes: state.remotes,
    logCutEntries: options.sizes?.logCutEntries,
    backend,
    kv,
    lessor,
    auth,
    alarms,
    cluster,
    applier,
    installSnapshot(snapshot, done) {
      const { metadata } = snapshot;
      invariant(metadata !== undefined, 'a received snapshot has a position');
      let next: Backend | undefined;
      swapStore(metadata, (opened) => {
        next = opened;
        const restore = (name: string, work: () => void, fields?: LogFields): void => {
          log.info(`restoring ${name}`);
          work();
          log.info(`restored ${name}`, fields);
        };
        restore('lease store', () => lessor.restore());
        restore('mvcc store', () => kv.restore(opened), { 'consistent-index': opened.consistentIndex });
        restore('alarm store', () => alarms.restore());
        restore('auth store', () => auth.restore());
        restore('cluster configuration', () => cluster.restore());
        member.swapBackend(opened);
      }).then(
        () => {
          done(next as Backend);
          snapshotter.releaseDatabases(metadata.index + 1);
        },
        (error: unknown) => onFatal(error instanceof Error ? error : new Error(String(error))),
      );
    },
    onApplied: metrics.applied,
    onRemoved: removed,
  });
  raft.snapshotSource = () => {
    const index = member.appliedIndex;
    const term = raft.termAt(index);
    return term === undefined ? undefined : member.snapshotOf(index, term);
  };

  side?.bind(member);

  const table = new HandlerTable();
  const snapshots: SnapshotSource = { open: () => new BoltSnapshot({ view: member.backend.view(), clock }) };
  registerServices(table, member, { snapshots, watchTimes: metrics.watchTimes });
  metrics.countClients(table);
  metrics.bindMember(member, { server: serverVersion, runtime: runtime.name });
  if (options.figures !== undefined) metrics.bindProcess(options.figures);
  if (options.figures !== undefined && options.runtimeFigures !== undefined) metrics.bindRuntime(options.runtimeFigures, options.figures);
  if (options.hasher.stats !== undefined) metrics.bindPasswords(options.hasher.stats);

  log.info('starting etcd server', {
    'local-member-id': memberId,
    'local-server-version': serverVersion,
    ...(cluster.version === undefined
      ? { 'cluster-version': 'to_be_decided' }
      : { 'cluster-id': clusterId, 'cluster-version': cluster.version }),
  });
  log.info('now serving peer/client/metrics', {
    'local-member-id': memberId,
    'initial-advertise-peer-urls': config.initialAdvertisePeerUrls,
    'listen-peer-urls': config.listenPeerUrls,
    'advertise-client-urls': config.advertiseClientUrls,
    'listen-client-urls': config.listenClientUrls,
    'listen-metrics-urls': config.listenMetricsUrls,
  });

  const tracing = listen ? await openTracing(options) : undefined;
  if (tracing !== undefined) undo.push(() => tracing.close());
  const front = listen ? await openFront(options, member, table, metrics, tls, tracing) : undefined;
  if (front !== undefined) {
    for (const port of ports.metrics) {
      log.info('serving metrics', { address: port.url });
      undo.push(front.serveMetrics(port));
    }
  }

  const onHandlerError = handlerErrors(log, onFatal);
  const channels = new Set<InProcessChannel>();
  const running: RunningServer = {
    member,
    raft,
    table,
    metrics,
    clientUrls: ports.client.map((p) => p.boundUrl),
    peerUrls: ports.peer.map((p) => p.boundUrl),
    metricsUrls: ports.metrics.map((p) => p.boundUrl),
    channel() {
      const channel = new InProcessChannel({ table, clock, observer: metrics.observer(), onHandlerError });
      channels.add(channel);
      return channel;
    },
    async stop() {
      await new Promise<void>((resolve) => member.handOver(resolve));
      // Streams and waiting calls end first, with "server stopped", so that the listeners have nothing left to wait for.
      member.stop();
      await stopAll();
      for (const channel of channels) channel.close();
    },
  };
  options.onBuilt?.(running);

  await new Promise<void>((resolve) => {
    member.start(resolve);
    peerHandler = side?.handler ?? noPeers;
    undo.push(() => member.stop());
    const purge = startPurge({ config, clock, log, wal, snapshotter, walDir: paths.walDir, snapDir: paths.snapDir });
    undo.push(() => purge.stop());
    for (const port of ports.peer) log.info('serving peer traffic', { address: addressText(port.url) });
  });
  const corruption = new CorruptionMonitor(member, transport);
  if (config.initialCorruptCheck && initialized) await corruption.checkAtStart();
  corruption.start();
  undo.push(() => corruption.stop());
  const compaction = startAutoCompaction(member, log);
  undo.push(() => compaction.stop());

  if (front !== undefined) {
    const insecurely = 'serving client traffic insecurely; this is strongly discouraged!';
    const serving = (port: ReservedPort): string => (isSecureUrl(port.url) ? 'serving client traffic securely' : insecurely);
    for (const port of ports.client) {
      log.info('ready to serve client requests');
      undo.push(told(log, port, front.serveClients(port)));
      if (port.plainToo) log.info(insecurely, { traffic: ports.http.length > 0 ? 'grpc' : 'grpc+http', address: addressText(port.url) });
      log.info(serving(port), { traffic: ports.http.length > 0 ? 'grpc' : 'grpc+http', address: addressText(port.url) });
    }
    for (const port of ports.http) {
      log.info('ready to serve client requests');
      undo.push(front.serveHttp(port));
      log.info(serving(port), { traffic: 'http', address: addressText(port.url) });
    }
  }
  log.debug('started', { took: formatDuration(clock.mono() - started) });
  return running;
}

/** Moving a member from etcd is a step of its own: a directory given by mistake stays as it is. */
function foreignDatabase(paths: DataPaths): string {
  return `${paths.backendDir} is a bbolt file of etcd; make a data directory of tsetcd from it with: tsetcd util migrate-from-etcd --data-dir ${paths.dataDir} --to NEW`;
}

/** etcd's own database takes the store's place. */
async function takeOver({ disk, clock, log }: ServerOptions, paths: DataPaths): Promise<void> {
  const start = clock.mono();
  log.info('taking over the bbolt file of an etcd', { path: paths.backendDir });
  const { adoptDatabase } = await import('./offline/adopt.ts');
  await adoptDatabase({ disk, clock, log, storageLog: log, lockTimeoutMs: 1 }, paths);
  log.info('took over the bbolt file of an etcd', { path: paths.backendDir, took: formatDuration(clock.mono() - start) });
}

interface Ports {
  readonly client: readonly ReservedPort[];
  readonly http: readonly ReservedPort[];
  readonly peer: readonly ReservedPort[];
  readonly metrics: readonly ReservedPort[];
}

/** Bound before any data is touched: a port in use must not leave a data directory behind. */
async function reservePorts(config: ServerConfig, log: Log, undo: (() => void | Promise<void>)[]): Promise<Ports> {
  const reserve = async (urls: readonly string[]): Promise<ReservedPort[]> => {
    const ports: ReservedPort[] = [];
    const listed = new Set(urls);
    for (const url of listed) {
      if (listed.has(secureTwin(url))) continue;
      const port = await ReservedPort.bind(url);
      port.plainToo = isSecureUrl(url) && [...listed].some((u) => secureTwin(u) === url);
      undo.push(() => port.close());
      ports.push(port);
    }
    return ports;
  };
  log.info('configuring peer listeners', { 'listen-peer-urls': config.listenPeerUrls });
  const peer = await reserve(config.listenPeerUrls);
  log.info('configuring client listeners', { 'listen-client-urls': config.listenClientUrls });
  const client = await reserve(config.listenClientUrls);
  const http = await reserve(config.listenClientHttpUrls);
  const metrics = await reserve(config.listenMetricsUrls);
  return { client, http, peer, metrics };
}

/** The URL of the same address by TLS; empty for one that is by TLS already. */
function secureTwin(url: string): string {
  return isSecureUrl(url) || url.endsWith(':0') ? '' : url.replace(/^(http|unix):/, '$1s:');
}

interface Front {
  /** Each serves a port and returns the way to stop. */
  serveClients(port: ReservedPort): () => Promise<void>;
  serveHttp(port: ReservedPort): () => Promise<void>;
  serveMetrics(port: ReservedPort): () => Promise<void>;
}

/** The client side's certificates; undefined when nothing is served by TLS. */
async function openTls(config: ServerConfig, log: Log): Promise<TlsFiles | undefined> {
  const { auto } = config.clientTls;
  if (!auto && ![...config.listenClientUrls, ...config.listenClientHttpUrls, ...config.listenMetricsUrls].some(isSecureUrl))
    return undefined;
  const { clientTls } = await import('./tls-sides.ts');
  return clientTls(config, log);
}

/** The peers' side, for listening and dialling; undefined without certificates. */
async function openPeerTls(config: ServerConfig, log: Log): Promise<TlsFiles | undefined> {
  const { certFile, keyFile, auto } = config.peerTls;
  if (certFile === '' && keyFile === '' && !auto) return undefined;
  const { peerTls } = await import('./tls-sides.ts');
  return peerTls(config, log);
}

async function openTracing({ config, clock, random, log }: ServerOptions): Promise<Tracing | undefined> {
  if (config.tracing === undefined) return undefined;
  const { startTracing } = await import('./tracing/tracing.ts');
  return startTracing({ config: config.tracing, clock, random, log, serverVersion });
}

async function openFront(
  options: ServerOptions,
  member: Member,
  table: HandlerTable,
  metrics: ServerMetrics,
  tls: TlsFiles | undefined,
  tracing: Tracing | undefined,
): Promise<Front> {
  const { config, clock, log, runtime } = options;
  // Loaded only by members that listen.
  const onHandlerError = handlerErrors(log, options.onFatal);
  const [{ GrpcServer }, { Listener }] = await Promise.all([import('../wire/server-call.ts'), import('../wire/listener.ts')]);
  const observer = new RequestLog(metrics.observer(), {
    log,
    clock,
    slowMs: config.warningUnaryRequestMs,
    slowApplyMs: config.warningApplyMs,
    applyBeganMs: () => member.applyBeganMs,
    onSlowRead: () => member.slowApplies++,
  });
  const grpc = new GrpcServer({
    table,
    limits: wireLimits(config, options.figures),
    clock,
    observer,
    tracer: tracing?.tracer,
    onHandlerError,
  });
  const noGrpc = new GrpcServer({ table: new HandlerTable(), limits: wireLimits(config), clock, onHandlerError });
  const limits = wireLimits(config);
  const gateway = config.enableGrpcGateway
    ? new Gateway({
        table,
        clock,
        requestBytesMax: limits.recvMessageBytesMax,
        observer,
        tracer: tracing?.tracer,
        onHandlerError,
      })
    : undefined;
  const upgrade: UpgradeHandler | undefined =
    gateway === undefined
      ? undefined
      : (request, socket, head) => {
          if (mayUpgrade(request, { cors: config.cors, hostWhitelist: config.hostWhitelist, log }))
            upgradeGateway(gateway, request, socket, head);
          else socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
        };
  const debugs = config.enablePprof || config.logLevel === 'debug';
  const profiles =
    !debugs || options.logLevel === undefined
      ? undefined
      : (await import('./http/profiles.ts')).profiles({ argv: runtime.argv, log: options.logLevel });
  const routes: RoutesOptions = {
    member,
    gateway: gateway === undefined ? undefined : (request, response) => gateway.handle(request, response),
    serverVersion,
    health: new HealthPages(member, log, metrics.health),
    metrics: () => metrics.text(),
    log,
    cors: config.cors,
    hostWhitelist: config.hostWhitelist,
    argv: runtime.argv,
    profiles,
    vars: options.debugVars,
  };
  // Metrics ports compare a client's certificate with its address, as etcd does; client ports do not.
  const nameLookup = tls === undefined ? undefined : (await import('./peer/resolve.ts')).peerLookup(() => clock.mono());
  const secured = (port: ReservedPort): { readonly tls: ListenerTls | undefined; readonly plainToo: boolean } => ({
    tls: isSecureUrl(port.url) ? tls?.listenerTls() : undefined,
    plainToo: port.plainToo,
  });
  const securedMetrics = (port: ReservedPort): ListenerTls | undefined =>
    isSecureUrl(port.url) ? tls?.listenerTls(nameLookup) : undefined;
  const http = clientRoutes(routes);
  const grpcOnly = config.listenClientHttpUrls.length > 0;
  const http1Only = true;
  return {
    serveClients: (port) => serve(port, new Listener({ grpc, http, upgrade, log, grpcOnly, ...secured(port) }), graceMs),
    serveHttp: (port) => serve(port, new Listener({ grpc: noGrpc, http, upgrade, log, http1Only, ...secured(port) }), 0),
    serveMetrics: (port) =>
      serve(
        port,
        new Listener({ grpc: noGrpc, http: metricsRoutes(routes), log, http1Only, tls: securedMetrics(port), plainToo: port.plainToo }),
        0,
      ),
  };
}

function serve(port: ReservedPort, listener: Listener, grace: number): () => Promise<void> {
  port.serve((socket) => listener.accept(socket));
  return async () => {
    port.close();
    await listener.close(grace);
  };
}

/** The end of serving clients, told. */
function told(log: Log, port: ReservedPort, close: () => Promise<void>): () => Promise<void> {
  const secure = isSecureUrl(port.url) ? 'secure' : 'insecure';
  return async () => {
    log.info(`stopping ${secure} grpc server`, { address: addressText(port.url) });
    await close();
    log.info(`stopped ${secure} grpc server`, { address: addressText(port.url) });
  };
}

/** Serves a peer port, and returns the way to stop. */
async function openPeerDoor(
  options: ServerOptions,
  tls: TlsFiles | undefined,
  handler: HttpHandler,
): Promise<(port: ReservedPort) => () => Promise<void>> {
  const { config, clock, log } = options;
  const [{ GrpcServer }, { Listener }] = await Promise.all([import('../wire/server-call.ts'), import('../wire/listener.ts')]);
  const grpc = new GrpcServer({ table: new HandlerTable(), limits: wireLimits(config), clock });
  const lookup =
    tls === undefined || config.peerTls.skipClientSanVerification
      ? undefined
      : (await import('./peer/resolve.ts')).peerLookup(() => clock.mono());
  return (port) => {
    const secured = isSecureUrl(port.url) ? tls?.listenerTls(lookup) : undefined;
    return serve(
      port,
      new Listener({ grpc, http: handler, log, http1Only: true, endpoint: 'peer', tls: secured, plainToo: port.plainToo }),
      0,
    );
  };
}

const stillStarting: HttpHandler = (_request, response) => {
  response.head(503, { 'content-type': 'text/plain; charset=utf-8' });
  response.end('the member is starting\n');
};

/** A member whose peers are reached by other means answers none here. */
const noPeers: HttpHandler = (_request, response) => {
  response.head(404, { 'content-type': 'text/plain; charset=utf-8' });
  response.end('404 page not found\n');
};

function wireLimits(config: ServerConfig, figures?: ProcessFigures): WireLimits {
  const descriptors = figures?.maxFds() ?? 0;
  // etcd's default is no limit at all; ours stands in its place until somebody asks for another.
  const streams = config.maxConcurrentStreams === 4294967295 ? defaultWireLimits.concurrentStreamsMax : config.maxConcurrentStreams;
  return {
    ...defaultWireLimits,
    concurrentStreamsMax: streams,
    streamsMax: Math.max(defaultWireLimits.streamsMax, streams),
    connectionsMax: connectionsFor(descriptors),
    recvMessageBytesMax: config.maxRequestBytes + 512 * 1024,
    httpBodyBytesMax: config.maxRequestBytes + 512 * 1024,
    keepaliveMinMs: config.grpcKeepaliveMinMs,
    keepaliveIntervalMs: config.grpcKeepaliveIntervalMs <= 0 ? Infinity : config.grpcKeepaliveIntervalMs,
    keepaliveTimeoutMs: config.grpcKeepaliveTimeoutMs <= 0 ? Infinity : config.grpcKeepaliveTimeoutMs,
  };
}

/** Descriptors that clients do not get: for the log, the store and peers. As etcd's. */
const reservedDescriptors = 150;

/** Connections of clients that fit beside what the member itself has open. `descriptors` 0: not known. */
export function connectionsFor(descriptors: number): number {
  if (descriptors <= 0) return defaultWireLimits.connectionsMax;
  return Math.max(
    1,
    Math.min(
      defaultWireLimits.connectionsMax,
      descriptors > 2 * reservedDescriptors ? descriptors - reservedDescriptors : descriptors >> 1,
    ),
  );
}

function durableLog(wal: WAL, raft: Pick<RaftMachine, 'isLone'>): DurableLog {
  return {
    save: (entries, hardState, sync, done) => wal.save(entries, hardState, sync, done, raft.isLone),
    saveSnapshot: ({ metadata }, done) =>
      wal.saveSnapshot({ index: metadata?.index ?? 0, term: metadata?.term ?? 0, confState: metadata?.confState }, done),
    release: (index) => wal.releaseTo(index),
  };
}

function snapshotFiles(snapshotter: Snapshotter, metrics: ServerMetrics, clock: Clock, onFatal: (error: Error) => void): SnapshotFiles {
  return {
    save(snapshot, done) {
      const start = clock.mono();
      snapshotter.save(snapshot, (error, syncMs) => {
        if (error !== undefined) {
          onFatal(error);
          return;
        }
        metrics.snapshotFsync.observe(syncMs / 1000);
        metrics.snapshotSave.observe((clock.mono() - start) / 1000);
        done();
      });
    },
  };
}

/** `--bootstrap-defrag-threshold-megabytes`. */
async function maybeDefragment(config: ServerConfig, backend: Backend, log: Log, clock: Clock, backendDir: string): Promise<void> {
  const thresholdBytes = config.bootstrapDefragThresholdMb * 1024 * 1024;
  if (thresholdBytes === 0) return;
  const freeable = backend.sizeBytes - backend.sizeInUseBytes;
  if (freeable < thresholdBytes) {
    log.info('Skipping defragmentation', {
      'current-db-size-bytes': backend.sizeBytes,
      'current-db-size-in-use-bytes': backend.sizeInUseBytes,
      'bootstrap-defrag-threshold-bytes': thresholdBytes,
    });
    return;
  }
  await loggedDefragment(backend, { log, clock, path: backendDir });
}

function logQuota(config: ServerConfig, log: Log): void {
  const bytes = config.quotaBackendBytes;
  const name = { 'quota-name': 'v3-applier' };
  if (bytes < 0) log.info('disabled backend quota', { ...name, 'quota-size-bytes': bytes });
  else if (bytes === 2147483648)
    log.info('enabled backend quota with default value', { ...name, 'quota-size-bytes': bytes, 'quota-size': humanBytes(bytes) });
  else log.info('enabled backend quota', { ...name, 'quota-size-bytes': bytes, 'quota-size': humanBytes(bytes) });
}

/** Of the discovery service; secrets stay out of the log. */
function discoveryFields({ discovery }: ServerConfig): LogFields {
  const d = discovery?.kind === 'token' ? discovery : undefined;
  return {
    'discovery-token': d?.token ?? '',
    'discovery-endpoints': d?.endpoints.join(',') ?? '',
    'discovery-dial-timeout': formatDuration(d?.dialTimeoutMs ?? 2000),
    'discovery-request-timeout': formatDuration(d?.requestTimeoutMs ?? 5000),
    'discovery-keepalive-time': formatDuration(d?.keepaliveMs ?? 2000),
    'discovery-keepalive-timeout': formatDuration(d?.keepaliveTimeoutMs ?? 6000),
    'discovery-insecure-transport': d?.insecureTransport ?? true,
    'discovery-insecure-skip-tls-verify': d?.insecureSkipVerify ?? false,
    'discovery-cert': d?.certFile ?? '',
    'discovery-key': d?.keyFile ?? '',
    'discovery-cacert': d?.caFile ?? '',
    'discovery-user': d?.user ?? '',
  };
}

function logStart(options: ServerOptions, initialized: boolean): void {
  const { config, log, runtime } = options;
  const cluster = [...config.initialCluster].flatMap(([name, urls]) => urls.map((u) => `${name}=${u}`)).join(',');
  log.info('starting an etcd server', {
    'etcd-version': serverVersion,
    'git-sha': 'tsetcd',
    'go-version': runtime.name,
    'go-os': runtime.os,
    'go-arch': runtime.arch,
    'max-cpu-set': runtime.cpus,
    'max-cpu-available': runtime.cpus,
    'member-initialized': initialized,
    name: config.name,
    'data-dir': config.dataDir,
    'wal-dir': config.walDir,
    'wal-dir-dedicated': config.walDir,
    'member-dir': `${config.dataDir}/member`,
    'force-new-cluster': config.forceNewCluster,
    'heartbeat-interval': formatDuration(config.heartbeatMs),
    'election-timeout': formatDuration(config.electionMs),
    'initial-election-tick-advance': config.initialElectionTickAdvance,
    'snapshot-count': config.snapshotCount,
    'max-wals': config.maxWals,
    'max-snapshots': config.maxSnapshots,
    'snapshot-catchup-entries': config.snapshotCatchupEntries,
    'initial-advertise-peer-urls': config.initialAdvertisePeerUrls,
    'listen-peer-urls': config.listenPeerUrls,
    'advertise-client-urls': config.advertiseClientUrls,
    'listen-client-urls': config.listenClientUrls,
    'listen-metrics-urls': config.listenMetricsUrls,
    'local-address': '',
    cors: config.cors,
    'host-whitelist': config.hostWhitelist,
    'initial-cluster': initialized ? '' : cluster,
    'initial-cluster-state': config.initialClusterState,
    'initial-cluster-token': initialized ? '' : config.initialClusterToken,
    'quota-backend-bytes': config.quotaBackendBytes,
    'max-request-bytes': config.maxRequestBytes,
    'max-concurrent-streams': config.maxConcurrentStreams,
    'pre-vote': config.preVote,
    'feature-gates': [...config.featureGates]
      .filter(([name, on]) => featureGates.find((g) => g.name === name)?.value !== on)
      .map(([name, on]) => `${name}=${on}`)
      .join(','),
    'initial-corrupt-check': config.initialCorruptCheck,
    'corrupt-check-time-interval': formatDuration(config.corruptCheckTimeMs),
    'compact-check-time-interval': formatDuration(config.compactHashCheckTimeMs),
    'auto-compaction-mode': config.autoCompactionMode === '' ? 'periodic' : config.autoCompactionMode,
    'auto-compaction-retention': formatDuration(
      config.autoCompactionMode === 'periodic' ? config.autoCompactionRetentionValue : config.autoCompactionRetentionValue / 1e6,
    ),
    'auto-compaction-interval': formatDuration(
      config.autoCompactionMode === 'periodic' ? config.autoCompactionRetentionValue : config.autoCompactionRetentionValue / 1e6,
    ),
    ...discoveryFields(config),
    'downgrade-check-interval': formatDuration(config.downgradeCheckMs),
    'max-learners': config.maxLearners,
    'v2-deprecation': 'write-only',
  });
}

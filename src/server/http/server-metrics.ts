/** The member's metrics under etcd's names, labels and buckets, fed by what the member really does. */
import { Code } from '../../api/status.ts';
import type { InternalRaftRequest, TxnRequest } from '../../api/gen/etcdserverpb.ts';
import type { MethodDef } from '../../api/gen/methods.ts';
import type { Clock } from '../../base/clock.ts';
import { type Counter, exponentialBuckets, type Family, type Gauge, type Histogram, MetricsRegistry } from '../../base/metrics.ts';
import type { RuntimeFigures } from '../../base/runtime-figures.ts';
import type { HandlerTable, Metadata } from '../../wire/call.ts';
import type { HandledCall, MethodObserver, WireObserver } from '../../wire/observer.ts';
import type { ApplyResult } from '../apply/types.ts';
import { featureGates } from '../config/flag-table.ts';
import type { Member } from '../consensus/member.ts';
import { WatchTimes } from '../mvcc/watch-times.ts';
import { isReadOnlyTxn } from '../txn/checks.ts';
import type { WalObserver } from '../storage/wal/wal.ts';
import { registerRuntimeNames, registerStoreNames, type ThreadFigures } from './foreign-metrics.ts';

const diskBuckets = exponentialBuckets(0.001, 2, 14);
const applyBuckets = exponentialBuckets(0.0001, 2, 20);
const grpcBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** Request kinds by field of InternalRaftRequest, as etcd labels them; most frequent first. */
const kinds: readonly (readonly [keyof InternalRaftRequest, string])[] = [
  ['put', 'Put'],
  ['txn', 'Txn'],
  ['deleteRange', 'DeleteRange'],
  ['range', 'Range'],
  ['leaseGrant', 'LeaseGrant'],
  ['leaseRevoke', 'LeaseRevoke'],
  ['leaseCheckpoint', 'LeaseCheckpoint'],
  ['compaction', 'Compaction'],
  ['alarm', 'Alarm'],
  ['clusterVersionSet', 'ClusterVersionSet'],
  ['clusterMemberAttrSet', 'ClusterMemberAttrSet'],
  ['downgradeInfoSet', 'DowngradeInfoSet'],
  ['downgradeVersionTest', 'DowngradeVersionTest'],
  ['authenticate', 'Authenticate'],
  ['authEnable', 'AuthEnable'],
  ['authDisable', 'AuthDisable'],
  ['authStatus', 'AuthStatus'],
  ['authUserAdd', 'AuthUserAdd'],
  ['authUserDelete', 'AuthUserDelete'],
  ['authUserChangePassword', 'AuthUserChangePassword'],
  ['authUserGrantRole', 'AuthUserGrantRole'],
  ['authUserGet', 'AuthUserGet'],
  ['authUserRevokeRole', 'AuthUserRevokeRole'],
  ['authRoleAdd', 'AuthRoleAdd'],
  ['authRoleGrantPermission', 'AuthRoleGrantPermission'],
  ['authRoleGet', 'AuthRoleGet'],
  ['authRoleRevokePermission', 'AuthRoleRevokePermission'],
  ['authRoleDelete', 'AuthRoleDelete'],
  ['authUserList', 'AuthUserList'],
  ['authRoleList', 'AuthRoleList'],
];

/** Methods whose answers etcd times as requests, by method name. */
const timedMethods: Readonly<Record<string, string>> = {
  Put: 'Put',
  Txn: 'Txn',
  DeleteRange: 'DeleteRange',
  Range: 'Range',
  Compact: 'Compaction',
  LeaseGrant: 'LeaseGrant',
  LeaseRevoke: 'LeaseRevoke',
  Alarm: 'Alarm',
  Downgrade: 'DowngradeInfoSet',
  Authenticate: 'Authenticate',
  AuthEnable: 'AuthEnable',
  AuthDisable: 'AuthDisable',
  AuthStatus: 'AuthStatus',
  UserAdd: 'AuthUserAdd',
  UserGet: 'AuthUserGet',
  UserList: 'AuthUserList',
  UserDelete: 'AuthUserDelete',
  UserChangePassword: 'AuthUserChangePassword',
  UserGrantRole: 'AuthUserGrantRole',
  UserRevokeRole: 'AuthUserRevokeRole',
  RoleAdd: 'AuthRoleAdd',
  RoleGet: 'AuthRoleGet',
  RoleList: 'AuthRoleList',
  RoleDelete: 'AuthRoleDelete',
  RoleGrantPermission: 'AuthRoleGrantPermission',
  RoleRevokePermission: 'AuthRoleRevokePermission',
};

/** Requests that members make of themselves: no call brings them, so that what is timed is their apply. */
const ownRequests: ReadonlySet<string> = new Set(['ClusterVersionSet', 'ClusterMemberAttrSet', 'LeaseCheckpoint']);

/** Streams whose failures count, by method. */
const streamApis: Readonly<Record<string, string>> = { Watch: 'watch', LeaseKeepAlive: 'lease-keepalive', Snapshot: 'snapshot' };
/** A stream that ends with one of these failed here, not at the client. */
const ownFaults: ReadonlySet<Code> = new Set([Code.Unknown, Code.ResourceExhausted, Code.Internal, Code.DataLoss]);

const codeNames: Readonly<Record<number, string>> = {
  0: 'OK',
  1: 'Canceled',
  2: 'Unknown',
  3: 'InvalidArgument',
  4: 'DeadlineExceeded',
  5: 'NotFound',
  6: 'AlreadyExists',
  7: 'PermissionDenied',
  8: 'ResourceExhausted',
  9: 'FailedPrecondition',
  10: 'Aborted',
  11: 'OutOfRange',
  12: 'Unimplemented',
  13: 'Internal',
  14: 'Unavailable',
  15: 'DataLoss',
  16: 'Unauthenticated',
};

export interface ProcessFigures extends ThreadFigures {
  cpuSeconds(): number;
  residentBytes(): number;
  virtualBytes(): number;
  /** What the process may take at most. */
  virtualBytesMax(): number;
  openFds(): number;
  maxFds(): number;
  startSeconds(): number;
  /** Of all network devices. */
  networkBytes(): { readonly received: number; readonly sent: number };
}

export class ServerMetrics {
  readonly registry = new MetricsRegistry();
  readonly health: {
    readonly success: Counter;
    readonly failures: Counter;
    readonly check: Family<Gauge>;
    readonly checks: Family<Counter>;
    readonly ranged: (ok: boolean, ms: number) => void;
  };
  /** Give it to the WAL. */
  readonly wal: WalObserver;
  readonly snapshotSave: Histogram;
  readonly snapshotEncode: Histogram;
  readonly snapshotFsync: Histogram;
  readonly watchTimes = new WatchTimes();
  readonly walRepairs: Counter;
  readonly #commit: {
    readonly whole: Histogram;
    readonly write: Histogram;
    readonly spill: Histogram;
    readonly rebalance: Histogram;
  };
  readonly #streamFailures: Family<Counter>;
  readonly #inFlight: ReadonlyMap<string, Gauge>;
  readonly #durations: ReadonlyMap<string, Histogram>;
  readonly #lease: { readonly granted: Counter; readonly revoked: Counter; readonly ttl: Histogram };
  readonly #compaction: { readonly total: Histogram; readonly last: Gauge };
  readonly #clock: Clock;
  readonly #readings: Counter;
  readonly #apply: Family<Histogram>;
  readonly #request: Family<Histogram>;
  readonly #requests: Family<Counter>;
  readonly #rangeDuration: Family<Histogram>;
  readonly #grpc: {
    readonly started: Family<Counter>;
    readonly handled: Family<Counter>;
    readonly received: Family<Counter>;
    readonly sent: Family<Counter>;
    readonly seconds: Family<Histogram> | undefined;
    readonly receivedBytes: Counter;
    readonly sentBytes: Counter;
  };

  constructor(level: 'basic' | 'extensive', clock: Clock) {
    this.#clock = clock;
    const r = this.registry;
    this.health = {
      success: r.counter('etcd_server_health_success', 'Successful health checks.'),
      failures: r.counter('etcd_server_health_failures', 'Failed health checks.'),
      check: r.gauges('etcd_server_healthcheck', 'Result of the last run of each check.', ['name', 'type']),
      checks: r.counters('etcd_server_healthchecks_total', 'Runs of each check.', ['name', 'status', 'type']),
      ranged: (ok, ms) => this.ranged(ok, ms),
    };
    const fsync = r.histogram('etcd_disk_wal_fsync_duration_seconds', 'Time of syncs of the WAL.', diskBuckets);
    const walWrite = r.histogram('etcd_disk_wal_write_duration_seconds', 'Time of writes to the WAL.', diskBuckets);
    const walBytes = r.gauge('etcd_disk_wal_write_bytes_total', 'Bytes written to the WAL.');
    this.wal = {
      synced: (ms) => fsync.observe(ms / 1000),
      wrote: (bytes, ms) => {
        walBytes.add(bytes);
        walWrite.observe(ms / 1000);
      },
    };
    this.snapshotSave = r.histogram('etcd_debugging_snap_save_total_duration_seconds', 'Time to save a raft snapshot.', diskBuckets);
    this.snapshotFsync = r.histogram('etcd_snap_fsync_duration_seconds', 'Time of syncs of raft snapshots.', diskBuckets);
    this.snapshotEncode = r.histogram(
      'etcd_debugging_snap_save_marshalling_duration_seconds',
      'Time to encode a raft snapshot.',
      diskBuckets,
    );
    const commit = 'etcd_debugging_disk_backend_commit';
    this.#commit = {
      whole: r.histogram('etcd_disk_backend_commit_duration_seconds', 'Time of commits of the backend.', diskBuckets),
      write: r.histogram(`${commit}_write_duration_seconds`, 'Time of writing and syncing in commits.', diskBuckets),
      spill: r.histogram(`${commit}_spill_duration_seconds`, 'A log has no pages to spill: always 0.', diskBuckets),
      rebalance: r.histogram(`${commit}_rebalance_duration_seconds`, 'A log has no tree to rebalance: always 0.', diskBuckets),
    };
    const loop = 'etcd_debugging_server_watch_send_loop';
    r.show(`${loop}_watch_stream_duration_seconds`, 'Time to send the events of one message.', this.watchTimes.events);
    r.show(`${loop}_watch_stream_duration_per_event_seconds`, 'The same for each event.', this.watchTimes.perEvent);
    r.show(`${loop}_control_stream_duration_seconds`, 'Time to answer requests of watch streams.', this.watchTimes.control);
    r.show(`${loop}_progress_duration_seconds`, 'Time to send a progress notification.', this.watchTimes.progress);
    this.#streamFailures = r.counters('etcd_network_server_stream_failures_total', 'Streams that failed.', ['API', 'Type']);
    const hashBuckets = exponentialBuckets(0.01, 2, 15);
    this.#durations = new Map([
      ['Defragment', r.histogram('etcd_disk_backend_defrag_duration_seconds', 'Time of defragmentations.', exponentialBuckets(0.1, 2, 13))],
      ['Snapshot', r.histogram('etcd_disk_backend_snapshot_duration_seconds', 'Time of snapshots sent.', exponentialBuckets(0.01, 2, 17))],
      ['Hash', r.histogram('etcd_mvcc_hash_duration_seconds', 'Time to hash the store.', hashBuckets)],
      ['HashKV', r.histogram('etcd_mvcc_hash_rev_duration_seconds', 'Time to hash a revision.', hashBuckets)],
    ]);
    this.#inFlight = new Map([['Defragment', r.gauge('etcd_disk_defrag_inflight', 'Defragmentations that run.')]]);
    this.#lease = {
      granted: r.counter('etcd_debugging_lease_granted_total', 'Leases granted.'),
      revoked: r.counter('etcd_debugging_lease_revoked_total', 'Leases revoked.'),
      ttl: r.histogram('etcd_debugging_lease_ttl_total', 'TTLs of granted leases, seconds.', exponentialBuckets(1, 2, 24)),
    };
    this.#compaction = {
      total: r.histogram(
        'etcd_debugging_mvcc_db_compaction_total_duration_milliseconds',
        'Time of compactions.',
        exponentialBuckets(100, 2, 14),
      ),
      last: r.gauge('etcd_debugging_mvcc_db_compaction_last', 'When the last compaction ended, Unix time.'),
    };
    this.walRepairs = r.counter('tsetcd_wal_repairs_total', 'Torn WAL tails that were cut off.');
    this.#apply = r.histograms('etcd_server_apply_duration_seconds', 'Time to apply requests.', ['op', 'success', 'version'], applyBuckets);
    this.#request = r.histograms(
      'etcd_server_request_duration_seconds',
      'Time from a request to its answer.',
      ['success', 'type'],
      diskBuckets,
    );
    this.#requests = r.counters('etcd_server_client_requests_total', 'Client requests by API version.', ['client_api_version', 'type']);
    this.#rangeDuration = r.histograms('etcd_server_range_duration_seconds', 'Time of ranges.', ['success'], applyBuckets);
    const grpcLabels = ['grpc_method', 'grpc_service', 'grpc_type'];
    this.#grpc = {
      started: r.counters('grpc_server_started_total', 'RPCs started.', grpcLabels),
      handled: r.counters('grpc_server_handled_total', 'RPCs completed, by code.', ['grpc_code', ...grpcLabels]),
      received: r.counters('grpc_server_msg_received_total', 'Messages received.', grpcLabels),
      sent: r.counters('grpc_server_msg_sent_total', 'Messages sent.', grpcLabels),
      seconds: level === 'extensive' ? r.histograms('grpc_server_handling_seconds', 'Time of RPCs.', grpcLabels, grpcBuckets) : undefined,
      receivedBytes: r.counter('etcd_network_client_grpc_received_bytes_total', 'Bytes of messages received from clients.'),
      sentBytes: r.counter('etcd_network_client_grpc_sent_bytes_total', 'Bytes of messages sent to clients.'),
    };
    const readings = r.counters('promhttp_metric_handler_requests_total', 'Readings of these metrics.', ['code']);
    for (const code of ['500', '503']) readings.with(code);
    this.#readings = readings.with('200');
    r.gauge('promhttp_metric_handler_requests_in_flight', 'Readings of these metrics under way.');
    registerStoreNames(r);
  }

  /** Give it to the backend's disk: a commit was written and synced. */
  readonly committed = (ms: number): void => {
    this.#commit.whole.observe(ms / 1000);
    this.#commit.write.observe(ms / 1000);
    this.#commit.spill.observe(0);
    this.#commit.rebalance.observe(0);
  };

  /** Label sets are made when first fed, as in etcd. */
  readonly #applyCache = new Map<
    keyof InternalRaftRequest,
    { readonly ok: Histogram | undefined; readonly failed: Histogram | undefined }
  >();

  /** Give it to the member. */
  readonly applied = (request: InternalRaftRequest, result: ApplyResult, ms: number): void => {
    for (const [field, name] of kinds) {
      if (request[field] === undefined) continue;
      const ok = result.error === undefined;
      let cached = this.#applyCache.get(field);
      if (cached === undefined || (ok ? cached.ok : cached.failed) === undefined) {
        const made = this.#apply.with(name, String(ok), 'v3');
        cached = ok ? { ok: made, failed: cached?.failed } : { ok: cached?.ok, failed: made };
        this.#applyCache.set(field, cached);
      }
      ((ok ? cached.ok : cached.failed) as Histogram).observe(ms / 1000);
      if (ownRequests.has(name)) this.#request.with(String(ok), name).observe(ms / 1000);
      if (ok && field !== 'put') this.#appliedOther(request, result);
      return;
    }
  };

  #appliedOther(request: InternalRaftRequest, result: ApplyResult): void {
    if (request.leaseGrant !== undefined) {
      this.#lease.granted.inc();
      this.#lease.ttl.observe(request.leaseGrant.TTL);
    } else if (request.leaseRevoke !== undefined) {
      this.#lease.revoked.inc();
    } else if (result.whenCompacted !== undefined) {
      const start = this.#clock.mono();
      result.whenCompacted(() => {
        this.#compaction.total.observe(this.#clock.mono() - start);
        this.#compaction.last.set(Math.floor(this.#clock.wall() / 1000));
      });
    }
  }

  /** A range that the member asked of itself. */
  readonly ranged = (ok: boolean, ms: number): void => {
    this.#request.with(String(ok), 'Range').observe(ms / 1000);
    this.#rangeDuration.with(String(ok)).observe(ms / 1000);
  };

  /** Give it to the wire. */
  observer(): WireObserver {
    return { method: (method) => this.#methodObserver(method) };
  }

  #methodObserver(method: MethodDef): MethodObserver {
    const cut = method.path.lastIndexOf('/');
    const service = method.path.slice(1, cut);
    const name = method.path.slice(cut + 1);
    const type = method.requestStream
      ? method.responseStream
        ? 'bidi_stream'
        : 'client_stream'
      : method.responseStream
        ? 'server_stream'
        : 'unary';
    const started = this.#grpc.started.with(name, service, type);
    const received = this.#grpc.received.with(name, service, type);
    const sent = this.#grpc.sent.with(name, service, type);
    const seconds = this.#grpc.seconds?.with(name, service, type);
    const handled = Object.entries(codeNames).map(([, code]) => this.#grpc.handled.with(code, name, service, type));
    const { receivedBytes, sentBytes } = this.#grpc;
    const timed = type === 'unary' ? timedMethods[name] : undefined;
    const isRange = timed === 'Range';
    const request = this.#request;
    const ranges = this.#rangeDuration;
    const duration = service === 'etcdserverpb.Maintenance' ? this.#durations.get(name) : undefined;
    const inFlight = this.#inFlight.get(name);
    const streamFailures = streamApis[name] === undefined ? undefined : this.#streamFailures;
    let ok: Histogram | undefined;
    let failed: Histogram | undefined;
    return {
      started() {
        started.inc();
        inFlight?.add(1);
      },
      handled(call: HandledCall, code: Code, durationMs: number) {
        handled[code]?.inc();
        seconds?.observe(durationMs / 1000);
        duration?.observe(durationMs / 1000);
        inFlight?.add(-1);
        if (streamFailures !== undefined && ownFaults.has(code)) streamFailures.with(streamApis[name] ?? '', 'send').inc();
        if (timed === undefined) return;
        // A body that does not decode leaves no request.
        if (timed === 'Txn' && call.request !== undefined && isReadOnlyTxn(call.request as TxnRequest))
          request.with(String(code === Code.OK), 'ReadonlyTxn').observe(durationMs / 1000);
        else if (code === Code.OK) (ok ??= request.with('true', timed)).observe(durationMs / 1000);
        else (failed ??= request.with('false', timed)).observe(durationMs / 1000);
        if (isRange) ranges.with(code === Code.OK ? 'true' : 'false').observe(durationMs / 1000);
      },
      received(bytes) {
        received.inc();
        receivedBytes.inc(bytes);
      },
      sent(bytes) {
        sent.inc();
        sentBytes.inc(bytes);
      },
    };
  }

  /** Has every handler of the table count its calls by the client's API version. */
  countClients(table: HandlerTable): void {
    const count = (type: 'unary' | 'stream'): ((metadata: Metadata) => void) => {
      let lastVersion: string | undefined;
      let last: Counter | undefined;
      return (metadata) => {
        const raw = metadata.get('client-api-version')?.[0];
        const version = typeof raw === 'string' ? raw : 'unknown';
        if (version !== lastVersion || last === undefined) {
          // A client's word becomes a label: only what looks like a version, so that nobody can fill memory with label sets.
          last = this.#requests.with(/^\d{1,3}(\.\d{1,3}){0,2}$/.test(version) ? version : 'unknown', type);
          lastVersion = version;
        }
        last.inc();
      };
    };
    const unary = count('unary');
    const stream = count('stream');
    for (const [path, entry] of table.unary) {
      const { handler } = entry;
      table.unary.set(path, {
        ...entry,
        handler: (call) => {
          unary(call.metadata);
          handler(call);
        },
      });
    }
    for (const [path, entry] of table.streams) {
      const { handler } = entry;
      table.streams.set(path, {
        method: entry.method,
        handler: (call) => {
          stream(call.metadata);
          handler(call);
        },
      });
    }
  }

  /** Everything that is read off the running member. */
  bindMember(member: Member, version: { readonly server: string; readonly runtime: string }): void {
    const r = this.registry;
    const gauge = (name: string, help: string, value: () => number): void => r.read(name, 'gauge', help, value);
    const counter = (name: string, help: string, value: () => number): void => r.read(name, 'counter', help, value);
    const { kv, lessor } = member;
    const id = member.memberId.toString(16);

    gauge('etcd_server_has_leader', 'Whether a leader is known.', () => (member.leader === 0n ? 0 : 1));
    gauge('etcd_server_is_leader', 'Whether this member leads.', () => (member.isLeader ? 1 : 0));
    gauge('etcd_server_is_learner', 'Whether this member is a learner.', () => (member.isLearner ? 1 : 0));
    counter('etcd_server_leader_changes_seen_total', 'Changes of the leader seen.', () => member.leadership.changes);
    counter('etcd_server_heartbeat_send_failures_total', 'Heartbeats sent too late.', () => member.heartbeatFailures);
    gauge('etcd_server_proposals_committed_total', 'Raft index committed.', () => member.committedIndex);
    gauge('etcd_server_proposals_applied_total', 'Raft index applied.', () => member.appliedIndex);
    gauge('etcd_server_proposals_pending', 'Proposals waited for.', () => member.proposals.pending);
    counter('etcd_server_proposals_failed_total', 'Proposals that failed.', () => member.proposals.failed);
    counter('etcd_server_slow_apply_total', 'Applies that took too long.', () => member.slowApplies);
    counter('etcd_server_slow_read_indexes_total', 'Answers to read-index questions that came too late.', () => member.reads.slow);
    counter('etcd_server_read_indexes_failed_total', 'Read-index questions that failed.', () => member.reads.failed);
    counter('etcd_server_learner_promote_successes', 'Learners promoted through this member.', () => member.changes.promoted);
    gauge('etcd_server_snapshot_apply_in_progress_total', 'Received snapshots being installed.', () => member.loop.installing);
    gauge('etcd_server_quota_backend_bytes', 'Quota of the backend.', () => member.config.quotaBackendBytes);
    r.gauges('etcd_server_version', 'Version of this server.', ['server_version']).with(version.server).set(1);
    r.gauges('etcd_server_go_version', 'Runtime of this server.', ['server_go_version']).with(version.runtime).set(1);
    r.gauges('etcd_server_id', 'Id of this member.', ['server_id']).with(id).set(1);
    const gates = r.gauges('etcd_server_feature_enabled', 'Feature gates.', ['name', 'stage']);
    for (const g of featureGates) gates.with(g.name, g.stage).set(member.config.featureGates.get(g.name) === true ? 1 : 0);
    const clusterVersion = r.gauges('etcd_cluster_version', 'Version of the cluster.', ['cluster_version']);
    const promoteFailures = r.counters('etcd_server_learner_promote_failures', 'Promotions that failed.', ['Reason']);
    const known = r.gauges('etcd_network_known_peers', 'Members known.', ['Local', 'Remote']);
    const alarms = r.gauges('etcd_debugging_server_alarms', 'Alarms raised.', ['alarm_type', 'server_id']);
    r.onCollect(() => {
      clusterVersion.clear();
      const v = member.cluster.version;
      if (v !== undefined) clusterVersion.with(v.split('.').slice(0, 2).join('.')).set(1);
      known.clear();
      for (const m of member.cluster.members()) known.with(id, m.id.toString(16)).set(1);
      alarms.clear();
      for (const a of member.alarms.list(0))
        alarms.with(['NONE', 'NOSPACE', 'CORRUPT'][a.alarm] ?? 'UNKNOWN', a.memberId.toString(16)).set(1);
      for (const [reason, n] of member.changes.promoteFailures) promoteFailures.with(reason).value = n;
    });

    r.show(
      'etcd_debugging_mvcc_db_compaction_pause_duration_milliseconds',
      'How long slices of compactions held everything else up.',
      kv.compactionPauses.rows,
    );
    r.show(
      'etcd_debugging_mvcc_index_compaction_pause_duration_milliseconds',
      'The same of the index: rows and index are compacted in one pass.',
      kv.compactionPauses.index,
    );
    gauge('etcd_mvcc_db_open_read_transactions', 'Scans and views of the store that are open.', () => member.backend.openReads);
    counter('etcd_mvcc_put_total', 'Puts.', () => kv.stats.puts);
    counter('etcd_mvcc_delete_total', 'Deletes.', () => kv.stats.deletes);
    counter('etcd_mvcc_range_total', 'Ranges.', () => kv.stats.ranges);
    counter('etcd_mvcc_txn_total', 'Transactions.', () => kv.stats.txns);
    gauge('etcd_mvcc_db_total_size_in_bytes', 'Size of the store, as bbolt would hold it.', () => member.backend.sizeBytes);
    gauge('etcd_mvcc_db_total_size_in_use_in_bytes', 'The part of it in use.', () => member.backend.sizeInUseBytes);
    gauge('tsetcd_disk_bytes', 'Bytes that the files of the store take.', () => member.backend.diskBytes);
    gauge('etcd_debugging_mvcc_current_revision', 'Current revision.', () => kv.currentRev);
    gauge('etcd_debugging_mvcc_compact_revision', 'Compacted revision.', () => kv.compactRev);
    gauge('etcd_debugging_mvcc_keys_total', 'Keys.', () => member.backend.countLatest({ key: new Uint8Array(0), end: new Uint8Array(0) }));
    gauge('etcd_debugging_mvcc_total_put_size_in_bytes', 'Bytes put.', () => kv.stats.putBytes);
    counter('etcd_debugging_mvcc_events_total', 'Events sent to watchers.', () => kv.stats.events);
    counter('etcd_debugging_mvcc_db_compaction_keys_total', 'Rows removed by compactions.', () => kv.stats.compactedRows);
    gauge('etcd_debugging_mvcc_pending_events_total', 'Events kept for slow watchers.', () => kv.watchers.pendingEvents);
    gauge('etcd_debugging_mvcc_slow_watcher_total', 'Watchers that are behind.', () => kv.watchers.slowWatcherCount);
    gauge('etcd_debugging_mvcc_watcher_total', 'Watchers.', () => kv.watchers.watcherCount);
    gauge('etcd_debugging_mvcc_watch_stream_total', 'Watch streams.', () => kv.watchers.streamCount);
    gauge('etcd_debugging_auth_revision', 'Revision of the auth store.', () => member.auth.revision);
    counter('etcd_debugging_server_lease_expired_total', 'Leases that ended.', () => member.duties.expiredLeases);
    counter('etcd_debugging_lease_renewed_total', 'Leases renewed here.', () => member.leaseRenewals);
    gauge('tsetcd_leases', 'Leases.', () => lessor.count);
  }

  bindPasswords(stats: { readonly served: number; readonly refused: number }): void {
    const r = this.registry;
    r.read('tsetcd_auth_passwords_checked_total', 'counter', 'Passwords hashed or compared.', () => stats.served);
    r.read('tsetcd_auth_passwords_refused_total', 'counter', 'Passwords turned away because too many waited.', () => stats.refused);
  }

  bindProcess(p: ProcessFigures): void {
    const r = this.registry;
    r.read('process_cpu_seconds_total', 'counter', 'CPU time of the process.', () => p.cpuSeconds());
    r.read('process_resident_memory_bytes', 'gauge', 'Resident memory.', () => p.residentBytes());
    r.read('process_virtual_memory_bytes', 'gauge', 'Virtual memory.', () => p.virtualBytes());
    r.read('process_virtual_memory_max_bytes', 'gauge', 'Most virtual memory that may be taken.', () => p.virtualBytesMax());
    r.read('process_open_fds', 'gauge', 'Open file descriptors.', () => p.openFds());
    r.read('process_max_fds', 'gauge', 'Most file descriptors that may be open.', () => p.maxFds());
    r.read('process_start_time_seconds', 'gauge', 'Start of the process, Unix time.', () => p.startSeconds());
    r.read('process_network_receive_bytes_total', 'counter', 'Bytes received by all devices.', () => p.networkBytes().received);
    r.read('process_network_transmit_bytes_total', 'counter', 'Bytes sent by all devices.', () => p.networkBytes().sent);
    r.read('os_fd_used', 'gauge', 'Open file descriptors.', () => p.openFds());
    r.read('os_fd_limit', 'gauge', 'Most file descriptors that may be open.', () => p.maxFds());
  }

  bindRuntime(f: RuntimeFigures, p: ProcessFigures): void {
    const r = this.registry;
    registerRuntimeNames(r, f, p);
    r.gauges('nodejs_version_info', 'Version of Node.', ['version']).with(f.version).set(1);
    r.summary('nodejs_eventloop_delay_seconds', 'How late the event loop ran, since the last reading.', () => f.loopDelay());
    r.read('nodejs_eventloop_utilization', 'gauge', 'Busy share of the event loop, since the last reading.', () => f.loopUtilization());
    r.familyOf('nodejs_gc_duration_seconds', 'Time of garbage collections.', 'kind', f.gc);
    const heap = (name: string, help: string, part: 'used' | 'total' | 'limit' | 'external' | 'arrayBuffers'): void =>
      r.read(name, 'gauge', help, () => f.heap()[part]);
    heap('nodejs_heap_size_used_bytes', 'JavaScript heap in use.', 'used');
    heap('nodejs_heap_size_total_bytes', 'JavaScript heap.', 'total');
    heap('nodejs_heap_size_limit_bytes', 'Most that the JavaScript heap may grow to.', 'limit');
    heap('nodejs_external_memory_bytes', 'Memory of objects outside the heap.', 'external');
    heap('nodejs_array_buffers_bytes', 'The part of it in buffers.', 'arrayBuffers');
  }

  text(): string {
    this.#readings.inc();
    return this.registry.text();
  }
}

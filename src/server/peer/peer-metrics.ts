/** etcd's metrics of the peer network. */
import { exponentialBuckets, type MetricsRegistry } from '../../base/metrics.ts';
import type { MemberId } from '../../raft/types.ts';
import { idText } from '../membership/ids.ts';

type Labelled = ReturnType<MetricsRegistry['counters']>;

export class PeerMetrics {
  readonly #received: Labelled;
  readonly #receivedFailures: Labelled;
  readonly #sent: Labelled;
  readonly #sentFailures: Labelled;
  readonly #active: ReturnType<MetricsRegistry['gauges']>;
  readonly #disconnected: Labelled;
  readonly #roundTrip: ReturnType<MetricsRegistry['histograms']>;
  readonly #databaseSync: ReturnType<MetricsRegistry['histogram']>;
  readonly #databaseSave: ReturnType<MetricsRegistry['histogram']>;
  readonly #snapshot: Record<'send' | 'receive', SnapshotMetrics>;

  constructor(registry: MetricsRegistry) {
    const r = registry;
    this.#received = r.counters('etcd_network_peer_received_bytes_total', 'Bytes received from members.', ['From']);
    this.#receivedFailures = r.counters('etcd_network_peer_received_failures_total', 'Messages of members that could not be taken.', [
      'From',
    ]);
    this.#sent = r.counters('etcd_network_peer_sent_bytes_total', 'Bytes sent to members.', ['To']);
    this.#sentFailures = r.counters('etcd_network_peer_sent_failures_total', 'Messages to members that could not be sent.', ['To']);
    this.#active = r.gauges('etcd_network_active_peers', 'Connections with members that are up.', ['Local', 'Remote']);
    this.#disconnected = r.counters('etcd_network_disconnected_peers_total', 'Connections with members lost.', ['Local', 'Remote']);
    this.#roundTrip = r.histograms(
      'etcd_network_peer_round_trip_time_seconds',
      'Round trips to members.',
      ['To'],
      exponentialBuckets(0.0001, 2, 16),
    );
    this.#databaseSync = r.histogram(
      'etcd_snap_db_fsync_duration_seconds',
      'Time of syncs of received databases.',
      exponentialBuckets(0.001, 2, 14),
    );
    this.#databaseSave = r.histogram(
      'etcd_snap_db_save_total_duration_seconds',
      'Time to receive and save a database.',
      exponentialBuckets(0.1, 2, 10),
    );
    this.#snapshot = { send: new SnapshotMetrics(r, 'send', 'To'), receive: new SnapshotMetrics(r, 'receive', 'From') };
  }

  received(from: MemberId, bytes: number): void {
    this.#received.with(idText(from)).inc(bytes);
  }
  receiveFailed(from: MemberId): void {
    this.#receivedFailures.with(idText(from)).inc();
  }
  sent(to: MemberId, bytes: number): void {
    this.#sent.with(idText(to)).inc(bytes);
  }
  sendFailed(to: MemberId): void {
    this.#sentFailures.with(idText(to)).inc();
  }
  active(local: MemberId, remote: MemberId, up: boolean): void {
    this.#active.with(idText(local), idText(remote)).set(up ? 1 : 0);
    if (!up) this.#disconnected.with(idText(local), idText(remote)).inc();
  }
  roundTrip(to: MemberId, seconds: number): void {
    this.#roundTrip.with(idText(to)).observe(seconds);
  }
  databaseSaved(syncSeconds: number, seconds: number): void {
    this.#databaseSync.observe(syncSeconds);
    this.#databaseSave.observe(seconds);
  }
  snapshot(way: 'send' | 'receive'): SnapshotMetrics {
    return this.#snapshot[way];
  }
}

class SnapshotMetrics {
  readonly #success: Labelled;
  readonly #failures: Labelled;
  readonly #inflight: ReturnType<MetricsRegistry['gauges']>;
  readonly #duration: ReturnType<MetricsRegistry['histograms']>;

  constructor(r: MetricsRegistry, way: 'send' | 'receive', label: string) {
    const name = `etcd_network_snapshot_${way}`;
    this.#success = r.counters(`${name}_success`, 'Database snapshots that went through.', [label]);
    this.#failures = r.counters(`${name}_failures`, 'Database snapshots that failed.', [label]);
    this.#inflight = r.gauges(`${name}_inflights_total`, 'Database snapshots under way.', [label]);
    this.#duration = r.histograms(
      `${name}_total_duration_seconds`,
      'Time of a database snapshot.',
      [label],
      exponentialBuckets(0.1, 2, 10),
    );
  }

  begins(peer: MemberId): void {
    this.#inflight.with(idText(peer)).add(1);
  }

  ends(peer: MemberId, ok: boolean, seconds: number): void {
    const id = idText(peer);
    this.#inflight.with(id).add(-1);
    if (!ok) {
      this.#failures.with(id).inc();
      return;
    }
    this.#success.with(id).inc();
    this.#duration.with(id).observe(seconds);
  }
}

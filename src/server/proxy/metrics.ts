/** What the proxy counts: its own figures under etcd's names, its calls, and the process. */
import { MetricsRegistry, type Counter, type Gauge } from '../../base/metrics.ts';
import { Code } from '../../api/status.ts';
import type { WireObserver } from '../../wire/observer.ts';

/** Of the process, read when metrics are read. */
export interface ProxyProcessFigures {
  cpuSeconds(): number;
  residentBytes(): number;
  virtualBytes(): number;
  openFds(): number;
  maxFds(): number;
  startSeconds(): number;
}

export class ProxyMetrics {
  readonly registry = new MetricsRegistry();
  /** Watchers that share another's watch on the members. */
  readonly watchersCoalescing: Gauge;
  readonly eventsCoalescing: Counter;
  readonly cacheKeys: Gauge;
  readonly cacheHits: Gauge;
  readonly cacheMisses: Gauge;

  constructor(process: ProxyProcessFigures) {
    const r = this.registry;
    this.watchersCoalescing = r.gauge('etcd_grpc_proxy_watchers_coalescing_total', 'Total number of current watchers coalescing');
    this.eventsCoalescing = r.counter('etcd_grpc_proxy_events_coalescing_total', 'Total number of events coalescing');
    this.cacheKeys = r.gauge('etcd_grpc_proxy_cache_keys_total', 'Total number of keys/ranges cached');
    this.cacheHits = r.gauge('etcd_grpc_proxy_cache_hits_total', 'Total number of cache hits');
    this.cacheMisses = r.gauge('etcd_grpc_proxy_cache_misses_total', 'Total number of cache misses');
    r.read('process_cpu_seconds_total', 'counter', 'Processor time of this process, in seconds.', () => process.cpuSeconds());
    r.read('process_resident_memory_bytes', 'gauge', 'Resident memory in bytes.', () => process.residentBytes());
    r.read('process_virtual_memory_bytes', 'gauge', 'Virtual memory in bytes.', () => process.virtualBytes());
    r.read('process_open_fds', 'gauge', 'Open file descriptors.', () => process.openFds());
    r.read('process_max_fds', 'gauge', 'File descriptors that may be open.', () => process.maxFds());
    r.read('process_start_time_seconds', 'gauge', 'Start of the process, in seconds since the epoch.', () => process.startSeconds());
  }

  /** Counts calls as a member does. */
  observer(): WireObserver {
    const labels = ['grpc_method', 'grpc_service', 'grpc_type'];
    const r = this.registry;
    const started = r.counters('grpc_server_started_total', 'RPCs started.', labels);
    const handled = r.counters('grpc_server_handled_total', 'RPCs completed, by code.', ['grpc_code', ...labels]);
    const received = r.counters('grpc_server_msg_received_total', 'Messages received.', labels);
    const sent = r.counters('grpc_server_msg_sent_total', 'Messages sent.', labels);
    const codes = Object.keys(Code);
    return {
      method: (method) => {
        const cut = method.path.lastIndexOf('/');
        const which = [method.path.slice(cut + 1), method.path.slice(1, cut), typeOf(method)];
        const [began, ended] = [started.with(...which), codes.map((code) => handled.with(code, ...which))];
        const [came, went] = [received.with(...which), sent.with(...which)];
        return {
          started: () => began.inc(),
          handled: (_call, code) => ended[code]?.inc(),
          received: () => came.inc(),
          sent: () => went.inc(),
        };
      },
    };
  }
}

/** gRPC's word for a method's shape. */
export function typeOf(method: { readonly requestStream: boolean; readonly responseStream: boolean }): string {
  if (method.requestStream) return method.responseStream ? 'bidi_stream' : 'client_stream';
  return method.responseStream ? 'server_stream' : 'unary';
}

/**
 * Metrics that dashboards and alerts made for etcd ask for, and that its Go runtime or its database answers there. Figures of this process stand
 * in where they mean the same (memory, threads, collections); what has no counterpart here is empty or 0, and says so.
 */
import type { MetricsRegistry } from '../../base/metrics.ts';
import type { RuntimeFigures } from '../../base/runtime-figures.ts';

/** What is asked of the process beside its runtime. */
export interface ThreadFigures {
  residentBytes(): number;
  threads(): number;
  /** What the event loop waits for: sockets, timers, files. */
  resources(): number;
  cpus(): number;
}

const none = 'Nothing of the kind here: always 0.';

/** Of the old API, and of a proxy. */
export function registerStoreNames(r: MetricsRegistry): void {
  r.counter('etcd_debugging_store_expires_total', `Expired keys of the v2 store. ${none}`);
  r.counter('etcd_debugging_store_watch_requests_total', `Watches of the v2 store. ${none}`);
  r.gauge('etcd_debugging_store_watchers', `Watchers of the v2 store. ${none}`);
  r.gauge('etcd_grpc_proxy_cache_hits_total', `Of a gRPC proxy. ${none}`);
  r.gauge('etcd_grpc_proxy_cache_keys_total', `Of a gRPC proxy. ${none}`);
  r.gauge('etcd_grpc_proxy_cache_misses_total', `Of a gRPC proxy. ${none}`);
  r.counter('etcd_grpc_proxy_events_coalescing_total', `Of a gRPC proxy. ${none}`);
  r.gauge('etcd_grpc_proxy_watchers_coalescing_total', `Of a gRPC proxy. ${none}`);
}

/** Under the names of Go's runtime. */
export function registerRuntimeNames(r: MetricsRegistry, f: RuntimeFigures, p: ThreadFigures): void {
  const gauge = (name: string, help: string, value: () => number): void => r.read(name, 'gauge', help, value);
  const counter = (name: string, help: string, value: () => number): void => r.read(name, 'counter', help, value);
  const zero = (): number => 0;
  // Marking goes on beside the program; the others stop it.
  const stopping = [f.gc.minor, f.gc.major];
  r.summary('go_gc_duration_seconds', 'Garbage collections that stopped the program.', () => ({
    quantiles: [],
    sum: stopping.reduce((sum, h) => sum + h.sum, 0),
    count: stopping.reduce((sum, h) => sum + h.counts.reduce((a, b) => a + b, 0), 0),
  }));
  gauge('go_gc_gogc_percent', none, zero);
  gauge('go_gc_gomemlimit_bytes', 'Most that the heap may grow to.', () => f.heap().limit);
  gauge('go_goroutines', 'Sockets, timers and files that the event loop waits for.', () => p.resources());
  r.gauges('go_info', 'The runtime.', ['version']).with(f.version).set(1);
  gauge('go_sched_gomaxprocs_threads', 'Processors.', () => p.cpus());
  gauge('go_threads', 'Threads of the process.', () => p.threads());
  const memory: Readonly<Record<string, readonly [help: string, value: () => number]>> = {
    alloc: ['Heap in use.', () => f.heap().used],
    heap_alloc: ['Heap in use.', () => f.heap().used],
    heap_inuse: ['Heap in use.', () => f.heap().used],
    heap_idle: ['Heap taken and not in use.', () => f.heap().total - f.heap().used],
    heap_sys: ['Heap taken.', () => f.heap().total],
    next_gc: ['Most that the heap may grow to.', () => f.heap().limit],
    other_sys: ['Memory outside the heap.', () => f.heap().external],
    sys: ['Resident memory.', () => p.residentBytes()],
  };
  for (const [name, [help, value]] of Object.entries(memory)) gauge(`go_memstats_${name}_bytes`, help, value);
  for (const name of [
    'buck_hash_sys',
    'gc_sys',
    'heap_released',
    'mcache_inuse',
    'mcache_sys',
    'mspan_inuse',
    'mspan_sys',
    'stack_inuse',
    'stack_sys',
  ])
    gauge(`go_memstats_${name}_bytes`, none, zero);
  gauge('go_memstats_heap_objects', none, zero);
  gauge('go_memstats_last_gc_time_seconds', none, zero);
  for (const name of ['alloc_bytes', 'frees', 'mallocs']) counter(`go_memstats_${name}_total`, none, zero);
}

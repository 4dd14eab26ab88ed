/** The gRPC proxy put together: members behind, one port for clients in front. */
import { Election, Lock, Maintenance, type MethodDef } from '../../api/gen/methods.ts';
import type { Clock, Timer } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import { utf8 } from '../../base/bytes.ts';
import { Client } from '../../client/client.ts';
import { Connection } from '../../client/connection.ts';
import type { CallLayer } from '../../client/layer.ts';
import { LeasingLayer } from '../../client/leasing.ts';
import { Namespace, NamespaceLayer } from '../../client/namespace.ts';
import type { ClientOptions } from '../../client/options.ts';
import { OrderingLayer } from '../../client/ordering.ts';
import { HandlerTable } from '../../wire/call.ts';
import { ClusterProxy } from './cluster-proxy.ts';
import { registerAuthProxy, registerKvProxy } from './kv-proxy.ts';
import { registerLeaseProxy } from './lease-proxy.ts';
import { ProxyMetrics, type ProxyProcessFigures } from './metrics.ts';
import { RangeCache } from './range-cache.ts';
import { Upstream } from './upstream.ts';
import { WatchProxy } from './watch-proxy.ts';

/** Between attempts of the first ordered read. */
const orderingRetryMs = 1000;

export interface GrpcProxyOptions {
  readonly client: ClientOptions;
  readonly clock: Clock;
  readonly log: Log;
  readonly figures: ProxyProcessFigures;
  readonly hostname: string;
  readonly namespace: string;
  readonly leasingPrefix: string;
  readonly serializableOrdering: boolean;
  /** 0: endpoints stay as they are. */
  readonly autoSyncMs: number;
  readonly advertiseClientUrl: string;
  readonly resolverPrefix: string;
  readonly resolverTtlSeconds: number;
}

export class GrpcProxy {
  readonly table = new HandlerTable();
  readonly metrics: ProxyMetrics;
  /** As clients of the proxy see the members. */
  readonly client: Client;
  readonly #cluster: ClusterProxy;
  readonly #connection: Connection;
  readonly #leasing: LeasingLayer | undefined;
  readonly #sync: Timer | undefined;

  private constructor(options: GrpcProxyOptions, connection: Connection, ordering: OrderingLayer | undefined) {
    const { clock, log } = options;
    this.#connection = connection;
    this.metrics = new ProxyMetrics(options.figures);
    let layer: CallLayer = ordering ?? connection;
    if (options.namespace !== '') layer = new NamespaceLayer(layer, new Namespace(utf8(options.namespace)));
    if (options.leasingPrefix !== '') layer = this.#leasing = new LeasingLayer(layer, options.leasingPrefix);
    const upstream = new Upstream(layer, clock, layer === connection);
    this.client = new Client(layer);
    const cache = new RangeCache(this.metrics.cacheKeys, clock);
    this.#cluster = new ClusterProxy({ ...options, upstream, client: this.client });
    registerKvProxy(this.table, upstream, cache, this.metrics);
    registerAuthProxy(this.table, upstream, cache);
    new WatchProxy({ upstream, cache, metrics: this.metrics, log }).register(this.table);
    registerLeaseProxy(this.table, upstream);
    this.#cluster.register(this.table);
    for (const method of [...Object.values(Maintenance), ...Object.values(Lock), ...Object.values(Election)]) {
      if (method.responseStream) upstream.passStream(this.table, method as MethodDef);
      else upstream.pass(this.table, method as MethodDef);
    }
    if (options.autoSyncMs > 0) {
      const direct = new Client(connection);
      this.#sync = clock.every(options.autoSyncMs, () => {
        const before = connection.endpoints.join();
        direct.sync().then(
          () => {
            const { endpoints } = connection;
            if (endpoints.join() !== before) log.info('set etcd endpoints by autoSync', { endpoints });
          },
          (error: unknown) => log.info('Auto sync endpoints failed.', { error }),
        );
      });
    }
  }

  /** With ordering, resolves once a first linearizable read has told where order begins. */
  static async open(options: GrpcProxyOptions): Promise<GrpcProxy> {
    const connection = new Connection(options.client);
    let ordering: OrderingLayer | undefined;
    if (options.serializableOrdering) {
      ordering = new OrderingLayer(connection);
      const { log, clock } = options;
      log.info('waiting for linearized read from cluster to recover ordering');
      for (;;) {
        try {
          await new Client(ordering).get('_', { keysOnly: true });
          break;
        } catch (error) {
          log.warn('ordering recovery failed, retrying in 1s', { error });
          await new Promise<void>((resolve) => clock.after(orderingRetryMs, resolve));
        }
      }
    }
    return new GrpcProxy(options, connection, ordering);
  }

  async close(): Promise<void> {
    this.#sync?.cancel();
    await this.#cluster.close();
    await this.#leasing?.release();
    this.client.close();
    this.#connection.close();
  }
}

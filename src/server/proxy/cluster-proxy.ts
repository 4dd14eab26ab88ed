/**
 * The cluster as clients of the proxy see it: its members are the proxies, so that a client that asks for endpoints stays with them. And the
 * place where proxies find each other: keys under a prefix, in the layout of etcd's naming package, each with its proxy's lease.
 */
import type { MemberListResponse } from '../../api/gen/etcdserverpb.ts';
import { Cluster } from '../../api/gen/methods.ts';
import { utf8Text } from '../../base/bytes.ts';
import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import type { Client } from '../../client/client.ts';
import { Session } from '../../client/concurrency.ts';
import type { Watcher } from '../../client/watch.ts';
import type { HandlerTable } from '../../wire/call.ts';
import type { Upstream } from './upstream.ts';

/** Between attempts to register or to watch, as etcd's proxy has it. */
const retryMs = 1000;

export interface ClusterProxyOptions {
  readonly upstream: Upstream;
  readonly client: Client;
  readonly clock: Clock;
  readonly log: Log;
  /** Empty: members are shown as they are. */
  readonly advertiseClientUrl: string;
  /** Empty: no registration. */
  readonly resolverPrefix: string;
  readonly resolverTtlSeconds: number;
  readonly hostname: string;
}

interface ProxyMember {
  readonly name: string;
  readonly address: string;
}

export class ClusterProxy {
  readonly #o: ClusterProxyOptions;
  readonly #members = new Map<string, ProxyMember>();
  #watcher: Watcher | undefined;
  #session: Session | undefined;
  #closed = false;

  constructor(options: ClusterProxyOptions) {
    this.#o = options;
    if (options.resolverPrefix === '') return;
    void this.#keepRegistered();
    if (options.advertiseClientUrl !== '') void this.#keepWatching();
  }

  register(table: HandlerTable): void {
    const { upstream, advertiseClientUrl } = this.#o;
    for (const method of [Cluster.memberAdd, Cluster.memberRemove, Cluster.memberUpdate, Cluster.memberPromote])
      upstream.pass(table, method as typeof Cluster.memberAdd);
    table.addUnary(Cluster.memberList, (call) => {
      if (advertiseClientUrl === '') upstream.forward(call);
      else call.reply(this.#list());
    });
  }

  #list(): MemberListResponse {
    const { hostname, advertiseClientUrl } = this.#o;
    const known = this.#members.size > 0 ? [...this.#members.values()] : [{ name: hostname, address: advertiseClientUrl }];
    const members = known.map(({ name, address }) => ({ ID: 0n, name, peerURLs: [], clientURLs: [address], isLearner: false }));
    return { header: undefined, members };
  }

  async #keepRegistered(): Promise<void> {
    const { client, log, advertiseClientUrl, resolverPrefix, resolverTtlSeconds, hostname } = this.#o;
    while (!this.#closed) {
      try {
        const session = await Session.create(client, { ttlSeconds: resolverTtlSeconds });
        this.#session = session;
        const value = JSON.stringify({ Op: 0, Addr: advertiseClientUrl, Metadata: JSON.stringify({ name: hostname }) });
        await client.put(`${resolverPrefix}/${advertiseClientUrl}`, value, { lease: session.lease });
        log.info('registered session with lease', { addr: advertiseClientUrl, 'lease-ttl': resolverTtlSeconds });
        await new Promise<void>((resolve) => {
          if (session.lost.aborted) resolve();
          else session.lost.addEventListener('abort', () => resolve(), { once: true });
        });
        if (this.#closed) return;
        log.warn('session expired; possible network partition or server restart');
        log.warn('creating a new session to rejoin');
      } catch (error) {
        if (this.#closed) return;
        log.warn('failed to create a session', { error });
        this.#session?.orphan();
      }
      await this.#pause();
    }
  }

  async #keepWatching(): Promise<void> {
    const { client, log, resolverPrefix } = this.#o;
    while (!this.#closed) {
      try {
        const found = await client.get(resolverPrefix, { prefix: true });
        this.#members.clear();
        for (const kv of found.kvs) this.#set(utf8Text(kv.key), utf8Text(kv.value));
        const watcher = client.watch(resolverPrefix, { prefix: true, startRevision: (found.header?.revision ?? 0) + 1 });
        this.#watcher = watcher;
        for await (const { events } of watcher) {
          for (const { type, kv } of events) {
            if (kv === undefined) continue;
            if (type === 1) this.#members.delete(utf8Text(kv.key));
            else this.#set(utf8Text(kv.key), utf8Text(kv.value));
          }
        }
      } catch (error) {
        log.warn('failed to establish endpoint watch', { prefix: resolverPrefix, error });
      }
      if (!this.#closed) await this.#pause();
    }
  }

  #set(key: string, value: string): void {
    try {
      const update = JSON.parse(value) as { Addr?: unknown; Metadata?: unknown };
      const meta = typeof update.Metadata === 'string' ? (JSON.parse(update.Metadata) as { name?: unknown }) : {};
      if (typeof update.Addr === 'string')
        this.#members.set(key, { name: typeof meta.name === 'string' ? meta.name : '', address: update.Addr });
    } catch {
      this.#o.log.warn('ignored a registration that cannot be read', { key });
    }
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => this.#o.clock.after(retryMs, resolve));
  }

  /** Takes the registration back. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#watcher?.cancel();
    const session = this.#session;
    if (session !== undefined && !session.lost.aborted) await session.close().catch(() => undefined);
  }
}

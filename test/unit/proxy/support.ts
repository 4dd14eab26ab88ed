/** A proxy in this process before members in this process, and clients of both. */
import { startMember, type EmbeddedMember } from '../../../src/server/embed.ts';
import { Client } from '../../../src/client/client.ts';
import type { ClientOptions } from '../../../src/client/options.ts';
import { silentLog } from '../../../src/base/log.ts';
import { processFigures } from '../../../src/host/process-figures.ts';
import { RealClock } from '../../../src/host/real-clock.ts';
import { GrpcProxy, type GrpcProxyOptions } from '../../../src/server/proxy/grpc-proxy.ts';
import { connectHttp2 } from '../../../src/wire/http2-channel.ts';
import { defaultWireLimits } from '../../../src/wire/limits.ts';
import { Listener } from '../../../src/wire/listener.ts';
import { GrpcServer } from '../../../src/wire/server-call.ts';

export interface ProxyUnderTest {
  readonly member: EmbeddedMember;
  readonly proxy: GrpcProxy;
  readonly endpoint: string;
  /** A client through the proxy; closed with it. */
  client(options?: Partial<ClientOptions>): Client;
  /** The proxy's sample of a metric, 0 without one. */
  metric(name: string): number;
  /** The member's. */
  memberMetric(name: string): number;
  close(): Promise<void>;
}

export async function proxyBefore(member: EmbeddedMember, options: Partial<GrpcProxyOptions> = {}): Promise<ProxyUnderTest> {
  const clock = new RealClock();
  const proxy = await GrpcProxy.open({
    client: { endpoints: member.endpoints, connect: connectHttp2, failFast: true },
    clock,
    log: silentLog,
    figures: processFigures,
    hostname: 'host',
    namespace: '',
    leasingPrefix: '',
    serializableOrdering: false,
    autoSyncMs: 0,
    advertiseClientUrl: '',
    resolverPrefix: '',
    resolverTtlSeconds: 0,
    ...options,
  });
  const grpc = new GrpcServer({ table: proxy.table, limits: defaultWireLimits, clock, observer: proxy.metrics.observer() });
  const listener = new Listener({ grpc, http: (_request, response) => response.end() });
  await listener.listen({ host: '127.0.0.1' });
  const clients: Client[] = [];
  return {
    member,
    proxy,
    endpoint: listener.address,
    client(o = {}) {
      const client = new Client({ endpoints: [listener.address], connect: connectHttp2, ...o });
      clients.push(client);
      return client;
    },
    metric: (name) => sample(proxy.metrics.registry.text(), name),
    memberMetric: (name) => sample(member.metrics(), name),
    async close() {
      for (const client of clients) client.close();
      await listener.close(0);
      await proxy.close();
    },
  };
}

export function sample(text: string, name: string): number {
  const line = text.split('\n').find((l) => l.startsWith(`${name} `) || l.startsWith(`${name}{`));
  return line === undefined ? 0 : Number(line.slice(line.lastIndexOf(' ') + 1));
}

export { startMember };

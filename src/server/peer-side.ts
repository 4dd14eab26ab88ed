/** The peers' side of a member that listens: transport, routes and metrics, put together. Loaded only by such members. */
import { BlockList, isIP } from 'node:net';
import type { Clock } from '../base/clock.ts';
import type { Disk } from '../base/disk.ts';
import type { Log } from '../base/log.ts';
import type { MetricsRegistry } from '../base/metrics.ts';
import type { MemberId } from '../raft/types.ts';
import type { HttpHandler } from '../wire/http.ts';
import type { RemoteClusterSource } from './bootstrap/bootstrap.ts';
import type { ServerConfig } from './config/config.ts';
import type { Member } from './consensus/member.ts';
import type { PeerDialTls } from './peer/peer-client.ts';
import { PeerMetrics } from './peer/peer-metrics.ts';
import { RemoteCluster } from './peer/remote-cluster.ts';
import { type PeerRoutes, peerRoutes } from './peer/routes.ts';
import { HttpTransport } from './peer/transport.ts';

/** Time to connect, on top of an election timeout. */
const dialBaseMs = 1000;
/** What a request may wait, on top of two election timeouts. */
const requestBaseMs = 5000;

export function remoteCluster(config: ServerConfig, clock: Clock, log: Log, tls: PeerDialTls | undefined): RemoteClusterSource {
  return new RemoteCluster({ clock, log, dialMs: dialBaseMs + config.electionMs, tls, localAddress: memberLocalAddress(config) });
}

/** With the gate `SetMemberLocalAddr`: the first address in the URLs for peers that is one of a network. Connections to peers leave by it. */
function memberLocalAddress(config: ServerConfig, log?: Log): string | undefined {
  if (config.featureGates.get('SetMemberLocalAddr') !== true) return undefined;
  const urls = config.initialAdvertisePeerUrls;
  log?.info('searching for a suitable member local address in AdvertisePeerURLs', { 'advertise-peer-urls': urls });
  for (const url of urls) {
    const [, long, short] = /^https?:\/\/(?:\[([^\]]*)\]|([^:/]*))/.exec(url) ?? [];
    const host = long ?? short ?? '';
    if (isIP(host) === 0 || noNetwork.check(host, isIP(host) === 4 ? 'ipv4' : 'ipv6')) continue;
    log?.info('setting member local address', { LocalAddr: host });
    return host;
  }
  log?.warn('unable to set a member local address due to lack of suitable local addresses', { 'advertise-peer-urls': urls });
  return undefined;
}

/** Loopback, and no address at all. */
const noNetwork = new BlockList();
noNetwork.addSubnet('127.0.0.0', 8, 'ipv4');
noNetwork.addAddress('0.0.0.0', 'ipv4');
noNetwork.addAddress('::', 'ipv6');
noNetwork.addAddress('::1', 'ipv6');

export interface PeerSideOptions {
  readonly config: ServerConfig;
  readonly clock: Clock;
  readonly log: Log;
  readonly disk: Disk;
  readonly registry: MetricsRegistry;
  readonly memberId: MemberId;
  readonly clusterId: bigint;
  readonly serverVersion: string;
  readonly snapDir: string;
  readonly databasePath: (index: number) => string;
  readonly tls: PeerDialTls | undefined;
  /** A peer says that this member was removed from the cluster. */
  readonly onRemoved: () => void;
}

export interface PeerSide {
  readonly transport: HttpTransport;
  readonly handler: HttpHandler;
  /** The member that all of it is for. */
  bind(member: Member): void;
  close(): void;
}

export function peerSide(options: PeerSideOptions): PeerSide {
  const { config, clock, log, disk, memberId, clusterId, serverVersion, snapDir, databasePath, onRemoved } = options;
  const metrics = new PeerMetrics(options.registry);
  let bound: Member | undefined;
  let routes: PeerRoutes | undefined;
  const transport = new HttpTransport({
    own: {
      memberId,
      clusterId,
      serverVersion,
      peerUrls: () => bound?.cluster.member(memberId)?.peerUrls ?? config.initialAdvertisePeerUrls,
    },
    clock,
    log,
    metrics,
    dialMs: dialBaseMs + config.electionMs,
    readTimeoutMs: config.raftReadTimeoutMs,
    writeTimeoutMs: config.raftWriteTimeoutMs,
    requestTimeoutMs: requestBaseMs + 2 * config.electionMs,
    tls: options.tls,
    localAddress: memberLocalAddress(config, log),
  });
  return {
    transport,
    handler: (request, response) => routes?.handler(request, response),
    bind(member) {
      bound = member;
      routes = peerRoutes({ member, serverVersion, transport, metrics, disk, snapDir, databasePath });
      transport.bind({
        step: (m) => member.step(m),
        reportUnreachable: (id) => member.loop.reportUnreachable(id),
        reportSnapshot: (id, ok) => member.loop.reportSnapshot(id, ok),
        isRemoved: (id) => member.cluster.isRemoved(id),
        removed: onRemoved,
      });
    },
    close() {
      transport.stop();
      routes?.close();
    },
  };
}

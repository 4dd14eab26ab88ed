/** Endpoints for the gateway and the gRPC proxy out of DNS, those with TLS checked before they are used. */
import { readFileSync } from 'node:fs';
import { connect } from 'node:tls';
import type { Log } from '../../base/log.ts';
import { discoverClients, joined, type DiscoveredEndpoint } from '../../host/srv.ts';

/** Longest wait for one endpoint's certificate. */
const checkMs = 5000;

export interface DiscoveryFlags {
  readonly domain: string;
  readonly serviceName: string;
  /** Takes endpoints without TLS too, and checks none. */
  readonly insecure: boolean;
  /** Path of the authorities' certificates; empty: the system's. */
  readonly caFile: string;
}

/** Empty without a domain. @throws Error when the records cannot be had */
export async function discover(flags: DiscoveryFlags, log: Log): Promise<DiscoveredEndpoint[]> {
  const { domain } = flags;
  if (domain === '') return [];
  const found = await discoverClients(domain, flags.serviceName);
  const fields = { 'srv-server': domain, endpoints: found.map((e) => e.url) };
  log.info('discovered cluster from SRV', fields);
  if (flags.insecure) return found;
  log.info('validating discovered SRV endpoints', fields);
  const ca = flags.caFile === '' ? undefined : readFileSync(flags.caFile);
  const good: DiscoveredEndpoint[] = [];
  const failures: string[] = [];
  for (const endpoint of found) {
    const failure = endpoint.url.startsWith('https:') ? await tlsFailure(endpoint, domain, ca) : 'is insecure';
    if (failure === undefined) good.push(endpoint);
    else failures.push(`"${endpoint.url}" ${failure}`);
  }
  const checked = { 'srv-server': domain, endpoints: good.map((e) => e.url) };
  if (failures.length > 0) log.warn('failed to validate discovered endpoints', { ...checked, error: failures.join(',') });
  else log.info('using validated discovered SRV endpoints', checked);
  return good;
}

/** Undefined when the endpoint shows a certificate for the domain. */
function tlsFailure({ record }: DiscoveredEndpoint, domain: string, ca: Buffer | undefined): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host: record.target, port: record.port, servername: domain, ca });
    const done = (failure?: string): void => {
      socket.destroy();
      resolve(failure);
    };
    socket.setTimeout(checkMs, () => done(`failed to connect ${joined(record)} (i/o timeout)`));
    socket.once('secureConnect', () => done());
    socket.once('error', (error) => done(`failed to connect ${joined(record)} (${error.message})`));
  });
}

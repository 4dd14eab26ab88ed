/** DNS SRV records, by which clients find members and members find each other. */
import { lookup, Resolver } from 'node:dns/promises';
import { isIP } from 'node:net';

/** Longest wait for one DNS answer. */
const answerMs = 5000;
/** Questions to one server before it counts as silent. */
const tries = 2;

export interface SrvRecord {
  /** Without its last dot. */
  readonly target: string;
  readonly port: number;
  readonly priority: number;
  readonly weight: number;
}

/** Asks the system's servers, or those named in `TSETCD_DNS_SERVERS` (`address:port`, comma-separated). */
function resolver(): Resolver {
  const out = new Resolver({ timeout: answerMs, tries });
  const servers = process.env.TSETCD_DNS_SERVERS ?? '';
  if (servers !== '') out.setServers(servers.split(','));
  return out;
}

/**
 * The records of `_SERVICE._tcp.DOMAIN`, lowest priority first and within one by weight at random, as RFC 2782 has it.
 * @throws Error in Go's words
 */
export async function lookupSrv(service: string, domain: string): Promise<SrvRecord[]> {
  const name = `_${service}._tcp.${domain}`;
  const asked = resolver();
  try {
    const found = await asked.resolveSrv(name);
    return ordered(found.map((r) => ({ target: r.name.replace(/\.$/, ''), port: r.port, priority: r.priority, weight: r.weight })));
  } catch (error) {
    throw new Error(`lookup ${name} on ${serverOf(asked)}: ${reason(error)}`, { cause: error });
  }
}

function serverOf(asked: Resolver): string {
  const server = asked.getServers()[0] ?? '';
  return isIP(server) === 0 ? server : server.includes(':') ? `[${server}]:53` : `${server}:53`;
}

function reason(error: unknown): string {
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'ENOTFOUND' || code === 'ENODATA') return 'no such host';
  if (code === 'ESERVFAIL') return 'server misbehaving';
  if (code === 'ETIMEOUT') return 'i/o timeout';
  if (code === 'ECONNREFUSED') return 'connection refused';
  return (error as Error).message;
}

function ordered(records: readonly SrvRecord[]): SrvRecord[] {
  const out: SrvRecord[] = [];
  const left = [...records].sort((a, b) => a.priority - b.priority || a.weight - b.weight);
  while (left.length > 0) {
    const priority = left[0]?.priority;
    const same = left.filter((r) => r.priority === priority);
    let pick = Math.random() * same.reduce((sum, r) => sum + r.weight, 0);
    const next = same.find((r) => (pick -= r.weight) <= 0) ?? (same[0] as SrvRecord);
    out.push(next);
    left.splice(left.indexOf(next), 1);
  }
  return out;
}

/** The addresses of a host; one that is an address already is its own. @throws Error in Go's words */
export async function lookupHost(host: string): Promise<string[]> {
  if (isIP(host) !== 0) return [host];
  try {
    return (await lookup(host, { all: true })).map((a) => a.address);
  } catch (error) {
    throw new Error(`lookup ${host}: ${reason(error)}`, { cause: error });
  }
}

export interface DiscoveredEndpoint {
  /** `https://host:port` or `http://…`. */
  readonly url: string;
  readonly record: SrvRecord;
}

/** What clients of a domain connect to: endpoints with TLS first. @throws Error when there are records of neither kind */
export async function discoverClients(domain: string, serviceName: string): Promise<DiscoveredEndpoint[]> {
  const suffix = serviceName === '' ? '' : `-${serviceName}`;
  const out: DiscoveredEndpoint[] = [];
  const failures: string[] = [];
  for (const [scheme, service] of [
    ['https', 'etcd-client-ssl'],
    ['http', 'etcd-client'],
  ] as const) {
    try {
      for (const record of await lookupSrv(`${service}${suffix}`, domain)) out.push({ url: `${scheme}://${joined(record)}`, record });
    } catch (error) {
      failures.push((error as Error).message);
    }
  }
  if (failures.length === 2) throw new Error(`dns lookup errors: ${failures.join(' and ')}`);
  return out;
}

export function joined({ target, port }: Pick<SrvRecord, 'target' | 'port'>): string {
  return target.includes(':') ? `[${target}]:${port}` : `${target}:${port}`;
}

/**
 * How a new member finds the others when nobody names them: by SRV records of a domain, or by a registry that another etcd or tsetcd
 * cluster keeps. Both end in an initial cluster, from which the member starts as if it had been named on the command line.
 *
 * The registry, as etcd's v3 discovery lays it out: `/_etcd/registry/TOKEN/_config/size` holds the number of members, written by whoever makes
 * the token; each member puts `name=url,…` at `/_etcd/registry/TOKEN/members/ID` and waits until that many are there. Who came first, by
 * create revision, is in.
 */
import { isIP } from 'node:net';
import type { KeyValue } from '../api/gen/mvccpb.ts';
import { utf8Text } from '../base/bytes.ts';
import type { Log } from '../base/log.ts';
import { Client } from '../client/client.ts';
import type { ClientOptions } from '../client/options.ts';
import { joined, lookupHost, lookupSrv, type SrvRecord } from '../host/srv.ts';
import { BootstrapError } from './bootstrap/bootstrap.ts';
import { parseInitialCluster } from './config/build-config.ts';
import type { ServerConfig, SrvDiscovery, TokenDiscovery } from './config/config.ts';
import { idText, memberId } from './membership/ids.ts';

/** The registry refused this member, or cannot be used. */
export class DiscoveryError extends BootstrapError {
  constructor(reason: string) {
    super(`failed to join discovery cluster (${reason})`);
  }
}

/** Pause after the n-th failure to reach the registry: 2 s, doubled up to this exponent, as etcd has it. */
const backoffExponentMax = 8;
/** Members that a registry may name; etcd clusters have a handful. */
const membersMax = 1000;

/** The configuration with the initial cluster that was found. Only for a member that starts for the first time. @throws BootstrapError */
export async function discoverCluster(
  config: ServerConfig,
  log: Log,
  client: (discovery: TokenDiscovery) => Promise<ClientOptions>,
): Promise<ServerConfig> {
  const { discovery } = config;
  if (discovery === undefined) return config;
  if (discovery.kind === 'srv') {
    const initialCluster = await clusterOfDomain(config, discovery, log);
    return Object.freeze({ ...config, initialCluster });
  }
  const own = new Map([[config.name, config.initialAdvertisePeerUrls]]);
  const initialClusterToken = discovery.token;
  if (config.initialClusterState === 'existing') return Object.freeze({ ...config, initialCluster: own, initialClusterToken });
  const initialCluster = await clusterOfToken(config, discovery, await client(discovery), log);
  return Object.freeze({ ...config, initialCluster, initialClusterToken });
}

// ---- SRV records

async function clusterOfDomain(
  config: ServerConfig,
  { domain, serviceName }: SrvDiscovery,
  log: Log,
): Promise<ServerConfig['initialCluster']> {
  const suffix = serviceName === '' ? '' : `-${serviceName}`;
  const own = new Map<string, string>();
  for (const url of config.initialAdvertisePeerUrls) {
    const { hostname, port, protocol } = new URL(url);
    for (const address of await addressesOf(hostname.replace(/^\[|\]$/g, ''))) own.set(`${address} ${port}`, protocol.slice(0, -1));
  }
  const found: string[] = [];
  const failures: string[] = [];
  let nameless = 0;
  for (const [scheme, service] of [
    ['https', `etcd-server-ssl${suffix}`],
    ['http', `etcd-server${suffix}`],
  ] as const) {
    const here: string[] = [];
    let failure: string | undefined;
    let unnamed = 0;
    try {
      for (const record of await lookupSrv(service, domain)) {
        const ownScheme = await ownSchemeOf(record, own);
        if (ownScheme instanceof Error) {
          failure = ownScheme.message;
          continue;
        }
        const url = `${scheme}://${joined(record)}`;
        if (ownScheme !== undefined && ownScheme !== scheme) {
          failure = `bootstrap at ${url} from DNS for ${service} has scheme mismatch with expected peer ${config.initialAdvertisePeerUrls.join(',')}`;
          continue;
        }
        here.push(`${ownScheme === undefined ? String(nameless + unnamed++) : config.name}=${url}`);
      }
    } catch (error) {
      failure = (error as Error).message;
    }
    // As etcd: what was found counts, and a failure only when nothing was.
    const error = here.length === 0 && failure !== undefined ? `error querying DNS SRV records for _${service} ${failure}` : undefined;
    if (error !== undefined) failures.push(error);
    log.info(`get cluster for ${service.startsWith('etcd-server-ssl') ? 'etcd-server-ssl' : 'etcd-server'} SRV`, {
      'service-scheme': scheme,
      'service-name': service,
      'server-name': config.name,
      'discovery-srv': domain,
      'advertise-peer-urls': config.initialAdvertisePeerUrls,
      'found-cluster': here,
      ...(error === undefined ? {} : { error }),
    });
    found.push(...here);
    nameless += unnamed;
  }
  if (failures.length > 0) log.warn('failed to resolve during SRV discovery', { error: failures.join('\n') });
  if (found.length === 0) throw new BootstrapError(`error setting up initial cluster: ${failures.join('\n')}`);
  for (const node of found) log.info('got bootstrap from DNS for etcd-server', { node });
  const cluster = parseInitialCluster(found.join(','));
  if (!cluster.has(config.name))
    throw new BootstrapError(
      `error setting up initial cluster: cannot find local etcd member ${JSON.stringify(config.name)} in SRV records`,
    );
  // As the records spell it, this member's own URL too: all members make their ids from the same text.
  return cluster;
}

async function addressesOf(host: string): Promise<string[]> {
  if (isIP(host) !== 0) return [host];
  try {
    return await lookupHost(host);
  } catch (error) {
    throw new BootstrapError(`error setting up initial cluster: ${(error as Error).message}`);
  }
}

/** The scheme of this member's own URL where the record points at it. */
async function ownSchemeOf(record: SrvRecord, own: ReadonlyMap<string, string>): Promise<string | undefined | Error> {
  try {
    for (const address of await lookupHost(record.target)) {
      const scheme = own.get(`${address} ${record.port}`);
      if (scheme !== undefined) return scheme;
    }
    return undefined;
  } catch (error) {
    return error as Error;
  }
}

// ---- the registry

interface Registered {
  readonly key: string;
  readonly value: string;
  readonly createRevision: number;
}

async function clusterOfToken(
  config: ServerConfig,
  discovery: TokenDiscovery,
  options: ClientOptions,
  plainLog: Log,
): Promise<ServerConfig['initialCluster']> {
  const fields = { 'discovery-token': discovery.token, 'discovery-endpoints': discovery.endpoints.join(',') };
  const log = withFields(plainLog, fields);
  const client = new Client(options);
  const id = memberId({ peerUrls: config.initialAdvertisePeerUrls, clusterToken: discovery.token });
  const registry = new Registry(client, discovery, `members/${idText(id)}`, log);
  let cluster = '';
  try {
    const own = [...config.initialAdvertisePeerUrls]
      .sort()
      .map((u) => `${config.name}=${u}`)
      .join(',');
    cluster = await registry.join(own);
    const members = parseCluster(cluster);
    log.info('discovery joined cluster successfully', { cluster });
    return members;
  } catch (error) {
    log.error('discovery failed to join cluster', { cluster, error });
    const failure = error instanceof DiscoveryError ? error : new DiscoveryError((error as Error).message);
    failure.discovery = discovery;
    throw failure;
  } finally {
    client.close();
  }
}

function parseCluster(text: string): ServerConfig['initialCluster'] {
  try {
    return parseInitialCluster(text);
  } catch {
    throw new DiscoveryError('discovery: invalid peer URL');
  }
}

class Registry {
  readonly #client: Client;
  readonly #prefix: string;
  readonly #selfKey: string;
  readonly #timeoutMs: number;
  readonly #log: Log;

  constructor(client: Client, discovery: TokenDiscovery, self: string, log: Log) {
    this.#client = client;
    this.#prefix = `/_etcd/registry/${discovery.token.replace(/^\/+|\/+$/g, '')}`;
    this.#selfKey = `${this.#prefix}/${self}`;
    this.#timeoutMs = discovery.requestTimeoutMs;
    this.#log = log;
  }

  /** Registers, waits for the others, and resolves with the cluster's description. @throws DiscoveryError */
  async join(own: string): Promise<string> {
    await this.#check();
    await this.#untilDone('register member itself', async () => {
      await this.#client.put(this.#selfKey, own, { timeoutMs: this.#timeoutMs });
    });
    this.#log.info('register member itself successfully', { memberKey: this.#selfKey, memberInfo: own });
    const { size, members, revision } = await this.#check();
    if (members.length < size) await this.#wait(members, size, revision);
    return members
      .slice(0, size)
      .map((m) => m.value)
      .join(',');
  }

  /** The members so far, in order of arrival. @throws DiscoveryError when this one is not among the first `size` and cannot become one */
  async #check(): Promise<{ size: number; members: Registered[]; revision: number }> {
    return this.#untilDone('cluster status check', async () => {
      const size = await this.#size();
      const found = await this.#client.get(`${this.#prefix}/members`, { prefix: true, timeoutMs: this.#timeoutMs });
      const members: Registered[] = [];
      for (const kv of found.kvs.slice(0, membersMax)) this.#add(members, kv);
      const place = members.findIndex((m) => m.key === this.#selfKey);
      if (place < 0 ? members.length >= size : place >= size) throw new DiscoveryError('discovery: cluster is full');
      return { size, members, revision: found.header?.revision ?? 0 };
    });
  }

  async #size(): Promise<number> {
    const key = `${this.#prefix}/_config/size`;
    const text = await this.#client.getText(key, { timeoutMs: this.#timeoutMs });
    if (text === undefined) throw new DiscoveryError('discovery: size key not found');
    const size = /^[+]?\d{1,9}$/.test(text) ? Number(text) : 0;
    if (size <= 0) throw new DiscoveryError('discovery: size key is bad');
    return size;
  }

  #add(members: Registered[], kv: KeyValue): void {
    const [memberKey, memberInfo] = [utf8Text(kv.key).trim(), utf8Text(kv.value).trim()];
    const fields = { memberKey, memberInfo };
    if (!memberInfo.includes('=')) return this.#log.warn('invalid peer info returned from discovery service', fields);
    if (members.some((m) => m.key === memberKey)) return this.#log.warn('found duplicate peer from discovery service', fields);
    members.push({ key: memberKey, value: memberInfo, createRevision: kv.createRevision });
    members.sort((a, b) => a.createRevision - b.createRevision);
    this.#log.info('found peer from discovery service', fields);
  }

  async #wait(members: Registered[], size: number, revision: number): Promise<void> {
    this.#log.info('waiting for peers from discovery service', { clusterSize: size, 'found-peers': members.length });
    for await (const { events } of this.#client.watch(`${this.#prefix}/members`, {
      prefix: true,
      startRevision: revision + 1,
      noDelete: true,
    })) {
      for (const { kv } of events) if (kv !== undefined) this.#add(members, kv);
      if (members.length >= size) break;
    }
    this.#log.info('found all needed peers from discovery service', { clusterSize: size, 'found-peers': members.length });
  }

  /** A registry that cannot be reached is tried again, for as long as it takes: nothing else can be done. @throws DiscoveryError */
  async #untilDone<T>(step: string, attempt: () => Promise<T>): Promise<T> {
    for (let retries = 1; ; retries++) {
      try {
        return await attempt();
      } catch (error) {
        if (error instanceof DiscoveryError) throw error;
        const seconds = 2 ** Math.min(retries, backoffExponentMax);
        this.#log.warn('retry connecting to discovery service', { reason: step, backoff: `${seconds}s`, error });
        await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
      }
    }
  }
}

/** The log with fields that every line carries. */
function withFields(log: Log, fields: Readonly<Record<string, unknown>>): Log {
  return {
    debug: (m, f) => log.debug(m, { ...fields, ...f }),
    info: (m, f) => log.info(m, { ...fields, ...f }),
    warn: (m, f) => log.warn(m, { ...fields, ...f }),
    error: (m, f) => log.error(m, { ...fields, ...f }),
    fatal: (m, f) => log.fatal(m, { ...fields, ...f }),
    named: (name) => withFields(log.named(name), fields),
    debugEnabled: log.debugEnabled,
  };
}

/** What a running cluster says of itself to one that is not part of it yet. */
import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import type { ClusterMember } from '../membership/cluster.ts';
import { parseId } from './compatibility.ts';
import { type Answer, PeerClient, type PeerDialTls } from './peer-client.ts';
import { membersOf, versionOf } from './questions.ts';
import { peerLookup } from './resolve.ts';

const answerBytesMax = 4 * 1024 * 1024;

export interface RemoteClusterView {
  readonly clusterId: bigint;
  readonly members: readonly ClusterMember[];
}

export interface RemoteClusterOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly dialMs: number;
  readonly tls?: PeerDialTls | undefined;
  /** As `PeerClientOptions`. */
  readonly localAddress?: string | undefined;
}

export class RemoteCluster {
  readonly #o: RemoteClusterOptions;

  constructor(options: RemoteClusterOptions) {
    this.#o = options;
  }

  /** The first answer of `urls`, asked one after the other; undefined when none has one. */
  async members(urls: readonly string[], timeoutMs: number): Promise<RemoteClusterView | undefined> {
    for (const url of urls) {
      const answer = await this.#get(url, '/members', timeoutMs);
      if (answer === undefined) continue;
      const header = answer.headers['x-etcd-cluster-id'];
      const clusterId = parseId(typeof header === 'string' ? header : '');
      const members = membersOf(answer.body.toString('utf8'));
      if (clusterId === undefined || members === undefined) {
        this.#o.log.warn('failed to read the members of a peer', { address: `${url}/members` });
        continue;
      }
      // A member without any members is joining itself and knows nothing.
      if (members.length > 0) return { clusterId, members };
    }
    return undefined;
  }

  /** Server and cluster version behind one of `urls`. */
  async version(urls: readonly string[], timeoutMs: number): Promise<{ readonly server: string; readonly cluster: string } | undefined> {
    for (const url of urls) {
      const answer = await this.#get(url, '/version', timeoutMs);
      const version = answer === undefined ? undefined : versionOf(answer.body.toString('utf8'));
      if (version !== undefined) return version;
    }
    return undefined;
  }

  async downgradeEnabled(urls: readonly string[], timeoutMs: number): Promise<boolean> {
    for (const url of urls) {
      const answer = await this.#get(url, '/downgrade/enabled', timeoutMs);
      if (answer !== undefined) return answer.body.toString('utf8').trim() === 'true';
    }
    return false;
  }

  #get(url: string, path: string, timeoutMs: number): Promise<Answer | undefined> {
    const { clock, log, dialMs, tls, localAddress } = this.#o;
    const client = new PeerClient({ urls: [url], dialMs, lookup: peerLookup(() => clock.mono()), tls, localAddress });
    return new Promise((resolve) => {
      client.ask({ method: 'GET', path, timeoutMs, bytesMax: answerBytesMax }, (error, answer) => {
        client.close();
        if (answer?.status === 200) return resolve(answer);
        log.warn("failed to get a peer's answer", { address: `${url}${path}`, error: error?.message ?? `status ${answer?.status ?? 0}` });
        resolve(undefined);
      });
    });
  }
}

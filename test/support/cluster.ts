/** Clusters of real processes: tsetcd's members, or some of them the reference etcd. */
import { join } from 'node:path';
import { connect, rpc, type Client } from '../../src/client/index.ts';
import { freePorts, type MemberOptions, MemberProcess, scratch, until } from './member.ts';
import { PeerNet } from './peer-net.ts';

export type Kind = 'tsetcd' | 'etcd';

export interface ClusterOptions {
  readonly kinds: readonly Kind[];
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** More of one member's own, by its place. */
  readonly envOf?: (i: number) => Readonly<Record<string, string>>;
  /** The members reach each other through `net`, which can cut their links. */
  readonly network?: boolean;
}

export class ProcessCluster {
  readonly members: MemberProcess[] = [];
  readonly net: PeerNet | undefined;
  readonly #clients = new Map<MemberProcess, Client>();
  readonly #place = scratch();
  readonly #options: ClusterOptions;

  constructor(options: ClusterOptions) {
    this.#options = options;
    this.net = options.network === true ? new PeerNet() : undefined;
  }

  static async start(options: ClusterOptions): Promise<ProcessCluster> {
    const cluster = new ProcessCluster(options);
    const ports = await freePorts(options.kinds.length * 2);
    const own = options.kinds.map((_, i) => ports[2 * i + 1] ?? 0);
    const { net } = cluster;
    const advertised = net === undefined ? own : await Promise.all(own.map((port, i) => net.add(`m${i}`, port)));
    const peers = advertised.map((port, i) => `m${i}=http://127.0.0.1:${port}`).join(',');
    options.kinds.forEach((kind, i) =>
      cluster.#make({
        name: `m${i}`,
        kind,
        clientPort: ports[2 * i] ?? 0,
        peerPort: own[i] ?? 0,
        advertisedPeerPort: advertised[i] ?? 0,
        initialCluster: peers,
        env: { ...options.env, ...options.envOf?.(i) },
      }),
    );
    try {
      for (const m of cluster.members) m.spawn();
      for (const m of cluster.members) await m.ready();
      if (net !== undefined) for (const m of cluster.members) net.know(m.options.name ?? '', await cluster.id(m));
    } catch (error) {
      await cluster.remove();
      throw error;
    }
    return cluster;
  }

  #make(options: Omit<MemberOptions, 'dataDir'> & { readonly name: string }): MemberProcess {
    const member = new MemberProcess({
      env: this.#options.env ?? {},
      ...options,
      dataDir: join(this.#place.dir, options.name),
      args: [...(this.#options.args ?? []), ...(options.args ?? [])],
    });
    this.members.push(member);
    return member;
  }

  /** A member that was added by `member add` under this peer port, not started. */
  async joiner(name: string, kind: Kind, add: (peerUrl: string) => Promise<void>, args: readonly string[] = []): Promise<MemberProcess> {
    const [clientPort = 0, peerPort = 0] = await freePorts(2);
    const peerUrl = `http://127.0.0.1:${peerPort}`;
    const running = this.members.filter((m) => m.child !== undefined);
    const there = (await this.client(running[0] as MemberProcess).members()).map((m) => `${m.name}=${m.peerURLs[0]}`);
    await add(peerUrl);
    return this.#make({
      name,
      kind,
      clientPort,
      peerPort,
      initialCluster: [...there, `${name}=${peerUrl}`].join(','),
      args: ['--initial-cluster-state', 'existing', ...args],
    });
  }

  client(member: MemberProcess): Client {
    let client = this.#clients.get(member);
    if (client === undefined) {
      client = connect({ endpoints: [member.endpoint], requestTimeoutMs: 8000 });
      this.#clients.set(member, client);
    }
    return client;
  }

  member(i: number): MemberProcess {
    return this.members[i] as MemberProcess;
  }

  /** Members in service. */
  get running(): MemberProcess[] {
    return this.members.filter((m) => m.child !== undefined);
  }

  async leader(): Promise<MemberProcess> {
    return until('a leader', async () => {
      for (const m of this.running) {
        const status = await this.client(m)
          .status()
          .catch(() => undefined);
        if (status !== undefined && status.leader !== 0n && status.leader === status.header?.memberId) return m;
      }
      return undefined;
    });
  }

  async id(member: MemberProcess): Promise<bigint> {
    return (await this.client(member).status()).header?.memberId ?? 0n;
  }

  async moveLeader(to: MemberProcess): Promise<void> {
    const leader = await this.leader();
    if (leader === to) return;
    await this.client(leader).call(rpc.Maintenance.moveLeader, { targetID: await this.id(to) });
    await until('the leader to have moved', async () => (await this.leader()) === to);
  }

  /** Waits until all running members have applied the same and hash to the same; returns the revision. */
  async converged(): Promise<number> {
    const { running } = this;
    await this.client(running[0] as MemberProcess).put('converged', 'x');
    return until('equal hashes', async () => {
      const all = await Promise.all(
        running.map((m) =>
          this.client(m)
            .call(rpc.Maintenance.hashKV, { revision: 0 })
            .catch(() => undefined),
        ),
      );
      const [first] = all;
      if (first === undefined) return undefined;
      const equal = all.every(
        (r) => r?.hash === first.hash && r.hashRevision === first.hashRevision && r.compactRevision === first.compactRevision,
      );
      return equal ? first.hashRevision : undefined;
    });
  }

  async remove(): Promise<void> {
    for (const c of this.#clients.values()) c.close();
    await Promise.all(this.members.map((m) => m.stop('SIGKILL')));
    await this.net?.close();
    if (process.env['TSETCD_KEEP'] === undefined) this.#place.remove();
    else console.log(`kept ${this.#place.dir}`);
  }
}

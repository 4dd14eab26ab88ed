/** Members in one process that talk through memory: what the peer room does over HTTP, without the network. */
import { MemoryDisk } from '../../../src/base/memory-disk.ts';
import { silentLog } from '../../../src/base/log.ts';
import { RealClock } from '../../../src/host/real-clock.ts';
import { RealRandom } from '../../../src/host/real-random.ts';
import type { MemberId, Message } from '../../../src/raft/types.ts';
import { SimpleTokens } from '../../../src/server/auth/simple-tokens.ts';
import { buildConfig } from '../../../src/server/config/build-config.ts';
import { readOptions } from '../../../src/server/config/options.ts';
import type { PeerTransport } from '../../../src/server/consensus/peer-transport.ts';
import { type RunningServer, startServer } from '../../../src/server/server.ts';

const clock = new RealClock();

export class TestCluster {
  readonly servers = new Map<string, RunningServer>();
  readonly disks = new Map<string, MemoryDisk>();
  readonly #byId = new Map<MemberId, RunningServer>();
  readonly cut = new Set<string>();
  readonly #names: readonly string[];
  readonly fatal: Error[] = [];
  /** Messages sent, by type. */
  readonly sent: number[] = [];

  constructor(names: readonly string[]) {
    this.#names = names;
    for (const name of names) this.disks.set(name, new MemoryDisk(clock));
  }

  async start(flags: readonly string[] = []): Promise<void> {
    await Promise.all(this.#names.map((name) => this.startOne(name, flags)));
  }

  async startOne(name: string, flags: readonly string[] = []): Promise<void> {
    const peers = this.#names.map((n) => `${n}=http://${n}.test:2380`).join(',');
    const { config } = buildConfig(
      readOptions({
        argv: [
          `--name=${name}`,
          `--data-dir=${name}`,
          `--initial-cluster=${peers}`,
          `--initial-advertise-peer-urls=http://${name}.test:2380`,
          '--heartbeat-interval=20',
          '--election-timeout=200',
          ...flags,
        ],
        env: {},
        readFile: () => '',
        parseYaml: () => undefined,
      }),
    );
    let self: RunningServer | undefined;
    const transport: PeerTransport = {
      send: (messages) => {
        for (const m of messages) this.#deliver(name, m);
      },
      sendSnapshot: (_message, view) => {
        view.release();
      },
      addPeer() {},
      removePeer() {},
      updatePeer() {},
      activeSince: (id) => (this.#reachable(name, id) ? 0 : undefined),
      versions: (done) => {
        done(
          new Map([...this.#byId].filter(([id]) => this.#reachable(name, id)).map(([id]) => [id, { server: '3.7.1', cluster: '3.7.0' }])),
        );
      },
      hashes: (_rev, done) => {
        done(new Map());
      },
      renewLease: (lead, id, done) => {
        const leader = this.#byId.get(lead);
        if (leader === undefined) done({ code: 14, message: 'down' }, 0);
        else leader.member.renewLease(id, done);
      },
      leaseTimeToLive: (lead, id, keys, done) => {
        const leader = this.#byId.get(lead);
        if (leader === undefined) done({ code: 14, message: 'down' }, undefined);
        else leader.member.leaseTimeToLive(id, keys, done);
      },
      promoteMember: (lead, id, done) => {
        this.#byId.get(lead)?.member.promoteMember(id, done);
      },
      stop() {},
    };
    const starting = startServer({
      config,
      disk: this.disks.get(name)!,
      clock,
      random: new RealRandom(),
      log: silentLog,
      hasher: { hash: (_p, _c, done) => done(undefined, ''), compare: (_p, _h, done) => done(undefined, false), close() {} },
      tokens: new SimpleTokens({ clock, random: new RealRandom(), ttlMs: 1000 }),
      runtime: { name: 'test', os: 'linux', arch: 'amd64', cpus: 1, argv: [] },
      listen: false,
      transport,
      onBuilt: (server) => {
        self = server;
        this.servers.set(name, server);
        this.#byId.set(server.member.memberId, server);
      },
      onFatal: (error) => {
        this.fatal.push(error);
      },
    });
    void self;
    await starting;
  }

  #nameOf(id: MemberId): string {
    for (const [name, s] of this.servers) if (s.member.memberId === id) return name;
    return '';
  }

  #reachable(from: string, id: MemberId): boolean {
    const to = this.#nameOf(id);
    return to !== '' && !this.cut.has(from) && !this.cut.has(to);
  }

  #deliver(from: string, m: Message): void {
    this.sent[m.type] = (this.sent[m.type] ?? 0) + 1;
    clock.after(1, () => {
      if (this.#reachable(from, m.to)) this.#byId.get(m.to)?.member.step(m);
    });
  }

  get leader(): RunningServer | undefined {
    for (const [name, s] of this.servers) if (!this.cut.has(name) && s.member.isLeader && !s.member.stopped) return s;
    return undefined;
  }

  followers(): RunningServer[] {
    return [...this.servers.values()].filter((s) => !s.member.isLeader && !s.member.stopped);
  }

  async stopOne(name: string): Promise<void> {
    const server = this.servers.get(name)!;
    this.servers.delete(name);
    this.#byId.delete(server.member.memberId);
    await server.stop();
  }

  async stop(): Promise<void> {
    for (const name of [...this.servers.keys()]) await this.stopOne(name);
  }
}

export async function until(what: string, probe: () => boolean, ms = 10_000): Promise<void> {
  const end = Date.now() + ms;
  while (!probe()) {
    if (Date.now() > end) throw new Error(`waited ${ms} ms for ${what}`);
    await new Promise((r) => setTimeout(r, 5));
  }
}

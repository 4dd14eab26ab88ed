/** A machine of the cluster: a disk that lasts, a clock, and at times a process: the real server on simulated seams. */
import { SeededRandom } from '../../src/base/random.ts';
import type { Disk } from '../../src/base/disk.ts';
import { DiskError } from '../../src/base/disk.ts';
import type { Log } from '../../src/base/log.ts';
import { SimpleTokens } from '../../src/server/auth/simple-tokens.ts';
import type { MemberId } from '../../src/raft/types.ts';
import { BootstrapError } from '../../src/server/bootstrap/bootstrap.ts';
import { DataRefused } from '../../src/server/bootstrap/data-dir.ts';
import { buildConfig } from '../../src/server/config/build-config.ts';
import { readOptions } from '../../src/server/config/options.ts';
import { MemberRemoved, type RunningServer, startServer, type StorageSizes } from '../../src/server/server.ts';
import type { InProcessChannel } from '../../src/wire/in-process.ts';
import { SimCrash, SimDisk } from './sim-disk.ts';
import { SimPeers } from './sim-peers.ts';
import type { Cluster } from './cluster.ts';
import { type ClockTraits, type Owner, SimClock, type World } from './world.ts';

/** One life of the server on a machine. */
export class Process implements Owner {
  readonly machine: Machine;
  readonly incarnation: number;
  readonly startedAt: number;
  alive = true;
  /** From the moment it talks to others. */
  server: RunningServer | undefined;
  /** From the moment it serves clients. */
  channel: InProcessChannel | undefined;
  readonly clock: SimClock;
  readonly peers: SimPeers;
  /** Runs when it dies: connections break. */
  readonly onDeath = new Set<() => void>();

  constructor(machine: Machine, incarnation: number) {
    this.machine = machine;
    this.incarnation = incarnation;
    const { world } = machine.cluster;
    this.startedAt = world.now;
    this.clock = new SimClock(
      world,
      this,
      machine.traits,
      `${machine.number}.${incarnation}`,
      (ms) => (machine.spentUntil = Math.max(machine.spentUntil, world.now) + ms),
    );
    this.peers = new SimPeers(this);
  }

  get number(): number {
    return this.machine.number;
  }

  get process(): this {
    return this;
  }

  get busyUntil(): number {
    return this.machine.busyUntil;
  }
}

export interface MachineOptions {
  readonly cluster: Cluster;
  readonly number: number;
  readonly traits: ClockTraits;
  /** Flags beside names and URLs. */
  readonly flags: readonly string[];
  readonly sizes: StorageSizes;
}

export class Machine {
  readonly cluster: Cluster;
  readonly number: number;
  readonly name: string;
  readonly url: string;
  readonly traits: ClockTraits;
  readonly disk: SimDisk;
  process: Process | undefined;
  /** How the next start names the cluster. */
  initialCluster = '';
  /** Of the member whose data it holds, from its first life on. */
  memberId: MemberId | undefined;
  joining = false;
  /** Not part of the cluster yet. */
  waiting = false;
  pausedUntil = 0;
  spentUntil = 0;
  /** Out of the cluster, for good. */
  retired = false;
  incarnations = 0;
  /** Its disk was told to fail: a process that ends over it does as it should. */
  diskFaulty = false;
  readonly #flags: readonly string[];
  readonly #sizes: StorageSizes;
  readonly #log: Log;

  constructor(options: MachineOptions) {
    this.cluster = options.cluster;
    this.number = options.number;
    this.name = `m${options.number}`;
    this.url = `http://${this.name}.sim:2380`;
    this.traits = options.traits;
    this.#flags = options.flags;
    this.#sizes = options.sizes;
    const { world } = options.cluster;
    const machine = this;
    const owner: Owner = {
      alive: true,
      number: this.number,
      get process() {
        return machine.process;
      },
      get busyUntil() {
        return machine.pausedUntil;
      },
    };
    this.disk = new SimDisk({
      clock: new SimClock(world, owner, { ...this.traits, lookMs: 0 }, `disk ${this.number}`),
      random: world.random(`disk ${this.number}`),
    });
    this.disk.onCrash = () => {
      this.cluster.counts.diskCrashes++;
      this.die('power');
      this.cluster.died(this);
    };
    this.#log = simLog(this);
  }

  get busyUntil(): number {
    return Math.max(this.pausedUntil, this.spentUntil);
  }

  get up(): boolean {
    return this.process?.server !== undefined;
  }

  start(): void {
    if (this.process !== undefined || this.retired || this.waiting) return;
    const { cluster } = this;
    const { world } = cluster;
    const process = new Process(this, ++this.incarnations);
    this.process = process;
    world.trace?.(`${this.name} starts`);
    const random = world.random(`process ${this.number}.${this.incarnations}`);
    const { config } = buildConfig(
      readOptions({
        argv: [
          `--name=${this.name}`,
          `--data-dir=data`,
          `--initial-cluster=${this.initialCluster}`,
          `--initial-cluster-state=${this.joining ? 'existing' : 'new'}`,
          `--initial-advertise-peer-urls=${this.url}`,
          `--listen-peer-urls=http://127.0.0.1:2380`,
          ...this.#flags,
        ],
        env: {},
        readFile: () => '',
        parseYaml: () => undefined,
      }),
    );
    const disk: Disk = cluster.bug?.disk?.(this.disk, this) ?? this.disk;
    // Bound to this life: what a crash leaves behind in promises may still run for a moment.
    world.at(world.now, process, () => {
      startServer({
        config,
        disk,
        clock: process.clock,
        random,
        log: this.#log,
        hasher: { hash: (_p, _c, done) => done(undefined, ''), compare: (_p, _h, done) => done(undefined, false), close() {} },
        tokens: new SimpleTokens({ clock: process.clock, random: new SeededRandom(random.u32()), ttlMs: 300_000 }),
        runtime: { name: 'simulator', os: 'linux', arch: 'amd64', cpus: 1, argv: [] },
        listen: false,
        transport: process.peers,
        remote: process.peers,
        sizes: this.#sizes,
        onBuilt: (server) => {
          if (!process.alive) return;
          process.server = server;
          process.peers.bind(server);
          cluster.built(process, server);
        },
        onFatal: (error) => this.ended(process, error),
      }).then(
        (server) => {
          if (!process.alive) return;
          process.channel = server.channel();
          world.trace?.(`${this.name} serves`);
        },
        (error: unknown) => this.ended(process, error),
      );
    });
  }

  /** The process ends by itself. */
  ended(process: Process, error: unknown): void {
    if (!process.alive) return;
    const { cluster } = this;
    const { world } = cluster;
    if (error instanceof SimCrash) return;
    const text = error instanceof Error ? `${error.constructor.name}: ${error.message}` : String(error);
    world.trace?.(`${this.name} ends: ${text}`);
    if (this.#saysRemoved(error)) {
      if (this.memberId !== undefined && cluster.oracle.removed.has(this.memberId)) cluster.removedHimself(this);
      else cluster.refused(this, error, `${text}, but nobody has removed it`);
    } else if (error instanceof DiskError && this.diskFaulty) {
      cluster.counts.diskStops++;
    } else if (error instanceof BootstrapError && this.joining && process.server === undefined) {
      cluster.counts.failedJoins++;
      this.die('process');
      cluster.onFailedJoin?.(this);
      return;
    } else {
      cluster.refused(this, error, text);
    }
    // After a failed sync the kernel shows what the disk does not have, and a process that starts again would trust it. No server can tell:
    // the machine is taken down as well.
    if (error instanceof DiskError && error.code === 'EIO') this.powerOff();
    else this.die('process');
    cluster.died(this);
  }

  /** It learned that it is no member any more: while it ran, or at a start, from the store. */
  #saysRemoved(error: unknown): boolean {
    return error instanceof MemberRemoved || (error instanceof DataRefused && error.message.includes('permanently removed'));
  }

  /** `power`: what is not synced may be lost. */
  die(how: 'power' | 'process'): void {
    const { process } = this;
    this.process = undefined;
    if (process !== undefined) {
      process.alive = false;
      this.cluster.world.trace?.(`${this.name} dies (${how})`);
    }
    if (how === 'process') this.disk.kill();
    if (process === undefined) return;
    this.cluster.buried(process);
    for (const fn of [...process.onDeath]) fn();
    process.onDeath.clear();
  }

  /** Loses power now: see the header of `sim-disk.ts`. */
  powerOff(): void {
    this.disk.crash();
    this.die('power');
  }

  /** Wiped: what comes next on it is another member. */
  retire(): void {
    this.retired = true;
    this.die('process');
  }
}

/** Everything goes into the trace when one is kept; the text of a log is no part of the hash. */
function simLog(machine: Machine): Log {
  const { world } = machine.cluster;
  const line = (level: string, message: string, fields?: Readonly<Record<string, unknown>>): void => {
    if (world.trace === undefined) return;
    const shown =
      fields === undefined ? '' : ` ${JSON.stringify(fields, (_k, v: unknown) => (typeof v === 'bigint' ? v.toString(16) : v))}`;
    world.trace(`${machine.name} ${level} ${message}${shown}`);
  };
  const log: Log = {
    debug() {},
    info: (m, f) => line('info', m, f),
    warn: (m, f) => line('warn', m, f),
    error: (m, f) => line('error', m, f),
    fatal: (m, f) => line('fatal', m, f),
    named: () => log,
    debugEnabled: false,
  };
  return log;
}

export type { World };

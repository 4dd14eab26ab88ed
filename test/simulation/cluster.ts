/** Machines on one network, the oracle that watches them, and what the faults of a schedule do to them. */
import { DiskError } from '../../src/base/disk.ts';
import type { Disk } from '../../src/base/disk.ts';
import { type FailpointController, setFailpoints } from '../../src/base/failpoint.ts';
import type { SeededRandom } from '../../src/base/random.ts';
import { idText } from '../../src/server/membership/ids.ts';
import type { MemberId } from '../../src/raft/types.ts';
import type { RunningServer } from '../../src/server/server.ts';
import type { Fault, Knobs } from './knobs.ts';
import { Machine, Process } from './machine.ts';
import { Network } from './network.ts';
import { Oracle } from './oracle.ts';
import { SimCrash } from './sim-disk.ts';
import type { Owner, World } from './world.ts';

/** A known mistake, put on through seams that only a simulation has. */
export interface Bug {
  readonly name: string;
  /** The rule it breaks. */
  readonly rule: string;
  /** Replaces methods of classes for one run; returns the way back. */
  install?(cluster: Cluster): () => void;
  /** Something around a machine's disk. */
  disk?(disk: Disk, machine: Machine): Disk;
  /** Before the member starts: public parts of it may be replaced. */
  built?(process: Process, server: RunningServer, cluster: Cluster): void;
  /** Knobs without which the mistake cannot show. */
  knobs?(knobs: Knobs): Knobs;
  /** Faults beside those of the plan, without which it seldom shows. */
  faults?(knobs: Knobs): readonly Fault[];
}

export class Cluster {
  readonly world: World;
  readonly knobs: Knobs;
  readonly network: Network;
  readonly oracle: Oracle;
  readonly machines: Machine[] = [];
  readonly bug: Bug | undefined;
  readonly counts = {
    crashes: 0,
    kills: 0,
    pauses: 0,
    partitions: 0,
    clogs: 0,
    resets: 0,
    crashPoints: 0,
    diskCrashes: 0,
    diskStops: 0,
    fullDisks: 0,
    failedSyncs: 0,
    slowDisks: 0,
    wallJumps: 0,
    stops: 0,
    failedJoins: 0,
    memberChanges: 0,
    snapshotsSent: 0,
    snapshotsTaken: 0,
  };
  /** Machines come back by themselves after this; undefined: a schedule says when. */
  onDied: ((machine: Machine) => void) | undefined;
  /** A machine was refused by the cluster it wants to join, or nobody answered. */
  onFailedJoin: ((machine: Machine) => void) | undefined;
  /** Chance of a crash at a named point; 0 off. */
  crashPoint = 0;
  readonly #byId = new Map<MemberId, Machine>();
  readonly #points: SeededRandom;
  #uninstall: (() => void) | undefined;
  readonly pointHits = new Map<string, number>();

  constructor(world: World, knobs: Knobs, bug: Bug | undefined) {
    this.world = world;
    this.knobs = knobs;
    this.bug = bug;
    this.network = new Network(world, knobs.network);
    this.oracle = new Oracle(world);
    this.#points = world.random('crash points');
    world.afterEvent = (owner) => {
      const process = owner?.process;
      if (process instanceof Process) this.oracle.step(process);
    };
    world.onThrow = (owner, error) => this.#thrown(owner, error);
  }

  addMachine(): Machine {
    const number = this.machines.length;
    const random = this.world.random(`machine ${number}`);
    const { knobs } = this;
    const machine = new Machine({
      cluster: this,
      number,
      traits: {
        rate: 1 + (random.float() * 2 - 1) * knobs.drift,
        wallOffsetMs: 0,
        lookMs: random.float() < 0.3 ? knobs.lookMs : 0,
      },
      flags: knobs.flags,
      sizes: knobs.sizes,
    });
    Object.assign(machine.disk.faults, knobs.disk);
    this.machines.push(machine);
    return machine;
  }

  found(count: number): void {
    for (let i = 0; i < count; i++) this.addMachine();
    const initial = this.machines.map((m) => `${m.name}=${m.url}`).join(',');
    for (const m of this.machines) {
      m.initialCluster = initial;
      m.start();
    }
  }

  machineOf(id: MemberId): Machine | undefined {
    return this.#byId.get(id);
  }

  built(process: Process, server: RunningServer): void {
    const { memberId } = server.member;
    process.machine.memberId = memberId;
    this.#byId.set(memberId, process.machine);
    this.world.trace?.(
      `${process.machine.name} is ${idText(memberId)}, term ${server.raft.term}, applied ${server.member.appliedIndex}, log to ${server.raft.lastIndex}`,
    );
    this.oracle.built(process, server);
    this.bug?.built?.(process, server, this);
  }

  buried(process: Process): void {
    this.oracle.buried(process);
  }

  /** A process ended without anybody's doing it. */
  died(machine: Machine): void {
    this.onDied?.(machine);
  }

  refused(machine: Machine, error: unknown, text: string): void {
    const stack = error instanceof Error && !(error instanceof DiskError) ? ` ${error.stack?.split('\n').slice(1, 6).join(' ') ?? ''}` : '';
    this.world.fail(`${machine.name} ended: ${text}${stack}`);
  }

  removedHimself(machine: Machine): void {
    machine.retired = true;
    this.oracle.forget(machine);
  }

  /** The cluster has removed it; it may not have noticed. */
  removed(machine: Machine): void {
    if (machine.retired) return;
    machine.retire();
    this.oracle.forget(machine);
  }

  giveUp(machine: Machine): void {
    machine.retire();
  }

  leader(): Machine | undefined {
    let best: Machine | undefined;
    let term = 0;
    for (const m of this.machines) {
      const s = m.process?.server;
      if (s !== undefined && s.member.isLeader && s.raft.term > term) {
        best = m;
        term = s.raft.term;
      }
    }
    return best;
  }

  get live(): Machine[] {
    return this.machines.filter((m) => !m.retired && !m.waiting);
  }

  /** Named points of the server's code, at which it may go down, or sleep. */
  get failpoints(): FailpointController {
    const hit = (name: string): undefined => {
      const owner = this.world.current?.process;
      if (this.crashPoint === 0 || !(owner instanceof Process) || !owner.alive) return undefined;
      this.pointHits.set(name, (this.pointHits.get(name) ?? 0) + 1);
      if (this.#points.float() >= this.crashPoint) return undefined;
      this.counts.crashPoints++;
      this.world.trace?.(`${owner.machine.name} goes down at ${name}`);
      this.#goDown(owner.machine);
      throw new SimCrash();
    };
    return {
      hit,
      pass: (name, next) => {
        hit(name);
        next(undefined);
      },
    };
  }

  begin(): void {
    setFailpoints(this.failpoints);
    this.#uninstall = this.bug?.install?.(this);
  }

  end(): void {
    setFailpoints(undefined);
    this.#uninstall?.();
  }

  #goDown(machine: Machine): void {
    if (this.#points.float() < 0.5) machine.powerOff();
    else machine.die('process');
    this.died(machine);
  }

  #thrown(by: Owner | undefined, error: unknown): void {
    const owner = by?.process;
    // Whoever throws it has taken the machine down.
    if (error instanceof SimCrash) return;
    if (owner instanceof Process) {
      if (!owner.alive) return;
      owner.machine.ended(owner, error);
      return;
    }
    this.world.fail(`the simulator threw: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  }
}

/** Lets the faults of a plan strike, and in the end takes all of them back. */
import type { Cluster } from './cluster.ts';
import type { Fault } from './knobs.ts';
import type { Machine } from './machine.ts';
import { Operator } from './operator.ts';

/** A machine that went down by itself comes back after this. */
const restartMs = 500;

export class FaultDriver {
  readonly #cluster: Cluster;
  readonly #faults: readonly Fault[];
  readonly operator: Operator;
  #healed = false;

  constructor(cluster: Cluster, faults: readonly Fault[]) {
    this.#cluster = cluster;
    this.#faults = faults;
    this.operator = new Operator(cluster);
    cluster.onFailedJoin = (machine) => void cluster.world.after(restartMs, () => this.operator.retryJoin(machine));
    cluster.onDied = (machine) => this.#restartIn(machine, restartMs);
  }

  start(): void {
    const { world } = this.#cluster;
    for (const fault of this.#faults) {
      world.at(fault.at, undefined, () => {
        if (!this.#healed) this.#strike(fault);
      });
    }
  }

  #restartIn(machine: Machine, ms: number): void {
    this.#cluster.world.after(ms, () => {
      if (machine.process === undefined && !machine.retired) machine.start();
    });
  }

  #target(fault: Fault): Machine | undefined {
    const { live } = this.#cluster;
    if (fault.target < 0) return this.#cluster.leader() ?? live[0];
    return live[fault.target % live.length];
  }

  #strike(fault: Fault): void {
    const cluster = this.#cluster;
    const { world, network, counts } = cluster;
    const machine = this.#target(fault);
    if (machine === undefined) return;
    world.trace?.(`fault ${fault.kind} on ${machine.name} for ${fault.ms} ms`);
    switch (fault.kind) {
      case 'power':
        counts.crashes++;
        machine.powerOff();
        this.#restartIn(machine, fault.ms);
        return;
      case 'kill':
        counts.kills++;
        machine.die('process');
        this.#restartIn(machine, fault.ms);
        return;
      case 'blackout':
        counts.crashes += cluster.live.length;
        for (const [i, m] of cluster.live.entries()) {
          m.powerOff();
          this.#restartIn(m, fault.ms + ((fault.dice >>> (i * 3)) & 7) * 50);
        }
        return;
      case 'pause':
        counts.pauses++;
        machine.pausedUntil = world.now + fault.ms;
        return;
      case 'partition':
        counts.partitions++;
        this.#partition(fault, machine);
        return;
      case 'clog': {
        counts.clogs++;
        for (const other of cluster.live) if ((fault.dice >>> other.number) & 1) network.clog(machine.number, other.number, fault.ms);
        return;
      }
      case 'reset':
        counts.resets++;
        for (const other of cluster.live) if (other !== machine) network.reset(machine.number, other.number);
        return;
      case 'fullDisk':
        counts.fullDisks++;
        this.#sickDisk(machine, fault.ms, () => {
          const before = machine.disk.faults.freeBytes;
          const left = fault.dice % 40_000;
          machine.disk.faults.freeBytes = left;
          return () => (machine.disk.faults.freeBytes += before - left);
        });
        return;
      case 'failedSync':
        counts.failedSyncs++;
        this.#sickDisk(machine, fault.ms, () => {
          machine.disk.faults.syncError = 0.3;
          return () => (machine.disk.faults.syncError = 0);
        });
        return;
      case 'slowDisk': {
        counts.slowDisks++;
        const { faults } = machine.disk;
        const before = cluster.knobs.disk.latencyMeanMs ?? 0;
        faults.latencyMeanMs = 20 + (fault.dice % 1000);
        world.after(fault.ms, () => (faults.latencyMeanMs = before));
        return;
      }
      case 'diskCrash':
        machine.disk.crashAt = machine.disk.operations + 1 + (fault.dice % 60);
        return;
      case 'wallJump':
        counts.wallJumps++;
        machine.traits.wallOffsetMs += (fault.dice % 7_200_000) - 3_600_000;
        return;
      case 'stop': {
        counts.stops++;
        const { process } = machine;
        if (process?.channel === undefined) return;
        world.at(world.now, process, () => {
          const stopped = (): void => {
            if (!process.alive) return;
            machine.die('process');
            this.#restartIn(machine, fault.ms);
          };
          process.server?.stop().then(stopped, (error: unknown) => machine.ended(process, error));
        });
        return;
      }
      case 'crashPoints':
        cluster.crashPoint = 0.002 + (fault.dice % 100) / 5000;
        world.after(fault.ms, () => (cluster.crashPoint = 0));
        return;
      case 'members':
        this.operator.act(fault.dice);
        return;
    }
  }

  #sickDisk(machine: Machine, ms: number, begin: () => () => void): void {
    if (machine.diskFaulty) return;
    machine.diskFaulty = true;
    const undo = begin();
    this.#cluster.world.after(ms, () => {
      undo();
      // What the failed syncs left in memory is not on the disk, whatever a reader sees.
      if (machine.process === undefined) machine.disk.crash();
      else machine.powerOff();
      machine.diskFaulty = false;
      this.#restartIn(machine, restartMs);
    });
  }

  #partition(fault: Fault, machine: Machine): void {
    const { network, world, live } = this.#cluster;
    const cut: [number, number][] = [];
    const both = (a: Machine, b: Machine): void => {
      cut.push([a.number, b.number], [b.number, a.number]);
    };
    const side = (m: Machine): number => (fault.dice >>> (8 + m.number)) & 1;
    const others = live.filter((m) => m !== machine);
    switch (fault.dice % 6) {
      case 0:
      case 1:
        for (const m of others) both(machine, m);
        break;
      case 2:
        for (const m of others) cut.push([machine.number, m.number]);
        break;
      case 3:
        for (const m of others) cut.push([m.number, machine.number]);
        break;
      case 4:
        // `machine` sees both sides.
        for (const a of others) for (const b of others) if (a.number < b.number && side(a) !== side(b)) both(a, b);
        break;
      default:
        for (const a of live) for (const b of live) if (a.number < b.number && side(a) !== side(b)) both(a, b);
    }
    for (const [a, b] of cut) network.cut(a, b, true);
    world.after(fault.ms, () => {
      for (const [a, b] of cut) network.cut(a, b, false);
    });
  }

  /** All machines up, links and disks good. A pause ends when it ends: what waits for it must stay in order. */
  heal(): void {
    const cluster = this.#cluster;
    const { network, world } = cluster;
    this.#healed = true;
    this.operator.stop();
    cluster.crashPoint = 0;
    network.healAll();
    network.faults = {
      ...network.faults,
      loss: 0,
      duplicate: 0,
      delayMinMs: Math.min(1, network.faults.delayMinMs),
      delayMeanMs: Math.min(1, network.faults.delayMeanMs),
    };
    for (const m of cluster.live) {
      m.disk.crashAt = undefined;
      Object.assign(m.disk.faults, { syncError: 0, writeError: 0, stall: 0, latencyMinMs: 0, latencyMeanMs: 0, freeBytes: 2 ** 40 });
      if (m.process === undefined) this.#restartIn(m, 1);
    }
    world.trace?.('healed');
  }
}

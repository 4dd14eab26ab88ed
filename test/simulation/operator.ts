/** Who runs the cluster: adds machines, promotes and removes members, moves the leader, defragments. Does so one thing after the other. */
import { Cluster as ClusterRpc, Maintenance } from '../../src/api/gen/methods.ts';
import { Code } from '../../src/api/status.ts';
import type { ClusterMember } from '../../src/server/membership/cluster.ts';
import { Caller } from './clients.ts';
import type { Cluster } from './cluster.ts';
import type { Machine } from './machine.ts';

/** Machines of a run, the removed ones included: the ids of links are small. */
const machinesMax = 10;
const membersMax = 5;
const retryMs = 400;
/** A machine that could not be added by then is given up. */
const attemptsMax = 40;

/** As much of a member as a list tells, of whichever port. */
interface Listed {
  readonly name: string;
  readonly peerURLs: readonly string[];
}

export class Operator {
  readonly #cluster: Cluster;
  readonly #caller: Caller;
  #busy = false;
  #stopped = false;
  /** Machines that are to join and have not started yet. */
  #joining = 0;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
    this.#caller = new Caller(cluster, 30);
  }

  /** No more changes of its own accord; what was begun is finished. */
  stop(): void {
    this.#stopped = true;
  }

  get atRest(): boolean {
    return this.#joining === 0;
  }

  act(dice: number): void {
    if (this.#busy || this.#stopped) return;
    const machine = this.#cluster.leader();
    const server = machine?.process?.server;
    if (machine === undefined || server === undefined) return;
    this.#busy = true;
    const done = (): void => {
      this.#busy = false;
    };
    const members = server.member.cluster.members();
    const learners = members.filter((m) => m.isLearner);
    const some = members[(dice >>> 8) % Math.max(1, members.length)];
    switch (dice % 6) {
      case 0:
      case 1:
        if (members.length < membersMax && this.#cluster.machines.length < machinesMax) this.#add((dice >>> 4) % 3 !== 0, done);
        else if (some !== undefined) this.#remove(some.id, done);
        else done();
        return;
      case 2:
        if (learners[0] !== undefined) this.#promote(learners[0].id, done);
        else this.#defragment(machine, done);
        return;
      case 3:
        if (some !== undefined && members.length > 1) this.#remove(some.id, done);
        else done();
        return;
      case 4:
        if (some !== undefined && !some.isLearner) {
          this.#caller.call(machine, Maintenance.moveLeader, { targetID: some.id }, done);
        } else done();
        return;
      default: {
        const live = this.#cluster.live;
        this.#defragment(live[(dice >>> 8) % live.length] as Machine, done);
      }
    }
  }

  #defragment(machine: Machine, done: () => void): void {
    this.#caller.call(machine, Maintenance.defragment, {}, done);
  }

  #promote(id: bigint, done: () => void): void {
    const machine = this.#caller.machine();
    if (machine === undefined) return done();
    this.#caller.call(machine, ClusterRpc.memberPromote, { ID: id }, (answer) => {
      if ('ok' in answer) this.#cluster.counts.memberChanges++;
      done();
    });
  }

  /**
   * Looks first: of two voters none is removed. The one that is left may go down before it knows for good that this was committed, and then needs the
   * vote of the other, which is gone: raft as etcd has it applies a change only then, and its authors advise against it. (Of three, the two that are left
   * are a majority of the three.)
   */
  #remove(id: bigint, done: () => void): void {
    const machine = this.#caller.machine();
    if (machine === undefined) return done();
    this.#caller.call(machine, ClusterRpc.memberList, { linearizable: true }, (list) => {
      if (!('ok' in list)) return done();
      const voters = list.ok.members.filter((m) => !m.isLearner);
      if (voters.length === 2 && voters.some((m) => m.ID === id)) return done();
      this.#caller.call(machine, ClusterRpc.memberRemove, { ID: id }, (answer) => {
        if ('ok' in answer) {
          this.#cluster.counts.memberChanges++;
          // Whoever was there learns of it by itself, or is switched off in the end.
          this.#cluster.world.after(3000, () => {
            const gone = this.#cluster.machineOf(id);
            if (gone !== undefined) this.#cluster.removed(gone);
          });
        }
        done();
      });
    });
  }

  #add(asLearner: boolean, done: () => void): void {
    const machine = this.#cluster.addMachine();
    machine.joining = true;
    machine.waiting = true;
    this.#joining++;
    let attempts = 0;
    /** An answer to the addition got lost: it may have come through. */
    let unsure = false;
    const finish = (): void => {
      this.#joining--;
      done();
    };
    const later = (fn: () => void): void => {
      if (++attempts > attemptsMax) {
        // Never asked for again: the cluster goes on without it.
        this.#cluster.giveUp(machine);
        finish();
      } else this.#cluster.world.after(retryMs, fn);
    };
    const start = (members: readonly Listed[]): void => {
      machine.initialCluster = clusterText(this.#cluster, machine, members);
      machine.waiting = false;
      machine.start();
      finish();
    };
    // Of two voters the new one is the second: until it runs nobody has a quorum, to tell for sure that it was added or to serve at all.
    const look = (via: Machine): void => {
      this.#caller.peerMembers(via, (members) => {
        const listed = listedOf(members);
        if (listed.some((m) => m.peerURLs.includes(machine.url))) start(listed);
        else later(ask);
      });
    };
    const ask = (): void => {
      const via = this.#caller.machine();
      if (via === undefined || via === machine || via.waiting) return later(ask);
      // Whether an earlier call has come through is told by the list.
      this.#caller.call(via, ClusterRpc.memberList, { linearizable: true }, (answer) => {
        if (!('ok' in answer)) {
          if (unsure) look(via);
          else later(ask);
          return;
        }
        if (answer.ok.members.some((m) => m.peerURLs.includes(machine.url))) return start(answer.ok.members);
        this.#caller.call(via, ClusterRpc.memberAdd, { peerURLs: [machine.url], isLearner: asLearner }, (added) => {
          if ('error' in added) this.#cluster.world.trace?.(`adding ${machine.name}: ${added.error?.message ?? 'no answer'}`);
          if ('ok' in added) {
            this.#cluster.counts.memberChanges++;
            start(added.ok.members);
          } else if (added.error?.status.code === Code.FailedPrecondition || added.error?.message.includes('unhealthy') === true) {
            // Refused for good reasons: another time, another machine.
            attempts = attemptsMax;
            later(ask);
          } else {
            unsure = true;
            later(ask);
          }
        });
      });
    };
    ask();
  }

  /** A start that failed as the cluster has changed meanwhile: once more, with its members of now. */
  retryJoin(machine: Machine): void {
    const via = this.#caller.machine();
    const again = (): void => void this.#cluster.world.after(retryMs, () => this.retryJoin(machine));
    if (machine.retired || machine.process !== undefined) return;
    if (via === undefined || this.#cluster.live.every((m) => m.process?.channel === undefined)) {
      // Nobody serves, perhaps as this machine's vote is missing: members tell each other of the cluster all the same.
      machine.start();
      return;
    }
    // Without a quorum there is no better list than one member's own: it is this machine's vote that may be missing.
    this.#caller.peerMembers(via, (members) => {
      if (machine.retired || machine.process !== undefined) return;
      if (members === undefined) return again();
      const listed = listedOf(members);
      if (listed.some((m) => m.peerURLs.includes(machine.url))) {
        machine.initialCluster = clusterText(this.#cluster, machine, listed);
        machine.start();
        return;
      }
      this.#caller.call(via, ClusterRpc.memberList, { linearizable: true }, (sure) => {
        if (machine.retired || machine.process !== undefined) return;
        // Removed before it ever came.
        if ('ok' in sure && !sure.ok.members.some((m) => m.peerURLs.includes(machine.url))) this.#cluster.giveUp(machine);
        else again();
      });
    });
  }
}

function listedOf(members: readonly ClusterMember[] | undefined): Listed[] {
  return (members ?? []).map((m) => ({ name: m.name, peerURLs: m.peerUrls }));
}

function clusterText(cluster: Cluster, own: Machine, members: readonly Listed[]): string {
  return members
    .flatMap((m) =>
      m.peerURLs.map((url) => `${url === own.url ? own.name : (cluster.machines.find((x) => x.url === url)?.name ?? m.name)}=${url}`),
    )
    .join(',');
}

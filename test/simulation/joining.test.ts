/** Machines that join while the cluster changes. */
import { expect, it } from 'vitest';
import { Cluster as ClusterRpc, KV } from '../../src/api/gen/methods.ts';
import { Cluster } from './cluster.ts';
import { planOf } from './knobs.ts';
import type { Machine } from './machine.ts';
import { World } from './world.ts';

const limitMs = 60_000;

function withCluster(check: (world: World, cluster: Cluster, wait: (what: string, done: () => boolean) => Promise<void>) => Promise<void>) {
  return async (): Promise<void> => {
    const world = new World(1);
    const { knobs } = planOf(1);
    const flags = knobs.flags.filter((f) => !/snapshot-c|strict-reconfig|election-timeout|heartbeat-interval/.test(f));
    flags.push('--snapshot-count=10', '--snapshot-catchup-entries=5', '--strict-reconfig-check=false');
    flags.push('--heartbeat-interval=50', '--election-timeout=500');
    const network = { ...knobs.network, loss: 0, duplicate: 0 };
    const cluster = new Cluster(world, { ...knobs, flags, network, disk: {} }, undefined);
    // Whom it asks may not have learnt of it yet.
    cluster.onFailedJoin = (machine) => void world.after(500, () => machine.start());
    cluster.begin();
    try {
      await check(world, cluster, async (what, done) => {
        await world.runTo(world.now + limitMs, done);
        expect(world.failure).toBeUndefined();
        expect(done(), what).toBe(true);
      });
    } finally {
      cluster.end();
    }
  };
}

const serves = (m: Machine): boolean => m.process?.channel !== undefined;
const applied = (m: Machine | undefined): number => m?.process?.server?.member.appliedIndex ?? 0;

/** Adds a machine by its URL, and starts it up to the point where it knows the cluster. */
async function join(world: World, cluster: Cluster, wait: (what: string, done: () => boolean) => Promise<void>): Promise<Machine> {
  const machine = cluster.addMachine();
  machine.joining = true;
  let added = false;
  const via = cluster.leader();
  world.at(world.now, via?.process, () => {
    void via?.process?.channel?.unary(ClusterRpc.memberAdd, { peerURLs: [machine.url] }).then(() => (added = true));
  });
  await wait('the addition', () => added);
  machine.initialCluster = cluster.machines.map((m) => `${m.name}=${m.url}`).join(',');
  machine.start();
  await wait('the cluster to be known', () => machine.up);
  return machine;
}

function cutOff(cluster: Cluster, machine: Machine, cut: boolean): void {
  for (const other of cluster.machines) {
    if (other === machine) continue;
    cluster.network.cut(machine.number, other.number, cut);
    cluster.network.cut(other.number, machine.number, cut);
  }
}

async function remove(world: World, cluster: Cluster, gone: Machine): Promise<void> {
  const via = cluster.leader();
  const id = gone.memberId;
  if (id === undefined) throw new Error('it has an id');
  world.at(world.now, via?.process, () => void via?.process?.channel?.unary(ClusterRpc.memberRemove, { ID: id }));
  await world.runTo(world.now + limitMs, () => cluster.oracle.removed.has(id));
}

it(
  'a machine that is removed while it cannot be reached, before it got anything, ends once it can',
  withCluster(async (world, cluster, wait) => {
    cluster.found(3);
    await wait('a cluster', () => cluster.leader() !== undefined && cluster.machines.every(serves));
    const machine = await join(world, cluster, wait);
    expect(applied(machine)).toBe(0);
    cutOff(cluster, machine, true);
    await remove(world, cluster, machine);
    expect(machine.up).toBe(true);
    cutOff(cluster, machine, false);
    await wait('its end', () => machine.retired);
  }),
);

it(
  'a machine that joins by a snapshot keeps no peer that was removed meanwhile',
  withCluster(async (world, cluster, wait) => {
    cluster.found(3);
    await wait('a cluster', () => cluster.leader() !== undefined && cluster.machines.every(serves));
    const machine = await join(world, cluster, wait);
    cutOff(cluster, machine, true);
    const gone = cluster.machines.find((m) => m !== cluster.leader() && m !== machine);
    if (gone?.memberId === undefined) throw new Error('there are followers');
    expect(machine.process?.peers.peers.has(gone.memberId)).toBe(true);
    await remove(world, cluster, gone);
    cluster.removed(gone);
    const leader = cluster.leader();
    let puts = 0;
    const more = (): void => {
      const put = { key: Buffer.from('k'), value: Buffer.from(`${puts}`) };
      leader?.process?.channel?.unary(KV.put, put).then(
        () => {
          if (++puts < 40) world.at(world.now, leader.process, more);
        },
        () => undefined,
      );
    };
    world.at(world.now, leader?.process, more);
    await wait('the puts', () => puts === 40);
    const snapshots = cluster.counts.snapshotsTaken;
    cutOff(cluster, machine, false);
    await wait('what it missed', () => serves(machine) && applied(machine) >= applied(leader));
    expect(cluster.counts.snapshotsTaken).toBeGreaterThan(snapshots);
    const others = [...(machine.process?.peers.peers ?? [])].map((id) => cluster.machineOf(id)?.name).sort();
    expect(others).toEqual(
      cluster.live
        .filter((m) => m !== machine)
        .map((m) => m.name)
        .sort(),
    );
  }),
);

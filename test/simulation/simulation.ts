/** One run: a cluster, its clients and its faults, from a plan; then everything is healed and must come to agree. */
import type { Bug } from './cluster.ts';
import { Cluster } from './cluster.ts';
import { Caller, History, KvClient } from './clients.ts';
import { FaultDriver } from './fault-driver.ts';
import type { Plan } from './knobs.ts';
import { guardGlobals } from './guard.ts';
import { LeaseClient, LeaseRule } from './leases.ts';
import { WatchClient } from './watchers.ts';
import { World } from './world.ts';
import { bareRevision, peerHashOf } from '../../src/server/consensus/peer-transport.ts';

export interface RunResult {
  readonly seed: number;
  readonly failure: string | undefined;
  readonly hash: string;
  readonly simulatedMs: number;
  readonly events: number;
  readonly counts: Readonly<Record<string, number>>;
  readonly points: ReadonlyMap<string, number>;
}

/**
 * Time in which a healed cluster has a leader and all members agree. A snapshot that was under way to a machine that went off is given up after a
 * minute only, and until then its leader sends that member nothing else (seed 216); then it has to publish itself.
 */
const agreeMs = 90_000;

/** A machine is back no sooner than this after it lost power: the request ids of two lives begin at two milliseconds of the wall clock, as etcd's. */
const bootMs = 10;

/** The longest TTL, what a new leader adds, and time for the revokes. */
const leasesEndMs = 20_000;

export interface RunOptions {
  readonly bug?: Bug | undefined;
  readonly trace?: ((line: string) => void) | undefined;
}

export async function run(plan: Plan, options: RunOptions = {}): Promise<RunResult> {
  const world = new World(plan.seed);
  if (options.trace !== undefined) {
    const { trace } = options;
    world.trace = (line) => trace(`${(world.now / 1000).toFixed(6).padStart(11)} ${line}`);
  }
  const knobs = options.bug?.knobs?.(plan.knobs) ?? plan.knobs;
  const unguard = guardGlobals((what) => world.fail(`the server used ${what}`));
  const cluster = new Cluster(world, knobs, options.bug);
  cluster.begin();
  const rejected = (reason: unknown): void => {
    if ((reason as { constructor?: { name?: string } } | undefined)?.constructor?.name === 'SimCrash') return;
    world.fail(`a promise was rejected and nobody cared: ${reason instanceof Error ? (reason.stack ?? reason.message) : String(reason)}`);
  };
  process.on('unhandledRejection', rejected);
  const history = new History();
  const clients: { start(): void; stop(): void }[] = [];
  const watchers: WatchClient[] = [];
  const leases = new LeaseRule(world, knobs.drift);
  cluster.oracle.onEffect = (effect) => leases.effect(effect);
  try {
    cluster.found(knobs.members);
    let callers = 0;
    for (let i = 0; i < knobs.clients; i++) clients.push(new KvClient(new Caller(cluster, callers++), history));
    for (let i = 0; i < knobs.watchers; i++) watchers.push(new WatchClient(new Caller(cluster, callers++)));
    for (let i = 0; i < knobs.leaseClients; i++) clients.push(new LeaseClient(new Caller(cluster, callers++), leases));
    clients.push(...watchers);
    for (const c of clients) c.start();
    compareNowAndThen(cluster);
    const faults = new FaultDriver(cluster, [...plan.faults, ...(options.bug?.faults?.(knobs) ?? [])]);
    faults.start();
    await world.runTo(knobs.durationMs);

    for (const c of clients) c.stop();
    faults.heal();
    const healedAt = world.now;
    const settled = (): boolean => faults.operator.atRest && agreed(cluster) && watchers.every((w) => w.caughtUp);
    await world.runTo(healedAt + agreeMs, () => world.events % 50 === 0 && settled());
    if (world.failure === undefined && !agreed(cluster))
      world.fail(`no agreement within ${agreeMs / 1000} s of the healing: ${stateOf(cluster)}`);
    const late = watchers.find((w) => !w.caughtUp);
    if (late !== undefined) world.fail(`a watcher did not get all events: ${late.state}`);
    if (world.failure === undefined) await compareHashes(cluster);
    if (world.failure === undefined && plan.seed % 4 === 1) await leasesEnd(cluster);
    if (world.failure === undefined && plan.seed % 3 === 0) await restartAll(cluster);
  } catch (error) {
    world.fail(`the simulator threw: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  } finally {
    cluster.end();
    unguard();
    process.removeListener('unhandledRejection', rejected);
  }
  world.mix(world.events);
  return {
    seed: plan.seed,
    failure: world.failure,
    hash: world.hash,
    simulatedMs: world.now,
    events: world.events,
    counts: {
      ...cluster.counts,
      ...diskCounts(cluster),
      ...history.counts,
      ...cluster.network.counts,
      elections: cluster.oracle.elections,
      revisions: cluster.oracle.model.rev,
      entries: cluster.oracle.applied,
    },
    points: cluster.pointHits,
  };
}

/** One leader, and everybody has applied all of it. */
function agreed(cluster: Cluster): boolean {
  const leader = cluster.leader()?.process?.server;
  if (leader === undefined) return false;
  const { commit, lastIndex } = leader.raft;
  if (commit !== lastIndex || commit < cluster.oracle.applied) return false;
  return cluster.live.every((m) => {
    const process = m.process;
    return (
      process?.channel !== undefined &&
      process.server?.member.appliedIndex === commit &&
      process.server.member.leader === leader.member.memberId
    );
  });
}

function stateOf(cluster: Cluster): string {
  return cluster.live
    .map((m) => {
      const s = m.process?.server;
      if (s === undefined) return `${m.name} is down`;
      return `${m.name} term ${s.raft.term} state ${s.raft.state} commit ${s.raft.commit} applied ${s.member.appliedIndex} last ${s.raft.lastIndex} serves ${m.process?.channel !== undefined}`;
    })
    .join('; ');
}

/** Hashes at a revision that all have, while everything goes on. */
function compareNowAndThen(cluster: Cluster): void {
  const { world } = cluster;
  world.after(2000, () => {
    compareNowAndThen(cluster);
    const members = cluster.live.flatMap((m) => (m.process?.channel === undefined || m.process.server === undefined ? [] : [m.process]));
    const rev = Math.min(...members.map((p) => p.server?.member.kv.currentRev ?? 0));
    const seen = new Map<number, { hash: number; name: string }>();
    let first: { bare: boolean; name: string } | undefined;
    for (const p of members) {
      world.at(world.now, p, () =>
        p.server?.member.kv.hashByRev(rev, (_error, result) => {
          if (result === undefined || !p.alive) return;
          const { name } = p.machine;
          world.mix(result.hash);
          first ??= { bare: result.bare, name };
          if (first.bare !== result.bare) world.fail(`at revision ${rev}, one of ${name} and ${first.name} sees keys, the other none`);
          const { compactRevision } = peerHashOf(result, 0);
          if (compactRevision === bareRevision) return;
          const other = seen.get(compactRevision);
          if (other === undefined) seen.set(compactRevision, { hash: result.hash, name });
          else if (other.hash !== result.hash)
            world.fail(`at revision ${rev}, compacted to ${compactRevision}, ${name} and ${other.name} hash to different values`);
        }),
      );
    }
  });
}

/** Nobody renews any more: every lease ends (G-L-2). */
async function leasesEnd(cluster: Cluster): Promise<void> {
  const { leases } = cluster.oracle.model;
  await cluster.world.runTo(cluster.world.now + leasesEndMs, () => leases.size === 0);
  if (leases.size > 0) cluster.world.fail(`${leases.size} leases are still there ${leasesEndMs / 1000} s after their last renewal`);
}

/** The power goes everywhere at once, and nothing that was not synced is left. */
async function restartAll(cluster: Cluster): Promise<void> {
  const { world } = cluster;
  for (const m of cluster.live) {
    m.disk.faults.crashKeeps = 'nothing';
    m.powerOff();
    world.after(bootMs, () => m.start());
  }
  await world.runTo(world.now + agreeMs, () => world.events % 50 === 0 && agreed(cluster));
  if (world.failure === undefined && !agreed(cluster)) world.fail(`no agreement after all members restarted: ${stateOf(cluster)}`);
  if (world.failure === undefined) await compareHashes(cluster);
}

async function compareHashes(cluster: Cluster): Promise<void> {
  const { world, oracle } = cluster;
  const { model } = oracle;
  const hashes = new Map<string, number>();
  for (const machine of cluster.live) {
    const member = machine.process?.server?.member;
    if (member === undefined) continue;
    if (member.kv.currentRev !== model.rev) world.fail(`${machine.name} ends at revision ${member.kv.currentRev}, not at ${model.rev}`);
    member.kv.hashByRev(0, (error, result) => {
      if (error !== undefined || result === undefined) world.fail(`${machine.name} has no hash: ${String(error)}`);
      else hashes.set(machine.name, result.hash);
    });
  }
  await world.runTo(world.now + 10_000, () => hashes.size === cluster.live.length);
  if (new Set(hashes.values()).size > 1)
    world.fail(`members hash to different values: ${[...hashes].map(([n, h]) => `${n} ${h}`).join(', ')}`);
  for (const h of hashes.values()) world.mix(h);
}

function diskCounts(cluster: Cluster): Record<string, number> {
  const out: Record<string, number> = {};
  for (const m of cluster.machines) for (const [k, v] of Object.entries(m.disk.struck)) out[`disk.${k}`] = (out[`disk.${k}`] ?? 0) + v;
  return out;
}

/**
 * The kill experiment: three members under mixed requests while members are killed and paused and links are cut, one fault after the other. The
 * same for tsetcd and for a real etcd.
 */
import { SeededRandom } from '../../../src/base/random.ts';
import { ProcessCluster, type Kind } from '../../support/cluster.ts';
import { type MemberProcess, until } from '../../support/member.ts';
import { check, type Revision } from './checker.ts';
import { LeadershipProbe } from './leadership.ts';
import { prefix, Traffic, WatchLog } from './traffic.ts';

export type Fault =
  | 'kill leader'
  | 'kill random'
  | 'kill all'
  | 'pause leader'
  | 'pause follower'
  | 'isolate leader'
  | 'isolate follower'
  | 'mute leader'
  | 'deafen leader'
  | 'cut one link'
  | 'cut one way';

/** How often each comes, of the sum. */
const weights: Readonly<Record<Fault, number>> = {
  'kill leader': 6,
  'kill random': 4,
  'kill all': 1,
  'pause leader': 4,
  'pause follower': 1,
  'isolate leader': 3,
  'isolate follower': 1,
  'mute leader': 2,
  'deafen leader': 2,
  'cut one link': 2,
  'cut one way': 2,
};

export interface ExperimentOptions {
  readonly kind: Kind;
  readonly seed: number;
  readonly seconds: number;
  /** All of these in turn instead of random ones, however long it takes. */
  readonly faults?: readonly Fault[];
  readonly rate: number;
  readonly clients: number;
  readonly args?: readonly string[];
}

export interface ExperimentResult {
  /** What is wrong; empty when the run is accepted. */
  readonly problems: readonly string[];
  readonly faults: ReadonlyMap<Fault, number>;
  readonly seconds: number;
  readonly operations: number;
  readonly answered: number;
  readonly revisions: number;
  /** From the moment that took the leader away to the moment that a quorum agreed on one again, ms, sorted. */
  readonly leaderless: readonly number[];
  /** The same by what took it away. */
  readonly leaderlessBy: ReadonlyMap<Fault, readonly number[]>;
  readonly errors: ReadonlyMap<string, number>;
}

export async function experiment(options: ExperimentOptions): Promise<ExperimentResult> {
  const random = new SeededRandom(options.seed);
  // Apart from the traffic's, so that a seed means the same faults for every kind of member.
  const dice = new SeededRandom(options.seed);
  const cluster = await ProcessCluster.start({
    kinds: [options.kind, options.kind, options.kind],
    args: ['--snapshot-count', '2000', '--snapshot-catchup-entries', '500', '--log-level', 'info', ...(options.args ?? [])],
    network: true,
  });
  const endpoints = cluster.members.map((m) => m.endpoint);
  const probe = new LeadershipProbe(cluster.members);
  const traffic = new Traffic({ endpoints, random, clients: options.clients, rate: options.rate });
  const watches = [...endpoints.map((e, i) => new WatchLog(`the watch at m${i}`, [e])), new WatchLog('the watch at any member', endpoints)];
  try {
    await until('a first leader', () => probe.leader() !== undefined);
    const run = new Run(cluster, probe, dice);
    const began = performance.now();
    traffic.start();
    const compacting = compactNowAndThen(cluster, watches, () => performance.now() - began < options.seconds * 1000);
    if (options.faults !== undefined) for (const fault of options.faults) await run.strike(fault);
    while (performance.now() - began < options.seconds * 1000) await run.strike(pick(dice));
    const seconds = (performance.now() - began) / 1000;
    await compacting;
    await traffic.stop();
    const end = await cluster.converged();

    const problems: string[] = [];
    await until('the watches to be told everything', () => watches.every((w) => w.last >= end || w.problems.length > 0), 60_000);
    const [log] = watches as [WatchLog];
    for (const w of watches) {
      problems.push(...w.problems);
      const difference = firstDifference(log.revisions, w.revisions);
      if (difference !== undefined) problems.push(`watches differ: ${difference}`);
    }
    problems.push(...check(traffic.operations, log.revisions, (key) => !key.startsWith(prefix)));
    return {
      problems,
      faults: run.faults,
      seconds,
      operations: traffic.operations.length,
      answered: traffic.done,
      revisions: end,
      leaderless: [...run.leaderless.values()].flat().sort((a, b) => a - b),
      leaderlessBy: run.leaderless,
      errors: traffic.errors,
    };
  } catch (error) {
    const ends = cluster.members.map((m) => `${m.options.name}:\n${m.log.split('\n').slice(-15).join('\n')}`);
    throw new Error(`${error instanceof Error ? error.message : String(error)}\n${ends.join('\n')}`, { cause: error });
  } finally {
    await traffic.stop();
    for (const w of watches) w.close();
    probe.close();
    await cluster.remove();
  }
}

/** Far enough behind that no watch is cut off. */
async function compactNowAndThen(cluster: ProcessCluster, watches: readonly WatchLog[], goOn: () => boolean): Promise<void> {
  for (let n = 0; goOn(); n++) {
    await new Promise((resolve) => setTimeout(resolve, 3000));
    const rev = Math.min(...watches.map((w) => w.last)) - 200;
    const member = cluster.running[n % Math.max(1, cluster.running.length)];
    if (rev > 1 && member !== undefined && goOn())
      await cluster
        .client(member)
        .compact(rev, { timeoutMs: 2000 })
        .catch(() => undefined);
  }
}

function firstDifference(a: readonly Revision[], b: readonly Revision[]): string | undefined {
  for (let i = 0; i < Math.max(a.length, b.length); i++) {
    const [x, y] = [JSON.stringify(a[i]), JSON.stringify(b[i])];
    if (x !== y) return `${x} and ${y}`;
  }
  return undefined;
}

function pick(random: SeededRandom): Fault {
  const all = Object.entries(weights) as [Fault, number][];
  let dice = random.float() * all.reduce((sum, [, w]) => sum + w, 0);
  for (const [fault, weight] of all) {
    dice -= weight;
    if (dice < 0) return fault;
  }
  return 'kill random';
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

class Run {
  readonly faults = new Map<Fault, number>();
  readonly leaderless = new Map<Fault, number[]>();
  #fault: Fault = 'kill random';
  readonly #cluster: ProcessCluster;
  readonly #probe: LeadershipProbe;
  readonly #random: SeededRandom;

  constructor(cluster: ProcessCluster, probe: LeadershipProbe, random: SeededRandom) {
    this.#cluster = cluster;
    this.#probe = probe;
    this.#random = random;
  }

  /** One fault from a healthy cluster to a healthy cluster. */
  async strike(fault: Fault): Promise<void> {
    const { members } = this.#cluster;
    const { member: leader, term } = await until('a leader before the fault', () => this.#probe.leader(), 60_000);
    await sleep(500 + this.#random.float() * 1000);
    this.#fault = fault;
    this.faults.set(fault, (this.faults.get(fault) ?? 0) + 1);
    const followers = members.filter((m) => m !== leader);
    const follower = followers[this.#random.u32() % followers.length] as MemberProcess;
    const other = followers.find((m) => m !== follower) as MemberProcess;
    const holdMs = 1000 + this.#random.float() * 4000;
    switch (fault) {
      case 'kill leader':
        return this.#kill(leader, term, followers);
      case 'kill random': {
        const victim = members[this.#random.u32() % members.length] as MemberProcess;
        return victim === leader ? this.#kill(leader, term, followers) : this.#kill(victim, undefined, []);
      }
      case 'kill all':
        await Promise.all(members.map((m) => m.stop('SIGKILL')));
        for (const m of members) m.spawn();
        await this.#ready();
        return;
      case 'pause leader':
      case 'pause follower': {
        const victim = fault === 'pause leader' ? leader : follower;
        victim.child?.kill('SIGSTOP');
        const [began, ends] = [performance.now(), performance.now() + holdMs];
        if (victim === leader) {
          // A short pause may end before anybody has missed it.
          const found = await this.#newLeader(followers, term, ends);
          if (found !== undefined) this.#without(found - began);
          await sleep(Math.max(0, ends - performance.now()));
          leader.child?.kill('SIGCONT');
          if (found === undefined) this.#without((await this.#anyLeader()) - began);
        } else {
          await sleep(holdMs);
          victim.child?.kill('SIGCONT');
        }
        return;
      }
      case 'isolate leader':
        return this.#cut(
          followers.flatMap((f) => [[leader, f] as const, [f, leader] as const]),
          { term, side: followers },
        );
      case 'isolate follower':
        return this.#cut([...[leader, other].flatMap((m) => [[follower, m] as const, [m, follower] as const])], undefined);
      case 'mute leader':
        return this.#cut(
          followers.map((f) => [leader, f] as const),
          { term, side: followers },
        );
      case 'deafen leader':
        return this.#cut(
          followers.map((f) => [f, leader] as const),
          { term, side: members },
        );
      case 'cut one link':
        return this.#cut([[leader, follower] as const, [follower, leader] as const], undefined);
      case 'cut one way':
        return this.#cut([this.#random.u32() % 2 === 0 ? ([leader, follower] as const) : ([follower, leader] as const)], undefined);
    }
  }

  #without(ms: number): void {
    const times = this.leaderless.get(this.#fault);
    if (times === undefined) this.leaderless.set(this.#fault, [ms]);
    else times.push(ms);
  }

  async #kill(victim: MemberProcess, term: number | undefined, rest: readonly MemberProcess[]): Promise<void> {
    const began = performance.now();
    await victim.stop('SIGKILL');
    if (term !== undefined) {
      const found = await this.#newLeader(rest, term, began + 60_000);
      if (found === undefined) throw new Error('no leader in a minute');
      this.#without(found - began);
    }
    await sleep(this.#random.float() * 2000);
    await victim.start();
  }

  /** `lost`: the leader cannot lead any more; one must be found on `side`. */
  async #cut(
    links: readonly (readonly [MemberProcess, MemberProcess])[],
    lost: { readonly term: number; readonly side: readonly MemberProcess[] } | undefined,
  ): Promise<void> {
    const net = this.#cluster.net;
    if (net === undefined) throw new Error('the cluster has no network of its own');
    const began = performance.now();
    for (const [from, to] of links) net.cut(from.options.name ?? '', to.options.name ?? '');
    try {
      if (lost !== undefined) {
        const found = await this.#newLeader(lost.side, lost.term, began + 60_000);
        if (found === undefined) throw new Error('no leader in a minute');
        this.#without(found - began);
      }
      await sleep(Math.max(0, 2000 + this.#random.float() * 3000 - (performance.now() - began)));
    } finally {
      net.heal();
    }
  }

  async #newLeader(side: readonly MemberProcess[], after: number, ends: number): Promise<number | undefined> {
    while (performance.now() < ends) {
      const leader = this.#probe.leader(side);
      if (leader !== undefined && leader.term > after) return performance.now();
      await sleep(5);
    }
    return undefined;
  }

  async #anyLeader(): Promise<number> {
    await until('a leader again', () => this.#probe.leader(), 60_000);
    return performance.now();
  }

  async #ready(): Promise<void> {
    for (const m of this.#cluster.members) await m.ready();
  }
}

/** The value below which a share of the sorted values lies. */
export function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

/**
 * A cluster under a random schedule: messages are lost, doubled and reordered, members crash and forget what was not synced, logs are compacted,
 * the configuration changes all the time. Every step checks what raft promises; `heal` ends the faults and waits for agreement.
 */
import { expect } from 'vitest';
import { MessageCodec } from '../../../src/api/gen/raftpb.ts';
import { SeededRandom } from '../../../src/base/random.ts';
import { changeOf, encodeConfChange, isConfChangeEntry } from '../../../src/raft/confchange/codec.ts';
import { copyConfState, equalConfState, isMemberIn, isVoterIn } from '../../../src/raft/conf-state.ts';
import { StateType, type Ready } from '../../../src/raft/machine.ts';
import { RawNode } from '../../../src/raft/raw-node.ts';
import {
  ConfChangeType,
  EntryType,
  MessageType,
  noMember,
  type ConfState,
  type Entry,
  type HardState,
  type MemberId,
  type Message,
  type Snapshot,
} from '../../../src/raft/types.ts';
import { raftConfig, voters } from './support.ts';

const membersMax = 6;

interface Machine {
  applied: number;
  confState: ConfState;
  /** Hash chain over everything applied. */
  hash: number;
}

interface Disk {
  hardState: HardState;
  entries: Entry[];
  snapshotIndex: number;
  snapshotTerm: number;
  machine: Machine;
}

interface Member {
  readonly id: MemberId;
  disk: Disk;
  machine: Machine;
  /** Readys handed to the WAL, oldest first. */
  writes: Ready[];
  /** Committed entries and snapshots to be applied, in order. */
  toApply: (Entry | Snapshot)[];
  node: RawNode | undefined;
  incarnation: number;
  commitSeen: number;
}

export interface Options {
  readonly preVote: boolean;
  readonly checkQuorum: boolean;
  readonly leaseBasedReads: boolean;
  readonly voters: number;
  readonly lossPercent: number;
  readonly crashes: boolean;
  readonly confChanges: boolean;
}

export class RandomCluster {
  readonly #random: SeededRandom;
  readonly #options: Options;
  readonly #members: Member[] = [];
  #network: { from: MemberId; to: MemberId; bytes: Uint8Array }[] = [];
  #cut = new Set<string>();
  #proposals = 0;
  #reads = 0;
  /** What was committed anywhere when a read was asked for. */
  readonly #readFloor = new Map<number, number>();
  // What the whole cluster has ever shown:
  readonly #leaderOf = new Map<number, string>();
  readonly #voteOf = new Map<string, MemberId>();
  readonly #entryAt = new Map<string, string>();
  readonly #committedTerm: number[] = [0];
  readonly #appliedHash: number[] = [0];
  answeredReads = 0;
  elections = 0;

  constructor(seed: number, options: Options) {
    this.#random = new SeededRandom(seed);
    this.#options = options;
    const first = voters(...Array.from({ length: options.voters }, (_, i) => i + 1));
    for (let id = 1; id <= membersMax; id++) {
      const machine = { applied: 0, confState: id <= options.voters ? first : voters(), hash: 0 };
      const member: Member = {
        id: BigInt(id),
        disk: id <= options.voters ? bootstrapDisk(options.voters, machine) : emptyDisk(machine),
        machine,
        writes: [],
        toApply: [],
        node: undefined,
        incarnation: 0,
        commitSeen: 0,
      };
      this.#members.push(member);
      this.#start(member);
    }
  }

  get committed(): number {
    return this.#committedTerm.length - 1;
  }

  step(): void {
    const member = this.#pick(this.#members);
    const dice = this.#random.u32() % 1000;
    if (dice < 480) for (let i = this.#random.u32() % 6; i >= 0; i--) this.#deliver();
    else if (dice < 535) member.node?.tick();
    else if (dice < 550) for (const each of this.#members) each.node?.tick();
    else if (dice < 700) for (let i = this.#random.u32() % 4; i >= 0; i--) this.#sync(member);
    else if (dice < 820) this.#apply(member, 1 + (this.#random.u32() % 6));
    else if (dice < 890) this.#propose(member);
    else if (dice < 920) this.#read(member);
    else if (dice < 940) this.#confChange(member);
    else if (dice < 950) this.#saveMachine(member);
    else if (dice < 958) this.#compact(member);
    else if (dice < 961) this.#crash(member);
    else if (dice < 975) this.#restart(member);
    else if (dice < 979) member.node?.transferLeader(this.#pick(this.#members).id);
    else if (dice < 981) member.node?.reportUnreachable(this.#pick(this.#members).id);
    else if (dice < 989) member.node?.reportSnapshot(this.#pick(this.#members).id, this.#random.u32() % 2 === 0);
    else if (dice < 990) member.node?.forgetLeader();
    else if (dice < 991) member.node?.campaign();
    else if (dice < 993) this.#repartition();
    else this.#cut.clear();
    this.#pump(member);
  }

  /**
   * No more faults: within a bounded number of rounds a leader stands and every member of its configuration has applied all it committed.
   *
   * @returns false when no voter of the newest configuration knows it. A removed leader that crashes before it could hand over leaves
   * voters that need its vote, and its longer log refuses them: the price, also in etcd, of configurations that count when they are applied.
   */
  heal(): boolean {
    this.#cut.clear();
    for (const member of this.#members) if (member.node === undefined) this.#start(member);
    for (let round = 0; round < 400; round++) {
      const newest = this.#newest().confState;
      for (const member of this.#members) if (isMemberIn(newest, member.id)) member.node?.tick();
      this.#settle();
      const leader = this.#members.find((m) => m.node?.state === StateType.Leader && isMemberIn(newest, m.id));
      if (leader?.node === undefined) continue;
      // The transport owes a report for every snapshot; those lost in the storm get theirs now.
      for (const [id, p] of leader.node.status().progress) if (p.state === 'snapshot') leader.node.reportSnapshot(id, false);
      if (round % 20 === 0) leader.node.propose(new Uint8Array([1]));
      this.#settle();
      const goal = leader.node.commit;
      const current = leader.machine.confState;
      const behind = this.#members.filter((m) => isMemberIn(current, m.id) && m.machine.applied < goal);
      if (round > 100 && behind.length === 0 && leader.machine.applied === goal) return true;
    }
    const { confState } = this.#newest();
    if (!this.#members.some((m) => isVoterIn(confState, m.id) && equalConfState(m.machine.confState, confState))) return false;
    const view = this.#members.map((m) => {
      const s = m.node?.status();
      return `${m.id}: ${JSON.stringify({ state: s?.state, term: s?.term, lead: String(s?.lead), commit: s?.commit, applied: m.machine.applied, last: s?.lastIndex, voters: s?.confState.voters.map(String), out: s?.confState.votersOutgoing.map(String), progress: [...(s?.progress ?? [])].map(([id, p]) => `${id}:${p.state} ${p.match}/${p.next} ${p.recentActive}`) })}`;
    });
    expect.fail(`the cluster did not come to agree:\n${view.join('\n')}`);
  }

  #newest(): Machine {
    return this.#members.reduce((a, b) => (b.machine.applied > a.machine.applied ? b : a)).machine;
  }

  #settle(): void {
    for (let i = 0; i < 2000; i++) {
      let busy = false;
      for (const member of this.#members) {
        this.#pump(member);
        while (member.writes.length > 0) this.#sync(member);
        this.#apply(member, Infinity);
        this.#pump(member);
        busy ||= member.writes.length > 0 || member.toApply.length > 0;
      }
      const batch = this.#network;
      this.#network = [];
      for (const m of batch) this.#arrive(m);
      if (!busy && batch.length === 0) return;
    }
    expect.fail('the cluster does not come to rest');
  }

  // --- actions -------------------------------------------------------------------------------------------------------------------------

  #start(member: Member): void {
    const { disk } = member;
    member.incarnation++;
    member.machine = { ...disk.machine, confState: copyConfState(disk.machine.confState) };
    member.writes = [];
    member.toApply = [];
    member.commitSeen = 0;
    const { preVote, checkQuorum, leaseBasedReads } = this.#options;
    member.node = new RawNode(
      raftConfig(member.id, disk.machine.confState, {
        preVote,
        checkQuorum,
        leaseBasedReads,
        electionTicks: 5,
        random: this.#random,
        maxInflightMsgs: 1 + (this.#random.u32() % 4),
        maxSizePerMsgBytes: this.#random.u32() % 200,
        maxCommittedBytes: 100,
        maxUncommittedBytes: 400,
        initial: {
          hardState: disk.hardState,
          confState: disk.machine.confState,
          entries: disk.entries,
          snapshotIndex: disk.snapshotIndex,
          snapshotTerm: disk.snapshotTerm,
          applied: disk.machine.applied,
        },
      }),
    );
    member.node.snapshotSource = () => this.#snapshotOf(member);
  }

  #restart(member: Member): void {
    if (member.node === undefined) this.#start(member);
  }

  /** Loses what is not synced; of the oldest unsynced batch, a crash may leave entries without the hard state behind them. */
  #crash(member: Member): void {
    if (member.node === undefined || !this.#options.crashes) return;
    if (this.#random.u32() % 3 === 0 && member.writes[0]?.snapshot === undefined) {
      const torn = member.writes[0]?.entries ?? [];
      this.#writeEntries(member.disk, torn.slice(0, this.#random.u32() % (torn.length + 1)));
    }
    member.node = undefined;
  }

  #sync(member: Member): void {
    const ready = member.writes.shift();
    if (ready === undefined || member.node === undefined) return;
    const { disk } = member;
    const meta = ready.snapshot?.metadata;
    if (ready.snapshot !== undefined && meta !== undefined) {
      disk.entries = [];
      disk.snapshotIndex = meta.index;
      disk.snapshotTerm = meta.term;
      disk.machine = machineIn(ready.snapshot);
      member.toApply.push(ready.snapshot);
    }
    this.#writeEntries(disk, ready.entries);
    if (ready.hardState !== undefined) disk.hardState = ready.hardState;
    member.node.appendDone(ready.token);
    for (const m of ready.messagesAfterAppend) this.#send(m);
  }

  #writeEntries(disk: Disk, entries: readonly Entry[]): void {
    const first = entries[0];
    if (first === undefined) return;
    expect(first.Index).toBeLessThanOrEqual(disk.snapshotIndex + disk.entries.length + 1);
    expect(first.Index).toBeGreaterThan(disk.snapshotIndex);
    disk.entries = [...disk.entries.slice(0, first.Index - disk.snapshotIndex - 1), ...entries];
  }

  #apply(member: Member, count: number): void {
    for (let i = 0; i < count; i++) {
      const next = member.toApply.shift();
      if (next === undefined || member.node === undefined) return;
      if ('metadata' in next) {
        const machine = machineIn(next);
        expect(machine.applied).toBeGreaterThan(member.machine.applied);
        expect(machine.hash, 'a snapshot is what everybody applied').toBe(this.#appliedHash[machine.applied]);
        member.machine = machine;
        member.node.applied(machine.applied);
        continue;
      }
      same(next.Index, member.machine.applied + 1, 'applied in order');
      const change = isConfChangeEntry(next) ? changeOf(next) : undefined;
      if (change !== undefined) member.machine.confState = member.node.applyConfChange(change);
      member.machine.applied = next.Index;
      member.machine.hash = chain(member.machine.hash, next);
      const known = this.#appliedHash[next.Index];
      if (known === undefined) this.#appliedHash[next.Index] = member.machine.hash;
      else same(member.machine.hash, known, 'state machine safety');
      member.node.applied(next.Index);
    }
  }

  #propose(member: Member): void {
    const count = 1 + (this.#random.u32() % 3);
    member.node?.proposeBatch(Array.from({ length: count }, () => this.#data()));
  }

  #data(): Uint8Array {
    const data = new Uint8Array(4 + (this.#random.u32() % 60));
    new DataView(data.buffer).setUint32(0, ++this.#proposals);
    return data;
  }

  #read(member: Member): void {
    if (member.node === undefined) return;
    const context = new Uint8Array(4);
    new DataView(context.buffer).setUint32(0, ++this.#reads);
    this.#readFloor.set(this.#reads, this.committed);
    member.node?.readIndex(context);
  }

  #confChange(member: Member): void {
    if (!this.#options.confChanges || member.node === undefined) return;
    const single = () => ({ type: this.#random.u32() % 4, nodeId: this.#pick(this.#members).id });
    const context = new Uint8Array(0);
    const dice = this.#random.u32() % 4;
    if (dice < 2) member.node.proposeConfChange({ id: 0n, context, ...single() });
    else {
      const changes = Array.from({ length: this.#random.u32() % 4 }, single);
      member.node.proposeConfChange({ transition: this.#random.u32() % 3, changes, context });
    }
  }

  #saveMachine(member: Member): void {
    // A received snapshot is on disk before it is installed.
    if (member.machine.applied <= member.disk.machine.applied) return;
    member.disk.machine = { ...member.machine, confState: copyConfState(member.machine.confState) };
  }

  #compact(member: Member): void {
    if (member.node === undefined) return;
    const index = member.disk.machine.applied - (this.#random.u32() % 6);
    // A received snapshot may stand ahead of what is installed.
    if (index <= member.disk.snapshotIndex || index > member.machine.applied) return;
    const term = member.disk.entries[index - member.disk.snapshotIndex - 1]?.Term;
    expect(term, 'what is applied is durable').toBeDefined();
    member.disk.entries = member.disk.entries.slice(index - member.disk.snapshotIndex);
    member.disk.snapshotIndex = index;
    member.disk.snapshotTerm = term ?? 0;
    member.node.compactLog(index);
  }

  #snapshotOf(member: Member): Snapshot | undefined {
    const { applied, confState, hash } = member.machine;
    const term = member.node?.termAt(applied);
    if (applied === 0 || term === undefined) return undefined;
    const data = new Uint8Array(4);
    new DataView(data.buffer).setUint32(0, hash);
    return { data, metadata: { index: applied, term, confState: copyConfState(confState) } };
  }

  #repartition(): void {
    this.#cut.clear();
    const side = this.#members.map(() => this.#random.u32() % 2 === 0);
    const oneWay = this.#random.u32() % 4 === 0;
    for (const [i, a] of this.#members.entries()) {
      for (const [j, b] of this.#members.entries()) if (side[i] !== side[j] && !(oneWay && side[i])) this.#cut.add(`${a.id}>${b.id}`);
    }
  }

  // --- network -------------------------------------------------------------------------------------------------------------------------

  #send(m: Message): void {
    if (m.type === MessageType.MsgVoteResp && !m.reject) this.#recordVote(m.from, m.term, m.to);
    if (m.type === MessageType.MsgVote) this.#recordVote(m.from, m.term, m.from);
    if (this.#network.length < 300) this.#network.push({ from: m.from, to: m.to, bytes: MessageCodec.encode(m) });
  }

  #deliver(): void {
    if (this.#network.length === 0) return;
    const at = this.#random.u32() % 3 === 0 ? this.#random.u32() % this.#network.length : 0;
    const m = this.#network[at];
    if (m === undefined) return;
    // A message delivered may stay behind and come again.
    if (this.#random.u32() % 20 !== 0) this.#network.splice(at, 1);
    if (this.#random.u32() % 100 < this.#options.lossPercent || this.#cut.has(`${m.from}>${m.to}`)) return;
    this.#arrive(m);
  }

  #arrive(m: { to: MemberId; bytes: Uint8Array }): void {
    const member = this.#members.find((x) => x.id === m.to);
    if (member?.node === undefined) return;
    member.node.step(MessageCodec.decode(m.bytes));
    this.#pump(member);
  }

  #pump(member: Member): void {
    const { node } = member;
    if (node === undefined) return;
    this.#check(member, node);
    while (node.hasReady()) {
      const ready = node.ready();
      member.writes.push(ready);
      for (const m of ready.messages) this.#send(m);
      for (const entry of ready.entries) this.#recordEntry(node, entry);
      for (const entry of ready.committedEntries) {
        const durable = member.disk.entries[entry.Index - member.disk.snapshotIndex - 1];
        if (durable?.Term !== entry.Term) expect.fail(`D-3: ${entry.Index} is to be applied and not durable`);
        member.toApply.push(entry);
      }
      for (const read of ready.readStates) {
        const id = new DataView(read.context.buffer, read.context.byteOffset).getUint32(0);
        expect(read.index, 'a read sees what was committed before it').toBeGreaterThanOrEqual(this.#readFloor.get(id) ?? Infinity);
        this.answeredReads++;
      }
      this.#check(member, node);
    }
  }

  // --- what must hold --------------------------------------------------------------------------------------------------------------------

  #check(member: Member, node: RawNode): void {
    if (node.state === StateType.Leader) {
      const who = `${member.id}#${member.incarnation}`;
      const known = this.#leaderOf.get(node.term);
      if (known === undefined) {
        this.#leaderOf.set(node.term, who);
        this.elections++;
        for (let i = node.firstIndex; i <= this.committed; i++) same(node.termAt(i), this.#committedTerm[i], 'leader completeness');
      } else same(who, known, `election safety in term ${node.term}`);
    }
    for (let i = Math.max(member.commitSeen + 1, node.firstIndex - 1); i <= node.commit; i++) {
      const term = node.termAt(i);
      if (this.#committedTerm[i] === undefined) {
        // A commit index only ever names what its holder has, or what a snapshot stands for.
        same(i, this.#committedTerm.length, 'commit indexes follow each other');
        this.#committedTerm[i] = term ?? -1;
      } else same(term, this.#committedTerm[i], `committed entry ${i}`);
    }
    if (node.commit < member.commitSeen) expect.fail('the commit index went back');
    member.commitSeen = node.commit;
  }

  #recordEntry(node: RawNode, entry: Entry): void {
    const key = `${entry.Index}@${entry.Term}`;
    const value = `${node.termAt(entry.Index - 1)} ${entry.Type} ${Buffer.from(entry.Data).toString('hex')}`;
    const known = this.#entryAt.get(key);
    if (known === undefined) this.#entryAt.set(key, value);
    // The entry before may have been compacted here since.
    else if (node.termAt(entry.Index - 1) !== undefined) same(value, known, `log matching at ${key}`);
  }

  #recordVote(voter: MemberId, term: number, candidate: MemberId): void {
    const key = `${voter} in ${term}`;
    const known = this.#voteOf.get(key) ?? noMember;
    if (known === noMember) this.#voteOf.set(key, candidate);
    else same(candidate, known, `one vote of ${key}`);
  }

  #pick<T>(list: readonly T[]): T {
    const picked = list[this.#random.u32() % list.length];
    if (picked === undefined) throw new RangeError('nothing to pick from');
    return picked;
  }
}

/** `expect` is too slow for checks made at every step. */
function same(actual: unknown, wanted: unknown, what: string): void {
  if (actual !== wanted) expect.fail(`${what}: ${String(actual)} instead of ${String(wanted)}`);
}

/** As a fresh cluster begins: its members as committed changes in the log. */
function bootstrapDisk(count: number, machine: Machine): Disk {
  const entries = Array.from({ length: count }, (_, i) => ({
    Type: EntryType.EntryConfChange,
    Term: 1,
    Index: i + 1,
    Data: encodeConfChange({ id: 0n, type: ConfChangeType.ConfChangeAddNode, nodeId: BigInt(i + 1), context: new Uint8Array(0) }),
  }));
  return { ...emptyDisk(machine), hardState: { term: 1, vote: noMember, commit: count }, entries };
}

function emptyDisk(machine: Machine): Disk {
  return { hardState: { term: 0, vote: noMember, commit: 0 }, entries: [], snapshotIndex: 0, snapshotTerm: 0, machine };
}

function machineIn(snapshot: Snapshot): Machine {
  const meta = snapshot.metadata;
  if (meta?.confState === undefined) throw new TypeError('a snapshot without a configuration');
  const hash = new DataView(snapshot.data.buffer, snapshot.data.byteOffset).getUint32(0);
  return { applied: meta.index, confState: copyConfState(meta.confState), hash };
}

function chain(hash: number, entry: Entry): number {
  let h = Math.imul(hash ^ entry.Index, 0x9e3779b1) ^ Math.imul(entry.Term, 0x85ebca6b) ^ entry.Type;
  for (const byte of entry.Data) h = Math.imul(h ^ byte, 0x01000193);
  return h >>> 0;
}

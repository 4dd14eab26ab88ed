/**
 * What must hold, looked at after every event of a process: raft's safety, that promises given to others outlive a crash, that members do the
 * same at the same index, and that this is what the model does.
 */
import { AlarmRequest_AlarmAction, InternalRaftRequest } from '../../src/api/gen/etcdserverpb.ts';
import { ConfChangeCodec } from '../../src/api/gen/raftpb.ts';
import { StateType } from '../../src/raft/machine.ts';
import { ConfChangeType, type Entry, EntryType, type MemberId, type Message, MessageType } from '../../src/raft/types.ts';
import type { RunningServer } from '../../src/server/server.ts';
import type { Machine, Process } from './machine.ts';
import { type Effect, Model } from './model.ts';
import type { World } from './world.ts';

/** What a member has told others, and may not forget. */
interface Promised {
  term: number;
  /** In `voteTerm`. */
  vote: MemberId;
  voteTerm: number;
  /** Everything up to here was acknowledged to the leader of `ackTerm`. */
  ackIndex: number;
  ackTerm: number;
}

interface Watched {
  readonly process: Process;
  readonly server: RunningServer;
  term: number;
  commit: number;
  state: StateType;
  applied: number;
  rev: number;
}

export class Oracle {
  readonly model = new Model();
  /** By index. */
  readonly #entryHash: number[] = [];
  readonly #committedTerm: number[] = [];
  readonly #ids = new Set<bigint>();
  readonly #leaderOf = new Map<number, Process>();
  readonly #promised = new Map<Machine, Promised>();
  readonly #watched = new Map<Process, Watched>();
  readonly #world: World;
  /** Runs when an entry takes effect for the first time anywhere. */
  onEffect: ((effect: Effect) => void) | undefined;
  elections = 0;
  checks = 0;
  /** Members that a committed change has removed. */
  readonly removed = new Set<MemberId>();
  /** The highest index that any member has applied. */
  applied = 0;

  constructor(world: World) {
    this.#world = world;
  }

  // A life begins: what was promised in the lives before must be there.

  built(process: Process, server: RunningServer): void {
    const { raft, member } = server;
    const promised = this.#promised.get(process.machine);
    const name = process.machine.name;
    if (promised !== undefined) {
      const status = raft.status();
      if (raft.term < promised.term) this.#fail(`${name} forgot term ${promised.term}, it is back at ${raft.term}`);
      if (promised.vote !== 0n && raft.term === promised.voteTerm && status.vote !== promised.vote)
        this.#fail(`${name} forgot its vote in term ${promised.voteTerm}`);
      // A later leader may have replaced what an earlier one was told of.
      if (raft.term === promised.ackTerm && raft.lastIndex < promised.ackIndex)
        this.#fail(
          `${name} forgot entries it acknowledged: ${promised.ackIndex} in term ${promised.ackTerm}, the log ends at ${raft.lastIndex}`,
        );
    }
    const watched: Watched = {
      process,
      server,
      term: raft.term,
      commit: 0,
      state: raft.state,
      applied: member.appliedIndex,
      rev: member.kv.currentRev,
    };
    this.#watched.set(process, watched);
    this.#checkState(watched, 'starts');

    // Seen before and after: the order of the log, its content, and its effect.
    const applyNormal = member.applyNormal.bind(member);
    member.applyNormal = (entry) => {
      this.#beforeApply(watched, entry);
      const known = this.model.effects[entry.Index];
      let effect = known;
      if (known === undefined && entry.Data.length > 0) {
        const request = InternalRaftRequest.decode(entry.Data);
        // G-KV-16: nobody proposes anything twice.
        const id = request.header?.ID ?? request.ID;
        if (this.#ids.has(id)) this.#fail(`request ${id} took effect twice`);
        this.#ids.add(id);
        effect = this.model.apply(entry.Index, request);
        if (request.alarm?.action === AlarmRequest_AlarmAction.ACTIVATE)
          this.#fail(`an alarm was raised: ${request.alarm.alarm} for ${request.alarm.memberID.toString(16)}`);
        this.onEffect?.(effect);
      }
      applyNormal(entry);
      watched.applied = entry.Index;
      const rev = member.kv.currentRev;
      if (effect !== undefined && rev !== effect.rev)
        this.#fail(`${name} is at revision ${rev} after entry ${entry.Index}, not at ${effect.rev}: ${describe(effect)}`);
      if (effect !== undefined && member.lessor.list().length !== effect.leases)
        this.#fail(`${name} has other leases after entry ${entry.Index}`);
    };
    const applyConfChange = member.applyConfChange.bind(member);
    member.applyConfChange = (entry) => {
      this.#beforeApply(watched, entry);
      applyConfChange(entry);
      watched.applied = entry.Index;
      const { type, nodeId } = ConfChangeCodec.decode(entry.Data);
      if (type === ConfChangeType.ConfChangeRemoveNode && member.cluster.isRemoved(nodeId)) this.removed.add(nodeId);
    };
  }

  buried(process: Process): void {
    this.#watched.delete(process);
  }

  /** Gone for good, with all it promised. */
  forget(machine: Machine): void {
    this.#promised.delete(machine);
  }

  #beforeApply(watched: Watched, entry: Entry): void {
    const name = watched.process.machine.name;
    const { raft } = watched.server;
    if (entry.Index > raft.commit) this.#fail(`${name} applies entry ${entry.Index}, committed up to ${raft.commit}`);
    const hash = entryHash(entry);
    const known = this.#entryHash[entry.Index];
    if (known === undefined) {
      this.#entryHash[entry.Index] = hash;
      this.applied = Math.max(this.applied, entry.Index);
    } else if (known !== hash) this.#fail(`state machine safety: ${name} applies another entry ${entry.Index} than a member before`);
    this.#world.mix(hash);
  }

  // Messages.

  sent(process: Process, m: Message): void {
    const { machine } = process;
    const hard = m.type === MessageType.MsgAppResp || (m.type === MessageType.MsgVoteResp && !m.reject);
    const leads = m.type === MessageType.MsgApp || m.type === MessageType.MsgHeartbeat || m.type === MessageType.MsgSnap;
    if (!hard && !leads) return;
    let p = this.#promised.get(machine);
    if (p === undefined) {
      p = { term: 0, vote: 0n, voteTerm: 0, ackIndex: 0, ackTerm: 0 };
      this.#promised.set(machine, p);
    }
    p.term = Math.max(p.term, m.term);
    if (leads) this.#voted(machine, p, m.term, m.from);
    else if (m.type === MessageType.MsgVoteResp) this.#voted(machine, p, m.term, m.to);
    else if (!m.reject) {
      if (m.term > p.ackTerm) {
        p.ackTerm = m.term;
        p.ackIndex = 0;
      }
      if (m.term === p.ackTerm) p.ackIndex = Math.max(p.ackIndex, m.index);
    }
  }

  #voted(machine: Machine, p: Promised, term: number, candidate: MemberId): void {
    if (term < p.voteTerm) return;
    if (term === p.voteTerm && p.vote !== candidate) this.#fail(`${machine.name} voted twice in term ${term}`);
    p.voteTerm = term;
    p.vote = candidate;
  }

  // After each event.

  step(process: Process): void {
    const watched = this.#watched.get(process);
    if (watched === undefined || !process.alive) return;
    this.checks++;
    this.#checkState(watched, '');
  }

  #checkState(w: Watched, when: string): void {
    const { raft, member } = w.server;
    const name = w.process.machine.name;
    const { term, commit, state } = raft;
    if (term < w.term) this.#fail(`${name}: the term went back from ${w.term} to ${term} ${when}`);
    if (commit < w.commit) this.#fail(`${name}: the commit index went back from ${w.commit} to ${commit}`);
    if (member.appliedIndex > commit) this.#fail(`${name}: applied ${member.appliedIndex}, committed ${commit}`);
    if (commit > raft.lastIndex) this.#fail(`${name}: committed ${commit}, the log ends at ${raft.lastIndex}`);
    if (state === StateType.Leader && (w.state !== StateType.Leader || w.term !== term)) {
      const other = this.#leaderOf.get(term);
      if (other !== undefined && other !== w.process) this.#fail(`two leaders in term ${term}: ${other.machine.name} and ${name}`);
      this.#leaderOf.set(term, w.process);
      this.elections++;
      for (let i = raft.firstIndex; i < this.#committedTerm.length; i++) {
        const known = this.#committedTerm[i];
        if (known !== undefined && raft.termAt(i) !== known)
          this.#fail(`leader completeness: ${name} leads term ${term} without committed entry ${i}`);
      }
    }
    // G-R-4: a leader counts only for entries of its own term; those before come along.
    if (commit > w.commit && state === StateType.Leader && w.state === StateType.Leader && w.term === term && raft.termAt(commit) !== term)
      this.#fail(`${name} leads term ${term} and committed entry ${commit} of term ${raft.termAt(commit) ?? 0} by counting`);
    if (commit > w.commit) {
      for (let i = Math.max(w.commit + 1, raft.firstIndex); i <= commit; i++) {
        const t = raft.termAt(i) as number;
        const known = this.#committedTerm[i];
        if (known === undefined) this.#committedTerm[i] = t;
        else if (known !== t) this.#fail(`committed entry ${i} is of term ${known} and, on ${name}, of term ${t}`);
      }
      this.#world.mix(commit);
    }
    const rev = member.kv.currentRev;
    if (rev < w.rev) this.#fail(`${name}: the revision went back from ${w.rev} to ${rev}`);
    w.term = term;
    w.commit = commit;
    w.state = state;
    w.rev = rev;
  }

  #fail(what: string): void {
    this.#world.fail(what.trim());
  }
}

export function describe(effect: Effect): string {
  const { request } = effect;
  return Object.entries(request)
    .filter(([k, v]) => v !== undefined && k !== 'header' && k !== 'ID')
    .map(([k]) => k)
    .join(',');
}

function entryHash(e: Entry): number {
  let h = Math.imul(e.Index, 0x9e3779b1) ^ Math.imul(e.Term, 0x85ebca6b) ^ (e.Type === EntryType.EntryNormal ? 0 : 77 + e.Type);
  for (let i = 0; i < e.Data.length; i++) h = Math.imul(h ^ (e.Data[i] as number), 0x01000193);
  return h >>> 0;
}

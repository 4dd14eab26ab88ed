/** The members, their disks and the network between them that the verbs act on. Nothing happens by itself. */
import { SeededRandom, type Random } from '../../src/base/random.ts';
import { changeOf, isConfChangeEntry } from '../../src/raft/confchange/codec.ts';
import { copyConfState, emptyConfState } from '../../src/raft/conf-state.ts';
import type { RaftConfig, Ready } from '../../src/raft/machine.ts';
import { RawNode } from '../../src/raft/raw-node.ts';
import type { ConfState, Entry, HardState, MemberId, Message, Snapshot } from '../../src/raft/types.ts';
import { textOfConfState, textOfEntry } from './text.ts';

export interface Disk {
  hardState: HardState;
  entries: Entry[];
  snapshotIndex: number;
  snapshotTerm: number;
  applied: number;
  confState: ConfState;
}

export interface Actor {
  readonly id: number;
  readonly settings: Partial<RaftConfig>;
  disk: Disk;
  node: RawNode | undefined;
  /** Readys on their way to the WAL. */
  writes: Ready[];
  toApply: (Entry | Snapshot)[];
  applied: number;
  confState: ConfState;
  /** Added to the election timeout, in ticks. */
  jitter: number;
}

export class Stage {
  readonly actors = new Map<number, Actor>();
  network: Message[] = [];
  /** Lines of the members' logs and of what happened since the last answer. */
  #lines: string[] = [];

  say(line: string): void {
    this.#lines.push(line);
  }

  /** Groups of up to three lines that repeat are written once, with their number. */
  takeLines(): string[] {
    const lines = this.#lines;
    this.#lines = [];
    const out: string[] = [];
    for (let i = 0; i < lines.length;) {
      let [size, times] = [1, 1];
      for (const s of [1, 2, 3]) {
        let n = 1;
        while (isRepeated(lines, i, i + n * s, s)) n++;
        if (n > 1 && n * s > size * times) [size, times] = [s, n];
      }
      const group = lines.slice(i, i + size);
      out.push(...(times === 1 ? group : group.map((line, j) => (j === size - 1 ? `${line}   ×${times}` : line))));
      i += size * times;
    }
    return out;
  }

  actor(word: string | number | undefined): Actor {
    const actor = this.actors.get(Number(word));
    if (actor === undefined) throw new RangeError(`no member ${String(word)}`);
    return actor;
  }

  node(word: string | number | undefined): RawNode {
    const { node, id } = this.actor(word);
    if (node === undefined) throw new RangeError(`member ${id} is down`);
    return node;
  }

  add(id: number, disk: Disk, settings: Partial<RaftConfig>): Actor {
    const actor: Actor = {
      id,
      settings,
      disk,
      node: undefined,
      writes: [],
      toApply: [],
      applied: 0,
      confState: emptyConfState(),
      jitter: 0,
    };
    this.actors.set(id, actor);
    this.start(actor);
    return actor;
  }

  start(actor: Actor): void {
    const { disk } = actor;
    actor.writes = [];
    actor.toApply = [];
    actor.applied = disk.applied;
    actor.confState = copyConfState(disk.confState);
    const note = (line: string): void => this.say(line);
    actor.node = new RawNode({
      id: BigInt(actor.id),
      electionTicks: 10,
      heartbeatTicks: 1,
      preVote: false,
      checkQuorum: false,
      leaseBasedReads: false,
      maxSizePerMsgBytes: 1 << 20,
      maxInflightMsgs: 256,
      maxInflightBytes: 0,
      maxUncommittedBytes: 0,
      maxCommittedBytes: 1 << 30,
      disableProposalForwarding: false,
      random: jitterOf(actor),
      log: { info: note, warn: (line) => note(`warning: ${line}`), debug: (line) => note(`debug: ${line}`) },
      ...actor.settings,
      initial: {
        hardState: disk.hardState,
        confState: disk.confState,
        entries: disk.entries,
        snapshotIndex: disk.snapshotIndex,
        snapshotTerm: disk.snapshotTerm,
        applied: disk.applied,
      },
    });
    actor.node.snapshotSource = () => snapshotOf(actor);
  }

  /** Takes one Ready: its messages enter the network, its durable part waits for `sync`. */
  ready(actor: Actor): Ready {
    const ready = this.node(actor.id).ready();
    this.network.push(...ready.messages);
    actor.writes.push(ready);
    actor.toApply.push(...ready.committedEntries);
    for (const read of ready.readStates) this.say(`${actor.id} may read at ${read.index}: ${Buffer.from(read.context).toString()}`);
    return ready;
  }

  /** The oldest write becomes durable; what depended on it enters the network. */
  sync(actor: Actor): boolean {
    const ready = actor.writes.shift();
    if (ready === undefined) return false;
    const { disk } = actor;
    const meta = ready.snapshot?.metadata;
    if (ready.snapshot !== undefined && meta !== undefined) {
      disk.entries = [];
      disk.snapshotIndex = meta.index;
      disk.snapshotTerm = meta.term;
      disk.applied = meta.index;
      disk.confState = copyConfState(meta.confState ?? emptyConfState());
      actor.toApply.push(ready.snapshot);
    }
    const first = ready.entries[0];
    if (first !== undefined) disk.entries = [...disk.entries.slice(0, first.Index - disk.snapshotIndex - 1), ...ready.entries];
    if (ready.hardState !== undefined) disk.hardState = ready.hardState;
    this.node(actor.id).appendDone(ready.token);
    this.network.push(...ready.messagesAfterAppend);
    return true;
  }

  /** Applies one committed entry or snapshot. */
  apply(actor: Actor): boolean {
    const next = actor.toApply.shift();
    if (next === undefined) return false;
    const node = this.node(actor.id);
    if ('metadata' in next) {
      actor.applied = next.metadata?.index ?? 0;
      actor.confState = copyConfState(next.metadata?.confState ?? emptyConfState());
      this.say(`${actor.id} installs the snapshot at ${actor.applied}: ${textOfConfState(actor.confState)}`);
    } else {
      if (next.Index !== actor.applied + 1) throw new RangeError(`${actor.id} applies ${next.Index} after ${actor.applied}`);
      this.say(`${actor.id} applies ${textOfEntry(next)}`);
      actor.applied = next.Index;
      const change = isConfChangeEntry(next) ? changeOf(next) : undefined;
      if (change !== undefined) actor.confState = node.applyConfChange(change);
    }
    node.applied(actor.applied);
    return true;
  }
}

/** A random source that answers with the member's jitter. */
function jitterOf(actor: Actor): Random {
  const random = new SeededRandom(1);
  random.u32 = () => actor.jitter;
  return random;
}

function snapshotOf(actor: Actor): Snapshot | undefined {
  const term = actor.node?.termAt(actor.applied);
  if (term === undefined || actor.applied === 0) return undefined;
  return { data: new Uint8Array(0), metadata: { index: actor.applied, term, confState: copyConfState(actor.confState) } };
}

function isRepeated(lines: readonly string[], first: number, second: number, size: number): boolean {
  for (let i = 0; i < size; i++) if (lines[first + i] === undefined || lines[first + i] !== lines[second + i]) return false;
  return true;
}

export function numbers(text: string | undefined): number[] {
  return text === undefined || text === '' ? [] : text.split(/[\s,]+/).map(Number);
}

export function ids(text: string | undefined): MemberId[] {
  return numbers(text).map(BigInt);
}

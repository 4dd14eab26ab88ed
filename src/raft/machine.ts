/**
 * The face of the raft machine: values in, values out. No clock, promise, timer, file or socket; randomness is handed in.
 *
 * The caller loops:
 *   1. feed it: `tick`, `step`, `propose`, `proposeConfChange`, `readIndex`, …
 *   2. while `hasReady()`: take `ready()`; send `messages` at once; hand `entries` + `hardState` (+ `snapshot`) to the WAL; apply
 *      `committedEntries`; answer `readStates`.
 *   3. when the WAL says that batch is durable: `appendDone(token)`; then send `messagesAfterAppend` of that Ready (rule D-1), and take the
 *      next Ready (the leader's own match index moves only now, rule D-2).
 *   4. when entries have been applied: `applied(index)`.
 * Several Readys may be in flight to the WAL; `appendDone` is called in the order they were taken.
 */
import type { Random } from '../base/random.ts';
import type { ConfChange, ConfChangeV2, ConfState, Entry, HardState, MemberId, Message, Snapshot } from './types.ts';

export const StateType = { Follower: 0, Candidate: 1, Leader: 2, PreCandidate: 3 } as const;
export type StateType = (typeof StateType)[keyof typeof StateType];

export interface RaftConfig {
  readonly id: MemberId;
  /** Ticks without a leader before an election starts; jittered to [n, 2n). */
  readonly electionTicks: number;
  readonly heartbeatTicks: number;
  readonly preVote: boolean;
  readonly checkQuorum: boolean;
  /** ReadIndex answered from the leader's lease instead of a heartbeat round. Needs checkQuorum. Off by default. */
  readonly leaseBasedReads: boolean;
  /** Payload bytes of one MsgApp; one larger entry still travels alone. */
  readonly maxSizePerMsgBytes: number;
  /** MsgApps in flight to one follower. */
  readonly maxInflightMsgs: number;
  /** Payload bytes in flight to one follower; 0 = no limit. */
  readonly maxInflightBytes: number;
  /** Proposed and not yet committed payload bytes beyond which the leader refuses proposals; 0 = no limit. */
  readonly maxUncommittedBytes: number;
  /** Payload bytes of committedEntries that may be handed out and not yet `applied`. */
  readonly maxCommittedBytes: number;
  readonly disableProposalForwarding: boolean;
  /** Let every readable configuration change into the log, also while another is pending; for those who check changes themselves. */
  readonly disableConfChangeValidation?: boolean;
  readonly random: Random;
  readonly log: RaftLogger;
  /**
   * Recovered state, all of it durable already: `entries` are not handed out for the WAL again. A fresh cluster is the same: the caller writes
   * N ConfChangeAddNode entries (term 1, index 1…N) with hardState {term 1, commit N} and passes them; they come out as committedEntries, and the
   * member may campaign once they are applied. `confState` may name the voters before that: applying a voter that is there changes nothing.
   */
  readonly initial: {
    readonly hardState: HardState;
    readonly confState: ConfState;
    /** The log behind the snapshot: contiguous, first index = snapshotIndex + 1. */
    readonly entries: readonly Entry[];
    readonly snapshotIndex: number;
    readonly snapshotTerm: number;
    /** Entries up to here are already in the state machine and are not handed out again. */
    readonly applied: number;
  };
}

export interface RaftLogger {
  info(message: string): void;
  warn(message: string): void;
  debug(message: string): void;
}

export interface SoftState {
  readonly lead: MemberId;
  readonly state: StateType;
}

export interface ReadState {
  /** The read may be served once this index is applied. */
  readonly index: number;
  readonly context: Uint8Array;
}

export interface Ready {
  /** Hand back to `appendDone`. */
  readonly token: number;
  /** Set when leader or role changed. */
  readonly softState: SoftState | undefined;
  /** Set when term, vote or commit changed since the last Ready. */
  readonly hardState: HardState | undefined;
  /** To be written to the WAL, contiguous; an overlap with what was written before replaces the tail. */
  readonly entries: readonly Entry[];
  /**
   * Received snapshot to be made durable and installed, before `entries`. No committedEntries come between this Ready and its `appendDone`; those
   * that come after it lie behind the snapshot and may be applied only once it is installed. Call `applied(snapshot index)` then.
   */
  readonly snapshot: Snapshot | undefined;
  /**
   * Committed and already durable in the own log: apply in order, then `applied(last index)`.
   * Entries of this very Ready are never among them (rule D-3).
   */
  readonly committedEntries: readonly Entry[];
  /** May leave at once: MsgApp of the leader, heartbeats, read-index traffic. MsgApp of the leader go before its own sync. */
  readonly messages: readonly Message[];
  /** Depend on this Ready's durable part: send only after `appendDone(token)`. */
  readonly messagesAfterAppend: readonly Message[];
  readonly readStates: readonly ReadState[];
  /**
   * True when the durable part must be synced (entries, term, vote, snapshot, or on the leader the commit index of a configuration change); any other
   * commit-only hard state need not be.
   */
  readonly mustSync: boolean;
}

/** How far the leader thinks a peer is. */
export interface ProgressStatus {
  readonly match: number;
  readonly next: number;
  readonly state: 'probe' | 'replicate' | 'snapshot';
  readonly isLearner: boolean;
  readonly recentActive: boolean;
  readonly pendingSnapshot: number;
}

export interface RaftStatus {
  readonly id: MemberId;
  readonly term: number;
  readonly vote: MemberId;
  readonly commit: number;
  readonly applied: number;
  readonly lastIndex: number;
  readonly lead: MemberId;
  readonly state: StateType;
  readonly leadTransferee: MemberId;
  readonly confState: ConfState;
  /** Only on the leader. */
  readonly progress: ReadonlyMap<MemberId, ProgressStatus>;
}

/** Why a proposal or a step was not taken. */
export type StepResult = 'ok' | 'dropped' | 'peer-not-found' | 'local-message';

/** Implemented by `RawNode` in `raw-node.ts`. */
export interface RaftMachine {
  tick(): void;
  /** Start an election now. */
  campaign(): void;
  step(message: Message): StepResult;
  /** 'dropped': no leader, transfer under way, uncommitted limit. The data must not change afterwards. */
  propose(data: Uint8Array): StepResult;
  /** Several normal entries in one step, as one MsgProp: all or none are taken. */
  proposeBatch(data: readonly Uint8Array[]): StepResult;
  proposeConfChange(change: ConfChange | ConfChangeV2): StepResult;
  /** Called when a committed configuration entry is applied (also for one that was refused: pass a change with nodeId 0n). */
  applyConfChange(change: ConfChange | ConfChangeV2): ConfState;
  readIndex(context: Uint8Array): StepResult;
  transferLeader(to: MemberId): void;
  forgetLeader(): void;
  reportUnreachable(id: MemberId): void;
  /** Owed for every MsgSnap once its fate is known: until then, or until the member acknowledges, nothing else is sent to it. */
  reportSnapshot(id: MemberId, ok: boolean): void;

  hasReady(): boolean;
  ready(): Ready;
  appendDone(token: number): void;
  applied(index: number): void;

  /** Drops log entries up to `index` (inclusive, ≤ applied); followers behind it need a snapshot. */
  compactLog(index: number): void;
  /**
   * Answers a Ready's need to send MsgSnap: raft calls `snapshotSource` when a follower is behind the log. Return undefined when none is at
   * hand; raft asks again later. Set once by the owner.
   */
  snapshotSource: (() => Snapshot | undefined) | undefined;

  readonly firstIndex: number;
  /** No voter or learner beside this one: nobody will ask for old entries. */
  readonly isLone: boolean;
  readonly lastIndex: number;
  readonly term: number;
  readonly lead: MemberId;
  readonly state: StateType;
  readonly commit: number;
  /** Entries [lo, hi), at most `maxBytes` of payload but at least one. */
  entriesBetween(lo: number, hi: number, maxBytes: number): readonly Entry[];
  termAt(index: number): number | undefined;
  status(): RaftStatus;
}

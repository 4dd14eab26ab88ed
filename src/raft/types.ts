/**
 * What raft says and stores. Names and numbers are raftpb's; `api/gen/raftpb.ts` holds the codecs of these types.
 * Indexes and terms are safe integers; member ids are 64-bit `bigint`s, 0n meaning "none".
 */

export type MemberId = bigint;
/** The id that stands for "no member". */
export const noMember: MemberId = 0n;

export const EntryType = { EntryNormal: 0, EntryConfChange: 1, EntryConfChangeV2: 2 } as const;
export type EntryType = number;

export interface Entry {
  Type: EntryType;
  Term: number;
  Index: number;
  /** Never changed once proposed: log, WAL, peers and apply share it. Empty for the leader's first entry of a term. */
  Data: Uint8Array;
}

export interface ConfState {
  voters: MemberId[];
  learners: MemberId[];
  /** Not empty only in a joint configuration. */
  votersOutgoing: MemberId[];
  /** Voters of the outgoing half that become learners on leaving the joint configuration. */
  learnersNext: MemberId[];
  autoLeave: boolean;
}

export interface SnapshotMetadata {
  confState: ConfState | undefined;
  index: number;
  term: number;
}

/** Raft's snapshot: a position in the log and what the state machine was there. */
export interface Snapshot {
  data: Uint8Array;
  metadata: SnapshotMetadata | undefined;
}

export interface HardState {
  term: number;
  vote: MemberId;
  commit: number;
}

export const MessageType = {
  MsgHup: 0,
  MsgBeat: 1,
  MsgProp: 2,
  MsgApp: 3,
  MsgAppResp: 4,
  MsgVote: 5,
  MsgVoteResp: 6,
  MsgSnap: 7,
  MsgHeartbeat: 8,
  MsgHeartbeatResp: 9,
  MsgUnreachable: 10,
  MsgSnapStatus: 11,
  MsgCheckQuorum: 12,
  MsgTransferLeader: 13,
  MsgTimeoutNow: 14,
  MsgReadIndex: 15,
  MsgReadIndexResp: 16,
  MsgPreVote: 17,
  MsgPreVoteResp: 18,
  MsgStorageAppend: 19,
  MsgStorageAppendResp: 20,
  MsgStorageApply: 21,
  MsgStorageApplyResp: 22,
  MsgForgetLeader: 23,
} as const;
export type MessageType = number;

export interface Message {
  type: MessageType;
  to: MemberId;
  from: MemberId;
  term: number;
  logTerm: number;
  index: number;
  entries: Entry[];
  commit: number;
  snapshot: Snapshot | undefined;
  reject: boolean;
  rejectHint: number;
  context: Uint8Array;
  vote: MemberId;
  responses: Message[];
}

export const ConfChangeType = {
  ConfChangeAddNode: 0,
  ConfChangeRemoveNode: 1,
  ConfChangeUpdateNode: 2,
  ConfChangeAddLearnerNode: 3,
} as const;
export type ConfChangeType = number;
export const ConfChangeTransition = {
  ConfChangeTransitionAuto: 0,
  ConfChangeTransitionJointImplicit: 1,
  ConfChangeTransitionJointExplicit: 2,
} as const;
export type ConfChangeTransition = number;

export interface ConfChange {
  /** The proposer's request id, so that it can be told of the outcome. */
  id: bigint;
  type: ConfChangeType;
  nodeId: MemberId;
  context: Uint8Array;
}

export interface ConfChangeSingle {
  type: ConfChangeType;
  nodeId: MemberId;
}

export interface ConfChangeV2 {
  transition: ConfChangeTransition;
  changes: ConfChangeSingle[];
  context: Uint8Array;
}

/** Shared by the tests of the raft machine. */
import { SeededRandom } from '../../../src/base/random.ts';
import { emptyConfState } from '../../../src/raft/conf-state.ts';
import type { RaftConfig, RaftLogger } from '../../../src/raft/machine.ts';
import { newMessage } from '../../../src/raft/message.ts';
import type { ConfState, Entry, MemberId, Message } from '../../../src/raft/types.ts';

export const silentLog: RaftLogger = { info() {}, warn() {}, debug() {} };

export function confStateWith(over: Partial<ConfState>): ConfState {
  return { ...emptyConfState(), ...over };
}

export function voters(...ids: number[]): ConfState {
  return confStateWith({ voters: ids.map(BigInt) });
}

/** A member as etcd configures it, fresh and with the given voters. */
export function raftConfig(id: number | bigint, confState: ConfState, over: Partial<RaftConfig> = {}): RaftConfig {
  return {
    id: BigInt(id),
    electionTicks: 10,
    heartbeatTicks: 1,
    preVote: true,
    checkQuorum: true,
    leaseBasedReads: false,
    maxSizePerMsgBytes: 1 << 19,
    maxInflightMsgs: 512,
    maxInflightBytes: 0,
    maxUncommittedBytes: 0,
    maxCommittedBytes: 1 << 30,
    disableProposalForwarding: false,
    random: new SeededRandom(Number(id)),
    log: silentLog,
    initial: {
      hardState: { term: 0, vote: 0n, commit: 0 },
      confState,
      entries: [],
      snapshotIndex: 0,
      snapshotTerm: 0,
      applied: 0,
    },
    ...over,
  };
}

export function entry(index: number, term: number, data: Uint8Array = new Uint8Array(0), type = 0): Entry {
  return { Type: type, Term: term, Index: index, Data: data };
}

/** Entries from `first` on, one for each term. */
export function entries(first: number, ...terms: number[]): Entry[] {
  return terms.map((term, i) => entry(first + i, term));
}

export function message(type: number, from: MemberId | number, to: MemberId | number, over: Partial<Message> = {}): Message {
  return { ...newMessage(type, BigInt(to)), from: BigInt(from), ...over };
}

// members voters=(1 2 3) [learners=(4)] [outgoing=(…)] [learners-next=(…)] [autoleave=yes] [log=(1 1 2)] [snapshot=index@term] [commit=N]
//   [applied=N] [term=N] [vote=N] [only=(1 2)] [bootstrap=yes] [settings]: makes these members, all with this configuration and this
//   log (terms of its entries). With bootstrap the log holds the changes that added the voters, as in a fresh cluster: new members need them.
// Settings: prevote, checkquorum, lease, noforward, novalidation =yes; inflight, inflight-bytes, message-bytes, uncommitted-bytes, committed-bytes =N.
import type { RaftConfig } from '../../../src/raft/machine.ts';
import { encodeConfChange } from '../../../src/raft/confchange/codec.ts';
import { ConfChangeType, EntryType, type ConfState, type Entry, type MemberId } from '../../../src/raft/types.ts';
import { ids, numbers, type Stage } from '../stage.ts';
import type { Command } from '../transcript.ts';

export function members(stage: Stage, { options }: Command): void {
  const confState: ConfState = {
    voters: ids(options.get('voters')),
    learners: ids(options.get('learners')),
    votersOutgoing: ids(options.get('outgoing')),
    learnersNext: ids(options.get('learners-next')),
    autoLeave: options.has('autoleave'),
  };
  const all = new Set([...confState.voters, ...confState.learners, ...confState.votersOutgoing, ...confState.learnersNext].map(Number));
  const chosen = options.has('only') ? numbers(options.get('only')) : [...all].sort((a, b) => a - b);
  const [snapshotIndex = 0, snapshotTerm = 0] = numbers(options.get('snapshot')?.replace('@', ' '));
  const terms = numbers(options.get('log'));
  const entries = terms.map((Term, i): Entry => ({
    Type: EntryType.EntryNormal,
    Term,
    Index: snapshotIndex + i + 1,
    Data: new Uint8Array(0),
  }));
  if (options.has('bootstrap')) entries.push(...confState.voters.map(added));
  const commit = Number(options.get('commit') ?? (options.has('bootstrap') ? entries.length : snapshotIndex));
  for (const id of chosen) {
    stage.add(
      id,
      {
        hardState: {
          term: Number(options.get('term') ?? entries.at(-1)?.Term ?? snapshotTerm),
          vote: BigInt(options.get('vote') ?? 0),
          commit,
        },
        entries,
        snapshotIndex,
        snapshotTerm,
        applied: Number(options.get('applied') ?? commit),
        confState,
      },
      settingsIn(options),
    );
  }
}

function added(nodeId: MemberId, i: number): Entry {
  const Data = encodeConfChange({ id: 0n, type: ConfChangeType.ConfChangeAddNode, nodeId, context: new Uint8Array(0) });
  return { Type: EntryType.EntryConfChange, Term: 1, Index: i + 1, Data };
}

function settingsIn(options: ReadonlyMap<string, string>): Partial<RaftConfig> {
  const settings: { -readonly [K in keyof RaftConfig]?: RaftConfig[K] } = {};
  if (options.has('prevote')) settings.preVote = true;
  if (options.has('checkquorum')) settings.checkQuorum = true;
  if (options.has('lease')) settings.leaseBasedReads = true;
  if (options.has('noforward')) settings.disableProposalForwarding = true;
  if (options.has('novalidation')) settings.disableConfChangeValidation = true;
  if (options.has('inflight')) settings.maxInflightMsgs = Number(options.get('inflight'));
  if (options.has('inflight-bytes')) settings.maxInflightBytes = Number(options.get('inflight-bytes'));
  if (options.has('message-bytes')) settings.maxSizePerMsgBytes = Number(options.get('message-bytes'));
  if (options.has('uncommitted-bytes')) settings.maxUncommittedBytes = Number(options.get('uncommitted-bytes'));
  if (options.has('committed-bytes')) settings.maxCommittedBytes = Number(options.get('committed-bytes'));
  return settings;
}

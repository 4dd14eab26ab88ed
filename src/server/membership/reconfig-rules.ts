/**
 * Whether a change of the configuration would leave enough started members (`--strict-reconfig-check`), asked before it is proposed. A member
 * has started once it has published its name.
 */
import { errors, type Status } from '../../api/status.ts';
import type { MemberId } from '../../raft/types.ts';
import type { ClusterMember } from './cluster.ts';

/** Counts voters; `left` is the one that goes, `joins` how many come and `joinsStarted` how many of those count as started. */
function enoughStarted(members: readonly ClusterMember[], left: MemberId | undefined, joins: number, joinsStarted: number): boolean {
  let voters = joins;
  let started = joinsStarted;
  for (const m of members) {
    if (m.isLearner || m.id === left) continue;
    voters++;
    if (m.name !== '') started++;
  }
  return started >= Math.floor(voters / 2) + 1;
}

/** May a voter be added? One started member alone may always get a second, which is how a cluster grows out of one. */
export function checkAddVoter(members: readonly ClusterMember[]): Status | undefined {
  const voters = members.filter((m) => !m.isLearner);
  if (voters.length === 1 && voters[0]?.name !== '') return undefined;
  return enoughStarted(members, undefined, 1, 0) ? undefined : errors.memberNotEnoughStartedUnknown;
}

/** May this member be removed? Never the last voter. */
export function checkRemoveMember(members: readonly ClusterMember[], id: MemberId): Status | undefined {
  return enoughStarted(members, id, 0, 0) ? undefined : errors.memberNotEnoughStartedUnknown;
}

/** May this learner become a voter? It counts as started. */
export function checkPromoteMember(members: readonly ClusterMember[], id: MemberId): Status | undefined {
  return enoughStarted(members, id, 1, 1) ? undefined : errors.memberNotEnoughStartedUnknown;
}

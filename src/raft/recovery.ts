/** From what the disk holds to where a member starts. */
import { isConfChangeEntry } from './confchange/codec.ts';
import { restoreConfig } from './confchange/restore.ts';
import type { Config } from './confchange/config.ts';
import type { RaftLogStart } from './log.ts';
import type { RaftConfig } from './machine.ts';
import { noMember, type Entry, type MemberId } from './types.ts';

/** The recovered parts do not fit together: committed or applied data is missing. The member must not start. */
export class RaftStateError extends Error {
  readonly code = 'raft-state';
}

export interface RecoveredState {
  readonly term: number;
  readonly vote: MemberId;
  readonly config: Config;
  readonly log: RaftLogStart;
}

/**
 * A HardState may honestly lag behind the log: a commit index alone is not synced, and a batch torn by a crash can hold entries of a term
 * without that term. It is raised then. It is never honestly ahead.
 *
 * @throws RaftStateError  when the log has a gap or ends before what is committed or applied.
 */
export function recoveredState(config: RaftConfig): RecoveredState {
  const { hardState, confState, snapshotIndex, snapshotTerm } = config.initial;
  const entries = soundTail(config.initial.entries, snapshotIndex, snapshotTerm);
  const last = entries[entries.length - 1];
  const lastIndex = last?.Index ?? snapshotIndex;
  const lastTerm = last?.Term ?? snapshotTerm;
  if (hardState.commit > lastIndex) throw new RaftStateError(`committed up to ${hardState.commit}, but the log ends at ${lastIndex}`);
  if (config.initial.applied > lastIndex)
    throw new RaftStateError(`applied up to ${config.initial.applied}, but the log ends at ${lastIndex}`);
  const restored = restoreConfig(confState);
  if (restored.config === undefined) throw new RaftStateError(`bad configuration: ${restored.refused}`);
  const applied = Math.max(config.initial.applied, snapshotIndex);
  const behind = hardState.term < lastTerm;
  if (behind) config.log.warn(`term ${hardState.term} raised to ${lastTerm}, the term of the last entry`);
  return {
    term: behind ? lastTerm : hardState.term,
    // No vote was ever given in a term of which there is no record.
    vote: behind ? noMember : hardState.vote,
    config: restored.config,
    log: {
      entries,
      snapshotIndex,
      snapshotTerm,
      // What is applied was committed.
      committed: Math.max(hardState.commit, applied, config.disableConfChangeValidation === true ? 0 : committedByChange(entries)),
      applied,
      maxCommittedBytes: config.maxCommittedBytes,
    },
  };
}

/**
 * A leader takes a configuration change only after it has applied the one before. So with a change in the log, all before the one before it is
 * known to be committed, whatever the HardState says. This matters: a batch torn by a crash may hold the second change without the
 * commit index that came with it, and a candidate that counts votes by a configuration two changes old can win beside the real quorum.
 *
 * @returns the index of the last change but one, or 0.
 */
function committedByChange(entries: readonly Entry[]): number {
  let changes = 0;
  for (let i = entries.length - 1; i >= 0; i--) {
    const entry = entries[i];
    if (entry !== undefined && isConfChangeEntry(entry) && ++changes === 2) return entry.Index;
  }
  return 0;
}

/** Entries that outlived a snapshot may stand behind it with an older term: no leader's log goes back in terms, so the log ends before them. */
function soundTail(entries: readonly Entry[], snapshotIndex: number, snapshotTerm: number): readonly Entry[] {
  let index = snapshotIndex;
  let term = snapshotTerm;
  for (const entry of entries) {
    index++;
    if (entry.Index !== index) throw new RaftStateError(`entry ${entry.Index} stands where ${index} belongs`);
    if (entry.Term < term) return entries.slice(0, index - snapshotIndex - 1);
    term = entry.Term;
  }
  return entries;
}

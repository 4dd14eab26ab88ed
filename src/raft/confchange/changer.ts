/** The effect of a configuration change: an old configuration and the change give a new one, or the reason why not. */
import { ConfChangeTransition, ConfChangeType, noMember, type ConfChangeSingle, type ConfChangeV2, type MemberId } from '../types.ts';
import { configProblem, isJoint, type Config } from './config.ts';

export type Changed = { readonly config: Config; readonly refused: undefined } | { readonly config: undefined; readonly refused: string };

/** A change with nothing in it asks to leave the joint configuration. */
export function asksToLeave(change: ConfChangeV2): boolean {
  return change.changes.length === 0 && change.transition === ConfChangeTransition.ConfChangeTransitionAuto;
}

/** Several changes, or a transition asked for by name, go through a joint configuration. */
export function entersJoint(change: ConfChangeV2): boolean {
  return change.transition !== ConfChangeTransition.ConfChangeTransitionAuto || change.changes.length > 1;
}

export function applyChange(config: Config, change: ConfChangeV2): Changed {
  if (asksToLeave(change)) return leaveJoint(config);
  if (entersJoint(change)) {
    return enterJoint(config, change.transition !== ConfChangeTransition.ConfChangeTransitionJointExplicit, change.changes);
  }
  return simpleChange(config, change.changes);
}

/** Changes at most one voter, without a joint configuration. */
export function simpleChange(config: Config, changes: readonly ConfChangeSingle[]): Changed {
  if (changes.every((c) => c.nodeId === noMember)) return { config, refused: undefined };
  if (isJoint(config)) return no('a simple change needs the joint configuration to be left first');
  const next = draftOf(config);
  const problem = applyAll(next, changes);
  if (problem !== undefined) return no(problem);
  let differing = 0;
  for (const id of next.voters) if (!config.voters.has(id)) differing++;
  for (const id of config.voters) if (!next.voters.has(id)) differing++;
  if (differing > 1) return no('more than one voter changed without a joint configuration');
  return checked(next);
}

/** Makes today's voters the outgoing half and changes the incoming one. */
export function enterJoint(config: Config, autoLeave: boolean, changes: readonly ConfChangeSingle[]): Changed {
  if (isJoint(config)) return no('already in a joint configuration');
  if (config.voters.size === 0) return no('a configuration without voters cannot become joint');
  const next = draftOf(config);
  next.votersOutgoing = new Set(config.voters);
  const problem = applyAll(next, changes);
  if (problem !== undefined) return no(problem);
  next.autoLeave = autoLeave;
  return checked(next);
}

export function leaveJoint(config: Config): Changed {
  if (!isJoint(config)) return no('not in a joint configuration');
  const next = draftOf(config);
  for (const id of next.learnersNext) next.learners.add(id);
  next.learnersNext.clear();
  next.votersOutgoing.clear();
  next.autoLeave = false;
  return checked(next);
}

interface Draft {
  voters: Set<MemberId>;
  votersOutgoing: Set<MemberId>;
  learners: Set<MemberId>;
  learnersNext: Set<MemberId>;
  autoLeave: boolean;
}

function draftOf(config: Config): Draft {
  return {
    voters: new Set(config.voters),
    votersOutgoing: new Set(config.votersOutgoing),
    learners: new Set(config.learners),
    learnersNext: new Set(config.learnersNext),
    autoLeave: config.autoLeave,
  };
}

function applyAll(draft: Draft, changes: readonly ConfChangeSingle[]): string | undefined {
  for (const change of changes) {
    const id = change.nodeId;
    // A refused change travels as one without a member.
    if (id === noMember) continue;
    switch (change.type) {
      case ConfChangeType.ConfChangeAddNode:
        draft.learners.delete(id);
        draft.learnersNext.delete(id);
        draft.voters.add(id);
        break;
      case ConfChangeType.ConfChangeAddLearnerNode:
        if (draft.learners.has(id)) break;
        remove(draft, id);
        // A voter of the outgoing half goes on voting there; it turns learner when that half is left.
        if (draft.votersOutgoing.has(id)) draft.learnersNext.add(id);
        else draft.learners.add(id);
        break;
      case ConfChangeType.ConfChangeRemoveNode:
        remove(draft, id);
        break;
      case ConfChangeType.ConfChangeUpdateNode:
        break;
      default:
        return `unknown kind of change ${change.type}`;
    }
  }
  return draft.voters.size === 0 ? 'the change would leave no voter' : undefined;
}

function remove(draft: Draft, id: MemberId): void {
  draft.voters.delete(id);
  draft.learners.delete(id);
  draft.learnersNext.delete(id);
}

function checked(config: Config): Changed {
  const problem = configProblem(config);
  return problem === undefined ? { config, refused: undefined } : no(problem);
}

function no(refused: string): Changed {
  return { config: undefined, refused };
}

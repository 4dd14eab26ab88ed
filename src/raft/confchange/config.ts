/** The members in their roles; the voters of a joint configuration stand in two halves. Values: a change makes a new one. */
import type { ConfState, MemberId } from '../types.ts';

export interface Config {
  /** The incoming half in a joint configuration. */
  readonly voters: ReadonlySet<MemberId>;
  /** Empty unless joint. */
  readonly votersOutgoing: ReadonlySet<MemberId>;
  /** Never voters of either half. */
  readonly learners: ReadonlySet<MemberId>;
  /** Voters of the outgoing half that become learners when it is left. */
  readonly learnersNext: ReadonlySet<MemberId>;
  readonly autoLeave: boolean;
}

export const emptyConfig: Config = {
  voters: new Set(),
  votersOutgoing: new Set(),
  learners: new Set(),
  learnersNext: new Set(),
  autoLeave: false,
};

export function isJoint(config: Config): boolean {
  return config.votersOutgoing.size > 0;
}

/** Every member in ascending order of id. */
export function membersOf(config: Config): MemberId[] {
  return sortedIds(new Set([...config.voters, ...config.votersOutgoing, ...config.learners, ...config.learnersNext]));
}

/** Ids ascending, as etcd writes them. */
export function confStateOf(config: Config): ConfState {
  return {
    voters: sortedIds(config.voters),
    learners: sortedIds(config.learners),
    votersOutgoing: sortedIds(config.votersOutgoing),
    learnersNext: sortedIds(config.learnersNext),
    autoLeave: config.autoLeave,
  };
}

/** What is wrong with a configuration, or undefined. */
export function configProblem(config: Config): string | undefined {
  for (const id of config.learners) {
    if (config.voters.has(id) || config.votersOutgoing.has(id)) return `${id.toString(16)} is learner and voter at once`;
  }
  for (const id of config.learnersNext) {
    if (!config.votersOutgoing.has(id)) return `${id.toString(16)} is a learner to be, but no outgoing voter`;
    if (config.voters.has(id)) return `${id.toString(16)} is a learner to be, but an incoming voter`;
  }
  if (!isJoint(config) && config.autoLeave) return 'automatic leave without a joint configuration';
  if (config.voters.size === 0 && (config.learners.size > 0 || isJoint(config))) return 'no voters';
  return undefined;
}

function sortedIds(ids: ReadonlySet<MemberId>): MemberId[] {
  return [...ids].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
}

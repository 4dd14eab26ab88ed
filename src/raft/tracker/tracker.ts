/** The members of the configuration in force and what is known of each; counts commits, votes and active members over it. */
import { must } from '../../base/invariant.ts';
import { confStateOf, emptyConfig, isJoint, membersOf, type Config } from '../confchange/config.ts';
import { jointIndex, jointVote } from '../quorum/joint.ts';
import type { VoteResult } from '../quorum/majority.ts';
import type { ConfState, MemberId } from '../types.ts';
import { Progress, type FlowLimits } from './progress.ts';

export class ProgressTracker {
  readonly #limits: FlowLimits;
  #config: Config = emptyConfig;
  #byId: ReadonlyMap<MemberId, Progress> = new Map();
  #all: readonly Progress[] = [];
  #incoming: readonly Progress[] = [];
  #outgoing: readonly Progress[] = [];

  constructor(limits: FlowLimits) {
    this.#limits = limits;
  }

  get config(): Config {
    return this.#config;
  }

  /** In ascending order of id: messages leave in the same order on every run. */
  get members(): readonly Progress[] {
    return this.#all;
  }

  get(id: MemberId): Progress | undefined {
    return this.#byId.get(id);
  }

  isVoter(id: MemberId): boolean {
    return this.#config.voters.has(id) || this.#config.votersOutgoing.has(id);
  }

  get isJoint(): boolean {
    return isJoint(this.#config);
  }

  /** One voter decides alone. */
  get isSingleVoter(): boolean {
    return this.#incoming.length === 1 && this.#outgoing.length === 0;
  }

  /** One member in all, learners counted. */
  get isLone(): boolean {
    return this.#byId.size <= 1;
  }

  confState(): ConfState {
    return confStateOf(this.#config);
  }

  /** Members that stay keep their progress; new ones are probed from `lastIndex`. */
  adopt(config: Config, lastIndex: number): void {
    const byId = new Map<MemberId, Progress>();
    for (const id of membersOf(config)) {
      const isLearner = config.learners.has(id);
      const progress = this.#byId.get(id) ?? new Progress(id, lastIndex, isLearner, this.#limits);
      progress.isLearner = isLearner;
      byId.set(id, progress);
    }
    this.#config = config;
    this.#byId = byId;
    this.#all = [...byId.values()];
    const member = (id: MemberId): Progress => must(byId.get(id), 'every voter has a progress');
    this.#incoming = [...config.voters].map(member);
    this.#outgoing = [...config.votersOutgoing].map(member);
  }

  /** The highest index that the quorum has in its durable logs. */
  committedIndex(): number {
    const single = this.#incoming[0];
    if (single !== undefined && this.isSingleVoter) return single.match;
    return this.quorumIndex(matchOf);
  }

  /** The highest value of `of` that a quorum has reached; Infinity without voters. */
  quorumIndex(of: (progress: Progress) => number): number {
    return jointIndex(this.#incoming.map(of), this.#outgoing.map(of));
  }

  clearVotes(): void {
    for (const progress of this.#all) progress.vote = undefined;
  }

  /** The first answer of a member counts. */
  recordVote(id: MemberId, granted: boolean): void {
    const progress = this.#byId.get(id);
    if (progress !== undefined) progress.vote ??= granted;
  }

  /** How many said yes and no. */
  votes(): { readonly granted: number; readonly refused: number } {
    let granted = 0;
    let refused = 0;
    for (const { id, vote } of this.#all) {
      if (vote === undefined || !this.isVoter(id)) continue;
      if (vote) granted++;
      else refused++;
    }
    return { granted, refused };
  }

  voteResult(): VoteResult {
    return jointVote(this.#incoming.map(voteOf), this.#outgoing.map(voteOf));
  }

  /** Whether a quorum was heard from since the marks were cleared. */
  isQuorumActive(): boolean {
    return jointVote(this.#incoming.map(activeOf), this.#outgoing.map(activeOf)) === 'won';
  }
}

function matchOf(progress: Progress): number {
  return progress.match;
}

function voteOf(progress: Progress): boolean | undefined {
  return progress.vote;
}

function activeOf(progress: Progress): boolean {
  return progress.recentActive;
}

/** Who leads, since when, and who wants to know. */
import type { Clock, Timer } from '../../base/clock.ts';
import { Roster } from '../../base/roster.ts';
import type { SoftState } from '../../raft/machine.ts';
import { StateType } from '../../raft/machine.ts';
import { type MemberId, noMember } from '../../raft/types.ts';

/** Checks in a row, one per election timeout, that find no leader before streams that asked for one are ended. */
const leaderlessChecks = 3;

export class Leadership {
  readonly #clock: Clock;
  readonly #electionMs: number;
  readonly #lost = new Roster<() => void>();
  readonly #waiting = new Set<() => void>();
  #lead: MemberId = noMember;
  #isLeader = false;
  #electedMs = -Infinity;
  #leaderless = 0;
  #timer: Timer | undefined;
  /** Changes to another leader since the start. */
  changes = 0;

  constructor(clock: Clock, electionMs: number) {
    this.#clock = clock;
    this.#electionMs = electionMs;
  }

  get lead(): MemberId {
    return this.#lead;
  }
  get isLeader(): boolean {
    return this.#isLeader;
  }
  /** When this member last became leader, on the monotonic clock. */
  get electedMs(): number {
    return this.#electedMs;
  }

  start(): void {
    this.#timer = this.#clock.every(this.#electionMs, () => this.#check());
  }

  stop(): void {
    this.#timer?.cancel();
    for (const fn of [...this.#waiting]) fn();
  }

  /** @returns whether another leader than before is known now. */
  update(state: SoftState): boolean {
    const newLeader = state.lead !== noMember && state.lead !== this.#lead;
    this.#lead = state.lead;
    const isLeader = state.state === StateType.Leader;
    if (isLeader && !this.#isLeader) this.#electedMs = this.#clock.mono();
    this.#isLeader = isLeader;
    if (newLeader) {
      this.changes++;
      for (const fn of [...this.#waiting]) fn();
    }
    return newLeader;
  }

  onLost(fn: () => void): () => void {
    const number = this.#lost.add(fn);
    return () => this.#lost.delete(number);
  }

  /** Runs `done` once a leader is known (at once when one is), or with `noMember` after `ms`. */
  wait(ms: number, done: (lead: MemberId) => void): void {
    if (this.#lead !== noMember) {
      done(this.#lead);
      return;
    }
    const finish = (): void => {
      timer.cancel();
      this.#waiting.delete(finish);
      done(this.#lead);
    };
    const timer = this.#clock.after(ms, finish);
    this.#waiting.add(finish);
  }

  #check(): void {
    if (this.#lead !== noMember) {
      this.#leaderless = 0;
      return;
    }
    this.#leaderless++;
    if (this.#leaderless < leaderlessChecks) return;
    for (const fn of this.#lost.items()) fn();
    this.#lost.clear();
  }
}

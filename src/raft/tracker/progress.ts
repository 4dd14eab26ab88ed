/**
 * What the leader knows of one member, itself included (raft thesis §10.2.1; the three states are etcd's).
 *
 *   probe      the follower's log end is unknown: one MsgApp at a time, the next after an answer or a heartbeat response
 *   replicate  `match` is known and `next` runs ahead of it: as many MsgApps as `inflights` lets through
 *   snapshot   a MsgSnap is on its way: nothing more until the follower can go on from our log
 *
 * Always match < next.
 */
import type { MemberId } from '../types.ts';
import { Inflights } from './inflights.ts';

export type ProgressState = 'probe' | 'replicate' | 'snapshot';

export interface FlowLimits {
  readonly maxInflightMsgs: number;
  readonly maxInflightBytes: number;
}

export class Progress {
  readonly id: MemberId;
  readonly inflights: Inflights;
  /** Highest index known to be in the follower's durable log. */
  match = 0;
  /** Index of the next entry to send. */
  next: number;
  /** Highest commit index told to the follower, or that it will learn without another message. */
  sentCommit = 0;
  state: ProgressState = 'probe';
  /** Index of the snapshot on its way; 0 outside of the snapshot state. */
  pendingSnapshot = 0;
  /** Heard from since the last CheckQuorum round. */
  recentActive = true;
  /** No MsgApp until an answer or a heartbeat response comes. */
  paused = false;
  isLearner: boolean;
  /** The member's vote in the election under way. */
  vote: boolean | undefined = undefined;

  constructor(id: MemberId, next: number, isLearner: boolean, limits: FlowLimits) {
    this.id = id;
    this.next = Math.max(next, 1);
    this.isLearner = isLearner;
    this.inflights = new Inflights(limits.maxInflightMsgs, limits.maxInflightBytes);
  }

  /** Forgets everything: a new term begins. */
  restart(match: number, next: number): void {
    this.match = match;
    this.next = Math.max(next, match + 1);
    this.sentCommit = 0;
    this.recentActive = false;
    this.#enter('probe');
  }

  becomeProbe(): void {
    // A snapshot that did arrive moved the follower to its index, so go on behind it; if it did not, the follower's reject sets us right.
    const pending = this.state === 'snapshot' ? this.pendingSnapshot : 0;
    this.#enter('probe');
    this.#setNext(Math.max(this.match, pending) + 1);
  }

  becomeReplicate(): void {
    this.#enter('replicate');
    this.next = this.match + 1;
  }

  becomeSnapshot(index: number): void {
    this.#enter('snapshot');
    this.pendingSnapshot = index;
    this.next = Math.max(index, this.match) + 1;
    this.sentCommit = index;
  }

  /** Nothing may be sent now. */
  get isPaused(): boolean {
    return this.state === 'snapshot' || this.paused;
  }

  /** Whether entries may travel; a full replicate state still lets empty MsgApps through, which shake loose lost ones. */
  get hasRoom(): boolean {
    return this.state !== 'replicate' || !this.inflights.full;
  }

  /** A MsgApp with `count` entries of `bytes` payload was sent from `next`. */
  sent(count: number, bytes: number): void {
    if (this.state === 'replicate') {
      if (count > 0) {
        this.next += count;
        this.inflights.add(this.next - 1, bytes);
      }
      this.paused = this.inflights.full;
    } else {
      this.paused = true;
    }
  }

  /** Whether a MsgApp sent now would teach the follower a higher commit index. */
  canRaiseCommit(commit: number): boolean {
    // Past next−1 the follower would cut the commit index to the entries it has, so repeating it brings nothing.
    return commit > this.sentCommit && this.sentCommit < this.next - 1;
  }

  /** The follower has everything up to `index`. False when that is old news. */
  acknowledged(index: number): boolean {
    if (index <= this.match) return false;
    this.match = index;
    this.next = Math.max(this.next, index + 1);
    this.paused = false;
    return true;
  }

  /**
   * The follower refused the MsgApp that started behind `rejected`.
   *
   * @param hint  the highest index at which the logs may still agree.
   * @returns false when the refusal is an old one: late or repeated.
   */
  rejected(rejected: number, hint: number): boolean {
    if (this.state === 'replicate') {
      if (rejected <= this.match) return false;
      this.#setNext(this.match + 1);
      return true;
    }
    // Outside of replicate only one probe is out, and it started behind next−1.
    if (rejected !== this.next - 1) return false;
    this.#setNext(Math.max(Math.min(rejected, hint + 1), this.match + 1));
    this.paused = false;
    return true;
  }

  #setNext(next: number): void {
    this.next = next;
    this.sentCommit = Math.min(this.sentCommit, next - 1);
  }

  #enter(state: ProgressState): void {
    this.state = state;
    this.paused = false;
    this.pendingSnapshot = 0;
    this.inflights.clear();
  }
}

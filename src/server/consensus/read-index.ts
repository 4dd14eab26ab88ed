/**
 * Linearizable reads: a read may run once this member has applied everything that was committed when the read came. Many reads share one
 * question to raft: those that come while a round is under way make up the next one.
 *
 * A voter alone that has committed in its term needs no round: nobody else can have acknowledged anything, so its own commit index will do.
 */
import { errors, type Status } from '../../api/status.ts';
import type { Clock } from '../../base/clock.ts';
import { formatDuration } from '../../base/duration.ts';
import type { Log } from '../../base/log.ts';
import { logTrace, traceThresholdMs } from '../../base/step-trace.ts';
import type { RaftMachine, ReadState } from '../../raft/machine.ts';
import { StateType } from '../../raft/machine.ts';
import type { RequestIds } from './request-id.ts';

export type ReadDone = (error: Status | undefined) => void;

/** Time after which a question without an answer is put again; messages get lost. */
const retryMs = 500;

interface Round {
  readonly id: bigint;
  readonly context: Uint8Array;
  readonly readers: ReadDone[];
  readonly startMs: number;
  askedMs: number;
}

interface Confirmed {
  readonly index: number;
  readonly readers: ReadDone[];
  /** Of a round: when it began and when raft answered. */
  readonly round: { readonly startMs: number; readonly answeredMs: number } | undefined;
}

export interface ReadIndexOptions {
  readonly raft: RaftMachine;
  readonly ids: RequestIds;
  readonly timeoutMs: number;
  readonly clock: Pick<Clock, 'mono' | 'wall'>;
  readonly logger: Log;
  readonly wake: () => void;
  readonly applied: () => number;
  /** True when this member is the only voter (and there is no joint configuration). */
  readonly soleVoter: () => boolean;
}

export class ReadIndex {
  readonly #o: ReadIndexOptions;
  #next: ReadDone[] = [];
  #round: Round | undefined;
  #confirmed: Confirmed[] = [];
  #stopped = false;
  failed = 0;
  slow = 0;
  /** When the newest round was over, monotonic ms. */
  agreedMs = 0;

  constructor(options: ReadIndexOptions) {
    this.#o = options;
  }

  read(done: ReadDone): void {
    if (this.#stopped) {
      done(errors.stopped);
      return;
    }
    const index = this.#ownIndex();
    if (index >= 0) {
      if (this.#o.applied() >= index) {
        done(undefined);
        return;
      }
      const last = this.#confirmed[this.#confirmed.length - 1];
      if (last?.index === index) last.readers.push(done);
      else this.#confirmed.push({ index, readers: [done], round: undefined });
      return;
    }
    this.#next.push(done);
    this.#o.wake();
  }

  /** The commit index when no other member has to be asked, else −1. */
  #ownIndex(): number {
    const { raft } = this.#o;
    if (raft.state !== StateType.Leader || !this.#o.soleVoter()) return -1;
    const { commit } = raft;
    return raft.termAt(commit) === raft.term ? commit : -1;
  }

  /** The turn's readers become a round, unless one is under way. */
  feed(): void {
    if (this.#round !== undefined || this.#next.length === 0) return;
    const now = this.#o.clock.mono();
    const id = this.#o.ids.id(this.#o.ids.nextLow());
    const context = Buffer.alloc(8);
    context.writeBigUInt64BE(id);
    this.#round = { id, context, readers: this.#next, startMs: now, askedMs: now };
    this.#next = [];
    this.#o.raft.readIndex(context);
  }

  readStates(states: readonly ReadState[]): void {
    for (const state of states) {
      const round = this.#round;
      const id = state.context.length === 8 ? Buffer.from(state.context).readBigUInt64BE() : -1n;
      if (round === undefined || id !== round.id) {
        this.#late(id);
        continue;
      }
      this.#round = undefined;
      const { startMs, readers } = round;
      const confirmed: Confirmed = { index: state.index, readers, round: { startMs, answeredMs: this.#o.clock.mono() } };
      if (this.#o.applied() >= state.index) this.#over(confirmed);
      else this.#confirmed.push(confirmed);
      if (this.#next.length > 0) this.#o.wake();
    }
  }

  appliedTo(index: number): void {
    if (this.#confirmed.length === 0) return;
    const ready = this.#confirmed.filter((c) => c.index <= index);
    if (ready.length === 0) return;
    this.#confirmed = this.#confirmed.filter((c) => c.index > index);
    for (const c of ready) this.#over(c);
  }

  #late(id: bigint): void {
    this.slow++;
    this.#o.logger.warn(
      'ignored out-of-date read index response; local node read indexes queueing up and waiting to be in sync with leader',
      { 'received-request-id': id },
    );
  }

  /** The readers may read. */
  #over({ index, readers, round }: Confirmed): void {
    const { clock, logger } = this.#o;
    const now = clock.mono();
    this.agreedMs = now;
    const applied = this.#o.applied();
    for (const done of readers) done(undefined);
    if (round === undefined || now - round.startMs <= traceThresholdMs) return;
    logTrace(logger, clock, {
      operation: 'linearizableReadLoop',
      detail: [
        ['readStateIndex', index],
        ['appliedIndex', applied],
      ],
      startMs: round.startMs,
      endMs: now,
      steps: [
        { name: 'read index received', endMs: round.answeredMs },
        { name: 'applied index is now lower than readState.Index', endMs: now },
      ],
      everyStep: true,
    });
  }

  /** Before its first commit in a term a leader keeps no questions of followers: they are put again. */
  firstCommitInTerm(): void {
    const round = this.#round;
    if (round !== undefined) {
      this.#o.logger.info('first commit in current term: resending ReadIndex request');
      this.#ask(round);
    } else if (this.#next.length > 0) this.#o.wake();
  }

  /** What a former leader was asked has no answer; one that is on its way must not count (G-KV-9). */
  leaderChanged(): void {
    const round = this.#round;
    if (round === undefined) return;
    this.#round = undefined;
    this.failed++;
    for (const done of round.readers) done(errors.leaderChanged);
    if (this.#next.length > 0) this.#o.wake();
  }

  /** Puts an old question again and gives up on one that is too old; called every tick. */
  expire(): void {
    const round = this.#round;
    if (round === undefined) return;
    const now = this.#o.clock.mono();
    if (now - round.startMs >= this.#o.timeoutMs) {
      this.#round = undefined;
      this.failed++;
      this.#o.logger.warn('timed out waiting for read index response (local node might have slow network)', {
        timeout: formatDuration(this.#o.timeoutMs),
      });
      for (const done of round.readers) done(errors.timeout);
      if (this.#next.length > 0) this.#o.wake();
    } else if (now - round.askedMs >= retryMs) {
      this.#o.logger.warn('waiting for ReadIndex response took too long, retrying', {
        'sent-request-id': round.id,
        'retry-timeout': formatDuration(retryMs),
      });
      this.#ask(round);
    }
  }

  #ask(round: Round): void {
    round.askedMs = this.#o.clock.mono();
    this.#o.raft.readIndex(round.context);
    this.#o.wake();
  }

  stop(): void {
    this.#stopped = true;
    const readers = [...this.#next, ...(this.#round?.readers ?? []), ...this.#confirmed.flatMap((c) => c.readers)];
    this.#next = [];
    this.#round = undefined;
    this.#confirmed = [];
    for (const done of readers) done(errors.stopped);
  }
}

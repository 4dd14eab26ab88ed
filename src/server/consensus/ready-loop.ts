/**
 * The one place where the order of raft's outputs is decided. Rules D-1 … D-9 of the guarantees, in the order a Ready goes through them:
 *
 *   propose, step, tick ─▶ raft ─▶ Ready
 *     1. messages leave at once: the leader's MsgApp go out before its own sync (D-2)
 *     2. a received snapshot: its file is durable, then its WAL record, then the hard state (D-8); older ones never come (D-9)
 *     3. entries and hard state go to the WAL; several Readys may be under way, and they are told of in order
 *     4. durable: `appendDone` (the leader counts itself only now, D-2), then the messages that acknowledge what was written (D-1)
 *     5. committed entries, which raft hands out only when they are durable here as well (D-3), wait in a queue and are applied in
 *        slices; the consistent index moves with each (D-4), and the caller is answered after that (D-5)
 *     6. now and then an own snapshot: backend commit, file, WAL record, release of old segments (D-7)
 *
 * On restart the backend's consistent index decides what is applied: entries up to it are not handed out again (D-6).
 *
 * Work is gathered for one turn of the event loop, so that what arrives together is proposed, written and synced together.
 */
import type { Clock, Timer } from '../../base/clock.ts';
import { failpoint, failpointsOn, failpointThen } from '../../base/failpoint.ts';
import { invariant } from '../../base/invariant.ts';
import type { Log } from '../../base/log.ts';
import type { RaftMachine, ReadState, Ready, SoftState } from '../../raft/machine.ts';
import { StateType } from '../../raft/machine.ts';
import { type Entry, EntryType, type HardState, type MemberId, type Message, MessageType, type Snapshot } from '../../raft/types.ts';
import type { Backend } from '../storage/backend.ts';
import type { DurableLog, SnapshotFiles } from './durable.ts';
import type { PeerTransport } from './peer-transport.ts';
import type { RaftSpans } from './raft-spans.ts';

/** Longest time one turn goes on applying, ms: a blocked loop is a lost leadership. */
const applySliceMs = 5;
/** Entries between looks at the clock inside a slice. */
const applyClockEvery = 8;
/**
 * What gathered while a received database was imported is applied in slices of so many ms with rests between: the member has been away for seconds, and
 * others, maybe the leader on the same machine, have not.
 */
const gatheredSliceMs = 2;
const gatheredRestMs = 4;
/** Peer messages held for the coming turn; more are dropped, which raft takes for a lossy network. */
const inboxMax = 4096;
/** Applied entries, or bytes of them, between two cuts of the in-memory log, cut with each snapshot too; each costs a copy of what stays. */
const logCutEntriesDefault = 100;
const logCutBytes = 4 * 1024 * 1024;
/**
 * Bytes of applied entries that the in-memory log keeps for slow followers, whatever their count, and without other members: entries of a
 * megabyte each would else hold gigabytes.
 */
const keptLogBytes = 64 * 1024 * 1024;
const keptLogBytesAlone = 4 * 1024 * 1024;
/** Bytes of applied entries after which a raft snapshot is taken, whatever their count: a restart reads and replays what lies behind it. */
const snapshotEveryBytes = 16 * 1024 * 1024;
/** Time the in-memory log stays whole after a snapshot was sent, so that the follower can go on from it. */
const releaseDelayAfterSnapshotMs = 30_000;

export interface ReadyLoopOptions {
  readonly raft: RaftMachine;
  readonly log: DurableLog;
  readonly snapshots: SnapshotFiles;
  readonly backend: () => Backend;
  readonly transport: PeerTransport;
  readonly clock: Clock;
  readonly spans: RaftSpans;
  readonly logger: Log;
  readonly memberId: MemberId;
  readonly heartbeatMs: number;
  readonly electionMs: number;
  readonly snapshotCount: number;
  readonly snapshotCatchupEntries: number;
  /** Index of the newest raft snapshot on disk. */
  readonly snapshotIndex: number;
  /** Applied entries between two cuts of the in-memory log; absent: 100. */
  readonly logCutEntries?: number | undefined;
  readonly events: ReadyEvents;
}

/** What the loop tells the rest of consensus. Calls come in the order of raft's outputs. */
export interface ReadyEvents {
  /** The turn's gathered input goes to raft now. */
  feed(): void;
  softState(state: SoftState): void;
  readStates(states: readonly ReadState[]): void;
  /** A turn begins to apply. */
  sliceBegins(nowMs: number): void;
  /** One entry takes effect; consistent index and raft's applied index are moved by the loop afterwards. */
  applyNormal(entry: Entry): void;
  applyConfChange(entry: Entry): void;
  /** After an entry's consistent index has been set: the time to answer. */
  entryApplied(entry: Entry): void;
  /** A slice is over. */
  appliedTo(index: number): void;
  /** Swaps the backend for a received snapshot's and reloads everything above it; then `done`. */
  installSnapshot(snapshot: Snapshot, done: () => void): void;
  /** Data of an own raft snapshot at `index`: membership as older members read it. */
  snapshotOf(index: number, term: number): Snapshot;
  heartbeatLate(to: MemberId, lateMs: number): void;
  /** The process was away for longer than an election timeout (F-15). */
  suspended(ms: number): void;
  /** This member leads, and what it has to write is not durable for longer than an election timeout (F-11). Told once an election timeout. */
  diskStalled(ms: number): void;
  /** A configuration change whose effect came with a received database, ahead of the snapshot: raft alone has yet to follow it. */
  confChangeInStore(entry: Entry): void;
}

interface Pending {
  readonly token: number;
  readonly messages: readonly Message[];
  done: boolean;
  /** By the last tick's time. */
  sinceMs: number;
}

export class ReadyLoop {
  readonly #o: ReadyLoopOptions;
  readonly #raft: RaftMachine;
  readonly #clock: Clock;
  #scheduled = false;
  #draining = false;
  #stopped = false;
  #inbox: Message[] = [];
  #droppedMessages = 0;
  /** Readys whose durable part is under way, oldest first. */
  #pending: Pending[] = [];
  /** A failpoint sleeps: no Ready is taken and no time passes for raft. */
  #held = false;
  /** A failpoint sleeps before an entry; then whether it is over, for that entry. */
  #applyHeld = false;
  #slept = false;
  /** A commit index not yet in the WAL: it needs no sync, so it waits for the next batch or tick. */
  #lazyHardState: HardState | undefined;
  /** A received snapshot is being made durable: raft's next Ready waits. */
  #savingSnapshot = false;

  #applyQueue: (readonly Entry[] | Snapshot)[] = [];
  #applyAt = 0;
  #installing = false;
  /** Commit index when the last received database took the store's place. */
  #gatheredTo = 0;
  #resting = false;
  #applied: number;
  #appliedTerm: number;

  #snapshotIndex: number;
  #snapshotAsked = false;
  #savingOwnSnapshot = false;
  #compactedFrom: number;
  /** Bytes of the entries applied so far, and how many they were at the newest snapshot and at the last cut of the in-memory log. */
  #appliedBytes = 0;
  #snapshotAtBytes = 0;
  #compactedAtBytes = 0;
  /** Moments of cuts that stay possible, oldest first: an applied index and `#appliedBytes` then. */
  readonly #cuts: { readonly index: number; readonly bytes: number }[] = [];
  #sendingSnapshots = 0;
  #keepLogUntil = 0;

  #ticker: Timer | undefined;
  #lastTick: number;
  /** When the disk was last reported to stall. */
  #stallToldMs = -Infinity;
  readonly #heartbeatSent = new Map<MemberId, number>();

  constructor(options: ReadyLoopOptions) {
    this.#o = options;
    this.#raft = options.raft;
    this.#clock = options.clock;
    this.#applied = options.backend().consistentIndex;
    this.#appliedTerm = options.backend().consistentTerm;
    this.#snapshotIndex = options.snapshotIndex;
    this.#compactedFrom = this.#applied;
    this.#cuts.push({ index: this.#applied, bytes: 0 });
    this.#lastTick = options.clock.mono();
  }

  get applied(): number {
    return this.#applied;
  }

  /** A failpoint holds up the loop. */
  get held(): boolean {
    return this.#held;
  }

  /** Received snapshots being installed: 0 or 1. */
  get installing(): number {
    return this.#installing ? 1 : 0;
  }

  /** Index of the newest raft snapshot on disk. */
  get snapshotIndex(): number {
    return this.#snapshotIndex;
  }

  start(): void {
    this.#lastTick = this.#clock.mono();
    this.#ticker = this.#clock.every(this.#o.heartbeatMs, () => this.#tick());
    this.wake();
  }

  /** No turn runs after this; what is under way on the disk is not waited for. */
  stop(): void {
    if (this.#stopped) return;
    this.#flushCommit();
    this.#stopped = true;
    this.#ticker?.cancel();
  }

  /** Has a turn run soon. */
  wake(): void {
    if (this.#scheduled || this.#stopped) return;
    this.#scheduled = true;
    this.#clock.defer(() => {
      this.#scheduled = false;
      this.#turn();
    });
  }

  /** A message of another member, already checked to be for this one and of this cluster. */
  step(message: Message): void {
    if (this.#inbox.length >= inboxMax) {
      this.#droppedMessages++;
      return;
    }
    this.#inbox.push(message);
    this.wake();
  }

  /** Writes a raft snapshot now, or after the one that is being written. */
  snapshotNow(): void {
    this.#snapshotAsked = this.#savingOwnSnapshot;
    if (!this.#savingOwnSnapshot && !this.#installing) this.#saveOwnSnapshot();
  }

  reportUnreachable(id: MemberId): void {
    this.#raft.reportUnreachable(id);
    this.wake();
  }

  /** The transport is done with a MsgSnap. */
  reportSnapshot(id: MemberId, ok: boolean): void {
    this.#sendingSnapshots = Math.max(0, this.#sendingSnapshots - 1);
    if (ok) this.#keepLogUntil = this.#clock.mono() + releaseDelayAfterSnapshotMs;
    this.#raft.reportSnapshot(id, ok);
    this.wake();
  }

  /** Takes a raft snapshot now, whatever the count; for shutdown of a version and for tests. */
  forceSnapshot(): void {
    this.#saveOwnSnapshot();
  }

  #tick(): void {
    const now = this.#clock.mono();
    const gap = now - this.#lastTick;
    this.#lastTick = now;
    if (gap > this.#o.electionMs) {
      // The disk could not answer either while nobody listened.
      for (const p of this.#pending) p.sinceMs = now;
      this.#o.events.suspended(gap);
    }
    if (this.#held) return;
    this.#raft.tick();
    this.#watchDisk(now);
    if (this.#droppedMessages > 0) {
      this.#o.logger.warn('dropped raft messages: too many arrived in one turn', { dropped: this.#droppedMessages, max: inboxMax });
      this.#droppedMessages = 0;
    }
    this.#turn();
  }

  /**
   * A leader whose disk stalls goes on sending heartbeats, and would keep a leadership with which it can neither apply nor answer. The others,
   * whose disks may be well, are better off with another one.
   */
  #watchDisk(now: number): void {
    const oldest = this.#pending[0];
    const { electionMs } = this.#o;
    if (oldest === undefined || now - oldest.sinceMs <= electionMs || now - this.#stallToldMs <= electionMs) return;
    if (this.#raft.state !== StateType.Leader) return;
    this.#stallToldMs = now;
    this.#o.events.diskStalled(now - oldest.sinceMs);
  }

  #turn(): void {
    if (this.#stopped) return;
    if (this.#inbox.length > 0) {
      const inbox = this.#inbox;
      this.#inbox = [];
      for (const message of inbox) this.#raft.step(message);
    }
    this.#o.events.feed();
    this.#drain();
  }

  /** Takes Readys and applies what they commit until there is neither, or the slice's time is up. */
  #drain(): void {
    // Applying can answer a caller that proposes again, in the same turn; its proposal waits for the next one.
    if (this.#draining || this.#stopped) return;
    this.#draining = true;
    try {
      const now = this.#clock.mono();
      const gathered = this.#applied < this.#gatheredTo && this.#raft.state !== StateType.Leader;
      const deadline = now + (gathered ? gatheredSliceMs : applySliceMs);
      this.#o.events.sliceBegins(now);
      for (;;) {
        while (!this.#savingSnapshot && !this.#held && this.#raft.hasReady()) this.#handle(this.#raft.ready());
        if (!this.#canApply()) break;
        if (!this.#applySome(deadline)) {
          if (gathered) this.#rest();
          else this.wake();
          break;
        }
      }
    } finally {
      this.#draining = false;
    }
  }

  /** Nothing is applied for a moment; all else goes on. */
  #rest(): void {
    this.#resting = true;
    this.#clock.after(gatheredRestMs, () => {
      this.#resting = false;
      this.wake();
    });
  }

  /** A received snapshot is installed only when it is durable, and nothing behind it is applied before. */
  #canApply(): boolean {
    const head = this.#applyQueue[0];
    if (head === undefined || this.#installing || this.#applyHeld || this.#resting || this.#stopped) return false;
    return isEntries(head) || !this.#savingSnapshot;
  }

  #handle(rd: Ready): void {
    const { events } = this.#o;
    if (rd.softState !== undefined) events.softState(rd.softState);
    if (rd.readStates.length > 0) events.readStates(rd.readStates);

    // 1. What may leave before anything is durable.
    if (rd.messages.length > 0) this.#send(rd.messages);
    if (!failpointsOn()) return this.#handleDurable(rd);
    // A point that sleeps holds up the loop as a whole, ticks too, as it does in etcd.
    this.#held = true;
    failpointThen('raftBeforeSave', () => {
      this.#held = false;
      if (this.#stopped) return;
      this.#handleDurable(rd);
      this.wake();
    });
  }

  #handleDurable(rd: Ready): void {
    const pending: Pending = { token: rd.token, messages: rd.messagesAfterAppend, done: false, sinceMs: this.#lastTick };
    this.#pending.push(pending);
    if (rd.snapshot !== undefined) {
      // 2.
      this.#saveReceivedSnapshot(rd, rd.snapshot, pending);
    } else {
      // 3.
      this.#save(rd, pending);
    }
    // 5. Queued behind a snapshot that came before, if any.
    if (rd.committedEntries.length === 0) return;
    if (!this.#o.spans.idle) this.#o.spans.committed(rd.committedEntries, this.#clock.mono());
    this.#applyQueue.push(rd.committedEntries);
  }

  #save(rd: Ready, pending: Pending): void {
    if (rd.entries.length === 0 && !rd.mustSync) {
      if (rd.hardState !== undefined) this.#lazyHardState = rd.hardState;
      this.#durable(pending);
      return;
    }
    const hardState = rd.hardState ?? this.#lazyHardState;
    this.#lazyHardState = undefined;
    const { spans } = this.#o;
    const saved = spans.idle ? undefined : spans.saving(rd.entries);
    this.#o.log.save(rd.entries, hardState, rd.mustSync, () => {
      saved?.();
      failpointThen('raftAfterSave', () => {
        this.#durable(pending);
        this.#drain();
      });
    });
  }

  /** 4. Readys are reported in the order they were taken. */
  #durable(pending: Pending): void {
    pending.done = true;
    while (!this.#stopped && this.#pending[0]?.done === true) {
      const first = this.#pending.shift() as Pending;
      failpoint('raftBeforeAdvance');
      this.#raft.appendDone(first.token);
      if (first.messages.length > 0) this.#send(first.messages);
    }
  }

  /** Writes a commit index that no batch has taken along. */
  #flushCommit(): void {
    const hardState = this.#lazyHardState;
    if (hardState === undefined) return;
    this.#lazyHardState = undefined;
    this.#o.log.save([], hardState, false, () => {});
  }

  #send(messages: readonly Message[]): void {
    const { transport, memberId } = this.#o;
    failpoint(this.#raft.state === StateType.Leader ? 'raftBeforeLeaderSend' : 'raftBeforeFollowerSend');
    let out: Message[] | undefined;
    for (const m of messages) {
      invariant(m.to !== memberId, 'raft sends no message to its own member', { type: m.type });
      if (m.type === MessageType.MsgSnap) {
        this.#sendSnapshot(m);
        continue;
      }
      if (m.type === MessageType.MsgHeartbeat) this.#watchHeartbeat(m.to);
      (out ??= []).push(m);
    }
    if (out !== undefined) transport.send(out);
  }

  /** The snapshot travels with the backend as it is now, which is at or past the position raft asked for. */
  #sendSnapshot(message: Message): void {
    const view = this.#o.backend().view();
    const metadata = { index: view.consistentIndex, term: view.consistentTerm, confState: view.confState };
    invariant(metadata.index >= (message.snapshot?.metadata?.index ?? 0), 'a snapshot that is sent reaches what raft asked for');
    const own = this.#o.events.snapshotOf(metadata.index, metadata.term);
    this.#sendingSnapshots++;
    this.#o.transport.sendSnapshot(
      { ...message, snapshot: { data: own.data, metadata: { ...metadata, confState: metadata.confState } } },
      view,
    );
  }

  #watchHeartbeat(to: MemberId): void {
    const now = this.#clock.mono();
    const last = this.#heartbeatSent.get(to);
    this.#heartbeatSent.set(to, now);
    if (last !== undefined && now - last > 2 * this.#o.heartbeatMs) this.#o.events.heartbeatLate(to, now - last - 2 * this.#o.heartbeatMs);
  }

  /** 2. D-8: file, then WAL record, then hard state; nothing else goes to the WAL meanwhile. The database file is durable since it arrived. */
  #saveReceivedSnapshot(rd: Ready, snapshot: Snapshot, pending: Pending): void {
    const { log, snapshots, logger } = this.#o;
    const index = snapshot.metadata?.index ?? 0;
    invariant(index > this.#applied, 'a received snapshot is newer than what is applied', { index, applied: this.#applied });
    this.#savingSnapshot = true;
    failpoint('raftBeforeSaveSnap');
    snapshots.save(snapshot, () => {
      failpoint('raftBeforeWALSaveSnaphot');
      log.saveSnapshot(snapshot, () => {
        failpoint('raftAfterSaveSnap');
        const hardState = rd.hardState ?? this.#lazyHardState;
        this.#lazyHardState = undefined;
        log.save(rd.entries, hardState, true, () => {
          logger.info('applied snapshot to raft storage', { 'snapshot-index': index });
          this.#savingSnapshot = false;
          this.#durable(pending);
          this.#drain();
        });
      });
    });
    this.#applyQueue.push(snapshot);
  }

  /** 5. False when the time is up before the queue is empty. */
  #applySome(deadline: number): boolean {
    const batch = this.#applyQueue[0] as readonly Entry[] | Snapshot;
    if (!isEntries(batch)) {
      this.#install(batch);
      return true;
    }
    const { events } = this.#o;
    let i = this.#applyAt;
    let timeUp = false;
    while (i < batch.length && !this.#stopped) {
      if (failpointsOn() && !this.#mayApply(batch[i] as Entry)) break;
      this.#applyEntry(batch[i] as Entry);
      i++;
      if (i % applyClockEvery === 0 && this.#clock.mono() > deadline) {
        timeUp = i < batch.length || this.#applyQueue.length > 1;
        break;
      }
    }
    if (i === batch.length) {
      this.#applyQueue.shift();
      this.#applyAt = 0;
    } else {
      this.#applyAt = i;
    }
    this.#raft.applied(this.#applied);
    events.appliedTo(this.#applied);
    const snapshotDue =
      !this.#savingOwnSnapshot &&
      (this.#snapshotAsked ||
        this.#applied - this.#snapshotIndex > this.#o.snapshotCount ||
        this.#appliedBytes - this.#snapshotAtBytes > snapshotEveryBytes);
    this.#compactLog(snapshotDue);
    if (snapshotDue) this.#saveOwnSnapshot();
    return !timeUp;
  }

  /** The failpoints before an entry; false when one sleeps: nothing is applied until it is over. */
  #mayApply(entry: Entry): boolean {
    if (this.#slept) {
      this.#slept = false;
      return true;
    }
    if (entry.Index <= this.#o.backend().consistentIndex) return true;
    let asleep = false;
    let over = false;
    failpointThen(entry.Type === EntryType.EntryNormal ? 'beforeApplyOneEntryNormal' : 'beforeApplyOneConfChange', () => {
      over = true;
      if (!asleep) return;
      this.#applyHeld = false;
      this.#slept = true;
      this.wake();
    });
    asleep = !over;
    this.#applyHeld = asleep;
    return over;
  }

  #applyEntry(entry: Entry): void {
    const { events } = this.#o;
    const backend = this.#o.backend();
    invariant(entry.Index === this.#applied + 1, 'entries are applied one after the other', { index: entry.Index, applied: this.#applied });
    // D-6: after a received snapshot was installed, the backend may already hold this entry.
    if (entry.Index > backend.consistentIndex) {
      if (entry.Type === EntryType.EntryNormal) {
        events.applyNormal(entry);
      } else {
        events.applyConfChange(entry);
      }
      // D-4: in the same turn as the effect; a commit of the backend takes both or neither. Failed entries move it too.
      backend.setConsistentIndex(entry.Index, entry.Term);
    } else if (entry.Type !== EntryType.EntryNormal) {
      events.confChangeInStore(entry);
    }
    this.#applied = entry.Index;
    this.#appliedTerm = entry.Term;
    this.#appliedBytes += entry.Data.length;
    events.entryApplied(entry);
  }

  #install(snapshot: Snapshot): void {
    const { events } = this.#o;
    const metadata = snapshot.metadata;
    invariant(metadata !== undefined, 'a received snapshot has a position');
    this.#installing = true;
    failpoint('raftBeforeApplySnap');
    events.installSnapshot(snapshot, () => {
      failpoint('raftAfterApplySnap');
      this.#installing = false;
      this.#applyQueue.shift();
      this.#gatheredTo = this.#raft.commit;
      this.#applied = metadata.index;
      this.#appliedTerm = metadata.term;
      this.#snapshotIndex = metadata.index;
      this.#compactedFrom = metadata.index;
      this.#raft.applied(metadata.index);
      this.#o.log.release(metadata.index);
      failpoint('raftAfterWALRelease');
      events.appliedTo(metadata.index);
      this.wake();
    });
  }

  /** 6. D-7. One at a time; entries go on being applied meanwhile. */
  #saveOwnSnapshot(): void {
    if (this.#savingOwnSnapshot || this.#applied <= this.#snapshotIndex) return;
    this.#savingOwnSnapshot = true;
    this.#snapshotAsked = false;
    this.#snapshotAtBytes = this.#appliedBytes;
    const { backend, snapshots, log, logger, events, memberId } = this.#o;
    const index = this.#applied;
    const snapshot = events.snapshotOf(index, this.#appliedTerm);
    logger.info('triggering snapshot', {
      'local-member-id': memberId,
      'local-member-applied-index': index,
      'local-member-snapshot-index': this.#snapshotIndex,
      'local-member-snapshot-count': this.#o.snapshotCount,
      'snapshot-forced': false,
    });
    backend().commit(() => {
      if (this.#stopped) return;
      const durable = backend().durableIndex;
      invariant(durable >= index, 'a raft snapshot stands on a durable backend', { durable, index });
      snapshots.save(snapshot, () => {
        log.saveSnapshot(snapshot, () => {
          this.#snapshotIndex = Math.max(this.#snapshotIndex, index);
          this.#savingOwnSnapshot = false;
          logger.info('saved snapshot to disk', { 'snapshot-index': index });
          log.release(index);
        });
      });
    });
  }

  /** The in-memory log keeps a window for slow followers, and all of it while one is being sent a snapshot. */
  #compactLog(now: boolean): void {
    const every = this.#o.logCutEntries ?? logCutEntriesDefault;
    const due = now || this.#applied - this.#compactedFrom >= every || this.#appliedBytes - this.#compactedAtBytes >= logCutBytes;
    if (!due || this.#sendingSnapshots > 0) return;
    this.#compactedFrom = this.#applied;
    this.#compactedAtBytes = this.#appliedBytes;
    const cuts = this.#cuts;
    cuts.push({ index: this.#applied, bytes: this.#appliedBytes });
    if (this.#clock.mono() < this.#keepLogUntil) return;
    let upTo = this.#applied - this.#o.snapshotCatchupEntries;
    const kept = this.#raft.isLone ? keptLogBytesAlone : keptLogBytes;
    let passed = 0;
    while (passed < cuts.length && this.#appliedBytes - (cuts[passed] as { bytes: number }).bytes >= kept) passed++;
    if (passed > 0) upTo = Math.max(upTo, (cuts[passed - 1] as { index: number }).index);
    while (passed < cuts.length && (cuts[passed] as { index: number }).index <= upTo) passed++;
    cuts.splice(0, passed);
    if (upTo < this.#raft.firstIndex) return;
    this.#raft.compactLog(upTo);
    if (this.#o.logger.debugEnabled) this.#o.logger.debug('compacted Raft logs', { 'compact-index': upTo });
  }
}

function isEntries(item: readonly Entry[] | Snapshot): item is readonly Entry[] {
  return Array.isArray(item);
}

/** A running member: raft, its loop, and all that hangs on it, behind the `MemberFacade` that services see. */
import { InternalRaftRequest, type PutRequest } from '../../api/gen/etcdserverpb.ts';
import { errors, type Status } from '../../api/status.ts';
import type { Clock } from '../../base/clock.ts';
import { formatDuration } from '../../base/duration.ts';
import { failpoint, failpointsOn, failpointThen } from '../../base/failpoint.ts';
import type { Log, LogFields } from '../../base/log.ts';
import type { Random } from '../../base/random.ts';
import { Roster } from '../../base/roster.ts';
import type { RaftMachine, RaftStatus, SoftState } from '../../raft/machine.ts';
import { type Entry, type MemberId, type Message, noMember, type Snapshot } from '../../raft/types.ts';
import type { AlarmStore } from '../alarm/alarm-store.ts';
import type { Applier } from '../apply/applier.ts';
import type { ApplyResult, AuthInfo, Completion, RaftRequest } from '../apply/types.ts';
import type { AuthStore } from '../auth/auth-store.ts';
import type { ServerConfig } from '../config/config.ts';
import type { Lessor } from '../lease/lessor.ts';
import type { Cluster, ClusterMember } from '../membership/cluster.ts';
import type { MvccStore } from '../mvcc/types.ts';
import type { Backend } from '../storage/backend.ts';
import { requestText } from '../txn/request-text.ts';
import type { DurableLog, SnapshotFiles } from './durable.ts';
import { compareVersions, Duties } from './duties.ts';
import type { LeaseInfo, MemberDone, MemberFacade } from './facade.ts';
import { Leadership } from './leadership.ts';
import { MemberChanges } from './member-changes.ts';
import type { PeerTransport } from './peer-transport.ts';
import { onComplete, Proposals, type Waiting } from './proposals.ts';
import { RaftSpans } from './raft-spans.ts';
import { ReadIndex } from './read-index.ts';
import { ReadyLoop, type ReadyEvents } from './ready-loop.ts';
import { RequestIds } from './request-id.ts';

/** Field of a put in InternalRaftRequest. */
const putField = 4;
/** Committed and not yet applied entries at which new requests are turned away, and the same for requests that must get through. */
const applyGapMax = 5000;
const applyGapMaxPriority = 10_000;
/** A member that has applied its own removal goes on this long, so that the others learn of the commit. */
const removedStopMs = 1000;
/** Rest between two questions to a leader that gave no answer. */
const forwardRetryMs = 50;
/** Longest wait of a lease request for the applied index. */
const appliedWaitMs = 1000;

export interface MemberOptions {
  readonly config: ServerConfig;
  readonly serverVersion: string;
  readonly memberId: MemberId;
  readonly clusterId: bigint;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly raft: RaftMachine;
  readonly durableLog: DurableLog;
  readonly snapshots: SnapshotFiles;
  readonly transport: PeerTransport;
  /** Index of the newest raft snapshot on disk. */
  readonly snapshotIndex: number;
  /** Members of a cluster that is being joined: peers already, though the own store does not tell of them yet. */
  readonly remotes: readonly ClusterMember[];
  readonly logCutEntries?: number | undefined;
  readonly backend: Backend;
  readonly kv: MvccStore;
  readonly lessor: Lessor;
  readonly auth: AuthStore;
  readonly alarms: AlarmStore;
  readonly cluster: Cluster & { v2Snapshot(): Uint8Array };
  readonly applier: Applier;
  /** Turns a received snapshot into the backend's content; everything that reads the backend is told by `restored`. */
  readonly installSnapshot: (snapshot: Snapshot, done: (backend: Backend) => void) => void;
  /** Measured work of one applied request. */
  readonly onApplied?: ((request: InternalRaftRequest, result: ApplyResult, ms: number) => void) | undefined;
  /** The member has removed itself from the cluster and must stop. */
  readonly onRemoved: () => void;
}

export class Member implements MemberFacade, ReadyEvents {
  readonly config: ServerConfig;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly memberId: MemberId;
  readonly clusterId: bigint;
  readonly kv: MvccStore;
  readonly lessor: Lessor;
  readonly auth: AuthStore;
  readonly alarms: AlarmStore;
  readonly cluster: Cluster;
  /** 5 s plus two election timeouts: what a request may wait. */
  readonly requestTimeoutMs: number;
  readonly leadership: Leadership;
  readonly proposals: Proposals;
  readonly reads: ReadIndex;
  readonly duties: Duties;
  readonly changes: MemberChanges;
  readonly loop: ReadyLoop;

  readonly #o: MemberOptions;
  readonly #raft: RaftMachine;
  readonly #ids: RequestIds;
  readonly #spans = new RaftSpans();
  readonly #onStop = new Roster<() => void>();
  #backend: Backend;
  #stopped = false;
  #published = false;
  #onPublished: (() => void) | undefined;
  /** What the entry just applied answers, once its index is set. */
  #completion: Completion | undefined;
  #result: ApplyResult | undefined;
  #confAnswer: (() => void) | undefined;
  readonly #putFrame: InternalRaftRequest = { ...InternalRaftRequest.create(), header: { ID: 0n, username: '', authRevision: 0 } };
  /** When the entry before was done. */
  #sliceMs = 0;
  #applyBeganMs = 0;
  #firstCommitTerm = 0;
  #soleVoter = false;
  /** The process was away for longer than an election timeout and no quorum has answered since (F-15). */
  #doubtful = false;
  #waitingApplied: { readonly index: number; readonly done: () => void }[] = [];
  slowApplies = 0;
  leaseRenewals = 0;
  heartbeatFailures = 0;

  constructor(options: MemberOptions) {
    this.#o = options;
    this.config = options.config;
    this.clock = options.clock;
    this.random = options.random;
    this.log = options.log;
    this.memberId = options.memberId;
    this.clusterId = options.clusterId;
    this.kv = options.kv;
    this.lessor = options.lessor;
    this.auth = options.auth;
    this.alarms = options.alarms;
    this.cluster = options.cluster;
    this.#backend = options.backend;
    this.#raft = options.raft;
    const { config, clock, raft, transport, log, memberId } = options;
    this.requestTimeoutMs = 5000 + 2 * config.electionMs;
    const timeoutMs = this.requestTimeoutMs;
    this.#ids = new RequestIds(memberId, clock.wall());
    const wake = (): void => this.loop.wake();
    const backend = (): Backend => this.#backend;
    this.leadership = new Leadership(clock, config.electionMs);
    this.proposals = new Proposals({
      raft,
      ids: this.#ids,
      maxRequestBytes: config.maxRequestBytes,
      timeoutMs,
      mono: () => clock.mono(),
      wake,
      spans: this.#spans,
      timeoutStatus: (startMs) => this.#timeoutStatus(startMs),
    });
    this.reads = new ReadIndex({
      raft,
      ids: this.#ids,
      timeoutMs,
      clock: this.clock,
      logger: this.log,
      wake,
      applied: () => this.loop.applied,
      soleVoter: () => !this.loop.held && this.#soleVoter,
    });
    const { proposals, reads, leadership } = this;
    const { cluster, lessor } = options;
    this.changes = new MemberChanges({
      config,
      memberId,
      raft,
      cluster,
      transport,
      proposals,
      ids: this.#ids,
      leadership,
      clock,
      log,
      timeoutMs,
      backend,
      wake,
      onRemoved: () => this.#removed(),
    });
    this.duties = new Duties({
      snapshotNow: () => this.loop.snapshotNow(),
      config,
      memberId,
      serverVersion: options.serverVersion,
      raft,
      cluster,
      lessor,
      proposals,
      reads,
      leadership,
      transport,
      clock,
      log,
      timeoutMs,
      backend,
      rootInfo: () => this.auth.rootInfo(),
    });
    this.loop = new ReadyLoop({
      raft,
      log: options.durableLog,
      snapshots: options.snapshots,
      backend,
      transport,
      clock,
      spans: this.#spans,
      logger: log,
      memberId,
      heartbeatMs: config.heartbeatMs,
      electionMs: config.electionMs,
      snapshotCount: config.snapshotCount,
      snapshotCatchupEntries: config.snapshotCatchupEntries,
      snapshotIndex: options.snapshotIndex,
      logCutEntries: options.logCutEntries,
      events: this,
    });
    this.#votersChanged();
  }

  /** Starts ticking. `ready` runs once the member has published itself: the time to serve clients. */
  start(ready: () => void): void {
    const { config, clock, transport, cluster, memberId, remotes } = this.#o;
    this.#onPublished = ready;
    for (const m of [...remotes, ...cluster.members()]) if (m.id !== memberId) transport.addPeer(m.id, m.peerUrls);
    this.loop.start();
    this.leadership.start();
    this.duties.start();
    clock.every(config.heartbeatMs, () => {
      this.proposals.expire();
      this.reads.expire();
    });
    this.#startElection();
  }

  /** A voter alone has nobody to wait for; with others the first timeout is shortened once two of them talk (etcd's tick advance). */
  #startElection(): void {
    const { config, clock, cluster, transport, memberId, log } = this.#o;
    const ticks = Math.floor(config.electionMs / config.heartbeatMs);
    const advance = (n: number): void => {
      for (let i = 0; i < n; i++) this.#raft.tick();
    };
    const report = (text: string, n: number, more: LogFields = {}): void =>
      log.info(text, {
        'local-member-id': memberId,
        'forward-ticks': n,
        'forward-duration': formatDuration(n * config.heartbeatMs),
        'election-ticks': ticks,
        'election-timeout': formatDuration(config.electionMs),
        ...more,
      });
    // Members of a fresh data directory are in the log, not yet in the cluster; one that joins has yet to be told of all of them.
    const known = cluster.members().length;
    const members = Math.max(known, config.initialClusterState === 'new' || known === 0 ? config.initialCluster.size : 0);
    if (members <= 1) {
      report('started as single-node; fast-forwarding election ticks', ticks - 1);
      advance(ticks - 1);
      this.#campaignWhenSole();
      return;
    }
    if (!config.initialElectionTickAdvance) {
      log.info('skipping initial election tick advance', { 'election-ticks': ticks });
      return;
    }
    log.info('starting initial election tick advance', { 'election-ticks': ticks });
    const end = clock.mono() + 5000;
    const poll = clock.every(50, () => {
      const active = cluster.members().filter((m) => m.id !== memberId && transport.activeSince(m.id) !== undefined).length;
      if (active > 0) {
        report('initialized peer connections; fast-forwarding election ticks', ticks - 2, { 'active-remote-members': active });
        advance(ticks - 2);
      }
      if (active > 0 || clock.mono() > end) poll.cancel();
    });
    this.onStop(() => poll.cancel());
  }

  /** Waits for the configuration's entry of a fresh start to be applied. */
  #campaignWhenSole(): void {
    if (this.#stopped || this.leadership.lead !== noMember) return;
    if (this.#soleVoter) {
      this.#raft.campaign();
      this.loop.wake();
    } else {
      this.clock.defer(() => this.#campaignWhenSole());
    }
  }

  /** Ends everything that waits; what is on the disk stays with the caller to close. */
  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    for (const fn of this.#onStop.items()) fn();
    this.#onStop.clear();
    this.duties.stop();
    this.leadership.stop();
    this.proposals.stop();
    this.reads.stop();
    const waiting = this.#waitingApplied;
    this.#waitingApplied = [];
    for (const w of waiting) w.done();
    this.loop.stop();
    this.#o.transport.stop();
  }

  /** Before a stop: hands leadership to the member that has been connected longest. `done` when it has moved or cannot. */
  handOver(done: () => void): void {
    const { cluster, memberId, log, config } = this.#o;
    if (!this.leadership.isLeader) {
      log.info('skipped leadership transfer; local server is not leader', {
        'local-member-id': memberId,
        'current-leader-member-id': this.leadership.lead,
      });
      done();
      return;
    }
    const voters = cluster.members().filter((m) => !m.isLearner);
    if (voters.length <= 1) {
      log.info('skipped leadership transfer for single voting member cluster', {
        'local-member-id': memberId,
        'current-leader-member-id': this.leadership.lead,
      });
      done();
      return;
    }
    const best = this.#successor();
    if (best === undefined) {
      done();
      return;
    }
    let over = false;
    const finish = (): void => {
      if (over) return;
      over = true;
      done();
    };
    this.changes.moveLeader(best, finish);
    this.clock.after(config.electionMs, finish);
  }

  /** The voter that has been connected longest, if any is. */
  #successor(): MemberId | undefined {
    const { cluster, transport, memberId } = this.#o;
    let best: { id: MemberId; since: number } | undefined;
    for (const m of cluster.members()) {
      const since = m.isLearner || m.id === memberId ? undefined : transport.activeSince(m.id);
      if (since !== undefined && (best === undefined || since < best.since)) best = { id: m.id, since };
    }
    return best?.id;
  }

  get backend(): Backend {
    return this.#backend;
  }
  get raftTerm(): number {
    return this.#raft.term;
  }
  get committedIndex(): number {
    return this.#raft.commit;
  }
  get appliedIndex(): number {
    return this.loop.applied;
  }
  get leader(): MemberId {
    return this.leadership.lead;
  }
  get isLeader(): boolean {
    return this.leadership.isLeader;
  }
  get isLearner(): boolean {
    return this.cluster.member(this.memberId)?.isLearner ?? false;
  }
  get stopped(): boolean {
    return this.#stopped;
  }

  raftStatus(): RaftStatus {
    return this.#raft.status();
  }

  nextId(): bigint {
    return this.#ids.id(this.#ids.nextLow());
  }

  propose(request: RaftRequest, auth: AuthInfo | undefined, completion: Completion): void {
    if (this.#tooBusy(this.config.priorityRequest && request.leaseRevoke !== undefined)) {
      this.proposals.failed++;
      completion.complete(errors.tooManyRequestsUnknown, undefined);
      return;
    }
    this.proposals.propose(request, auth, completion);
  }

  proposeEncoded(field: number, request: Uint8Array, auth: AuthInfo | undefined, completion: Completion, message?: unknown): void {
    if (this.#tooBusy(false)) {
      this.proposals.failed++;
      completion.complete(errors.tooManyRequestsUnknown, undefined);
      return;
    }
    this.proposals.proposeEncoded(field, request, auth, completion, message);
  }

  #tooBusy(priority: boolean): boolean {
    return this.#raft.commit > this.loop.applied + (priority ? applyGapMaxPriority : applyGapMax);
  }

  linearizableRead(done: (error: Status | undefined) => void): void {
    this.reads.read(done);
  }

  get readAgreedMs(): number {
    return this.reads.agreedMs;
  }

  /** When applying the newest entry began, monotonic ms. */
  get applyBeganMs(): number {
    return this.#applyBeganMs;
  }

  addMember(peerUrls: readonly string[], isLearner: boolean, done: MemberDone): void {
    this.changes.add(peerUrls, isLearner, done);
  }
  removeMember(id: MemberId, done: MemberDone): void {
    this.changes.remove(id, done);
  }
  updateMember(id: MemberId, peerUrls: readonly string[], done: MemberDone): void {
    this.changes.update(id, peerUrls, done);
  }
  promoteMember(id: MemberId, done: MemberDone): void {
    this.changes.promote(id, done);
  }
  moveLeader(to: MemberId, done: (error: Status | undefined) => void): void {
    this.changes.moveLeader(to, done);
  }

  renewLease(id: bigint, done: (error: Status | undefined, ttl: number) => void): void {
    this.#askLeader<number>(
      (answer) => this.#renewHere(id, answer),
      (lead, answer) => this.#o.transport.renewLease(lead, id, (error, ttl) => answer(error, ttl)),
      (error, ttl) => done(error, ttl ?? 0),
    );
  }

  #renewHere(id: bigint, answer: (error: Status | undefined, ttl?: number) => void): void {
    this.#whenLeading((error) => {
      if (error !== undefined) {
        answer(error);
        return;
      }
      const { lessor } = this;
      if (lessor.isEnded(id)) {
        // Its revoke is on the way. If that is lost with the leadership, the next leader decides anew.
        lessor.whenSettled(id, () => this.renewLease(id, (failed, ttl) => answer(failed, ttl)));
        return;
      }
      if (failpointsOn() && lessor.lookup(id) !== undefined)
        failpointThen('beforeCheckpointInLeaseRenew', () => this.#renewFound(id, answer));
      else this.#renewFound(id, answer);
    });
  }

  /** Looks once more: while a failpoint slept the lease may have been revoked. */
  #renewFound(id: bigint, answer: (error: Status | undefined, ttl?: number) => void): void {
    const lease = this.lessor.lookup(id);
    if (lease === undefined || lease.remainingTtl <= 0) {
      this.#renewNow(id, answer);
      return;
    }
    // A next leader must not start from the checkpoint that this renewal makes untrue.
    this.proposals.propose(
      { leaseCheckpoint: { checkpoints: [{ ID: id, remainingTTL: 0 }] } },
      undefined,
      onComplete((failed, result) => {
        const bad = failed ?? result?.error;
        if (bad !== undefined) answer(bad);
        else this.#renewNow(id, answer);
      }),
      this.#raft.term,
    );
  }

  #renewNow(id: bigint, answer: (error: Status | undefined, ttl?: number) => void): void {
    const ttl = this.lessor.renew(id);
    if (ttl === undefined) answer(errors.leaseNotFound);
    else {
      this.leaseRenewals++;
      answer(undefined, ttl);
    }
  }

  leaseTimeToLive(id: bigint, withKeys: boolean, done: (error: Status | undefined, info: LeaseInfo | undefined) => void): void {
    this.#askLeader<LeaseInfo>(
      (answer) =>
        this.#whenLeading((error) => {
          if (error !== undefined) answer(error);
          else failpointThen('beforeLookupWhenLeaseTimeToLive', () => answer(undefined, this.#leaseInfo(id, withKeys)));
        }),
      (lead, answer) => this.#o.transport.leaseTimeToLive(lead, id, withKeys, answer),
      done,
    );
  }

  #leaseInfo(id: bigint, withKeys: boolean): LeaseInfo {
    const lease = this.lessor.lookup(id);
    if (lease === undefined) return { ttl: -1, grantedTtl: 0, keys: [] };
    return { ttl: this.lessor.remaining(id) ?? 0, grantedTtl: lease.ttl, keys: withKeys ? this.#backend.leaseKeys(id) : [] };
  }

  /** Runs `done` when this member leads and has applied what was committed when asked; in doubt a quorum is asked first. */
  #whenLeading(done: (error: Status | undefined) => void): void {
    const proceed = (error: Status | undefined): void => {
      if (error !== undefined) return done(error);
      if (!this.isLeader || !this.lessor.isPrimary) return done(errors.notLeader);
      const index = this.#raft.commit;
      if (this.loop.applied >= index) return done(undefined);
      let over = false;
      const finish = (failed: Status | undefined): void => {
        if (over) return;
        over = true;
        timer.cancel();
        done(failed ?? (this.#stopped ? errors.stopped : this.isLeader ? undefined : errors.notLeader));
      };
      const timer = this.clock.after(appliedWaitMs, () => finish(errors.timeoutWaitAppliedIndex));
      this.#waitingApplied.push({ index, done: () => finish(undefined) });
    };
    if (!this.#doubtful) return proceed(undefined);
    this.reads.read((error) => {
      if (error === undefined) this.#doubtful = false;
      proceed(error);
    });
  }

  /** Answers here when this member leads, else asks the leader, again and again until the request's time is up. */
  #askLeader<T>(
    here: (answer: (error: Status | undefined, value?: T) => void) => void,
    there: (lead: MemberId, answer: (error: Status | undefined, value: T | undefined) => void) => void,
    done: (error: Status | undefined, value: T | undefined) => void,
  ): void {
    const end = this.clock.mono() + this.requestTimeoutMs;
    const attempt = (): void => {
      if (this.#stopped) return done(errors.stopped, undefined);
      const left = end - this.clock.mono();
      if (left <= 0) return done(errors.timeout, undefined);
      if (this.isLeader) {
        here((error, value) => {
          if (error === errors.notLeader) this.clock.after(forwardRetryMs, attempt);
          else done(error, value);
        });
        return;
      }
      this.leadership.wait(Math.min(left, this.config.electionMs), (lead) => {
        if (lead === noMember) return done(this.#stopped ? errors.stopped : errors.noLeader, undefined);
        if (lead === this.memberId) {
          this.clock.defer(attempt);
          return;
        }
        there(lead, (error, value) => {
          if (error === undefined || error === errors.leaseNotFound) done(error, value);
          else this.clock.after(forwardRetryMs, attempt);
        });
      });
    };
    attempt();
  }

  onLeaderLost(fn: () => void): () => void {
    return this.leadership.onLost(fn);
  }

  onStop(fn: () => void): () => void {
    if (this.#stopped) {
      fn();
      return () => {};
    }
    const number = this.#onStop.add(fn);
    return () => this.#onStop.delete(number);
  }

  /** A message of another member. */
  step(message: Message): void {
    this.loop.step(message);
  }

  // What the loop tells.

  feed(): void {
    this.proposals.feed();
    this.reads.feed();
  }

  softState(state: SoftState): void {
    const wasLeader = this.leadership.isLeader;
    const newLeader = this.leadership.update(state);
    if (newLeader) {
      this.reads.leaderChanged();
      this.loop.wake();
    }
    if (wasLeader && !this.leadership.isLeader) {
      this.lessor.demote();
      this.proposals.leadershipLost();
    }
    if (this.leadership.isLeader && newLeader) this.clock.defer(() => this.duties.monitorVersion());
    if (newLeader && !this.#published) this.#publishOnce();
  }

  #publishing = false;

  #publishOnce(): void {
    if (this.#publishing) return;
    this.#publishing = true;
    this.duties.publish(() => {
      this.#published = true;
      this.#onPublished?.();
      this.duties.monitorVersion();
    });
  }

  readStates(states: readonly { readonly index: number; readonly context: Uint8Array }[]): void {
    this.reads.readStates(states);
  }

  applyNormal(entry: Entry): void {
    if (entry.Data.length === 0) {
      this.#firstOfTerm(entry);
      return;
    }
    const waiting = this.proposals.claimLed(entry.Data);
    let request: InternalRaftRequest;
    if (waiting !== undefined) {
      this.#completion = this.proposals.settle(waiting);
      request = waiting.field === putField ? this.#putRequest(waiting) : InternalRaftRequest.decode(entry.Data);
      // It stays in line for its timeout; what it refers to should not.
      waiting.data = undefined;
      waiting.message = undefined;
    } else {
      request = InternalRaftRequest.decode(entry.Data);
      this.#completion = this.proposals.claim(request.header?.ID ?? request.ID);
    }
    // A read that nobody waits for has no effect.
    if (this.#completion === undefined && hasNoSideEffect(request)) return;
    const setsVersion = request.clusterVersionSet !== undefined;
    const versionBefore = setsVersion ? this.cluster.version : undefined;
    const result = this.#o.applier.apply(request);
    if (setsVersion) this.#tellVersion(versionBefore);
    if (this.#completion !== undefined) this.#result = result;
    const now = this.clock.mono();
    const span = this.#completion?.span;
    if (span !== undefined) this.#spans.applied(entry.Data, span, this.#sliceMs, now, entry.Index);
    const ms = now - this.#sliceMs;
    this.#applyBeganMs = this.#sliceMs;
    this.#sliceMs = now;
    this.#o.onApplied?.(request, result, ms);
    if (ms > this.config.warningApplyMs) this.#slowApply(entry, result, ms);
    if (result.error !== undefined && result.error !== errors.compacted) this.#failedApply(entry, result.error, ms);
    if (result.error === errors.noSpace && !this.alarms.isRaised(1)) this.#raiseNoSpace();
  }

  /**
   * A put proposed here, without decoding the entry again: its bytes are the request's, and the rest of the entry is the id. The frame is one
   * object for all, since apply keeps nothing of it.
   */
  #putRequest(waiting: Waiting): InternalRaftRequest {
    const frame = this.#putFrame;
    frame.put = (waiting.message as PutRequest | undefined) ?? InternalRaftRequest.decode(waiting.data as Uint8Array).put;
    return frame;
  }

  /** A slice begins: what applying its first entry takes is counted from here. */
  sliceBegins(nowMs: number): void {
    this.#sliceMs = nowMs;
  }

  #slowApply(entry: Entry, result: ApplyResult, ms: number): void {
    this.slowApplies++;
    // Decoded anew: what was applied may be a frame without an id.
    const request = InternalRaftRequest.decode(entry.Data);
    const failed = result.error !== undefined;
    let bytes = 0;
    // Looking at the answer to a login would sign its token.
    if (!failed && request.authenticate === undefined) for (const part of result.body) bytes += part.length;
    this.log.warn('apply request took too long', {
      took: formatDuration(ms),
      'expected-duration': formatDuration(this.config.warningApplyMs),
      prefix: '',
      request: requestText(request),
      response: failed ? '' : `size:${bytes}`,
      ...(result.error === undefined ? {} : { error: result.error.message }),
    });
  }

  #failedApply(entry: Entry, error: Status, ms: number): void {
    this.log.warn('failed to apply request', {
      took: formatDuration(ms),
      request: requestText(InternalRaftRequest.decode(entry.Data)),
      response: '',
      error: error.message,
    });
  }

  #tellVersion(before: string | undefined): void {
    const { version } = this.cluster;
    if (version === undefined || version === before) return;
    const minor = (v: string): string => v.split('.').slice(0, 2).join('.');
    const ids = { 'cluster-id': this.clusterId, 'local-member-id': this.memberId };
    if (before === undefined) this.log.info('set initial cluster version', { ...ids, 'cluster-version': minor(version) });
    else this.log.info('updated cluster version', { ...ids, from: minor(before), to: minor(version) });
    if (before !== undefined && compareVersions(version, before) < 0)
      this.log.info('Cluster version downgrade detected, forcing snapshot', {
        'prev-cluster-version': before,
        'new-cluster-version': version,
      });
    this.log.info('enabled capabilities for version', { 'cluster-version': minor(version) });
  }

  /** The write has taken effect on every member; from now on the quota is enforced before proposing. */
  #raiseNoSpace(): void {
    this.log.warn('message exceeded backend quota; raising alarm', {
      'quota-size-bytes': this.config.quotaBackendBytes,
      error: errors.noSpace.message,
    });
    this.proposals.propose(
      { alarm: { memberID: this.memberId, action: 1, alarm: 1 } },
      undefined,
      onComplete(() => {}),
    );
  }

  #firstOfTerm(entry: Entry): void {
    if (entry.Term <= this.#firstCommitTerm) return;
    this.#firstCommitTerm = entry.Term;
    this.reads.firstCommitInTerm();
    // Leases end only by a leader whose log is whole: from its first commit on (G-L-4).
    if (this.leadership.isLeader && this.#raft.term === entry.Term) this.lessor.promote(this.config.electionMs);
  }

  applyConfChange(entry: Entry): void {
    this.#confAnswer = this.changes.apply(entry);
    this.#votersChanged();
  }

  #votersChanged(): void {
    const { confState } = this.#raft.status();
    this.#soleVoter = confState.voters.length === 1 && confState.voters[0] === this.memberId && confState.votersOutgoing.length === 0;
  }

  entryApplied(_entry: Entry): void {
    const completion = this.#completion;
    if (completion !== undefined) {
      const result = this.#result;
      this.#completion = undefined;
      this.#result = undefined;
      completion.complete(undefined, result);
    } else if (this.#confAnswer !== undefined) {
      const answer = this.#confAnswer;
      this.#confAnswer = undefined;
      answer();
    }
  }

  appliedTo(index: number): void {
    this.reads.appliedTo(index);
    if (this.#waitingApplied.length === 0) return;
    const ready = this.#waitingApplied.filter((w) => w.index <= index);
    this.#waitingApplied = this.#waitingApplied.filter((w) => w.index > index);
    for (const w of ready) w.done();
  }

  installSnapshot(snapshot: Snapshot, done: () => void): void {
    const index = snapshot.metadata?.index ?? 0;
    this.log.info('applying snapshot', {
      'current-snapshot-index': this.loop.snapshotIndex,
      'current-applied-index': this.loop.applied,
      'incoming-leader-snapshot-index': index,
      'incoming-leader-snapshot-term': snapshot.metadata?.term ?? 0,
    });
    const { transport, cluster, memberId, remotes } = this.#o;
    const before = [...remotes, ...cluster.members()];
    failpoint('applyBeforeOpenSnapshot');
    this.#o.installSnapshot(snapshot, (backend) => {
      this.log.info('applySnapshot: opened snapshot backend');
      failpointThen('applyAfterOpenSnapshot', () => {
        this.#backend = backend;
        for (const m of before) if (cluster.member(m.id) === undefined && m.id !== memberId) transport.removePeer(m.id);
        for (const m of cluster.members()) if (m.id !== memberId) transport.addPeer(m.id, m.peerUrls);
        this.#votersChanged();
        this.log.info('applied snapshot', {
          'current-snapshot-index': this.loop.snapshotIndex,
          'current-applied-index': this.loop.applied,
          'incoming-leader-snapshot-index': index,
          'incoming-leader-snapshot-term': snapshot.metadata?.term ?? 0,
        });
        done();
      });
    });
  }

  /** The store was replaced, in this turn; `installSnapshot` goes on when the new one is durable. */
  swapBackend(backend: Backend): void {
    this.#backend = backend;
  }

  snapshotOf(index: number, term: number): Snapshot {
    return { data: this.#o.cluster.v2Snapshot(), metadata: { confState: this.#raft.status().confState, index, term } };
  }

  heartbeatLate(to: MemberId, lateMs: number): void {
    this.heartbeatFailures++;
    this.log.warn('leader failed to send out heartbeat on time; took too long, leader is overloaded likely from slow disk', {
      to,
      'heartbeat-interval': formatDuration(this.config.heartbeatMs),
      'expected-duration': formatDuration(2 * this.config.heartbeatMs),
      'exceeded-duration': formatDuration(lateMs),
    });
  }

  suspended(ms: number): void {
    if (!this.#soleVoter) this.#doubtful = true;
    this.log.warn('the process did not run for longer than an election timeout', { took: formatDuration(ms) });
  }

  diskStalled(ms: number): void {
    const to = this.#successor();
    this.log.warn('leader cannot write to its disk; handing leadership over', {
      'local-member-id': this.memberId,
      'transferee-member-id': to ?? noMember,
      took: formatDuration(ms),
      'expected-duration': formatDuration(this.config.electionMs),
    });
    if (to !== undefined) this.#raft.transferLeader(to);
  }

  confChangeInStore(entry: Entry): void {
    this.changes.applyToRaft(entry);
    this.#votersChanged();
  }

  #removed(): void {
    this.clock.after(removedStopMs, () => {
      if (!this.#stopped) this.#o.onRemoved();
    });
  }

  #timeoutStatus(startMs: number): Status {
    const { electedMs, lead } = this.leadership;
    if (startMs > electedMs - 2 * this.config.electionMs && startMs < electedMs) return errors.timeoutDueToLeaderFail;
    if (lead === this.memberId) {
      if (!this.changes.connectedToQuorumSince(startMs)) return errors.timeoutDueToConnectionLost;
    } else if (lead !== noMember) {
      const since = this.#o.transport.activeSince(lead);
      if (since === undefined || since > startMs) return errors.timeoutDueToConnectionLost;
    }
    return errors.timeout;
  }
}

function hasNoSideEffect(request: InternalRaftRequest): boolean {
  return request.range !== undefined || request.authUserGet !== undefined || request.authRoleGet !== undefined;
}

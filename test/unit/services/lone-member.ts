/**
 * A member without raft: real rooms on the model backend, proposals applied in the next turn. For tests of the services alone.
 */
import { DeleteRangeRequest, InternalRaftRequest, PutRequest, TxnRequest } from '../../../src/api/gen/etcdserverpb.ts';
import { KV, type MethodDef } from '../../../src/api/gen/methods.ts';
import { errors, RpcError, type Status } from '../../../src/api/status.ts';
import { utf8 } from '../../../src/base/bytes.ts';
import type { Clock } from '../../../src/base/clock.ts';
import { silentLog } from '../../../src/base/log.ts';
import { SeededRandom } from '../../../src/base/random.ts';
import { RealClock } from '../../../src/host/real-clock.ts';
import type { RaftStatus } from '../../../src/raft/machine.ts';
import type { MemberId } from '../../../src/raft/types.ts';
import { BucketAlarmStore } from '../../../src/server/alarm/bucket-alarm-store.ts';
import { Applier } from '../../../src/server/apply/applier.ts';
import { BackendQuota } from '../../../src/server/apply/quota.ts';
import type { AuthInfo, Completion, RaftRequest } from '../../../src/server/apply/types.ts';
import type { AuthStore } from '../../../src/server/auth/auth-store.ts';
import type { ServerConfig } from '../../../src/server/config/config.ts';
import type { LeaseInfo, MemberDone, MemberFacade } from '../../../src/server/consensus/facade.ts';
import { LeaseStore } from '../../../src/server/lease/lease-store.ts';
import { BucketCluster } from '../../../src/server/membership/bucket-cluster.ts';
import { Store } from '../../../src/server/mvcc/store.ts';
import { registerServices } from '../../../src/server/services/services.ts';
import type { SnapshotReader, SnapshotSource } from '../../../src/server/services/snapshot-source.ts';
import { HandlerTable } from '../../../src/wire/call.ts';
import type { ClientStream } from '../../../src/wire/channel.ts';
import { InProcessChannel } from '../../../src/wire/in-process.ts';
import { ModelBackend } from '../mvcc/model-backend.ts';

const expiryScanMs = 100;

export class LoneMember implements MemberFacade {
  readonly config: ServerConfig;
  readonly clock: Clock;
  readonly random = new SeededRandom(7);
  readonly log = silentLog;
  readonly memberId: MemberId = 0x1234n;
  readonly clusterId = 0xabcdn;
  readonly backend = new ModelBackend();
  readonly kv: Store;
  readonly lessor: LeaseStore;
  readonly auth: AuthStore;
  readonly alarms: BucketAlarmStore;
  readonly cluster: BucketCluster;
  readonly raftTerm = 2;
  committedIndex = 4;
  leader: MemberId = 0x1234n;
  isLearner = false;
  readonly #applier: Applier;
  readonly #stops = new Set<() => void>();
  readonly #losses = new Set<() => void>();
  #nextId = 1000n;

  constructor(options: { config?: Partial<ServerConfig>; auth?: AuthStore; clock?: Clock } = {}) {
    this.config = {
      maxTxnOps: 128,
      maxRequestBytes: 1_572_864,
      quotaBackendBytes: 0,
      watchProgressNotifyMs: 600_000,
      ...options.config,
    } as ServerConfig;
    this.clock = options.clock ?? new RealClock();
    const { backend } = this;
    this.kv = new Store({ backend, clock: this.clock, log: this.log });
    this.lessor = new LeaseStore({ clock: this.clock, backend, minTtl: 2 });
    this.lessor.promote(0);
    this.alarms = new BucketAlarmStore(backend);
    this.auth = options.auth ?? noAuth;
    this.cluster = new BucketCluster(backend, this.clusterId);
    this.cluster.add({
      id: this.memberId,
      peerUrls: ['http://127.0.0.1:1'],
      isLearner: false,
      name: 'default',
      clientUrls: ['http://127.0.0.1:2'],
    });
    this.cluster.setVersion('3.7.0');
    const quota = new BackendQuota(this.config.quotaBackendBytes, backend);
    this.#applier = new Applier({ ...this, quota });
    this.clock.every(expiryScanMs, () => {
      for (const id of this.lessor.due(100)) this.propose({ leaseRevoke: { ID: id } }, undefined, { complete() {} });
    });
  }

  get appliedIndex(): number {
    return this.committedIndex;
  }

  get isLeader(): boolean {
    return this.leader === this.memberId;
  }

  raftStatus(): RaftStatus {
    throw new Error('there is no raft here');
  }

  nextId(): bigint {
    return this.#nextId++;
  }

  propose(request: RaftRequest, auth: AuthInfo | undefined, completion: Completion): void {
    const body = InternalRaftRequest.encode({
      ...request,
      header: { ID: this.nextId(), username: auth?.username, authRevision: auth?.revision },
    });
    this.#apply(body, completion);
  }

  proposeEncoded(field: number, request: Uint8Array, auth: AuthInfo | undefined, completion: Completion): void {
    const name = field === 4 ? 'put' : field === 5 ? 'deleteRange' : 'txn';
    const inner = InternalRaftRequest.encode({ header: { ID: this.nextId(), username: auth?.username, authRevision: auth?.revision } });
    const decoded = InternalRaftRequest.decode(inner);
    const codec = { put: PutRequest, deleteRange: DeleteRangeRequest, txn: TxnRequest }[name];
    Object.assign(decoded, { [name]: codec.decode(request) });
    this.#apply(InternalRaftRequest.encode(decoded), completion);
  }

  #apply(body: Uint8Array, completion: Completion): void {
    this.clock.defer(() => {
      if (body.length > this.config.maxRequestBytes) return completion.complete(errors.requestTooLarge, undefined);
      this.committedIndex++;
      completion.complete(undefined, this.#applier.apply(InternalRaftRequest.decode(body)));
    });
  }

  get readAgreedMs(): number {
    return this.clock.mono();
  }

  linearizableRead(done: (error: Status | undefined) => void): void {
    this.clock.defer(() => done(this.leader === 0n ? errors.noLeader : undefined));
  }

  addMember(peerUrls: readonly string[], isLearner: boolean, done: MemberDone): void {
    const member = { id: this.nextId(), peerUrls, isLearner, name: '', clientUrls: [] };
    this.cluster.add(member);
    done(undefined, { member, members: this.cluster.members() });
  }

  removeMember(id: MemberId, done: MemberDone): void {
    done(this.cluster.member(id) === undefined ? errors.memberNotFound : errors.memberNotEnoughStarted, undefined);
  }

  updateMember(id: MemberId, peerUrls: readonly string[], done: MemberDone): void {
    if (this.cluster.member(id) === undefined) return done(errors.memberNotFound, undefined);
    this.cluster.updatePeerUrls(id, peerUrls);
    done(undefined, { member: undefined, members: this.cluster.members() });
  }

  promoteMember(id: MemberId, done: MemberDone): void {
    done(this.cluster.member(id) === undefined ? errors.memberNotFound : errors.memberNotLearner, undefined);
  }

  moveLeader(to: MemberId, done: (error: Status | undefined) => void): void {
    done(to === this.memberId ? undefined : errors.badLeaderTransferee);
  }

  renewLease(id: bigint, done: (error: Status | undefined, ttl: number) => void): void {
    const ttl = this.lessor.renew(id);
    done(ttl === undefined ? errors.leaseNotFound : undefined, ttl ?? 0);
  }

  leaseTimeToLive(id: bigint, withKeys: boolean, done: (error: Status | undefined, info: LeaseInfo | undefined) => void): void {
    const lease = this.lessor.lookup(id);
    if (lease === undefined) return done(undefined, { ttl: -1, grantedTtl: 0, keys: [] });
    done(undefined, { ttl: this.lessor.remaining(id) ?? 0, grantedTtl: lease.ttl, keys: withKeys ? this.backend.leaseKeys(id) : [] });
  }

  onLeaderLost(fn: () => void): () => void {
    this.#losses.add(fn);
    return () => this.#losses.delete(fn);
  }

  onStop(fn: () => void): () => void {
    this.#stops.add(fn);
    return () => this.#stops.delete(fn);
  }

  /** How many listeners there are: streams that are over must not leave any. */
  get listeners(): number {
    return this.#stops.size + this.#losses.size;
  }

  loseLeader(): void {
    this.leader = 0n;
    for (const fn of [...this.#losses]) fn();
  }

  stop(): void {
    for (const fn of [...this.#stops]) fn();
  }
}

const noAuth: AuthStore = {
  enabled: false,
  revision: 1,
  authInfo: () => ({ error: undefined, info: undefined }),
  check: () => undefined,
  checkRange: () => undefined,
  checkAdmin: () => undefined,
  checkUser: () => undefined,
  checkLease: () => undefined,
  rootInfo: () => undefined,
  tokenIndex: () => 0,
  apply: () => ({ error: errors.authNotEnabled, rev: 0, body: [], whenCompacted: undefined }),
  prepare: (request, done) => done(undefined, request),
  restore() {},
  close() {},
};

/** A file of zeros, and how many readers of it are open. */
export class ZeroSnapshot implements SnapshotSource {
  readers = 0;
  readonly #bytes: number;

  constructor(bytes: number) {
    this.#bytes = bytes;
  }

  open(): SnapshotReader {
    let left = this.#bytes;
    this.readers++;
    return {
      totalBytes: () => Promise.resolve(this.#bytes),
      next: () => {
        const n = Math.min(left, 50_000);
        left -= n;
        return Promise.resolve(n === 0 ? undefined : new Uint8Array(n));
      },
      close: () => {
        this.readers--;
      },
    };
  }
}

/** A member with its services, called inside the process. */
export class Services {
  readonly member: LoneMember;
  readonly table = new HandlerTable();
  readonly snapshots = new ZeroSnapshot(401_408);
  readonly channel: InProcessChannel;
  readonly errors: unknown[] = [];

  constructor(options: ConstructorParameters<typeof LoneMember>[0] = {}) {
    this.member = new LoneMember(options);
    registerServices(this.table, this.member, { snapshots: this.snapshots });
    this.channel = new InProcessChannel({ table: this.table, clock: this.member.clock, onHandlerError: (e) => this.errors.push(e) });
  }

  async put(key: string, value = ''): Promise<number> {
    return (await this.channel.unary(KV.put, { key: utf8(key), value: utf8(value) })).header?.revision ?? 0;
  }

  /** Opens a stream whose messages are kept. */
  stream<Req, Res>(method: MethodDef<Req, Res>, metadata?: Readonly<Record<string, string>>): Opened<Req, Res> {
    return new Opened(this.channel.stream(method, { metadata }));
  }
}

export class Opened<Req, Res> {
  readonly stream: ClientStream<Req, Res>;
  readonly got: Res[] = [];
  end: Status | undefined;

  constructor(stream: ClientStream<Req, Res>) {
    this.stream = stream;
    stream.onMessage = (m) => this.got.push(m);
    stream.onEnd = (status) => {
      this.end = status;
    };
  }
}

/** Waits for something that comes about by itself. */
export async function until(what: () => boolean, ms = 10_000): Promise<void> {
  const end = Date.now() + ms;
  while (!what()) {
    if (Date.now() > end) throw new Error(`did not come about within ${ms} ms: ${what.toString()}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** The status that a promise is rejected with. */
export async function refusal(promise: Promise<unknown>): Promise<Status> {
  try {
    await promise;
  } catch (e) {
    if (e instanceof RpcError) return e.status;
    throw e;
  }
  throw new Error('it was not refused');
}

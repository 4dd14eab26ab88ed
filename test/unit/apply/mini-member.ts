// A member without raft, disk and wire: requests are checked, encoded as entries, decoded and applied, and answers get their header.
import { Auth, KV, Lease, Maintenance, methods, type MethodDef } from '../../../src/api/gen/methods.ts';
import { InternalRaftRequest, LeaseLeasesResponse, LeaseTimeToLiveResponse, ResponseHeader } from '../../../src/api/gen/etcdserverpb.ts';
import type * as pb from '../../../src/api/gen/etcdserverpb.ts';
import { Writer } from '../../../src/api/proto-io.ts';
import type { Status } from '../../../src/api/status.ts';
import { silentLog } from '../../../src/base/log.ts';
import { SeededRandom } from '../../../src/base/random.ts';
import { must } from '../../../src/base/invariant.ts';
import { BucketAlarmStore } from '../../../src/server/alarm/bucket-alarm-store.ts';
import { Applier } from '../../../src/server/apply/applier.ts';
import { BackendQuota } from '../../../src/server/apply/quota.ts';
import type { ApplyResult, AuthInfo, RaftRequest } from '../../../src/server/apply/types.ts';
import { BucketAuthStore } from '../../../src/server/auth/bucket-auth-store.ts';
import type { PasswordHasher } from '../../../src/server/auth/password-hasher.ts';
import { authorize } from '../../../src/server/auth/rules.ts';
import { SimpleTokens } from '../../../src/server/auth/simple-tokens.ts';
import { LeaseStore } from '../../../src/server/lease/lease-store.ts';
import { BucketCluster } from '../../../src/server/membership/bucket-cluster.ts';
import { Store } from '../../../src/server/mvcc/store.ts';
import { checkAlarm, checkDeleteRange, checkPut, checkRange, checkTxn, isReadOnlyTxn } from '../../../src/server/txn/checks.ts';
import { encodeRangeAnswer, rangeAnswer, rangeQuery } from '../../../src/server/txn/range.ts';
import { revisionStatus } from '../../../src/server/apply/applier.ts';
import { ModelBackend } from '../mvcc/model-backend.ts';
import { TestClock } from '../mvcc/test-clock.ts';

/** Quick and open to view; hashes look like bcrypt's only in having a prefix. */
export const plainHasher: PasswordHasher = {
  hash(password, cost, done) {
    done(undefined, `$2a$${cost}$${password}`);
  },
  compare(password, hash, done) {
    done(undefined, hash.replace(/^\$2a\$\d+\$/, '') === password);
  },
  close() {
    // Nothing to end.
  },
};

export type Answer = { readonly status: Status; readonly body: undefined } | { readonly status: undefined; readonly body: Uint8Array };

const refusal = (status: Status): Answer => ({ status, body: undefined });

export class MiniMember {
  readonly clock = new TestClock();
  readonly backend: ModelBackend;
  readonly kv: Store;
  readonly lessor: LeaseStore;
  readonly alarms: BucketAlarmStore;
  readonly cluster: BucketCluster;
  readonly auth: BucketAuthStore;
  readonly applier: Applier;
  readonly quota: BackendQuota;
  readonly maxTxnOps: number;
  index = 3;
  #leaseId = 7000n;

  constructor(options: { readonly quotaBytes?: number; readonly maxTxnOps?: number; readonly backend?: ModelBackend } = {}) {
    const backend = options.backend ?? new ModelBackend();
    this.backend = backend;
    backend.consistentIndex = Math.max(backend.consistentIndex, this.index);
    this.index = backend.consistentIndex;
    this.maxTxnOps = options.maxTxnOps ?? 128;
    this.kv = new Store({ backend, clock: this.clock, log: silentLog });
    this.lessor = new LeaseStore({ clock: this.clock, backend, minTtl: 2 });
    this.lessor.promote(0);
    this.alarms = new BucketAlarmStore(backend);
    this.cluster = new BucketCluster(backend, 1n);
    this.auth = new BucketAuthStore({
      backend,
      tokens: new SimpleTokens({ clock: this.clock, random: new SeededRandom(7), ttlMs: 300_000 }),
      hasher: plainHasher,
      bcryptCost: 10,
      certificateUsers: false,
      log: silentLog,
    });
    this.quota = new BackendQuota(options.quotaBytes ?? 0, backend);
    this.applier = new Applier({
      kv: this.kv,
      backend,
      lessor: this.lessor,
      alarms: this.alarms,
      auth: this.auth,
      cluster: this.cluster,
      quota: this.quota,
    });
  }

  /** Puts a request through "raft". */
  apply(request: RaftRequest, info?: AuthInfo): ApplyResult {
    const header = info === undefined ? { ID: 1n } : { ID: 1n, username: info.username, authRevision: info.revision };
    const entry = InternalRaftRequest.encode({ ...request, header });
    const result = this.applier.apply(InternalRaftRequest.decode(entry));
    this.backend.setConsistentIndex(++this.index, 2);
    return result;
  }

  /** One unary call. Undefined: not a call that this member knows; then it was only authorized. */
  call(path: string, requestBytes: Uint8Array, metadata: Readonly<Record<string, string>> = {}): Answer | undefined {
    const method = must(
      methods.find((m) => m.path === path),
      `a method for ${path}`,
    );
    const request = method.request.decode(requestBytes);
    const shape = checkShape(method, request, this.maxTxnOps);
    if (shape !== undefined) return refusal(shape);
    const peer = { address: 'test', commonName: undefined, viaGateway: false };
    const { error, info } = this.auth.authInfo(new Map(Object.entries(metadata).map(([k, v]) => [k, [v]])), peer);
    if (error !== undefined) return refusal(error);
    const denied = authorize({ auth: this.auth, leaseIds: () => this.lessor.list().map((l) => l.id) }, method, info, request);
    if (denied !== undefined) return refusal(denied);
    return this.#serve(method, request, info);
  }

  #serve(method: MethodDef, request: unknown, info: AuthInfo | undefined): Answer | undefined {
    switch (method.path) {
      case KV.range.path:
        return this.#range(request as pb.RangeRequest);
      case KV.put.path:
        return this.#raft({ put: request as pb.PutRequest }, info);
      case KV.deleteRange.path:
        return this.#raft({ deleteRange: request as pb.DeleteRangeRequest }, info);
      case KV.txn.path: {
        const txn = request as pb.TxnRequest;
        return isReadOnlyTxn(txn) ? this.#answer(this.applier.readTxn(txn)) : this.#raft({ txn }, info);
      }
      case KV.compact.path:
        return this.#raft({ compaction: request as pb.CompactionRequest }, info);
      case Lease.leaseGrant.path: {
        const grant = request as pb.LeaseGrantRequest;
        return this.#raft({ leaseGrant: { TTL: grant.TTL, ID: grant.ID === 0n ? this.#leaseId++ : grant.ID } }, info);
      }
      case Lease.leaseRevoke.path:
        return this.#raft({ leaseRevoke: request as pb.LeaseRevokeRequest }, info);
      case Lease.leaseTimeToLive.path:
        return this.#timeToLive(request as pb.LeaseTimeToLiveRequest);
      case Lease.leaseLeases.path:
        return this.#withHeader(LeaseLeasesResponse.encode({ leases: this.lessor.list().map((l) => ({ ID: l.id })) }), this.kv.currentRev);
      case Maintenance.alarm.path:
        return this.#raft({ alarm: request as pb.AlarmRequest }, info);
      case Auth.authenticate.path:
        return this.#prepared({ authenticate: request as pb.AuthenticateRequest }, info);
      case Auth.userAdd.path:
        return this.#prepared({ authUserAdd: request as pb.AuthUserAddRequest }, info);
      case Auth.userChangePassword.path:
        return this.#prepared({ authUserChangePassword: request as pb.AuthUserChangePasswordRequest }, info);
      default: {
        const field = authFields[method.path];
        return field === undefined ? undefined : this.#raft({ [field]: request }, info);
      }
    }
  }

  #range(r: pb.RangeRequest): Answer {
    try {
      const result = this.kv.range(rangeQuery(r));
      return this.#withHeader(Buffer.concat(encodeRangeAnswer(rangeAnswer(r, result))), result.rev);
    } catch (error) {
      return refusal(revisionStatus(error));
    }
  }

  #timeToLive(r: pb.LeaseTimeToLiveRequest): Answer {
    const lease = this.lessor.lookup(r.ID);
    const body =
      lease === undefined
        ? { ID: r.ID, TTL: -1 }
        : {
            ID: r.ID,
            TTL: this.lessor.remaining(r.ID) ?? -1,
            grantedTTL: lease.ttl,
            keys: r.keys ? this.backend.leaseKeys(r.ID) : [],
          };
    return this.#withHeader(LeaseTimeToLiveResponse.encode(body), this.kv.currentRev);
  }

  #prepared(request: RaftRequest, info: AuthInfo | undefined): Answer {
    let answer: Answer | undefined;
    this.auth.prepare(request, (error, prepared) => {
      answer = error === undefined ? this.#raft(must(prepared, 'a prepared request'), info) : refusal(error);
    });
    return must(answer, 'the plain hasher answers at once');
  }

  #raft(request: RaftRequest, info: AuthInfo | undefined): Answer {
    return this.#answer(this.apply(request, info));
  }

  #answer(result: ApplyResult): Answer {
    return result.error === undefined ? this.#withHeader(Buffer.concat(result.body), result.rev) : refusal(result.error);
  }

  #withHeader(body: Uint8Array, rev: number): Answer {
    const header = ResponseHeader.encode({ clusterId: 1n, memberId: 2n, revision: rev, raftTerm: 2 });
    const w = new Writer();
    w.varint32(10);
    w.bytes(header);
    return { status: undefined, body: Buffer.concat([w.finish(), body]) };
  }
}

const authFields: Readonly<Record<string, keyof InternalRaftRequest>> = {
  [Auth.authEnable.path]: 'authEnable',
  [Auth.authDisable.path]: 'authDisable',
  [Auth.authStatus.path]: 'authStatus',
  [Auth.userGet.path]: 'authUserGet',
  [Auth.userList.path]: 'authUserList',
  [Auth.userDelete.path]: 'authUserDelete',
  [Auth.userGrantRole.path]: 'authUserGrantRole',
  [Auth.userRevokeRole.path]: 'authUserRevokeRole',
  [Auth.roleAdd.path]: 'authRoleAdd',
  [Auth.roleGet.path]: 'authRoleGet',
  [Auth.roleList.path]: 'authRoleList',
  [Auth.roleDelete.path]: 'authRoleDelete',
  [Auth.roleGrantPermission.path]: 'authRoleGrantPermission',
  [Auth.roleRevokePermission.path]: 'authRoleRevokePermission',
};

function checkShape(method: MethodDef, request: unknown, maxTxnOps: number): Status | undefined {
  switch (method.path) {
    case KV.range.path:
      return checkRange(request as pb.RangeRequest);
    case KV.put.path:
      return checkPut(request as pb.PutRequest);
    case KV.deleteRange.path:
      return checkDeleteRange(request as pb.DeleteRangeRequest);
    case KV.txn.path:
      return checkTxn(request as pb.TxnRequest, maxTxnOps);
    case Maintenance.alarm.path:
      return checkAlarm(request as pb.AlarmRequest);
    default:
      return undefined;
  }
}

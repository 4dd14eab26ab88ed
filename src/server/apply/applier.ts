/**
 * A committed request becomes a state change and an answer.
 *
 * Layers in order, as in etcd: a CORRUPT alarm refuses, a NOSPACE alarm refuses what grows, auth decides by the state at this entry, quota
 * lets the write happen but answers with an error. Whatever is refused here is refused by every member alike, except for quota, which
 * changes the answer only. Runs to the end in one turn; the caller then sets the consistent index, for failed entries as well (D-4, G-A-3).
 */
import {
  AlarmRequest_AlarmAction,
  AlarmResponse,
  AlarmType,
  LeaseGrantResponse,
  type AlarmRequest,
  type DeleteRangeRequest,
  type InternalRaftRequest,
  type LeaseCheckpointRequest,
  type LeaseGrantRequest,
  type LeaseRevokeRequest,
  type PutRequest,
  type RangeRequest,
  type TxnRequest,
} from '../../api/gen/etcdserverpb.ts';
import { Writer } from '../../api/proto-io.ts';
import { errors, type Status } from '../../api/status.ts';
import type { AlarmStore } from '../alarm/alarm-store.ts';
import type { AuthStore } from '../auth/auth-store.ts';
import type { Lessor } from '../lease/lessor.ts';
import type { Cluster } from '../membership/cluster.ts';
import { CompactedError, FutureRevisionError, type HashResult, type MvccStore } from '../mvcc/types.ts';
import type { Backend } from '../storage/backend.ts';
import { isReadOnlyTxn } from '../txn/checks.ts';
import { deleteRange, put, readTxn, writeDeleteOutcome, writeTxn, type TxnOutcome, type TxnScope } from '../txn/execute.ts';
import { encodeRangeAnswer, rangeAnswer, rangeQuery } from '../txn/range.ts';
import { leaseGrantCostBytes, putCost, txnCost, type BackendQuota } from './quota.ts';
import type { ApplyResult, AuthInfo } from './types.ts';

export interface ApplierDeps {
  readonly kv: MvccStore;
  readonly backend: Pick<Backend, 'leaseKeys'>;
  readonly lessor: Lessor;
  readonly alarms: AlarmStore;
  readonly auth: AuthStore;
  readonly cluster: Cluster;
  readonly quota: BackendQuota;
  /** Told of each finished compaction. */
  readonly onCompacted?: ((hash: HashResult | undefined) => void) | undefined;
}

export class Applier implements TxnScope {
  readonly #kv: MvccStore;
  readonly #backend: Pick<Backend, 'leaseKeys'>;
  readonly #lessor: Lessor;
  readonly #alarms: AlarmStore;
  readonly #auth: AuthStore;
  readonly #cluster: Cluster;
  readonly #quota: BackendQuota;
  readonly #onCompacted: ((hash: HashResult | undefined) => void) | undefined;

  constructor(deps: ApplierDeps) {
    this.#kv = deps.kv;
    this.#backend = deps.backend;
    this.#lessor = deps.lessor;
    this.#alarms = deps.alarms;
    this.#auth = deps.auth;
    this.#cluster = deps.cluster;
    this.#quota = deps.quota;
    this.#onCompacted = deps.onCompacted;
  }

  /** One committed request, in log order. Never throws for what a client can cause. */
  apply(request: InternalRaftRequest): ApplyResult {
    const refused = this.#alarmRefusal(request);
    if (refused !== undefined) return failed(refused);
    if (this.#auth.enabled) {
      const denied = this.#auth.check(authInfoOf(request), request);
      if (denied !== undefined) return failed(denied);
    }
    if (request.put !== undefined) return this.#put(request.put);
    if (request.txn !== undefined) return this.#txn(request.txn);
    if (request.deleteRange !== undefined) return this.#deleteRange(request.deleteRange);
    if (request.range !== undefined) return this.#range(request.range);
    if (request.compaction !== undefined) return this.#compaction(request.compaction.revision);
    if (request.leaseGrant !== undefined) return this.#leaseGrant(request.leaseGrant);
    if (request.leaseRevoke !== undefined) return this.#leaseRevoke(request.leaseRevoke);
    if (request.leaseCheckpoint !== undefined) return this.#leaseCheckpoint(request.leaseCheckpoint);
    if (request.alarm !== undefined) return this.#alarm(request.alarm);
    if (request.clusterVersionSet !== undefined) {
      this.#cluster.setVersion(request.clusterVersionSet.ver);
      return this.#done();
    }
    if (request.clusterMemberAttrSet !== undefined) {
      const { memberID, memberAttributes } = request.clusterMemberAttrSet;
      this.#cluster.updateAttributes(memberID, memberAttributes?.name ?? '', memberAttributes?.clientUrls ?? []);
      return this.#done();
    }
    if (request.downgradeInfoSet !== undefined) {
      this.#cluster.setDowngrade(request.downgradeInfoSet.enabled, request.downgradeInfoSet.ver);
      return this.#done();
    }
    // A version test only shows that an entry of this kind can be read.
    if (request.downgradeVersionTest !== undefined) return this.#done();
    if (isAuthRequest(request)) {
      const result = this.#auth.apply(request);
      return result.error === undefined ? atRev(this.#kv.currentRev, result) : result;
    }
    // An entry of a newer schema, or an empty one: no effect, as etcd.
    return this.#done();
  }

  /** A txn that only reads, on this member's state: no raft, no alarms. The caller has checked auth. */
  readTxn(request: TxnRequest): ApplyResult {
    const outcome = this.#guard(() => readTxn(this.#kv, request, this));
    return outcome.error === undefined ? succeeded(this.#kv.currentRev, [outcome.body]) : failed(outcome.error);
  }

  // What a txn is checked against.
  get rev(): number {
    return this.#kv.currentRev;
  }

  get compactRev(): number {
    return this.#kv.compactRev;
  }

  hasLease(id: bigint): boolean {
    return this.#lessor.has(id);
  }

  #alarmRefusal(request: InternalRaftRequest): Status | undefined {
    if (this.#alarms.isRaised(AlarmType.CORRUPT) && isRefusedWhenCorrupt(request)) return errors.corrupt;
    if (this.#alarms.isRaised(AlarmType.NOSPACE)) {
      if (request.put !== undefined || request.leaseGrant !== undefined) return errors.noSpace;
      // The whole request counts, whichever branch would be taken.
      if (request.txn !== undefined && txnCost(request.txn) !== 0) return errors.noSpace;
    }
    return undefined;
  }

  #put(r: PutRequest): ApplyResult {
    if (r.lease !== 0n && !this.#lessor.has(r.lease)) return failed(errors.leaseNotFound);
    const room = this.#quota.available(putCost(r));
    const write = this.#kv.write();
    let rev: number;
    let body = noBody;
    if (r.prevKv || r.ignoreValue || r.ignoreLease) {
      const outcome = put(write, r);
      if (outcome.error !== undefined) {
        write.end();
        return failed(outcome.error);
      }
      rev = outcome.rev;
      if (outcome.prev !== undefined) body = prevKvBody(outcome.prev);
    } else {
      rev = write.put(r.key, r.value, r.lease);
    }
    write.end();
    return room ? succeeded(rev, body) : failed(errors.noSpace);
  }

  #deleteRange(r: DeleteRangeRequest): ApplyResult {
    const write = this.#kv.write();
    const outcome = deleteRange(write, r);
    write.end();
    if (outcome.deleted === 0) return succeeded(outcome.rev, noBody);
    const w = new Writer(64);
    writeDeleteOutcome(outcome, w);
    return succeeded(outcome.rev, [w.buf.subarray(0, w.pos)]);
  }

  #txn(r: TxnRequest): ApplyResult {
    if (isReadOnlyTxn(r)) return this.readTxn(r);
    const room = this.#quota.available(txnCost(r));
    const write = this.#kv.write();
    const outcome = this.#guard(() => writeTxn(write, r, this));
    write.end();
    if (outcome.error !== undefined) return failed(outcome.error);
    return room ? succeeded(this.#kv.currentRev, [outcome.body]) : failed(errors.noSpace);
  }

  /** Reads of a txn are checked before; a compacted revision that slips through is an answer, not a crash. */
  #guard(fn: () => TxnOutcome): TxnOutcome {
    try {
      return fn();
    } catch (error) {
      return { error: revisionStatus(error), body: noBytes };
    }
  }

  #range(r: RangeRequest): ApplyResult {
    try {
      const result = this.#kv.range(rangeQuery(r));
      return succeeded(result.rev, encodeRangeAnswer(rangeAnswer(r, result)));
    } catch (error) {
      return failed(revisionStatus(error));
    }
  }

  #compaction(revision: number): ApplyResult {
    let finished = false;
    const waiting: (() => void)[] = [];
    try {
      this.#kv.compact(revision, (hash) => {
        finished = true;
        this.#onCompacted?.(hash);
        for (const fn of waiting.splice(0)) fn();
      });
    } catch (error) {
      return failed(revisionStatus(error));
    }
    const whenCompacted = (fn: () => void): void => {
      if (finished) fn();
      else waiting.push(fn);
    };
    return { error: undefined, rev: this.#kv.currentRev, body: noBody, whenCompacted };
  }

  #leaseGrant(r: LeaseGrantRequest): ApplyResult {
    const room = this.#quota.available(leaseGrantCostBytes);
    const { error, lease } = this.#lessor.grant(r.ID, r.TTL);
    if (error !== undefined) return failed(error);
    if (!room) return failed(errors.noSpace);
    return succeeded(this.#kv.currentRev, [LeaseGrantResponse.encode({ ID: r.ID, TTL: lease?.ttl ?? 0 })]);
  }

  /** The lease and all keys attached to it vanish in one revision, in key order. Without keys the revision stays (G-L-3). */
  #leaseRevoke(r: LeaseRevokeRequest): ApplyResult {
    if (!this.#lessor.has(r.ID)) return failed(errors.leaseNotFound);
    const keys = this.#backend.leaseKeys(r.ID);
    if (keys.length !== 0) {
      const write = this.#kv.write();
      for (const key of keys) write.deleteRange({ key, end: undefined });
      write.end();
    }
    const error = this.#lessor.revoke(r.ID);
    return error === undefined ? this.#done() : failed(error);
  }

  #leaseCheckpoint(r: LeaseCheckpointRequest): ApplyResult {
    for (const c of r.checkpoints) {
      const error = this.#lessor.checkpoint(c.ID, c.remainingTTL);
      if (error !== undefined) return failed(error);
    }
    return this.#done();
  }

  #alarm(r: AlarmRequest): ApplyResult {
    let alarms: { readonly memberId: bigint; readonly alarm: number }[] = [];
    if (r.action === AlarmRequest_AlarmAction.GET) alarms = this.#alarms.list(r.alarm);
    else if (r.action === AlarmRequest_AlarmAction.ACTIVATE) {
      if (r.alarm !== AlarmType.NONE) alarms = [this.#alarms.activate(r.memberID, r.alarm)];
    } else if (r.action === AlarmRequest_AlarmAction.DEACTIVATE) {
      const gone = this.#alarms.deactivate(r.memberID, r.alarm);
      if (gone !== undefined) alarms = [gone];
    }
    if (alarms.length === 0) return this.#done();
    const members = alarms.map((a) => ({ memberID: a.memberId, alarm: a.alarm }));
    return succeeded(this.#kv.currentRev, [AlarmResponse.encode({ alarms: members })]);
  }

  #done(): ApplyResult {
    return succeeded(this.#kv.currentRev, noBody);
  }
}

const noBytes = new Uint8Array(0);
const noBody: readonly Uint8Array[] = [];

function succeeded(rev: number, body: readonly Uint8Array[]): ApplyResult {
  return { error: undefined, rev, body, whenCompacted: undefined };
}

/** The same answer with a revision. Its body is not looked at: a token is signed only when the answer is sent. */
function atRev(rev: number, result: ApplyResult): ApplyResult {
  return {
    error: undefined,
    rev,
    get body() {
      return result.body;
    },
    whenCompacted: undefined,
  };
}

function failed(error: Status): ApplyResult {
  return { error, rev: 0, body: noBody, whenCompacted: undefined };
}

/** Who an entry is from; an entry without a header (as members propose for themselves) is from nobody. */
export function authInfoOf(request: InternalRaftRequest): AuthInfo | undefined {
  const header = request.header;
  return header === undefined ? undefined : { username: header.username, revision: header.authRevision };
}

/** `prev_kv` 2 of a PutResponse. */
function prevKvBody(row: Uint8Array): readonly Uint8Array[] {
  const w = new Writer(8);
  w.varint32(18);
  w.varint32(row.length);
  return [w.buf.subarray(0, w.pos), row];
}

/** The status of an error that a read of a revision throws; anything else is a bug or a disk error and goes on up. */
export function revisionStatus(error: unknown): Status {
  if (error instanceof CompactedError) return errors.compacted;
  if (error instanceof FutureRevisionError) return errors.futureRev;
  throw error;
}

function isRefusedWhenCorrupt(r: InternalRaftRequest): boolean {
  return (
    r.put !== undefined ||
    r.range !== undefined ||
    r.deleteRange !== undefined ||
    r.txn !== undefined ||
    r.compaction !== undefined ||
    r.leaseGrant !== undefined ||
    r.leaseRevoke !== undefined
  );
}

/** The requests that the auth store applies. */
export function isAuthRequest(r: InternalRaftRequest): boolean {
  return (
    r.authEnable !== undefined ||
    r.authDisable !== undefined ||
    r.authenticate !== undefined ||
    r.authStatus !== undefined ||
    r.authUserAdd !== undefined ||
    r.authUserDelete !== undefined ||
    r.authUserGet !== undefined ||
    r.authUserChangePassword !== undefined ||
    r.authUserGrantRole !== undefined ||
    r.authUserRevokeRole !== undefined ||
    r.authUserList !== undefined ||
    r.authRoleList !== undefined ||
    r.authRoleAdd !== undefined ||
    r.authRoleDelete !== undefined ||
    r.authRoleGet !== undefined ||
    r.authRoleGrantPermission !== undefined ||
    r.authRoleRevokePermission !== undefined
  );
}

/** Maintenance: status, alarms, defragmentation, hashes, snapshot, leader transfer, downgrade. */
import { createHash } from 'node:crypto';
import {
  AlarmRequest_AlarmAction,
  AlarmType,
  type AlarmRequest,
  DowngradeRequest_DowngradeAction,
  type DowngradeRequest,
  type DowngradeResponse,
  type SnapshotRequest,
  type SnapshotResponse,
} from '../../api/gen/etcdserverpb.ts';
import { Maintenance } from '../../api/gen/methods.ts';
import { Code, errors, RpcError, type Status } from '../../api/status.ts';
import { emptyBytes } from '../../base/bytes.ts';
import { formatDuration } from '../../base/duration.ts';
import { humanBytes } from '../../base/human-bytes.ts';
import type { UnaryCall } from '../../wire/call.ts';
import type { AlarmMember } from '../alarm/alarm-store.ts';
import { defaultQuotaBytes } from '../apply/quota.ts';
import { serverVersion } from '../config/usage.ts';
import { loggedDefragment } from '../storage/logged-defragment.ts';
import { passes, type ServiceContext, type StreamRequest, type StreamScope } from './context.ts';

/** Bytes of the file in one Snapshot message. */
const snapshotChunkBytes = 32 * 1024;

export function registerMaintenance(context: ServiceContext): void {
  const { member } = context;
  context.unary(Maintenance.alarm, (call, info) => context.propose(call, info, { alarm: call.request }), {
    check: (call) => passes(call, checkedAlarm(call.request)),
  });
  context.unary(
    Maintenance.status,
    (call) => {
      const { quotaBackendBytes } = member.config;
      const { downgrade } = member.cluster;
      const problems = member.alarms.list(0).map(alarmText);
      if (member.leader === 0n) problems.unshift(errors.noLeader.message);
      call.reply({
        header: context.currentHeader(),
        version: serverVersion,
        dbSize: member.backend.sizeBytes,
        dbSizeInUse: member.backend.sizeInUseBytes,
        dbSizeQuota: quotaBackendBytes === 0 ? defaultQuotaBytes : quotaBackendBytes,
        leader: member.leader,
        raftIndex: member.committedIndex,
        raftTerm: member.raftTerm,
        raftAppliedIndex: member.appliedIndex,
        errors: problems,
        isLearner: member.isLearner,
        storageVersion: member.cluster.version ?? '',
        downgradeInfo: { enabled: downgrade.enabled, targetVersion: downgrade.enabled ? downgrade.targetVersion : '' },
      });
    },
    { learner: () => true },
  );
  context.unary(Maintenance.defragment, (call) => {
    const { log, backend, clock, config } = member;
    const stops = config.featureGates.get('StopGRPCServiceOnDefrag') === true;
    if (stops) context.health.set(false);
    log.info('starting defragment');
    const done = loggedDefragment(backend, { log, clock, path: `${config.dataDir}/member/snap/db` }).finally(() => {
      if (stops) context.health.set(true);
    });
    done.then(
      () => {
        log.info('finished defragment');
        call.reply({ header: undefined });
      },
      (error: unknown) => {
        const message = error instanceof Error ? error.message : String(error);
        log.warn('failed to defragment', { error: message });
        call.fail({ code: Code.Unknown, message });
      },
    );
  });
  context.unary(Maintenance.hash, (call) => {
    member.kv.hash((hash) => call.reply({ header: context.currentHeader(), hash }));
  });
  context.unary(Maintenance.hashKV, (call) => {
    const { revision } = call.request;
    member.kv.hashByRev(revision, (error, result) => {
      if (error !== undefined || result === undefined)
        return call.fail(error?.code === 'future-revision' ? errors.futureRev : errors.compacted);
      call.reply({
        header: context.currentHeader(),
        hash: result.hash,
        compactRevision: result.compactRevision,
        hashRevision: result.hashRevision,
      });
    });
  });
  context.unary(Maintenance.moveLeader, (call) => {
    if (!member.isLeader) return call.fail(errors.notLeader);
    member.moveLeader(call.request.targetID, (error) => {
      if (error === undefined) call.reply({ header: undefined });
      else call.fail(error);
    });
  });
  context.unary(Maintenance.downgrade, (call) => downgrade(context, call));
  context.stream(
    Maintenance.snapshot,
    (scope) => {
      let asked: StreamRequest<SnapshotRequest> | undefined;
      scope.onRequest = (request) => (asked = request);
      scope.call.onHalfClose = () => {
        if (!scope.over && asked?.open() !== undefined) void sendSnapshot(context, scope);
      };
    },
    { learner: true },
  );
}

/** Refused before it can reach the log: a real etcd stops for good when it applies one of these. */
function checkedAlarm({ action, alarm }: AlarmRequest): Status | undefined {
  if (action < 0 || action > AlarmRequest_AlarmAction.DEACTIVATE) return errors.unknownAlarmAction;
  if (action === AlarmRequest_AlarmAction.ACTIVATE && (alarm < 0 || alarm > AlarmType.CORRUPT)) return errors.unknownAlarmType;
  return undefined;
}

/** As etcd's text form of an alarm in Status. */
function alarmText(a: AlarmMember): string {
  const kind = Object.entries(AlarmType).find(([, n]) => n === a.alarm)?.[0] ?? String(a.alarm);
  return a.memberId === 0n ? `alarm:${kind}` : `memberID:${a.memberId} alarm:${kind}`;
}

/**
 * Streams the database file in order, in equal pieces, then the SHA-256 of all of it. `remaining_bytes` counts what of the file is still to
 * come. Reads no faster than the client takes it.
 */
async function sendSnapshot(context: ServiceContext, scope: StreamScope<SnapshotRequest, SnapshotResponse>): Promise<void> {
  const { call } = scope;
  const { log } = context.member;
  const version = context.member.cluster.version ?? '';
  const digest = createHash('sha256');
  // Runs when the client takes more, or when the stream is over.
  let wake: (() => void) | undefined;
  call.onDrain = () => wake?.();
  scope.onOver(() => wake?.());
  try {
    const reader = context.snapshots.open();
    scope.onOver(() => reader.close());
    const total = await reader.totalBytes();
    if (scope.over) return;
    const start = context.member.clock.mono();
    const size = { 'total-bytes': total, size: humanBytes(total), 'storage-version': version };
    log.info('sending database snapshot to client', size);
    let remaining = total;
    const send = async (blob: Uint8Array): Promise<void> => {
      digest.update(blob);
      remaining -= blob.length;
      if (!call.send({ header: undefined, remainingBytes: remaining, blob, version }))
        await new Promise<void>((resolve) => {
          if (scope.over) resolve();
          else wake = resolve;
        });
    };
    let rest: Uint8Array = emptyBytes;
    for (let piece = await reader.next(); piece !== undefined && !scope.over; piece = await reader.next()) {
      const bytes: Uint8Array = rest.length === 0 ? piece : Buffer.concat([rest, piece]);
      let at = 0;
      for (; bytes.length - at >= snapshotChunkBytes && !scope.over; at += snapshotChunkBytes)
        await send(bytes.subarray(at, at + snapshotChunkBytes));
      rest = bytes.subarray(at);
    }
    if (!scope.over && rest.length > 0) await send(rest);
    if (scope.over) return;
    const checksum = digest.digest();
    log.info('sending database sha256 checksum to client', { 'total-bytes': total, 'checksum-size': checksum.length });
    call.send({ header: undefined, remainingBytes: 0, blob: checksum, version });
    scope.end();
    const took = formatDuration(context.member.clock.mono() - start);
    log.info('successfully sent database snapshot to client', { ...size, took });
  } catch (e) {
    if (scope.over) return;
    log.warn('failed to send a snapshot', { error: e instanceof Error ? e.message : String(e) });
    scope.fail(e instanceof RpcError ? e.status : { code: Code.Unknown, message: e instanceof Error ? e.message : String(e) });
  }
}

function downgrade(context: ServiceContext, call: UnaryCall<DowngradeRequest, DowngradeResponse>): void {
  const { member } = context;
  const { action, version } = call.request;
  if (action < 0 || action > DowngradeRequest_DowngradeAction.CANCEL) return call.fail(errors.unknownMethod);
  member.linearizableRead((error) => {
    if (error !== undefined) return call.fail(error);
    const current = member.cluster.version;
    if (current === undefined) return call.fail(errors.clusterVersionUnavailable);
    const shown = current.split('.').slice(0, 2).join('.');
    const reply = (failed: Status | undefined): void => {
      if (failed === undefined) call.reply({ header: context.currentHeader(), version: shown });
      else call.fail(failed);
    };
    const propose = (enabled: boolean, ver: string): void =>
      member.propose({ downgradeInfoSet: { enabled, ver } }, undefined, {
        complete: (failed, result) => reply(failed ?? result?.error),
      });
    const { log } = member;
    if (action === DowngradeRequest_DowngradeAction.CANCEL) {
      if (member.cluster.downgrade.enabled) return propose(false, '');
      // Cancelling without a job is fine, but for this line.
      log.warn('failed to cancel downgrade', { error: errors.noInflightDowngrade.message });
      return reply(undefined);
    }
    const target = parseClusterVersion(version);
    const refused = downgradeRefusal(current, target, member.cluster.downgrade.enabled);
    if (refused !== undefined || target === undefined) {
      const why = refused ?? errors.wrongDowngradeVersionFormat;
      if (action === DowngradeRequest_DowngradeAction.ENABLE) log.warn('reject downgrade request', { error: why.message });
      return call.fail(why);
    }
    if (action === DowngradeRequest_DowngradeAction.VALIDATE) return reply(undefined);
    propose(true, `${target.major}.${target.minor}.0`);
  });
}

function downgradeRefusal(current: string, target: ReturnType<typeof parseClusterVersion>, underWay: boolean): Status | undefined {
  if (target === undefined) return errors.wrongDowngradeVersionFormat;
  const [major = 0, minor = 0] = current.split('.').map(Number);
  if (target.major !== major || target.minor !== minor - 1) return errors.invalidDowngradeTargetVersion;
  return underWay ? errors.downgradeInProcess : undefined;
}

/** A semantic version, patch optional; patch and pre-release do not count. */
function parseClusterVersion(text: string): { major: number; minor: number } | undefined {
  const m = /^(\d+)\.(\d+)(?:\.(\d+)(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?)?$/.exec(text);
  return m === null ? undefined : { major: Number(m[1]), minor: Number(m[2]) };
}

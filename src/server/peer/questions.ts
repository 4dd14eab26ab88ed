/** What members ask each other beside raft, as the asking side. */
import { LeaseKeepAliveRequest, LeaseKeepAliveResponse } from '../../api/gen/etcdserverpb.ts';
import { LeaseInternalRequest, LeaseInternalResponse } from '../../api/gen/leasepb.ts';
import { Code, errors, type Status } from '../../api/status.ts';
import { utf8 } from '../../base/bytes.ts';
import type { MemberId } from '../../raft/types.ts';
import type { LeaseInfo, MemberDone } from '../consensus/facade.ts';
import type { PeerHash, PeerVersion } from '../consensus/peer-transport.ts';
import { type ClusterMember } from '../membership/cluster.ts';
import { idText } from '../membership/ids.ts';
import { decodeMember } from '../membership/member-json.ts';
import type { AskOptions, PeerClient } from './peer-client.ts';

/** Bytes of an answer: etcd's limit of a time-to-live answer, which may list every key of a lease. */
const leaseBytesMax = 100 * 1024 * 1024;
/** Bytes of answers that are a line, or a list of members. */
const smallBytesMax = 4 * 1024 * 1024;
/** Texts in which the leader refuses a promotion. */
const notReady = 'can only promote a learner member which is in sync with leader';
const notLearner = 'can only promote a learner member';

/** @param done  gets what was wrong when there is no version */
export function askVersion(client: PeerClient, timeoutMs: number, done: (version: PeerVersion | undefined, error: string) => void): void {
  client.ask({ method: 'GET', path: '/version', timeoutMs, bytesMax: smallBytesMax }, (error, answer) => {
    const version = answer?.status === 200 ? versionOf(answer.body.toString('utf8')) : undefined;
    done(version, error?.message ?? `unexpected answer with status ${answer?.status ?? 0}`);
  });
}

export function versionOf(text: string): PeerVersion | undefined {
  try {
    const o = JSON.parse(text) as { etcdserver?: unknown; etcdcluster?: unknown };
    return typeof o.etcdserver === 'string' && typeof o.etcdcluster === 'string'
      ? { server: o.etcdserver, cluster: o.etcdcluster }
      : undefined;
  } catch {
    return undefined;
  }
}

export function askHash(
  client: PeerClient,
  options: { readonly rev: number; readonly clusterId: bigint; readonly timeoutMs: number },
  done: (hash: PeerHash | undefined) => void,
): void {
  const ask: AskOptions = {
    method: 'GET',
    path: '/members/hashkv',
    headers: { 'Content-Type': 'application/json', 'X-Etcd-Cluster-ID': idText(options.clusterId) },
    body: JSON.stringify({ revision: options.rev }),
    timeoutMs: options.timeoutMs,
    bytesMax: smallBytesMax,
  };
  client.ask(ask, (_error, answer) => {
    if (answer?.status !== 200) return done(undefined);
    try {
      const o = JSON.parse(answer.body.toString('utf8')) as {
        header?: { revision?: number };
        hash?: number;
        compact_revision?: number;
        hash_revision?: number;
      };
      done({
        hash: o.hash ?? 0,
        compactRevision: o.compact_revision ?? 0,
        hashRevision: o.hash_revision ?? 0,
        revision: o.header?.revision ?? 0,
      });
    } catch {
      done(undefined);
    }
  });
}

export function askRenewal(
  client: PeerClient,
  options: { readonly id: bigint; readonly timeoutMs: number },
  done: (error: Status | undefined, ttl: number) => void,
): void {
  const body = LeaseKeepAliveRequest.encode({ ID: options.id });
  const headers = { 'Content-Type': 'application/protobuf' };
  client.ask(
    { method: 'POST', path: '/leases', headers, body, timeoutMs: options.timeoutMs, bytesMax: smallBytesMax },
    (_error, answer) => {
      const bad = leaseError(answer);
      if (bad !== undefined) return done(bad, 0);
      try {
        const response = LeaseKeepAliveResponse.decode(answer?.body ?? new Uint8Array(0));
        done(response.ID === options.id ? undefined : errors.noLeader, response.TTL);
      } catch {
        done(errors.noLeader, 0);
      }
    },
  );
}

export function askTimeToLive(
  client: PeerClient,
  options: { readonly id: bigint; readonly withKeys: boolean; readonly timeoutMs: number },
  done: (error: Status | undefined, info: LeaseInfo | undefined) => void,
): void {
  const body = LeaseInternalRequest.encode({ LeaseTimeToLiveRequest: { ID: options.id, keys: options.withKeys } });
  const headers = { 'Content-Type': 'application/protobuf' };
  const ask: AskOptions = {
    method: 'POST',
    path: '/leases/internal',
    headers,
    body,
    timeoutMs: options.timeoutMs,
    bytesMax: leaseBytesMax,
  };
  client.ask(ask, (_error, answer) => {
    const bad = leaseError(answer);
    if (bad === errors.leaseNotFound) return done(undefined, { ttl: -1, grantedTtl: 0, keys: [] });
    if (bad !== undefined) return done(bad, undefined);
    try {
      const response = LeaseInternalResponse.decode(answer?.body ?? new Uint8Array(0)).LeaseTimeToLiveResponse;
      if (response === undefined || response.ID !== options.id) return done(errors.noLeader, undefined);
      done(undefined, { ttl: response.TTL, grantedTtl: response.grantedTTL, keys: response.keys });
    } catch {
      done(errors.noLeader, undefined);
    }
  });
}

function leaseError(answer: { readonly status: number } | undefined): Status | undefined {
  switch (answer?.status) {
    case 200:
      return undefined;
    case 404:
      return errors.leaseNotFound;
    case 408:
      return errors.timeoutWaitAppliedIndex;
    default:
      return errors.noLeader;
  }
}

export function askPromotion(client: PeerClient, options: { readonly id: MemberId; readonly timeoutMs: number }, done: MemberDone): void {
  const path = `/members/promote/${BigInt.asUintN(64, options.id)}`;
  client.ask({ method: 'POST', path, timeoutMs: options.timeoutMs, bytesMax: smallBytesMax }, (error, answer) => {
    const text = answer?.body.toString('utf8').trim() ?? '';
    switch (answer?.status) {
      case 200: {
        const members = membersOf(text);
        if (members === undefined) return done(errors.timeout, undefined);
        return done(undefined, { member: members.find((m) => m.id === options.id), members });
      }
      case 404:
        return done(errors.memberNotFound, undefined);
      case 408:
        return done(errors.timeout, undefined);
      case 412:
        if (text.includes(notReady)) return done(errors.learnerNotReady, undefined);
        if (text.includes(notLearner)) return done(errors.memberNotLearner, undefined);
        return done({ code: Code.Unknown, message: `member promote: unknown error(${text})` }, undefined);
      case undefined:
        return done(error?.message.includes('timed out') === true ? errors.timeout : errors.noLeader, undefined);
      default:
        return done({ code: Code.Unknown, message: `member promote: unknown error(${text})` }, undefined);
    }
  });
}

/** The list of `/members`. */
export function membersOf(text: string): ClusterMember[] | undefined {
  try {
    // Ids are numbers of 64 bits: each object is read by the reader that knows of them. No quote inside a JSON string is bare.
    const objects = splitObjects(text);
    return objects.map((o) => decodeMember(utf8(o)));
  } catch {
    return undefined;
  }
}

/** The texts of a JSON array's objects. @throws SyntaxError */
function splitObjects(text: string): string[] {
  JSON.parse(text);
  const out: string[] = [];
  let depth = 0;
  let start = 0;
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    const c = text[i];
    if (quoted) {
      if (c === '\\') i++;
      else if (c === '"') quoted = false;
    } else if (c === '"') quoted = true;
    else if (c === '{') {
      if (depth++ === 0) start = i;
    } else if (c === '}' && --depth === 0) out.push(text.slice(start, i + 1));
  }
  return out;
}

/** The peer port: raft's streams, posts and snapshots, and what members ask each other. */
import { MessageCodec } from '../../api/gen/raftpb.ts';
import { LeaseKeepAliveRequest, LeaseKeepAliveResponse } from '../../api/gen/etcdserverpb.ts';
import { LeaseInternalRequest, LeaseInternalResponse } from '../../api/gen/leasepb.ts';
import { errors, type Status } from '../../api/status.ts';
import { utf8, utf8Text } from '../../base/bytes.ts';
import type { Disk, DiskThread } from '../../base/disk.ts';
import { formatDuration } from '../../base/duration.ts';
import { failpoint } from '../../base/failpoint.ts';
import { humanBytes } from '../../base/human-bytes.ts';
import type { Message } from '../../raft/types.ts';
import type { MemberFacade } from '../consensus/facade.ts';
import { peerHashOf } from '../consensus/peer-transport.ts';
import { idText } from '../membership/ids.ts';
import { goJson, memberJson } from '../membership/member-json.ts';
import { type HttpHandler, type HttpRequest, type HttpResponse, readBody } from '../../wire/http.ts';
import { clusterIdMismatch, parseId, refusal } from './compatibility.ts';
import { messageBytesMax } from './framing.ts';
import type { PeerMetrics } from './peer-metrics.ts';
import { receiveSnapshot } from './snapshot-receiver.ts';
import type { HttpTransport } from './transport.ts';

/** Bytes of a question's body; etcd's limit. */
const questionBytesMax = 65_536;
/** Databases received at once: one leader sends one. */
const receivingMax = 4;

const plainText = 'text/plain; charset=utf-8';
const protobuf = 'application/protobuf';
const json = 'application/json';

export interface PeerRoutesOptions {
  readonly member: MemberFacade;
  readonly serverVersion: string;
  readonly transport: HttpTransport;
  readonly metrics: PeerMetrics;
  readonly disk: Disk;
  /** Where received databases go, and their names. */
  readonly snapDir: string;
  readonly databasePath: (index: number) => string;
}

export interface PeerRoutes {
  readonly handler: HttpHandler;
  close(): void;
}

export function peerRoutes(options: PeerRoutesOptions): PeerRoutes {
  const routes = new Routes(options);
  return { handler: (request, response) => routes.handle(request, response), close: () => routes.close() };
}

class Routes {
  readonly #o: PeerRoutesOptions;
  #thread: DiskThread | undefined;
  #receiving = 0;

  constructor(options: PeerRoutesOptions) {
    this.#o = options;
  }

  close(): void {
    this.#thread?.close();
    this.#thread = undefined;
  }

  handle(request: HttpRequest, response: HttpResponse): void {
    const path = request.path.split('?')[0] ?? '';
    if (path === '/raft') this.#raft(request, response);
    else if (path === '/raft/snapshot') this.#snapshot(request, response);
    else if (path.startsWith('/raft/stream/')) this.#stream(path, request, response);
    else if (path === '/raft/probing') this.#probing(response);
    else if (path === '/version') this.#version(request, response);
    else if (path === '/members') this.#members(request, response);
    else if (path === '/members/hashkv') this.#hashKv(request, response);
    else if (path.startsWith('/members/promote/')) this.#promote(path, request, response);
    else if (path === '/leases') this.#renew(request, response);
    else if (path === '/leases/internal') this.#timeToLive(request, response);
    else if (path === '/downgrade/enabled') this.#downgrade(request, response);
    else text(response, 404, '404 page not found');
  }

  get #clusterHeader(): Record<string, string> {
    return { 'X-Etcd-Cluster-Id': idText(this.#o.transport.own.clusterId) };
  }

  /** Method and compatibility: false when the request was answered. */
  #mayTalk(request: HttpRequest, response: HttpResponse, method: string, extra?: Record<string, string>): boolean {
    if (refuseMethod(request, response, method)) return false;
    const { transport, member } = this.#o;
    const refused = refusal(transport.own, request.headers);
    if (refused === undefined) return true;
    member.log.warn('request received was ignored by local member', {
      'local-member-id': member.memberId,
      'remote-peer-id': request.headers.get('x-server-from') ?? '',
      'remote-peer-server-version': request.headers.get('x-server-version') ?? '',
      'remote-peer-cluster-id': request.headers.get('x-etcd-cluster-id') ?? '',
      error: refused,
    });
    text(response, 412, refused, { ...this.#clusterHeader, ...extra });
    return false;
  }

  /** A sender that is not known is answered from now on, as far as it says where it is. */
  #announce(request: HttpRequest): void {
    const { transport, member } = this.#o;
    const from = parseId(request.headers.get('x-server-from') ?? '');
    const urls = request.headers.get('x-peerurls') ?? '';
    if (from === undefined || urls === '' || transport.knows(from) || member.cluster.isRemoved(from)) return;
    const list = urls.split(',');
    if (list.every((u) => /^(https?|unixs?):\/\/\S+$/.test(u))) transport.addRemote(from, list);
  }

  #raft(request: HttpRequest, response: HttpResponse): void {
    const { metrics, member } = this.#o;
    if (!this.#mayTalk(request, response, 'POST')) return;
    this.#announce(request);
    const headers = this.#clusterHeader;
    readBody(request, messageBytesMax, (body, aborted) => {
      if (aborted) return;
      if (body === undefined) return text(response, 400, 'error reading raft message', headers);
      let message: Message;
      try {
        message = MessageCodec.decode(body);
      } catch (error) {
        member.log.warn('failed to unmarshal Raft message', { 'local-member-id': member.memberId, error: (error as Error).message });
        return text(response, 400, 'error unmarshalling raft message', headers);
      }
      metrics.received(message.from, body.length);
      this.#take(message, response);
    });
  }

  #take(message: Message, response: HttpResponse): void {
    const refused = this.#o.transport.receive(message);
    const headers = this.#clusterHeader;
    if (refused === undefined) {
      response.head(204, headers);
      response.end();
    } else if (refused.startsWith('cannot')) {
      response.head(403, { ...headers, 'content-type': json });
      response.end(goJson({ message: refused }));
    } else text(response, 500, 'error processing raft message', headers);
  }

  #stream(path: string, request: HttpRequest, response: HttpResponse): void {
    const { transport, member, serverVersion } = this.#o;
    const { own } = transport;
    const extra = { 'X-Server-Version': serverVersion };
    if (!this.#mayTalk(request, response, 'GET', extra)) return;
    const headers = { ...this.#clusterHeader, ...extra };
    const m = /^\/raft\/stream\/(message|msgapp)\/([^/]*)$/.exec(path);
    if (m === null) return text(response, 404, 'invalid path', headers);
    const kind = m[1] as 'message' | 'msgapp';
    const from = parseId(m[2] ?? '');
    if (from === undefined) return text(response, 404, 'invalid from', headers);
    if (member.cluster.isRemoved(from)) {
      member.log.warn('rejected stream from remote peer because it was removed', {
        'local-member-id': own.memberId,
        'remote-peer-id-stream-handler': own.memberId,
        'remote-peer-id-from': from,
      });
      return text(response, 410, 'removed member', headers);
    }
    if (!transport.knows(from)) {
      this.#announce(request);
      member.log.warn('failed to find remote peer in cluster', {
        'local-member-id': own.memberId,
        'remote-peer-id-stream-handler': own.memberId,
        'remote-peer-id-from': from,
        'cluster-id': own.clusterId,
      });
      return text(response, 404, 'error sender not found', headers);
    }
    if (request.headers.get('x-raft-to') !== idText(own.memberId)) {
      member.log.warn('ignored streaming request; ID mismatch', {
        'local-member-id': own.memberId,
        'remote-peer-id-header': request.headers.get('x-raft-to') ?? '',
        'remote-peer-id-from': from,
        'cluster-id': own.clusterId,
      });
      return text(response, 412, 'to field mismatch', headers);
    }
    request.onAbort = () => transport.detach(from, kind, response);
    response.head(200, headers);
    transport.attach(from, kind, response);
  }

  #snapshot(request: HttpRequest, response: HttpResponse): void {
    const { member, disk, snapDir, databasePath, metrics, transport } = this.#o;
    if (!this.#mayTalk(request, response, 'POST')) return;
    this.#announce(request);
    const headers = this.#clusterHeader;
    if (this.#receiving >= receivingMax) {
      request.onData = () => {};
      return text(response, 500, 'failed to save KV snapshot (too many snapshots are being received)', headers);
    }
    const from = parseId(request.headers.get('x-server-from') ?? '') ?? 0n;
    const start = member.clock.mono();
    const counted = metrics.snapshot('receive');
    this.#receiving++;
    counted.begins(from);
    this.#thread ??= disk.thread('snapshot');
    const temporary = `tmp-snapshot-${member.random.u64().toString(16)}`;
    const accept = (m: Message): string | undefined => {
      member.log.info('receiving database snapshot', {
        'local-member-id': member.memberId,
        'remote-snapshot-sender-id': from,
        'incoming-snapshot-index': m.snapshot?.metadata?.index,
      });
      return undefined;
    };
    const saved = (syncMs: number): void => metrics.databaseSaved(syncMs / 1000, (member.clock.mono() - start) / 1000);
    const options = { disk, thread: this.#thread, dir: snapDir, temporary, databasePath, accept, saved };
    receiveSnapshot(request, options, (error, message, bytes) => {
      this.#receiving--;
      counted.ends(from, error === undefined, (member.clock.mono() - start) / 1000);
      metrics.received(from, bytes);
      if (error !== undefined) {
        member.log.warn('failed to receive a database snapshot', { 'remote-snapshot-sender-id': from, ...error });
        if (error.kind === 'aborted') return;
        const [status, words] =
          error.kind === 'decode'
            ? [400, `failed to decode raft message (${error.text})`]
            : error.kind === 'type'
              ? [400, 'wrong raft message type']
              : [500, `failed to save KV snapshot (${error.text})`];
        return text(response, status as number, words as string, headers);
      }
      member.log.info('received and saved database snapshot', {
        'local-member-id': member.memberId,
        'remote-snapshot-sender-id': from,
        'incoming-snapshot-index': message?.snapshot?.metadata?.index,
        'incoming-snapshot-size-bytes': bytes,
        'incoming-snapshot-size': humanBytes(bytes),
        'download-took': formatDuration(member.clock.mono() - start),
      });
      member.log.info('saved database snapshot to disk', { bytes, size: humanBytes(bytes) });
      const refused = message === undefined ? undefined : transport.receive(message);
      if (refused === undefined) {
        response.head(204, headers);
        response.end();
      } else if (refused.startsWith('cannot')) {
        response.head(403, { ...headers, 'content-type': json });
        response.end(goJson({ message: refused }));
      } else text(response, 500, `failed to process raft message (${refused})`, headers);
    });
  }

  #probing(response: HttpResponse): void {
    response.head(200, { 'content-type': plainText });
    response.end(`${JSON.stringify({ OK: true, Now: new Date(this.#o.member.clock.wall()).toISOString() })}\n`);
  }

  #version(request: HttpRequest, response: HttpResponse): void {
    if (refuseMethod(request, response, 'GET')) return;
    const { member, serverVersion } = this.#o;
    const storage = member.backend.get('meta', utf8('storageVersion'));
    response.head(200, { 'content-type': json });
    response.end(
      JSON.stringify({
        etcdserver: serverVersion,
        etcdcluster: member.cluster.version ?? 'not_decided',
        storage: storage === undefined ? 'unknown' : utf8Text(storage),
      }),
    );
  }

  #members(request: HttpRequest, response: HttpResponse): void {
    if (refuseMethod(request, response, 'GET')) return;
    response.head(200, { 'content-type': json, ...this.#clusterHeader });
    response.end(`[${this.#o.member.cluster.members().map(memberJson).join(',')}]\n`);
  }

  #hashKv(request: HttpRequest, response: HttpResponse): void {
    if (refuseMethod(request, response, 'GET')) return;
    const { member } = this.#o;
    const headers = this.#clusterHeader;
    const cluster = request.headers.get('x-etcd-cluster-id');
    if (cluster !== undefined && cluster !== '' && cluster !== headers['X-Etcd-Cluster-Id']) {
      return text(response, 412, clusterIdMismatch, headers);
    }
    readBody(request, questionBytesMax, (body, aborted) => {
      if (aborted) return;
      const revision = revisionOf(body);
      if (revision === undefined) return text(response, 400, 'error unmarshalling request', headers);
      member.kv.hashByRev(revision, (error, result) => {
        if (error !== undefined || result === undefined) {
          const what = error?.code === 'future-revision' ? 'is a future revision' : 'has been compacted';
          return text(response, 400, `mvcc: required revision ${what}`, headers);
        }
        const told = peerHashOf(result, member.kv.currentRev);
        response.head(200, { 'content-type': json, ...headers });
        response.end(
          JSON.stringify({
            header: { revision: told.revision },
            hash: told.hash,
            // etcd knows "never compacted" as −1.
            compact_revision: told.compactRevision,
            hash_revision: told.hashRevision,
          }),
        );
      });
    });
  }

  #promote(path: string, request: HttpRequest, response: HttpResponse): void {
    if (refuseMethod(request, response, 'POST')) return;
    const { member } = this.#o;
    const headers = this.#clusterHeader;
    const digits = path.slice('/members/promote/'.length);
    if (!/^\d{1,20}$/.test(digits) || BigInt(digits) >= 1n << 64n) {
      return text(response, 404, `member ${digits} not found in cluster`, headers);
    }
    member.promoteMember(BigInt(digits), (error, result) => {
      if (error === undefined && result !== undefined) {
        response.head(200, { 'content-type': json, ...headers });
        response.end(`[${result.members.map(memberJson).join(',')}]\n`);
        return;
      }
      switch (error) {
        case errors.memberNotFound:
          return text(response, 404, 'membership: ID not found', headers);
        case errors.memberNotLearner:
          return text(response, 412, 'membership: can only promote a learner member', headers);
        case errors.learnerNotReady:
          return text(response, 412, 'etcdserver: can only promote a learner member which is in sync with leader', headers);
        case errors.timeout:
        case errors.timeoutDueToConnectionLost:
        case errors.timeoutDueToLeaderFail:
          return text(response, 408, error.message, headers);
        default:
          response.head(500, { 'content-type': json, ...headers });
          response.end(goJson({ message: 'Internal Server Error' }));
      }
    });
  }

  #renew(request: HttpRequest, response: HttpResponse): void {
    this.#leaseQuestion(request, response, (body) => {
      const { ID } = LeaseKeepAliveRequest.decode(body);
      failpoint('beforeServeHTTPLeaseRenew');
      this.#o.member.renewLease(ID, (error, ttl) => {
        if (leaseFailed(response, error)) return;
        response.head(200, { 'content-type': protobuf });
        response.end(LeaseKeepAliveResponse.encode({ ID, TTL: ttl }));
      });
    });
  }

  #timeToLive(request: HttpRequest, response: HttpResponse): void {
    this.#leaseQuestion(request, response, (body) => {
      const question = LeaseInternalRequest.decode(body).LeaseTimeToLiveRequest;
      if (question === undefined) throw new Error('no request');
      failpoint('beforeLookupWhenForwardLeaseTimeToLive');
      this.#o.member.leaseTimeToLive(question.ID, question.keys, (error, info) => {
        if (leaseFailed(response, error) || info === undefined) return;
        // Gone is an error here, and no answer of −1.
        if (info.ttl === -1) return text(response, 404, 'lease not found');
        response.head(200, { 'content-type': protobuf });
        response.end(
          LeaseInternalResponse.encode({
            LeaseTimeToLiveResponse: {
              header: { clusterId: 0n, memberId: 0n, revision: 0, raftTerm: 0 },
              ID: question.ID,
              TTL: info.ttl,
              grantedTTL: info.grantedTtl,
              keys: [...info.keys],
            },
          }),
        );
      });
    });
  }

  /** Only the leader answers; another member must not ask on, or two that each take the other for it would go in circles. */
  #leaseQuestion(request: HttpRequest, response: HttpResponse, answer: (body: Uint8Array) => void): void {
    if (refuseMethod(request, response, 'POST')) return;
    readBody(request, questionBytesMax, (body, aborted) => {
      if (aborted) return;
      if (body === undefined) return text(response, 413, 'http: request body too large');
      if (!this.#o.member.isLeader) return text(response, 500, 'not a primary lessor');
      try {
        answer(body);
      } catch {
        text(response, 400, 'error unmarshalling request');
      }
    });
  }

  #downgrade(request: HttpRequest, response: HttpResponse): void {
    if (refuseMethod(request, response, 'GET')) return;
    const { member } = this.#o;
    member.linearizableRead((error) => {
      if (error !== undefined) return text(response, 500, `failed linearized read: ${error.message}`, this.#clusterHeader);
      response.head(200, { 'content-type': 'text/plain', ...this.#clusterHeader });
      response.end(String(member.cluster.downgrade.enabled));
    });
  }
}

/** True when an error was answered. */
function leaseFailed(response: HttpResponse, error: Status | undefined): boolean {
  switch (error) {
    case undefined:
      return false;
    case errors.leaseNotFound:
      text(response, 404, 'lease not found');
      return true;
    case errors.timeoutWaitAppliedIndex:
      text(response, 408, 'waiting for node to catch up its applied index has timed out');
      return true;
    default:
      text(response, 500, error.message);
      return true;
  }
}

function revisionOf(body: Uint8Array | undefined): number | undefined {
  if (body === undefined) return undefined;
  try {
    const o = JSON.parse(utf8Text(body)) as unknown;
    if (typeof o !== 'object' || o === null) return undefined;
    const { revision } = o as { revision?: unknown };
    if (revision === undefined) return 0;
    return typeof revision === 'number' && Number.isInteger(revision) ? revision : undefined;
  } catch {
    return undefined;
  }
}

function refuseMethod(request: HttpRequest, response: HttpResponse, allowed: string): boolean {
  if (request.method === allowed) return false;
  text(response, 405, 'Method Not Allowed', { allow: allowed });
  return true;
}

/** As Go's http.Error answers. */
function text(response: HttpResponse, status: number, words: string, headers: Record<string, string> = {}): void {
  response.head(status, { ...headers, 'content-type': plainText, 'x-content-type-options': 'nosniff' });
  response.end(`${words}\n`);
}

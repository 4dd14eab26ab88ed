/** The members of the cluster as seen from this one: who they are, how to reach them, and what came from them. */
import type { LookupFunction } from 'node:net';
import type { Clock, Timer } from '../../base/clock.ts';
import { humanBytes } from '../../base/human-bytes.ts';
import type { Log } from '../../base/log.ts';
import { errors, type Status } from '../../api/status.ts';
import { type MemberId, type Message, MessageType } from '../../raft/types.ts';
import type { LeaseInfo, MemberDone } from '../consensus/facade.ts';
import type { PeerHash, PeerTransport, PeerVersion } from '../consensus/peer-transport.ts';
import type { BackendView } from '../storage/backend.ts';
import { BoltSnapshot } from '../storage/bbolt/bolt-snapshot.ts';
import type { HttpResponse } from '../../wire/http.ts';
import type { OwnIdentity } from './compatibility.ts';
import { PeerClient, type PeerDialTls } from './peer-client.ts';
import type { PeerMetrics } from './peer-metrics.ts';
import { Peer, type PeerOptions, Remote, type Target } from './peer.ts';
import { askHash, askPromotion, askRenewal, askTimeToLive, askVersion } from './questions.ts';
import { peerLookup } from './resolve.ts';
import { sendSnapshot, type SnapshotSend } from './snapshot-sender.ts';
import type { StreamKind } from './stream-writer.ts';

/** Database snapshots under way at once; further ones are refused, and raft asks again. */
const snapshotsMax = 16;
/** Announced strangers that are answered. A cluster adds one member at a time. */
const remotesMax = 16;

/** What the transport tells the member. */
export interface TransportEvents {
  /** A message for this member, of a member that was not removed. */
  step(m: Message): void;
  reportUnreachable(id: MemberId): void;
  reportSnapshot(id: MemberId, ok: boolean): void;
  isRemoved(id: MemberId): boolean;
  /** A peer says that this member was removed from the cluster. */
  removed(): void;
}

export interface HttpTransportOptions {
  readonly own: OwnIdentity;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: PeerMetrics;
  readonly dialMs: number;
  readonly readTimeoutMs: number;
  readonly writeTimeoutMs: number;
  /** What a question may take. */
  readonly requestTimeoutMs: number;
  readonly tls?: PeerDialTls | undefined;
  /** As `PeerClientOptions`. */
  readonly localAddress?: string | undefined;
}

export class HttpTransport implements PeerTransport {
  readonly own: OwnIdentity;
  readonly #o: HttpTransportOptions;
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #lookup: LookupFunction;
  readonly #peers = new Map<MemberId, Peer>();
  readonly #remotes = new Map<MemberId, Remote>();
  readonly #snapshots = new Set<SnapshotSend>();
  readonly #heartbeat: Timer;
  readonly #touched = new Set<Target>();
  #events: TransportEvents | undefined;
  #stopped = false;

  constructor(options: HttpTransportOptions) {
    this.#o = options;
    this.own = options.own;
    this.#log = options.log;
    this.#clock = options.clock;
    this.#lookup = peerLookup(() => options.clock.mono());
    this.#heartbeat = options.clock.every(options.readTimeoutMs / 3, () => {
      for (const p of this.#peers.values()) p.heartbeat();
    });
  }

  /** Before anything else. */
  bind(events: TransportEvents): void {
    this.#events = events;
  }

  send(messages: readonly Message[]): void {
    if (this.#stopped) return;
    for (let i = 0; i < messages.length; i++) {
      const m = messages[i] as Message;
      if (m.to === 0n || isOutdone(messages, i)) continue;
      const target = this.#peers.get(m.to) ?? this.#remotes.get(m.to);
      if (target === undefined) {
        if (this.#log.debugEnabled)
          this.#log.debug('ignored message send request; unknown remote peer target', { type: m.type, 'unknown-target-peer-id': m.to });
        continue;
      }
      if (this.#events?.isRemoved(m.to) === true) continue;
      target.send(m);
      this.#touched.add(target);
    }
    for (const t of this.#touched) t.flush();
    this.#touched.clear();
  }

  sendSnapshot(message: Message, view: BackendView): void {
    const peer = this.#peers.get(message.to);
    const report = (ok: boolean): void => this.#events?.reportSnapshot(message.to, ok);
    if (this.#stopped || peer === undefined || this.#snapshots.size >= snapshotsMax) {
      view.release();
      // Not inside raft's own turn.
      this.#clock.defer(() => report(false));
      return;
    }
    const { metrics, clock } = { metrics: this.#o.metrics.snapshot('send'), clock: this.#clock };
    const start = clock.mono();
    const fields = { 'snapshot-index': message.snapshot?.metadata?.index, 'remote-peer-id': message.to };
    this.#log.info('sending database snapshot', fields);
    metrics.begins(message.to);
    const snapshot = new BoltSnapshot({ view, clock });
    const sending = sendSnapshot({ own: this.own, client: peer.client, clock, message, snapshot }, (error, bytes, answer) => {
      this.#snapshots.delete(sending);
      const ok = answer?.status === 204;
      metrics.ends(message.to, ok, (clock.mono() - start) / 1000);
      if (ok) {
        this.#o.metrics.sent(message.to, bytes);
        peer.status.up();
        this.#log.info('sent database snapshot', { ...fields, bytes, size: humanBytes(bytes) });
      } else {
        const reason = error?.message ?? `${answer?.status ?? 0} ${answer?.text.trim() ?? ''}`;
        if (!this.#stopped) {
          peer.status.down('post', reason);
          this.#log.warn('failed to send database snapshot', { ...fields, bytes, error: reason });
        }
        if (answer?.status === 403 && answer.text.includes('removed member')) this.#removed();
        this.#events?.reportUnreachable(message.to);
      }
      report(ok);
    });
    this.#snapshots.add(sending);
  }

  addPeer(id: MemberId, peerUrls: readonly string[]): void {
    if (this.#stopped || id === this.own.memberId) return;
    if (this.#peers.has(id)) return this.updatePeer(id, peerUrls);
    this.#remotes.get(id)?.stop();
    this.#remotes.delete(id);
    this.#log.info('starting remote peer', { 'remote-peer-id': id });
    const peer = new Peer(this.#peerOptions(id, peerUrls));
    this.#peers.set(id, peer);
    peer.start();
    this.#log.info('started remote peer', { 'remote-peer-id': id });
    this.#log.info('added remote peer', { 'local-member-id': this.own.memberId, 'remote-peer-id': id, 'remote-peer-urls': peerUrls });
  }

  /** One that this member has not learnt of yet, so that it can be answered. */
  addRemote(id: MemberId, peerUrls: readonly string[]): void {
    if (this.#stopped || id === this.own.memberId || this.#peers.has(id) || this.#remotes.has(id)) return;
    if (this.#remotes.size >= remotesMax) {
      const [oldest] = this.#remotes.keys();
      if (oldest !== undefined) {
        this.#remotes.get(oldest)?.stop();
        this.#remotes.delete(oldest);
      }
    }
    this.#remotes.set(id, new Remote(this.#peerOptions(id, peerUrls)));
    this.#log.info('added new remote peer', { 'local-member-id': this.own.memberId, 'remote-peer-id': id, 'remote-peer-urls': peerUrls });
  }

  removePeer(id: MemberId): void {
    const peer = this.#peers.get(id);
    this.#remotes.get(id)?.stop();
    this.#remotes.delete(id);
    if (peer === undefined) return;
    this.#peers.delete(id);
    peer.status.down('reach', 'the member was removed');
    peer.stop();
    this.#log.info('removed remote peer', { 'local-member-id': this.own.memberId, 'removed-remote-peer-id': id });
  }

  updatePeer(id: MemberId, peerUrls: readonly string[]): void {
    const peer = this.#peers.get(id);
    if (peer === undefined || peer.client.urls.join(',') === peerUrls.join(',')) return;
    peer.client.setUrls(peerUrls);
    this.#log.info('updated remote peer', {
      'local-member-id': this.own.memberId,
      'updated-remote-peer-id': id,
      'updated-remote-peer-urls': peerUrls,
    });
  }

  activeSince(id: MemberId): number | undefined {
    return this.#peers.get(id)?.status.since;
  }

  knows(id: MemberId): boolean {
    return this.#peers.has(id);
  }

  /** A stream that a peer has asked for; its head is sent. */
  attach(id: MemberId, kind: StreamKind, response: HttpResponse): void {
    this.#peers.get(id)?.attach(kind, response);
  }

  detach(id: MemberId, kind: StreamKind, response: HttpResponse): void {
    this.#peers.get(id)?.detach(kind, response, 'the peer closed the stream');
  }

  versions(done: (versions: ReadonlyMap<MemberId, PeerVersion | undefined>) => void): void {
    const ask = (peer: Peer, answer: (version: PeerVersion | undefined) => void): void =>
      askVersion(peer.client, this.#o.writeTimeoutMs, (version, error) => {
        if (version === undefined && !this.#stopped) {
          const address = `${peer.client.urls[0] ?? ''}/version`;
          this.#log.warn('failed to reach the peer URL', { address, 'remote-member-id': peer.id, error });
          this.#log.warn('failed to get version', { 'remote-member-id': peer.id, error });
        }
        answer(version);
      });
    this.#eachPeer<PeerVersion>(ask, done);
  }

  hashes(rev: number, done: (hashes: ReadonlyMap<MemberId, PeerHash | undefined>) => void): void {
    const { clusterId } = this.own;
    this.#eachPeer<PeerHash>((peer, answer) => askHash(peer.client, { rev, clusterId, timeoutMs: this.#o.requestTimeoutMs }, answer), done);
  }

  #eachPeer<T>(
    ask: (peer: Peer, answer: (value: T | undefined) => void) => void,
    done: (all: ReadonlyMap<MemberId, T | undefined>) => void,
  ): void {
    const all = new Map<MemberId, T | undefined>();
    let left = this.#peers.size;
    if (left === 0) return done(all);
    for (const [id, peer] of [...this.#peers]) {
      ask(peer, (value) => {
        all.set(id, value);
        if (--left === 0 && !this.#stopped) done(all);
      });
    }
  }

  renewLease(leader: MemberId, id: bigint, done: (error: Status | undefined, ttl: number) => void): void {
    const client = this.#peers.get(leader)?.client;
    if (client === undefined) this.#clock.defer(() => done(errors.noLeader, 0));
    else askRenewal(client, { id, timeoutMs: this.#o.requestTimeoutMs }, done);
  }

  leaseTimeToLive(
    leader: MemberId,
    id: bigint,
    withKeys: boolean,
    done: (error: Status | undefined, info: LeaseInfo | undefined) => void,
  ): void {
    const client = this.#peers.get(leader)?.client;
    if (client === undefined) this.#clock.defer(() => done(errors.noLeader, undefined));
    else askTimeToLive(client, { id, withKeys, timeoutMs: this.#o.requestTimeoutMs }, done);
  }

  promoteMember(leader: MemberId, id: MemberId, done: MemberDone): void {
    const client = this.#peers.get(leader)?.client;
    if (client === undefined) this.#clock.defer(() => done(errors.noLeader, undefined));
    else askPromotion(client, { id, timeoutMs: this.#o.requestTimeoutMs }, done);
  }

  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#heartbeat.cancel();
    for (const s of this.#snapshots) s.cancel();
    for (const p of this.#peers.values()) p.stop();
    for (const r of this.#remotes.values()) r.stop();
  }

  /** A message that came in: undefined when it was taken, else why not. */
  receive(m: Message): string | undefined {
    const events = this.#events;
    if (events === undefined || this.#stopped) return 'raft is not running';
    if (events.isRemoved(m.from)) {
      this.#log.warn('rejected Raft message from removed member', { 'local-member-id': this.own.memberId, 'removed-member-id': m.from });
      return removedSender;
    }
    if (m.to !== this.own.memberId) {
      this.#log.warn('rejected Raft message to mismatch member', { 'local-member-id': this.own.memberId, 'mismatch-member-id': m.to });
      return otherReceiver;
    }
    events.step(m);
    return undefined;
  }

  #removed(): void {
    if (this.#stopped) return;
    this.#events?.removed();
  }

  #peerOptions(id: MemberId, urls: readonly string[]): PeerOptions {
    const { clock, log, metrics, dialMs, readTimeoutMs, writeTimeoutMs, tls, localAddress } = this.#o;
    return {
      id,
      own: this.own,
      client: new PeerClient({ urls, dialMs, lookup: this.#lookup, tls, localAddress }),
      clock,
      log,
      metrics,
      readTimeoutMs,
      writeTimeoutMs,
      receive: (m, from) => {
        if (this.receive(m) !== undefined) metrics.receiveFailed(from);
      },
      unreachable: (peer) => {
        // Found out while raft hands out messages: told in a turn of its own.
        this.#clock.defer(() => this.#events?.reportUnreachable(peer));
      },
      onRemoved: () => this.#removed(),
    };
  }
}

export const removedSender = 'cannot process message from removed member';
export const otherReceiver = 'cannot process message to mismatch member';

/** Of several acknowledgements of one turn only the last counts. A rejection asks for something and is kept. */
function isOutdone(messages: readonly Message[], at: number): boolean {
  const m = messages[at] as Message;
  if (m.type !== MessageType.MsgAppResp || m.reject) return false;
  const next = messages[at + 1];
  return (
    next !== undefined &&
    next.type === MessageType.MsgAppResp &&
    !next.reject &&
    next.to === m.to &&
    next.term === m.term &&
    next.index >= m.index
  );
}

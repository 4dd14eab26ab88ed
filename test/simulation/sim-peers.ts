/** A member's side towards its peers on the simulated network: what the peer room does over HTTP, with its answers and its ways to fail. */
import { MessageCodec } from '../../src/api/gen/raftpb.ts';
import { errors, type Status } from '../../src/api/status.ts';
import { type MemberId, type Message, MessageType } from '../../src/raft/types.ts';
import type { RemoteClusterSource, RemoteClusterView } from '../../src/server/bootstrap/bootstrap.ts';
import type { LeaseInfo, MemberDone } from '../../src/server/consensus/facade.ts';
import { peerHashOf, type PeerHash, type PeerTransport, type PeerVersion } from '../../src/server/consensus/peer-transport.ts';
import type { ClusterMember } from '../../src/server/membership/cluster.ts';
import { receiveSnapshot } from '../../src/server/peer/snapshot-receiver.ts';
import { serverVersion } from '../../src/server/config/usage.ts';
import { MemberRemoved, type RunningServer } from '../../src/server/server.ts';
import type { BackendView } from '../../src/server/storage/backend.ts';
import { BoltSnapshot } from '../../src/server/storage/bbolt/bolt-snapshot.ts';
import { hex16 } from '../../src/server/storage/wal/format.ts';
import type { Timer } from '../../src/base/clock.ts';
import type { DiskThread } from '../../src/base/disk.ts';
import type { HttpRequest } from '../../src/wire/http.ts';
import type { Machine, Process } from './machine.ts';

const snapDir = 'data/member/snap';
/** As the sender of the peer room. */
const snapshotTimeoutMs = 60_000;
/** What a cut takes out of a connection is sent again after this, as by TCP. */
const resendMs = 1000;
const questionTimeoutMs = 7000;
/** Between two dials of a stream that a peer has closed. The peer room's own is shorter, which nothing here depends on. */
const redialMs = 500;

export class SimPeers implements PeerTransport, RemoteClusterSource {
  readonly #process: Process;
  readonly #known = new Map<MemberId, readonly string[]>();
  /** Those to which streams are held open: more is known of the others. */
  readonly #streams = new Set<MemberId>();
  #redial: Timer | undefined;
  #server: RunningServer | undefined;
  #stopped = false;
  #thread: DiskThread | undefined;
  #uploads = 0;

  constructor(process: Process) {
    this.#process = process;
  }

  bind(server: RunningServer): void {
    this.#server = server;
  }

  /** To whom streams are held open. */
  get peers(): ReadonlySet<MemberId> {
    return this.#streams;
  }

  get #cluster(): Machine['cluster'] {
    return this.#process.machine.cluster;
  }

  // Raft.

  send(messages: readonly Message[]): void {
    if (this.#stopped || !this.#process.alive) return;
    for (const m of messages) {
      if (!this.#known.has(m.to)) continue;
      this.#cluster.oracle.sent(this.#process, m);
      this.#post(m);
    }
  }

  #post(m: Message): void {
    const cluster = this.#cluster;
    const from = this.#process.machine;
    const to = cluster.machineOf(m.to);
    if (to === undefined || to.process?.alive !== true) {
      // Refused at once, unless the way there is cut.
      if (to !== undefined && cluster.network.isCut(from.number, to.number)) return;
      this.#later(() => this.#server?.member.loop.reportUnreachable(m.to));
      return;
    }
    const bytes = MessageCodec.encode(m);
    // A stream neither repeats a proposal nor does anybody else.
    const repeatable = m.type !== MessageType.MsgProp;
    const arrive = (): void => void to.process?.peers.receive(MessageCodec.decode(bytes), this.#process);
    cluster.network.send(from.number, to.number, false, repeatable, arrive, true);
  }

  /** A message that came in. @returns why it was not taken. */
  receive(m: Message, from: Process): string | undefined {
    const process = this.#process;
    const server = this.#server;
    if (server === undefined || !process.alive || this.#stopped) return 'raft is not running';
    const { member } = server;
    if (member.cluster.isRemoved(m.from)) {
      // The sender's stream is answered: gone.
      this.#cluster.network.send(process.number, from.number, true, false, () => {
        if (from.alive) from.machine.ended(from, new MemberRemoved('a peer says so'));
      });
      return 'cannot process message from removed member';
    }
    // Every connection names its maker and where that is to be found: one that the own log does not tell of yet is answered all the same.
    this.addRemote(m.from, [from.machine.url]);
    if (m.to !== member.memberId) return 'cannot process message to mismatch member';
    this.#cluster.world.mix(m.type * 7919 + m.index);
    this.#cluster.world.as(process, () => member.step(m));
    return undefined;
  }

  #later(fn: () => void): void {
    this.#process.clock.after(1, fn);
  }

  // The database with a raft snapshot.

  sendSnapshot(message: Message, view: BackendView): void {
    const process = this.#process;
    const cluster = this.#cluster;
    const report = (ok: boolean): void => {
      if (!process.alive || this.#stopped) return;
      const { loop } = (this.#server as RunningServer).member;
      if (!ok) loop.reportUnreachable(message.to);
      loop.reportSnapshot(message.to, ok);
    };
    const target = cluster.machineOf(message.to);
    if (this.#stopped || target === undefined || !this.#known.has(message.to)) {
      view.release();
      this.#later(() => report(false));
      return;
    }
    cluster.counts.snapshotsSent++;
    cluster.oracle.sent(process, message);
    const snapshot = new BoltSnapshot({ view, clock: process.clock });
    let over = false;
    const finish = (ok: boolean): void => {
      if (over) return;
      over = true;
      timer.cancel();
      snapshot.close();
      process.onDeath.delete(abort);
      if (ok) cluster.counts.snapshotsTaken++;
      report(ok);
    };
    const timer = process.clock.after(snapshotTimeoutMs, () => {
      upload?.abort();
      finish(false);
    });
    let upload: Upload | undefined;
    const abort = (): void => upload?.abort();
    process.onDeath.add(abort);
    const body = async (): Promise<void> => {
      await snapshot.totalBytes();
      const encoded = MessageCodec.encode(message);
      const head = Buffer.alloc(8);
      head.writeBigUInt64BE(BigInt(encoded.length));
      const pieces: Uint8Array[] = [Buffer.concat([head, encoded])];
      for (;;) {
        const piece = over ? undefined : await snapshot.next();
        if (piece === undefined) break;
        pieces.push(piece);
      }
      if (over) return;
      upload = new Upload(process, target, pieces, (ok) => {
        if (process.alive) finish(ok);
      });
      upload.step();
    };
    body().catch((error: unknown) => {
      if (process.alive) process.machine.ended(process, error);
    });
  }

  /** The receiving side: the peer room's own code, fed piece by piece. */
  takeSnapshot(from: Process, answer: (ok: boolean) => void): FakeRequest {
    const process = this.#process;
    const { disk } = process.machine;
    this.#thread ??= (this.#cluster.bug?.disk?.(disk, process.machine) ?? disk).thread('snapshot');
    const request = new FakeRequest();
    receiveSnapshot(
      request,
      {
        disk,
        thread: this.#thread,
        dir: snapDir,
        temporary: `tmp-snapshot-${++this.#uploads}`,
        databasePath: (index) => `${snapDir}/${hex16(index)}.snap.db`,
        accept: () => undefined,
      },
      (error, message) => {
        if (!process.alive) return;
        if (error !== undefined || message === undefined) answer(false);
        else answer(this.receive(message, from) === undefined);
      },
    );
    return request;
  }

  // Who is there.

  addPeer(id: MemberId, peerUrls: readonly string[]): void {
    this.#known.set(id, peerUrls);
    this.#streams.add(id);
    this.#redial ??= this.#process.clock.every(redialMs, () => this.#dialStreams());
  }

  /**
   * A member that has removed this one closes its streams, and answers each that is dialled then: gone. That is how a member learns of it that was not
   * there when it happened, and sends nothing of its own accord. Other answers change nothing: messages find their way without streams here.
   */
  #dialStreams(): void {
    const process = this.#process;
    const { machine } = process;
    const { network, world } = this.#cluster;
    const own = this.#server?.member.memberId;
    if (this.#stopped || own === undefined) return;
    for (const id of this.#streams) {
      const there = this.#cluster.machineOf(id)?.process;
      if (there?.alive !== true || there.server === undefined || there.busyUntil > world.now) continue;
      if (network.isCut(machine.number, there.number) || network.isCut(there.number, machine.number)) continue;
      if (there.server.member.cluster.isRemoved(own)) return machine.ended(process, new MemberRemoved('a peer closes its stream'));
    }
  }

  addRemote(id: MemberId, peerUrls: readonly string[]): void {
    if (!this.#known.has(id)) this.#known.set(id, peerUrls);
  }
  removePeer(id: MemberId): void {
    this.#known.delete(id);
    this.#streams.delete(id);
  }
  updatePeer(id: MemberId, peerUrls: readonly string[]): void {
    if (this.#known.has(id)) this.#known.set(id, peerUrls);
  }

  activeSince(id: MemberId): number | undefined {
    const { machine } = this.#process;
    const to = this.#cluster.machineOf(id);
    if (to?.process?.server === undefined) return undefined;
    const since = this.#cluster.network.upSince(machine.number, to.number);
    if (since === undefined) return undefined;
    return 1000 + Math.max(since, to.process.startedAt, this.#process.startedAt) * machine.traits.rate;
  }

  // Questions.

  /** Has `handle` run over there; `done` gets its answer, or undefined when there is none in time. */
  #ask<T>(
    to: Machine | undefined,
    timeoutMs: number,
    handle: (server: RunningServer, answer: (value: T) => void) => void,
    done: (value: T | undefined) => void,
  ): void {
    const process = this.#process;
    const { network, world } = this.#cluster;
    let over = false;
    const finish = (value: T | undefined): void => {
      if (over) return;
      over = true;
      timer.cancel();
      if (process.alive) world.at(world.now, process, () => done(value));
    };
    const timer = process.clock.after(timeoutMs, () => finish(undefined));
    if (to === undefined || to.process?.alive !== true) {
      process.clock.after(1, () => finish(undefined));
      return;
    }
    const here = process.machine.number;
    network.send(here, to.number, true, false, () => {
      const there = to.process;
      if (there?.server === undefined || !there.alive) {
        network.send(to.number, here, true, false, () => finish(undefined));
        return;
      }
      const { server } = there;
      world.at(world.now, there, () =>
        handle(server, (value) => {
          if (there.alive) network.send(to.number, here, true, false, () => finish(value));
        }),
      );
    });
  }

  #eachPeer<T>(
    handle: (server: RunningServer, answer: (value: T | undefined) => void) => void,
    done: (all: ReadonlyMap<MemberId, T | undefined>) => void,
  ): void {
    const all = new Map<MemberId, T | undefined>();
    const ids = [...this.#known.keys()];
    let left = ids.length;
    if (left === 0) return done(all);
    for (const id of ids) {
      this.#ask<T | undefined>(this.#cluster.machineOf(id), questionTimeoutMs, handle, (value) => {
        all.set(id, value);
        if (--left === 0 && !this.#stopped) done(all);
      });
    }
  }

  versions(done: (versions: ReadonlyMap<MemberId, PeerVersion | undefined>) => void): void {
    this.#eachPeer<PeerVersion>((s, answer) => answer({ server: serverVersion, cluster: s.member.cluster.version ?? 'not_decided' }), done);
  }

  hashes(rev: number, done: (hashes: ReadonlyMap<MemberId, PeerHash | undefined>) => void): void {
    this.#eachPeer<PeerHash>((s, answer) => {
      s.member.kv.hashByRev(Math.max(rev, 0), (error, result) =>
        answer(error !== undefined || result === undefined ? undefined : peerHashOf(result, s.member.kv.currentRev)),
      );
    }, done);
  }

  renewLease(leader: MemberId, id: bigint, done: (error: Status | undefined, ttl: number) => void): void {
    this.#ask<{ error: Status | undefined; ttl: number }>(
      this.#cluster.machineOf(leader),
      questionTimeoutMs,
      (s, answer) => {
        if (!s.member.isLeader) answer({ error: errors.noLeader, ttl: 0 });
        else s.member.renewLease(id, (error, ttl) => answer({ error, ttl }));
      },
      (value) => done(value === undefined ? errors.noLeader : value.error, value?.ttl ?? 0),
    );
  }

  leaseTimeToLive(
    leader: MemberId,
    id: bigint,
    withKeys: boolean,
    done: (error: Status | undefined, info: LeaseInfo | undefined) => void,
  ): void {
    this.#ask<{ error: Status | undefined; info: LeaseInfo | undefined }>(
      this.#cluster.machineOf(leader),
      questionTimeoutMs,
      (s, answer) => {
        if (!s.member.isLeader) answer({ error: errors.noLeader, info: undefined });
        else s.member.leaseTimeToLive(id, withKeys, (error, info) => answer({ error, info }));
      },
      (value) => done(value === undefined ? errors.noLeader : value.error, value?.info),
    );
  }

  promoteMember(leader: MemberId, id: MemberId, done: MemberDone): void {
    this.#ask<Parameters<MemberDone>>(
      this.#cluster.machineOf(leader),
      questionTimeoutMs,
      (s, answer) => s.member.promoteMember(id, (...result) => answer(result)),
      (value) => {
        if (value === undefined) done(errors.noLeader, undefined);
        else done(...value);
      },
    );
  }

  // Of a cluster to be joined.

  async #first<T>(urls: readonly string[], timeoutMs: number, handle: (s: RunningServer) => T | undefined): Promise<T | undefined> {
    for (const url of urls) {
      const to = this.#cluster.machines.find((m) => m.url === url && !m.retired);
      const value = await new Promise<T | undefined>((resolve) =>
        this.#ask<T | undefined>(to, timeoutMs, (s, answer) => answer(handle(s)), resolve),
      );
      if (value !== undefined) return value;
    }
    return undefined;
  }

  members(urls: readonly string[], timeoutMs: number): Promise<RemoteClusterView | undefined> {
    return this.#first(urls, timeoutMs, ({ member }) => {
      const members: readonly ClusterMember[] = member.cluster.members();
      return members.length === 0 ? undefined : { clusterId: member.clusterId, members: members.map((m) => ({ ...m })) };
    });
  }

  version(urls: readonly string[], timeoutMs: number): Promise<{ readonly server: string; readonly cluster: string } | undefined> {
    return this.#first(urls, timeoutMs, ({ member }) => ({ server: serverVersion, cluster: member.cluster.version ?? 'not_decided' }));
  }

  async downgradeEnabled(): Promise<boolean> {
    return Promise.resolve(false);
  }

  stop(): void {
    this.#stopped = true;
    this.#redial?.cancel();
  }
}

/** A body on its way, one piece an arrival. */
class Upload {
  readonly #from: Process;
  readonly #to: Machine;
  readonly #pieces: readonly Uint8Array[];
  readonly #done: (ok: boolean) => void;
  #receiver: Process | undefined;
  #request: FakeRequest | undefined;
  /** Pieces that have arrived. */
  #at = 0;
  #resend: Timer | undefined;
  #over = false;
  readonly #broken = (): void => this.abort();

  constructor(from: Process, to: Machine, pieces: readonly Uint8Array[], done: (ok: boolean) => void) {
    this.#from = from;
    this.#to = to;
    this.#pieces = pieces;
    this.#done = done;
  }

  step(): void {
    const { network, world } = this.#from.machine.cluster;
    const [here, there] = [this.#from.number, this.#to.number];
    const receiver = this.#to.process;
    if (
      this.#over ||
      network.isCut(here, there) ||
      receiver?.server === undefined ||
      (this.#receiver !== undefined && receiver !== this.#receiver)
    ) {
      this.abort();
      return;
    }
    const at = this.#at;
    network.send(here, there, true, false, () => {
      if (this.#over || at !== this.#at) return;
      if (!this.#from.alive || this.#to.process !== receiver) return this.abort();
      this.#at++;
      this.#resend?.cancel();
      this.#receiver = receiver;
      receiver.onDeath.add(this.#broken);
      world.at(world.now, receiver, () => {
        this.#request ??= receiver.peers.takeSnapshot(this.#from, (ok) => this.#answer(receiver, ok));
        const piece = this.#pieces[at];
        if (piece === undefined) this.#request.onEnd?.();
        else {
          this.#request.onData?.(piece);
          world.at(world.now, this.#from, () => this.step());
        }
      });
    });
    this.#resend = world.at(world.now + resendMs, this.#from, () => this.step());
  }

  #answer(receiver: Process, ok: boolean): void {
    const { network, world } = receiver.machine.cluster;
    if (this.#over) return;
    network.send(receiver.number, this.#from.number, true, false, () => this.#finish(ok));
    this.#resend = world.at(world.now + resendMs, this.#from, () => this.#answer(receiver, ok));
  }

  abort(): void {
    if (this.#over) return;
    const request = this.#request;
    const receiver = this.#receiver;
    this.#finish(false);
    if (receiver?.alive === true) receiver.machine.cluster.world.at(0, receiver, () => request?.onAbort?.());
  }

  #finish(ok: boolean): void {
    if (this.#over) return;
    this.#over = true;
    this.#resend?.cancel();
    this.#receiver?.onDeath.delete(this.#broken);
    const { world } = this.#from.machine.cluster;
    world.at(world.now, this.#from, () => this.#done(ok));
  }
}

class FakeRequest implements HttpRequest {
  readonly method = 'POST';
  readonly path = '/raft/snapshot';
  readonly headers = new Map<string, string>();
  readonly host = 'sim';
  readonly protocol = '1.1';
  readonly secure = false;
  readonly peer = { address: 'sim', commonName: undefined, viaGateway: false };
  onData: ((chunk: Uint8Array) => void) | undefined;
  onEnd: (() => void) | undefined;
  onAbort: (() => void) | undefined;
  pause(): void {}
  resume(): void {}
}

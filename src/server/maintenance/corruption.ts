/**
 * Do the members hold the same? Asked before serving (gate InitialCorruptCheck), now and then (`--corrupt-check-time`) and after compactions
 * (gate CompactHashCheck), by hashes of revisions (F-10). A member alone has nobody to differ from.
 *
 * Where no key is visible, the hash tells which compactions a member has applied, and no more (`bareRevision`): it is compared with none. That
 * nothing is visible is the same on all members.
 */
import { AlarmRequest_AlarmAction, AlarmType } from '../../api/gen/etcdserverpb.ts';
import type { Clock, Timer } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import type { MemberId } from '../../raft/types.ts';
import type { MemberFacade } from '../consensus/facade.ts';
import { bareRevision, peerHashOf, type PeerHash, type PeerTransport } from '../consensus/peer-transport.ts';
import { onComplete } from '../consensus/proposals.ts';
import type { HashResult } from '../mvcc/types.ts';
import { idText } from '../membership/ids.ts';

/** This member's content is not that of its peers: it must not serve. */
export class CorruptionFound extends Error {
  readonly code = 'corruption';
}

type PeerHashes = ReadonlyMap<MemberId, PeerHash | undefined>;

/** What the hash of a peer is told apart by: its value, or that nothing is visible. Undefined where it cannot be compared with one's own. */
function comparable(own: HashResult, peer: PeerHash): number | undefined {
  if (peer.compactRevision === bareRevision) return own.bare ? undefined : bareRevision;
  return peerHashOf(own, 0).compactRevision === peer.compactRevision ? peer.hash : undefined;
}

function differs(own: HashResult, peer: PeerHash): boolean {
  const theirs = comparable(own, peer);
  return theirs !== undefined && theirs !== own.hash;
}

export class CorruptionMonitor {
  readonly #member: MemberFacade;
  readonly #transport: Pick<PeerTransport, 'hashes'>;
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #timers: Timer[] = [];
  /** Compactions up to this revision have been found equal everywhere. */
  #checkedRev = 0;
  #busy = false;

  constructor(member: MemberFacade, transport: Pick<PeerTransport, 'hashes'>) {
    this.#member = member;
    this.#transport = transport;
    this.#log = member.log;
    this.#clock = member.clock;
  }

  start(): void {
    const { config } = this.#member;
    if (config.corruptCheckTimeMs > 0)
      this.#timers.push(this.#clock.every(config.corruptCheckTimeMs, () => void this.#run(() => this.checkNow())));
    if (config.compactHashCheckEnabled) {
      this.#timers.push(this.#clock.every(config.compactHashCheckTimeMs, () => void this.#run(() => this.checkCompactions())));
    }
  }

  stop(): void {
    for (const t of this.#timers) t.cancel();
  }

  /** Before serving. @throws CorruptionFound */
  async checkAtStart(): Promise<void> {
    const { memberId } = this.#member;
    this.#log.info('starting initial corruption check', { 'local-member-id': memberId });
    const own = await this.#ownHash();
    let mismatches = 0;
    for (const [id, peer] of own === undefined ? [] : await this.#peerHashes(own.hashRevision)) {
      if (peer === undefined) {
        this.#log.warn('cannot fetch hash from remote peer', { 'local-member-id': memberId, 'remote-peer-id': id });
      } else if (own !== undefined && peer.hash !== own.hash) {
        const fields = {
          'local-member-id': memberId,
          'local-member-revision': own.hashRevision,
          'local-member-compact-revision': own.compactRevision,
          'local-member-hash': own.hash,
          'remote-peer-id': id,
          'remote-peer-revision': peer.revision,
          'remote-peer-compact-revision': peer.compactRevision,
          'remote-peer-hash': peer.hash,
        };
        if (differs(own, peer)) {
          mismatches++;
          this.#log.warn('found different hash values from remote peer', fields);
        } else {
          this.#log.warn('found different compact revision values from remote peer', fields);
        }
      }
    }
    if (mismatches > 0) throw new CorruptionFound(`${idText(memberId)} found data inconsistency with peers`);
    this.#log.info('initial corruption checking passed; no corruption', { 'local-member-id': memberId });
  }

  /** The leader compares current revisions. */
  async checkNow(): Promise<void> {
    const { memberId } = this.#member;
    const first = await this.#ownHash();
    if (first === undefined) return;
    const peers = await this.#peerHashes(first.hashRevision);
    const failed = await new Promise((resolve) => this.#member.linearizableRead(resolve));
    const second = failed === undefined ? await this.#ownHash() : undefined;
    if (second === undefined || !this.#member.isLeader) return;
    let alarmed = false;
    const mismatch = (id: MemberId): void => {
      if (alarmed) return;
      alarmed = true;
      this.#alarm(id);
    };
    if (second.hash !== first.hash && second.hashRevision === first.hashRevision && second.compactRevision === first.compactRevision) {
      this.#log.warn('found hash mismatch', { 'revision-1': first.hashRevision, 'hash-1': first.hash, 'hash-2': second.hash });
      mismatch(memberId);
    }
    for (const [id, peer] of peers) {
      if (peer === undefined) continue;
      const fields = { 'leader-revision': second.hashRevision, 'follower-revision': peer.revision, 'follower-peer-id': id };
      if (peer.revision > second.hashRevision) {
        this.#log.warn('revision from follower must be less than or equal to leader', fields);
        mismatch(id);
      }
      if (peer.compactRevision > second.compactRevision) {
        this.#log.warn('compact revision from follower must be less than or equal to leader', fields);
        mismatch(id);
      }
      if (differs(first, peer)) {
        this.#log.warn('same compact revision then hashes must match', {
          ...fields,
          'leader-hash': first.hash,
          'follower-hash': peer.hash,
        });
        mismatch(id);
      }
    }
    this.#log.info('finished peer corruption check', { 'number-of-peers-checked': peers.size });
  }

  /** The leader compares what compactions hashed, newest first: equal there means equal before. */
  async checkCompactions(): Promise<void> {
    const hashes = [...this.#member.kv.compactionHashes()]
      .filter((h) => h.hashRevision > this.#checkedRev && peerHashOf(h, 0).compactRevision !== bareRevision)
      .sort((a, b) => b.hashRevision - a.hashRevision);
    let checked = 0;
    for (const hash of hashes) {
      const peers = await this.#peerHashes(hash.hashRevision);
      if (!this.#member.isLeader) return;
      checked++;
      if (peers.size > 0 && this.#compare(hash, peers)) break;
    }
    this.#log.info('finished compaction hash check', { 'number-of-hashes-checked': checked });
  }

  /** False when this revision told nothing and an older one should be looked at. */
  #compare(own: HashResult, peers: PeerHashes): boolean {
    const { memberId } = this.#member;
    const byHash = new Map<number, MemberId[]>([[own.hash, [memberId]]]);
    let answered = 0;
    for (const [id, peer] of peers) {
      const value = peer === undefined ? undefined : comparable(own, peer);
      if (value === undefined) {
        this.#log.warn("Skipped peer's hash", {
          'leader-id': memberId,
          'peer-id': id,
          reason: peer === undefined ? 'no response' : 'the peer compacted elsewhere',
        });
        continue;
      }
      answered++;
      const same = byHash.get(value);
      if (same === undefined) byHash.set(value, [id]);
      else same.push(id);
    }
    if (byHash.size === 1) {
      if (answered < peers.size) {
        this.#log.warn('skipped revision in compaction hash check; was not able to check all peers', {
          'number-of-peers-checked': answered,
          'number-of-peers': peers.size,
          revision: own.hashRevision,
        });
        return false;
      }
      this.#checkedRev = own.hashRevision;
      this.#log.info('successfully checked hash on whole cluster', { 'number-of-peers-checked': answered, revision: own.hashRevision });
      return true;
    }
    const quorum = Math.floor((peers.size + 1) / 2) + 1;
    const majority = [...byHash].find(([, ids]) => ids.length >= quorum)?.[0];
    if (majority === undefined) {
      this.#log.error(
        'Detected compaction hash mismatch but cannot identify the corrupted members, so intentionally set the memberID as 0',
        {
          'leader-id': memberId,
          revision: own.hashRevision,
        },
      );
      this.#alarm(0n);
    }
    for (const [hash, ids] of byHash) {
      if (majority === undefined || hash === majority) continue;
      for (const id of ids) {
        this.#log.error('Detected compaction hash mismatch', { 'leader-id': memberId, 'member-id': id, hash, revision: own.hashRevision });
        this.#alarm(id);
      }
    }
    return true;
  }

  #alarm(memberID: MemberId): void {
    this.#member.propose(
      { alarm: { memberID, action: AlarmRequest_AlarmAction.ACTIVATE, alarm: AlarmType.CORRUPT } },
      undefined,
      onComplete(() => {}),
    );
  }

  #ownHash(): Promise<HashResult | undefined> {
    return new Promise((resolve) => {
      this.#member.kv.hashByRev(0, (error, result) => {
        if (error !== undefined) this.#log.warn('cannot fetch hash', { error });
        resolve(result);
      });
    });
  }

  #peerHashes(rev: number): Promise<PeerHashes> {
    return new Promise((resolve) => this.#transport.hashes(rev, resolve));
  }

  /** One check at a time, and by the leader alone. */
  async #run(check: () => Promise<void>): Promise<void> {
    if (this.#busy || !this.#member.isLeader) return;
    this.#busy = true;
    try {
      await check();
    } finally {
      this.#busy = false;
    }
  }
}

/** Changes of the configuration: what is checked before they are proposed, how they are proposed, and what they do when applied. */
import { ConfChangeCodec } from '../../api/gen/raftpb.ts';
import { errors, type Status } from '../../api/status.ts';
import type { Clock } from '../../base/clock.ts';
import { formatDuration } from '../../base/duration.ts';
import { invariant } from '../../base/invariant.ts';
import { failpoint } from '../../base/failpoint.ts';
import type { Log } from '../../base/log.ts';
import type { RaftMachine } from '../../raft/machine.ts';
import { StateType } from '../../raft/machine.ts';
import { ConfChangeType, type ConfChange, type Entry, type MemberId, noMember } from '../../raft/types.ts';
import type { ServerConfig } from '../config/config.ts';
import type { Cluster, ClusterMember } from '../membership/cluster.ts';
import { memberId as makeMemberId, idText } from '../membership/ids.ts';
import { decodeMemberContext, encodeMemberContext } from '../membership/member-json.ts';
import { checkAddVoter, checkPromoteMember, checkRemoveMember } from '../membership/reconfig-rules.ts';
import type { Backend } from '../storage/backend.ts';
import type { MemberDone } from './facade.ts';
import type { Leadership } from './leadership.ts';
import type { PeerTransport } from './peer-transport.ts';
import { onComplete, type Proposals } from './proposals.ts';
import type { RequestIds } from './request-id.ts';

/** How long members must have been connected for a change to count on them. */
const healthIntervalMs = 5000;
/** A learner this close to the leader's log may become a voter. */
const readyFraction = 0.9;
/** Time between looks at a leadership transfer, and between attempts to reach a leader. */
const retryMs = 50;

const changeNames: ReadonlyMap<number, string> = new Map(Object.entries(ConfChangeType).map(([name, type]) => [type, name]));

export interface MemberChangesOptions {
  readonly config: ServerConfig;
  readonly memberId: MemberId;
  readonly raft: RaftMachine;
  readonly cluster: Cluster;
  readonly transport: PeerTransport;
  readonly proposals: Proposals;
  readonly ids: RequestIds;
  readonly leadership: Leadership;
  readonly clock: Clock;
  readonly log: Log;
  readonly timeoutMs: number;
  readonly backend: () => Backend;
  readonly wake: () => void;
  /** This member is no longer part of the cluster. */
  readonly onRemoved: () => void;
}

export class MemberChanges {
  readonly #o: MemberChangesOptions;
  promoted = 0;
  readonly promoteFailures = new Map<string, number>();

  constructor(options: MemberChangesOptions) {
    this.#o = options;
  }

  add(peerUrls: readonly string[], isLearner: boolean, done: MemberDone): void {
    const { config, clock } = this.#o;
    const member: ClusterMember = {
      id: makeMemberId({ peerUrls, clusterToken: '', addedAtSeconds: Math.floor(clock.wall() / 1000) }),
      peerUrls: [...peerUrls].sort(),
      isLearner,
      name: '',
      clientUrls: [],
    };
    if (config.strictReconfigCheck) {
      const refused = this.#mayAdd(member);
      if (refused !== undefined) {
        done(refused, undefined);
        return;
      }
    }
    this.#propose(
      {
        id: 0n,
        type: isLearner ? ConfChangeType.ConfChangeAddLearnerNode : ConfChangeType.ConfChangeAddNode,
        nodeId: member.id,
        context: encodeMemberContext({ member, isPromote: false }),
      },
      member.id,
      done,
    );
  }

  remove(id: MemberId, done: MemberDone): void {
    if (this.#o.config.strictReconfigCheck) {
      const refused = this.#mayRemove(id);
      if (refused !== undefined) {
        done(refused, undefined);
        return;
      }
    }
    this.#propose({ id: 0n, type: ConfChangeType.ConfChangeRemoveNode, nodeId: id, context: new Uint8Array(0) }, id, done);
  }

  update(id: MemberId, peerUrls: readonly string[], done: MemberDone): void {
    const member: ClusterMember = { id, peerUrls: [...peerUrls].sort(), isLearner: false, name: '', clientUrls: [] };
    this.#propose(
      { id: 0n, type: ConfChangeType.ConfChangeUpdateNode, nodeId: id, context: encodeMemberContext({ member, isPromote: false }) },
      id,
      done,
    );
  }

  /** Only the leader knows how far a learner is: elsewhere the leader is asked. */
  promote(id: MemberId, done: MemberDone): void {
    const { leadership, transport, timeoutMs } = this.#o;
    const counted: MemberDone = (error, result) => {
      if (error === undefined) this.promoted++;
      else this.promoteFailures.set(error.message, (this.promoteFailures.get(error.message) ?? 0) + 1);
      done(error, result);
    };
    if (leadership.isLeader) {
      this.#promoteHere(id, counted);
      return;
    }
    leadership.wait(timeoutMs, (lead) => {
      if (lead === noMember) counted(errors.timeout, undefined);
      else if (lead === this.#o.memberId) this.#promoteHere(id, counted);
      else transport.promoteMember(lead, id, counted);
    });
  }

  #promoteHere(id: MemberId, done: MemberDone): void {
    const refused = this.#mayPromote(id);
    if (refused !== undefined) {
      done(refused, undefined);
      return;
    }
    const member: ClusterMember = { id, peerUrls: [], isLearner: false, name: '', clientUrls: [] };
    this.#propose(
      { id: 0n, type: ConfChangeType.ConfChangeAddNode, nodeId: id, context: encodeMemberContext({ member, isPromote: true }) },
      id,
      done,
    );
  }

  moveLeader(to: MemberId, done: (error: Status | undefined) => void): void {
    const { cluster, raft, log, leadership, clock, timeoutMs, memberId } = this.#o;
    const target = cluster.member(to);
    if (target === undefined || target.isLearner) {
      done(errors.badLeaderTransferee);
      return;
    }
    log.info('leadership transfer starting', {
      'local-member-id': memberId,
      'current-leader-member-id': leadership.lead,
      'transferee-member-id': to,
    });
    raft.transferLeader(to);
    this.#o.wake();
    const old = leadership.lead;
    const start = clock.mono();
    const end = start + timeoutMs;
    const look = (): void => {
      if (leadership.lead === to) {
        log.info('leadership transfer finished', {
          'local-member-id': memberId,
          'old-leader-member-id': old,
          'new-leader-member-id': to,
          took: formatDuration(clock.mono() - start),
        });
        done(undefined);
      } else if (clock.mono() >= end) {
        log.warn('leadership transfer failed', { 'local-member-id': memberId, error: errors.timeoutLeaderTransfer.message });
        done(errors.timeoutLeaderTransfer);
      } else {
        clock.after(retryMs, look);
      }
    };
    look();
  }

  /** A committed configuration change takes effect. @returns what tells its proposer, to be run once the consistent index has moved. */
  apply(entry: Entry): () => void {
    const { cluster, raft, backend, config, log, transport, memberId } = this.#o;
    const change = ConfChangeCodec.decode(entry.Data);
    const refused = cluster.validate(change, config.maxLearners);
    failpoint('afterIsMemberExist');
    if (refused !== undefined) {
      log.error('Validation on configuration change failed', { error: refused.message });
      raft.applyConfChange({ ...change, nodeId: noMember });
      return () => this.#answer(change, refused);
    }
    backend().setConfState(raft.applyConfChange(change));
    log.info('applied a configuration change through raft', {
      'local-member-id': memberId,
      'raft-conf-change': changeNames.get(change.type) ?? String(change.type),
      'raft-conf-change-node-id': change.nodeId,
    });
    switch (change.type) {
      case ConfChangeType.ConfChangeAddNode:
      case ConfChangeType.ConfChangeAddLearnerNode: {
        const { member, isPromote } = decodeMemberContext(change.context);
        invariant(member.id === change.nodeId, 'a configuration change names one member', { change: change.nodeId, context: member.id });
        if (isPromote) {
          cluster.promote(member.id);
          log.info('promote member', { 'cluster-id': cluster.clusterId, 'local-member-id': memberId, 'promoted-member-id': member.id });
        } else {
          cluster.add(member);
          log.info('added member', {
            'cluster-id': cluster.clusterId,
            'local-member-id': memberId,
            'added-peer-id': member.id,
            'added-peer-peer-urls': member.peerUrls,
            'added-peer-is-learner': member.isLearner,
          });
          if (member.id !== memberId) transport.addPeer(member.id, member.peerUrls);
        }
        break;
      }
      case ConfChangeType.ConfChangeRemoveNode: {
        const gone = cluster.member(change.nodeId);
        cluster.remove(change.nodeId);
        log.info('removed member', {
          'cluster-id': cluster.clusterId,
          'local-member-id': memberId,
          'removed-remote-peer-id': change.nodeId,
          'removed-remote-peer-urls': gone?.peerUrls ?? [],
          'removed-remote-peer-is-learner': gone?.isLearner ?? false,
        });
        if (change.nodeId === memberId) this.#o.onRemoved();
        else transport.removePeer(change.nodeId);
        break;
      }
      case ConfChangeType.ConfChangeUpdateNode: {
        const { member } = decodeMemberContext(change.context);
        cluster.updatePeerUrls(member.id, member.peerUrls);
        log.info('updated member', {
          'cluster-id': cluster.clusterId,
          'local-member-id': memberId,
          'updated-remote-peer-id': member.id,
          'updated-remote-peer-urls': member.peerUrls,
          'updated-remote-peer-is-learner': cluster.member(member.id)?.isLearner ?? false,
        });
        if (member.id !== memberId) transport.updatePeer(member.id, member.peerUrls);
        break;
      }
    }
    return () => this.#answer(change, undefined);
  }

  /**
   * Raft follows a change that the store holds the outcome of already. Whether it was refused when it was applied there shows in the members:
   * at the end of such entries raft's configuration is theirs.
   */
  applyToRaft(entry: Entry): void {
    const { cluster, raft } = this.#o;
    const change = ConfChangeCodec.decode(entry.Data);
    const member = cluster.member(change.nodeId);
    const took = {
      [ConfChangeType.ConfChangeAddNode]: member?.isLearner === false,
      [ConfChangeType.ConfChangeAddLearnerNode]: member !== undefined,
      [ConfChangeType.ConfChangeRemoveNode]: member === undefined,
      [ConfChangeType.ConfChangeUpdateNode]: true,
    }[change.type];
    raft.applyConfChange(took === true ? change : { ...change, nodeId: noMember });
  }

  #answer(change: ConfChange, error: Status | undefined): void {
    this.#o.proposals.claim(change.id)?.complete(error, undefined);
  }

  #propose(change: ConfChange, subject: MemberId, done: MemberDone): void {
    const { ids, proposals, raft, leadership, timeoutMs, cluster } = this.#o;
    const low = ids.nextLow();
    const whole: ConfChange = { ...change, id: ids.id(low) };
    proposals.wait(
      low,
      onComplete((error) => {
        if (error !== undefined) done(error, undefined);
        else done(undefined, { member: cluster.member(subject), members: cluster.members() });
      }),
    );
    leadership.wait(timeoutMs, (lead) => {
      if (lead === noMember || !proposals.has(whole.id)) return;
      if (raft.proposeConfChange(whole) !== 'ok') proposals.abandon(low, { code: 2, message: 'raft proposal dropped' });
      this.#o.wake();
    });
  }

  #mayAdd(member: ClusterMember): Status | undefined {
    const { cluster, log, memberId } = this.#o;
    const members = cluster.members();
    if (!member.isLearner) {
      const refused = checkAddVoter(members);
      if (refused !== undefined) {
        log.warn('rejecting member add request; not enough healthy members', {
          'local-member-id': memberId,
          'requested-member-add': idText(member.id),
          error: refused.message,
        });
        return refused;
      }
    }
    const voters = members.filter((m) => !m.isLearner);
    // The new member counts as one that is down. A member alone may always get company.
    const quorum = Math.floor((voters.length + 1) / 2) + 1;
    if (voters.length > 1 && this.#connectedSince(voters, healthIntervalMs) < quorum) {
      log.warn('rejecting member add request; local member has not been connected to majority peers, reconfigure breaks active quorum', {
        'local-member-id': memberId,
        'requested-member-add': idText(member.id),
        error: errors.unhealthy.message,
      });
      return errors.unhealthy;
    }
    return undefined;
  }

  #mayRemove(id: MemberId): Status | undefined {
    const { cluster, log, memberId, transport } = this.#o;
    const members = cluster.members();
    const subject = members.find((m) => m.id === id);
    if (subject?.isLearner === true) return undefined;
    const refused = checkRemoveMember(members, id);
    if (refused !== undefined) {
      log.warn('rejecting member remove request; not enough healthy members', {
        'local-member-id': memberId,
        'requested-member-remove-id': id,
        error: refused.message,
      });
      return refused;
    }
    // One that is down is no part of the active quorum.
    if (id !== memberId && transport.activeSince(id) === undefined) return undefined;
    const voters = members.filter((m) => !m.isLearner);
    const active = this.#connectedSince(voters, healthIntervalMs);
    if (active - 1 < 1 + Math.floor((voters.length - 1) / 2)) {
      log.warn('rejecting member remove request; local member has not been connected to all peers, reconfigure breaks active quorum', {
        'local-member-id': memberId,
        'requested-member-remove': id,
        'active-peers': active,
        error: errors.unhealthy.message,
      });
      return errors.unhealthy;
    }
    return undefined;
  }

  #mayPromote(id: MemberId): Status | undefined {
    const { raft, cluster, config, log, memberId } = this.#o;
    if (raft.state !== StateType.Leader) return errors.notLeader;
    const { progress } = raft.status();
    const learner = progress.get(id);
    const leader = progress.get(memberId);
    if (learner !== undefined && leader !== undefined && learner.match < leader.match * readyFraction) return errors.learnerNotReady;
    if (!config.strictReconfigCheck) return undefined;
    const refused = checkPromoteMember(cluster.members(), id);
    if (refused !== undefined) {
      log.warn('rejecting member promote request; not enough healthy members', {
        'local-member-id': memberId,
        'requested-member-remove-id': id,
        error: refused.message,
      });
    }
    return refused;
  }

  /** How many of `members` (this one counts) have been connected for the last `ms`. */
  #connectedSince(members: readonly ClusterMember[], ms: number): number {
    const { clock, transport, memberId } = this.#o;
    const before = clock.mono() - ms;
    let n = 0;
    for (const m of members) {
      const since = m.id === memberId ? -Infinity : transport.activeSince(m.id);
      if (since !== undefined && since <= before) n++;
    }
    return n;
  }

  /** Whether a quorum, this member included, has been connected since `sinceMs`. */
  connectedToQuorumSince(sinceMs: number): boolean {
    const voters = this.#o.cluster.members().filter((m) => !m.isLearner);
    return this.#connectedSince(voters, this.#o.clock.mono() - sinceMs) >= Math.floor(voters.length / 2) + 1;
  }
}

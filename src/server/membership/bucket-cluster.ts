/**
 * The members of the cluster, kept in memory and in the buckets
 *
 *     members          member id as hex text    member JSON (member-json.ts)
 *     members_removed  member id as hex text    `removed`
 *     cluster          `clusterVersion`         text such as `3.7.0`
 *     cluster          `downgrade`              {"target-version":"3.6.0","enabled":true}
 */
import { errors, type Status } from '../../api/status.ts';
import { emptyBytes, utf8, utf8Text } from '../../base/bytes.ts';
import { ConfChangeType, type MemberId } from '../../raft/types.ts';
import type { Backend } from '../storage/backend.ts';
import type { Cluster, ClusterMember } from './cluster.ts';
import { idText } from './ids.ts';
import { decodeMember, decodeMemberContext, goJson, memberJson, type MemberContext } from './member-json.ts';
import { v2Snapshot } from './v2-snapshot.ts';

const versionKey = utf8('clusterVersion');
const downgradeKey = utf8('downgrade');
const removedValue = utf8('removed');

type Buckets = Pick<Backend, 'get' | 'put' | 'delete' | 'entries'>;

export class BucketCluster implements Cluster {
  readonly clusterId: bigint;
  readonly #backend: Buckets;
  #members = new Map<MemberId, ClusterMember>();
  #removed = new Set<MemberId>();
  #version: string | undefined;
  #downgrade = { enabled: false, targetVersion: '' };
  readonly #listeners: (() => void)[] = [];

  constructor(backend: Buckets, clusterId: bigint) {
    this.#backend = backend;
    this.clusterId = clusterId;
    this.#load();
  }

  members(): ClusterMember[] {
    return [...this.#members.values()].sort((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0));
  }

  member(id: MemberId): ClusterMember | undefined {
    return this.#members.get(id);
  }

  isRemoved(id: MemberId): boolean {
    return this.#removed.has(id);
  }

  get version(): string | undefined {
    return this.#version;
  }

  get downgrade(): { readonly enabled: boolean; readonly targetVersion: string } {
    return this.#downgrade;
  }

  add(member: ClusterMember): void {
    this.#set({ ...member, peerUrls: [...member.peerUrls], clientUrls: [...member.clientUrls] });
  }

  remove(id: MemberId): void {
    this.#members.delete(id);
    this.#removed.add(id);
    this.#backend.delete('members', memberKey(id));
    this.#backend.put('members_removed', memberKey(id), removedValue);
    this.#changed();
  }

  promote(id: MemberId): void {
    this.#update(id, { isLearner: false });
  }

  updatePeerUrls(id: MemberId, peerUrls: readonly string[]): void {
    this.#update(id, { peerUrls: [...peerUrls] });
  }

  updateAttributes(id: MemberId, name: string, clientUrls: readonly string[]): void {
    this.#update(id, { name, clientUrls: [...clientUrls] });
  }

  setVersion(version: string): void {
    this.#version = version;
    this.#backend.put('cluster', versionKey, utf8(version));
    this.#changed();
  }

  setDowngrade(enabled: boolean, targetVersion: string): void {
    this.#downgrade = { enabled, targetVersion };
    this.#backend.put('cluster', downgradeKey, utf8(goJson({ 'target-version': targetVersion, enabled })));
    this.#changed();
  }

  validate(
    change: { readonly type: number; readonly nodeId: MemberId; readonly context: Uint8Array },
    maxLearners: number,
  ): Status | undefined {
    const id = change.nodeId;
    if (this.#removed.has(id)) return errors.memberNotFound;
    const there = this.#members.get(id);
    switch (change.type) {
      case ConfChangeType.ConfChangeAddNode:
      case ConfChangeType.ConfChangeAddLearnerNode: {
        const context = readContext(change.context);
        if (context?.isPromote === true) {
          if (there === undefined) return errors.memberNotFound;
          return there.isLearner ? undefined : errors.memberNotLearner;
        }
        if (there !== undefined) return errors.memberExist;
        if (this.#urlInUse(context?.member.peerUrls ?? [], undefined)) return errors.peerURLExist;
        if (change.type !== ConfChangeType.ConfChangeAddLearnerNode || context?.member.isLearner !== true) return undefined;
        return this.#learnerCount() + 1 > maxLearners ? errors.tooManyLearners : undefined;
      }
      case ConfChangeType.ConfChangeRemoveNode:
        return there === undefined ? errors.memberNotFound : undefined;
      case ConfChangeType.ConfChangeUpdateNode:
        if (there === undefined) return errors.memberNotFound;
        return this.#urlInUse(readContext(change.context)?.member.peerUrls ?? [], id) ? errors.peerURLExist : undefined;
      default:
        return undefined;
    }
  }

  /** The data of a raft snapshot that tells of this membership. */
  v2Snapshot(): Uint8Array {
    return v2Snapshot({ members: this.members(), removed: [...this.#removed], version: this.#version });
  }

  restore(): void {
    this.#load();
    this.#changed();
  }

  onChange(fn: () => void): void {
    this.#listeners.push(fn);
  }

  #load(): void {
    this.#members = new Map();
    for (const [, value] of this.#backend.entries('members')) {
      const member = decodeMember(value);
      this.#members.set(member.id, member);
    }
    this.#removed = new Set(this.#backend.entries('members_removed').map(([key]) => BigInt(`0x${utf8Text(key)}`)));
    const version = this.#backend.get('cluster', versionKey);
    this.#version = version === undefined ? undefined : utf8Text(version);
    this.#downgrade = readDowngrade(this.#backend.get('cluster', downgradeKey) ?? emptyBytes);
  }

  /** A member that is not there (removed meanwhile) stays away. */
  #update(id: MemberId, change: Partial<ClusterMember>): void {
    const member = this.#members.get(id);
    if (member !== undefined) this.#set({ ...member, ...change });
  }

  #set(member: ClusterMember): void {
    this.#members.set(member.id, member);
    this.#backend.put('members', memberKey(member.id), utf8(memberJson(member)));
    this.#changed();
  }

  #urlInUse(urls: readonly string[], except: MemberId | undefined): boolean {
    for (const m of this.#members.values()) if (m.id !== except && m.peerUrls.some((u) => urls.includes(u))) return true;
    return false;
  }

  #learnerCount(): number {
    let n = 0;
    for (const m of this.#members.values()) if (m.isLearner) n++;
    return n;
  }

  #changed(): void {
    for (const fn of this.#listeners) fn();
  }
}

function memberKey(id: MemberId): Uint8Array {
  return utf8(idText(id));
}

/** Undefined for a context that is no JSON: an entry from elsewhere must not stop this member. */
function readContext(bytes: Uint8Array): MemberContext | undefined {
  try {
    return decodeMemberContext(bytes);
  } catch {
    return undefined;
  }
}

function readDowngrade(bytes: Uint8Array): { enabled: boolean; targetVersion: string } {
  if (bytes.length === 0) return { enabled: false, targetVersion: '' };
  const o = JSON.parse(utf8Text(bytes)) as Record<string, unknown>;
  return { enabled: o.enabled === true, targetVersion: typeof o['target-version'] === 'string' ? o['target-version'] : '' };
}

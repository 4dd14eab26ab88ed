/**
 * The state a member starts from: a fresh log with the configuration of a new cluster (D-11), or what snapshot, log and backend of its former
 * life say, checked against each other (D-6, F-6, F-12).
 */
import { Metadata } from '../../api/gen/etcdserverpb.ts';
import { ConfChangeCodec } from '../../api/gen/raftpb.ts';
import { utf8, utf8Text } from '../../base/bytes.ts';
import type { Clock } from '../../base/clock.ts';
import type { Disk, DiskError } from '../../base/disk.ts';
import { invariant } from '../../base/invariant.ts';
import type { Log } from '../../base/log.ts';
import type { RaftConfig } from '../../raft/machine.ts';
import {
  ConfChangeType,
  type ConfState,
  type Entry,
  EntryType,
  type HardState,
  type MemberId,
  type SnapshotMetadata,
} from '../../raft/types.ts';
import type { ServerConfig } from '../config/config.ts';
import type { ClusterMember } from '../membership/cluster.ts';
import { clusterId as makeClusterId, idText, memberId as makeMemberId } from '../membership/ids.ts';
import { encodeMemberContext, memberJson } from '../membership/member-json.ts';
import type { Backend } from '../storage/backend.ts';
import { openRecovered } from '../storage/snap/recover.ts';
import { Snapshotter } from '../storage/snap/snapshotter.ts';
import { WAL, type WalObserver, type WalOptions } from '../storage/wal/wal.ts';
import { type DataPaths, DataRefused } from './data-dir.ts';

export interface BootstrapOptions {
  readonly config: ServerConfig;
  readonly serverVersion: string;
  readonly disk: Disk;
  readonly clock: Clock;
  readonly log: Log;
  readonly paths: DataPaths;
  readonly backend: Backend;
  readonly walObserver: WalObserver;
  /** Absent: etcd's 64 MB. */
  readonly walSegmentBytes?: number | undefined;
  /** For the snapshotter. */
  readonly snapshotEncoding?: (() => () => void) | undefined;
  /** A failed write or sync of the WAL. */
  readonly onDiskError: (error: DiskError) => void;
  /** How to ask a cluster that runs already; a member that cannot talk to others needs none. */
  readonly remote?: RemoteClusterSource | undefined;
  /**
   * Puts the database that came with a raft snapshot in the place of the store: an installation that a crash cut off, done again.
   */
  readonly installDatabase: (metadata: SnapshotMetadata) => Promise<Backend>;
}

/** A running cluster as its members tell of it over HTTP. Each takes peer URLs and the time that one answer may take. */
export interface RemoteClusterSource {
  members(urls: readonly string[], timeoutMs: number): Promise<RemoteClusterView | undefined>;
  version(urls: readonly string[], timeoutMs: number): Promise<{ readonly server: string; readonly cluster: string } | undefined>;
  downgradeEnabled(urls: readonly string[], timeoutMs: number): Promise<boolean>;
}

export interface RemoteClusterView {
  readonly clusterId: bigint;
  readonly members: readonly ClusterMember[];
}

export interface Bootstrapped {
  readonly memberId: MemberId;
  readonly clusterId: bigint;
  readonly wal: WAL;
  readonly snapshotter: Snapshotter;
  readonly raftInitial: RaftConfig['initial'];
  readonly snapshotIndex: number;
  /** A torn tail was cut off the WAL. */
  readonly repaired: boolean;
  /** Members of the cluster that this one joins: to be connected with before the log tells of them. */
  readonly remotes: readonly ClusterMember[];
  /** Another store than was handed in, when a received database had to be installed. */
  readonly backend: Backend;
}

/** A start that cannot work as configured. Exit code 1. */
export class BootstrapError extends Error {
  readonly code = 'bootstrap';
  /** Of a member that a discovery registry did not take. */
  discovery: { readonly token: string; readonly endpoints: readonly string[] } | undefined;
}

/** Time for an answer about the members: of a cluster to join, and of one that may know this member already (etcd's bootstrap timeout). */
const remoteMembersMs = 10_000;
const secondStartMs = 1000;
/** Time for an answer about versions: etcd's request timeout with default elections. */
const remoteVersionMs = 7000;

const emptyConfState: ConfState = { voters: [], learners: [], votersOutgoing: [], learnersNext: [], autoLeave: false };

/** Whether the directory belongs to a member that has started before. */
export function isInitialized(disk: Disk, paths: DataPaths): boolean {
  return WAL.exists(disk, paths.walDir);
}

/** Whether this configuration could make a new member: its own name and URLs in the initial cluster. @throws BootstrapError */
export function checkInitialCluster(config: ServerConfig): void {
  const own = config.initialCluster.get(config.name);
  if (own === undefined)
    throw new BootstrapError(`couldn't find local name ${JSON.stringify(config.name)} in the initial cluster configuration`);
  // SRV records were matched by address; they need not spell the URL as this member does.
  const advertised = config.discovery?.kind === 'srv' ? [...own].sort() : [...config.initialAdvertisePeerUrls].sort();
  const listed = [...own].sort();
  const quoted = (urls: readonly string[]): string => `[${urls.map((u) => JSON.stringify(u)).join(' ')}]`;
  const resolved =
    advertised.length !== listed.length
      ? `(len(${quoted(advertised)}) != len(${quoted(listed)}))`
      : `(resolved urls: ${JSON.stringify(advertised.join(','))} != ${JSON.stringify(listed.join(','))})`;
  const missing = listed.filter((u) => !advertised.includes(u));
  if (missing.length > 0) {
    const named = missing.map((u) => `${config.name}=${u}`).join(',');
    throw new BootstrapError(
      `--initial-cluster has ${named} but missing from --initial-advertise-peer-urls=${advertised.join(',')} ${resolved}`,
    );
  }
  const extra = advertised.filter((u) => !listed.includes(u));
  if (extra.length > 0) {
    const named = [...config.initialCluster].flatMap(([name, urls]) => urls.map((u) => `${name}=${u}`)).join(',');
    throw new BootstrapError(
      `--initial-advertise-peer-urls has ${extra.join(',')} but missing from --initial-cluster=${named} ${resolved}`,
    );
  }
  const seen = new Set<string>();
  for (const urls of config.initialCluster.values()) {
    for (const url of urls) {
      if (seen.has(url)) throw new BootstrapError(`initial cluster ${[...config.initialCluster.keys()].join(',')} has duplicate url`);
      seen.add(url);
    }
  }
}

/** @throws BootstrapError, DataRefused, WalError, SnapshotError, DiskError */
export async function bootstrap(options: BootstrapOptions): Promise<Bootstrapped> {
  const { disk, paths, log } = options;
  const snapshotter = new Snapshotter({ disk, dir: paths.snapDir, log, encoding: options.snapshotEncoding });
  snapshotter.removeOrphans();
  const walOptions: WalOptions = {
    disk,
    clock: options.clock,
    dir: paths.walDir,
    log,
    onFatal: options.onDiskError,
    observer: options.walObserver,
    ...(options.walSegmentBytes === undefined ? {} : { segmentBytes: options.walSegmentBytes }),
  };
  return isInitialized(disk, paths) ? restart(options, walOptions, snapshotter) : freshStart(options, walOptions, snapshotter);
}

interface Founding {
  readonly memberId: MemberId;
  readonly clusterId: bigint;
  readonly entries: Entry[];
  readonly hardState: HardState;
}

/** Ids and first entries of a new cluster: the same on each of its members, whichever starts first. */
function founding(config: ServerConfig): Founding {
  checkInitialCluster(config);
  const members: ClusterMember[] = [...config.initialCluster].map(([name, peerUrls]) => ({
    id: makeMemberId({ peerUrls, clusterToken: config.initialClusterToken }),
    peerUrls: [...peerUrls].sort(),
    isLearner: false,
    name,
    clientUrls: [],
  }));
  members.sort((a, b) => (a.id < b.id ? -1 : 1));
  const own = members.find((m) => m.name === config.name);
  invariant(own !== undefined, 'the member is part of its cluster');
  const entries = members.map((m, i): Entry => {
    const change = { id: 0n, type: ConfChangeType.ConfChangeAddNode, nodeId: m.id, context: utf8(memberJson(m)) };
    return { Type: EntryType.EntryConfChange, Term: 1, Index: i + 1, Data: ConfChangeCodec.encode(change) };
  });
  return {
    memberId: own.id,
    clusterId: makeClusterId(members.map((m) => m.id)),
    entries,
    hardState: { term: 1, vote: 0n, commit: entries.length },
  };
}

async function freshStart(options: BootstrapOptions, walOptions: WalOptions, snapshotter: Snapshotter): Promise<Bootstrapped> {
  const { config, backend, paths } = options;
  if (backend.consistentIndex > 0) {
    throw new DataRefused(
      `${paths.backendDir} holds data up to raft index ${backend.consistentIndex}, but there is no WAL in ${paths.walDir}: acknowledged writes would be lost; ` +
        'restore the WAL, or remove this member from the cluster and add it again with an empty data directory',
    );
  }
  if (config.initialClusterState === 'existing') return join(options, walOptions, snapshotter);
  const first = founding(config);
  await refuseSecondStart(options, first);
  const wal = WAL.create(walOptions, Metadata.encode({ NodeID: first.memberId, ClusterID: first.clusterId }));
  await found(wal, first);
  return started(options, first, wal, snapshotter);
}

/** A member of this cluster that has lost its data must not come back as new: its votes and acknowledgements are forgotten (G-R-3). */
async function refuseSecondStart({ config, remote }: BootstrapOptions, first: Founding): Promise<void> {
  const urls = otherUrls(config);
  if (remote === undefined || urls.length === 0) return;
  const there = await remote.members(urls, secondStartMs);
  const self = there?.members.find((m) => m.id === first.memberId);
  if (self !== undefined && self.clientUrls.length > 0) {
    throw new BootstrapError(`member ${idText(first.memberId)} has already been bootstrapped`);
  }
}

/** Peer URLs of the initial cluster's other members, sorted. */
function otherUrls(config: ServerConfig): string[] {
  const urls: string[] = [];
  for (const [name, peerUrls] of config.initialCluster) if (name !== config.name) urls.push(...peerUrls);
  return urls.sort();
}

/**
 * Whom a member that joins has to do with, as long as its own store tells of nobody. It waits for a leader to call, and none does when it was removed
 * meanwhile: only those it calls itself can tell it so. Nobody may be up to ask, or be known: then it waits all the same.
 */
async function remotesOf({ config, remote }: BootstrapOptions, memberId: MemberId, clusterId: bigint): Promise<readonly ClusterMember[]> {
  if (config.initialClusterState !== 'existing') return [];
  const urls = otherUrls(config);
  const there = urls.length === 0 ? undefined : await remote?.members(urls, remoteMembersMs);
  return there?.clusterId === clusterId ? there.members.filter((m) => m.id !== memberId) : [];
}

/** A member that was added to a running cluster: ids come from there, everything else by raft. */
async function join(options: BootstrapOptions, walOptions: WalOptions, snapshotter: Snapshotter): Promise<Bootstrapped> {
  const { config, remote, serverVersion, log } = options;
  checkInitialCluster(config);
  const urls = otherUrls(config);
  const there = await remote?.members(urls, remoteMembersMs);
  if (remote === undefined || there === undefined) {
    throw new BootstrapError('cannot fetch cluster info from peer urls: could not retrieve cluster information from the given URLs');
  }
  const memberId = matchMembers(config, there);
  const others = there.members.filter((m) => m.id !== memberId);
  await checkVersions(others, remote, serverVersion, log);
  const wal = WAL.create(walOptions, Metadata.encode({ NodeID: memberId, ClusterID: there.clusterId }));
  log.info('joining an existing cluster', { 'local-member-id': memberId, 'cluster-id': there.clusterId });
  return { ...joined(options, wal, snapshotter), memberId, clusterId: there.clusterId, remotes: others };
}

/** This member's id among the cluster's. Each configured member has to be one of them, by its URLs, and none may be left. @throws BootstrapError */
function matchMembers(config: ServerConfig, there: RemoteClusterView): MemberId {
  const shown = there.members.map(
    (m) =>
      `&{ID:${idText(m.id)} RaftAttributes:{PeerURLs:[${m.peerUrls.join(' ')}] IsLearner:${m.isLearner}} Attributes:{Name:${m.name} ClientURLs:[${m.clientUrls.join(' ')}]}}`,
  );
  const refuse = (why: string): BootstrapError =>
    new BootstrapError(
      `error validating peerURLs {ClusterID:${idText(there.clusterId)} Members:[${shown.join(' ')}] RemovedMemberIDs:[]}: ${why}`,
    );
  if (there.members.length !== config.initialCluster.size) throw refuse('member count is unequal');
  let own: MemberId | undefined;
  const left = new Map(there.members.map((m) => [[...m.peerUrls].sort().join(','), m]));
  for (const [name, peerUrls] of config.initialCluster) {
    const key = [...peerUrls].sort().join(',');
    const match = left.get(key);
    if (match === undefined) {
      throw refuse(`unmatched member while checking PeerURLs (${JSON.stringify(peerUrls)} of ${JSON.stringify(name)} are no member's)`);
    }
    left.delete(key);
    if (name === config.name) own = match.id;
  }
  invariant(own !== undefined, 'the member is part of its cluster');
  return own;
}

/** @throws BootstrapError when no member answers, or when one's cluster is not for this version. */
async function checkVersions(
  others: readonly ClusterMember[],
  remote: RemoteClusterSource,
  serverVersion: string,
  log: Log,
): Promise<void> {
  const minor = (v: string): number => {
    const [a = 0, b = 0] = v.split('.').map(Number);
    return a * 1000 + b;
  };
  const own = minor(serverVersion);
  let answered = 0;
  for (const m of others) {
    const version = await remote.version(m.peerUrls, remoteVersionMs);
    if (version === undefined || version.cluster === 'not_decided') continue;
    const there = minor(version.cluster);
    const fits =
      (there >= minor('3.0.0') && there <= own) || (there === own + 1 && (await remote.downgradeEnabled(m.peerUrls, remoteVersionMs)));
    if (!fits) {
      log.warn('cluster version of remote member is not compatible', {
        'remote-member-id': m.id,
        'remote-member-cluster-version': version.cluster,
      });
      throw new BootstrapError('incompatible with current running cluster');
    }
    answered++;
  }
  if (answered === 0) throw new BootstrapError('incompatible with current running cluster');
}

function joined(options: BootstrapOptions, wal: WAL, snapshotter: Snapshotter): Omit<Bootstrapped, 'memberId' | 'clusterId' | 'remotes'> {
  return {
    wal,
    snapshotter,
    raftInitial: {
      hardState: { term: 0, vote: 0n, commit: 0 },
      confState: emptyConfState,
      entries: [],
      snapshotIndex: 0,
      snapshotTerm: 0,
      applied: 0,
    },
    snapshotIndex: 0,
    repaired: false,
    backend: options.backend,
  };
}

/** D-11: durable before the member says a word. */
function found(wal: WAL, first: Founding): Promise<void> {
  return new Promise((resolve) => wal.save(first.entries, first.hardState, true, resolve));
}

function started({ backend }: BootstrapOptions, first: Founding, wal: WAL, snapshotter: Snapshotter): Bootstrapped {
  return {
    memberId: first.memberId,
    clusterId: first.clusterId,
    wal,
    snapshotter,
    raftInitial: {
      hardState: first.hardState,
      confState: emptyConfState,
      entries: first.entries,
      snapshotIndex: 0,
      snapshotTerm: 0,
      applied: 0,
    },
    snapshotIndex: 0,
    repaired: false,
    remotes: [],
    backend,
  };
}

async function restart(options: BootstrapOptions, walOptions: WalOptions, snapshotter: Snapshotter): Promise<Bootstrapped> {
  const { log, config, paths } = options;
  let { backend } = options;
  const recovered = openRecovered(walOptions, snapshotter);
  const { wal } = recovered;
  try {
    const { NodeID: memberId, ClusterID: clusterId } = Metadata.decode(recovered.metadata);
    const snapshotIndex = recovered.snapshot?.metadata?.index ?? 0;
    const snapshotTerm = recovered.snapshot?.metadata?.term ?? 0;

    const metadata = recovered.snapshot?.metadata;
    if (
      metadata !== undefined &&
      backend.consistentIndex < snapshotIndex &&
      options.disk.stat(snapshotter.databasePath(snapshotIndex)) !== undefined
    ) {
      log.info('Recovering from snapshot backend', {
        'snapshot-index': snapshotIndex,
        'consistent-index': backend.consistentIndex,
      });
      backend = await options.installDatabase(metadata);
    }
    const { consistentIndex, consistentTerm } = backend;

    const empty = recovered.entries.length === 0 && recovered.hardState.term === 0 && snapshotIndex === 0;
    if (empty && consistentIndex === 0) {
      // A first start that was cut off before it wrote an entry or a vote: done again (D-11).
      if (config.initialClusterState === 'existing') {
        return { ...joined(options, wal, snapshotter), memberId, clusterId, remotes: await remotesOf(options, memberId, clusterId) };
      }
      const first = founding(config);
      if (first.memberId !== memberId || first.clusterId !== clusterId) {
        throw new DataRefused(
          `${paths.walDir} was made for member ${idText(memberId)} of cluster ${idText(clusterId)}, not for this configuration`,
        );
      }
      await found(wal, first);
      return started(options, first, wal, snapshotter);
    }

    refuseNewerVersion(backend, options.serverVersion);
    if (backend.get('members_removed', utf8(idText(memberId))) !== undefined) {
      throw new DataRefused(`member ${idText(memberId)} has been permanently removed from the cluster; its data directory must be removed`);
    }
    if (consistentIndex < snapshotIndex) {
      throw new DataRefused(
        `failed to find database snapshot file (snap: snapshot file doesn't exist): ${snapshotter.databasePath(snapshotIndex)}; ` +
          `the store reaches raft index ${consistentIndex}, the newest snapshot ${snapshotIndex}`,
      );
    }
    if (recovered.lastIndex < consistentIndex) {
      throw new DataRefused(
        `the WAL in ${paths.walDir} ends at raft index ${recovered.lastIndex}, before what the store holds (${consistentIndex}): acknowledged writes would be lost; ` +
          'remove this member from the cluster and add it again with an empty data directory',
      );
    }
    const termThere = termOf(recovered.entries, snapshotIndex, snapshotTerm, consistentIndex);
    if (consistentIndex > 0 && termThere !== undefined && termThere !== consistentTerm) {
      throw new DataRefused(
        `the store in ${paths.backendDir} and the WAL in ${paths.walDir} do not belong together: raft index ${consistentIndex} has term ${consistentTerm} in the one and ${termThere} in the other`,
      );
    }
    // A commit index is not synced by itself; what the store holds was committed in any case.
    const commit = Math.max(recovered.hardState.commit, consistentIndex);
    const confState =
      (consistentIndex >= snapshotIndex ? backend.confState : undefined) ?? recovered.snapshot?.metadata?.confState ?? emptyConfState;
    if (config.forceNewCluster) {
      const entries = recovered.entries.slice(0, commit - snapshotIndex);
      const alone = soleMember({
        config,
        memberId,
        backend,
        confState,
        entries,
        snapshotIndex,
        snapshotTerm,
        hardState: recovered.hardState,
      });
      log.info('forcing restart member', {
        'cluster-id': clusterId,
        'local-member-id': memberId,
        'wal-commit-index': commit,
        'commit-index': alone.hardState.commit,
      });
      await new Promise<void>((resolve) => wal.save(alone.added, alone.hardState, true, resolve));
      return {
        memberId,
        clusterId,
        wal,
        snapshotter,
        raftInitial: {
          hardState: alone.hardState,
          confState,
          entries: [...entries, ...alone.added],
          snapshotIndex,
          snapshotTerm,
          applied: consistentIndex,
        },
        snapshotIndex,
        repaired: recovered.repair !== undefined,
        remotes: [],
        backend,
      };
    }
    log.info('restarting local member', {
      'cluster-id': clusterId,
      'local-member-id': memberId,
      'commit-index': commit,
    });
    return {
      memberId,
      clusterId,
      wal,
      snapshotter,
      raftInitial: {
        hardState: { ...recovered.hardState, commit },
        confState,
        entries: recovered.entries,
        snapshotIndex,
        snapshotTerm,
        applied: consistentIndex,
      },
      snapshotIndex,
      repaired: recovered.repair !== undefined,
      remotes: consistentIndex === 0 ? await remotesOf(options, memberId, clusterId) : [],
      backend,
    };
  } catch (error) {
    await wal.close();
    throw error;
  }
}

/**
 * `--force-new-cluster`: what was not committed is dropped, and changes that leave this member alone are put behind the rest as if they had been
 * committed. Removed members stay removed for good (G-R-7).
 */
function soleMember(of: {
  readonly config: ServerConfig;
  readonly memberId: MemberId;
  readonly backend: Backend;
  readonly confState: ConfState;
  readonly entries: readonly Entry[];
  readonly snapshotIndex: number;
  readonly snapshotTerm: number;
  readonly hardState: HardState;
}): { readonly added: Entry[]; readonly hardState: HardState } {
  const { config, memberId, backend, confState, entries, snapshotIndex, snapshotTerm, hardState } = of;
  const voters = new Set([...confState.voters, ...confState.votersOutgoing]);
  const learners = new Set([...confState.learners, ...confState.learnersNext]);
  for (const entry of entries) {
    if (entry.Type !== EntryType.EntryConfChange || entry.Index <= backend.consistentIndex) continue;
    const { type, nodeId } = ConfChangeCodec.decode(entry.Data);
    if (type === ConfChangeType.ConfChangeUpdateNode || nodeId === 0n) continue;
    voters.delete(nodeId);
    learners.delete(nodeId);
    if (type === ConfChangeType.ConfChangeAddNode) voters.add(nodeId);
    else if (type === ConfChangeType.ConfChangeAddLearnerNode) learners.add(nodeId);
  }
  const last = entries.at(-1);
  const term = Math.max(hardState.term, last?.Term ?? snapshotTerm);
  let index = last?.Index ?? snapshotIndex;
  const added: Entry[] = [];
  const add = (type: ConfChangeType, nodeId: MemberId, context: Uint8Array): void => {
    index++;
    added.push({
      Type: EntryType.EntryConfChange,
      Term: term,
      Index: index,
      Data: ConfChangeCodec.encode({ id: 0n, type, nodeId, context }),
    });
  };
  if (!voters.has(memberId)) {
    const isPromote = learners.has(memberId);
    const member: ClusterMember = {
      id: memberId,
      peerUrls: isPromote ? [] : [...config.initialAdvertisePeerUrls].sort(),
      isLearner: false,
      name: '',
      clientUrls: [],
    };
    add(ConfChangeType.ConfChangeAddNode, memberId, encodeMemberContext({ member, isPromote }));
  }
  const others = [...voters, ...learners].filter((id) => id !== memberId).sort((a, b) => (a < b ? -1 : 1));
  for (const id of others) add(ConfChangeType.ConfChangeRemoveNode, id, new Uint8Array(0));
  return { added, hardState: { term, vote: hardState.term === term ? hardState.vote : 0n, commit: index } };
}

function termOf(entries: readonly Entry[], snapshotIndex: number, snapshotTerm: number, index: number): number | undefined {
  return index === snapshotIndex ? snapshotTerm : entries[index - snapshotIndex - 1]?.Term;
}

/** F-12. A cluster's version is that of its oldest member: a higher one was written by a newer program. */
function refuseNewerVersion(backend: Backend, serverVersion: string): void {
  for (const [bucket, key] of [
    ['cluster', 'clusterVersion'],
    ['meta', 'storageVersion'],
  ] as const) {
    const stored = backend.get(bucket, utf8(key));
    if (stored === undefined) continue;
    const version = utf8Text(stored);
    const [a, b] = [version, serverVersion].map((v) => v.split('.').map(Number));
    if ((a?.[0] ?? 0) > (b?.[0] ?? 0) || ((a?.[0] ?? 0) === (b?.[0] ?? 0) && (a?.[1] ?? 0) > (b?.[1] ?? 0))) {
      throw new DataRefused(
        `invalid downgrade; server version is lower than determined cluster version (server ${serverVersion}, data ${version})`,
      );
    }
  }
}

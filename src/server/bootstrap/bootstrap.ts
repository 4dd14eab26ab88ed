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
import { ConfChangeType, type ConfState, type Entry, EntryType, type HardState, type MemberId } from '../../raft/types.ts';
import type { ServerConfig } from '../config/config.ts';
import type { ClusterMember } from '../membership/cluster.ts';
import { clusterId as makeClusterId, idText, memberId as makeMemberId } from '../membership/ids.ts';
import { memberJson } from '../membership/member-json.ts';
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
  /** A failed write or sync of the WAL. */
  readonly onDiskError: (error: DiskError) => void;
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
}

/** A start that cannot work as configured. Exit code 1. */
export class BootstrapError extends Error {
  readonly code = 'bootstrap';
}

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
  const advertised = [...config.initialAdvertisePeerUrls].sort();
  const listed = [...own].sort();
  const resolved = `(resolved urls: ${JSON.stringify(advertised.join(','))} != ${JSON.stringify(listed.join(','))})`;
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
  const snapshotter = new Snapshotter({ disk, dir: paths.snapDir, log });
  snapshotter.removeOrphans();
  const walOptions: WalOptions = {
    disk,
    clock: options.clock,
    dir: paths.walDir,
    log,
    onFatal: options.onDiskError,
    observer: options.walObserver,
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
  if (config.initialClusterState === 'existing') {
    throw new BootstrapError('--initial-cluster-state=existing is not supported by this build');
  }
  if (backend.consistentIndex > 0) {
    throw new DataRefused(
      `${paths.backendDir} holds data up to raft index ${backend.consistentIndex}, but there is no WAL in ${paths.walDir}: acknowledged writes would be lost; ` +
        'restore the WAL, or remove this member from the cluster and add it again with an empty data directory',
    );
  }
  const first = founding(config);
  const wal = WAL.create(walOptions, Metadata.encode({ NodeID: first.memberId, ClusterID: first.clusterId }));
  await found(wal, first);
  return started(first, wal, snapshotter);
}

/** D-11: durable before the member says a word. */
function found(wal: WAL, first: Founding): Promise<void> {
  return new Promise((resolve) => wal.save(first.entries, first.hardState, true, resolve));
}

function started(first: Founding, wal: WAL, snapshotter: Snapshotter): Bootstrapped {
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
  };
}

async function restart(options: BootstrapOptions, walOptions: WalOptions, snapshotter: Snapshotter): Promise<Bootstrapped> {
  const { backend, log, config, paths } = options;
  const recovered = openRecovered(walOptions, snapshotter);
  const { wal } = recovered;
  try {
    const { NodeID: memberId, ClusterID: clusterId } = Metadata.decode(recovered.metadata);
    const snapshotIndex = recovered.snapshot?.metadata?.index ?? 0;
    const snapshotTerm = recovered.snapshot?.metadata?.term ?? 0;
    const { consistentIndex, consistentTerm } = backend;

    const empty = recovered.entries.length === 0 && recovered.hardState.term === 0 && snapshotIndex === 0;
    if (empty && consistentIndex === 0) {
      // A first start that was cut off before it wrote an entry or a vote: done again (D-11).
      const first = founding(config);
      if (first.memberId !== memberId || first.clusterId !== clusterId) {
        throw new DataRefused(
          `${paths.walDir} was made for member ${idText(memberId)} of cluster ${idText(clusterId)}, not for this configuration`,
        );
      }
      await found(wal, first);
      return started(first, wal, snapshotter);
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
    };
  } catch (error) {
    await wal.close();
    throw error;
  }
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

/**
 * A snapshot becomes the data directory of a member of a new cluster: `snapshot restore`. History, leases, users and alarms are those of the
 * snapshot; members, ids and the raft log are new.
 *
 *   member/snap/db                 the store, at consistent index N and term 1: N members were added
 *   member/snap/0…1-N.snap         the membership there
 *   member/wal                     N configuration changes, a hard state that has them committed, and the record of the snapshot
 */
import { Metadata } from '../../api/gen/etcdserverpb.ts';
import { ConfChangeCodec } from '../../api/gen/raftpb.ts';
import { utf8, utf8Text } from '../../base/bytes.ts';
import type { DiskError } from '../../base/disk.ts';
import { type ConfState, ConfChangeType, type Entry, EntryType, type HardState, type MemberId } from '../../raft/types.ts';
import { parseUrls, ValueError } from '../config/flag-values.ts';
import type { ClusterMember } from '../membership/cluster.ts';
import { clusterId as makeClusterId, idText, memberId as makeMemberId } from '../membership/ids.ts';
import { memberJson } from '../membership/member-json.ts';
import { v2Snapshot } from '../membership/v2-snapshot.ts';
import type { BucketName } from '../storage/backend.ts';
import { BoltReader } from '../storage/bbolt/bolt-reader.ts';
import { BoltStore, type StoreContent } from '../storage/bbolt/bolt-store.ts';
import { importBolt } from '../storage/bbolt/import-bolt.ts';
import { revisionKey } from '../storage/bbolt/revision-key.ts';
import { buildBackend } from '../storage/revlog/build-backend.ts';
import { defaultBackendOptions } from '../storage/revlog/log-backend.ts';
import { confStateJson, encodeMetaIndex } from '../storage/revlog/meta.ts';
import { Snapshotter } from '../storage/snap/snapshotter.ts';
import { WAL } from '../storage/wal/wal.ts';
import { badArgsExit, offline, OfflineError } from './errors.ts';
import { beginDataDir, checkNewDataDir, parentOf, stripped } from './new-data-dir.ts';
import { partsOf, verifyDigest } from './snapshot-file.ts';
import { openStore } from './store.ts';
import type { Tool } from './tool.ts';

export interface RestoreOptions {
  /** A saved snapshot, or a database file or store when the digest is not wanted. */
  readonly path: string;
  readonly name: string;
  /** Empty: `NAME.etcd`. */
  readonly dataDir: string;
  /** Empty: inside the data directory. */
  readonly walDir: string;
  /** `a=http://10.0.0.1:2380,b=…`. */
  readonly initialCluster: string;
  readonly initialClusterToken: string;
  /** Comma-separated. */
  readonly initialAdvertisePeerUrls: string;
  readonly skipHashCheck: boolean;
  /** Added to the newest revision, so that no client sees a revision again that it saw before with other content. */
  readonly bumpRevision: number;
  readonly markCompacted: boolean;
}

export interface Restored {
  readonly dataDir: string;
  readonly walDir: string;
  readonly memberId: MemberId;
  readonly clusterId: bigint;
  readonly rows: number;
  /** Newest revision, the bump included. */
  readonly revision: number;
}

/** Length of one slice of the import, ms: the process has nothing else to do but show progress. */
const importSliceMs = 50;

/** @throws OfflineError with etcdutl's words and exit codes. What was begun is left behind, and no server takes it. */
export function restoreSnapshot(tool: Tool, options: RestoreOptions): Promise<Restored> {
  return offline(async () => {
    if (options.bumpRevision > 0 !== options.markCompacted)
      throw new OfflineError('--mark-compacted required if --revision-bump > 0', { exitCode: badArgsExit });
    const founding = foundingOf(options);
    const { disk, log } = tool;
    const dataDir = options.dataDir === '' ? `${options.name}.etcd` : stripped(options.dataDir);
    const walDir = options.walDir === '' ? '' : stripped(options.walDir);
    checkNewDataDir(disk, dataDir, walDir);
    const shownWalDir = walDir === '' ? `${dataDir}/member/wal` : walDir;
    log.info('restoring snapshot', {
      path: options.path,
      'wal-dir': shownWalDir,
      'data-dir': dataDir,
      'snap-dir': `${dataDir}/member/snap`,
    });
    const source = await openSource(tool, options.path);
    try {
      const { paths, complete } = beginDataDir(disk, dataDir, walDir);
      // As etcdutl, which copies first and looks then: what fails leaves a database behind, and the next attempt says so.
      disk.mkdir(paths.backendDir, 0o700);
      await source.verify(options.skipHashCheck);
      const { rows, revision } = await buildStore(tool, source, paths.backendDir, founding, options.bumpRevision);
      await writeRaftState(tool, paths, founding);
      complete();
      for (const m of founding.members)
        log.info('added member', {
          'cluster-id': idText(founding.clusterId),
          'local-member-id': '0',
          'added-peer-id': idText(m.id),
          'added-peer-peer-urls': m.peerUrls,
          'added-peer-is-learner': m.isLearner,
        });
      log.info('restored snapshot', {
        path: options.path,
        'wal-dir': shownWalDir,
        'data-dir': dataDir,
        'snap-dir': `${dataDir}/member/snap`,
      });
      return { dataDir, walDir: shownWalDir, memberId: founding.memberId, clusterId: founding.clusterId, rows, revision };
    } finally {
      source.close();
    }
  });
}

interface Founding {
  readonly memberId: MemberId;
  readonly clusterId: bigint;
  /** By id. */
  readonly members: readonly ClusterMember[];
  readonly confState: ConfState;
  readonly commit: number;
}

/** The new cluster. @throws OfflineError */
function foundingOf(options: RestoreOptions): Founding {
  const cluster = new Map<string, string[]>();
  let advertised: string[];
  try {
    advertised = parseUrls(options.initialAdvertisePeerUrls);
    for (const part of options.initialCluster.split(',')) {
      if (part === '') continue;
      const at = part.indexOf('=');
      const name = at < 0 ? part : part.slice(0, at);
      cluster.set(name, [...(cluster.get(name) ?? []), ...parseUrls(at < 0 ? '' : part.slice(at + 1))].sort());
    }
  } catch (error) {
    if (!(error instanceof ValueError)) throw error;
    throw new OfflineError(error.message);
  }
  checkFounding(options.name, cluster, advertised);
  const members = [...cluster]
    .map(([name, peerUrls]): ClusterMember => {
      const id = makeMemberId({ peerUrls, clusterToken: options.initialClusterToken });
      return { id, peerUrls, isLearner: false, name, clientUrls: [] };
    })
    .sort((a, b) => (a.id < b.id ? -1 : 1));
  const own = members.find((m) => m.name === options.name) as ClusterMember;
  return {
    memberId: own.id,
    clusterId: makeClusterId(members.map((m) => m.id)),
    members,
    confState: { voters: members.map((m) => m.id), learners: [], votersOutgoing: [], learnersNext: [], autoLeave: false },
    commit: members.length,
  };
}

function checkFounding(name: string, cluster: ReadonlyMap<string, readonly string[]>, advertised: readonly string[]): void {
  const own = cluster.get(name);
  if (own === undefined) throw new OfflineError(`couldn't find local name ${JSON.stringify(name)} in the initial cluster configuration`);
  const seen = new Set<string>();
  for (const urls of cluster.values())
    for (const url of urls) {
      if (seen.has(url)) throw new OfflineError(`initial cluster ${clusterText(cluster)} has duplicate url`);
      seen.add(url);
    }
  const resolved = `(resolved urls: ${JSON.stringify(advertised.join(','))} != ${JSON.stringify(own.join(','))})`;
  const missing = own.filter((u) => !advertised.includes(u));
  if (missing.length > 0)
    throw new OfflineError(
      `--initial-cluster has ${missing.map((u) => `${name}=${u}`).join(',')} but missing from --initial-advertise-peer-urls=${advertised.join(',')} ${resolved}`,
    );
  const extra = advertised.filter((u) => !own.includes(u));
  if (extra.length > 0)
    throw new OfflineError(
      `--initial-advertise-peer-urls has ${extra.join(',')} but missing from --initial-cluster=${clusterText(cluster)} ${resolved}`,
    );
}

function clusterText(cluster: ReadonlyMap<string, readonly string[]>): string {
  return [...cluster]
    .flatMap(([name, urls]) => urls.map((u) => `${name}=${u}`))
    .sort()
    .join(',');
}

interface Source {
  /** About what there is to copy. */
  readonly bytes: number;
  verify(skipHashCheck: boolean): Promise<void>;
  open(): StoreContent;
  close(): void;
}

const missingHash = 'snapshot missing hash but --skip-hash-check=false';

/** @throws OfflineError, DiskError */
async function openSource(tool: Tool, path: string): Promise<Source> {
  const stat = tool.disk.stat(path);
  if (stat === undefined) throw new OfflineError(`open ${path}: no such file or directory`);
  if (stat.isDirectory) {
    const store = await openStore(tool, path);
    return {
      bytes: store.sizeBytes,
      async verify(skip) {
        if (!skip) throw new OfflineError(missingHash, { hint: `${path} is no saved snapshot: it has no digest` });
      },
      open: () => store,
      close: () => store.close(),
    };
  }
  const file = tool.disk.open(path, { write: false });
  try {
    const parts = partsOf(file);
    return {
      bytes: parts.databaseBytes,
      async verify(skip) {
        if (skip) return;
        if (parts.digest === undefined)
          throw new OfflineError(missingHash, {
            hint: `${path} was cut short, or is a copy of a database file rather than a saved snapshot`,
          });
        await verifyDigest(tool, file, parts);
      },
      open: () => new BoltStore(new BoltReader(file, parts.databaseBytes)),
      close: () => file.close(),
    };
  } catch (error) {
    file.close();
    throw error;
  }
}

const replacedBuckets: readonly BucketName[] = ['members', 'members_removed'];
const replacedMeta: readonly string[] = ['consistent_index', 'term', 'confState'];

async function buildStore(
  tool: Tool,
  source: Source,
  dir: string,
  founding: Founding,
  bump: number,
): Promise<{ rows: number; revision: number }> {
  const { disk, clock, storageLog } = tool;
  const builder = buildBackend({ ...defaultBackendOptions, disk, clock, log: storageLog, dir });
  const { rows, last } = await importBolt(source.open(), builder, {
    clock,
    sliceMs: importSliceMs,
    entry: (bucket, key, value) => {
      const replaced =
        replacedBuckets.includes(bucket) ||
        (bucket === 'meta' && (replacedMeta.includes(utf8Text(key)) || (bump > 0 && utf8Text(key) === 'scheduledCompactRev')));
      return replaced ? undefined : value;
    },
    progress: (bytes) => tool.progress?.({ what: 'copy', bytes, totalBytes: source.bytes }),
  });
  let revision = last?.main ?? 0;
  if (bump > 0) {
    revision += bump;
    // An empty store is at revision 1 without a row.
    if (revision > 1) builder.addRow({ main: revision, sub: 0, tombstone: false, value: new Uint8Array(0) });
    builder.addEntry('meta', utf8('scheduledCompactRev'), revisionKey(revision, 0));
    tool.log.info('bumped the revision and marked everything before it as compacted', { 'latest-revision': revision });
  }
  for (const m of founding.members) builder.addEntry('members', utf8(idText(m.id)), utf8(memberJson(m)));
  builder.addEntry('meta', utf8('consistent_index'), encodeMetaIndex(founding.commit));
  builder.addEntry('meta', utf8('term'), encodeMetaIndex(1));
  builder.addEntry('meta', utf8('confState'), confStateJson(founding.confState));
  await builder.finish();
  return { rows, revision };
}

async function writeRaftState(tool: Tool, paths: { readonly snapDir: string; readonly walDir: string }, founding: Founding): Promise<void> {
  const { disk, clock, storageLog: log } = tool;
  const { members, confState, commit } = founding;
  const metadata = { confState, index: commit, term: 1 };
  // Without names: members tell theirs when they start.
  new Snapshotter({ disk, dir: paths.snapDir, log }).saveSync({
    metadata,
    data: v2Snapshot({ members: members.map((m) => ({ ...m, name: '' })), removed: [], version: undefined }),
  });

  disk.mkdir(parentOf(paths.walDir), 0o700);
  let failed: ((error: DiskError) => void) | undefined;
  const failure = new Promise<never>((_, reject) => (failed = reject));
  const wal = WAL.create(
    { disk, clock, dir: paths.walDir, log, onFatal: (error) => failed?.(error) },
    Metadata.encode({ NodeID: founding.memberId, ClusterID: founding.clusterId }),
  );
  const entries = members.map((m, i): Entry => {
    const change = { id: 0n, type: ConfChangeType.ConfChangeAddNode, nodeId: m.id, context: utf8(memberJson(m)) };
    return { Type: EntryType.EntryConfChange, Term: 1, Index: i + 1, Data: ConfChangeCodec.encode(change) };
  });
  const state: HardState = { term: 1, vote: members[0]?.id ?? 0n, commit };
  const written = new Promise<void>((resolve) => {
    wal.save(entries, state, true, () => undefined);
    wal.saveSnapshot(metadata, resolve);
  });
  try {
    await Promise.race([written, failure]);
  } finally {
    await wal.close();
  }
}

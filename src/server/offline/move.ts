/**
 * A member's data directory from etcd to tsetcd and back: `migrate-from-etcd`, `migrate-to-etcd`. The raft log and the snapshot files have one
 * format in both and are copied as they are; only the store is made anew, at the same raft position. So the member keeps its id, cluster,
 * revision, history, leases and users, and goes on in its cluster as if it had been restarted.
 *
 * The old directory is not changed, whatever happens.
 */
import { Metadata } from '../../api/gen/etcdserverpb.ts';
import { utf8, utf8Text } from '../../base/bytes.ts';
import type { Disk } from '../../base/disk.ts';
import { applyChange } from '../../raft/confchange/changer.ts';
import { changeOf } from '../../raft/confchange/codec.ts';
import { confStateOf } from '../../raft/confchange/config.ts';
import { restoreConfig } from '../../raft/confchange/restore.ts';
import { emptyConfState } from '../../raft/conf-state.ts';
import type { ConfState, MemberId, Snapshot } from '../../raft/types.ts';
import type { DataPaths } from '../bootstrap/data-dir.ts';
import { BoltReader } from '../storage/bbolt/bolt-reader.ts';
import { BoltStore, type StoreContent } from '../storage/bbolt/bolt-store.ts';
import { importBolt } from '../storage/bbolt/import-bolt.ts';
import { buildBackend } from '../storage/revlog/build-backend.ts';
import { defaultBackendOptions } from '../storage/revlog/log-backend.ts';
import { confStateJson, decodeMetaIndex, encodeMetaIndex } from '../storage/revlog/meta.ts';
import { SnapshotError, Snapshotter } from '../storage/snap/snapshotter.ts';
import { WalError } from '../storage/wal/errors.ts';
import { listSegments, readWal, type Replay, validSnapshots } from '../storage/wal/replay.ts';
import { offline, OfflineError } from './errors.ts';
import { openMemberDir } from './member-dir.ts';
import { beginDataDir, checkNewDataDir, parentOf, stripped } from './new-data-dir.ts';
import { openStore } from './store.ts';
import type { Tool } from './tool.ts';
import { writeBolt } from './write-bolt.ts';

export interface MoveOptions {
  readonly dataDir: string;
  /** Empty: inside the data directory. */
  readonly walDir: string;
  /** The new directory; must be empty or absent. */
  readonly to: string;
  /** Empty: inside the new directory. */
  readonly toWalDir: string;
}

export interface Moved {
  readonly memberId: MemberId;
  readonly clusterId: bigint;
  readonly revision: number;
  readonly rows: number;
  /** Raft position of the store; the log goes on from there. */
  readonly consistentIndex: number;
}

/** Length of one slice of the import, ms. */
const importSliceMs = 50;
/** Bytes copied at a time. */
const copyBytes = 1024 * 1024;

/** @throws OfflineError */
export function migrateFromEtcd(tool: Tool, options: MoveOptions): Promise<Moved> {
  return move(tool, options, 'etcd', (old, raft, paths) => buildFromEtcd(tool, old, raft, paths.backendDir));
}

/** Makes a store in `dir` from etcd's database in `old`. @throws OfflineError, BoltError */
export async function buildFromEtcd(
  tool: Tool,
  old: DataPaths,
  raft: RaftState,
  dir: string,
): Promise<{ readonly rows: number; readonly revision: number; readonly consistentIndex: number }> {
  const file = tool.disk.open(databaseOf(tool, old, raft), { write: false });
  try {
    const store = new BoltStore(new BoltReader(file));
    const position = positionOf(store, raft);
    const builder = buildBackend({ ...defaultBackendOptions, disk: tool.disk, clock: tool.clock, log: tool.storageLog, dir });
    const { rows, last } = await importBolt(store, builder, {
      clock: tool.clock,
      sliceMs: importSliceMs,
      progress: (bytes) => tool.progress?.({ what: 'copy', bytes, totalBytes: store.reader.sizeBytes }),
    });
    builder.addEntry('meta', utf8('term'), encodeMetaIndex(position.term));
    // etcd keeps the members of before a restore here until the next change; ours starts from what it finds here.
    builder.addEntry('meta', utf8('confState'), confStateJson(confStateAt(raft, position.index)));
    await builder.finish();
    return { rows, revision: last?.main ?? 1, consistentIndex: position.index };
  } finally {
    file.close();
  }
}

/** @throws OfflineError */
export function migrateToEtcd(tool: Tool, options: MoveOptions): Promise<Moved> {
  return move(tool, options, 'tsetcd', async (old, raft, paths) => {
    const store = await openStore(tool, old.backendDir, { locked: true });
    try {
      const position = positionOf(store, raft);
      await writeBolt(tool, store, paths.backendDir);
      let rows = 0;
      let revision = 1;
      const scan = store.rows();
      for (let row = scan.next(); row !== undefined; row = scan.next()) {
        rows++;
        revision = row.main;
      }
      scan.close();
      return { rows, revision, consistentIndex: position.index };
    } finally {
      store.close();
    }
  });
}

/** The raft side of the old directory. */
export interface RaftState {
  readonly wal: Replay;
  readonly snapshot: Snapshot | undefined;
  readonly snapshotIndex: number;
  readonly snapshotTerm: number;
}

type StoreMove = (old: DataPaths, raft: RaftState, paths: DataPaths) => Promise<Omit<Moved, 'memberId' | 'clusterId'>>;

function move(tool: Tool, options: MoveOptions, kind: 'etcd' | 'tsetcd', moveStore: StoreMove): Promise<Moved> {
  return offline(async () => {
    const { disk } = tool;
    const to = stripped(options.to);
    const toWalDir = options.toWalDir === '' ? '' : stripped(options.toWalDir);
    const old = await openMemberDir(tool, options.dataDir, options.walDir);
    try {
      // A member of ours that was stopped in order has left etcd's file, with the store beside it.
      const left = kind === 'tsetcd' && disk.stat(`${old.paths.backendDir}.store`) !== undefined;
      if (old.kind !== kind && !left)
        throw new OfflineError(
          kind === 'etcd'
            ? `${old.paths.dataDir} is a data directory of tsetcd already`
            : `${old.paths.dataDir} is a data directory of etcd already`,
        );
      checkNewDataDir(disk, to, toWalDir);
      const raft = readRaftState(tool, old.paths);
      const { NodeID: memberId, ClusterID: clusterId } = Metadata.decode(raft.wal.metadata);
      const { paths, complete } = beginDataDir(disk, to, toWalDir);
      const moved = await moveStore(old.paths, raft, paths);
      for (const name of disk.list(old.paths.snapDir))
        if (/^[0-9a-f]{16}-[0-9a-f]{16}\.snap$/.test(name)) copyFile(disk, `${old.paths.snapDir}/${name}`, `${paths.snapDir}/${name}`);
      copyTree(disk, `${old.paths.dataDir}/fixtures`, `${paths.dataDir}/fixtures`);
      copyWal(disk, old.paths.walDir, paths.walDir);
      complete();
      return { memberId, clusterId, ...moved };
    } finally {
      old.release();
    }
  });
}

/** @throws OfflineError */
export function readRaftState(tool: Tool, paths: DataPaths): RaftState {
  const { disk, storageLog: log } = tool;
  if (disk.stat(paths.walDir) === undefined || listSegments(disk, paths.walDir).length === 0)
    throw new OfflineError(`stat ${paths.walDir}: no such file or directory`, {
      hint: 'a WAL that lies elsewhere is given with --wal-dir',
    });
  try {
    const known = validSnapshots(disk, paths.walDir);
    const snapshotter = new Snapshotter({ disk, dir: paths.snapDir, log });
    for (const name of snapshotter.names()) {
      if (!known.some((s) => s.index === name.index && s.term === name.term)) continue;
      const snapshot = snapshotter.read(name);
      const wal = readWal(disk, paths.walDir, { index: name.index, term: name.term });
      return { wal, snapshot, snapshotIndex: name.index, snapshotTerm: name.term };
    }
    return { wal: readWal(disk, paths.walDir, { index: 0, term: 0 }), snapshot: undefined, snapshotIndex: 0, snapshotTerm: 0 };
  } catch (error) {
    if (error instanceof WalError || error instanceof SnapshotError) throw new OfflineError(error.message, { cause: error });
    throw error;
  }
}

/** The store's position in the raft log, checked against the log. @throws OfflineError */
function positionOf(store: StoreContent, raft: RaftState): { readonly index: number; readonly term: number } {
  let index = 0;
  let term = 0;
  for (const [key, value] of store.walk('meta')) {
    if (utf8Text(key) === 'consistent_index' && value.length === 8) index = decodeMetaIndex(value);
    if (utf8Text(key) === 'term' && value.length === 8) term = decodeMetaIndex(value);
  }
  if (index < raft.snapshotIndex)
    throw new OfflineError(
      `failed to find database snapshot file (snap: snapshot file doesn't exist): ${store.path} reaches raft index ${index}, but the newest snapshot is at ${raft.snapshotIndex}`,
    );
  if (index > raft.wal.lastIndex)
    throw new OfflineError(`the raft log ends at index ${raft.wal.lastIndex}, before what ${store.path} holds (${index})`);
  const inLog = index === raft.snapshotIndex ? raft.snapshotTerm : raft.wal.entries[index - raft.snapshotIndex - 1]?.Term;
  // etcd 3.4 and older stored no term.
  if (term !== 0 && inLog !== undefined && inLog !== term)
    throw new OfflineError(`${store.path} and the raft log do not belong together: index ${index} has term ${term} and ${inLog}`);
  return { index, term: inLog ?? term };
}

/** Who votes after the entries up to `index`. @throws OfflineError */
function confStateAt(raft: RaftState, index: number): ConfState {
  const start = restoreConfig(raft.snapshot?.metadata?.confState ?? emptyConfState());
  if (start.config === undefined) throw new OfflineError(`the snapshot's configuration cannot be: ${start.refused}`);
  let { config } = start;
  for (const entry of raft.wal.entries) {
    if (entry.Index > index) break;
    const change = changeOf(entry);
    if (change === undefined) continue;
    const next = applyChange(config, change);
    if (next.config === undefined)
      throw new OfflineError(`the configuration change at raft index ${entry.Index} cannot be: ${next.refused}`);
    config = next.config;
  }
  return confStateOf(config);
}

/** etcd's database: the one that came with the newest snapshot, when a crash came before it took its place. */
function databaseOf(tool: Tool, old: DataPaths, raft: RaftState): string {
  const received = new Snapshotter({ disk: tool.disk, dir: old.snapDir, log: tool.storageLog }).databasePath(raft.snapshotIndex);
  if (tool.disk.stat(received) === undefined) return old.backendDir;
  const file = tool.disk.open(old.backendDir, { write: false });
  try {
    const current = new BoltStore(new BoltReader(file));
    for (const [key, value] of current.walk('meta'))
      if (utf8Text(key) === 'consistent_index' && value.length === 8 && decodeMetaIndex(value) >= raft.snapshotIndex) return old.backendDir;
    return received;
  } finally {
    file.close();
  }
}

/** All segments, durable in a folder that gets its name at the end. */
function copyWal(disk: Disk, from: string, to: string): void {
  const building = `${to}.tmp`;
  disk.removeTree(building);
  disk.mkdir(building, 0o700);
  for (const { name } of listSegments(disk, from)) copyFile(disk, `${from}/${name}`, `${building}/${name}`);
  disk.syncDir(building);
  disk.rename(building, to);
  disk.syncDir(parentOf(to));
}

function copyFile(disk: Disk, from: string, to: string, mode = 0o600): void {
  const source = disk.open(from, { write: false });
  const target = disk.open(to, { write: true, create: true, truncate: true, mode });
  try {
    const size = source.size();
    const buffer = Buffer.alloc(copyBytes);
    const zeros = Buffer.alloc(copyBytes);
    for (let at = 0; at < size;) {
      const n = source.read(buffer.subarray(0, Math.min(copyBytes, size - at)), at);
      if (n === 0) break;
      const piece = buffer.subarray(0, n);
      // The unused rest of a log segment stays a hole.
      if (!piece.equals(zeros.subarray(0, n))) target.write(piece, at);
      at += n;
    }
    if (target.size() < size) target.truncate(size);
    target.sync();
  } finally {
    source.close();
    target.close();
  }
}

function copyTree(disk: Disk, from: string, to: string): void {
  const stat = disk.stat(from);
  if (stat === undefined) return;
  if (!stat.isDirectory) {
    copyFile(disk, from, to, stat.mode & 0o777);
    return;
  }
  disk.mkdir(to, stat.mode & 0o777);
  for (const name of disk.list(from)) copyTree(disk, `${from}/${name}`, `${to}/${name}`);
  disk.syncDir(to);
}

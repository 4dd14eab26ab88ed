/**
 * The database that came with a raft snapshot takes the store's place (D-8).
 *
 *   <index>.snap.db   durable since it was received, and the one truth until the end
 *   tmp-db-<index>    the store that is built from it; a start removes it
 *   db                the store. It goes and the new one comes by two renames in one turn; a crash between them leaves none, and as the newest raft
 *                     snapshot is then ahead of the store, the next start builds it from the file again
 *
 * The former store is read until the very swap, so that nobody meets a store that is closed.
 */
import type { Clock } from '../../base/clock.ts';
import type { Disk } from '../../base/disk.ts';
import { formatDuration } from '../../base/duration.ts';
import { failpoint } from '../../base/failpoint.ts';
import { invariant } from '../../base/invariant.ts';
import type { Log } from '../../base/log.ts';
import type { ConfState, MemberId, SnapshotMetadata } from '../../raft/types.ts';
import type { ClusterMember } from '../membership/cluster.ts';
import { decodeMember } from '../membership/member-json.ts';
import { BoltReader } from '../storage/bbolt/bolt-reader.ts';
import { BoltStore } from '../storage/bbolt/bolt-store.ts';
import { importBolt } from '../storage/bbolt/import-bolt.ts';
import { buildBackend } from '../storage/revlog/build-backend.ts';
import { defaultBackendOptions, type LogBackend } from '../storage/revlog/log-backend.ts';
import { hex16 } from '../storage/wal/format.ts';

/** Time between two looks whether the former store has work of its own under way. */
const quietMs = 5;

export interface ReceivedDatabaseOptions {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly log: Log;
  /** The file. */
  readonly path: string;
  readonly snapDir: string;
  readonly backendDir: string;
  readonly metadata: SnapshotMetadata;
  /** The store in use. */
  readonly former: LogBackend;
  readonly open: () => LogBackend;
  /** Builds a store off the event loop; without it that is done here, in slices. */
  readonly build?: ((from: string, to: string) => Promise<void>) | undefined;
}

/** Resolves in the very turn of the swap, with the store now in use. `swapped` runs inside it. @throws BoltError, DiskError */
export async function installDatabase(options: ReceivedDatabaseOptions, swapped: (next: LogBackend) => void): Promise<void> {
  const { disk, clock, log, path, snapDir, backendDir, metadata, former } = options;
  const start = clock.mono();
  const built = `${snapDir}/tmp-db-${hex16(metadata.index)}`;
  const outgoing = `${snapDir}/tmp-db-former`;
  disk.removeTree(built);
  disk.removeTree(outgoing);
  if (options.build !== undefined) await options.build(path, built);
  else await buildStore(options, path, built);
  log.info('imported the received database', { path, took: formatDuration(clock.mono() - start) });

  await quiet(former, clock);
  failpoint('applyBeforeOpenSnapshot');
  former.abandon();
  disk.rename(backendDir, outgoing);
  disk.rename(built, backendDir);
  disk.syncDir(snapDir);
  const next = options.open();
  invariant(next.consistentIndex >= metadata.index || next.consistentIndex === 0, 'a received database reaches its snapshot', {
    database: next.consistentIndex,
    snapshot: metadata.index,
  });
  if (next.consistentIndex < metadata.index) next.setConsistentIndex(metadata.index, metadata.term);
  if (metadata.confState !== undefined) {
    // A database ahead of its snapshot has members of its own: those. What it says of the configuration may be of before a restore of etcd's, which
    // leaves that as it was until the next change.
    const members = next.consistentIndex > metadata.index ? membersOf(next) : [];
    next.setConfState(members.length === 0 ? metadata.confState : confStateOfMembers(members));
  }
  swapped(next);
  disk.removeTree(outgoing);
  // Durable before the file that it came from may go.
  await new Promise<void>((resolve) => next.commit(resolve));
}

function membersOf(store: LogBackend): ClusterMember[] {
  return store.entries('members').map(([, value]) => decodeMember(value));
}

function confStateOfMembers(members: readonly ClusterMember[]): ConfState {
  const ids = (learners: boolean): MemberId[] =>
    members
      .filter((m) => m.isLearner === learners)
      .map((m) => m.id)
      .sort((a, b) => (a < b ? -1 : 1));
  return { voters: ids(false), learners: ids(true), votersOutgoing: [], learnersNext: [], autoLeave: false };
}

/**
 * Runs its last step in the turn in which the former store has no write under way, nor a removal: those go by names, which are the new store's after the
 * swap.
 */
function quiet(former: LogBackend, clock: Clock): Promise<void> {
  return new Promise((resolve) => {
    const look = (): void =>
      former.commit(() => {
        const { checkpointing, rewriting, bulkJobs } = former.stats;
        if (checkpointing || rewriting || bulkJobs > 0) clock.after(quietMs, look);
        else resolve();
      });
    look();
  });
}

/** In slices on this event loop. */
async function buildStore({ disk, clock, log }: ReceivedDatabaseOptions, from: string, to: string): Promise<void> {
  const file = disk.open(from, { write: false });
  try {
    const store = new BoltStore(new BoltReader(file));
    const builder = buildBackend({ ...defaultBackendOptions, disk, clock, log, dir: to }, { inSlices: true });
    await importBolt(store, builder, { clock });
    await builder.finish();
  } finally {
    file.close();
  }
}

/**
 * The store builder: a bbolt file into a store's directory, off the event loop, so that raft goes on appending meanwhile (D-8). One job, then it
 * ends; what it leaves when it is cut off is removed at the next start.
 */
import { setPriority } from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';
import { silentLog } from '../base/log.ts';
import { RealClock } from '../host/real-clock.ts';
import { RealDisk } from '../host/real-disk.ts';
import type { StoreBuildAnswer, StoreBuildJob } from '../host/store-builder.ts';
import { BoltReader } from '../server/storage/bbolt/bolt-reader.ts';
import { BoltStore } from '../server/storage/bbolt/bolt-store.ts';
import { importBolt } from '../server/storage/bbolt/import-bolt.ts';
import { buildBackend } from '../server/storage/revlog/build-backend.ts';
import { defaultBackendOptions } from '../server/storage/revlog/log-backend.ts';

/** Below the event loop and the disk threads. */
const niceness = 10;
/** The thread has nothing else to do. */
const sliceMs = 50;

// On Linux this concerns the calling thread alone; elsewhere it would slow the whole process down.
if (process.platform === 'linux') {
  try {
    setPriority(0, niceness);
  } catch {
    // Not allowed here: then at equal priority.
  }
}

async function build(job: StoreBuildJob): Promise<void> {
  const disk = new RealDisk({ unsafeNoFsync: job.unsafeNoFsync });
  const clock = new RealClock();
  const file = disk.open(job.from, { write: false });
  try {
    const store = new BoltStore(new BoltReader(file));
    const builder = buildBackend({ ...defaultBackendOptions, disk, clock, log: silentLog, dir: job.to });
    await importBolt(store, builder, { clock, sliceMs });
    await builder.finish();
  } finally {
    file.close();
  }
}

const port = parentPort as NonNullable<typeof parentPort>;
const answer = (a: StoreBuildAnswer): void => port.postMessage(a);
build(workerData as StoreBuildJob).then(
  () => answer({ error: undefined }),
  (error: unknown) => answer({ error: error instanceof Error ? error.message : String(error) }),
);

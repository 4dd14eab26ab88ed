// A disk in memory with snapshot files on it, and tools that work on it.
import { createHash } from 'node:crypto';
import type { Disk } from '../../../src/base/disk.ts';
import { silentLog } from '../../../src/base/log.ts';
import { MemoryDisk } from '../../../src/base/memory-disk.ts';
import { utf8 } from '../../../src/base/bytes.ts';
import { RealClock } from '../../../src/host/real-clock.ts';
import { encodeKeyValue, encodeTombstone } from '../../../src/server/mvcc/key-value.ts';
import type { RestoreOptions } from '../../../src/server/offline/restore.ts';
import type { Tool } from '../../../src/server/offline/tool.ts';
import type { Row } from '../../../src/server/storage/backend.ts';
import { revisionKey } from '../../../src/server/storage/bbolt/revision-key.ts';
import { defaultBackendOptions, type LogBackend, openBackend } from '../../../src/server/storage/revlog/log-backend.ts';
import { confStateJson, encodeMetaIndex } from '../../../src/server/storage/revlog/meta.ts';
import { type Content, fileOf } from '../storage/bbolt/harness.ts';

const clock = new RealClock();

export function toolOn(disk: Disk): Tool {
  return { disk, clock, log: silentLog, storageLog: silentLog, lockTimeoutMs: 100 };
}

export function newDisk(): MemoryDisk {
  return new MemoryDisk(clock);
}

export function put(main: number, sub: number, key: string, value: string, lease = 0n): Row {
  return { main, sub, tombstone: false, value: encodeKeyValue(Buffer.from(key), main, main, 1, Buffer.from(value), lease) };
}

export function del(main: number, sub: number, key: string): Row {
  return { main, sub, tombstone: true, value: encodeTombstone(Buffer.from(key)) };
}

/** A small store as etcd's would be: versions, a delete, a lease, a user, members, a compaction at 3. */
export const sample: Content = {
  rows: [
    put(2, 0, 'a', '1'),
    put(3, 0, 'a', '2'),
    put(3, 1, 'b', 'x', 77n),
    put(4, 0, 'c', 'gone'),
    del(5, 0, 'c'),
    put(6, 0, 'a', '3'),
    put(6, 1, 'd', 'y'.repeat(5000)),
  ],
  entries: {
    auth: [[utf8('authRevision'), encodeMetaIndex(4)]],
    authUsers: [[utf8('root'), Buffer.from([0x0a, 4, ...utf8('root')])]],
    cluster: [[utf8('clusterVersion'), utf8('3.7.0')]],
    lease: [[Buffer.from([0, 0, 0, 0, 0, 0, 0, 77]), Buffer.from([8, 77, 16, 100])]],
    members: [[utf8('abc'), utf8('{"id":2748,"peerURLs":["http://old:2380"],"name":"old"}')]],
    members_removed: [[utf8('def'), utf8('removed')]],
    meta: [
      [utf8('confState'), confStateJson({ voters: [2748n], learners: [], votersOutgoing: [], learnersNext: [], autoLeave: false })],
      [utf8('consistent_index'), encodeMetaIndex(900)],
      [utf8('finishedCompactRev'), revisionKey(3, 0)],
      [utf8('scheduledCompactRev'), revisionKey(3, 0)],
      [utf8('storageVersion'), utf8('3.7.0')],
      [utf8('term'), encodeMetaIndex(7)],
    ],
  },
};

export async function snapshotOf(content: Content): Promise<Buffer> {
  const file = await fileOf(content);
  return Buffer.concat([file, createHash('sha256').update(file).digest()]);
}

export function store(disk: Disk, path: string, bytes: Uint8Array): void {
  const file = disk.open(path, { write: true, create: true, truncate: true });
  file.write(bytes, 0);
  file.close();
}

export function load(disk: Disk, path: string): Buffer {
  const file = disk.open(path, { write: false });
  const bytes = Buffer.alloc(file.size());
  file.read(bytes, 0);
  file.close();
  return bytes;
}

/** Every file below a folder, by path. */
export function tree(disk: Disk, path: string, into: Record<string, string> = {}): Record<string, string> {
  for (const name of disk.list(path)) {
    const below = path === '/' ? `/${name}` : `${path}/${name}`;
    if (disk.stat(below)?.isDirectory === true) tree(disk, below, into);
    else into[below] = createHash('sha256').update(load(disk, below)).digest('hex');
  }
  return into;
}

export const restoreDefaults: RestoreOptions = {
  path: '/s.db',
  name: 'm1',
  dataDir: '/out',
  walDir: '',
  initialCluster: 'm1=http://10.0.0.1:2380',
  initialClusterToken: 'token',
  initialAdvertisePeerUrls: 'http://10.0.0.1:2380',
  skipHashCheck: false,
  bumpRevision: 0,
  markCompacted: false,
};

export function openAt(disk: Disk, dir: string): LogBackend {
  return openBackend({ ...defaultBackendOptions, disk, clock, log: silentLog, dir });
}

export function contentOfBackend(backend: LogBackend): Content {
  const view = backend.view();
  const rows: Row[] = [];
  const scan = view.rows();
  for (let row = scan.next(); row !== undefined; row = scan.next()) rows.push(row);
  scan.close();
  const entries: Record<string, [Uint8Array, Uint8Array][]> = {};
  for (const bucket of ['alarm', 'auth', 'authRoles', 'authUsers', 'cluster', 'lease', 'members', 'members_removed', 'meta'] as const)
    entries[bucket] = view.entries(bucket);
  view.release();
  return { rows, entries };
}

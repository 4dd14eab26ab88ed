/**
 * Files of raft snapshots: `TTTTTTTTTTTTTTTT-IIIIIIIIIIIIIIII.snap`, term and index in 16 hex digits. They hold a position in the raft log
 * and the membership there; what the state machine was is in the store.
 *
 *   snappb.snapshot   1 crc uint32 = CRC-32C of data   2 data = raftpb.Snapshot
 *
 * A file gets its name only when it is durable (rule D-7), so that a bad one is a rotten one: it is renamed `NAME.broken`, and the next older
 * one that the log knows serves (rule F-7).
 */
import { SnapshotCodec } from '../../../api/gen/raftpb.ts';
import { SnapshotFile } from '../../../api/gen/snappb.ts';
import { crc32c } from '../../../base/crc32c.ts';
import { DiskError, type Disk, type DiskOp, type DiskThread } from '../../../base/disk.ts';
import type { Log } from '../../../base/log.ts';
import type { Snapshot } from '../../../raft/types.ts';
import { hex16 } from '../wal/format.ts';

export interface SnapshotName {
  readonly name: string;
  readonly term: number;
  readonly index: number;
}

/** A snapshot file that cannot be used. `empty`: no content; `corrupt`: its checksum or its form is wrong. */
export class SnapshotError extends Error {
  readonly code: 'empty' | 'corrupt';
  readonly path: string;

  constructor(code: 'empty' | 'corrupt', path: string, cause?: unknown) {
    super(code === 'empty' ? `snap: empty snapshot (${path})` : `snap: crc mismatch (${path})`, { cause });
    this.code = code;
    this.path = path;
  }
}

export interface SnapshotterOptions {
  readonly disk: Disk;
  /** `DATA/member/snap`. */
  readonly dir: string;
  readonly log: Log;
  /** Brackets the encoding of each snapshot's file: called before it, what it returns after it. */
  readonly encoding?: (() => () => void) | undefined;
}

export class Snapshotter {
  readonly #disk: Disk;
  readonly #dir: string;
  readonly #log: Log;
  readonly #encoding: (() => () => void) | undefined;
  #thread: DiskThread | undefined;

  constructor(options: SnapshotterOptions) {
    this.#disk = options.disk;
    this.#dir = options.dir;
    this.#log = options.log;
    this.#encoding = options.encoding;
  }

  /**
   * Writes a snapshot's file; `done` when file and name are durable. Off the loop. Next comes the record in the WAL.
   * An empty snapshot (index 0) is not written.
   */
  save(snapshot: Snapshot, done: (error: DiskError | undefined, syncMs: number) => void): void {
    this.#thread ??= this.#disk.thread('snap');
    const place = placeOf(snapshot);
    if (place === undefined) {
      this.#thread.submit([], done);
      return;
    }
    const path = `${this.#dir}/${place.name}`;
    const temporary = `${this.#dir}/tmp-${place.name}`;
    const encoded = this.#encoding?.();
    const bytes = encodeSnapshotFile(snapshot);
    encoded?.();
    try {
      const file = this.#disk.open(temporary, { write: true, create: true, truncate: true, mode: 0o600 });
      const ops: DiskOp[] = [
        { kind: 'write', file, bytes, position: 0 },
        { kind: 'sync', file },
        { kind: 'rename', from: temporary, to: path },
        { kind: 'syncDir', path: this.#dir },
      ];
      this.#thread.submit(ops, (error, syncMs) => {
        file.close();
        done(error, syncMs);
      });
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
      // In the order of the saves, and never before this returns.
      this.#thread.submit([], () => done(error, 0));
    }
  }

  /** As `save`, on the calling thread: for start-up and offline tools. @throws DiskError */
  saveSync(snapshot: Snapshot): void {
    const place = placeOf(snapshot);
    if (place === undefined) return;
    const temporary = `${this.#dir}/tmp-${place.name}`;
    const file = this.#disk.open(temporary, { write: true, create: true, truncate: true, mode: 0o600 });
    try {
      file.write(encodeSnapshotFile(snapshot), 0);
      file.sync();
    } finally {
      file.close();
    }
    this.#disk.rename(temporary, `${this.#dir}/${place.name}`);
    this.#disk.syncDir(this.#dir);
  }

  /** Snapshot files, newest first. */
  names(): SnapshotName[] {
    const found: SnapshotName[] = [];
    for (const name of this.#disk.list(this.#dir)) {
      const parsed = parseSnapshotName(name);
      if (parsed !== undefined) found.push(parsed);
    }
    return found.reverse();
  }

  /** Reads one file. @throws SnapshotError, DiskError */
  read(name: SnapshotName): Snapshot {
    const path = `${this.#dir}/${name.name}`;
    const file = this.#disk.open(path, { write: false });
    try {
      const bytes = new Uint8Array(file.size());
      file.read(bytes, 0);
      const snapshot = decodeSnapshotFile(bytes, path);
      if (snapshot.metadata?.index !== name.index || snapshot.metadata.term !== name.term) throw new SnapshotError('corrupt', path);
      return snapshot;
    } finally {
      file.close();
    }
  }

  /** Reads one file; a bad one is renamed `NAME.broken` and gives undefined. */
  load(name: SnapshotName): Snapshot | undefined {
    try {
      return this.read(name);
    } catch (error) {
      if (!(error instanceof SnapshotError)) throw error;
      const path = `${this.#dir}/${name.name}`;
      this.#log.warn('failed to read a snap file', { path, error: error.message });
      this.#disk.rename(path, `${path}.broken`);
      this.#log.warn('renamed to a broken snap file', { path, 'broken-path': `${path}.broken` });
      return undefined;
    }
  }

  /** The newest sound snapshot for which `wanted` holds. */
  loadNewest(wanted: (name: SnapshotName) => boolean = () => true): Snapshot | undefined {
    for (const name of this.names()) {
      if (!wanted(name)) continue;
      const snapshot = this.load(name);
      if (snapshot !== undefined) return snapshot;
    }
    return undefined;
  }

  /** Removes the oldest `.snap` files and the oldest `.snap.db` files until `keep` of each are left (0: no limit). Returns their names. */
  purge(keep: number): string[] {
    if (keep === 0) return [];
    const removed: string[] = [];
    const all = this.#disk.list(this.#dir);
    for (const kind of [/^[0-9a-f]{16}-[0-9a-f]{16}\.snap$/, /^[0-9a-f]{16}\.snap\.db$/]) {
      const files = all.filter((n) => kind.test(n));
      removed.push(...files.slice(0, Math.max(0, files.length - keep)));
    }
    this.#remove(removed, 'failed to purge snap files');
    return removed;
  }

  /** Removes received databases older than `index`: that snapshot is durable in the store itself. */
  releaseDatabases(index: number): string[] {
    const old = this.#disk.list(this.#dir).filter((n) => {
      const m = /^([0-9a-f]{16})\.snap\.db$/.exec(n);
      return m !== null && Number.parseInt(m[1] as string, 16) < index;
    });
    this.#remove(old, 'failed to remove old snapshot databases');
    return old;
  }

  /** Where a received database for a snapshot at `index` lies. */
  databasePath(index: number): string {
    return `${this.#dir}/${hex16(index)}.snap.db`;
  }

  /** Removes what interrupted work left: half-written snapshots and defragmentation files. For start-up. Returns their names. */
  removeOrphans(): string[] {
    const orphans = this.#disk.list(this.#dir).filter((n) => n.startsWith('tmp') || n.startsWith('db.tmp'));
    for (const name of orphans) {
      this.#disk.removeTree(`${this.#dir}/${name}`);
      this.#log.info('found orphaned file; deleting', { path: `${this.#dir}/${name}` });
    }
    return orphans;
  }

  close(): void {
    this.#thread?.close();
    this.#thread = undefined;
  }

  #remove(names: readonly string[], failure: string): void {
    if (names.length === 0) return;
    this.#thread ??= this.#disk.thread('snap');
    let left = names.length;
    for (const name of names) {
      this.#thread.submit([{ kind: 'unlink', path: `${this.#dir}/${name}` }], (error) => {
        // Asked for twice before the first was done.
        if (error !== undefined && error.code !== 'ENOENT') this.#log.warn(failure, { error: error.message });
        if (--left === 0) this.#log.info('purged', { names });
      });
    }
  }
}

export function snapshotFileName(term: number, index: number): string {
  return `${hex16(term)}-${hex16(index)}.snap`;
}

export function parseSnapshotName(name: string): SnapshotName | undefined {
  const m = /^([0-9a-f]{16})-([0-9a-f]{16})\.snap$/.exec(name);
  if (m === null) return undefined;
  const term = Number.parseInt(m[1] as string, 16);
  const index = Number.parseInt(m[2] as string, 16);
  return Number.isSafeInteger(term) && Number.isSafeInteger(index) ? { name, term, index } : undefined;
}

export function encodeSnapshotFile(snapshot: Snapshot): Uint8Array {
  const data = SnapshotCodec.encode(snapshot);
  return SnapshotFile.encode({ crc: crc32c(0, data), data });
}

/** @throws SnapshotError */
export function decodeSnapshotFile(bytes: Uint8Array, path: string): Snapshot {
  if (bytes.length === 0) throw new SnapshotError('empty', path);
  try {
    const file = SnapshotFile.decode(bytes);
    if (file.data.length === 0 || file.crc === 0) throw new SnapshotError('empty', path);
    if (crc32c(0, file.data) !== file.crc) throw new SnapshotError('corrupt', path);
    return SnapshotCodec.decode(file.data);
  } catch (error) {
    if (error instanceof SnapshotError) throw error;
    throw new SnapshotError('corrupt', path, error);
  }
}

function placeOf(snapshot: Snapshot): SnapshotName | undefined {
  const metadata = snapshot.metadata;
  if (metadata === undefined || metadata.index === 0) return undefined;
  return { name: snapshotFileName(metadata.term, metadata.index), term: metadata.term, index: metadata.index };
}

/**
 * A rewrite: one or more neighbouring segments become one file without the rows that were dead at a checkpoint of the index.
 *
 * Order, and what a crash in between leaves:
 *   1. the index checkpoint that knows of those deaths is durable (so no replay meets a kill whose row is gone),
 *   2. live rows go to a temporary file (a leftover, removed at the next open),
 *   3. from here until step 5 no checkpoint begins: whatever dies from now on is replayed behind every checkpoint that does not know the new file,
 *   4. a commit makes durable what died since step 1; only then may the footer say so,
 *   5. footer with those rows, sync, rename, sync of the directory: the new file counts,
 *   6. the old files go when their last reader is done (leftovers until then).
 */
import type { Clock } from '../../../base/clock.ts';
import { failpoint } from '../../../base/failpoint.ts';
import type { Disk, DiskThread } from '../../../base/disk.ts';
import { CorruptError } from '../backend.ts';
import type { LogPosition } from './format.ts';
import {
  eachKill,
  encodeHeader,
  encodeKills,
  isRow,
  killBytes,
  recordHeader,
  recordIsSound,
  recordType,
  rowMain,
  rowSub,
  segmentName,
  writeKill,
} from './format.ts';
import { LogFile, RowDirectory } from './log-file.ts';
import type { LogSnapshot } from './log-scan.ts';
import { SnapshotExpiredError } from './log-scan.ts';
import type { LogStore } from './log-store.ts';

/** Bytes read and copied in one slice: about 1 ms with checksums. */
const sliceBytes = 512 * 1024;
/** Output not yet on the disk. */
const inFlightBytesMax = 4 * 1024 * 1024;

export interface RewriteOptions {
  readonly disk: Disk;
  readonly dir: string;
  readonly clock: Clock;
  readonly thread: DiskThread;
  readonly log: LogStore;
  /** Neighbours, ascending. */
  readonly files: readonly LogFile[];
  /** As of the checkpoint: says what is dead. */
  readonly snapshot: LogSnapshot;
  readonly deadAsOf: LogPosition;
  /** Resolves when all that was done so far is durable. */
  readonly committed: () => Promise<void>;
  /** True from making up the footer until the new file is in place. */
  readonly finalizing: (on: boolean) => void;
}

/** Runs one rewrite. @throws DiskError, CorruptError, SnapshotExpiredError */
export function rewrite(options: RewriteOptions): Promise<LogFile> {
  return new Promise((resolve, reject) => new Rewrite(options, resolve, reject));
}

class Rewrite {
  readonly #o: RewriteOptions;
  readonly #resolve: (file: LogFile) => void;
  readonly #reject: (error: unknown) => void;
  readonly #out: LogFile;
  readonly #finalName: string;
  #source = 0;
  #offset = 0;
  #inFlight = 0;
  #scheduled = false;
  #ended = false;

  constructor(options: RewriteOptions, resolve: (file: LogFile) => void, reject: (error: unknown) => void) {
    this.#o = options;
    this.#resolve = resolve;
    this.#reject = reject;
    const { files, dir, disk } = options;
    const first = files[0] as LogFile;
    const last = files[files.length - 1] as LogFile;
    const generation = files.reduce((g, f) => Math.max(g, f.header.generation), 0) + 1;
    const header = {
      first: first.first,
      last: last.last,
      generation,
      before: first.header.before,
      commitsBefore: first.header.commitsBefore,
      deadAsOf: options.deadAsOf,
    };
    this.#finalName = `${dir}/${segmentName(header.first, header.last, generation)}`;
    const path = `${this.#finalName}.tmp`;
    this.#out = new LogFile(path, disk.open(path, { write: true, create: true, truncate: true }), header);
    this.#out.setDirectory(new RowDirectory());
    const head = encodeHeader(header);
    this.#write(head);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled || this.#ended || this.#inFlight >= inFlightBytesMax) return;
    this.#scheduled = true;
    this.#o.clock.defer(() => {
      this.#scheduled = false;
      if (this.#ended) return;
      try {
        this.#slice();
      } catch (error) {
        this.#fail(error);
      }
    });
  }

  #slice(): void {
    if (this.#o.snapshot.expired) throw new SnapshotExpiredError('the rewrite lost its snapshot');
    const file = this.#o.files[this.#source];
    if (file === undefined) {
      if (this.#inFlight === 0) this.#finish();
      return;
    }
    if (this.#offset >= file.end) {
      this.#source++;
      this.#offset = 0;
      this.#schedule();
      return;
    }
    let to = Math.min(this.#offset + sliceBytes, file.end);
    let b = this.#o.log.readStretch(file, this.#offset, to);
    const firstBytes = b.readUInt32LE(4);
    if (firstBytes > b.length) {
      to = this.#offset + firstBytes;
      if (to > file.end) throw new CorruptError({ path: file.path, offset: this.#offset, what: 'record with a wrong length' });
      b = this.#o.log.readStretch(file, this.#offset, to);
    }
    this.#copy(file, b);
    this.#schedule();
  }

  /** Copies what lives in a block of whole records; a record cut off by its end is left for the next. */
  #copy(file: LogFile, b: Buffer): void {
    const out = Buffer.allocUnsafeSlow(b.length);
    let used = 0;
    let at = 0;
    const start = this.#offset;
    while (at + recordHeader <= b.length) {
      const size = b.readUInt32LE(at + 4);
      if (size >= recordHeader && at + size > b.length && start + at + size <= file.end && at > 0) break;
      if (!recordIsSound(b, at, b.length))
        throw new CorruptError({ path: file.path, offset: start + at, what: 'record with a wrong checksum' });
      const type = b[at + 8] as number;
      if (isRow(type)) {
        if (!this.#o.snapshot.isDead(file, start + at)) {
          b.copy(out, used, at, at + size);
          this.#out.noteRow(rowMain(b, at), rowSub(b, at), this.#out.end + used, size);
          used += size;
        }
      } else if (type === recordType.kills) {
        const kept = this.#keptKills(file, b, at);
        if (kept !== undefined) {
          // Never larger than the record it comes from.
          kept.copy(out, used);
          used += kept.length;
        }
      }
      at += size;
    }
    this.#offset = start + at;
    failpoint('rewriteBeforeBatch');
    if (used > 0) this.#write(out.subarray(0, used));
  }

  /** Kills of rows that are still physically somewhere else: a rebuild needs them. */
  #keptKills(file: LogFile, b: Buffer, at: number): Buffer | undefined {
    const kept = Buffer.allocUnsafe(b.readUInt32LE(at + recordHeader) * killBytes);
    let used = 0;
    eachKill(b, at, (main, sub) => {
      const target = this.#o.log.fileOfRevision(main, sub);
      if (target === undefined || this.#o.files.includes(target) || target.header.deadAsOf.segment > file.last) return;
      writeKill(kept, used, main, sub);
      used += killBytes;
    });
    return used === 0 ? undefined : encodeKills(kept, used);
  }

  #write(bytes: Buffer, then?: () => void): void {
    const position = this.#out.end;
    this.#out.end += bytes.length;
    this.#inFlight += bytes.length;
    this.#o.thread.submit([{ kind: 'write', file: this.#out.file, bytes, position }], (error) => {
      this.#inFlight -= bytes.length;
      if (error !== undefined) this.#fail(error);
      else if (then !== undefined) then();
      else this.#schedule();
    });
  }

  /** All rows are on the disk. What died meanwhile goes into the footer, once it is durable that it died. */
  #finish(): void {
    this.#ended = true;
    this.#o.finalizing(true);
    const killed = this.#o.files.flatMap((f) => f.killedSince ?? []);
    this.#o.committed().then(
      () => {
        try {
          this.#seal(killed);
        } catch (error) {
          this.#o.finalizing(false);
          this.#fail(error);
        }
      },
      (error: unknown) => {
        this.#o.finalizing(false);
        this.#fail(error);
      },
    );
  }

  #seal(killed: readonly number[]): void {
    const { log, files, dir, thread, finalizing } = this.#o;
    const out = this.#out;
    out.sealed = true;
    const offsets: number[] = [];
    for (let i = 0; i < killed.length; i += 2) {
      const row = log.findIn(out, killed[i] as number, killed[i + 1] as number);
      if (row !== undefined) offsets.push(row.offset);
    }
    const footer = out.finish(offsets);
    failpoint('rewriteBeforeSwap');
    thread.submit(
      [
        { kind: 'write', file: out.file, bytes: footer, position: out.end },
        { kind: 'sync', file: out.file },
        { kind: 'rename', from: out.path, to: this.#finalName },
        { kind: 'syncDir', path: dir },
      ],
      (error) => {
        if (error !== undefined) {
          finalizing(false);
          this.#fail(error);
          return;
        }
        failpoint('rewriteAfterSwap');
        out.path = this.#finalName;
        const all = files.flatMap((f) => f.killedSince ?? []);
        log.replace(files, out);
        out.killedSince = all;
        for (let i = 0; i < all.length; i += 2) {
          const row = log.findIn(out, all[i] as number, all[i + 1] as number);
          if (row !== undefined) log.markDead(out, row.offset, row.size);
        }
        finalizing(false);
        this.#resolve(out);
      },
    );
  }

  #fail(error: unknown): void {
    this.#ended = true;
    const out = this.#out;
    try {
      this.#o.thread.submit([{ kind: 'unlink', path: out.path }], () => {
        out.file.close();
        this.#reject(error);
      });
    } catch {
      // The thread is gone with the disk; what went wrong first is what counts.
      this.#reject(error);
    }
  }
}

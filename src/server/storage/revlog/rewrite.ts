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

/** Bytes read and copied in one slice: less than 1 ms with checksums. */
const sliceBytes = 256 * 1024;
/** Kills looked up in the new file in one slice: about 1 ms. */
const sliceKills = 250;
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
  readonly #in = Buffer.allocUnsafeSlow(sliceBytes);
  /** Output memory that is not on its way to the disk; shared, so that the disk thread writes it from where it is. */
  readonly #free: Buffer[] = [];
  #source = 0;
  #offset = 0;
  #inFlight = 0;
  #scheduled = false;
  #ended = false;
  /** Place in the list of kills up to which they are marked in the new file. */
  #marked = 0;
  readonly #marks: { readonly offset: number; readonly size: number }[] = [];
  #pagesEpoch: number;

  constructor(options: RewriteOptions, resolve: (file: LogFile) => void, reject: (error: unknown) => void) {
    this.#o = options;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#pagesEpoch = options.log.pagesEpoch;
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
    let b = this.#read(file, Math.min(sliceBytes, file.end - this.#offset));
    const firstBytes = b.readUInt32LE(4);
    if (firstBytes > b.length) {
      if (this.#offset + firstBytes > file.end)
        throw new CorruptError({ path: file.path, offset: this.#offset, what: 'record with a wrong length' });
      b = this.#read(file, firstBytes);
    }
    this.#copy(file, b);
    this.#schedule();
  }

  #read(file: LogFile, bytes: number): Buffer {
    const b = bytes <= sliceBytes ? this.#in.subarray(0, bytes) : Buffer.allocUnsafeSlow(bytes);
    const n = file.file.read(b, this.#offset);
    if (n !== bytes) throw new CorruptError({ path: file.path, offset: this.#offset + n, what: 'segment cut short' });
    return b;
  }

  /** Copies what lives in a block of whole records; a record cut off by its end is left for the next. */
  #copy(file: LogFile, b: Buffer): void {
    const out =
      b.length <= sliceBytes ? (this.#free.pop() ?? Buffer.from(new SharedArrayBuffer(sliceBytes))) : Buffer.allocUnsafeSlow(b.length);
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
    if (used > 0) this.#write(out.subarray(0, used), out);
    else this.#free.push(out);
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

  /** `memory`, when given, may be used again after the write. */
  #write(bytes: Buffer, memory?: Buffer): void {
    const position = this.#out.end;
    this.#out.end += bytes.length;
    this.#inFlight += bytes.length;
    this.#o.thread.submit([{ kind: 'write', file: this.#out.file, bytes, position }], (error) => {
      this.#inFlight -= bytes.length;
      if (memory?.length === sliceBytes) this.#free.push(memory);
      if (error !== undefined) this.#fail(error);
      else this.#schedule();
    });
  }

  /** All rows are on the disk. What died meanwhile is marked in the new file, in slices, and goes into its footer once that is durable. */
  #finish(): void {
    this.#ended = true;
    this.#o.finalizing(true);
    this.#out.sealed = true;
    // What was killed by now is durable when this commit is; later kills are replayed behind every checkpoint there is.
    const kills = this.#kills.length;
    this.#o.committed().then(
      () => this.#guard(() => this.#catchUp(kills, () => this.#seal())),
      (error: unknown) => this.#fail(error),
    );
  }

  /** Writes footer and name, then takes the place of the old files. */
  #seal(): void {
    const { dir, thread } = this.#o;
    const out = this.#out;
    const footer = out.finish(this.#marks.map((m) => m.offset));
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
          this.#fail(error);
          return;
        }
        failpoint('rewriteAfterSwap');
        out.path = this.#finalName;
        this.#guard(() => this.#swap());
      },
    );
  }

  /** When few marks are left, makes them and exchanges the files, in one turn. */
  #swap(): void {
    if (this.#kills.length - this.#marked > 2 * sliceKills) {
      this.#catchUp(this.#kills.length, () => this.#swap());
      return;
    }
    this.#mark(this.#kills.length);
    this.#o.log.replace(this.#o.files, this.#out);
    this.#o.finalizing(false);
    this.#resolve(this.#out);
  }

  /** The kills since the checkpoint, main and sub in turn; grows. */
  get #kills(): readonly number[] {
    return this.#o.log.killsSince ?? [];
  }

  /** Marks kills up to a place in the list in slices, then goes on. */
  #catchUp(upTo: number, then: () => void): void {
    this.#mark(Math.min(upTo, this.#marked + 2 * sliceKills));
    if (this.#marked >= upTo) then();
    else this.#o.clock.defer(() => this.#guard(() => this.#catchUp(upTo, then)));
  }

  #mark(upTo: number): void {
    const { log } = this.#o;
    const out = this.#out;
    if (this.#pagesEpoch !== log.pagesEpoch) {
      // The index was made anew, and the marks that were in its pages are gone.
      this.#pagesEpoch = log.pagesEpoch;
      out.bitmaps = [];
      out.deadBytes = 0;
      for (const m of this.#marks) log.markDead(out, m.offset, m.size);
    }
    const kills = this.#kills;
    for (; this.#marked < upTo; this.#marked += 2) {
      const row = log.findIn(out, kills[this.#marked] as number, kills[this.#marked + 1] as number);
      if (row === undefined) continue;
      log.markDead(out, row.offset, row.size);
      this.#marks.push({ offset: row.offset, size: row.size });
    }
  }

  #guard(fn: () => void): void {
    try {
      fn();
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    this.#ended = true;
    const out = this.#out;
    this.#o.finalizing(false);
    if (this.#pagesEpoch === this.#o.log.pagesEpoch) this.#o.log.freeBits(out);
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

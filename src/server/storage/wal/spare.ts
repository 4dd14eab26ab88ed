/**
 * The next segment, made ahead of time: when the current one is half full, a file of zeros grows in step with it, so that a cut finds it
 * ready and a sync of the new segment has no space to allot. A small or short-lived log never pays for it.
 *
 * The zeros are written and synced in slices by a thread that is not the log's: one large sync would hold up the log's own. It is the one of raft's
 * snapshot files, which has next to nothing to do: a thread more costs 6 MB.
 */
import type { Disk, DiskFile, DiskThread } from '../../../base/disk.ts';
import type { Log } from '../../../base/log.ts';

/** Zeros written and synced at a time. A slow disk (50 MB/s) takes 20 ms for it. */
const sliceBytesMax = 1 << 20;

export interface SpareSegment {
  readonly path: string;
  readonly file: DiskFile;
}

export class SpareMaker {
  readonly #disk: Disk;
  readonly #dir: string;
  readonly #log: Log;
  readonly #segmentBytes: number;
  #thread: DiskThread | undefined;
  #spare: SpareSegment | undefined;
  /** Zero-filled so far. */
  #filled = 0;
  #filling = false;
  /** A spare could not be filled in this segment: no second try before the cut. */
  #gaveUp = false;
  #closed = false;

  constructor(options: { readonly disk: Disk; readonly dir: string; readonly log: Log; readonly segmentBytes: number }) {
    this.#disk = options.disk;
    this.#dir = options.dir;
    this.#log = options.log;
    this.#segmentBytes = options.segmentBytes;
  }

  /** Called as the current segment fills. */
  advance(position: number): void {
    const half = this.#segmentBytes / 2;
    if (position < half || this.#filling || this.#gaveUp || this.#closed) return;
    // Two bytes for each that the log gained since the half, and one slice ahead.
    const wanted = Math.min(this.#segmentBytes, (position - half) * 2 + sliceBytesMax);
    if (this.#filled < wanted) this.#fill();
  }

  /** Hands the spare over, a fresh file when there is none ready, and begins anew. It is locked, and grown to its full length by the caller. */
  take(): SpareSegment {
    this.#gaveUp = false;
    const spare = this.#spare;
    // While zeros are under way they might land on records: such a spare is let go.
    if (spare === undefined || this.#filling) {
      this.#spare = undefined;
      this.#filled = 0;
      return this.#create();
    }
    this.#spare = undefined;
    this.#filled = 0;
    return spare;
  }

  /** Runs slow work of the log that may wait, behind the filling. */
  thread(): DiskThread {
    this.#thread ??= this.#disk.thread('snap');
    return this.#thread;
  }

  /** Removes the spare; `done` runs when nothing is under way any more. */
  close(done: () => void): void {
    this.#closed = true;
    if (this.#spare !== undefined && !this.#filling) this.#drop(this.#spare);
    this.#spare = undefined;
    const thread = this.#thread;
    if (thread === undefined) {
      done();
      return;
    }
    // Behind everything else in the thread.
    thread.submit([], () => done());
    thread.close();
  }

  #create(): SpareSegment {
    // The first name that is free: one is often in use by a cut under way, and now and then another by a spare that was let go.
    let n = 0;
    while (this.#disk.stat(this.#pathOf(n)) !== undefined) n++;
    const path = this.#pathOf(n);
    const file = this.#disk.open(path, { write: true, create: true, exclusive: true, mode: 0o600 });
    file.lock();
    return { path, file };
  }

  #pathOf(n: number): string {
    return `${this.#dir}/${n}.tmp`;
  }

  #fill(): void {
    const spare = (this.#spare ??= this.#create());
    const upTo = Math.min(this.#segmentBytes, this.#filled + sliceBytesMax);
    this.#filling = true;
    this.thread().submit(
      [
        { kind: 'allocate', file: spare.file, bytes: upTo },
        { kind: 'sync', file: spare.file },
      ],
      (error) => {
        this.#filling = false;
        if (this.#spare !== spare || this.#closed) {
          this.#drop(spare);
          return;
        }
        if (error !== undefined) {
          // Nothing is lost yet: the cut makes a file without zeros, and only a failed write of records is fatal.
          this.#log.warn('failed to preallocate space when creating a new WAL', { error: error.message });
          this.#gaveUp = true;
          this.#spare = undefined;
          this.#filled = 0;
          this.#drop(spare);
          return;
        }
        this.#filled = upTo;
      },
    );
  }

  #drop(spare: SpareSegment): void {
    spare.file.close();
    try {
      this.#disk.unlink(spare.path);
    } catch (error) {
      // Left for the next start, which removes such files.
      this.#log.warn('failed to remove a spare WAL segment', { path: spare.path, error: String(error) });
    }
  }
}

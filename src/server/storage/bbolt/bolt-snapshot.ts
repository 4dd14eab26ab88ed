/**
 * The store as of one moment as a bbolt file, streamed: rows are read twice, once to know how many pages there will be, once to fill them.
 * Nothing but the page in the making and the pieces not yet taken is held. The same content gives the same bytes.
 */
import { emptyBytes, utf8 } from '../../../base/bytes.ts';
import type { Clock } from '../../../base/clock.ts';
import { invariant } from '../../../base/invariant.ts';
import { bucketNames, type BackendView, type BucketName, type RowScan, type RowSize } from '../backend.ts';
import { bucketLeafFlag, encodeMetaPage, pageBytes, writeU64 } from './format.ts';
import { revisionKeyBytes, tombstoneKeyBytes, writeRevisionKey } from './revision-key.ts';
import { TreeWriter, type BucketRoot, type PageOut } from './tree-writer.ts';

/**
 * Time that one slice of the work takes on the event loop: this share of what everything else took since the last one, so that requests under way are
 * at most half as slow again, within these bounds.
 */
const sliceShare = 0.5;
const sliceMinMs = 0.25;
const sliceMaxMs = 2;
/** Bytes of entries between two looks at the clock: some 0.05 ms of work. */
const bytesPerClockLook = 16 * 1024;
/** Rows that are only counted between two looks at the clock: as much, or a read of a block. */
const rowsPerClockLook = 128;
/** Entries of a small bucket fetched at once. */
const entriesBytesMax = 8 * 1024;
/** What an entry costs beside its bytes, so that small ones are counted too. */
const entryCostBytes = 512;
/** Pages are put together in pieces of this size. */
const pieceBytes = 64 * 1024;
/** Pieces ready and not taken at which a slice ends early. */
const readyBytesMax = 512 * 1024;
/** Pieces given back that are kept for the next ones: memory outside of the heap that is only dropped makes the collector run ever again. */
const sparePiecesMax = 8;
/** Transaction ids of the two meta pages, counted from a given one. bbolt takes the higher one. */
const txids = [2n, 1n] as const;

/** The snapshot was closed before it was read to its end. */
export class SnapshotClosedError extends Error {
  readonly code = 'snapshot-closed';

  constructor() {
    super('the snapshot was closed');
  }
}

/** What is read of a store. */
export type SnapshotView = Pick<BackendView, 'rows' | 'entries' | 'entriesFrom' | 'release'>;

interface Layout {
  readonly root: number;
  readonly pages: number;
}

export class BoltSnapshot {
  readonly #clock: Pick<Clock, 'mono' | 'defer'>;
  readonly #view: SnapshotView;
  readonly #transaction: bigint;
  #layout: Promise<Layout> | undefined;
  #writing: Generator<void, Layout> | undefined;
  #out: PieceOut | undefined;
  #scan: RowScan | undefined;
  #lastSliceEnd = Infinity;
  #ended = false;
  #closed = false;

  /** Takes over the view. @param options  `transaction`: how many transactions the file claims to have seen, 0 by default. */
  constructor(options: {
    readonly view: SnapshotView;
    readonly clock: Pick<Clock, 'mono' | 'defer'>;
    readonly transaction?: number | undefined;
  }) {
    this.#clock = options.clock;
    this.#view = options.view;
    this.#transaction = BigInt(options.transaction ?? 0);
  }

  /** Length of the file. The first call reads all rows, in slices. @throws SnapshotClosedError, CorruptError */
  async totalBytes(): Promise<number> {
    this.#layout ??= this.#plan();
    return (await this.#layout).pages * pageBytes;
  }

  /** The next piece, whole pages; undefined at the end. Owned by the caller, who may give it back. @throws SnapshotClosedError, CorruptError */
  async next(): Promise<Uint8Array | undefined> {
    this.#layout ??= this.#plan();
    const layout = await this.#layout;
    if (this.#closed) throw new SnapshotClosedError();
    if (this.#out === undefined) {
      const out = new PieceOut();
      for (const [id, txid] of txids.entries()) {
        out.take(1);
        encodeMetaPage(id, { pageBytes, root: layout.root, pages: layout.pages, txid: this.#transaction + txid }).copy(out.memory(1));
      }
      this.#out = out;
      this.#writing = this.#write(out, true);
    }
    const out = this.#out;
    const writing = this.#writing as Generator<void, Layout>;
    while (out.ready.length === 0 && !this.#ended) {
      await this.#turn();
      const step = this.#step(writing, () => out.readyBytes >= readyBytesMax);
      if (step === undefined) continue;
      invariant(step.root === layout.root && step.pages === layout.pages, 'both readings of the store give the same file', {
        ...step,
        planned: layout.pages,
      });
      this.#ended = true;
      out.end();
    }
    const piece = out.shift();
    if (piece === undefined) this.close();
    return piece;
  }

  /** Takes back a piece that nobody reads any more. */
  giveBack(piece: Uint8Array): void {
    this.#out?.giveBack(piece);
  }

  /** Gives the view back. Further calls fail. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#scan?.close();
    this.#scan = undefined;
    this.#view.release();
  }

  async #plan(): Promise<Layout> {
    const work = this.#write(new PageCount(), false);
    for (;;) {
      await this.#turn();
      const layout = this.#step(work, () => false);
      if (layout !== undefined) return layout;
    }
  }

  /** Runs one slice. @returns what the work came to when it is at its end. */
  #step(work: Generator<void, Layout>, enough: () => boolean): Layout | undefined {
    const start = this.#clock.mono();
    const until = start + Math.min(sliceMaxMs, Math.max(sliceMinMs, (start - this.#lastSliceEnd) * sliceShare));
    let now: number;
    do {
      const r = work.next();
      if (r.done === true) return r.value;
      now = this.#clock.mono();
    } while (!enough() && now < until);
    this.#lastSliceEnd = now;
    return undefined;
  }

  /** A turn of the event loop of its own. @throws SnapshotClosedError */
  async #turn(): Promise<void> {
    await new Promise<void>((resolve) => this.#clock.defer(resolve));
    if (this.#closed) throw new SnapshotClosedError();
  }

  /** Yields where a slice may end. */
  *#write(out: PageOut, copying: boolean): Generator<void, Layout> {
    const roots: [string, BucketRoot][] = [];
    for (const bucket of [...bucketNames, 'key' as const].sort()) {
      const tree = new TreeWriter(out, { copying });
      if (bucket === 'key') yield* copying ? this.#addRows(tree) : this.#countRows(tree);
      else yield* this.#addEntries(tree, bucket);
      roots.push([bucket, tree.finish(true)]);
      yield;
    }
    const tree = new TreeWriter(out, { copying });
    for (const [name, root] of roots) {
      const key = utf8(name);
      tree.add(key, key.length, 'inline' in root ? root.inline : bucketHeader(root.page), bucketLeafFlag);
    }
    const root = tree.finish(false);
    invariant('page' in root, 'the root bucket has a page');
    return { root: root.page, pages: out.take(0) };
  }

  *#addEntries(tree: TreeWriter, bucket: BucketName): Generator<void> {
    const view = this.#view;
    let from: Uint8Array | undefined = emptyBytes;
    while (from !== undefined) {
      const part: ReturnType<NonNullable<SnapshotView['entriesFrom']>> = view.entriesFrom?.(bucket, from, entriesBytesMax) ?? {
        entries: view.entries(bucket),
        next: undefined,
      };
      let spent = 0;
      for (const [key, value] of part.entries) {
        tree.add(key, key.length, value);
        spent += key.length + value.length + entryCostBytes;
        if (spent < bytesPerClockLook) continue;
        spent = 0;
        yield;
      }
      from = part.next;
      yield;
    }
  }

  *#addRows(tree: TreeWriter): Generator<void> {
    const rows = (this.#scan = this.#view.rows({ lent: true }));
    const key = Buffer.alloc(tombstoneKeyBytes);
    let spent = 0;
    for (let row = rows.next(); row !== undefined; row = rows.next()) {
      writeRevisionKey(key, row.main, row.sub);
      tree.add(key, row.tombstone ? tombstoneKeyBytes : revisionKeyBytes, row.value);
      spent += row.value.length + entryCostBytes;
      if (spent < bytesPerClockLook) continue;
      spent = 0;
      yield;
    }
    rows.close();
    this.#scan = undefined;
  }

  *#countRows(tree: TreeWriter): Generator<void> {
    const rows = (this.#scan = this.#view.rows({ lent: true }));
    const size: RowSize = { tombstone: false, bytes: 0 };
    let spent = 0;
    while (measure(rows, size)) {
      tree.count(size.tombstone ? tombstoneKeyBytes : revisionKeyBytes, size.bytes);
      if (++spent < rowsPerClockLook) continue;
      spent = 0;
      yield;
    }
    rows.close();
    this.#scan = undefined;
  }
}

function measure(rows: RowScan, into: RowSize): boolean {
  if (rows.measure !== undefined) return rows.measure(into);
  const row = rows.next();
  if (row === undefined) return false;
  into.tombstone = row.tombstone;
  into.bytes = row.value.length;
  return true;
}

function bucketHeader(page: number): Buffer {
  const b = Buffer.alloc(16);
  writeU64(b, 0, page);
  return b;
}

/** The first pass: numbers only. */
class PageCount implements PageOut {
  #next: number = txids.length;

  take(pages: number): number {
    const id = this.#next;
    this.#next += pages;
    return id;
  }

  memory(): undefined {
    return undefined;
  }
}

/** The second pass: pages in pieces. */
class PieceOut implements PageOut {
  readonly ready: Buffer[] = [];
  readyBytes = 0;
  #next = 0;
  #piece: Buffer = Buffer.from(emptyBytes);
  #used = 0;
  readonly #spare: ArrayBuffer[] = [];

  take(pages: number): number {
    const id = this.#next;
    this.#next += pages;
    return id;
  }

  memory(pages: number): Buffer {
    const bytes = pages * pageBytes;
    if (this.#used + bytes > this.#piece.length) {
      this.end();
      const spare = bytes <= pieceBytes ? this.#spare.pop() : undefined;
      this.#piece = spare === undefined ? Buffer.allocUnsafeSlow(Math.max(pieceBytes, bytes)) : Buffer.from(spare);
    }
    const at = this.#used;
    this.#used += bytes;
    return this.#piece.subarray(at, this.#used);
  }

  /** What was begun is ready. */
  end(): void {
    if (this.#used === 0) return;
    this.ready.push(this.#piece.subarray(0, this.#used));
    this.readyBytes += this.#used;
    this.#used = 0;
    this.#piece = Buffer.from(emptyBytes);
  }

  giveBack(piece: Uint8Array): void {
    const { buffer } = piece;
    if (buffer instanceof ArrayBuffer && buffer.byteLength === pieceBytes && this.#spare.length < sparePiecesMax) this.#spare.push(buffer);
  }

  shift(): Buffer | undefined {
    const piece = this.ready.shift();
    if (piece !== undefined) this.readyBytes -= piece.length;
    return piece;
  }
}

/**
 * Content of a store, mostly a bbolt file, into a backend under construction: restore, migration, a received snapshot. Runs in slices, so that it may share
 * the event loop. Started anew after a crash: a build that was not finished counts for nothing.
 */
import type { Clock } from '../../../base/clock.ts';
import { bucketNames, type BackendBuilder, type BucketName, type Row } from '../backend.ts';
import { BoltError } from './bolt-reader.ts';
import type { StoreContent } from './bolt-store.ts';

/** Time that one slice may take on the event loop. */
const sliceMs = 2;
/** Rows between two looks at the clock: some 0.2 ms. */
const rowsPerClockLook = 32;
/** Bytes of a row that count as one more row. */
const bytesPerRow = 2048;

export interface ImportOptions {
  readonly clock: Pick<Clock, 'mono' | 'defer'>;
  /** Length of a slice in ms; a tool that has the process for itself takes longer ones. */
  readonly sliceMs?: number;
  /** Replaces or leaves out (undefined) an entry of a small bucket. */
  readonly entry?: (bucket: BucketName, key: Uint8Array, value: Uint8Array) => Uint8Array | undefined;
  /** Looked at between slices: true ends the import with `ImportCancelled`. */
  readonly cancelled?: () => boolean;
  /** Bytes of rows so far, after each slice. */
  readonly progress?: (bytes: number) => void;
}

export interface Imported {
  readonly rows: number;
  /** Of the rows' values. */
  readonly bytes: number;
  /** The newest row, undefined without any. */
  readonly last: Pick<Row, 'main' | 'sub'> | undefined;
}

export class ImportCancelled extends Error {
  readonly code = 'import-cancelled';
}

/** Hands over everything but does not `finish` the builder: the caller may add to it. @throws BoltError, ImportCancelled, DiskError */
export async function importBolt(store: StoreContent, builder: BackendBuilder, options: ImportOptions): Promise<Imported> {
  const { clock } = options;
  const result = { rows: 0, bytes: 0, last: undefined as Imported['last'] };
  const work = copy(store, builder, options, result);
  for (;;) {
    const until = clock.mono() + (options.sliceMs ?? sliceMs);
    do if (work.next().done === true) return result;
    while (clock.mono() < until);
    options.progress?.(result.bytes);
    await new Promise<void>((resolve) => clock.defer(resolve));
    if (options.cancelled?.() === true) throw new ImportCancelled('the import was cancelled');
  }
}

/** Yields where a slice may end. */
function* copy(
  store: StoreContent,
  builder: BackendBuilder,
  options: ImportOptions,
  result: { rows: number; bytes: number; last: Imported['last'] },
): Generator<void> {
  let spent = 0;
  for (const bucket of bucketNames) {
    for (const [key, value] of store.walk(bucket)) {
      if (bucket === 'meta') checkMeta(store, key, value);
      const kept = options.entry === undefined ? value : options.entry(bucket, key, value);
      if (kept !== undefined) builder.addEntry(bucket, key, kept);
      if (++spent < rowsPerClockLook) continue;
      spent = 0;
      yield;
    }
  }
  const rows = store.rows();
  for (let row = rows.next(); row !== undefined; row = rows.next()) {
    builder.addRow(row);
    result.rows++;
    result.bytes += row.value.length;
    result.last = row;
    spent += 1 + Math.floor(row.value.length / bytesPerRow);
    if (spent < rowsPerClockLook) continue;
    spent = 0;
    yield;
  }
}

/** The meta entries that the backend itself reads. */
function checkMeta(store: StoreContent, key: Uint8Array, value: Uint8Array): void {
  const name = Buffer.from(key).toString('latin1');
  const wrong = (name === 'consistent_index' || name === 'term') && (value.length !== 8 || value[0] !== 0 || (value[1] as number) > 0x1f);
  if (wrong) throw new BoltError({ path: store.path, what: `bucket meta: ${name} is no raft index or term` });
}

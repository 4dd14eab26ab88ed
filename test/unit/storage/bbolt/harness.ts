// Stores made of plain arrays, and what a bbolt file made of them holds.
import type { DiskFile } from '../../../../src/base/disk.ts';
import type { SeededRandom } from '../../../../src/base/random.ts';
import { bucketNames, type BackendView, type BucketName, type Row } from '../../../../src/server/storage/backend.ts';
import { BoltReader } from '../../../../src/server/storage/bbolt/bolt-reader.ts';
import { BoltSnapshot } from '../../../../src/server/storage/bbolt/bolt-snapshot.ts';
import { BoltStore } from '../../../../src/server/storage/bbolt/bolt-store.ts';
import { encodeKeyValue, encodeTombstone } from '../../../../src/server/mvcc/key-value.ts';

/** Time stands still; deferred work runs in the next turn. */
export const clock = {
  now: 0,
  mono(): number {
    return (this.now += 0.5);
  },
  defer(fn: () => void): void {
    setImmediate(fn);
  },
};

export interface Content {
  readonly rows: readonly Row[];
  readonly entries: Partial<Record<BucketName, readonly [Uint8Array, Uint8Array][]>>;
}

export class ArrayView implements BackendView {
  readonly consistentIndex = 0;
  readonly consistentTerm = 0;
  readonly confState = undefined;
  readonly content: Content;
  open = 0;
  released = false;

  constructor(content: Content) {
    this.content = content;
  }

  get rowCount(): number {
    return this.content.rows.length;
  }

  rows(): { next(): Row | undefined; close(): void } {
    let i = 0;
    this.open++;
    return { next: () => this.content.rows[i++], close: () => this.open-- };
  }

  entries(bucket: BucketName): [Uint8Array, Uint8Array][] {
    return [...(this.content.entries[bucket] ?? [])];
  }

  release(): void {
    this.released = true;
  }
}

export async function fileOf(content: Content): Promise<Buffer> {
  const view = new ArrayView(content);
  const snapshot = new BoltSnapshot({ view, clock });
  const total = await snapshot.totalBytes();
  const pieces: Uint8Array[] = [];
  for (let p = await snapshot.next(); p !== undefined; p = await snapshot.next()) pieces.push(p);
  const file = Buffer.concat(pieces);
  if (file.length !== total) throw new Error(`${file.length} bytes instead of ${total}`);
  if (!view.released || view.open !== 0) throw new Error('the view is still held');
  return file;
}

/** Bytes as a file to read. */
export function diskFile(bytes: Uint8Array, path = '/db'): DiskFile {
  const no = (): never => {
    throw new Error('the file is for reading');
  };
  return {
    path,
    size: () => bytes.length,
    read(into, position) {
      const part = bytes.subarray(position, position + into.length);
      into.set(part);
      return part.length;
    },
    write: no,
    truncate: no,
    allocate: no,
    sync: no,
    lock: no,
    close: () => undefined,
  };
}

export function contentOf(file: DiskFile, bytes?: number): Content {
  const store = new BoltStore(new BoltReader(file, bytes));
  const rows: Row[] = [];
  const scan = store.rows();
  for (let row = scan.next(); row !== undefined; row = scan.next()) rows.push(row);
  const entries: Partial<Record<BucketName, [Uint8Array, Uint8Array][]>> = {};
  for (const bucket of bucketNames) entries[bucket] = store.entries(bucket);
  return { rows, entries };
}

/** To compare by `toEqual`. */
export function plain(content: Content): unknown {
  const hex = (b: Uint8Array): string => Buffer.from(b).toString('hex');
  return {
    rows: content.rows.map((r) => `${r.main}.${r.sub}${r.tombstone ? 't' : ''} ${hex(r.value)}`),
    entries: Object.fromEntries(bucketNames.map((b) => [b, (content.entries[b] ?? []).map(([k, v]) => `${hex(k)}=${hex(v)}`)])),
  };
}

export function below(random: SeededRandom, n: number): number {
  return Math.floor(random.float() * n);
}

export function randomBytes(random: SeededRandom, n: number): Buffer {
  const b = Buffer.alloc(n);
  for (let i = 0; i < n; i++) b[i] = below(random, 256);
  return b;
}

/** Rows as a store has them: several writes a revision, deletes of keys that are there, sizes from a few bytes to several pages. */
export function randomContent(random: SeededRandom, rowCount: number): Content {
  const rows: Row[] = [];
  const live: Buffer[] = [];
  let main = 1;
  let sub = 0;
  for (let i = 0; i < rowCount; i++) {
    if (i === 0 || below(random, 4) > 0) {
      main += 1 + (below(random, 20) === 0 ? below(random, 1e9) : 0);
      sub = 0;
    } else sub += 1;
    if (live.length > 0 && below(random, 8) === 0) {
      const at = below(random, live.length);
      rows.push({ main, sub, tombstone: true, value: encodeTombstone(live[at] as Buffer) });
      live.splice(at, 1);
      continue;
    }
    const key = randomBytes(random, 1 + below(random, below(random, 50) === 0 ? 5000 : 40));
    const size = below(random, [20, 300, 3000, 5000, 40_000][below(random, below(random, 10) === 0 ? 5 : 2)] as number);
    rows.push({ main, sub, tombstone: false, value: encodeKeyValue(key, main, main, 1, Buffer.alloc(size, i), 0n) });
    live.push(key);
  }
  const entries: Partial<Record<BucketName, [Uint8Array, Uint8Array][]>> = {};
  for (const bucket of bucketNames) {
    const n = below(random, [1, 5, 60, 2000][below(random, 4)] as number);
    const long = n <= 60 && below(random, 6) === 0;
    const keys = new Map<string, Buffer>();
    for (let i = 0; i < n; i++) {
      const key = randomBytes(random, 1 + below(random, long ? 3000 : 30));
      keys.set(key.toString('latin1'), key);
    }
    // The meta keys that a backend reads itself are not made of random bytes.
    entries[bucket] = [...keys.values()].sort(Buffer.compare).map((k) => [k, randomBytes(random, below(random, 60))]);
  }
  return { rows, entries };
}

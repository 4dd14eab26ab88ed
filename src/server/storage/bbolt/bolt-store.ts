/** A bbolt file as etcd's store: rows and small buckets. */
import type { BackendView, BucketName, Row, RowScan } from '../backend.ts';
import { bucketNames } from '../backend.ts';
import { BoltError, type BoltReader } from './bolt-reader.ts';
import { isRevisionKey, revisionMain, revisionSub, tombstoneKeyBytes } from './revision-key.ts';

/** Largest revision and place in a transaction that the revision log holds. */
const mainMax = 2 ** 48 - 1;
const subMax = 2 ** 32 - 2;

/** What a store of either kind shows to those that copy or hash it. */
export interface StoreContent extends Pick<BackendView, 'rows' | 'entries'> {
  /** Where it lies, for messages. */
  readonly path: string;
  /** As `entries`, one by one. */
  walk(bucket: BucketName): Iterable<[Uint8Array, Uint8Array]>;
}

export class BoltStore implements StoreContent {
  readonly reader: BoltReader;

  constructor(reader: BoltReader) {
    this.reader = reader;
  }

  get path(): string {
    return this.reader.path;
  }

  /** Buckets that etcd's store does not have; nothing reads them. */
  get unknownBuckets(): string[] {
    const known: readonly string[] = ['key', ...bucketNames];
    return this.reader.buckets.filter((name) => !known.includes(name));
  }

  /** @throws BoltError  at what is no row. */
  rows(): RowScan {
    return new BoltRows(this.reader);
  }

  entries(bucket: BucketName): [Uint8Array, Uint8Array][] {
    const list: [Uint8Array, Uint8Array][] = [];
    for (const entry of this.walk(bucket)) list.push(entry);
    return list;
  }

  *walk(bucket: BucketName): Generator<[Uint8Array, Uint8Array]> {
    const cursor = this.reader.cursor(bucket);
    if (cursor === undefined) return;
    while (cursor.next()) yield [cursor.key, cursor.value];
  }
}

class BoltRows implements RowScan {
  readonly #path: string;
  readonly #cursor: ReturnType<BoltReader['cursor']>;
  #main = 1;
  #sub = 0;

  constructor(reader: BoltReader) {
    this.#path = reader.path;
    this.#cursor = reader.cursor('key');
  }

  next(): Row | undefined {
    const cursor = this.#cursor;
    if (cursor === undefined || !cursor.next()) return undefined;
    const { bytes, keyAt, keyBytes, value } = cursor;
    if (!isRevisionKey(bytes, keyAt, keyBytes)) throw this.#error(`${Buffer.from(cursor.key).toString('hex')} is no revision`);
    const main = revisionMain(bytes, keyAt);
    const sub = revisionSub(bytes, keyAt);
    const tombstone = keyBytes === tombstoneKeyBytes;
    if (main < this.#main || main > mainMax || sub > subMax || (main === this.#main && sub <= this.#sub))
      throw this.#error(`revision ${main}.${sub} cannot follow ${this.#main}.${this.#sub}`);
    if (!isRowValue(value, tombstone)) throw this.#error(`revision ${main}.${sub} is no stored key`);
    this.#main = main;
    this.#sub = sub;
    return { main, sub, tombstone, value };
  }

  close(): void {}

  #error(what: string): BoltError {
    return new BoltError({ path: this.#path, what: `bucket key: ${what}` });
  }
}

/**
 * Whether bytes are `mvccpb.KeyValue` as etcd writes it: key, create_revision, mod_revision, version, value, lease, in ascending order, with
 * nothing else; a tombstone's the key alone. An empty row is one too: a restore with a revision bump leaves it.
 */
export function isRowValue(b: Uint8Array, tombstone: boolean): boolean {
  let at = 0;
  let before = 0;
  while (at < b.length) {
    const tag = b[at++] as number;
    if (tag <= before) return false;
    before = tag;
    const lengthy = tag === 0x0a || (tag === 0x2a && !tombstone);
    if (!lengthy && (tombstone || (tag !== 0x10 && tag !== 0x18 && tag !== 0x20 && tag !== 0x30))) return false;
    const end = varintEnd(b, at);
    if (end < 0) return false;
    if (lengthy) {
      const length = varint(b, at, end);
      if (end + length > b.length || (tag === 0x0a && length === 0)) return false;
      at = end + length;
    } else at = end;
  }
  return b.length === 0 ? !tombstone : b[0] === 0x0a;
}

/** Where a varint ends; −1 when it is cut off or longer than ten bytes. */
function varintEnd(b: Uint8Array, at: number): number {
  const stop = Math.min(at + 10, b.length);
  for (let i = at; i < stop; i++) if ((b[i] as number) < 128) return i + 1;
  return -1;
}

/** The varint in [at, end): exact up to 2^53, which is beyond every length. */
function varint(b: Uint8Array, at: number, end: number): number {
  let value = 0;
  for (let i = end; i-- > at;) value = value * 128 + ((b[i] as number) & 127);
  return value;
}

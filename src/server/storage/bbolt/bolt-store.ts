/** A bbolt file as etcd's store: rows and small buckets. */
import type { BackendView, BucketName, Row, RowScan } from '../backend.ts';
import { bucketNames } from '../backend.ts';
import { BoltError, type BoltReader } from './bolt-reader.ts';
import { parseRevisionKey } from './revision-key.ts';

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
    const revision = parseRevisionKey(cursor.key);
    if (revision === undefined) throw this.#error(`${Buffer.from(cursor.key).toString('hex')} is no revision`);
    const { main, sub, tombstone } = revision;
    if (main < this.#main || main > mainMax || sub > subMax || (main === this.#main && sub <= this.#sub))
      throw this.#error(`revision ${main}.${sub} cannot follow ${this.#main}.${this.#sub}`);
    if (!isRowValue(cursor.value, tombstone)) throw this.#error(`revision ${main}.${sub} is no stored key`);
    this.#main = main;
    this.#sub = sub;
    return { main, sub, tombstone, value: cursor.value };
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
    if (tag === 0x0a || (tag === 0x2a && !tombstone)) {
      const length = varint(b, at);
      if (length === undefined) return false;
      at = length.end + length.value;
      if (at > b.length || (tag === 0x0a && length.value === 0)) return false;
    } else if (!tombstone && (tag === 0x10 || tag === 0x18 || tag === 0x20 || tag === 0x30)) {
      const v = varint(b, at);
      if (v === undefined) return false;
      at = v.end;
    } else return false;
  }
  return b.length === 0 ? !tombstone : b[0] === 0x0a;
}

/** Exact up to 2^53, which is beyond every length. Undefined when cut off or longer than ten bytes. */
function varint(b: Uint8Array, at: number): { value: number; end: number } | undefined {
  let value = 0;
  for (let i = 0; i < 10; i++) {
    const byte = b[at + i];
    if (byte === undefined) return undefined;
    value += (byte & 127) * 2 ** (7 * i);
    if (byte < 128) return { value, end: at + i + 1 };
  }
  return undefined;
}

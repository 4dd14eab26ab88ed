/**
 * Index entries of rows on their way in, for a build: gathered in the order of revisions and entered in the order of keys, a batch at a time. Behind the
 * last key there is nothing to look for and nothing to move, so the tree's code for that hardly runs: a build is over before the compiler is
 * done with it.
 */
import { compareBytes } from '../../../base/bytes.ts';
import type { KeyIndex } from '../index/key-index.ts';

/** Rows of one batch, some 15 MB while it is gathered. A database of fewer is sorted as a whole. */
const batchRowsDefault = 128 * 1024;
/** Bytes of keys of one batch. */
const batchKeyBytes = 16 * 1024 * 1024;

export class IndexLoad {
  readonly #index: KeyIndex;
  readonly #rowsMax: number;
  #rows = 0;
  #keyBytes = 0;
  /** Keys, a character a byte, with the row of the newest version. */
  readonly #newest = new Map<string, number>();
  /** Of each version the one before, −1 at the oldest. */
  readonly #older: Int32Array;
  readonly #mains: Float64Array;
  readonly #subs: Uint32Array;
  readonly #segments: Uint32Array;
  readonly #offsets: Uint32Array;
  readonly #sizes: Uint32Array;
  readonly #tombstones: Uint8Array;
  /** Of rows that have one. */
  readonly #leases = new Map<number, bigint>();

  constructor(index: KeyIndex, batchRows = batchRowsDefault) {
    this.#index = index;
    this.#rowsMax = batchRows;
    this.#older = new Int32Array(batchRows);
    this.#mains = new Float64Array(batchRows);
    this.#subs = new Uint32Array(batchRows);
    this.#segments = new Uint32Array(batchRows);
    this.#offsets = new Uint32Array(batchRows);
    this.#sizes = new Uint32Array(batchRows);
    this.#tombstones = new Uint8Array(batchRows);
  }

  /** As `KeyIndex.append`. The key is copied. @throws IndexPageError  what was gathered is then lost */
  add(key: Uint8Array, main: number, sub: number, tombstone: boolean, segment: number, offset: number, size: number, lease: bigint): void {
    const row = this.#rows++;
    const name = Buffer.from(key.buffer, key.byteOffset, key.length).latin1Slice();
    this.#older[row] = this.#newest.get(name) ?? -1;
    this.#newest.set(name, row);
    this.#mains[row] = main;
    this.#subs[row] = sub;
    this.#segments[row] = segment;
    this.#offsets[row] = offset;
    this.#sizes[row] = size;
    this.#tombstones[row] = tombstone ? 1 : 0;
    if (lease !== 0n) this.#leases.set(row, lease);
    this.#keyBytes += key.length;
    if (this.#rows === this.#rowsMax || this.#keyBytes >= batchKeyBytes) this.flush();
  }

  /** Enters what was gathered. @throws IndexPageError */
  flush(): void {
    if (this.#rows === 0) return;
    const last = this.#index.lastKey();
    const versions: number[] = [];
    for (const name of [...this.#newest.keys()].sort()) {
      const key = Buffer.from(name, 'latin1');
      versions.length = 0;
      for (let row = this.#newest.get(name) as number; row >= 0; row = this.#older[row] as number) versions.push(row);
      // Behind all others the newest version comes first; among others, where older ones may be, it comes last.
      const behind = last === undefined || compareBytes(last, key) < 0;
      if (behind) for (let i = 0; i < versions.length; i++) this.#load(key, versions[i] as number, i === 0);
      else for (let i = versions.length; i-- > 0;) this.#append(key, versions[i] as number);
    }
    this.#newest.clear();
    this.#leases.clear();
    this.#rows = 0;
    this.#keyBytes = 0;
  }

  #load(key: Buffer, row: number, newest: boolean): void {
    this.#index.load(
      key,
      this.#mains[row] as number,
      this.#subs[row] as number,
      this.#tombstones[row] === 1,
      newest,
      this.#segments[row] as number,
      this.#offsets[row] as number,
      this.#sizes[row] as number,
      this.#leases.get(row) ?? 0n,
    );
  }

  #append(key: Buffer, row: number): void {
    this.#index.append(
      key,
      this.#mains[row] as number,
      this.#subs[row] as number,
      this.#tombstones[row] === 1,
      this.#segments[row] as number,
      this.#offsets[row] as number,
      this.#sizes[row] as number,
      this.#leases.get(row) ?? 0n,
    );
  }
}

/**
 * The index of the revision log: key → versions, lease → keys, and the small buckets, as three trees in one page store.
 *
 * It says where a row was written first (segment, offset). The log finds rows that moved in a rewrite by their revision, so a rewrite
 * changes nothing here.
 */
import { compareBytes, copyBytes, emptyBytes, equalBytes } from '../../../base/bytes.ts';
import { invariant } from '../../../base/invariant.ts';
import type { BucketName, KeyRange, Revision, ShowValue, Version, VersionCursor } from '../backend.ts';
import { bucketNames } from '../backend.ts';
import { type VersionList, versionsAtOnce } from '../version-list.ts';
import { cellFlag, revisionMax, subMax } from './page-format.ts';
import type { PageStore } from './page-store.ts';
import { Tree, weight } from './tree.ts';

/** A version with the size of its row, so that one read fetches it. */
export interface IndexVersion extends Version {
  /** Bytes of the whole record in the log. */
  readonly size: number;
}

/** Roots of the three trees; 0 = an empty tree is made. */
export interface IndexRoots {
  readonly keys: number;
  readonly leases: number;
  readonly buckets: number;
}

/** Segment number and offset in one number: `segment * 2^32 + offset`. */
export const positionShift = 4294967296;

/** Cells of one key that a cursor steps over before it seeks: a seek costs about as much as ten steps. */
const stepsMax = 10;

export class KeyIndex {
  #keys: Tree;
  #leases: Tree;
  #buckets: Tree;
  readonly #payload = Buffer.alloc(20);
  readonly #payloadView = new DataView(this.#payload.buffer, this.#payload.byteOffset, 20);

  constructor(store: PageStore, roots: IndexRoots) {
    this.#keys = new Tree(store, roots.keys);
    this.#leases = new Tree(store, roots.leases);
    this.#buckets = new Tree(store, roots.buckets);
  }

  /** Goes on with empty trees in another store; cursors find their way by their keys. */
  reset(store: PageStore): void {
    this.#keys = new Tree(store, 0);
    this.#leases = new Tree(store, 0);
    this.#buckets = new Tree(store, 0);
  }

  get keyTree(): Tree {
    return this.#keys;
  }

  get roots(): IndexRoots {
    return { keys: this.#keys.root, leases: this.#leases.root, buckets: this.#buckets.root };
  }

  latest(key: Uint8Array): IndexVersion | undefined {
    const t = this.#keys;
    return t.seek(key, revisionMax, subMax) && t.compareKey(key) === 0 ? versionAt(t) : undefined;
  }

  visible(key: Uint8Array, rev: number): IndexVersion | undefined {
    const t = this.#keys;
    if (!t.seek(key, Math.min(rev, revisionMax), subMax) || (t.flags & cellFlag.tombstone) !== 0 || t.compareKey(key) !== 0)
      return undefined;
    return versionAt(t);
  }

  /** One version of a key, exactly. */
  find(key: Uint8Array, revision: Revision): IndexVersion | undefined {
    const t = this.#keys;
    if (!t.seek(key, revision.main, revision.sub) || t.main !== revision.main || t.sub !== revision.sub) return undefined;
    return t.compareKey(key) === 0 ? versionAt(t) : undefined;
  }

  countLatest(range: KeyRange): number {
    const { key, end } = range;
    if (end === undefined) {
      const t = this.#keys;
      return t.seek(key, revisionMax, subMax) && weight(t.flags) === 1 && t.compareKey(key) === 0 ? 1 : 0;
    }
    if (end.length === 0) return this.#keys.total() - (key.length === 0 ? 0 : this.#keys.rank(key));
    return compareBytes(key, end) >= 0 ? 0 : this.#keys.rank(end) - this.#keys.rank(key);
  }

  cursor(range: KeyRange, rev: number): VersionCursor {
    const at = Math.min(rev, revisionMax);
    return range.end === undefined ? new PointCursor(this, range.key, at) : new ForwardCursor(this, range, at);
  }

  /**
   * Enters a new newest version. Revisions of a key must go up.
   *
   * @param segment, offset  where the row lies;  @param size  bytes of its record;  @param lease  0n = none
   */
  append(
    key: Uint8Array,
    main: number,
    sub: number,
    tombstone: boolean,
    segment: number,
    offset: number,
    size: number,
    lease: bigint,
  ): void {
    const t = this.#keys;
    let delta = tombstone ? 0 : 1;
    let formerLease = 0n;
    if (t.stayForNewer(key, main, sub) || t.seekInsert(key, main, sub)) {
      if (t.compareKey(key) === 0) {
        const flags = t.flags;
        invariant((flags & cellFlag.newest) !== 0 && (t.main < main || (t.main === main && t.sub < sub)), 'revisions of a key go up', {
          main,
        });
        if (flags & cellFlag.lease) formerLease = leaseAt(t);
        const w = weight(flags);
        t.setFlags(flags & ~cellFlag.newest, 0);
        delta -= w;
      }
    } else if (t.step() && t.compareKey(key) === 0) {
      // The former newest version begins the next page.
      const flags = t.flags;
      invariant((flags & cellFlag.newest) !== 0 && (t.main < main || (t.main === main && t.sub < sub)), 'revisions of a key go up', {
        main,
      });
      if (flags & cellFlag.lease) formerLease = leaseAt(t);
      t.setFlags(flags & ~cellFlag.newest, -weight(flags));
      t.seekInsert(key, main, sub);
    } else t.seekInsert(key, main, sub);

    const now = tombstone ? 0n : lease;
    const flags = cellFlag.newest | (tombstone ? cellFlag.tombstone : 0) | (now === 0n ? 0 : cellFlag.lease);
    t.insertHere(key, main, sub, flags, this.#payload, this.#setPayload(segment, offset, size, now), delta);
    if (formerLease !== now) {
      if (formerLease !== 0n) this.#detach(formerLease, key);
      if (now !== 0n) this.#leases.insert(leaseKey(now, key), 0, 0, cellFlag.newest, emptyBytes);
    }
  }

  /** The greatest key, a copy; undefined without any. */
  lastKey(): Buffer | undefined {
    const t = this.#keys;
    t.seekLast();
    return t.stepBack() ? t.key() : undefined;
  }

  /** Enters a version behind all that are there: keys must go up, and of each the newest version comes first. Otherwise as `append`. */
  load(
    key: Uint8Array,
    main: number,
    sub: number,
    tombstone: boolean,
    newest: boolean,
    segment: number,
    offset: number,
    size: number,
    lease: bigint,
  ): void {
    const now = tombstone ? 0n : lease;
    const flags = (newest ? cellFlag.newest : 0) | (tombstone ? cellFlag.tombstone : 0) | (now === 0n ? 0 : cellFlag.lease);
    this.#keys.insertLast(key, main, sub, flags, this.#payload, this.#setPayload(segment, offset, size, now));
    if (newest && now !== 0n) this.#leases.insert(leaseKey(now, key), 0, 0, cellFlag.newest, emptyBytes);
  }

  /** @returns its bytes */
  #setPayload(segment: number, offset: number, size: number, lease: bigint): number {
    const p = this.#payloadView;
    p.setUint32(0, segment, true);
    p.setUint32(4, offset, true);
    p.setUint32(8, size, true);
    if (lease === 0n) return 12;
    p.setBigUint64(12, BigInt.asUintN(64, lease));
    return 20;
  }

  /**
   * Forgets a version: a superseded one, or a tombstone; with a newest tombstone all older versions of the key go as well, or they would
   * seem to exist. Returns what was removed, nothing when it is not there any more.
   */
  kill(key: Uint8Array, revision: Revision): IndexVersion[] {
    const t = this.#keys;
    const found = this.find(key, revision);
    if (found === undefined) return [];
    const flags = t.flags;
    const newest = (flags & cellFlag.newest) !== 0;
    invariant(!newest || found.tombstone, 'the newest version of a key stays', { main: revision.main, sub: revision.sub });
    const killed = [found];
    t.removeHere();
    if (newest)
      while (t.seek(key, revisionMax, subMax) && t.compareKey(key) === 0) {
        killed.push(versionAt(t));
        t.removeHere();
      }
    return killed;
  }

  leaseOf(key: Uint8Array): bigint {
    const t = this.#keys;
    if (!t.seek(key, revisionMax, subMax) || (t.flags & cellFlag.lease) === 0 || t.compareKey(key) !== 0) return 0n;
    return leaseAt(t);
  }

  leaseKeys(lease: bigint): Uint8Array[] {
    const prefix = leaseKey(lease, emptyBytes);
    const keys: Uint8Array[] = [];
    const t = this.#leases;
    if (!t.seek(prefix, revisionMax, subMax)) return keys;
    do {
      const k = t.key();
      if (k.compare(prefix, 0, 8, 0, 8) !== 0) break;
      keys.push(k.subarray(8));
    } while (t.step());
    return keys;
  }

  // Small buckets.

  get(bucket: BucketName, key: Uint8Array): Uint8Array | undefined {
    const t = this.#buckets;
    const k = bucketKey(bucketNumber(bucket), key);
    return t.seek(k, 0, 0) && t.compareKey(k) === 0 ? t.value() : undefined;
  }

  /** Stores a value, or removes it (undefined). Returns the former one. */
  set(bucket: number, key: Uint8Array, value: Uint8Array | undefined): Uint8Array | undefined {
    const t = this.#buckets;
    const k = bucketKey(bucket, key);
    let former: Uint8Array | undefined;
    if (t.seek(k, 0, 0) && t.compareKey(k) === 0) {
      former = t.value();
      t.removeHere();
    }
    if (value !== undefined) t.insert(k, 0, 0, cellFlag.newest, value);
    return former;
  }

  /** Shows the values of a bucket in order. */
  eachValue(bucket: BucketName, show: ShowValue): void {
    const number = bucketNumber(bucket);
    const end = Buffer.from([number + 1]);
    const t = this.#buckets;
    for (let more = t.seek(bucketKey(number, emptyBytes), 0, 0); more && t.compareKey(end) < 0; more = t.step()) t.lendValue(show);
  }

  entries(bucket: BucketName): [Uint8Array, Uint8Array][] {
    const out: [Uint8Array, Uint8Array][] = [];
    const number = bucketNumber(bucket);
    const t = this.#buckets;
    if (!t.seek(bucketKey(number, emptyBytes), 0, 0)) return out;
    do {
      const k = t.key();
      if (k[0] !== number) break;
      out.push([k.subarray(1), t.value()]);
    } while (t.step());
    return out;
  }

  /** Entries of one bucket in order from `from` on, until their bytes reach `bytesMax`. `next`: where to go on, undefined at the end. */
  entriesFrom(
    bucket: BucketName,
    from: Uint8Array,
    bytesMax: number,
  ): { entries: [Uint8Array, Uint8Array][]; next: Uint8Array | undefined } {
    const entries: [Uint8Array, Uint8Array][] = [];
    const number = bucketNumber(bucket);
    const t = this.#buckets;
    let bytes = 0;
    for (let more = t.seek(bucketKey(number, from), 0, 0); more; more = t.step()) {
      const key = t.key();
      if (key[0] !== number) break;
      if (bytes >= bytesMax) return { entries, next: key.subarray(1) };
      const value = t.value();
      entries.push([key.subarray(1), value]);
      bytes += key.length + value.length + 16;
    }
    return { entries, next: undefined };
  }

  /**
   * Entries of all buckets in order, from `from` (bucket number + key) on, until their bytes reach `bytesMax`.
   * @returns where the next call goes on, undefined at the end
   */
  bucketSlice(from: Uint8Array, bytesMax: number): { entries: [Uint8Array, Uint8Array][]; next: Uint8Array | undefined } {
    const entries: [Uint8Array, Uint8Array][] = [];
    const t = this.#buckets;
    let bytes = 0;
    for (let more = t.seek(from, 0, 0); more; more = t.step()) {
      const key = t.key();
      if (bytes >= bytesMax) return { entries, next: key };
      const value = t.value();
      entries.push([key, value]);
      bytes += key.length + value.length + 16;
    }
    return { entries, next: undefined };
  }

  /** Replaces what the bucket tree holds in [from, to) by `entries`; `to` undefined = no end. */
  replaceBuckets(from: Uint8Array, to: Uint8Array | undefined, entries: readonly [Uint8Array, Uint8Array][]): void {
    const t = this.#buckets;
    // Both are in order, and mostly the same: only what differs is touched.
    const missing: (readonly [Uint8Array, Uint8Array])[] = [];
    let i = 0;
    let more = t.seek(from, 0, 0);
    while (more && (to === undefined || t.compareKey(to) < 0)) {
      let order = 1;
      while (i < entries.length && (order = t.compareKey((entries[i] as readonly [Uint8Array, Uint8Array])[0])) > 0)
        missing.push(entries[i++] as readonly [Uint8Array, Uint8Array]);
      const wanted = entries[i];
      if (wanted !== undefined && order === 0 && equalBytes(t.value(), wanted[1])) {
        i++;
        more = t.step();
        continue;
      }
      const key = t.key();
      t.removeHere();
      more = t.seek(key, 0, 0);
    }
    for (; i < entries.length; i++) missing.push(entries[i] as readonly [Uint8Array, Uint8Array]);
    for (const [key, value] of missing) t.insert(key, 0, 0, cellFlag.newest, value);
  }

  get bucketEntries(): number {
    return this.#buckets.total();
  }

  /** Costly: order, counts and the links between trees. `each` gets every version. */
  verify(each?: (key: Uint8Array, version: IndexVersion) => void): void {
    const t = this.#keys;
    let leased = 0;
    let previous: Uint8Array | undefined;
    const leases: [bigint, Uint8Array][] = [];
    t.verify(() => {
      const key = t.key();
      const first = previous === undefined || compareBytes(previous, key) !== 0;
      invariant(first === ((t.flags & cellFlag.newest) !== 0), 'the first cell of a key is its newest version', { main: t.main });
      previous = key;
      if (t.flags & cellFlag.newest && t.flags & cellFlag.lease) {
        leased++;
        leases.push([leaseAt(t), key]);
      }
      each?.(key, versionAt(t));
    });
    let entries = 0;
    this.#leases.verify(() => entries++);
    invariant(entries === leased, 'leased keys are entered once', { entries, leased });
    for (const [lease, key] of leases) {
      const k = leaseKey(lease, key);
      invariant(this.#leases.seek(k, 0, 0) && this.#leases.compareKey(k) === 0, 'a leased key is entered under its lease', { lease });
    }
    this.#buckets.verify();
  }

  #detach(lease: bigint, key: Uint8Array): void {
    const k = leaseKey(lease, key);
    const found = this.#leases.seek(k, 0, 0) && this.#leases.compareKey(k) === 0;
    invariant(found, 'a leased key is entered under its lease', { lease });
    this.#leases.removeHere();
  }
}

export function bucketNumber(bucket: BucketName): number {
  const n = bucketNames.indexOf(bucket);
  invariant(n >= 0, 'the bucket is known', { bucket });
  return n;
}

export function bucketKey(bucket: number, key: Uint8Array): Uint8Array {
  const k = Buffer.allocUnsafe(key.length + 1);
  k[0] = bucket;
  k.set(key, 1);
  return k;
}

function leaseKey(lease: bigint, key: Uint8Array): Uint8Array {
  const k = Buffer.allocUnsafe(8 + key.length);
  k.writeBigUInt64BE(BigInt.asUintN(64, lease), 0);
  k.set(key, 8);
  return k;
}

function leaseAt(t: Tree): bigint {
  return t.view.getBigInt64(t.payload + 12);
}

function versionAt(t: Tree): IndexVersion {
  const p = t.payload;
  const v = t.view;
  return {
    main: t.main,
    sub: t.sub,
    tombstone: (t.flags & cellFlag.tombstone) !== 0,
    position: v.getUint32(p, true) * positionShift + v.getUint32(p + 4, true),
    size: v.getUint32(p + 8, true),
  };
}

const noVersion: IndexVersion = { main: 0, sub: 0, tombstone: false, position: 0, size: 0 };

class PointCursor implements VersionCursor {
  readonly #index: KeyIndex;
  readonly #rev: number;
  #done = false;
  readonly key: Uint8Array;
  version: IndexVersion = noVersion;

  constructor(index: KeyIndex, key: Uint8Array, rev: number) {
    this.#index = index;
    this.key = copyBytes(key);
    this.#rev = rev;
  }

  next(): boolean {
    if (this.#done) return false;
    this.#done = true;
    const v = this.#index.visible(this.key, this.#rev);
    if (v === undefined) return false;
    this.version = v;
    return true;
  }

  fill(list: VersionList, max: number): void {
    list.count = 0;
    if (max <= 0 || !this.next()) return;
    const { main, sub, position, size } = this.version;
    list.add(main, sub, position, size);
  }
}

class ForwardCursor implements VersionCursor {
  readonly #index: KeyIndex;
  #tree: Tree;
  readonly #end: Uint8Array;
  readonly #rev: number;
  #key: Buffer;
  #keyBytes: number;
  version: IndexVersion = noVersion;
  /** Where a new seek starts, with `#key`: −1 behind the key, else its versions from there on. */
  #from = revisionMax;
  #leaf = 0;
  #cell = 0;
  /** −1 = the place is not known. */
  #mutations = -1;
  readonly #path = new Int32Array(32);
  #depth = 0;
  #done = false;
  /** A leaf all of whose keys lie in the range; −1 = none that is known. */
  #leafInside = -1;

  constructor(index: KeyIndex, range: KeyRange, rev: number) {
    this.#index = index;
    this.#tree = index.keyTree;
    this.#key = Buffer.allocUnsafe(Math.max(64, range.key.length));
    this.#key.set(range.key);
    this.#keyBytes = range.key.length;
    this.#end = range.end === undefined ? emptyBytes : copyBytes(range.end);
    this.#rev = rev;
  }

  get key(): Uint8Array {
    return this.#key.subarray(0, this.#keyBytes);
  }

  next(): boolean {
    if (this.#done) return false;
    if (!this.#visible(this.#enter())) {
      this.#done = true;
      return false;
    }
    this.version = versionAt(this.#tree);
    this.#leave();
    return true;
  }

  /** Nothing of the cursor changes before its last step: cut short by an error, it can be called again. */
  fill(list: VersionList, max: number): void {
    list.count = 0;
    if (this.#done || max <= 0) return;
    const wanted = Math.min(max, versionsAtOnce);
    for (let there = this.#visible(this.#enter()); there; there = this.#visible(this.#nextKey())) {
      const t = this.#tree;
      const p = t.payload;
      const v = t.view;
      list.add(t.main, t.sub, v.getUint32(p, true) * positionShift + v.getUint32(p + 4, true), v.getUint32(p + 8, true));
      if (list.count === wanted) {
        this.#leave();
        return;
      }
    }
    this.#done = true;
  }

  /** Behind the last key given, or to the first cell that may count. */
  #enter(): boolean {
    const t = this.#index.keyTree;
    this.#leafInside = -1;
    if (this.#mutations === t.mutations && this.#tree === t) {
      t.restorePath(this.#path, this.#depth);
      t.resume(this.#leaf, this.#cell);
      return this.#nextKey();
    }
    this.#tree = t;
    this.#mutations = -1;
    return t.seek(this.key, this.#from, subMax);
  }

  /** From the place (`there`: it is at a cell) on to the next version that counts. */
  #visible(there: boolean): boolean {
    const t = this.#tree;
    for (;;) {
      if (!there || !this.#isInside(t)) return false;
      // To the version that was visible then; or to another key, which must be looked at from the top.
      if (t.main > this.#rev) there = this.#olderVersion();
      else if ((t.flags & cellFlag.tombstone) !== 0) there = this.#nextKey();
      else return true;
    }
  }

  #isInside(t: Tree): boolean {
    if (this.#end.length === 0 || this.#leafInside === t.leaf) return true;
    if (t.leafIsBefore(this.#end)) {
      this.#leafInside = t.leaf;
      return true;
    }
    return t.compareKey(this.#end) < 0;
  }

  #leave(): void {
    const t = this.#tree;
    this.#keyBytes = t.keyBytes;
    if (this.#keyBytes > this.#key.length) this.#key = Buffer.allocUnsafe(this.#keyBytes * 2);
    t.copyKey(this.#key);
    this.#from = -1;
    this.#leaf = t.leaf;
    this.#cell = t.index;
    this.#mutations = t.mutations;
    this.#depth = t.savePath(this.#path);
  }

  /** From a version newer than wanted to the first that is old enough, or to the next key. */
  #olderVersion(): boolean {
    const t = this.#tree;
    for (let i = 0; i < stepsMax; i++) {
      if (!t.step()) return false;
      if (t.flags & cellFlag.newest || t.main <= this.#rev) return true;
    }
    return t.seek(t.key(), this.#rev, subMax);
  }

  /** From a version of a key to the newest of the next one. */
  #nextKey(): boolean {
    const t = this.#tree;
    for (let i = 0; i < stepsMax; i++) {
      if (!t.step()) return false;
      if (t.flags & cellFlag.newest) return true;
    }
    return t.seek(t.key(), -1, 0);
  }
}

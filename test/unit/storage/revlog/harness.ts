// A model of the backend (plain maps) and random scripts that drive both.
import type { Clock, Timer } from '../../../../src/base/clock.ts';
import { silentLog } from '../../../../src/base/log.ts';
import type { Log } from '../../../../src/base/log.ts';
import type { Disk } from '../../../../src/base/disk.ts';
import type { SeededRandom } from '../../../../src/base/random.ts';
import type { Backend, BackendView, BucketName } from '../../../../src/server/storage/backend.ts';
import { RowGather } from '../../../../src/server/storage/row-gather.ts';
import { VersionList } from '../../../../src/server/storage/version-list.ts';
import { openBackend } from '../../../../src/server/storage/revlog/log-backend.ts';
import type { LogBackend, LogBackendOptions } from '../../../../src/server/storage/revlog/log-backend.ts';

/** Time that passes when told. */
export class ManualClock implements Clock {
  now = 0;
  #timers: { at: number; order: number; fn: () => void }[] = [];
  #deferred: (() => void)[] = [];
  #order = 0;

  mono(): number {
    return this.now;
  }
  wall(): number {
    return this.now;
  }
  after(ms: number, fn: () => void): Timer {
    const t = { at: this.now + ms, order: this.#order++, fn };
    this.#timers.push(t);
    return { cancel: () => (this.#timers = this.#timers.filter((x) => x !== t)) };
  }
  every(ms: number, fn: () => void): Timer {
    let current: Timer;
    const again = (): void => {
      current = this.after(ms, again);
      fn();
    };
    current = this.after(ms, again);
    return { cancel: () => current.cancel() };
  }
  defer(fn: () => void): void {
    this.#deferred.push(fn);
  }
  /** One turn: what was deferred, or the next timer. False when nothing is left to do within `withinMs`. */
  turn(withinMs = Infinity): boolean {
    if (this.#deferred.length > 0) {
      const list = this.#deferred;
      this.#deferred = [];
      for (const fn of list) fn();
      return true;
    }
    this.#timers.sort((a, b) => a.at - b.at || a.order - b.order);
    const t = this.#timers[0];
    if (t === undefined || t.at > this.now + withinMs) return false;
    this.#timers.shift();
    this.now = Math.max(this.now, t.at);
    t.fn();
    return true;
  }
  clear(): void {
    this.#timers = [];
    this.#deferred = [];
  }
}

/** Turns the clock, with promises in between, until the promise is settled. */
export async function settle<T>(clock: ManualClock, promise: Promise<T>): Promise<T> {
  let state: 'open' | 'done' = 'open';
  const mark = promise.then(
    () => (state = 'done'),
    () => (state = 'done'),
  );
  for (let i = 0; state === 'open'; i++) {
    if (i > 200_000) throw new Error('does not settle');
    clock.turn();
    for (let k = 0; k < 8; k++) await Promise.resolve();
  }
  await mark;
  return promise;
}

/** Turns the clock for so many turns, with promises in between. */
export async function turns(clock: ManualClock, n: number): Promise<void> {
  for (let i = 0; i < n; i++) {
    if (!clock.turn()) return;
    for (let k = 0; k < 8; k++) await Promise.resolve();
  }
}

/** `mvccpb.KeyValue` with what the log looks at: key (1), create (2), mod (3), version (4), value (5), lease (6). */
export function kvBytes(key: Uint8Array, main: number, value: Uint8Array, lease: bigint): Uint8Array {
  const varint = (n: bigint): number[] => {
    const out: number[] = [];
    let v = BigInt.asUintN(64, n);
    for (; v >= 128n; v >>= 7n) out.push(Number(v & 127n) | 128);
    out.push(Number(v));
    return out;
  };
  const parts = [
    Buffer.from([0x0a, ...varint(BigInt(key.length))]),
    key,
    Buffer.from([0x10, ...varint(BigInt(main)), 0x18, ...varint(BigInt(main)), 0x20, 1]),
    Buffer.from([0x2a, ...varint(BigInt(value.length))]),
    value,
    Buffer.from(lease === 0n ? [] : [0x30, ...varint(lease)]),
  ];
  return Buffer.concat(parts);
}
export function tombstoneBytes(key: Uint8Array): Uint8Array {
  return kvBytes(key, 0, Buffer.alloc(0), 0n).subarray(0, key.length + (key.length < 128 ? 2 : key.length < 16384 ? 3 : 4));
}

export interface ModelVersion {
  readonly main: number;
  readonly sub: number;
  readonly tombstone: boolean;
  readonly kv: Uint8Array;
  readonly lease: bigint;
}

const byBytes = (a: Uint8Array, b: Uint8Array): number => Buffer.compare(a, b);
const hex = (b: Uint8Array): string => Buffer.from(b).toString('latin1');
const bytes = (s: string): Uint8Array => Buffer.from(s, 'latin1');

/** As vitest's `expect`, for the thousands of comparisons of one run: cheap when it holds. */
export function same(got: unknown, expected: unknown, what: string): void {
  if (got !== expected) throw new Error(`${what}: ${String(got)}, expected ${String(expected)}`);
}
function sameList(got: readonly string[], expected: readonly string[], what: string): void {
  same(got.length, expected.length, `${what}: length`);
  got.forEach((g, i) => same(g, expected[i], `${what} ${i}`));
}

export class Model {
  readonly keys = new Map<string, ModelVersion[]>();
  readonly buckets = new Map<string, Map<string, Uint8Array>>();
  main = 1;
  index = 0;

  apply(op: Op): void {
    if (op.kind === 'write') {
      this.main = op.main;
      op.rows.forEach((r, sub) => {
        const list = this.keys.get(hex(r.key)) ?? [];
        list.push({ main: op.main, sub, tombstone: r.tombstone, kv: r.kv, lease: r.tombstone ? 0n : r.lease });
        this.keys.set(hex(r.key), list);
      });
    } else if (op.kind === 'kill') {
      for (const k of op.kills) {
        const list = (this.keys.get(hex(k.key)) ?? []).filter((v) => v.main !== k.main || v.sub !== k.sub);
        if (list.length === 0) this.keys.delete(hex(k.key));
        else this.keys.set(hex(k.key), list);
      }
    } else if (op.kind === 'bucket') {
      const b = this.buckets.get(op.bucket) ?? new Map<string, Uint8Array>();
      if (op.value === undefined) b.delete(hex(op.key));
      else b.set(hex(op.key), op.value);
      this.buckets.set(op.bucket, b);
    }
    this.index++;
  }

  /** What a compaction at `rev` removes, in the order of revisions. */
  compaction(rev: number): { key: Uint8Array; main: number; sub: number }[] {
    const out: { key: Uint8Array; main: number; sub: number }[] = [];
    for (const [key, list] of this.keys) {
      const old = list.filter((v) => v.main <= rev);
      const kept = old[old.length - 1];
      for (const v of old) if (v !== kept || v.tombstone) out.push({ key: bytes(key), main: v.main, sub: v.sub });
    }
    return out.sort((a, b) => a.main - b.main || a.sub - b.sub);
  }

  sortedKeys(): Uint8Array[] {
    return [...this.keys.keys()].map(bytes).sort(byBytes);
  }

  visible(key: Uint8Array, rev: number): ModelVersion | undefined {
    const list = (this.keys.get(hex(key)) ?? []).filter((v) => v.main <= rev);
    const v = list[list.length - 1];
    return v === undefined || v.tombstone ? undefined : v;
  }

  rows(): ModelVersion[] {
    return [...this.keys.values()].flat().sort((a, b) => a.main - b.main || a.sub - b.sub);
  }

  entries(bucket: BucketName): [Uint8Array, Uint8Array][] {
    return [...(this.buckets.get(bucket) ?? new Map<string, Uint8Array>())]
      .map(([k, v]): [Uint8Array, Uint8Array] => [bytes(k), v])
      .sort((a, b) => byBytes(a[0], b[0]));
  }
}

export type Op =
  | { kind: 'write'; main: number; rows: { key: Uint8Array; tombstone: boolean; kv: Uint8Array; lease: bigint }[] }
  | { kind: 'kill'; kills: { key: Uint8Array; main: number; sub: number }[] }
  | { kind: 'bucket'; bucket: BucketName; key: Uint8Array; value: Uint8Array | undefined };

export const usedBuckets: readonly BucketName[] = ['auth', 'lease', 'members', 'meta'];

export interface ScriptOptions {
  readonly keys: number;
  readonly valueBytes: number;
  readonly longKeys?: boolean;
}

/** Draws the next change. */
export function drawOp(random: SeededRandom, model: Model, options: ScriptOptions): Op {
  const dice = random.u32() % 100;
  if (dice < 70) {
    const main = model.main + 1;
    const used = new Set<number>();
    const rows = [];
    for (let n = 1 + (random.u32() % 3); n > 0; n--) {
      const k = random.u32() % options.keys;
      if (used.has(k)) continue;
      used.add(k);
      const key = keyOf(k, options.longKeys === true);
      const exists = model.visible(key, Infinity) !== undefined;
      const tombstone = exists && random.u32() % 4 === 0;
      const lease = random.u32() % 3 === 0 ? BigInt(random.u32() % 5) - 1n : 0n;
      const value = Buffer.alloc(random.u32() % options.valueBytes, random.u32() & 255);
      rows.push({ key, tombstone, kv: tombstone ? tombstoneBytes(key) : kvBytes(key, main, value, lease), lease });
    }
    return { kind: 'write', main, rows };
  }
  if (dice < 78) return { kind: 'kill', kills: model.compaction(1 + (random.u32() % model.main)) };
  const bucket = usedBuckets[random.u32() % usedBuckets.length] as BucketName;
  const key = Buffer.from(`k${random.u32() % 20}`);
  return { kind: 'bucket', bucket, key, value: random.u32() % 4 === 0 ? undefined : Buffer.alloc(random.u32() % 60, random.u32() & 255) };
}

export function keyOf(k: number, long: boolean): Uint8Array {
  if (!long) return Buffer.from(`key/${k.toString(36)}`);
  const length = [1, 30, 399, 400, 401, 1000, 4081, 9000][k % 8] as number;
  const b = Buffer.alloc(length, 'p');
  b.write(k.toString(36).padStart(4, '0').slice(-Math.min(4, length)), Math.max(0, length - 4));
  return b;
}

export function drive(backend: Backend, op: Op, index: number): void {
  if (op.kind === 'write')
    op.rows.forEach((r, sub) => backend.append({ main: op.main, sub, tombstone: r.tombstone, key: r.key, kv: r.kv, lease: r.lease }));
  else if (op.kind === 'kill') for (const k of op.kills) backend.kill(k.key, { main: k.main, sub: k.sub });
  else if (op.value === undefined) backend.delete(op.bucket, op.key);
  else backend.put(op.bucket, op.key, op.value);
  backend.setConsistentIndex(index, 1);
}

/** Compares everything that the backend can tell with the model. */
export function compare(backend: Backend, model: Model, random: SeededRandom): void {
  const keys = model.sortedKeys();
  same(backend.consistentIndex, model.index, 'consistent index');
  for (const rev of [Infinity, model.main, 1 + (random.u32() % model.main), 1 + (random.u32() % model.main)]) {
    const expected = keys.flatMap((key) => {
      const v = model.visible(key, rev);
      return v === undefined ? [] : [{ key, v }];
    });
    const cursor = backend.cursor({ key: Buffer.alloc(0), end: Buffer.alloc(0) }, rev);
    for (const { key, v } of expected) {
      same(cursor.next(), true, 'cursor goes on');
      same(Buffer.compare(cursor.key, key), 0, 'cursor key');
      same(cursor.version.main, v.main, 'cursor revision');
      same(Buffer.compare(backend.read(cursor.version), v.kv), 0, 'row bytes');
    }
    same(cursor.next(), false, 'cursor ends');
    const gathered = gatherAll(backend, rev, 1 + (random.u32() % 300));
    const rows = new RowGather();
    for (const { v } of expected) rows.add(v.kv, 0, v.kv.length);
    same(gathered.measured, rows.bytes, 'measured bytes');
    same(Buffer.compare(gathered.bytes, Buffer.concat(rows.take())), 0, 'gathered rows');
  }
  const leases = new Map<bigint, Uint8Array[]>();
  for (const key of keys) {
    const list = model.keys.get(hex(key)) as ModelVersion[];
    const newest = list[list.length - 1] as ModelVersion;
    const latest = backend.latest(key);
    same(`${latest?.main}.${latest?.sub}.${latest?.tombstone}`, `${newest.main}.${newest.sub}.${newest.tombstone}`, 'latest');
    same(backend.leaseOf(key), newest.lease, 'lease');
    if (newest.lease !== 0n) leases.set(newest.lease, [...(leases.get(newest.lease) ?? []), key]);
  }
  for (let lease = -1n; lease < 5n; lease++)
    if (lease !== 0n) sameList(backend.leaseKeys(lease).map(hex), (leases.get(lease) ?? []).map(hex), `keys of lease ${lease}`);
  const live = keys.filter((key) => model.visible(key, Infinity) !== undefined);
  same(backend.countLatest({ key: Buffer.alloc(0), end: Buffer.alloc(0) }), live.length, 'count of all');
  for (let i = 0; i < 5 && keys.length > 0; i++) {
    const key = keys[random.u32() % keys.length] as Uint8Array;
    const end = keys[random.u32() % keys.length] as Uint8Array;
    const within = live.filter((k) => Buffer.compare(k, key) >= 0 && Buffer.compare(k, end) < 0);
    same(backend.countLatest({ key, end }), within.length, 'count');
    same(backend.countLatest({ key, end: undefined }), model.visible(key, Infinity) === undefined ? 0 : 1, 'count of one');
    same(backend.countLatest({ key, end: Buffer.alloc(0) }), live.filter((k) => Buffer.compare(k, key) >= 0).length, 'count from');
  }
  const rows = model.rows();
  compareRows(backend.scan(0, Infinity), rows);
  const from = random.u32() % (model.main + 1);
  const to = from + (random.u32() % 20);
  compareRows(
    backend.scan(from, to),
    rows.filter((r) => r.main >= from && r.main < to),
  );
  for (const b of usedBuckets) compareEntries(backend.entries(b), b, model, model.index);
}

export function compareView(view: BackendView, model: Model): void {
  same(view.consistentIndex, model.index, 'index of the view');
  const rows = model.rows();
  same(view.rowCount, rows.length, 'rows of the view');
  compareRows(view.rows(), rows);
  for (const b of usedBuckets) compareEntries(view.entries(b), b, model, model.index);
}

function compareEntries(got: [Uint8Array, Uint8Array][], bucket: BucketName, model: Model, index: number): void {
  const text = ([k, v]: [Uint8Array, Uint8Array]): string => `${hex(k)}=${hex(v)}`;
  const expected = model.entries(bucket);
  if (bucket === 'meta' && index > 0) {
    const b = Buffer.alloc(8);
    b.writeBigUInt64BE(BigInt(index));
    expected.push([Buffer.from('consistent_index'), b], [Buffer.from('term'), Buffer.from([0, 0, 0, 0, 0, 0, 0, 1])]);
    expected.sort((a, c) => byBytes(a[0], c[0]));
  }
  sameList(got.map(text), expected.map(text), `bucket ${bucket}`);
}

export function compareRows(scan: ReturnType<Backend['scan']>, expected: readonly ModelVersion[]): void {
  let i = 0;
  for (let row = scan.next(); row !== undefined; row = scan.next()) {
    const e = expected[i++];
    same(`${row.main}.${row.sub}.${row.tombstone}`, `${e?.main}.${e?.sub}.${e?.tombstone}`, 'scanned row');
    same(Buffer.compare(row.value, (e as ModelVersion).kv), 0, 'scanned bytes');
  }
  same(i, expected.length, 'scanned rows');
  scan.close();
}

export const smallOptions = {
  batchIntervalMs: 100,
  batchOps: 50,
  segmentBytes: 16 * 1024,
  cacheBytes: 512 * 1024,
  checkpointBytes: 8 * 1024,
};

export function open(disk: Disk, clock: Clock, options?: Partial<LogBackendOptions> & { log?: Log }): LogBackend {
  return openBackend({ disk, dir: '/data/snap/db', clock, log: silentLog, verify: true, ...smallOptions, ...options });
}

/** All rows visible at a revision, as an answer has them; so many taken from the index at once. */
export function gatherAll(backend: Backend, rev: number, atOnce: number): { readonly bytes: Buffer; readonly measured: number } {
  const into = new RowGather();
  const list = new VersionList();
  const cursor = backend.cursor({ key: Buffer.alloc(0), end: Buffer.alloc(0) }, rev);
  let measured = 0;
  for (;;) {
    cursor.fill(list, atOnce);
    if (list.count === 0) return { bytes: Buffer.concat(into.take()), measured };
    measured += backend.measure(list, 0);
    for (let i = 0; i < list.count;) i = backend.gather(list, i, into, 2000);
  }
}

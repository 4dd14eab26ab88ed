/**
 * A backend in plain arrays: what the MVCC store is tested on, and what the real engine is compared with.
 *
 * With `journal` it also models power loss: everything that changes it is written down, a commit marks how much is durable, and `crash`
 * gives the backend that a restart would find.
 */
import { framedBytes, type RowGather } from '../../../src/server/storage/row-gather.ts';
import { versionsAtOnce, type VersionList } from '../../../src/server/storage/version-list.ts';
import { compareBytes, copyBytes, fromLatin1, latin1, utf8 } from '../../../src/base/bytes.ts';
import type { Clock } from '../../../src/base/clock.ts';
import { invariant } from '../../../src/base/invariant.ts';
import type { ConfState } from '../../../src/raft/types.ts';
import type {
  Backend,
  BackendView,
  BucketName,
  KeyRange,
  Revision,
  Row,
  RowScan,
  Version,
  VersionCursor,
  ShowValue,
} from '../../../src/server/storage/backend.ts';

interface ModelRow extends Row {
  readonly keyText: string;
  dead: boolean;
  readonly position: number;
}

interface ModelKey {
  readonly text: string;
  readonly key: Uint8Array;
  readonly versions: ModelRow[];
  lease: bigint;
}

type Change = (b: ModelBackend) => void;

export interface ModelBackendOptions {
  /** Commits take this long; without a clock they are done at once. */
  readonly clock?: Clock;
  readonly commitMs?: () => number;
  readonly journal?: boolean;
}

export class ModelBackend implements Backend {
  consistentIndex = 0;
  consistentTerm = 0;
  confState: ConfState | undefined;
  durableIndex = 0;
  commits = 0;
  openScans = 0;
  /** Reads of rows, for tests that bound work. */
  reads = 0;
  cursorSteps = 0;
  scanned = 0;
  readonly #options: ModelBackendOptions;
  #keys: ModelKey[] = [];
  readonly #byText = new Map<string, ModelKey>();
  #rows: ModelRow[] = [];
  readonly #buckets = new Map<BucketName, Map<string, Uint8Array>>();
  readonly #leases = new Map<bigint, Set<string>>();
  readonly #journal: Change[] = [];
  #durable = 0;
  #live = 0;
  /** Goes up when the set of keys changes, so that cursors seek anew. */
  #generation = 0;

  constructor(options: ModelBackendOptions = {}) {
    this.#options = options;
  }

  get lastMain(): number {
    for (let i = this.#rows.length - 1; i >= 0; i--) {
      const row = this.#rows[i];
      if (row !== undefined && !row.dead) return row.main;
    }
    return 1;
  }

  get rowCount(): number {
    return this.#rows.reduce((n, row) => n + (row.dead ? 0 : 1), 0);
  }

  latest(key: Uint8Array): Version | undefined {
    return this.#byText.get(latin1(key))?.versions.at(-1);
  }

  visible(key: Uint8Array, rev: number): Version | undefined {
    const entry = this.#byText.get(latin1(key));
    return entry === undefined ? undefined : visibleOf(entry, rev);
  }

  cursor(range: KeyRange, rev: number): VersionCursor {
    const start = latin1(range.key);
    const end = range.end === undefined ? start + '\0' : latin1(range.end);
    const unbounded = range.end !== undefined && end === '';
    const state = { at: start, done: false, index: -1, generation: -1 };
    const backend = this;
    let current: ModelKey | undefined;
    let version: Version | undefined;
    const step = (): ModelKey | undefined => {
      if (state.generation !== backend.#generation) {
        state.generation = backend.#generation;
        state.index = backend.#lowerBound(state.at);
      }
      const entry = backend.#keys[state.index];
      if (entry === undefined) return undefined;
      if (!unbounded && entry.text >= end) return undefined;
      state.index++;
      state.at = entry.text + '\0';
      return entry;
    };
    return {
      fill(list: VersionList, max: number): void {
        list.count = 0;
        while (list.count < Math.min(max, versionsAtOnce) && this.next()) {
          const { main, sub, position } = this.version;
          list.add(main, sub, position, (backend.#rows[position] as ModelRow).value.length);
        }
      },
      next(): boolean {
        for (;;) {
          const entry = state.done ? undefined : step();
          if (entry === undefined) {
            state.done = true;
            return false;
          }
          backend.cursorSteps++;
          version = visibleOf(entry, rev);
          if (version !== undefined) {
            current = entry;
            return true;
          }
        }
      },
      get key(): Uint8Array {
        invariant(current !== undefined, 'the cursor stands on a key');
        return current.key;
      },
      get version(): Version {
        invariant(version !== undefined, 'the cursor stands on a key');
        return version;
      },
    };
  }

  countLatest(range: KeyRange): number {
    if (range.end === undefined) return this.visible(range.key, Infinity) === undefined ? 0 : 1;
    if (range.key.length <= 1 && (range.key[0] ?? 0) === 0 && range.end.length === 0) return this.#live;
    let n = 0;
    const end = latin1(range.end);
    for (let i = this.#lowerBound(latin1(range.key)); i < this.#keys.length; i++) {
      const entry = this.#keys[i];
      if (entry === undefined || (end !== '' && entry.text >= end)) break;
      if (entry.versions.at(-1)?.tombstone === false) n++;
    }
    return n;
  }

  gather(list: VersionList, from: number, into: RowGather, bytesMax: number): number {
    const mark = into.bytes + bytesMax;
    let i = from;
    for (; i < list.count && into.bytes <= mark; i++) {
      const row = this.read(listed(list, i));
      into.add(row, 0, row.length);
    }
    return i;
  }
  measure(list: VersionList, from: number): number {
    let sum = 0;
    for (let i = from; i < list.count; i++) sum += framedBytes(list.size[i] as number);
    return sum;
  }
  read(version: Version): Uint8Array {
    this.reads++;
    const row = this.#rows[version.position];
    invariant(row !== undefined && !row.dead && row.main === version.main && row.sub === version.sub, 'a version read is alive', {
      version,
    });
    return row.value;
  }

  append(row: {
    readonly main: number;
    readonly sub: number;
    readonly tombstone: boolean;
    readonly key: Uint8Array;
    readonly kv: Uint8Array;
    readonly lease: bigint;
  }): void {
    const last = this.#rows.at(-1);
    invariant(last === undefined || last.main < row.main || (last.main === row.main && last.sub < row.sub), 'revisions go up', { row });
    const text = latin1(row.key);
    this.#log((b) => {
      b.append({ ...row, key: fromLatin1(text) });
    });
    let entry = this.#byText.get(text);
    if (entry === undefined) {
      entry = { text, key: copyBytes(row.key), versions: [], lease: 0n };
      this.#byText.set(text, entry);
      if ((this.#keys.at(-1)?.text ?? '') < text) this.#keys.push(entry);
      else this.#keys.splice(this.#lowerBound(text), 0, entry);
      this.#generation++;
    }
    const wasLive = entry.versions.at(-1)?.tombstone === false;
    const { main, sub, tombstone } = row;
    const stored: ModelRow = { main, sub, tombstone, value: row.kv, keyText: text, dead: false, position: this.#rows.length };
    this.#rows.push(stored);
    entry.versions.push(stored);
    this.#live += (tombstone ? 0 : 1) - (wasLive ? 1 : 0);
    if (entry.lease !== row.lease) {
      if (entry.lease !== 0n) this.#leases.get(entry.lease)?.delete(text);
      if (row.lease !== 0n) {
        const keys = this.#leases.get(row.lease) ?? new Set();
        this.#leases.set(row.lease, keys.add(text));
      }
      entry.lease = row.lease;
    }
  }

  leaseKeys(lease: bigint): Uint8Array[] {
    return [...(this.#leases.get(lease) ?? [])].sort().map(fromLatin1);
  }

  leaseOf(key: Uint8Array): bigint {
    return this.#byText.get(latin1(key))?.lease ?? 0n;
  }

  scan(from: number, to: number): RowScan {
    const rows = this.#rows.filter((row) => !row.dead && row.main >= from && row.main < to);
    let at = 0;
    let open = true;
    this.openScans++;
    return {
      next: () => {
        invariant(open, 'a closed scan is not read');
        this.scanned++;
        return rows[at++];
      },
      close: () => {
        if (open) this.openScans--;
        open = false;
      },
    };
  }

  kill(key: Uint8Array, revision: Revision): void {
    const text = latin1(key);
    const { main, sub } = revision;
    this.#log((b) => {
      b.kill(fromLatin1(text), { main, sub });
    });
    const entry = this.#byText.get(text);
    invariant(entry !== undefined, 'a killed key is known', { text, main, sub });
    const i = entry.versions.findIndex((v) => v.main === main && v.sub === sub);
    const row = entry.versions[i];
    invariant(row !== undefined, 'a killed version is known', { text, main, sub });
    invariant(row.tombstone || i < entry.versions.length - 1, 'a live version is not killed', { text, main, sub });
    row.dead = true;
    entry.versions.splice(i, 1);
    if (entry.versions.length > 0) return;
    this.#byText.delete(text);
    this.#keys.splice(this.#lowerBound(text), 1);
    this.#generation++;
  }

  get(bucket: BucketName, key: Uint8Array): Uint8Array | undefined {
    return this.#buckets.get(bucket)?.get(latin1(key));
  }

  put(bucket: BucketName, key: Uint8Array, value: Uint8Array): void {
    const entries = this.#buckets.get(bucket) ?? new Map<string, Uint8Array>();
    const text = latin1(key);
    this.#log((b) => {
      b.put(bucket, fromLatin1(text), value);
    });
    this.#buckets.set(bucket, entries.set(text, value));
  }

  delete(bucket: BucketName, key: Uint8Array): void {
    const text = latin1(key);
    this.#log((b) => {
      b.delete(bucket, fromLatin1(text));
    });
    this.#buckets.get(bucket)?.delete(text);
  }

  eachValue(bucket: Exclude<BucketName, 'meta'>, start: () => void, show: ShowValue): void {
    start();
    for (const [, value] of this.entries(bucket)) show(value, 0, value.length);
  }
  entries(bucket: BucketName): [Uint8Array, Uint8Array][] {
    const all = [...(this.#buckets.get(bucket) ?? [])].map(([k, v]): [Uint8Array, Uint8Array] => [fromLatin1(k), v]);
    return all.sort(([a], [b]) => compareBytes(a, b));
  }

  setConsistentIndex(index: number, term: number): void {
    this.#log((b) => {
      b.setConsistentIndex(index, term);
    });
    this.consistentIndex = index;
    this.consistentTerm = term;
  }

  setConfState(confState: ConfState): void {
    this.#log((b) => {
      b.setConfState(confState);
    });
    this.confState = confState;
  }

  commit(done: () => void): void {
    const upTo = this.#journal.length;
    const index = this.consistentIndex;
    const finish = (): void => {
      this.commits++;
      this.#durable = Math.max(this.#durable, upTo);
      this.durableIndex = Math.max(this.durableIndex, index);
      done();
    };
    const { clock, commitMs } = this.#options;
    if (clock === undefined) finish();
    else clock.after(commitMs?.() ?? 1, finish);
  }

  /** What a restart finds after power loss: all that was durable, nothing else. */
  crash(options: ModelBackendOptions = this.#options): ModelBackend {
    invariant(this.#options.journal === true, 'a backend that can crash keeps a journal');
    const after = new ModelBackend(options);
    for (const change of this.#journal.slice(0, this.#durable)) change(after);
    after.#durable = after.#journal.length;
    after.durableIndex = after.consistentIndex;
    return after;
  }

  /** A copy as of now, as a snapshot of it would give. */
  copy(options: ModelBackendOptions = this.#options): ModelBackend {
    invariant(this.#options.journal === true, 'a backend that can be copied keeps a journal');
    const after = new ModelBackend(options);
    for (const change of this.#journal) change(after);
    after.#durable = after.#journal.length;
    return after;
  }

  view(): BackendView {
    const rows = this.#rows.filter((row) => !row.dead);
    const buckets = new Map([...this.#buckets.keys()].map((name) => [name, this.entries(name)] as const));
    const { consistentIndex, consistentTerm, confState } = this;
    const number = (n: number): Uint8Array => {
      const b = Buffer.alloc(8);
      b.writeBigUInt64BE(BigInt(n));
      return b;
    };
    const meta = [...(buckets.get('meta') ?? [])];
    meta.push([utf8('consistent_index'), number(consistentIndex)], [utf8('term'), number(consistentTerm)]);
    buckets.set(
      'meta',
      meta.sort(([a], [b]) => compareBytes(a, b)),
    );
    return {
      consistentIndex,
      consistentTerm,
      confState,
      rowCount: rows.length,
      rows() {
        let at = 0;
        return { next: () => rows[at++], close: () => undefined };
      },
      entries: (bucket) => buckets.get(bucket) ?? [],
      release: () => undefined,
    };
  }

  defragment(): Promise<void> {
    return Promise.resolve();
  }

  get openReads(): number {
    return 0;
  }

  get sizeBytes(): number {
    return this.#rows.reduce((n, row) => n + row.value.length + 17, 0);
  }

  get sizeInUseBytes(): number {
    return this.sizeBytes;
  }

  get diskBytes(): number {
    return this.sizeBytes;
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  #log(change: Change): void {
    if (this.#options.journal === true) this.#journal.push(change);
  }

  #lowerBound(text: string): number {
    let lo = 0;
    let hi = this.#keys.length;
    while (lo < hi) {
      const mid = (lo + hi) >>> 1;
      if ((this.#keys[mid]?.text ?? '') < text) lo = mid + 1;
      else hi = mid;
    }
    return lo;
  }
}

function visibleOf(entry: ModelKey, rev: number): ModelRow | undefined {
  const { versions } = entry;
  for (let i = versions.length - 1; i >= 0; i--) {
    const version = versions[i];
    if (version !== undefined && version.main <= rev) return version.tombstone ? undefined : version;
  }
  return undefined;
}

function listed(list: VersionList, i: number): Version {
  return { main: list.main[i] as number, sub: list.sub[i] as number, tombstone: false, position: list.position[i] as number };
}

/**
 * What a store should do, said as simply as can be: every committed request is replayed here once, in the order of the log, and every version of
 * every key is kept, so that the state at any revision can be asked for.
 */
import {
  type Compare,
  Compare_CompareResult,
  Compare_CompareTarget,
  type DeleteRangeRequest,
  type DeleteRangeResponse,
  type InternalRaftRequest,
  type PutRequest,
  type PutResponse,
  type RangeRequest,
  type RangeResponse,
  type RequestOp,
  type ResponseOp,
  type TxnRequest,
  type TxnResponse,
} from '../../src/api/gen/etcdserverpb.ts';
import type { KeyValue } from '../../src/api/gen/mvccpb.ts';

export interface Row {
  readonly key: string;
  readonly create: number;
  readonly mod: number;
  readonly version: number;
  readonly value: string;
  readonly lease: bigint;
  readonly deleted: boolean;
}

export interface ModelEvent {
  readonly row: Row;
  readonly previous: Row | undefined;
}

/** What one log entry did. Texts are canonical forms, for comparison. */
export interface Effect {
  readonly index: number;
  readonly request: InternalRaftRequest;
  /** The store's revision afterwards. */
  readonly rev: number;
  readonly compactRev: number;
  readonly leases: number;
  readonly error: string | undefined;
  /** The answer without headers. */
  readonly text: string;
}

interface ModelLease {
  readonly ttl: number;
  readonly keys: Set<string>;
}

export const latin = (bytes: Uint8Array): string => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');

/** State at one revision, or the state in the middle of a txn. */
interface View {
  row(key: string): Row | undefined;
  keys(): Iterable<string>;
}

export class Model {
  rev = 1;
  compactRev = 0;
  readonly leases = new Map<bigint, ModelLease>();
  readonly #rows = new Map<string, Row[]>();
  /** Sorted. */
  readonly #keys: string[] = [];
  /** By revision. */
  readonly events: (readonly ModelEvent[] | undefined)[] = [];
  readonly effects: (Effect | undefined)[] = [];
  /** By revision: the entry that made it. */
  readonly makers: (Effect | undefined)[] = [];

  apply(index: number, request: InternalRaftRequest): Effect {
    const before = this.rev;
    let error: string | undefined;
    let text = '';
    const writer = new Writer(this);
    if (request.put !== undefined) {
      error = writer.checkPut(request.put);
      if (error === undefined) text = writer.put(request.put);
    } else if (request.deleteRange !== undefined) {
      text = writer.deleteRange(request.deleteRange);
    } else if (request.txn !== undefined) {
      error = writer.checkTxn(request.txn);
      if (error === undefined) text = writer.txn(request.txn);
    } else if (request.compaction !== undefined) {
      const { revision } = request.compaction;
      if (revision <= this.compactRev) error = 'compacted';
      else if (revision > this.rev) error = 'future';
      else this.compactRev = revision;
    } else if (request.leaseGrant !== undefined) {
      const { ID, TTL } = request.leaseGrant;
      if (this.leases.has(ID)) error = 'lease exists';
      else this.leases.set(ID, { ttl: TTL, keys: new Set() });
    } else if (request.leaseRevoke !== undefined) {
      const lease = this.leases.get(request.leaseRevoke.ID);
      if (lease === undefined) error = 'lease not found';
      else {
        for (const key of [...lease.keys].sort()) writer.delete(key);
        this.leases.delete(request.leaseRevoke.ID);
      }
    }
    writer.end();
    const effect: Effect = { index, request, rev: this.rev, compactRev: this.compactRev, leases: this.leases.size, error, text };
    this.effects[index] = effect;
    if (this.rev !== before) this.makers[this.rev] = effect;
    return effect;
  }

  /** The row as of `rev`; undefined when there is none. */
  rowAt(key: string, rev: number): Row | undefined {
    const rows = this.#rows.get(key);
    if (rows === undefined) return undefined;
    let lo = 0;
    let hi = rows.length;
    while (lo < hi) {
      const mid = (lo + hi) >> 1;
      if ((rows[mid] as Row).mod <= rev) lo = mid + 1;
      else hi = mid;
    }
    const row = rows[lo - 1];
    return row === undefined || row.deleted ? undefined : row;
  }

  view(rev: number): View {
    return { row: (key) => this.rowAt(key, rev), keys: () => this.#keys };
  }

  rangeText(request: RangeRequest, rev: number): string {
    return rangeText(this.view(rev), request);
  }

  /** A txn that writes nothing, run at `rev`: its answer, or undefined when it would write. */
  readOnlyTxn(request: TxnRequest, rev: number): string | undefined {
    const view = this.view(rev);
    const run = (txn: TxnRequest): string | undefined => {
      const ok = txn.compare.every((c) => holds(view, c));
      const parts: string[] = [];
      for (const op of ok ? txn.success : txn.failure) {
        if (op.requestRange !== undefined) parts.push(rangeText(view, op.requestRange));
        else if (op.requestDeleteRange !== undefined) {
          if (matching(view, op.requestDeleteRange.key, op.requestDeleteRange.rangeEnd).length > 0) return undefined;
          parts.push(deletedText(0, []));
        } else if (op.requestTxn !== undefined) {
          const inner = run(op.requestTxn);
          if (inner === undefined) return undefined;
          parts.push(inner);
        } else return undefined;
      }
      return txnText(ok, parts);
    };
    return run(request);
  }

  /** @internal For the writer. */
  add(row: Row): Row | undefined {
    let rows = this.#rows.get(row.key);
    if (rows === undefined) {
      rows = [];
      this.#rows.set(row.key, rows);
      let at = this.#keys.length;
      while (at > 0 && (this.#keys[at - 1] as string) > row.key) at--;
      this.#keys.splice(at, 0, row.key);
    }
    const last = rows[rows.length - 1];
    const previous = last === undefined || last.deleted ? undefined : last;
    if (previous !== undefined && previous.lease !== 0n) this.leases.get(previous.lease)?.keys.delete(row.key);
    if (row.lease !== 0n) this.leases.get(row.lease)?.keys.add(row.key);
    if (last?.mod === row.mod) rows.pop();
    rows.push(row);
    return previous;
  }

  /** @internal */
  publish(events: readonly ModelEvent[]): void {
    if (events.length === 0) return;
    this.rev++;
    this.events[this.rev] = events;
  }
}

/** One entry's writes, all of revision `model.rev + 1`. */
class Writer {
  readonly #model: Model;
  readonly #view: View;
  readonly #events: ModelEvent[] = [];

  constructor(model: Model) {
    this.#model = model;
    this.#view = model.view(model.rev + 1);
  }

  checkPut(put: PutRequest): string | undefined {
    if ((put.ignoreValue || put.ignoreLease) && this.#view.row(latin(put.key)) === undefined) return 'key not found';
    return put.lease !== 0n && !put.ignoreLease && !this.#model.leases.has(put.lease) ? 'lease not found' : undefined;
  }

  checkTxn(txn: TxnRequest): string | undefined {
    const ok = txn.compare.every((c) => holds(this.#view, c));
    for (const op of ok ? txn.success : txn.failure) {
      const error =
        op.requestPut !== undefined ? this.checkPut(op.requestPut) : op.requestTxn !== undefined ? this.checkTxn(op.requestTxn) : undefined;
      if (error !== undefined) return error;
    }
    return undefined;
  }

  put(put: PutRequest): string {
    const key = latin(put.key);
    const before = this.#view.row(key);
    const row: Row = {
      key,
      create: before?.create ?? this.#model.rev + 1,
      mod: this.#model.rev + 1,
      version: (before?.version ?? 0) + 1,
      value: put.ignoreValue ? (before?.value ?? '') : latin(put.value),
      lease: put.ignoreLease ? (before?.lease ?? 0n) : put.lease,
      deleted: false,
    };
    this.#model.add(row);
    this.#events.push({ row, previous: before });
    return putText(put.prevKv ? before : undefined);
  }

  delete(key: string): void {
    const row: Row = { key, create: 0, mod: this.#model.rev + 1, version: 0, value: '', lease: 0n, deleted: true };
    const previous = this.#model.add(row);
    this.#events.push({ row, previous });
  }

  deleteRange(request: DeleteRangeRequest): string {
    const rows = matching(this.#view, request.key, request.rangeEnd);
    for (const row of rows) this.delete(row.key);
    return deletedText(rows.length, request.prevKv ? rows.map(rowText) : []);
  }

  txn(txn: TxnRequest): string {
    // All compares run before anything is written, inner ones too: decide first.
    const plan = this.#decide(txn);
    return this.#run(txn, plan);
  }

  #decide(txn: TxnRequest): Plan {
    const ok = txn.compare.every((c) => holds(this.#view, c));
    const inner = (ok ? txn.success : txn.failure).map((op) => (op.requestTxn === undefined ? undefined : this.#decide(op.requestTxn)));
    return { ok, inner };
  }

  #run(txn: TxnRequest, plan: Plan): string {
    const parts = (plan.ok ? txn.success : txn.failure).map((op: RequestOp, i) => {
      if (op.requestPut !== undefined) return this.put(op.requestPut);
      if (op.requestDeleteRange !== undefined) return this.deleteRange(op.requestDeleteRange);
      if (op.requestRange !== undefined) return rangeText(this.#view, op.requestRange);
      return this.#run(op.requestTxn as TxnRequest, plan.inner[i] as Plan);
    });
    return txnText(plan.ok, parts);
  }

  end(): void {
    this.#model.publish(this.#events);
  }
}

interface Plan {
  readonly ok: boolean;
  readonly inner: readonly (Plan | undefined)[];
}

export function inRange(key: string, from: string, end: string): boolean {
  if (end === '') return key === from;
  return key >= from && (end === '\0' || key < end);
}

function matching(view: View, key: Uint8Array, rangeEnd: Uint8Array): Row[] {
  const [from, end] = [latin(key), latin(rangeEnd)];
  const rows: Row[] = [];
  if (end === '') {
    const row = view.row(from);
    return row === undefined ? rows : [row];
  }
  for (const k of view.keys()) {
    const row = inRange(k, from, end) ? view.row(k) : undefined;
    if (row !== undefined) rows.push(row);
  }
  return rows;
}

function holds(view: View, c: Compare): boolean {
  const rows: (Row | undefined)[] = matching(view, c.key, c.rangeEnd);
  if (rows.length === 0) {
    if (c.target === Compare_CompareTarget.VALUE) return false;
    rows.push(undefined);
  }
  return rows.every((row) => {
    const order = compareRow(row, c);
    switch (c.result) {
      case Compare_CompareResult.EQUAL:
        return order === 0;
      case Compare_CompareResult.NOT_EQUAL:
        return order !== 0;
      case Compare_CompareResult.GREATER:
        return order > 0;
      default:
        return order < 0;
    }
  });
}

function compareRow(row: Row | undefined, c: Compare): number {
  switch (c.target) {
    case Compare_CompareTarget.VALUE: {
      const [a, b] = [row?.value ?? '', latin(c.value ?? new Uint8Array(0))];
      return a < b ? -1 : a > b ? 1 : 0;
    }
    case Compare_CompareTarget.CREATE:
      return (row?.create ?? 0) - (c.createRevision ?? 0);
    case Compare_CompareTarget.MOD:
      return (row?.mod ?? 0) - (c.modRevision ?? 0);
    case Compare_CompareTarget.VERSION:
      return (row?.version ?? 0) - (c.version ?? 0);
    default:
      return Number((row?.lease ?? 0n) - (c.lease ?? 0n));
  }
}

// Canonical texts, of the model's answers and of real ones.

function rowText(row: Row): string {
  return `${row.key}=${row.value}@${row.create}/${row.mod}v${row.version}l${row.lease}`;
}

export function eventText(e: ModelEvent, prevKv: boolean): string {
  const kind = e.row.deleted ? `D ${e.row.key}@${e.row.mod}` : `P ${rowText(e.row)}`;
  return prevKv && e.previous !== undefined ? `${kind} was ${rowText(e.previous)}` : kind;
}

export function kvText(kv: KeyValue): string {
  return `${latin(kv.key)}=${latin(kv.value)}@${kv.createRevision}/${kv.modRevision}v${kv.version}l${kv.lease}`;
}

function rangeText(view: View, request: RangeRequest): string {
  // Keys only: etcd 3.7 leaves out the lease as well.
  const rows = matching(view, request.key, request.rangeEnd);
  const shown = request.countOnly ? [] : request.limit > 0 ? rows.slice(0, request.limit) : rows;
  const texts = shown.map((r) => rowText(request.keysOnly ? { ...r, value: '', lease: 0n } : r));
  return `range ${rows.length} ${!request.countOnly && shown.length < rows.length} ${texts.join(' ')}`;
}

const putText = (previous: Row | undefined): string => `put ${previous === undefined ? '' : rowText(previous)}`;
const deletedText = (count: number, previous: readonly string[]): string => `delete ${count} ${previous.join(' ')}`;
const txnText = (ok: boolean, parts: readonly string[]): string => `txn ${ok} [${parts.join('; ')}]`;

export const textOf = {
  range: (r: RangeResponse): string => `range ${r.count} ${r.more} ${r.kvs.map(kvText).join(' ')}`,
  put: (r: PutResponse): string => `put ${r.prevKv === undefined ? '' : kvText(r.prevKv)}`,
  delete: (r: DeleteRangeResponse): string => deletedText(r.deleted, r.prevKvs.map(kvText)),
  txn: (r: TxnResponse): string => txnText(r.succeeded, r.responses.map(opText)),
};

function opText(op: ResponseOp): string {
  if (op.responsePut !== undefined) return textOf.put(op.responsePut);
  if (op.responseDeleteRange !== undefined) return textOf.delete(op.responseDeleteRange);
  if (op.responseRange !== undefined) return textOf.range(op.responseRange);
  return op.responseTxn === undefined ? '?' : textOf.txn(op.responseTxn);
}

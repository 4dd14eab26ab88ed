/**
 * RangeStream: a range of any size as a stream of RangeResponses that joined are the one of Range. Only the last has header, `more` and
 * `count`.
 *
 * Chunks start at ten keys and follow the size of values: the next one is twice as long while a chunk stays below half of
 * --max-request-bytes, half as long when it was above twice that. The range is read chunk by chunk at one revision as the client takes
 * them, so memory does not grow with the range; when that revision is compacted on the way the stream ends with "compacted".
 */
import {
  RangeRequest_SortOrder,
  RangeRequest_SortTarget,
  type RangeRequest,
  type RangeStreamResponse,
} from '../../api/gen/etcdserverpb.ts';
import { KV } from '../../api/gen/methods.ts';
import { errors, type Status } from '../../api/status.ts';
import { failpointThen } from '../../base/failpoint.ts';
import type { AuthInfo } from '../apply/types.ts';
import type { VersionCursor } from '../storage/backend.ts';
import { checkRange } from '../txn/checks.ts';
import { rowKey } from '../mvcc/key-value.ts';
import { storeRange } from '../txn/key-ranges.ts';
import { encodeRangeAnswer, rangeAnswer, rangeQuery } from '../txn/range.ts';
import { keyOnlyRow } from '../txn/row-fields.ts';
import type { ServiceContext, StreamRequest, StreamScope } from './context.ts';
import { revisionStatus, thrownRevisionStatus } from './revision-status.ts';
import { varintSize, writeVarint } from './varint.ts';
import { beginRangeStream } from './work-spans.ts';

const firstChunkKeys = 10;
/** Keys that may go in one chunk when the client sets a limit below zero. */
const oneChunkKeysMax = 10_000;
/** Rows read in one turn: about 2 ms. */
const rowsPerTurn = 1000;

type Scope = StreamScope<RangeRequest, RangeStreamResponse>;

export function registerRangeStream(context: ServiceContext): void {
  context.stream(KV.rangeStream, (scope) => {
    scope.onRequest = (request) => start(context, scope, request);
  });
}

function refused(r: RangeRequest): Status | undefined {
  const bad = checkRange(r);
  if (bad !== undefined) return bad;
  const { sortOrder, sortTarget } = r;
  if (
    sortOrder === RangeRequest_SortOrder.DESCEND ||
    (sortOrder !== RangeRequest_SortOrder.NONE && sortTarget !== RangeRequest_SortTarget.KEY)
  )
    return errors.rangeStreamSort;
  if (r.minModRevision !== 0 || r.maxModRevision !== 0 || r.minCreateRevision !== 0 || r.maxCreateRevision !== 0)
    return errors.rangeStreamFilter;
  return undefined;
}

function start(context: ServiceContext, scope: Scope, asked: StreamRequest<RangeRequest>): void {
  const { member } = context;
  const bad = asked.shape(refused);
  if (bad !== undefined) return scope.fail(bad);
  const read = (error: Status | undefined): void => {
    if (scope.over) return;
    if (error !== undefined) return scope.fail(error);
    const request = asked.open();
    if (request === undefined) return;
    const { span } = scope.call;
    if (span !== undefined) beginRangeStream(span, request);
    const range = storeRange(request.key, request.rangeEnd);
    member.kv.rangeSliced({ ...range, rev: request.revision, limit: 0, countOnly: true }, scope.call, (failed, result) => {
      if (scope.over) return;
      if (failed !== undefined) return scope.fail(revisionStatus(failed));
      if (result === undefined) return;
      if (request.sortTarget !== RangeRequest_SortTarget.KEY && !request.countOnly) {
        new SortedChunks(context, scope, request, { rev: result.rev, info: asked.info }).work();
        return;
      }
      const rev = request.revision > 0 ? request.revision : result.rev;
      const wanted = request.countOnly ? 0 : request.limit > 0 ? Math.min(request.limit, result.count) : result.count;
      new RangeStreamJob(context, scope, {
        info: asked.info,
        rev,
        headerRev: result.rev,
        count: result.count,
        wanted,
        keysOnly: request.keysOnly,
        cursor: member.backend.cursor(range, rev),
        more: !request.countOnly && wanted < result.count,
        // A limit below zero is none at all, for chunks as well.
        chunkKeys: request.limit < 0 && wanted <= oneChunkKeysMax ? wanted : firstChunkKeys,
      }).work();
    });
  };
  if (asked.shape((r) => r.serializable)) read(undefined);
  else member.linearizableRead(read);
}

/**
 * A sort target other than the key, without an order: each chunk is sorted by itself, and the next begins behind the last row of the sorted one.
 * So keys come twice or not at all when there is more than a chunk; etcd does the same, and clients see the same of both.
 */
class SortedChunks {
  readonly #context: ServiceContext;
  readonly #scope: Scope;
  readonly #plan: { readonly info: AuthInfo | undefined; readonly rev: number; readonly headerRev: number; readonly total: number };
  #next: RangeRequest;
  #sent = 0;

  constructor(
    context: ServiceContext,
    scope: Scope,
    request: RangeRequest,
    from: { readonly rev: number; readonly info: AuthInfo | undefined },
  ) {
    this.#context = context;
    this.#scope = scope;
    const total = request.limit === 0 ? Infinity : request.limit;
    this.#plan = { info: from.info, rev: request.revision > 0 ? request.revision : from.rev, headerRev: from.rev, total };
    this.#next = { ...request, limit: Math.min(firstChunkKeys, total) };
    scope.call.onDrain = () => this.work();
  }

  /** One chunk a turn, while the client takes them. */
  work(): void {
    if (this.#scope.over) return;
    try {
      if (this.#chunk()) this.#context.member.clock.defer(() => this.work());
    } catch (error) {
      this.#scope.fail(thrownRevisionStatus(error));
    }
  }

  /** True when there is more to send and room for it. */
  #chunk(): boolean {
    const { kv, config } = this.#context.member;
    const { rev, headerRev, total, info } = this.#plan;
    const request = this.#next;
    const answer = rangeAnswer(request, kv.range({ ...rangeQuery(request), rev }));
    this.#sent += answer.kvs.length;
    const lastRow = answer.kvs.at(-1);
    const key = answer.more && lastRow !== undefined ? Buffer.concat([rowKey(lastRow), Buffer.of(0)]) : undefined;
    const stale = this.#context.staleAuth(info);
    if (stale !== undefined) {
      this.#scope.fail(stale);
      return false;
    }
    if (key === undefined || this.#sent === total) {
      const behind = key === undefined ? 0 : kv.range({ ...storeRange(key, request.rangeEnd), rev, limit: 0, countOnly: true }).count;
      this.#scope.call.sendEncoded(
        framed([this.#context.header(headerRev), ...encodeRangeAnswer({ ...answer, count: this.#sent + behind })]),
      );
      this.#scope.end();
      return false;
    }
    const parts = encodeRangeAnswer({ kvs: answer.kvs, more: false, count: 0 });
    let bytes = 0;
    for (const p of parts) bytes += p.length;
    const room = this.#scope.call.sendEncoded(framed(parts));
    this.#next = { ...request, key, limit: Math.min(adjusted(request.limit, bytes, config.maxRequestBytes), total - this.#sent) };
    return room;
  }
}

/** The next chunk's keys: twice as many after a small one, half as many after a large one. */
function adjusted(keys: number, bytes: number, targetBytes: number): number {
  if (bytes < targetBytes / 2) return keys * 2;
  return bytes > targetBytes * 2 ? Math.max(1, Math.floor(keys / 2)) : keys;
}

/** RangeStreamResponse { 1 range_response } */
function framed(parts: readonly Uint8Array[]): Uint8Array[] {
  let bytes = 0;
  for (const p of parts) bytes += p.length;
  const outer = Buffer.allocUnsafe(1 + varintSize(bytes));
  outer[0] = 0x0a;
  writeVarint(outer, 1, bytes);
  return [outer, ...parts];
}

interface Plan {
  readonly info: AuthInfo | undefined;
  /** What is read. */
  readonly rev: number;
  /** The store's revision when the stream began. */
  readonly headerRev: number;
  readonly count: number;
  /** Keys to send in all. */
  readonly wanted: number;
  readonly more: boolean;
  readonly keysOnly: boolean;
  readonly chunkKeys: number;
  readonly cursor: VersionCursor;
}

class RangeStreamJob {
  readonly #context: ServiceContext;
  readonly #scope: Scope;
  readonly #plan: Plan;
  #chunkKeys: number;
  #chunk: Uint8Array[] = [];
  #chunkBytes = 0;
  #sent = 0;
  /** A chunk waits for a failpoint. */
  #held = false;

  constructor(context: ServiceContext, scope: Scope, plan: Plan) {
    this.#context = context;
    this.#scope = scope;
    this.#plan = plan;
    this.#chunkKeys = plan.chunkKeys;
    scope.call.onDrain = () => this.work();
  }

  /** Reads and sends until the client has enough for now, or it is time to let others run. */
  work(): void {
    const { member } = this.#context;
    const { rev, wanted, keysOnly, cursor, info } = this.#plan;
    if (this.#scope.over || this.#held) return;
    if (rev < member.kv.compactRev) return this.#scope.fail(errors.compacted);
    for (let rows = 0; rows < rowsPerTurn; rows++) {
      const missing = wanted - this.#sent - this.#chunk.length;
      if (missing > 0 && this.#chunk.length < this.#chunkKeys && cursor.next()) {
        const row = member.backend.read(cursor.version);
        this.#chunk.push(keysOnly ? keyOnlyRow(row) : row);
        this.#chunkBytes += row.length;
        continue;
      }
      if (missing <= 0 || this.#chunk.length < this.#chunkKeys) {
        const stale = this.#context.staleAuth(info);
        if (stale !== undefined) return this.#scope.fail(stale);
        this.#pass(true);
        return;
      }
      if (!this.#pass(false)) return;
    }
    member.clock.defer(() => this.work());
  }

  /** Sends the chunk; false when the work is to be taken up again later, if at all. */
  #pass(last: boolean): boolean {
    let inTurn = true;
    let more = false;
    this.#held = true;
    failpointThen('beforeRangeStreamChunk', () => {
      this.#held = false;
      if (this.#scope.over) return;
      more = this.#send(last) && !last;
      if (last) this.#scope.end();
      else if (more && !inTurn) this.work();
    });
    inTurn = false;
    return more;
  }

  #send(last: boolean): boolean {
    const { headerRev, more, count } = this.#plan;
    const kvs = this.#chunk;
    const parts = encodeRangeAnswer({ kvs, more: last && more, count: last ? count : 0 });
    if (last) parts.unshift(this.#context.header(headerRev));
    const target = this.#context.member.config.maxRequestBytes;
    this.#chunkKeys = adjusted(this.#chunkKeys, this.#chunkBytes, target);
    this.#sent += kvs.length;
    this.#chunk = [];
    this.#chunkBytes = 0;
    return this.#scope.call.sendEncoded(framed(parts));
  }
}

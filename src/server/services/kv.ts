/** KV: the hot services. A put is one proposal object, a get is one pooled job; see `context.ts` for what they share. */
import type {
  CompactionRequest,
  CompactionResponse,
  RangeRequest,
  RangeResponse,
  RequestOp,
  TxnRequest,
  TxnResponse,
} from '../../api/gen/etcdserverpb.ts';
import { KV } from '../../api/gen/methods.ts';
import type { Status } from '../../api/status.ts';
import { must } from '../../base/invariant.ts';
import type { Span } from '../../base/trace.ts';
import type { UnaryCall } from '../../wire/call.ts';
import { putCost, txnCost } from '../apply/quota.ts';
import type { ApplyResult, AuthInfo, Completion } from '../apply/types.ts';
import type { CompactedError, FutureRevisionError, RangeResult } from '../mvcc/types.ts';
import type { RowGather } from '../storage/row-gather.ts';
import { checkDeleteRange, checkPut, checkRange, checkTxn, isReadOnlyTxn, isSerializableTxn } from '../txn/checks.ts';
import { readTxn } from '../txn/execute.ts';
import { asRead, encodeRangeAnswer, encodeTail, rangeAnswer, rangeQuery, type RangeAnswer } from '../txn/range.ts';
import { passes, type ServiceContext } from './context.ts';
import type { QuotaGuard } from './quota-guard.ts';
import { RangeParts, takesParts, type PartedCall } from './range-parts.ts';
import { registerRangeStream } from './range-stream.ts';
import { revisionStatus, thrownRevisionStatus } from './revision-status.ts';

/** Field numbers in InternalRaftRequest. */
const putField = 4;
const deleteRangeField = 5;
const txnField = 6;

/** Idle range jobs kept for reuse: about as many as there are reads in one turn. */
const idleJobsMax = 1024;
/** Ranges that go on in slices at the same time; each has 2 ms of every turn of the loop, and holds what it has read. */
const rangesAtWorkMax = 8;
/** Of them, those of one connection; a range with a small limit is not held up by them. */
const gatheringPerConnectionMax = 2;
const smallLimit = 500;
/** Time in one turn in which ranges may begin. */
const rangeTurnMs = 4;
/** Ranges that wait: looked at in one turn, and looked at again after so many ms when their connections took nothing. */
const looksPerTurn = 1024;
const parkedMs = 5;
/** Ranges of more rows than that note when they were read: what the log of slow ones tells. */
const rowsTimed = 1024;
/** Rows put into a response in one turn: about 1 ms. */
const rowsPerTurn = 8192;

export function registerKV(context: ServiceContext, quota: QuotaGuard): void {
  const { member } = context;
  const jobs = new RangeJobs(context);
  context.unary(KV.range, (call, info) => jobs.run(call, info), {
    learner: (r) => r.serializable,
    check: (call) => passes(call, checkRange(call.request)),
    read: (r) => !r.serializable,
  });
  context.unary(KV.put, (call, info) => context.proposeEncoded(call, info, putField), {
    check: (call) => quota.admits(call, putCost(call.request)) && passes(call, checkPut(call.request)),
  });
  context.unary(KV.deleteRange, (call, info) => context.proposeEncoded(call, info, deleteRangeField), {
    check: (call) => passes(call, checkDeleteRange(call.request)),
  });
  context.unary(
    KV.txn,
    (call, info) => {
      if (isReadOnlyTxn(call.request)) jobs.runTxn(call, info);
      else context.proposeEncoded(call, info, txnField);
    },
    {
      check: (call) => quota.admits(call, txnCost(call.request)) && passes(call, checkTxn(call.request, member.config.maxTxnOps)),
      read: (r) => isReadOnlyTxn(r) && !isSerializableTxn(r),
    },
  );
  context.unary(KV.compact, (call, info) => member.propose({ compaction: call.request }, info, new Compaction(context, call)));
  registerRangeStream(context);
}

type RangeCall = UnaryCall<RangeRequest, RangeResponse>;
type TxnCall = UnaryCall<TxnRequest, TxnResponse>;

/** What takes its turn. */
interface Job {
  call: RangeCall | TxnCall | undefined;
  info: AuthInfo | undefined;
  /** Among those at work. */
  counted: boolean;
  /** Its answer may be of any size. */
  readonly boundless: boolean;
  run(): void;
}

/**
 * Ranges in turn. A small one is answered at once. What takes long goes on in slices, a few at a time, and nothing is read for a connection that does
 * not take what it has: a client that asks for everything in a thousand calls at once would hold up the loop and fill the memory.
 */
class RangeJobs {
  readonly context: ServiceContext;
  readonly #parts: RangeParts;
  readonly #idle: RangeJob[] = [];
  #atWork = 0;
  /** Oldest first, from `#at` on. */
  #waiting: Job[] = [];
  #at = 0;
  /** When this turn's ranges have had their time; −∞ between turns that read something. */
  #turnEndsMs = -Infinity;
  #pumping = false;
  readonly #pump = (): void => {
    this.#pumping = false;
    this.#turnEndsMs = -Infinity;
    this.#startWaiting();
  };

  constructor(context: ServiceContext) {
    this.context = context;
    this.#parts = new RangeParts(context);
  }

  run(call: RangeCall, info: AuthInfo | undefined): void {
    const job = this.#idle.pop() ?? new RangeJob(this);
    job.call = call;
    job.info = info;
    if (call.request.rangeEnd.length === 0) job.run();
    else this.#inTurn(job);
  }

  /** A txn that only reads needs no log entry: it runs on the state after a linearizable read, or on any state when all its ranges allow that. */
  runTxn(call: TxnCall, info: AuthInfo | undefined): void {
    const job = new TxnJob(this, call, info);
    if (job.boundless) this.#inTurn(job);
    else job.run();
  }

  #inTurn(job: Job): void {
    if (mustWait(job) || !this.#mayStart()) {
      this.#waiting.push(job);
      this.#pumpSoon(0);
    } else this.#start(job);
  }

  #start(job: Job): void {
    this.#atWork++;
    job.counted = true;
    const lane = job.call?.lane;
    if (lane !== undefined) lane.gathering++;
    try {
      job.run();
    } catch (error) {
      this.release(job);
      throw error;
    }
  }

  #mayStart(): boolean {
    if (this.#atWork >= rangesAtWorkMax) return false;
    const now = this.context.member.clock.mono();
    if (this.#turnEndsMs === -Infinity) {
      this.#turnEndsMs = now + rangeTurnMs;
      this.#pumpSoon(0);
    }
    return now < this.#turnEndsMs;
  }

  #startWaiting(): void {
    let looks = Math.min(this.#waiting.length - this.#at, looksPerTurn);
    let parked = 0;
    for (; looks > 0; looks--) {
      const job = this.#waiting[this.#at] as Job;
      const call = must(job.call, 'a job that waits has its call');
      if (call.cancelled) this.release(job);
      else if (mustWait(job)) {
        this.#waiting.push(job);
        parked++;
      } else if (this.#mayStart()) this.#start(job);
      else break;
      this.#at++;
    }
    if (this.#at === this.#waiting.length || this.#at > looksPerTurn) {
      this.#waiting.splice(0, this.#at);
      this.#at = 0;
    }
    if (this.#waiting.length > 0) this.#pumpSoon(parked > 0 || this.#atWork >= rangesAtWorkMax ? parkedMs : 0);
  }

  /** At the end of this turn, or in so many ms. */
  #pumpSoon(ms: number): void {
    if (this.#pumping) return;
    this.#pumping = true;
    const { clock } = this.context.member;
    if (ms === 0) clock.defer(this.#pump);
    else clock.after(ms, this.#pump);
  }

  /** Rows that were gathered as they were read, and those still to come. */
  answerGathered(call: RangeCall, { rest, rev, count }: RangeResult, gathered: RowGather): void {
    const { limit } = call.request;
    const rows = gathered.count + (rest?.rows ?? 0);
    const more = limit > 0 && rows > limit;
    if (more) (rest ?? gathered).dropLast();
    call.rows = more ? rows - 1 : rows;
    if (rows > rowsTimed) call.workedMs = this.context.member.clock.mono();
    const known = [this.context.header(rev), ...gathered.take()];
    const tail = encodeTail(more, count);
    if (rest === undefined) call.replyEncoded([...known, ...tail]);
    else this.#parts.answer(call as PartedCall, known, rest, tail);
  }

  release(job: Job): void {
    if (job.counted) {
      job.counted = false;
      this.#atWork--;
      const lane = job.call?.lane;
      if (lane !== undefined) lane.gathering--;
    }
    job.call = undefined;
    job.info = undefined;
    if (job instanceof RangeJob && this.#idle.length < idleJobsMax) this.#idle.push(job);
  }
}

/** The connection of this call has enough to take, or to wait for. */
function mustWait({ call, boundless }: Job): boolean {
  if (call?.congested === true) return true;
  return boundless && call?.lane !== undefined && call.lane.gathering >= gatheringPerConnectionMax;
}

/** One Range at work. Its callback is made once and lives as long as the job, which serves one call after the other. */
class RangeJob implements Job {
  call: RangeCall | undefined;
  info: AuthInfo | undefined;
  counted = false;
  readonly #jobs: RangeJobs;
  readonly #ranged: (error: CompactedError | FutureRevisionError | undefined, result: RangeResult | undefined) => void;

  constructor(jobs: RangeJobs) {
    this.#jobs = jobs;
    this.#ranged = (error, result) => this.#answer(error === undefined ? undefined : revisionStatus(error), result);
  }

  get boundless(): boolean {
    const limit = this.call?.request.limit ?? 0;
    return limit <= 0 || limit > smallLimit;
  }

  run(): void {
    const call = must(this.call, 'a job at work has its call');
    const { member } = this.#jobs.context;
    const query = rangeQuery(call.request);
    if (query.end !== undefined) {
      member.kv.rangeSliced({ ...query, gather: asRead(call.request), inParts: takesParts(call) }, call, this.#ranged);
      return;
    }
    let result: RangeResult;
    try {
      result = member.kv.range(query);
    } catch (e) {
      return this.#answer(thrownRevisionStatus(e), undefined);
    }
    this.#answer(undefined, result);
  }

  #answer(error: Status | undefined, result: RangeResult | undefined): void {
    const call = must(this.call, 'a job at work has its call');
    const { context } = this.#jobs;
    const failed = error ?? context.staleAuth(this.info);
    this.#jobs.release(this);
    if (failed !== undefined || call.cancelled) {
      result?.rest?.close();
      if (failed !== undefined) call.fail(failed);
      return;
    }
    // Undefined without an error: the call was cancelled on the way.
    if (result === undefined) return;
    call.rowsInAll = result.count;
    if (result.gathered !== undefined) return this.#jobs.answerGathered(call, result, result.gathered);
    if (result.kvs.length > rowsTimed) call.workedMs = context.member.clock.mono();
    const answer = rangeAnswer(call.request, result);
    call.rows = answer.kvs.length;
    if (answer.kvs.length > rowsPerTurn) new LargeAnswer(context, call, answer, result.rev).next();
    else call.replyEncoded([context.header(result.rev), ...encodeRangeAnswer(answer)]);
  }
}

/** A response of very many rows, put together over several turns. */
class LargeAnswer {
  readonly #context: ServiceContext;
  readonly #call: RangeCall;
  readonly #answer: RangeAnswer;
  readonly #parts: Uint8Array[];
  #done = 0;

  constructor(context: ServiceContext, call: RangeCall, answer: RangeAnswer, rev: number) {
    this.#context = context;
    this.#call = call;
    this.#answer = answer;
    this.#parts = [context.header(rev)];
  }

  next(): void {
    if (this.#call.cancelled) return;
    const { kvs, more, count } = this.#answer;
    const from = this.#done;
    this.#done = Math.min(from + rowsPerTurn, kvs.length);
    const last = this.#done === kvs.length;
    const slice: RangeAnswer = { kvs: kvs.slice(from, this.#done), more: last && more, count: last ? count : 0 };
    for (const part of encodeRangeAnswer(slice)) this.#parts.push(part);
    if (last) this.#call.replyEncoded(this.#parts);
    else this.#context.member.clock.defer(() => this.next());
  }
}

/** A txn of reads, which answers in the turn in which it runs. */
class TxnJob implements Job {
  call: TxnCall | undefined;
  info: AuthInfo | undefined;
  counted = false;
  readonly boundless: boolean;
  readonly #jobs: RangeJobs;

  constructor(jobs: RangeJobs, call: TxnCall, info: AuthInfo | undefined) {
    this.#jobs = jobs;
    this.call = call;
    this.info = info;
    this.boundless = call.request.success.some(readsMany) || call.request.failure.some(readsMany);
  }

  run(): void {
    const call = must(this.call, 'a job at work has its call');
    const { context } = this.#jobs;
    const { kv, lessor } = context.member;
    const rev = kv.currentRev;
    const outcome = readTxn(kv, call.request, { rev, compactRev: kv.compactRev, hasLease: (id) => lessor.has(id) });
    const failed = outcome.error ?? context.staleAuth(this.info);
    this.#jobs.release(this);
    if (failed === undefined) call.replyEncoded([context.header(rev), outcome.body]);
    else call.fail(failed);
  }
}

const readsMany = (op: RequestOp): boolean => op.requestRange !== undefined && op.requestRange.rangeEnd.length > 0;

/** A compaction answers once it is applied; a physical one once its last row is gone. */
class Compaction implements Completion {
  readonly span: Span | undefined;
  readonly #context: ServiceContext;
  readonly #call: UnaryCall<CompactionRequest, CompactionResponse>;

  constructor(context: ServiceContext, call: UnaryCall<CompactionRequest, CompactionResponse>) {
    this.span = call.span?.work;
    this.#context = context;
    this.#call = call;
  }

  complete(error: Status | undefined, result: ApplyResult | undefined): void {
    const failed = error ?? result?.error;
    if (failed !== undefined) return this.#call.fail(failed);
    if (result === undefined) return;
    this.#call.workedMs = this.#context.member.clock.mono();
    const reply = (): void => this.#call.replyEncoded(this.#context.frame(result));
    if (this.#call.request.physical && result.whenCompacted !== undefined) result.whenCompacted(reply);
    else reply();
  }
}

/**
 * Slow calls in the log, as etcd has them: reads that took too long (`apply request took too long`), the steps of what took longer than 100 ms
 * (`trace`), and what a slow call asked for and got (`request stats`), at debug level of all calls. All of it is put together when a call is over and
 * was slow; others pay for a comparison.
 */
import { DeleteRangeResponse, RequestOp, TxnResponse } from '../../api/gen/etcdserverpb.ts';
import type { CompactionRequest, DeleteRangeRequest, PutRequest, RangeRequest, TxnRequest } from '../../api/gen/etcdserverpb.ts';
import { KV, type MethodDef } from '../../api/gen/methods.ts';
import { Code } from '../../api/status.ts';
import type { Clock } from '../../base/clock.ts';
import { formatDuration } from '../../base/duration.ts';
import type { Log } from '../../base/log.ts';
import { logTrace, type Step, traceThresholdMs, wallTime } from '../../base/step-trace.ts';
import type { HandledCall, MethodObserver, WireObserver } from '../../wire/observer.ts';
import { isReadOnlyTxn } from '../txn/checks.ts';
import { putText, rangeText, txnText } from '../txn/request-text.ts';

export interface RequestLogOptions {
  readonly log: Log;
  readonly clock: Clock;
  /** `--warning-unary-request-duration` and `--warning-apply-duration`. */
  readonly slowMs: number;
  readonly slowApplyMs: number;
  /** When applying the newest entry began, monotonic ms: a call that is answered right after it was applied asks for it. */
  readonly applyBeganMs: () => number;
  /** A read took longer than `slowApplyMs`. */
  readonly onSlowRead: () => void;
}

export class RequestLog implements WireObserver {
  readonly #inner: WireObserver;
  readonly #o: RequestLogOptions;

  /** @param inner  told of everything first */
  constructor(inner: WireObserver, options: RequestLogOptions) {
    this.#inner = inner;
    this.#o = options;
  }

  method(method: MethodDef): MethodObserver {
    const inner = this.#inner.method(method);
    if (method.requestStream || method.responseStream) return inner;
    // The answer's size is told right before the call's end, in one turn.
    let answerBytes = 0;
    const { log, slowMs, slowApplyMs } = this.#o;
    const leastMs = Math.min(slowMs, slowApplyMs, traceThresholdMs);
    return {
      started: () => inner.started(),
      handled: (call, code, durationMs) => {
        inner.handled(call, code, durationMs);
        if (durationMs > leastMs || log.debugEnabled)
          this.#look(call, { code, durationMs, answerBytes: code === Code.OK ? answerBytes : 0 });
      },
      received: (bytes) => inner.received(bytes),
      sent: (bytes) => {
        answerBytes = bytes;
        inner.sent(bytes);
      },
    };
  }

  #look(call: HandledCall, end: End): void {
    const { slowMs, slowApplyMs } = this.#o;
    // Without a request the call ended before it was there.
    const seen = call.request === undefined ? undefined : looks.get(call.method.path)?.(call, end.code);
    if (seen?.read !== undefined && end.durationMs > slowApplyMs) this.#slowRead(seen.read, call, end);
    if (seen?.trace !== undefined && end.durationMs > traceThresholdMs) this.#trace(seen.trace, call, end);
    if (end.durationMs > slowMs || this.#o.log.debugEnabled) this.#stats(call, seen?.stats, end);
  }

  #slowRead(read: SlowRead, call: HandledCall, { durationMs, answerBytes, code }: End): void {
    const { log, slowApplyMs, onSlowRead } = this.#o;
    onSlowRead();
    log.warn('apply request took too long', {
      took: formatDuration(durationMs),
      'expected-duration': formatDuration(slowApplyMs),
      prefix: read.prefix,
      request: read.request,
      response: code === Code.OK ? `${read.response} size:${answerBytes}` : '',
      ...(code === Code.OK ? {} : { error: errorText(call, code) }),
    });
  }

  #trace(trace: Steps, call: HandledCall, { durationMs }: End): void {
    const { log, clock, applyBeganMs } = this.#o;
    const endMs = clock.mono();
    const startMs = endMs - durationMs;
    const steps: Step[] = [];
    if (trace.written) {
      const began = Math.min(endMs, Math.max(startMs, call.workedMs ?? applyBeganMs()));
      steps.push({ name: 'process raft request', endMs: began }, { name: trace.last, endMs });
    } else {
      if (call.agreedMs !== undefined) steps.push({ name: 'agreement among raft nodes before linearized reading', endMs: call.agreedMs });
      if (call.workedMs !== undefined) steps.push({ name: 'range keys from the store', endMs: call.workedMs });
      steps.push({ name: trace.last, endMs });
    }
    logTrace(log, clock, { operation: trace.operation, detail: trace.detail, startMs, endMs, steps });
  }

  #stats(call: HandledCall, stats: Stats | undefined, { code, durationMs, answerBytes }: End): void {
    const { log, clock } = this.#o;
    const fields = {
      'start time': wallTime(clock.wall() - durationMs),
      'time spent': formatDuration(durationMs),
      remote: call.peer.address,
      'response type': call.method.path,
      code,
      'request count': stats?.requestCount ?? -1,
      'request size': stats?.requestBytes ?? -1,
      'response count': stats?.responseCount ?? -1,
      'response size': stats === undefined ? -1 : answerBytes,
      'request content': stats?.content ?? '',
    };
    // As etcd: a log that shows every call anyway has them all at one level.
    if (log.debugEnabled) log.debug('request stats', fields);
    else log.warn('request stats', fields);
  }
}

interface End {
  readonly code: Code;
  readonly durationMs: number;
  readonly answerBytes: number;
}

/** What a call asked for and got, in etcd's counts; of calls other than these of KV it says −1. */
interface Stats {
  readonly requestCount: number;
  readonly requestBytes: number;
  readonly responseCount: number;
  readonly content: string;
}

interface SlowRead {
  readonly prefix: string;
  readonly request: string;
  readonly response: string;
}

interface Steps {
  readonly operation: string;
  readonly detail: readonly (readonly [string, unknown])[];
  /** It went through the log. */
  readonly written: boolean;
  readonly last: string;
}

interface Seen {
  readonly stats: Stats | undefined;
  readonly read: SlowRead | undefined;
  /** Of writes that failed etcd shows no steps. */
  readonly trace: Steps | undefined;
}

type Look = (call: HandledCall, code: Code) => Seen;

const looks: ReadonlyMap<string, Look> = new Map<string, Look>([
  [KV.range.path, seenRange],
  [KV.put.path, seenPut],
  [KV.deleteRange.path, seenDelete],
  [KV.txn.path, seenTxn],
  [KV.compact.path, seenCompaction],
]);

function seenRange(call: HandledCall): Seen {
  const request = call.request as RangeRequest;
  const rows = call.rows ?? 0;
  const content = rangeText(request);
  return {
    stats: { requestCount: 0, requestBytes: call.requestBytes.length, responseCount: call.rowsInAll ?? 0, content },
    read: { prefix: 'read-only range ', request: content, response: `range_response_count:${rows}` },
    trace: {
      operation: 'range',
      detail: [
        ['range_begin_size', request.key.length],
        ['range_end_size', request.rangeEnd.length],
        ...(call.answer === undefined
          ? []
          : ([
              ['response_count', rows],
              ['response_revision', revisionOf(call)],
            ] as const)),
      ],
      written: false,
      last: 'assemble the response',
    },
  };
}

function seenPut(call: HandledCall, code: Code): Seen {
  const request = call.request as PutRequest;
  const bytes = call.requestBytes.length;
  return {
    stats: { requestCount: 1, requestBytes: bytes, responseCount: 0, content: putText(request) },
    read: undefined,
    trace:
      code === Code.OK
        ? written('put', [
            ['key_size', request.key.length],
            ['req_size', bytes],
            ['response_revision', revisionOf(call)],
          ])
        : undefined,
  };
}

function seenDelete(call: HandledCall): Seen {
  const content = rangeText(call.request as DeleteRangeRequest);
  const deleted = decoded(call, DeleteRangeResponse)?.deleted ?? 0;
  return {
    stats: { requestCount: 0, requestBytes: call.requestBytes.length, responseCount: deleted, content },
    read: undefined,
    trace: undefined,
  };
}

function seenTxn(call: HandledCall, code: Code): Seen {
  const request = call.request as TxnRequest;
  const answer = decoded(call, TxnResponse);
  const readOnly = isReadOnlyTxn(request);
  // The branch that was taken counts.
  const ops = answer === undefined ? [] : answer.succeeded ? request.success : request.failure;
  let bytes = 0;
  for (const op of ops) bytes += RequestOp.encode(op).length;
  const content = txnText(request);
  const ranges = (answer?.responses ?? [])
    .filter((r) => r.responseRange !== undefined)
    .map((r) => `range_response_count:${r.responseRange?.kvs.length ?? 0}`);
  const detail = [
    ['read_only', readOnly],
    ['number_of_response', answer?.responses.length ?? 0],
    ['response_revision', answer?.header?.revision ?? 0],
  ] as const;
  return {
    stats: { requestCount: ops.length, requestBytes: bytes, responseCount: 0, content: answer === undefined ? '' : content },
    read: readOnly ? { prefix: 'read-only txn ', request: content, response: `responses:<${ranges.join(' ')}>` } : undefined,
    trace: readOnly
      ? { operation: 'transaction', detail, written: false, last: 'assemble the response' }
      : code === Code.OK
        ? written('transaction', detail)
        : undefined,
  };
}

function seenCompaction(call: HandledCall, code: Code): Seen {
  const { revision, physical } = call.request as CompactionRequest;
  const detail = [
    ['revision', revision],
    ['response_revision', revisionOf(call)],
  ] as const;
  const last = physical ? 'physically apply compaction' : 'schedule compaction';
  return { stats: undefined, read: undefined, trace: code === Code.OK ? written('compact', detail, last) : undefined };
}

function written(operation: string, detail: Steps['detail'], last = 'apply to the store'): Steps {
  return { operation, detail, written: true, last };
}

/** Bytes of an answer that are read again for the log. */
const answerBytesMax = 1024 * 1024;

/** The answer, unless it is too large to be read again. */
function decoded<T>(call: HandledCall, codec: { decode(bytes: Uint8Array): T }): T | undefined {
  const { answer } = call;
  if (answer === undefined) return undefined;
  let bytes = 0;
  for (const part of answer) bytes += part.length;
  return bytes > answerBytesMax ? undefined : codec.decode(Buffer.concat(answer));
}

/** Of the header, which is the answer's first part. */
function revisionOf(call: HandledCall): number {
  const first = call.answer?.[0];
  return first === undefined ? 0 : (DeleteRangeResponse.decode(first).header?.revision ?? 0);
}

function errorText(call: HandledCall, code: Code): string {
  return call.failure?.message ?? (code === Code.Canceled ? 'context canceled' : 'context deadline exceeded');
}

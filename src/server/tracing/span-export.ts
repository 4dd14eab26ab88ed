/**
 * Sends finished spans to a collector (OTLP over gRPC) in batches, one call at a time. A collector that is away or slow never holds up the member:
 * what does not fit the queue is dropped and counted.
 */
import { TraceService } from '../../api/gen/otlp-collector.ts';
import type { KeyValue } from '../../api/gen/otlp-common.ts';
import type { ResourceSpans, Span as SpanMessage } from '../../api/gen/otlp-trace.ts';
import { Code, RpcError } from '../../api/status.ts';
import type { Clock, Timer } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import type { SpanValue } from '../../base/trace.ts';
import type { Channel } from '../../wire/channel.ts';
import type { FinishedSpan } from './tracer.ts';

/** Spans that wait; a sampled put has six. OpenTelemetry's default. */
const queueSpansMax = 2048;
/** Spans in one call to the collector, which is what waits when it starts a call at once. OpenTelemetry's default. */
const batchSpansMax = 512;
/** Longest time a span waits for others, ms. OpenTelemetry's default. */
const batchDelayMs = 5000;
/** What a call to the collector may take, ms. */
const exportTimeoutMs = 10_000;
/** Calls for one batch while the collector is away, and the pause between them, ms. */
const attemptsMax = 5;
const retryPauseMs = 5000;
/** Time the last batches get when the member stops, ms. */
const closeTimeoutMs = 2000;
/** Between two lines about failures, ms. */
const logEveryMs = 60_000;
/** A clock that was set is followed from this difference on, ms: below, spans of one trace would shift against each other. */
const clockStepMs = 100;

/** Trace flags: sampled; it is known whether the parent is remote; it is. */
const flagsLocal = 0x101;
const flagsRemote = 0x301;

export interface SpanExportOptions {
  readonly channel: Channel;
  readonly clock: Clock;
  readonly log: Log;
  readonly serviceName: string;
  /** Empty: none. */
  readonly instanceId: string;
  readonly version: string;
}

export class SpanExport {
  readonly #o: SpanExportOptions;
  readonly #resource: readonly KeyValue[];
  #queue: FinishedSpan[] = [];
  #timer: Timer | undefined;
  #sending: Promise<void> | undefined;
  #closed = false;
  /** Wall clock minus monotonic clock. */
  #offsetMs: number;
  #lastLogMs = -Infinity;
  #dropped = 0;
  #failure = '';
  /** Spans that a collector has taken, and those that none will get. */
  sent = 0;
  lost = 0;

  constructor(options: SpanExportOptions) {
    this.#o = options;
    const { serviceName, instanceId } = options;
    this.#resource = [...(instanceId === '' ? [] : [keyValue('service.instance.id', instanceId)]), keyValue('service.name', serviceName)];
    this.#offsetMs = options.clock.wall() - options.clock.mono();
  }

  add(span: FinishedSpan): void {
    if (this.#closed || this.#queue.length >= queueSpansMax) {
      this.#lose(1, 'the queue is full');
      return;
    }
    this.#queue.push(span);
    if (this.#sending !== undefined) return;
    if (this.#queue.length >= batchSpansMax) this.#send();
    else this.#timer ??= this.#o.clock.after(batchDelayMs, () => this.#send());
  }

  /** Sends what waits, as far as there is time. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    const { clock, channel } = this.#o;
    let timer: Timer | undefined;
    const late = new Promise<void>((resolve) => (timer = clock.after(closeTimeoutMs, resolve)));
    await Promise.race([this.#flush(), late]);
    timer?.cancel();
    this.#timer?.cancel();
    channel.close();
  }

  async #flush(): Promise<void> {
    while (this.#queue.length > 0 || this.#sending !== undefined) {
      this.#send();
      await this.#sending;
    }
  }

  #send(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    if (this.#sending !== undefined || this.#queue.length === 0) return;
    const batch = this.#queue.splice(0, batchSpansMax);
    this.#sending = this.#deliver(batch).then(() => {
      this.#sending = undefined;
      if (this.#closed) return;
      if (this.#queue.length >= batchSpansMax) this.#send();
      else if (this.#queue.length > 0) this.#timer ??= this.#o.clock.after(batchDelayMs, () => this.#send());
    });
  }

  async #deliver(batch: readonly FinishedSpan[]): Promise<void> {
    const { channel, clock } = this.#o;
    const request = { resourceSpans: [this.#message(batch)] };
    for (let attempt = 1; ; attempt++) {
      try {
        const { partialSuccess } = await channel.unary(TraceService.export, request, { timeoutMs: exportTimeoutMs });
        const rejected = Math.min(batch.length, partialSuccess?.rejectedSpans ?? 0);
        this.sent += batch.length - rejected;
        if (rejected > 0) this.#lose(rejected, partialSuccess?.errorMessage ?? '');
        return;
      } catch (error) {
        const code = error instanceof RpcError ? error.status.code : Code.Unknown;
        const message = error instanceof Error ? error.message : String(error);
        if (this.#closed || attempt >= attemptsMax || !mayWork.has(code)) {
          this.#lose(batch.length, message);
          return;
        }
        this.#tell(message);
        await new Promise<void>((resolve) => clock.after(retryPauseMs, resolve));
      }
    }
  }

  #lose(spans: number, why: string): void {
    this.lost += spans;
    this.#dropped += spans;
    this.#tell(why);
  }

  #tell(why: string): void {
    this.#failure = why;
    const now = this.#o.clock.mono();
    if (now - this.#lastLogMs < logEveryMs) return;
    this.#lastLogMs = now;
    this.#o.log.warn('failed to export spans', { address: this.#o.channel.endpoint, 'dropped-spans': this.#dropped, error: this.#failure });
    this.#dropped = 0;
  }

  #message(batch: readonly FinishedSpan[]): ResourceSpans {
    const { clock, version } = this.#o;
    const offset = clock.wall() - clock.mono();
    if (Math.abs(offset - this.#offsetMs) > clockStepMs) this.#offsetMs = offset;
    const spans = (scope: FinishedSpan['scope']): SpanMessage[] => batch.filter((s) => s.scope === scope).map((s) => this.#span(s));
    const scopes = [
      { scope: { name: 'go.etcd.io/etcd', version: '' }, spans: spans('work'), schemaUrl: '' },
      { scope: { name: 'tsetcd/wire', version }, spans: spans('call'), schemaUrl: '' },
    ];
    return {
      resource: { attributes: [...this.#resource], droppedAttributesCount: 0 },
      scopeSpans: scopes.filter((s) => s.spans.length > 0),
      schemaUrl: '',
    };
  }

  #span(s: FinishedSpan): SpanMessage {
    return {
      traceId: s.traceId,
      spanId: s.spanId,
      traceState: s.traceState,
      parentSpanId: s.parentId,
      name: s.name,
      kind: s.kind,
      startTimeUnixNano: this.#nanos(s.startMs),
      endTimeUnixNano: this.#nanos(s.endMs),
      attributes: s.attributes.map(([key, value]) => keyValue(key, value)),
      droppedAttributesCount: 0,
      events: s.events.map((e) => ({ timeUnixNano: this.#nanos(e.atMs), name: e.name, attributes: [], droppedAttributesCount: 0 })),
      droppedEventsCount: 0,
      status: { message: '', code: s.failed ? 2 : 0 },
      flags: s.remoteParent ? flagsRemote : flagsLocal,
    };
  }

  #nanos(monoMs: number): bigint {
    const ms = monoMs + this.#offsetMs;
    const whole = Math.floor(ms);
    return BigInt(whole) * 1_000_000n + BigInt(Math.floor((ms - whole) * 1e6));
  }
}

/** After these a second call may succeed, says OTLP. */
const mayWork: ReadonlySet<number> = new Set([
  Code.Canceled,
  Code.DeadlineExceeded,
  Code.Aborted,
  Code.OutOfRange,
  Code.Unavailable,
  Code.DataLoss,
]);

function keyValue(key: string, value: SpanValue): KeyValue {
  const none = { stringValue: undefined, boolValue: undefined, intValue: undefined };
  switch (typeof value) {
    case 'string':
      return { key, value: { ...none, stringValue: value } };
    case 'boolean':
      return { key, value: { ...none, boolValue: value } };
    case 'bigint':
      return { key, value: { ...none, intValue: value } };
    default:
      return { key, value: { ...none, intValue: BigInt(Math.trunc(value)) } };
  }
}

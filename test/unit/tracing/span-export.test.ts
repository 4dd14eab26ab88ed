// Spans on their way to a collector: batches, limits, and collectors that are away.
import { describe, expect, it } from 'vitest';
import { ExportTraceServiceRequest } from '../../../src/api/gen/otlp-collector.ts';
import { Code, RpcError } from '../../../src/api/status.ts';
import type { Clock } from '../../../src/base/clock.ts';
import { type Log, silentLog } from '../../../src/base/log.ts';
import { SpanExport } from '../../../src/server/tracing/span-export.ts';
import type { FinishedSpan } from '../../../src/server/tracing/tracer.ts';
import type { Channel } from '../../../src/wire/channel.ts';

/** Time goes on by `pass`. */
class ManualClock implements Clock {
  now = 1000;
  #timers = new Set<{ at: number; fn: () => void }>();
  mono = (): number => this.now;
  wall = (): number => 1_700_000_000_000 + this.now;
  after(ms: number, fn: () => void): { cancel(): void } {
    const timer = { at: this.now + ms, fn };
    this.#timers.add(timer);
    return { cancel: () => void this.#timers.delete(timer) };
  }
  every(): never {
    throw new Error('not used');
  }
  defer(fn: () => void): void {
    fn();
  }
  async pass(ms: number): Promise<void> {
    const end = this.now + ms;
    for (;;) {
      await settled();
      const next = [...this.#timers].filter((t) => t.at <= end).sort((a, b) => a.at - b.at)[0];
      if (next === undefined) break;
      this.#timers.delete(next);
      this.now = Math.max(this.now, next.at);
      next.fn();
    }
    this.now = end;
  }
}

/** Promises that are due have run. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

const span = (name: string): FinishedSpan => ({
  scope: 'work',
  traceId: new Uint8Array(16).fill(1),
  spanId: new Uint8Array(8).fill(2),
  parentId: new Uint8Array(0),
  traceState: '',
  remoteParent: false,
  name,
  kind: 1,
  startMs: 1000.25,
  endMs: 1001,
  attributes: [
    ['key', 'ü'],
    ['lease', 0x7fffffffffffffffn],
    ['limit', 5],
    ['keys_only', true],
  ],
  events: [{ name: 'Send raft proposal', atMs: 1000.5 }],
  failed: false,
});

type Answer = 'ok' | 'away' | 'refused' | 'hang';

function setUp(): {
  spans: SpanExport;
  clock: ManualClock;
  requests: ExportTraceServiceRequest[];
  warnings: string[];
  answer: { next: Answer };
  closed: () => boolean;
} {
  const clock = new ManualClock();
  const requests: ExportTraceServiceRequest[] = [];
  const warnings: string[] = [];
  const answer: { next: Answer } = { next: 'ok' };
  let closed = false;
  const channel = {
    endpoint: 'collector:4317',
    unary(_method: unknown, request: ExportTraceServiceRequest) {
      // As it goes over the wire.
      requests.push(ExportTraceServiceRequest.decode(ExportTraceServiceRequest.encode(request)));
      if (answer.next === 'hang') return new Promise(() => {});
      if (answer.next === 'away') return Promise.reject(new RpcError({ code: Code.Unavailable, message: 'away' }));
      if (answer.next === 'refused') return Promise.reject(new RpcError({ code: Code.InvalidArgument, message: 'no' }));
      return Promise.resolve({ partialSuccess: undefined });
    },
    close: () => void (closed = true),
  } as unknown as Channel;
  const log: Log = { ...silentLog, warn: (message) => void warnings.push(message) };
  const spans = new SpanExport({ channel, clock, log, serviceName: 'etcd', instanceId: 'i1', version: '3.7.1' });
  return { spans, clock, requests, warnings, answer, closed: () => closed };
}

const names = (r: ExportTraceServiceRequest): string[] =>
  r.resourceSpans.flatMap((s) => s.scopeSpans.flatMap((i) => i.spans.map((x) => x.name)));

describe('the export of spans', () => {
  it('gathers them for a while and says who they are from', async () => {
    const { spans, clock, requests } = setUp();
    spans.add(span('a'));
    spans.add(span('b'));
    await clock.pass(4999);
    expect(requests.length).toBe(0);
    await clock.pass(1);
    await settled();
    expect(requests.length).toBe(1);
    expect(names(requests[0]!)).toEqual(['a', 'b']);
    const [resource] = requests[0]!.resourceSpans;
    expect(resource!.resource!.attributes.map((a) => [a.key, a.value!.stringValue])).toEqual([
      ['service.instance.id', 'i1'],
      ['service.name', 'etcd'],
    ]);
    const [a] = resource!.scopeSpans[0]!.spans;
    expect(a!.startTimeUnixNano).toBe(1_700_000_001_000_250_000n);
    expect(a!.endTimeUnixNano).toBe(1_700_000_001_001_000_000n);
    expect(a!.events[0]!.timeUnixNano).toBe(1_700_000_001_000_500_000n);
    expect(a!.attributes.map((x) => x.value!.stringValue ?? x.value!.intValue ?? x.value!.boolValue)).toEqual([
      'ü',
      0x7fffffffffffffffn,
      5n,
      true,
    ]);
    expect(a!.flags).toBe(0x101);
    expect(spans.sent).toBe(2);
  });

  it('sends a full batch at once, and one after the other', async () => {
    const { spans, clock, requests } = setUp();
    for (let i = 0; i < 1200; i++) spans.add(span(`s${i}`));
    await clock.pass(0);
    expect(requests.map((r) => names(r).length)).toEqual([512, 512]);
    await clock.pass(5000);
    expect(requests.map((r) => names(r).length)).toEqual([512, 512, 176]);
    expect(requests.flatMap(names)).toEqual(Array.from({ length: 1200 }, (_, i) => `s${i}`));
  });

  it('tries again while the collector is away, holds no more than its queue, and says so once a minute', async () => {
    const { spans, clock, requests, warnings, answer } = setUp();
    answer.next = 'away';
    for (let i = 0; i < 512 + 2048 + 100; i++) spans.add(span('x'));
    expect(spans.lost).toBe(100);
    await clock.pass(12_000);
    expect(requests.length).toBe(3);
    expect(spans.sent).toBe(0);
    expect(warnings.length).toBe(1);
    answer.next = 'ok';
    await clock.pass(10_000);
    expect(spans.sent).toBe(512 + 2048);
    await clock.pass(60_000);
    answer.next = 'away';
    spans.add(span('y'));
    await clock.pass(60_000);
    // Five calls for one batch, then it is lost.
    expect(spans.lost).toBe(101);
    expect(warnings.length).toBe(2);
  });

  it('gives up at once on what cannot be mended', async () => {
    const { spans, clock, requests, answer } = setUp();
    answer.next = 'refused';
    spans.add(span('x'));
    await clock.pass(30_000);
    expect(requests.length).toBe(1);
    expect(spans.lost).toBe(1);
  });

  it('sends what waits when the member stops', async () => {
    const { spans, requests, closed } = setUp();
    spans.add(span('last'));
    await spans.close();
    expect(names(requests[0]!)).toEqual(['last']);
    expect(closed()).toBe(true);
    spans.add(span('late'));
    expect(spans.lost).toBe(1);
  });

  it('does not wait long for it', async () => {
    const { spans, clock, answer, closed } = setUp();
    answer.next = 'hang';
    spans.add(span('last'));
    let over = false;
    const closing = spans.close().then(() => (over = true));
    await clock.pass(1999);
    expect(over).toBe(false);
    await clock.pass(1);
    await closing;
    expect(closed()).toBe(true);
  });
});

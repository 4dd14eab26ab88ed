// Which calls are sampled, and what their spans look like when they are over.
import { describe, expect, it } from 'vitest';
import { SeededRandom } from '../../../src/base/random.ts';
import { parseTraceparent } from '../../../src/server/tracing/traceparent.ts';
import { type FinishedSpan, Tracer } from '../../../src/server/tracing/tracer.ts';

const parent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
const hex = (b: Uint8Array): string => Buffer.from(b).toString('hex');

function setUp(samplesPerMillion: number): { tracer: Tracer; done: FinishedSpan[]; time: { now: number } } {
  const done: FinishedSpan[] = [];
  const time = { now: 100 };
  const tracer = new Tracer({
    clock: { mono: () => time.now },
    random: new SeededRandom(7),
    samplesPerMillion,
    finished: (span) => done.push(span),
  });
  return { tracer, done, time };
}

describe('traceparent', () => {
  it('is read as W3C has it', () => {
    const context = parseTraceparent(parent, 'a=b')!;
    expect(hex(context.traceId)).toBe('0af7651916cd43dd8448eb211c80319c');
    expect(hex(context.spanId)).toBe('b7ad6b7169203331');
    expect(context.sampled).toBe(true);
    expect(context.state).toBe('a=b');
    expect(parseTraceparent(parent.replace(/01$/, '00'), undefined)!.sampled).toBe(false);
    expect(parseTraceparent(parent.replace(/01$/, '03'), undefined)!.sampled).toBe(true);
    // A later version may have more fields.
    expect(parseTraceparent(`01${parent.slice(2)}-more`, undefined)!.sampled).toBe(true);
    expect(parseTraceparent(parent, 'x'.repeat(513))!.state).toBe('');
  });

  it.each([
    '',
    'x',
    parent.slice(1),
    `ff${parent.slice(2)}`,
    `${parent}-more`,
    parent.toUpperCase(),
    parent.replace('0af7651916cd43dd8448eb211c80319c', '0'.repeat(32)),
    parent.replace('b7ad6b7169203331', '0'.repeat(16)),
    parent.replace('b7ad', 'g7ad'),
  ])('%j is none', (text) => {
    expect(parseTraceparent(text, undefined)).toBeUndefined();
  });
});

describe('a call', () => {
  const path = '/etcdserverpb.KV/Put';
  const none = new Map<string, readonly string[]>();

  it('is sampled as its caller says', () => {
    const { tracer } = setUp(0);
    expect(tracer.call(path, none, '1.2.3.4:5', 0)).toBeUndefined();
    expect(tracer.call(path, new Map([['traceparent', [parent]]]), '1.2.3.4:5', 0)).toBeDefined();
    const all = setUp(1_000_000).tracer;
    expect(all.call(path, none, '1.2.3.4:5', 0)).toBeDefined();
    expect(all.call(path, new Map([['traceparent', [parent.replace(/01$/, '00')]]]), '1.2.3.4:5', 0)).toBeUndefined();
    // A damaged one is as none.
    expect(all.call(path, new Map([['traceparent', ['x']]]), '1.2.3.4:5', 0)).toBeDefined();
  });

  it('is sampled by chance without a caller who says', () => {
    const { tracer } = setUp(100_000);
    let sampled = 0;
    for (let i = 0; i < 20_000; i++) if (tracer.call(path, none, '1.2.3.4:5', 0) !== undefined) sampled++;
    expect(sampled).toBeGreaterThan(1600);
    expect(sampled).toBeLessThan(2400);
  });

  it('gives a tree of spans', () => {
    const { tracer, done, time } = setUp(0);
    const call = tracer.call(path, new Map([['traceparent', [parent]]]), '[::1]:5', 90)!;
    time.now = 101;
    call.work = call.child('put', { key: 'k'.repeat(1000) });
    const raft = call.work.child('raft');
    raft.child('wal').end(103);
    time.now = 104;
    call.work.event('Send raft proposal');
    raft.end();
    raft.end(200);
    time.now = 105;
    call.finish(8);
    expect(done.map((s) => s.name)).toEqual(['wal', 'raft', 'put', 'etcdserverpb.KV/Put']);
    const [wal, raftSpan, put, whole] = done as [FinishedSpan, FinishedSpan, FinishedSpan, FinishedSpan];
    expect(new Set(done.map((s) => hex(s.traceId)))).toEqual(new Set(['0af7651916cd43dd8448eb211c80319c']));
    expect(hex(whole.parentId)).toBe('b7ad6b7169203331');
    expect([whole.remoteParent, put.remoteParent]).toEqual([true, false]);
    expect([put.parentId, raftSpan.parentId, wal.parentId].map(hex)).toEqual([whole.spanId, put.spanId, raftSpan.spanId].map(hex));
    expect([whole.startMs, whole.endMs, wal.startMs, wal.endMs, raftSpan.endMs]).toEqual([90, 105, 101, 103, 104]);
    expect(put.attributes).toEqual([['key', 'k'.repeat(256)]]);
    expect(put.events).toEqual([{ name: 'Send raft proposal', atMs: 104 }]);
    expect(Object.fromEntries(whole.attributes)).toEqual({
      'rpc.system.name': 'grpc',
      'rpc.method': 'etcdserverpb.KV/Put',
      'server.address': '::1',
      'server.port': 5,
      'rpc.response.status_code': 'RESOURCE_EXHAUSTED',
    });
    expect([whole.kind, put.kind, whole.failed]).toEqual([2, 1, false]);
  });

  it('bounds what a long stream gathers', () => {
    const { tracer, done } = setUp(1_000_000);
    const call = tracer.call('/etcdserverpb.Watch/Watch', none, 'in-process', 0)!;
    for (let i = 0; i < 1000; i++) call.child('watch').child('inner').event('x');
    for (let i = 0; i < 1000; i++) call.event('y');
    call.finish(13);
    expect(done.length).toBe(129);
    expect(done.at(-1)!.events.length).toBe(128);
    expect(done.at(-1)!.failed).toBe(true);
    expect(Object.fromEntries(done.at(-1)!.attributes)['server.address']).toBe('in-process');
  });
});

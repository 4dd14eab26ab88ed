// Frames by hand against our own HTTP/2: states, floods, times, back-pressure. The codes are those of RFC 9113.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { KV, Watch } from '../../../src/api/gen/methods.ts';
import { defaultWireLimits, type WireLimits } from '../../../src/wire/limits.ts';
import { NativeBinding } from '../../../src/wire/native-server.ts';
import { GrpcServer } from '../../../src/wire/server-call.ts';
import { handlers, newSeen, type Seen } from './fixture.ts';
import { block, FakeSocket, frame, grpcFields, message, preface, TestClock, u32, type Frame } from './raw.ts';

const DATA = 0;
const HEADERS = 1;
const PRIORITY = 2;
const RST = 3;
const SETTINGS = 4;
const PING = 6;
const GOAWAY = 7;
const WINDOW = 8;
const CONTINUATION = 9;
const END_STREAM = 1;
const END_HEADERS = 4;
const CALM = 11;

const range = grpcFields(KV.range.path);
const tick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('native connection', () => {
  let seen: Seen;
  let clock: TestClock;
  let grpc: GrpcServer;
  let binding: NativeBinding;
  let socket: FakeSocket;
  const errors: unknown[] = [];

  function open(limits: Partial<WireLimits> = {}, settings: Uint8Array = Buffer.alloc(0)): void {
    seen = newSeen();
    clock = new TestClock();
    grpc = new GrpcServer({
      table: handlers(seen),
      limits: { ...defaultWireLimits, ...limits },
      clock,
      onHandlerError: (e) => errors.push(e),
    });
    binding = new NativeBinding({ grpc, http: (_request, response) => response.end('hello') });
    socket = new FakeSocket();
    binding.accept(socket.duplex, undefined, { address: 'x', commonName: undefined, viaGateway: false }, false);
    send(preface, frame(SETTINGS, 0, 0, settings));
    socket.take();
  }
  const send = (...frames: Buffer[]): void => void socket.emit('data', Buffer.concat(frames));
  const headers = (id: number, flags = END_HEADERS | END_STREAM, fields = range): Buffer => frame(HEADERS, flags, id, block(fields));
  const ask = (key: string): Buffer => message(KV.range.request.encode({ key: Buffer.from(key) }));
  const call = (id: number, key: string): Buffer => Buffer.concat([headers(id, END_HEADERS), frame(DATA, END_STREAM, id, ask(key))]);
  const goaway = (frames: Frame[]): number | undefined => frames.find((f) => f.type === GOAWAY)?.payload.readUInt32BE(4);
  const reset = (frames: Frame[], id: number): number | undefined =>
    frames.find((f) => f.type === RST && f.id === id)?.payload.readUInt32BE(0);
  const dataBytes = (frames: Frame[], id: number): number =>
    frames.filter((f) => f.type === DATA && f.id === id).reduce((n, f) => n + f.payload.length, 0);

  beforeEach(() => open());
  afterEach(() => {
    binding.close();
    grpc.close();
    expect(grpc.openCalls).toBe(0);
    expect(grpc.openStreams).toBe(0);
    expect(binding.connections).toBe(0);
    expect(errors).toEqual([]);
  });

  it('answers a call with three frames in one write', () => {
    send(call(1, 'abc'));
    const frames = socket.take();
    expect(frames.map((f) => [f.type, f.flags, f.id])).toEqual([
      [HEADERS, END_HEADERS, 1],
      [DATA, 0, 1],
      [HEADERS, END_HEADERS | END_STREAM, 1],
    ]);
    send(call(3, 'abc'));
    // Header blocks of the second answer are indexes only.
    expect(socket.take().map((f) => f.payload.length)).toEqual([2, 7, 1]);
  });

  it('takes frames in any pieces', () => {
    const bytes = Buffer.concat([
      call(1, 'abc'),
      call(3, 'later'),
      frame(PING, 0, 0, Buffer.alloc(8)),
      call(5, 'x'.repeat(20_000).slice(0, 9_000)),
    ]);
    for (const byte of bytes) socket.emit('data', Buffer.from([byte]));
    expect(seen.calls.length).toBe(3);
    expect(seen.calls.map((c) => (c as unknown as { request: { key: Uint8Array } }).request.key.length)).toEqual([3, 5, 9_000]);
  });

  it('keeps a changed HPACK table small and says so', () => {
    send(frame(SETTINGS, 0, 0, Buffer.concat([Buffer.from([0, 1]), u32(0)])), call(1, 'abc'), call(3, 'abc'));
    const blocks = socket.take().filter((f) => f.type === HEADERS);
    expect(blocks[0]?.payload[0]).toBe(0x20);
    // No indexed fields but the static status.
    expect(blocks[2]?.payload[0]).toBe(0x88);
    expect(blocks[2]?.payload.length).toBe(blocks[0]!.payload.length - 1);
  });

  it('honours the windows of streams and connection', async () => {
    send(frame(SETTINGS, 0, 0, Buffer.concat([Buffer.from([0, 4]), u32(1_000)])));
    send(call(1, 'big:5000'), call(3, 'parts:5000'));
    await tick();
    let frames = socket.take();
    let sent = 2_000 + 500;
    expect([dataBytes(frames, 1), dataBytes(frames, 3)]).toEqual([1_000, 1_000]);
    send(frame(WINDOW, 0, 1, u32(500)));
    frames = socket.take();
    expect([dataBytes(frames, 1), dataBytes(frames, 3)]).toEqual([500, 0]);
    // A smaller initial window makes the rest negative.
    send(frame(SETTINGS, 0, 0, Buffer.concat([Buffer.from([0, 4]), u32(0)])), frame(WINDOW, 0, 3, u32(999)));
    expect(dataBytes(socket.take(), 3)).toBe(0);
    send(frame(WINDOW, 0, 3, u32(6_000)), frame(WINDOW, 0, 1, u32(10_000)));
    frames = socket.take();
    expect(frames.filter((f) => f.type === HEADERS).length).toBe(2);
    expect([dataBytes(frames, 1), dataBytes(frames, 3)].map((n) => n > 3_000)).toEqual([true, true]);
    sent += dataBytes(frames, 1) + dataBytes(frames, 3);
    expect(seen.calls.length).toBe(2);
    // The connection's window: 64 KiB in all before any update.
    send(frame(SETTINGS, 0, 0, Buffer.concat([Buffer.from([0, 4]), u32(1_000_000)])), call(5, 'big:200000'));
    frames = socket.take();
    expect(dataBytes(frames, 5)).toBe(65_535 - sent);
    send(frame(WINDOW, 0, 0, u32(1_000_000)));
    expect(dataBytes(socket.take(), 5)).toBeGreaterThan(100_000);
  });

  it('gives windows back as it reads, and not to what is paused', () => {
    const put = grpcFields(KV.put.path);
    send(headers(1, END_HEADERS, put), frame(DATA, 0, 1, message(Buffer.alloc(100)).subarray(0, 105)));
    const big = message(KV.put.request.encode({ key: Buffer.from('k'), value: Buffer.alloc(1_400_000) }));
    send(headers(3, END_HEADERS, put));
    for (let at = 0; at < big.length; at += 16_384) {
      const end = Math.min(at + 16_384, big.length);
      send(frame(DATA, end === big.length ? END_STREAM : 0, 3, big.subarray(at, end)));
    }
    const frames = socket.take();
    expect(frames.filter((f) => f.type === WINDOW && f.id === 0).length).toBe(2);
    expect(frames.filter((f) => f.type === WINDOW && f.id === 3).length).toBeGreaterThanOrEqual(4);
    expect(seen.received).toBe(1_400_000);
  });

  it('refuses DATA beyond the windows', () => {
    open({ streamWindowBytes: 70_000 });
    send(headers(1, END_HEADERS, grpcFields(Watch.watch.path)));
    seen.streams[0]?.pause();
    for (let i = 0; i < 5; i++) send(frame(DATA, 0, 1, Buffer.alloc(16_384)));
    expect(reset(socket.take(), 1)).toBe(3);
    expect(seen.cancels).toEqual(['watch']);
  });

  it('resets the stream that makes it hold too much', () => {
    open({ heldBytesMax: 100_000 });
    const put = grpcFields(KV.put.path);
    const part = message(Buffer.alloc(1_000_000)).subarray(0, 16_384);
    for (let id = 1; id <= 13; id += 2) send(headers(id, END_HEADERS, put), frame(DATA, 0, id, part));
    expect(reset(socket.take(), 13)).toBe(CALM);
    send(call(15, 'abc'));
    expect(socket.take().length).toBe(3);
  });

  it('S-063: copies a message in a million pieces together', () => {
    open({ controlFramesBurst: 1e9 });
    const put = grpcFields(KV.put.path);
    const body = message(KV.put.request.encode({ key: Buffer.from('k'), value: Buffer.alloc(200_000) }));
    const before = process.memoryUsage().heapUsed;
    for (let id = 1; id < 20; id += 2) {
      send(headers(id, END_HEADERS, put));
      for (let at = 0; at < body.length - 1; at += 1_000) {
        const pieces: Buffer[] = [];
        for (let i = at; i < Math.min(at + 1_000, body.length - 1); i++) pieces.push(frame(DATA, 0, id, body.subarray(i, i + 1)));
        send(...pieces);
      }
      socket.drop();
    }
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(60_000_000);
    for (let id = 1; id < 20; id += 2) send(frame(DATA, END_STREAM, id, body.subarray(body.length - 1)));
    expect(seen.received).toBe(2_000_000);
  });

  it('forgives what netty sends behind a cancellation', () => {
    send(headers(1, END_HEADERS), frame(RST, 0, 1, u32(8)), headers(3, END_HEADERS), frame(DATA, END_STREAM, 1, ask('abc')));
    send(frame(DATA, 0, 1, Buffer.alloc(10)), frame(DATA, END_STREAM, 3, ask('abc')));
    const frames = socket.take();
    expect(goaway(frames)).toBeUndefined();
    expect(reset(frames, 1)).toBe(5);
    expect(frames.filter((f) => f.id === 1).length).toBe(1);
    expect(frames.filter((f) => f.id === 3).length).toBe(3);
    // One RST_STREAM for each DATA frame that was on its way.
    for (let i = 0; i < 9_000; i++) send(frame(RST, 0, 1, u32(5)));
    send(call(5, 'abc'));
    expect(socket.take().filter((f) => f.id === 5).length).toBe(3);
  });

  it('S-070: caps concurrent streams', () => {
    open({ concurrentStreamsMax: 3 });
    for (let id = 1; id <= 9; id += 2) send(call(id, `hang:${id}`));
    const frames = socket.take();
    expect([7, 9].map((id) => reset(frames, id))).toEqual([7, 7]);
    expect(seen.calls.length).toBe(3);
  });

  it('S-070: caps the streams of all connections, and leaves some to each', () => {
    open({ streamsMax: 6, concurrentStreamsWhenFull: 2 });
    const other = new FakeSocket();
    binding.accept(other.duplex, undefined, { address: 'y', commonName: undefined, viaGateway: false }, false);
    const fromOther = (...frames: Buffer[]): void => void other.emit('data', Buffer.concat(frames));
    fromOther(preface, frame(SETTINGS, 0, 0));
    other.take();
    for (let id = 1; id <= 13; id += 2) send(headers(id, END_HEADERS));
    expect(socket.take().map((f) => [f.type, f.id])).toEqual([[RST, 13]]);
    // What one holds shuts nobody out; it may try again later, by REFUSED_STREAM.
    fromOther(call(1, 'hang:1'), call(3, 'abc'), call(5, 'hang:5'), call(7, 'hang:7'));
    const frames = other.take();
    expect(frames.filter((f) => f.id === 3).length).toBe(3);
    expect(frames.filter((f) => f.type === RST).map((f) => [f.id, f.payload.readUInt32BE(0)])).toEqual([[7, 7]]);
    expect(grpc.openStreams).toBe(8);
    for (const id of [1, 3, 5]) send(frame(RST, 0, id, u32(8)));
    fromOther(call(9, 'hang:9'), call(11, 'abc'));
    expect(other.take().map((f) => [f.type, f.id])).toEqual([[RST, 11]]);
    socket.emit('close');
    expect(grpc.openStreams).toBe(3);
    fromOther(call(13, 'abc'));
    expect(other.take().length).toBe(3);
  });

  it('begins a call of one message with its body', async () => {
    send(headers(1, END_HEADERS), headers(3, END_HEADERS));
    expect(grpc.openCalls).toBe(0);
    send(frame(DATA, END_STREAM, 1, ask('abc')), frame(DATA, END_STREAM, 3));
    expect(socket.take().map((f) => [f.type, f.id])).toEqual([
      [HEADERS, 1],
      [DATA, 1],
      [HEADERS, 1],
      [HEADERS, 3],
    ]);
    // One that never comes is not waited for.
    send(headers(5, END_HEADERS));
    for (let i = 0; i < 62; i++) clock.advance(1_000);
    await tick();
    expect(reset(socket.take(), 5)).toBe(8);
  });

  it.each([
    ['rapid reset', (i: number) => [call(i * 2 + 1, 'hang:r'), frame(RST, 0, i * 2 + 1, u32(8))]],
    ['SETTINGS', () => [frame(SETTINGS, 0, 0)]],
    ['SETTINGS acknowledgements', () => [frame(SETTINGS, 1, 0)]],
    ['PRIORITY', (i: number) => [frame(PRIORITY, 0, i * 2 + 1, Buffer.alloc(5))]],
    ['unknown frames', () => [frame(99, 0, 0, Buffer.alloc(10))]],
    ['PING acknowledgements', () => [frame(PING, 1, 0, Buffer.alloc(8))]],
    ['GOAWAY', () => [frame(GOAWAY, 0, 0, Buffer.alloc(8))]],
    ['WINDOW_UPDATE', () => [frame(WINDOW, 0, 0, u32(1))]],
    ['resets of a stream that has ended', (i: number) => [...(i === 0 ? [call(1, 'abc')] : []), frame(RST, 0, 1, u32(8))]],
    ['streams that break the rules', (i: number) => [headers(i * 2 + 1, END_HEADERS), frame(WINDOW, 0, i * 2 + 1, u32(0))]],
    ['header lists that are too large', (i: number) => [headers(i * 2 + 1, 5, grpcFields(KV.range.path, [['x', 'y'.repeat(16_100)]]))]],
    ['malformed requests', (i: number) => [headers(i * 2 + 1, 5, [[':method', 'GET']])]],
  ] as const)('S-060, S-062: ends a flood of %s with ENHANCE_YOUR_CALM', (_name, make) => {
    let frames: Frame[] = [];
    let i = 0;
    for (; i < 20_000 && goaway(frames) === undefined; i++) {
      send(...make(i));
      frames = socket.take();
    }
    expect(goaway(frames)).toBe(CALM);
    expect(i).toBeGreaterThan(40);
    expect(socket.ended).toBe(true);
    clock.advance(3_000);
    expect(socket.destroyed).toBe(true);
  });

  it('S-062: ends a flood of empty DATA frames', () => {
    send(headers(1, END_HEADERS, grpcFields(Watch.watch.path)));
    let frames: Frame[] = [];
    for (let i = 0; i < 5_000 && goaway(frames) === undefined; i++) {
      send(frame(DATA, i % 2 === 0 ? 0 : 8, 1, i % 2 === 0 ? Buffer.alloc(0) : Buffer.from([3, 0, 0, 0])));
      frames = socket.take();
    }
    expect(goaway(frames)).toBe(CALM);
    expect(seen.cancels).toEqual(['watch']);
  });

  it('ends a message that comes in tiny pieces', () => {
    const pieces = (size: number, count: number): number => {
      open();
      send(headers(1, END_HEADERS), frame(DATA, 0, 1, Buffer.from([0, 0, 0, 255, 255])));
      let frames: Frame[] = [];
      let i = 0;
      for (; i < count && goaway(frames) === undefined; i++) {
        send(frame(DATA, 0, 1, Buffer.alloc(size, 7)));
        frames = socket.take();
      }
      expect(goaway(frames)).toBe(i === count ? undefined : CALM);
      return i;
    };
    expect(pieces(1, 60_000)).toBeLessThan(600);
    expect(pieces(8, 7_000)).toBe(7_000);
  });

  it('leaves unread what comes behind a fatal error', () => {
    send(frame(DATA, 0, 0, Buffer.alloc(1)));
    expect(goaway(socket.take())).toBe(1);
    for (let i = 0; i < 4; i++) send(Buffer.alloc(16_384));
    expect(socket.paused).toBe(false);
    send(Buffer.alloc(1));
    expect([socket.paused, socket.destroyed]).toEqual([true, false]);
    clock.advance(10_000);
    expect(socket.destroyed).toBe(true);
  });

  it('lets others go first after bytes that took long', async () => {
    const { mono } = clock;
    clock.mono = () => (clock.now += 2);
    send(call(1, 'abc'));
    clock.mono = mono;
    expect(socket.paused).toBe(true);
    expect(socket.take().length).toBe(3);
    await tick();
    expect(socket.paused).toBe(false);
    send(call(3, 'abc'));
    expect([socket.paused, socket.take().length]).toEqual([false, 3]);
  });

  it('forgives the same at a slow rate', () => {
    for (let i = 0; i < 3_000; i++) {
      send(frame(SETTINGS, 0, 0), call(i * 2 + 1, 'hang:s'), frame(RST, 0, i * 2 + 1, u32(8)));
      clock.advance(30);
      expect(goaway(socket.take())).toBeUndefined();
    }
  });

  it('S-061: ends endless header blocks', () => {
    send(frame(HEADERS, END_STREAM, 1, block(range)));
    let frames: Frame[] = [];
    let i = 0;
    for (; i < 1_000 && goaway(frames) === undefined; i++) {
      send(frame(CONTINUATION, 0, 1, Buffer.alloc(0)));
      frames = socket.take();
    }
    expect(goaway(frames)).toBe(CALM);
    expect(i).toBeLessThan(20);
    open();
    send(
      frame(HEADERS, END_STREAM, 1, Buffer.alloc(16_384)),
      frame(CONTINUATION, 0, 1, Buffer.alloc(16_384)),
      frame(CONTINUATION, 0, 1, Buffer.alloc(16_384)),
    );
    expect(goaway(socket.take())).toBe(CALM);
  });

  it('answers 431 to a list that is too large, and goes on', () => {
    const many = grpcFields(
      KV.range.path,
      Array.from({ length: 200 }, (_, i) => [`x-${i}`, 'y'] as const),
    );
    send(headers(1, 5, many), headers(3, 5, grpcFields(KV.range.path, [['x', 'y'.repeat(16_100)]])), call(5, 'abc'));
    const frames = socket.take();
    expect([1, 3].map((id) => frames.find((f) => f.type === HEADERS && f.id === id)?.payload.includes('431'))).toEqual([true, true]);
    expect(frames.filter((f) => f.id === 5).length).toBe(3);
  });

  it('S-061: never unpacks a table bomb', () => {
    // One entry of 4 KB, named a thousand times in one block.
    const bomb = Buffer.concat([
      block(range),
      Buffer.from([0x40]),
      Buffer.from([1, 0x78]),
      Buffer.from([0x7f, 0xa1, 0x1e]),
      Buffer.alloc(4_000, 'z'),
    ]);
    send(frame(HEADERS, 5, 1, bomb));
    socket.take();
    const before = process.memoryUsage().heapUsed;
    for (let i = 1; i < 45; i++) send(frame(HEADERS, 5, i * 2 + 1, Buffer.concat([block(range), Buffer.alloc(10_000, 0xbe)])));
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(30_000_000);
    expect(goaway(socket.take())).toBeUndefined();
  });

  it('S-033: wants preface, headers and bodies in time', async () => {
    const quiet = new FakeSocket();
    binding.accept(quiet.duplex, undefined, { address: 'q', commonName: undefined, viaGateway: false }, false);
    quiet.emit('data', preface);
    send(frame(HEADERS, END_STREAM, 1, block(range)));
    clock.advance(12_000);
    await tick();
    expect(quiet.destroyed).toBe(true);
    expect(goaway(socket.take())).toBe(CALM);
    open();
    send(headers(1, END_HEADERS), frame(DATA, 0, 1, ask('abc').subarray(0, 6)), headers(3, END_HEADERS, grpcFields(Watch.watch.path)));
    clock.advance(62_000);
    await tick();
    const frames = socket.take();
    expect([reset(frames, 1), reset(frames, 3)]).toEqual([8, undefined]);
    expect(seen.cancels).toEqual([]);
  });

  it('gives a client that was answered time to end its side', async () => {
    send(headers(1, END_HEADERS), frame(DATA, 0, 1, ask('abc')));
    expect(
      socket
        .take()
        .filter((f) => f.id === 1)
        .map((f) => f.type),
    ).toEqual([HEADERS, DATA, HEADERS]);
    send(frame(DATA, END_STREAM, 1));
    expect(socket.take()).toEqual([]);
    send(headers(3, END_HEADERS), frame(DATA, 0, 3, ask('abc')));
    socket.take();
    clock.advance(62_000);
    await tick();
    expect(reset(socket.take(), 3)).toBe(0);
  });

  it('S-073: polices pings as grpc-go does', () => {
    const ping = frame(PING, 0, 0, Buffer.from('12345678'));
    send(ping);
    expect(socket.take()[0]).toMatchObject({ type: PING, flags: 1, payload: Buffer.from('12345678') });
    // With calls open, one in five seconds is fine; without traffic in between more is not.
    send(call(1, 'hang:p'));
    for (let i = 0; i < 10; i++) {
      clock.advance(5_001);
      send(ping);
    }
    expect(goaway(socket.take())).toBeUndefined();
    for (let i = 0; i < 3; i++) {
      clock.advance(100);
      send(ping);
    }
    const frames = socket.take();
    expect(goaway(frames)).toBe(CALM);
    expect(
      frames
        .find((f) => f.type === GOAWAY)
        ?.payload.subarray(8)
        .toString(),
    ).toBe('too_many_pings');
  });

  it('forgives pings around traffic', () => {
    for (let i = 0; i < 100; i++) send(call(i * 2 + 1, 'abc'), frame(PING, 0, 0, Buffer.alloc(8)));
    expect(goaway(socket.take())).toBeUndefined();
  });

  it('acknowledges a ping behind an answer with what comes next, or in a millisecond', async () => {
    const ping = (text: string): Buffer => frame(PING, 0, 0, Buffer.from(text));
    const acknowledged = (): string[] =>
      socket
        .take()
        .filter((f) => f.type === PING && f.flags === 1)
        .map((f) => f.payload.toString());
    send(call(1, 'abc'));
    send(ping('behind 1'));
    send(call(3, 'abc'));
    expect(acknowledged()).toEqual(['behind 1']);
    send(ping('behind 3'));
    expect(acknowledged()).toEqual([]);
    clock.advance(1);
    await tick();
    expect(acknowledged()).toEqual(['behind 3']);
    // One that nothing was sent before, and a second one, are answered at once.
    send(ping('in quiet'));
    expect(acknowledged()).toEqual(['in quiet']);
    send(call(5, 'abc'), ping('together'));
    expect(acknowledged()).toEqual(['together']);
    send(call(7, 'abc'));
    socket.take();
    send(ping('a first.'));
    expect(acknowledged()).toEqual([]);
    send(ping('a second'));
    expect(acknowledged()).toEqual(['a second', 'a first.']);
    // The line may go meanwhile.
    send(call(9, 'abc'));
    socket.take();
    clock.advance(1);
    const timers = clock.timers.size;
    send(ping('lost ...'));
    expect(clock.timers.size).toBe(timers + 1);
    socket.destroy();
    expect(clock.timers.size).toBeLessThanOrEqual(timers);
  });

  it('S-073: pings a silent client and gives it up', async () => {
    send(call(1, 'hang:k'));
    socket.take();
    clock.advance(7_201_000);
    await tick();
    expect(socket.take().filter((f) => f.type === PING).length).toBe(1);
    send(frame(PING, 1, 0, Buffer.from('alive\0\0\0')));
    clock.advance(7_201_000);
    await tick();
    expect(socket.take().filter((f) => f.type === PING).length).toBe(1);
    clock.advance(21_000);
    expect(socket.destroyed).toBe(true);
    expect(seen.cancels).toEqual(['hang:k']);
  });

  it('S-062: holds back output for a slow socket, then cuts it', async () => {
    send(frame(SETTINGS, 0, 0, Buffer.concat([Buffer.from([0, 4]), u32(2_000_000_000)])), frame(WINDOW, 0, 0, u32(2_000_000_000)));
    socket.blocked = true;
    send(headers(1, END_HEADERS, grpcFields(KV.rangeStream.path)), frame(DATA, END_STREAM, 1, ask('n:1000:20000')));
    await tick();
    expect(socket.writableLength).toBeLessThan(300_000);
    expect(seen.streams[0]?.bufferedBytes).toBeLessThan(100_000);
    socket.unblock();
    socket.blocked = true;
    await tick();
    expect(socket.writableLength).toBeGreaterThan(200_000);
    clock.advance(119_000);
    expect(socket.destroyed).toBe(false);
    clock.advance(5_000);
    expect(socket.destroyed).toBe(true);
    expect(seen.cancels).toEqual(['rangeStream']);
  });

  it('resets a stream whose client never opens its window', async () => {
    send(headers(1, END_HEADERS, grpcFields(KV.rangeStream.path)), frame(DATA, END_STREAM, 1, ask('n:1000:20000')), call(3, 'hang:other'));
    await tick();
    socket.take();
    clock.advance(125_000);
    await tick();
    expect(reset(socket.take(), 1)).toBe(CALM);
    expect(seen.cancels).toEqual(['rangeStream']);
  });

  it('S-111: puts off calls while answers of the connection wait', async () => {
    open({ connectionHighWaterBytes: 1_000_000 });
    send(call(1, 'big:2000000'), call(3, 'abc'), headers(5, END_HEADERS), frame(DATA, END_STREAM, 5, ask('abcd')));
    expect(seen.calls.length).toBe(1);
    send(frame(RST, 0, 1, u32(8)), frame(WINDOW, 0, 0, u32(1_000_000)));
    await tick();
    expect(seen.calls.length).toBe(3);
    expect(
      socket
        .take()
        .filter((f) => f.id === 5)
        .map((f) => f.type),
    ).toEqual([HEADERS, DATA, HEADERS]);
  });

  it('refuses calls beyond those that may wait', () => {
    open({ connectionHighWaterBytes: 1_000_000, deferredCallsMax: 2 });
    send(call(1, 'big:2000000'), call(3, 'abc'), call(5, 'abc'), call(7, 'abc'));
    const frames = socket.take();
    expect([3, 5, 7].map((id) => reset(frames, id))).toEqual([undefined, undefined, 7]);
    expect(seen.calls.length).toBe(1);
  });

  it('lowers the mark of each connection when all of them together hold too much', () => {
    open({ connectionHighWaterBytes: 4_000_000, queuedHighWaterBytes: 1_000_000 });
    send(call(1, 'big:500000'), call(3, 'abc'));
    expect(seen.calls.length).toBe(2);
    grpc.queuedBytes += 1_000_000;
    send(call(5, 'abc'));
    grpc.queuedBytes -= 1_000_000;
    expect(seen.calls.length).toBe(2);
    send(frame(RST, 0, 1, u32(8)));
    expect(grpc.queuedBytes).toBe(0);
  });

  it('puts off no call whose answer is short, and no stream', async () => {
    open({ connectionHighWaterBytes: 1_000_000 });
    send(call(1, 'big:2000000'), call(3, 'abc'));
    const put = message(KV.put.request.encode({ key: Buffer.from('k'), value: Buffer.from('value') }));
    send(headers(5, END_HEADERS, grpcFields(KV.put.path)), frame(DATA, END_STREAM, 5, put));
    send(headers(7, END_HEADERS, grpcFields(Watch.watch.path)));
    await tick();
    expect(seen.calls.length).toBe(1);
    expect(seen.received).toBe(5);
    expect(seen.streams.length).toBe(1);
    socket.take();
    // Only what the client's window keeps back is left to wait for.
    send(frame(WINDOW, 0, 0, u32(1_000_000)));
    await tick();
    expect(socket.take().some((f) => f.id === 5 && f.flags === (END_HEADERS | END_STREAM))).toBe(true);
    expect(seen.calls.length).toBe(1);
  });

  it('stops reading from a socket that takes nothing', () => {
    send(headers(1, END_HEADERS, grpcFields(Watch.watch.path)));
    socket.blocked = true;
    for (let i = 0; i < 200_000 && !socket.paused && !socket.ended; i++) {
      // Answered, so that pings are forgiven.
      seen.streams[0]?.send({ ...Watch.watch.response.create() });
      send(frame(PING, 0, 0, Buffer.alloc(8)));
    }
    expect(socket.paused || socket.ended).toBe(true);
    expect(socket.writableLength).toBeLessThan(2_000_000);
  });

  it('drains in two steps and refuses what comes after', async () => {
    send(call(1, 'hang:d'));
    socket.take();
    binding.drain();
    await tick();
    let frames = socket.take();
    expect(frames.map((f) => f.type)).toEqual([GOAWAY, PING]);
    expect(frames[0]?.payload.readUInt32BE(0)).toBe(0x7fffffff);
    send(call(3, 'abc'));
    expect(socket.take().length).toBe(3);
    send(frame(PING, 1, 0, frames[1]?.payload));
    frames = socket.take();
    expect(frames[0]?.payload.readUInt32BE(0)).toBe(3);
    send(call(5, 'abc'));
    expect(reset(socket.take(), 5)).toBe(7);
    (seen.calls[0] as { reply(r: unknown): void }).reply(KV.range.response.create());
    await tick();
    expect(socket.take().filter((f) => f.id === 1).length).toBe(3);
    expect(socket.ended).toBe(true);
  });

  it('S-068: cancels everything when the socket closes', () => {
    send(call(1, 'hang:x'), headers(3, END_HEADERS, grpcFields(Watch.watch.path)));
    socket.destroy();
    expect(seen.cancels).toEqual(['hang:x', 'watch']);
    expect(binding.connections).toBe(0);
    // Late answers go nowhere.
    (seen.calls[0] as { reply(r: unknown): void }).reply(KV.range.response.create());
    expect(seen.streams[0]?.send({})).toBe(false);
  });

  it('splits a header block that does not fit in a frame', () => {
    send(call(1, `fail:${'é'.repeat(6_000)}`));
    const frames = socket.take();
    expect(frames.map((f) => f.type)).toEqual([HEADERS, CONTINUATION, CONTINUATION]);
    expect(frames.map((f) => f.flags)).toEqual([END_STREAM, 0, END_HEADERS]);
  });
});

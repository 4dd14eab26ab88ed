// The small parts: message frames, deadlines, keepalive, texts.
import { describe, expect, it } from 'vitest';
import { SeededRandom } from '../../../src/base/random.ts';
import { hostPort } from '../../../src/wire/channel-options.ts';
import { DeadlineWheel, type DeadlineEntry } from '../../../src/wire/deadline-wheel.ts';
import { decodeMessage, encodeMessage, formatTimeout, parseTimeout, statusOf } from '../../../src/wire/grpc-text.ts';
import { TokenBucket } from '../../../src/wire/h2/frames.ts';
import { readBody, type HttpRequest } from '../../../src/wire/http.ts';
import { KeepalivePolicy, keepalivePeriodMs } from '../../../src/wire/keepalive.ts';
import { defaultWireLimits } from '../../../src/wire/limits.ts';
import { MessageReader } from '../../../src/wire/message-reader.ts';
import { BadBinaryMetadata, decodeBinary, metadataOf } from '../../../src/wire/metadata.ts';
import { TestClock, message } from '../../conformance/wire/raw.ts';

describe('message reader', () => {
  it('finds messages however they are cut', () => {
    for (let seed = 0; seed < 300; seed++) {
      const r = new SeededRandom(seed);
      const bodies = Array.from({ length: r.u32() % 8 }, () => Buffer.from(r.bytes(r.u32() % (r.float() < 0.2 ? 20_000 : 50))));
      const bytes = Buffer.concat(bodies.map(message));
      const reader = new MessageReader();
      const seen: Buffer[] = [];
      const cut = r.float() < 0.5 ? 8 : 6_000;
      for (let at = 0; at < bytes.length;) {
        const n = 1 + (r.u32() % cut);
        reader.push(bytes.subarray(at, at + n));
        at += n;
        // A reader that is paused now and then.
        if (r.float() < 0.3) continue;
        while (reader.next(1 << 20)) seen.push(Buffer.from(reader.body));
      }
      while (reader.next(1 << 20)) seen.push(Buffer.from(reader.body));
      expect(seen, `seed ${seed}`).toEqual(bodies);
      expect(reader.heldBytes).toBe(0);
    }
  });

  it('S-066: stops at a length above the limit before it keeps anything', () => {
    const reader = new MessageReader();
    reader.push(Buffer.from([0, 255, 255, 255, 255]));
    expect(reader.next(1_000)).toBe(true);
    expect([reader.tooLarge, reader.length]).toEqual([true, 4_294_967_295]);
  });

  it('says what it holds', () => {
    const reader = new MessageReader();
    reader.push(message(Buffer.alloc(100)).subarray(0, 3));
    expect(reader.next(1_000)).toBe(false);
    expect(reader.heldBytes).toBe(3);
    reader.push(message(Buffer.alloc(100)).subarray(3, 50));
    expect(reader.next(1_000)).toBe(false);
    expect(reader.heldBytes).toBe(50);
  });
});

describe('deadline wheel', () => {
  class Entry implements DeadlineEntry {
    readonly deadline: number;
    deadlinePrev: DeadlineEntry | undefined;
    deadlineNext: DeadlineEntry | undefined;
    firedAt = -1;
    then: () => void = () => {};
    readonly #clock: TestClock;
    constructor(clock: TestClock, deadline: number) {
      this.#clock = clock;
      this.deadline = deadline;
    }
    onDeadline(): void {
      expect(this.firedAt).toBe(-1);
      this.firedAt = this.#clock.now;
      this.then();
    }
  }

  it('fires each once, not early and at most two slots late', () => {
    const clock = new TestClock();
    const wheel = new DeadlineWheel(clock);
    const r = new SeededRandom(3);
    const entries = Array.from({ length: 2_000 }, () => new Entry(clock, clock.now + (r.u32() % 40_000)));
    for (const e of entries) wheel.arm(e);
    const gone = entries.filter(() => r.float() < 0.3);
    for (const e of gone) wheel.disarm(e);
    for (let i = 0; i < 400; i++) clock.advance(r.u32() % 250);
    clock.advance(50_000);
    for (const e of entries) {
      if (gone.includes(e)) expect(e.firedAt).toBe(-1);
      else {
        expect(e.firedAt).toBeGreaterThanOrEqual(e.deadline);
        expect(e.firedAt - e.deadline).toBeLessThanOrEqual(20);
      }
    }
    expect([wheel.armed, clock.timers.size]).toEqual([0, 0]);
  });

  it('catches up after a stall, and survives entries that disarm others', () => {
    const clock = new TestClock();
    const wheel = new DeadlineWheel(clock);
    const a = new Entry(clock, clock.now + 100);
    const b = new Entry(clock, clock.now + 101);
    const c = new Entry(clock, clock.now + 102);
    a.then = () => wheel.disarm(b);
    for (const e of [a, b, c]) wheel.arm(e);
    clock.now += 60_000;
    clock.advance(20);
    expect([a.firedAt > 0, b.firedAt > 0, c.firedAt > 0]).toEqual([true, false, true]);
    const past = new Entry(clock, clock.now - 5);
    wheel.arm(past);
    clock.advance(20);
    expect(past.firedAt).toBeGreaterThan(0);
  });
});

describe('keepalive', () => {
  it('strikes as grpc-go does', () => {
    const calls = (gap: number, busy: boolean, n: number): boolean => {
      const policy = new KeepalivePolicy(defaultWireLimits, 0);
      let good = true;
      for (let i = 1; i <= n; i++) good = policy.pingReceived(i * gap, busy);
      return good;
    };
    expect(calls(5_000, true, 100)).toBe(true);
    expect(calls(4_999, true, 3)).toBe(true);
    expect(calls(4_999, true, 4)).toBe(false);
    expect(calls(60_000, false, 4)).toBe(false);
    expect(calls(7_200_000, false, 20)).toBe(true);
  });

  it('looks often enough', () => {
    expect(keepalivePeriodMs(defaultWireLimits)).toBe(1_000);
    expect(keepalivePeriodMs({ ...defaultWireLimits, keepaliveTimeoutMs: 100, keepaliveIntervalMs: Infinity })).toBe(25);
  });
});

describe('token bucket', () => {
  it('lets a burst through and then a rate', () => {
    const bucket = new TokenBucket(10, 100, 0);
    let taken = 0;
    for (let i = 0; i < 50; i++) if (bucket.take(0)) taken++;
    expect(taken).toBe(10);
    for (let ms = 1; ms <= 1_000; ms++) if (bucket.take(ms)) taken++;
    expect(taken).toBeGreaterThan(95);
    expect(taken).toBeLessThan(115);
  });
});

describe('texts', () => {
  it('percent-encodes what is not printable ASCII', () => {
    expect(encodeMessage('plain text ~!')).toBe('plain text ~!');
    expect(encodeMessage('50% é\n')).toBe('50%25 %C3%A9%0A');
    for (let seed = 0; seed < 200; seed++) {
      const text = Buffer.from(new SeededRandom(seed).bytes(30)).toString('utf8');
      expect(decodeMessage(encodeMessage(text))).toBe(text);
    }
    expect(decodeMessage('broken %zz %')).toBe('broken %zz %');
  });

  it('reads and writes timeouts', () => {
    expect(['1H', '2M', '3S', '4m', '5000u', '6000000n'].map(parseTimeout)).toEqual([3_600_000, 120_000, 3_000, 4, 5, 6]);
    expect([parseTimeout('5'), parseTimeout('x1S'), parseTimeout('-1S')].map((v) => typeof v)).toEqual(['string', 'string', 'string']);
    expect([0, 0.2, 1500, 99_999_999, 1e8, 1e15].map(formatTimeout)).toEqual(['0m', '1m', '1500m', '99999999m', '100000S', '99999999H']);
    for (const ms of [1, 17.3, 12_345_678, 3e9, 4e12]) expect(parseTimeout(formatTimeout(ms))).toBeGreaterThanOrEqual(ms);
  });

  it('reads statuses', () => {
    expect(statusOf(undefined, 'x')).toBeUndefined();
    expect(statusOf('5', 'a%20b')).toEqual({ code: 5, message: 'a b' });
    expect(statusOf('99', undefined)).toEqual({ code: 2, message: '' });
  });

  it('reads metadata', () => {
    const metadata = metadataOf('host', [
      { name: 'a', value: '1' },
      { name: 'a', value: '2' },
      { name: 'te', value: 'trailers' },
      { name: 'x-bin', value: 'AAE=, /w' },
    ]);
    expect([...metadata]).toEqual([
      [':authority', ['host']],
      ['a', ['1', '2']],
      ['x-bin', [Buffer.from([0, 1]), Buffer.from([255])]],
    ]);
    expect(() => decodeBinary('x-bin', 'AAAAA')).toThrow(BadBinaryMetadata);
    expect(() => decodeBinary('x-bin', 'AA=A')).toThrow('illegal base64 data at input byte 2');
  });

  it('reads addresses', () => {
    expect(['h:1', '[::1]:2', '[::1]', '::1', 'h'].map(hostPort)).toEqual([
      { host: 'h', port: 1 },
      { host: '::1', port: 2 },
      { host: '::1', port: 2379 },
      { host: '::1', port: 2379 },
      { host: 'h', port: 2379 },
    ]);
  });
});

describe('readBody', () => {
  const request = (): HttpRequest => ({ onData: undefined, onEnd: undefined, onAbort: undefined }) as unknown as HttpRequest;

  it('gathers, refuses what is too long, and tells of aborts once', () => {
    const results: [number | undefined, boolean][] = [];
    const note = (body: Uint8Array | undefined, aborted: boolean): void => void results.push([body?.length, aborted]);
    const a = request();
    readBody(a, 10, note);
    a.onData?.(Buffer.alloc(4));
    a.onData?.(Buffer.alloc(6));
    a.onEnd?.();
    a.onAbort?.();
    const b = request();
    readBody(b, 10, note);
    b.onData?.(Buffer.alloc(11));
    b.onData?.(Buffer.alloc(11));
    b.onEnd?.();
    const c = request();
    readBody(c, 10, note);
    c.onAbort?.();
    c.onEnd?.();
    expect(results).toEqual([
      [10, false],
      [undefined, false],
      [undefined, true],
    ]);
  });
});

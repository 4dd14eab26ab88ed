import { describe, expect, it } from 'vitest';
import { MessageCodec } from '../../../src/api/gen/raftpb.ts';
import { DecodeError } from '../../../src/api/proto-io.ts';
import { SeededRandom } from '../../../src/base/random.ts';
import { type Entry, type Message, MessageType } from '../../../src/raft/types.ts';
import { decoderOf, encoderOf, FrameError } from '../../../src/server/peer/framing.ts';

const ends = { local: 2n, remote: 1n };

function message(init: Partial<Message>): Message {
  return { ...MessageCodec.create(), from: 1n, to: 2n, ...init };
}

function entries(from: number, n: number, term: number, random?: SeededRandom): Entry[] {
  return Array.from({ length: n }, (_, i) => ({
    Type: 0,
    Term: term,
    Index: from + i,
    Data: random?.bytes(random.u32() % 300) ?? new Uint8Array([i]),
  }));
}

function readAll(kind: 'message' | 'msgapp', bytes: Uint8Array, sizes: (at: number) => number): Message[] {
  const decoder = decoderOf(kind, ends);
  const out: Message[] = [];
  for (let at = 0; at < bytes.length;) {
    const n = sizes(at);
    decoder.push(bytes.slice(at, at + n), (m) => out.push(m));
    at += n;
  }
  return out;
}

/** One text for each message: a difference of two long lists is told at once. */
const plain = (m: Message): string =>
  [
    m.type,
    m.from,
    m.to,
    m.term,
    m.logTerm,
    m.index,
    m.commit,
    m.reject,
    hex(m.context),
    ...m.entries.map((e) => `${e.Type}/${e.Term}/${e.Index}/${hex(e.Data)}`),
  ].join(' ');
const hex = (b: Uint8Array): string => Buffer.from(b).toString('hex');

describe('message stream', () => {
  it('has etcd’s link heartbeat', () => {
    const encoder = encoderOf('message');
    encoder.heartbeat();
    const bytes = encoder.take();
    expect(Buffer.from(bytes).toString('hex')).toBe('00000000000000020808');
    expect(readAll('message', bytes, () => 1)).toEqual([]);
  });

  it('gives what was written, in pieces of any size', () => {
    const random = new SeededRandom(4);
    const sent: Message[] = [];
    const encoder = encoderOf('message');
    for (let i = 0; i < 200; i++) {
      const m = message({
        type: random.u32() % 19,
        term: random.u32() % 9,
        index: random.u32(),
        commit: random.u32() % 1000,
        entries: entries(random.u32() % 100, random.u32() % 4, 3, random),
        context: random.bytes(random.u32() % 20),
        reject: random.u32() % 2 === 0,
      });
      sent.push(m);
      encoder.message(m);
      if (i % 7 === 0) encoder.heartbeat();
    }
    const bytes = encoder.take();
    for (const size of [1, 7, 64, 1000, bytes.length]) {
      expect(readAll('message', bytes, () => size).map(plain)).toEqual(sent.map(plain));
    }
    expect(readAll('message', bytes, () => 1 + (random.u32() % 500)).map(plain)).toEqual(sent.map(plain));
  });

  it('S-031: refuses lengths beyond its limit, and what is no message', () => {
    const huge = Buffer.alloc(8);
    huge.writeBigUInt64BE(512n * 1024n * 1024n + 1n);
    expect(() => decoderOf('message', ends).push(huge, () => {})).toThrow(FrameError);
    expect(() => decoderOf('message', ends).push(Buffer.from('0000000000000002ffff', 'hex'), () => {})).toThrow(DecodeError);
  });
});

describe('msgapp stream', () => {
  it('is the recorded form', () => {
    const encoder = encoderOf('msgapp');
    encoder.heartbeat();
    encoder.message(message({ type: MessageType.MsgApp, term: 3, logTerm: 2, index: 5, entries: entries(6, 2, 3), commit: 4 }));
    const first = encoder.take();
    expect(first[0]).toBe(0);
    expect(first[1]).toBe(2);
    encoder.message(message({ type: MessageType.MsgApp, term: 3, logTerm: 3, index: 7, commit: 7 }));
    expect(Buffer.from(encoder.take()).toString('hex')).toBe('0100000000000000000000000000000007');
    encoder.message(message({ type: MessageType.MsgApp, term: 3, logTerm: 3, index: 7, entries: entries(8, 1, 3), commit: 7 }));
    const third = Buffer.from(encoder.take()).toString('hex');
    expect(third).toMatch(/^010000000000000001000000000000000[0-9a-f]/);
    expect(third).toMatch(/0000000000000007$/);
  });

  it('gives what was written, in pieces of any size, through changes of term and index', () => {
    const random = new SeededRandom(9);
    const sent: Message[] = [];
    const encoder = encoderOf('msgapp');
    let term = 1;
    let index = 0;
    for (let i = 0; i < 300; i++) {
      const jump = random.u32() % 12 === 0;
      if (jump) {
        term += random.u32() % 2;
        index = random.u32() % 1000;
      }
      const list = entries(index + 1, random.u32() % 5, term, random);
      const m = message({
        type: MessageType.MsgApp,
        term,
        logTerm: jump ? Math.max(1, term - 1) : term,
        index,
        entries: list,
        commit: random.u32() % 1000,
      });
      sent.push(m);
      encoder.message(m);
      index += list.length;
      if (i % 9 === 0) encoder.heartbeat();
    }
    const bytes = encoder.take();
    for (const size of [1, 3, 100, bytes.length]) expect(readAll('msgapp', bytes, () => size).map(plain)).toEqual(sent.map(plain));
  });

  it('refuses unknown records and impossible numbers', () => {
    expect(() => decoderOf('msgapp', ends).push(Buffer.from([3]), () => {})).toThrow(FrameError);
    expect(() => decoderOf('msgapp', ends).push(Buffer.from('010000000100000000', 'hex'), () => {})).toThrow(FrameError);
    expect(() => decoderOf('msgapp', ends).push(Buffer.from('010000000000000000ffffffffffffffff', 'hex'), () => {})).toThrow(FrameError);
  });

  it('never does more than throw on random bytes', () => {
    const random = new SeededRandom(11);
    for (let i = 0; i < 3000; i++) {
      const kind = i % 2 === 0 ? 'message' : 'msgapp';
      const bytes = random.bytes(random.u32() % 60);
      // A plausible start gets further in.
      if (kind === 'msgapp' && bytes.length > 0) bytes[0] = random.u32() % 3;
      for (let k = kind === 'msgapp' ? 1 : 0; k < Math.min(bytes.length, 8); k++) if (random.u32() % 3 !== 0) bytes[k] = 0;
      try {
        decoderOf(kind, ends).push(bytes, () => {});
      } catch (error) {
        if (!(error instanceof FrameError) && !(error instanceof DecodeError)) throw error;
      }
    }
  });
});

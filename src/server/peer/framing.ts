/**
 * The two stream formats between members. All integers are 8 bytes, big-endian.
 *
 *   message stream   length N, then N bytes of raftpb.Message; a link heartbeat is a message with nothing but type MsgHeartbeat
 *   msgapp stream    0x00                       link heartbeat
 *                    0x01 count, per entry: length, raftpb.Entry; then commit
 *                    0x02 length, raftpb.Message
 *
 * In the msgapp stream both ends keep (term, index), from 0,0 on each new connection. 0x01 stands for a MsgApp that goes on where the one before
 * ended: of that term, behind that index. Example: after 0x02 with a MsgApp of term 3 whose last entry is 7, the record `01 0000000000000000
 * 0000000000000007` is a MsgApp of term 3, logTerm 3, index 7, without entries, commit 7.
 *
 * Source: peer-protocol.md.
 */
import { EntryCodec, MessageCodec } from '../../api/gen/raftpb.ts';
import { Writer } from '../../api/proto-io.ts';
import { emptyBytes } from '../../base/bytes.ts';
import { type Entry, type MemberId, type Message, MessageType } from '../../raft/types.ts';

/** Bytes of one message on a stream; etcd's limit. */
export const messageBytesMax = 512 * 1024 * 1024;
/** Entries of one 0x01 record. raft fills a message up to 1 MiB, so that more is no MsgApp of anybody. */
const entriesMax = 1 << 20;
/** Output buffers above this size are let go after use: one huge message must not pin its memory. */
const bufferKeptBytes = 4 * 1024 * 1024;

const linkHeartbeat = Buffer.from([0, 0, 0, 0, 0, 0, 0, 2, 8, MessageType.MsgHeartbeat]);
const two32 = 4294967296;

const RecordKind = { heartbeat: 0, entries: 1, message: 2 } as const;

/** What a peer sent is not of its stream's format: the stream must be closed. */
export class FrameError extends Error {
  readonly code = 'frame';
}

/** Writes messages into a buffer until `take`. */
export interface StreamEncoder {
  message(m: Message): void;
  heartbeat(): void;
  /** Bytes written and not taken. */
  readonly bytes: number;
  /** What was written, owned by the caller. */
  take(): Uint8Array;
}

/** Reads messages from pieces of any size. Data of entries are views of the pieces: nobody may change those afterwards. */
export interface StreamDecoder {
  /** @throws FrameError, DecodeError */
  push(piece: Uint8Array, each: (m: Message) => void): void;
}

export function encoderOf(kind: 'message' | 'msgapp'): StreamEncoder {
  return kind === 'message' ? new MessageEncoder() : new MsgAppEncoder();
}

export function decoderOf(kind: 'message' | 'msgapp', ends: { readonly local: MemberId; readonly remote: MemberId }): StreamDecoder {
  return kind === 'message' ? new MessageDecoder() : new MsgAppDecoder(ends);
}

abstract class Output {
  protected w = new Writer(4096);

  get bytes(): number {
    return this.w.pos;
  }

  take(): Uint8Array {
    const out = this.w.finish();
    this.w.reset();
    if (this.w.buf.length > bufferKeptBytes) this.w = new Writer(4096);
    return out;
  }

  protected u64(value: number): void {
    const w = this.w;
    w.reserve(8);
    w.buf.writeUInt32BE(Math.floor(value / two32), w.pos);
    w.buf.writeUInt32BE(value % two32, w.pos + 4);
    w.pos += 8;
  }

  /** Room for a length; `close` fills it in. */
  protected open(): number {
    this.u64(0);
    return this.w.pos;
  }

  protected close(start: number): void {
    const { w } = this;
    const length = w.pos - start;
    w.buf.writeUInt32BE(Math.floor(length / two32), start - 8);
    w.buf.writeUInt32BE(length % two32, start - 4);
  }
}

class MessageEncoder extends Output implements StreamEncoder {
  message(m: Message): void {
    const start = this.open();
    MessageCodec.write(m, this.w);
    this.close(start);
  }

  heartbeat(): void {
    this.w.raw(linkHeartbeat);
  }
}

class MsgAppEncoder extends Output implements StreamEncoder {
  #term = 0;
  #index = 0;

  message(m: Message): void {
    const { w } = this;
    w.reserve(1);
    if (m.index === this.#index && m.logTerm === this.#term && m.logTerm === m.term) {
      w.buf[w.pos++] = RecordKind.entries;
      this.u64(m.entries.length);
      for (const entry of m.entries) {
        const start = this.open();
        EntryCodec.write(entry, w);
        this.close(start);
      }
      this.#index += m.entries.length;
      this.u64(m.commit);
      return;
    }
    w.buf[w.pos++] = RecordKind.message;
    const start = this.open();
    MessageCodec.write(m, w);
    this.close(start);
    this.#term = m.term;
    this.#index = m.entries.at(-1)?.Index ?? m.index;
  }

  heartbeat(): void {
    this.w.reserve(1);
    this.w.buf[this.w.pos++] = RecordKind.heartbeat;
  }
}

/** Pieces in, exact lengths out. What lies within one piece is not copied. */
class Input {
  #pieces: Uint8Array[] = [];
  /** Bytes of the first piece that are used. */
  #at = 0;
  #bytes = 0;

  push(piece: Uint8Array): void {
    if (piece.length === 0) return;
    this.#pieces.push(piece);
    this.#bytes += piece.length;
  }

  /** The next `n` bytes, or undefined when they are not all there yet. */
  take(n: number): Uint8Array | undefined {
    if (n > this.#bytes) return undefined;
    if (n === 0) return emptyBytes;
    const first = this.#pieces[0] as Uint8Array;
    this.#bytes -= n;
    if (first.length - this.#at >= n) {
      const out = first.subarray(this.#at, this.#at + n);
      this.#at += n;
      if (this.#at === first.length) {
        this.#pieces.shift();
        this.#at = 0;
      }
      return out;
    }
    const out = Buffer.allocUnsafeSlow(n);
    let filled = 0;
    let used = 0;
    while (filled < n) {
      const piece = this.#pieces[used] as Uint8Array;
      const part = piece.subarray(this.#at, this.#at + n - filled);
      out.set(part, filled);
      filled += part.length;
      this.#at += part.length;
      if (this.#at === piece.length) {
        used++;
        this.#at = 0;
      }
    }
    this.#pieces.splice(0, used);
    return out;
  }

  u64(): number | undefined {
    const b = this.take(8);
    if (b === undefined) return undefined;
    const view = Buffer.from(b.buffer, b.byteOffset, 8);
    return view.readUInt32BE(0) * two32 + view.readUInt32BE(4);
  }
}

function checkedLength(length: number): number {
  if (length > messageBytesMax) throw new FrameError(`a record of ${length} bytes is above the limit of ${messageBytesMax}`);
  return length;
}

class MessageDecoder implements StreamDecoder {
  readonly #in = new Input();
  #length: number | undefined;

  push(piece: Uint8Array, each: (m: Message) => void): void {
    this.#in.push(piece);
    for (;;) {
      if (this.#length === undefined) {
        const length = this.#in.u64();
        if (length === undefined) return;
        this.#length = checkedLength(length);
      }
      const body = this.#in.take(this.#length);
      if (body === undefined) return;
      this.#length = undefined;
      const m = MessageCodec.decode(body);
      if (m.type === MessageType.MsgHeartbeat && m.from === 0n && m.to === 0n) continue;
      each(m);
    }
  }
}

class MsgAppDecoder implements StreamDecoder {
  readonly #in = new Input();
  readonly #local: MemberId;
  readonly #remote: MemberId;
  #term = 0;
  #index = 0;
  /** What is being read. */
  #kind: number | undefined;
  #length: number | undefined;
  #entriesLeft: number | undefined;
  #entries: Entry[] = [];

  constructor(ends: { readonly local: MemberId; readonly remote: MemberId }) {
    this.#local = ends.local;
    this.#remote = ends.remote;
  }

  push(piece: Uint8Array, each: (m: Message) => void): void {
    this.#in.push(piece);
    for (;;) {
      if (this.#kind === undefined) {
        this.#kind = this.#in.take(1)?.[0];
        if (this.#kind === undefined) return;
      }
      switch (this.#kind) {
        case RecordKind.heartbeat:
          break;
        case RecordKind.entries: {
          const m = this.#readEntries();
          if (m === undefined) return;
          each(m);
          break;
        }
        case RecordKind.message: {
          const body = this.#body();
          if (body === undefined) return;
          const m = MessageCodec.decode(body);
          this.#term = m.term;
          this.#index = m.entries.at(-1)?.Index ?? m.index;
          each(m);
          break;
        }
        default:
          throw new FrameError(`unknown record type ${this.#kind}`);
      }
      this.#kind = undefined;
    }
  }

  #body(): Uint8Array | undefined {
    if (this.#length === undefined) {
      const length = this.#in.u64();
      if (length === undefined) return undefined;
      this.#length = checkedLength(length);
    }
    const body = this.#in.take(this.#length);
    if (body !== undefined) this.#length = undefined;
    return body;
  }

  #readEntries(): Message | undefined {
    if (this.#entriesLeft === undefined) {
      const count = this.#in.u64();
      if (count === undefined) return undefined;
      if (count > entriesMax) throw new FrameError(`a record of ${count} entries is above the limit of ${entriesMax}`);
      this.#entriesLeft = count;
    }
    while (this.#entriesLeft > 0) {
      const body = this.#body();
      if (body === undefined) return undefined;
      this.#entries.push(EntryCodec.decode(body));
      this.#entriesLeft--;
    }
    const commit = this.#in.u64();
    if (commit === undefined) return undefined;
    if (!Number.isSafeInteger(commit)) throw new FrameError('a commit index that no raft reaches');
    const entries = this.#entries;
    this.#entries = [];
    this.#entriesLeft = undefined;
    const index = this.#index;
    this.#index += entries.length;
    return {
      ...MessageCodec.create(),
      type: MessageType.MsgApp,
      from: this.#remote,
      to: this.#local,
      term: this.#term,
      logTerm: this.#term,
      index,
      entries,
      commit,
    };
  }
}

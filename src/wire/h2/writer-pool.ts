/** Output buffers that go around: a connection holds one only while it has something to write. */
import { Writer } from '../../api/proto-io.ts';

/** First size of a buffer: the answers of a turn to one connection, as a rule. */
const writerBytes = 16_384;
/** Larger ones, grown for one big message, are not kept. */
const writerBytesMax = 131_072;
const writersMax = 64;

export class WriterPool {
  readonly #free: Writer[] = [];

  take(): Writer {
    return this.#free.pop() ?? new Writer(writerBytes);
  }

  /** `w` must not be used any more by who gives it. */
  give(w: Writer): void {
    if (this.#free.length >= writersMax || w.buf.length > writerBytesMax) return;
    w.reset();
    this.#free.push(w);
  }
}

const scratch = new Writer(1_024);

/** An empty writer for use right now: the next call gives the same one. */
export function scratchWriter(): Writer {
  scratch.reset();
  return scratch;
}

/** Standard output and error, written at once: a one-shot program needs no stream objects, and a slow reader holds it back. */
import { read, readSync, writeSync } from 'node:fs';

const pause = new Int32Array(new SharedArrayBuffer(4));
/** Pause before a full pipe is tried again, ms. */
const fullPipeMs = 1;

/** What a process ended by SIGPIPE counts as. */
const brokenPipeExit = 141;

function writeAll(fd: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length;) {
    try {
      at += writeSync(fd, bytes, at);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (code === 'EAGAIN') Atomics.wait(pause, 0, 0, fullPipeMs);
      // The reader went away (`| head`): that is its right, and nothing to complain about.
      else if (code === 'EPIPE') process.exit(brokenPipeExit);
      else throw error;
    }
  }
}

export function stdout(data: string | Uint8Array): void {
  writeAll(1, typeof data === 'string' ? Buffer.from(data, 'utf8') : data);
}

export function stderr(data: string | Uint8Array): void {
  writeAll(2, typeof data === 'string' ? Buffer.from(data, 'utf8') : data);
}

/** Collects small writes to standard output into large ones: for listings. */
export class Collected {
  #parts: Uint8Array[] = [];
  #bytes = 0;
  /** Flushed beyond this many bytes. */
  static readonly bytesMax = 64 * 1024;

  text(s: string): void {
    this.bytes(Buffer.from(s, 'utf8'));
  }

  bytes(b: Uint8Array): void {
    this.#parts.push(b);
    this.#bytes += b.length;
    if (this.#bytes >= Collected.bytesMax) this.flush();
  }

  flush(): void {
    if (this.#parts.length === 0) return;
    const parts = this.#parts;
    this.#parts = [];
    this.#bytes = 0;
    stdout(parts.length === 1 ? (parts[0] ?? Buffer.alloc(0)) : Buffer.concat(parts));
  }
}

function readSome(chunk: Buffer): number {
  for (;;) {
    try {
      return readSync(0, chunk, 0, chunk.length, null);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (code === 'EAGAIN') Atomics.wait(pause, 0, 0, fullPipeMs * 10);
      else if (code === 'EOF') return 0;
      else throw error;
    }
  }
}

const chunkBytes = 64 * 1024;

/**
 * Standard input, read as it is asked for, so that prompts and answers take turns. There is one of it: what one command has not taken is
 * there for the next one of a shell.
 */
class StandardInput {
  #left: Buffer = Buffer.alloc(0);
  #ended = false;

  #take(chunk: Buffer, n: number): void {
    if (n === 0) this.#ended = true;
    else this.#left = this.#left.length === 0 ? chunk.subarray(0, n) : Buffer.concat([this.#left, chunk.subarray(0, n)]);
  }

  #line(): string | undefined {
    const at = this.#left.indexOf(10);
    if (at < 0) return undefined;
    const line = this.#left.utf8Slice(0, at);
    this.#left = this.#left.subarray(at + 1);
    return line;
  }

  /** The next line without its end, or undefined when the input ends before one is whole. */
  next(): string | undefined {
    for (;;) {
      const line = this.#line();
      if (line !== undefined || this.#ended) return line;
      const chunk = Buffer.allocUnsafe(chunkBytes);
      this.#take(chunk, readSome(chunk));
    }
  }

  /** As `next`, while other things go on; and what lies behind the last line end is a line as well. */
  async nextLine(): Promise<string | undefined> {
    for (;;) {
      const line = this.#line();
      if (line !== undefined) return line;
      if (this.#ended) return this.#left.length === 0 ? undefined : this.rest();
      const chunk = Buffer.allocUnsafe(chunkBytes);
      this.#take(chunk, await readLater(chunk));
    }
  }

  /** What is left when the input ended without a line end. */
  rest(): string {
    const text = this.#left.utf8Slice(0, this.#left.length);
    this.#left = Buffer.alloc(0);
    return text;
  }

  /** Everything up to the end. */
  all(): Uint8Array {
    const before = this.#left;
    this.#left = Buffer.alloc(0);
    return Buffer.concat([before, this.unread()]);
  }

  /** Everything up to the end but what was read already in order to find lines: as a program behind another reader of the input gets it. */
  unread(): Uint8Array {
    const parts: Uint8Array[] = [];
    while (!this.#ended) {
      const chunk = Buffer.allocUnsafe(chunkBytes);
      const n = readSome(chunk);
      if (n === 0) this.#ended = true;
      else parts.push(chunk.subarray(0, n));
    }
    return Buffer.concat(parts);
  }
}

function readLater(chunk: Buffer): Promise<number> {
  return new Promise((resolve, reject) => {
    const attempt = (): void =>
      read(0, chunk, 0, chunk.length, null, (error, n) => {
        if (error === null) resolve(n);
        else if (error.code === 'EAGAIN') setTimeout(attempt, fullPipeMs * 10);
        else if (error.code === 'EOF') resolve(0);
        else reject(error);
      });
    attempt();
  });
}

export const stdin = new StandardInput();

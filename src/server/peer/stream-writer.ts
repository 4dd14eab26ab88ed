/** The sending end of one stream: the response to a peer's GET. What raft sends in one turn leaves in one write. */
import type { Clock } from '../../base/clock.ts';
import { failpoint } from '../../base/failpoint.ts';
import { type Message, MessageType } from '../../raft/types.ts';
import type { HttpResponse } from '../../wire/http.ts';
import { encoderOf, type StreamEncoder } from './framing.ts';

export type StreamKind = 'message' | 'msgapp';

/** As etcd names its streams in logs. */
export const streamNames: Readonly<Record<StreamKind, string>> = { message: 'stream Message', msgapp: 'stream MsgApp v2' };

/**
 * Bytes on their way to one peer above which messages are dropped, as if the network had lost them. Raft has at most 512 messages of 1 MiB in flight; a
 * peer that reads slowly must not hold them all here, and it will be sent what it lacks once it answers.
 */
const bufferedBytesMax = 32 * 1024 * 1024;

interface Attached {
  readonly response: HttpResponse;
  readonly encoder: StreamEncoder;
}

export interface StreamWriterOptions {
  readonly kind: StreamKind;
  readonly clock: Clock;
  /** A peer that takes nothing for so long is cut, ms. */
  readonly writeTimeoutMs: number;
  readonly onUp: () => void;
  readonly onDown: (error: string) => void;
  readonly onSent: (bytes: number) => void;
}

export class StreamWriter {
  readonly kind: StreamKind;
  readonly #o: StreamWriterOptions;
  #attached: Attached | undefined;
  #buffered = 0;
  #movedMs = 0;

  constructor(options: StreamWriterOptions) {
    this.kind = options.kind;
    this.#o = options;
  }

  get attached(): boolean {
    return this.#attached !== undefined;
  }

  /** A newer stream takes the place of the older one. The response's head is sent. */
  attach(response: HttpResponse): void {
    this.#attached?.response.abort();
    this.#attached = { response, encoder: encoderOf(this.kind) };
    this.#buffered = 0;
    this.#movedMs = this.#o.clock.mono();
    this.#o.onUp();
    this.heartbeat();
  }

  /** The peer went away. */
  detach(response: HttpResponse, error: string): void {
    if (this.#attached?.response !== response) return;
    this.#attached = undefined;
    this.#o.onDown(error);
  }

  /** Queues a message for `flush`; false when the stream cannot take it. */
  send(m: Message): boolean {
    const attached = this.#attached;
    if (attached === undefined) return false;
    if (attached.response.bufferedBytes + attached.encoder.bytes > bufferedBytesMax) return false;
    if (m.type === MessageType.MsgHeartbeat && failpoint('raftDropHeartbeat') !== undefined) return true;
    attached.encoder.message(m);
    return true;
  }

  flush(): void {
    const attached = this.#attached;
    if (attached === undefined || attached.encoder.bytes === 0) return;
    const bytes = attached.encoder.take();
    attached.response.write(bytes);
    this.#o.onSent(bytes.length);
  }

  /** Tells the peer that the link lives, and finds out when it does not. */
  heartbeat(): void {
    const attached = this.#attached;
    if (attached === undefined) return;
    const now = this.#o.clock.mono();
    const buffered = attached.response.bufferedBytes;
    // What is buffered only grows while nothing is taken.
    if (buffered === 0 || buffered < this.#buffered) this.#movedMs = now;
    this.#buffered = buffered;
    if (now - this.#movedMs > this.#o.writeTimeoutMs) {
      this.close('i/o timeout');
      return;
    }
    if (failpoint('raftDropHeartbeat') !== undefined) return;
    attached.encoder.heartbeat();
    this.flush();
  }

  close(error: string): void {
    const attached = this.#attached;
    if (attached === undefined) return;
    this.#attached = undefined;
    attached.response.abort();
    this.#o.onDown(error);
  }
}

/** What the client library sees of a connection to one endpoint, whichever binding carries it. */
import type { MethodDef } from '../api/gen/methods.ts';
import type { Init } from '../api/proto-io.ts';
import type { Status } from '../api/status.ts';

export interface CallOptions {
  /** Lower-case names. */
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  /** Milliseconds from now; none when absent. */
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A connection (made when first needed, made again when lost) to one endpoint. */
export interface Channel {
  readonly endpoint: string;
  /** A call would find a connection. */
  readonly ready: boolean;
  /** Makes a connection if there is none. @throws RpcError  Unavailable, `unsent`, when there is none within `connectTimeoutMs`. */
  connect(): Promise<void>;
  /**
   * Resolves with the response, rejects with `RpcError` (api/status.ts). Waits for the connection as long as the call's timeout allows; when
   * none could be made at all within `connectTimeoutMs` of the channel, the error is Unavailable with `unsent` set.
   */
  unary<Req, Res>(method: MethodDef<Req, Res>, request: Init<Req>, options?: CallOptions): Promise<Res>;
  /** Opens a stream; for server streaming send one message and `halfClose`. */
  stream<Req, Res>(method: MethodDef<Req, Res>, options?: CallOptions): ClientStream<Req, Res>;
  /** Ends open calls with Cancelled. */
  close(): void;
  /** Takes no new calls (they end with Unavailable, unsent), and closes when those under way are over; then `done`. */
  drain(done: () => void): void;
}

export interface ClientStream<Req, Res> {
  send(request: Init<Req>): void;
  halfClose(): void;
  cancel(): void;
  onMessage: ((message: Res) => void) | undefined;
  /** Runs exactly once; code 0 is a normal end. */
  onEnd: ((status: Status) => void) | undefined;
  /** Stops and resumes the flow of incoming messages. */
  pause(): void;
  resume(): void;
}

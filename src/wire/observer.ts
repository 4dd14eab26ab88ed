/**
 * What the wire tells metrics, traces and the log about calls. One `MethodObserver` is asked for per method when a server starts, so that the
 * hot path pays for a call of a method and for nothing else.
 */
import type { MethodDef } from '../api/gen/methods.ts';
import type { Code, Status } from '../api/status.ts';
import type { PeerInfo } from './call.ts';

/** What is known of a call when it ends. */
export interface HandledCall {
  readonly method: MethodDef;
  readonly peer: PeerInfo;
  /** Of a unary call, once it is decoded. */
  readonly request: unknown;
  readonly requestBytes: Uint8Array;
  /** The answer as it was sent, or the status that was sent instead. Known while `handled` runs. */
  readonly answer?: readonly Uint8Array[] | undefined;
  readonly failure?: Status | undefined;
  /** Of a range: rows in the answer, and rows that it speaks of. */
  readonly rows?: number;
  readonly rowsInAll?: number;
  /**
   * On the monotonic clock, ms: a read that had to wait for it was known to be up to date; and the main part of the work was done (rows of a large range
   * read, a compaction applied).
   */
  readonly agreedMs?: number | undefined;
  readonly workedMs?: number | undefined;
}

export interface MethodObserver {
  /** A call was accepted (`grpc_server_started_total`). */
  started(): void;
  /** The call has its status (`grpc_server_handled_total`); `durationMs` runs from the arrival of its headers. Runs once a call. */
  handled(call: HandledCall, code: Code, durationMs: number): void;
  /** One message came or went; `bytes` of its body, uncompressed (`grpc_server_msg_received_total`, `…_sent_total`). */
  received(bytes: number): void;
  sent(bytes: number): void;
}

export interface WireObserver {
  method(method: MethodDef): MethodObserver;
}

const silentMethod: MethodObserver = { started() {}, handled() {}, received() {}, sent() {} };
export const silentObserver: WireObserver = { method: () => silentMethod };

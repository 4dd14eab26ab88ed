/** The face of apply: a committed request becomes a state change and an answer. */
import type { InternalRaftRequest } from '../../api/gen/etcdserverpb.ts';
import type { Init } from '../../api/proto-io.ts';
import type { Status } from '../../api/status.ts';
import type { Span } from '../../base/trace.ts';

/**
 * The answer of one applied request, encoded but for its header: the service puts the header field (cluster id, member id, `rev`, raft term)
 * in front. So stored values travel from the log to the socket as they are.
 */
export interface ApplyResult {
  readonly error: Status | undefined;
  /** The header's revision: the store's revision at which the request ran; 0 = leave it out. */
  readonly rev: number;
  /** Fields of the response message after the header, in parts. Empty when there are none. */
  readonly body: readonly Uint8Array[];
  /** Compaction only: runs `fn` when the physical part is done (at once when it is already). */
  readonly whenCompacted: ((fn: () => void) => void) | undefined;
}

/** Who a request comes from, as recorded in its header. Empty name: no auth. */
export interface AuthInfo {
  readonly username: string;
  readonly revision: number;
}

/** Told once of a proposal's end. An object rather than a closure: a call object can be one. */
export interface Completion {
  /** What the request does, when its call is traced. */
  readonly span?: Span | undefined;
  complete(error: Status | undefined, result: ApplyResult | undefined): void;
}

/** The requests that may travel through the log; exactly one field besides `header` and `ID` is set. */
export type RaftRequest = Init<InternalRaftRequest>;

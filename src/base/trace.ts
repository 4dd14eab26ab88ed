/** Tracing as a seam: rooms get spans of calls that are sampled, and nothing at all of others. */

/** Bigints and numbers that are whole travel as 64-bit integers. */
export type SpanValue = string | number | bigint | boolean;
export type SpanAttributes = Readonly<Record<string, SpanValue>>;

/** A piece of work of one sampled request. What is open when the span of its call ends, ends with it. */
export interface Span {
  /** Begins a part of this. `startMs` on the monotonic clock; absent: now. */
  child(name: string, attributes?: SpanAttributes, startMs?: number): Span;
  /** A moment in it. */
  event(name: string): void;
  /** `endMs` on the monotonic clock; absent: now. Only the first counts. */
  end(endMs?: number): void;
}

/** The whole of a call, from its arrival to its status. */
export interface CallSpan extends Span {
  /** What the services do for the call; parts of that are its children. */
  work: Span | undefined;
  /** Ends the call with a gRPC status. */
  finish(code: number): void;
}

/** What a wire binding asks when a call arrives. */
export interface CallTracer {
  /** Undefined for a call that is not sampled. `localAddress` is the server's end of the connection, empty where there is none; `nowMs` the monotonic time of arrival. */
  call(
    path: string,
    metadata: ReadonlyMap<string, readonly (string | Uint8Array)[]>,
    localAddress: string,
    nowMs: number,
  ): CallSpan | undefined;
}

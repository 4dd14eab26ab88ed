/** The trace that a caller is in, from its `traceparent` and `tracestate` headers (W3C Trace Context). */

export interface TraceContext {
  /** 16 bytes. */
  readonly traceId: Uint8Array;
  /** 8 bytes; empty: there is no span above. */
  readonly spanId: Uint8Array;
  readonly sampled: boolean;
  /** Passed on as it came. */
  readonly state: string;
}

/** Characters of a `tracestate`: what every vendor must pass on. A longer one is left out. */
const stateMax = 512;
const form = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;

/** Undefined for what is not one: the call is then treated as without. */
export function parseTraceparent(parent: string | Uint8Array, state: string | Uint8Array | undefined): TraceContext | undefined {
  if (typeof parent !== 'string') return undefined;
  const found = form.exec(parent);
  if (found === null) return undefined;
  const [, version = '', trace = '', span = '', flags = '', more] = found;
  // Version ff is forbidden, and 00 has exactly four fields.
  if (version === 'ff' || (version === '00' && more !== undefined) || /^0+$/.test(trace) || /^0+$/.test(span)) return undefined;
  return {
    traceId: Buffer.from(trace, 'hex'),
    spanId: Buffer.from(span, 'hex'),
    sampled: (parseInt(flags, 16) & 1) === 1,
    state: typeof state === 'string' && state.length <= stateMax ? state : '',
  };
}

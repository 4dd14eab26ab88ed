/**
 * Makes the spans of sampled calls. Whether a call is sampled is its caller's decision when it sends a `traceparent`, else chance; a call that is
 * not costs that decision and nothing more.
 *
 * Names, kinds and attributes are those that etcd's spans have (its gRPC instrumentation's for the call, its own for the work), and beneath the
 * work of a write stand `raft`, `wal` and `apply`.
 */
import type { Clock } from '../../base/clock.ts';
import type { Random } from '../../base/random.ts';
import type { CallSpan, CallTracer, Span, SpanAttributes, SpanValue } from '../../base/trace.ts';
import { parseTraceparent, type TraceContext } from './traceparent.ts';

/** What a rate is counted in. */
export const samplesInAll = 1_000_000;
/** Parts of one call: a txn of many operations has few, a stream of many messages must not gather them without bound. */
const partsMax = 128;
const eventsMax = 128;
/** UTF-16 units of a text in an attribute: keys may be a megabyte long. */
const textMax = 256;

export const SpanKind = { internal: 1, server: 2 } as const;

/** A span that is over. Times are of the monotonic clock, ms. */
export interface FinishedSpan {
  readonly scope: 'call' | 'work';
  readonly traceId: Uint8Array;
  readonly spanId: Uint8Array;
  /** Empty: the root of its trace. */
  readonly parentId: Uint8Array;
  readonly traceState: string;
  /** The parent is in another process. */
  readonly remoteParent: boolean;
  readonly name: string;
  readonly kind: number;
  readonly startMs: number;
  readonly endMs: number;
  readonly attributes: readonly (readonly [string, SpanValue])[];
  readonly events: readonly { readonly name: string; readonly atMs: number }[];
  /** The call failed here, not at its caller. */
  readonly failed: boolean;
}

export interface TracerOptions {
  readonly clock: Pick<Clock, 'mono'>;
  readonly random: Pick<Random, 'u32' | 'bytes'>;
  /** Of a million calls without a caller's decision. */
  readonly samplesPerMillion: number;
  readonly finished: (span: FinishedSpan) => void;
}

export class Tracer implements CallTracer {
  readonly #o: TracerOptions;
  /** Calls whose drawn number is below it are sampled. */
  readonly #below: number;

  constructor(options: TracerOptions) {
    this.#o = options;
    this.#below = (options.samplesPerMillion / samplesInAll) * 2 ** 31;
  }

  call(
    path: string,
    metadata: ReadonlyMap<string, readonly (string | Uint8Array)[]>,
    localAddress: string,
    nowMs: number,
  ): CallSpan | undefined {
    const given = metadata.size === 0 ? undefined : metadata.get('traceparent')?.[0];
    const parent = given === undefined ? undefined : parseTraceparent(given, metadata.get('tracestate')?.[0]);
    if (parent !== undefined) return parent.sampled ? this.#begin(parent, path, localAddress, nowMs) : undefined;
    // The same bits of the id decide in every OpenTelemetry library, so that others with this rate agree.
    const drawn = this.#o.random.u32();
    if (drawn >>> 1 >= this.#below) return undefined;
    const traceId = this.#o.random.bytes(16);
    new DataView(traceId.buffer, traceId.byteOffset).setUint32(8, drawn);
    return this.#begin({ traceId, spanId: noParent, sampled: true, state: '' }, path, localAddress, nowMs);
  }

  #begin(context: TraceContext, path: string, localAddress: string, nowMs: number): CallSpan {
    const { host, port } = addressParts(localAddress);
    return new WholeCall(this.#o, context, {
      name: path.slice(1),
      startMs: nowMs,
      attributes: [
        ['rpc.method', path.slice(1)],
        ['rpc.system.name', 'grpc'],
        ...(host === '' ? [] : [['server.address', host] as const]),
        ...(port === 0 ? [] : [['server.port', port] as const]),
      ],
    });
  }
}

const noParent = new Uint8Array(0);

interface SpanInit {
  readonly name: string;
  readonly startMs: number;
  readonly attributes: (readonly [string, SpanValue])[];
}

class Part implements Span {
  protected readonly o: TracerOptions;
  readonly #init: SpanInit;
  readonly #traceId: Uint8Array;
  readonly #traceState: string;
  readonly #spanId: Uint8Array;
  readonly #parentId: Uint8Array;
  readonly #remoteParent: boolean;
  readonly #whole: WholeCall | undefined;
  readonly #events: { readonly name: string; readonly atMs: number }[] = [];
  protected failed = false;
  #over = false;

  constructor(o: TracerOptions, context: TraceContext, init: SpanInit, whole: WholeCall | undefined) {
    this.o = o;
    this.#init = init;
    this.#traceId = context.traceId;
    this.#traceState = context.state;
    this.#parentId = context.spanId;
    this.#remoteParent = whole === undefined && context.spanId.length > 0;
    this.#spanId = o.random.bytes(8);
    this.#whole = whole;
  }

  child(name: string, attributes: SpanAttributes = {}, startMs = this.o.clock.mono()): Span {
    return this.whole.part(
      { traceId: this.#traceId, spanId: this.#spanId, sampled: true, state: this.#traceState },
      { name, startMs, attributes: Object.entries(attributes) },
    );
  }

  protected get whole(): WholeCall {
    return this.#whole as WholeCall;
  }

  attribute(name: string, value: SpanValue): void {
    this.#init.attributes.push([name, value]);
  }

  event(name: string): void {
    if (!this.#over && this.#events.length < eventsMax) this.#events.push({ name, atMs: this.o.clock.mono() });
  }

  end(endMs = this.o.clock.mono()): void {
    if (this.#over) return;
    this.#over = true;
    const { name, startMs, attributes } = this.#init;
    this.o.finished({
      scope: this.#whole === undefined ? 'call' : 'work',
      traceId: this.#traceId,
      spanId: this.#spanId,
      parentId: this.#parentId,
      traceState: this.#traceState,
      remoteParent: this.#remoteParent,
      name,
      kind: this.#whole === undefined ? SpanKind.server : SpanKind.internal,
      startMs,
      endMs: Math.max(startMs, endMs),
      attributes: attributes.map(([key, value]) => [key, typeof value === 'string' ? value.slice(0, textMax) : value]),
      events: this.#events,
      failed: this.failed,
    });
  }
}

/** Statuses that are the server's fault, as OpenTelemetry's conventions for gRPC have it. */
const serverFaults: ReadonlySet<number> = new Set([2, 4, 12, 13, 14, 15]);

class WholeCall extends Part implements CallSpan {
  work: Span | undefined = undefined;
  readonly #parts: Part[] = [];

  constructor(o: TracerOptions, context: TraceContext, init: SpanInit) {
    super(o, context, init, undefined);
  }

  protected override get whole(): WholeCall {
    return this;
  }

  part(context: TraceContext, init: SpanInit): Span {
    if (this.#parts.length >= partsMax) return silentSpan;
    const part = new Part(this.o, context, init, this);
    this.#parts.push(part);
    return part;
  }

  finish(code: number): void {
    const nowMs = this.o.clock.mono();
    // Those inside first.
    for (const part of this.#parts.reverse()) part.end(nowMs);
    this.attribute('rpc.response.status_code', codeNames[code] ?? String(code));
    this.failed = serverFaults.has(code);
    this.end(nowMs);
  }
}

const silentSpan: Span = { child: () => silentSpan, event() {}, end() {} };

/** As gRPC spells them. */
const codeNames = [
  'OK',
  'CANCELLED',
  'UNKNOWN',
  'INVALID_ARGUMENT',
  'DEADLINE_EXCEEDED',
  'NOT_FOUND',
  'ALREADY_EXISTS',
  'PERMISSION_DENIED',
  'RESOURCE_EXHAUSTED',
  'FAILED_PRECONDITION',
  'ABORTED',
  'OUT_OF_RANGE',
  'UNIMPLEMENTED',
  'INTERNAL',
  'UNAVAILABLE',
  'DATA_LOSS',
  'UNAUTHENTICATED',
];

/** `ip:port` with IPv6 in brackets; a socket path has no port. */
function addressParts(address: string): { readonly host: string; readonly port: number } {
  const at = address.lastIndexOf(':');
  const port = at < 0 ? NaN : Number(address.slice(at + 1));
  if (!Number.isInteger(port)) return { host: address, port: 0 };
  return { host: address.slice(0, at).replace(/^\[|\]$/g, ''), port };
}

/**
 * The JSON gateway: every RPC that has an HTTP path as POST with a JSON body, below `/v3/` and, for old clients, `/v3beta/`.
 *
 * A call that streams answers with one JSON object a line, `{"result": …}`; one whose requests stream reads one JSON value after the other
 * from the body. Source: http.tsv; recordings `gateway`; grpc-gateway's status and metadata rules.
 */
import { methods, type MethodDef } from '../../api/gen/methods.ts';
import { Code, errors, RpcError, type Status } from '../../api/status.ts';
import type { Clock } from '../../base/clock.ts';
import type { HandlerTable } from '../../wire/call.ts';
import type { CallOptions, ClientStream } from '../../wire/channel.ts';
import { readBody, type HttpHeaders, type HttpRequest, type HttpResponse } from '../../wire/http.ts';
import { InProcessChannel } from '../../wire/in-process.ts';
import type { CallTracer } from '../../base/trace.ts';
import type { WireObserver } from '../../wire/observer.ts';
import { JsonEnd, JsonError, JsonReader, type JsonNode } from './json-reader.ts';
import { messageFromJson, messageToJson } from './proto-json.ts';

export interface GatewayOptions {
  readonly table: HandlerTable;
  readonly clock: Clock;
  /** --max-request-bytes and its overhead: what a request may be as protobuf. */
  readonly requestBytesMax: number;
  readonly observer?: WireObserver | undefined;
  readonly tracer?: CallTracer | undefined;
  readonly onHandlerError?: ((error: unknown) => void) | undefined;
}

/** A request as JSON is at most so many times its size as protobuf: base64, names, blanks. */
const jsonInflation = 2;
const jsonType = 'application/json';
const grpcHeader = 'Grpc-Metadata-Content-Type';
const utf8Strict = { fatal: true, ignoreBOM: false } as const;

/** Second paths of the lease calls. */
const morePaths: Readonly<Record<string, string>> = {
  '/v3/kv/lease/revoke': '/v3/lease/revoke',
  '/v3/kv/lease/timetolive': '/v3/lease/timetolive',
  '/v3/kv/lease/leases': '/v3/lease/leases',
};

/** HTTP status of a gRPC code. */
const httpStatus: Readonly<Record<Code, number>> = {
  [Code.OK]: 200,
  [Code.Canceled]: 499,
  [Code.Unknown]: 500,
  [Code.InvalidArgument]: 400,
  [Code.DeadlineExceeded]: 504,
  [Code.NotFound]: 404,
  [Code.AlreadyExists]: 409,
  [Code.PermissionDenied]: 403,
  [Code.ResourceExhausted]: 429,
  [Code.FailedPrecondition]: 400,
  [Code.Aborted]: 409,
  [Code.OutOfRange]: 400,
  [Code.Unimplemented]: 501,
  [Code.Internal]: 500,
  [Code.Unavailable]: 503,
  [Code.DataLoss]: 500,
  [Code.Unauthenticated]: 401,
};

const notFound: Status = { code: Code.NotFound, message: 'Not Found' };
const wrongMethod: Status = { code: Code.Unimplemented, message: 'Method Not Allowed' };
const statusJson = (s: Status): string => `{"code":${s.code},"message":${JSON.stringify(s.message)}}`;

/** Codes and words of whatever a call threw. */
function thrownStatus(e: unknown): Status {
  if (e instanceof RpcError) return e.status;
  if (e instanceof JsonError) return { code: Code.InvalidArgument, message: e.message };
  return { code: Code.Internal, message: 'internal error' };
}

export class Gateway {
  readonly #options: GatewayOptions;
  readonly #channel: InProcessChannel;
  readonly #routes = new Map<string, MethodDef>();

  constructor(options: GatewayOptions) {
    this.#options = options;
    this.#channel = new InProcessChannel({
      table: options.table,
      clock: options.clock,
      // A certificate's name must not count as a user here: the certificate is the gateway's, not the caller's.
      peer: { address: 'gateway', commonName: undefined, viaGateway: true },
      observer: options.observer,
      tracer: options.tracer,
      onHandlerError: options.onHandlerError,
    });
    for (const m of methods) if (m.httpPath !== '') this.#routes.set(m.httpPath, m);
    for (const [path, same] of Object.entries(morePaths)) {
      const m = this.#routes.get(same);
      if (m !== undefined) this.#routes.set(path, m);
    }
  }

  /** Whether a path is the gateway's to answer. */
  static owns(path: string): boolean {
    return path.startsWith('/v3/') || path.startsWith('/v3beta/');
  }

  close(): void {
    this.#channel.close();
  }

  /** The call behind a path, query left out. */
  route(path: string): MethodDef | undefined {
    const query = path.indexOf('?');
    const plain = unescaped(query < 0 ? path : path.slice(0, query));
    return this.#routes.get(plain.startsWith('/v3beta/') ? `/v3/${plain.slice('/v3beta/'.length)}` : plain);
  }

  handle(request: HttpRequest, response: HttpResponse): void {
    const method = this.route(request.path);
    if (method === undefined) return refuse(response, notFound);
    // Only forms may name another method.
    const form = request.headers.get('content-type') === 'application/x-www-form-urlencoded';
    const verb = request.method === 'POST' && form ? (request.headers.get('x-http-method-override') ?? 'POST') : request.method;
    if (verb.toUpperCase() !== 'POST') return refuse(response, wrongMethod);
    const options = callOptions(request.headers);
    if ('code' in options) return refuse(response, options);
    if (method.responseStream) this.#stream(method, request, response, options);
    else this.#unary(method, request, response, options);
  }

  /** Decodes one message. @throws JsonError, RpcError when it is too large */
  message(method: MethodDef, node: JsonNode, text: string): object {
    const message = messageFromJson(method.request.typeName, node, text);
    const { requestBytesMax } = this.#options;
    // Only what may be too large is measured.
    if (text.length > requestBytesMax) {
      const bytes = method.request.encode(message).length;
      if (bytes > requestBytesMax)
        throw new RpcError({
          code: Code.ResourceExhausted,
          message: `grpc: received message larger than max (${bytes} vs. ${requestBytesMax})`,
        });
    }
    return message;
  }

  get bodyBytesMax(): number {
    return this.#options.requestBytesMax * jsonInflation;
  }

  open(method: MethodDef, options: CallOptions): ClientStream<object, object> {
    return this.#channel.stream(method as MethodDef<object, object>, options);
  }

  call(method: MethodDef, message: object, options: CallOptions): Promise<object> {
    return this.#channel.unary(method as MethodDef<object, object>, message, options);
  }

  #unary(method: MethodDef, request: HttpRequest, response: HttpResponse, options: CallOptions): void {
    const abort = new AbortController();
    request.onAbort = () => abort.abort();
    readBody(request, this.bodyBytesMax, (body, aborted) => {
      if (aborted) return;
      if (body === undefined) return refuse(response, errors.requestTooLarge);
      let message: object;
      try {
        // Node's decoder drops it even when told not to.
        if (body[0] === 0xef && body[1] === 0xbb && body[2] === 0xbf)
          throw new JsonError("invalid character 'ï' looking for beginning of value");
        const { text, badAt } = decoded(body);
        const reader = new JsonReader(text);
        // No body at all is an empty message; what follows the first value is ignored.
        if (reader.atEnd()) message = {};
        else {
          const from = reader.position;
          const node = reader.next();
          // What is no JSON at all comes first.
          if (badAt >= 0) new JsonReader(text, from, badAt).next();
          message = this.message(method, node, text);
        }
      } catch (e) {
        return refuse(response, thrownStatus(e));
      }
      this.call(method, message, { ...options, signal: abort.signal }).then(
        (reply) => {
          response.head(200, { 'Content-Type': jsonType, [grpcHeader]: 'application/grpc' });
          response.end(messageToJson(method.response.typeName, reply));
        },
        (e: unknown) => refuse(response, thrownStatus(e)),
      );
    });
  }

  #stream(method: MethodDef, request: HttpRequest, response: HttpResponse, options: CallOptions): void {
    const stream = this.open(method, options);
    const lines = new LineWriter(response, method, stream);
    request.onAbort = () => stream.cancel();
    const decoder = new TextDecoder('utf-8', utf8Strict);
    let text = '';
    let sent = 0;
    const take = (last: boolean): void => {
      const reader = new JsonReader(text);
      for (;;) {
        const from = reader.position;
        if (reader.atEnd() || (!method.requestStream && sent > 0)) {
          text = '';
          return;
        }
        let node: JsonNode;
        try {
          node = reader.next();
        } catch (e) {
          if (!(e instanceof JsonEnd) || last) throw e;
          text = text.slice(from);
          if (text.length > this.bodyBytesMax) throw new RpcError(errors.requestTooLarge);
          return;
        }
        stream.send(this.message(method, node, text));
        sent++;
      }
    };
    const fed = (work: () => void): void => {
      try {
        work();
      } catch (e) {
        request.onData = request.onEnd = undefined;
        // The body cannot be understood any more: what was asked before is answered as if it had ended here.
        if (sent > 0) return stream.halfClose();
        lines.fail(e instanceof TypeError ? invalidUtf8 : thrownStatus(e));
        stream.cancel();
      }
    };
    request.onData = (chunk) =>
      fed(() => {
        text += decoder.decode(chunk, { stream: true });
        take(false);
      });
    request.onEnd = () =>
      fed(() => {
        text += decoder.decode();
        take(true);
        if (sent === 0 && !method.requestStream) stream.send({});
        stream.halfClose();
      });
  }
}

const invalidUtf8: Status = { code: Code.InvalidArgument, message: 'proto: syntax error: invalid UTF-8' };

/** Escapes were found sound before. */
function unescaped(path: string): string {
  if (!path.includes('%')) return path;
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

/** A body as text, and where it stops being UTF-8 (−1: nowhere). */
function decoded(body: Uint8Array): { readonly text: string; readonly badAt: number } {
  try {
    return { text: new TextDecoder('utf-8', utf8Strict).decode(body), badAt: -1 };
  } catch {
    const text = new TextDecoder('utf-8', { ignoreBOM: true }).decode(body);
    let badAt = text.indexOf('\ufffd');
    // The character itself may be there as such before.
    while (badAt >= 0 && isSound(body, Buffer.byteLength(text.slice(0, badAt)))) badAt = text.indexOf('\ufffd', badAt + 1);
    return { text, badAt };
  }
}

const isSound = (body: Uint8Array, at: number): boolean => body[at] === 0xef && body[at + 1] === 0xbf && body[at + 2] === 0xbd;

function refuse(response: HttpResponse, status: Status): void {
  response.head(httpStatus[status.code], { 'Content-Type': jsonType });
  response.end(statusJson(status));
}

/** Writes what a stream gives, one JSON object a line, no faster than the client takes it. */
class LineWriter {
  readonly #response: HttpResponse;
  #started = false;
  #over = false;

  constructor(response: HttpResponse, method: MethodDef, stream: ClientStream<object, object>) {
    this.#response = response;
    const { typeName } = method.response;
    response.onDrain = () => stream.resume();
    stream.onMessage = (message) => {
      if (this.#over) return;
      this.#head();
      if (!response.write(`{"result":${messageToJson(typeName, message)}}\n`)) stream.pause();
    };
    stream.onEnd = (status) => {
      if (status.code !== Code.OK) return this.fail(status);
      if (this.#over) return;
      this.#over = true;
      if (!this.#started) response.head(200, {});
      response.end();
    };
  }

  #head(): void {
    if (this.#started) return;
    this.#started = true;
    const headers: HttpHeaders = { 'Content-Type': jsonType, [grpcHeader]: 'application/grpc' };
    this.#response.head(200, headers);
  }

  fail(status: Status): void {
    if (this.#over) return;
    this.#over = true;
    if (!this.#started) refuse(this.#response, status);
    else this.#response.end(`{"error":${statusJson(status)}}\n`);
  }
}

const timeoutUnits: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 };

/**
 * What of an HTTP request becomes metadata of the call: `Authorization` as it is (the auth store takes it for a token), and
 * `Grpc-Metadata-X` as `x`. `Grpc-Timeout` becomes the deadline.
 */
export function callOptions(headers: ReadonlyMap<string, string>): CallOptions | Status {
  const metadata: Record<string, string> = {};
  for (const [name, value] of headers) {
    if (name === 'authorization') metadata[name] = value;
    else if (name.startsWith('grpc-metadata-')) metadata[name.slice('grpc-metadata-'.length)] = value;
  }
  const timeout = headers.get('grpc-timeout');
  if (timeout === undefined) return { metadata };
  const m = /^(\d{1,19})([HMSmun])$/.exec(timeout);
  const unit = timeoutUnits[m?.[2] ?? ''];
  if (m === null || unit === undefined) return { code: Code.InvalidArgument, message: `invalid grpc-timeout: ${timeout}` };
  return { metadata, timeoutMs: Number(m[1]) * unit };
}

/** The members behind the proxy: calls that go on with the caller's credentials, deadline and cancellation. */
import type { MethodDef } from '../../api/gen/methods.ts';
import type { Codec, Init } from '../../api/proto-io.ts';
import { Code, RpcError, type Status } from '../../api/status.ts';
import type { Clock } from '../../base/clock.ts';
import type { CallLayer } from '../../client/layer.ts';
import type { HandlerTable, StreamCall, UnaryCall } from '../../wire/call.ts';
import { identityOf, type Identity } from './identity.ts';

export class Upstream {
  readonly layer: CallLayer;
  readonly clock: Clock;
  /** No layer looks into answers: they go through as the bytes they came as. */
  readonly raw: boolean;
  readonly #methods = new Map<string, MethodDef<never, Uint8Array>>();

  constructor(layer: CallLayer, clock: Clock, raw: boolean) {
    this.layer = layer;
    this.clock = clock;
    this.raw = raw;
  }

  /** The encoded answer. @throws RpcError */
  async bytes<Req, Res>(call: UnaryCall<Req, Res>, request: Init<Req>, identity: Identity): Promise<Uint8Array> {
    const options = this.#options(call, identity);
    if (this.raw) return this.layer.call(this.#bare(call.method as MethodDef<Req, Res>), request, options);
    const method = call.method as MethodDef<Req, Res>;
    return method.response.encode((await this.layer.call(method, request, options)) as Init<Res>);
  }

  /** Hands a unary method on as it is. */
  pass<Req, Res>(table: HandlerTable, method: MethodDef<Req, Res>): void {
    table.addUnary<Req, Res>(method, (call) => this.forward(call));
  }

  forward<Req, Res>(call: UnaryCall<Req, Res>): void {
    this.bytes(call, call.request as Init<Req>, identityOf(call.metadata)).then(
      (body) => call.replyEncoded([body]),
      (error: unknown) => call.fail(statusOf(error)),
    );
  }

  /** Hands a method whose answer is a stream on as it is, holding the member back when the client does not read. */
  passStream<Req, Res>(table: HandlerTable, method: MethodDef<Req, Res>): void {
    table.addStream<Req, Res>(method, (call) => {
      call.onMessage = (request) => void this.#relay(call, method, request);
    });
  }

  async #relay<Req, Res>(call: StreamCall<Req, Res>, method: MethodDef<Req, Res>, request: Req): Promise<void> {
    let cancelled = false;
    call.onCancel = () => {
      cancelled = true;
    };
    try {
      const options = { metadata: identityOf(call.metadata).metadata, timeoutMs: this.#leftMs(call.deadline) };
      const { stream } = await this.layer.stream(this.raw ? (this.#bare(method) as unknown as MethodDef<Req, Res>) : method, options);
      if (cancelled) return stream.cancel();
      call.onCancel = () => stream.cancel();
      call.onDrain = () => stream.resume();
      stream.onMessage = (message) => {
        const room = this.raw ? call.sendEncoded([message as Uint8Array]) : call.send(message);
        if (!room) stream.pause();
      };
      stream.onEnd = (status) => (status.code === Code.OK ? call.end() : call.fail(status));
      stream.send(request as Init<Req>);
      stream.halfClose();
    } catch (error) {
      call.fail(statusOf(error));
    }
  }

  #options(call: UnaryCall<never, never> | UnaryCall, identity: Identity): Parameters<CallLayer['call']>[2] {
    const abort = new AbortController();
    call.onCancel = () => abort.abort();
    return { metadata: identity.metadata, signal: abort.signal, timeoutMs: this.#leftMs(call.deadline) };
  }

  #leftMs(deadline: number): number | undefined {
    return deadline === Infinity ? undefined : Math.max(1, deadline - this.clock.mono());
  }

  /** The method with answers left undecoded. */
  #bare<Req, Res>(method: MethodDef<Req, Res>): MethodDef<Req, Uint8Array> {
    let bare = this.#methods.get(method.path) as MethodDef<Req, Uint8Array> | undefined;
    if (bare === undefined) {
      bare = { ...method, response: undecoded };
      this.#methods.set(method.path, bare as MethodDef<never, Uint8Array>);
    }
    return bare;
  }
}

const undecoded: Codec<Uint8Array> = {
  typeName: 'bytes',
  create: () => new Uint8Array(0),
  encode: (body) => body,
  write: (body, w) => w.raw(body),
  decode: (body) => body,
  read: (r, end) => r.buf.subarray(r.pos, end),
};

export function statusOf(error: unknown): Status {
  if (error instanceof RpcError) return error.status;
  return { code: Code.Unknown, message: error instanceof Error ? error.message : String(error) };
}

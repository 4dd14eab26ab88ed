/**
 * What a client stands on: a `Connection`, or a layer over one that changes requests and answers on their way (namespace, ordering, leasing).
 * Every part of the client library goes through it, so that a layer covers reads, writes, watches, leases, locks and elections alike.
 */
import type { MethodDef } from '../api/gen/methods.ts';
import type { Init } from '../api/proto-io.ts';
import type { CallOptions, ClientStream } from '../wire/channel.ts';
import type { Slot } from './balancer.ts';

export interface CallLayer {
  endpoints: readonly string[];
  /** A unary call with failover. @throws EtcdError */
  call<Req, Res>(method: MethodDef<Req, Res>, request: Init<Req>, options?: CallOptions): Promise<Res>;
  /** Opens a stream on some endpoint. Resuming it is the caller's part. */
  stream<Req, Res>(method: MethodDef<Req, Res>, options?: CallOptions): Promise<{ stream: ClientStream<Req, Res>; slot: Slot }>;
  /** To be told how a stream went, so that the next one goes elsewhere. */
  streamFailed(slot: Slot): void;
  /** Logs in now rather than with the first call. @throws EtcdError */
  login(timeoutMs: number): Promise<void>;
  forgetToken(): void;
  readonly closed: boolean;
  close(): void;
}

/** A layer that changes nothing: the base of those that do. It does not own what is below; closing it closes that too. */
export abstract class PassLayer implements CallLayer {
  protected readonly below: CallLayer;

  constructor(below: CallLayer) {
    this.below = below;
  }

  get endpoints(): readonly string[] {
    return this.below.endpoints;
  }

  set endpoints(endpoints: readonly string[]) {
    this.below.endpoints = endpoints;
  }

  call<Req, Res>(method: MethodDef<Req, Res>, request: Init<Req>, options?: CallOptions): Promise<Res> {
    return this.below.call(method, request, options);
  }

  stream<Req, Res>(method: MethodDef<Req, Res>, options?: CallOptions): Promise<{ stream: ClientStream<Req, Res>; slot: Slot }> {
    return this.below.stream(method, options);
  }

  streamFailed(slot: Slot): void {
    this.below.streamFailed(slot);
  }

  login(timeoutMs: number): Promise<void> {
    return this.below.login(timeoutMs);
  }

  forgetToken(): void {
    this.below.forgetToken();
  }

  get closed(): boolean {
    return this.below.closed;
  }

  close(): void {
    this.below.close();
  }
}

/** Calls with failover, retry and login: what every part of the client library stands on. */
import { Auth, type MethodDef } from '../api/gen/methods.ts';
import type { Init } from '../api/proto-io.ts';
import { Code, errors, RpcError } from '../api/status.ts';
import type { CallOptions, ClientStream } from '../wire/channel.ts';
import { Balancer, type Slot } from './balancer.ts';
import { EtcdError } from './errors.ts';
import type { CallLayer } from './layer.ts';
import type { ClientOptions } from './options.ts';
import { attemptsMax, backoffMs, isWrite, mayRetry, mayRetryAuth } from './retry.ts';

export class Connection implements CallLayer {
  readonly #options: ClientOptions;
  readonly #balancer: Balancer;
  #token: string | undefined;
  #login: Promise<void> | undefined;
  #closed = false;

  constructor(options: ClientOptions) {
    if (options.connect === undefined) throw new TypeError('a connection needs a way to connect');
    if (options.endpoints.length === 0) throw new TypeError('client has no endpoints');
    this.#options = options;
    this.#token = options.token;
    this.#balancer = new Balancer(
      options.connect,
      {
        tls: options.tls,
        connectTimeoutMs: options.connectTimeoutMs ?? 2000,
        keepaliveMs: options.keepaliveMs ?? 0,
        keepaliveTimeoutMs: options.keepaliveTimeoutMs ?? 6000,
        keepaliveWithoutCalls: options.keepaliveWithoutCalls,
        failFast: options.failFast,
        sendBytesMax: options.sendBytesMax ?? 2 * 1024 * 1024,
        receiveBytesMax: options.receiveBytesMax ?? 2 ** 31 - 1,
      },
      options.balance ?? 'round-robin',
    );
    this.#balancer.setEndpoints(options.endpoints);
  }

  get endpoints(): string[] {
    return this.#balancer.endpoints;
  }

  set endpoints(endpoints: readonly string[]) {
    this.#balancer.setEndpoints(endpoints);
  }

  /**
   * A unary call. Reads are tried on other endpoints while these say Unavailable; writes only when the request never left.
   * @throws EtcdError
   */
  async call<Req, Res>(method: MethodDef<Req, Res>, request: Init<Req>, options: CallOptions = {}): Promise<Res> {
    const timeoutMs = options.timeoutMs ?? this.#options.requestTimeoutMs;
    const deadline = timeoutMs === undefined ? Infinity : performance.now() + timeoutMs;
    const write = isWrite(method as MethodDef, request);
    const tried = new Set<Slot>();
    let refused = 0;
    let unreachable: RpcError | undefined;
    for (let attempt = 1; ; attempt++) {
      let slot: Slot | undefined;
      try {
        slot = await this.#balancer.pick(tried, deadline);
        const metadata = await this.metadata(options, deadline);
        const left = deadline - performance.now();
        if (left <= 0) throw new RpcError(errors.contextDeadlineExceeded);
        slot.pending++;
        let response: Res;
        try {
          response = await slot.channel.unary(method, request, {
            metadata,
            signal: options.signal,
            timeoutMs: left === Infinity ? undefined : left,
          });
        } finally {
          slot.pending--;
        }
        this.#balancer.succeeded(slot);
        return response;
      } catch (error) {
        if (!(error instanceof RpcError)) throw error;
        const failure = error instanceof EtcdError ? error : new EtcdError(withCause(error, unreachable), this.#nameOf(slot));
        if (error.code === Code.Unavailable) unreachable = error;
        if (this.#closed || options.signal?.aborted) throw failure;
        if (attempt < attemptsMax && mayRetryAuth(error, this.#credentials)) {
          // The token may have expired or been forgotten by a restarted member: a new login, then the call again. It was refused, so not ambiguous.
          this.forgetToken();
          if (++refused > 1) await this.#pause(deadline, options, error, slot);
          continue;
        }
        if (error.code === Code.Unavailable && slot !== undefined) this.#balancer.failed(slot);
        if (attempt >= attemptsMax || !mayRetry(error, write, this.#balancer.size)) throw failure;
        if (slot !== undefined) tried.add(slot);
        // Without one, all that were left have been tried.
        if (slot === undefined || tried.size >= this.#balancer.size) {
          tried.clear();
          await this.#pause(deadline, options, error, slot);
        }
      }
    }
  }

  /** Before a call is sent again. @throws EtcdError when its time will have passed by then */
  async #pause(deadline: number, options: CallOptions, cause: RpcError, slot: Slot | undefined): Promise<void> {
    const pause = backoffMs * (0.9 + 0.2 * Math.random());
    if (performance.now() + pause >= deadline)
      throw new EtcdError(new RpcError(errors.contextDeadlineExceeded, { cause }), this.#nameOf(slot));
    await sleep(pause, options.signal);
  }

  /** @throws EtcdError */
  async #pick(tried: ReadonlySet<Slot> | undefined, deadline: number): Promise<Slot> {
    try {
      return await this.#balancer.pick(tried, deadline);
    } catch (error) {
      if (!(error instanceof RpcError)) throw error;
      throw new EtcdError(error, this.#nameOf(undefined));
    }
  }

  #nameOf(slot: Slot | undefined): string {
    return slot?.endpoint.text ?? this.endpoints.join(',');
  }

  /** Opens a stream on some endpoint. Resuming it is the caller's part. */
  async stream<Req, Res>(method: MethodDef<Req, Res>, options: CallOptions = {}): Promise<{ stream: ClientStream<Req, Res>; slot: Slot }> {
    const metadata = await this.metadata(options, Infinity);
    const slot = await this.#pick(undefined, Infinity);
    return { stream: slot.channel.stream(method, { ...options, metadata }), slot };
  }

  /** To be told how a stream went, so that the next one goes elsewhere. */
  streamFailed(slot: Slot): void {
    this.#balancer.failed(slot);
  }

  /** Logs in now rather than with the first call. Nothing to do without user name and password. @throws EtcdError */
  async login(timeoutMs: number): Promise<void> {
    await this.metadata({}, performance.now() + timeoutMs);
  }

  forgetToken(): void {
    if (this.#canLogin) this.#token = undefined;
  }

  async metadata(options: CallOptions, deadline: number): Promise<Record<string, string>> {
    const out: Record<string, string> = { ...this.#options.metadata, ...options.metadata };
    if (this.#token === undefined && this.#canLogin) {
      this.#login ??= this.#authenticate(deadline).finally(() => {
        this.#login = undefined;
      });
      await this.#login;
    }
    if (this.#token !== undefined && this.#token !== '') out['token'] = this.#token;
    return out;
  }

  get #credentials(): 'password' | 'token' | 'none' {
    const { token, username, password } = this.#options;
    if (token !== undefined) return 'token';
    return username !== undefined && password !== undefined ? 'password' : 'none';
  }

  get #canLogin(): boolean {
    return this.#credentials === 'password';
  }

  async #authenticate(deadline: number): Promise<void> {
    const tried = new Set<Slot>();
    for (;;) {
      const slot = await this.#pick(tried, deadline);
      const left = deadline - performance.now();
      try {
        const response = await slot.channel.unary(
          Auth.authenticate,
          { name: this.#options.username ?? '', password: this.#options.password ?? '' },
          { timeoutMs: left === Infinity ? undefined : Math.max(1, left) },
        );
        this.#token = response.token;
        return;
      } catch (error) {
        if (!(error instanceof RpcError)) throw error;
        const failure = new EtcdError(error, slot.endpoint.text);
        // Auth is off: go without a token, as etcd's client does.
        if (failure.reason === 'authNotEnabled') {
          this.#token = '';
          return;
        }
        tried.add(slot);
        if (error.code !== Code.Unavailable || tried.size >= this.#balancer.size) throw failure;
        this.#balancer.failed(slot);
      }
    }
  }

  get closed(): boolean {
    return this.#closed;
  }

  close(): void {
    this.#closed = true;
    this.#balancer.close();
  }
}

/** A deadline that passed while nobody could be reached is told with the reason why. */
function withCause(error: RpcError, unreachable: RpcError | undefined): RpcError {
  if (error.code !== Code.DeadlineExceeded || unreachable === undefined) return error;
  return new RpcError(error.status, { cause: unreachable, unsent: error.unsent });
}

/** Rejects with Canceled when the signal fires first. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = (): void => {
      clearTimeout(timer);
      reject(new RpcError(errors.contextCanceled));
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', abort);
      resolve();
    }, ms);
    if (signal?.aborted) abort();
    else signal?.addEventListener('abort', abort, { once: true });
  });
}

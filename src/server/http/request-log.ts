/** Calls in the log: those that took too long, and at debug level all of them. */
import type { MethodDef } from '../../api/gen/methods.ts';
import type { Code } from '../../api/status.ts';
import type { Clock } from '../../base/clock.ts';
import { formatDuration } from '../../base/duration.ts';
import type { Log } from '../../base/log.ts';
import type { HandledCall, MethodObserver, WireObserver } from '../../wire/observer.ts';

export class RequestLog implements WireObserver {
  readonly #inner: WireObserver;
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #slowMs: number;

  /** @param inner  told of everything first */
  constructor(inner: WireObserver, options: { readonly log: Log; readonly clock: Clock; readonly slowMs: number }) {
    this.#inner = inner;
    this.#log = options.log;
    this.#clock = options.clock;
    this.#slowMs = options.slowMs;
  }

  method(method: MethodDef): MethodObserver {
    const inner = this.#inner.method(method);
    // The answer's size is told right before the call's end, in one turn.
    let answerBytes = 0;
    if (method.requestStream || method.responseStream) return inner;
    const slowMs = this.#slowMs;
    const log = this.#log;
    return {
      started: () => inner.started(),
      handled: (call, code, durationMs) => {
        inner.handled(call, code, durationMs);
        if (durationMs > slowMs || log.debugEnabled) this.#write(call, { code, durationMs, answerBytes: code === 0 ? answerBytes : -1 });
      },
      received: (bytes) => inner.received(bytes),
      sent: (bytes) => {
        answerBytes = bytes;
        inner.sent(bytes);
      },
    };
  }

  #write(call: HandledCall, end: { readonly code: Code; readonly durationMs: number; readonly answerBytes: number }): void {
    const { code, durationMs, answerBytes } = end;
    const fields = {
      'start time': new Date(this.#clock.wall() - durationMs).toISOString(),
      'time spent': formatDuration(durationMs),
      remote: call.peer.address,
      'response type': call.method.path,
      code,
      'request count': -1,
      'request size': call.requestBytes.length,
      'response count': -1,
      'response size': answerBytes,
      'request content': content(call.request),
    };
    if (durationMs > this.#slowMs) this.#log.warn('request stats', fields);
    else this.#log.debug('request stats', fields);
  }
}

/** How long the key is, never which: keys may be as secret as values. */
function content(request: unknown): string {
  const key = (request as { readonly key?: unknown } | undefined)?.key;
  return key instanceof Uint8Array ? `key_size:${key.length} ` : '';
}

/** `--experimental-enable-grpc-logging`: a line when a call begins and one when it has ended. */
import { Code } from '../../api/status.ts';
import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import type { WireObserver } from '../../wire/observer.ts';
import { typeOf } from './metrics.ts';

const codeNames = Object.keys(Code);
/** What an operator has to look at; other refusals are the clients' own. */
const serious: ReadonlySet<Code> = new Set([Code.Unknown, Code.Unimplemented, Code.Internal, Code.DataLoss]);
const notable: ReadonlySet<Code> = new Set([
  Code.DeadlineExceeded,
  Code.PermissionDenied,
  Code.ResourceExhausted,
  Code.FailedPrecondition,
  Code.Aborted,
  Code.OutOfRange,
  Code.Unavailable,
]);

export function callLog(inner: WireObserver, log: Log, clock: Clock): WireObserver {
  return {
    method(method) {
      const observer = inner.method(method);
      const cut = method.path.lastIndexOf('/');
      const fields = {
        protocol: 'grpc',
        'grpc.component': 'server',
        'grpc.service': method.path.slice(1, cut),
        'grpc.method': method.path.slice(cut + 1),
        'grpc.method_type': typeOf(method),
      };
      return {
        started() {
          observer.started();
          log.info('started call', fields);
        },
        handled(call, code, durationMs) {
          observer.handled(call, code, durationMs);
          const level = serious.has(code) ? 'error' : notable.has(code) ? 'warn' : 'info';
          log[level]('finished call', {
            ...fields,
            'peer.address': call.peer.address,
            'grpc.start_time': new Date(clock.wall() - durationMs).toISOString(),
            'grpc.code': codeNames[code] ?? String(code),
            'grpc.time_ms': durationMs,
          });
        },
        received: (bytes) => observer.received(bytes),
        sent: (bytes) => observer.sent(bytes),
      };
    },
  };
}

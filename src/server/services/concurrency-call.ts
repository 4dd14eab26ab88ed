/** What lock and election have in common: a call that may wait long, ends when its caller goes, and whose errors all leave as Unknown. */
import { Code, errors, RpcError, type Status } from '../../api/status.ts';
import type { UnaryCall } from '../../wire/call.ts';
import type { ServiceContext } from './context.ts';
import { Abort, InternalClient } from './internal-client.ts';

/** Runs `work` for a call and answers with what it gives. */
export function serve<Req, Res>(
  context: ServiceContext,
  call: UnaryCall<Req, Res>,
  work: (client: InternalClient, request: Req, abort: Abort) => Promise<Res>,
): void {
  const abort = new Abort();
  const forget = context.member.onStop(() => abort.fire(errors.stopped));
  call.onCancel = () => abort.fire(errors.contextCanceled);
  work(new InternalClient(context, call), call.request, abort).then(
    (response) => {
      forget();
      call.reply(response);
    },
    (e: unknown) => {
      forget();
      call.fail(unknownStatus(e));
    },
  );
}

/** etcd's lock and election services know errors by their text alone. */
export function unknownStatus(error: unknown): Status {
  if (error instanceof RpcError && error.code === errors.stopped.code && error.message === errors.stopped.message) return errors.stopped;
  return { code: Code.Unknown, message: error instanceof Error ? error.message : String(error) };
}

/** `name/`, and the key of a lease under it: `name/<lease in hex>`. */
export function sessionKeys(name: Uint8Array, lease: bigint): { prefix: Uint8Array; key: Uint8Array } {
  const prefix = Buffer.concat([name, Buffer.from('/')]);
  return { prefix, key: Buffer.concat([prefix, Buffer.from(lease.toString(16))]) };
}

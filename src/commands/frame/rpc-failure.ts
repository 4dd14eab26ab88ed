/** Errors of calls in etcdctl's words. */
import { Code, RpcError } from '../../api/status.ts';
import { reasonOf } from '../../client/errors.ts';
import { CommandError, ExitCode } from './exit.ts';

const codeNames = Object.fromEntries(Object.entries(Code).map(([name, code]) => [code, name]));

/** Errors of etcd's table that its own client does not know by text, so that it shows the whole status. */
const unlisted = new Set([
  'invalidClientAPIVersion',
  'permissionNotGiven',
  'watchCanceled',
  'timeoutWaitAppliedIndex',
  'rangeStreamSort',
  'rangeStreamFilter',
]);

/** The text of a failed call. */
export function rpcText(error: unknown): string {
  if (!(error instanceof RpcError)) return error instanceof Error ? error.message : String(error);
  const reason = reasonOf(error.status);
  if (reason !== 'unknown' && !unlisted.has(reason)) return error.message;
  if (error.code === Code.DeadlineExceeded) return 'context deadline exceeded';
  return `rpc error: code = ${codeNames[error.code] ?? `Code(${error.code})`} desc = ${error.message}`;
}

/** As `rpcText`, for streams whose errors etcd's client does not look up in its table. */
export function rawRpcText(error: RpcError): string {
  if (error.code === Code.DeadlineExceeded) return 'context deadline exceeded';
  return `rpc error: code = ${codeNames[error.code] ?? `Code(${error.code})`} desc = ${error.message}`;
}

/** What ends the command when the call failed. Bugs pass through. */
export function rpcFailure(error: unknown, exit: number = ExitCode.Error): Error {
  if (error instanceof CommandError) return error;
  if (error instanceof RpcError) return new CommandError(exit, rpcText(error), { cause: error });
  return error instanceof Error ? error : new Error(String(error));
}

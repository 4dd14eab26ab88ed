/** What an error means and what to try: one line, for people. */
import { Code, RpcError } from '../../api/status.ts';
import { reasonOf } from '../../client/errors.ts';
import type { CommandError } from './exit.ts';
import type { Invocation } from './invocation.ts';

const byReason: Readonly<Record<string, string>> = {
  noSpace: 'the database is at its quota: compact, defrag, then `alarm disarm`, or raise --quota-backend-bytes',
  noLeader: 'the cluster has no leader: check with `endpoint status --cluster` that a majority of members runs',
  userEmpty: 'authentication is on: give --user NAME:PASSWORD or a client certificate',
  permissionDenied: 'this user has no permission for the key: see `user get NAME --detail`',
  authFailed: 'unknown user or wrong password',
  invalidAuthToken: 'the token has expired or is of another cluster: log in again',
  compacted: 'history before the compacted revision is gone: read at a later --rev, or without one',
  futureRev: 'no such revision yet: see the current one with `endpoint status -w fields`',
  leaseNotFound: 'the lease has expired or was revoked: `lease list` shows what is alive',
  requestTooLarge: 'raise --max-request-bytes on the server, or split the request',
  tooManyOps: 'raise --max-txn-ops on the server, or split the transaction',
  emptyKey: 'a key needs at least one byte; for all keys use --prefix or --from-key with ""',
};

/** The innermost texts of a chain of causes. */
function chain(error: unknown): string {
  const texts: string[] = [];
  for (let e: unknown = error; e instanceof Error && texts.length < 8; e = e.cause) texts.push(e.message);
  return texts.join(' | ');
}

/** Undefined when there is nothing to add. */
export function explain(error: CommandError, inv: Invocation): string | undefined {
  const cause = error.cause;
  // The offline tools say themselves what to try.
  if (cause instanceof Error && 'hint' in cause) return typeof cause.hint === 'string' ? cause.hint : undefined;
  if (!(cause instanceof RpcError)) return undefined;
  const reason = byReason[reasonOf(cause.status)];
  if (reason !== undefined) return reason;
  const endpoints = inv.flags.has('endpoints') ? inv.flags.strings('endpoints').join(', ') : '';
  const seen = chain(cause);
  if (/ECONNREFUSED/.test(seen)) return `nobody listens at ${endpoints}: is the member running, and is this its client port?`;
  if (/ENOTFOUND|EAI_AGAIN/.test(seen)) return `the name in ${endpoints} is not known to DNS`;
  if (/EHOSTUNREACH|ENETUNREACH/.test(seen)) return `no route to ${endpoints}`;
  if (/CERT_HAS_EXPIRED|certificate has expired/i.test(seen)) return `the certificate of ${endpoints} has expired`;
  if (/ALTNAME|is not valid for/i.test(seen)) return `the certificate of ${endpoints} is for another name: use the name it was made for`;
  if (/self.signed|UNABLE_TO|unable to (get|verify)/i.test(seen))
    return `the certificate of ${endpoints} is not signed by a known CA: give --cacert`;
  if (/wrong version number|EPROTO/i.test(seen)) return `${endpoints} does not speak TLS: use http:// or leave the TLS flags away`;
  if (/certificate required|handshake failure|bad certificate/i.test(seen))
    return `${endpoints} wants a client certificate: give --cert and --key`;
  if (/connection (closed|timed out)|ECONNRESET|socket hang up/i.test(seen))
    return `${endpoints} closed the connection before speaking HTTP/2: does it want TLS (https:// and --cacert), or is it another port?`;
  if (cause.code === Code.DeadlineExceeded)
    return `no answer from ${endpoints} within ${inv.commandTimeoutMs / 1000} s: overloaded, without leader, or behind a firewall`;
  if (cause.code === Code.Unimplemented) return 'the server does not know this call: an older version, or not an etcd';
  return undefined;
}

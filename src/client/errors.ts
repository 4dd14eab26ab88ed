/** Typed errors of the client library. */
import { Code, errors, RpcError, type ErrorName, type Status } from '../api/status.ts';

/** An answer of the server that is not OK, by etcd's name where it has one: `error.name === 'compacted'`. */
export class EtcdError extends RpcError {
  /** A name of `errors` in api/status.ts, or `unknown`. */
  readonly reason: ErrorName | 'unknown';
  /** The endpoint that gave the error last. */
  readonly endpoint: string;

  constructor(cause: RpcError, endpoint: string) {
    super(cause.status, { cause, unsent: cause.unsent });
    this.name = 'EtcdError';
    this.reason = reasonOf(cause.status);
    this.endpoint = endpoint;
  }
}

const byText = new Map(Object.entries(errors).map(([name, s]) => [`${s.code} ${s.message}`, name as ErrorName]));

/** The table's name of a status: code and text together are etcd's identity of an error. */
export function reasonOf(status: Status): ErrorName | 'unknown' {
  return byText.get(`${status.code} ${status.message}`) ?? 'unknown';
}

/** The watch ended: its revision was compacted, or the server refused it. */
export class WatchCanceledError extends Error {
  readonly code = 'watch-canceled';
  /** 0 unless a compaction ended the watch. */
  readonly compactRevision: number;

  constructor(reason: string, compactRevision: number) {
    super(reason);
    this.name = 'WatchCanceledError';
    this.compactRevision = compactRevision;
  }
}

/** The lease is gone: expired or revoked. */
export class LeaseExpiredError extends Error {
  readonly code = 'lease-expired';
}

/** True for errors after which another endpoint may do better. */
export function isUnavailable(error: unknown): boolean {
  return error instanceof RpcError && error.code === Code.Unavailable;
}

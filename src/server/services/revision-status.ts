/** etcd's words for what the store says of a revision. */
import { errors, type Status } from '../../api/status.ts';
import type { CompactedError, FutureRevisionError } from '../mvcc/types.ts';

export function revisionStatus(error: CompactedError | FutureRevisionError): Status {
  return error.code === 'compacted' ? errors.compacted : errors.futureRev;
}

/** For what a synchronous read throws; anything but a refused revision goes on upwards. */
export function thrownRevisionStatus(error: unknown): Status {
  const code = (error as { code?: unknown } | undefined)?.code;
  if (code === 'compacted') return errors.compacted;
  if (code === 'future-revision') return errors.futureRev;
  throw error;
}

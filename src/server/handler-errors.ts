/**
 * What a handler threw. Its call is answered already ("internal error"), so what is left to decide is whether the member may go on.
 *
 * It must not when what broke is shared: an invariant, the disk, stored bytes (rules F-8, F-13). Anything else is a mistake in reading or answering
 * one request; raft and apply never run inside a handler (they begin in a later turn), so no other state can be half changed, and a
 * request that a client can send again and again must not end the member each time.
 */
import { DiskError } from '../base/disk.ts';
import { InvariantError } from '../base/invariant.ts';
import type { Log } from '../base/log.ts';
import { CorruptError } from './storage/backend.ts';

export function handlerErrors(log: Log, onFatal: (error: Error) => void): (error: unknown) => void {
  return (error) => {
    if (error instanceof InvariantError || error instanceof DiskError || error instanceof CorruptError) onFatal(error);
    else log.error('a request failed for a mistake in this program', { error, stack: error instanceof Error ? error.stack : undefined });
  };
}

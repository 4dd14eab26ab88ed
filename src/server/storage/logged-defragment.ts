/** A defragmentation as the log tells it, at start or when somebody asks for it. */
import type { Clock } from '../../base/clock.ts';
import { formatDuration } from '../../base/duration.ts';
import { humanBytes } from '../../base/human-bytes.ts';
import type { Log, LogFields } from '../../base/log.ts';
import type { Backend } from './backend.ts';

/** @param path  the store's folder, for the log */
export async function loggedDefragment(
  backend: Backend,
  { log, clock, path }: { readonly log: Log; readonly clock: Clock; readonly path: string },
): Promise<void> {
  const start = clock.mono();
  const { sizeBytes, sizeInUseBytes } = backend;
  log.info('defragmenting', { path, ...databaseSize(backend) });
  await backend.defragment();
  log.info('finished defragmenting directory', {
    path,
    'current-db-size-bytes-diff': backend.sizeBytes - sizeBytes,
    ...databaseSize(backend, { 'current-db-size-in-use-bytes-diff': backend.sizeInUseBytes - sizeInUseBytes }),
    took: formatDuration(clock.mono() - start),
  });
}

/** How large the store is, as fields. @param between  stand between the whole and what is in use */
export function databaseSize(backend: Pick<Backend, 'sizeBytes' | 'sizeInUseBytes'>, between: LogFields = {}): LogFields {
  const { sizeBytes, sizeInUseBytes } = backend;
  return {
    'current-db-size-bytes': sizeBytes,
    'current-db-size': humanBytes(sizeBytes),
    ...between,
    'current-db-size-in-use-bytes': sizeInUseBytes,
    'current-db-size-in-use': humanBytes(sizeInUseBytes),
  };
}

/** The event loop's side of the store builder: a thread for each job, which ends with it. */
import { Worker } from 'node:worker_threads';
import { workerUrl } from './worker-url.ts';

export interface StoreBuildJob {
  /** A bbolt file. */
  readonly from: string;
  /** The directory to be built. */
  readonly to: string;
  readonly unsafeNoFsync: boolean;
}

export interface StoreBuildAnswer {
  readonly error: string | undefined;
}

export class StoreBuildError extends Error {
  readonly code = 'store-build';
}

/** Builds a store's directory from a bbolt file; all of it is durable when the promise resolves. @throws StoreBuildError */
export function storeBuilder(options: { readonly unsafeNoFsync: boolean }): (from: string, to: string) => Promise<void> {
  return (from, to) =>
    new Promise((resolve, reject) => {
      const job: StoreBuildJob = { from, to, unsafeNoFsync: options.unsafeNoFsync };
      const worker = new Worker(workerUrl('build-store'), { workerData: job });
      worker.unref();
      worker.once('message', ({ error }: StoreBuildAnswer) => {
        if (error === undefined) resolve();
        else reject(new StoreBuildError(`${from}: ${error}`));
        void worker.terminate();
      });
      worker.once('error', (error) => reject(new StoreBuildError(`${from}: ${error.message}`, { cause: error })));
      worker.once('exit', () => reject(new StoreBuildError(`${from}: the builder ended before its job`)));
    });
}

/** What an offline tool ends with: etcdutl's words and exit codes. */
import { DiskError } from '../../base/disk.ts';
import { BoltError } from '../storage/bbolt/bolt-reader.ts';

export class OfflineError extends Error {
  readonly code = 'offline';
  readonly exitCode: number;
  /** One more line for people: what was seen and what to try. */
  readonly hint: string | undefined;

  constructor(message: string, options: { readonly exitCode?: number; readonly hint?: string; readonly cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.exitCode = options.exitCode ?? 1;
    this.hint = options.hint;
  }
}

/** Errors of etcdutl about what was asked for. */
export const badArgsExit = 128;

const words: Readonly<Record<string, string>> = {
  ENOENT: 'no such file or directory',
  EACCES: 'permission denied',
  EISDIR: 'is a directory',
  ENOTDIR: 'not a directory',
  EEXIST: 'file exists',
  ENOSPC: 'no space left on device',
  EROFS: 'read-only file system',
  EPERM: 'operation not permitted',
};

/** `open NAME: no such file or directory`. `op` is Go's name of the operation, when it is not the failed one. */
export function diskText(error: DiskError, op = error.op, path = error.path): string {
  return `${op} ${path}: ${words[error.code] ?? error.code}`;
}

/** A disk error or a damaged file as the end of a tool; anything else as it is. */
export function asOffline(error: unknown): unknown {
  if (error instanceof DiskError) return new OfflineError(diskText(error), { cause: error });
  if (error instanceof BoltError) {
    if (error.page === undefined && error.message.endsWith('not a bbolt file'))
      return new OfflineError('invalid database', { cause: error, hint: `${error.path} is not a database of etcd` });
    return new OfflineError(`invalid database: ${error.message}`, {
      cause: error,
      hint: `${error.path} is damaged: use another copy of it`,
    });
  }
  return error;
}

/** Runs a tool; what it throws is an `OfflineError` where the reason lies outside the program. */
export async function offline<T>(run: () => Promise<T> | T): Promise<T> {
  try {
    return await run();
  } catch (error) {
    throw asOffline(error);
  }
}

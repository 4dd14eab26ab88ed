/** Errors of files in the words of etcd's tools: `open NAME: no such file or directory`. */
const words: Readonly<Record<string, string>> = {
  ENOENT: 'no such file or directory',
  EACCES: 'permission denied',
  EISDIR: 'is a directory',
  ENOTDIR: 'not a directory',
  EEXIST: 'file exists',
  ENOSPC: 'no space left on device',
  EROFS: 'read-only file system',
  EPERM: 'operation not permitted',
  ENOTEMPTY: 'directory not empty',
};

export function ioText(error: unknown): string {
  const e = error as NodeJS.ErrnoException;
  const what = words[e.code ?? ''];
  if (what === undefined || e.path === undefined) return e.message;
  const dest = (e as { dest?: string }).dest;
  return `${e.syscall ?? 'open'} ${e.path}${dest === undefined ? '' : ` ${dest}`}: ${what}`;
}

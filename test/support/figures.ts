/** What the system says of a process and a directory. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** Private memory and what is resident in all, in bytes. */
export function memoryOf(pid: number): { readonly rssAnon: number; readonly vmRss: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const kb = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0);
  return { rssAnon: kb('RssAnon') * 1024, vmRss: kb('VmRSS') * 1024 };
}

/** Open descriptors. */
export function handlesOf(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

/** Bytes that files below a directory take, as the disk counts them (512-byte blocks). Files that go meanwhile count as nothing. */
export function diskBytesOf(dir: string): number {
  let sum = 0;
  for (const name of readdirSync(dir, { recursive: true, encoding: 'utf8' })) {
    const stat = statSync(join(dir, name), { throwIfNoEntry: false });
    if (stat?.isFile() === true) sum += stat.blocks * 512;
  }
  return sum;
}

export const mb = (bytes: number): number => Math.round(bytes / 1e5) / 10;

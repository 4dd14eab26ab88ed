/** Long tables go through a pager when standard output is a terminal. */
import { isatty } from 'node:tty';
import { stdout } from './output.ts';

export interface PagerChoice {
  readonly env: NodeJS.ProcessEnv;
  /** False under etcd's names, and with --no-pager. */
  readonly wanted: boolean;
}

/** The command line of the pager; undefined for none. PAGER set to nothing says none. */
export function pagerOf({ env, wanted }: PagerChoice): string | undefined {
  if (!wanted || !isatty(1) || env['TERM'] === 'dumb') return undefined;
  const { PAGER: pager = 'less' } = env;
  return pager.trim() === '' || pager.trim() === 'cat' ? undefined : pager;
}

/** Shows a text: through the pager when there is one and the text is longer than the screen. */
export function page(text: string, pager: string | undefined, env: NodeJS.ProcessEnv): void {
  const rows = process.stdout.rows ?? 24;
  if (pager === undefined || text.split('\n').length <= rows) return stdout(text);
  const { spawnSync } = process.getBuiltinModule('node:child_process');
  // Less by its own habits clears the screen behind it and keeps long lines whole in the way: as git asks for it.
  const { status, error } = spawnSync('/bin/sh', ['-c', pager], {
    input: text,
    stdio: ['pipe', 'inherit', 'inherit'],
    env: { LESS: 'FRSX', LV: '-c', ...env },
  });
  if (status === 127 || status === 126 || (error as NodeJS.ErrnoException | undefined)?.code === 'ENOENT') stdout(text);
}

/** Colours, on standard error only: what goes to standard output is the same on a terminal as in a file. */
import { isatty } from 'node:tty';
import type { Invocation } from './invocation.ts';

/** NO_COLOR wins over FORCE_COLOR, and that over what is known of the terminal. */
export function colourful(inv: Invocation): boolean {
  const { env } = inv.around;
  if (!inv.own || (env['NO_COLOR'] ?? '') !== '') return false;
  const forced = env['FORCE_COLOR'];
  if (forced !== undefined) return forced !== '0' && forced !== 'false';
  return isatty(2) && env['TERM'] !== 'dumb';
}

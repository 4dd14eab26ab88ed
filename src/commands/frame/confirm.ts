/** `--dry-run` and `--confirm` of commands that destroy something: what would happen is said, and with `--confirm` asked for, first. */
import type { Invocation } from './invocation.ts';
import { stderr, stdin, stdout } from './output.ts';
import type { FlagSpec } from './spec.ts';

export const guardFlags: readonly FlagSpec[] = [
  { name: 'dry-run', type: 'bool', usage: 'only say what would happen', own: true },
  { name: 'confirm', type: 'bool', usage: 'on a terminal, say what would happen and ask (also TSETCD_CONFIRM=1)', own: true },
];

export interface Outlook {
  /** `delete 3 keys`: behind "would". */
  readonly deed: string;
  /** Names of what is concerned, whole or in part. */
  readonly items?: readonly string[];
  /** How many more there are. */
  readonly more?: number;
}

/** Whether to go on. `look` is asked only when somebody wants to know. */
export async function mayProceed(inv: Invocation, look: () => Promise<Outlook>): Promise<boolean> {
  const dryRun = inv.flags.bool('dry-run');
  const wanted = inv.flags.bool('confirm') || (inv.flags.has('confirm') && inv.around.env['TSETCD_CONFIRM'] === '1');
  const confirm = wanted && process.stdin.isTTY === true && process.stderr.isTTY === true;
  if (!dryRun && !confirm) return true;
  const { deed, items = [], more = 0 } = await look();
  const list = `${items.map((i) => `  ${i}\n`).join('')}${more > 0 ? `  … and ${more} more\n` : ''}`;
  if (dryRun) {
    stdout(`would ${deed}\n${list}`);
    return false;
  }
  stderr(`This will ${deed}${list === '' ? '.' : ':'}\n${list}`);
  return asked('Go on?');
}

/** A question on the terminal; only a clear yes counts. */
export function asked(question: string): boolean {
  stderr(`${question} [y/N] `);
  return /^y(es)?$/i.test(stdin.next()?.trim() ?? '');
}

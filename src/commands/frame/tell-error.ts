/** How a failed command is told: etcd's own line first; on a terminal, or when asked for, what it means and what to try. */
import { isatty } from 'node:tty';
import { Chalk } from 'chalk';
import { Code, RpcError } from '../../api/status.ts';
import { reasonOf } from '../../client/errors.ts';
import { colourful } from './colours.ts';
import type { CommandError } from './exit.ts';
import { explain } from './explain.ts';
import type { Invocation } from './invocation.ts';
import { stderr } from './output.ts';

const codeNames = Object.fromEntries(Object.entries(Code).map(([name, code]) => [code, name]));

export function tellError(error: CommandError, inv: Invocation): void {
  const { own } = inv;
  const json = own && inv.flags.has('error-format') && inv.flags.string('error-format') === 'json';
  const hint = own && (json || isatty(2)) ? explain(error, inv) : undefined;
  if (json) {
    const cause = error.cause instanceof RpcError ? error.cause : undefined;
    stderr(
      `${JSON.stringify({
        error: error.message,
        exit: error.exit,
        ...(cause === undefined ? {} : { code: codeNames[cause.code], reason: reasonOf(cause.status), detail: cause.message }),
        ...(hint === undefined ? {} : { hint }),
      })}\n`,
    );
    return;
  }
  const paint = new Chalk({ level: colourful(inv) ? 1 : 0 });
  if (error.message !== '') stderr(`${paint.red('Error:')} ${error.message}\n`);
  if (hint !== undefined) stderr(`${paint.cyan('hint:')} ${hint}\n`);
}

import type { DeleteRangeRequest } from '../../api/gen/etcdserverpb.ts';
import { KV } from '../../api/gen/methods.ts';
import type { Init } from '../../api/proto-io.ts';
import { utf8Text } from '../../base/bytes.ts';
import { badArgs } from '../frame/exit.ts';
import type { Flags } from '../frame/flags.ts';
import type { Invocation } from '../frame/invocation.ts';
import { stderr, stdout } from '../frame/output.ts';
import type { CommandSpec } from '../frame/spec.ts';
import { quote } from '../text/quote.ts';
import { checkSpanFlags, keyRange } from './keys.ts';

/** Time to think better of it when a range is deleted without `--range`. */
const warningMs = 2000;
/** Keys that `--dry-run` names. */
const shownMax = 20;

/** The request of a `del` line. @throws CommandError */
export function delRequest(flags: Flags, args: readonly string[]): Init<DeleteRangeRequest> {
  if (args.length === 0 || args.length > 2) throw badArgs('del command needs one argument as key and an optional argument as range_end');
  checkSpanFlags(flags, args);
  return { ...keyRange(flags, args), prevKv: flags.bool('prev-kv') };
}

/** Says what would go; with `--confirm`, asks. False when it must not happen. */
async function mayDelete(inv: Invocation, request: Init<DeleteRangeRequest>): Promise<boolean> {
  const dryRun = inv.flags.bool('dry-run');
  const wanted = inv.flags.bool('confirm') || (inv.flags.has('confirm') && inv.around.env['TSETCD_CONFIRM'] === '1');
  const confirm = wanted && process.stdin.isTTY === true && process.stderr.isTTY === true;
  if (!dryRun && !confirm) return true;
  const found = await inv.call(KV.range, { key: request.key, rangeEnd: request.rangeEnd, keysOnly: true, limit: shownMax });
  const names = found.kvs.map((kv) => `  ${utf8Text(kv.key)}\n`).join('');
  const more = found.count > found.kvs.length ? `  … and ${found.count - found.kvs.length} more\n` : '';
  if (dryRun) {
    stdout(`would delete ${found.count} keys\n${names}${more}`);
    return false;
  }
  stderr(`${found.count} keys will be deleted:\n${names}${more}Delete them? [y/N] `);
  const { StdinLines } = await import('../frame/output.ts');
  return /^y(es)?$/i.test(new StdinLines().next()?.trim() ?? '');
}

export const del: CommandSpec = {
  name: 'del',
  args: '<key> [range_end]',
  group: 'Key-value commands',
  summary: 'Delete a key, or a range of keys',
  about: [
    'Deletes one key, the keys in [key, range_end), all keys with a prefix, or all keys from one on, as one revision; prints how many there were.',
    'A range given by two keys waits two seconds first, so that a mistake can be interrupted; --range says that it is meant.',
  ],
  examples: [
    { command: 'del greeting', about: 'one key' },
    { command: 'del sessions/ --prefix --dry-run', about: 'says how many keys, and which, without deleting' },
  ],
  flags: [
    { name: 'from-key', type: 'bool', usage: 'all keys from the given one on, by bytes' },
    { name: 'prefix', type: 'bool', usage: 'all keys that begin with the given one' },
    { name: 'prev-kv', type: 'bool', usage: 'print the deleted pairs' },
    { name: 'range', type: 'bool', usage: 'delete a range without the pause of two seconds' },
    { name: 'dry-run', type: 'bool', usage: 'only say what would be deleted', own: true },
    { name: 'confirm', type: 'bool', usage: 'on a terminal, show the count and ask (also TSETCD_CONFIRM=1)', own: true },
  ],
  complete: ['keys'],
  async run(inv) {
    const request = delRequest(inv.flags, inv.args);
    if (inv.args.length === 2 && !inv.flags.bool('range') && !inv.flags.bool('dry-run')) {
      stderr(
        `Warning: Keys between ${quote(inv.args[0] ?? '')} and ${quote(inv.args[1] ?? '')} will be deleted. ` +
          'Please interrupt the command within next 2 seconds to cancel. You can provide `--range` flag to avoid the delay.\n',
      );
      await new Promise((resolve) => setTimeout(resolve, warningMs));
    }
    if (!(await mayDelete(inv, request))) return 0;
    inv.print('del', await inv.call(KV.deleteRange, request));
    return 0;
  },
};

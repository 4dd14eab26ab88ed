import type { DeleteRangeRequest } from '../../api/gen/etcdserverpb.ts';
import { KV } from '../../api/gen/methods.ts';
import type { Init } from '../../api/proto-io.ts';
import { guardFlags, mayProceed, type Outlook } from '../frame/confirm.ts';
import { badArgs } from '../frame/exit.ts';
import type { Flags } from '../frame/flags.ts';
import type { Invocation } from '../frame/invocation.ts';
import { stderr } from '../frame/output.ts';
import type { CommandSpec } from '../frame/spec.ts';
import { printable, quote } from '../text/quote.ts';
import { checkSpanFlags, keyRange } from './keys.ts';

/** Time to think better of it when a range is deleted without `--range`. */
const warningMs = 2000;
/** Keys that are named before they go. */
const shownMax = 20;

/** The request of a `del` line. @throws CommandError */
export function delRequest(flags: Flags, args: readonly string[]): Init<DeleteRangeRequest> {
  if (args.length === 0 || args.length > 2) throw badArgs('del command needs one argument as key and an optional argument as range_end');
  checkSpanFlags(flags, args);
  return { ...keyRange(flags, args), prevKv: flags.bool('prev-kv') };
}

async function outlook(inv: Invocation, request: Init<DeleteRangeRequest>): Promise<Outlook> {
  const found = await inv.call(KV.range, { key: request.key, rangeEnd: request.rangeEnd, keysOnly: true, limit: shownMax });
  return {
    deed: `delete ${found.count} ${found.count === 1 ? 'key' : 'keys'}`,
    items: found.kvs.map((kv) => printable(kv.key)),
    more: found.count - found.kvs.length,
  };
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
    ...guardFlags,
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
    if (!(await mayProceed(inv, () => outlook(inv, request)))) return 0;
    inv.print('del', await inv.call(KV.deleteRange, request));
    return 0;
  },
};

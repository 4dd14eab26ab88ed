import { KV } from '../../api/gen/methods.ts';
import { guardFlags, mayProceed, type Outlook } from '../frame/confirm.ts';
import { badArgs, CommandError, ExitCode } from '../frame/exit.ts';
import { stdout } from '../frame/output.ts';
import type { CommandSpec } from '../frame/spec.ts';
import { counter, NumberError, parseInt64 } from '../text/go-numbers.ts';

export const compaction: CommandSpec = {
  name: 'compaction',
  args: '<revision>',
  group: 'Key-value commands',
  summary: 'Forget history below a revision',
  about: [
    'Forgets what keys were before a revision, so that the space can be used again. Reads and watches at older revisions fail from then on.',
    'With --physical the command waits until the old revisions are gone from the database.',
  ],
  examples: [
    { command: 'compaction 1000', about: 'forget what was before revision 1000' },
    { command: 'compaction --physical 1000', about: 'the same, waiting until it is done' },
  ],
  flags: [{ name: 'physical', type: 'bool', usage: 'wait until the old revisions are removed from the database' }, ...guardFlags],
  async run(inv) {
    const [text] = inv.args;
    if (inv.args.length !== 1 || text === undefined) throw badArgs('compaction command needs 1 argument');
    let revision: number;
    try {
      revision = counter(parseInt64(text, 10));
    } catch (error) {
      if (error instanceof NumberError) throw new CommandError(ExitCode.Error, error.message);
      throw error;
    }
    const look = async (): Promise<Outlook> => {
      const { header } = await inv.call(KV.range, { key: new Uint8Array(1), countOnly: true });
      return { deed: `forget history before revision ${revision}; the newest is ${header?.revision ?? 0}` };
    };
    if (!(await mayProceed(inv, look))) return 0;
    // Waiting for the removal may take longer than a short command.
    const physical = inv.flags.bool('physical');
    await inv.call(KV.compact, { revision, physical }, physical ? { timeoutMs: undefined } : {});
    stdout(`compacted revision ${revision}\n`);
    return 0;
  },
};

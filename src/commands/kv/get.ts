import {
  RangeRequest_SortOrder as SortOrder,
  RangeRequest_SortTarget as SortTarget,
  type RangeRequest,
  type RangeResponse,
} from '../../api/gen/etcdserverpb.ts';
import { KV } from '../../api/gen/methods.ts';
import { Code, RpcError } from '../../api/status.ts';
import type { Init } from '../../api/proto-io.ts';
import { badArgs, CommandError, ExitCode } from '../frame/exit.ts';
import type { Flags } from '../frame/flags.ts';
import type { Invocation } from '../frame/invocation.ts';
import { rpcFailure } from '../frame/rpc-failure.ts';
import type { CommandSpec } from '../frame/spec.ts';
import { quote } from '../text/quote.ts';
import { checkSpanFlags, keyRange } from './keys.ts';

const targets: Readonly<Record<string, number>> = {
  CREATE: SortTarget.CREATE,
  KEY: SortTarget.KEY,
  MODIFY: SortTarget.MOD,
  VALUE: SortTarget.VALUE,
  VERSION: SortTarget.VERSION,
};

/** The request of a `get` line. @throws CommandError */
export function getRequest(flags: Flags, args: readonly string[]): Init<RangeRequest> {
  if (args.length === 0) throw badArgs('get command needs one argument as key and an optional argument as range_end');
  checkSpanFlags(flags, args);
  if (flags.bool('keys-only') && flags.bool('count-only'))
    throw badArgs('`--keys-only` and `--count-only` cannot be set at the same time, choose one');
  const minCreate = flags.int('min-create-rev');
  const maxCreate = flags.int('max-create-rev');
  const minMod = flags.int('min-mod-rev');
  const maxMod = flags.int('max-mod-rev');
  if (maxCreate !== 0 && minCreate > maxCreate)
    throw new CommandError(ExitCode.BadFeature, `getMinCreateRev(=${minCreate}) > getMaxCreateRev(=${maxCreate})`);
  if (maxMod !== 0 && minMod > maxMod) throw new CommandError(ExitCode.BadFeature, `getMinModRev(=${minMod}) > getMaxModRev(=${maxMod})`);
  const consistency = flags.string('consistency');
  if (consistency !== 'l' && consistency !== 's')
    throw new CommandError(ExitCode.BadFeature, `unknown consistency flag ${quote(consistency)}`);
  return {
    ...keyRange(flags, args),
    ...sorting(flags),
    limit: flags.int('limit'),
    revision: flags.int('rev'),
    serializable: consistency === 's',
    keysOnly: flags.bool('keys-only'),
    countOnly: flags.bool('count-only'),
    minCreateRevision: minCreate,
    maxCreateRevision: maxCreate,
    minModRevision: minMod,
    maxModRevision: maxMod,
  };
}

function sorting(flags: Flags): { sortOrder: number; sortTarget: number } {
  const order = flags.string('order').toUpperCase();
  const by = flags.string('sort-by').toUpperCase();
  if (order !== '' && order !== 'ASCEND' && order !== 'DESCEND')
    throw new CommandError(ExitCode.BadFeature, `bad sort order ${flags.string('order')}`);
  const target = by === '' ? SortTarget.KEY : targets[by];
  if (target === undefined) throw new CommandError(ExitCode.BadFeature, `bad sort target ${flags.string('sort-by')}`);
  if (order === 'DESCEND') return { sortOrder: SortOrder.DESCEND, sortTarget: target };
  // The store keeps keys ascending: that order needs no sorting, any other target does.
  const ascend = target !== SortTarget.KEY;
  return { sortOrder: ascend ? SortOrder.ASCEND : SortOrder.NONE, sortTarget: target };
}

/** One answer put together from the parts of a stream. */
async function streamed(inv: Invocation, request: Init<RangeRequest>): Promise<RangeResponse> {
  const client = await inv.client();
  const { stream } = await client.connection.stream(KV.rangeStream, { timeoutMs: inv.commandTimeoutMs });
  return new Promise((resolve, reject) => {
    let whole: RangeResponse | undefined;
    stream.onMessage = ({ rangeResponse: part }) => {
      if (part === undefined) return;
      if (whole === undefined) {
        whole = { ...part };
        return;
      }
      whole.kvs = whole.kvs.concat(part.kvs);
      whole.header = part.header ?? whole.header;
      whole.more = part.more || whole.more;
      whole.count = part.count || whole.count;
    };
    stream.onEnd = (status) => {
      if (status.code !== Code.OK) reject(rpcFailure(new RpcError(status)));
      else resolve(whole ?? { header: undefined, kvs: [], more: false, count: 0 });
    };
    stream.send(request);
    stream.halfClose();
  });
}

export const get: CommandSpec = {
  name: 'get',
  args: '<key> [range_end]',
  group: 'Key-value commands',
  summary: 'Read a key, or a range of keys',
  about: [
    'Prints the pairs of one key, of the keys in [key, range_end), of all keys with a prefix, or of all keys from one on: the key on one line, its value on the next.',
    'A read is linearizable unless --consistency=s: it sees every write that was acknowledged before it began.',
  ],
  examples: [
    { command: 'get config/ --prefix --keys-only', about: 'names of all keys below config/' },
    { command: 'get greeting --rev=5 -w json', about: 'the key as it was at revision 5' },
  ],
  flags: [
    {
      name: 'consistency',
      type: 'string',
      default: 'l',
      value: 'l|s',
      usage: 'l: linearizable; s: serializable, from the asked member alone',
      complete: ['l', 's'],
    },
    { name: 'count-only', type: 'bool', usage: 'only the number of keys (with --write-out=fields)' },
    { name: 'from-key', type: 'bool', usage: 'all keys from the given one on, by bytes' },
    { name: 'keys-only', type: 'bool', usage: 'keys without their values' },
    { name: 'limit', type: 'int', usage: 'at most so many pairs; 0 for all' },
    { name: 'max-create-rev', type: 'int', usage: 'only keys created at or before this revision' },
    { name: 'max-mod-rev', type: 'int', usage: 'only keys changed last at or before this revision' },
    { name: 'min-create-rev', type: 'int', usage: 'only keys created at or after this revision' },
    { name: 'min-mod-rev', type: 'int', usage: 'only keys changed last at or after this revision' },
    { name: 'order', type: 'string', value: 'ORDER', usage: 'ASCEND or DESCEND', complete: ['ASCEND', 'DESCEND'] },
    { name: 'prefix', type: 'bool', usage: 'all keys that begin with the given one' },
    { name: 'print-value-only', type: 'bool', usage: 'values without their keys (with --write-out=simple)' },
    { name: 'rev', type: 'int', usage: 'read the store as it was at this revision' },
    {
      name: 'sort-by',
      type: 'string',
      value: 'FIELD',
      usage: 'CREATE, KEY, MODIFY, VALUE or VERSION',
      complete: ['CREATE', 'KEY', 'MODIFY', 'VALUE', 'VERSION'],
    },
    { name: 'stream', type: 'bool', usage: 'have the server send the range in parts' },
  ],
  complete: ['keys'],
  async run(inv) {
    const request = getRequest(inv.flags, inv.args);
    const response = inv.flags.bool('stream') ? await streamed(inv, request) : await inv.call(KV.range, request);
    const { format } = await inv.printer();
    if (inv.flags.bool('count-only') && format !== 'fields') throw badArgs('--count-only is only for `--write-out=fields`');
    if (inv.flags.bool('print-value-only') && format !== 'simple') throw badArgs('print-value-only is only for `--write-out=simple`');
    inv.print('get', response);
    return 0;
  },
};

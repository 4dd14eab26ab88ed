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
import type { RangeSink } from '../printers/kinds.ts';
import { checkSpanFlags, keyRange } from './keys.ts';
import { isDivisible, rangeParts, type RangeHead, type RangePart } from './range-parts.ts';

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
  if (flags.bool('keys-only') && flags.bool('count-only'))
    throw badArgs('`--keys-only` and `--count-only` cannot be set at the same time, choose one');
  const consistency = flags.string('consistency');
  if (consistency !== 'l' && consistency !== 's')
    throw new CommandError(ExitCode.BadFeature, `unknown consistency flag ${quote(consistency)}`);
  checkSpanFlags(flags, args);
  // Limits below zero are none.
  const limit = (name: string): number => Math.max(0, flags.int(name));
  const minCreate = limit('min-create-rev');
  const maxCreate = limit('max-create-rev');
  const minMod = limit('min-mod-rev');
  const maxMod = limit('max-mod-rev');
  if (maxCreate !== 0 && minCreate > maxCreate)
    throw new CommandError(ExitCode.BadFeature, `getMinCreateRev(=${minCreate}) > getMaxCreateRev(=${maxCreate})`);
  if (maxMod !== 0 && minMod > maxMod) throw new CommandError(ExitCode.BadFeature, `getMinModRev(=${minMod}) > getMaxModRev(=${maxMod})`);
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
  // Without an order the server sorts by any target but the key ascending; the store keeps keys that way.
  const ascend = order === 'ASCEND' && target !== SortTarget.KEY;
  return { sortOrder: ascend ? SortOrder.ASCEND : SortOrder.NONE, sortTarget: target };
}

/** Bytes of a stream that are kept until its end tells the revision; a longer one is read again in parts. */
const streamBytesMax = 1024 * 1024;

/** One answer put together from the parts of a stream; undefined when there is too much of it. */
async function streamed(inv: Invocation, request: Init<RangeRequest>): Promise<RangeResponse | undefined> {
  const client = await inv.client();
  const { stream } = await client.connection.stream(KV.rangeStream, { timeoutMs: inv.commandTimeoutMs });
  return new Promise((resolve, reject) => {
    let whole: RangeResponse | undefined;
    let bytes = 0;
    stream.onMessage = ({ rangeResponse: part }) => {
      if (part === undefined) return;
      for (const kv of part.kvs) bytes += kv.key.length + kv.value.length;
      if (whole === undefined) whole = { ...part };
      else {
        for (const kv of part.kvs) whole.kvs.push(kv);
        whole.header = part.header ?? whole.header;
        whole.more = part.more || whole.more;
        whole.count = part.count || whole.count;
      }
      if (bytes > streamBytesMax && isDivisible(request)) {
        stream.onEnd = undefined;
        stream.cancel();
        resolve(undefined);
      }
    };
    stream.onEnd = (status) => {
      if (status.code !== Code.OK) reject(rpcFailure(new RpcError(status)));
      else resolve(whole ?? { header: undefined, kvs: [], more: false, count: 0 });
    };
    stream.send(request);
    stream.halfClose();
  });
}

async function* parts(inv: Invocation, request: Init<RangeRequest>): AsyncGenerator<RangePart, void> {
  const client = await inv.client();
  if (inv.flags.bool('stream')) {
    const whole = await streamed(inv, request);
    if (whole !== undefined) {
      yield { head: whole, kvs: whole.kvs };
      return;
    }
  }
  // Another member may not have the revision yet that the first page came from; and who limits the answer wants to hear that it is too large.
  const divide = !(request.serializable === true && client.endpoints.length > 1) && !inv.flags.given('max-recv-bytes');
  try {
    yield* rangeParts({ client, timeoutMs: inv.commandTimeoutMs, divide }, request);
  } catch (error) {
    throw rpcFailure(error);
  }
}

async function open(inv: Invocation, head: RangeHead): Promise<RangeSink> {
  const printer = await inv.printer();
  const { format } = printer;
  if (inv.flags.bool('count-only') && format !== 'fields') throw badArgs('--count-only is only for `--write-out=fields`');
  if (inv.flags.bool('print-value-only') && format !== 'simple') throw badArgs('print-value-only is only for `--write-out=simple`');
  return printer.range(head);
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
    let sink: RangeSink | undefined;
    for await (const { head, kvs } of parts(inv, request)) {
      sink ??= await open(inv, head);
      sink.pairs(kvs);
    }
    sink?.end();
    return 0;
  },
};

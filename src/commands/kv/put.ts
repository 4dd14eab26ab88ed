import { KV } from '../../api/gen/methods.ts';
import type { PutRequest } from '../../api/gen/etcdserverpb.ts';
import type { Init } from '../../api/proto-io.ts';
import { badArgs } from '../frame/exit.ts';
import type { Flags } from '../frame/flags.ts';
import { stdin } from '../frame/output.ts';
import type { CommandSpec } from '../frame/spec.ts';
import { NumberError, parseInt64 } from '../text/go-numbers.ts';
import { toBytes } from '../text/quote.ts';

/** The request of a `put` line; the value comes from standard input when it is not among the arguments. @throws CommandError */
export function putRequest(flags: Flags, args: readonly string[], readValue = () => stdin.all()): Init<PutRequest> {
  const [key] = args;
  if (key === undefined) throw badArgs('put command needs 1 argument and input from stdin or 2 arguments');
  if (flags.bool('ignore-value') && args.length > 1) throw badArgs("put command needs only 1 argument when 'ignore-value' is set");
  let value: Uint8Array | undefined;
  if (!flags.bool('ignore-value')) {
    value = args[1] === undefined ? readValue() : toBytes(args[1]);
    if (args[1] === undefined && value.length === 0) throw badArgs('put command needs 1 argument and input from stdin or 2 arguments');
  }
  return {
    key: toBytes(key),
    value,
    lease: leaseFlag(flags.string('lease')),
    prevKv: flags.bool('prev-kv'),
    ignoreValue: flags.bool('ignore-value'),
    ignoreLease: flags.bool('ignore-lease'),
  };
}

function leaseFlag(text: string): bigint {
  try {
    return parseInt64(text, 16);
  } catch (error) {
    if (error instanceof NumberError) throw badArgs(`bad lease ID (${error.message}), expecting ID in Hex`);
    throw error;
  }
}

export const put: CommandSpec = {
  name: 'put',
  args: '<key> [value]',
  group: 'Key-value commands',
  summary: 'Write one key',
  about: [
    'Writes a value under a key, as one new revision of the store. Without a value argument the value is read from standard input.',
    'A value that begins with a dash looks like a flag: put `--` before it, as in `put key -- -1`.',
  ],
  examples: [
    { command: 'put greeting hello', about: 'one key' },
    { command: 'put config/app --lease=694d81417acd4754 < app.json', about: 'a file, gone when the lease is' },
  ],
  flags: [
    { name: 'ignore-lease', type: 'bool', usage: 'keep the lease that the key has' },
    { name: 'ignore-value', type: 'bool', usage: 'keep the value that the key has' },
    { name: 'lease', type: 'string', default: '0', value: 'ID', usage: 'lease to attach the key to (hexadecimal)', complete: 'leases' },
    { name: 'prev-kv', type: 'bool', usage: 'print the pair as it was before' },
  ],
  complete: ['keys'],
  async run(inv) {
    const request = putRequest(inv.flags, inv.args);
    inv.print('put', await inv.call(KV.put, request));
    return 0;
  },
};

import type { KeyValue } from '../../api/gen/mvccpb.ts';
import { compareBytes, equalBytes } from '../../base/bytes.ts';
import { Client } from '../../client/client.ts';
import { clientOptions } from '../frame/client-options.ts';
import { badArgs, CommandError, ExitCode } from '../frame/exit.ts';
import type { Invocation } from '../frame/invocation.ts';
import { Collected, stderr } from '../frame/output.ts';
import { progress } from '../frame/progress.ts';
import { rpcFailure } from '../frame/rpc-failure.ts';
import type { CommandSpec } from '../frame/spec.ts';
import { prefixRange } from '../kv/keys.ts';
import { rangeParts } from '../kv/range-parts.ts';
import { messageJson } from '../printers/json.ts';
import { printable, toBytes } from '../text/quote.ts';
import { counted } from '../text/words.ts';

/** One of the two sides: keys with a prefix, as of a revision, on a cluster. */
interface Side {
  readonly client: Client;
  readonly prefix: Uint8Array;
  /** 0 for the newest. */
  readonly revision: number;
}

async function* pairsOf(inv: Invocation, side: Side): AsyncGenerator<KeyValue, undefined> {
  const request = { ...prefixRange(side.prefix), revision: side.revision };
  for await (const { kvs } of rangeParts({ client: side.client, timeoutMs: inv.commandTimeoutMs }, request)) yield* kvs;
  return undefined;
}

type Change = 'added' | 'removed' | 'changed';

export interface Difference {
  readonly change: Change;
  /** Without the sides' prefixes. */
  readonly key: Uint8Array;
  readonly old: KeyValue | undefined;
  readonly new: KeyValue | undefined;
}

/** Both sides are in key order: each key is looked at once. */
async function* differences(inv: Invocation, left: Side, right: Side): AsyncGenerator<Difference | undefined, void> {
  const a = pairsOf(inv, left);
  const b = pairsOf(inv, right);
  try {
    let one = (await a.next()).value;
    let other = (await b.next()).value;
    while (one !== undefined || other !== undefined) {
      const oneKey = one?.key.subarray(left.prefix.length);
      const otherKey = other?.key.subarray(right.prefix.length);
      const order = oneKey === undefined ? 1 : otherKey === undefined ? -1 : compareBytes(oneKey, otherKey);
      if (order < 0 && oneKey !== undefined) yield { change: 'removed', key: oneKey, old: one, new: undefined };
      else if (order > 0 && otherKey !== undefined) yield { change: 'added', key: otherKey, old: undefined, new: other };
      else if (one !== undefined && other !== undefined && oneKey !== undefined && !equalBytes(one.value, other.value))
        yield { change: 'changed', key: oneKey, old: one, new: other };
      else yield undefined;
      if (order <= 0) one = (await a.next()).value;
      if (order >= 0) other = (await b.next()).value;
    }
  } finally {
    await a.return(undefined);
    await b.return(undefined);
  }
}

const signs: Readonly<Record<Change, string>> = { added: '+', removed: '-', changed: '~' };

/** What differs, for people: the key behind a sign, and below it the values, unless only keys are wanted. */
function shown(d: Difference, keysOnly: boolean): string {
  const head = `${signs[d.change]} ${printable(d.key)}\n`;
  if (keysOnly) return head;
  const value = (sign: string, kv: KeyValue | undefined): string => (kv === undefined ? '' : `    ${sign} ${printable(kv.value)}\n`);
  return head + value('-', d.old) + value('+', d.new);
}

function asJson(d: Difference, utf8: boolean): string {
  const style = { utf8, hexIds: false };
  const side = (name: string, kv: KeyValue | undefined): string =>
    kv === undefined ? '' : `,"${name}":${messageJson('mvccpb.KeyValue', kv, style)}`;
  return `{"change":"${d.change}"${side('old', d.old)}${side('new', d.new)}}\n`;
}

async function sides(inv: Invocation): Promise<readonly [Side, Side]> {
  const { flags, args } = inv;
  if (args.length > 2) throw badArgs('diff command accepts at most two prefixes');
  const [prefix = '', otherPrefix = prefix] = args;
  const endpoints = flags.strings('other-endpoints');
  if (args.length < 2 && !flags.given('rev') && !flags.given('other-rev') && endpoints.length === 0)
    throw badArgs('nothing to compare with: give another prefix, a revision (--rev, --other-rev), or --other-endpoints');
  const client = await inv.client();
  const other = endpoints.length === 0 ? client : new Client({ ...(await clientOptions(flags)), endpoints });
  const revision = (name: string): number => {
    const value = flags.int(name);
    if (value < 0) throw badArgs(`--${name} is a revision, or 0 for the newest`);
    return value;
  };
  return [
    { client, prefix: toBytes(prefix), revision: revision('rev') },
    { client: other, prefix: toBytes(otherPrefix), revision: revision('other-rev') },
  ];
}

export const diff: CommandSpec = {
  name: 'diff',
  args: '[prefix] [other_prefix]',
  group: 'Key-value commands',
  own: true,
  summary: 'Compare prefixes, revisions or clusters',
  about: [
    'Compares the keys with a prefix, or all of them, with those with another prefix, as of another revision, or of another cluster, and prints what differs: `-` for keys that are only on the first side, `+` for those that are only on the second, `~` for those with another value, and the values below.',
    'Both sides are read in order and at one revision each, however large they are. Exit code 0 says that there is no difference, 1 that there are some, or that something failed, which standard error tells.',
    'With `-w json` or `-w jsonl`, each difference is one line of JSON.',
  ],
  examples: [
    { command: 'diff config/ staging/', about: 'two prefixes' },
    { command: 'diff config/ --rev=1000', about: 'what changed below config/ since revision 1000' },
    { command: 'diff --other-endpoints=10.0.0.9:2379 --keys-only', about: 'names of the keys that differ from those of another cluster' },
  ],
  flags: [
    { name: 'keys-only', type: 'bool', usage: 'keys without their values' },
    {
      name: 'other-endpoints',
      type: 'strings',
      value: 'LIST',
      usage: 'members of the cluster to compare with; the same credentials are used',
    },
    { name: 'other-rev', type: 'int', usage: 'revision of the second side; 0 for the newest' },
    { name: 'rev', type: 'int', usage: 'revision of the first side; 0 for the newest' },
  ],
  complete: ['keys', 'keys'],
  async run(inv) {
    inv.settle();
    const { format, options } = await inv.printer();
    if (!['simple', 'json', 'jsonl'].includes(format))
      throw new CommandError(ExitCode.BadFeature, `${format} not supported as output format`);
    const [left, right] = await sides(inv);
    const keysOnly = inv.flags.bool('keys-only');
    const counts: Record<Change, number> = { added: 0, removed: 0, changed: 0 };
    const out = new Collected();
    const meter = await progress(inv, 'diff', (n) => counted(Math.round(n), 'key'));
    let keys = 0;
    try {
      for await (const d of differences(inv, left, right)) {
        meter.update(++keys, 0);
        if (d === undefined) continue;
        counts[d.change]++;
        out.text(format === 'simple' ? shown(d, keysOnly) : asJson(d, options.utf8));
      }
    } catch (error) {
      throw rpcFailure(error);
    } finally {
      meter.end();
      out.flush();
    }
    const differ = counts.added + counts.removed + counts.changed;
    if (differ === 0) return 0;
    if (process.stderr.isTTY === true) stderr(`${counts.added} added, ${counts.removed} removed, ${counts.changed} changed\n`);
    return ExitCode.Error;
  },
};

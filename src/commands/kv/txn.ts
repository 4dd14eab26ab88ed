import {
  Compare_CompareResult as CompareResult,
  Compare_CompareTarget as CompareTarget,
  type Compare,
  type RequestOp,
} from '../../api/gen/etcdserverpb.ts';
import { KV } from '../../api/gen/methods.ts';
import type { Init } from '../../api/proto-io.ts';
import { badArgs, CommandError, ExitCode } from '../frame/exit.ts';
import { FlagError, Flags, HelpWanted } from '../frame/flags.ts';
import { stdin, stdout } from '../frame/output.ts';
import type { CommandSpec } from '../frame/spec.ts';
import { counter, NumberError, parseInt64 } from '../text/go-numbers.ts';
import { quote, toBytes } from '../text/quote.ts';
import { splitLine, unquote } from '../text/words.ts';
import { del, delRequest } from './del.ts';
import { get, getRequest } from './get.ts';
import { put, putRequest } from './put.ts';

const invalid = (text: string): CommandError => new CommandError(ExitCode.InvalidInput, text);

const targets: Readonly<Record<string, number>> = {
  ver: CompareTarget.VERSION,
  version: CompareTarget.VERSION,
  c: CompareTarget.CREATE,
  create: CompareTarget.CREATE,
  m: CompareTarget.MOD,
  mod: CompareTarget.MOD,
  val: CompareTarget.VALUE,
  value: CompareTarget.VALUE,
  lease: CompareTarget.LEASE,
};
const results: Readonly<Record<string, number>> = {
  '=': CompareResult.EQUAL,
  '!=': CompareResult.NOT_EQUAL,
  '>': CompareResult.GREATER,
  '<': CompareResult.LESS,
};

/** One quoted word at the start of a text, as `scanf("%q")` reads it; undefined when there is none. */
function takeQuoted(text: string): { readonly value: string; readonly rest: string } | undefined {
  const trimmed = text.replace(/^[ \t]+/, '');
  const raw = /^`[^`]*`/.exec(trimmed)?.[0];
  if (raw !== undefined) return { value: raw.slice(1, -1), rest: trimmed.slice(raw.length) };
  const word = /^"(?:\\.|[^"\\])*"/.exec(trimmed)?.[0];
  if (word === undefined) return undefined;
  try {
    return { value: unquote(word), rest: trimmed.slice(word.length) };
  } catch (error) {
    if (error instanceof NumberError) return undefined;
    throw error;
  }
}

/** Reads `TARGET("key") OP "value"`. @throws CommandError */
export function parseCompare(line: string): Init<Compare> {
  const open = line.indexOf('(');
  if (open < 0) throw invalid(`malformed comparison: ${line}`);
  const target = line.slice(0, open);
  const malformed = (key: string, op: string, value: string): CommandError =>
    invalid(`malformed comparison: ${line}; got ${target}(${quote(key)}) ${op} ${quote(value)}`);
  const key = takeQuoted(line.slice(open + 1));
  if (key === undefined || !key.rest.startsWith(')')) throw malformed(key?.value ?? '', '', '');
  // The operator stands apart from the parenthesis.
  if (!/^[ \t]/.test(key.rest.slice(1))) throw malformed(key.value, '', '');
  const after = key.rest.slice(1).replace(/^[ \t]+/, '');
  const op = /^\S*/.exec(after)?.[0] ?? '';
  const value = takeQuoted(after.slice(op.length));
  if (value === undefined) throw malformed(key.value, op, '');
  const kind = targets[target];
  if (kind === undefined) throw invalid(`malformed comparison: ${line} (unknown target ${target})`);
  const result = results[op];
  // etcdctl ends with a crash here.
  if (result === undefined) throw badArgs(`unknown compare operator ${quote(op)}: use =, !=, > or <`);
  const base = { key: toBytes(key.value), result, target: kind };
  if (kind === CompareTarget.VALUE) return { ...base, value: toBytes(value.value) };
  let number: bigint;
  try {
    number = parseInt64(value.value, kind === CompareTarget.LEASE ? 16 : 10);
  } catch (error) {
    if (error instanceof NumberError) throw invalid(`invalid txn compare request: ${line}`);
    throw error;
  }
  switch (kind) {
    case CompareTarget.VERSION:
      return { ...base, version: counter(number) };
    case CompareTarget.CREATE:
      return { ...base, createRevision: counter(number) };
    case CompareTarget.LEASE:
      return { ...base, lease: number };
    default:
      return { ...base, modRevision: counter(number) };
  }
}

/** Reads a `put`, `get` or `del` line. @throws CommandError */
export function parseRequest(line: string): Init<RequestOp> {
  const words = splitLine(line);
  const [name, ...rest] = words;
  if (name === undefined || rest.length === 0) throw invalid(`invalid txn compare request: ${line}`);
  const spec = [put, get, del].find((c) => c.name === name);
  if (spec === undefined) throw invalid(`invalid txn request: ${line}`);
  const flags = new Flags((spec.flags ?? []).filter((f) => f.own !== true));
  try {
    flags.parse(rest);
  } catch (error) {
    if (error instanceof FlagError || error instanceof HelpWanted) throw invalid(`invalid txn request: ${line}`);
    throw error;
  }
  if (spec === put) return { requestPut: putRequest(flags, flags.args, () => stdin.unread()) };
  if (spec === get) return { requestRange: getRequest(flags, flags.args) };
  return { requestDeleteRange: delRequest(flags, flags.args) };
}

/** The three sections, each ended by an empty line. @throws CommandError when the input ends before */
function readSection<T>(parse: (line: string) => T): T[] {
  const out: T[] = [];
  for (;;) {
    const line = stdin.next();
    if (line === undefined) throw invalid('EOF');
    const text = line.trim();
    if (text === '') return out;
    out.push(parse(text));
  }
}

export const txn: CommandSpec = {
  name: 'txn',
  args: '',
  group: 'Key-value commands',
  summary: 'Do several things at once, if conditions hold',
  about: [
    'Reads a transaction from standard input in three sections, each ended by an empty line: conditions, requests for when all of them hold, requests for when one does not.',
    'A condition is TARGET("key") OP "value" with the target value, version, create, mod or lease and the operator =, !=, > or <. Requests are put, get and del lines with their flags.',
  ],
  examples: [
    {
      command: 'txn <<< $\'mod("k") > "0"\\n\\nput k new\\n\\nput k first\\n\\n\'',
      about: 'writes one value or the other, whether the key exists or not',
    },
    { command: 'txn --interactive', about: 'the same with prompts' },
  ],
  flags: [{ name: 'interactive', short: 'i', type: 'bool', usage: 'prompt for each section' }],
  async run(inv) {
    if (inv.args.length > 0) throw badArgs('txn command does not accept argument');
    const prompt = (text: string): void => {
      if (inv.flags.bool('interactive')) stdout(`${text}\n`);
    };
    prompt('compares:');
    const compare = readSection(parseCompare);
    prompt('success requests (get, put, del):');
    const success = readSection(parseRequest);
    prompt('failure requests (get, put, del):');
    const failure = readSection(parseRequest);
    inv.print('txn', await inv.call(KV.txn, { compare, success, failure }));
    return 0;
  },
};

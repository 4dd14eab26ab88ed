/** What may stand at the end of a command line. */
import { Auth, Cluster, KV, Lease } from '../../api/gen/methods.ts';
import { prefixEnd, utf8Text } from '../../base/bytes.ts';
import { CommandError } from '../frame/exit.ts';
import { findCommand, flagsAt, UnknownCommand } from '../frame/find.ts';
import { FlagError, Flags, HelpWanted } from '../frame/flags.ts';
import { Invocation, type Surroundings } from '../frame/invocation.ts';
import type { CommandPath, CommandSpec, FlagSpec, LiveValues } from '../frame/spec.ts';
import { hex16, hexId } from '../printers/simple.ts';
import { toBytes } from '../text/quote.ts';

export interface Candidate {
  readonly value: string;
  readonly about: string;
}

/** A shell waits for the answer: what a server has not said by then is left out. */
const liveTimeoutMs = 300;
/** Keys shown at most. */
const keysMax = 100;

type Choice = readonly string[] | LiveValues | undefined;

/** @param words behind the program's name; the last is the one to complete, perhaps empty. */
export async function candidates(around: Surroundings, words: readonly string[]): Promise<Candidate[]> {
  const last = words.at(-1) ?? '';
  const before = words.slice(0, -1);
  let path: CommandPath;
  let rest: readonly string[];
  try {
    ({ path, argv: rest } = findCommand(around.root, before, { program: around.program, globals: around.globals }));
  } catch (error) {
    if (error instanceof UnknownCommand) return [];
    throw error;
  }
  const specs = flagsAt(path, around.globals, around.program);
  const open = before.at(-1) ?? '';
  const awaiting = specs.find((f) => f.type !== 'bool' && (open === `--${f.name}` || (f.short !== undefined && open === `-${f.short}`)));
  if (awaiting !== undefined) return valuesOf(around, path, rest.slice(0, -1), specs, awaiting.complete, last, '');
  const assigned = /^(--([^=]+)=)(.*)$/.exec(last);
  if (assigned !== null) {
    const flag = specs.find((f) => f.name === assigned[2]);
    return valuesOf(around, path, rest, specs, flag?.complete, assigned[3] ?? '', assigned[1] ?? '');
  }
  if (last.startsWith('-')) return flagCandidates(specs, last);
  const children = (path.spec.commands ?? []).filter((c: CommandSpec) => c.hidden !== true && c.name.startsWith(last));
  if (children.length > 0 || path.spec.commands !== undefined) return children.map((c) => ({ value: c.name, about: c.summary }));
  const list = path.spec.complete ?? [];
  const position = positional(rest, specs);
  return valuesOf(around, path, rest, specs, list[Math.min(position, list.length - 1)], last, '');
}

function positional(rest: readonly string[], specs: readonly FlagSpec[]): number {
  const flags = new Flags(specs);
  try {
    flags.parse(rest);
  } catch (error) {
    if (!(error instanceof FlagError || error instanceof HelpWanted)) throw error;
  }
  return flags.args.length;
}

function flagCandidates(specs: readonly FlagSpec[], typed: string): Candidate[] {
  return specs
    .filter((f) => f.hidden !== true && `--${f.name}`.startsWith(typed))
    .map((f) => ({ value: f.type === 'bool' ? `--${f.name}` : `--${f.name}=`, about: f.usage }));
}

async function valuesOf(
  around: Surroundings,
  path: CommandPath,
  rest: readonly string[],
  specs: readonly FlagSpec[],
  choice: Choice,
  typed: string,
  prefix: string,
): Promise<Candidate[]> {
  if (choice === undefined) return [];
  if (choice === 'files') return [{ value: ':files', about: '' }];
  const found =
    typeof choice === 'string' ? await live(around, path, rest, specs, choice, typed) : choice.map((value) => ({ value, about: '' }));
  return found.filter((c) => c.value.startsWith(typed)).map((c) => ({ value: prefix + c.value, about: c.about }));
}

/** Asks the server named by the flags so far. Nothing when it does not answer in time. */
async function live(
  around: Surroundings,
  path: CommandPath,
  rest: readonly string[],
  specs: readonly FlagSpec[],
  kind: LiveValues,
  typed: string,
): Promise<Candidate[]> {
  const flags = new Flags(specs);
  try {
    flags.parse(rest);
  } catch (error) {
    if (!(error instanceof FlagError || error instanceof HelpWanted)) throw error;
  }
  const inv = new Invocation({ ...around, env: around.env }, path, flags);
  const timeout = new Promise<Candidate[]>((resolve) => setTimeout(() => resolve([]), liveTimeoutMs));
  const options = { timeoutMs: liveTimeoutMs };
  const ask = async (): Promise<Candidate[]> => {
    try {
      switch (kind) {
        case 'keys': {
          const key = typed === '' ? new Uint8Array(1) : toBytes(typed);
          const rangeEnd = typed === '' ? key : prefixEnd(key);
          const { kvs } = await inv.call(KV.range, { key, rangeEnd, keysOnly: true, limit: keysMax, serializable: true }, options);
          return kvs.map((kv) => ({ value: utf8Text(kv.key), about: '' })).filter((c) => !c.value.includes('\n'));
        }
        case 'members': {
          const { members } = await inv.call(Cluster.memberList, {}, options);
          return members.map((m) => ({ value: hexId(m.ID), about: m.name }));
        }
        case 'leases': {
          const { leases } = await inv.call(Lease.leaseLeases, {}, options);
          return leases.map((l) => ({ value: hex16(l.ID), about: '' }));
        }
        case 'users': {
          const { users } = await inv.call(Auth.userList, {}, options);
          return users.map((value) => ({ value, about: '' }));
        }
        case 'roles': {
          const { roles } = await inv.call(Auth.roleList, {}, options);
          return roles.map((value) => ({ value, about: '' }));
        }
        case 'files':
          return [];
      }
    } catch (error) {
      if (error instanceof CommandError) return [];
      throw error;
    }
  };
  return Promise.race([ask(), timeout]);
}

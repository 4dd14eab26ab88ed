/** A command as data: what the parser, the help, the manual pages and the completion read, and the function that does it. */
import type { Invocation } from './invocation.ts';

export type FlagType = 'bool' | 'string' | 'strings' | 'int' | 'uint' | 'duration';

export interface FlagSpec {
  readonly name: string;
  /** One letter, used with a single dash. */
  readonly short?: string;
  readonly type: FlagType;
  /** As one would write it; absent = the type's zero value. */
  readonly default?: string;
  readonly usage: string;
  /** What the value stands for in help, such as `KEY`. */
  readonly value?: string;
  /** May be left out of help and completion. */
  readonly hidden?: boolean;
  /** A flag that a real etcdctl does not have: absent when the program is called by etcd's own names. */
  readonly own?: boolean;
  /** Values to complete, or the kind of live values. */
  readonly complete?: readonly string[] | LiveValues;
}

/** What completion asks a server for. */
export type LiveValues = 'keys' | 'members' | 'users' | 'roles' | 'leases' | 'files';

export interface Example {
  readonly command: string;
  readonly about: string;
}

export interface CommandSpec {
  readonly name: string;
  /** Arguments as shown behind the command's name: `<key> [range_end]`. */
  readonly args?: string;
  readonly summary: string;
  /** Paragraphs for `--help` and the manual page. */
  readonly about?: readonly string[];
  readonly examples?: readonly Example[];
  readonly flags?: readonly FlagSpec[];
  /** Flags that subcommands understand too. */
  readonly persistentFlags?: readonly FlagSpec[];
  readonly commands?: readonly CommandSpec[];
  /** Heading in the root's list. */
  readonly group?: string;
  readonly hidden?: boolean;
  /** A command that a real etcdctl does not have. */
  readonly own?: boolean;
  /** Live values of the positional arguments, in order; the last repeats. */
  readonly complete?: readonly (readonly string[] | LiveValues | undefined)[];
  /** Names of flags without which the command refuses to run, as cobra does. */
  readonly required?: readonly string[];
  /** Checks the number of arguments as cobra does, before `run`. */
  readonly argCount?: number;
  readonly validArgs?: readonly string[];
  /** Arguments are not parsed as flags. */
  readonly rawArgs?: boolean;
  /** Absent for a group: it prints its help. Resolves with the exit code, 0 when nothing. */
  readonly run?: (inv: Invocation) => Promise<number | undefined> | number | undefined;
}

/** A command found in the tree, with the way to it. */
export interface CommandPath {
  readonly spec: CommandSpec;
  readonly parents: readonly CommandSpec[];
}

/** `etcdctl lease grant` and the like, the root called by the program's name. */
export function pathText(program: string, path: CommandPath): string {
  const names = [...path.parents, path.spec].slice(1).map((s) => s.name);
  return [program, ...names].join(' ');
}

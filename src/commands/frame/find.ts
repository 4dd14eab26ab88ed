/** Finds the command that a command line names: unambiguous beginnings do, flags may stand anywhere before. */
import { Flags } from './flags.ts';
import type { CommandPath, CommandSpec, FlagSpec } from './spec.ts';

export class UnknownCommand extends Error {
  readonly suggestions: readonly string[];

  constructor(text: string, suggestions: readonly string[]) {
    super(text);
    this.suggestions = suggestions;
  }
}

const helpFlag = (spec: CommandSpec, program: string): FlagSpec => ({
  name: 'help',
  short: 'h',
  type: 'bool',
  usage: `help for ${spec.name === '' ? program : spec.name}`,
});

/** Every flag that is understood at a place of the tree. */
export function flagsAt(path: CommandPath, globals: readonly FlagSpec[], program: string): FlagSpec[] {
  const own = path.spec.flags ?? [];
  const persistent = [...path.parents, path.spec].flatMap((s) => s.persistentFlags ?? []);
  const local = [...own, ...persistent];
  const known = new Set(local.map((f) => f.name));
  const out = [...local, ...globals.filter((f) => !known.has(f.name))];
  if (!known.has('help')) out.push(helpFlag(path.spec, program));
  return out;
}

interface Lookup {
  readonly program: string;
  readonly globals: readonly FlagSpec[];
}

/** Splits one step off: words that are no flags, in order. */
function words(argv: readonly string[], flags: readonly FlagSpec[]): string[] {
  const out: string[] = [];
  walk(argv, flags, (word) => {
    out.push(word);
    return false;
  });
  return out;
}

/** Calls `found` for each word that is no flag and no flag's value, until it says true; returns the index then, else -1. */
function walk(argv: readonly string[], flags: readonly FlagSpec[], found: (word: string) => boolean): number {
  for (let i = 0; i < argv.length; i++) {
    const s = argv[i] ?? '';
    if (s === '--') return -1;
    const long = s.startsWith('--') && !s.includes('=') && !Flags.takesNoValue(flags.find((f) => f.name === s.slice(2)));
    const short =
      s.startsWith('-') && !s.includes('=') && s.length === 2 && !Flags.takesNoValue(flags.find((f) => f.short === s.charAt(1)));
    if (long || short) i++;
    else if (s !== '' && !s.startsWith('-') && found(s)) return i;
  }
  return -1;
}

/** @throws UnknownCommand */
export function findCommand(root: CommandSpec, argv: readonly string[], lookup: Lookup): { path: CommandPath; argv: readonly string[] } {
  let path: CommandPath = { spec: root, parents: [] };
  let rest = argv;
  for (;;) {
    const flags = flagsAt(path, lookup.globals, lookup.program);
    const [word] = words(rest, flags);
    if (word === undefined) break;
    const next = childNamed(path.spec, word);
    if (next === undefined) break;
    const at = walk(rest, flags, (w) => w === word);
    if (at >= 0) rest = rest.filter((_, i) => i !== at);
    path = { spec: next, parents: [...path.parents, path.spec] };
  }
  if (path.parents.length === 0) {
    const [word] = words(rest, flagsAt(path, lookup.globals, lookup.program));
    if (word !== undefined)
      throw new UnknownCommand(`unknown command "${word}" for "${lookup.program.replace(/ util$/, '')}"`, suggestions(root, word));
  }
  return { path, argv: rest };
}

/** The child of that name, or the only one whose name begins so. */
export function childNamed(spec: CommandSpec, word: string): CommandSpec | undefined {
  const children = spec.commands ?? [];
  const exact = children.find((c) => c.name === word);
  if (exact !== undefined) return exact;
  // Commands of our own must not make etcdctl's beginnings ambiguous.
  const beginning = children.filter((c) => c.name.startsWith(word) && c.own !== true && c.hidden !== true);
  if (beginning.length === 1) return beginning[0];
  if (beginning.length > 1) return undefined;
  const own = children.filter((c) => c.name.startsWith(word) && c.own === true && c.hidden !== true);
  return own.length === 1 ? own[0] : undefined;
}

/** Names near to what was typed. */
export function suggestions(spec: CommandSpec, typed: string): string[] {
  const wanted = typed.toLowerCase();
  return (spec.commands ?? [])
    .filter((c) => c.hidden !== true && (distance(wanted, c.name.toLowerCase()) <= 2 || c.name.toLowerCase().startsWith(wanted)))
    .map((c) => c.name);
}

/** Levenshtein's. */
export function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(change, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

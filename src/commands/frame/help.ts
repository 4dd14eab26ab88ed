/** Help texts, drawn by commander from the tree of commands. */
import { Command, Help, Option } from 'commander';
import { variableOf } from './environment.ts';
import type { Surroundings } from './invocation.ts';
import { pathText, type CommandPath, type CommandSpec, type FlagSpec } from './spec.ts';

/** Columns that help is wrapped to. */
const width = 100;

const typeWords: Readonly<Record<string, string>> = {
  string: 'string',
  strings: 'strings',
  int: 'int',
  uint: 'uint',
  duration: 'duration',
  bool: '',
};

function optionOf(flag: FlagSpec, withVariable: boolean): Option {
  const value = flag.type === 'bool' ? '' : ` <${flag.value ?? typeWords[flag.type] ?? 'value'}>`;
  const option = new Option(`${flag.short === undefined ? '' : `-${flag.short}, `}--${flag.name}${value}`, flag.usage);
  const notes = [];
  if (flag.default !== undefined && flag.default !== '' && !(flag.type === 'bool' && flag.default === 'false'))
    notes.push(`default: ${flag.type === 'string' ? JSON.stringify(flag.default) : flag.default}`);
  if (withVariable) notes.push(`env: ${variableOf(flag.name)}`);
  if (notes.length > 0) option.description += ` (${notes.join(', ')})`;
  return option;
}

/** Flags without a short name line up with those that have one. */
class TreeHelp extends Help {
  override helpWidth = width;
  override subcommandTerm(command: Command): string {
    return command.name();
  }
  override optionTerm(option: Option): string {
    return option.short === undefined ? `    ${option.flags}` : option.flags;
  }
}

/** The tree as commander's commands: names, arguments, flags and summaries. Parsing is not its part. */
export function commanderTree(around: Pick<Surroundings, 'program'>, spec: CommandSpec, name: string): Command {
  const command = new Command(name).summary(spec.summary).description([spec.summary, ...(spec.about ?? [])].join('\n\n'));
  command.helpOption(false).helpCommand(false);
  command.createHelp = () => new TreeHelp();
  command.usage(usageOf(spec));
  for (const flag of spec.flags ?? []) command.addOption(optionOf(flag, false));
  for (const flag of spec.persistentFlags ?? []) command.addOption(optionOf(flag, true));
  command.addOption(new Option('-h, --help', `help for ${spec.name === '' ? around.program : spec.name}`));
  for (const child of spec.commands ?? []) {
    if (child.hidden === true) continue;
    // Of what lies below, name and summary are shown and nothing else.
    const sub = new Command(child.name).summary(child.summary);
    if (child.group !== undefined) sub.helpGroup(child.group);
    command.addCommand(sub);
  }
  return command;
}

function usageOf(spec: CommandSpec): string {
  if (spec.commands !== undefined) return '[command]';
  const flags = spec.rawArgs === true ? '' : ' [flags]';
  return `${spec.args === undefined || spec.args === '' ? '' : spec.args}${flags}`.trim();
}

/** `help`: everything; `usage`: what follows a mistake, without the prose. */
export function helpText(around: Surroundings, path: CommandPath, what: 'help' | 'usage'): string {
  const command = commanderTree(around, path.spec, pathText(around.program, path));
  const inherited = path.parents.flatMap((p) => p.persistentFlags ?? []);
  for (const flag of inherited) command.addOption(optionOf(flag, true).helpGroup('Flags of the group:'));
  if (isUtil(around)) for (const flag of around.globals) command.addOption(optionOf(flag, false).helpGroup('Global flags:'));
  if (what === 'usage') command.description('');
  const body = command
    .helpInformation()
    .trimEnd()
    .replace(/^Options:$/m, 'Flags:')
    .replace(/^Commands:$/m, 'Available Commands:');
  const examples = what === 'help' ? examplesText(around, path.spec) : '';
  const more =
    path.spec.commands === undefined
      ? ''
      : `Use "${pathText(around.program, path)} [command] --help" for more information about a command.\n`;
  const pointer = isUtil(around)
    ? ''
    : `Use "${around.program} options" for a list of global command-line options (applies to all commands).\n`;
  return `${body}\n${examples}\n${more}${pointer}`;
}

function isUtil(around: Pick<Surroundings, 'globals'>): boolean {
  return !around.globals.some((f) => f.name === 'endpoints');
}

function examplesText(around: Pick<Surroundings, 'program'>, spec: CommandSpec): string {
  if (spec.examples === undefined) return '';
  return `\nExamples:\n${spec.examples.map((e) => `  # ${e.about}\n  ${around.program} ${e.command}\n`).join('')}`;
}

/** A list of flags, each with its variable. */
export function flagsText(flags: readonly FlagSpec[]): string {
  const command = new Command('options').helpOption(false);
  command.createHelp = () => new TreeHelp();
  for (const flag of flags) command.addOption(optionOf(flag, flag.own !== true));
  const text = command.helpInformation();
  return text.slice(text.indexOf('\n', text.indexOf('Options:')) + 1);
}

export function exitCodesText(): string {
  const rows: readonly (readonly [string, string])[] = [
    ['0', 'success'],
    ['1', 'an error of the server, a time-out, an unhealthy endpoint, or a flag that is not understood'],
    ['2', 'no connection to work with: no endpoints, a failed login, an error of lease timetolive or keep-alive'],
    ['3', 'bad input: a txn or watch line, or a check on a prefix that is in use'],
    ['4', 'a value or output format that is not supported'],
    ['5', 'interrupted: a watch that the server ended, a snapshot that could not be saved'],
    ['128', 'wrong arguments, or files of certificates that cannot be used'],
    ['130, 143', 'ended by SIGINT or SIGTERM'],
    ['N', 'of the command that `lock` ran'],
  ];
  return `Exit codes:\n${rows.map(([code, text]) => `  ${code.padEnd(9)} ${text}\n`).join('')}`;
}

/** Finds the command, parses its flags, runs it; says what went wrong as etcd's tools do. */
import { isatty } from 'node:tty';
import { CommandError, ExitCode } from './exit.ts';
import { distance, findCommand, flagsAt, suggestions, UnknownCommand } from './find.ts';
import { FlagError, Flags, HelpWanted } from './flags.ts';
import { globalFlags, ownGlobalFlags } from './globals.ts';
import { Invocation, type Surroundings } from './invocation.ts';
import { rawArguments } from './raw-arguments.ts';
import { stderr, stdout } from './output.ts';
import { pathText, type CommandPath, type CommandSpec, type FlagSpec } from './spec.ts';

/** The tree for a name: etcd's own tools have no commands of ours. */
function treeFor(root: CommandSpec, own: boolean): CommandSpec {
  if (own) return root;
  const prune = (spec: CommandSpec): CommandSpec => ({
    ...spec,
    ...(spec.flags === undefined ? {} : { flags: spec.flags.filter((f) => f.own !== true) }),
    ...(spec.commands === undefined ? {} : { commands: spec.commands.filter((c) => c.own !== true).map(prune) }),
  });
  return prune(root);
}

/** Runs one command line. Resolves with the exit code. */
export async function runProgram(program: string, argv: readonly string[], env: NodeJS.ProcessEnv = process.env): Promise<number> {
  if (program === 'etcdutl' || (program !== 'etcdctl' && argv[0] === 'util')) {
    const { utilRoot, utilFlags } = await import('../util/tree.ts');
    const name = program === 'etcdutl' ? program : `${program} util`;
    const args = program === 'etcdutl' ? argv : argv.slice(1);
    return runTree({ program: name, root: treeFor(utilRoot, program !== 'etcdutl'), globals: utilFlags, env }, args);
  }
  const own = program !== 'etcdctl';
  const { root } = await import('../tree.ts');
  return runTree(
    { program, root: treeFor(root, own), globals: own ? [...globalFlags, ...ownGlobalFlags] : globalFlags, env },
    rawArguments(argv),
  );
}

/** Runs one command line of a given tree. */
export async function runTree(around: Surroundings, argv: readonly string[]): Promise<number> {
  const { program, root } = around;
  let found: { path: CommandPath; argv: readonly string[] };
  try {
    found = findCommand(root, argv, { program, globals: around.globals });
  } catch (error) {
    if (!(error instanceof UnknownCommand)) throw error;
    const near = error.suggestions.length === 0 ? '' : `\n\nDid you mean this?\n${error.suggestions.map((s) => `\t${s}\n`).join('')}`;
    stderr(`Error: ${error.message}${near}\nRun '${program} --help' for usage.\n`);
    return ExitCode.Error;
  }
  const { path } = found;
  const flags = new Flags(flagsAt(path, around.globals, program));
  const help = async (to: 'help' | 'usage'): Promise<string> => (await import('./help.ts')).helpText(around, path, to);
  const misuse = async (text: string): Promise<number> => {
    stderr(`Error: ${text}\n`);
    stderr(`${await help('usage')}\n`);
    return ExitCode.Error;
  };
  try {
    if (path.spec.rawArgs === true) flags.args.push(...found.argv);
    else flags.parse(found.argv);
  } catch (error) {
    if (error instanceof FlagError) {
      const code = await misuse(error.message);
      const [, typed] = /^unknown flag: --(.+)$/.exec(error.message) ?? [];
      if (typed !== undefined)
        suggest(
          around,
          near([...flags.specs.values()], typed).map((name) => `--${name}`),
        );
      return code;
    }
    if (!(error instanceof HelpWanted)) throw error;
    stdout(await help('help'));
    return ExitCode.Success;
  }
  if (path.spec.run === undefined) {
    stdout(await help('help'));
    const [typed] = flags.args;
    if (typed !== undefined && path.parents.length > 0) suggest(around, suggestions(path.spec, typed));
    return ExitCode.Success;
  }
  const wrong = argumentsWrong(path, flags, program);
  if (wrong !== undefined) return misuse(wrong);
  const inv = new Invocation(around, path, flags);
  try {
    return (await path.spec.run(inv)) ?? ExitCode.Success;
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    if (error.message !== '' || error.cause !== undefined) {
      const { tellError } = await import('./tell-error.ts');
      tellError(error, inv);
    }
    return error.exit;
  }
}

function near(specs: readonly FlagSpec[], typed: string): string[] {
  return specs.filter((f) => f.hidden !== true && (distance(typed, f.name) <= 2 || f.name.startsWith(typed))).map((f) => f.name);
}

/** A hint for a person: scripts read what etcdctl says and nothing else. */
function suggest({ program }: Surroundings, names: readonly string[]): void {
  if (names.length === 0 || program === 'etcdctl' || program === 'etcdutl' || !isatty(2)) return;
  stderr(`hint: did you mean ${names.join(' or ')}?\n`);
}

function argumentsWrong(path: CommandPath, flags: Flags, program: string): string | undefined {
  const { spec } = path;
  if (spec.argCount !== undefined && flags.args.length !== spec.argCount)
    return `accepts ${spec.argCount} arg(s), received ${flags.args.length}`;
  if (spec.validArgs !== undefined)
    for (const a of flags.args)
      if (!spec.validArgs.includes(a))
        return `invalid argument ${JSON.stringify(a)} for ${JSON.stringify(pathText(program.replace(/ util$/, ''), path))}`;
  const missing = (spec.required ?? []).filter((name) => !flags.given(name));
  return missing.length === 0 ? undefined : `required flag(s) ${missing.map((m) => JSON.stringify(m)).join(', ')} not set`;
}

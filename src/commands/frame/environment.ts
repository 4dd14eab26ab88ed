/** `ETCDCTL_*` variables: each global flag has one; a flag and its variable together are refused. */
import { CommandError, ExitCode } from './exit.ts';
import { FlagError, type Flags } from './flags.ts';
import { logLine } from './log-line.ts';
import type { FlagSpec } from './spec.ts';

export function variableOf(flag: string): string {
  return `ETCDCTL_${flag.toUpperCase().replaceAll('-', '_')}`;
}

/** Variables that are read elsewhere than as flags. */
const others = new Set(['ETCDCTL_WATCH_KEY', 'ETCDCTL_WATCH_RANGE_END']);

/**
 * Fills flags from the environment, and warns of variables that name none.
 * @throws CommandError when flag and variable are both given, even when they agree.
 */
export function applyEnvironment(flags: Flags, inherited: readonly FlagSpec[], env: NodeJS.ProcessEnv, warn: (line: string) => void): void {
  const known = new Set<string>();
  for (const spec of inherited) {
    const name = variableOf(spec.name);
    known.add(name);
    const value = env[name];
    if (value === undefined) continue;
    if (flags.given(spec.name)) {
      warn(
        logLine(
          'fatal',
          'conflicting environment variable is shadowed by corresponding command-line flag (either unset environment variable or disable flag))',
          {
            'environment-variable': name,
          },
        ),
      );
      throw new CommandError(ExitCode.Error, '');
    }
    // Empty is as good as unset, but for the conflict.
    if (value === '') continue;
    try {
      flags.set(spec, value);
    } catch (error) {
      if (!(error instanceof FlagError)) throw error;
      // As etcdctl: a value that does not parse is passed over.
    }
  }
  for (const [name, value] of Object.entries(env))
    if (name.startsWith('ETCDCTL_') && !known.has(name) && !others.has(name))
      warn(logLine('warn', 'unrecognized environment variable', { 'environment-variable': `${name}=${value}` }));
}

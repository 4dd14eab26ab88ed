/** What a `watch` line asks for: the key, the range end, and the command to run for each event. */
import { prefixEnd } from '../../base/bytes.ts';
import { badArgs } from '../frame/exit.ts';
import type { Flags } from '../frame/flags.ts';
import { quote, toBytes } from '../text/quote.ts';
import type { KeyRange } from './keys.ts';

export interface WatchLine {
  /** Key and range end. */
  readonly args: readonly string[];
  /** Empty: nothing to run. */
  readonly exec: readonly string[];
}

/**
 * Takes the words behind `watch` apart. `ETCDCTL_WATCH_KEY` and `ETCDCTL_WATCH_RANGE_END` stand in for missing arguments.
 * @param argsBeforeDash of the parsed flags; -1 without `--`.
 * @throws CommandError
 */
export function watchLine(
  args: readonly string[],
  argsBeforeDash: number,
  env: { key: string; rangeEnd: string },
  dashGiven: boolean,
): WatchLine {
  if (env.rangeEnd !== '' && env.key === '')
    throw badArgs(`ETCDCTL_WATCH_KEY is empty but got ETCDCTL_WATCH_RANGE_END=${quote(env.rangeEnd)}`);
  const before = argsBeforeDash < 0 ? args : args.slice(0, argsBeforeDash);
  const exec = argsBeforeDash < 0 ? [] : args.slice(argsBeforeDash);
  if (dashGiven && exec.length === 0) throw badArgs('bad number of arguments (found separator --, but no commands)');
  if (env.key !== '') {
    if (before.length > 0) throw badArgs('bad number of arguments (found conflicting environment key)');
    return { args: env.rangeEnd === '' ? [env.key] : [env.key, env.rangeEnd], exec };
  }
  if (before.length < 1 || before.length > 2) throw badArgs('bad number of arguments');
  return { args: before, exec };
}

/**
 * The same for a line of an interactive watch, where a command behind `--` is looked at with less care: what does not make sense then is found
 * when the range is made.
 * @throws CommandError when the whole program is to end
 */
export function interactiveWatchLine(
  args: readonly string[],
  argsBeforeDash: number,
  env: { key: string; rangeEnd: string },
  dashGiven: boolean,
): WatchLine {
  if (!dashGiven || args.length === argsBeforeDash || argsBeforeDash < 0) return watchLine(args, argsBeforeDash, env, dashGiven);
  const names = [env.key, env.rangeEnd].filter((n) => n !== '');
  return { args: [...names, ...args.slice(0, argsBeforeDash)], exec: args.slice(argsBeforeDash) };
}

/** @throws CommandError */
export function watchRange(flags: Flags, args: readonly string[]): KeyRange {
  if (args.length < 1 || args.length > 2) throw badArgs('bad number of arguments');
  const key = toBytes(args[0] ?? '');
  if (args.length === 2) {
    if (flags.bool('prefix')) throw badArgs('`range_end` and `--prefix` are mutually exclusive');
    return { key, rangeEnd: toBytes(args[1] ?? '') };
  }
  if (!flags.bool('prefix')) return { key, rangeEnd: new Uint8Array(0) };
  return key.length === 0 ? { key: new Uint8Array(1), rangeEnd: new Uint8Array(1) } : { key, rangeEnd: prefixEnd(key) };
}

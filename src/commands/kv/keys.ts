/** Keys and ranges as the arguments and flags of get, del and watch name them. */
import { prefixEnd } from '../../base/bytes.ts';
import { badArgs } from '../frame/exit.ts';
import type { Flags } from '../frame/flags.ts';
import { toBytes } from '../text/quote.ts';

const zero = new Uint8Array(1);
const none = new Uint8Array(0);

export interface KeyRange {
  readonly key: Uint8Array;
  readonly rangeEnd: Uint8Array;
}

/** Refuses `--prefix` with `--from-key`, and a range end beside either. @throws CommandError */
export function checkSpanFlags(flags: Flags, args: readonly string[]): void {
  if (flags.bool('prefix') && flags.bool('from-key'))
    throw badArgs('`--prefix` and `--from-key` cannot be set at the same time, choose one');
  if (args.length > 1 && (flags.bool('prefix') || flags.bool('from-key')))
    throw badArgs('too many arguments, only accept one argument when `--prefix` or `--from-key` is set');
}

/** The range of `KEY [RANGE_END]` with `--prefix` and `--from-key`. The empty prefix means every key. */
export function keyRange(flags: Flags, args: readonly string[]): KeyRange {
  const key = toBytes(args[0] ?? '');
  if (flags.bool('prefix')) return key.length === 0 ? { key: zero, rangeEnd: zero } : { key, rangeEnd: prefixEnd(key) };
  if (flags.bool('from-key')) return { key: key.length === 0 ? zero : key, rangeEnd: zero };
  return { key, rangeEnd: args.length > 1 ? toBytes(args[1] ?? '') : none };
}

/** All keys with a prefix; with the empty one, all keys. */
export function prefixRange(prefix: Uint8Array): KeyRange {
  return prefix.length === 0 ? { key: zero, rangeEnd: zero } : { key: prefix, rangeEnd: prefixEnd(prefix) };
}

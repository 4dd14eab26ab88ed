/** Arguments with the bytes they were typed with: Node decodes them as UTF-8 and loses what is none. */
import { readFileSync } from 'node:fs';
import { fromBytes } from '../text/quote.ts';

/** The same arguments; one with a replacement character is read again from the kernel, where that is possible. */
export function rawArguments(argv: readonly string[]): readonly string[] {
  if (!argv.some((a) => a.includes('\ufffd'))) return argv;
  try {
    const whole = readFileSync('/proc/self/cmdline');
    const all: string[] = [];
    for (let at = 0; at < whole.length;) {
      const end = whole.indexOf(0, at);
      all.push(fromBytes(whole.subarray(at, end < 0 ? whole.length : end)));
      at = (end < 0 ? whole.length : end) + 1;
    }
    const own = all.slice(-argv.length);
    return own.length === argv.length ? own : argv;
  } catch {
    return argv;
  }
}

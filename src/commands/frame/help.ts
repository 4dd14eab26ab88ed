/** Help texts. */
import type { Surroundings } from './invocation.ts';
import { pathText, type CommandPath } from './spec.ts';

export function helpText(around: Surroundings, path: CommandPath, _what: 'help' | 'usage'): string {
  return `Usage:\n  ${pathText(around.program, path)}\n`;
}

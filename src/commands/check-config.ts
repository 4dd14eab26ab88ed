/** `tsetcd server --check-config`: what a command line, the environment or a config file come to, without starting anything. */
import { buildConfig } from '../server/config/build-config.ts';
import { envName, flagTable } from '../server/config/flag-table.ts';
import { flagText } from '../server/config/flag-values.ts';
import type { Options } from '../server/config/options.ts';

/** The explanation as text for people. @throws ConfigError when a member would not start */
export function explainConfig(options: Options, given: { readonly argv: readonly string[]; readonly env: NodeJS.ProcessEnv }): string {
  const { remarks } = buildConfig(options);
  const lines: string[] = [];
  const flags = flagTable.filter((f) => given.argv.some((a) => a.replace(/^--?/, '').split('=', 1)[0] === f.name && a.startsWith('-')));
  const variables = flagTable.map((f) => envName(f.name)).filter((name) => (given.env[name] ?? '') !== '');
  if (options.configFile !== undefined) {
    lines.push(`From the file ${options.configFile}.`);
    const ignored = [...flags.filter((f) => f.name !== 'config-file').map((f) => `--${f.name}`), ...variables];
    if (ignored.length > 0) lines.push(`Ignored because of the file: ${ignored.join(', ')}.`);
  } else lines.push('From flags and the environment; there is no config file.');
  const set = flagTable.filter((f) => options.given.has(f.name) && f.section !== 'Meta');
  lines.push('', set.length === 0 ? 'Everything is at its default.' : 'Set:');
  for (const flag of set) {
    const value = options.values.get(flag.name);
    const shown = flag.name.endsWith('password') ? '***' : value === undefined ? '' : flagText(value);
    const from = options.configFile !== undefined ? flag.key : flags.includes(flag) ? `--${flag.name}` : envName(flag.name);
    lines.push(`  ${flag.name} = ${shown}  (${from}; default ${JSON.stringify(flag.value)})`);
  }
  const warnings = remarks.filter((r) => r.level === 'warn');
  if (warnings.length > 0) lines.push('', 'Warnings:', ...warnings.map((r) => `  ${r.message}`));
  lines.push('', 'A member would start with this.', '');
  return lines.join('\n');
}

/** `--help`, the usage text after a bad command line, and `--version`. */
import { featureGates, flagTable } from './flag-table.ts';

export const serverVersion = '3.7.1';
export const minClusterVersion = '3.0.0';

/** @param program  as the caller knows it: `etcd` through a link of that name, else `tsetcd server` */
export function usageText(program: string): string {
  const front = program === 'etcd' ? 'etcd ' : 'tsetcd ';
  return `Usage:

  ${program} [flags]
    Start a member.

  ${program} --version
    Print the version.

  ${program} -h | --help
    Print all flags.

  ${program} --config-file
    Read the configuration from a file. Flags and environment are then left aside. Durations in
    the file are whole nanoseconds (600000000000 for 10m); texts such as "10m" are for flags.

  ${program} --check-config [flags]
    Say what a configuration comes to, and what a config file makes ignored, without a start.

  ${front}gateway
    Run the stateless TCP forwarding proxy.

  ${front}grpc-proxy
    Run the stateless gRPC proxy.
`;
}

export function helpText(program: string): string {
  const lines: string[] = [];
  let section = '';
  for (const flag of flagTable) {
    if (flag.section === 'Meta' || flag.kind === 'ignored') continue;
    if (flag.section !== section) {
      section = flag.section;
      lines.push('', `${section}:`);
    }
    const shown = flag.name === 'data-dir' ? '${name}.etcd' : flag.value;
    lines.push(
      `  --${flag.name} '${shown}'`,
      `    ${flag.help}${flag.built ? '' : flag.reason === undefined ? ' (not built yet: refused when set)' : ' (refused when set)'}`,
    );
    if (flag.kind === 'gates') for (const g of featureGates) lines.push(`    ${g.name}=true|false (${g.stage} - default=${g.value})`);
  }
  return `${usageText(program)}${lines.join('\n')}\n`;
}

export function versionText(platform: { readonly runtime: string; readonly os: string; readonly arch: string }): string {
  return [
    `etcd Version: ${serverVersion}`,
    'Git SHA: tsetcd',
    `Go Version: ${platform.runtime}`,
    `Go OS/Arch: ${platform.os}/${platform.arch}`,
    '',
  ].join('\n');
}

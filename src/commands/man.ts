/** Manual pages from the tree of commands, one a command. The date and version are the release's, so that pages only change with their content. */
import { featureGates, flagTable } from '../server/config/flag-table.ts';
import { variableOf } from './frame/environment.ts';
import { globalFlags, ownGlobalFlags } from './frame/globals.ts';
import type { CommandSpec, FlagSpec } from './frame/spec.ts';
import { root } from './tree.ts';
import { release } from './tools/version.ts';
import { utilFlags, utilRoot } from './util/tree.ts';

/** Text for roff: nothing in it is a request or an escape. */
function plain(text: string): string {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replace(/^([.'])/gm, '\\&$1');
}

/** Prose: words in backquotes are bold. */
function prose(text: string): string {
  return plain(text).replace(/`([^`]+)`/g, '\\fB$1\\fR');
}

function flagItem(flag: FlagSpec, variable: boolean): string {
  const value = flag.type === 'bool' ? '' : `=\\fI${plain(flag.value ?? flag.type)}\\fR`;
  const short = flag.short === undefined ? '' : `\\fB\\-${flag.short}\\fR, `;
  const notes = [];
  if (flag.default !== undefined && flag.default !== 'false') notes.push(`Default: ${plain(flag.default)}.`);
  if (variable) notes.push(`Environment: ${plain(variableOf(flag.name))}.`);
  return `.TP\n${short}\\fB\\-\\-${plain(flag.name)}\\fR${value}\n${prose(sentence(flag.usage))}${notes.map((n) => `\n${n}`).join('')}\n`;
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? '' : '.'}`;
}

interface Place {
  /** `tsetcd lease grant`. */
  readonly words: readonly string[];
  readonly spec: CommandSpec;
  readonly parent: CommandSpec | undefined;
}

const pageOf = (words: readonly string[]): string => words.join('-');

function page({ words, spec, parent }: Place, globals: readonly FlagSpec[], others: readonly string[]): string {
  const name = pageOf(words);
  const children = (spec.commands ?? []).filter((c) => c.hidden !== true);
  const synopsis = spec.commands === undefined ? `${spec.args ?? ''} [flags]`.trim() : '<command> [flags]';
  const out = [
    `.TH "${plain(name.toUpperCase())}" "1" "" "tsetcd ${release}" "tsetcd manual"\n`,
    `.SH NAME\n${plain(name)} \\- ${plain(spec.summary.replace(/\.$/, ''))}\n`,
    `.SH SYNOPSIS\n\\fB${plain(words.join(' '))}\\fR ${plain(synopsis)}\n`,
    `.SH DESCRIPTION\n${(spec.about ?? [sentence(spec.summary)]).map((p) => `${prose(p)}\n`).join('.PP\n')}`,
  ];
  if (children.length > 0)
    out.push(`.SH COMMANDS\n${children.map((c) => `.TP\n\\fB${plain(c.name)}\\fR\n${prose(sentence(c.summary))}\n`).join('')}`);
  const flags = [...(spec.flags ?? []), ...(spec.persistentFlags ?? []), ...(parent?.persistentFlags ?? [])];
  if (flags.length > 0) out.push(`.SH OPTIONS\n${flags.map((f) => flagItem(f, (parent?.persistentFlags ?? []).includes(f))).join('')}`);
  if (words.length === 1 || (words.length === 2 && words[1] === 'util'))
    out.push(`.SH GLOBAL OPTIONS\n${globals.map((f) => flagItem(f, globals === utilFlags || f.own === true ? false : true)).join('')}`);
  if (spec.examples !== undefined) {
    const program = words[0] ?? '';
    const examples = spec.examples.map(
      (e) => `.PP\n${prose(sentence(e.about))}\n.PP\n.RS 4\n.nf\n${plain(`$ ${program} ${e.command}`)}\n.fi\n.RE\n`,
    );
    out.push(`.SH EXAMPLES\n${examples.join('').replace(/^\.PP\n/, '')}`);
  }
  if (words.length === 1) out.push(exitStatus);
  const see = others.filter((o) => o !== name);
  if (see.length > 0) out.push(`.SH SEE ALSO\n${see.map((o) => `\\fB${plain(o)}\\fR(1)`).join(',\n')}\n`);
  return out.join('');
}

const exitStatus = `.SH EXIT STATUS
.TP
0
Success.
.TP
1
An error of the server, a time\\-out, or a flag that is not understood.
.TP
2
No connection to work with.
.TP
3
Bad input.
.TP
4
A value or output format that is not supported.
.TP
5
Interrupted.
.TP
128
Wrong arguments.
`;

/** The member's flags come from their own table: etcd's, section by section. */
function serverPage(): string {
  const out = [
    `.TH "TSETCD\\-SERVER" "1" "" "tsetcd ${release}" "tsetcd manual"\n`,
    '.SH NAME\ntsetcd\\-server \\- Run a member\n',
    '.SH SYNOPSIS\n\\fBtsetcd server\\fR [flags]\n.br\n\\fBtsetcd server \\-\\-check\\-config\\fR [flags]\n',
    `.SH DESCRIPTION\n${serverAbout.map((p) => `${prose(p)}\n`).join('.PP\n')}`,
  ];
  let section = '';
  for (const flag of flagTable) {
    if (flag.kind === 'ignored') continue;
    if (flag.section !== section) {
      section = flag.section;
      out.push(`.SH ${plain(section.toUpperCase())}\n`);
    }
    const value = flag.kind === 'bool' ? '' : `=\\fI${plain(flag.kind)}\\fR`;
    const shown = flag.name === 'data-dir' ? '${name}.etcd' : flag.value;
    const notes = [
      ...(shown === '' || shown === 'false' ? [] : [`Default: ${plain(shown)}.`]),
      ...(flag.section === 'Meta' ? [] : [`Environment: ${plain(serverVariable(flag.name))}.`]),
      ...(flag.key === undefined ? [] : [`Key: ${plain(flag.key)}.`]),
      ...(flag.reason === undefined ? [] : [`Refused when set: ${prose(sentence(flag.reason))}`]),
    ];
    out.push(`.TP\n\\fB\\-\\-${plain(flag.name)}\\fR${value}\n${prose(sentence(flag.help))}${notes.map((n) => `\n${n}`).join('')}\n`);
    if (flag.kind === 'gates')
      for (const g of featureGates) out.push(`.br\n${plain(`${g.name}=true|false (${g.stage}, default ${g.value})`)}\n`);
  }
  out.push(
    `.SH EXAMPLES\n${serverExamples
      .map(([about, command]) => `.PP\n${prose(about)}\n.PP\n.RS 4\n.nf\n${plain(`$ ${command}`)}\n.fi\n.RE\n`)
      .join('')
      .replace(/^\.PP\n/, '')}`,
    '.SH SIGNALS\nSIGTERM and SIGINT stop the member in order. SIGUSR2 turns debug lines on and off.\n',
    '.SH SEE ALSO\n\\fBtsetcd\\fR(1),\n\\fBtsetcd\\-gateway\\fR(1),\n\\fBtsetcd\\-grpc\\-proxy\\fR(1)\n',
  );
  return out.join('');
}

const serverVariable = (flag: string): string => `ETCD_${flag.toUpperCase().replaceAll('-', '_')}`;

const serverAbout = [
  'Runs a member of a cluster: raft, write-ahead log and store, with the flags, environment variables and configuration file of etcd. Without flags it is a cluster of one with its data in `default.etcd`, and serves clients on port 2379.',
  'A flag on the command line wins over its variable. With `--config-file` both are left aside: a configuration is never merged. `--check-config` says what a configuration comes to, and starts nothing.',
];

const serverExamples = [
  [
    'A member that others may reach.',
    'tsetcd server --name a --listen-client-urls=http://0.0.0.0:2379 --advertise-client-urls=http://a.example:2379',
  ],
  ['What a configuration file comes to.', 'tsetcd server --config-file=etcd.conf.yml --check-config'],
] as const;

/** All pages by file name. */
export function pages(): Map<string, string> {
  const out = new Map<string, string>();
  const walk = (place: Place, globals: readonly FlagSpec[]): void => {
    const { words, spec, parent } = place;
    const siblings = (parent?.commands ?? []).filter((c) => c.hidden !== true).map((c) => pageOf([...words.slice(0, -1), c.name]));
    const children = (spec.commands ?? []).filter((c) => c.hidden !== true);
    const below = children.map((c) => pageOf([...words, c.name]));
    const up = words.length > 1 ? [pageOf(words.slice(0, -1))] : [];
    const near = words.length > 2 ? siblings : [];
    out.set(`${pageOf(words)}.1`, page(place, globals, [...up, ...below, ...near]));
    for (const c of children) walk({ words: [...words, c.name], spec: c, parent: spec }, globals);
  };
  const about = {
    about: [
      'One program with four faces: a client of etcd and tsetcd clusters, a member (`tsetcd server`), an offline tool (`tsetcd util`), and, through links named `etcd`, `etcdctl` and `etcdutl`, those programs.',
      'Commands may be abbreviated as long as they stay unambiguous. Global options may stand anywhere, and each has an environment variable; an option and its variable together are refused.',
    ],
  };
  walk({ words: ['tsetcd'], spec: { ...root, ...about }, parent: undefined }, [...globalFlags, ...ownGlobalFlags]);
  out.set('tsetcd-server.1', serverPage());
  walk({ words: ['tsetcd', 'util'], spec: { ...utilRoot, name: 'util' }, parent: undefined }, utilFlags);
  return out;
}

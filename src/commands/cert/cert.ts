import { badArgs, CommandError, ExitCode } from '../frame/exit.ts';
import type { Invocation } from '../frame/invocation.ts';
import { stdout } from '../frame/output.ts';
import type { CommandSpec, FlagSpec } from '../frame/spec.ts';
import type * as certificates from './certificates.ts';

type Certificates = typeof certificates;

const dirFlag: FlagSpec = {
  name: 'dir',
  type: 'string',
  default: 'pki',
  value: 'DIR',
  usage: "folder of the authority's files and of what it issues",
  complete: 'files',
};
const forceFlag: FlagSpec = { name: 'force', type: 'bool', usage: 'replace files that are there' };
const purposes = ['member', 'client', 'server'] as const;
const forFlag: FlagSpec = {
  name: 'for',
  type: 'string',
  default: 'member',
  value: 'USE',
  usage: 'member (serves, and is a client of other members), client (a user) or server (only serves)',
  complete: purposes,
};
const hostFlag = (usage: string): FlagSpec => ({ name: 'host', type: 'strings', value: 'LIST', usage });

function purposeOf(inv: Invocation): (typeof purposes)[number] {
  const text = inv.flags.string('for');
  const found = purposes.find((p) => p === text);
  if (found === undefined) throw badArgs(`--for must be one of ${purposes.join(', ')}, not ${JSON.stringify(text)}`);
  return found;
}

function formatOf(inv: Invocation): 'simple' | 'json' {
  inv.settle();
  const format = inv.flags.string('write-out');
  if (format !== 'simple' && format !== 'json') throw new CommandError(ExitCode.BadFeature, 'cert prints as simple or json');
  return format;
}

/** @throws CommandError in place of what went wrong with files and names */
async function withCertificates<T>(work: (c: Certificates) => Promise<T> | T): Promise<T> {
  const c = await import('./certificates.ts');
  try {
    return await work(c);
  } catch (error) {
    if (!(error instanceof c.CertificateError)) throw error;
    throw new CommandError(ExitCode.Error, error.message, { cause: error });
  }
}

const init: CommandSpec = {
  name: 'init',
  args: '',
  summary: 'Make an authority',
  about: [
    'Makes a small certificate authority: ca.crt, which members and clients are given as --trusted-ca-file, --peer-trusted-ca-file and --cacert, and ca.key, which signs. Whoever has ca.key can make certificates for everybody: keep it away from the machines that run members.',
  ],
  examples: [
    { command: 'cert init', about: 'in ./pki' },
    { command: 'cert init --dir /etc/tsetcd/pki --name "my cluster" --days 1825', about: 'elsewhere, for five years' },
  ],
  flags: [
    dirFlag,
    { name: 'name', type: 'string', default: 'tsetcd CA', value: 'NAME', usage: "the authority's common name" },
    { name: 'days', type: 'int', default: '3650', value: 'N', usage: 'days that it lasts' },
    forceFlag,
  ],
  async run(inv) {
    if (inv.args.length > 0) throw badArgs('cert init command requires no arguments');
    const format = formatOf(inv);
    const { flags } = inv;
    const made = await withCertificates((c) =>
      c.makeAuthority(flags.string('dir'), {
        name: flags.string('name'),
        days: flags.int('days'),
        nowMs: Date.now(),
        force: flags.bool('force'),
      }),
    );
    tellMade(format, made);
    return 0;
  },
};

const issue: CommandSpec = {
  name: 'issue',
  args: '<name>',
  summary: 'Issue a certificate',
  about: [
    'Issues NAME.crt and NAME.key from the authority in the folder. For a member or server, --host names what it is reached by: host names and addresses, without scheme and port; for a client, the common name is the user that it stands for when members run with --client-cert-auth.',
    'The files work with tsetcd and with etcd. Put in the place of older ones, they are taken up by running members at the next connection.',
  ],
  examples: [
    { command: 'cert issue m1 --host m1.example.net,10.0.0.1,127.0.0.1', about: 'for a member' },
    { command: 'cert issue alice --for client', about: 'for the user alice' },
    { command: 'cert issue backup --for client --cn root --days 7', about: 'for the user root, for a week' },
  ],
  flags: [
    dirFlag,
    forFlag,
    hostFlag('names and addresses that it stands for, separated by commas'),
    { name: 'cn', type: 'string', value: 'NAME', usage: 'common name, when it is not the name' },
    { name: 'days', type: 'int', default: '365', value: 'N', usage: 'days that it lasts, no longer than the authority' },
    forceFlag,
  ],
  async run(inv) {
    const [name] = inv.args;
    if (inv.args.length !== 1 || name === undefined) throw badArgs('cert issue command requires a name as its argument');
    const format = formatOf(inv);
    const { flags } = inv;
    const purpose = purposeOf(inv);
    const made = await withCertificates((c) =>
      c.issueCertificate(flags.string('dir'), {
        name,
        purpose,
        commonName: flags.string('cn') || name,
        hosts: flags.strings('host').filter((h) => h !== ''),
        days: flags.int('days'),
        nowMs: Date.now(),
        force: flags.bool('force'),
      }),
    );
    tellMade(format, made);
    return 0;
  },
};

function tellMade(format: 'simple' | 'json', made: { certFile: string; keyFile: string; notAfter: Date }): void {
  if (format === 'json') stdout(`${JSON.stringify({ cert: made.certFile, key: made.keyFile, not_after: made.notAfter.toISOString() })}\n`);
  else stdout(`${made.certFile}\n${made.keyFile}\nvalid until ${made.notAfter.toISOString().slice(0, 10)}\n`);
}

const check: CommandSpec = {
  name: 'check',
  args: '<certificate> [key]',
  summary: 'Say what is wrong with a certificate',
  about: [
    'Looks at a certificate as members and clients will: whether it has expired or is about to, whether its key goes with it and is readable by others, whether the authority given by --ca has signed it, whether it may be used for what it is meant, whether it stands for the given hosts and common name, and whether it is strong enough. Ends with exit code 1 when something will not work; warnings alone end with 0.',
  ],
  examples: [
    { command: 'cert check pki/m1.crt pki/m1.key --ca pki/ca.crt --host 10.0.0.1', about: "a member's" },
    { command: 'cert check alice.crt alice.key --ca ca.crt --for client --cn alice', about: "a user's" },
    { command: 'cert check /etc/etcd/server.pem -w json', about: 'for scripts' },
  ],
  flags: [
    { name: 'ca', type: 'string', value: 'FILE', usage: 'authorities (PEM) that must have signed it', complete: 'files' },
    forFlag,
    hostFlag('names and addresses that it must stand for, separated by commas'),
    { name: 'cn', type: 'string', value: 'NAME', usage: 'common name that it must have' },
  ],
  complete: ['files', 'files'],
  async run(inv) {
    const [certFile, keyFile] = inv.args;
    if (certFile === undefined || inv.args.length > 2)
      throw badArgs('cert check command requires a certificate file and, if any, its key file');
    const format = formatOf(inv);
    const { flags } = inv;
    const purpose = purposeOf(inv);
    const { findings, certificate } = await withCertificates((c) =>
      c.examine({
        certFile,
        keyFile,
        caFile: flags.string('ca') || undefined,
        purpose,
        hosts: flags.strings('host').filter((h) => h !== ''),
        commonName: flags.string('cn') || undefined,
        nowMs: Date.now(),
      }),
    );
    const works = findings.every((f) => f.level !== 'error');
    if (format === 'json') {
      const shown = findings.map(({ level, about, text, advice }) => ({ level, about, text, ...(advice === '' ? {} : { advice }) }));
      stdout(`${JSON.stringify({ ok: works, certificate: certificate ?? null, findings: shown })}\n`);
    } else {
      const lines = findings.map((f) => `${f.level.padEnd(8)}${f.about}: ${f.text}${f.advice === '' ? '' : `\n        → ${f.advice}`}\n`);
      stdout(`${lines.join('')}${works ? 'it will work' : 'it will not work'}\n`);
    }
    return works ? 0 : 1;
  },
};

export const cert: CommandSpec = {
  name: 'cert',
  group: 'Authentication commands',
  own: true,
  summary: 'Make and check certificates',
  about: ['Makes a small certificate authority and certificates for members and users, and says what is wrong with given ones.'],
  commands: [init, issue, check],
};

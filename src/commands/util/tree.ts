/** The offline tool's commands and flags. */
import type { CommandSpec, FlagSpec } from '../frame/spec.ts';
import { complete, completion } from '../tools/completion.ts';
import { help } from '../tools/help.ts';
import { version } from '../tools/version.ts';
import { stdout } from '../frame/output.ts';
import { checkFormat, printFinding, runTool } from './run-tool.ts';
import { utilSnapshot } from './snapshot.ts';

export const utilFlags: readonly FlagSpec[] = [
  { name: 'timeout', type: 'duration', default: '10s', usage: 'wait so long for a data directory that is in use; 0 for ever' },
  {
    name: 'write-out',
    short: 'w',
    type: 'string',
    default: 'simple',
    value: 'FORMAT',
    usage: 'output format: fields, json, protobuf, simple or table',
    complete: ['simple', 'json', 'fields', 'table'],
  },
];

const dataDir: FlagSpec = {
  name: 'data-dir',
  type: 'string',
  value: 'DIR',
  usage: 'data directory of a member that does not run',
  complete: 'files',
};
const walDir: FlagSpec = {
  name: 'wal-dir',
  type: 'string',
  value: 'DIR',
  usage: 'its WAL directory, when that lies elsewhere',
  complete: 'files',
};

const defrag: CommandSpec = {
  name: 'defrag',
  args: '',
  summary: 'Give back unused space of a data directory',
  about: ['Rewrites the database of a member that does not run, so that unused space goes back to the file system.'],
  examples: [
    { command: 'util defrag --data-dir=default.etcd', about: 'a stopped member' },
    { command: 'util defrag --data-dir=default.etcd --timeout=1m', about: 'waiting a minute for one that stops' },
  ],
  flags: [dataDir],
  required: ['data-dir'],
  async run(inv) {
    await runTool(inv, (offline, tool) => offline.defragDataDir(tool, inv.flags.string('data-dir')));
    return 0;
  },
};

const hashkv: CommandSpec = {
  name: 'hashkv',
  args: '<filename>',
  summary: 'Show a hash of the data in a file',
  about: ['Shows the hash that `endpoint hashkv` gives on a running member. The file is not changed.'],
  examples: [
    { command: 'util hashkv backup.db', about: 'of a snapshot file' },
    { command: 'util hashkv default.etcd/member/snap/db --rev=1000', about: 'of a data directory, up to revision 1000' },
  ],
  flags: [{ name: 'rev', type: 'int', usage: 'hash up to this revision; 0 for the latest' }],
  argCount: 1,
  complete: ['files'],
  async run(inv) {
    checkFormat(inv);
    const h = await runTool(inv, (offline, tool) => offline.hashKv(tool, inv.args[0] ?? '', inv.flags.int('rev')));
    await printFinding(inv, {
      simple: [String(h.hash), String(h.hashRevision), String(h.compactRevision)],
      json: { hash: h.hash, hashRevision: h.hashRevision, compactRevision: h.compactRevision },
      fields: [
        ['Hash', h.hash],
        ['Hash revision', h.hashRevision],
        ['Compact revision', h.compactRevision],
      ],
      header: ['hash', 'hash revision', 'compact revision'],
    });
    return 0;
  },
};

const migrate: CommandSpec = {
  name: 'migrate',
  args: '',
  summary: 'Make a data directory fit for another minor version',
  about: ['Changes the storage version of the data directory of a member that does not run.'],
  examples: [
    { command: 'util migrate --data-dir=default.etcd --target-version=3.6', about: 'back to 3.6' },
    { command: 'util migrate --data-dir=default.etcd --target-version=3.6 --force', about: 'even if something newer would be lost' },
  ],
  flags: [
    dataDir,
    { name: 'force', type: 'bool', usage: 'set the version even when the data does not allow it' },
    { name: 'target-version', type: 'string', value: 'X.Y', usage: 'version to become fit for, 3.5 at least' },
  ],
  required: ['data-dir', 'target-version'],
  async run(inv) {
    await runTool(inv, (offline, tool) =>
      offline.migrateStorage(tool, {
        dataDir: inv.flags.string('data-dir'),
        target: offline.parseTargetVersion(inv.flags.string('target-version')),
        force: inv.flags.bool('force'),
      }),
    );
    return 0;
  },
};

function mover(name: 'migrate-from-etcd' | 'migrate-to-etcd', summary: string, about: string): CommandSpec {
  return {
    name,
    args: '',
    own: true,
    summary,
    about: [about],
    examples: [
      { command: `util ${name} --data-dir=old.etcd --to=new.etcd`, about: 'the member must not run' },
      { command: `util ${name} --data-dir=old.etcd --wal-dir=/fast/wal --to=new.etcd`, about: 'with its WAL elsewhere' },
    ],
    flags: [
      dataDir,
      { name: 'to', type: 'string', value: 'DIR', usage: 'the new data directory, empty or absent', complete: 'files' },
      { name: 'to-wal-dir', type: 'string', value: 'DIR', usage: 'its WAL directory; inside it when not given', complete: 'files' },
      walDir,
    ],
    required: ['data-dir', 'to'],
    async run(inv) {
      const { flags } = inv;
      const moved = await runTool(inv, (offline, tool) =>
        (name === 'migrate-from-etcd' ? offline.migrateFromEtcd : offline.migrateToEtcd)(tool, {
          dataDir: flags.string('data-dir'),
          walDir: flags.string('wal-dir'),
          to: flags.string('to'),
          toWalDir: flags.string('to-wal-dir'),
        }),
      );
      const hex = (id: bigint): string => BigInt.asUintN(64, id).toString(16);
      stdout(
        `Member ${hex(moved.memberId)} of cluster ${hex(moved.clusterId)} moved to ${flags.string('to')} at revision ${moved.revision}\n`,
      );
      return 0;
    },
  };
}

export const utilRoot: CommandSpec = {
  name: '',
  summary: 'Work on data directories and snapshot files, without a server.',
  commands: [
    completion,
    defrag,
    hashkv,
    help,
    migrate,
    mover(
      'migrate-from-etcd',
      'Take over the data directory of an etcd',
      'Makes a data directory of this program from that of an etcd member: same ids, revision, leases and users.',
    ),
    mover('migrate-to-etcd', 'Make a data directory for an etcd', 'The way back: makes a data directory that a real etcd can start from.'),
    utilSnapshot,
    version,
    complete,
  ],
};

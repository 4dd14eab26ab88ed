/** Commands on the data directory of a member that does not run. */
import type { CommandSpec } from '../frame/spec.ts';
import { stdout } from '../frame/output.ts';
import { counter } from '../text/go-numbers.ts';
import { formatOf, printListing } from './print.ts';
import { withTool } from './tool.ts';

export const defrag: CommandSpec = {
  name: 'defrag',
  args: '',
  summary: 'Give back the space of deleted keys, offline',
  about: [
    'Rewrites the store of a stopped member without what was deleted. For a running member there is the client command `defrag`.',
    'Works on data directories of tsetcd and of etcd.',
  ],
  examples: [
    { command: 'defrag --data-dir default.etcd', about: 'of the member whose data this is' },
    { command: 'defrag --data-dir default.etcd --timeout 1m', about: 'wait up to a minute until the member has stopped' },
  ],
  flags: [{ name: 'data-dir', type: 'string', value: 'DIR', usage: "the member's data directory", complete: 'files' }],
  required: ['data-dir'],
  async run(inv) {
    const { defragDataDir } = await import('../../server/offline/defrag.ts');
    await withTool(inv, 'defrag', (tool) => defragDataDir(tool, inv.flags.string('data-dir')));
    return 0;
  },
};

export const hashkv: CommandSpec = {
  name: 'hashkv',
  args: '<filename>',
  summary: 'Print the hash of the keys and their history',
  about: [
    'Prints the number that `endpoint hashkv` gives on a running member, the revision it is for, and the compacted revision. Members with equal content at equal revisions give equal numbers.',
    'Reads a snapshot file, a database file, or the data directory of a stopped member, and does not change it.',
  ],
  examples: [
    { command: 'hashkv backup.db', about: 'at the newest revision' },
    { command: 'hashkv default.etcd --rev 1000', about: 'of a stopped member, at revision 1000' },
  ],
  flags: [{ name: 'rev', type: 'int', value: 'N', usage: 'hash up to this revision; 0 for all' }],
  argCount: 1,
  complete: ['files'],
  async run(inv) {
    const [file = ''] = inv.args;
    const format = formatOf(inv);
    const rev = counter(inv.flags.bigint('rev'));
    const { hashKv } = await import('../../server/offline/hash-kv.ts');
    const h = await withTool(inv, 'hashkv', (tool) => hashKv(tool, file, rev));
    await printListing(format, {
      fields: [
        ['hash', 'Hash', h.hash],
        ['hashRevision', 'Hash revision', h.hashRevision],
        ['compactRevision', 'Compact revision', h.compactRevision],
      ],
      cells: [
        ['hash', String(h.hash)],
        ['hash revision', String(h.hashRevision)],
        ['compact revision', String(h.compactRevision)],
      ],
    });
    return 0;
  },
};

export const migrate: CommandSpec = {
  name: 'migrate',
  args: '',
  summary: 'Rewrite the store for another minor version of etcd',
  about: [
    'Changes the storage version of a stopped member, so that a release of another minor version takes its data directory. Online, `downgrade` does this for a whole cluster.',
    'To move a member between etcd and tsetcd see migrate-from-etcd and migrate-to-etcd.',
  ],
  examples: [
    { command: 'migrate --data-dir default.etcd --target-version 3.6', about: 'for a release 3.6' },
    { command: 'migrate --data-dir default.etcd --target-version 3.5 --force', about: 'even where there is no way to it' },
  ],
  flags: [
    { name: 'data-dir', type: 'string', value: 'DIR', usage: "the member's data directory", complete: 'files' },
    { name: 'force', type: 'bool', usage: 'set the version even when the store cannot be migrated to it' },
    { name: 'target-version', type: 'string', value: 'X.Y', usage: 'version to migrate to, at least 3.5' },
  ],
  required: ['data-dir', 'target-version'],
  async run(inv) {
    const { migrateStorage, parseTargetVersion } = await import('../../server/offline/storage-version.ts');
    await withTool(inv, 'migrate', async (tool) => {
      const target = parseTargetVersion(inv.flags.string('target-version'));
      return migrateStorage(tool, { dataDir: inv.flags.string('data-dir'), target, force: inv.flags.bool('force') });
    });
    return 0;
  },
};

function moveCommand(from: 'etcd' | 'tsetcd'): CommandSpec {
  const to = from === 'etcd' ? 'tsetcd' : 'etcd';
  const name = from === 'etcd' ? 'migrate-from-etcd' : 'migrate-to-etcd';
  return {
    name,
    args: '--data-dir OLD --to NEW',
    summary: `Make a data directory of ${to} from one of ${from}`,
    about: [
      `Makes a data directory of ${to} from that of a stopped member of ${from}, with the same member id, cluster id, revision, history, leases and users. The old directory is not changed.`,
      'In a cluster this is done member by member: stop one, move its directory, start it again with the other program and the same flags.',
    ],
    examples: [
      { command: `${name} --data-dir default.etcd --to moved.etcd`, about: 'a member with its raft log inside the data directory' },
      {
        command: `${name} --data-dir default.etcd --wal-dir /fast/wal --to moved.etcd --to-wal-dir /fast/moved`,
        about: 'one with its raft log elsewhere',
      },
    ],
    own: true,
    flags: [
      { name: 'data-dir', type: 'string', value: 'OLD', usage: `data directory of ${from}`, complete: 'files' },
      { name: 'to', type: 'string', value: 'NEW', usage: `data directory of ${to} to make; must be empty or absent`, complete: 'files' },
      { name: 'to-wal-dir', type: 'string', value: 'DIR', usage: 'where its raft log goes; NEW/member/wal when empty', complete: 'files' },
      { name: 'wal-dir', type: 'string', value: 'DIR', usage: 'where the old raft log is; OLD/member/wal when empty', complete: 'files' },
    ],
    required: ['data-dir', 'to'],
    async run(inv) {
      const { migrateFromEtcd, migrateToEtcd } = await import('../../server/offline/move.ts');
      const { flags } = inv;
      const options = {
        dataDir: flags.string('data-dir'),
        walDir: flags.string('wal-dir'),
        to: flags.string('to'),
        toWalDir: flags.string('to-wal-dir'),
      };
      const moved = await withTool(inv, name, (tool) => (from === 'etcd' ? migrateFromEtcd(tool, options) : migrateToEtcd(tool, options)));
      stdout(
        `Member ${moved.memberId.toString(16)} of cluster ${moved.clusterId.toString(16)} moved to ${options.to}: ` +
          `revision ${moved.revision}, ${moved.rows} stored versions, raft index ${moved.consistentIndex}\n`,
      );
      return 0;
    },
  };
}

export const migrateFromEtcd = moveCommand('etcd');
export const migrateToEtcd = moveCommand('tsetcd');

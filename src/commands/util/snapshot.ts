import { badArgs } from '../frame/exit.ts';
import type { CommandSpec } from '../frame/spec.ts';
import { formatSize } from '../text/go-numbers.ts';
import { formatOf, printListing } from './print.ts';
import { withTool } from './tool.ts';

const status: CommandSpec = {
  name: 'status',
  args: '<filename>',
  summary: 'Show what is in a snapshot file',
  about: [
    'Reads a snapshot file from its first to its last page and prints a checksum of the content, the newest revision, how many keys are there at it, the size of the database, and the storage version.',
    'A database file or the directory member/snap/db of a stopped member will do as well. Nothing is changed.',
  ],
  examples: [
    { command: 'snapshot status backup.db', about: 'checksum, revision, keys, size, version' },
    { command: 'snapshot status backup.db -w table', about: 'the same, drawn as a table' },
  ],
  complete: ['files'],
  async run(inv) {
    const [file] = inv.args;
    if (inv.args.length !== 1 || file === undefined) throw badArgs('snapshot status requires exactly one argument');
    const format = formatOf(inv);
    const { snapshotStatus } = await import('../../server/offline/snapshot-status.ts');
    const s = await withTool(inv, 'status', (tool) => snapshotStatus(tool, file));
    await printListing(format, {
      fields: [
        ['hash', 'Hash', s.hash],
        ['revision', 'Revision', s.revision],
        ['totalKey', 'Keys', s.totalKey],
        ['totalSize', 'Size', s.totalSize],
        ['version', 'Version', s.version],
      ],
      cells: [
        ['hash', s.hash.toString(16)],
        ['revision', String(s.revision)],
        ['total keys', String(s.totalKey)],
        ['total size', formatSize(s.totalSize)],
        ['version', s.version],
      ],
    });
    return 0;
  },
};

const restore: CommandSpec = {
  name: 'restore',
  args: '<filename> --data-dir {output dir} [options]',
  summary: 'Make a data directory from a snapshot file',
  about: [
    'Makes the data directory of one member of a new cluster from a snapshot file. Keys with their history, leases, users and alarms are those of the snapshot; members and ids are new, so that the new cluster cannot be mistaken for the old one.',
    'Every member of the new cluster restores from the same file, with its own --name and --initial-advertise-peer-urls and the same --initial-cluster.',
    'Clients that keep revisions (watches, caches) must not see an old revision again with other content: --bump-revision with --mark-compacted moves the new cluster beyond all that they have seen.',
  ],
  examples: [
    { command: 'snapshot restore backup.db --data-dir restored', about: 'a cluster of one member' },
    {
      command:
        'snapshot restore backup.db --name m1 --initial-cluster m1=http://10.0.0.1:2380,m2=http://10.0.0.2:2380 --initial-advertise-peer-urls http://10.0.0.1:2380',
      about: 'the first member of two, in m1.etcd',
    },
    {
      command: 'snapshot restore backup.db --bump-revision 1000000000 --mark-compacted',
      about: 'with revisions that no client has seen',
    },
  ],
  flags: [
    { name: 'bump-revision', type: 'uint', value: 'N', usage: 'add this much to the newest revision' },
    { name: 'data-dir', type: 'string', value: 'DIR', usage: 'directory to make; NAME.etcd when empty', complete: 'files' },
    {
      name: 'initial-advertise-peer-urls',
      type: 'string',
      default: 'http://localhost:2380',
      value: 'URLS',
      usage: "this member's peer URLs",
    },
    {
      name: 'initial-cluster',
      type: 'string',
      default: 'default=http://localhost:2380',
      value: 'LIST',
      usage: 'all members of the new cluster, as NAME=URL,…',
    },
    { name: 'initial-cluster-token', type: 'string', default: 'etcd-cluster', value: 'TOKEN', usage: 'keeps clusters apart' },
    {
      name: 'initial-memory-map-size',
      type: 'uint',
      default: '10737418240',
      value: 'BYTES',
      usage: "taken for etcdutl's sake; there is no memory map here",
    },
    { name: 'mark-compacted', type: 'bool', usage: 'forget history below the bumped revision (required with --bump-revision)' },
    { name: 'name', type: 'string', default: 'default', value: 'NAME', usage: "this member's name" },
    { name: 'skip-hash-check', type: 'bool', usage: 'take a file without the checksum, such as a copy of a database' },
    { name: 'wal-dir', type: 'string', value: 'DIR', usage: 'directory for the raft log; DIR/member/wal when empty', complete: 'files' },
  ],
  complete: ['files'],
  async run(inv) {
    const [file] = inv.args;
    if (inv.args.length !== 1 || file === undefined) throw badArgs('snapshot restore requires exactly one argument');
    const { flags } = inv;
    const { restoreSnapshot } = await import('../../server/offline/restore.ts');
    await withTool(inv, 'restore', (tool) =>
      restoreSnapshot(tool, {
        path: file,
        name: flags.string('name'),
        dataDir: flags.string('data-dir'),
        walDir: flags.string('wal-dir'),
        initialCluster: flags.string('initial-cluster'),
        initialClusterToken: flags.string('initial-cluster-token'),
        initialAdvertisePeerUrls: flags.string('initial-advertise-peer-urls'),
        skipHashCheck: flags.bool('skip-hash-check'),
        bumpRevision: flags.int('bump-revision'),
        markCompacted: flags.bool('mark-compacted'),
      }),
    );
    return 0;
  },
};

export const snapshot: CommandSpec = {
  name: 'snapshot',
  summary: 'Look at snapshot files, and make data directories from them',
  about: ['A snapshot file is what `snapshot save` gives: the database of one member, and a checksum behind it.'],
  commands: [restore, status],
};

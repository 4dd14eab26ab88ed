import { badArgs } from '../frame/exit.ts';
import type { CommandSpec } from '../frame/spec.ts';
import { humanBytes } from '../../base/human-bytes.ts';
import { checkFormat, printFinding, runTool } from './run-tool.ts';

const status: CommandSpec = {
  name: 'status',
  args: '<filename>',
  summary: 'Show what is in a snapshot file',
  about: [
    'Shows hash, revision, number of keys, size and version of a snapshot file, a database file, or the database of a data directory.',
  ],
  examples: [
    { command: 'snapshot status backup.db', about: 'as one line' },
    { command: 'snapshot status backup.db -w table', about: 'as a table' },
  ],
  complete: ['files'],
  async run(inv) {
    const [file] = inv.args;
    if (inv.args.length !== 1 || file === undefined) throw badArgs('snapshot status requires exactly one argument');
    checkFormat(inv);
    const s = await runTool(inv, (offline, tool) => offline.snapshotStatus(tool, file));
    await printFinding(inv, {
      simple: [s.hash.toString(16), String(s.revision), String(s.totalKey), humanBytes(s.totalSize), s.version],
      json: { hash: s.hash, revision: s.revision, totalKey: s.totalKey, totalSize: s.totalSize, version: s.version },
      fields: [
        ['Hash', s.hash],
        ['Revision', s.revision],
        ['Keys', s.totalKey],
        ['Size', s.totalSize],
        ['Version', s.version],
      ],
      header: ['hash', 'revision', 'total keys', 'total size', 'version'],
    });
    return 0;
  },
};

const restore: CommandSpec = {
  name: 'restore',
  args: '<filename>',
  summary: 'Make a data directory from a snapshot file',
  about: [
    'Makes the data directory of a member of a new cluster that begins with the data of a snapshot. Each member of the new cluster is restored from the same file, with its own name and peer URLs.',
    'When clients have seen revisions newer than the snapshot, --bump-revision and --mark-compacted keep these from meaning something else later.',
  ],
  examples: [
    { command: 'snapshot restore backup.db --data-dir=/var/lib/tsetcd', about: 'a cluster of one member' },
    {
      command:
        'snapshot restore backup.db --name=m1 --initial-cluster=m1=http://a:2380,m2=http://b:2380 --initial-advertise-peer-urls=http://a:2380',
      about: 'the first of two members',
    },
  ],
  flags: [
    { name: 'bump-revision', type: 'uint', usage: 'raise the newest revision by so much' },
    { name: 'data-dir', type: 'string', value: 'DIR', usage: 'the new data directory; NAME.etcd when not given', complete: 'files' },
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
      usage: 'members of the new cluster, as NAME=URL',
    },
    {
      name: 'initial-cluster-token',
      type: 'string',
      default: 'etcd-cluster',
      value: 'TOKEN',
      usage: 'tells the new cluster from others with the same members',
    },
    {
      name: 'initial-memory-map-size',
      type: 'uint',
      default: '10737418240',
      value: 'BYTES',
      usage: 'accepted for compatibility; nothing is mapped',
    },
    { name: 'mark-compacted', type: 'bool', usage: 'count everything up to the raised revision as compacted' },
    { name: 'name', type: 'string', default: 'default', value: 'NAME', usage: "this member's name" },
    { name: 'skip-hash-check', type: 'bool', usage: 'accept a file without checksum, such as one copied from a data directory' },
    {
      name: 'wal-dir',
      type: 'string',
      value: 'DIR',
      usage: 'the new WAL directory; inside the data directory when not given',
      complete: 'files',
    },
  ],
  complete: ['files'],
  async run(inv) {
    const [path] = inv.args;
    if (inv.args.length !== 1 || path === undefined) throw badArgs('snapshot restore requires exactly one argument');
    const { flags } = inv;
    await runTool(inv, (offline, tool) =>
      offline.restoreSnapshot(tool, {
        path,
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

export const utilSnapshot: CommandSpec = {
  name: 'snapshot',
  summary: 'Look at snapshot files and restore from them',
  about: ['Works on the files of `snapshot save`, and on database files.'],
  commands: [restore, status],
};

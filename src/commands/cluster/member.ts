import { Cluster } from '../../api/gen/methods.ts';
import { guardFlags, mayProceed, type Outlook } from '../frame/confirm.ts';
import { badArgs, CommandError, ExitCode } from '../frame/exit.ts';
import type { CommandSpec, FlagSpec } from '../frame/spec.ts';
import { hexId } from '../printers/simple.ts';
import { NumberError, parseUint64 } from '../text/go-numbers.ts';
import { quote } from '../text/quote.ts';
import { checkPeerUrls } from './urls.ts';

const pad16 = (id: bigint): string => hexId(id).padStart(16, ' ');

/** @throws CommandError */
function memberId(args: readonly string[]): bigint {
  const [text] = args;
  if (args.length !== 1 || text === undefined) throw badArgs('member ID is not provided');
  try {
    return parseUint64(text, 16);
  } catch (error) {
    if (error instanceof NumberError) throw badArgs(`bad member ID arg (${error.message}), expecting ID in Hex`);
    throw error;
  }
}

const peerUrls: FlagSpec = { name: 'peer-urls', type: 'string', value: 'URLS', usage: 'peer URLs of the member, separated by commas' };

const add: CommandSpec = {
  name: 'add',
  args: '<name>',
  summary: 'Add a member',
  about: [
    'Adds a member to the cluster, as a voter or with --learner as a learner, and prints the settings to start it with.',
    'Add one at a time, and start it before the next: each voter that is added counts for the majority at once.',
  ],
  examples: [
    { command: 'member add m4 --peer-urls=http://10.0.0.4:2380', about: 'a voter' },
    { command: 'member add m4 --learner --peer-urls=http://10.0.0.4:2380', about: 'a learner, to be promoted when it has caught up' },
  ],
  flags: [{ name: 'learner', type: 'bool', usage: 'add it as a learner, which has no vote' }, peerUrls],
  async run(inv) {
    const [name] = inv.args;
    if (name === undefined) throw badArgs('member name not provided');
    if (inv.args.length > 1)
      throw badArgs(
        /^https?:/.test(inv.args[1] ?? '') ? `too many arguments, did you mean --peer-urls=${inv.args[1]}` : 'too many arguments',
      );
    const urls = inv.flags.string('peer-urls');
    if (urls === '') throw badArgs('member peer urls not provided');
    const learner = inv.flags.bool('learner');
    const list = urls.split(',');
    await inv.client();
    const response = await inv.call(Cluster.memberAdd, { peerURLs: checkPeerUrls(list), isLearner: learner });
    const id = response.member?.ID ?? 0n;
    const cluster = response.header?.clusterId ?? 0n;
    const { format } = await inv.printer();
    inv.print('member', {
      words: `Member ${pad16(id)} added ${learner ? 'as learner ' : ''}to cluster ${pad16(cluster)}`,
      message: response,
      typeName: 'etcdserverpb.MemberAddResponse',
    });
    if (format !== 'simple') return 0;
    const initial = response.members.flatMap((m) => m.peerURLs.map((u) => `${m.ID === id ? name : m.name}=${u}`));
    const { stdout } = await import('../frame/output.ts');
    stdout(
      `\nETCD_NAME=${quote(name)}\nETCD_INITIAL_CLUSTER=${quote(initial.join(','))}\n` +
        `ETCD_INITIAL_ADVERTISE_PEER_URLS=${quote(urls)}\nETCD_INITIAL_CLUSTER_STATE="existing"\n`,
    );
    return 0;
  },
};

const list: CommandSpec = {
  name: 'list',
  args: '',
  summary: 'List the members',
  about: ['Lists the members of the cluster: id, whether it has started, name, peer URLs, client URLs, whether it is a learner.'],
  examples: [
    { command: 'member list -w table', about: 'as a table' },
    { command: 'member list --consistency=s', about: 'as the asked member knows it, even without a majority' },
  ],
  flags: [
    {
      name: 'consistency',
      type: 'string',
      default: 'l',
      value: 'l|s',
      usage: 'l: linearizable; s: serializable, from the asked member alone',
      complete: ['l', 's'],
    },
  ],
  async run(inv) {
    const consistency = inv.flags.string('consistency');
    if (consistency !== 'l' && consistency !== 's')
      // etcdctl names the value that `get` has for the flag, which is its default.
      throw new CommandError(ExitCode.BadFeature, 'unknown consistency flag "l"');
    inv.print('memberList', await inv.call(Cluster.memberList, { linearizable: consistency === 'l' }));
    return 0;
  },
};

const promote: CommandSpec = {
  name: 'promote',
  args: '<memberID>',
  summary: 'Make a learner a voter',
  about: ['Gives a learner that has caught up with the leader its vote.'],
  examples: [
    { command: 'member promote 8e9e05c52164694d', about: 'by its id' },
    { command: 'member promote 8e9e05c52164694d -w json', about: 'with the members afterwards as JSON' },
  ],
  complete: ['members'],
  async run(inv) {
    const id = memberId(inv.args);
    const response = await inv.call(Cluster.memberPromote, { ID: id });
    inv.print('member', {
      words: `Member ${pad16(id)} promoted in cluster ${pad16(response.header?.clusterId ?? 0n)}`,
      message: response,
      typeName: 'etcdserverpb.MemberPromoteResponse',
    });
    return 0;
  },
};

const remove: CommandSpec = {
  name: 'remove',
  args: '<memberID>',
  summary: 'Remove a member',
  about: ['Removes a member for good: its id never comes back, and its data directory is of no more use.'],
  examples: [
    { command: 'member remove 8e9e05c52164694d', about: 'by its id' },
    { command: 'member remove 8e9e05c52164694d --dry-run', about: 'only says which member that is' },
  ],
  flags: [...guardFlags],
  complete: ['members'],
  async run(inv) {
    const id = memberId(inv.args);
    const look = async (): Promise<Outlook> => {
      const { members } = await inv.call(Cluster.memberList, { linearizable: true });
      const found = members.find((m) => m.ID === id);
      const name = found === undefined ? 'which does not exist' : found.name === '' ? 'which has not started' : `called ${found.name}`;
      return { deed: `remove member ${hexId(id)}, ${name}, from a cluster of ${members.length}`, items: found?.peerURLs ?? [] };
    };
    if (!(await mayProceed(inv, look))) return 0;
    const response = await inv.call(Cluster.memberRemove, { ID: id });
    inv.print('member', {
      words: `Member ${pad16(id)} removed from cluster ${pad16(response.header?.clusterId ?? 0n)}`,
      message: response,
      typeName: 'etcdserverpb.MemberRemoveResponse',
    });
    return 0;
  },
};

const update: CommandSpec = {
  name: 'update',
  args: '<memberID>',
  summary: 'Change the peer URLs of a member',
  about: ['Tells the cluster under which URLs the other members reach this one from now on.'],
  examples: [
    { command: 'member update 8e9e05c52164694d --peer-urls=https://10.0.0.1:2380', about: 'a new address' },
    { command: 'member update 8e9e05c52164694d --peer-urls=http://a:2380,http://b:2380', about: 'several' },
  ],
  flags: [peerUrls],
  complete: ['members'],
  async run(inv) {
    const id = memberId(inv.args);
    const urls = inv.flags.string('peer-urls');
    if (urls === '') throw badArgs('member peer urls not provided');
    await inv.client();
    const response = await inv.call(Cluster.memberUpdate, { ID: id, peerURLs: checkPeerUrls(urls.split(',')) });
    inv.print('member', {
      words: `Member ${pad16(id)} updated in cluster ${pad16(response.header?.clusterId ?? 0n)}`,
      message: response,
      typeName: 'etcdserverpb.MemberUpdateResponse',
    });
    return 0;
  },
};

export const member: CommandSpec = {
  name: 'member',
  group: 'Cluster maintenance commands',
  summary: 'List and change the members',
  about: ['Who belongs to the cluster: list, add, update, remove, and promote learners.'],
  commands: [add, list, promote, remove, update],
};

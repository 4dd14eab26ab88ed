import { DowngradeRequest_DowngradeAction as Action } from '../../api/gen/etcdserverpb.ts';
import { Maintenance } from '../../api/gen/methods.ts';
import { badArgs } from '../frame/exit.ts';
import type { Invocation } from '../frame/invocation.ts';
import type { CommandSpec } from '../frame/spec.ts';

async function ask(inv: Invocation, name: string, action: Action, version: string): Promise<number> {
  const response = await inv.call(Maintenance.downgrade, { action, version });
  inv.print('downgrade', { words: `Downgrade ${name} success, cluster version ${response.version}`, response });
  return 0;
}

/** @throws CommandError */
function target(args: readonly string[]): string {
  const [version] = args;
  if (version === undefined) throw badArgs('TARGET_VERSION not provided');
  if (args.length > 1) throw badArgs('too many arguments');
  if (version === '') throw badArgs('target version not provided');
  return version;
}

export const downgrade: CommandSpec = {
  name: 'downgrade',
  group: 'Cluster maintenance commands',
  summary: 'Go back to the version before',
  about: [
    'Prepares a cluster for members of the minor version before its own: validate, then enable; the members are then exchanged one by one.',
  ],
  commands: [
    {
      name: 'cancel',
      args: '',
      summary: 'Abort a downgrade',
      about: ['Ends a downgrade that has not been completed.'],
      examples: [
        { command: 'downgrade cancel', about: 'ends it' },
        { command: 'downgrade cancel -w json', about: 'with the answer as JSON' },
      ],
      run: (inv) => ask(inv, 'cancel', Action.CANCEL, ''),
    },
    {
      name: 'enable',
      args: '<TARGET_VERSION>',
      summary: 'Begin a downgrade',
      about: ['Tells the cluster to become fit for members of the target version.'],
      examples: [
        { command: 'downgrade enable 3.6', about: 'to 3.6' },
        { command: 'downgrade enable 3.6.0 -w json', about: 'with the answer as JSON' },
      ],
      run: (inv) => ask(inv, 'enable', Action.ENABLE, target(inv.args)),
    },
    {
      name: 'validate',
      args: '<TARGET_VERSION>',
      summary: 'Ask whether a downgrade is possible',
      about: ['Checks that the cluster could be downgraded, without changing anything.'],
      examples: [
        { command: 'downgrade validate 3.6', about: 'to 3.6' },
        { command: 'downgrade validate 3.6 -w json', about: 'with the answer as JSON' },
      ],
      run: (inv) => ask(inv, 'validate', Action.VALIDATE, target(inv.args)),
    },
  ],
};

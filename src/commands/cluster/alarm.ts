import { AlarmRequest_AlarmAction as AlarmAction, AlarmType, type AlarmMember } from '../../api/gen/etcdserverpb.ts';
import { Maintenance } from '../../api/gen/methods.ts';
import { badArgs } from '../frame/exit.ts';
import type { CommandSpec } from '../frame/spec.ts';

const disarm: CommandSpec = {
  name: 'disarm',
  args: '',
  summary: 'Clear all alarms',
  about: ['Clears every alarm of every member. One whose reason is still there comes back.'],
  examples: [
    { command: 'alarm disarm', about: 'clears all alarms' },
    { command: 'alarm disarm -w json', about: 'and shows them as JSON' },
  ],
  async run(inv) {
    if (inv.args.length > 0) throw badArgs('alarm disarm command accepts no arguments');
    const all = await inv.call(Maintenance.alarm, { action: AlarmAction.GET });
    const alarms: AlarmMember[] = [];
    // One at a time: a request names one member and one alarm.
    for (const a of all.alarms) {
      if (a.alarm === AlarmType.NONE) continue;
      const done = await inv.call(Maintenance.alarm, { action: AlarmAction.DEACTIVATE, memberID: a.memberID, alarm: a.alarm });
      alarms.push(...done.alarms);
    }
    inv.print('alarm', { header: undefined, alarms });
    return 0;
  },
};

const list: CommandSpec = {
  name: 'list',
  args: '',
  summary: 'Show active alarms',
  about: [
    'Shows which member has raised which alarm: NOSPACE when its database reached the quota, CORRUPT when its data differs from others.',
  ],
  examples: [
    { command: 'alarm list', about: 'one alarm a line' },
    { command: 'alarm list -w json', about: 'as JSON' },
  ],
  async run(inv) {
    if (inv.args.length > 0) throw badArgs('alarm list command accepts no arguments');
    inv.print('alarm', await inv.call(Maintenance.alarm, { action: AlarmAction.GET }));
    return 0;
  },
};

export const alarm: CommandSpec = {
  name: 'alarm',
  group: 'Cluster maintenance commands',
  summary: 'Show and clear alarms',
  about: ['A member raises an alarm when its database is full or its data is in doubt; while one is active the cluster refuses writes.'],
  commands: [disarm, list],
};

/** The offline tool's commands, in the order of its help. */
import type { CommandSpec, FlagSpec } from '../frame/spec.ts';
import { complete, completion } from '../tools/completion.ts';
import { help } from '../tools/help.ts';
import { version } from '../tools/version.ts';
import { defrag, hashkv, migrate, migrateFromEtcd, migrateToEtcd } from './data-dir.ts';
import { snapshot } from './snapshot.ts';

export const utilRoot: CommandSpec = {
  name: '',
  summary: 'Work on data directories and snapshot files, without a server.',
  commands: [completion, defrag, hashkv, help, migrate, migrateFromEtcd, migrateToEtcd, snapshot, version, complete],
};

export const utilFlags: readonly FlagSpec[] = [
  {
    name: 'timeout',
    type: 'duration',
    default: '10s',
    usage: 'wait for another process to let go of the data; 0 for ever',
  },
  {
    name: 'write-out',
    short: 'w',
    type: 'string',
    default: 'simple',
    value: 'FORMAT',
    usage: 'output format: fields, json, protobuf, simple or table',
    complete: ['simple', 'json', 'fields', 'table', 'protobuf'],
  },
];

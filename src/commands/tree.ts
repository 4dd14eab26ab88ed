/** Every client command, in the order of the root's help. */
import type { CommandSpec } from './frame/spec.ts';
import { compaction } from './kv/compaction.ts';
import { del } from './kv/del.ts';
import { get } from './kv/get.ts';
import { put } from './kv/put.ts';

export const root: CommandSpec = {
  name: '',
  summary: 'A command line for etcd and tsetcd clusters.',
  commands: [compaction, del, get, put],
};

/** Every client command, in the order of the root's help. */
import { alarm } from './cluster/alarm.ts';
import { defrag } from './cluster/defrag.ts';
import { endpoint } from './cluster/endpoint.ts';
import type { CommandSpec } from './frame/spec.ts';
import { compaction } from './kv/compaction.ts';
import { del } from './kv/del.ts';
import { get } from './kv/get.ts';
import { put } from './kv/put.ts';
import { txn } from './kv/txn.ts';
import { watch } from './kv/watch.ts';
import { lease } from './lease/lease.ts';
import { version } from './tools/version.ts';

export const root: CommandSpec = {
  name: '',
  summary: 'A command line for etcd and tsetcd clusters.',
  commands: [compaction, del, get, lease, put, txn, watch, alarm, defrag, endpoint, version],
};

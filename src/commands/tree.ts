/** Every client command, in the order of the root's help. */
import { auth } from './access/auth.ts';
import { role } from './access/role.ts';
import { user } from './access/user.ts';
import { cert } from './cert/cert.ts';
import { alarm } from './cluster/alarm.ts';
import { defrag } from './cluster/defrag.ts';
import { downgrade } from './cluster/downgrade.ts';
import { endpoint } from './cluster/endpoint.ts';
import { member } from './cluster/member.ts';
import { moveLeader } from './cluster/move-leader.ts';
import { snapshot } from './cluster/snapshot.ts';
import { elect } from './concurrency/elect.ts';
import { lock } from './concurrency/lock.ts';
import { diff } from './data/diff.ts';
import { exportKeys } from './data/export.ts';
import { history } from './data/history.ts';
import { importKeys } from './data/import.ts';
import type { CommandSpec } from './frame/spec.ts';
import { compaction } from './kv/compaction.ts';
import { del } from './kv/del.ts';
import { get } from './kv/get.ts';
import { put } from './kv/put.ts';
import { txn } from './kv/txn.ts';
import { watch } from './kv/watch.ts';
import { lease } from './lease/lease.ts';
import { check } from './tools/check.ts';
import { complete, completion } from './tools/completion.ts';
import { help, options } from './tools/help.ts';
import { makeMirror } from './tools/make-mirror.ts';
import { shell } from './tools/shell.ts';
import { tree } from './tools/tree-view.ts';
import { version } from './tools/version.ts';
import { gateway, grpcProxy } from './proxy/tree.ts';

export const root: CommandSpec = {
  name: '',
  summary: 'A command line for etcd and tsetcd clusters.',
  commands: [
    compaction,
    del,
    diff,
    exportKeys,
    get,
    history,
    importKeys,
    lease,
    put,
    tree,
    txn,
    watch,
    alarm,
    defrag,
    downgrade,
    endpoint,
    member,
    moveLeader,
    snapshot,
    elect,
    lock,
    auth,
    role,
    user,
    cert,
    gateway,
    grpcProxy,
    check,
    completion,
    help,
    makeMirror,
    options,
    shell,
    version,
    complete,
  ],
};

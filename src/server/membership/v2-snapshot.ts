/**
 * The data of a raft snapshot: membership and cluster version as a dump of the store of etcd's former API. 3.7 writes it and takes the members
 * from the database; members of 3.6 and older read it.
 *
 * The dump is that of a store into which the members were just written, one operation after the other:
 *
 *     create /0/members/<id>/raftAttributes    {"peerURLs":[..]}                  each member, by id
 *     set    /0/members/<id>/attributes        {"name":"..","clientURLs":[..]}    once it has published itself
 *     create /0/removed_members/<id>                                              each removed member
 *     set    /0/version                        3.7.0                              once it is known
 *
 * The n-th operation has index n; directories carry the index of the operation that made them. The last 1000 operations are its history.
 */
import { utf8 } from '../../base/bytes.ts';
import type { MemberId } from '../../raft/types.ts';
import type { ClusterMember } from './cluster.ts';
import { idText } from './ids.ts';
import { attributesJson, goJson, raftAttributesJson } from './member-json.ts';

interface Node {
  Path: string;
  CreatedIndex: number;
  ModifiedIndex: number;
  ExpireTime: string;
  Value: string;
  Children: Record<string, Node> | null;
}

/** Slots of the history ring. */
const historyCapacity = 1000;
/** Go's zero time. */
const neverExpires = '0001-01-01T00:00:00Z';

export function v2Snapshot(state: {
  readonly members: readonly ClusterMember[];
  readonly removed: readonly MemberId[];
  readonly version: string | undefined;
}): Uint8Array {
  const root = directory('/', 0);
  root.Children = { 0: directory('/0', 0), 1: directory('/1', 0) };
  const events: unknown[] = [];
  let index = 0;
  let creates = 0;
  const write = (action: 'create' | 'set', key: string, value: string): void => {
    index++;
    if (action === 'create') creates++;
    put(root, key, value, index);
    events.push({ action, node: { key, value, modifiedIndex: index, createdIndex: index } });
  };
  for (const m of [...state.members].sort(byId)) {
    const dir = `/0/members/${idText(m.id)}`;
    write('create', `${dir}/raftAttributes`, raftAttributesJson(m));
    if (m.name !== '' || m.clientUrls.length !== 0) write('set', `${dir}/attributes`, attributesJson(m));
  }
  for (const id of [...state.removed].sort((a, b) => (a < b ? -1 : 1))) write('create', `/0/removed_members/${idText(id)}`, '');
  if (state.version !== undefined) write('set', '/0/version', state.version);

  sortChildren(root);

  const kept = events.slice(-historyCapacity);
  const ring: unknown[] = Array.from({ length: historyCapacity }, (_, i) => kept[i] ?? null);
  return utf8(
    goJson({
      Root: root,
      WatcherHub: {
        EventHistory: {
          Queue: { Events: ring, Size: kept.length, Front: 0, Back: kept.length % historyCapacity, Capacity: historyCapacity },
          StartIndex: index - kept.length + 1,
          LastIndex: index,
        },
      },
      CurrentIndex: index,
      Stats: {
        getsSuccess: 0,
        getsFail: 1,
        setsSuccess: index - creates,
        setsFail: 0,
        deleteSuccess: 0,
        deleteFail: 0,
        updateSuccess: 0,
        updateFail: 0,
        createSuccess: creates,
        createFail: 0,
        compareAndSwapSuccess: 0,
        compareAndSwapFail: 0,
        compareAndDeleteSuccess: 0,
        compareAndDeleteFail: 0,
        expireCount: 0,
        watchers: 0,
      },
      CurrentVersion: 2,
    }),
  );
}

function directory(path: string, index: number): Node {
  return { ...leaf(path, '', index), Children: {} };
}

function leaf(path: string, value: string, index: number): Node {
  return { Path: path, CreatedIndex: index, ModifiedIndex: index, ExpireTime: neverExpires, Value: value, Children: null };
}

function put(root: Node, path: string, value: string, index: number): void {
  const names = path.slice(1).split('/');
  const last = names.pop() as string;
  let at = root;
  let walked = '';
  for (const name of names) {
    walked += `/${name}`;
    const children = (at.Children ??= {});
    at = children[name] ??= directory(walked, index);
  }
  (at.Children ??= {})[last] = leaf(path, value, index);
}

/** Go writes the keys of an object sorted. */
function sortChildren(node: Node): void {
  if (node.Children === null) return;
  node.Children = Object.fromEntries(Object.entries(node.Children).sort(([a], [b]) => (a < b ? -1 : 1)));
  for (const child of Object.values(node.Children)) sortChildren(child);
}

function byId(a: ClusterMember, b: ClusterMember): number {
  return a.id < b.id ? -1 : a.id > b.id ? 1 : 0;
}

// Expected bytes and ids were taken from an etcd 3.7.1 with peer URL http://127.0.0.1:42380 and a learner that came and went.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { errors } from '../../../src/api/status.ts';
import { utf8Text } from '../../../src/base/bytes.ts';
import { ConfChangeType } from '../../../src/raft/types.ts';
import { BucketCluster } from '../../../src/server/membership/bucket-cluster.ts';
import type { ClusterMember } from '../../../src/server/membership/cluster.ts';
import { clusterId, idText, memberId } from '../../../src/server/membership/ids.ts';
import { decodeMember, decodeMemberContext, encodeMemberContext, memberJson } from '../../../src/server/membership/member-json.ts';
import { checkAddVoter, checkPromoteMember, checkRemoveMember } from '../../../src/server/membership/reconfig-rules.ts';
import { ModelBackend } from '../mvcc/model-backend.ts';

const golden = (name: string): string => readFileSync(join(import.meta.dirname, '../../data/membership', `v2-${name}.json`), 'utf8');

const one: ClusterMember = {
  id: 0x667880157b8812c8n,
  peerUrls: ['http://127.0.0.1:42380'],
  isLearner: false,
  name: 'default',
  clientUrls: ['http://127.0.0.1:42379'],
};
const learner: ClusterMember = { id: 0x4ad97ea3b2ec475n, peerUrls: ['http://127.0.0.1:42999'], isLearner: true, name: '', clientUrls: [] };
const voter = (id: bigint, name = `m${id}`): ClusterMember => ({
  id,
  peerUrls: [`http://h${id}:2380`],
  isLearner: false,
  name,
  clientUrls: [],
});

describe('ids', () => {
  it('are etcd’s', () => {
    const id = memberId({ peerUrls: ['http://127.0.0.1:42380'], clusterToken: 'etcd-cluster' });
    expect(idText(id)).toBe('667880157b8812c8');
    expect(idText(clusterId([id]))).toBe('dc50b8daae93b3e0');
  });

  it('do not depend on the order of URLs and members', () => {
    const of = (peerUrls: string[]): bigint => memberId({ peerUrls, clusterToken: 't' });
    expect(of(['http://b:1', 'http://a:1'])).toBe(of(['http://a:1', 'http://b:1']));
    expect(clusterId([3n, 2n ** 63n])).toBe(clusterId([2n ** 63n, 3n]));
    expect(memberId({ peerUrls: ['http://a:1'], clusterToken: 't', addedAtSeconds: 5 })).not.toBe(of(['http://a:1']));
    expect(idText(0xabcn)).toBe('abc');
  });
});

describe('member JSON', () => {
  it('is etcd’s, and its ids are exact', () => {
    expect(memberJson(one)).toBe(
      '{"id":7383792418829112008,"peerURLs":["http://127.0.0.1:42380"],"name":"default","clientURLs":["http://127.0.0.1:42379"]}',
    );
    expect(memberJson(learner)).toBe('{"id":337092579393717365,"peerURLs":["http://127.0.0.1:42999"],"isLearner":true}');
    expect(decodeMember(Buffer.from(memberJson(one)))).toEqual(one);
    expect(decodeMember(Buffer.from(memberJson({ ...one, id: 2n ** 64n - 1n }))).id).toBe(2n ** 64n - 1n);
  });

  it('keeps what looks like an id inside of names', () => {
    const odd = { ...one, name: '"id":7 <&> "id": 9' };
    expect(memberJson(odd)).toContain('\\u003c\\u0026\\u003e');
    expect(decodeMember(Buffer.from(memberJson(odd)))).toEqual(odd);
  });

  it('is the context of a configuration change', () => {
    const bytes = encodeMemberContext({ member: learner, isPromote: true });
    expect(utf8Text(bytes)).toBe('{"id":337092579393717365,"peerURLs":["http://127.0.0.1:42999"],"isLearner":true,"isPromote":true}');
    expect(decodeMemberContext(bytes)).toEqual({ member: learner, isPromote: true });
  });
});

describe('the data of a raft snapshot', () => {
  it('is etcd’s, byte for byte', () => {
    const cluster = new BucketCluster(new ModelBackend(), 1n);
    cluster.add(one);
    cluster.setVersion('3.7.0');
    expect(utf8Text(cluster.v2Snapshot())).toBe(golden('one'));
    cluster.add(learner);
    expect(utf8Text(cluster.v2Snapshot())).toBe(golden('learner'));
    cluster.remove(learner.id);
    expect(utf8Text(cluster.v2Snapshot())).toBe(golden('removed'));
  });

  it('holds many removed members', () => {
    const cluster = new BucketCluster(new ModelBackend(), 1n);
    cluster.add(one);
    for (let i = 1n; i <= 1500n; i++) cluster.remove(i);
    const data = JSON.parse(utf8Text(cluster.v2Snapshot())) as { WatcherHub: { EventHistory: { StartIndex: number; LastIndex: number } } };
    expect(data.WatcherHub.EventHistory).toMatchObject({ StartIndex: 503, LastIndex: 1502 });
  });
});

describe('the buckets', () => {
  it('hold the cluster over a restart', () => {
    const backend = new ModelBackend();
    const cluster = new BucketCluster(backend, 1n);
    let changes = 0;
    cluster.onChange(() => changes++);
    cluster.add(one);
    cluster.add(learner);
    cluster.promote(learner.id);
    cluster.updatePeerUrls(learner.id, ['http://new:1']);
    cluster.updateAttributes(learner.id, 'late', ['http://c:1']);
    cluster.add(voter(5n));
    cluster.remove(5n);
    cluster.setVersion('3.7.0');
    cluster.setDowngrade(true, '3.6.0');
    expect(changes).toBe(9);
    const again = new BucketCluster(backend, 1n);
    expect(again.members()).toEqual([
      { ...learner, isLearner: false, peerUrls: ['http://new:1'], name: 'late', clientUrls: ['http://c:1'] },
      one,
    ]);
    expect(again.isRemoved(5n)).toBe(true);
    expect(again.version).toBe('3.7.0');
    expect(again.downgrade).toEqual({ enabled: true, targetVersion: '3.6.0' });
    const text = (b: Uint8Array): string => utf8Text(b);
    expect(backend.entries('members_removed').map(([k, v]) => [text(k), text(v)])).toEqual([['5', 'removed']]);
    expect(backend.entries('cluster').map(([k, v]) => [text(k), text(v)])).toEqual([
      ['clusterVersion', '3.7.0'],
      ['downgrade', '{"target-version":"3.6.0","enabled":true}'],
    ]);
  });
});

describe('configuration changes', () => {
  const make = (): BucketCluster => {
    const cluster = new BucketCluster(new ModelBackend(), 1n);
    for (const m of [one, learner]) cluster.add(m);
    cluster.remove(77n);
    return cluster;
  };
  const T = ConfChangeType;
  const context = (member: ClusterMember, isPromote = false): Uint8Array => encodeMemberContext({ member, isPromote });
  const fresh = voter(8n, '');

  it.each<[string, number, bigint, Uint8Array, unknown]>([
    ['adding a new voter', T.ConfChangeAddNode, 8n, context(fresh), undefined],
    ['adding one that is there', T.ConfChangeAddNode, one.id, context(one), errors.memberExist],
    ['adding a removed one', T.ConfChangeAddNode, 77n, context(voter(77n)), errors.memberNotFound],
    ['adding one with a URL in use', T.ConfChangeAddNode, 8n, context({ ...fresh, peerUrls: one.peerUrls }), errors.peerURLExist],
    ['adding one learner too many', T.ConfChangeAddLearnerNode, 8n, context({ ...fresh, isLearner: true }), errors.tooManyLearners],
    ['promoting a learner', T.ConfChangeAddNode, learner.id, context(learner, true), undefined],
    ['promoting a voter', T.ConfChangeAddNode, one.id, context(one, true), errors.memberNotLearner],
    ['promoting nobody', T.ConfChangeAddNode, 8n, context(fresh, true), errors.memberNotFound],
    ['removing one', T.ConfChangeRemoveNode, one.id, Buffer.alloc(0), undefined],
    ['removing nobody', T.ConfChangeRemoveNode, 8n, Buffer.alloc(0), errors.memberNotFound],
    ['removing one again', T.ConfChangeRemoveNode, 77n, Buffer.alloc(0), errors.memberNotFound],
    ['updating to its own URL', T.ConfChangeUpdateNode, one.id, context(one), undefined],
    [
      'updating to the URL of another',
      T.ConfChangeUpdateNode,
      one.id,
      context({ ...one, peerUrls: learner.peerUrls }),
      errors.peerURLExist,
    ],
    ['updating nobody', T.ConfChangeUpdateNode, 8n, context(fresh), errors.memberNotFound],
    ['a context that is no JSON', T.ConfChangeAddNode, 8n, Buffer.from('{'), undefined],
  ])('%s', (_, type, nodeId, bytes, outcome) => {
    expect(make().validate({ type, nodeId, context: bytes }, 1)).toBe(outcome);
  });

  it('need enough started members', () => {
    const refused = errors.memberNotEnoughStartedUnknown;
    const unstarted = (id: bigint): ClusterMember => voter(id, '');
    expect(checkAddVoter([voter(1n)])).toBeUndefined();
    expect(checkAddVoter([voter(1n), unstarted(2n)])).toBe(refused);
    expect(checkAddVoter([voter(1n), voter(2n)])).toBeUndefined();
    expect(checkAddVoter([voter(1n), voter(2n), unstarted(3n)])).toBe(refused);
    expect(checkRemoveMember([voter(1n)], 1n)).toBe(refused);
    expect(checkRemoveMember([voter(1n), voter(2n)], 2n)).toBeUndefined();
    expect(checkRemoveMember([voter(1n), unstarted(2n)], 2n)).toBeUndefined();
    expect(checkRemoveMember([voter(1n), unstarted(2n)], 1n)).toBe(refused);
    expect(checkPromoteMember([voter(1n), { ...learner }], learner.id)).toBeUndefined();
    expect(checkPromoteMember([voter(1n), unstarted(2n), unstarted(3n), { ...learner }], learner.id)).toBe(refused);
  });
});

import { describe, expect, it } from 'vitest';
import { compareMinor, ownHeaders, parseId, refusal, servesStreams } from '../../../src/server/peer/compatibility.ts';
import { membersOf, versionOf } from '../../../src/server/peer/questions.ts';

const own = {
  memberId: 0x898903983759efn,
  clusterId: 0x55b162d1720525en,
  serverVersion: '3.7.1',
  peerUrls: () => ['http://a:1', 'http://b:2'],
};

describe('compatibility', () => {
  it('tells who this member is', () => {
    expect(ownHeaders(own)).toEqual({
      'X-Server-From': '898903983759ef',
      'X-Server-Version': '3.7.1',
      'X-Min-Cluster-Version': '3.0.0',
      'X-Etcd-Cluster-ID': '55b162d1720525e',
      'X-PeerURLs': 'http://a:1,http://b:2',
    });
  });

  it.each([
    ['3.7.1', '3.0.0', undefined],
    ['3.0.0', '3.0.0', undefined],
    ['3.9.0', '3.7.9', undefined],
    ['2.3.0', '2.1.0', 'incompatible version'],
    ['3.8.0', '3.8.0', 'incompatible version'],
    [undefined, undefined, 'incompatible version'],
    ['x', '3.0.0', 'incompatible version'],
  ])('server %s that wants at least %s: %s', (server, least, want) => {
    const headers = new Map([['x-etcd-cluster-id', '55b162d1720525e']]);
    if (server !== undefined) headers.set('x-server-version', server);
    if (least !== undefined) headers.set('x-min-cluster-version', least);
    expect(refusal(own, headers)).toBe(want);
  });

  it('wants the cluster id as it writes it', () => {
    for (const id of ['55b162d1720525E', '055b162d1720525e', '0x55b162d1720525e', '1', '']) {
      const headers = new Map([
        ['x-server-version', '3.7.1'],
        ['x-min-cluster-version', '3.0.0'],
        ['x-etcd-cluster-id', id],
      ]);
      expect(refusal(own, headers)).toBe('cluster ID mismatch');
    }
  });

  it('knows which servers have streams', () => {
    expect(servesStreams(undefined, '3.7.1')).toBe(false);
    expect(servesStreams('2.0.13', '3.7.1')).toBe(false);
    expect(servesStreams('2.1.0', '3.7.1')).toBe(true);
    expect(servesStreams('3.4.30', '3.7.1')).toBe(true);
    expect(servesStreams('3.8.0', '3.7.1')).toBe(true);
    expect(compareMinor('3.7.9', '3.7.1')).toBe(0);
  });

  it('reads ids, lists of members and versions; garbage is nothing', () => {
    expect(parseId('ffffffffffffffff')).toBe(0xffffffffffffffffn);
    for (const bad of ['', 'g', '0x1', '10000000000000000', '-1', ' 1']) expect(parseId(bad)).toBeUndefined();
    const text =
      '[{"id":18446744073709551615,"peerURLs":["http://a:1"],"name":"a{\\"}","clientURLs":["c"]},{"id":397797423893000042,"peerURLs":[],"isLearner":true}]\n';
    expect(membersOf(text)).toEqual([
      { id: 18446744073709551615n, peerUrls: ['http://a:1'], isLearner: false, name: 'a{"}', clientUrls: ['c'] },
      { id: 397797423893000042n, peerUrls: [], isLearner: true, name: '', clientUrls: [] },
    ]);
    expect(membersOf('[]\n')).toEqual([]);
    for (const bad of ['', '{', '[{"id":1,]']) expect(membersOf(bad)).toBeUndefined();
    expect(versionOf('{"etcdserver":"3.7.1","etcdcluster":"3.7.0","storage":"3.7.0"}')).toEqual({ server: '3.7.1', cluster: '3.7.0' });
    for (const bad of ['', '[]', '{"etcdserver":1}']) expect(versionOf(bad)).toBeUndefined();
  });
});

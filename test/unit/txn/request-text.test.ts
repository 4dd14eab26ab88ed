// Requests as the log shows them: their shape and sizes, nothing of their content.
import { expect, it } from 'vitest';
import { InternalRaftRequest } from '../../../src/api/gen/etcdserverpb.ts';
import type { Init } from '../../../src/api/proto-io.ts';
import { utf8 } from '../../../src/base/bytes.ts';
import { requestText } from '../../../src/server/txn/request-text.ts';

const header = { ID: 7n, username: '', authRevision: 0 };
const text = (r: Init<InternalRaftRequest>): string =>
  requestText(InternalRaftRequest.decode(InternalRaftRequest.encode({ header, ...r } as never)));
const key = utf8('secret');

it.each([
  [{ put: { key, value: utf8('v') } }, 'header:<ID:7> put:<key_size:6 value_size:1 >'],
  [{ put: { key, value: utf8('v'), lease: 5n } }, 'header:<ID:7> put:<key_size:6 value_size:1 lease:5 >'],
  [{ header: { ...header, username: 'a' }, put: { key } }, 'header:<ID:7 username:"a"> put:<key_size:6 value_size:0 >'],
  [{ deleteRange: { key, rangeEnd: utf8('x') } }, 'header:{ID:7}  delete_range:{key_size:6 range_end_size:1}'],
  [{ compaction: { revision: 3, physical: true } }, 'header:{ID:7}  compaction:{revision:3 physical:true}'],
  [{ leaseGrant: { TTL: 50, ID: 9n } }, 'header:{ID:7}  lease_grant:{TTL:50 ID:9}'],
  [{ leaseRevoke: { ID: 9n } }, 'header:{ID:7}  lease_revoke:{ID:9}'],
  [{ clusterVersionSet: { ver: '3.7.0' } }, 'header:{ID:7}  cluster_version_set:{}'],
  [
    {
      txn: {
        compare: [{ key }],
        success: [{ requestPut: { key } }, { requestRange: { key } }],
        failure: [{ requestDeleteRange: { key } }],
      },
    },
    'header:<ID:7> txn:<compare:1 success:<request_put:<key_size:6 value_size:0 > request_range:{key_size:6}> failure:<request_delete_range:{key_size:6}>>',
  ],
] as [Init<InternalRaftRequest>, string][])('%o', (request, expected) => {
  expect(text(request)).toBe(expected);
});

it('a txn of many operations stays short', () => {
  const line = text({ txn: { success: Array.from({ length: 128 }, () => ({ requestPut: { key } })) } } as never);
  expect(line.length).toBeLessThan(1500);
  expect(line).toContain('and 112 more');
});

// What the recordings cannot show: entries that came past the checks, quota at apply, what stays undone when an entry fails.
import { describe, expect, it } from 'vitest';
import { LeaseGrantResponse, PutResponse, TxnResponse } from '../../../src/api/gen/etcdserverpb.ts';
import { KeyValue } from '../../../src/api/gen/mvccpb.ts';
import { errors } from '../../../src/api/status.ts';
import { emptyBytes, latin1 } from '../../../src/base/bytes.ts';
import type { RaftRequest } from '../../../src/server/apply/types.ts';
import { BackendQuota, defaultQuotaBytes, putCost, txnCost } from '../../../src/server/apply/quota.ts';
import { MiniMember } from './mini-member.ts';

const bytes = (text: string): Uint8Array => Buffer.from(text, 'latin1');
const put = (key: string, value = 'v', more: object = {}): RaftRequest => ({ put: { key: bytes(key), value: bytes(value), ...more } });

/** Key → value and lease of all keys. */
function content(m: MiniMember): Record<string, string> {
  const { kvs } = m.kv.range({ key: Buffer.of(0), end: emptyBytes, rev: 0, limit: 0, countOnly: false });
  return Object.fromEntries(
    kvs.map((kv) => {
      const { key, value, lease } = KeyValue.decode(kv);
      return [latin1(key), lease === 0n ? latin1(value) : `${latin1(value)}@${lease}`];
    }),
  );
}

describe('put', () => {
  it('answers with its revision and no body', () => {
    const m = new MiniMember();
    expect(m.apply(put('a'))).toEqual({ error: undefined, rev: 2, body: [], whenCompacted: undefined });
    expect(m.kv.currentRev).toBe(2);
  });

  it('gives the former row as it is stored', () => {
    const m = new MiniMember();
    m.apply(put('a', 'old'));
    const { body, rev } = m.apply(put('a', 'new', { prevKv: true }));
    expect(rev).toBe(3);
    expect(PutResponse.decode(Buffer.concat(body)).prevKv).toMatchObject({ value: Buffer.from('old'), modRevision: 2 });
  });

  it('with a missing lease has no effect', () => {
    const m = new MiniMember();
    expect(m.apply(put('a', 'v', { lease: 9n })).error).toBe(errors.leaseNotFound);
    const txn = { success: [{ requestPut: { key: bytes('b'), value: bytes('1') } }, { requestPut: { key: bytes('c'), lease: 9n } }] };
    expect(m.apply({ txn }).error).toBe(errors.leaseNotFound);
    expect(content(m)).toEqual({});
    expect(m.kv.currentRev).toBe(1);
  });
});

describe('a txn that no member should have proposed', () => {
  it.each([
    ['delete, then a put that keeps the value', { requestDeleteRange: { key: bytes('a'), rangeEnd: Buffer.of(0) } }, []],
    [
      'delete and put again in between',
      { requestDeleteRange: { key: bytes('k') } },
      [{ requestPut: { key: bytes('k'), value: bytes('x') } }],
    ],
  ])('%s', (_, first, between) => {
    const m = new MiniMember();
    m.apply(put('k', 'kept'));
    const success = [first, ...between, { requestPut: { key: bytes('k'), ignoreValue: true } }];
    const result = m.apply({ txn: { success } });
    if (between.length === 0) {
      // A real etcd panics here. It must not take effect in part either.
      expect(result.error).toBe(errors.keyNotFound);
      expect(content(m)).toEqual({ k: 'kept' });
      expect(m.kv.currentRev).toBe(2);
    } else {
      expect(result.error).toBeUndefined();
      expect(content(m)).toEqual({ k: 'x' });
    }
  });

  it('with an empty operation answers it with an empty one', () => {
    const m = new MiniMember();
    const { body } = m.apply({ txn: { success: [{}, { requestPut: { key: bytes('a') } }] } });
    const { responses } = TxnResponse.decode(Buffer.concat(body));
    expect(responses).toHaveLength(2);
    expect(responses[0]?.responsePut).toBeUndefined();
  });
});

describe('quota', () => {
  it('S-032: costs as etcd reckons', () => {
    expect(putCost({ key: bytes('abc'), value: bytes('12345') } as never)).toBe(264);
    const p = { requestPut: { key: bytes('k'), value: bytes('v') } };
    const d = { requestDeleteRange: { key: bytes('k') } };
    expect(txnCost({ compare: [], success: [d], failure: [] } as never)).toBe(0);
    expect(txnCost({ compare: [], success: [p], failure: [p, p] } as never)).toBe(516);
    expect(txnCost({ compare: [], success: [{ requestTxn: { compare: [], success: [p], failure: [p, p] } }], failure: [p] } as never)).toBe(
      516,
    );
  });

  it('takes 0 as the default and a negative one as none', () => {
    expect(new BackendQuota(0, { sizeBytes: 0 }).limitBytes).toBe(defaultQuotaBytes);
    expect(new BackendQuota(-1, { sizeBytes: 1e15 }).available(1e15)).toBe(true);
    expect(new BackendQuota(1000, { sizeBytes: 700 }).available(300)).toBe(false);
    expect(new BackendQuota(1000, { sizeBytes: 700 }).available(299)).toBe(true);
    expect(new BackendQuota(1000, { sizeBytes: 5000 }).available(0)).toBe(true);
  });

  it('S-115: lets the write happen at apply, and answers with the error', () => {
    const m = new MiniMember({ quotaBytes: 400 });
    expect(m.apply(put('a', 'x'.repeat(200))).error).toBe(errors.noSpace);
    expect(Object.keys(content(m))).toEqual(['a']);
    expect(m.kv.currentRev).toBe(2);
    expect(m.apply({ leaseGrant: { ID: 5n, TTL: 60 } }).error).toBeUndefined();
    const txn = { success: [{ requestPut: { key: bytes('b'), value: bytes('y'.repeat(200)) } }] };
    expect(m.apply({ txn }).error).toBe(errors.noSpace);
    expect(Object.keys(content(m))).toEqual(['a', 'b']);
    expect(m.apply({ deleteRange: { key: bytes('a') } }).error).toBeUndefined();
  });
});

describe('leases', () => {
  it('go with all their keys in one revision, in key order', () => {
    const m = new MiniMember();
    const grant = m.apply({ leaseGrant: { ID: -5n, TTL: 1 } });
    expect(LeaseGrantResponse.decode(Buffer.concat(grant.body))).toMatchObject({ ID: -5n, TTL: 2 });
    for (const key of ['c', 'a', 'b']) m.apply(put(key, key, { lease: -5n }));
    m.apply(put('d'));
    m.apply(put('c', 'detached'));
    const { rev, error } = m.apply({ leaseRevoke: { ID: -5n } });
    expect(error).toBeUndefined();
    expect(rev).toBe(7);
    expect(content(m)).toEqual({ c: 'detached', d: 'v' });
    const rows = m.backend.scan(7, 8);
    const deleted: string[] = [];
    for (let row = rows.next(); row !== undefined; row = rows.next()) deleted.push(`${latin1(KeyValue.decode(row.value).key)}.${row.sub}`);
    rows.close();
    expect(deleted).toEqual(['a.0', 'b.1']);
    expect(m.apply({ leaseRevoke: { ID: -5n } }).error).toBe(errors.leaseNotFound);
  });

  it('are checkpointed in one entry', () => {
    const m = new MiniMember();
    m.apply({ leaseGrant: { ID: 1n, TTL: 600 } });
    m.apply({
      leaseCheckpoint: {
        checkpoints: [
          { ID: 1n, remainingTTL: 300 },
          { ID: 2n, remainingTTL: 5 },
        ],
      },
    });
    expect(m.lessor.lookup(1n)?.remainingTtl).toBe(300);
    expect(new MiniMember({ backend: m.backend }).lessor.lookup(1n)?.remainingTtl).toBe(300);
  });
});

describe('entries without effect', () => {
  it('of unknown kinds, or with an unknown alarm action, are passed over', () => {
    const m = new MiniMember();
    expect(m.apply({})).toMatchObject({ error: undefined, body: [] });
    expect(m.apply({ alarm: { action: 7, alarm: 1, memberID: 1n } })).toMatchObject({ error: undefined, body: [] });
    expect(m.alarms.isRaised(1)).toBe(false);
    expect(m.apply({ downgradeVersionTest: { ver: '3.6.0' } }).error).toBeUndefined();
  });
});

describe('the cluster', () => {
  it('takes its version, attributes and downgrade from the log', () => {
    const m = new MiniMember();
    m.cluster.add({ id: 9n, peerUrls: ['http://a:1'], isLearner: false, name: '', clientUrls: [] });
    m.apply({ clusterVersionSet: { ver: '3.7.0' } });
    m.apply({ clusterMemberAttrSet: { memberID: 9n, memberAttributes: { name: 'n', clientUrls: ['http://c:2'] } } });
    m.apply({ clusterMemberAttrSet: { memberID: 77n, memberAttributes: { name: 'gone', clientUrls: [] } } });
    m.apply({ downgradeInfoSet: { enabled: true, ver: '3.6.0' } });
    expect(m.cluster.version).toBe('3.7.0');
    expect(m.cluster.member(9n)).toMatchObject({ name: 'n', clientUrls: ['http://c:2'] });
    expect(m.cluster.member(77n)).toBeUndefined();
    expect(m.cluster.downgrade).toEqual({ enabled: true, targetVersion: '3.6.0' });
  });
});

describe('compaction', () => {
  it('tells when its physical part is done', () => {
    const m = new MiniMember();
    for (let i = 0; i < 50; i++) m.apply(put('a', String(i)));
    const { whenCompacted, error } = m.apply({ compaction: { revision: 40, physical: true } });
    expect(error).toBeUndefined();
    let told = 0;
    whenCompacted?.(() => told++);
    m.clock.settle(() => told === 1);
    whenCompacted?.(() => told++);
    expect(told).toBe(2);
    expect(m.apply({ compaction: { revision: 40 } }).error).toBe(errors.compacted);
    expect(m.apply({ compaction: { revision: 4000 } }).error).toBe(errors.futureRev);
  });
});

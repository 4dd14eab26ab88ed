import { describe, expect, it } from 'vitest';
import { BucketAlarmStore } from '../../../src/server/alarm/bucket-alarm-store.ts';
import { ModelBackend } from '../mvcc/model-backend.ts';

const noSpace = 1;
const corrupt = 2;

describe('BucketAlarmStore', () => {
  it('raises and takes back by member and kind', () => {
    const store = new BucketAlarmStore(new ModelBackend());
    expect(store.isRaised(noSpace)).toBe(false);
    const raised = store.activate(7n, noSpace);
    expect(store.activate(7n, noSpace)).toBe(raised);
    store.activate(8n, noSpace);
    store.activate(0n, corrupt);
    expect(store.list(0)).toEqual([
      { memberId: 7n, alarm: noSpace },
      { memberId: 8n, alarm: noSpace },
      { memberId: 0n, alarm: corrupt },
    ]);
    expect(store.list(corrupt)).toHaveLength(1);
    expect(store.deactivate(9n, noSpace)).toBeUndefined();
    expect(store.deactivate(7n, corrupt)).toBeUndefined();
    expect(store.deactivate(7n, noSpace)).toEqual({ memberId: 7n, alarm: noSpace });
    expect(store.isRaised(noSpace)).toBe(true);
    store.deactivate(8n, noSpace);
    expect(store.isRaised(noSpace)).toBe(false);
    expect(store.isRaised(corrupt)).toBe(true);
  });

  it('keeps them in etcd’s form over a restart', () => {
    const backend = new ModelBackend();
    new BucketAlarmStore(backend).activate(0x667880157b8812c8n, noSpace);
    // Taken from a real etcd's file.
    expect(backend.entries('alarm').map(([key, value]) => [Buffer.from(key).toString('hex'), value.length])).toEqual([
      ['08c8a5a0dcd782a0bc661001', 0],
    ]);
    const again = new BucketAlarmStore(backend);
    expect(again.list(0)).toEqual([{ memberId: 0x667880157b8812c8n, alarm: noSpace }]);
    again.deactivate(0x667880157b8812c8n, noSpace);
    expect(backend.entries('alarm')).toEqual([]);
    again.restore();
    expect(again.isRaised(noSpace)).toBe(false);
  });
});

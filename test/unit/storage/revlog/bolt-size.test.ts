// The size model beside what etcd 3.7.1 reported (endpoint status: dbSize) after the same steps.
import { describe, expect, it } from 'vitest';
import { BoltSize } from '../../../../src/server/storage/revlog/bolt-size.ts';

/** Element of a put: header, revision key, KeyValue with numbers below 128. */
const put = (key: number, value: number): number => 16 + 17 + 2 + key + 6 + (value < 128 ? 2 : value < 16384 ? 3 : 4) + value;
const tombstone = (key: number): number => 16 + 18 + 2 + key;

interface Step {
  readonly name: string;
  readonly size: number;
  readonly inUse?: number;
}

describe('size as bbolt', () => {
  it('follows etcd through puts, compactions and defrags', () => {
    const b = new BoltSize(0, [0, 30, 0, 0, 45, 0, 220, 0, 200], 0);
    const near = (step: Step): void => {
      expect(Math.abs(b.sizeBytes / step.size - 1), `${step.name}: ${b.sizeBytes}, etcd ${step.size}`).toBeLessThanOrEqual(0.2);
      if (step.inUse !== undefined)
        expect(Math.abs(b.inUseBytes / step.inUse - 1), `${step.name} in use: ${b.inUseBytes}, etcd ${step.inUse}`).toBeLessThanOrEqual(
          0.2,
        );
    };
    const row = (bytes: number, times = 1): void => {
      for (let i = 0; i < times; i++) {
        b.addRow(bytes);
        b.commit();
      }
    };
    const kill = (bytes: number, times = 1): void => {
      for (let i = 0; i < times; i++) b.removeRow(bytes);
      b.commit();
    };
    b.commit();
    near({ name: 'empty', size: 24576, inUse: 20480 });
    row(put(1, 1));
    near({ name: 'one put', size: 24576, inUse: 16384 });
    row(put(1, 1));
    near({ name: 'two puts', size: 24576, inUse: 16384 });
    row(put(5, 4096), 20);
    near({ name: '20 values of 4 KiB', size: 167936 });
    row(put(5, 4096), 20);
    near({ name: '40 values of 4 KiB', size: 299008 });
    kill(put(5, 4096), 20);
    near({ name: 'compacted', size: 299008, inUse: 159744 });
    b.defragment();
    b.commit();
    near({ name: 'defragmented', size: 167936, inUse: 159744 });
    row(put(3, 100_000));
    near({ name: 'a value of 100 kB', size: 282624 });
    row(put(3, 100_000));
    near({ name: 'another', size: 487424 });
    row(tombstone(3));
    near({ name: 'deleted', size: 692224 });
    kill(put(3, 100_000));
    near({ name: 'compacted again', size: 692224, inUse: 245760 });
    b.defragment();
    b.commit();
    near({ name: 'defragmented again', size: 249856, inUse: 241664 });
    row(put(5, 1));
    near({ name: 'a small put', size: 364544 });
    row(put(3, 100_000));
    near({ name: 'large 1', size: 565248 });
    row(put(3, 100_000));
    near({ name: 'large 2', size: 765952 });
    row(put(3, 100_000));
    near({ name: 'large 3', size: 1069056 });
    row(put(4, 1), 300);
    near({ name: '300 small puts', size: 1069056 });
    b.defragment();
    near({ name: 'defragmented at last', size: 573440, inUse: 565248 });
  });

  it('a quota of 13 pages is reached and let go of', () => {
    const quota = 13 * 4096;
    const b = new BoltSize(0, [0, 30, 0, 0, 45, 0, 220, 0, 200], 0);
    let puts = 0;
    while (b.sizeBytes + 256 + 3 + 4096 < quota) {
      b.addRow(put(3, 4096));
      b.commit();
      puts++;
    }
    expect(puts).toBeGreaterThan(1);
    expect(puts).toBeLessThan(10);
    for (let i = 1; i < puts; i++) b.removeRow(put(3, 4096));
    b.commit();
    expect(b.sizeBytes + 256 + 3 + 4096).toBeGreaterThanOrEqual(quota);
    b.defragment();
    b.commit();
    expect(b.sizeBytes + 256 + 3 + 4096).toBeLessThan(quota);
  });

  it('many small rows', () => {
    const b = new BoltSize(0, [0, 30, 0, 0, 45, 0, 220, 0, 200], 0);
    for (let i = 0; i < 50_000; i++) {
      b.addRow(put(32, 256) + 4);
      if (i % 100 === 99) b.commit();
    }
    // etcd 3.7.1 after 50,000 puts by its benchmark tool, 200 clients.
    expect(Math.abs(b.sizeBytes / 20_692_992 - 1)).toBeLessThan(0.05);
  });
});

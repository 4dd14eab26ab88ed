import { describe, expect, test } from 'vitest';
import type { WatchDelivery, WatchOptions, WatchStream } from '../../../src/server/mvcc/types.ts';
import type { KeyRange } from '../../../src/server/storage/backend.ts';
import { revisionsPerBatchMax, watchersPerPassMax } from '../../../src/server/mvcc/catch-up.ts';
import type { Store } from '../../../src/server/mvcc/store.ts';
import { bytes, eventText, everything, Harness, keyRange, prefix, watchOptions } from './harness.ts';

/** A stream whose receiver takes everything while `open`, and what it took, by watcher. */
class Receiver {
  readonly stream: WatchStream;
  readonly deliveries: WatchDelivery[] = [];
  open = true;
  refused = 0;

  constructor(store: Store) {
    this.stream = store.watchers.open((d) => {
      if (!this.open) {
        this.refused++;
        return false;
      }
      this.deliveries.push(d);
      return true;
    });
  }

  watch(range: KeyRange, more: Partial<WatchOptions> = {}, id = 0): number {
    const watcher = this.stream.watch(watchOptions(range, more), id);
    return watcher === undefined ? NaN : watcher.id;
  }

  /** Events of one watcher as text, in order. */
  events(id: number): string[] {
    return this.deliveries.filter((d) => d.watcher.id === id).flatMap((d) => d.events.map(eventText));
  }

  /** Deliveries of one watcher: header revision and number of events. */
  shape(id: number): string[] {
    return this.deliveries
      .filter((d) => d.watcher.id === id)
      .map((d) => `${String(d.rev)}: ${String(d.events.length)}${d.compactRev === 0 ? '' : ` compacted ${String(d.compactRev)}`}`);
  }

  clear(): void {
    this.deliveries.length = 0;
  }
}

function setUp(options: ConstructorParameters<typeof Harness>[0] = {}): { h: Harness; r: Receiver } {
  const h = new Harness(options);
  return { h, r: new Receiver(h.store) };
}

describe('synced watchers', () => {
  test('get the events of their key, of each revision at once', () => {
    const { h, r } = setUp();
    const id = r.watch(keyRange('a'));
    expect(id).toBe(0);
    h.put('a', '1');
    h.put('b', 'x');
    h.put('a', '2');
    h.delete('a');
    h.delete('a');
    h.put('a', '3');
    expect(r.events(0)).toEqual(['a=1@2', 'a=2@4', '-a@5', 'a=3@6']);
    expect(r.shape(0)).toEqual(['2: 1', '4: 1', '5: 1', '6: 1']);
  });

  test('ranges, prefixes, open ends', () => {
    const { h, r } = setUp();
    r.watch(keyRange('a', 'b'));
    r.watch(keyRange('b', 'd'));
    r.watch({ key: bytes('c'), end: new Uint8Array(0) });
    r.watch(everything);
    r.watch(prefix('a'));
    for (const key of ['a1', 'b', 'c', 'd']) h.put(key, '1');
    h.delete('a', 'zz');
    expect(r.events(0)).toEqual(['a1=1@2', '-a1@6']);
    expect(r.events(1)).toEqual(['b=1@3', 'c=1@4', '-b@6', '-c@6']);
    expect(r.events(2)).toEqual(['c=1@4', 'd=1@5', '-c@6', '-d@6']);
    expect(r.events(3)).toHaveLength(8);
    expect(r.events(4)).toEqual(r.events(0));
    expect(r.shape(3)).toEqual(['2: 1', '3: 1', '4: 1', '5: 1', '6: 4']);
  });

  test('one delivery for a txn, in the order of its operations', () => {
    const { h, r } = setUp();
    h.put('z', '0');
    r.watch(everything);
    h.txn((t) => {
      t.put(bytes('b'), bytes('1'), 0n);
      t.deleteRange(keyRange('z'));
      t.put(bytes('a'), bytes('1'), 0n);
    });
    expect(r.deliveries).toHaveLength(1);
    expect(r.events(0)).toEqual(['b=1@3', '-z@3', 'a=1@3']);
  });

  test('filters', () => {
    const { h, r } = setUp();
    r.watch(everything, { filterPut: true });
    r.watch(everything, { filterDelete: true });
    r.watch(everything, { filterPut: true, filterDelete: true });
    h.put('a', '1');
    h.delete('a');
    expect(r.events(0)).toEqual(['-a@3']);
    expect(r.events(1)).toEqual(['a=1@2']);
    expect(r.events(2)).toEqual([]);
    r.watch(everything, { filterPut: true, startRev: 1 });
    h.clock.drain();
    expect(r.events(3)).toEqual(['-a@3']);
  });

  test('the former value', () => {
    const { h, r } = setUp();
    h.put('a', '1');
    r.watch(prefix('a'), { prevKv: true });
    r.watch(prefix('a'));
    h.put('a', '2');
    h.put('ab', '1');
    h.delete('a');
    h.put('a', '3');
    h.txn((t) => {
      t.put(bytes('a'), bytes('4'), 0n);
      t.put(bytes('ab'), bytes('2'), 0n);
    });
    h.delete('a', 'b');
    expect(r.events(0)).toEqual(['a=2@3(1)', 'ab=1@4', '-a@5(2)', 'a=3@6', 'a=4@7(3)', 'ab=2@7(1)', '-a@8(4)', '-ab@8(2)']);
    expect(r.events(1)).toEqual(['a=2@3', 'ab=1@4', '-a@5', 'a=3@6', 'a=4@7', 'ab=2@7', '-a@8', '-ab@8']);
  });

  test('share events and rows', () => {
    const { h, r } = setUp();
    for (let i = 0; i < 1000; i++) r.watch(keyRange('a'));
    h.put('a', '1');
    const [first, ...others] = r.deliveries;
    expect(others).toHaveLength(999);
    for (const d of others) expect(d.events).toBe(first?.events);
    expect(first?.events[0]?.kv).toBe(h.range(keyRange('a')).kvs[0]);
  });

  test('a receiver may cancel a watcher while it is told', () => {
    const h = new Harness();
    const got: number[] = [];
    const stream = h.store.watchers.open((d) => {
      got.push(d.watcher.id);
      for (let id = 0; id < 5; id++) if (id !== d.watcher.id) stream.cancel(id);
      return true;
    });
    for (let i = 0; i < 5; i++) stream.watch(watchOptions(everything), 0);
    h.put('a', '1');
    expect(got).toEqual([0]);
    expect(stream.size).toBe(1);
    expect(h.store.watchers.watcherCount).toBe(1);
  });
});

describe('ids', () => {
  test('are picked from 0 up, past those chosen; none is given twice', () => {
    const { r } = setUp();
    expect(r.watch(keyRange('a'), {}, 5)).toBe(5);
    expect(r.watch(keyRange('a'), {}, 5)).toBeNaN();
    expect(r.watch(keyRange('a'))).toBe(0);
    expect(r.watch(keyRange('a'), {}, 1)).toBe(1);
    expect(r.watch(keyRange('a'))).toBe(2);
    expect(r.stream.cancel(1)).toBe(true);
    expect(r.stream.cancel(1)).toBe(false);
    expect(r.watch(keyRange('a'), {}, 1)).toBe(1);
    expect(r.watch(keyRange('a'))).toBe(3);
    r.stream.cancel(0);
    expect(r.watch(keyRange('a'))).toBe(4);
    expect(r.watch(keyRange('a'))).toBe(6);
    expect(r.stream.size).toBe(6);
  });

  test('after cancel nothing more comes', () => {
    const { h, r } = setUp();
    h.put('a', '0');
    r.watch(keyRange('a'));
    r.watch(keyRange('a'), { startRev: 1 });
    r.stream.cancel(0);
    r.stream.cancel(1);
    h.put('a', '1');
    h.clock.settle();
    expect(r.deliveries).toEqual([]);
    expect(h.store.watchers.watcherCount).toBe(0);
    expect(h.backend.openScans).toBe(0);
  });
});

describe('watchers of the past', () => {
  test('get history from their revision on, never in the turn of their creation', () => {
    const { h, r } = setUp();
    h.put('a', '1');
    h.put('b', '1');
    h.put('a', '2');
    h.delete('a');
    h.put('a', '3');
    r.watch(keyRange('a'), { startRev: 1 });
    r.watch(keyRange('a'), { startRev: 4 });
    r.watch(keyRange('a'), { startRev: 6 });
    r.watch(everything, { startRev: 2 });
    expect(r.deliveries).toEqual([]);
    expect(h.store.watchers.slowWatcherCount).toBe(4);
    h.clock.drain();
    expect(r.events(0)).toEqual(['a=1@2', 'a=2@4', '-a@5', 'a=3@6']);
    expect(r.events(1)).toEqual(['a=2@4', '-a@5', 'a=3@6']);
    expect(r.events(2)).toEqual(['a=3@6']);
    expect(r.events(3)).toEqual(['a=1@2', 'b=1@3', 'a=2@4', '-a@5', 'a=3@6']);
    expect(r.shape(0)).toEqual(['6: 4']);
    expect(h.store.watchers.slowWatcherCount).toBe(0);
    h.put('a', '4');
    expect(r.events(2)).toEqual(['a=3@6', 'a=4@7']);
  });

  test('the former value in history, as far as it is not compacted', () => {
    const { h, r } = setUp();
    h.put('a', '1');
    h.put('a', '2');
    h.put('a', '3');
    h.delete('a');
    h.put('a', '4');
    r.watch(keyRange('a'), { prevKv: true, startRev: 2 });
    h.clock.drain();
    expect(r.events(0)).toEqual(['a=1@2', 'a=2@3(1)', 'a=3@4(2)', '-a@5(3)', 'a=4@6']);
    h.compact(4);
    r.watch(keyRange('a'), { prevKv: true, startRev: 4 });
    h.clock.drain();
    expect(r.events(1)).toEqual(['a=3@4', '-a@5(3)', 'a=4@6']);
  });

  test('below the compacted revision they are told so and end; at it they live', () => {
    const { h, r } = setUp();
    for (const value of ['1', '2', '3']) h.put('a', value);
    h.put('b', '1');
    h.compact(4);
    r.watch(keyRange('a'), { startRev: 2 });
    r.watch(keyRange('a'), { startRev: 3 });
    r.watch(keyRange('a'), { startRev: 4 });
    r.watch(everything, { startRev: 1 });
    h.clock.drain();
    for (const id of [0, 1, 3]) expect(r.shape(id)).toEqual(['5: 0 compacted 4']);
    expect(r.events(2)).toEqual(['a=3@4']);
    expect(r.shape(2)).toEqual(['5: 1']);
    expect(r.stream.size).toBe(1);
    // They hold their ids, and the stream from being synced as a whole, until they are cancelled.
    expect(r.stream.allSynced).toBe(false);
    for (const id of [0, 1, 3]) expect(r.stream.cancel(id)).toBe(true);
    expect(r.stream.cancel(0)).toBe(false);
    expect(r.stream.allSynced).toBe(true);
  });

  test('a tombstone exactly at the compacted revision is still seen', () => {
    const { h, r } = setUp();
    h.put('a', '1');
    h.delete('a');
    h.compact(3);
    r.watch(keyRange('a'), { startRev: 3 });
    h.clock.drain();
    expect(r.events(0)).toEqual(['-a@3']);
  });

  test('a long history comes in batches of whole revisions', () => {
    const { h, r } = setUp();
    const revisions = 2 * revisionsPerBatchMax + 100;
    for (let i = 0; i < revisions; i++) {
      h.txn((t) => {
        t.put(bytes('a'), bytes(String(i)), 0n);
        t.put(bytes('b'), bytes(String(i)), 0n);
      });
    }
    r.watch(everything, { startRev: 1 });
    h.clock.drain();
    expect(r.deliveries.map((d) => d.events.length)).toEqual([2 * revisionsPerBatchMax, 2 * revisionsPerBatchMax, 200]);
    expect(r.events(0)).toHaveLength(2 * revisions);
  });

  test('many share passes', () => {
    const { h, r } = setUp();
    for (let i = 0; i < 500; i++) h.put(`k${String(i % 100)}`, String(i));
    const watchers = 3 * watchersPerPassMax;
    for (let i = 0; i < watchers; i++) r.watch(keyRange(`k${String(i % 100)}`), { startRev: 2 });
    h.backend.scanned = 0;
    h.clock.drain();
    expect(r.deliveries).toHaveLength(watchers);
    for (const d of r.deliveries) expect(d.events).toHaveLength(5);
    expect(h.backend.scanned).toBeLessThan(4 * 501);
  });

  test('one that wants little does not wait for one that wants all', () => {
    const { h, r } = setUp();
    for (let i = 0; i < 20_000; i++) h.put('a', 'x');
    h.clock.lookMs = 1;
    r.watch(keyRange('a'), { startRev: 1 });
    h.clock.turn();
    r.watch(keyRange('a'), { startRev: h.store.currentRev - 5 });
    let turns = 0;
    while (r.events(1).length === 0 && turns < 1000) {
      h.clock.turn();
      turns++;
    }
    expect(turns).toBeLessThan(20);
    expect(r.events(0).length).toBeLessThan(20_000);
    h.clock.drain();
    expect(r.events(0)).toHaveLength(20_000);
    expect(r.events(1)).toHaveLength(6);
  });

  test('history is read beside writes and compaction, without a gap', () => {
    const { h, r } = setUp();
    for (let i = 0; i < 3000; i++) h.put(`k${String(i % 7)}`, String(i));
    h.clock.lookMs = 0.5;
    r.watch(everything, { startRev: 2 });
    for (let i = 3000; i < 4000; i++) {
      h.put(`k${String(i % 7)}`, String(i));
      if (i === 3100) h.store.compact(3000, () => undefined);
      if (i % 10 === 0) h.clock.turn();
    }
    h.clock.drain();
    expect(r.events(0)).toEqual(Array.from({ length: 4000 }, (_, i) => `k${String(i % 7)}=${String(i)}@${String(i + 2)}`));
    h.clock.settle();
    expect(h.backend.openScans).toBe(0);
  });
});

describe('watchers of the future', () => {
  test('stay silent until their revision', () => {
    const { h, r } = setUp();
    h.put('a', '1');
    r.watch(keyRange('a'), { startRev: 3 });
    r.watch(keyRange('a'), { startRev: 5 });
    r.watch(keyRange('a'));
    expect(r.stream.requestProgress(0)).toBe(false);
    expect(r.stream.requestProgress(1)).toBe(false);
    expect(r.stream.requestProgress(2)).toBe(true);
    expect(r.shape(2)).toEqual(['2: 0']);
    r.clear();
    h.put('a', '2');
    h.put('a', '3');
    expect(r.stream.requestProgress(1)).toBe(false);
    h.put('a', '4');
    expect(r.stream.requestProgress(1)).toBe(true);
    expect(r.events(0)).toEqual(['a=2@3', 'a=3@4', 'a=4@5']);
    expect(r.events(1)).toEqual(['a=4@5']);
    expect(r.events(2)).toEqual(['a=2@3', 'a=3@4', 'a=4@5']);
  });

  test('also after the content was replaced by a snapshot (etcd #20221)', () => {
    const { h, r } = setUp();
    h.put('a', '1');
    r.watch(keyRange('a'), { startRev: 6 });
    r.watch(keyRange('a'));
    const leader = new Harness();
    for (const value of ['1', '2', '3']) leader.put('a', value);
    h.store.restore(leader.backend);
    h.backend = leader.backend;
    h.clock.drain();
    expect(r.events(0)).toEqual([]);
    expect(r.stream.requestProgress(0)).toBe(false);
    expect(r.events(1)).toEqual(['a=2@3', 'a=3@4']);
    h.put('a', '4');
    h.put('a', '5');
    expect(r.events(0)).toEqual(['a=5@6']);
    expect(r.events(1)).toEqual(['a=2@3', 'a=3@4', 'a=4@5', 'a=5@6']);
  });
});

describe('progress', () => {
  test('of a stream needs watchers, all of them synced and none waiting for the future', () => {
    const { h, r } = setUp();
    expect(r.stream.allSynced).toBe(false);
    r.watch(keyRange('a'));
    expect(r.stream.allSynced).toBe(true);
    h.put('zz', '1');
    expect(r.stream.allSynced).toBe(true);
    expect(h.store.watchers.rev).toBe(2);
    r.watch(keyRange('a'), { startRev: 1 });
    expect(r.stream.allSynced).toBe(false);
    expect(r.stream.requestProgress(1)).toBe(false);
    h.clock.drain();
    expect(r.stream.allSynced).toBe(true);
    r.watch(keyRange('a'), { startRev: 10 });
    expect(r.stream.allSynced).toBe(false);
    r.stream.cancel(2);
    expect(r.stream.allSynced).toBe(true);
    expect(r.stream.requestProgress(7)).toBe(false);
  });
});

describe('slow receivers', () => {
  test('get what they refused first, then history, and miss nothing', () => {
    const { h, r } = setUp();
    r.watch(keyRange('a'));
    r.watch(keyRange('b'));
    r.open = false;
    for (let i = 0; i < 5; i++) {
      h.put('a', String(i));
      h.put('b', String(i));
    }
    // The stream is asked once, not at each write.
    expect(r.refused).toBe(1);
    expect(h.store.watchers.slowWatcherCount).toBe(2);
    expect(h.store.watchers.pendingEvents).toBe(2);
    expect(r.stream.allSynced).toBe(false);
    expect(r.stream.requestProgress(0)).toBe(false);
    r.open = true;
    r.stream.resume();
    expect(r.events(0)).toEqual(['a=0@2']);
    h.clock.drain();
    expect(r.events(0)).toEqual(['a=0@2', 'a=1@4', 'a=2@6', 'a=3@8', 'a=4@10']);
    expect(r.events(1)).toEqual(['b=0@3', 'b=1@5', 'b=2@7', 'b=3@9', 'b=4@11']);
    expect(h.store.watchers.pendingEvents).toBe(0);
    expect(h.store.watchers.slowWatcherCount).toBe(0);
    expect(r.stream.allSynced).toBe(true);
  });

  test('are tried again after 10 ms without a call', () => {
    const { h, r } = setUp();
    r.watch(keyRange('a'));
    r.open = false;
    h.put('a', '1');
    expect(h.clock.fire()).toBe(true);
    expect(h.clock.fire()).toBe(true);
    expect(r.refused).toBe(3);
    r.open = true;
    h.clock.fire();
    expect(r.events(0)).toEqual(['a=1@2']);
    expect(h.clock.idle).toBe(true);
  });

  test('cost bounded memory: beyond the limit history is read again', () => {
    const { h, r } = setUp({ watchBufferBytes: 10_000 });
    for (let i = 0; i < 100; i++) r.watch(keyRange('a'));
    r.open = false;
    h.put('a', 'x'.repeat(4000));
    for (let i = 0; i < 1000; i++) h.put('a', String(i));
    expect(h.store.watchers.pendingEvents).toBeLessThanOrEqual(2);
    expect(h.store.watchers.slowWatcherCount).toBe(100);
    h.clock.drain();
    expect(h.backend.openScans).toBe(0);
    r.open = true;
    r.stream.resume();
    h.clock.drain();
    for (let id = 0; id < 100; id++) expect(r.events(id)).toHaveLength(1001);
  });

  test('a delivery larger than the limit is kept, when it is the only one', () => {
    const { h, r } = setUp({ watchBufferBytes: 100 });
    r.watch(keyRange('a'));
    r.open = false;
    h.put('a', 'x'.repeat(4000));
    expect(h.store.watchers.pendingEvents).toBe(1);
    r.open = true;
    r.stream.resume();
    expect(r.events(0)).toHaveLength(1);
  });

  test('a slow stream does not hold up another', () => {
    const { h, r } = setUp();
    const other = new Receiver(h.store);
    r.watch(keyRange('a'));
    other.watch(keyRange('a'));
    r.open = false;
    for (let i = 0; i < 10; i++) h.put('a', String(i));
    expect(other.events(0)).toHaveLength(10);
    expect(r.events(0)).toHaveLength(0);
  });

  test('compaction past what a slow receiver has not seen ends the watcher, after what was kept for it', () => {
    const { h, r } = setUp();
    r.watch(keyRange('a'));
    r.open = false;
    for (let i = 0; i < 5; i++) h.put('a', String(i));
    h.store.compact(5, () => undefined);
    r.open = true;
    r.stream.resume();
    h.clock.drain();
    expect(r.events(0)).toEqual(['a=0@2']);
    expect(r.shape(0)).toEqual(['2: 1', '6: 0 compacted 5']);
    expect(r.stream.size).toBe(0);
  });

  test('the end by compaction waits for a full receiver too', () => {
    const { h, r } = setUp();
    h.put('a', '1');
    h.put('a', '2');
    h.compact(3);
    r.watch(keyRange('a'), { startRev: 1 });
    r.open = false;
    h.clock.drain();
    expect(r.stream.size).toBe(1);
    r.open = true;
    r.stream.resume();
    expect(r.shape(0)).toEqual(['3: 0 compacted 3']);
    expect(r.stream.size).toBe(0);
  });

  test('cancelling the one whose delivery was kept frees the others', () => {
    const { h, r } = setUp({ watchBufferBytes: 1 });
    r.watch(keyRange('a'));
    r.watch(keyRange('a'));
    r.open = false;
    h.put('a', '1');
    expect(h.store.watchers.pendingEvents).toBe(1);
    r.stream.cancel(0);
    expect(h.store.watchers.pendingEvents).toBe(0);
    r.open = true;
    h.clock.settle();
    expect(r.events(1)).toEqual(['a=1@2']);
  });
});

describe('streams', () => {
  test('close takes all watchers along, whatever they are doing', () => {
    const { h, r } = setUp();
    h.put('a', '1');
    r.watch(keyRange('a'));
    r.watch(keyRange('a'), { startRev: 1 });
    r.watch(keyRange('a'), { startRev: 9 });
    r.open = false;
    h.put('a', '2');
    r.watch(keyRange('a'), { startRev: 1 });
    expect(h.store.watchers.streamCount).toBe(1);
    r.stream.close();
    r.stream.close();
    r.stream.resume();
    h.clock.settle();
    expect(h.store.watchers).toMatchObject({ watcherCount: 0, slowWatcherCount: 0, pendingEvents: 0, streamCount: 0 });
    expect(h.backend.openScans).toBe(0);
    expect(r.deliveries).toEqual([]);
    expect(r.watch(keyRange('a'))).toBeNaN();
  });
});

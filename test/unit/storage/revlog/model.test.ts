// Random scripts against a model, with clean and unclean stops, compactions, defragmentation and views held across all of it.
import { describe, expect, it } from 'vitest';
import { MemoryDisk } from '../../../../src/base/memory-disk.ts';
import { SeededRandom } from '../../../../src/base/random.ts';
import type { BackendView } from '../../../../src/server/storage/backend.ts';
import { ManualClock, Model, compare, compareView, drawOp, drive, open, settle, turns } from './harness.ts';
import type { Op } from './harness.ts';

async function run(
  seed: number,
  steps: number,
  options: { keys: number; valueBytes: number; longKeys?: boolean; cacheBytes?: number },
): Promise<void> {
  const random = new SeededRandom(seed);
  const clock = new ManualClock();
  const disk = new MemoryDisk(clock);
  disk.mkdir('/data/snap', 0o700);
  const openOptions = { cacheBytes: options.cacheBytes ?? 512 * 1024 };
  let backend = open(disk, clock, openOptions);
  let model = new Model();
  const history: Op[] = [];
  let views: { view: BackendView; model: Model }[] = [];
  const replayed = (n: number): Model => {
    const m = new Model();
    for (const op of history.slice(0, n)) m.apply(op);
    return m;
  };
  for (let step = 0; step < steps; step++) {
    const dice = random.u32() % 1000;
    if (dice < 940) {
      const op = drawOp(random, model, options);
      model.apply(op);
      history.push(op);
      drive(backend, op, model.index);
    } else if (dice < 960) await turns(clock, random.u32() % 40);
    else if (dice < 970) {
      if (views.length < 3) views.push({ view: backend.view(), model: replayed(history.length) });
    } else if (dice < 975) {
      const v = views.shift();
      if (v !== undefined) {
        compareView(v.view, v.model);
        v.view.release();
      }
    } else if (dice < 980) await settle(clock, backend.defragment());
    else if (dice < 990) compare(backend, model, random);
    else if (dice < 995) {
      for (const v of views) compareView(v.view, v.model);
      views = [];
      await settle(clock, backend.close());
      clock.clear();
      backend = open(disk, clock, openOptions);
      compare(backend, model, random);
    } else {
      // Stopped without a word: nothing pending on this disk is lost, but what was not committed is.
      const durable = backend.durableIndex;
      backend.abandon();
      clock.clear();
      views = [];
      backend = open(disk, clock, openOptions);
      expect(backend.consistentIndex).toBeGreaterThanOrEqual(durable);
      history.length = backend.consistentIndex;
      model = replayed(history.length);
      compare(backend, model, random);
    }
  }
  compare(backend, model, random);
  for (const v of views) {
    compareView(v.view, v.model);
    v.view.release();
  }
  await settle(clock, backend.close());
}

describe('backend against a model', () => {
  for (let seed = 1; seed <= 12; seed++) it(`short keys, seed ${seed}`, () => run(seed, 1500, { keys: 300, valueBytes: 200 }));
  for (let seed = 1; seed <= 4; seed++)
    it(`few keys, many versions, seed ${seed}`, () => run(100 + seed, 1500, { keys: 5, valueBytes: 100 }));
  for (let seed = 1; seed <= 4; seed++)
    it(`keys up to 9,000 bytes, seed ${seed}`, () => run(200 + seed, 600, { keys: 60, valueBytes: 300, longKeys: true }));
  it('many keys in a small cache', () => run(300, 2500, { keys: 3000, valueBytes: 60, cacheBytes: 64 * 4096 }));
});

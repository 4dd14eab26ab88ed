// A crash at every operation of the disk in a script of 200 changes with commits, checkpoints, kills, rewrites and defragmentation. What was not
// synced is kept, lost or torn; what comes back must be the state at a commit no older than the last one that was reported durable.
import { describe, expect, it } from 'vitest';
import { SeededRandom } from '../../../../src/base/random.ts';
import type { Op } from './harness.ts';
import { ManualClock, Model, compare, drawOp, drive, open, settle, turns } from './harness.ts';
import { SimCrash, SimDisk } from '../../../simulation/sim-disk.ts';

interface Outcome {
  readonly operations: number;
  readonly crashed: boolean;
}

function script(seed: number, longKeys: boolean, length: number): Op[] {
  const random = new SeededRandom(seed);
  const model = new Model();
  const ops: Op[] = [];
  for (let i = 0; i < length; i++) {
    const op = drawOp(random, model, { keys: longKeys ? 24 : 40, valueBytes: 200, longKeys });
    model.apply(op);
    ops.push(op);
  }
  return ops;
}

function modelAt(ops: readonly Op[], n: number): Model {
  const m = new Model();
  for (const op of ops.slice(0, n)) m.apply(op);
  return m;
}

/** Runs the script up to the crash, opens what is left, compares, goes on with the script and compares again. */
async function runTo(crashAt: number, seed: number, ops: readonly Op[], again: number | undefined): Promise<Outcome> {
  const clock = new ManualClock();
  const disk = new SimDisk({ clock, random: new SeededRandom(seed * 100_003 + crashAt) });
  disk.mkdir('/data/snap', 0o700);
  disk.settle();
  const options = { segmentBytes: 6 * 1024, checkpointBytes: 5 * 1024, batchOps: 25 };
  let crashed = false;
  disk.onCrash = () => (crashed = true);
  disk.crashAt = crashAt;
  let durable = 0;
  let done = 0;
  const isCrash = (error: unknown): boolean => error instanceof SimCrash || crashed;
  const random = new SeededRandom(seed);
  const work = async (backend: ReturnType<typeof open>, from: number): Promise<void> => {
    for (let i = from; i < ops.length && !crashed; i++) {
      drive(backend, ops[i] as Op, i + 1);
      done = i + 1;
      const dice = random.u32() % 20;
      if (dice < 5) await turns(clock, dice * 2);
      else if (dice === 5) {
        const defrag = backend.defragment().catch((error: unknown) => {
          if (!isCrash(error)) throw error;
          crashed = true;
        });
        if (i % 3 === 0) await settleOrCrash(defrag);
      }
      durable = Math.max(durable, backend.durableIndex);
    }
    if (!crashed) await settleOrCrash(backend.close());
    if (!crashed) durable = ops.length;
  };
  const settleOrCrash = async (promise: Promise<void>): Promise<void> => {
    let over = false;
    promise.then(
      () => (over = true),
      () => (over = true),
    );
    for (let i = 0; !over && !crashed && i < 100_000; i++) {
      clock.turn();
      for (let k = 0; k < 8; k++) await Promise.resolve();
    }
  };
  let backend: ReturnType<typeof open> | undefined;
  const attempt = async (fn: () => Promise<void>): Promise<void> => {
    try {
      await fn();
    } catch (error) {
      if (!isCrash(error)) throw error;
      crashed = true;
    }
  };
  await attempt(async () => {
    backend = open(disk, clock, options);
    await work(backend, 0);
  });
  const operations = disk.operations;
  if (!crashed) return { operations, crashed: false };
  clock.clear();
  crashed = false;
  // A second crash, in the middle of the recovery.
  disk.crashAt = again === undefined ? undefined : disk.operations + again;
  await attempt(async () => {
    backend = open(disk, clock, options);
  });
  if (crashed) {
    clock.clear();
    crashed = false;
    backend = open(disk, clock, options);
  }
  disk.crashAt = undefined;
  const b = backend as ReturnType<typeof open>;
  expect(b.consistentIndex).toBeGreaterThanOrEqual(durable);
  expect(b.consistentIndex).toBeLessThanOrEqual(done);
  compare(b, modelAt(ops, b.consistentIndex), new SeededRandom(crashAt));
  await attempt(() => work(b, b.consistentIndex));
  const last = open(disk, clock, options);
  compare(last, modelAt(ops, ops.length), new SeededRandom(crashAt));
  await settle(clock, last.close());
  return { operations, crashed: true };
}

describe('crash at every disk operation', () => {
  for (const [name, seed, longKeys] of [
    ['short keys', 1, false],
    ['long keys', 2, true],
    ['another order', 3, false],
  ] as const)
    it(name, { timeout: 600_000 }, async () => {
      const ops = script(seed, longKeys, longKeys ? 90 : 200);
      const whole = await runTo(0, seed, ops, undefined);
      expect(whole.crashed).toBe(false);
      expect(whole.operations).toBeGreaterThan(200);
      for (let k = 1; k <= whole.operations; k++) {
        try {
          await runTo(k, seed, ops, k % 3 === 0 ? 1 + (k % 7) : undefined);
        } catch (error) {
          throw new Error(`crash at operation ${k} of ${whole.operations}, seed ${seed}`, { cause: error });
        }
      }
    });
});

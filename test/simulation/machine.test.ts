/** Machines themselves: what the faults of a plan rely on. */
import { expect, it } from 'vitest';
import { Cluster } from './cluster.ts';
import { planOf } from './knobs.ts';
import { World } from './world.ts';

/** Both a first start and a later one have as many. */
const operationsMax = 15;

it('goes down in any operation of a start, whoever catches it, and serves after the next start', async () => {
  for (const lives of [1, 2]) {
    for (let k = 1; k <= operationsMax; k++) {
      const world = new World(k);
      const cluster = new Cluster(world, { ...planOf(1).knobs, members: 1 }, undefined);
      cluster.begin();
      let died = 0;
      cluster.onDied = (machine) => {
        died++;
        expect(machine.process).toBeUndefined();
        world.after(500, () => machine.start());
      };
      cluster.found(1);
      const [machine] = cluster.machines;
      if (machine === undefined) throw new Error('there is one machine');
      const serves = (): boolean => machine.process?.channel !== undefined;
      if (lives === 2) {
        await world.runTo(30_000, serves);
        machine.powerOff();
        machine.start();
      }
      machine.disk.crashAt = machine.disk.operations + k;
      await world.runTo(world.now + 30_000, () => died === 1 && serves());
      cluster.end();
      expect(world.failure).toBeUndefined();
      expect(died, `life ${lives}, operation ${k}`).toBe(1);
      expect(serves(), `life ${lives}, operation ${k}`).toBe(true);
    }
  }
}, 120_000);

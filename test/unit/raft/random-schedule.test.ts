// What raft promises, under seeded random schedules. RAFT_SEEDS=first-last runs others, RAFT_STEPS longer ones; a failure names its seed.
import { expect, test } from 'vitest';
import { RandomCluster, type Options } from './random-cluster.ts';

const [firstSeed = 1, lastSeed = firstSeed] = (process.env['RAFT_SEEDS'] ?? '1-60').split('-').map(Number);
const steps = Number(process.env['RAFT_STEPS'] ?? 5000);

function optionsOf(seed: number): Options {
  const checkQuorum = seed % 2 === 0;
  return {
    checkQuorum,
    preVote: seed % 3 !== 0,
    // A member forgets at a restart that it promised to ignore other candidates: leases only hold without crashes.
    leaseBasedReads: checkQuorum && seed % 8 === 0,
    crashes: seed % 8 !== 0,
    voters: 1 + (seed % 5),
    lossPercent: (seed % 4) * 6,
    confChanges: seed % 7 !== 0,
  };
}

test(`safety and recovery, seeds ${firstSeed} to ${lastSeed}`, { timeout: 600_000 }, () => {
  let committed = 0;
  let reads = 0;
  let elections = 0;
  let stranded = 0;
  for (let seed = firstSeed; seed <= lastSeed; seed++) {
    const cluster = new RandomCluster(seed, optionsOf(seed));
    try {
      for (let i = 0; i < steps; i++) cluster.step();
      if (!cluster.heal()) stranded++;
    } catch (error) {
      throw new Error(`seed ${seed}: ${String(error)}`, { cause: error });
    }
    committed += cluster.committed;
    reads += cluster.answeredReads;
    elections += cluster.elections;
  }
  const seeds = lastSeed - firstSeed + 1;
  // The schedules must get somewhere for the checks to mean something.
  expect(committed).toBeGreaterThan(50 * seeds);
  expect(reads).toBeGreaterThan(seeds);
  expect(elections).toBeGreaterThan(seeds);
  expect(stranded).toBeLessThanOrEqual(seeds / 50);
  console.log(
    `${seeds} schedules: ${committed} entries committed, ${reads} reads answered, ${elections} terms led, ${stranded} stranded by a removed leader`,
  );
});

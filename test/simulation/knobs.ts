/** What a seed decides before the run: sizes, speeds, which faults there are, and when each strikes. A plan is plain data, so that it can be shrunk. */
import type { SeededRandom } from '../../src/base/random.ts';
import { SeededRandom as Seeded } from '../../src/base/random.ts';
import type { StorageSizes } from '../../src/server/server.ts';
import type { LinkFaults } from './network.ts';
import type { DiskFaults } from './sim-disk.ts';

export interface Knobs {
  members: number;
  tickMs: number;
  electionTicks: number;
  /** Of the workload and the faults. */
  durationMs: number;
  clients: number;
  keys: number;
  valueBytesMax: number;
  /** Mean rest of a client between two requests. */
  thinkMs: number;
  /** Chance of reading. */
  reads: number;
  /** Chance that a client stays with its member. */
  watchers: number;
  leaseClients: number;
  compactions: boolean;
  network: LinkFaults;
  disk: Partial<DiskFaults>;
  drift: number;
  lookMs: number;
  flags: string[];
  sizes: StorageSizes;
}

export const faultKinds = [
  'power',
  'kill',
  'blackout',
  'pause',
  'partition',
  'clog',
  'reset',
  'fullDisk',
  'failedSync',
  'slowDisk',
  'diskCrash',
  'wallJump',
  'stop',
  'crashPoints',
  'members',
] as const;
/** How often each is drawn beside the others. */
const weights: Partial<Record<FaultKind, number>> = {
  partition: 4,
  pause: 2,
  power: 2,
  blackout: 2,
  members: 3,
  crashPoints: 2,
  diskCrash: 2,
};
export type FaultKind = (typeof faultKinds)[number];

export interface Fault {
  readonly at: number;
  readonly kind: FaultKind;
  /** Which machine: an index among those there are, −1 the leader. */
  readonly target: number;
  /** How long it lasts, or until the machine comes back. */
  readonly ms: number;
  /** What else there is to decide. */
  readonly dice: number;
}

export interface Plan {
  readonly seed: number;
  readonly knobs: Knobs;
  readonly faults: readonly Fault[];
}

const pick = <T>(random: SeededRandom, list: readonly T[]): T => list[random.u32() % list.length] as T;

export function planOf(seed: number): Plan {
  const random = new Seeded(Math.imul(seed + 1, 0x2545f491) ^ 0x1b873593);
  const chance = (p: number): boolean => random.float() < p;
  const tickMs = pick(random, [20, 50, 100]);
  const durationMs = pick(random, [2_000, 4_000, 8_000]);
  const snapshotCount = pick(random, [10, 10, 30, 100]);
  const catchup = pick(random, [5, 5, 20, 5000]);
  const knobs: Knobs = {
    members: pick(random, [1, 3, 3, 3, 3, 3, 3, 3, 5, 5]),
    tickMs,
    electionTicks: 10,
    durationMs,
    clients: 2 + (random.u32() % 5),
    keys: pick(random, [1, 3, 6, 12, 30]),
    valueBytesMax: pick(random, [16, 16, 200, 3000]),
    thinkMs: pick(random, [20, 50, 100]),
    reads: pick(random, [0.2, 0.4, 0.6]),
    watchers: random.u32() % 4,
    leaseClients: random.u32() % 3,
    compactions: chance(0.7),
    network: {
      delayMinMs: pick(random, [0, 0.2, 1, 5]),
      delayMeanMs: pick(random, [0.2, 1, 5, 20]),
      loss: chance(0.5) ? 0 : random.float() * 0.2,
      duplicate: chance(0.5) ? 0 : random.float() * 0.3,
      inOrder: chance(0.5),
    },
    disk: chance(0.2) ? {} : { latencyMinMs: random.float() * 2, latencyMeanMs: pick(random, [0.5, 3, 20]) },
    drift: chance(0.5) ? 0 : 0.01,
    lookMs: chance(0.7) ? 0 : pick(random, [0.1, 0.5, 2]),
    flags: [
      `--heartbeat-interval=${tickMs}`,
      `--election-timeout=${tickMs * 10}`,
      `--snapshot-count=${snapshotCount}`,
      `--snapshot-catchup-entries=${catchup}`,
      `--pre-vote=${chance(0.8)}`,
      `--backend-batch-interval=${pick(random, ['10ms', '100ms', '1s'])}`,
      `--backend-batch-limit=${pick(random, [1, 20, 10_000])}`,
      `--compaction-batch-limit=${pick(random, [1, 10, 1000])}`,
      `--compaction-sleep-interval=${pick(random, ['1ms', '10ms', '100ms'])}`,
      `--watch-progress-notify-interval=${pick(random, ['100ms', '500ms', '10m'])}`,
      '--corrupt-check-time=3s',
      '--compact-hash-check-time=2s',
      `--feature-gates=CompactHashCheck=true,InitialCorruptCheck=${chance(0.5)}`,
      // Strict, a change needs five seconds in which everybody is connected.
      `--strict-reconfig-check=${chance(0.2)}`,
    ],
    sizes: {
      walSegmentBytes: pick(random, [4, 16, 128]) * 1024,
      store: { segmentBytes: pick(random, [4, 16, 64]) * 1024, cacheBytes: 4 << 20, checkpointBytes: pick(random, [2, 8, 32]) * 1024 },
      logCutEntries: pick(random, [1, 5, 20]),
      raftMessageBytes: pick(random, [1, 300, 1 << 20]),
    },
  };
  return { seed, knobs, faults: drawFaults(random, knobs) };
}

/** Each seed first picks which kinds there are at all. */
function drawFaults(random: SeededRandom, knobs: Knobs): Fault[] {
  const none = random.float() < 0.05;
  const chosen = faultKinds.filter(() => random.float() < 0.45 && !none);
  const kinds = chosen.flatMap((kind) => new Array<FaultKind>(weights[kind] ?? 1).fill(kind));
  const faults: Fault[] = [];
  if (kinds.length === 0) return faults;
  const meanGapMs = pick(random, [300, 700, 1500]);
  // Long enough for another leader, or too short for it.
  const scaleMs = knobs.tickMs * knobs.electionTicks * pick(random, [0.5, 2, 6]);
  for (let at = 200 + random.float() * meanGapMs; at < knobs.durationMs; at -= Math.log(1 - random.float()) * meanGapMs) {
    faults.push({
      at: Math.round(at),
      kind: pick(random, kinds),
      target: random.float() < 0.4 ? -1 : random.u32() % 16,
      ms: Math.round(20 + random.float() * scaleMs),
      dice: random.u32(),
    });
  }
  return faults;
}

/** A log on the simulated disk, and short ways to write to it and look at it. */
import { silentLog, type Log } from '../../../../src/base/log.ts';
import type { DiskError } from '../../../../src/base/disk.ts';
import { SeededRandom } from '../../../../src/base/random.ts';
import type { Entry, HardState } from '../../../../src/raft/types.ts';
import type { WAL } from '../../../../src/server/storage/wal/wal.ts';
import { type OpenedWal, type WalOptions } from '../../../../src/server/storage/wal/wal.ts';
import { SimDisk, type DiskFaults } from '../../../simulation/sim-disk.ts';
import { StepClock } from '../step-clock.ts';

export const metadata = Buffer.from('0880808080808080801010ffffffffffffffff7f', 'hex');
export const dir = '/data/member/wal';
export const noSnapshot = { index: 0, term: 0 };
export const confState = { voters: [7n], learners: [], votersOutgoing: [], learnersNext: [], autoLeave: false };

export interface Machine {
  readonly clock: StepClock;
  readonly disk: SimDisk;
  readonly fatal: DiskError[];
  readonly warnings: string[];
  readonly options: WalOptions;
}

export function machine(setup: { seed?: number; segmentBytes?: number; faults?: Partial<DiskFaults> } = {}): Machine {
  const clock = new StepClock();
  const disk = new SimDisk({
    clock,
    random: new SeededRandom(setup.seed ?? 1),
    ...(setup.faults === undefined ? {} : { faults: setup.faults }),
  });
  disk.mkdir('/data/member/snap', 0o700);
  disk.settle();
  const fatal: DiskError[] = [];
  const warnings: string[] = [];
  const log: Log = { ...silentLog, warn: (m) => void warnings.push(m), named: () => log };
  const options: WalOptions = { disk, clock, dir, log, onFatal: (e) => void fatal.push(e), segmentBytes: setup.segmentBytes ?? 65_536 };
  return { clock, disk, fatal, warnings, options };
}

export function entry(index: number, term = 1, data: Uint8Array = Buffer.from(`entry ${index}`)): Entry {
  return { Type: 0, Term: term, Index: index, Data: data };
}

export function entries(from: number, to: number, term = 1, dataBytes = 0): Entry[] {
  const all: Entry[] = [];
  for (let i = from; i <= to; i++) all.push(entry(i, term, dataBytes === 0 ? undefined : Buffer.alloc(dataBytes, 1 + (i % 250))));
  return all;
}

export function state(term: number, commit: number, vote = 7n): HardState {
  return { term, vote, commit };
}

/** Saves and runs the machine until it is done. */
export async function saved(m: Machine, wal: WAL, list: readonly Entry[], hardState?: HardState): Promise<void> {
  let done = false;
  wal.save(list, hardState, list.length !== 0, () => (done = true));
  await m.clock.run(() => done);
  if (!done) throw new Error('not saved');
}

export async function closed(m: Machine, wal: WAL): Promise<void> {
  let done = false;
  void wal.close().then(() => (done = true));
  await m.clock.run(() => done);
  if (!done) throw new Error('not closed');
}

/** What matters of a log's content, comparable by `toEqual`. */
export function contentOf(opened: Pick<OpenedWal, 'entries' | 'hardState' | 'snapshots' | 'metadata' | 'lastIndex'>): unknown {
  return {
    metadata: Buffer.from(opened.metadata).toString('hex'),
    hardState: opened.hardState,
    entries: opened.entries.map((e) => `${e.Index}/${e.Term}/${e.Type} ${Buffer.from(e.Data).toString('latin1')}`),
    snapshots: opened.snapshots.map((s) => `${s.index}/${s.term} ${s.confState?.voters.join() ?? ''}`),
    lastIndex: opened.lastIndex,
  };
}

/** The bytes of a file up to its last one that is not zero. */
export function usedBytes(m: Machine, path: string): Uint8Array {
  const file = m.disk.open(path, { write: false });
  const bytes = new Uint8Array(file.size());
  file.read(bytes, 0);
  let n = bytes.length;
  while (n > 0 && bytes[n - 1] === 0) n--;
  return bytes.slice(0, n);
}

export function readFile(m: Machine, path: string): Uint8Array {
  const file = m.disk.open(path, { write: false });
  const bytes = new Uint8Array(file.size());
  file.read(bytes, 0);
  return bytes;
}

/** Replaces a file by `bytes`, durable. */
export function putFile(m: Machine, path: string, bytes: Uint8Array): void {
  const file = m.disk.open(path, { write: true, create: true, truncate: true });
  file.write(bytes, 0);
  m.disk.settle();
}

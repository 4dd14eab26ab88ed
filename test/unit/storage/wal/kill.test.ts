// A process is killed at every disk operation of a script and leaves the system up; the next one reads what was never synced and builds on it; then
// the power goes. Nothing that the second process read or saved may be missing.
import { expect, it } from 'vitest';
import { SimCrash } from '../../../simulation/sim-disk.ts';
import { WAL } from '../../../../src/server/storage/wal/wal.ts';
import { dir, entries, machine, metadata, noSnapshot, state } from './harness.ts';

/** Cuts a segment now and then. @returns false when it was killed on the way. */
function killedAt(m: ReturnType<typeof machine>, k: number): boolean {
  m.disk.crash = () => m.disk.kill();
  m.disk.crashAt = m.disk.operations + k;
  let down = false;
  m.disk.onCrash = () => (down = true);
  try {
    const wal = WAL.create(m.options, metadata);
    for (let i = 1; i <= 12 && !down; i++) {
      wal.save(entries(i, i, 1, 400), state(1, 0), true, () => {});
      m.clock.drain();
    }
  } catch (error) {
    if (!(error instanceof SimCrash)) throw error;
    down = true;
  }
  m.disk.crashAt = undefined;
  Reflect.deleteProperty(m.disk, 'crash');
  return down;
}

it('what a killed process left unsynced is durable once it has been read', () => {
  let kills = 0;
  for (let k = 1; ; k++) {
    const m = machine({ seed: k, segmentBytes: 2048, faults: { crashKeeps: 'nothing' } });
    if (!killedAt(m, k)) break;
    kills++;
    if (!WAL.exists(m.disk, dir)) continue;
    const second = WAL.open(m.options, noSnapshot);
    let synced = false;
    second.wal.save(entries(second.lastIndex + 1, second.lastIndex + 1), state(2, 0), true, () => (synced = true));
    m.clock.drain();
    expect(synced).toBe(true);
    m.disk.crash();
    expect(WAL.open(m.options, noSnapshot).lastIndex, `killed at operation ${k}`).toBe(second.lastIndex + 1);
  }
  expect(kills).toBeGreaterThan(40);
});

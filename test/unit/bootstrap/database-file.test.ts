// What an orderly stop leaves for etcd, and what a start makes of it: also when somebody wrote into it, and after a crash at any step.
import { describe, expect, it } from 'vitest';
import type { Disk } from '../../../src/base/disk.ts';
import { silentLog } from '../../../src/base/log.ts';
import { MemoryDisk } from '../../../src/base/memory-disk.ts';
import { RealClock } from '../../../src/host/real-clock.ts';
import {
  adoptStore,
  type DatabaseKind,
  exportDatabase,
  leaveDatabaseFile,
  settleDatabase,
} from '../../../src/server/bootstrap/database-file.ts';
import { BoltReader } from '../../../src/server/storage/bbolt/bolt-reader.ts';
import { BoltStore } from '../../../src/server/storage/bbolt/bolt-store.ts';
import { contentOfBackend, openAt, sample } from '../offline/harness.ts';
import { plain } from '../storage/bbolt/harness.ts';
import { buildBackend } from '../../../src/server/storage/revlog/build-backend.ts';
import { defaultBackendOptions } from '../../../src/server/storage/revlog/log-backend.ts';

const clock = new RealClock();
const snapDir = '/d/member/snap';
const db = `${snapDir}/db`;

async function newStore(disk: Disk, dir: string): Promise<void> {
  disk.mkdir(snapDir, 0o700);
  const builder = buildBackend({ ...defaultBackendOptions, disk, clock, log: silentLog, dir });
  for (const [bucket, entries] of Object.entries(sample.entries))
    for (const [key, value] of entries) builder.addEntry(bucket as 'meta', key, value);
  for (const row of sample.rows) builder.addRow(row);
  await builder.finish();
}

async function stop(disk: Disk): Promise<void> {
  const backend = openAt(disk, db);
  expect(await exportDatabase({ disk, clock, log: silentLog, snapDir, backend })).toBe(true);
  await backend.close();
  leaveDatabaseFile(disk, snapDir);
}

function contentAt(disk: Disk): unknown {
  const backend = openAt(disk, db);
  const content = plain(contentOfBackend(backend));
  backend.abandon();
  return content;
}

function change(disk: Disk, at: number): void {
  const file = disk.open(db, { write: true });
  const byte = new Uint8Array(1);
  file.read(byte, at);
  file.write(Uint8Array.of((byte[0] as number) ^ 1), at);
  file.sync();
  file.close();
}

/** The disk as a crash would leave it in front of the `n`-th change of a name. */
class CrashingDisk extends MemoryDisk {
  left = Infinity;

  override rename(from: string, to: string): void {
    this.#step();
    super.rename(from, to);
  }

  override unlink(path: string): void {
    this.#step();
    super.unlink(path);
  }

  override removeTree(path: string): void {
    if (this.stat(path) !== undefined) this.#step();
    super.removeTree(path);
  }

  #step(): void {
    if (this.left-- <= 0) throw new Error('crash');
  }
}

describe('the database file', () => {
  it('is what etcd would have written, and the store comes back untouched', async () => {
    const disk = new MemoryDisk(clock);
    expect(settleDatabase(disk, '/none')).toBe('none');
    await newStore(disk, db);
    expect(settleDatabase(disk, snapDir)).toBe('store');
    const before = contentAt(disk);
    await stop(disk);
    const file = disk.open(db, { write: false });
    const bolt = new BoltStore(new BoltReader(file));
    expect(bolt.entries('authUsers')).toHaveLength(1);
    let rows = 0;
    for (const scan = bolt.rows(); scan.next() !== undefined;) rows++;
    expect(rows).toBe(sample.rows.length);
    file.close();
    expect(settleDatabase(disk, snapDir)).toBe('store');
    expect(contentAt(disk)).toEqual(before);
    await stop(disk);
    expect(settleDatabase(disk, snapDir)).toBe('store');
  });

  it('counts when somebody wrote into it', async () => {
    const disk = new MemoryDisk(clock);
    await newStore(disk, db);
    await stop(disk);
    // A transaction of bbolt changes a meta page.
    change(disk, 100);
    expect(settleDatabase(disk, snapDir)).toBe('changed');
    change(disk, 100);
    expect(settleDatabase(disk, snapDir)).toBe('store');
  });

  it('has one truth after a crash at any step', async () => {
    const steps: readonly [
      name: string,
      prepare: (disk: CrashingDisk) => Promise<void>,
      run: (disk: CrashingDisk) => void,
      DatabaseKind,
    ][] = [
      [
        'stop',
        async (disk) => {
          const backend = openAt(disk, db);
          await exportDatabase({ disk, clock, log: silentLog, snapDir, backend });
          await backend.close();
        },
        (disk) => leaveDatabaseFile(disk, snapDir),
        'store',
      ],
      ['start', stop, (disk) => void settleDatabase(disk, snapDir), 'store'],
      [
        'adopt',
        async (disk) => {
          await stop(disk);
          change(disk, 100);
          await newStore(disk, `${snapDir}/tmp-db-adopted`);
        },
        (disk) => adoptStore(disk, snapDir, `${snapDir}/tmp-db-adopted`),
        'changed',
      ],
    ];
    for (const [name, prepare, run, kind] of steps) {
      for (let at = 0; ; at++) {
        const disk = new CrashingDisk(clock);
        await newStore(disk, db);
        await prepare(disk);
        disk.left = at;
        let crashed = false;
        try {
          run(disk);
        } catch {
          crashed = true;
        }
        disk.left = Infinity;
        const found = settleDatabase(disk, snapDir);
        expect([kind, 'store'], `${name}, crash before step ${at}`).toContain(found);
        if (found === 'store') expect(contentAt(disk)).toBeDefined();
        else expect(disk.stat(db)?.isDirectory).toBe(false);
        if (!crashed) break;
        expect(at).toBeLessThan(20);
      }
    }
  });
});

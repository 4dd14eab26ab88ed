// One contract, three disks: the file system, the one in memory, the simulated one.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { DiskError, type Disk, type DiskOp } from '../../../src/base/disk.ts';
import { MemoryDisk } from '../../../src/base/memory-disk.ts';
import { SeededRandom } from '../../../src/base/random.ts';
import { SparseBytes } from '../../../src/base/sparse-bytes.ts';
import { RealClock } from '../../../src/host/real-clock.ts';
import { RealDisk } from '../../../src/host/real-disk.ts';
import { SimDisk } from '../../simulation/sim-disk.ts';

const kinds: Record<string, () => Disk> = {
  RealDisk: () => new RealDisk(),
  'RealDisk without syncs': () => new RealDisk({ unsafeNoFsync: true }),
  MemoryDisk: () => new MemoryDisk(new RealClock()),
  SimDisk: () => new SimDisk({ clock: new RealClock(), random: new SeededRandom(1) }),
};

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    expect(error).toBeInstanceOf(DiskError);
    return (error as DiskError).code;
  }
  return 'no error';
}

describe.each(Object.keys(kinds))('%s', (kind) => {
  let disk: Disk;
  let top: string;
  beforeEach(() => {
    disk = (kinds[kind] as () => Disk)();
    top = mkdtempSync(join(tmpdir(), 'disk-'));
    disk.mkdir(top, 0o700);
  });
  afterEach(() => rmSync(top, { recursive: true, force: true }));

  const bytesOf = (path: string): string => {
    const file = disk.open(path, { write: false });
    const bytes = new Uint8Array(file.size());
    expect(file.read(bytes, 0)).toBe(bytes.length);
    file.close();
    return Buffer.from(bytes).toString('latin1');
  };
  const write = (path: string, text: string): void => {
    const file = disk.open(path, { write: true, create: true });
    file.write(Buffer.from(text), 0);
    file.close();
  };

  test('files: write, read, holes, truncate, allocate', () => {
    const file = disk.open(`${top}/f`, { write: true, create: true, exclusive: true, mode: 0o600 });
    file.write(Buffer.from('hello'), 20_000);
    expect(file.size()).toBe(20_005);
    const into = new Uint8Array(10).fill(9);
    expect(file.read(into, 19_998)).toBe(7);
    expect(Buffer.from(into).toString('latin1')).toBe('\0\0hello\x09\x09\x09');
    expect(file.read(into, 30_000)).toBe(0);
    file.truncate(20_002);
    expect(file.size()).toBe(20_002);
    file.truncate(20_005);
    expect(file.read(into, 20_000)).toBe(5);
    expect(Buffer.from(into.subarray(0, 5)).toString('latin1')).toBe('he\0\0\0');
    file.allocate(3_000_000);
    file.allocate(10);
    expect(file.size()).toBe(3_000_000);
    file.sync();
    file.close();
    expect(disk.stat(`${top}/f`)).toEqual({ bytes: 3_000_000, isDirectory: false, mode: 0o600 });
  });

  test('open: flags and errors', () => {
    expect(codeOf(() => disk.open(`${top}/f`, { write: false }))).toBe('ENOENT');
    write(`${top}/f`, 'abc');
    expect(codeOf(() => disk.open(`${top}/f`, { write: true, create: true, exclusive: true }))).toBe('EEXIST');
    const read = disk.open(`${top}/f`, { write: false });
    expect(codeOf(() => read.write(Buffer.from('x'), 0))).toBe('EBADF');
    disk.open(`${top}/f`, { write: true, create: true, truncate: true }).close();
    expect(disk.stat(`${top}/f`)?.bytes).toBe(0);
    expect(codeOf(() => disk.open(`${top}/missing/f`, { write: true, create: true }))).toBe('ENOENT');
    expect(codeOf(() => disk.open(top, { write: true }))).toBe('EISDIR');
  });

  test('names', () => {
    disk.mkdir(`${top}/a/b/c`, 0o700);
    disk.mkdir(`${top}/a/b/c`, 0o700);
    expect(disk.stat(`${top}/a/b`)).toMatchObject({ isDirectory: true, mode: 0o700 });
    write(`${top}/a/z`, '1');
    write(`${top}/a/y`, '2');
    expect(disk.list(`${top}/a`)).toEqual(['b', 'y', 'z']);
    disk.rename(`${top}/a/z`, `${top}/a/y`);
    expect(bytesOf(`${top}/a/y`)).toBe('1');
    disk.rename(`${top}/a`, `${top}/d`);
    disk.syncDir(top);
    expect(disk.list(`${top}/d`)).toEqual(['b', 'y']);
    expect(disk.stat(`${top}/a`)).toBeUndefined();
    disk.unlink(`${top}/d/y`);
    expect(codeOf(() => disk.unlink(`${top}/d/y`))).toBe('ENOENT');
    expect(codeOf(() => disk.rename(`${top}/x`, `${top}/y`))).toBe('ENOENT');
    expect(codeOf(() => disk.list(`${top}/x`))).toBe('ENOENT');
    write(`${top}/d/b/c/deep`, 'x');
    expect(codeOf(() => disk.rename(`${top}/d/b/c`, `${top}/d/b`))).toBe('ENOTEMPTY');
    disk.removeTree(`${top}/d`);
    disk.removeTree(`${top}/d`);
    expect(disk.list(top)).toEqual([]);
    expect(disk.freeBytes(top)).toBeGreaterThan(0);
  });

  test('an open file outlives its name', () => {
    write(`${top}/f`, 'abc');
    const file = disk.open(`${top}/f`, { write: true });
    disk.unlink(`${top}/f`);
    file.write(Buffer.from('d'), 3);
    expect(file.size()).toBe(4);
    file.close();
  });

  test('locks: one holder at a time, of a path and of an open file', () => {
    const lock = disk.lock(`${top}/lock`);
    expect(lock).toBeDefined();
    expect(disk.lock(`${top}/lock`)).toBeUndefined();
    lock?.release();
    lock?.release();
    const again = disk.lock(`${top}/lock`);
    expect(again).toBeDefined();
    again?.release();
    write(`${top}/f`, 'x');
    const a = disk.open(`${top}/f`, { write: true });
    const b = disk.open(`${top}/f`, { write: true });
    expect(a.lock()).toBe(true);
    expect(a.lock()).toBe(true);
    expect(b.lock()).toBe(false);
    // Closing another handle of the same file leaves the lock alone: it belongs to one open.
    disk.open(`${top}/f`, { write: true }).close();
    expect(b.lock()).toBe(false);
    a.close();
    expect(b.lock()).toBe(true);
    b.close();
  });

  test('a thread runs jobs in order and reports in order, later', async () => {
    const thread = disk.thread('test');
    const file = disk.open(`${top}/f`, { write: true, create: true });
    const order: number[] = [];
    const shared = new Uint8Array(new SharedArrayBuffer(64)).fill(65);
    await new Promise<void>((resolve) => {
      for (let i = 0; i < 600; i++) {
        const bytes = i % 2 === 0 ? shared.subarray(8, 16) : new Uint8Array(8).fill(66);
        thread.submit([{ kind: 'write', file, bytes, position: i * 8 }], () => {
          order.push(i);
          if (i === 599) resolve();
        });
      }
      expect(order).toEqual([]);
      expect(thread.pending).toBe(600);
    });
    expect(order).toEqual([...order].sort((x, y) => x - y));
    expect(thread.pending).toBe(0);
    expect(bytesOf(`${top}/f`)).toBe(('A'.repeat(8) + 'B'.repeat(8)).repeat(300));
    thread.close();
    file.close();
  });

  test('a thread does every kind of operation; the file may be closed while its job is queued', async () => {
    const thread = disk.thread('test');
    const file = disk.open(`${top}/f`, { write: true, create: true });
    const big = new Uint8Array(3_000_000).map((_, i) => i);
    const ops: DiskOp[] = [
      { kind: 'write', file, bytes: Buffer.from('abcdef'), position: 0 },
      { kind: 'truncate', file, bytes: 3 },
      { kind: 'allocate', file, bytes: 10 },
      { kind: 'sync', file },
      { kind: 'rename', from: `${top}/f`, to: `${top}/g` },
      { kind: 'syncDir', path: top },
      { kind: 'write', file, bytes: big, position: 16 },
      { kind: 'write', file, bytes: big.subarray(3, 7), position: 12 },
      { kind: 'unlink', path: `${top}/h` },
    ];
    write(`${top}/h`, 'x');
    const result = await new Promise<[DiskError | undefined, number]>((resolve) => {
      thread.submit(ops, (error, syncMs) => resolve([error, syncMs]));
      file.close();
    });
    expect(result[0]).toBeUndefined();
    expect(result[1]).toBeGreaterThanOrEqual(0);
    expect(disk.list(top)).toEqual(['g']);
    const got = bytesOf(`${top}/g`);
    expect(got.slice(0, 16)).toBe('abc\0\0\0\0\0\0\0\0\0\x03\x04\x05\x06');
    expect(Buffer.from(got.slice(16), 'latin1').equals(Buffer.from(big))).toBe(true);
    thread.close();
  });

  test('the first error of a job ends it; the next job runs', async () => {
    const thread = disk.thread('test');
    const file = disk.open(`${top}/f`, { write: true, create: true });
    const errors: (DiskError | undefined)[] = [];
    await new Promise<void>((resolve) => {
      thread.submit(
        [
          { kind: 'unlink', path: `${top}/missing` },
          { kind: 'rename', from: `${top}/f`, to: `${top}/g` },
          { kind: 'write', file, bytes: new Uint8Array(500_000), position: 0 },
          { kind: 'syncDir', path: top },
        ],
        (error) => errors.push(error),
      );
      thread.submit([], (error) => errors.push(error));
      thread.submit([{ kind: 'write', file, bytes: Buffer.from('ok'), position: 0 }], (error) => {
        errors.push(error);
        resolve();
      });
    });
    expect(errors.map((e) => e && [e.code, e.op, e.path])).toEqual([['ENOENT', 'unlink', `${top}/missing`], undefined, undefined]);
    expect(disk.list(top)).toEqual(['f']);
    expect(bytesOf(`${top}/f`)).toBe('ok');
    thread.close();
    file.close();
  });

  test('jobs queued at close are done', async () => {
    const thread = disk.thread('test');
    const file = disk.open(`${top}/f`, { write: true, create: true });
    const done = new Promise<void>((resolve) => {
      for (let i = 0; i < 20; i++) {
        thread.submit(
          [
            { kind: 'write', file, bytes: Buffer.from('x'), position: i },
            { kind: 'sync', file },
          ],
          () => {
            if (i === 19) resolve();
          },
        );
      }
    });
    thread.close();
    file.close();
    await done;
    expect(bytesOf(`${top}/f`)).toBe('x'.repeat(20));
  });
});

test('sparse bytes equal a plain array under random work', () => {
  const random = new SeededRandom(5);
  const sparse = new SparseBytes();
  let plain = Buffer.alloc(0);
  for (let round = 0; round < 2000; round++) {
    const at = random.u32() % 100_000;
    if (random.u32() % 5 === 0) {
      const next = Buffer.alloc(at);
      plain.copy(next);
      plain = next;
      sparse.truncate(at);
    } else {
      const bytes = random.bytes(random.u32() % 40_000);
      if (at + bytes.length > plain.length && bytes.length !== 0) {
        const next = Buffer.alloc(at + bytes.length);
        plain.copy(next);
        plain = next;
      }
      plain.set(bytes, at);
      sparse.write(bytes, at);
    }
    if (round % 20 !== 0) continue;
    const all = new Uint8Array(plain.length + 5);
    expect(sparse.length).toBe(plain.length);
    expect(sparse.clone().read(all, 0)).toBe(plain.length);
    expect(plain.equals(all.subarray(0, plain.length))).toBe(true);
  }
});

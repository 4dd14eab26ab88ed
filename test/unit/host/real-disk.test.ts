// What only the real disk can show: locks between processes, errors of the kernel, independence of libuv's pool, and the life of its threads.
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { build } from 'esbuild';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { DiskError, DiskOp } from '../../../src/base/disk.ts';
import { silentLog } from '../../../src/base/log.ts';
import { RealClock } from '../../../src/host/real-clock.ts';
import { RealDisk } from '../../../src/host/real-disk.ts';
import { WAL } from '../../../src/server/storage/wal/wal.ts';

const source = join(import.meta.dirname, '../../../src');
let top: string;
let childModule: string;

beforeAll(async () => {
  top = mkdtempSync(join(tmpdir(), 'real-disk-'));
  // Beside the built workers, so that it finds them as a bundle does.
  childModule = join(source, '../dist', `real-disk-test-${process.pid}.mjs`);
  await build({
    stdin: {
      contents: `
        import { RealDisk } from '${source}/host/real-disk.ts';
        const [what, path] = process.argv.slice(2);
        const disk = new RealDisk();
        if (what === 'lock') {
          console.log(disk.lock(path) === undefined ? 'refused' : 'held');
          setInterval(() => {}, 1000);
        } else if (what === 'pending') {
          const thread = disk.thread('t');
          const file = disk.open(path, { write: true, create: true });
          thread.submit([{ kind: 'allocate', file, bytes: 2e7 }, { kind: 'sync', file }], (e) => console.log(e === undefined ? 'done' : e.message));
        } else if (what === 'idle') {
          const thread = disk.thread('t');
          const file = disk.open(path, { write: true, create: true });
          thread.submit([{ kind: 'sync', file }], () => console.log('done'));
        } else if (what === 'exit') {
          const thread = disk.thread('t');
          const file = disk.open(path, { write: true, create: true });
          thread.submit([{ kind: 'sync', file }], () => process.exit(7));
        }`,
      resolveDir: source,
    },
    bundle: true,
    platform: 'node',
    format: 'esm',
    external: ['fs-native-extensions'],
    outfile: childModule,
  });
});

afterAll(() => {
  rmSync(top, { recursive: true, force: true });
  rmSync(childModule, { force: true });
});

function child(what: string, path: string): ChildProcess {
  return spawn(process.execPath, [childModule, what, path], { stdio: ['ignore', 'pipe', 'inherit'] });
}

async function firstLine(process: ChildProcess): Promise<string> {
  let text = '';
  for await (const chunk of process.stdout as AsyncIterable<Buffer>) {
    text += chunk.toString();
    if (text.includes('\n')) return text.slice(0, text.indexOf('\n'));
  }
  return text;
}

function exited(process: ChildProcess): Promise<number | null> {
  return new Promise((resolve) => (process.exitCode !== null ? resolve(process.exitCode) : process.once('exit', (code) => resolve(code))));
}

describe('locks', () => {
  test('a second process is refused; kill -9 frees the lock', async () => {
    const path = join(top, 'lock');
    const first = child('lock', path);
    expect(await firstLine(first)).toBe('held');
    expect(new RealDisk().lock(path)).toBeUndefined();
    const second = child('lock', path);
    expect(await firstLine(second)).toBe('refused');
    second.kill('SIGKILL');
    first.kill('SIGKILL');
    await exited(first);
    const mine = new RealDisk().lock(path);
    expect(mine).toBeDefined();
    // A second member of the same process, with a disk of its own.
    expect(new RealDisk().lock(path)).toBeUndefined();
    mine?.release();
  });
});

describe('errors', () => {
  test('ENOSPC and EINVAL of the kernel come as such, from both ways of writing', async () => {
    const disk = new RealDisk();
    const full = disk.open('/dev/full', { write: true });
    expect(() => full.write(Buffer.from('x'), 0)).toThrow('write /dev/full: ENOSPC');
    const thread = disk.thread('errors');
    const run = (ops: DiskOp[]): Promise<DiskError | undefined> => new Promise((resolve) => thread.submit(ops, resolve));
    expect((await run([{ kind: 'write', file: full, bytes: Buffer.from('x'), position: 0 }]))?.message).toBe('write /dev/full: ENOSPC');
    expect((await run([{ kind: 'sync', file: full }]))?.code).toBe('EINVAL');
    expect((await run([{ kind: 'syncDir', path: join(top, 'nowhere') }]))?.code).toBe('ENOENT');
    thread.close();
    full.close();
  });

  test('unsafeNoFsync leaves syncs out', async () => {
    const disk = new RealDisk({ unsafeNoFsync: true });
    const file = disk.open('/dev/full', { write: true });
    file.sync();
    const thread = disk.thread('none');
    const error = await new Promise((resolve) =>
      thread.submit(
        [
          { kind: 'sync', file },
          { kind: 'syncDir', path: '/nowhere' },
        ],
        resolve,
      ),
    );
    expect(error).toBeUndefined();
    thread.close();
    file.close();
  });
});

describe('threads', () => {
  test('use the same shared memory again', async () => {
    const disk = new RealDisk();
    const thread = disk.thread('bursts');
    const file = disk.open(join(top, 'bursts'), { write: true, create: true });
    const bytes = new Uint8Array(200_000).fill(7);
    const before = process.memoryUsage().arrayBuffers;
    for (let burst = 0; burst < 100; burst++) {
      const ops = Array.from({ length: 5 }, (_, i): DiskOp => ({ kind: 'write', file, bytes, position: i * bytes.length }));
      await Promise.all([ops.slice(0, 2), ops.slice(2)].map((o) => new Promise((resolve) => thread.submit(o, resolve))));
    }
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(16e6);
    const read = new Uint8Array(5 * bytes.length);
    expect(file.read(read, 0)).toBe(read.length);
    expect(read.every((b) => b === 7)).toBe(true);
    thread.close();
    file.close();
  });

  test('long jobs go through little shared memory, in order', async () => {
    const disk = new RealDisk();
    const thread = disk.thread('long');
    const file = disk.open(join(top, 'long'), { write: true, create: true });
    const write = (fill: number, length: number, position: number): DiskOp => ({
      kind: 'write',
      file,
      bytes: new Uint8Array(length + 3).fill(fill).subarray(3),
      position,
    });
    const jobs: DiskOp[][] = [
      [write(1, 9_000_001, 0)],
      // More operations than the ring takes.
      Array.from({ length: 1000 }, (_, i) => write(2, 10, 5 + 10 * i)),
      [write(3, 0, 0), write(3, 3_000_000, 20_000), write(4, 6_000_000, 2_000_000), { kind: 'sync', file }],
      [write(5, 7, 0)],
    ];
    const expected = Buffer.alloc(9_000_001, 1);
    for (const op of jobs.flat()) if (op.kind === 'write') expected.set(op.bytes, op.position);
    const before = process.memoryUsage().arrayBuffers;
    const order: number[] = [];
    const done = jobs.map((ops, n) => new Promise((resolve) => thread.submit(ops, (error) => (order.push(n), resolve(error)))));
    expect(thread.pending).toBe(4);
    expect(await Promise.all(done)).toEqual([undefined, undefined, undefined, undefined]);
    expect(order).toEqual([0, 1, 2, 3]);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(5e6);
    const read = Buffer.alloc(expected.length + 1);
    expect(file.read(read, 0)).toBe(expected.length);
    expect(read.subarray(0, expected.length).equals(expected)).toBe(true);
    thread.close();
    file.close();
  });

  test('nothing of a long job is run behind the operation that failed, and the next job is whole', async () => {
    const disk = new RealDisk();
    const thread = disk.thread('failing');
    const file = disk.open(join(top, 'failing'), { write: true, create: true });
    const full = disk.open('/dev/full', { write: true });
    const bytes = new Uint8Array(3_000_000);
    const long: DiskOp[] = [
      { kind: 'write', file, bytes: Buffer.from('begin'), position: 0 },
      ...Array.from({ length: 300 }, (): DiskOp => ({ kind: 'write', file: full, bytes, position: 0 })),
      { kind: 'rename', from: file.path, to: `${file.path}-renamed` },
    ];
    const next: DiskOp[] = [
      { kind: 'write', file, bytes: Buffer.from('next'), position: 0 },
      { kind: 'rename', from: file.path, to: `${file.path}-next` },
    ];
    const results = await Promise.all(
      [long, next].map((ops) => new Promise<DiskError | undefined>((resolve) => thread.submit(ops, resolve))),
    );
    expect(results.map((error) => error?.message)).toEqual(['write /dev/full: ENOSPC', undefined]);
    expect(disk.stat(`${file.path}-renamed`)).toBeUndefined();
    expect(disk.stat(`${file.path}-next`)?.bytes).toBe(5);
    expect(readFileSync(`${file.path}-next`, 'utf8')).toBe('nextn');
    thread.close();
    full.close();
    file.close();
  });

  test('libuv’s pool, stalled by four jobs for three seconds, delays neither writes nor syncs of a log', async () => {
    const dir = join(top, 'stalled');
    const options = { disk: new RealDisk(), clock: new RealClock(), dir, log: silentLog, onFatal: (e: Error) => expect(e).toBeUndefined() };
    const wal = WAL.create(options, Buffer.from('08011002', 'hex'));
    const save = (index: number): Promise<void> =>
      new Promise((resolve) => wal.save([{ Type: 0, Term: 1, Index: index, Data: Buffer.alloc(300) }], undefined, true, () => resolve()));
    await save(1);
    // Four opens of a pipe that nobody writes to: each holds one of the pool's four threads until a writer comes.
    const pipe = join(top, 'pipe');
    execFileSync('mkfifo', [pipe]);
    const opens = [1, 2, 3, 4].map(() => open(pipe, 'r'));
    let poolServes = false;
    const behind = stat(top).then(() => (poolServes = true));
    for (let i = 2; i <= 300; i++) await save(i);
    const until = performance.now() + 3000;
    let saves = 0;
    while (performance.now() < until) {
      await save(301 + saves++);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(poolServes).toBe(false);
    expect(saves).toBeGreaterThan(30);
    closeSync(openSync(pipe, 'w'));
    for (const handle of await Promise.all(opens)) await handle.close();
    await behind;
    await wal.close();
  });

  test('handles of one name share a thread; it ends with the last of them', async () => {
    const disk = new RealDisk();
    const a = disk.thread('shared');
    const b = disk.thread('shared');
    const order: string[] = [];
    const submit = (t: typeof a, name: string): Promise<void> =>
      new Promise((resolve) => t.submit([], () => (order.push(name), resolve())));
    const all = [submit(a, 'a1'), submit(b, 'b1'), submit(a, 'a2')];
    a.close();
    expect(() => a.submit([], () => {})).toThrow('open thread');
    all.push(submit(b, 'b2'));
    await Promise.all(all);
    expect(order).toEqual(['a1', 'b1', 'a2', 'b2']);
    b.close();
    const c = disk.thread('shared');
    await submit(c, 'c1');
    c.close();
  });

  test('pending work keeps the process alive; an idle thread does not, nor does it hold up an exit', async () => {
    for (const what of ['pending', 'idle']) {
      const process = child(what, join(top, what));
      expect(await firstLine(process)).toBe('done');
      expect(await exited(process)).toBe(0);
    }
    expect(await exited(child('exit', join(top, 'exit')))).toBe(7);
  });

  test.each([
    { device: 'a quick', quickSyncMs: Infinity, inPlace: true },
    { device: 'a slow', quickSyncMs: 0, inPlace: false },
  ])('brief jobs on $device device', async ({ quickSyncMs, inPlace }) => {
    const disk = new RealDisk({ quickSyncMs });
    const file = disk.open(`${top}/brief-${inPlace}`, { write: true, create: true });
    const thread = disk.thread('brief');
    const order: number[] = [];
    const write = (n: number, brief: boolean): Promise<DiskError | undefined> =>
      new Promise((resolve) =>
        thread.submit(
          [
            { kind: 'write', file, bytes: Buffer.from([n]), position: n },
            { kind: 'sync', file },
          ],
          (error) => {
            order.push(n);
            resolve(error);
          },
          brief,
        ),
      );
    for (let n = 0; n < 32; n++) await write(n, false);
    const jobs = [write(32, true)];
    if (inPlace) expect(file.size()).toBe(33);
    expect([order.length, thread.pending]).toEqual([32, 1]);
    // Behind one that is under way it has to wait.
    jobs.push(write(33, false), write(34, true));
    expect(await Promise.all(jobs)).toEqual([undefined, undefined, undefined]);
    expect(order).toEqual(Array.from({ length: 35 }, (_, n) => n));
    expect([file.size(), thread.pending]).toEqual([35, 0]);
    const closed = disk.open(`${top}/brief-${inPlace}`, { write: false });
    const failed = await new Promise<DiskError | undefined>((resolve) =>
      thread.submit([{ kind: 'write', file: closed, bytes: Buffer.from('x'), position: 0 }], resolve, true),
    );
    expect(failed?.code).toBe('EBADF');
    closed.close();
    thread.close();
    file.close();
  });

  test('a large log file is written through a thread while private bytes are reused', async () => {
    const disk = new RealDisk();
    const thread = disk.thread('reuse');
    const file = disk.open(join(top, 'reuse'), { write: true, create: true });
    const bytes = new Uint8Array(100_000);
    for (let i = 0; i < 50; i++) {
      bytes.fill(i);
      await new Promise((resolve) => thread.submit([{ kind: 'write', file, bytes, position: i * bytes.length }], resolve));
    }
    const back = new Uint8Array(bytes.length);
    for (let i = 0; i < 50; i++) {
      file.read(back, i * bytes.length);
      expect(back.every((b) => b === i)).toBe(true);
    }
    thread.close();
    file.close();
  });
});

test('the rights of new files and folders', () => {
  const disk = new RealDisk();
  const dir = join(top, 'rights/below');
  disk.mkdir(dir, 0o700);
  disk.open(`${dir}/f`, { write: true, create: true }).close();
  expect(disk.stat(`${dir}/f`)?.mode).toBe(0o600);
  expect(disk.stat(join(top, 'rights'))?.mode).toBe(0o700);
  // No following of a link that somebody laid where a temporary file goes.
  writeFileSync(join(top, 'target'), 'precious');
  expect(() => disk.open(join(top, 'target'), { write: true, create: true, exclusive: true })).toThrow('EEXIST');
});

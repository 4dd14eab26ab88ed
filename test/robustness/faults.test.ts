// What the machine may do to a member: a full or failing disk, a stalled thread pool, a second process on its data, signals, other data.
// The rules are those of the durability table: D-14, F-1, F-2, F-12, F-14.
import { pbkdf2 } from 'node:crypto';
import { cpSync, existsSync, rmSync } from 'node:fs';
import { spawn, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { utf8 } from '../../src/base/bytes.ts';
import { type Disk, DiskError, type DiskOp, type DiskThread } from '../../src/base/disk.ts';
import { MemoryDisk } from '../../src/base/memory-disk.ts';
import { silentLog } from '../../src/base/log.ts';
import { Code, connect, type EtcdError, rpc } from '../../src/client/index.ts';
import { RealClock } from '../../src/host/real-clock.ts';
import { RealDisk } from '../../src/host/real-disk.ts';
import { startMember } from '../../src/server/embed.ts';
import { settleDatabase } from '../../src/server/bootstrap/database-file.ts';
import { defaultBackendOptions, openBackend } from '../../src/server/storage/revlog/log-backend.ts';
import { freePorts, oneMember, program, scratch, until } from '../support/member.ts';
import { startOn } from './in-process.ts';

const place = scratch();
afterAll(() => place.remove());

describe('a disk that fails (F-1)', () => {
  /** Its threads' syncs of files whose path matches fail once `broken` is set, or writes do. */
  class FailingDisk extends MemoryDisk {
    broken: { readonly path: RegExp; readonly kind: DiskOp['kind']; readonly code: string } | undefined;
    failures = 0;

    override thread(): DiskThread {
      const inner = super.thread();
      const failing = (op: DiskOp): boolean =>
        this.broken !== undefined && 'file' in op && op.kind === this.broken.kind && this.broken.path.test(op.file.path);
      return {
        submit: (ops, done) => {
          const bad = ops.findIndex(failing);
          if (bad < 0) {
            inner.submit(ops, done);
            return;
          }
          this.failures++;
          const op = ops[bad] as DiskOp & { file: { path: string } };
          inner.submit(ops.slice(0, bad), () =>
            done(new DiskError({ code: this.broken?.code ?? 'EIO', op: op.kind, path: op.file.path }), 0),
          );
        },
        get pending() {
          return inner.pending;
        },
        close: () => inner.close(),
      };
    }
  }

  it.each([
    ['a sync of the WAL', /\.wal$/, 'sync', 'EIO'],
    ['a write to the WAL', /\.wal$/, 'write', 'ENOSPC'],
    ['a sync of the store', /\/db\//, 'sync', 'EIO'],
    ['a write to the store', /\/db\//, 'write', 'ENOSPC'],
  ] as const)('%s stops the member: no answer, no second try', async (_what, path, kind, code) => {
    const disk = new FailingDisk(new RealClock());
    const running = await startOn(disk);
    await running.client.put('k', 'kept');
    disk.broken = { path, kind, code };
    let acknowledged = false;
    const put = running.client.put('k', 'not promised', { timeoutMs: 1500 }).then(
      () => (acknowledged = true),
      () => undefined,
    );
    const error = await running.fatal;
    expect(error).toBeInstanceOf(DiskError);
    expect(error).toMatchObject({ code });
    expect((error as DiskError).path).toMatch(path);
    await put;
    // The WAL alone makes a write durable.
    expect(acknowledged).toBe(path.source !== '\\.wal$');
    expect(disk.failures).toBe(1);
    await running.client.put('k', 'later', { timeoutMs: 200 }).catch(() => undefined);
    expect(disk.failures).toBe(1);
    await running.stop().catch(() => undefined);
  });

  it('ends the program with 21, file and errno named; afterwards nothing acknowledged is missing', async () => {
    const member = await oneMember();
    try {
      const first = connect({ endpoints: [member.endpoint] });
      for (let i = 0; i < 20; i++) await first.put(`big${i}`, Buffer.alloc(100_000, 'x'));
      first.close();
      await member.stop();
      // Every write beyond 3,000 KiB of a file now fails with EFBIG.
      const o = member.options;
      const flags = ['--data-dir', o.dataDir, '--listen-client-urls', member.url, '--advertise-client-urls', member.url];
      const command = `ulimit -f 3000; exec "$0" "$@"`;
      const child = spawn(
        'bash',
        ['-c', command, process.execPath, program, 'server', ...flags, '--listen-peer-urls', `http://127.0.0.1:${o.peerPort}`],
        { stdio: ['ignore', 'ignore', 'pipe'] },
      );
      let log = '';
      child.stderr.setEncoding('utf8').on('data', (d: string) => (log += d));
      const exit = new Promise<number | null>((resolve) => child.once('exit', resolve));
      await until('the member', () => log.includes('ready to serve'));
      const client = connect({ endpoints: [member.endpoint], requestTimeoutMs: 3000 });
      let acked = 0;
      for (let i = 20; i < 60; i++) {
        const done = await client.put(`big${i}`, Buffer.alloc(100_000, 'x')).then(
          () => true,
          () => false,
        );
        if (!done) break;
        acked = i;
      }
      client.close();
      expect(await exit).toBe(21);
      const last = JSON.parse(log.trim().split('\n').at(-1) ?? '') as { level: string; error: string };
      expect(last.level).toBe('fatal');
      expect(last.error).toMatch(/^write .*: EFBIG/);
      expect(acked).toBeGreaterThan(19);
      await member.start();
      const again = connect({ endpoints: [member.endpoint] });
      expect((await again.get('big', { prefix: true, countOnly: true })).count).toBeGreaterThanOrEqual(acked + 1);
      again.close();
    } finally {
      await member.remove();
    }
  });
});

describe('the data directory (D-14, F-12)', () => {
  let member: Awaited<ReturnType<typeof oneMember>>;
  beforeAll(async () => {
    member = await oneMember();
    const client = connect({ endpoints: [member.endpoint] });
    await client.put('k', 'v');
    client.close();
  });
  afterAll(() => member.remove());

  const refused = async (dataDir: string): Promise<{ status: number | null; error: string }> => {
    const [client = 0, peer = 0] = await freePorts(2);
    const urls = ['--listen-client-urls', `http://127.0.0.1:${client}`, '--advertise-client-urls', `http://127.0.0.1:${client}`];
    const args = [program, 'server', '--data-dir', dataDir, ...urls, '--listen-peer-urls', `http://127.0.0.1:${peer}`];
    const r = spawnSync(process.execPath, args, { encoding: 'utf8', timeout: 20_000 });
    return { status: r.status, error: (JSON.parse(r.stderr.trim().split('\n').at(-1) ?? '') as { error: string }).error };
  };

  it('is one process’s: a second one is refused, in this process too, and changes nothing', async () => {
    expect(await refused(member.options.dataDir)).toEqual({
      status: 1,
      error: expect.stringContaining('in use by another process') as string,
    });
    await expect(startMember({ dataDir: member.options.dataDir })).rejects.toThrow('in use by another process');
    const client = connect({ endpoints: [member.endpoint] });
    expect(await client.getText('k')).toBe('v');
    client.close();
  });

  it('is free at once after kill -9', async () => {
    for (let i = 0; i < 3; i++) {
      await member.stop('SIGKILL');
      await member.start();
    }
    const client = connect({ endpoints: [member.endpoint] });
    expect(await client.getText('k')).toBe('v');
    client.close();
  });

  it('of a newer version is refused with 20', async () => {
    await member.stop();
    const dir = join(place.dir, 'newer');
    cpSync(member.options.dataDir, dir, { recursive: true });
    const clock = new RealClock();
    const disk: Disk = new RealDisk();
    // The stop has left etcd's file in the store's place.
    expect(settleDatabase(disk, `${dir}/member/snap`)).toBe('store');
    const backend = openBackend({ ...defaultBackendOptions, disk, clock, log: silentLog, dir: `${dir}/member/snap/db` });
    backend.put('cluster', utf8('clusterVersion'), utf8('3.8.0'));
    await backend.close();
    expect(await refused(dir)).toEqual({ status: 20, error: expect.stringContaining('invalid downgrade') as string });
    await member.start();
  });

  it('put together from two members’ is refused with 20', async () => {
    const other = await oneMember({ name: 'other' });
    const client = connect({ endpoints: [member.endpoint] });
    for (let i = 0; i < 50; i++) await client.put('more', String(i));
    client.close();
    await member.stop();
    await other.stop();
    const dir = join(place.dir, 'mixed');
    cpSync(member.options.dataDir, dir, { recursive: true });
    rmSync(join(dir, 'member/wal'), { recursive: true });
    cpSync(join(other.options.dataDir, 'member/wal'), join(dir, 'member/wal'), { recursive: true });
    expect((await refused(dir)).status).toBe(20);
    await other.remove();
    await member.start();
  });
});

describe('a signal (F-14)', () => {
  it.each([
    ['SIGTERM', 143],
    ['SIGINT', 130],
  ] as const)('%s ends streams and waiting calls with Unavailable, and the process by that signal', async (signal, code) => {
    const member = await oneMember();
    const client = connect({ endpoints: [member.endpoint] });
    const lease = await client.grantLease(100);
    const { stream: watch } = await client.connection.stream(rpc.Watch.watch);
    const { stream: keep } = await client.connection.stream(rpc.Lease.leaseKeepAlive);
    const ends: (number | undefined)[] = [];
    const opened: unknown[] = [];
    for (const s of [watch, keep]) {
      s.onMessage = (m: unknown) => opened.push(m);
      s.onEnd = (status) => ends.push(status?.code);
    }
    watch.send({ createRequest: { key: Buffer.from('k') } });
    keep.send({ ID: lease.ID });
    await until('both streams', () => opened.length === 2);
    // A lock that waits.
    await client.call(rpc.Lock.lock, { name: Buffer.from('l'), lease: lease.ID });
    const other = await client.grantLease(100);
    const waiting = client.call(rpc.Lock.lock, { name: Buffer.from('l'), lease: other.ID }).then(
      () => 'locked',
      (error: unknown) => (error as EtcdError).code,
    );
    const start = performance.now();
    member.child?.kill(signal);
    expect(await member.exit).toEqual({ code: null, signal });
    expect(performance.now() - start).toBeLessThan(5000);
    await until('the ends', () => ends.length === 2);
    expect(ends).toEqual([Code.Unavailable, Code.Unavailable]);
    expect(await waiting).toBe(Code.Unavailable);
    client.close();
    await member.remove();
    expect({ SIGTERM: 143, SIGINT: 130 }[signal]).toBe(code);
  });

  it('is seen by a shell as 143 and 130; pid 1 exits with 0', async () => {
    const member = await oneMember();
    await member.stop();
    const o = member.options;
    const flags = ['--data-dir', o.dataDir, '--listen-client-urls', member.url, '--advertise-client-urls', member.url];
    const args = [process.execPath, program, 'server', ...flags, '--listen-peer-urls', `http://127.0.0.1:${o.peerPort}`];
    for (const [signal, code] of [
      ['TERM', '143'],
      ['INT', '130'],
    ] as const) {
      const script = `"$@" 2>/dev/null & pid=$!; until curl -sf ${member.url}/health >/dev/null; do sleep 0.05; done; kill -${signal} $pid; wait $pid; echo $?`;
      // A shell without job control starts what runs in the background deaf to SIGINT; Node hears it all the same.
      const r = spawnSync('bash', ['-c', script, 'bash', ...args], { encoding: 'utf8', timeout: 30_000 });
      expect(r.stdout.trim(), signal).toBe(code);
    }
    // A pid namespace of its own needs rights that not everyone has.
    const unshare = ['--fork', '--pid', '--kill-child', '--'];
    if (existsSync('/usr/bin/unshare') && spawnSync('unshare', [...unshare, 'true']).status === 0) {
      const script = `"$@" 2>/dev/null & child=$!; until curl -sf ${member.url}/health >/dev/null; do sleep 0.05; done; kill -TERM $(pgrep -P $child); wait $child; echo $?`;
      const r = spawnSync('bash', ['-c', script, 'bash', 'unshare', ...unshare, ...args], { encoding: 'utf8', timeout: 30_000 });
      expect(r.stdout.trim()).toBe('0');
    }
    await member.remove();
  });
});

describe('a stalled thread pool', () => {
  it('does not hold up puts', async () => {
    const member = await startMember({ dataDir: join(place.dir, 'pool') });
    await member.client.put('k', 'warm');
    // Four jobs that hold all of libuv's threads for some seconds.
    const size = Number(process.env['UV_THREADPOOL_SIZE'] ?? 4);
    const iterations = await new Promise<number>((resolve) => {
      const start = performance.now();
      pbkdf2('x', 'y', 200_000, 64, 'sha512', () => resolve(Math.round((200_000 * 3000) / (performance.now() - start))));
    });
    let running = size;
    const start = performance.now();
    for (let i = 0; i < size; i++) pbkdf2('x', 'y', iterations, 64, 'sha512', () => running--);
    const slowest = { ms: 0 };
    let puts = 0;
    while (running === size) {
      const at = performance.now();
      await member.client.put('k', String(puts++));
      slowest.ms = Math.max(slowest.ms, performance.now() - at);
    }
    const stalledMs = performance.now() - start;
    expect(stalledMs).toBeGreaterThan(2000);
    // One put after the other, on cores that the jobs fill up.
    expect(puts).toBeGreaterThan(100);
    expect(slowest.ms).toBeLessThan(1500);
    await until('the pool to be free', () => running === 0);
    await member.close();
    const again = await startMember({ dataDir: join(place.dir, 'pool') });
    expect(await again.client.getText('k')).toBe(String(puts - 1));
    await again.close();
  });
});

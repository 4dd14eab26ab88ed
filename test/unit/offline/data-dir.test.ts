// Work on data directories of stopped members: defragmentation, storage versions, and moves between etcd and tsetcd.
import { describe, expect, it } from 'vitest';
import { utf8, utf8Text } from '../../../src/base/bytes.ts';
import { silentLog } from '../../../src/base/log.ts';
import { DataDirBusy, dataPaths, DataRefused, openDataDir } from '../../../src/server/bootstrap/data-dir.ts';
import { settleDatabase } from '../../../src/server/bootstrap/database-file.ts';
import { adoptDatabase } from '../../../src/server/offline/adopt.ts';
import { defragDataDir } from '../../../src/server/offline/defrag.ts';
import { hashKv } from '../../../src/server/offline/hash-kv.ts';
import { migrateFromEtcd, migrateToEtcd } from '../../../src/server/offline/move.ts';
import { restoreSnapshot } from '../../../src/server/offline/restore.ts';
import { snapshotStatus } from '../../../src/server/offline/snapshot-status.ts';
import { migrateStorage, parseTargetVersion } from '../../../src/server/offline/storage-version.ts';
import { writeBolt } from '../../../src/server/offline/write-bolt.ts';
import type { BucketName } from '../../../src/server/storage/backend.ts';
import { BoltReader } from '../../../src/server/storage/bbolt/bolt-reader.ts';
import { BoltStore } from '../../../src/server/storage/bbolt/bolt-store.ts';
import { buildBackend } from '../../../src/server/storage/revlog/build-backend.ts';
import { defaultBackendOptions } from '../../../src/server/storage/revlog/log-backend.ts';
import { confStateJson, encodeMetaIndex } from '../../../src/server/storage/revlog/meta.ts';
import { RealClock } from '../../../src/host/real-clock.ts';
import { plain } from '../storage/bbolt/harness.ts';
import { contentOfBackend, newDisk, openAt, put, restoreDefaults, sample, snapshotOf, store, toolOn, tree } from './harness.ts';

async function members(): Promise<{ disk: ReturnType<typeof newDisk>; tool: ReturnType<typeof toolOn> }> {
  const disk = newDisk();
  store(disk, '/s.db', await snapshotOf(sample));
  const tool = toolOn(disk);
  await restoreSnapshot(tool, { ...restoreDefaults, dataDir: '/ts' });
  await migrateToEtcd(tool, { dataDir: '/ts', walDir: '', to: '/etcd', toWalDir: '' });
  return { disk, tool };
}

const plainMove = { walDir: '', toWalDir: '' };

describe('a move', () => {
  it('to etcd and back keeps everything and changes nothing where it came from', async () => {
    const { disk, tool } = await members();
    const before = tree(disk, '/ts');
    const etcdBefore = tree(disk, '/etcd');
    const there = await migrateToEtcd(tool, { dataDir: '/ts', ...plainMove, to: '/etcd2' });
    expect(tree(disk, '/ts')).toEqual(before);
    expect(disk.stat('/etcd/member/snap/db')?.isDirectory).toBe(false);
    const back = await migrateFromEtcd(tool, { dataDir: '/etcd/', walDir: '', to: '/back', toWalDir: '/walback' });
    expect(tree(disk, '/etcd')).toEqual(etcdBefore);
    expect(back).toEqual(there);
    expect(back).toMatchObject({ revision: 6, rows: 7, consistentIndex: 1 });
    expect(Object.values(tree(disk, '/walback'))).toEqual(Object.values(tree(disk, '/ts/member/wal')));
    const [a, b] = ['/ts', '/back'].map((d) => {
      const backend = openAt(disk, `${d}/member/snap/db`);
      const content = contentOfBackend(backend);
      backend.abandon();
      return content;
    });
    expect(plain(b ?? sample)).toEqual(plain(a ?? sample));
    expect(await hashKv(tool, '/back', 0)).toEqual(await hashKv(tool, '/s.db', 0));
    openDataDir(disk, dataPaths({ dataDir: '/back', walDir: '/walback' }), silentLog).release();
  });

  it("does not take over who voted before etcd's last restore", async () => {
    const { disk, tool } = await members();
    const path = '/etcd/member/snap/db';
    const file = disk.open(path, { write: false });
    const content = new BoltStore(new BoltReader(file));
    const stale = confStateJson({ voters: [5n, 6n, 7n], learners: [], votersOutgoing: [], learnersNext: [], autoLeave: false });
    const entries = (bucket: BucketName): [Uint8Array, Uint8Array][] =>
      content.entries(bucket).map(([key, value]) => [key, utf8Text(key) === 'confState' ? stale : value]);
    await writeBolt(tool, { rows: () => content.rows(), entries }, path);
    const { memberId } = await migrateFromEtcd(tool, { dataDir: '/etcd', ...plainMove, to: '/back' });
    const backend = openAt(disk, '/back/member/snap/db');
    expect(backend.confState?.voters).toEqual([memberId]);
    backend.abandon();
  });

  it('refuses the wrong kind, a used target, a missing raft log, and a store that does not fit its log', async () => {
    const { disk, tool } = await members();
    await expect(migrateFromEtcd(tool, { dataDir: '/ts', ...plainMove, to: '/x' })).rejects.toThrow('tsetcd already');
    await expect(migrateToEtcd(tool, { dataDir: '/etcd', ...plainMove, to: '/x' })).rejects.toThrow('of etcd already');
    await expect(migrateFromEtcd(tool, { dataDir: '/etcd', ...plainMove, to: '/ts' })).rejects.toThrow('data-dir "/ts" not empty');
    await expect(migrateFromEtcd(tool, { dataDir: '/none', ...plainMove, to: '/x' })).rejects.toThrow(
      'stat /none/member/snap/db: no such file or directory',
    );
    await expect(migrateFromEtcd(tool, { dataDir: '/etcd', ...plainMove, walDir: '/w', to: '/x' })).rejects.toThrow('stat /w:');
    expect(disk.stat('/x')).toBeUndefined();
    // A store ahead of the log.
    const path = '/etcd/member/snap/db';
    const content = new BoltStore(new BoltReader(disk.open(path, { write: false })));
    const entries = (bucket: BucketName): [Uint8Array, Uint8Array][] =>
      content.entries(bucket).map(([key, value]) => [key, utf8Text(key) === 'consistent_index' ? encodeMetaIndex(99) : value]);
    await writeBolt(tool, { rows: () => content.rows(), entries }, path);
    await expect(migrateFromEtcd(tool, { dataDir: '/etcd', ...plainMove, to: '/x' })).rejects.toThrow('ends at index 1');
    // What was begun is told from a whole one.
    await expect(defragDataDir(tool, '/x')).rejects.toThrow();
    expect(() => openDataDir(disk, dataPaths({ dataDir: '/x', walDir: '' }), silentLog)).toThrow('incomplete');
  });

  it('waits for nobody who holds the directory', async () => {
    const { disk, tool } = await members();
    const wal = disk.list('/etcd/member/wal')[0] as string;
    const held = disk.open(`/etcd/member/wal/${wal}`, { write: true });
    held.lock();
    await expect(migrateFromEtcd(tool, { dataDir: '/etcd', ...plainMove, to: '/x' })).rejects.toThrow('timeout');
    held.close();
    const lock = disk.lock('/ts/member/lock');
    await expect(migrateToEtcd(tool, { dataDir: '/ts', ...plainMove, to: '/x' })).rejects.toThrow('timeout');
    lock?.release();
  });

  it("takes over etcd's file in place, unless an etcd uses it or it does not fit the raft log", async () => {
    const { disk, tool } = await members();
    const paths = dataPaths({ dataDir: '/etcd', walDir: '' });
    expect(settleDatabase(disk, paths.snapDir)).toBe('foreign');
    const held = disk.open(`/etcd/member/wal/${disk.list('/etcd/member/wal')[0] as string}`, { write: true });
    held.lock();
    await expect(adoptDatabase(tool, paths)).rejects.toBeInstanceOf(DataDirBusy);
    held.close();
    await adoptDatabase(tool, paths);
    expect(settleDatabase(disk, paths.snapDir)).toBe('store');
    expect(disk.list(paths.snapDir).filter((n) => n.startsWith('db'))).toEqual(['db']);
    const backend = openAt(disk, paths.backendDir);
    const original = openAt(disk, '/ts/member/snap/db');
    expect(plain(contentOfBackend(backend))).toEqual(plain(contentOfBackend(original)));
    for (const b of [backend, original]) b.abandon();

    const rotten = dataPaths({ dataDir: '/rotten', walDir: '/etcd/member/wal' });
    disk.mkdir(rotten.snapDir, 0o700);
    disk.open(rotten.backendDir, { write: true, create: true }).write(new Uint8Array(16384), 0);
    await expect(adoptDatabase(tool, rotten)).rejects.toBeInstanceOf(DataRefused);
    expect(disk.stat(rotten.backendDir)).toMatchObject({ isDirectory: false, bytes: 16384 });
  });
});

describe('defrag', () => {
  it('leaves the content as it is, in either kind of store', async () => {
    const { disk, tool } = await members();
    const hash = await hashKv(tool, '/s.db', 0);
    for (const dir of ['/ts', '/etcd']) {
      const { bytesBefore, bytesAfter } = await defragDataDir(tool, dir);
      // Nothing was dead; a commit more is all that may come.
      expect(bytesAfter).toBeLessThanOrEqual(bytesBefore + 4096);
      expect(await hashKv(tool, dir, 0)).toEqual(hash);
      expect(disk.list(`${dir}/member/snap`).filter((n) => n.startsWith('db'))).toEqual(['db']);
    }
    await expect(defragDataDir(tool, 'missing')).rejects.toThrow(
      'Failed to defragment etcd data[missing] (stat missing/member/snap/db: no such file or directory)',
    );
  });
});

describe('migrate', () => {
  it('goes from one storage version to another, in either kind of store', async () => {
    const { tool } = await members();
    const hash = await hashKv(tool, '/s.db', 0);
    for (const dataDir of ['/ts', '/etcd']) {
      const version = async (): Promise<string> => (await snapshotStatus(tool, dataDir)).version;
      const to = (text: string, force = false): Promise<unknown> =>
        migrateStorage(tool, { dataDir, target: parseTargetVersion(text), force });
      expect(await to('3.7')).toEqual({ from: '3.7', to: '3.7' });
      expect(await to('3.6')).toEqual({ from: '3.7', to: '3.6' });
      expect(await version()).toBe('3.6.0');
      expect(await to('3.5')).toEqual({ from: '3.6', to: '3.5' });
      expect(await version()).toBe('');
      expect(await to('3.5')).toEqual({ from: '3.5', to: '3.5' });
      expect(await to('3.7')).toEqual({ from: '3.5', to: '3.7' });
      expect(await version()).toBe('3.7.0');
      await expect(to('3.8')).rejects.toThrow('cannot create migration plan: version "3.8.0" is not supported');
      await expect(to('4.0')).rejects.toThrow('cannot create migration plan: changing major storage version is not supported');
      expect(await version()).toBe('3.7.0');
      const logged: unknown[] = [];
      const info = (message: string): unknown => logged.push(message);
      const log = { ...tool.log, info, warn: (message: string, fields?: object) => logged.push([message, fields]) } as typeof tool.log;
      await migrateStorage({ ...tool, log }, { dataDir, target: parseTargetVersion('3.8'), force: true });
      expect(logged).toEqual([
        'normal migrate failed, trying with force',
        ['forcefully set storage version', { 'storage-version': '3.8' }],
      ]);
      expect(await version()).toBe('3.8.0');
      expect(await hashKv(tool, dataDir, 0)).toEqual(hash);
    }
  });

  it("reads versions in etcdutl's words", () => {
    expect(parseTargetVersion('3.6')).toEqual({ major: 3, minor: 6 });
    for (const [text, message] of [
      ['3', 'wrong target version format, expected "X.Y", got "3"'],
      ['3.6.1', 'wrong target version format, expected "X.Y", got "3.6.1"'],
      ['a.b', 'failed to parse target version: strconv.ParseInt: parsing "a": invalid syntax'],
      ['3.4', 'target version "3.4" not supported. Minimal "3.5"'],
    ] as const)
      expect(() => parseTargetVersion(text)).toThrow(message);
  });
});

describe('a built store', () => {
  it('opens again wherever its segments end', async () => {
    const clock = new RealClock();
    const row = put(2, 0, 'k', 'v'.repeat(3000));
    for (let rows = 900; rows < 1500; rows += 61) {
      const disk = newDisk();
      disk.mkdir('/d', 0o700);
      const options = { ...defaultBackendOptions, segmentBytes: 64 * 1024, disk, clock, log: silentLog, dir: '/d/db' };
      const builder = buildBackend(options);
      for (let i = 0; i < rows; i++) {
        builder.addRow({ ...row, main: i + 2 });
        builder.addEntry('lease', utf8(`l${i}`), row.value.subarray(0, 100));
      }
      await builder.finish();
      const backend = openAt(disk, '/d/db');
      expect(backend.rowCount).toBe(rows);
      expect(backend.entries('lease').length).toBe(rows);
      backend.abandon();
    }
  });
});

// Snapshot files become data directories: content, membership, the raft log, refusals, and crashes in the middle.
import { describe, expect, it } from 'vitest';
import { Metadata } from '../../../src/api/gen/etcdserverpb.ts';
import { utf8 } from '../../../src/base/bytes.ts';
import type { Clock } from '../../../src/base/clock.ts';
import { silentLog } from '../../../src/base/log.ts';
import { SeededRandom } from '../../../src/base/random.ts';
import { changeOf } from '../../../src/raft/confchange/codec.ts';
import { dataPaths, DataRefused, openDataDir } from '../../../src/server/bootstrap/data-dir.ts';
import { clusterId, idText, memberId } from '../../../src/server/membership/ids.ts';
import { decodeMember } from '../../../src/server/membership/member-json.ts';
import { OfflineError } from '../../../src/server/offline/errors.ts';
import { restoreSnapshot, type RestoreOptions } from '../../../src/server/offline/restore.ts';
import { Snapshotter } from '../../../src/server/storage/snap/snapshotter.ts';
import { readWal } from '../../../src/server/storage/wal/replay.ts';
import { RealClock } from '../../../src/host/real-clock.ts';
import { SimCrash, SimDisk } from '../../simulation/sim-disk.ts';
import { plain, randomContent } from '../storage/bbolt/harness.ts';
import { contentOfBackend, load, newDisk, openAt, restoreDefaults, sample, snapshotOf, store, toolOn } from './harness.ts';

async function prepared(content = sample): Promise<{ disk: ReturnType<typeof newDisk>; tool: ReturnType<typeof toolOn> }> {
  const disk = newDisk();
  store(disk, '/s.db', await snapshotOf(content));
  return { disk, tool: toolOn(disk) };
}

async function problem(options: Partial<RestoreOptions>, change?: (file: Buffer) => Buffer): Promise<OfflineError> {
  const { disk, tool } = await prepared();
  if (change !== undefined) store(disk, '/s.db', change(load(disk, '/s.db')));
  const error = await restoreSnapshot(tool, { ...restoreDefaults, ...options }).catch((e: unknown) => e);
  expect(error).toBeInstanceOf(OfflineError);
  return error as OfflineError;
}

describe('restore', () => {
  it('keeps history, leases, users and versions; members and raft position are new', async () => {
    const { disk, tool } = await prepared();
    const restored = await restoreSnapshot(tool, restoreDefaults);
    const own = memberId({ peerUrls: ['http://10.0.0.1:2380'], clusterToken: 'token' });
    expect(restored).toMatchObject({ dataDir: '/out', memberId: own, clusterId: clusterId([own]), rows: 7, revision: 6 });

    const backend = openAt(disk, '/out/member/snap/db');
    const got = contentOfBackend(backend);
    expect(plain({ rows: got.rows, entries: {} })).toEqual(plain({ rows: sample.rows, entries: {} }));
    for (const bucket of ['auth', 'authUsers', 'cluster', 'lease'] as const) expect(got.entries[bucket]).toEqual(sample.entries[bucket]);
    expect(got.entries.members?.map(([key, value]) => [Buffer.from(key).toString(), decodeMember(value)])).toEqual([
      [idText(own), { id: own, name: 'm1', peerUrls: ['http://10.0.0.1:2380'], clientUrls: [], isLearner: false }],
    ]);
    expect(got.entries.members_removed).toEqual([]);
    expect(backend.consistentIndex).toBe(1);
    expect(backend.consistentTerm).toBe(1);
    expect(backend.confState?.voters).toEqual([own]);
    expect(backend.get('meta', utf8('storageVersion'))).toEqual(Buffer.from('3.7.0'));
    expect(backend.leaseKeys(77n).map((k) => Buffer.from(k).toString())).toEqual(['b']);
    backend.abandon();
  });

  it('writes the raft log and the snapshot of a cluster of three', async () => {
    const { disk, tool } = await prepared();
    const urls = ['http://10.0.0.1:2380', 'http://10.0.0.2:2380', 'http://10.0.0.3:2380'];
    const initialCluster = urls.map((u, i) => `m${i + 1}=${u}`).join(',');
    const results = [];
    for (const [i, url] of urls.entries())
      results.push(
        await restoreSnapshot(tool, {
          ...restoreDefaults,
          name: `m${i + 1}`,
          dataDir: `/out${i}/`,
          walDir: i === 2 ? '/wal2' : '',
          initialCluster,
          initialAdvertisePeerUrls: url,
        }),
      );
    const ids = urls.map((u) => memberId({ peerUrls: [u], clusterToken: 'token' })).sort((a, b) => (a < b ? -1 : 1));
    for (const [i, result] of results.entries()) {
      const wal = readWal(disk, i === 2 ? '/wal2' : `/out${i}/member/wal`, { index: 3, term: 1 });
      expect(Metadata.decode(wal.metadata)).toMatchObject({ NodeID: result.memberId, ClusterID: clusterId(ids) });
      expect(wal.hardState).toEqual({ term: 1, vote: ids[0], commit: 3 });
      expect(wal.snapshots.at(-1)).toMatchObject({ index: 3, term: 1, confState: { voters: ids } });
      const whole = readWal(disk, i === 2 ? '/wal2' : `/out${i}/member/wal`, { index: 0, term: 0 });
      expect(whole.entries.map((e) => changeOf(e)?.changes[0]?.nodeId)).toEqual(ids);
      const snapshotter = new Snapshotter({ disk, dir: `/out${i}/member/snap`, log: silentLog });
      const snapshot = snapshotter.loadNewest();
      expect(snapshot?.metadata).toMatchObject({ index: 3, term: 1, confState: { voters: ids } });
      expect(Buffer.from(snapshot?.data ?? []).toString()).toContain(`/0/members/${idText(result.memberId)}/raftAttributes`);
    }
    expect(new Set(results.map((r) => r.memberId)).size).toBe(3);
    expect(disk.stat('/out2/member/wal')).toBeUndefined();
  });

  it('bumps the revision and has everything before compacted', async () => {
    const { disk, tool } = await prepared();
    const { revision } = await restoreSnapshot(tool, { ...restoreDefaults, bumpRevision: 1_000_000_000, markCompacted: true });
    expect(revision).toBe(1_000_000_006);
    const backend = openAt(disk, '/out/member/snap/db');
    const { rows } = contentOfBackend(backend);
    expect(rows.at(-1)).toMatchObject({ main: 1_000_000_006, sub: 0, tombstone: false, value: Buffer.alloc(0) });
    expect(backend.lastMain).toBe(1_000_000_006);
    const scheduled = Buffer.from(backend.get('meta', utf8('scheduledCompactRev')) ?? []);
    expect(scheduled.readBigUInt64BE(0)).toBe(1_000_000_006n);
    expect(scheduled.length).toBe(17);
    expect(Buffer.from(backend.get('meta', utf8('finishedCompactRev')) ?? []).readBigUInt64BE(0)).toBe(3n);
    backend.abandon();
  });

  it('takes what the writer writes, whatever it is', async () => {
    for (let seed = 1; seed <= 5; seed++) {
      const random = randomContent(new SeededRandom(seed), 300);
      const content = { rows: random.rows, entries: { ...random.entries, meta: [], members: [], members_removed: [] } };
      const { disk, tool } = await prepared(content);
      await restoreSnapshot(tool, restoreDefaults);
      const backend = openAt(disk, '/out/member/snap/db');
      const got = contentOfBackend(backend);
      expect(plain({ rows: got.rows, entries: { ...got.entries, meta: [], members: [] } })).toEqual(plain(content));
      backend.abandon();
    }
  });

  it('of an empty store with a bump', async () => {
    const { disk, tool } = await prepared({ rows: [], entries: {} });
    await restoreSnapshot(tool, { ...restoreDefaults, bumpRevision: 1, markCompacted: true });
    const backend = openAt(disk, '/out/member/snap/db');
    expect(backend.lastMain).toBe(1);
    backend.abandon();
  });

  it('S-121: refuses altered, cut and foreign files', async () => {
    const flipped = await problem({}, (b) => {
      b[5000] = (b[5000] as number) ^ 4;
      return b;
    });
    expect(flipped.message).toMatch(/^expected sha256 \[\d+( \d+){31}\], got \[\d+( \d+){31}\]$/);
    expect(flipped.hint).toContain('/s.db');
    const cut = await problem({}, (b) => b.subarray(0, b.length - 100));
    expect(cut.message).toBe('snapshot missing hash but --skip-hash-check=false');
    expect(cut.hint).toContain('/s.db');
    const short = await problem({ skipHashCheck: true }, (b) => b.subarray(0, b.length - 5000));
    expect(short.message).toContain('/s.db');
    expect((await problem({ skipHashCheck: true }, () => Buffer.alloc(1024))).message).toBe('invalid database');
    expect((await problem({ skipHashCheck: true }, () => Buffer.alloc(7))).message).toBe('seek /s.db: invalid argument');
    expect((await problem({ path: '/none.db' })).message).toBe('open /none.db: no such file or directory');
  });

  it('with the digest left out takes a plain copy of the database', async () => {
    const { disk, tool } = await prepared();
    store(disk, '/plain.db', load(disk, '/s.db').subarray(0, -32));
    await restoreSnapshot(tool, { ...restoreDefaults, path: '/plain.db', skipHashCheck: true });
    // … and a store of our own.
    await restoreSnapshot(tool, { ...restoreDefaults, path: '/out', dataDir: '/again', skipHashCheck: true });
    const backend = openAt(disk, '/again/member/snap/db');
    expect(contentOfBackend(backend).rows.length).toBe(sample.rows.length);
    backend.abandon();
  });

  it("refuses a wrong membership in etcd's words", async () => {
    expect((await problem({ name: 'zed' })).message).toBe('couldn\'t find local name "zed" in the initial cluster configuration');
    expect((await problem({ initialCluster: 'm1=bad' })).message).toBe('URL scheme must be http, https, unix, or unixs: bad');
    expect((await problem({ initialAdvertisePeerUrls: 'http://10.0.0.9:2380' })).message).toContain(
      '--initial-cluster has m1=http://10.0.0.1:2380 but missing from --initial-advertise-peer-urls=http://10.0.0.9:2380',
    );
    expect((await problem({ initialCluster: 'm1=http://10.0.0.1:2380,m2=http://10.0.0.1:2380' })).message).toContain('duplicate url');
    for (const half of [{ bumpRevision: 5 }, { markCompacted: true }]) {
      const e = await problem(half);
      expect(e.message).toBe('--mark-compacted required if --revision-bump > 0');
      expect(e.exitCode).toBe(128);
    }
  });

  it('refuses a directory that is not empty, and leaves what it began for all to see', async () => {
    const { disk, tool } = await prepared();
    store(disk, '/s.db', load(disk, '/s.db').subarray(0, -100));
    await expect(restoreSnapshot(tool, restoreDefaults)).rejects.toThrow('missing hash');
    expect(disk.stat('/out/member/snap/db')).toBeDefined();
    await expect(restoreSnapshot(tool, restoreDefaults)).rejects.toThrow('data-dir "/out" not empty or could not be read');
    disk.mkdir('/wal', 0o700);
    await expect(restoreSnapshot(tool, { ...restoreDefaults, dataDir: '/o2', walDir: '/wal' })).rejects.toThrow('wal-dir "/wal" exists');
    // A server takes none of it.
    expect(() => openDataDir(disk, dataPaths({ dataDir: '/out', walDir: '' }), silentLog)).toThrow(DataRefused);
  });
});

describe('a crash in the middle of a restore', () => {
  it('leaves a directory that is refused, or a whole one', async () => {
    const snapshot = await snapshotOf(sample);
    const real = new RealClock();
    let whole = 0;
    let refused = 0;
    for (let crashAt = 1; ; crashAt++) {
      // What the machine had under way goes down with it.
      let alive = true;
      const clock: Clock = {
        mono: () => real.mono(),
        wall: () => real.wall(),
        after: (ms, fn) => real.after(ms, () => alive && fn()),
        every: (ms, fn) => real.every(ms, () => alive && fn()),
        defer: (fn) => real.defer(() => alive && fn()),
      };
      const disk = new SimDisk({ clock, random: new SeededRandom(crashAt) });
      store(disk, '/s.db', snapshot);
      const synced = disk.open('/s.db', { write: true });
      synced.sync();
      disk.syncDir('/');
      disk.operations = 0;
      disk.crashAt = crashAt;
      let gone: (() => void) | undefined;
      const down = new Promise<'crashed'>((resolve) => (gone = () => resolve('crashed')));
      disk.onCrash = () => gone?.();
      const outcome = await Promise.race([
        restoreSnapshot({ ...toolOn(disk), clock }, restoreDefaults).then(
          () => 'done' as const,
          (error: unknown) => {
            if (!(error instanceof SimCrash)) throw error;
            return 'crashed' as const;
          },
        ),
        down,
      ]);
      const crashed = outcome === 'crashed';
      alive = false;
      disk.crashAt = undefined;
      if (!crashed) {
        disk.crash();
        check(disk, true);
        break;
      }
      if (disk.stat('/out') === undefined) continue;
      if (check(disk, false)) whole++;
      else refused++;
    }
    expect(refused).toBeGreaterThan(15);
    expect(whole).toBeGreaterThan(0);
  });

  /** @returns whether the directory is whole. */
  function check(disk: SimDisk, mustBeWhole: boolean): boolean {
    const paths = dataPaths({ dataDir: '/out', walDir: '' });
    // Nothing of the member is there: a start would find an empty directory, as before.
    if (disk.stat(paths.snapDir) === undefined || disk.list(paths.snapDir).length === 0) {
      expect(mustBeWhole).toBe(false);
      return false;
    }
    try {
      openDataDir(disk, paths, silentLog).release();
    } catch (error) {
      expect(error).toBeInstanceOf(DataRefused);
      expect(mustBeWhole).toBe(false);
      return false;
    }
    const backend = openAt(disk, paths.backendDir);
    expect(plain({ rows: contentOfBackend(backend).rows, entries: {} })).toEqual(plain({ rows: sample.rows, entries: {} }));
    expect(backend.consistentIndex).toBe(1);
    backend.abandon();
    expect(readWal(disk, paths.walDir, { index: 1, term: 1 }).hardState.commit).toBe(1);
    return true;
  }
});

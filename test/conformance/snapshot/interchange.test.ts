// Snapshots and data directories between tsetcd and a real etcd, both ways: 100,000 keys, leases, users, compacted history.
import { copyFileSync, existsSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connect, op, rpc, type Client } from '../../../src/client/index.ts';
import { freePorts, MemberProcess, program, reference, run, scratch, type Ran } from '../../support/member.ts';

const etcd = reference('etcd');
const etcdctl = reference('etcdctl') ?? '';
const etcdutl = reference('etcdutl') ?? '';

type Kind = 'tsetcd' | 'etcd';

const keys = 100_000;
const opsPerTxn = 100;
/** Requests under way at once while the store is filled. */
const width = 16;
const leaseId = 0x1234567890abcdefn;
const login = { username: 'root', password: 'rootpw' };

const place = scratch();
const path = (name: string): string => join(place.dir, name);
const util = (...args: string[]): Promise<Ran> => run(process.execPath, [program, 'util', ...args], { cwd: place.dir });
const realUtil = (...args: string[]): Promise<Ran> => run(etcdutl, args, { cwd: place.dir });

async function ok(ran: Promise<Ran>): Promise<string> {
  const { code, stdout, stderr } = await ran;
  expect(code, stderr).toBe(0);
  return stdout;
}

/** What must be the same on both sides. */
interface Seen {
  readonly hash: number;
  readonly compactRevision: number;
  readonly revision: number;
  readonly count: number;
  readonly leased: readonly string[];
  readonly users: readonly string[];
  readonly memberId: bigint;
  readonly clusterId: bigint;
}

const members = new Set<MemberProcess>();

async function start(kind: Kind, dataDir: string): Promise<MemberProcess> {
  for (let attempt = 1; ; attempt++) {
    const [clientPort = 0, peerPort = 0] = await freePorts(2);
    const member = new MemberProcess({ kind, dataDir: path(dataDir), clientPort, peerPort });
    members.add(member);
    try {
      return await member.start();
    } catch (error) {
      members.delete(member);
      // Somebody else took a port that was free a moment ago.
      if (attempt === 3 || !member.log.includes('address already in use')) throw error;
    }
  }
}

async function stop(member: MemberProcess): Promise<void> {
  await member.stop();
  members.delete(member);
}

async function withClient<T>(member: MemberProcess, body: (client: Client) => Promise<T>, as: object = login): Promise<T> {
  const client = connect({ endpoints: [member.endpoint], requestTimeoutMs: 30_000, ...as });
  try {
    return await body(client);
  } finally {
    client.close();
  }
}

/** Keys with several versions, deletes, large values, leases, a compaction in the middle, users and roles. */
async function fill(member: MemberProcess): Promise<void> {
  await withClient(
    member,
    async (client) => {
      await client.grantLease(100_000, leaseId);
      let next = 0;
      const worker = async (): Promise<void> => {
        for (let at = next; at < keys; at = next) {
          next += opsPerTxn;
          const ops = Array.from({ length: opsPerTxn }, (_, i) => {
            const n = at + i;
            const value = n % 5000 === 0 ? 'L'.repeat(20_000) : `value ${n} `.padEnd(20 + (n % 90), 'v');
            return op.put(`key/${String(n).padStart(8, '0')}`, value, n % 10 === 0 ? { lease: leaseId } : {});
          });
          await client
            .txn()
            .then(...ops)
            .commit();
        }
      };
      await Promise.all(Array.from({ length: width }, worker));
      for (let n = 0; n < 300; n++) {
        await client.put(`often/${n % 30}`, `${n}`);
        if (n % 7 === 0) await client.delete(`key/${String(n * 3).padStart(8, '0')}`);
        if (n === 200) await client.compact((await client.status()).header?.revision ?? 0, { physical: true });
      }
      await client.call(rpc.Auth.userAdd, { name: 'root', password: 'rootpw' });
      await client.call(rpc.Auth.roleAdd, { name: 'root' });
      await client.call(rpc.Auth.userGrantRole, { user: 'root', role: 'root' });
      await client.call(rpc.Auth.userAdd, { name: 'reader', password: 'readerpw' });
      await client.call(rpc.Auth.roleAdd, { name: 'some' });
      await client.call(rpc.Auth.roleGrantPermission, {
        name: 'some',
        perm: { permType: 0, key: Buffer.from('often/'), rangeEnd: Buffer.from('often0') },
      });
      await client.call(rpc.Auth.userGrantRole, { user: 'reader', role: 'some' });
      await client.call(rpc.Auth.authEnable, {});
    },
    {},
  );
}

async function look(member: MemberProcess): Promise<Seen> {
  const seen = await withClient(member, async (client) => {
    const hash = await client.call(rpc.Maintenance.hashKV, { revision: 0 });
    const all = await client.get('', { prefix: true, countOnly: true });
    const lease = await client.leaseTimeToLive(leaseId, { keys: true });
    const users = await client.call(rpc.Auth.userList, {});
    return {
      hash: hash.hash,
      compactRevision: hash.compactRevision,
      revision: hash.header?.revision ?? 0,
      memberId: hash.header?.memberId ?? 0n,
      clusterId: hash.header?.clusterId ?? 0n,
      count: all.count,
      leased: lease.keys.map((k) => Buffer.from(k).toString()),
      users: [...users.users].sort(),
    };
  });
  await withClient(
    member,
    async (client) => {
      expect((await client.getOne('often/3'))?.key).toBeDefined();
      await expect(client.getOne('key/00000001')).rejects.toThrow('permission denied');
    },
    { username: 'reader', password: 'readerpw' },
  );
  return seen;
}

const content = ({ hash, compactRevision, revision, count, leased, users }: Seen): unknown => ({
  hash,
  compactRevision,
  revision,
  count,
  leased: [...leased].sort(),
  users,
});

/** The store serves on: writes, a compaction of everything, deletes all over the pages, a defrag, and a restart. */
async function useIt(member: MemberProcess): Promise<void> {
  await withClient(member, async (client) => {
    const before = (await client.status()).header?.revision ?? 0;
    const { header } = await client.put('key/new', 'x');
    expect(header?.revision).toBe(before + 1);
    for (let d = 1; d < 10; d += 2) await client.delete(`key/000${d}`, { prefix: true });
    await client.compact((await client.status()).header?.revision ?? 0, { physical: true });
    await client.call(rpc.Maintenance.defragment, {}, { timeoutMs: 60_000 });
    const hash = await client.call(rpc.Maintenance.hashKV, { revision: 0 });
    await member.stop();
    await member.start();
    expect((await client.call(rpc.Maintenance.hashKV, { revision: 0 })).hash).toBe(hash.hash);
  });
}

const restoreFlags = (member: { peerPort: number }): string[] => {
  const url = `http://127.0.0.1:${member.peerPort}`;
  return ['--initial-cluster', `default=${url}`, '--initial-advertise-peer-urls', url];
};

/** Restores with one of the tools and starts one of the servers on it. */
async function restored(tool: typeof util, kind: Kind, snapshot: string, dir: string): Promise<MemberProcess> {
  const [clientPort = 0, peerPort = 0] = await freePorts(2);
  await ok(tool('snapshot', 'restore', snapshot, '--data-dir', dir, ...restoreFlags({ peerPort })));
  const member = new MemberProcess({ kind, dataDir: path(dir), clientPort, peerPort });
  members.add(member);
  return member.start();
}

describe.skipIf(etcd === undefined)('snapshots and directories between etcd and tsetcd', () => {
  const origin = {} as Record<Kind, { readonly seen: Seen; readonly snapshot: string; readonly dir: string }>;

  beforeAll(async () => {
    for (const kind of ['etcd', 'tsetcd'] as const) {
      const dir = `origin-${kind}`;
      const member = await start(kind, dir);
      await fill(member);
      const seen = await look(member);
      const snapshot = `${kind}.db`;
      const flags = [`--endpoints=${member.endpoint}`, '--user=root:rootpw', '--command-timeout=120s'];
      // Each with the other's tool.
      if (kind === 'tsetcd') await ok(run(etcdctl, ['snapshot', 'save', path(snapshot), ...flags]));
      else await ok(run(process.execPath, [program, 'snapshot', 'save', path(snapshot), ...flags]));
      await stop(member);
      origin[kind] = { seen, snapshot, dir };
    }
  }, 300_000);

  afterAll(async () => {
    for (const m of members) await m.stop('SIGKILL');
    place.remove();
  });

  it('starts from equal stores', () => {
    // Transactions came in another order, so that hashes differ; all else is the same.
    const { hash: a, ...etcdSeen } = origin.etcd.seen;
    const { hash: b, ...ours } = origin.tsetcd.seen;
    expect([a, b].every((h) => h > 0)).toBe(true);
    expect({ ...ours, leased: [...ours.leased].sort(), memberId: 0n, clusterId: 0n }).toEqual({
      ...etcdSeen,
      leased: [...etcdSeen.leased].sort(),
      memberId: 0n,
      clusterId: 0n,
    });
    expect(etcdSeen.count).toBeGreaterThan(keys - 100);
  });

  it.each(['etcd', 'tsetcd'] as const)('status and hashkv of a snapshot of %s are told alike by both tools', async (kind) => {
    const { snapshot, seen } = origin[kind];
    const before = readFileSync(path(snapshot));
    const status = JSON.parse(await ok(util('snapshot', 'status', snapshot, '-w', 'json'))) as Record<string, unknown>;
    expect(status).toMatchObject({ revision: seen.revision, totalKey: seen.count, version: '3.7.0' });
    expect(await ok(util('hashkv', snapshot))).toBe(`${seen.hash}, ${seen.revision}, ${seen.compactRevision}\n`);
    expect(readFileSync(path(snapshot)).equals(before)).toBe(true);
    expect(JSON.parse(await ok(realUtil('snapshot', 'status', snapshot, '-w', 'json')))).toEqual(status);
    // The real one changes what it hashes.
    copyFileSync(path(snapshot), path('hashed.db'));
    expect(await ok(realUtil('hashkv', 'hashed.db'))).toBe(`${seen.hash}, ${seen.revision}, ${seen.compactRevision}\n`);
    if (kind === 'tsetcd') expect(await ok(util('hashkv', origin.tsetcd.dir))).toBe(await ok(util('hashkv', snapshot)));
    else expect(await ok(util('hashkv', join(origin.etcd.dir, 'member/snap/db')))).toBe(await ok(util('hashkv', snapshot)));
  });

  it('a snapshot of tsetcd restores into an etcd, which goes on with it', async () => {
    const { snapshot, seen } = origin.tsetcd;
    const member = await restored(realUtil, 'etcd', snapshot, 'to-etcd');
    expect(content(await look(member))).toEqual(content(seen));
    await useIt(member);
    await stop(member);
    // bbolt's own check of what etcd made of our pages.
    await ok(realUtil('snapshot', 'status', join('to-etcd', 'member/snap/db')));
  }, 120_000);

  it.each(['etcd', 'tsetcd'] as const)(
    'a snapshot of %s restores into a tsetcd, which goes on with it',
    async (kind) => {
      const { snapshot, seen } = origin[kind];
      const member = await restored(util, 'tsetcd', snapshot, `to-tsetcd-from-${kind}`);
      expect(content(await look(member))).toEqual(content(seen));
      await useIt(member);
      await stop(member);
    },
    120_000,
  );

  it('what our tool and the real one restore is one cluster', async () => {
    const ids: unknown[] = [];
    for (const [tool, kind] of [
      [util, 'tsetcd'],
      [realUtil, 'etcd'],
    ] as const) {
      const dir = `same-${kind}`;
      await ok(
        tool(
          ...['snapshot', 'restore', origin.etcd.snapshot, '--data-dir', dir, '--name', 'm', '--initial-cluster-token', 'tok'],
          ...[
            '--initial-cluster',
            'm=http://10.0.0.1:2380,n=http://10.0.0.2:2380',
            '--initial-advertise-peer-urls',
            'http://10.0.0.1:2380',
          ],
        ),
      );
      // Membership and raft log: the file of the snapshot names both members, the log their additions.
      // The tree's own indexes and its history of events follow the order in which etcd adds the members, which differs from run to run.
      const snap = readFileSync(join(path(dir), 'member/snap/0000000000000001-0000000000000002.snap'))
        .toString('latin1')
        .replace(/"(Created|Modified)Index":\d+/g, '');
      const wal = readFileSync(join(path(dir), 'member/wal/0000000000000000-0000000000000000.wal'))
        .subarray(0, 4096)
        .toString('latin1');
      ids.push([snap.slice(snap.indexOf('{"Root"'), snap.indexOf('"WatcherHub"')), wal.match(/\{"id":\d+[^}]*\}/g), wal.slice(0, 80)]);
    }
    expect(ids[0]).toEqual(ids[1]);
  }, 60_000);

  it('a new cluster of three starts from one snapshot', async () => {
    const { snapshot, seen } = origin.etcd;
    const ports = await freePorts(6);
    const initialCluster = [0, 1, 2].map((i) => `m${i}=http://127.0.0.1:${ports[2 * i + 1]}`).join(',');
    const three: MemberProcess[] = [];
    for (const i of [0, 1, 2]) {
      const peerPort = ports[2 * i + 1] ?? 0;
      const dir = `three-${i}`;
      const url = `http://127.0.0.1:${peerPort}`;
      await ok(
        util(
          ...['snapshot', 'restore', snapshot, '--data-dir', dir, '--wal-dir', `${dir}-wal`, '--name', `m${i}`],
          ...['--initial-cluster', initialCluster, '--initial-advertise-peer-urls', url],
        ),
      );
      const args = ['--wal-dir', path(`${dir}-wal`)];
      three.push(new MemberProcess({ name: `m${i}`, dataDir: path(dir), clientPort: ports[2 * i] ?? 0, peerPort, initialCluster, args }));
    }
    for (const m of three) {
      members.add(m);
      m.spawn();
    }
    for (const m of three) await m.ready();
    for (const m of three) expect(content(await look(m))).toEqual(content(seen));
    await withClient(three[0] as MemberProcess, async (client) => {
      expect((await client.members()).map((m) => m.name).sort()).toEqual(['m0', 'm1', 'm2']);
      await client.put('key/new', 'x');
    });
    for (const m of three) await stop(m);
  }, 120_000);

  it('a member of etcd moves to tsetcd and back, as itself', async () => {
    const { dir, seen } = origin.etcd;
    const before = readFileSync(join(path(dir), 'member/snap/db'));
    expect(await ok(util('migrate-from-etcd', '--data-dir', dir, '--to', 'moved'))).toContain(seen.memberId.toString(16));
    expect(readFileSync(join(path(dir), 'member/snap/db')).equals(before)).toBe(true);
    const ours = await start('tsetcd', 'moved');
    expect(await look(ours)).toEqual({ ...seen, leased: expect.any(Array) as unknown });
    expect(content(await look(ours))).toEqual(content(seen));
    await withClient(ours, async (client) => client.put('key/moved', 'x'));
    const moved = await look(ours);
    await stop(ours);

    await ok(util('migrate-to-etcd', '--data-dir', 'moved', '--to', 'moved-back'));
    const theirs = await start('etcd', 'moved-back');
    expect(content(await look(theirs))).toEqual(content(moved));
    expect((await look(theirs)).memberId).toBe(seen.memberId);
    await useIt(theirs);
    await stop(theirs);
  }, 120_000);

  it('a directory that etcdutl restored moves before it was ever started', async () => {
    const [clientPort = 0, peerPort = 0] = await freePorts(2);
    await ok(realUtil('snapshot', 'restore', origin.etcd.snapshot, '--data-dir', 'fresh', ...restoreFlags({ peerPort })));
    await ok(util('migrate-from-etcd', '--data-dir', 'fresh', '--to', 'fresh-moved'));
    const member = new MemberProcess({ dataDir: path('fresh-moved'), clientPort, peerPort });
    members.add(member);
    await member.start();
    expect(content(await look(member))).toEqual(content(origin.etcd.seen));
    await stop(member);
  }, 120_000);

  it('goes from program to program, by a stop and a start', async () => {
    const { dir } = origin.tsetcd;
    let member = await start('tsetcd', dir);
    for (const kind of ['etcd', 'tsetcd', 'etcd', 'tsetcd'] as const) {
      const before = await look(member);
      await stop(member);
      member = await start(kind, dir);
      expect(content(await look(member))).toEqual(content(before));
      await withClient(member, async (client) => client.put('key/by', kind));
    }
    await stop(member);
  }, 240_000);

  it('refuses a directory that is in use, or half made', async () => {
    for (const kind of ['etcd', 'tsetcd'] as const) {
      const running = await start(kind, origin[kind].dir);
      const name = kind === 'etcd' ? 'migrate-from-etcd' : 'migrate-to-etcd';
      const busy = await util(name, '--data-dir', origin[kind].dir, '--to', 'busy', '--timeout=500ms');
      expect(busy).toMatchObject({ code: 1 });
      expect(busy.stderr).toContain('timeout');
      expect(existsSync(path('busy'))).toBe(false);
      const second = new MemberProcess({ dataDir: path(origin[kind].dir), clientPort: 0, peerPort: 0 });
      second.spawn();
      // A directory that was etcd's from the first is refused in any case.
      expect((await second.exit)?.code).toBe(kind === 'etcd' ? 20 : 1);
      expect(second.log).toContain(kind === 'etcd' ? 'tsetcd util migrate-from-etcd' : 'in use by another process');
      await stop(running);
    }

    copyFileSync(path(origin.etcd.snapshot), path('cut.db'));
    truncateSync(path('cut.db'), statSync(path('cut.db')).size - 1_000_000);
    expect(await util('snapshot', 'restore', 'cut.db', '--data-dir', 'half')).toMatchObject({ code: 1 });
    const half = new MemberProcess({ dataDir: path('half'), clientPort: 0, peerPort: 0 });
    half.spawn();
    expect((await half.exit)?.code).toBe(20);
    expect(half.log).toContain('incomplete');
  }, 120_000);

  it('refuses altered and truncated snapshots by name', async () => {
    for (const kind of ['etcd', 'tsetcd'] as const) {
      const bytes = readFileSync(path(origin[kind].snapshot));
      for (const [name, change, told] of [
        ['flipped.db', (b: Buffer): Buffer => b.fill((b[123_456] ?? 0) ^ 1, 123_456, 123_457), /expected sha256 \[.*\], got \[/],
        ['digest.db', (b: Buffer): Buffer => b.fill((b.at(-1) ?? 0) ^ 1, b.length - 1), /expected sha256 \[.*\], got \[/],
        ['short.db', (b: Buffer): Buffer => b.subarray(0, b.length - 5), /snapshot missing hash/],
      ] as const) {
        writeFileSync(path(name), change(Buffer.from(bytes)));
        const result = await util('snapshot', 'restore', name, '--data-dir', `refused-${kind}-${name}`);
        expect(result.code).toBe(1);
        expect(result.stderr).toMatch(told);
      }
      writeFileSync(path('third.db'), bytes.subarray(0, Math.floor(bytes.length / 3)));
      const skipped = await util('snapshot', 'restore', 'third.db', '--data-dir', `refused-${kind}-skip`, '--skip-hash-check');
      expect(skipped.code).toBe(1);
      expect(skipped.stderr).toContain('third.db');
      expect((await util('snapshot', 'status', 'third.db')).stderr).toContain('third.db');
    }
  }, 120_000);
});

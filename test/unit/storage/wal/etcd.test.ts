// Logs of a real etcd: a recorded one, and, where its binary is at hand, fresh ones in both directions.
import { spawn, type ChildProcess } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Record as RecordCodec } from '../../../../src/api/gen/walpb.ts';
import { silentLog } from '../../../../src/base/log.ts';
import { RealClock } from '../../../../src/host/real-clock.ts';
import { RealDisk } from '../../../../src/host/real-disk.ts';
import { openRecovered } from '../../../../src/server/storage/snap/recover.ts';
import { Snapshotter, encodeSnapshotFile } from '../../../../src/server/storage/snap/snapshotter.ts';
import { RecordType } from '../../../../src/server/storage/wal/format.ts';
import { RecordWriter } from '../../../../src/server/storage/wal/record-writer.ts';
import { readWal, validSnapshots } from '../../../../src/server/storage/wal/replay.ts';
import { WAL, type WalOptions } from '../../../../src/server/storage/wal/wal.ts';
import { EntryCodec, HardStateCodec } from '../../../../src/api/gen/raftpb.ts';

const recorded = join(import.meta.dirname, '../../../data/wal/etcd-3.7.1');
const etcd = join(import.meta.dirname, '../../../../.cache/reference/bin/etcd');
const noSnapshot = { index: 0, term: 0 };
const disk = new RealDisk();

let top: string;
beforeAll(() => {
  top = mkdtempSync(join(tmpdir(), 'wal-etcd-'));
});
afterAll(() => rmSync(top, { recursive: true, force: true }));

function optionsFor(dir: string): WalOptions {
  return {
    disk,
    clock: new RealClock(),
    dir,
    log: silentLog,
    onFatal: (e) => {
      throw e;
    },
  };
}

/** The records of a folder's segments as etcd framed them, decoded without our reader. */
function rawRecords(dir: string): { type: number; data: Uint8Array; segment: number }[] {
  const records: { type: number; data: Uint8Array; segment: number }[] = [];
  for (const [segment, name] of readdirSync(dir)
    .filter((n) => n.endsWith('.wal'))
    .sort()
    .entries()) {
    const bytes = readFileSync(join(dir, name));
    for (let at = 0; at + 8 <= bytes.length;) {
      const n = bytes.readUInt32LE(at);
      if (n === 0) break;
      const record = RecordCodec.decode(bytes.subarray(at + 8, at + 8 + n));
      records.push({ type: record.type, data: record.data, segment });
      at += 8 + n + (bytes[at + 7] === 0 ? 0 : (bytes[at + 7] as number) & 7);
    }
  }
  return records;
}

/** Encodes the same records with our writer, a buffer per segment. */
function reencoded(dir: string): Buffer[] {
  const segments: RecordWriter[] = [];
  let crc = 0;
  for (const { type, data, segment } of rawRecords(dir)) {
    const writer = (segments[segment] ??= new RecordWriter(1 << 20));
    if (writer.length === 0) writer.crc = crc;
    if (type === RecordType.crc) writer.crcRecord();
    else if (type === RecordType.entry) writer.entry(EntryCodec.decode(data));
    else if (type === RecordType.state) writer.state(HardStateCodec.decode(data));
    else writer.record(type as RecordType, data);
    crc = writer.crc;
  }
  return segments.map((w) => Buffer.from(w.bytes.subarray(0, w.length)));
}

function expectSameFrames(dir: string): void {
  const names = readdirSync(dir)
    .filter((n) => n.endsWith('.wal'))
    .sort();
  for (const [i, ours] of reencoded(dir).entries()) {
    const theirs = readFileSync(join(dir, names[i] as string));
    expect(theirs.subarray(0, ours.length).equals(ours)).toBe(true);
    expect(theirs.subarray(ours.length).every((b) => b === 0)).toBe(true);
  }
}

describe('recorded', () => {
  test('a log of etcd 3.7.1 is read', () => {
    const replay = readWal(disk, `${recorded}/wal`, noSnapshot);
    expect(replay.lastIndex).toBe(19);
    expect(replay.hardState).toMatchObject({ term: 2, commit: 19 });
    expect(replay.entries.map((e) => e.Type)).toEqual([1, ...new Array<number>(18).fill(0)]);
    expect(Buffer.from(replay.entries[18]?.Data ?? []).toString('latin1')).toContain('value15');
    expect(replay.torn).toBeUndefined();
    expect(validSnapshots(disk, `${recorded}/wal`).map((s) => [s.index, s.term])).toEqual([
      [0, 0],
      [11, 2],
    ]);
    expect(readWal(disk, `${recorded}/wal`, { index: 11, term: 2 }).entries.map((e) => e.Index)).toEqual([12, 13, 14, 15, 16, 17, 18, 19]);
  });

  test('our frames of the same records are the same bytes', () => expectSameFrames(`${recorded}/wal`));

  test('its snapshot file is read, and ours of the same snapshot is the same bytes', () => {
    const snapshotter = new Snapshotter({ disk, dir: `${recorded}/snap`, log: silentLog });
    const snapshot = snapshotter.loadNewest();
    expect(snapshot?.metadata).toMatchObject({ index: 11, term: 2 });
    expect(JSON.parse(Buffer.from(snapshot?.data ?? []).toString())).toHaveProperty('Root');
    const bytes = readFileSync(`${recorded}/snap/0000000000000002-000000000000000b.snap`);
    expect(Buffer.from(encodeSnapshotFile(snapshot as NonNullable<typeof snapshot>)).equals(bytes)).toBe(true);
  });

  test('recovery goes on from it', async () => {
    cpSync(recorded, join(top, 'recorded'), { recursive: true });
    const snapshotter = new Snapshotter({ disk, dir: join(top, 'recorded/snap'), log: silentLog });
    const r = openRecovered(optionsFor(join(top, 'recorded/wal')), snapshotter);
    expect(r.snapshot?.metadata?.index).toBe(11);
    expect(r.entries).toHaveLength(8);
    expect(r.repair).toBeUndefined();
    await new Promise<void>((resolve) =>
      r.wal.save([{ Type: 0, Term: 3, Index: 20, Data: Buffer.from('x') }], { term: 3, vote: 1n, commit: 19 }, true, resolve),
    );
    await r.wal.close();
    expect(readWal(disk, join(top, 'recorded/wal'), noSnapshot).lastIndex).toBe(20);
    expectSameFrames(join(top, 'recorded/wal'));
  });
});

if (existsSync(etcd)) {
  describe('with a running etcd', () => {
    let clientUrl: string;
    let peerUrl: string;
    const data = (): string => join(top, 'data');
    const walDir = (): string => join(data(), 'member/wal');

    beforeAll(async () => {
      clientUrl = `http://127.0.0.1:${await freePort()}`;
      peerUrl = `http://127.0.0.1:${await freePort()}`;
    });

    test('its log with a cut is read; it goes on from what we appended, and from a log that we wrote', { timeout: 120_000 }, async () => {
      let member = await start();
      for (let i = 0; i < 66; i++) await put(`key${i}`, Buffer.alloc(1_000_000, i).toString('base64'));
      await stop(member);
      expect(readdirSync(walDir()).filter((n) => n.endsWith('.wal')).length).toBe(2);
      expectSameFrames(walDir());
      const before = readWal(disk, walDir(), noSnapshot);
      expect(before.entries.length).toBe(before.lastIndex);

      // Opened for writing and closed by us: nothing changes for it.
      const opened = WAL.open(optionsFor(walDir()), noSnapshot);
      expect(opened.lastIndex).toBe(before.lastIndex);
      await opened.wal.close();
      member = await start();
      expect(await get('key65')).toBe(Buffer.alloc(1_000_000, 65).toString('base64'));
      await put('after', Buffer.from('ours').toString('base64'));
      await stop(member);

      // The same content, written by our log with our own cuts.
      const content = readWal(disk, walDir(), noSnapshot);
      const ours = join(top, 'ours/wal');
      mkdirSync(join(top, 'ours'));
      const wal = WAL.create(optionsFor(ours), content.metadata);
      for (const e of content.entries)
        await new Promise<void>((resolve) => wal.save([e], { ...content.hardState, commit: e.Index }, true, resolve));
      expect(wal.segmentNames).toHaveLength(2);
      await wal.close();
      renameSync(walDir(), join(top, 'theirs'));
      renameSync(ours, walDir());
      member = await start();
      expect(await get('after')).toBe(Buffer.from('ours').toString('base64'));
      await put('more', Buffer.from('theirs').toString('base64'));
      await stop(member);
      const after = readWal(disk, walDir(), noSnapshot);
      expect(after.lastIndex).toBeGreaterThan(content.lastIndex);
      expectSameFrames(walDir());
    });

    async function start(): Promise<ChildProcess> {
      const args = ['--name', 'a', '--data-dir', data(), '--log-level', 'error', '--listen-client-urls', clientUrl];
      args.push('--advertise-client-urls', clientUrl, '--listen-peer-urls', peerUrl, '--initial-advertise-peer-urls', peerUrl);
      args.push('--initial-cluster', `a=${peerUrl}`);
      const member = spawn(etcd, args, { stdio: ['ignore', 'ignore', 'pipe'] });
      let errors = '';
      member.stderr?.on('data', (chunk: Buffer) => (errors += chunk.toString()));
      for (;;) {
        if (member.exitCode !== null) throw new Error(`etcd ended: ${errors}`);
        const healthy = await fetch(`${clientUrl}/health`).then(
          (r) => r.ok,
          () => false,
        );
        if (healthy) return member;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }

    async function stop(member: ChildProcess): Promise<void> {
      const ended = new Promise((resolve) => member.once('exit', resolve));
      member.kill('SIGTERM');
      await ended;
    }

    async function call(path: string, body: unknown): Promise<{ kvs?: { value: string }[] }> {
      const response = await fetch(`${clientUrl}/v3/kv/${path}`, { method: 'POST', body: JSON.stringify(body) });
      if (!response.ok) throw new Error(await response.text());
      return (await response.json()) as { kvs?: { value: string }[] };
    }

    async function put(key: string, value: string): Promise<void> {
      await call('put', { key: Buffer.from(key).toString('base64'), value });
    }

    async function get(key: string): Promise<string | undefined> {
      return (await call('range', { key: Buffer.from(key).toString('base64') })).kvs?.[0]?.value;
    }
  });
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}

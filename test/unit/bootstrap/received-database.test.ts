// The store is replaced by a received database: a crash at any disk operation leaves the old state or the new one.
import { describe, expect, it } from 'vitest';
import { silentLog } from '../../../src/base/log.ts';
import { SeededRandom } from '../../../src/base/random.ts';
import { KeyValue } from '../../../src/api/gen/mvccpb.ts';
import { installDatabase } from '../../../src/server/bootstrap/received-database.ts';
import { memberJson } from '../../../src/server/membership/member-json.ts';
import { BoltSnapshot } from '../../../src/server/storage/bbolt/bolt-snapshot.ts';
import { defaultBackendOptions, type LogBackend, openBackend } from '../../../src/server/storage/revlog/log-backend.ts';
import { SimCrash, SimDisk } from '../../simulation/sim-disk.ts';
import { StepClock } from '../storage/step-clock.ts';

const snapDir = '/data/member/snap';
const backendDir = `${snapDir}/db`;
const path = `${snapDir}/0000000000000014.snap.db`;
const confState = { voters: [1n, 2n], learners: [], votersOutgoing: [], learnersNext: [], autoLeave: false };
const metadata = { index: 20, term: 3, confState };

function open(disk: SimDisk, clock: StepClock, dir: string): LogBackend {
  return openBackend({ ...defaultBackendOptions, disk, clock, log: silentLog, dir, batchIntervalMs: 5 });
}

function fill(backend: LogBackend, prefix: string, rows: number): void {
  for (let i = 0; i < rows; i++) {
    const key = Buffer.from(`${prefix}${i % 10}`);
    const kv = KeyValue.encode({ key, value: Buffer.from(`${prefix} ${i}`), createRevision: i + 2, modRevision: i + 2, version: 1 });
    backend.append({ main: i + 2, sub: 0, tombstone: false, key, kv, lease: 0n });
  }
  backend.put('members', Buffer.from('1'), Buffer.from(prefix));
}

function contentOf(backend: LogBackend): string {
  const rows: string[] = [];
  const scan = backend.scan(0, 1e9);
  for (let r = scan.next(); r !== undefined; r = scan.next()) rows.push(`${r.main} ${Buffer.from(r.value).toString('hex')}`);
  scan.close();
  return JSON.stringify([
    backend.consistentIndex,
    backend.consistentTerm,
    rows,
    backend.entries('members').map(([, v]) => Buffer.from(v).toString()),
  ]);
}

async function databaseOf(change: (leader: LogBackend) => void = () => undefined): Promise<Buffer> {
  const clock = new StepClock();
  const disk = new SimDisk({ clock, random: new SeededRandom(5) });
  disk.mkdir(snapDir, 0o700);
  const leader = open(disk, clock, backendDir);
  fill(leader, 'new', 60);
  leader.setConfState(confState);
  leader.setConsistentIndex(metadata.index, metadata.term);
  change(leader);
  const snapshot = new BoltSnapshot({ view: leader.view(), clock });
  const pieces: Uint8Array[] = [];
  let done = false;
  void (async () => {
    await snapshot.totalBytes();
    for (let p = await snapshot.next(); p !== undefined; p = await snapshot.next()) pieces.push(p);
    done = true;
  })();
  await clock.run(() => done);
  return Buffer.concat(pieces);
}

interface Life {
  readonly clock: StepClock;
  readonly disk: SimDisk;
  readonly old: string;
}

async function oldLife(database: Buffer, seed: number): Promise<Life> {
  const clock = new StepClock();
  const disk = new SimDisk({ clock, random: new SeededRandom(seed) });
  disk.mkdir(snapDir, 0o700);
  const former = open(disk, clock, backendDir);
  fill(former, 'old', 30);
  former.setConsistentIndex(7, 2);
  let closed = false;
  void former.close().then(() => (closed = true));
  await clock.run(() => closed);
  const file = disk.open(path, { write: true, create: true });
  file.write(database, 0);
  file.sync();
  file.close();
  disk.syncDir(snapDir);
  disk.settle();
  const again = open(disk, clock, backendDir);
  const old = contentOf(again);
  again.abandon();
  await clock.run();
  return { clock, disk, old };
}

/** Installs until it is done or the machine goes down. */
async function install({ clock, disk }: Life): Promise<LogBackend | undefined> {
  let next: LogBackend | undefined;
  let failure: unknown;
  const { epoch } = disk;
  try {
    const former = open(disk, clock, backendDir);
    let done = false;
    installDatabase(
      { disk, clock, log: silentLog, path, snapDir, backendDir, metadata, former, open: () => open(disk, clock, backendDir) },
      (opened) => (next = opened),
    ).then(
      () => (done = true),
      (error: unknown) => {
        failure = error;
        done = true;
      },
    );
    await clock.run(() => done || disk.epoch !== epoch);
  } catch (error) {
    if (!(error instanceof SimCrash)) throw error;
  }
  if (disk.epoch !== epoch) return undefined;
  if (failure !== undefined) throw failure;
  return next;
}

/** What a life that has crashed still had planned. */
async function lastWords(clock: StepClock): Promise<void> {
  for (;;) {
    try {
      return await clock.run();
    } catch (error) {
      if (!(error instanceof SimCrash)) throw error;
    }
  }
}

describe('a received database', () => {
  it('takes the store’s place', async () => {
    const life = await oldLife(await databaseOf(), 1);
    const next = await install(life);
    expect(next?.consistentIndex).toBe(20);
    expect(next?.consistentTerm).toBe(3);
    expect(next?.confState).toEqual(confState);
    expect(contentOf(next as LogBackend)).toContain(Buffer.from('new 59').toString('hex'));
    expect(next?.durableIndex).toBe(20);
    expect(life.disk.list(snapDir).filter((n) => n.startsWith('tmp'))).toEqual([]);
  });

  it('has the members it came with when it is ahead of its snapshot', async () => {
    const database = await databaseOf((leader) => {
      leader.setConfState({ ...confState, voters: [77n] });
      leader.delete('members', Buffer.from('1'));
      for (const [id, isLearner] of [
        [1, false],
        [4, true],
        [2, false],
      ] as const) {
        const member = { id: BigInt(id), name: '', peerUrls: ['http://127.0.0.1:1'], clientUrls: [], isLearner };
        leader.put('members', Buffer.from(id.toString(16)), Buffer.from(memberJson(member)));
      }
      leader.setConsistentIndex(metadata.index + 5, metadata.term);
    });
    const next = await install(await oldLife(database, 1));
    expect(next?.consistentIndex).toBe(25);
    expect(next?.confState).toEqual({ ...confState, learners: [4n] });
  });

  it('is there whole or not at all after a crash at every operation', async () => {
    const database = await databaseOf();
    let want: string | undefined;
    let crashes = 0;
    for (let k = 1; k < 400; k++) {
      const life = await oldLife(database, k);
      life.disk.crashAt = life.disk.operations + k;
      const { epoch } = life.disk;
      const done = await install(life);
      const crashed = life.disk.epoch !== epoch;
      if (done !== undefined && want === undefined) want = contentOf(done);
      if (crashed) {
        crashes++;
        await lastWords(life.clock);
        const there = open(life.disk, life.clock, backendDir);
        const content = contentOf(there);
        const reached = there.consistentIndex;
        // Old, none (the next start builds it from the file), or new.
        if (reached === 7) expect(content).toBe(life.old);
        else expect([0, 20]).toContain(reached);
        there.abandon();
        await lastWords(life.clock);
        const again = await install(life);
        expect(again?.consistentIndex).toBe(20);
        expect(contentOf(again as LogBackend)).toContain(Buffer.from('new 59').toString('hex'));
        expect(contentOf(again as LogBackend)).not.toContain(Buffer.from('old').toString('hex'));
      } else {
        break;
      }
    }
    expect(crashes).toBeGreaterThan(20);
  }, 60_000);
});

// Which member is blamed when hashes differ, and that nobody is when nothing can be told.
import { beforeEach, describe, expect, it } from 'vitest';
import { silentLog } from '../../../src/base/log.ts';
import type { PeerHash } from '../../../src/server/consensus/peer-transport.ts';
import type { MemberFacade } from '../../../src/server/consensus/facade.ts';
import type { HashResult } from '../../../src/server/mvcc/types.ts';
import { CorruptionFound, CorruptionMonitor } from '../../../src/server/maintenance/corruption.ts';
import { RealClock } from '../../../src/host/real-clock.ts';

const own: HashResult = { hash: 7, hashRevision: 100, compactRevision: 50 };
const peer = (change: Partial<PeerHash> = {}): PeerHash => ({ hash: 7, hashRevision: 100, compactRevision: 50, revision: 100, ...change });

let alarms: bigint[];
let compactions: HashResult[];
const monitor = (peers: Readonly<Record<string, PeerHash | undefined>>): CorruptionMonitor =>
  new CorruptionMonitor(
    {
      memberId: 1n,
      log: silentLog,
      clock: new RealClock(),
      isLeader: true,
      config: {},
      kv: {
        hashByRev: (_rev: number, done: (e: undefined, r: HashResult) => void) => done(undefined, own),
        compactionHashes: () => compactions,
      },
      linearizableRead: (done: (e: undefined) => void) => done(undefined),
      propose: (r: { alarm: { memberID: bigint } }) => alarms.push(r.alarm.memberID),
    } as unknown as MemberFacade,
    { hashes: (_rev, done) => done(new Map(Object.entries(peers).map(([id, h]) => [BigInt(id), h]))) },
  );

beforeEach(() => {
  alarms = [];
  compactions = [own];
});

describe('before serving', () => {
  it('passes alone, with equals, and with peers that compacted elsewhere or do not answer', async () => {
    await monitor({}).checkAtStart();
    await monitor({ 2: peer(), 3: undefined }).checkAtStart();
    await monitor({ 2: peer({ hash: 8, compactRevision: 60 }) }).checkAtStart();
  });
  it('refuses when a peer at the same compaction differs', async () => {
    await expect(monitor({ 2: peer(), 3: peer({ hash: 8 }) }).checkAtStart()).rejects.toThrow(CorruptionFound);
  });
});

describe('now and then', () => {
  it('blames a follower that is ahead or differs', async () => {
    await monitor({ 2: peer() }).checkNow();
    expect(alarms).toEqual([]);
    await monitor({ 2: peer(), 3: peer({ hash: 8 }) }).checkNow();
    await monitor({ 2: peer({ revision: 101 }) }).checkNow();
    await monitor({ 2: peer({ compactRevision: 51 }) }).checkNow();
    expect(alarms).toEqual([3n, 2n, 2n]);
  });
});

describe('after compactions', () => {
  it('is content with a whole cluster that agrees, and looks no further back', async () => {
    const m = monitor({ 2: peer(), 3: peer() });
    await m.checkCompactions();
    compactions = [own];
    await m.checkCompactions();
    expect(alarms).toEqual([]);
  });
  it('blames the minority, the leader included', async () => {
    await monitor({ 2: peer(), 3: peer({ hash: 8 }) }).checkCompactions();
    expect(alarms).toEqual([3n]);
    alarms = [];
    await monitor({ 2: peer({ hash: 8 }), 3: peer({ hash: 8 }) }).checkCompactions();
    expect(alarms).toEqual([1n]);
  });
  it('blames member 0 when there is no majority', async () => {
    await monitor({ 2: peer({ hash: 8 }) }).checkCompactions();
    expect(alarms).toEqual([0n]);
  });
  it('says nothing of peers that cannot be compared', async () => {
    await monitor({ 2: undefined, 3: peer({ compactRevision: 1, hash: 9 }) }).checkCompactions();
    expect(alarms).toEqual([]);
  });
});

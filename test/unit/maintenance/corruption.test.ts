// Which member is blamed when hashes differ, and that nobody is when nothing can be told.
import { beforeEach, describe, expect, it } from 'vitest';
import { silentLog } from '../../../src/base/log.ts';
import { bareRevision, peerHashOf, type PeerHash } from '../../../src/server/consensus/peer-transport.ts';
import type { MemberFacade } from '../../../src/server/consensus/facade.ts';
import type { HashResult } from '../../../src/server/mvcc/types.ts';
import { CorruptionFound, CorruptionMonitor } from '../../../src/server/maintenance/corruption.ts';
import { RealClock } from '../../../src/host/real-clock.ts';

const some: HashResult = { hash: 7, hashRevision: 100, compactRevision: 50, bare: false };
const peer = (change: Partial<PeerHash> = {}): PeerHash => ({ hash: 7, hashRevision: 100, compactRevision: 50, revision: 100, ...change });

let own: HashResult;
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
  own = some;
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

describe('where no key is visible', () => {
  const all = async (m: CorruptionMonitor): Promise<bigint[]> => {
    await m.checkNow();
    await m.checkCompactions();
    return alarms;
  };

  it('nobody is blamed for a compaction that has been applied here and not there', async () => {
    own = { ...some, bare: true };
    compactions = [{ ...own, hash: 6 }];
    // What an etcd tells that has applied it, one that has not, and one that still removes rows of the compaction before; a member like this one.
    const peers = { 2: peer({ hash: 6 }), 3: peer({ hash: 7 }), 4: peer({ hash: 8 }), 5: peer({ hash: 6, compactRevision: bareRevision }) };
    await monitor(peers).checkAtStart();
    expect(await all(monitor(peers))).toEqual([]);
  });
  it('hashes that nothing was compacted before are compared', async () => {
    own = { ...some, compactRevision: -1, bare: true };
    compactions = [own];
    const peers = {
      2: peer({ compactRevision: -1, hash: 8 }),
      3: peer({ compactRevision: -1 }),
      4: peer({ compactRevision: bareRevision }),
    };
    await expect(monitor(peers).checkAtStart()).rejects.toThrow(CorruptionFound);
    expect(await all(monitor(peers))).toEqual([2n, 0n]);
  });
  it('a member that sees nothing beside members that see keys is blamed', async () => {
    const peers = { 2: peer(), 3: peer({ hash: 6, compactRevision: bareRevision }) };
    await expect(monitor(peers).checkAtStart()).rejects.toThrow(CorruptionFound);
    expect(await all(monitor(peers))).toEqual([3n, 3n]);
  });
  it('peers are told so, unless there was no compaction', () => {
    expect(peerHashOf(some, 120)).toEqual({ hash: 7, hashRevision: 100, compactRevision: 50, revision: 120 });
    expect(peerHashOf({ ...some, bare: true }, 100).compactRevision).toBe(bareRevision);
    expect(peerHashOf({ ...some, bare: true, compactRevision: -1 }, 100).compactRevision).toBe(-1);
  });
});

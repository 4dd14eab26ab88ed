// The path of the only member: propose → ready → appendDone → applied.
import { expect, test } from 'vitest';
import { StateType, type RaftConfig } from '../../../src/raft/machine.ts';
import { RawNode } from '../../../src/raft/raw-node.ts';
import { EntryType } from '../../../src/raft/types.ts';
import { encodeConfChange, changeOf } from '../../../src/raft/confchange/codec.ts';
import { raftConfig, voters } from './support.ts';

const empty = new Uint8Array(0);

function config(over: Partial<RaftConfig> = {}): RaftConfig {
  return raftConfig(1, voters(1), over);
}

function leader(over: Partial<RaftConfig> = {}): RawNode {
  const node = new RawNode(config(over));
  node.campaign();
  for (let i = 0; i < 5 && node.hasReady(); i++) {
    const rd = node.ready();
    node.appendDone(rd.token);
    const last = rd.committedEntries[rd.committedEntries.length - 1];
    if (last !== undefined) node.applied(last.Index);
  }
  expect(node.state).toBe(StateType.Leader);
  return node;
}

test('becomes leader alone, its vote durable first', () => {
  const node = new RawNode(config());
  node.campaign();
  expect(node.state).toBe(StateType.Candidate);
  const rd = node.ready();
  expect(rd.hardState).toEqual({ term: 1, vote: 1n, commit: 0 });
  expect(rd.mustSync).toBe(true);
  expect(node.state).toBe(StateType.Candidate);
  node.appendDone(rd.token);
  expect(node.state).toBe(StateType.Leader);
});

test('commits and hands out only what its own log holds durably', () => {
  const node = leader();
  expect(node.proposeBatch([new Uint8Array([1]), new Uint8Array([2])])).toBe('ok');
  const first = node.ready();
  expect(first.entries.map((e) => e.Index)).toEqual([2, 3]);
  expect(first.mustSync).toBe(true);
  node.propose(new Uint8Array([3]));
  const second = node.ready();
  expect(second.entries.map((e) => e.Index)).toEqual([4]);
  expect(second.committedEntries).toEqual([]);
  expect(node.commit).toBe(1);
  expect(node.hasReady()).toBe(false);
  node.appendDone(first.token);
  expect(node.commit).toBe(3);
  const third = node.ready();
  expect(third.committedEntries.map((e) => e.Index)).toEqual([2, 3]);
  expect(third.hardState).toEqual({ term: 1, vote: 1n, commit: 3 });
  expect(third.mustSync).toBe(false);
  node.applied(3);
  node.appendDone(second.token);
  node.appendDone(third.token);
  expect(node.ready().committedEntries.map((e) => e.Index)).toEqual([4]);
});

test('bootstraps from committed configuration entries, with or without the voters known before', () => {
  for (const known of [[], [1n]]) {
    const node = new RawNode(
      config({
        initial: {
          hardState: { term: 1, vote: 0n, commit: 1 },
          confState: { voters: known, learners: [], votersOutgoing: [], learnersNext: [], autoLeave: false },
          entries: [
            { Type: EntryType.EntryConfChange, Term: 1, Index: 1, Data: encodeConfChange({ id: 0n, type: 0, nodeId: 1n, context: empty }) },
          ],
          snapshotIndex: 0,
          snapshotTerm: 0,
          applied: 0,
        },
      }),
    );
    node.campaign();
    expect(node.state).toBe(StateType.Follower);
    const rd = node.ready();
    expect(rd.entries).toEqual([]);
    expect(rd.hardState).toBeUndefined();
    expect(rd.committedEntries).toHaveLength(1);
    const change = changeOf(rd.committedEntries[0]!);
    expect(node.applyConfChange(change!).voters).toEqual([1n]);
    node.applied(1);
    node.appendDone(rd.token);
    node.campaign();
    const vote = node.ready();
    expect(vote.hardState).toEqual({ term: 2, vote: 1n, commit: 1 });
    node.appendDone(vote.token);
    expect(node.state).toBe(StateType.Leader);
  }
});

test('answers reads at once after the first commit of the term, and holds them back before it', () => {
  const node = new RawNode(config());
  node.campaign();
  node.appendDone(node.ready().token);
  expect(node.readIndex(new Uint8Array([7]))).toBe('ok');
  const rd = node.ready();
  expect(rd.readStates).toEqual([]);
  node.appendDone(rd.token);
  expect(node.ready().readStates).toEqual([{ index: 1, context: new Uint8Array([7]) }]);
  node.readIndex(new Uint8Array([8]));
  expect(node.ready().readStates).toEqual([{ index: 1, context: new Uint8Array([8]) }]);
});

test('frees its log up to the compacted index', () => {
  const node = leader();
  node.proposeBatch(Array.from({ length: 10 }, () => empty));
  node.appendDone(node.ready().token);
  node.ready();
  node.applied(11);
  node.compactLog(8);
  expect(node.firstIndex).toBe(9);
  expect(node.termAt(8)).toBe(1);
  expect(node.termAt(7)).toBeUndefined();
  expect(node.entriesBetween(1, 12, Infinity).map((e) => e.Index)).toEqual([9, 10, 11]);
});

test('lets through committed entries within the byte limit only', () => {
  const node = leader({ maxCommittedBytes: 250 });
  node.proposeBatch(Array.from({ length: 10 }, () => new Uint8Array(100)));
  node.appendDone(node.ready().token);
  expect(node.ready().committedEntries.map((e) => e.Index)).toEqual([2, 3]);
  // 18 bytes of room are left: one entry goes through whatever its size.
  expect(node.ready().committedEntries.map((e) => e.Index)).toEqual([4]);
  expect(node.hasReady()).toBe(false);
  node.applied(3);
  expect(node.ready().committedEntries.map((e) => e.Index)).toEqual([5]);
});

// Whatever the network brings, the machine does not throw (G-R-10); and what it hands out stays consistent.
import { expect, test } from 'vitest';
import { SeededRandom } from '../../../src/base/random.ts';
import { changeOf } from '../../../src/raft/confchange/codec.ts';
import { RawNode } from '../../../src/raft/raw-node.ts';
import { RaftStateError } from '../../../src/raft/recovery.ts';
import type { Entry, Message } from '../../../src/raft/types.ts';
import { confStateWith, entry, message, raftConfig, voters } from './support.ts';

const random = new SeededRandom(99);

function number(): number {
  const near = [0, 1, 2, 3, 4, 5, 7, 10];
  const far = [-1, 0.5, NaN, Infinity, 2 ** 31, 2 ** 52, 2 ** 53];
  return random.u32() % 12 === 0 ? (far[random.u32() % far.length] ?? 0) : (near[random.u32() % near.length] ?? 0);
}

function member(): bigint {
  return [0n, 1n, 1n, 2n, 2n, 3n, 3n, 9n, 2n ** 64n - 1n][random.u32() % 9] ?? 0n;
}

function bytes(): Uint8Array {
  return random.bytes([0, 0, 3, 8][random.u32() % 4] ?? 0);
}

function randomEntries(from: number, term: number): Entry[] {
  const list: Entry[] = [];
  for (let i = random.u32() % 4; i > 0; i--) {
    const sound = random.u32() % 5 !== 0;
    list.push(entry(sound ? from + list.length + 1 : number(), sound ? term : number(), bytes(), random.u32() % 4));
  }
  return list;
}

function randomMessage(): Message {
  const [term, index] = [number(), number()];
  const snapshot = {
    data: bytes(),
    metadata: {
      index: number(),
      term: number(),
      confState: random.u32() % 2 === 0 ? voters(1, 2, 3) : confStateWith({ voters: [1n], learners: [1n] }),
    },
  };
  return message(random.u32() % 26, member(), random.u32() % 9 === 0 ? member() : 1n, {
    term,
    index,
    logTerm: number(),
    commit: number(),
    entries: randomEntries(index, term),
    reject: random.u32() % 3 === 0,
    rejectHint: number(),
    context: bytes(),
    snapshot: random.u32() % 2 === 0 ? snapshot : undefined,
  });
}

test('S-045: random messages, in every role', () => {
  for (let round = 0; round < 400; round++) {
    const flag = (bit: number): boolean => ((round >> bit) & 1) === 1;
    const node = new RawNode(
      raftConfig(1, round % 5 === 0 ? voters(1) : confStateWith({ voters: [1n, 2n], learners: [3n] }), {
        preVote: flag(0),
        checkQuorum: flag(1),
        leaseBasedReads: flag(1) && flag(2),
        maxInflightMsgs: 2,
        maxUncommittedBytes: 20,
        maxSizePerMsgBytes: 30,
      }),
    );
    node.snapshotSource = () => ({
      data: bytes(),
      metadata: { index: node.status().applied, term: node.termAt(node.status().applied) ?? 0, confState: node.status().confState },
    });
    let applied = 0;
    for (let step = 0; step < 120; step++) {
      node.step(randomMessage());
      switch (random.u32() % 12) {
        case 0:
          node.campaign();
          break;
        case 1:
          node.propose(bytes());
          break;
        case 2:
          node.readIndex(bytes());
          break;
        case 3:
          node.transferLeader(member());
          break;
        case 4:
          node.reportSnapshot(member(), flag(3));
          break;
        case 5:
          node.reportUnreachable(member());
          break;
        case 6:
          node.tick();
          break;
        case 7:
          node.compactLog(applied);
          break;
      }
      while (node.hasReady()) {
        const ready = node.ready();
        node.appendDone(ready.token);
        applied = Math.max(applied, ready.snapshot?.metadata?.index ?? 0);
        for (const e of ready.committedEntries) {
          if (e.Index !== applied + 1) expect.fail(`${e.Index} is applied after ${applied}`);
          applied = e.Index;
          const change = changeOf(e);
          if (change !== undefined) node.applyConfChange(change);
        }
        node.applied(applied);
      }
    }
  }
});

test('a local message, an unknown sender and a wrong receiver are told apart', () => {
  const node = new RawNode(raftConfig(1, voters(1, 2)));
  expect(node.step(message(0, 2, 1))).toBe('local-message');
  expect(node.step(message(4, 9, 1, { term: 1 }))).toBe('peer-not-found');
  expect(node.step(message(3, 2, 7, { term: 1 }))).toBe('dropped');
});

test('a proposal with an unreadable change or an unknown type changes no configuration', () => {
  const node = new RawNode(raftConfig(1, voters(1)));
  node.campaign();
  node.appendDone(node.ready().token);
  node.appendDone(node.ready().token);
  node.applied(node.ready().committedEntries.at(-1)?.Index ?? 0);
  const change = new Uint8Array([255, 255]);
  expect(node.step(message(2, 2, 1, { entries: [entry(0, 0, change, 1)] }))).toBe('ok');
  expect(node.entriesBetween(2, 3, 100)).toEqual([entry(2, 1)]);
  expect(node.step(message(2, 2, 1, { entries: [entry(0, 0, change, 9)] }))).toBe('dropped');
  expect(node.step(message(2, 2, 1))).toBe('dropped');
});

test('refuses a log with a gap, or a configuration that cannot be', () => {
  const start = (over: object) => () =>
    new RawNode(raftConfig(1, voters(1), { initial: { ...raftConfig(1, voters(1)).initial, ...over } }));
  expect(start({ entries: [entry(1, 1), entry(3, 1)] })).toThrow(RaftStateError);
  expect(start({ entries: [entry(2, 1)] })).toThrow(RaftStateError);
  expect(start({ confState: confStateWith({ voters: [1n], learners: [1n] }) })).toThrow(RaftStateError);
});

test('an acknowledgement of a Ready that was never taken is a bug of the caller', () => {
  const node = new RawNode(raftConfig(1, voters(1)));
  expect(() => node.appendDone(1)).toThrow('only Readys that were taken');
});

// The order of durable steps, rule by rule, with a raft that says what the test wants and a disk that answers when the test lets it.
import { beforeEach, describe, expect, it } from 'vitest';
import type { Clock } from '../../../src/base/clock.ts';
import { silentLog } from '../../../src/base/log.ts';
import { type RaftMachine, type Ready, StateType } from '../../../src/raft/machine.ts';
import { type Entry, type Message, MessageType, type Snapshot } from '../../../src/raft/types.ts';
import { nullTransport } from '../../../src/server/consensus/peer-transport.ts';
import { RaftSpans } from '../../../src/server/consensus/raft-spans.ts';
import { ReadyLoop, type ReadyEvents } from '../../../src/server/consensus/ready-loop.ts';
import type { Backend } from '../../../src/server/storage/backend.ts';

const entry = (Index: number, Term = 1): Entry => ({ Type: 0, Term, Index, Data: new Uint8Array(1) });
const message = (type: number): Message => ({ type, to: 2n, from: 1n }) as Message;
const conf = { voters: [1n, 2n], learners: [], votersOutgoing: [], learnersNext: [], autoLeave: false };
const snapshot = (index: number): Snapshot => ({ data: new Uint8Array(0), metadata: { index, term: 1, confState: conf } });

let steps: string[];
/** What the disk has been asked and has not answered. */
let disk: { what: string; done: () => void }[];
let readies: Ready[];
let deferred: (() => void)[];
/** What waits for a timer. */
let later: (() => void)[];
let commit: number;
let now: number;
let consistent: number;
let applyMs: number;
let loop: ReadyLoop;
let tick: () => void;
let state: StateType;

const ready = (r: Partial<Ready> & { token: number }): Ready => ({
  softState: undefined,
  hardState: undefined,
  entries: [],
  snapshot: undefined,
  committedEntries: [],
  messages: [],
  messagesAfterAppend: [],
  readStates: [],
  mustSync: (r.entries?.length ?? 0) > 0,
  ...r,
});

function turn(): void {
  loop.wake();
  for (let fn = deferred.shift(); fn !== undefined; fn = deferred.shift()) fn();
}

function answer(what: string): void {
  const at = disk.findIndex((d) => d.what === what);
  expect(at, `${what} was asked; open: ${disk.map((d) => d.what).join(', ')}`).toBeGreaterThanOrEqual(0);
  disk.splice(at, 1)[0]!.done();
  for (let fn = deferred.shift(); fn !== undefined; fn = deferred.shift()) fn();
}

function build(options: { snapshotCount?: number; catchup?: number } = {}): void {
  steps = [];
  disk = [];
  readies = [];
  deferred = [];
  later = [];
  commit = 0;
  now = 0;
  consistent = 0;
  applyMs = 0;
  state = StateType.Leader;
  const ask = (what: string, done: () => void): void => {
    disk.push({ what, done: () => (steps.push(`${what} durable`), done()) });
  };
  const raft = {
    get state() {
      return state;
    },
    get commit() {
      return commit;
    },
    firstIndex: 1,
    step: () => 'ok',
    tick() {},
    hasReady: () => readies.length > 0,
    ready: () => readies.shift(),
    appendDone: (token: number) => steps.push(`appendDone ${token}`),
    applied: (index: number) => steps.push(`applied ${index}`),
    compactLog: (index: number) => steps.push(`compact ${index}`),
    reportSnapshot: () => {},
  } as unknown as RaftMachine;
  const backend = {
    get consistentIndex() {
      return consistent;
    },
    consistentTerm: 1,
    get durableIndex() {
      return consistent;
    },
    setConsistentIndex(index: number) {
      consistent = index;
      steps.push(`index ${index}`);
    },
    commit: (done: () => void) => ask('backend', done),
  } as unknown as Backend;
  const clock: Clock = {
    mono: () => now,
    wall: () => now,
    after: (_ms, fn) => {
      later.push(fn);
      return { cancel() {} };
    },
    every: (_ms, fn) => {
      tick = fn;
      return { cancel() {} };
    },
    defer: (fn) => void deferred.push(fn),
  };
  const events: ReadyEvents = {
    feed() {},
    softState: () => void steps.push('softState'),
    readStates: () => void steps.push('readStates'),
    sliceBegins() {},
    applyNormal(e) {
      steps.push(`apply ${e.Index}`);
      now += applyMs;
    },
    applyConfChange: (e) => void steps.push(`conf ${e.Index}`),
    entryApplied: (e) => void steps.push(`answer ${e.Index}`),
    appliedTo() {},
    installSnapshot: (s, done) => ask(`install ${s.metadata!.index}`, () => ((consistent = s.metadata!.index), done())),
    snapshotOf: (index) => snapshot(index),
    heartbeatLate() {},
    suspended: (ms) => void steps.push(`suspended ${ms}`),
    diskStalled: (ms) => void steps.push(`stalled ${ms}`),
    confChangeInStore: (e) => void steps.push(`conf in store ${e.Index}`),
  };
  loop = new ReadyLoop({
    raft,
    log: {
      save: (entries, hardState, sync, done) =>
        ask(
          `wal ${entries.map((e) => e.Index).join(',')}${hardState === undefined ? '' : ` hs${hardState.commit}`}${sync ? '' : ' unsynced'}`,
          done,
        ),
      saveSnapshot: (s, done) => ask(`wal snapshot ${s.metadata!.index}`, done),
      release: (index) => void steps.push(`release ${index}`),
    },
    snapshots: { save: (s, done) => ask(`file ${s.metadata!.index}`, done) },
    backend: () => backend,
    transport: { ...nullTransport, send: (ms) => void steps.push(`send ${ms.map((m) => m.type).join(',')}`) },
    clock,
    spans: new RaftSpans(),
    logger: silentLog,
    memberId: 1n,
    heartbeatMs: 100,
    electionMs: 1000,
    snapshotCount: options.snapshotCount ?? 10_000,
    snapshotCatchupEntries: options.catchup ?? 5000,
    snapshotIndex: 0,
    events,
  });
}

beforeEach(() => build());

describe('a Ready', () => {
  it('D-1, D-2: messages leave before the sync, acknowledgements and the own vote after it', () => {
    readies.push(
      ready({
        token: 1,
        entries: [entry(1)],
        hardState: { term: 1, vote: 1n, commit: 0 },
        messages: [message(MessageType.MsgApp)],
        messagesAfterAppend: [message(MessageType.MsgAppResp)],
      }),
    );
    turn();
    expect(steps).toEqual(['send 3']);
    answer('wal 1 hs0');
    expect(steps).toEqual(['send 3', 'wal 1 hs0 durable', 'appendDone 1', 'send 4']);
  });

  it('is told of in order, also when a later one has nothing to write', () => {
    readies.push(ready({ token: 1, entries: [entry(1)] }), ready({ token: 2, messagesAfterAppend: [message(MessageType.MsgAppResp)] }));
    turn();
    expect(steps).toEqual([]);
    answer('wal 1');
    expect(steps).toEqual(['wal 1 durable', 'appendDone 1', 'appendDone 2', 'send 4']);
  });

  it('does not sync for a commit index: it travels with the next batch', () => {
    readies.push(ready({ token: 1, hardState: { term: 1, vote: 1n, commit: 5 } }));
    turn();
    expect(disk).toEqual([]);
    readies.push(ready({ token: 2, entries: [entry(1)] }));
    turn();
    expect(disk.map((d) => d.what)).toEqual(['wal 1 hs5']);
  });

  it('D-4, D-5: effect, then consistent index, then the answer', () => {
    readies.push(ready({ token: 1, committedEntries: [entry(1), { ...entry(2), Type: 1 }] }));
    turn();
    expect(steps).toEqual(['appendDone 1', 'apply 1', 'index 1', 'answer 1', 'conf 2', 'index 2', 'answer 2', 'applied 2']);
  });

  it('refuses a gap in what is to be applied', () => {
    readies.push(ready({ token: 1, committedEntries: [entry(2)] }));
    expect(turn).toThrow(/one after the other/);
  });
});

it('applies in slices: other work of the loop comes between', () => {
  applyMs = 1;
  readies.push(ready({ token: 1, committedEntries: Array.from({ length: 40 }, (_, i) => entry(i + 1)) }));
  loop.wake();
  deferred.shift()!();
  const first = steps.filter((s) => s.startsWith('apply ')).length;
  expect(first).toBeGreaterThan(0);
  expect(first).toBeLessThanOrEqual(16);
  turn();
  expect(steps.filter((s) => s.startsWith('apply '))).toHaveLength(40);
});

describe('snapshots', () => {
  it('D-8: file, WAL record, hard state, acknowledgement, then the swap, then the release; nothing is taken meanwhile', () => {
    readies.push(
      ready({
        token: 1,
        snapshot: snapshot(10),
        hardState: { term: 1, vote: 0n, commit: 10 },
        messagesAfterAppend: [message(MessageType.MsgAppResp)],
      }),
      ready({ token: 2, entries: [entry(11)], committedEntries: [] }),
    );
    turn();
    expect(disk.map((d) => d.what)).toEqual(['file 10']);
    answer('file 10');
    answer('wal snapshot 10');
    expect(steps).not.toContain('appendDone 1');
    answer('wal  hs10');
    expect(steps.slice(-2)).toEqual(['appendDone 1', 'send 4']);
    // Raft goes on appending while the database is imported.
    expect(disk.map((d) => d.what)).toEqual(['wal 11', 'install 10']);
    answer('wal 11');
    readies.push(ready({ token: 3, committedEntries: [entry(11)] }));
    turn();
    expect(steps).not.toContain('apply 11');
    answer('install 10');
    expect(steps.slice(steps.indexOf('install 10 durable'))).toEqual([
      'install 10 durable',
      'applied 10',
      'release 10',
      'apply 11',
      'index 11',
      'answer 11',
      'applied 11',
    ]);
  });

  it('what gathered while a database was imported is applied with rests, and a leader takes none', () => {
    const applied = (): number => steps.filter((s) => s.startsWith('apply ')).length;
    /** A hundred entries wait as the database takes the store's place, those up to index 60 gathered before. */
    const gathered = (): void => {
      readies.push(ready({ token: 1, snapshot: snapshot(10), hardState: { term: 1, vote: 0n, commit: 10 } }));
      turn();
      for (const what of ['file 10', 'wal snapshot 10', 'wal  hs10']) answer(what);
      readies.push(ready({ token: 2, committedEntries: Array.from({ length: 100 }, (_, i) => entry(i + 11)) }));
      turn();
      applyMs = 0.5;
      commit = 60;
      answer('install 10');
    };
    state = StateType.Follower;
    gathered();
    const first = applied();
    expect(first).toBeGreaterThan(0);
    expect(first).toBeLessThan(20);
    // Other work goes on meanwhile.
    readies.push(ready({ token: 3, messages: [message(MessageType.MsgHeartbeatResp)] }));
    turn();
    expect(applied()).toBe(first);
    expect(steps.at(-1)).toBe('appendDone 3');
    expect(later).toHaveLength(1);
    later.shift()!();
    turn();
    expect(applied()).toBeGreaterThan(first);
    for (let i = 0; i < 10 && later.length > 0; i++) {
      later.shift()!();
      turn();
    }
    expect(applied()).toBe(100);

    build();
    gathered();
    expect(later).toHaveLength(0);
    expect(applied()).toBe(100);
  });

  it('D-9: an older one never comes', () => {
    readies.push(ready({ token: 1, committedEntries: [entry(1)] }));
    turn();
    readies.push(ready({ token: 2, snapshot: snapshot(1) }));
    expect(turn).toThrow(/newer than what is applied/);
  });

  it('D-7: own ones stand on a durable backend: commit, file, WAL record, release; one at a time', () => {
    build({ snapshotCount: 2 });
    readies.push(ready({ token: 1, committedEntries: [entry(1), entry(2), entry(3)] }));
    turn();
    readies.push(ready({ token: 2, committedEntries: [entry(4)] }));
    turn();
    expect(disk.map((d) => d.what)).toEqual(['backend']);
    answer('backend');
    answer('file 3');
    expect(steps).not.toContain('release 3');
    answer('wal snapshot 3');
    expect(steps.at(-1)).toBe('release 3');
    expect(loop.snapshotIndex).toBe(3);
  });

  it('keeps a window of the log in memory, and all of it while a snapshot is on its way', () => {
    build({ catchup: 50 });
    readies.push(ready({ token: 1, committedEntries: Array.from({ length: 120 }, (_, i) => entry(i + 1)) }));
    turn();
    expect(steps).toContain('compact 70');
  });
});

it('leaves the members to a received database that is ahead of its snapshot, and has raft follow', () => {
  readies.push(ready({ token: 1, committedEntries: [{ ...entry(1), Type: 1 }, entry(2), { ...entry(3), Type: 1 }] }));
  consistent = 2;
  turn();
  expect(steps).toEqual(['appendDone 1', 'conf in store 1', 'answer 1', 'answer 2', 'conf 3', 'index 3', 'answer 3', 'applied 3']);
});

describe('a disk that stalls', () => {
  const ticks = (n: number): void => {
    for (let i = 0; i < n; i++) {
      now += 100;
      tick();
    }
  };
  const stalls = (): string[] => steps.filter((s) => s.startsWith('stalled'));

  it('F-11: is told to a leader after an election timeout, and again after each', () => {
    loop.start();
    ticks(3);
    readies.push(ready({ token: 1, entries: [entry(1)] }));
    turn();
    ticks(10);
    expect(stalls()).toEqual([]);
    ticks(1);
    expect(stalls()).toEqual(['stalled 1100']);
    ticks(11);
    expect(stalls()).toHaveLength(2);
    answer('wal 1');
    ticks(20);
    expect(stalls()).toHaveLength(2);
  });

  it('is no business of a follower', () => {
    state = StateType.Follower;
    loop.start();
    readies.push(ready({ token: 1, entries: [entry(1)] }));
    turn();
    ticks(40);
    expect(stalls()).toEqual([]);
  });

  it('is not what a suspended process wakes up to', () => {
    loop.start();
    readies.push(ready({ token: 1, entries: [entry(1)] }));
    turn();
    now += 5000;
    tick();
    expect(steps.filter((s) => s.startsWith('suspended'))).toEqual(['suspended 5000']);
    expect(stalls()).toEqual([]);
    ticks(11);
    expect(stalls()).toHaveLength(1);
  });
});

it('takes nothing more after it was stopped', () => {
  readies.push(ready({ token: 1, entries: [entry(1)], messagesAfterAppend: [message(MessageType.MsgAppResp)] }));
  turn();
  loop.stop();
  answer('wal 1');
  expect(steps).toEqual(['wal 1 durable']);
});

// What the log tells of linearizable reads: rounds that took long, questions without an answer, answers that come late.
import { beforeEach, expect, it } from 'vitest';
import { errors, type Status } from '../../../src/api/status.ts';
import { type Log, type LogFields, silentLog } from '../../../src/base/log.ts';
import { type RaftMachine, StateType } from '../../../src/raft/machine.ts';
import { ReadIndex } from '../../../src/server/consensus/read-index.ts';
import { RequestIds } from '../../../src/server/consensus/request-id.ts';

let now = 0;
let applied = 5;
let lines: { readonly level: string; readonly message: string; readonly fields: LogFields }[] = [];
let asked: Uint8Array[] = [];
let answers: (Status | undefined)[] = [];
let reads: ReadIndex;

const note =
  (level: string) =>
  (message: string, fields: LogFields = {}): void =>
    void lines.push({ level, message, fields });
const logger: Log = { ...silentLog, info: note('info'), warn: note('warn') };

beforeEach(() => {
  [now, applied, lines, asked, answers] = [0, 5, [], [], []];
  reads = new ReadIndex({
    raft: { state: StateType.Follower, readIndex: (context: Uint8Array) => void asked.push(context) } as unknown as RaftMachine,
    ids: new RequestIds(1n, 0),
    timeoutMs: 7000,
    clock: { mono: () => now, wall: () => Date.UTC(2026, 0, 1) + now },
    logger,
    wake: () => {},
    applied: () => applied,
    soleVoter: () => false,
  });
  reads.read((error) => answers.push(error));
  reads.feed();
});

it('a round that took long shows its steps', () => {
  now = 80;
  reads.readStates([{ index: 9, context: asked[0] as Uint8Array }]);
  expect(answers).toEqual([]);
  now = 200;
  applied = 9;
  reads.appliedTo(9);
  expect(answers).toEqual([undefined]);
  expect(reads.agreedMs).toBe(200);
  expect(lines.map((l) => [l.level, l.message])).toEqual([['info', 'trace']]);
  expect(lines[0]?.fields).toMatchObject({
    operation: 'linearizableReadLoop',
    detail: '{readStateIndex:9; appliedIndex:9; }',
    duration: '200ms',
    start: '2026-01-01T00:00:00.000000Z',
    steps: ["'read index received'  (duration: 80ms)", "'applied index is now lower than readState.Index'  (duration: 120ms)"],
    step_count: 2,
  });
});

it('a round that was fast shows nothing', () => {
  now = 20;
  reads.readStates([{ index: 5, context: asked[0] as Uint8Array }]);
  expect(answers).toEqual([undefined]);
  expect(lines).toEqual([]);
});

it('a question without an answer is put again, and given up', () => {
  now = 500;
  reads.expire();
  reads.firstCommitInTerm();
  expect(asked.length).toBe(3);
  now = 7000;
  reads.expire();
  expect(answers).toEqual([errors.timeout]);
  expect(lines.map((l) => [l.level, l.message])).toEqual([
    ['warn', 'waiting for ReadIndex response took too long, retrying'],
    ['info', 'first commit in current term: resending ReadIndex request'],
    ['warn', 'timed out waiting for read index response (local node might have slow network)'],
  ]);
  expect(lines[0]?.fields).toMatchObject({ 'retry-timeout': '500ms' });
  expect(lines[2]?.fields).toEqual({ timeout: '7s' });
  // Its answer comes after all.
  lines = [];
  reads.readStates([{ index: 9, context: asked[0] as Uint8Array }]);
  expect(reads.slow).toBe(1);
  expect(lines[0]?.message).toMatch(/^ignored out-of-date read index response; /);
});

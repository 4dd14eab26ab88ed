// The checker of histories, on histories that are wrong in one way each.
import { describe, expect, it } from 'vitest';
import { check, type Operation, type Revision } from './checker.ts';

const log: Revision[] = [
  { revision: 2, events: [{ key: 'a', value: 'v1', createRevision: 2, version: 1 }] },
  { revision: 3, events: [{ key: 'b', value: 'v2', createRevision: 3, version: 1 }] },
  { revision: 4, events: [{ key: 'a', value: 'v3', createRevision: 2, version: 2 }] },
  { revision: 5, events: [{ key: 'b', value: undefined, createRevision: 0, version: 0 }] },
];
const put = (key: string, value: string, revision: number, began: number, more: Partial<Operation> = {}): Operation => ({
  kind: 'write',
  changes: [{ key, value }],
  outcome: 'ok',
  revision,
  began,
  ended: began + 1,
  ...more,
});
const remove = (key: string, revision: number, began: number, more: Partial<Operation> = {}): Operation => ({
  ...put(key, '', revision, began),
  changes: [{ key, value: undefined }],
  deleted: true,
  ...more,
});
const get = (key: string, revision: number, began: number, pairs: Operation['pairs'], more: Partial<Operation> = {}): Operation => ({
  kind: 'read',
  changes: [],
  range: { key, end: undefined },
  outcome: 'ok',
  revision,
  began,
  ended: began + 1,
  ...(pairs === undefined ? {} : { pairs }),
  ...more,
});
const a3 = { key: 'a', value: 'v3', createRevision: 2, modRevision: 4, version: 2 };
const a1 = { key: 'a', value: 'v1', createRevision: 2, modRevision: 2, version: 1 };
/** At 10, 20, 30 and 40. */
const sound = (): Operation[] => [put('a', 'v1', 2, 10), put('b', 'v2', 3, 20), put('a', 'v3', 4, 30), remove('b', 5, 40)];
const others = (...more: Operation[]): Operation[] => [...sound(), ...more];
const without = (i: number, ...more: Operation[]): Operation[] =>
  [...sound().filter((_, n) => n !== i), ...more].sort((x, y) => x.began - y.began);

describe('accepts', () => {
  it.each<[string, Operation[], Revision[]?]>([
    ['what was told', sound()],
    ['reads of the state they were told', others(get('a', 4, 41, [a3]), get('b', 5, 50, []), get('b', 5, 50, []))],
    ['a read beside a write', others(get('a', 3, 29.5, [a1]))],
    ['an old read of one member alone', others(get('a', 2, 60, [a1], { kind: 'serializable' }))],
    ['a write without an answer that happened later', without(2, put('a', 'v3', 0, 5, { outcome: 'unknown', ended: Infinity }))],
    ['one that never happened', others(put('a', 'v9', 0, 5, { outcome: 'unknown', ended: Infinity }))],
    ['a delete without an answer', without(3, remove('b', 0, 5, { outcome: 'unknown', ended: Infinity }))],
    ['a delete of nothing', others(remove('c', 5, 60, { deleted: false }))],
    ['what others write', sound(), [...log, { revision: 6, events: [{ key: 'other', value: 'x', createRevision: 6, version: 1 }] }]],
    ['a comparison that held', without(2, put('a', 'v3', 4, 30, { kind: 'cas', expects: { key: 'a', modRevision: 2 }, succeeded: true }))],
    ['one that did not', others(put('a', 'v9', 5, 60, { kind: 'cas', expects: { key: 'a', modRevision: 2 }, succeeded: false }))],
  ])('%s', (_name, operations, there = log) => {
    expect(check(operations, there, (key) => key === 'other')).toEqual([]);
  });
});

describe('finds', () => {
  it.each<[string, Operation[], Revision[]?]>([
    ['an acknowledged write that is lost', others(put('c', 'v9', 6, 60))],
    ['one at another revision', without(2, put('a', 'v3', 5, 30))],
    ['a refused one that happened', without(2, put('a', 'v3', 0, 30, { outcome: 'refused' }))],
    ['a change that nobody asked for', without(2)],
    ['a delete that nobody asked for', without(3)],
    ['a write done twice', sound(), [...log, { revision: 6, events: [{ key: 'a', value: 'v3', createRevision: 2, version: 3 }] }]],
    ['a stale read', others(get('a', 2, 60, [a1]))],
    ['a read of a state that never was', others(get('a', 5, 60, [a1]))],
    ['a read that misses a key', others(get('a', 5, 60, []))],
    ['a write before one that was told earlier', [put('b', 'v2', 3, 10), put('a', 'v1', 2, 20), put('a', 'v3', 4, 30), remove('b', 5, 40)]],
    ['an unanswered write in the past', without(0, put('a', 'v1', 0, 35, { outcome: 'unknown', ended: Infinity }))],
    ['a write that was read before it was asked for', others(get('a', 4, 15, [a3]))],
    [
      'a comparison that did not hold',
      without(2, put('a', 'v3', 4, 30, { kind: 'cas', expects: { key: 'a', modRevision: 3 }, succeeded: true })),
    ],
    ['one that held and failed', others(put('a', 'v9', 5, 60, { kind: 'cas', expects: { key: 'a', modRevision: 4 }, succeeded: false }))],
    [
      'half of a transaction',
      without(1, {
        ...put('b', 'v2', 3, 20),
        changes: [
          { key: 'b', value: 'v2' },
          { key: 'c', value: 'v9' },
        ],
      }),
    ],
    ['a gap', sound(), log.filter((r) => r.revision !== 3)],
    ['a wrong version', sound(), log.map((r) => (r.revision === 4 ? { ...r, events: r.events.map((e) => ({ ...e, version: 1 })) } : r))],
    ['a revision from nowhere', others(get('a', 9, 60, [a3]))],
  ])('%s', (_name, operations, there = log) => {
    expect(check(operations, there, (key) => key === 'other').length).toBeGreaterThan(0);
  });
});

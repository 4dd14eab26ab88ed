// Lines of a transaction: what they mean, and what is said about those that mean nothing.
import { describe, expect, it } from 'vitest';
import { parseCompare, parseRequest } from '../../../src/commands/kv/txn.ts';
import { watchLine } from '../../../src/commands/kv/watch-request.ts';

const failure = (run: () => unknown): { exit: number; text: string } => {
  try {
    run();
  } catch (error) {
    const e = error as Error & { exit: number };
    return { exit: e.exit, text: e.message };
  }
  throw new Error('accepted');
};

describe('compares', () => {
  it('name a target, a key, an operator and a value', () => {
    expect(parseCompare('mod("k") > "2"')).toMatchObject({ result: 1, target: 2, modRevision: 2 });
    expect(parseCompare('value("k")   !=  "a b"')).toMatchObject({ result: 3, target: 3, value: Buffer.from('a b') });
    expect(parseCompare('lease("k") = "1f"')).toMatchObject({ target: 4, lease: 31n });
    expect(parseCompare('ver("\\xff") < "3"').key).toEqual(Buffer.from([255]));
  });

  it('are refused with what was read of them', () => {
    expect(failure(() => parseCompare('value("k") = v'))).toEqual({
      exit: 3,
      text: 'malformed comparison: value("k") = v; got value("k") = ""',
    });
    expect(failure(() => parseCompare('mod("k") = "x"'))).toEqual({ exit: 3, text: 'invalid txn compare request: mod("k") = "x"' });
    expect(failure(() => parseCompare('value("k") ~ "x"')).exit).toBe(128);
  });
});

describe('requests', () => {
  it('are put, get and del with their flags', () => {
    expect(parseRequest('put a "b c" --prev-kv')).toMatchObject({ requestPut: { prevKv: true, value: Buffer.from('b c') } });
    expect(parseRequest('get a --prefix --limit 2')).toMatchObject({ requestRange: { limit: 2, rangeEnd: Buffer.from('b') } });
    expect(parseRequest('del a c')).toMatchObject({ requestDeleteRange: { rangeEnd: Buffer.from('c') } });
  });

  it('are refused in etcdctl words', () => {
    expect(failure(() => parseRequest('put'))).toEqual({ exit: 3, text: 'invalid txn compare request: put' });
    expect(failure(() => parseRequest('bogus k'))).toEqual({ exit: 3, text: 'invalid txn request: bogus k' });
    // Flags of our own are for command lines.
    expect(failure(() => parseRequest('del k --dry-run')).exit).toBe(3);
  });
});

describe('watch lines', () => {
  const none = { key: '', rangeEnd: '' };
  it('take key and command apart', () => {
    expect(watchLine(['k', 'sh', '-c', 'x'], 1, none, true)).toEqual({ args: ['k'], exec: ['sh', '-c', 'x'] });
    expect(watchLine([], -1, { key: 'a', rangeEnd: 'c' }, false)).toEqual({ args: ['a', 'c'], exec: [] });
  });
  it('refuse what is missing or double', () => {
    expect(failure(() => watchLine(['k'], 1, none, true)).text).toBe('bad number of arguments (found separator --, but no commands)');
    expect(failure(() => watchLine(['k'], -1, { key: 'k', rangeEnd: '' }, false)).text).toBe(
      'bad number of arguments (found conflicting environment key)',
    );
  });
});
